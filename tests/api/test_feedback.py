from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from sqlalchemy import text

THUMBS_UP = {"execution_id": "e1", "agent_id": "tax-advisor", "feedback_type": "thumbs_up"}
EXECUTION = {"execution_id": "e1", "agent_id": "tax-advisor"}
MANY_CHARACTERS = "x" * 1_000_000


def problem_of(answer, status: int) -> dict:
    """Return the body of an answer that must be problem details."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


def fields_of(answer) -> list[str]:
    return [error["field"] for error in problem_of(answer, 422)["errors"]]


def stored(transaction, columns: str, table: str = "agent_feedback") -> list:
    with transaction() as session:
        return session.execute(text(f"SELECT {columns} FROM {table} ORDER BY key")).all()


# ---------------------------------------------------------------- one piece of feedback


def test_the_smallest_request_is_stored(sender, transaction):
    answer = sender.post("feedback", json=THUMBS_UP)
    assert answer.status_code == 201
    assert answer.json() == {"id": answer.json()["id"], "status": "created"}
    assert stored(transaction, "key, feedback_type, source") == [(answer.json()["id"], "thumbs_up", "api")]


def test_everything_a_person_can_say_is_stored(sender, transaction):
    whole = THUMBS_UP | {
        "id": "f1",
        "feedback_type": "detailed_feedback",
        "user_id": "u1",
        "rating": 2,
        "dimensions": {"accuracy": 1, "helpfulness": 2, "clarity": 3, "completeness": 4},
        "issue_categories": ["incorrect", "tone"],
        "feedback_text": "The deadline is wrong.",
        "correction_text": "On the 15th.",
        "created_at": "2026-03-01T12:00:00+02:00",
    }
    assert sender.post("feedback", json=whole).status_code == 201
    columns = "user_id, rating, accuracy, helpfulness, clarity, completeness, issue_categories, feedback_text"
    assert stored(transaction, f"{columns}, correction_text, created_at") == [
        ("u1", 2, 1, 2, 3, 4, ["incorrect", "tone"], "The deadline is wrong.", "On the 15th.", MARCH)
    ]


MARCH = datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_the_same_id_again_changes_the_same_row(sender, transaction):
    assert sender.post("feedback", json=THUMBS_UP | {"id": "f1"}).status_code == 201
    again = sender.post("feedback", json=THUMBS_UP | {"id": "f1", "feedback_type": "thumbs_down"})
    assert (again.status_code, again.json()) == (200, {"id": "f1", "status": "updated"})
    assert stored(transaction, "key, feedback_type") == [("f1", "thumbs_down")]


def test_an_id_of_another_execution_is_a_conflict(sender, transaction):
    sender.post("feedback", json=THUMBS_UP | {"id": "f1"})
    answer = sender.post("feedback", json=THUMBS_UP | {"id": "f1", "execution_id": "e2"})
    assert "'f1'" in problem_of(answer, 409)["detail"]
    assert len(stored(transaction, "key")) == 1


def test_an_execution_of_another_agent_is_a_conflict(sender):
    sender.post("feedback", json=THUMBS_UP)
    problem_of(sender.post("feedback", json=THUMBS_UP | {"agent_id": "someone-else"}), 409)


TOO_LONG = "x" * 201
LIMITS = [
    ("execution_id", None),
    ("execution_id", ""),
    ("execution_id", "   "),
    ("execution_id", TOO_LONG),
    ("execution_id", 7),
    ("agent_id", ""),
    ("agent_id", TOO_LONG),
    ("agent_id", "a\0b"),
    ("id", ""),
    ("id", TOO_LONG),
    ("user_id", ""),
    ("user_id", TOO_LONG),
    ("feedback_type", "applause"),
    ("feedback_type", None),
    ("rating", 0),
    ("rating", 6),
    ("rating", 2.5),
    ("rating", "many"),
    ("dimensions.accuracy", 0),
    ("dimensions.helpfulness", 6),
    ("dimensions.clarity", -1),
    ("dimensions.completeness", "good"),
    ("dimensions.charm", 5),
    ("issue_categories.0", "rude"),
    ("issue_categories.1", ""),
    ("issue_categories", "tone"),
    ("issue_categories", ["tone"] * 9),
    ("feedback_text", "x" * 20_001),
    ("feedback_text", MANY_CHARACTERS),
    ("feedback_text", "before\0after"),
    ("correction_text", "x" * 500_001),
    ("correction_text", "\0"),
    ("created_at", "1970-01-01T00:00:00Z"),
    ("created_at", 0),
    ("created_at", "2999-01-01T00:00:00Z"),
    ("created_at", "yesterday"),
    ("mood", "sunny"),
]


def with_field(path: str, value: object) -> dict:
    name, _, part = path.partition(".")
    if not part:
        return THUMBS_UP | {name: value}
    if part.isdigit():
        return THUMBS_UP | {name: ["tone"] * int(part) + [value]}
    return THUMBS_UP | {name: {part: value}}


@pytest.mark.parametrize(
    ("field", "value"), LIMITS, ids=lambda given: str(given)[:30].encode("unicode_escape")
)
def test_a_value_beyond_its_limits_is_refused_by_the_name_of_its_field(sender, field, value):
    assert fields_of(sender.post("feedback", json=with_field(field, value))) == [field]


@pytest.mark.parametrize("field", ["execution_id", "agent_id", "feedback_type"])
def test_a_missing_field_is_named(sender, field):
    partial = {name: value for name, value in THUMBS_UP.items() if name != field}
    assert fields_of(sender.post("feedback", json=partial)) == [field]


def test_every_wrong_field_is_named_at_once(sender):
    wrong = {"execution_id": "", "agent_id": "", "feedback_type": "thumbs_up", "rating": 9}
    assert fields_of(sender.post("feedback", json=wrong)) == ["execution_id", "agent_id", "rating"]


@pytest.mark.parametrize(
    ("kind", "needs"), [("correction", "correction_text"), ("star_rating", "rating or at least one")]
)
def test_feedback_must_hold_what_its_type_promises(sender, kind, needs):
    answer = sender.post("feedback", json=THUMBS_UP | {"feedback_type": kind})
    assert needs in problem_of(answer, 422)["detail"]


@pytest.mark.parametrize(
    "value",
    [
        {"rating": 1},
        {"rating": 5},
        {"id": "x" * 200},
        {"feedback_text": "x" * 20000},
        {"feedback_text": ""},
        {"correction_text": "x" * 500000},
        {"created_at": "2000-01-01T00:00:00"},
        {"user_id": None},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_value_at_its_limit_is_stored(sender, value):
    assert sender.post("feedback", json=THUMBS_UP | value).status_code == 201


@pytest.mark.parametrize(
    "said",
    [
        "Great 👍🏽👨\u200d👩\u200d👧",
        "مرحبا بالعالم",
        "שלום",
        "\u202ereversed\u202c",
        "Zürich ≠ zürich",
        "<script>alert(1)</script>",
        "'; DROP TABLE agents; --",
        "%s %(x)s {} \\ \x01\x7f",
        "\ufeffmark",
        "\U0010ffff",
    ],
)
def test_text_comes_back_as_it_was_sent(sender, transaction, said):
    entry = THUMBS_UP | {"id": said, "agent_id": said, "execution_id": said, "feedback_text": said}
    answer = sender.post("feedback", json=entry)
    assert answer.status_code == 201, answer.text
    assert answer.json()["id"] == said
    assert stored(transaction, "key, feedback_text") == [(said, said)]
    assert stored(transaction, "key", "agents") == [(said,)]


@pytest.mark.parametrize("key", ["team/tax", "a b", "50%", "who?", "#1", "ä", "a+b", "x" * 200])
def test_an_agent_is_found_and_feedback_withdrawn_under_any_key(sender, key):
    sender.post("feedback", json=THUMBS_UP | {"id": key, "agent_id": key})
    counted = sender.get(f"feedback/stats/{quote(key, safe='')}").json()
    assert (counted["agent_id"], counted["feedback_count"]) == (key, 1)
    assert sender.get(f"feedback/issues/{quote(key, safe='')}").json()["agent_id"] == key
    assert sender.delete(f"feedback/{quote(key, safe='')}").status_code == 204


def test_a_time_up_to_five_minutes_ahead_is_a_clock_that_runs_fast(sender):
    ahead = (datetime.now(UTC) + timedelta(minutes=4)).isoformat()
    assert sender.post("feedback", json=THUMBS_UP | {"created_at": ahead}).status_code == 201


# ---------------------------------------------------------------- bodies that are no feedback


@pytest.mark.parametrize("path", ["feedback", "feedback/batch", "executions", "widget/tokens"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b'"text"',
        b"7",
        b"[[]]",
        b"{}",
        b'{"execution_id": "\xff"}',
        b"\xff\xfe",
        b"NaN",
        b'{"execution_id": "\\ud800", "agent_id": "a"}',
        b"[" * 100000,
    ],
    ids=lambda content: repr(content[:20]),
)
def test_a_body_that_cannot_be_read_is_refused(sender, path, content):
    answer = sender.post(path, content=content, headers={"content-type": "application/json"})
    problem_of(answer, 400 if answer.status_code == 400 else 422)


@pytest.mark.parametrize("path", ["feedback/batch", "executions"])
def test_a_body_that_does_not_say_that_it_is_json_is_refused(sender, path):
    answer = sender.post(path, content=b"[]", headers={"content-type": "text/plain"})
    problem_of(answer, 422)


LONE_SURROGATE = (
    b'{"execution_id": "e\\ud83d", "agent_id": "a", "feedback_type": "thumbs_up", "feedback_text": "\\udc00"}'
)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("feedback", LONE_SURROGATE),
        ("feedback/batch", b"[" + LONE_SURROGATE + b"]"),
        ("executions", b'{"execution_id": "e1", "agent_id": "a", "output_text": "\\ud83d"}'),
        ("widget/tokens", b'{"execution_id": "\\ud83d", "agent_id": "a"}'),
    ],
)
def test_half_a_surrogate_pair_is_refused(sender, path, content):
    problem_of(sender.post(path, content=content, headers={"content-type": "application/json"}), 422)


@pytest.mark.parametrize("path", ["feedback", "feedback/batch", "executions", "widget/tokens"])
def test_a_body_over_the_limit_is_too_large(sender, path):
    announced = b" " * (16 * 1024 * 1024 + 1)
    json = {"content-type": "application/json"}
    for content in (announced, iter([announced[: len(announced) // 2]] * 3)):
        answer = sender.post(path, content=content, headers=json)
        assert "16,777,216 bytes" in problem_of(answer, 413)["detail"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_unknown_route_and_a_wrong_method_are_problems_too(sender):
    problem_of(sender.get("nothing"), 404)
    assert problem_of(sender.get("feedback"), 405)["title"] == "Method not allowed"


# ---------------------------------------------------------------- batches


def test_a_batch_is_stored_in_order(sender, transaction):
    batch = [THUMBS_UP | {"id": f"f{n}"} for n in (2, 1, 2)]
    answer = sender.post("feedback/batch", json=batch)
    assert answer.status_code == 201
    assert [(row["id"], row["status"]) for row in answer.json()["results"]] == [
        ("f2", "created"),
        ("f1", "created"),
        ("f2", "created"),
    ]
    assert answer.json()["stored"] == 3
    assert stored(transaction, "key") == [("f1",), ("f2",)]


def test_one_wrong_row_keeps_the_whole_batch_out_and_is_named(sender, transaction):
    batch = [THUMBS_UP, THUMBS_UP | {"rating": 9}, THUMBS_UP, THUMBS_UP | {"agent_id": ""}]
    assert fields_of(sender.post("feedback/batch", json=batch)) == ["1.rating", "3.agent_id"]
    assert stored(transaction, "key") == []


def test_one_conflict_keeps_the_whole_batch_out_and_is_named(sender, transaction):
    sender.post("feedback", json=THUMBS_UP | {"id": "f1"})
    batch = [THUMBS_UP | {"id": "f2"}, THUMBS_UP | {"id": "f1", "execution_id": "e2"}]
    body = problem_of(sender.post("feedback/batch", json=batch), 409)
    assert [error["field"] for error in body["errors"]] == ["1.id"]
    assert stored(transaction, "key") == [("f1",)]


def test_a_conflict_within_a_batch_is_one_too(sender, transaction):
    batch = [THUMBS_UP | {"id": "f1"}, THUMBS_UP | {"id": "f1", "execution_id": "e2"}]
    body = problem_of(sender.post("feedback/batch", json=batch), 409)
    assert [error["field"] for error in body["errors"]] == ["1.id"]
    assert stored(transaction, "key") == []


@pytest.mark.parametrize("path", ["feedback/batch", "executions"])
@pytest.mark.parametrize("length", [0, 1_001])
def test_a_batch_holds_one_to_a_thousand_rows(sender, path, length):
    row = THUMBS_UP if path == "feedback/batch" else EXECUTION
    problem_of(sender.post(path, json=[row] * length), 422)


def test_a_thousand_rows_fit_into_a_batch(sender, transaction):
    batch = [THUMBS_UP | {"id": f"f{n}", "execution_id": f"e{n}"} for n in range(1_000)]
    assert sender.post("feedback/batch", json=batch).json()["stored"] == 1_000
    assert len(stored(transaction, "key")) == 1_000


# ---------------------------------------------------------------- executions

ANSWERED = EXECUTION | {
    "input_text": "When?",
    "output_text": "On the tenth.",
    "prompt_version": "v1",
    "user_id": "u1",
    "latency_ms": 12.5,
    "cost_usd": "0.00012345",
    "error": "none really",
    "created_at": "2026-03-01T10:00:00",
}


@pytest.mark.parametrize("body", [ANSWERED, [ANSWERED]], ids=["one", "a list"])
def test_executions_are_reported_one_at_a_time_or_together(sender, transaction, body):
    answer = sender.post("executions", json=body)
    assert (answer.status_code, answer.json()) == (
        201,
        {"stored": 1, "results": [{"id": "e1", "status": "created"}]},
    )
    columns = "input_text, output_text, prompt_version, user_id, latency_ms, CAST(cost_usd AS text), error"
    assert stored(transaction, f"{columns}, created_at", "executions") == [
        ("When?", "On the tenth.", "v1", "u1", 12.5, "0.00012345", "none really", MARCH)
    ]


def test_reporting_again_fills_in_what_was_missing_and_keeps_the_prompt_version(sender, transaction):
    sender.post("executions", json=EXECUTION | {"prompt_version": "v1", "input_text": "When?"})
    again = sender.post("executions", json=EXECUTION | {"prompt_version": "v2", "output_text": "Soon."})
    assert again.json()["results"] == [{"id": "e1", "status": "updated"}]
    assert stored(transaction, "prompt_version, input_text, output_text", "executions") == [
        ("v1", "When?", "Soon.")
    ]


def test_an_execution_reported_twice_in_one_batch_is_one_row_with_both_parts(sender, transaction):
    batch = [EXECUTION | {"input_text": "When?"}, EXECUTION | {"output_text": "Soon."}]
    answer = sender.post("executions", json=batch)
    assert [row["status"] for row in answer.json()["results"]] == ["created", "created"]
    assert stored(transaction, "input_text, output_text", "executions") == [("When?", "Soon.")]


def test_an_execution_reported_for_two_agents_in_one_batch_is_a_conflict(sender, transaction):
    body = problem_of(sender.post("executions", json=[EXECUTION, EXECUTION | {"agent_id": "b"}]), 409)
    assert [error["field"] for error in body["errors"]] == ["1.id"]
    assert stored(transaction, "key", "executions") == []


def test_an_execution_reported_for_another_agent_is_a_conflict_that_stores_nothing(sender, transaction):
    sender.post("executions", json=EXECUTION)
    batch = [EXECUTION | {"execution_id": "e2"}, EXECUTION | {"agent_id": "someone-else"}]
    body = problem_of(sender.post("executions", json=batch), 409)
    assert [error["field"] for error in body["errors"]] == ["1.id"]
    assert stored(transaction, "key", "executions") == [("e1",)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("execution_id", ""),
        ("agent_id", TOO_LONG),
        ("prompt_version", "x" * 81),
        ("prompt_version", ""),
        ("user_id", ""),
        ("input_text", "x" * 500_001),
        ("input_text", "\0"),
        ("output_text", MANY_CHARACTERS),
        ("error", "x" * 20_001),
        ("latency_ms", -1),
        ("latency_ms", 86_400_001),
        ("latency_ms", "NaN"),
        ("latency_ms", "Infinity"),
        ("cost_usd", -0.01),
        ("cost_usd", 10_001),
        ("cost_usd", "0.000000001"),
        ("cost_usd", "NaN"),
        ("created_at", "1970-01-01T00:00:00Z"),
        ("created_at", "2999-01-01T00:00:00Z"),
        ("colour", "blue"),
    ],
    ids=lambda given: str(given)[:30].encode("unicode_escape"),
)
def test_an_execution_beyond_its_limits_is_refused_by_the_name_of_its_field(sender, field, value):
    assert fields_of(sender.post("executions", json=EXECUTION | {field: value})) == [f"0.{field}"]


# ---------------------------------------------------------------- withdrawing


def test_withdrawn_feedback_is_counted_no_more_and_on_record(sender, transaction):
    sender.post("feedback", json=THUMBS_UP | {"id": "f1"})
    assert sender.delete("feedback/f1").status_code == 204
    assert sender.get("feedback/stats/tax-advisor").json()["feedback_count"] == 0
    problem_of(sender.delete("feedback/f1"), 404)
    with transaction() as session:
        log = session.execute(
            text("SELECT actor, subject FROM audit_log WHERE action = 'feedback.withdrawn'")
        )
        assert log.all() == [("key engineer key", "f1")]


def test_withdrawing_what_never_was_says_so(sender):
    problem_of(sender.delete("feedback/never-given"), 404)


# ---------------------------------------------------------------- out


def test_the_statistics_are_those_of_what_was_sent(sender):
    executions = [EXECUTION | {"execution_id": f"e{n}", "latency_ms": 100 * (n + 1)} for n in range(8)]
    executions[0] |= {"error": "It broke.", "cost_usd": "0.5"}
    sender.post("executions", json=executions)
    said = [
        {"feedback_type": "thumbs_up"},
        {"feedback_type": "thumbs_up", "issue_categories": ["tone"]},
        {"feedback_type": "thumbs_down", "issue_categories": ["tone", "incorrect"]},
        {"feedback_type": "star_rating", "rating": 5},
        {"feedback_type": "star_rating", "rating": 2},
        {"feedback_type": "correction", "correction_text": "No."},
    ]
    sender.post(
        "feedback/batch", json=[THUMBS_UP | {"execution_id": f"e{n}"} | s for n, s in enumerate(said)]
    )

    counted = sender.get("feedback/stats/tax-advisor").json()
    today = datetime.now(UTC).date()
    assert (counted["since"], counted["until"]) == (str(today - timedelta(days=29)), str(today))
    assert (counted["feedback_count"], counted["execution_count"]) == (6, 8)
    assert (counted["latency_ms"], counted["cost_usd"]) == (450, 0.5)
    estimates = {name: figure for name, figure in counted.items() if isinstance(figure, dict)}
    assert {name: (estimate["value"], estimate["n"]) for name, estimate in estimates.items()} == {
        "feedback_rate": (6 / 8, 8),
        "satisfaction": (3.5, 2),
        "thumbs_up_share": (pytest.approx(2 / 3), 3),
        "correction_rate": (pytest.approx(1 / 6), 6),
        "issue_rate": (pytest.approx(2 / 6), 6),
        "error_rate": (1 / 8, 8),
    }
    for estimate in estimates.values():
        assert estimate["low"] <= estimate["value"] <= estimate["high"]

    overview = sender.get("stats").json()
    assert overview["overall"] == counted | {"agent_id": None}
    assert overview["agents"] == [counted]


def test_the_issues_are_those_of_what_was_sent(sender):
    long_ago = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    named = [["tone", "incorrect"], ["tone"], [], []]
    rows = [
        THUMBS_UP | {"execution_id": f"e{n}", "issue_categories": issues} for n, issues in enumerate(named)
    ]
    before = [THUMBS_UP | {"execution_id": f"b{n}", "created_at": long_ago} for n in range(2)]
    sender.post("feedback/batch", json=rows + before)
    issues = sender.get("feedback/issues/tax-advisor").json()["issues"]
    assert [(issue["category"], issue["count"], issue["share"]["value"]) for issue in issues] == [
        ("tone", 2, 0.5),
        ("incorrect", 1, 0.25),
    ]
    assert [issue["change"]["value"] for issue in issues] == [0.5, 0.25]


def test_figures_without_a_single_observation_are_null_and_not_zero(sender):
    sender.post("executions", json=EXECUTION | {"created_at": "2026-01-01T00:00:00Z"})
    counted = sender.get("feedback/stats/tax-advisor?days=1").json()
    assert (counted["feedback_count"], counted["execution_count"]) == (0, 0)
    assert {counted[name] for name in ("feedback_rate", "satisfaction", "error_rate", "latency_ms")} == {None}


@pytest.mark.parametrize("path", ["feedback/stats/nobody", "feedback/issues/nobody"])
def test_an_agent_that_was_never_mentioned_is_not_found(sender, path):
    assert "'nobody'" in problem_of(sender.get(path), 404)["detail"]


@pytest.mark.parametrize("path", ["stats", "feedback/stats/tax-advisor", "feedback/issues/tax-advisor"])
@pytest.mark.parametrize("days", ["0", "3651", "-1", "many", "1e3", ""])
def test_a_window_is_one_day_to_ten_years(sender, path, days):
    assert fields_of(sender.get(f"{path}?days={days}")) == ["days"]


def test_an_organisation_without_agents_has_an_empty_overview(sender):
    overview = sender.get("stats?days=3650").json()
    assert overview["agents"] == []
    assert overview["overall"]["satisfaction"] is None
