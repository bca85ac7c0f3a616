"""A flagged example is out of everybody's queue until somebody puts it back or drops it."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from learning_core.errors import Conflict, InvalidInput, NotFound
from learning_core.review import flags, queue

pytestmark = pytest.mark.usefixtures("one_each")


def test_a_flagged_example_is_given_to_nobody_and_says_why(act, ada, ben, new_example, look, leases):
    example = new_example()
    act(queue.claim, ada)
    act(flags.flag, ada, example, "  Contains a client's name. ")
    row = look(example)
    assert (row.status, row.flag_reason, row.flagged_by) == ("flagged", "Contains a client's name.", "ada")
    assert (row.held, leases()) == (0, [])
    assert act(queue.claim, ada) == act(queue.claim, ben) == act(queue.look_ahead, ben) == []


def test_a_flag_takes_the_example_out_of_all_hands(act, ada, ben, cyd, new_example, look, leases):
    example = new_example(overlap=2)
    for caller in (ada, ben):
        act(queue.claim, caller)
    act(flags.flag, cyd, example, "Not ours.")
    assert (look(example).held, leases()) == (0, [])
    assert act(queue.claim, ada) == []


def test_whoever_skipped_a_flagged_example_is_not_offered_it_once_it_is_back(act, ada, ben, new_example):
    example = new_example()
    act(queue.skip, ada, example)
    act(flags.flag, ben, example, "Not ours.")
    act(flags.unflag, ben, example)
    assert act(queue.look_ahead, ada) == []
    assert act(queue.look_ahead, ben) == [example]


@pytest.mark.parametrize("reason", ["", "  \n "])
def test_a_flag_needs_a_reason(act, ada, new_example, look, reason):
    example = new_example()
    with pytest.raises(InvalidInput, match="what is wrong") as refused:
        act(flags.flag, ada, example, reason)
    assert refused.value.field == "reason"
    assert look(example).status == "pending"


def test_a_long_reason_is_cut(act, ada, new_example, look):
    example = new_example()
    act(flags.flag, ada, example, "x" * 5_000)
    assert len(look(example).flag_reason) == 2_000


@pytest.mark.parametrize("status", ["approved", "rejected", "disputed", "withdrawn", "flagged"])
def test_only_what_waits_can_be_flagged(act, ada, new_example, look, status):
    example = new_example(status=status)
    with pytest.raises(Conflict, match="moved on"):
        act(flags.flag, ada, example, "Not ours.")
    assert (look(example).status, look(example).flag_reason) == (status, None)


def test_flagging_what_is_not_there_says_so(act, ada):
    with pytest.raises(NotFound):
        act(flags.flag, ada, uuid4(), "Not ours.")


@pytest.mark.parametrize("verb", [flags.unflag, flags.drop])
@pytest.mark.parametrize("status", ["pending", "approved", "rejected", None])
def test_only_what_is_flagged_can_be_put_back_or_dropped(act, ada, new_example, look, verb, status):
    example = new_example(status=status) if status else uuid4()
    with pytest.raises(Conflict, match="moved on"):
        act(verb, ada, example)
    if status:
        assert look(example).status == status


@pytest.mark.parametrize(
    ("judged", "status"),
    [((), "pending"), (("needs_revision",), "needs_revision")],
    ids=["never judged", "sent to revision"],
)
def test_an_example_that_is_put_back_stands_where_its_judgements_leave_it(
    act, judge, ada, ben, new_example, look, judged, status
):
    example = new_example()
    for decision in judged:
        judge(ada, example, decision)
    before = look(example)
    act(flags.flag, ben, example, "Not ours.")
    act(flags.unflag, ada, example)
    assert look(example) == before
    assert look(example).status == status
    assert act(queue.claim, ben) == [example]


def test_an_example_that_is_put_back_half_judged_waits_for_the_other_half(
    act, judge, ada, ben, new_example, look
):
    example = new_example(overlap=2)
    judge(ada, example)
    act(flags.flag, ada, example, "Not ours.")
    act(flags.unflag, ben, example)
    assert (look(example).reviews_done, look(example).reviews_wanted) == (1, 2)
    assert act(queue.look_ahead, ada) == []
    judge(ben, example)
    assert look(example).status == "approved"


def test_a_dropped_example_is_rejected_for_good(act, ada, boss, new_example, look):
    example = new_example()
    act(flags.flag, ada, example, "Not ours.")
    act(flags.drop, boss, example)
    row = look(example)
    assert (row.status, row.flag_reason, row.flagged_by) == ("rejected", "Not ours.", "ada")
    assert row.settled_at is not None
    assert act(queue.claim, ada) == []
    with pytest.raises(Conflict):
        act(flags.unflag, boss, example)


def test_every_step_is_on_record(act, ada, boss, new_example, transaction):
    example = new_example()
    act(flags.flag, ada, example, "Not ours.")
    act(flags.unflag, boss, example)
    act(flags.flag, ada, example, "Really not.")
    act(flags.drop, boss, example)
    with transaction() as session:
        rows = session.execute(
            text("SELECT actor, action, subject FROM audit_log WHERE action LIKE 'example.%' ORDER BY id")
        ).all()
    done = ["example.flagged", "example.unflagged", "example.flagged", "example.dropped"]
    assert [(row.actor, row.action) for row in rows] == list(
        zip(["ada", "boss", "ada", "boss"], done, strict=True)
    )
    assert {row.subject for row in rows} == {str(example)}
