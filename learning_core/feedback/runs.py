"""Background runs of the feedback step: the nightly proof that all counts equal the rows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from uuid import UUID

from sqlalchemy.orm import Session

from learning_core import access, throttle
from learning_core.access import Caller
from learning_core.db import organization_session, shared_session
from learning_core.feedback import exposures, rollup
from learning_core.jobs import defer, queue
from learning_core.schema import Role

log = logging.getLogger(__name__)


@queue.periodic(cron="17 2 * * *")
@queue.task(name="feedback.verify_all", queueing_lock="feedback.verify_all", pass_context=False)
def verify_all(timestamp: int) -> None:
    """Queue the verification of every organisation, and drop rate limits whose window is over."""
    with shared_session() as session:
        throttle.forget_expired(session)
        for organization in access.organizations(session):
            defer(session, verify, organization_id=str(organization.id))


@queue.task(name="feedback.verify")
def verify(organization_id: str) -> None:
    """Compare an organisation's counts with a recount; mend what differs and put it on record."""
    watchman = Caller(UUID(organization_id), "nightly verification", Role.ADMIN)
    for table, mend in MENDED.items():
        with organization_session(watchman.organization_id) as session:
            if wrong := mend(session):
                log.error("%s: %d rows of %s were wrong", organization_id, wrong, table)
                access.audit(session, watchman, "rollup.rebuilt", table, rows=wrong)


MENDED: dict[str, Callable[[Session], int]] = {
    **{each.table: partial(rollup.mend, roll_up=each) for each in (rollup.FEEDBACK, rollup.EXECUTIONS)},
    "agent_feedback": exposures.link,
    "exposures": exposures.mend,
}
"""Table -> what mends it and returns how many of its rows were wrong."""
