"""What was looked up a moment ago: which prompt an agent's users get, and what the prompts say.

Users are assigned by a hash, so one routing table per agent answers for all of them. It is read anew when it
is older than RENEWED_S, by one request while others go on with what is there, and never used when older than
KEPT_S: by then a rollback is in force in every process. What a prompt version says never changes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from learning_core.db import organization_session
from learning_core.prompts import history
from learning_core.prompts.history import Version
from learning_core.releases import routing
from learning_core.releases.routing import RoutingTable

RENEWED_S = 0.25
KEPT_S = 0.5
MOST_TABLES = 10_000
MOST_VERSIONS = 1_000


@dataclass
class _Read:
    table: RoutingTable
    at: float
    is_renewing: bool = False


_tables: dict[tuple[UUID, str], _Read] = {}
_versions: dict[tuple[UUID, UUID], Version] = {}


async def routing_table(organization_id: UUID, agent: str) -> RoutingTable:
    """Return the routing table of an agent, at most KEPT_S old.

    Raises:
        NotFound: the agent has no version in production.
    """
    begun, read = time.monotonic(), _tables.get((organization_id, agent))
    if read and begun - read.at < (KEPT_S if read.is_renewing else RENEWED_S):
        return read.table
    if read:
        read.is_renewing = True
    table = await run_in_threadpool(_read_table, organization_id, agent)
    if len(_tables) >= MOST_TABLES:
        _tables.clear()
    _tables[organization_id, agent] = _Read(table, begun)
    return table


def forget_routes(organization_id: UUID, agent: str) -> None:
    """Let the next request read an agent's routing table anew."""
    _tables.pop((organization_id, agent), None)


async def version(organization_id: UUID, version_id: UUID) -> Version:
    """Return a prompt version; its labels may have moved since.

    Raises:
        NotFound: there is none.
    """
    known = _versions.get((organization_id, version_id))
    if known is None:
        known = await run_in_threadpool(_read_version, organization_id, version_id)
        if len(_versions) >= MOST_VERSIONS:
            _versions.clear()
        _versions[organization_id, version_id] = known
    return known


def _read_table(organization_id: UUID, agent: str) -> RoutingTable:
    with organization_session(organization_id) as session:  # a replica may be late, and a rollback may not
        return routing.routing_table(session, agent)


def _read_version(organization_id: UUID, version_id: UUID) -> Version:
    with organization_session(organization_id) as session:
        return history.by_id(session, version_id)
