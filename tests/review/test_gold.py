"""Examples whose right decision is known: which can serve, and how reviewers are measured by them."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from learning_core.errors import Conflict, NotPermitted
from learning_core.feedback.intervals import share
from learning_core.review import gold, queue
from learning_core.review.annotations import undo
from learning_core.schema import Role

pytestmark = pytest.mark.usefixtures("one_each")


@pytest.fixture
def accuracies(transaction):
    def read(annotator: str | None = None) -> dict:
        with transaction() as session:
            return dict(gold.accuracies(session, annotator))

    return read


@pytest.fixture
def golden(new_example):
    return [
        new_example(status="approved", gold_decision="approve", reviews_wanted=0),
        new_example(status="rejected", gold_decision="reject", reviews_wanted=0),
    ]


@pytest.mark.parametrize(("decision", "known"), [("approve", "approve"), ("reject", "reject")])
def test_a_settled_example_serves_as_gold_by_its_decision(
    act, judge, ada, boss, new_example, look, decision, known
):
    example = new_example()
    judge(ada, example, decision)
    act(gold.make_gold, boss, example)
    assert look(example).gold_decision == known
    with pytest.raises(Conflict, match="gold item"):
        act(gold.make_gold, boss, example)


@pytest.mark.parametrize("status", ["pending", "needs_revision", "disputed", "flagged", "withdrawn"])
def test_what_is_not_settled_does_not_serve(act, boss, new_example, look, status):
    example = new_example(status=status, approved_output="On the tenth.")
    with pytest.raises(Conflict, match="as it was proposed"):
        act(gold.make_gold, boss, example)
    assert look(example).gold_decision is None


def test_a_preference_does_not_serve(act, judge, ada, boss, new_example):
    example = new_example(example_type="preference", original_output="A", alternative_output="B")
    judge(ada, example, preference="a")
    with pytest.raises(Conflict):
        act(gold.make_gold, boss, example)


@pytest.mark.parametrize("proposed", ["On the tenth.", None])
def test_what_was_approved_with_another_text_does_not_serve_as_others_would_be_shown_the_old_one(
    act, judge, ada, boss, new_example, proposed
):
    example = new_example(expected_output=proposed)
    judge(ada, example, corrected_output="On the 15th.")
    with pytest.raises(Conflict, match="as it was proposed"):
        act(gold.make_gold, boss, example)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EXPERT, Role.ENGINEER])
@pytest.mark.parametrize("verb", [gold.make_gold, gold.unmake_gold])
def test_only_administrators_make_and_unmake_gold(act, person, golden, verb, role):
    with pytest.raises(NotPermitted, match=role):
        act(verb, person("vera", role), golden[0])


def test_an_example_that_is_gold_no_more_is_given_to_nobody_and_in_nobodys_hands(
    act, judge, ada, boss, golden, configure, look, leases
):
    configure(AFTERGLOW_REVIEW_GOLD_SHARE=1)
    assert set(act(queue.claim, ada, limit=2)) == set(golden)
    for example in golden:
        act(gold.unmake_gold, boss, example)
        assert look(example).held == 0
        with pytest.raises(Conflict, match="no gold item"):
            act(gold.unmake_gold, boss, example)
        with pytest.raises(Conflict, match="does not wait"):
            judge(ada, example)
    assert leases() == []
    assert act(queue.claim, ada) == []
    assert [look(example).status for example in golden] == ["approved", "rejected"]


def test_accuracy_is_the_share_of_gold_items_decided_as_is_known_to_be_right(
    judge, ada, ben, cyd, golden, new_example, accuracies
):
    for example in golden:
        judge(ada, example, "approve")
    judge(ben, golden[1], "reject")
    judge(cyd, new_example())
    judge(cyd, golden[0], None, notes="Hm.")
    assert accuracies() == {"ada": share(1, 2), "ben": share(1, 1)}
    assert accuracies("ben") == {"ben": share(1, 1)}
    assert accuracies("nobody") == {}


def test_a_needed_revision_of_a_right_answer_is_counted_as_wrong(judge, ada, golden, accuracies):
    judge(ada, golden[0], "needs_revision")
    assert accuracies() == {"ada": share(0, 1)}


def test_what_was_undone_or_is_gold_no_more_counts_for_nothing(act, judge, ada, boss, golden, accuracies):
    judge(ada, golden[0], "reject")
    act(undo, ada, golden[0])
    assert accuracies() == {}
    judge(ada, golden[0])
    assert accuracies() == {"ada": share(1, 1)}
    act(gold.unmake_gold, boss, golden[0])
    assert accuracies() == {}


def test_judgements_that_made_the_gold_measure_nobody(act, judge, ada, boss, new_example, accuracies):
    example = new_example()
    judge(ada, example)
    act(gold.make_gold, boss, example)
    assert accuracies() == {}


def test_making_and_unmaking_gold_is_on_record(act, judge, ada, boss, new_example, transaction):
    example = new_example()
    judge(ada, example)
    act(gold.make_gold, boss, example)
    act(gold.unmake_gold, boss, example)
    with transaction() as session:
        log = session.execute(
            text("SELECT actor, action FROM audit_log WHERE subject = :id ORDER BY id"), {"id": str(example)}
        ).all()
    assert log == [("boss", "example.made_gold"), ("boss", "example.unmade_gold")]
