"""What is known of an allocation's users: the sums per phase, variant and metric that an analysis needs.

Exposures hold one row per user, kept by the write path, so that the answer takes as long as there are users,
however much each of them did.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core.experiments.analysis import Observation, Traffic
from learning_core.experiments.metrics import METRICS, Metric
from learning_core.experiments.statistics.moments import Moments
from learning_core.experiments.statistics.planning import DEFAULT_ICC


class Segment(StrEnum):
    """By what users are told apart, for a look that explores and decides nothing."""

    HISTORY = "history"
    WEEK = "week"


def observe(
    session: Session,
    allocation_id: UUID,
    *,
    icc: float = DEFAULT_ICC,
    weighted: bool = False,
    prior: bool = False,
) -> tuple[list[Observation], Traffic]:
    """Return the sums of each phase, variant and metric over an allocation's users, and how many users came.

    A user who was seen in two variants is left out of every sum and counted as crossed. With n_i observations
    that add up to s_i, a user counts with the weight w_i = 1, or where users are weighted

        w_i = 1 / (1 + (n_i - 1) icc),

    which is best for users whose observations correlate by icc. What is known of a user from before is the
    deviation of their mean from that of all users of the allocation, mu, shrunken by how little it rests on,

        x_i = (prior_s_i - mu prior_n_i) / (prior_n_i + (1 - icc) / icc),

    the best linear predictor of a user's effect; 0 where nothing is known. It enters as c_i = w_i n_i x_i.

    Args:
        session: Of the allocation's organisation.
        allocation_id: Of an experiment, or of a release's stage.
        icc: How alike the observations of one user are (intra-class correlation, 0-1).
        weighted: Whether users are weighted as above.
        prior: Whether what is known from before counts; else each c_i is 0.
    """
    rows = session.execute(OBSERVE, _wish(allocation_id, icc, weighted, prior))
    return [_observation(row) for row in rows], traffic(session, allocation_id)


def observe_segments(
    session: Session,
    allocation_id: UUID,
    segment: Segment,
    *,
    icc: float = DEFAULT_ICC,
    weighted: bool = False,
) -> dict[str, list[Observation]]:
    """Return the same sums for each kind of user: "new" and "returning" ones (who had given feedback in the
    weeks before), or those who came in each week since the start ("1", "2", ...).
    """
    wish = _wish(allocation_id, icc, weighted, prior=False)
    rows = session.execute(OBSERVE_SEGMENTS[segment], wish)
    return {
        kind: [_observation(row) for row in of_kind]
        for kind, of_kind in groupby(rows, key=lambda row: str(row.segment))
    }


def traffic(session: Session, allocation_id: UUID) -> Traffic:
    """Return how many users came to each variant in each phase, crossed ones apart, and the first moment."""
    rows = session.execute(TRAFFIC, {"allocation": allocation_id}).all()
    users: dict[int, dict[str, int]] = {row.phase: {} for row in rows}
    for row in rows:
        if row.variant is not None:
            users[row.phase][row.variant] = row.users
    return Traffic(
        users=users,
        ramps={row.phase: row.ramp for row in rows},
        crossed=sum(row.crossed for row in rows),
        first_at=min((row.first_at for row in rows if row.first_at), default=None),
    )


def _wish(allocation_id: UUID, icc: float, weighted: bool, prior: bool) -> dict[str, Any]:
    return {
        "allocation": allocation_id,
        "weight_icc": icc if weighted else 0.0,
        "shrinkage": (1 - icc) / icc if prior and icc > 0 else None,
    }


def _observation(row: Row[Any]) -> Observation:
    return Observation(
        phase=row.phase,
        variant=row.variant,
        metric=row.metric,
        moments=Moments(*(float(getattr(row, name)) for name in Moments._fields)),
    )


def _measured(metric: Metric, kind: str) -> str:
    """Return the SELECT of what each user counts for in one metric, and of what was known before."""
    before = "0"
    if metric.prior_n:
        before = f"({metric.prior_s} - known.{metric.key} * {metric.prior_n})"
        before += f" / nullif({metric.prior_n} + CAST(:shrinkage AS float8), 0)"
    return f"""
    SELECT {kind}phase, variant, '{metric.key}' AS metric, CAST({metric.n} AS float8) AS observations,
           CAST({metric.s} AS float8) AS s, coalesce({before}, 0) AS x
    FROM seen, known WHERE {metric.n} > 0"""  # noqa: S608 - names of columns, all constants


def _known(metric: Metric) -> str:
    """Return the mean of a metric over all users before the start, NULL where nothing is known."""
    before = f"sum({metric.prior_s}) / nullif(sum({metric.prior_n}), 0)" if metric.prior_n else "NULL"
    return f"CAST({before} AS float8) AS {metric.key}"


def _statement(segment: str | None = None) -> str:
    """Return the statement that adds up; with an expression that tells users apart, for each kind of them.

    One SELECT per metric reads the users again and is four times as quick as making a row of each metric of
    each user: 100,000 users take less than a second.
    """
    kind = "segment, " if segment else ""
    told_apart = f", {segment} AS segment" if segment else ""
    return f"""
WITH seen AS NOT MATERIALIZED (
    SELECT exposures.*{told_apart} FROM exposures WHERE allocation_id = :allocation AND NOT crossed
),
known AS MATERIALIZED (
    SELECT {", ".join(map(_known, METRICS.values()))} FROM seen
),
measured AS ({" UNION ALL ".join(_measured(metric, kind) for metric in METRICS.values())}
),
weighted AS (
    SELECT {kind}phase, variant, metric, observations, w * observations AS n, w * s AS s,
           w * observations * x AS c
    FROM measured CROSS JOIN LATERAL (
        SELECT 1 / (1 + (observations - 1) * CAST(:weight_icc AS float8)) AS w
    ) AS weight
)
SELECT {kind}phase, variant, metric, count(*) AS users, sum(n) AS n, sum(s) AS s,
       sum(n * n) AS nn, sum(n * s) AS ns, sum(s * s) AS ss,
       sum(c) AS c, sum(c * c) AS cc, sum(c * n) AS cn, sum(c * s) AS cs, sum(observations) AS observations
FROM weighted
GROUP BY {kind}phase, variant, metric
ORDER BY {kind}phase, variant, metric
"""  # noqa: S608 - names of columns, all constants


OBSERVE = text(_statement())

OBSERVE_SEGMENTS = {
    Segment.HISTORY: text(_statement("CASE WHEN prior_feedback_count > 0 THEN 'returning' ELSE 'new' END")),
    Segment.WEEK: text(
        _statement("""
            CAST(floor(extract(epoch FROM first_at - (
                SELECT started_at FROM allocations WHERE id = :allocation
            )) / 604800) AS int) + 1
        """)
    ),
}

TRAFFIC = text("""
SELECT phase.number AS phase, phase.ramp, came.variant, came.users,
       coalesce(came.crossed, 0) AS crossed, came.first_at
FROM allocation_phases AS phase
LEFT JOIN (
    SELECT phase, variant, count(*) FILTER (WHERE NOT crossed) AS users,
           count(*) FILTER (WHERE crossed) AS crossed, min(first_at) AS first_at
    FROM exposures WHERE allocation_id = :allocation
    GROUP BY phase, variant
) AS came ON came.phase = phase.number
WHERE phase.allocation_id = :allocation
ORDER BY phase.number, came.variant
""")
