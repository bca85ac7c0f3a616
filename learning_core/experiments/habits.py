"""How an agent's users react, counted over the last weeks: what a plan of an experiment starts from."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.errors import NotEnoughData, NotFound
from learning_core.experiments.metrics import METRICS, Metric
from learning_core.experiments.statistics import planning
from learning_core.experiments.statistics.planning import Raters
from learning_core.experiments.statistics.power import Plan, Traffic
from learning_core.schema import EXPOSURE_EXECUTION_COUNTERS, EXPOSURE_FEEDBACK_COUNTERS

SEEN_DAYS = 28
"""How far back is counted: about as long as an experiment runs, and whole weeks."""


class Habits(NamedTuple):
    """How often and how an agent's users gave a metric something to count.

    Attributes:
        days: Over how many days it was counted.
        users: How many users there were in that time.
        observations: What there was to count: ratings, thumbs, answers.
        raters: How alike those of one user are, and their mean; None with too few to tell.
    """

    days: int
    users: int
    observations: int
    raters: Raters | None


def habits(session: Session, agent_id: UUID, metric: str, until: datetime) -> Habits:
    """Count how an agent's users gave a metric something to count in the weeks before a moment."""
    since = until - timedelta(days=SEEN_DAYS)
    wish = {"agent": agent_id, "since": since, "until": until}
    users = session.execute(USERS, wish).scalar_one()
    measured = METRICS[metric]
    if measured.key == "slow_share":
        return Habits(SEEN_DAYS, users, 0, None)
    rows = session.execute(text(_statement(measured)), wish).all()
    n, s, ss = ([float(row[place]) for row in rows] for place in range(3))
    return Habits(SEEN_DAYS, users, int(sum(n)), _raters(n, s, ss))


def habits_of(session: Session, agent: str, metric: str, until: datetime) -> Habits:
    """Count the same for an agent by its key.

    Raises:
        NotFound: there is no such agent.
    """
    found = session.execute(AGENT, {"agent": agent}).scalar_one_or_none()
    if found is None:
        raise NotFound("There is no such agent.")
    return habits(session, found, metric, until)


AGENT = text("SELECT id FROM agents WHERE key = :agent")


def _raters(n: list[float], s: list[float], ss: list[float]) -> Raters | None:
    try:
        return planning.raters(n, s, ss)
    except NotEnoughData:
        return None


def _statement(metric: Metric) -> str:
    """Return the statement with one row per user: what there was to count, its sum, its squares."""
    of_feedback = metric.n in EXPOSURE_FEEDBACK_COUNTERS
    counters = EXPOSURE_FEEDBACK_COUNTERS if of_feedback else EXPOSURE_EXECUTION_COUNTERS
    n, s = counters[metric.n], counters[metric.s]
    counted = f"sum({n}) AS n, sum({s}) AS s, sum(power(CAST({s} AS float8), 2)) AS ss"
    return (FEEDBACK if of_feedback else EXECUTIONS).format(counted=counted)


FEEDBACK = """
SELECT {counted}
FROM (
    SELECT agent_feedback.*, coalesce(executions.user_id, agent_feedback.user_id) AS of_user
    FROM agent_feedback JOIN executions ON executions.id = execution_id
    WHERE agent_feedback.agent_id = :agent AND withdrawn_at IS NULL
      AND agent_feedback.created_at >= :since AND agent_feedback.created_at < :until
) AS said
WHERE of_user IS NOT NULL
GROUP BY of_user
"""

EXECUTIONS = """
SELECT {counted}
FROM executions
WHERE agent_id = :agent AND user_id IS NOT NULL AND created_at >= :since AND created_at < :until
GROUP BY user_id
"""

USERS = text("""
SELECT count(DISTINCT user_id) FROM executions
WHERE agent_id = :agent AND created_at >= :since AND created_at < :until
""")


def plan_of(
    found: Habits,
    effect: float,
    *,
    treatment_share: float = 0.5,
    traffic: float = 1.0,
    is_share: bool = False,
) -> Plan | None:
    """Return what an experiment on such users could show; None where too little is known of them.

    Args:
        found: How they react.
        effect: What the treatment is to add, in the metric's unit.
        treatment_share: Share (0-1) of the users in the experiment who meet the treatment.
        traffic: Share (0-1) of the agent's users in the experiment.
        is_share: Whether the metric is a share, whose spread follows from its mean.
    """
    raters = found.raters
    if raters is None:
        return None
    per_day = traffic / found.days
    return Plan(
        Traffic(
            ratings_per_day=found.observations * per_day,
            raters_per_day=raters.raters * per_day,
            ratings_per_rater=raters.ratings_per_rater,
            spread=raters.spread,
            icc=min(max(raters.icc, 0.0), MOST_ALIKE),
            treatment_share=treatment_share,
        ),
        base=raters.mean,
        effect=effect,
        sd=None if is_share else raters.sd,
    )


MOST_ALIKE = 0.95
