"""Background runs of the releases step: every half minute each release on its way checks itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from learning_core import access
from learning_core.db import organization_session, shared_session
from learning_core.experiments import allocations, prior
from learning_core.jobs import defer, queue
from learning_core.releases import queries, rollout
from learning_core.schema import AllocationKind

EVERY = timedelta(seconds=30)
USERS_A_SECOND = 2_000
"""A release with a million users is checked every eight minutes."""


@queue.periodic(cron="* * * * * */30")
@queue.task(name="releases.advance_all", queueing_lock="releases.advance_all", pass_context=False)
def advance_all(timestamp: int) -> None:
    """Queue the checks of every organisation that has releases on their way."""
    at = datetime.fromtimestamp(timestamp, UTC)
    with shared_session() as session:
        organizations = access.organizations(session)
    for organization in organizations:
        with organization_session(organization.id) as session:
            for release_id in due(queries.under_way(session), at):
                named = {"organization_id": str(organization.id), "release_id": str(release_id)}
                defer(session, advance, lock=f"release {release_id}", at=at.isoformat(), **named)


@queue.task(name="releases.advance")
def advance(organization_id: str, release_id: str, at: str) -> None:
    """Check a release and do what follows; one that fails is no matter of the others."""
    moment = datetime.fromisoformat(at)
    with organization_session(UUID(organization_id)) as session:
        canary = allocations.of_release(session, UUID(release_id), AllocationKind.CANARY)
        if canary is not None and is_time_for_history(moment):
            prior.fill(session, canary.id, moment)
    with organization_session(UUID(organization_id)) as session:
        rollout.advance(session, UUID(release_id), moment)


def due(releases: Sequence[Row[Any]], at: datetime) -> list[UUID]:
    """Return the releases that are to be checked now: each half a minute, those with very many users less
    often, as a check reads a row of each.
    """
    return [row.id for row in releases if row.checked_at is None or at - row.checked_at >= _pause(row.users)]


def _pause(users: int) -> timedelta:
    return timedelta(seconds=int(users) / USERS_A_SECOND)


def is_time_for_history(at: datetime) -> bool:
    """Return whether what new users did before is counted with this check: it reads weeks of feedback."""
    return at.minute == 0 and at.second < EVERY.seconds
