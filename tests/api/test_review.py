from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from learning_core.schema import IssueCategory
from tests.factories import execution, feedback

BETTER = "On the fifteenth."
PROPOSED = "On the tenth of the following month."
WHOLE = {
    "annotation_type": "quality_assessment",
    "approved": True,
    "technical_accuracy": 0.9,
    "professional_quality": 0.8,
    "completeness": 0.7,
    "clarity": 0.6,
    "difficulty": 0.5,
    "corrected_output": None,
    "notes": "Fine.",
    "improvement_suggestions": "Name the law.",
}


def problem_of(answer, status: int) -> dict:
    """Return the body of an answer that must be problem details."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], bool(body["title"]), bool(body["detail"])) == (status, True, True)
    return body


def fields_of(answer) -> list[str]:
    return [error["field"] for error in problem_of(answer, 422)["errors"]]


def given(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["example_id"] for item in answer.json()["items"]]


@pytest.fixture(autouse=True)
def one_each(configure):
    configure(AFTERGLOW_REVIEW_OVERLAP_SHARE=0, AFTERGLOW_REVIEW_GOLD_SHARE=0)


@pytest.fixture
def expert(as_role):
    return as_role("expert")


@pytest.fixture
def other(as_role):
    """A second reviewer."""
    return as_role("admin")


@pytest.fixture
def new_example(transaction):
    def insert(**columns) -> str:
        values = {"priority": 0.5, "domain": None, "source": "api", "expected_output": PROPOSED}
        values |= {"example_type": "positive", "author": None, "issue_categories": []} | columns
        with transaction() as session:
            session.execute(text(AGENT))
            return str(session.execute(text(EXAMPLE), values).scalar_one())

    return insert


AGENT = "INSERT INTO agents (key) VALUES ('tax-advisor') ON CONFLICT DO NOTHING"
EXAMPLE = """
INSERT INTO learning_examples (
    agent_id, example_type, source, domain, author, priority, issue_categories, input_text, expected_output
)
SELECT id, :example_type, :source, :domain, :author, :priority, :issue_categories, 'When is it due?',
       :expected_output
FROM agents WHERE key = 'tax-advisor'
RETURNING id
"""


@pytest.fixture
def leases(transaction):
    def count() -> int:
        with transaction() as session:
            return session.execute(text("SELECT count(*) FROM review_leases")).scalar_one()

    return count


# ---------------------------------------------------------------- the queue


def test_the_queue_shows_what_is_to_judge_and_the_feedback_that_led_to_it(sender, expert):
    sender.post("executions", json=execution(execution_id="e1").model_dump(mode="json"))
    said = feedback(
        execution_id="e1", feedback_type="correction", rating=2, correction_text=BETTER, user_id="u1",
        feedback_text="Wrong day.", issue_categories=["incorrect"],
    ).model_dump(mode="json", exclude_none=True)  # fmt: skip
    assert sender.post("feedback", json=said).status_code == 201
    answer = expert.get("annotations/queue")
    assert answer.status_code == 200
    (item,) = answer.json()["items"]
    assert item.pop("example_id")
    (told,) = item.pop("feedback")
    assert datetime.fromisoformat(told.pop("at")).tzinfo
    assert told == {
        "feedback_type": "correction",
        "rating": 2,
        "issue_categories": ["incorrect"],
        "comment": "Wrong day.",
        "user": "u1",
    }
    assert item == {
        "agent_id": "tax-advisor",
        "example_type": "correction",
        "work": "review",
        "source": "api",
        "domain": None,
        "input_text": "When is the VAT return due?",
        "context": None,
        "original_output": PROPOSED,
        "alternative_output": None,
        "expected_output": BETTER,
        "demonstration": None,
        "issue_categories": ["incorrect"],
        "rating": 2,
        "priority": 0.5,
        "reasons": [],
        "leased_until": None,
    }


def test_looking_ahead_holds_nothing(expert, other, new_example, leases):
    examples = [new_example(priority=priority) for priority in (0.9, 0.1)]
    for reviewer in (expert, other, expert):
        assert given(reviewer.get("annotations/queue")) == examples
    assert leases() == 0


def test_claiming_holds_for_the_caller_alone_and_again_gives_the_same(expert, other, new_example, leases):
    examples = [new_example(priority=priority) for priority in (0.9, 0.5, 0.1)]
    answer = expert.get("annotations/queue?claim=true&limit=2")
    assert given(answer) == examples[:2]
    for item in answer.json()["items"]:
        left = datetime.fromisoformat(item["leased_until"]) - datetime.now(UTC)
        assert timedelta(minutes=28) < left <= timedelta(minutes=30)
    assert given(expert.get("annotations/queue?claim=true&limit=2")) == examples[:2]
    assert given(other.get("annotations/queue?claim=true&limit=50")) == examples[2:]
    assert given(other.get("annotations/queue")) == []
    assert leases() == 3


def test_leaving_the_queue_gives_back_everything_of_the_caller(expert, other, new_example, leases):
    examples = [new_example() for _ in range(3)]
    expert.get("annotations/queue?claim=true&limit=2")
    other.get("annotations/queue?claim=true")
    for _ in range(2):
        answer = expert.delete("annotations/queue")
        assert (answer.status_code, answer.content) == (204, b"")
    assert leases() == 1
    assert given(expert.get("annotations/queue")) == examples[:2]


@pytest.mark.parametrize("claim", ["true", "false"])
@pytest.mark.parametrize(
    ("asked", "columns"),
    [
        ("domain=vat", {"domain": "vat"}),
        ("source=import", {"source": "import"}),
        ("issue=tone", {"issue_categories": ["tone"]}),
        ("agent_id=tax-advisor&domain=vat&source=import", {"domain": "vat", "source": "import"}),
    ],
)
def test_the_queue_can_be_asked_for_a_part(expert, new_example, asked, columns, claim):
    new_example(priority=0.9)
    wanted = new_example(**columns)
    assert given(expert.get(f"annotations/queue?{asked}&claim={claim}")) == [wanted]


@pytest.mark.parametrize("asked", ["agent_id=nobody", "domain=x", "source=x", "issue=other", "agent_id=%25"])
def test_where_nothing_fits_the_queue_is_empty(expert, new_example, asked):
    new_example()
    assert given(expert.get(f"annotations/queue?{asked}")) == []


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ("limit=0", "limit"),
        ("limit=51", "limit"),
        ("limit=-1", "limit"),
        ("limit=many", "limit"),
        ("issue=colour", "issue"),
        ("agent_id=", "agent_id"),
        ("domain=%00", "domain"),
        (f"source={'x' * 201}", "source"),
        ("claim=perhaps", "claim"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_its_name(expert, asked, field):
    assert fields_of(expert.get(f"annotations/queue?{asked}")) == [field]


def test_fifty_are_the_most_to_be_given_at_once_and_ten_without_asking(expert, new_example):
    for _ in range(52):
        new_example()
    assert len(given(expert.get("annotations/queue?limit=50"))) == 50
    assert len(given(expert.get("annotations/queue"))) == 10


# ---------------------------------------------------------------- annotations


def test_an_annotation_has_the_fields_of_the_specification(expert, new_example, transaction):
    example = new_example()
    answer = expert.post("annotations", json=WHOLE | {"example_id": example})
    assert answer.status_code == 201
    quality = 0.4 * 0.9 + 0.25 * 0.7 + 0.2 * 0.8 + 0.15 * 0.6
    assert answer.json() == {
        "annotation_id": answer.json()["annotation_id"],
        "example_id": example,
        "example_status": "approved",
        "quality_score": pytest.approx(quality, abs=1e-4),
        "usable_for_training": True,
    }
    kept = {name: value for name, value in WHOLE.items() if name != "approved"}
    with transaction() as session:
        row = session.execute(text("SELECT * FROM expert_annotations")).one()
    assert {name: getattr(row, name) for name in kept} == kept
    assert (row.decision, row.annotator, row.source) == ("approve", "key expert key", "api")
    assert str(row.id) == answer.json()["annotation_id"]


@pytest.mark.parametrize(
    ("said", "status", "quality", "usable"),
    [
        ({"approved": True}, "approved", 0.8, True),
        ({"approved": True, "clarity": 0.7}, "approved", 0.7, True),
        ({"approved": True, "clarity": 0.69}, "approved", 0.69, False),
        ({"approved": False}, "rejected", None, False),
        ({"decision": "needs_revision"}, "needs_revision", None, False),
        ({"approved": True, "corrected_output": BETTER}, "approved", 0.8, True),
        ({"notes": "Only a remark."}, "pending", None, False),
    ],
    ids=str,
)
def test_the_answer_says_what_became_of_the_example(expert, new_example, said, status, quality, usable):
    answer = expert.post("annotations", json=said | {"example_id": new_example()})
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert (body["example_status"], body["quality_score"], body["usable_for_training"]) == (
        status,
        quality,
        usable,
    )


def test_what_was_claimed_is_judged_and_gone_from_the_queue(expert, other, new_example, leases):
    example = new_example()
    expert.get("annotations/queue?claim=true")
    refused = other.post("annotations", json={"example_id": example, "approved": True})
    assert "Somebody else holds" in problem_of(refused, 409)["detail"]
    assert expert.post("annotations", json={"example_id": example, "approved": True}).status_code == 201
    assert leases() == 0
    assert given(expert.get("annotations/queue")) == given(other.get("annotations/queue")) == []


def test_a_new_text_goes_to_somebody_else_for_confirmation(expert, other, new_example):
    example = new_example()
    expert.post("annotations", json={"example_id": example, "approved": True, "corrected_output": BETTER})
    assert given(expert.get("annotations/queue")) == []
    (item,) = other.get("annotations/queue").json()["items"]
    assert (item["work"], item["expected_output"]) == ("verify", BETTER)
    assert other.post("annotations", json={"example_id": example, "approved": True}).status_code == 201
    again = expert.post("annotations", json={"example_id": example, "approved": True})
    assert "judged this example already" in problem_of(again, 409)["detail"]


def test_whoever_wrote_an_answer_may_not_judge_it(expert, new_example):
    own = new_example(author="key expert key")
    refused = expert.post("annotations", json={"example_id": own, "approved": True})
    assert "You wrote" in problem_of(refused, 403)["detail"]


@pytest.mark.parametrize("said", [{"approved": True}, {"notes": "Hm."}])
def test_an_example_that_is_not_there_is_not_found(expert, said):
    missing = str(uuid4())
    assert (
        missing in problem_of(expert.post("annotations", json=said | {"example_id": missing}), 404)["detail"]
    )


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"example_id": "7"}, "example_id"),
        ({"example_id": None}, "example_id"),
        ({"approved": "perhaps"}, "approved"),
        ({"decision": "maybe"}, "decision"),
        ({"annotation_type": "guess"}, "annotation_type"),
        ({"technical_accuracy": 1.01}, "technical_accuracy"),
        ({"professional_quality": -0.1}, "professional_quality"),
        ({"completeness": "much"}, "completeness"),
        ({"clarity": 5}, "clarity"),
        ({"difficulty": 2}, "difficulty"),
        ({"preference": "c"}, "preference"),
        ({"preference": "a"}, "preference"),
        ({"preference_strength": 0}, "preference_strength"),
        ({"issue_categories": ["colour"]}, "issue_categories.0"),
        ({"issue_categories": [*IssueCategory, "tone"]}, "issue_categories"),
        ({"corrected_output": "x" * 500_001}, "corrected_output"),
        ({"corrected_output": "a\0b"}, "corrected_output"),
        ({"notes": "x" * 20_001}, "notes"),
        ({"improvement_suggestions": 7}, "improvement_suggestions"),
        ({"duration_ms": -1}, "duration_ms"),
        ({"annotator": "somebody else"}, "annotator"),
        ({"approved": True, "decision": "reject"}, ""),
        ({"approved": None}, ""),
    ],
    ids=lambda given: str(given)[:40],
)
def test_what_makes_no_annotation_is_refused_by_the_name_of_its_field(expert, new_example, said, field):
    body = {"example_id": new_example(), "approved": True} | said
    assert fields_of(expert.post("annotations", json=body)) == [field]


def test_an_annotation_needs_an_example(expert):
    assert fields_of(expert.post("annotations", json={"approved": True})) == ["example_id"]


def test_nothing_cannot_be_approved(expert, new_example):
    empty = {"example_id": new_example(expected_output=None), "approved": True}
    assert fields_of(expert.post("annotations", json=empty)) == ["corrected_output"]
    assert expert.post("annotations", json=empty | {"corrected_output": BETTER}).status_code == 201


# ---------------------------------------------------------------- demonstrations

SHOWN = {"agent_id": "bookkeeper", "task": "Book the invoice.", "final_output": "Booked."}


def test_a_demonstration_waits_for_somebody_else(expert, other):
    whole = SHOWN | {
        "input_state": "Invoice 17.",
        "actions": ["Check.", "Book."],
        "reasoning": "So.",
        "domain": "vat",
    }
    answer = expert.post("demonstrations", json=whole)
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    assert given(expert.get("annotations/queue")) == []
    (item,) = other.get("annotations/queue").json()["items"]
    assert item["example_id"] == answer.json()["example_id"]
    assert (item["agent_id"], item["domain"], item["source"]) == ("bookkeeper", "vat", "api")
    assert (item["input_text"], item["expected_output"]) == ("Book the invoice.\n\nInvoice 17.", "Booked.")
    assert item["demonstration"]["actions"] == ["Check.", "Book."]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("agent_id", ""),
        ("task", " "),
        ("final_output", ""),
        ("final_output", None),
        ("input_state", "a\0b"),
        ("actions.0", [""]),
        ("actions", ["One."] * 101),
        ("reasoning", "x" * 20_001),
        ("author", "somebody else"),
    ],
    ids=lambda given: str(given)[:20].encode("unicode_escape"),
)
def test_what_shows_nothing_is_refused_by_the_name_of_its_field(expert, field, value):
    assert fields_of(expert.post("demonstrations", json=SHOWN | {field.split(".")[0]: value})) == [field]


# ---------------------------------------------------------------- who may, and bodies that say nothing

ROUTES = [
    ("GET", "annotations/queue", None),
    ("GET", "annotations/queue?claim=true", None),
    ("DELETE", "annotations/queue", None),
    ("POST", "annotations", {"example_id": str(uuid4()), "approved": True}),
    ("POST", "annotations", {"example_id": "7"}),
    ("POST", "demonstrations", SHOWN),
]


@pytest.mark.parametrize("role", ["viewer", "engineer"])
@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_only_keys_of_experts_and_administrators_review(as_role, role, method, path, body):
    detail = problem_of(as_role(role).request(method, path, json=body), 403)["detail"]
    assert f"The role {role} may not review" in detail


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_without_a_key_nobody_reviews(client, database, method, path, body):
    problem_of(client.request(method, f"/api/learning/{path}", json=body), 401)


@pytest.mark.parametrize("path", ["annotations", "demonstrations"])
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b"[[]]", b"7", b"{}", b"\xff", b'{"notes": "\\ud800"}', b'{"clarity": NaN}'],
    ids=repr,
)
def test_a_body_that_cannot_be_read_is_refused(expert, path, content):
    answer = expert.post(path, content=content, headers={"content-type": "application/json"})
    problem_of(answer, 400 if answer.status_code == 400 else 422)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_score_that_is_no_number_is_refused(expert, new_example, number):
    body = b'{"example_id": "%b", "approved": true, "clarity": %b}' % (new_example().encode(), number)
    answer = expert.post("annotations", content=body, headers={"content-type": "application/json"})
    assert fields_of(answer) == ["clarity"]
