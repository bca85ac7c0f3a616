"""Background runs of the ledger: what became of each release, measured daily and after each step of it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from learning_core import access
from learning_core.db import organization_session, shared_session
from learning_core.jobs import defer, queue
from learning_core.releases import measurement


def measure_soon(session: Session, organization_id: UUID, release_id: UUID) -> None:
    """Have a release measured once the transaction at hand is through."""
    arguments = {"organization_id": str(organization_id), "release_id": str(release_id)}
    defer(session, measure, lock=f"impact of {release_id}", **arguments)


@queue.task(name="releases.measure")
def measure(organization_id: str, release_id: str) -> None:
    """Measure what became of one release."""
    with organization_session(UUID(organization_id)) as session:
        measurement.measure(session, UUID(release_id), datetime.now(UTC))


@queue.periodic(cron="50 3 * * *")
@queue.task(name="releases.measure_all", queueing_lock="releases.measure_all", pass_context=False)
def measure_all(timestamp: int) -> None:
    """Queue the daily measurement of every organisation's releases."""
    with shared_session() as session:
        for organization in access.organizations(session):
            defer(session, measure_organization, organization_id=str(organization.id))


@queue.task(name="releases.measure_organization")
def measure_organization(organization_id: str) -> None:
    """Queue the measurement of each release whose effect may have changed."""
    with organization_session(UUID(organization_id)) as session:
        for release_id in measurement.worth_measuring(session, datetime.now(UTC)):
            measure_soon(session, UUID(organization_id), release_id)
