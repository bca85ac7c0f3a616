"""What an experiment's users had said in the weeks before it began; it takes noise out of the analysis."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.schema import EXPOSURE_FEEDBACK_COUNTERS, PRIOR_COUNTERS

BEFORE = timedelta(days=28)
"""How far back it counts. Nothing since the start does: the treatment may have changed it."""


def fill(session: Session, allocation_id: UUID, at: datetime) -> int:
    """Count what the users of an allocation had said of the agent in the weeks before it began.

    Each user is counted once, when first met here; those who had said nothing get zeros. A user whose
    exposure is being written at this moment waits for the next time.

    Returns:
        How many users were counted.
    """
    wish = {"allocation": allocation_id, "at": at, "before": BEFORE}
    return len(session.execute(FILL, wish).all())


FILL = text(f"""
WITH pending AS MATERIALIZED (
    SELECT exposures.id, user_id, agent_id, started_at
    FROM exposures JOIN allocations ON allocations.id = allocation_id
    WHERE allocation_id = :allocation AND history_at IS NULL
    FOR UPDATE OF exposures SKIP LOCKED
),
said AS (
    SELECT coalesce(executions.user_id, agent_feedback.user_id) AS user_id,
           {", ".join(f"sum({EXPOSURE_FEEDBACK_COUNTERS[name]}) AS {name}" for name in PRIOR_COUNTERS)}
    FROM agent_feedback
    JOIN executions ON executions.id = execution_id
    JOIN allocations ON allocations.agent_id = agent_feedback.agent_id
    WHERE allocations.id = :allocation AND withdrawn_at IS NULL
      AND agent_feedback.created_at >= started_at - CAST(:before AS interval)
      AND agent_feedback.created_at < started_at
      AND EXISTS (SELECT FROM pending)
    GROUP BY 1
)
UPDATE exposures
SET history_at = :at, {", ".join(f"prior_{name} = coalesce(said.{name}, 0)" for name in PRIOR_COUNTERS)}
FROM pending LEFT JOIN said ON said.user_id = pending.user_id
WHERE exposures.id = pending.id
RETURNING exposures.id
""")  # noqa: S608 - names and expressions are the schema's constants
