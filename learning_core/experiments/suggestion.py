"""A design to start from: what an agent's own last weeks say is worth comparing, and by which rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.errors import InvalidInput
from learning_core.experiments import habits
from learning_core.experiments.habits import SEEN_DAYS, Habits
from learning_core.experiments.metrics import METRICS
from learning_core.experiments.statistics.planning import DEFAULT_ICC
from learning_core.experiments.terms import CONTROL, Design, DesignVariant, Guardrail
from learning_core.prompts import history
from learning_core.prompts.history import Version
from learning_core.settings import settings

PREFERRED = ("satisfaction", "thumbs_up_share", "correction_rate", "error_rate")
"""What decides: the first of these that the agent's users gave anything to count for."""

SHOWN_BESIDE = (
    "satisfaction",
    "thumbs_up_share",
    "correction_rate",
    "issue_rate",
    "error_rate",
    "latency_ms",
    "slow_share",
    "cost_usd",
    "quality_score",
)
"""What is shown beside what decides."""

SMALLEST_EFFECT = {"stars": 0.1, "share": 0.05, "score": 0.05}
"""Unit -> the least difference worth knowing of."""

SMALLEST_CHANGE = 0.1
"""The same as a share of the mean, for milliseconds and dollars."""

GUARDRAILS = (
    Guardrail("error_rate", 0.05, relative=False),
    Guardrail("latency_ms", 0.5, relative=True),
    Guardrail("satisfaction", 0.1, relative=True),
)
"""What ends an experiment: more errors than that, half as much waiting again, a tenth less satisfaction."""

ERROR_ROOM = 1.5
"""An agent that fails more often than the bound allows already gets one that leaves as much room again."""

ENOUGH_RATERS = 100
"""With fewer users who rated, how alike one user's ratings are is not estimated."""

LEAST_ICC, MOST_ICC = 0.01, 0.9

MOST_TREATMENTS = 4


def suggest(
    session: Session,
    agent: str,
    treatments: Sequence[int | str],
    at: datetime,
    *,
    shares: Sequence[float] = (),
    **wishes: Any,
) -> Design:
    """Design an experiment of an agent's versions against the one in production.

    What decides is the first of the preferred metrics that its users gave anything to count for in the last
    four weeks, and how alike the observations of one user are is estimated from them.

    Args:
        session: Of the agent's organisation.
        agent: Its key.
        treatments: Versions, each by number, key or label.
        at: The end of the weeks to go by.
        shares: Share (0-1) of the users for each treatment, the rest is the control's; without, all the same.
        **wishes: Fields of the design that are to be as given.

    Raises:
        NotFound: the agent or a version does not exist, or nothing is in production.
        InvalidInput: the treatments are none or too many, or the wishes do not go together.
    """
    if not 1 <= len(treatments) <= MOST_TREATMENTS:
        reason = f"Compare 1 to {MOST_TREATMENTS} versions with the one in production."
        raise InvalidInput(reason, field="treatments")
    control = history.labelled(session, agent)
    versions = [history.find(session, agent, reference) for reference in treatments]
    agent_id = session.execute(AGENT, {"agent": agent}).scalar_one()
    primary, seen = _primary(session, agent_id, at, wishes.get("primary"))
    given: dict[str, Any] = {
        "variants": _variants(control, versions, shares),
        "primary": primary,
        "secondary": tuple(metric for metric in SHOWN_BESIDE if metric != primary),
        "smallest_effect": wishes.get("smallest_effect") or _smallest_effect(primary, seen),
        "guardrails": _guardrails(session, agent_id, at, primary),
        "icc": _icc(seen),
    }
    return Design(**_usual_terms() | given | wishes)


def _usual_terms() -> dict[str, Any]:
    usual = settings()
    return {
        "minimum_hours": usual.experiment_hours,
        "minimum_samples": usual.experiment_samples,
        "significance": usual.experiment_significance,
    }


def _variants(
    control: Version, versions: Sequence[Version], shares: Sequence[float]
) -> tuple[DesignVariant, ...]:
    if shares and len(shares) != len(versions):
        raise InvalidInput("Give each treatment a share, or none of them.", field="shares")
    shares = shares or [1 / (len(versions) + 1)] * len(versions)
    names = ["treatment", *(f"treatment_{number}" for number in range(2, len(versions) + 1))]
    treatments = (
        DesignVariant(name, str(version.id), version.key, share)
        for name, version, share in zip(names, versions, shares, strict=True)
    )
    return (*treatments, DesignVariant(CONTROL, str(control.id), control.key, 1 - sum(shares)))


def _primary(session: Session, agent_id: UUID, at: datetime, wish: str | None) -> tuple[str, Habits | None]:
    """Return the metric that decides, and how users gave it something to count; None where it is unknown."""
    for metric in (wish,) if wish else PREFERRED:
        if metric in METRICS:
            seen = habits.habits(session, agent_id, metric, at)
            if seen.observations:
                return metric, seen
    return wish or PREFERRED[0], None


def _smallest_effect(primary: str, seen: Habits | None) -> float:
    unit = METRICS[primary].unit if primary in METRICS else "share"
    if unit in SMALLEST_EFFECT:
        return SMALLEST_EFFECT[unit]
    if seen is None or seen.raters is None:
        reason = (
            f"Nothing is known of {METRICS[primary].words.lower()} yet: say which difference would matter."
        )
        raise InvalidInput(reason, field="smallest_effect")
    return SMALLEST_CHANGE * seen.raters.mean


def _icc(seen: Habits | None) -> float:
    if seen is None or seen.raters is None or seen.raters.raters < ENOUGH_RATERS:
        return DEFAULT_ICC
    return round(min(max(seen.raters.icc, LEAST_ICC), MOST_ICC), 3)


def _guardrails(session: Session, agent_id: UUID, at: datetime, primary: str) -> tuple[Guardrail, ...]:
    since = (at - timedelta(days=SEEN_DAYS)).date()
    failed = session.execute(FAILED, {"agent": agent_id, "since": since, "until": at.date()}).scalar_one()
    usual = round(ERROR_ROOM * (failed or 0.0), 3)
    return tuple(
        replace(each, limit=min(max(each.limit, usual), 1.0)) if each.metric == "error_rate" else each
        for each in GUARDRAILS
        if each.metric != primary
    )


AGENT = text("SELECT id FROM agents WHERE key = :agent")

FAILED = text("""
SELECT CAST(sum(error_count) AS float8) / nullif(sum(execution_count), 0)
FROM executions_daily WHERE agent_id = :agent AND day BETWEEN :since AND :until
""")
