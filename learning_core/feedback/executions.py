"""Executions as agents report them, and agents at first sight."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import to_json
from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from learning_core.feedback import examples, exposures, rollup
from learning_core.feedback.entries import ExecutionEntry


class Status(StrEnum):
    """What became of an entry."""

    CREATED = "created"
    UPDATED = "updated"
    CONFLICT = "conflict"


class Outcome(NamedTuple):
    """What became of one entry: its key and its status."""

    key: str
    status: Status


def record(session: Session, entries: Sequence[ExecutionEntry]) -> list[Outcome]:
    """Store executions, or complete those already known, and link the feedback that came before them.

    An execution reported again fills what was missing and replaces what differs, except its agent (that is
    a conflict), its prompt version and its exposure, which stay what they were. One with an assignment counts
    for its user there.

    Returns:
        One outcome per entry, in order.
    """
    register_agents(session, {entry.agent_id for entry in entries})
    merged = _merged(entries)
    assigned = exposures.assigned(merged.values())
    may_have_crossed = bool(assigned) and exposures.place(session, assigned)
    statement = RECORD_EXPOSED if assigned else RECORD
    rows = session.execute(statement, {"entries": as_json_array(list(merged.values()))}).all()
    if may_have_crossed:
        exposures.cross(session, assigned)
    written = {row.key: Status.CREATED if row.is_new else Status.UPDATED for row in rows}
    if known_before := [row.id for row in rows if not row.is_new]:
        _link_earlier_feedback(session, known_before)
    return [
        Outcome(entry.execution_id, written.get(entry.execution_id, Status.CONFLICT))
        if entry.agent_id == merged[entry.execution_id].agent_id
        else Outcome(entry.execution_id, Status.CONFLICT)
        for entry in entries
    ]


def _merged(entries: Sequence[ExecutionEntry]) -> dict[str, ExecutionEntry]:
    """Put reports of the same execution together, as if each had come after the one before it."""
    merged: dict[str, ExecutionEntry] = {}
    for entry in entries:
        known = merged.setdefault(entry.execution_id, entry)
        if known is not entry and known.agent_id == entry.agent_id:
            told = {name: value for name, value in entry if value is not None}
            told["prompt_version"] = known.prompt_version or entry.prompt_version
            told["assignment"] = known.assignment or entry.assignment
            merged[entry.execution_id] = known.model_copy(update=told)
    return merged


def register_agents(session: Session, keys: set[str]) -> None:
    """Make sure that each agent named by a key exists."""
    known = set(
        session.execute(text("SELECT key FROM agents WHERE key = ANY(:keys)"), {"keys": list(keys)}).scalars()
    )
    if keys - known:
        session.execute(REGISTER_AGENTS, {"keys": sorted(keys - known)})


def as_json_array(entries: Sequence[BaseModel]) -> str:
    """Return entries as one JSON array, for a statement to unfold."""
    return to_json(entries).decode()


def _link_earlier_feedback(session: Session, execution_ids: list[UUID]) -> None:
    session.execute(LINK_FEEDBACK, {"executions": execution_ids})
    feedback = session.execute(
        text("SELECT id FROM agent_feedback WHERE execution_id = ANY(:executions)"),
        {"executions": execution_ids},
    )
    examples.derive(session, list(feedback.scalars()))


REGISTER_AGENTS = text("""
INSERT INTO agents (key)
SELECT key FROM unnest(CAST(:keys AS text[])) AS key ORDER BY key
ON CONFLICT (organization_id, key) DO NOTHING
""")


def _recording(exposure: str) -> TextClause:
    return text(f"""
WITH incoming AS (
    SELECT entry.*, agents.id AS agent, {exposure} AS exposure
    FROM jsonb_to_recordset(CAST(:entries AS jsonb)) AS entry (
        execution_id text, agent_id text, conversation_id text, input_text text, context text,
        output_text text, prompt_version text,
        user_id text, latency_ms float8, cost_usd numeric, error text, created_at timestamptz,
        assignment text, score float8
    )
    JOIN agents ON agents.key = entry.agent_id
),
written AS (
    INSERT INTO executions AS known (
        key, agent_id, conversation, prompt_version, user_id, input_text, context, output_text, error,
        latency_ms, cost_usd, created_at, reported_at, exposure_id, score
    )
    SELECT execution_id, agent, conversation_id, prompt_version, user_id, input_text, context, output_text,
           error, latency_ms, cost_usd, coalesce(created_at, now()), now(), exposure, score
    FROM incoming
    ORDER BY execution_id
    ON CONFLICT (organization_id, key) DO UPDATE SET
        prompt_version = coalesce(known.prompt_version, excluded.prompt_version),
        conversation = coalesce(excluded.conversation, known.conversation),
        user_id = coalesce(excluded.user_id, known.user_id),
        input_text = coalesce(excluded.input_text, known.input_text),
        context = coalesce(excluded.context, known.context),
        output_text = coalesce(excluded.output_text, known.output_text),
        error = coalesce(excluded.error, known.error),
        latency_ms = coalesce(excluded.latency_ms, known.latency_ms),
        cost_usd = coalesce(excluded.cost_usd, known.cost_usd),
        created_at = CASE WHEN known.reported_at IS NULL OR excluded.created_at <> excluded.reported_at
                          THEN excluded.created_at ELSE known.created_at END,
        reported_at = coalesce(known.reported_at, excluded.reported_at),
        exposure_id = coalesce(known.exposure_id, excluded.exposure_id),
        score = coalesce(excluded.score, known.score)
    WHERE known.agent_id = excluded.agent_id
    RETURNING old AS before, new AS after
),
{rollup.folded(rollup.EXECUTIONS)},
{exposures.folded(exposures.EXECUTIONS)}
SELECT (after).key AS key, (after).id AS id, (before).id IS NULL AS is_new FROM written
""")  # noqa: S608 - what is folded is made of constants


RECORD = _recording("CAST(NULL AS uuid)")
RECORD_EXPOSED = _recording(exposures.OF_ENTRY)

LINK_FEEDBACK = text(f"""
WITH written AS (
    UPDATE agent_feedback SET
        prompt_version = coalesce(executions.prompt_version, agent_feedback.prompt_version),
        exposure_id = executions.exposure_id
    FROM executions
    WHERE agent_feedback.execution_id = executions.id
      AND executions.id = ANY(:executions)
      AND (executions.prompt_version <> agent_feedback.prompt_version
           OR executions.exposure_id IS DISTINCT FROM agent_feedback.exposure_id)
    RETURNING old AS before, new AS after
),
{rollup.folded(rollup.FEEDBACK)},
{exposures.folded(exposures.FEEDBACK)}
SELECT count(*) FROM written
""")  # noqa: S608 - what is folded is made of constants
