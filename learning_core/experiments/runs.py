"""Background runs of the experiments step: the hourly look at each running experiment."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from learning_core import access
from learning_core.db import organization_session, shared_session
from learning_core.errors import Conflict
from learning_core.experiments import allocations, looks, prior, queries
from learning_core.jobs import defer, queue


@queue.periodic(cron="5 * * * *")
@queue.task(name="experiments.look_all", queueing_lock="experiments.look_all", pass_context=False)
def look_all(timestamp: int) -> None:
    """Queue the hourly look at the experiments of every organisation."""
    at = datetime.fromtimestamp(timestamp, UTC).isoformat()
    with shared_session() as session:
        for organization in access.organizations(session):
            defer(session, look_organization, organization_id=str(organization.id), at=at)


@queue.task(name="experiments.look_organization")
def look_organization(organization_id: str, at: str) -> None:
    """Queue a look at each running experiment: one that fails is no matter of the others."""
    with organization_session(UUID(organization_id)) as session:
        for experiment_id in queries.running(session):
            named = {"organization_id": organization_id, "experiment_id": str(experiment_id), "at": at}
            defer(session, look, lock=f"experiment {experiment_id}", **named)


@queue.task(name="experiments.look")
def look(organization_id: str, experiment_id: str, at: str) -> None:
    """Look at an experiment, unless it has ended or been paused meanwhile."""
    moment = datetime.fromisoformat(at)
    with organization_session(UUID(organization_id)) as session:
        allocated = allocations.of_experiment(session, UUID(experiment_id))
        if allocated is not None:  # on its own, so that nobody's feedback waits for the analysis
            prior.fill(session, allocated.id, moment)
    ended_meanwhile = suppress(Conflict)
    with ended_meanwhile, organization_session(UUID(organization_id)) as session:
        looks.take(session, UUID(experiment_id), moment)
