"""Questions about experiments: one function, one question, one literal SQL statement."""

from __future__ import annotations

from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core.db import frame
from learning_core.errors import NotFound
from learning_core.experiments import observation
from learning_core.experiments.analysis import (
    CONTROL,
    DESIGN,
    Design,
    Look,
    Observation,
    Verdict,
)
from learning_core.experiments.guardrails import GuardrailResult, Report
from learning_core.experiments.looks import read
from learning_core.experiments.observation import Segment
from learning_core.experiments.statistics import moments
from learning_core.schema import ExperimentDecision, ExperimentStatus

if TYPE_CHECKING:
    import pandas as pd


MOST_LOOKS = 400
"""A line of so many points is as smooth as a screen; a look an hour makes more in three weeks."""


class Found(NamedTuple):
    """An experiment as it stands; times are UTC.

    Attributes:
        agent: The agent's key.
        run_id: The optimization that the treatment came from.
        verdict: What the data said first, which never changes.
        decision: What was done about it, with who and why; of a cancelled one only who and why.
        allocation_id: Which users meet what; None before the start.
        ramp: The part (0-1] of the experiment's users who meet a variant now.
        look: The last analysis.
        reports: What the guardrails said then of each treatment.
    """

    id: UUID
    agent: str
    agent_id: UUID
    name: str
    hypothesis: str
    status: ExperimentStatus
    design: Design
    run_id: UUID | None
    created_by: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    verdict: Verdict | None
    decided_at: datetime | None
    decision: ExperimentDecision | None
    decision_by: str | None
    decision_reason: str | None
    allocation_id: UUID | None
    ramp: float | None
    look: Look | None
    reports: dict[str, Report]

    @property
    def guardrails(self) -> tuple[GuardrailResult, ...]:
        """What the guardrails said at the last look; with several treatments, one after the other."""
        return tuple(result for report in self.reports.values() for result in report.items)


class Part(NamedTuple):
    """The primary metric of one kind of users, treatment less control; None where it cannot be estimated.

    Attributes:
        words: Which users, and with several treatments which.
        kind: "new", "returning", or the week in which they came: "1", "2", ...
        variant: The treatment.
        difference: In the metric's unit.
        low: Lower end of the interval of this one look (95 %).
        high: Its upper end.
        n: Observations of both variants.
        users: Users of both who gave one.
    """

    words: str
    kind: str
    variant: str
    difference: float | None
    low: float | None
    high: float | None
    n: int
    users: int


def experiments(session: Session, agent: str | None = None, limit: int = 200) -> list[Found]:
    """Return the experiments of one agent or of all, each with its last look: those under way first, then
    drafts, then the others; the newest first.
    """
    rows = session.execute(EXPERIMENTS, {"agent": agent, "limit": limit})
    return [_found(row) for row in rows]


def find(session: Session, experiment_id: UUID) -> Found:
    """Return an experiment with its last look.

    Raises:
        NotFound: there is none of that id.
    """
    row = session.execute(FIND, {"id": experiment_id}).one_or_none()
    if row is None:
        raise NotFound("There is no such experiment.")
    return _found(row)


def looks(session: Session, experiment_id: UUID, most: int = MOST_LOOKS) -> list[Look]:
    """Return the looks at an experiment, the first one first: all, or about so many that lie evenly spread,
    among them the first, the last and the one that decided.
    """
    found = session.execute(LOOKS, {"experiment": experiment_id, "most": most}).scalars()
    return [read(result).look for result in found]


def running(session: Session, agent: str | None = None) -> list[UUID]:
    """Return the ids of the experiments that users meet now, of one agent or of all, the oldest first."""
    return list(session.execute(RUNNING, {"agent": agent}).scalars())


def traffic(session: Session, experiment_id: UUID) -> pd.DataFrame:
    """Return who came, one row per phase and variant: phase (int, from 1), ramp (0-1), since (UTC), variant,
    version (str), share (0-1), users (int, met this variant first), crossed (int, of these seen in another
    one too), execution_count, error_count, feedback_count, rating_count, thumbs_count (int, of those who did
    not cross); by phase, the control last.
    """
    return frame(
        session,
        """
        SELECT CAST(phase.number AS bigint) AS phase, phase.ramp, phase.started_at AS since,
               possible.variant, version.key AS version, possible.share,
               count(exposure.id) AS users, count(exposure.id) FILTER (WHERE crossed) AS crossed,
               CAST(coalesce(sum(execution_count) FILTER (WHERE NOT crossed), 0) AS bigint)
                   AS execution_count,
               CAST(coalesce(sum(error_count) FILTER (WHERE NOT crossed), 0) AS bigint) AS error_count,
               CAST(coalesce(sum(feedback_count) FILTER (WHERE NOT crossed), 0) AS bigint) AS feedback_count,
               CAST(coalesce(sum(rating_count) FILTER (WHERE NOT crossed), 0) AS bigint) AS rating_count,
               CAST(coalesce(sum(thumbs_count) FILTER (WHERE NOT crossed), 0) AS bigint) AS thumbs_count
        FROM allocations AS allocation
        JOIN allocation_phases AS phase ON phase.allocation_id = allocation.id
        JOIN allocation_variants AS possible ON possible.allocation_id = allocation.id
        JOIN prompt_versions AS version ON version.id = possible.version_id
        LEFT JOIN exposures AS exposure
               ON exposure.allocation_id = allocation.id AND exposure.phase = phase.number
                  AND exposure.variant = possible.variant
        WHERE allocation.experiment_id = :experiment
        GROUP BY phase.number, phase.ramp, phase.started_at, possible.variant, version.key, possible.share,
                 possible.position
        ORDER BY phase.number, possible.position
        """,
        experiment=experiment_id,
    )


def segments(session: Session, experiment_id: UUID) -> list[Part]:
    """Return the primary metric of new and of returning users, and of those who came in each week.

    It explores: each interval is that of one look at one kind of users, and decides nothing.

    Raises:
        NotFound: there is no such experiment.
    """
    found = find(session, experiment_id)
    if found.allocation_id is None:
        return []
    icc, weighted = found.design.icc, found.design.weighted
    kinds: dict[str, list[Observation]] = {}
    for segment in Segment:
        kinds |= observation.observe_segments(
            session, found.allocation_id, segment, icc=icc, weighted=weighted
        )
    return [
        _part(kind, of_kind, found.design, treatment.name)
        for kind, of_kind in sorted(kinds.items())
        for treatment in found.design.treatments
    ]


def _part(kind: str, observations: list[Observation], design: Design, treatment: str) -> Part:
    """Compare one kind of users, phase by phase: phases are never pooled."""
    sums = {
        (each.variant, each.phase): each.moments for each in observations if each.metric == design.primary
    }
    phases = [phase for variant, phase in sums if variant == treatment and (CONTROL, phase) in sums]
    control = [moments.arm(sums[CONTROL, phase]) for phase in phases]
    treated = [moments.arm(sums[treatment, phase]) for phase in phases]
    words = f"{_words(kind)}, {treatment.replace('_', ' ')}" if len(design.treatments) > 1 else _words(kind)
    n, users = (round(sum(float(getattr(arm, name)) for arm in control + treated)) for name in ("n", "users"))
    if not phases:
        return Part(words, kind, treatment, None, None, None, n, users)
    weights = moments.phase_weights(control, treated)
    difference = moments.difference(moments.combined(control, weights), moments.combined(treated, weights))
    value, radius = float(difference.value), moments.Z_95 * float(difference.se)
    known = isfinite(value) and isfinite(radius)
    low, high = (value - radius, value + radius) if known else (None, None)
    return Part(words, kind, treatment, value if known else None, low, high, n, users)


def _words(kind: str) -> str:
    return {"new": "New users", "returning": "Returning users"}.get(kind, f"Came in week {kind}")


def _found(row: Row[Any]) -> Found:
    fields = {name: getattr(row, name) for name in Found._fields if name not in ("look", "reports")}
    fields["status"] = ExperimentStatus(row.status)
    fields["design"] = DESIGN.validate_python(row.design)
    fields["verdict"] = VERDICT.validate_python(row.verdict) if row.verdict else None
    fields["decision"] = ExperimentDecision(row.decision) if row.decision else None
    look, reports = read(row.look) if row.look else (None, {})
    return Found(**fields, look=look, reports=reports)


VERDICT: TypeAdapter[Verdict] = TypeAdapter(Verdict)

EXPERIMENT = """
SELECT experiment.*, agents.key AS agent, allocation.id AS allocation_id, allocation.ramp,
       last.result AS look
FROM learning_experiments AS experiment
JOIN agents ON agents.id = experiment.agent_id
LEFT JOIN allocations AS allocation ON allocation.experiment_id = experiment.id
LEFT JOIN LATERAL (
    SELECT result FROM experiment_looks WHERE experiment_id = experiment.id ORDER BY number DESC LIMIT 1
) AS last ON true
"""

FIND = text(f"{EXPERIMENT} WHERE experiment.id = :id")

EXPERIMENTS = text(f"""{EXPERIMENT}
WHERE CAST(:agent AS text) IS NULL OR agents.key = CAST(:agent AS text)
ORDER BY CASE WHEN experiment.status IN ('running', 'paused') THEN 1
              WHEN experiment.status = 'draft' THEN 2 ELSE 3 END,
         experiment.created_at DESC, experiment.id DESC
LIMIT :limit
""")

LOOKS = text("""
WITH bounds AS (
    SELECT max(number) AS last, CAST(ceil(max(number) / CAST(:most AS float8)) AS int) AS step
    FROM experiment_looks WHERE experiment_id = :experiment
)
SELECT result
FROM experiment_looks, bounds
WHERE experiment_id = :experiment
  AND (number % step = 0 OR number IN (1, last)
       OR number = (SELECT CAST(verdict ->> 'number' AS int) FROM learning_experiments
                    WHERE id = :experiment))
ORDER BY number
""")

RUNNING = text("""
SELECT experiment.id
FROM learning_experiments AS experiment JOIN agents ON agents.id = experiment.agent_id
WHERE experiment.status = 'running' AND (CAST(:agent AS text) IS NULL OR agents.key = CAST(:agent AS text))
ORDER BY experiment.started_at, experiment.id
""")
