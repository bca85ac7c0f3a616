"""What pages of releases read, kept for a minute; `frames` keeps all the rest.

As there, the organisation comes first in every signature and is part of every key. A release under way is
read as it is now.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from learning_core.db import reading_session
from learning_core.errors import NotFound
from learning_core.releases import ledger, queries, starting
from learning_core.releases.ledger import Entry, Shipped
from learning_core.releases.queries import Found
from learning_core.releases.stages import Policy
from pages.components.frames import for_a_minute


@for_a_minute
def latest_releases(organization_id: UUID, limit: int) -> list[Entry]:
    """Return the releases that reached users last, with their effect."""
    with reading_session(organization_id) as session:
        return ledger.entries(session, limit=limit)


@for_a_minute
def shipped(organization_id: UUID, example_id: UUID) -> list[Shipped]:
    """Return the releases that learnt from an example, oldest first."""
    with reading_session(organization_id) as session:
        return ledger.of_example(session, example_id)


@for_a_minute
def effect(organization_id: UUID, release_id: UUID) -> Entry | None:
    """Return a release with its effect, None where it has not reached anybody."""
    try:
        with reading_session(organization_id) as session:
            return ledger.entry(session, release_id)
    except NotFound:
        return None


@for_a_minute
def chain(organization_id: UUID, release_id: UUID) -> Any:
    """Return what a release was made from."""
    with reading_session(organization_id) as session:
        return ledger.chain(session, release_id)


@for_a_minute
def effects(organization_id: UUID, agent: str | None) -> list[Entry]:
    """Return the releases of an agent, or of all, with their effect."""
    with reading_session(organization_id) as session:
        return ledger.entries(session, agent)


@for_a_minute
def usual_policy(organization_id: UUID, agent: str) -> Policy:
    """Return the rules that a release of an agent follows unless somebody changes them."""
    with reading_session(organization_id) as session:
        return starting.usual_policy(session, agent, datetime.now(UTC))


def releases(organization_id: UUID, agent: str | None) -> list[Found]:
    """Return the releases of an agent, or of all, as they are now, newest first."""
    with reading_session(organization_id) as session:
        return queries.releases(session, agent)


def release(organization_id: UUID, release_id: UUID) -> Found | None:
    """Return a release as it is now, None where there is none."""
    try:
        with reading_session(organization_id) as session:
            return queries.find(session, release_id)
    except NotFound:
        return None


def current(organization_id: UUID) -> list[Any]:
    """Return what each agent has in production now."""
    with reading_session(organization_id) as session:
        return queries.current(session)


def release_events(organization_id: UUID, release_id: UUID) -> list[Any]:
    """Return what happened to a release, as it is now."""
    with reading_session(organization_id) as session:
        return queries.history(session, release_id)
