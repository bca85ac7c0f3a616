"""What somebody sees of an example's way: what each judgement made of it, and what is kept from whom."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from learning_core import db
from learning_core.feedback.collect import collect
from learning_core.review import annotations, flags, gold
from learning_core.review.trace import trace
from learning_core.schema import Role
from tests.factories import feedback

pytestmark = pytest.mark.usefixtures("one_each")


@pytest.fixture
def follow(transaction):
    """Return the way of an example as somebody sees it: `follow(ada, example)`."""

    def read(caller, example):
        with transaction() as session:
            return trace(session, caller, example)

    return read


def told(found):
    return [
        (step.annotation.annotator, step.verdict.status.value if step.verdict else None)
        for step in found.steps
    ]


def test_there_is_no_trace_of_what_is_not_there(follow, ada):
    assert follow(ada, uuid4()) is None


def test_each_judgement_says_what_the_example_came_to(follow, judge, new_example, person):
    example = new_example(overlap=2)
    judge(person("ada"), example)
    judge(person("ben"), example, "reject")
    judge(person("cyd"), example, "needs_revision")
    judge(person("dora"), example, "approve")
    assert told(follow(person("vera", Role.VIEWER), example)) == [
        ("ada", "pending"),
        ("ben", "pending"),
        ("cyd", "disputed"),
        ("dora", "approved"),
    ]


def test_what_was_undone_and_a_remark_are_told_without_an_outcome(
    follow, act, judge, new_example, ada, ben, boss
):
    example = new_example()
    judge(ben, example, None, notes="Hm.")
    judge(ada, example, "reject")
    act(annotations.undo, ada, example)
    judge(ada, example, "approve", corrected_output="On the 11th.")
    found = follow(boss, example)
    assert told(found) == [("ben", None), ("ada", None), ("ada", "approved")]
    assert not found.steps[-1].verdict.is_verified
    assert found.steps[1].annotation.undone_at


def test_who_may_still_judge_sees_nobody_elses_judgement(follow, judge, new_example, person, ada, ben):
    example = new_example(overlap=2)
    judge(ada, example, "reject")
    judge(person("cyd"), example, None, notes="A remark.")
    blind = follow(ben, example)
    assert blind.is_blind
    assert told(blind) == [("cyd", None)]
    assert told(follow(ada, example)) == [("ada", "pending"), ("cyd", None)]
    assert told(follow(person("vera", Role.VIEWER), example)) == [("ada", "pending"), ("cyd", None)]
    judge(ben, example, "reject")
    assert not follow(ben, example).is_blind
    assert len(follow(person("dora"), example).steps) == 3


def test_judgements_on_gold_are_for_administrators(follow, act, judge, new_example, ada, ben, boss):
    example = new_example()
    judge(ada, example)
    act(gold.make_gold, boss, example)
    judge(ben, example, "reject")
    assert told(follow(ada, example)) == [("ada", "approved")]
    assert told(follow(boss, example)) == [("ada", "approved"), ("ben", None)]


def test_later_happenings_come_by_time(transaction, follow, judge, ada, boss):
    with transaction() as session:
        collect(
            session,
            [
                feedback(execution_id="e1", feedback_type="correction", correction_text="On the 15th."),
                feedback(execution_id="e1", created_at="2020-01-01"),
            ],
            "api",
        )
    with transaction() as session:
        example = session.execute(text("SELECT id FROM learning_examples")).scalar_one()
    judge(ada, example)
    with transaction() as session:
        collect(session, [feedback(execution_id="e1", feedback_type="thumbs_down")], "api")
    found = follow(boss, example)
    assert [row.feedback_type for row in found.feedback] == ["thumbs_up", "correction", "thumbs_down"]
    later = found.later()
    assert later[0] is found.steps[0]
    assert later[-1].feedback_type == "thumbs_down"
    assert found.example.execution == "e1"
    assert found.example.answered_at


def test_a_flagged_example_keeps_its_judgements(follow, act, judge, new_example, ada, ben, boss):
    example = new_example(overlap=2)
    judge(ada, example)
    act(flags.flag, ben, example, "Private data.")
    assert told(follow(boss, example)) == [("ada", "pending")]
    assert follow(boss, example).example.flagged_by == "ben"


def test_another_organisations_example_has_no_trace(follow, new_example, other_organization, ada):
    example = new_example()
    with db.organization_session(other_organization.id) as session:
        assert trace(session, ada, example) is None
