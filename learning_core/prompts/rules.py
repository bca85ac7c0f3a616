"""Correction rules: what corrections of the same kind come to, and which of them people stand behind."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from learning_core.prompts import evidence
from learning_core.schema import RuleStatus

LONGEST = 300
"""Characters of a rule: it is one sentence."""


class Statement(NamedTuple):
    """A rule that somebody or something came up with, and the corrections that it stems from."""

    text: str
    example_ids: tuple[UUID, ...] = ()


class CorrectionRule(NamedTuple):
    """A rule of an agent."""

    id: UUID
    statement: str
    status: RuleStatus
    example_ids: tuple[UUID, ...]
    proposed_by: str
    created_at: datetime
    decided_by: str | None
    decided_at: datetime | None


def propose(session: Session, agent: str, statements: Iterable[Statement], *, by: str) -> int:
    """Keep rules for people to decide about, and return how many are new.

    One that differs from a known rule in case, spaces and punctuation alone is known, even if it was
    dismissed.

    Raises:
        InvalidInput: a rule is empty, or no single line of at most 300 characters.
        NotFound: there is no such agent.
    """
    agent_id = session.execute(AGENT, {"agent": agent}).scalar()
    if agent_id is None:
        raise NotFound(f"There is no agent {agent!r}.")
    new = 0
    for statement in statements:
        given = {"agent": agent_id, "statement": _checked(statement.text), "by": by}
        new += len(session.execute(PROPOSE, given | {"examples": list(statement.example_ids)}).all())
    return new


def accept(session: Session, caller: Caller, rule_id: UUID) -> None:
    """Stand behind a rule: from now on it goes into proposed prompts.

    Raises:
        NotPermitted: the caller may neither review nor optimize.
        Conflict: it is gone, or was accepted already.
    """
    _decide(session, caller, rule_id, RuleStatus.ACCEPTED)


def dismiss(session: Session, caller: Caller, rule_id: UUID) -> None:
    """Decide against a rule, or take an accepted one back; it is not proposed again.

    Raises:
        NotPermitted: the caller may neither review nor optimize.
        Conflict: it is gone, or was dismissed already.
    """
    _decide(session, caller, rule_id, RuleStatus.DISMISSED)


def of_agent(session: Session, agent: str) -> list[CorrectionRule]:
    """Return an agent's rules: those that wait for a decision first, then the accepted, the newest first."""
    rows = session.execute(OF_AGENT, {"agent": agent})
    return [
        CorrectionRule(
            **{**row._mapping, "status": RuleStatus(row.status), "example_ids": tuple(row.example_ids)}
        )
        for row in rows
    ]


def accepted(session: Session, agent: str) -> tuple[evidence.Rule, ...]:
    """Return an agent's accepted rules as evidence, in the order in which they were accepted."""
    rows = session.execute(ACCEPTED, {"agent": agent})
    return tuple(evidence.Rule(str(row.id), row.statement, tuple(map(str, row.example_ids))) for row in rows)


def _decide(session: Session, caller: Caller, rule_id: UUID, status: RuleStatus) -> None:
    _require_either(caller, "review", "optimize")
    row = session.execute(DECIDE, {"id": rule_id, "status": status, "by": caller.name}).one_or_none()
    if row is None:
        raise Conflict(f"This rule is gone, or was {status} already.")
    access.audit(session, caller, f"rule.{status}", row.agent, rule=row.statement)


def _require_either(caller: Caller, *rights: str) -> None:
    """Experts know whether a rule is right, engineers whether it belongs into a prompt."""
    able = sorted(set().union(*(access.RIGHTS[right] for right in rights)))
    if caller.role not in able:
        raise NotPermitted(
            f"The role {caller.role} may not decide about rules; it takes one of: {', '.join(able)}."
        )


def _checked(statement: str) -> str:
    told = " ".join(statement.split())
    if not told or len(told) > LONGEST or "\0" in told:
        raise InvalidInput(f"A rule is one sentence of 1 to {LONGEST} characters.", field="statement")
    return told


AGENT = text("SELECT id FROM agents WHERE key = :agent")

PROPOSE = text(r"""
INSERT INTO correction_rules (agent_id, statement, example_ids, proposed_by)
SELECT :agent, :statement, CAST(:examples AS uuid[]), :by
WHERE NOT EXISTS (
    SELECT FROM correction_rules
    WHERE agent_id = :agent
      AND trim(regexp_replace(lower(statement), '\W+', ' ', 'g'))
        = trim(regexp_replace(lower(:statement), '\W+', ' ', 'g'))
)
ON CONFLICT (organization_id, agent_id, statement) DO NOTHING
RETURNING id
""")

DECIDE = text("""
UPDATE correction_rules AS rule SET status = :status, decided_by = :by, decided_at = now()
FROM agents AS agent
WHERE rule.id = :id AND agent.id = rule.agent_id AND status <> :status
RETURNING rule.statement, agent.key AS agent
""")

OF_AGENT = text("""
SELECT rule.id, statement, status, example_ids, proposed_by, rule.created_at, decided_by, decided_at
FROM correction_rules AS rule JOIN agents AS agent ON agent.id = agent_id
WHERE agent.key = :agent
ORDER BY array_position(ARRAY['proposed', 'accepted', 'dismissed'], status), rule.id DESC
""")

ACCEPTED = text("""
SELECT rule.id, statement, example_ids
FROM correction_rules AS rule JOIN agents AS agent ON agent.id = agent_id
WHERE agent.key = :agent AND status = 'accepted'
ORDER BY decided_at, rule.id
""")
