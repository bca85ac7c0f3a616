"""Questions about review: one function, one question, one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core.db import frame
from learning_core.review.consensus import Said
from learning_core.schema import OPEN, QUALITY_SCALES

if TYPE_CHECKING:
    import pandas as pd

VALUES = {
    "decision": "coalesce(preference, decision)",
    **{scale: scale for scale in QUALITY_SCALES},
    "difficulty": "difficulty",
}
"""What annotators can agree about -> what they said of it."""


class Progress(NamedTuple):
    """How many examples stand where: waiting, disputed, flagged, approved, rejected."""

    waiting: int
    disputed: int
    flagged: int
    approved: int
    rejected: int


def progress(session: Session) -> Progress:
    """Return how far review has come."""
    return Progress(*session.execute(PROGRESS).one())


class OwnProgress(NamedTuple):
    """How many decisions a reviewer has made today (UTC) and ever, and how many examples they skipped."""

    today: int
    ever: int
    skipped: int


def own_progress(session: Session, reviewer: str) -> OwnProgress:
    """Return how far one reviewer has come."""
    return OwnProgress(*session.execute(OWN_PROGRESS, {"me": reviewer}).one())


def by_reviewer(session: Session, days: int = 30) -> pd.DataFrame:
    """Return one row per reviewer of the last days: annotator (str), judgement_count, approved_count,
    corrected_count (int), approved_share, corrected_share (0-1, of the judgements), median_s (seconds per
    judgement, missing where unknown), last_at (UTC); the busiest first.
    """
    return frame(
        session,
        """
        SELECT annotator, count(*) AS judgement_count,
               count(*) FILTER (WHERE decision = 'approve') AS approved_count,
               count(*) FILTER (WHERE corrected_output IS NOT NULL) AS corrected_count,
               CAST(avg(CAST(decision = 'approve' AS int)) AS float8) AS approved_share,
               CAST(avg(CAST(corrected_output IS NOT NULL AS int)) AS float8) AS corrected_share,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms / 1000) AS median_s,
               max(created_at) AS last_at
        FROM expert_annotations
        WHERE decision IS NOT NULL AND undone_at IS NULL
          AND created_at > now() - make_interval(days => :days)
        GROUP BY annotator
        ORDER BY judgement_count DESC, annotator
        """,
        days=days,
    )


def choices(session: Session) -> dict[str, list[str]]:
    """Return what waiting examples can be filtered by: agent, domain, source; each by name.

    These are the ones that occur among the ten thousand most valuable.
    """
    row = session.execute(CHOICES).one()
    return {"agent": row.agents, "domain": row.domains, "source": row.sources}


def judgements(session: Session, value: str, agent: str | None, limit: int = 20_000) -> list[Said]:
    """Return what several independent annotators said of the same examples, the one judged last first.

    Args:
        session: The organisation's session.
        value: One of `VALUES`.
        agent: The agent's key; None means all.
        limit: How many of them, at most.
    """
    rows = session.execute(JUDGEMENTS[value], {"agent": agent, "limit": limit})
    return [Said(*row) for row in rows]


def disputed(session: Session, limit: int = 50) -> list[Row[Any]]:
    """Return disputed examples, the oldest first: id, agent, example_type, author, input_text, context,
    original_output, alternative_output, expected_output.
    """
    return list(session.execute(DISPUTED, {"limit": limit}))


def flagged(session: Session, limit: int = 50) -> list[Row[Any]]:
    """Return the oldest flagged examples: id, agent, input_text, original_output, expected_output,
    flag_reason, flagged_by.
    """
    return list(session.execute(FLAGGED, {"limit": limit}))


def gold_items(session: Session) -> pd.DataFrame:
    """Return the gold items: id, agent, input_text, gold_decision (str), judged_count (int); newest first."""
    return frame(
        session,
        """
        SELECT CAST(example.id AS text) AS id, agents.key AS agent, left(input_text, 300) AS input_text,
               gold_decision,
               (SELECT count(*) FROM expert_annotations
                WHERE example_id = example.id AND on_gold AND undone_at IS NULL) AS judged_count
        FROM learning_examples AS example JOIN agents ON agents.id = agent_id
        WHERE gold_decision IS NOT NULL
        ORDER BY example.id DESC LIMIT 200
        """,
    )


def example(session: Session, example_id: UUID) -> Row[Any] | None:
    """Return an example: all its columns, agent (key), and of its execution, missing where there is none, its
    key (execution), time (answered_at) and prompt_version; None where there is no such example.
    """
    return session.execute(EXAMPLE, {"id": example_id}).one_or_none()


def annotations_of(session: Session, example_id: UUID) -> list[Row[Any]]:
    """Return all annotations of an example, undone ones too, in the order in which they were given."""
    return list(session.execute(ANNOTATIONS, {"id": example_id}))


def feedback_of(session: Session, example_id: UUID) -> list[Row[Any]]:
    """Return the feedback an example came from: id, feedback_type, rating, issue_categories, feedback_text,
    correction_text, user_id, created_at.
    """
    return list(session.execute(FEEDBACK, {"id": example_id}))


def newest(session: Session, status: str, agent: str | None, limit: int = 100) -> pd.DataFrame:
    """Return the newest examples of a status: id, agent, example_type, input_text, output (str),
    quality (0-1, missing without approval), human_verified (bool), created_at (UTC).
    """
    return frame(
        session,
        """
        SELECT CAST(example.id AS text) AS id, agents.key AS agent, example_type,
               left(input_text, 400) AS input_text,
               left(coalesce(approved_output, expected_output), 400) AS output,
               quality_score AS quality, human_verified, example.created_at
        FROM learning_examples AS example JOIN agents ON agents.id = agent_id
        WHERE status = :status AND (CAST(:agent AS text) IS NULL OR agents.key = :agent)
        ORDER BY example.id DESC
        LIMIT :limit
        """,
        status=status,
        agent=agent,
        limit=limit,
    )


def demonstrations(session: Session, limit: int = 100) -> pd.DataFrame:
    """Return the newest demonstrations: id, agent, task, author (missing where unknown), status (str),
    step_count (int), created_at (UTC).
    """
    return frame(
        session,
        """
        SELECT CAST(example.id AS text) AS id, agents.key AS agent,
               left(coalesce(demonstration ->> 'task', input_text), 400) AS task, author, status,
               CASE jsonb_typeof(demonstration -> 'actions')
                   WHEN 'array' THEN jsonb_array_length(demonstration -> 'actions') ELSE 0
               END AS step_count,
               example.created_at
        FROM learning_examples AS example JOIN agents ON agents.id = agent_id
        WHERE example_type = 'demonstration'
        ORDER BY example.created_at DESC, example.id DESC
        LIMIT :limit
        """,
        limit=limit,
    )


def guidelines(session: Session) -> dict[str, str]:
    """Return the guidelines of agents that have some."""
    rows = session.execute(text("SELECT key, guidelines FROM agents WHERE guidelines IS NOT NULL LIMIT 500"))
    return {row.key: row.guidelines for row in rows}


PROGRESS = text("""
SELECT count(*) FILTER (WHERE status = ANY (ARRAY['pending', 'needs_revision'])) AS waiting,
       count(*) FILTER (WHERE status = 'disputed') AS disputed,
       count(*) FILTER (WHERE status = 'flagged') AS flagged,
       count(*) FILTER (WHERE status = 'approved') AS approved,
       count(*) FILTER (WHERE status = 'rejected') AS rejected
FROM learning_examples
""")

OWN_PROGRESS = text("""
SELECT count(*) FILTER (WHERE created_at >= date_trunc('day', now(), 'UTC')) AS today, count(*) AS ever,
       (SELECT count(*) FROM review_leases WHERE reviewer = :me AND leased_until IS NULL) AS skipped
FROM expert_annotations
WHERE annotator = :me AND decision IS NOT NULL AND undone_at IS NULL
""")

CHOICES = text(f"""
WITH foremost AS (
    SELECT agent_id, domain, source FROM learning_examples WHERE {OPEN}
    ORDER BY priority DESC, id LIMIT 10000
)
SELECT ARRAY(SELECT key FROM agents WHERE id IN (SELECT agent_id FROM foremost) ORDER BY key) AS agents,
       ARRAY(SELECT DISTINCT domain FROM foremost WHERE domain IS NOT NULL ORDER BY domain) AS domains,
       ARRAY(SELECT DISTINCT source FROM foremost ORDER BY source) AS sources
""")  # noqa: S608 - made of constants

JUDGEMENTS = {
    name: text(f"""
WITH placed AS (
    SELECT annotation.example_id, agent_id, annotator, {value} AS value, annotation.created_at, overlap,
           decision IS NULL AS is_remark,
           row_number() OVER (PARTITION BY annotation.example_id, decision IS NULL
                              ORDER BY annotation.created_at, annotation.id) AS place
    FROM expert_annotations AS annotation
    JOIN learning_examples AS example ON example.id = annotation.example_id
    WHERE undone_at IS NULL AND NOT on_gold AND (overlap > 1 OR decision IS NULL)
      AND (CAST(:agent AS text) IS NULL OR agent_id = (SELECT id FROM agents WHERE key = :agent))
),
latest AS (
    SELECT DISTINCT ON (example_id, annotator) * FROM placed
    WHERE value IS NOT NULL AND (is_remark OR place <= overlap)
    ORDER BY example_id, annotator, created_at DESC
),
compared AS (
    SELECT *, count(*) OVER item AS value_count, max(created_at) OVER item AS last_at
    FROM latest WINDOW item AS (PARTITION BY example_id)
)
SELECT annotator, CAST(example_id AS text) AS item, value, agents.key AS agent,
       CAST(date_trunc('month', compared.created_at, 'UTC') AS date) AS month
FROM compared JOIN agents ON agents.id = agent_id
WHERE value_count > 1
ORDER BY last_at DESC, example_id, annotator
LIMIT :limit
""")  # noqa: S608 - the value is one of a constant
    for name, value in VALUES.items()
}
"""Judgements given blind to each other: the first ones of an example, as many as were asked for at once. A
remark may come on top of a judgement; the later of the two counts."""

DISPUTED = text("""
SELECT example.id, agents.key AS agent, example_type, author, input_text, context, original_output,
       alternative_output, expected_output
FROM learning_examples AS example JOIN agents ON agents.id = agent_id
WHERE status = 'disputed' ORDER BY example.id LIMIT :limit
""")

FLAGGED = text("""
SELECT example.id, agents.key AS agent, input_text, original_output, expected_output, flag_reason, flagged_by
FROM learning_examples AS example JOIN agents ON agents.id = agent_id
WHERE status = 'flagged' ORDER BY example.id LIMIT :limit
""")

EXAMPLE = text("""
SELECT example.*, agents.key AS agent, executions.key AS execution, executions.created_at AS answered_at,
       executions.prompt_version
FROM learning_examples AS example
JOIN agents ON agents.id = example.agent_id
LEFT JOIN agent_feedback AS feedback ON feedback.id = feedback_id
LEFT JOIN executions ON executions.id = feedback.execution_id
WHERE example.id = :id
""")

ANNOTATIONS = text("""
SELECT * FROM expert_annotations WHERE example_id = :id ORDER BY created_at, id
""")

FEEDBACK = text("""
SELECT other.id, other.feedback_type, other.rating, other.issue_categories, other.feedback_text,
       other.correction_text, other.user_id, other.created_at
FROM learning_examples AS example
JOIN agent_feedback AS mine ON mine.id = example.feedback_id
JOIN agent_feedback AS other USING (execution_id)
WHERE example.id = :id AND other.withdrawn_at IS NULL
ORDER BY other.created_at, other.id
""")
