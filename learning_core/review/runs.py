"""Background runs of the review step: ranking what is new every minute, and everything every night."""

from __future__ import annotations

from itertools import islice
from uuid import UUID

from sqlalchemy import text

from learning_core import access
from learning_core.db import organization_session, reading_session, shared_session
from learning_core.jobs import defer, queue
from learning_core.review import likeness, priority

KNOWN = 20_000
"""How many of an agent's approved examples new ones are compared with, the newest."""

COMPARED = 2_000
"""How many examples are compared in one run."""


@queue.periodic(cron="* * * * *")
@queue.task(name="review.rank_new_of_all", queueing_lock="review.rank_new_of_all", pass_context=False)
def rank_new_of_all(timestamp: int) -> None:
    """Queue the ranking of every organisation that has examples not ranked yet."""
    with shared_session() as session:
        organizations = access.organizations(session)
    for organization in organizations:
        with organization_session(organization.id) as session:
            if session.execute(ANY_UNRANKED).scalar():
                defer(session, rank_new, organization_id=str(organization.id))


@queue.periodic(cron="25 3 * * *")
@queue.task(name="review.rank_anew_of_all", queueing_lock="review.rank_anew_of_all", pass_context=False)
def rank_anew_of_all(timestamp: int) -> None:
    """Queue the nightly ranking of every organisation: waiting and frequency have changed."""
    with shared_session() as session:
        for organization in access.organizations(session):
            defer(session, rank_anew, organization_id=str(organization.id))


@queue.task(name="review.rank_new")
def rank_new(organization_id: str) -> None:
    """Compare an organisation's new examples with its approved ones, and rank them."""
    measure_nearness(UUID(organization_id))
    ranked = None
    while ranked != 0:
        with organization_session(UUID(organization_id)) as session:
            ranked = priority.rank_new(session)


@queue.task(name="review.rank_anew")
def rank_anew(organization_id: str) -> None:
    """Rank anew all examples of an organisation that wait."""
    last: UUID | None = priority.BEGINNING
    while last:
        with organization_session(UUID(organization_id)) as session:
            last = priority.rank_anew(session, last).last


def measure_nearness(organization_id: UUID) -> None:
    """Note for unranked examples how near they are to what is approved for their agent."""
    with reading_session(organization_id) as session:
        new = session.execute(UNRANKED, {"limit": COMPARED}).all()
        agents = {row.agent_id for row in new}
        approved = {
            agent: list(session.execute(APPROVED, {"agent": agent, "limit": KNOWN}).scalars())
            for agent in agents
        }
    measured: list[dict[str, object]] = []
    for agent in agents:
        mine = [row for row in new if row.agent_id == agent]
        nearness = likeness.nearest([row.input_text for row in mine], approved[agent])
        measured += [{"id": row.id, "nearness": near} for row, near in zip(mine, nearness, strict=True)]
    rows = iter(sorted(measured, key=lambda row: str(row["id"])))
    while part := list(islice(rows, 500)):
        with organization_session(organization_id) as session:
            session.execute(NOTE, part)


ANY_UNRANKED = text("""
SELECT EXISTS (SELECT FROM learning_examples WHERE ranked_at IS NULL AND status = 'pending')
""")

UNRANKED = text("""
SELECT id, agent_id, coalesce(input_text, '') AS input_text FROM learning_examples
WHERE ranked_at IS NULL AND status = 'pending' ORDER BY id DESC LIMIT :limit
""")

APPROVED = text("""
SELECT input_text FROM learning_examples
WHERE status = 'approved' AND agent_id = :agent AND input_text IS NOT NULL ORDER BY id DESC LIMIT :limit
""")

NOTE = text("UPDATE learning_examples SET nearness = :nearness WHERE id = :id")
