"""Background runs of the datasets step: the weekly proposal of next versions."""

from __future__ import annotations

from uuid import UUID

from learning_core import access
from learning_core.datasets import proposals
from learning_core.db import organization_session, shared_session
from learning_core.jobs import defer, queue


@queue.periodic(cron="40 4 * * 1")
@queue.task(name="datasets.propose_all", queueing_lock="datasets.propose_all", pass_context=False)
def propose_all(timestamp: int) -> None:
    """Queue the weekly look at the datasets of every organisation."""
    with shared_session() as session:
        for organization in access.organizations(session):
            defer(session, propose, organization_id=str(organization.id))


@queue.task(name="datasets.propose")
def propose(organization_id: str) -> None:
    """Propose next versions of an organisation's datasets."""
    with organization_session(UUID(organization_id)) as session:
        proposals.propose(session)
