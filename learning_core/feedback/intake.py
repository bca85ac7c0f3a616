"""Feedback that arrives at the same moment, gathered into one transaction.

Each piece of feedback on its own would wait for the disk and for the day's counter row; together they wait
once. A piece is acknowledged only after the transaction that holds it has committed. When nothing else is
on its way, nothing waits for company.

The intake runs on the server's event loop and calls the same synchronous `collect` as everybody else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from learning_core import throttle
from learning_core.db import LoopDatabase
from learning_core.errors import LearningError
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
    outcome: asyncio.Future[Outcome]


class Intake:
    """The writer of one event loop: what has arrived, and the task that stores it."""

    def __init__(self) -> None:
        self._database = LoopDatabase()
        self._arrivals: list[Arrival] = []
        self._storing: asyncio.Task[None] | None = None

    async def submit(
        self, organization_id: UUID, source: Source, spender: str, entry: FeedbackEntry
    ) -> Outcome:
        """Hand in one piece of feedback and return its outcome once it is committed.

        Raises:
            TooManyRequests: the end user's or the spender's limit is used up.
            Unavailable: the database cannot be reached; nothing was stored.
        """
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._arrivals.append(Arrival(organization_id, source, spender, entry, outcome))
        if self._storing is None or self._storing.done():
            self._storing = asyncio.create_task(self._store_arrivals())
        return await outcome

    async def close(self) -> None:
        """Store what is on its way, then let go of the database."""
        if self._storing:
            await self._storing
        await self._database.close()

    async def _store_arrivals(self) -> None:
        await asyncio.sleep(0)  # let the requests that are already here hand in theirs
        while self._arrivals:
            gathered, self._arrivals = self._arrivals[:MOST_AT_ONCE], self._arrivals[MOST_AT_ONCE:]
            try:
                for (organization_id, source), group in groupby(
                    sorted(gathered, key=_destination), key=_destination
                ):
                    await self._store_group(organization_id, source, list(group))
            except Exception as error:  # whoever waits must hear of it, and the next must get their turn
                log.exception("%d pieces of feedback could not be stored.", len(gathered))
                _refuse(gathered, error)

    async def _store_group(self, organization_id: UUID, source: Source, group: list[Arrival]) -> None:
        try:
            allowed = await self._within_limits(group)
            await self._store(organization_id, source, allowed)
        except LearningError as error:
            _refuse(group, error)
        except DBAPIError:
            log.exception("A group of %d could not be stored; trying one by one.", len(group))
            await self._store_one_by_one(organization_id, source, group)

    async def _store(self, organization_id: UUID, source: Source, arrivals: list[Arrival]) -> None:
        if not arrivals:
            return
        entries = [arrival.entry for arrival in arrivals]
        outcomes = await self._database.in_transaction(
            organization_id, lambda session: collect(session, entries, source)
        )
        for arrival, outcome in zip(arrivals, outcomes, strict=True):
            if not arrival.outcome.done():
                arrival.outcome.set_result(outcome)

    async def _store_one_by_one(self, organization_id: UUID, source: Source, group: list[Arrival]) -> None:
        """Keep one row that the database refuses from taking its neighbours with it."""
        for arrival in [arrival for arrival in group if not arrival.outcome.done()]:
            try:
                await self._store(organization_id, source, [arrival])
            except LearningError as error:
                _refuse([arrival], error)
            except DBAPIError as error:
                log.exception("Feedback %s could not be stored.", arrival.entry.id)
                _refuse([arrival], error)

    async def _within_limits(self, arrivals: list[Arrival]) -> list[Arrival]:
        """Return the arrivals whose end user and key have not used up their limits; refuse the others."""
        requests = [_charges(arrival) for arrival in arrivals]
        verdicts = await self._database.at_once(lambda connection: throttle.spend_many(connection, requests))
        for arrival, verdict in zip(arrivals, verdicts, strict=True):
            if verdict:
                _refuse([arrival], verdict)
        return [arrival for arrival in arrivals if not arrival.outcome.done()]


def _destination(arrival: Arrival) -> tuple[UUID, Source]:
    return arrival.organization_id, arrival.source


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
