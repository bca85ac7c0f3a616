"""What pages read, kept for a minute: the only cache.

The organisation comes first in every signature and is part of every key, so that no organisation is ever
served another's rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pandas as pd
import streamlit as st

from learning_core.db import reading_session
from learning_core.feedback import metrics, queries, themes, trends
from learning_core.feedback.intervals import Estimate
from learning_core.feedback.metrics import Issue, Metrics
from learning_core.feedback.queries import Window
from learning_core.feedback.themes import Comment, Theme
from learning_core.feedback.trends import Improvement, Standout
from pages.components import charts

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

for_a_minute = st.cache_data(ttl="60s", max_entries=200, show_spinner=False)

EXPORTED_ROWS = 100_000
VERSIONS_COMPARED = 10


def forget() -> None:
    """Read everything afresh, after something was written."""
    st.cache_data.clear()


@for_a_minute
def agents(organization_id: UUID, window: Window) -> list[str]:
    with reading_session(organization_id) as session:
        return [str(agent) for agent in queries.agents(session, window)["agent"]]


@for_a_minute
def measured(
    organization_id: UUID, agent: str | None, window: Window
) -> tuple[Metrics, dict[str, Estimate | None]]:
    with reading_session(organization_id) as session:
        now = metrics.measure(session, agent, window)
        return now, metrics.changes(now, metrics.measure(session, agent, window.before()))


@for_a_minute
def prompt_improvements(organization_id: UUID, window: Window) -> list[Improvement]:
    with reading_session(organization_id) as session:
        return trends.prompt_improvements(session, window)


@for_a_minute
def by_agent(organization_id: UUID, window: Window) -> pd.DataFrame:
    with reading_session(organization_id) as session:
        return trends.by_agent(session, window)


@for_a_minute
def standouts(organization_id: UUID, agent: str | None, window: Window) -> list[Standout]:
    with reading_session(organization_id) as session:
        return trends.standouts(session, agent, window)


@for_a_minute
def pending_examples(organization_id: UUID) -> pd.DataFrame:
    with reading_session(organization_id) as session:
        return queries.pending_examples(session)


@for_a_minute
def satisfaction_of_all(organization_id: UUID, window: Window) -> Figure:
    with reading_session(organization_id) as session:
        return charts.satisfaction(trends.all_agents_by_period(session, window), window.until)


@for_a_minute
def over_time(organization_id: UUID, agent: str | None, window: Window) -> tuple[Figure, Figure]:
    """Return the volume and the satisfaction of each agent over time."""
    with reading_session(organization_id) as session:
        periods = trends.by_period(session, agent, window)
    return charts.volume(periods, window.until), charts.satisfaction(periods, window.until)


@for_a_minute
def stars(organization_id: UUID, agent: str | None, window: Window) -> Figure:
    with reading_session(organization_id) as session:
        return charts.stars(queries.stars(session, agent, window))


@for_a_minute
def versions(organization_id: UUID, agent: str, window: Window) -> Figure | None:
    """Return how an agent's prompt versions were rated; None where there are not two to compare."""
    with reading_session(organization_id) as session:
        found = metrics.by_version(session, agent, window)
    rated = [(name or "not named", figures["satisfaction"]) for name, figures in found.items()]
    compared = [(name, estimate) for name, estimate in rated if estimate]
    return charts.compare(compared[-VERSIONS_COMPARED:]) if len(compared) > 1 else None


@for_a_minute
def compared_agents(organization_id: UUID, window: Window) -> Figure:
    """Return how the agents with the most feedback were rated."""
    with reading_session(organization_id) as session:
        found = trends.by_agent(session, window).head(trends.AGENTS_SHOWN_SINGLY)
    return charts.compare(
        [
            (
                row.agent,
                Estimate(row.satisfaction, row.satisfaction_low, row.satisfaction_high, row.rating_count),
            )
            for row in found.itertuples()
            if row.rating_count
        ]
    )


@for_a_minute
def latest(
    organization_id: UUID,
    agent: str | None,
    window: Window,
    feedback_types: tuple[str, ...] = (),
    category: str | None = None,
    with_comment: bool = False,
    limit: int = 100,
) -> pd.DataFrame:
    with reading_session(organization_id) as session:
        return queries.latest(
            session,
            agent,
            window,
            feedback_types=feedback_types,
            category=category,
            with_comment=with_comment,
            limit=limit,
        )


def export(
    organization_id: UUID, agent: str | None, window: Window, feedback_types: tuple[str, ...]
) -> pd.DataFrame:
    """Return the rows of a download, read when it is asked for."""
    with reading_session(organization_id) as session:
        return queries.latest(session, agent, window, feedback_types=feedback_types, limit=EXPORTED_ROWS)


def execution(organization_id: UUID, key: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return an execution and all feedback on it, as they are now."""
    with reading_session(organization_id) as session:
        return queries.execution(session, key), queries.feedback_of_execution(session, key)


@for_a_minute
def issues(organization_id: UUID, agent: str | None, window: Window) -> list[Issue]:
    with reading_session(organization_id) as session:
        return metrics.issues(session, agent, window)


@for_a_minute
def found_themes(
    organization_id: UUID, agent: str | None, window: Window
) -> tuple[list[Theme], str, pd.DataFrame]:
    """Return themes, how they were found, and the comments they were found in."""
    with reading_session(organization_id) as session:
        rows = queries.comments(session, agent, window)
    comments = [Comment(row.text, row.is_complaint, row.id) for row in rows.itertuples()]
    return themes.find_themes(comments), themes.describe_method(comments), rows
