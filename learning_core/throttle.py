"""Rate limits, counted in the database so that every process shares them.

`limits` brings the windows and their notation; the storage here is PostgreSQL, in an unlogged table. Hits
are counted outside the transaction that does the work: a refused or failed request has been made all the
same.
"""

from __future__ import annotations

import time
from collections import Counter as CountOf
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from learning_core.db import autocommit_connection, shared_session
from learning_core.errors import TooManyRequests
from learning_core.settings import settings


class Counter(NamedTuple):
    """Where a limit stands: hits in its window, and when that ends (seconds since 1970)."""

    hits: int
    expires_at: float


class PostgresStorage(Storage):
    """Counters with an expiry, each change one statement."""

    STORAGE_SCHEME = ["afterglow"]  # noqa: RUF012 - limits reads it from the class

    @property
    def base_exceptions(self) -> type[Exception]:
        """Return what this storage may raise."""
        return DBAPIError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to one counter and return where it stands."""
        with autocommit_connection() as connection:
            return count(connection, {key: amount}, expiry)[key].hits

    def get(self, key: str) -> int:
        """Return where a counter stands."""
        with shared_session() as session:
            return session.execute(GET, {"key": key}).scalar() or 0

    def get_expiry(self, key: str) -> float:
        """Return when a counter starts afresh, in seconds since 1970."""
        with shared_session() as session:
            return session.execute(GET_EXPIRY, {"key": key}).scalar() or time.time()

    def check(self) -> bool:
        """Return whether the database answers."""
        with shared_session() as session:
            return bool(session.execute(text("SELECT true")).scalar())

    def reset(self) -> int:
        """Drop every counter and return how many there were."""
        with shared_session() as session:
            return len(session.execute(text("DELETE FROM rate_limits RETURNING key")).all())

    def clear(self, key: str) -> None:
        """Drop one counter."""
        with shared_session() as session:
            session.execute(text("DELETE FROM rate_limits WHERE key = :key"), {"key": key})


def count(connection: Connection, hits: Mapping[str, int], expiry: int) -> dict[str, Counter]:
    """Add hits to counters and return where each stands; a counter past its expiry starts at zero."""
    keys = sorted(hits)
    found = connection.execute(HIT, {"keys": keys, "hits": [hits[key] for key in keys], "expiry": expiry})
    return {row.key: Counter(row.hits, row.expires_at) for row in found}


HIT = text("""
INSERT INTO rate_limits AS known (key, hits, expires_at)
SELECT hit.key, hit.hits, now() + make_interval(secs => :expiry)
FROM unnest(CAST(:keys AS text[]), CAST(:hits AS bigint[])) AS hit (key, hits)
ORDER BY hit.key
ON CONFLICT (key) DO UPDATE SET
    hits = excluded.hits + CASE WHEN known.expires_at > now() THEN known.hits ELSE 0 END,
    expires_at = CASE WHEN known.expires_at > now() THEN known.expires_at ELSE excluded.expires_at END
RETURNING key, hits, CAST(extract(epoch FROM expires_at) AS float8) AS expires_at
""")

GET = text("SELECT hits FROM rate_limits WHERE key = :key AND expires_at > now()")

GET_EXPIRY = text("SELECT CAST(extract(epoch FROM expires_at) AS float8) FROM rate_limits WHERE key = :key")

storage = PostgresStorage()
limiter = FixedWindowRateLimiter(storage)


def per_user() -> RateLimitItem:
    """Return how much feedback one end user may give."""
    return RateLimitItemPerMinute(settings().feedback_per_user_per_minute)


def per_key() -> RateLimitItem:
    """Return how much one API key may send."""
    return RateLimitItemPerMinute(settings().feedback_per_key_per_minute)


class Charge(NamedTuple):
    """One request counted against one party's limit."""

    limit: RateLimitItem
    who: tuple[str, ...]
    cost: int = 1

    @property
    def key(self) -> str:
        """Return the name of the counter."""
        return self.limit.key_for(*self.who)


def spend(charge: Charge) -> None:
    """Count one request against a limit.

    Raises:
        TooManyRequests: the limit is used up; says how long to wait.
    """
    if not limiter.hit(charge.limit, *charge.who, cost=charge.cost):
        raise _refusal(charge.limit, limiter.get_window_stats(charge.limit, *charge.who).reset_time)


def spend_many(connection: Connection, requests: Sequence[Sequence[Charge]]) -> list[TooManyRequests | None]:
    """Count many requests, each against several limits of a minute, in one statement.

    Returns:
        Per request, in order: None if all its limits allow it, else the error to refuse it with.
    """
    total = CountOf(charge.key for charges in requests for charge in charges)
    standing = count(connection, total, expiry=60) if total else {}
    spent = {key: counter.hits - total[key] for key, counter in standing.items()}
    verdicts: list[TooManyRequests | None] = []
    for charges in requests:
        verdict = None
        for charge in charges:
            spent[charge.key] += 1
            if spent[charge.key] > charge.limit.amount:
                verdict = _refusal(charge.limit, standing[charge.key].expires_at)
        verdicts.append(verdict)
    return verdicts


def _refusal(limit: RateLimitItem, reset_at: float) -> TooManyRequests:
    wait_s = max(1, int(reset_at - time.time()) + 1)
    return TooManyRequests(f"At most {limit.amount} a minute; try again in {wait_s} s.", retry_after_s=wait_s)


def forget_expired(session: Any) -> None:
    """Drop counters whose window is over."""
    session.execute(text("DELETE FROM rate_limits WHERE expires_at < now() - interval '1 hour'"))
