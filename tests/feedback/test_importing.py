from __future__ import annotations

import csv
import json

import pytest
from sqlalchemy import text

from learning_core import rowfiles
from learning_core.errors import InvalidInput
from learning_core.feedback import rollup
from learning_core.feedback.importing import import_feedback
from learning_core.rowfiles import rejects_of

ROW = {"id": "f1", "execution_id": "e1", "agent_id": "a", "feedback_type": "thumbs_up"}


def jsonl(path, rows):
    file = path / "feedback.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def numbered(n: int) -> list[dict]:
    return [ROW | {"id": f"f{i}", "execution_id": f"e{i}"} for i in range(n)]


def rejects(file) -> list[dict]:
    return [json.loads(line) for line in rejects_of(file).read_text().splitlines()]


@pytest.fixture
def bring_in(organization):
    """Import a whole file and return the result: `bring_in(file)`."""

    def run(file):
        *_, result = import_feedback(organization.id, file)
        return result

    return run


@pytest.fixture
def stored(transaction):
    """Ask for columns of what is stored, in the order of the ids: `stored("key, rating")`."""

    def ask(columns: str, table: str = "agent_feedback") -> list:
        with transaction() as session:
            return session.execute(text(f"SELECT {columns} FROM {table} ORDER BY key")).all()

    return ask


# ---------------------------------------------------------------- what is understood


def test_rows_of_a_jsonl_file_are_stored(bring_in, stored, tmp_path):
    whole = ROW | {
        "rating": 2,
        "dimensions": {"accuracy": 1},
        "issue_categories": ["tone"],
        "feedback_text": "مرحبا 👍🏽",
        "created_at": "2026-03-01T12:00:00Z",
    }
    result = bring_in(jsonl(tmp_path, [whole, ROW | {"id": "f2", "rating": None, "feedback_text": ""}]))
    assert (result.rows_read, result.stored, result.rejected) == (2, 2, 0)
    assert stored("key, rating, accuracy, issue_categories, feedback_text, source") == [
        ("f1", 2, 1, ["tone"], "مرحبا 👍🏽", "import"),
        ("f2", None, None, [], None, "import"),
    ]


def test_rows_of_a_csv_file_are_stored(bring_in, stored, tmp_path):
    file = tmp_path / "feedback.csv"
    with file.open("w", newline="") as sink:
        writer = csv.writer(sink)
        writer.writerow(["id", "execution_id", "agent_id", "feedback_type", "rating", "accuracy"])
        writer.writerow(["f1", "e1", "a", "star_rating", "4", "5"])
        writer.writerow(["f2", "e2", "a", "thumbs_down", "", ""])
    assert bring_in(file).stored == 2
    assert stored("key, feedback_type, rating, accuracy") == [
        ("f1", "star_rating", 4, 5),
        ("f2", "thumbs_down", None, None),
    ]


def test_a_csv_cell_may_hold_lines_quotes_and_several_issues(bring_in, stored, tmp_path):
    file = tmp_path / "feedback.csv"
    with file.open("w", newline="") as sink:
        writer = csv.writer(sink)
        writer.writerow([*ROW, "issue_categories", "feedback_text"])
        writer.writerow([*ROW.values(), "tone | incorrect", 'It said:\n"never", and\r\nleft.'])
    assert bring_in(file).stored == 1
    assert stored("issue_categories, feedback_text") == [
        (["tone", "incorrect"], 'It said:\n"never", and\r\nleft.')
    ]


@pytest.mark.parametrize("name", ["feedback.jsonl", "feedback.csv"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(bring_in, stored, tmp_path, name):
    file = tmp_path / name
    header, row = ",".join(ROW), ",".join(ROW.values())
    content = json.dumps(ROW) if name.endswith("jsonl") else f"{header}\n{row}\n"
    file.write_bytes(b"\xef\xbb\xbf" + content.encode())
    assert bring_in(file).stored == 1
    assert stored("key") == [("f1",)]


@pytest.mark.parametrize("name", ["feedback.jsonl", "feedback.csv", "FEEDBACK.NDJSON"])
@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_is_nothing_to_do(bring_in, tmp_path, name, content):
    file = tmp_path / name
    file.write_text(content)
    result = bring_in(file)
    assert (result.rows_read, result.stored, result.rejected) == (0, 0, 0)
    assert not rejects_of(file).exists()


def test_a_file_without_a_last_line_break_loses_nothing(bring_in, tmp_path):
    file = tmp_path / "feedback.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in numbered(3)))
    assert bring_in(file).stored == 3


def test_columns_of_the_execution_report_it_too(bring_in, stored, tmp_path):
    told = {"input_text": "When?", "output_text": "Soon.", "prompt_version": "v1", "latency_ms": 12.5}
    file = jsonl(tmp_path, [ROW | told | {"cost_usd": "0.01"}, ROW | {"id": "f2", "execution_id": "e2"}])
    assert bring_in(file).stored == 2
    assert stored("key, input_text, output_text, prompt_version, reported_at IS NULL", "executions") == [
        ("e1", "When?", "Soon.", "v1", False),
        ("e2", None, None, None, True),
    ]
    assert stored("key, prompt_version") == [("f1", "v1"), ("f2", "")]


def test_columns_nobody_knows_are_ignored_and_named(bring_in, tmp_path):
    file = jsonl(tmp_path, [ROW | {"mood": "sunny"}, ROW | {"id": "f2", "mood": "grey", "shop": 7}])
    result = bring_in(file)
    assert result.stored == 2
    assert sorted(result.ignored_columns) == ["mood", "shop"]


@pytest.mark.parametrize("name", ["feedback.txt", "feedback", "feedback.json"])
def test_a_file_of_another_kind_is_refused_by_its_name(bring_in, tmp_path, name):
    (tmp_path / name).write_text("")
    with pytest.raises(InvalidInput, match=name):
        bring_in(tmp_path / name)


def test_a_file_that_is_not_there_is_refused(bring_in, tmp_path):
    with pytest.raises(InvalidInput, match="No such file"):
        bring_in(tmp_path / "missing.jsonl")


# ---------------------------------------------------------------- what is rejected


def test_a_bad_row_goes_to_the_reject_file_with_its_line_and_the_reason(bring_in, stored, tmp_path):
    bad = ROW | {"id": "f2", "rating": 9}
    file = jsonl(tmp_path, [ROW, bad, ROW | {"id": "f3", "agent_id": ""}, ROW | {"id": "f4"}])
    result = bring_in(file)
    assert (result.rows_read, result.stored, result.rejected) == (4, 2, 2)
    first, second = rejects(file)
    assert (first["line"], first["row"]) == (2, bad)
    assert first["reason"].startswith("rating: ")
    assert (second["line"], second["reason"].partition(":")[0]) == (3, "agent_id")
    assert stored("key") == [("f1",), ("f4",)]


def test_lines_that_are_no_json_objects_are_rejected(bring_in, tmp_path):
    file = tmp_path / "feedback.jsonl"
    good = json.dumps(ROW).encode()
    file.write_bytes(b"\n".join([b"{", good, b"[1]", b"7", b'"text"', b"{'id': 1}", b"\xff\xfe", b"nul"]))
    result = bring_in(file)
    assert (result.stored, result.rejected) == (1, 7)
    assert [reject["line"] for reject in rejects(file)] == [1, 3, 4, 5, 6, 7, 8]
    assert all(reject["reason"].startswith("not ") for reject in rejects(file))


def test_text_that_is_not_utf_8_is_rejected_in_jsonl_and_marked_in_csv(bring_in, stored, tmp_path):
    lines = tmp_path / "feedback.jsonl"
    lines.write_bytes(json.dumps(ROW | {"feedback_text": "??"}).encode().replace(b"??", b"\xe4"))
    assert bring_in(lines).rejected == 1
    table = tmp_path / "feedback.csv"
    header, row = ",".join(ROW), ",".join(ROW.values())
    table.write_bytes(f"{header},feedback_text\n{row},".encode() + b"f\xfcr\n")
    assert bring_in(table).stored == 1
    assert stored("feedback_text") == [("f\ufffdr",)]


@pytest.mark.parametrize("value", ["\x00", "\ud83d"], ids=["NUL", "half a surrogate pair"])
@pytest.mark.parametrize("field", ["feedback_text", "input_text", "id"])
def test_what_no_database_text_can_hold_is_rejected(bring_in, tmp_path, field, value):
    file = jsonl(tmp_path, [ROW | {field: f"before{value}"}, ROW])
    result = bring_in(file)
    assert (result.stored, result.rejected) == (1, 1)
    assert rejects(file)[0]["line"] == 1


def test_an_over_long_line_is_rejected_and_the_next_one_taken(bring_in, tmp_path, monkeypatch):
    monkeypatch.setattr(rowfiles, "LONGEST_LINE", 1_000)
    file = jsonl(tmp_path, [ROW | {"feedback_text": "x" * 5_000}, ROW | {"id": "f2"}])
    result = bring_in(file)
    assert (result.rows_read, result.stored, result.rejected) == (2, 1, 1)
    assert result.bytes_read == file.stat().st_size
    assert [reject["line"] for reject in rejects(file)] == [1]
    assert "longer than" in rejects(file)[0]["reason"]


def test_an_over_long_cell_is_rejected_and_the_next_row_taken(bring_in, tmp_path, monkeypatch):
    monkeypatch.setattr(rowfiles, "LONGEST_LINE", 1_000)
    file = tmp_path / "feedback.csv"
    rows = [[*ROW.values(), "x" * 5_000], [*(ROW | {"id": "f2"}).values(), "short"]]
    with file.open("w", newline="") as sink:
        csv.writer(sink).writerows([[*ROW, "feedback_text"], *rows])
    result = bring_in(file)
    assert (result.stored, result.rejected) == (1, 1)


def test_a_csv_row_of_another_width_is_still_read(bring_in, tmp_path):
    file = tmp_path / "feedback.csv"
    header = ",".join(ROW)
    file.write_text(f"{header}\nf1,e1,a,thumbs_up,and,more\nf2,e2\nf3,e3,a,thumbs_up\n")
    result = bring_in(file)
    assert (result.stored, result.rejected) == (2, 1)
    assert result.ignored_columns == ["(further columns)"]


def test_a_conflict_is_rejected_and_its_neighbours_stored(bring_in, stored, tmp_path):
    file = jsonl(tmp_path, [ROW, ROW | {"execution_id": "e2"}, ROW | {"id": "f3", "agent_id": "b"}])
    result = bring_in(file)
    assert (result.stored, result.rejected) == (1, 2)
    assert all("belongs to another" in reject["reason"] for reject in rejects(file))
    assert stored("key") == [("f1",)]


# ---------------------------------------------------------------- again, and after an interruption


def test_importing_the_same_file_again_changes_nothing(bring_in, stored, transaction, tmp_path):
    file = jsonl(tmp_path, numbered(5))
    first = bring_in(file)
    rows = stored("key, id, created_at")
    assert bring_in(file) == first
    assert stored("key, id, created_at") == rows
    with transaction() as session:
        assert rollup.differences(session, rollup.FEEDBACK) == 0


def test_a_row_without_an_id_keeps_the_one_it_was_given(bring_in, stored, tmp_path):
    nameless = {name: value for name, value in ROW.items() if name != "id"}
    file = jsonl(tmp_path, [nameless, nameless, nameless | {"execution_id": "e2"}])
    assert bring_in(file).stored == 3
    ids = stored("key")
    assert len(set(ids)) == 3  # the same line twice is two people
    bring_in(file)
    assert stored("key") == ids


def test_an_interrupted_import_goes_on_after_its_last_batch(
    organization, bring_in, stored, tmp_path, monkeypatch
):
    monkeypatch.setattr(rowfiles, "BATCH", 10)
    rows = numbered(35)
    rows[3] |= {"rating": 9}
    rows[33] |= {"rating": 9}
    file = jsonl(tmp_path, rows)
    interrupted = import_feedback(organization.id, file)
    assert (next(interrupted).rows_read, next(interrupted).rows_read) == (10, 20)
    interrupted.close()
    assert len(stored("key")) == 19

    rest = [progress.rows_read for progress in import_feedback(organization.id, file)]
    assert rest == [30, 35, 35]
    assert len(stored("key")) == 33
    assert [reject["line"] for reject in rejects(file)] == [4, 34]


def test_an_import_cut_off_before_its_note_was_written_stores_nothing_twice(
    organization, bring_in, stored, tmp_path, monkeypatch
):
    monkeypatch.setattr(rowfiles, "BATCH", 10)
    file = jsonl(tmp_path, numbered(25))
    interrupted = import_feedback(organization.id, file)
    next(interrupted)
    note = rowfiles._note(organization.id, file, "feedback")
    after_one_batch = note.read_text()
    next(interrupted)
    interrupted.close()
    note.write_text(after_one_batch)
    assert bring_in(file).stored == 25
    assert len(stored("key")) == 25


def test_a_changed_file_of_the_same_name_starts_from_the_beginning(
    organization, bring_in, stored, tmp_path, monkeypatch
):
    monkeypatch.setattr(rowfiles, "BATCH", 10)
    interrupted = import_feedback(organization.id, jsonl(tmp_path, numbered(25)))
    next(interrupted)
    interrupted.close()
    assert bring_in(jsonl(tmp_path, numbered(12))).rows_read == 12
    assert len(stored("key")) == 12


def test_two_organisations_import_the_same_file_independently(organization, other_organization, tmp_path):
    file = jsonl(tmp_path, numbered(3))
    for someone in (organization, other_organization):
        *_, result = import_feedback(someone.id, file)
        assert result.stored == 3
