"""What a reviewer sees: the texts and the feedback, and of other reviewers only what does not sway them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from learning_core.db import organization_session
from learning_core.feedback.collect import collect, withdraw
from learning_core.feedback.executions import record
from learning_core.review import gold, queue
from learning_core.review.annotations import undo
from learning_core.review.items import Work, items
from tests.factories import execution, feedback

pytestmark = pytest.mark.usefixtures("one_each")

BETTER = "On the fifteenth."


@pytest.fixture
def shown(organization):
    """Return what somebody sees of examples."""

    def read(caller, *examples):
        with organization_session(organization.id) as session:
            return items(session, caller, examples, datetime.now(UTC))

    return read


def test_an_item_holds_everything_known_of_the_example(shown, ada, new_example):
    columns = {
        "source": "import",
        "domain": "vat",
        "input_text": "<b>When?</b>",
        "context": "Monthly returns.",
        "original_output": "On the 9th.",
        "expected_output": "On the 10th.",
        "issue_categories": ["incorrect", "tone"],
        "rating": 2,
        "priority": 0.75,
    }
    example = new_example(agent="bookkeeper", example_type="correction", **columns)
    (item,) = shown(ada, example)
    assert (item.id, item.agent, item.example_type) == (example, "bookkeeper", "correction")
    proposed = columns.pop("expected_output")
    seen = {name: getattr(item, name) for name in columns}
    assert seen == columns | {"issue_categories": ("incorrect", "tone")}
    assert (item.proposed, item.alternative_output, item.demonstration) == (proposed, None, None)
    assert (item.feedback, item.notes, item.leased_until) == ((), (), None)


def test_items_come_in_the_order_asked_for_and_what_is_not_there_is_left_out(
    shown, ada, new_example, organization
):
    examples = [new_example(priority=n / 10) for n in range(4)]
    asked = [examples[2], organization.id, examples[0], examples[3]]
    assert [item.id for item in shown(ada, *asked)] == [examples[2], examples[0], examples[3]]
    assert shown(ada) == []


def test_each_sees_the_end_of_their_own_lease(act, shown, ada, ben, new_example):
    example = new_example()
    act(queue.claim, ada)
    left = shown(ada, example)[0].leased_until - datetime.now(UTC)
    assert timedelta(minutes=28) < left <= timedelta(minutes=30)
    assert shown(ben, example)[0].leased_until is None


def test_the_feedback_about_the_answer_is_there_oldest_first_without_what_was_withdrawn(
    shown, ada, transaction
):
    said = [
        {"id": "f1", "feedback_type": "correction", "correction_text": BETTER, "feedback_text": "Wrong."},
        {"id": "f2", "rating": 5, "feedback_type": "star_rating", "user_id": "u2"},
        {"id": "f3", "feedback_type": "thumbs_down", "feedback_text": "Mistaken.", "user_id": "u3"},
        {"id": "f4", "feedback_type": "report_issue", "issue_categories": ["tone"]},
    ]
    hours = {"f1": 3, "f2": 1, "f3": 2, "f4": 4}
    now = datetime.now(UTC)
    entries = [
        feedback(execution_id="e1", created_at=now - timedelta(hours=hours[one["id"]]), **one) for one in said
    ]
    with transaction() as session:
        record(session, [execution(execution_id="e1"), execution(execution_id="e2")])
        collect(session, entries, "api")
        collect(session, [feedback(execution_id="e2", feedback_text="Of another answer.")], "api")
        withdraw(session, "f3")
        example = session.execute(
            text("SELECT id FROM learning_examples WHERE example_type = 'correction'")
        ).scalar_one()
    (item,) = shown(ada, example)
    assert [(one["feedback_type"], one["user"], one["comment"]) for one in item.feedback] == [
        ("report_issue", None, None),
        ("correction", None, "Wrong."),
        ("star_rating", "u2", None),
    ]
    assert [one["rating"] for one in item.feedback] == [None, None, 5]
    assert item.feedback[0]["issue_categories"] == ["tone"]


# ---------------------------------------------------------------- blind to each other


def test_whoever_judges_does_not_see_what_others_said(judge, shown, ada, ben, cyd, new_example):
    example = new_example(overlap=2)
    judge(ada, example, notes="Wrong, I am sure.", corrected_output=BETTER)
    judge(ada, example, None, notes="And I mean it.")
    for caller in (ben, cyd):
        (item,) = shown(caller, example)
        assert (item.work, item.notes, item.proposed) == (Work.REVIEW, (), "On the tenth.")
        assert "sure" not in str(item)
        assert BETTER not in str(item)
        judge(caller, example, "reject" if caller is ben else "needs_revision", notes="No.")
    assert shown(ada, example)[0].notes == ()  # disputed: whoever settles it judges for themselves


def test_whoever_revises_sees_what_is_asked_for(judge, shown, ada, ben, new_example):
    example = new_example()
    judge(ada, example, "needs_revision", notes="Wrong day.", improvement_suggestions="Name the law.")
    judge(ada, example, None, improvement_suggestions="And the paragraph.")
    (item,) = shown(ben, example)
    assert (item.work, item.proposed) == (Work.REVISE, "On the tenth.")
    assert item.notes == (
        {"annotator": "ada", "text": "Wrong day.\n\nName the law."},
        {"annotator": "ada", "text": "And the paragraph."},
    )
    assert item.reasons[0] == "A reviewer asked for a revision"


def test_whoever_confirms_sees_the_new_text_and_why(judge, shown, ada, ben, new_example):
    example = new_example()
    judge(ada, example, corrected_output=BETTER, notes="Wrong day.")
    (item,) = shown(ben, example)
    assert (item.work, item.proposed) == (Work.VERIFY, BETTER)
    assert item.notes == ({"annotator": "ada", "text": "Wrong day."},)
    assert item.reasons[0] == "Somebody wrote a new text; a second person should confirm it"


def test_what_was_undone_is_not_shown(act, judge, shown, ada, ben, new_example):
    example = new_example()
    judge(ada, example, "needs_revision", notes="Wrong day.")
    act(undo, ada, example)
    judge(ada, example, "needs_revision")
    assert shown(ben, example)[0].notes == ()


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_gold_item_looks_like_any_other(act, judge, shown, ada, ben, boss, new_example, decision):
    golden, plain = new_example(), new_example()
    judge(ada, golden, decision, notes="Clear.")
    act(gold.make_gold, boss, golden)
    item, other = shown(ben, golden, plain)
    assert (item.work, item.proposed, item.notes) == (Work.REVIEW, "On the tenth.", ())
    assert {name for name in vars(item) if getattr(item, name) != getattr(other, name)} <= {
        "id",
        "created_at",
    }
