"""The demo as an organisation of its own, marked as simulated wherever it is seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

from learning_core import access
from learning_core.access import Caller
from learning_core.db import shared_session
from learning_core.demo.releasing import release
from learning_core.demo.reviewing import review
from learning_core.demo.story import DAYS, tell
from learning_core.demo.wordings import save_prompts
from learning_core.feedback.collect import collect
from learning_core.feedback.executions import record
from learning_core.jobs import defer
from learning_core.schema import Organization, Role


def create_demo(name: str = "Demo", seed: int = 7) -> Organization:
    """Create an organisation and let the simulated story happen in it, all in one transaction.

    What the firm's experts made of it follows in a worker, and what the firm tries out and ships.

    Raises:
        Conflict: there is an organisation of that name.
    """
    with shared_session() as session:
        organization = access.create_organization(session, name, simulated=True)
        now = datetime.now(UTC)
        save_prompts(session, Caller(organization.id, "demo", Role.ADMIN), now - timedelta(days=DAYS))
        story = tell(now, seed)
        while part := list(islice(story, 1_000)):
            record(session, [execution for execution, _ in part])
            collect(session, [entry for _, reactions in part for entry in reactions], "demo")
        for task in (review, release):
            defer(session, task, organization_id=str(organization.id), seed=str(seed))
    return organization
