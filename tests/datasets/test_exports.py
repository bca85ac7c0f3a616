"""Files hold what they should, for our reader and for readers that know nothing of us."""

import csv
import doctest
import io
import json
import shutil
import subprocess
from dataclasses import replace
from itertools import chain

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning_core.datasets import exports
from learning_core.datasets.content import NAMES, REQUIRED, DatasetExample, canonical, content_hash
from learning_core.datasets.exports import (
    COMPLETE,
    Format,
    file_name,
    left_out,
    media_type,
    write,
)
from tests.datasets.reading import read
from tests.datasets.test_content import EXAMPLES, HOSTILE, TEXTS

TRAINERS = [format for format in Format if format not in COMPLETE]
DATASETS = st.lists(EXAMPLES, max_size=3, unique_by=lambda example: example.id)
PLAIN = DatasetExample(**dict.fromkeys(REQUIRED, "x"))
HOSTILE_DATASET = [
    replace(
        PLAIN,
        id=f"{number:03}",
        input_text=text,
        expected_output=f"{text}!",
        context=text,
        rejected_output=text,
    )
    for number, text in enumerate(HOSTILE)
]


def over_datasets(test):
    return settings(max_examples=30, deadline=None)(given(examples=DATASETS)(test))


def rendered(examples, format):
    return b"".join(write(examples, format))


def rows_of(examples, format):
    return [json.loads(line) for line in rendered(examples, format).decode().split("\n")[:-1]]


def listed(examples):
    by_id = {example.id: example for example in examples}
    return [by_id[row["id"]] for row in rows_of(examples, Format.JSONL)]


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(exports).failed == 0


def exchange(example, format):
    context = [] if example.context is None else [("system", f"Context:\n{example.context}")]
    answers = [example.expected_output, example.rejected_output][: 2 if format is Format.TRL_DPO else 1]
    return [*context, ("user", example.input_text), *(("assistant", answer) for answer in answers)]


# ---------------------------------------------------------------- nothing is lost


@pytest.mark.parametrize("format", COMPLETE)
@over_datasets
def test_formats_with_all_fields_read_back_identically(format, examples):
    assert read(rendered(examples, format), format) == listed(examples)


@pytest.mark.parametrize("format", TRAINERS)
@over_datasets
def test_formats_for_trainers_read_back_what_they_hold(format, examples):
    held = examples
    if format is Format.OPENAI_CHAT:
        held = [example for example in held if example.input_text and example.expected_output]
    if format is Format.TRL_DPO:
        held = [example for example in held if example.rejected_output not in (None, example.expected_output)]
    expected = [exchange(example, format) for example in held]
    assert sorted(read(rendered(examples, format), format)) == sorted(expected)
    assert left_out(iter(examples), format) == len(examples) - len(held)


@pytest.mark.parametrize("format", Format)
@over_datasets
def test_the_order_of_the_examples_does_not_change_the_file(format, examples):
    assert rendered(examples, format) == rendered(iter(examples[::-1]), format)


def test_examples_are_listed_by_id_after_those_in_which_a_field_first_has_a_value():
    first, second, third, fourth = (replace(PLAIN, id=str(number)) for number in range(4))
    assert listed([fourth, second, first, third]) == [first, second, third, fourth]
    second, fourth = replace(second, domain="vat"), replace(fourth, issue_categories=("tone",))
    assert listed([third, replace(third, id="9", domain="vat"), fourth, second, first])[:4] == [
        first,
        second,
        fourth,
        third,
    ]


@pytest.mark.parametrize("format", Format)
def test_files_of_many_pieces_hold_everything(format, monkeypatch):
    whole = rendered(HOSTILE_DATASET, format)
    monkeypatch.setattr(exports, "BATCH", 7)
    monkeypatch.setattr(exports, "ROW_GROUP", 7)
    monkeypatch.setattr(exports, "CHUNK", 1000)
    pieces = list(write(HOSTILE_DATASET, format))
    assert len(pieces) > 3
    assert read(b"".join(pieces), format) == read(whole, format)
    assert format is Format.PARQUET or b"".join(pieces) == whole


@pytest.mark.parametrize("format", Format)
def test_nothing_is_a_file_too(format):
    assert read(rendered([], format), format) == []
    assert left_out([], format) == 0


@pytest.mark.parametrize("format", COMPLETE)
def test_long_texts_survive(format):
    long = [replace(PLAIN, input_text="=\r\n🍵" * 100_000)]
    assert read(rendered(long, format), format) == long


# ---------------------------------------------------------------- readers of others


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REQUIRED])
def test_a_reader_that_guesses_columns_from_the_beginning_meets_them_all(name):
    rare = {
        "demonstration": {"task": "Find", "actions": ["Open"], "reasoning": "Law"},
        "issue_categories": ("tone",),
        "quality_score": 0.5,
        "human_verified": True,
    }
    late = [replace(PLAIN, id=f"9{number}", **{name: rare.get(name, "text")}) for number in range(50)]
    examples = [replace(PLAIN, id=f"{number:03}") for number in range(200)] + late
    table = pa.json.open_json(
        io.BytesIO(rendered(examples, Format.JSONL)),
        read_options=pa.json.ReadOptions(block_size=1000),
        parse_options=pa.json.ParseOptions(unexpected_field_behavior="error"),
    ).read_all()
    assert sum(row[name] not in (None, "api", [], False) for row in table.to_pylist()) == 50
    table = pa.csv.open_csv(
        io.BytesIO(rendered(examples, Format.CSV)), read_options=pa.csv.ReadOptions(block_size=1000)
    ).read_all()
    assert sum(row[name] not in (None, "", "api", "[]", False) for row in table.to_pylist()) == 50


def test_the_lines_of_jsonl_are_those_of_the_content_hash():
    lines = rendered(HOSTILE_DATASET, Format.JSONL).split(b"\n")
    assert lines == [*map(canonical, HOSTILE_DATASET), b""]


def test_the_splits_of_a_dataset_together_give_its_hash(tmp_path):
    if not all(map(shutil.which, ("sh", "sort", "sha256sum"))):
        pytest.skip("needs sort and sha256sum")
    for number in range(3):
        (tmp_path / f"{number}.jsonl").write_bytes(rendered(HOSTILE_DATASET[number::3], Format.JSONL))
    command = "cat *.jsonl | LC_ALL=C sort | sha256sum"
    told = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert content_hash(HOSTILE_DATASET) == f"sha256:{told.stdout.split()[0]}"


@over_datasets
def test_pyarrow_reads_jsonl(examples):
    examples = [*examples, replace(PLAIN, id="never without a line")]
    table = pa.json.read_json(io.BytesIO(rendered(examples, Format.JSONL)))
    for row, example in zip(table.to_pylist(), listed(examples), strict=True):
        told = {name: value for name, value in vars(example).items() if value is not None}
        demonstration = {
            key: part for key, part in (row.pop("demonstration", None) or {}).items() if part is not None
        }
        assert demonstration == told.pop("demonstration", {})
        assert {name: value for name, value in row.items() if value is not None} == told | {
            "issue_categories": list(example.issue_categories)
        }


@over_datasets
def test_pyarrow_reads_parquet(examples):
    table = pa.parquet.read_table(io.BytesIO(rendered(examples, Format.PARQUET)))
    assert table.column_names == list(NAMES)
    assert str(table.schema.field("issue_categories").type).startswith("list<")
    assert table.schema.field("quality_score").type == pa.float64()
    assert table.schema.field("human_verified").type == pa.bool_()
    for row, example in zip(table.to_pylist(), listed(examples), strict=True):
        demonstration = json.loads(row.pop("demonstration") or "null")
        assert row | {
            "demonstration": demonstration,
            "issue_categories": tuple(row["issue_categories"]),
        } == vars(example)


def csv_by_csv(data):
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def csv_by_pyarrow(data):
    return pa.csv.read_csv(
        io.BytesIO(data),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(column_types=dict.fromkeys(NAMES, pa.string())),
    ).to_pylist()


@pytest.mark.parametrize("reader", [csv_by_csv, csv_by_pyarrow])
@over_datasets
def test_others_read_csv(reader, examples):
    rows = reader(rendered(examples, Format.CSV))
    for row, example in zip(rows, listed(examples), strict=True):
        assert tuple(row) == NAMES
        assert json.loads(row["issue_categories"]) == list(example.issue_categories)
        assert json.loads(row["demonstration"] or "null") == example.demonstration
        assert json.loads(row["quality_score"] or "null") == example.quality_score
        assert row["human_verified"] == str(example.human_verified).lower()
        for name in ("input_text", "expected_output", "context", "rejected_output", "user_id"):
            text, cell = getattr(example, name), row[name]
            assert cell in ({""} if text is None else {text, f"'{text}"})
            assert cell == text or text is None or text.lstrip("'")[:1] in ("", *"=+-@\t\r")


@over_datasets
def test_no_csv_cell_starts_a_formula(examples):
    for row in csv_by_csv(rendered(examples, Format.CSV)):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_different_texts_have_different_cells(one, other):
    assert (exports._cell(one) == exports._cell(other)) == (one == other)
    assert exports._cell(one) != exports._cell(None)


def test_csv_says_that_it_is_utf_8():
    assert rendered([PLAIN], Format.CSV).startswith("\ufeffid,agent_id,example_type,".encode())


# ---------------------------------------------------------------- what trainers ask for


def openai_errors(row):
    """The checks of "Data preparation and analysis for chat model fine-tuning" in OpenAI's cookbook."""
    if not isinstance(row, dict) or not row.get("messages"):
        yield "no list of messages"
        return
    for message in row["messages"]:
        if not {"role", "content"} <= message.keys():
            yield "a message without role or content"
        if message.keys() - {"role", "content", "name", "function_call", "weight"}:
            yield "a message with an unknown key"
        if message.get("role") not in ("system", "user", "assistant", "function"):
            yield "an unknown role"
        if not message.get("content") or not isinstance(message["content"], str):
            yield "a message without content"
    if not any(message.get("role") == "assistant" for message in row["messages"]):
        yield "no message of the assistant"


@over_datasets
def test_chats_pass_the_check_that_openai_publishes(examples):
    for row in rows_of(examples, Format.OPENAI_CHAT):
        assert row.keys() == {"messages"}
        assert list(openai_errors(row)) == []
        assert [message["role"] for message in row["messages"]][-2:] == ["user", "assistant"]


@pytest.mark.parametrize(
    ("format", "answers"), [(Format.TRL_SFT, ["completion"]), (Format.TRL_DPO, ["chosen", "rejected"])]
)
@over_datasets
def test_rows_for_trl_have_its_columns_and_messages(format, answers, examples):
    for row in rows_of(examples, format):
        assert list(row) == ["prompt", *answers]
        assert [message["role"] for message in row["prompt"]] in (["user"], ["system", "user"])
        assert all([message["role"] for message in row[name]] == ["assistant"] for name in answers)
        for message in chain.from_iterable(row.values()):
            assert list(message) == ["role", "content"]
            assert isinstance(message["content"], str)


ASKED = {"role": "user", "content": "Is tea taxed?"}
ANSWERED = {"role": "assistant", "content": "Yes."}
WRONG = {"role": "assistant", "content": "No."}
TOLD = {"role": "system", "content": "Context:\nLaw of 2024"}


@pytest.mark.parametrize(
    ("format", "row"),
    [
        (Format.OPENAI_CHAT, {"messages": [TOLD, ASKED, ANSWERED]}),
        (Format.TRL_SFT, {"prompt": [TOLD, ASKED], "completion": [ANSWERED]}),
        (Format.TRL_DPO, {"prompt": [TOLD, ASKED], "chosen": [ANSWERED], "rejected": [WRONG]}),
    ],
)
def test_a_row_for_a_trainer_is_the_exchange_and_nothing_else(format, row):
    example = replace(
        PLAIN,
        input_text="Is tea taxed?",
        expected_output="Yes.",
        rejected_output="No.",
        context="Law of 2024",
        user_id="u-1",
    )
    assert rows_of([example], format) == [row]
    row["messages" if format is Format.OPENAI_CHAT else "prompt"].remove(TOLD)
    assert rows_of([replace(example, context=None)], format) == [row]


@pytest.mark.parametrize(
    ("changes", "format"),
    [
        ({"input_text": ""}, Format.OPENAI_CHAT),
        ({"expected_output": ""}, Format.OPENAI_CHAT),
        ({"rejected_output": None}, Format.TRL_DPO),
        ({"rejected_output": "x"}, Format.TRL_DPO),
    ],
)
def test_what_a_format_cannot_express_is_left_out_and_counted(changes, format):
    good = replace(PLAIN, id="good", rejected_output="y")
    bad = replace(good, id="bad", **changes)
    assert len(rows_of([good, bad], format)) == 1
    assert [left_out([good, bad], other) for other in Format] == [int(other is format) for other in Format]


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("format", Format)
def test_files_are_told_apart_by_name_and_type(format):
    names = {file_name("Tea", 2, "test", other) for other in Format}
    assert len(names) == len(Format)
    assert file_name("Tea", 2, "test", format).startswith("tea-v2-test")
    expected = {Format.CSV: "text/csv", Format.PARQUET: "application/vnd.apache.parquet"}
    assert media_type(format).startswith(expected.get(format, "application/x-ndjson"))


@pytest.mark.parametrize("name", ["../../etc/passwd", 'a"b\r\nX: y', "", "...", "Ünïcode", "x" * 500, "🍵"])
def test_a_file_name_is_safe_in_paths_and_headers(name):
    told = file_name(name, 1, "train", Format.CSV)
    assert told.isascii()
    assert set(told) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
    assert not told.startswith((".", "-"))
    assert len(told) < 120
