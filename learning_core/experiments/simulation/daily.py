"""What each of an agent's users left on each of the last days, to simulate experiments with."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.errors import InvalidInput
from learning_core.experiments.metrics import METRICS, Metric
from learning_core.experiments.simulation.replay import Replay
from learning_core.schema import EXPOSURE_EXECUTION_COUNTERS, EXPOSURE_FEEDBACK_COUNTERS


def replay(
    session: Session,
    agent: str,
    metric: str,
    until: datetime,
    days: int = 28,
    *,
    effect: float = 0.0,
    treatment_share: float = 0.5,
) -> Replay:
    """Return what an agent's users left in the days before a moment, as a source of experiments.

    Days are counted from the beginning of that time, not from midnight.

    Args:
        session: Of the agent's organisation.
        agent: Its key.
        metric: Key of the metric.
        until: The end of the last day.
        days: How many.
        effect: What the treatment is to add to the metric, in its unit.
        treatment_share: Share (0-1) of the users who are to meet it.

    Raises:
        InvalidInput: nothing keeps the metric per user and day.
        NotEnoughData: hardly anybody left something.
    """
    if metric not in METRICS or metric == "slow_share":
        raise InvalidInput(f"No experiment can be simulated with {metric!r}.", field="metric")
    since = until - timedelta(days=days)
    rows = session.execute(
        text(_statement(METRICS[metric])), {"agent": agent, "since": since, "until": until}
    ).all()
    user, day, n, s = np.array([tuple(row) for row in rows], np.float64).reshape(-1, 4).T
    return Replay(metric, user.astype(np.int64), day.astype(np.int64), n, s, days, effect, treatment_share)


def _statement(metric: Metric) -> str:
    of_feedback = metric.n in EXPOSURE_FEEDBACK_COUNTERS
    counters = EXPOSURE_FEEDBACK_COUNTERS if of_feedback else EXPOSURE_EXECUTION_COUNTERS
    return (FEEDBACK if of_feedback else EXECUTIONS).format(n=counters[metric.n], s=counters[metric.s])


FEEDBACK = """
WITH said AS (
    SELECT agent_feedback.*, coalesce(executions.user_id, agent_feedback.user_id) AS of_user,
           floor(extract(epoch FROM agent_feedback.created_at - CAST(:since AS timestamptz)) / 86400) AS day
    FROM agent_feedback
    JOIN executions ON executions.id = execution_id
    JOIN agents ON agents.id = agent_feedback.agent_id
    WHERE agents.key = :agent AND withdrawn_at IS NULL
      AND agent_feedback.created_at >= :since AND agent_feedback.created_at < :until
),
daily AS (
    SELECT of_user, day, sum({n}) AS n, sum({s}) AS s
    FROM said WHERE of_user IS NOT NULL GROUP BY of_user, day
)
SELECT dense_rank() OVER (ORDER BY of_user) - 1 AS "user", day, n, s
FROM daily WHERE n > 0 ORDER BY "user", day
"""

EXECUTIONS = """
WITH answered AS (
    SELECT executions.*,
           floor(extract(epoch FROM executions.created_at - CAST(:since AS timestamptz)) / 86400) AS day
    FROM executions JOIN agents ON agents.id = executions.agent_id
    WHERE agents.key = :agent AND user_id IS NOT NULL
      AND executions.created_at >= :since AND executions.created_at < :until
),
daily AS (
    SELECT user_id, day, sum({n}) AS n, sum({s}) AS s FROM answered GROUP BY user_id, day
)
SELECT dense_rank() OVER (ORDER BY user_id) - 1 AS "user", day, n, s
FROM daily WHERE n > 0 ORDER BY "user", day
"""
