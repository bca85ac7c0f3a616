"""How a run is carried out: begun, watched for wishes, and ended with the true reason whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from procrastinate import RetryStrategy
from sqlalchemy.orm import Session

from learning_core import jobs
from learning_core.background import rows
from learning_core.background.rows import Run
from learning_core.db import organization_session
from learning_core.errors import Interrupted, LearningError, Unavailable
from learning_core.llm import ledger
from learning_core.schema import RunStatus

LOOK_UP_S = 1.0

AGAIN = RetryStrategy(max_attempts=40, wait=15, retry_exceptions=[Unavailable])
"""A database that is gone for ten minutes ends no run."""


class Watch:
    """Tells whether a person wishes a run to stop, or this process is leaving; notes that it lives."""

    def __init__(
        self, organization_id: UUID, run_id: UUID, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._organization_id = organization_id
        self._run_id = run_id
        self._clock = clock
        self._looked_up_at = float("-inf")
        self._wish: str | None = None

    def __call__(self) -> bool:
        """Return whether to stop; a wish is looked up once a second at most."""
        if jobs.stopping.is_set():
            return True
        if self._clock() - self._looked_up_at >= LOOK_UP_S:
            self._looked_up_at = self._clock()
            with organization_session(self._organization_id) as session:
                self._wish = rows.wish_of(session, self._run_id)
        return self._wish is not None


class Ending(NamedTuple):
    """How a run ended, and why in words."""

    status: RunStatus
    stop_reason: str
    result: dict[str, Any] | None = None
    error: str | None = None


def _nothing() -> None:
    return None


@dataclass
class Carried:
    """A run under way.

    Attributes:
        organization_id: Whose it is.
        run: Its row as it was when it began.
        watch: Whether to stop for now; models are asked with it.
        so_far: What it came to by now, for one that is cancelled; set by the step.
        how_far: The same in words, such as "after 20 of 60 examples".
    """

    organization_id: UUID
    run: Run
    watch: Watch
    so_far: Callable[[], dict[str, Any] | None] = _nothing
    how_far: Callable[[], str] = str


def carry_out(
    organization_id: UUID,
    run_id: UUID,
    work: Callable[[Carried], Ending],
    defer: Callable[[Session, UUID, UUID], None],
) -> None:
    """Do a run's work, or go on with it, and put down how it ended.

    An error of the domain ends it as failed, with its message; any other does too and is raised. A database
    that cannot be reached ends nothing: the job is tried again.

    Args:
        organization_id: Whose run it is.
        run_id: The run.
        work: Does it; it may raise Interrupted.
        defer: Puts the run's job into the queue again, for when this process is leaving.
    """
    with organization_session(organization_id) as session:
        run = rows.begin(session, run_id)
    if run is None:
        return
    carried = Carried(organization_id, run, Watch(organization_id, run_id))
    try:
        ending = work(carried)
    except Interrupted:
        _interrupt(carried, defer)
        return
    except Unavailable:
        raise
    except LearningError as error:
        ending = Ending(RunStatus.FAILED, error.message, error=error.message)
    except Exception as error:  # the row must say that it is over; its text may hold data, the log has it
        kind = type(error).__name__
        _finish(carried, Ending(RunStatus.FAILED, "an error in Afterglow itself", error=kind))
        raise
    _finish(carried, ending)


def _interrupt(carried: Carried, defer: Callable[[Session, UUID, UUID], None]) -> None:
    """Do what a person wished, or leave the run to another process."""
    with organization_session(carried.organization_id) as session:
        run = rows.find(session, carried.run.id)
        if run.wish is None:
            defer(session, carried.organization_id, run.id)
            return
    reason = " ".join(filter(None, (run.stop_reason, carried.how_far())))
    if run.wish == "pause":
        _finish(carried, Ending(RunStatus.PAUSED, reason))
    else:
        _finish(carried, Ending(RunStatus.CANCELLED, reason, carried.so_far()))


def _finish(carried: Carried, ending: Ending) -> None:
    with organization_session(carried.organization_id) as session:
        left = ledger.on_their_way(session, carried.run.id)  # nobody will settle them any more
        ledger.lose(session, carried.run.id, [call.id for call in left])
        rows.finish(
            session,
            carried.run.id,
            ending.status,
            stop_reason=ending.stop_reason,
            result=ending.result,
            error=ending.error,
        )
