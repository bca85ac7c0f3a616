from __future__ import annotations

import subprocess
import sys
from uuid import uuid4

import pytest
from limits import RateLimitItemPerMinute
from sqlalchemy import text

from learning_core import db, throttle
from learning_core.errors import TooManyRequests
from learning_core.throttle import Charge, PostgresStorage, spend, spend_many

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def who() -> tuple[str]:
    """Somebody whom no other test counts."""
    return (f"test-{uuid4().hex}",)


def charge(who, amount: int = 3, cost: int = 1) -> Charge:
    return Charge(RateLimitItemPerMinute(amount), who, cost)


def decide(*requests: list[Charge]) -> list[bool]:
    """Return for each of several requests made at once whether it was refused."""
    with db.autocommit_connection() as connection:
        return [verdict is not None for verdict in spend_many(connection, requests)]


def end_window(key: str) -> None:
    with db.shared_session() as session:
        past = "UPDATE rate_limits SET expires_at = now() - interval '1 second' WHERE key = :key"
        session.execute(text(past), {"key": key})


def test_a_limit_allows_its_amount_and_refuses_the_next(who):
    for _ in range(3):
        spend(charge(who))
    with pytest.raises(TooManyRequests, match="At most 3 a minute") as refusal:
        spend(charge(who))
    assert 1 <= refusal.value.retry_after_s <= 61


def test_a_window_that_is_over_starts_afresh(who):
    for _ in range(3):
        spend(charge(who))
    end_window(charge(who).key)
    spend(charge(who))
    assert throttle.storage.get(charge(who).key) == 1


def test_a_charge_of_several_counts_as_several(who):
    spend(charge(who, cost=2))
    with pytest.raises(TooManyRequests):
        spend(charge(who, cost=2))


def test_requests_made_at_once_are_refused_from_the_limit_on(who):
    assert decide(*[[charge(who)]] * 5) == [False, False, False, True, True]
    assert decide([charge(who)]) == [True]


def test_a_request_needs_room_in_each_of_its_limits(who):
    narrow, wide = charge((*who, "narrow"), 1), charge((*who, "wide"), 100)
    assert decide([wide, narrow], [wide, narrow], [wide]) == [False, True, False]


def test_no_requests_are_no_verdicts():
    assert decide() == []


def test_a_refused_request_waits_until_its_window_ends(who):
    requests = [[charge(who, 1)]] * 2
    with db.autocommit_connection() as connection:
        refusal = spend_many(connection, requests)[1]
    assert 1 <= refusal.retry_after_s <= 61


def test_processes_share_their_counts(who):
    key = charge(who).key
    command = [sys.executable, "-c", HIT_FROM_ELSEWHERE, key]
    elsewhere = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.wait(timeout=60) for process in elsewhere] == [0, 0]
    reported = [int(line) for process in elsewhere for line in process.communicate()[0].split()]
    assert sorted(reported) == list(range(1, 41))
    assert PostgresStorage().get(key) == 40


HIT_FROM_ELSEWHERE = """
import sys
from learning_core.throttle import PostgresStorage

storage = PostgresStorage()
for _ in range(20):
    print(storage.incr(sys.argv[1], 60))
"""


def test_the_storage_knows_counts_and_expiries_and_forgets_on_demand(who):
    storage, key = PostgresStorage(), who[0]
    assert storage.check()
    assert storage.get(key) == 0
    assert storage.incr(key, 60, amount=4) == 4
    assert storage.incr(key, 60) == 5
    first_expiry = storage.get_expiry(key)
    storage.incr(key, 3_600)
    assert storage.get_expiry(key) == first_expiry
    storage.clear(key)
    assert storage.get(key) == 0


def test_counters_long_expired_are_dropped_and_others_kept(who):
    storage = PostgresStorage()
    old, recent = f"{who[0]}-old", f"{who[0]}-recent"
    storage.incr(old, 60)
    storage.incr(recent, 60)
    with db.shared_session() as session:
        past = "UPDATE rate_limits SET expires_at = now() - interval '2 hours' WHERE key = :key"
        session.execute(text(past), {"key": old})
        throttle.forget_expired(session)
        kept = session.execute(text("SELECT key FROM rate_limits WHERE key LIKE :who"), {"who": f"{who[0]}%"})
        assert kept.scalars().all() == [recent]
