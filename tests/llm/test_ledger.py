from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from functools import partial

import pytest
from sqlalchemy import text

from learning_core import db
from learning_core.llm import ledger
from learning_core.llm.ledger import NOTHING, DoesNotFit, Outcome, Spend
from learning_core.llm.requests import Model, Request
from learning_core.schema import CallStatus

DOLLAR_A_TOKEN = Decimal(1_000_000)
MODEL = Model(
    "m", "p", "http://127.0.0.1:1/v1", "m", None, DOLLAR_A_TOKEN / 1_000_000, DOLLAR_A_TOKEN / 1_000_000
)
COURIER = 7


def wanted(*names: str) -> dict[str, Request]:
    return {name: Request("task", MODEL, (("user", name),), max_tokens=10) for name in names}


def bound(*names: str) -> Spend:
    return ledger.most(wanted(*names).values())


@pytest.fixture
def reserve(organization):
    def enter(run, *names, courier=COURIER, leaving=NOTHING):
        work = partial(ledger.reserve, run_id=run, courier=courier, wanted=wanted(*names), leaving=leaving)
        return db.in_transaction(organization.id, work)

    return enter


@pytest.fixture
def settle(organization):
    def write(run, *outcomes):
        db.in_transaction(organization.id, partial(ledger.settle, run_id=run, outcomes=outcomes))

    return write


def answered(call_id, prompt_tokens=3, completion_tokens=2, cost_usd=Decimal("0.25")) -> Outcome:
    used = (prompt_tokens, completion_tokens, cost_usd)
    return Outcome(call_id, CallStatus.ANSWERED, {"text": "Yes."}, None, *used, latency_ms=12.5, attempts=1)


def spent(row) -> Spend:
    return Spend(row.spent_usd, row.spent_tokens, row.spent_calls)


def reserved(row) -> Spend:
    return Spend(row.reserved_usd, row.reserved_tokens, row.reserved_calls)


# ---------------------------------------------------------------- reserving and settling


def test_a_call_is_entered_with_the_most_it_can_cost(new_run, reserve, book, calls):
    run = new_run()
    ids = reserve(run, "a", "b")
    assert reserved(book(run)) == bound("a", "b")
    assert spent(book(run)) == NOTHING
    entered = calls()[0]
    assert (entered.status, entered.courier, entered.run_id) == ("reserved", COURIER, run)
    assert {row.content_hash: row.id for row in calls()} == ids
    assert Request.read(entered.request) == wanted(entered.content_hash)[entered.content_hash]


def test_what_a_call_cost_replaces_what_was_reserved(new_run, reserve, settle, book, calls):
    run = new_run()
    ids = reserve(run, "a", "b")
    settle(run, answered(ids["a"]))
    assert spent(book(run)) == (Decimal("0.25"), 5, 1)
    assert reserved(book(run)) == bound("b")
    stored = next(row for row in calls() if row.id == ids["a"])
    assert (stored.status, stored.answer, stored.latency_ms) == ("answered", {"text": "Yes."}, 12.5)
    assert stored.finished_at is not None


def test_a_call_is_settled_once(new_run, reserve, settle, book):
    run = new_run()
    ids = reserve(run, "a")
    settle(run, answered(ids["a"]))
    settle(run, answered(ids["a"], 100, 100))
    assert spent(book(run)) == (Decimal("0.25"), 5, 1)
    assert reserved(book(run)) == NOTHING


def test_a_failed_call_counts_as_a_call(new_run, reserve, settle, book):
    run = new_run()
    ids = reserve(run, "a")
    settle(run, Outcome(ids["a"], CallStatus.FAILED, error="No.", attempts=6))
    assert spent(book(run)) == (0, 0, 1)
    assert reserved(book(run)) == NOTHING


def test_calls_of_nobody_are_entered_and_settled(organization, reserve, settle, calls):
    ids = reserve(None, "a")
    settle(None, answered(ids["a"]))
    assert [row.status for row in calls()] == ["answered"]


def test_what_is_there_already_is_not_entered_again(new_run, reserve, settle, book):
    one, other = new_run(), new_run()
    ids = reserve(one, "a", "b")
    settle(one, answered(ids["a"]))
    assert set(reserve(other, "a", "b", "c")) == {"c"}
    assert reserved(book(other)) == bound("c")


def test_a_failed_call_may_be_made_again(new_run, reserve, settle):
    run = new_run()
    ids = reserve(run, "a")
    settle(run, Outcome(ids["a"], CallStatus.FAILED, error="No."))
    assert set(reserve(run, "a")) == {"a"}


# ---------------------------------------------------------------- caps


@pytest.mark.parametrize(
    ("caps", "fitting"),
    [
        ({"calls": 2}, 2),
        ({"tokens": bound("a", "b").tokens}, 2),
        ({"tokens": bound("a", "b").tokens - 1}, 1),
        ({"usd": bound("a", "b").usd}, 2),
        ({"usd": bound("a", "b").usd - Decimal("0.00000001")}, 1),
        ({"calls": 0}, 0),
        ({}, 3),
    ],
)
def test_calls_fit_up_to_the_cap(new_run, reserve, book, calls, caps, fitting):
    run = new_run(**caps)
    entered = 0
    for name in ("a", "b", "c"):
        try:
            entered += len(reserve(run, name))
        except DoesNotFit:
            break
    assert entered == fitting == len(calls()) == book(run).reserved_calls


def test_calls_that_do_not_fit_together_leave_no_trace(new_run, reserve, book, calls):
    run = new_run(calls=2)
    with pytest.raises(DoesNotFit):
        reserve(run, "a", "b", "c")
    assert calls() == []
    assert reserved(book(run)) == NOTHING


@pytest.mark.parametrize(
    "leaving", [Spend(Decimal(1), 0, 0), Spend(Decimal(0), 1, 0), Spend(Decimal(0), 0, 1)]
)
def test_what_is_to_be_left_is_kept_back(new_run, reserve, leaving):
    most = bound("a")
    run = new_run(calls=1, tokens=most.tokens, usd=most.usd)
    with pytest.raises(DoesNotFit):
        reserve(run, "a", leaving=leaving)
    assert set(reserve(run, "a")) == {"a"}


def test_calls_that_are_there_already_need_no_room(new_run, reserve):
    reserve(new_run(), "a")
    assert reserve(new_run(calls=0), "a") == {}


@pytest.mark.parametrize("cap", ["calls", "tokens", "usd"])
def test_racing_threads_never_pass_a_cap(new_run, reserve, settle, book, cap):
    most = bound("0-0")
    run = new_run(**{cap: getattr(most, cap) * 10})

    def spend_all(thread: int) -> int:
        made = 0
        for i in range(5):
            try:
                ids = reserve(run, f"{thread}-{i}")
            except DoesNotFit:
                continue
            made += 1
            row = book(run)
            assert getattr(spent(row), cap) + getattr(reserved(row), cap) <= getattr(most, cap) * 10
            settle(run, answered(next(iter(ids.values())), most.tokens, 0, most.usd))
        return made

    with ThreadPoolExecutor(16) as pool:
        made = sum(pool.map(spend_all, range(16)))
    assert made == 10
    assert getattr(spent(book(run)), cap) == getattr(most, cap) * 10
    assert reserved(book(run)) == NOTHING


def test_runs_that_ask_the_same_at_once_ask_it_once(new_run, reserve, book, calls):
    runs = [new_run() for _ in range(8)]
    names = [f"n{i}" for i in range(20)]

    def enter(i: int) -> int:
        return len(reserve(runs[i], *(names if i % 2 else reversed(names))))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(enter, range(8))) == 20
    assert sorted(row.content_hash for row in calls()) == sorted(names)
    assert sum(book(run).reserved_calls for run in runs) == 20


def test_a_shortage_is_told_in_words(new_run, reserve, transaction):
    run = new_run(calls=2)
    reserve(run, "a", "b")
    with transaction() as session:
        found = ledger.room(session, run)
    assert ledger.shortage(found, NOTHING, NOTHING) is None
    words = ledger.shortage(found, bound("c"), Spend(Decimal(0), 0, 3))
    assert words.startswith("Of 2 calls that this run may spend, 2 are spent and 3 kept for later; ")
    assert words.endswith("what comes next may take up to 1.")


# ---------------------------------------------------------------- couriers that died


@contextmanager
def living_courier():
    number = secrets.randbits(62)
    with db.autocommit_connection() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": number})
        try:
            yield number
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": number})


@pytest.fixture
def lose(organization):
    def give_up(run, *ids):
        return db.in_transaction(organization.id, partial(ledger.lose, run_id=run, calls=ids))

    return give_up


def test_a_dead_couriers_calls_are_lost_and_count_in_full(new_run, reserve, lose, book, calls):
    run = new_run()
    ids = reserve(run, "a", "b", courier=secrets.randbits(62))
    assert lose(run, *ids.values()) == 2
    assert spent(book(run)) == bound("a", "b")
    assert reserved(book(run)) == NOTHING
    assert {(row.status, row.answer) for row in calls()} == {("lost", None)}
    assert set(reserve(run, "a")) == {"a"}


def test_a_living_couriers_calls_are_left_alone(new_run, reserve, lose, book):
    run = new_run()
    with living_courier() as number:
        ids = reserve(run, "a", courier=number)
        assert lose(run, *ids.values()) == 0
        assert reserved(book(run)) == bound("a")
    assert lose(run, *ids.values()) == 1


def test_an_answered_call_is_never_lost(new_run, reserve, settle, lose, book):
    run = new_run()
    ids = reserve(run, "a", courier=secrets.randbits(62))
    settle(run, answered(ids["a"]))
    assert lose(run, *ids.values()) == 0
    assert spent(book(run)).tokens == 5


def test_calls_on_their_way_are_listed(new_run, reserve, settle, transaction):
    run = new_run()
    ids = reserve(run, "a", "b")
    reserve(None, "c")
    settle(run, answered(ids["a"]))
    with transaction() as session:
        assert [(row.id, row.courier, row.is_old) for row in ledger.on_their_way(session, run)] == [
            (ids["b"], COURIER, False)
        ]


def test_what_a_leaving_courier_was_never_handed_is_given_back(organization, new_run, reserve, book, calls):
    run, leaving = new_run(), secrets.randbits(62)
    reserve(run, "a", "b", courier=leaving)
    reserve(run, "c", courier=secrets.randbits(62))
    db.in_transaction(organization.id, partial(ledger.release, courier=leaving))
    assert reserved(book(run)) == bound("c")
    assert spent(book(run)) == NOTHING
    assert sorted(call.status for call in calls()) == ["failed", "failed", "reserved"]
