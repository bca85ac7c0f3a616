from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from learning_core.errors import TooManyRequests
from learning_core.feedback import rollup
from learning_core.feedback.entries import Dimensions, FeedbackEntry
from learning_core.feedback.executions import Outcome
from learning_core.feedback.intake import Intake
from tests.factories import feedback


@pytest.fixture
def hand_in(organization):
    """Hand in entries at the same moment and return what became of each, errors included."""

    async def at_once(entries, spender):
        intake = Intake()
        waiting = [intake.submit(organization.id, "api", spender, entry) for entry in entries]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        await intake.close()
        return outcomes

    return lambda entries, spender="key": asyncio.run(at_once(entries, spender))


def stored(transaction) -> list[str]:
    with transaction() as session:
        assert rollup.differences(session, rollup.FEEDBACK) == 0
        return list(session.execute(text("SELECT key FROM agent_feedback ORDER BY key")).scalars())


def transactions_of(transaction) -> int:
    with transaction() as session:
        return session.execute(text("SELECT count(DISTINCT CAST(xmin AS text)) FROM agent_feedback")).scalar()


def refused_by_the_database(entry: FeedbackEntry) -> FeedbackEntry:
    """The same entry with a rating that no validation has seen."""
    return FeedbackEntry.model_construct(**entry.__dict__ | {"rating": 9, "dimensions": Dimensions()})


def test_what_arrives_at_the_same_moment_is_stored_in_one_transaction(hand_in, transaction):
    entries = [feedback(id=f"f{n}") for n in range(50)]
    assert hand_in(entries) == [Outcome(f"f{n}", "created") for n in range(50)]
    assert len(stored(transaction)) == 50
    assert transactions_of(transaction) == 1


def test_each_sender_hears_of_their_own_row(hand_in):
    first = feedback(id="f1")
    conflicting = feedback(id="f1")
    again = feedback(id="f1", execution_id=first.execution_id)
    outcomes = hand_in([first, conflicting, feedback(id="f2"), again])
    assert outcomes == [
        Outcome("f1", "created"),
        Outcome("f1", "conflict"),
        Outcome("f2", "created"),
        Outcome("f1", "updated"),
    ]


def test_the_same_row_sent_many_times_at_once_ends_as_the_last_one_sent(hand_in, transaction):
    first = feedback(id="f1", rating=1, created_at="2026-03-01T12:00:00Z")
    later = [first.model_copy(update={"rating": n % 5 + 1, "created_at": None}) for n in range(300)]
    assert {outcome.status for outcome in hand_in([first, *later])} == {"created"}
    assert stored(transaction) == ["f1"]
    with transaction() as session:
        kept = session.execute(text("SELECT rating, CAST(created_at AS date) FROM agent_feedback")).one()
    assert (kept.rating, str(kept.created_at)) == (later[-1].rating, "2026-03-01")


def test_two_organisations_that_arrive_together_are_kept_apart(organization, other_organization):
    async def at_once():
        intake = Intake()
        entry = feedback(id="f1")
        waiting = [intake.submit(one.id, "api", "key", entry) for one in (organization, other_organization)]
        outcomes = await asyncio.gather(*waiting)
        await intake.close()
        return outcomes

    assert asyncio.run(at_once()) == [Outcome("f1", "created")] * 2


def test_only_those_over_their_limit_are_refused(configure, hand_in, transaction):
    configure(AFTERGLOW_FEEDBACK_PER_USER_PER_MINUTE=2)
    entries = [feedback(id=f"hasty-{n}", user_id="hasty") for n in range(4)]
    entries[2:2] = [feedback(id="calm", user_id="calm"), feedback(id="nobody")]
    outcomes = hand_in(entries)
    assert [isinstance(outcome, TooManyRequests) for outcome in outcomes] == [False] * 4 + [True] * 2
    assert stored(transaction) == ["calm", "hasty-0", "hasty-1", "nobody"]


def test_a_key_over_its_limit_is_refused_and_another_is_not(configure, hand_in):
    configure(AFTERGLOW_FEEDBACK_PER_KEY_PER_MINUTE=1)
    refused = hand_in([feedback(), feedback()], spender="one key")
    assert [isinstance(outcome, TooManyRequests) for outcome in refused] == [False, True]
    assert isinstance(hand_in([feedback()], spender="another key")[0], Outcome)


def test_a_row_that_the_database_refuses_takes_no_neighbour_with_it(hand_in, transaction):
    entries = [feedback(id=f"f{n}") for n in range(5)]
    entries[2] = refused_by_the_database(entries[2])
    outcomes = hand_in(entries)
    assert isinstance(outcomes[2], DBAPIError)
    assert [outcome.key for outcome in outcomes[:2] + outcomes[3:]] == ["f0", "f1", "f3", "f4"]
    assert stored(transaction) == ["f0", "f1", "f3", "f4"]


def test_after_a_refused_row_the_next_one_is_stored(hand_in, transaction):
    assert isinstance(hand_in([refused_by_the_database(feedback(id="f1"))])[0], DBAPIError)
    assert hand_in([feedback(id="f2")]) == [Outcome("f2", "created")]
    assert stored(transaction) == ["f2"]


def test_closing_stores_what_is_on_its_way(organization, transaction):
    async def leave_at_once():
        intake = Intake()
        entries = [feedback(id=f"f{n:03}") for n in range(120)]
        waiting = [
            asyncio.create_task(intake.submit(organization.id, "api", "key", entry)) for entry in entries
        ]
        await asyncio.sleep(0)
        await intake.close()
        assert all(task.done() for task in waiting) or await asyncio.gather(*waiting)

    asyncio.run(leave_at_once())
    assert len(stored(transaction)) == 120


def test_more_than_fit_into_one_transaction_are_stored_in_several(hand_in, transaction):
    outcomes = hand_in([feedback(id=f"f{n:03}") for n in range(620)])
    assert all(outcome.status == "created" for outcome in outcomes)
    assert len(stored(transaction)) == 620
    assert transactions_of(transaction) == 2


def test_a_sender_who_hangs_up_takes_nothing_from_the_others(organization, transaction):
    async def hang_up():
        intake = Intake()
        entries = [feedback(id=f"f{n}") for n in range(3)]
        waiting = [
            asyncio.create_task(intake.submit(organization.id, "api", "key", entry)) for entry in entries
        ]
        await asyncio.sleep(0)
        waiting[1].cancel()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        await intake.close()
        return outcomes

    first, hung_up, last = asyncio.run(hang_up())
    assert (first, last) == (Outcome("f0", "created"), Outcome("f2", "created"))
    assert isinstance(hung_up, asyncio.CancelledError)
    assert {"f0", "f2"} <= set(stored(transaction))
