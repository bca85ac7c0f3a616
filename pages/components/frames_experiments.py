"""What pages of experiments and releases read, kept for a minute; `frames` keeps all the rest.

As there, the organisation comes first in every signature and is part of every key.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pandas as pd

from learning_core.db import reading_session
from learning_core.errors import NotFound
from learning_core.experiments import habits as experiment_habits
from learning_core.experiments import queries, suggestion
from learning_core.experiments.analysis import Design, Look
from learning_core.experiments.habits import Habits
from learning_core.experiments.queries import Found
from learning_core.experiments.simulation import daily
from learning_core.experiments.simulation.replay import Replay
from learning_core.experiments.statistics import power
from learning_core.experiments.statistics.power import Method, Plan
from pages.components.frames import for_a_minute

# ---------------------------------------------------------------- experiments


@for_a_minute
def experiments(organization_id: UUID, agent: str | None) -> list[Any]:
    """Return all experiments, or an agent's, those under way first."""
    with reading_session(organization_id) as session:
        return queries.experiments(session, agent)


def experiment(organization_id: UUID, experiment_id: UUID) -> Found | None:
    """Return an experiment as it is now, None where there is none."""
    try:
        with reading_session(organization_id) as session:
            return queries.find(session, experiment_id)
    except NotFound:
        return None


@for_a_minute
def looks(organization_id: UUID, experiment_id: UUID) -> list[Look]:
    """Return all looks at an experiment, in order."""
    with reading_session(organization_id) as session:
        return queries.looks(session, experiment_id)


@for_a_minute
def segments(organization_id: UUID, experiment_id: UUID) -> list[Any]:
    """Return the primary metric's difference in parts of the users; exploratory."""
    with reading_session(organization_id) as session:
        return queries.segments(session, experiment_id)


# ---------------------------------------------------------------- plans


@for_a_minute
def habits(organization_id: UUID, agent: str, metric: str) -> Habits:
    """Return how an agent's users gave a metric something to count in the last weeks."""
    with reading_session(organization_id) as session:
        return experiment_habits.habits_of(session, agent, metric, datetime.now(UTC))


@for_a_minute
def suggested(organization_id: UUID, agent: str, version: int | str) -> Design:
    """Return the design to begin with: what decides is what the agent's users give most reliably."""
    with reading_session(organization_id) as session:
        return suggestion.suggest(session, agent, [version], datetime.now(UTC))


@for_a_minute
def designed(
    organization_id: UUID, agent: str, version: int | str, share: float, wishes: dict[str, Any]
) -> Design:
    """Return the design of an experiment with a version, by what the agent's users did and by wishes."""
    with reading_session(organization_id) as session:
        now = datetime.now(UTC)
        return suggestion.suggest(session, agent, [version], now, shares=[share], **wishes)


def replay(organization_id: UUID, agent: str, metric: str, days: int) -> Replay:
    """Return what an agent's users did in the last days, to try experiments on."""
    with reading_session(organization_id) as session:
        return daily.replay(session, agent, metric, datetime.now(UTC), days)


@for_a_minute
def days_needed(organization_id: UUID, plan: Plan, method: Method, longest: int) -> int | None:
    return power.days_needed(plan, method, longest=longest)


@for_a_minute
def smallest_effect(organization_id: UUID, plan: Plan, days: int, method: Method) -> float | None:
    return power.smallest_effect(plan, days, method)


@for_a_minute
def chances_by_day(organization_id: UUID, plan: Plan, days: int) -> pd.DataFrame:
    return power.by_day(plan, days)
