"""Feedback that arrives at the same moment, gathered into one transaction.

Each piece of feedback on its own would wait for the disk and for the day's counter row; together they wait
once. A piece is acknowledged only after the transaction that holds it has committed. When nothing else is
on its way, nothing waits for company.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from learning_core import throttle
from learning_core.db import in_transaction
from learning_core.errors import LearningError, Unavailable
from learning_core.feedback.collect import collect
from learning_core.feedback.entries import FeedbackEntry, Source
from learning_core.feedback.executions import Outcome

log = logging.getLogger(__name__)

MOST_AT_ONCE = 500


class Arrival(NamedTuple):
    """One piece of feedback on its way in, and who waits for it."""

    organization_id: UUID
    source: Source
    spender: str
    """Whom the per-key limit counts: the API key or widget it came through."""
    entry: FeedbackEntry
    outcome: Future[Outcome]


class Intake:
    """The writer of one process: a queue and the thread that empties it."""

    def __init__(self) -> None:
        self._arrivals: queue.SimpleQueue[Arrival | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def submit(
        self, organization_id: UUID, source: Source, spender: str, entry: FeedbackEntry
    ) -> Future[Outcome]:
        """Hand in one piece of feedback; the future holds its outcome once it is committed.

        The future raises TooManyRequests, or Unavailable when the database cannot be reached.
        """
        arrival = Arrival(organization_id, source, spender, entry, Future())
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="intake", daemon=True)
                self._thread.start()
            self._arrivals.put(arrival)
        return arrival.outcome

    def close(self) -> None:
        """Store what is on its way, then stop."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread:
                self._arrivals.put(None)
        if thread:
            thread.join()

    def _work(self) -> None:
        while (first := self._arrivals.get()) is not None:
            gathered = [first]
            while len(gathered) < MOST_AT_ONCE and not self._arrivals.empty():
                if (arrival := self._arrivals.get()) is None:
                    self._arrivals.put(None)
                    break
                gathered.append(arrival)
            _store_all(gathered)


def _store_all(arrivals: list[Arrival]) -> None:
    def destination(arrival: Arrival) -> tuple[UUID, Source]:
        return arrival.organization_id, arrival.source

    for (organization_id, source), group in groupby(sorted(arrivals, key=destination), key=destination):
        together = list(group)
        try:
            _store(organization_id, source, _within_limits(together))
        except LearningError as error:
            _refuse(together, error)
        except DBAPIError:
            log.exception("A group of %d could not be stored; trying one by one.", len(together))
            _store_one_by_one(organization_id, source, together)
        except BaseException as error:
            _refuse(together, error)
            raise


def _store(organization_id: UUID, source: Source, arrivals: list[Arrival]) -> None:
    if not arrivals:
        return
    entries = [arrival.entry for arrival in arrivals]
    outcomes = in_transaction(organization_id, lambda session: collect(session, entries, source))
    for arrival, outcome in zip(arrivals, outcomes, strict=True):
        arrival.outcome.set_result(outcome)


def _store_one_by_one(organization_id: UUID, source: Source, arrivals: list[Arrival]) -> None:
    """Keep one row that the database refuses from taking its neighbours with it."""
    for arrival in arrivals:
        if arrival.outcome.done():
            continue
        try:
            _store(organization_id, source, [arrival])
        except (LearningError, DBAPIError) as error:
            _refuse([arrival], error if isinstance(error, LearningError) else Unavailable())


def _within_limits(arrivals: list[Arrival]) -> list[Arrival]:
    """Return the arrivals whose end user and whose key have not used up their limits; refuse the others."""
    verdicts = throttle.spend_many([_charges(arrival) for arrival in arrivals])
    for arrival, verdict in zip(arrivals, verdicts, strict=True):
        if verdict:
            _refuse([arrival], verdict)
    return [arrival for arrival in arrivals if not arrival.outcome.done()]


def _charges(arrival: Arrival) -> list[throttle.Charge]:
    organization = str(arrival.organization_id)
    charges = [throttle.Charge(throttle.per_key(), (organization, arrival.spender))]
    if user := arrival.entry.user_id:
        charges.append(throttle.Charge(throttle.per_user(), (organization, "user", user)))
    return charges


def _refuse(arrivals: Iterable[Arrival], error: BaseException) -> None:
    for arrival in arrivals:
        if not arrival.outcome.done():
            arrival.outcome.set_exception(error)


intake = Intake()
"""This process's writer."""
