"""How an agent's answers are scored, as immutable versions in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.datasets.content import DatasetExample
from learning_core.errors import NotFound
from learning_core.evaluation.checks import Evaluator, suggest
from learning_core.llm.requests import Model
from learning_core.schema import ModelRole


class Version(NamedTuple):
    """A version of an agent's evaluator as it was saved."""

    id: UUID
    agent: str
    number: int
    evaluator: Evaluator
    created_by: str
    created_at: datetime


def save(session: Session, caller: Caller, agent: str, evaluator: Evaluator) -> Version:
    """Save an evaluator as the agent's newest version; the newest one again where it is the same.

    Raises:
        NotPermitted: the caller's role may not optimize.
        NotFound: there is no such agent.
    """
    access.require(caller, "optimize")
    session.execute(LOCK, {"name": f"evaluator {agent}"})
    last = newest(session, agent)
    if last and last.evaluator.told() == evaluator.told():
        return last
    told = evaluator.told()
    row = session.execute(
        SAVE,
        {
            "agent": agent,
            "checks": to_json(told["checks"]).decode(),
            "gate": to_json(told["gate"]).decode(),
            "by": caller.name,
        },
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no agent {agent!r}.")
    access.audit(session, caller, "evaluator.saved", f"{agent} v{row.number}", checks=told["checks"])
    return find(session, row.id)


def newest(session: Session, agent: str) -> Version | None:
    """Return the newest version of an agent's evaluator, None where none was saved."""
    row = session.execute(NEWEST, {"agent": agent}).one_or_none()
    return _version(row) if row else None


def find(session: Session, evaluator_id: UUID) -> Version:
    """Return a version.

    Raises:
        NotFound: there is none of that id.
    """
    row = session.execute(FIND, {"id": evaluator_id}).one_or_none()
    if row is None:
        raise NotFound("There is no such evaluator.")
    return _version(row)


def versions(session: Session, agent: str) -> list[Version]:
    """Return the versions of an agent's evaluator, the newest first."""
    return [_version(row) for row in session.execute(VERSIONS, {"agent": agent})]


def suggested(
    examples: Sequence[DatasetExample], models: Mapping[ModelRole, Model] = MappingProxyType({})
) -> Evaluator:
    """Return an evaluator that suits examples and the models there are, by role; nothing is saved.

    A model that would judge its own answers is no judge.

    Raises:
        NotEnoughData: there is no example.
    """
    itself = models.get(ModelRole.TASK)
    return suggest(examples, [role for role, model in models.items() if model != itself])


def newest_or_suggested(
    session: Session,
    caller: Caller,
    agent: str,
    examples: Sequence[DatasetExample],
    models: Mapping[ModelRole, Model],
) -> Version:
    """Return the newest version, or else save what is suggested, so that a run can name what it used.

    Raises:
        NotPermitted: the caller's role may not optimize.
        NotEnoughData: none was saved, and there is no example.
    """
    return newest(session, agent) or save(session, caller, agent, suggested(examples, models))


def _version(row: Row[Any]) -> Version:
    evaluator = Evaluator.parse({"checks": row.checks, "gate": row.gate})
    return Version(row.id, row.agent, row.number, evaluator, row.created_by, row.created_at)


COLUMNS = """
SELECT evaluator.id, agents.key AS agent, evaluator.number, evaluator.checks, evaluator.gate,
       evaluator.created_by, evaluator.created_at
FROM evaluators AS evaluator JOIN agents ON agents.id = evaluator.agent_id
"""

LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")

SAVE = text("""
INSERT INTO evaluators (agent_id, number, checks, gate, created_by)
SELECT agents.id, coalesce(max(evaluators.number), 0) + 1, CAST(:checks AS jsonb), CAST(:gate AS jsonb), :by
FROM agents LEFT JOIN evaluators ON evaluators.agent_id = agents.id
WHERE agents.key = :agent
GROUP BY agents.id
RETURNING id, number
""")

FIND = text(f"{COLUMNS} WHERE evaluator.id = :id")

NEWEST = text(f"{COLUMNS} WHERE agents.key = :agent ORDER BY evaluator.number DESC LIMIT 1")

VERSIONS = text(f"{COLUMNS} WHERE agents.key = :agent ORDER BY evaluator.number DESC LIMIT 200")
