"""What pages read, kept for a minute: the only cache.

The organisation comes first in every signature and is part of every key, so that no organisation is ever
served another's rows.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import pandas as pd
import streamlit as st

from learning_core import background
from learning_core.access import Caller
from learning_core.datasets import queries as dataset_queries
from learning_core.datasets import versions as dataset_versions
from learning_core.datasets.curation import Rules
from learning_core.datasets.splits import Split
from learning_core.datasets.versions import Change, Difference
from learning_core.db import reading_session
from learning_core.errors import NotFound
from learning_core.evaluation import evaluators, scores
from learning_core.evaluation.checks import Evaluator
from learning_core.feedback import metrics, queries, themes, trends
from learning_core.feedback.intervals import Estimate, difference
from learning_core.feedback.metrics import Issue, Metrics
from learning_core.feedback.queries import Window
from learning_core.feedback.themes import Comment, Theme
from learning_core.feedback.trends import Improvement, Standout
from learning_core.llm import endpoints
from learning_core.llm.requests import Model
from learning_core.prompts import analysis as prompt_analysis
from learning_core.prompts import estimates, orders
from learning_core.prompts import history as prompt_history
from learning_core.prompts import queries as prompt_queries
from learning_core.prompts.history import Version
from learning_core.prompts.orders import Order
from learning_core.prompts.queries import Outcomes, Sources, Standing
from learning_core.review import consensus, gold
from learning_core.review import metrics as review_metrics
from learning_core.review import queries as review_queries
from learning_core.review import trace as traces
from learning_core.review.agreement import Level
from learning_core.schema import ModelRole
from pages.components import charts, deck

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


# ---------------------------------------------------------------- datasets


@for_a_minute
def approved_examples(organization_id: UUID) -> tuple[int, list[str], list[str]]:
    """Return how many examples are approved, and of which agents and domains."""
    with reading_session(organization_id) as session:
        return (
            dataset_queries.approved_count(session),
            dataset_queries.agents(session),
            dataset_queries.domains(session),
        )


@for_a_minute
def preview(organization_id: UUID, rules: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return how many examples rules (as JSON) would select per type, and the newest of them."""
    understood = Rules.model_validate_json(rules)
    with reading_session(organization_id) as session:
        return dataset_queries.preview(session, understood), dataset_queries.sample(session, understood)


@for_a_minute
def datasets(organization_id: UUID) -> list[Any]:
    with reading_session(organization_id) as session:
        return dataset_queries.versions(session)


@for_a_minute
def dataset_proposals(organization_id: UUID) -> list[Any]:
    with reading_session(organization_id) as session:
        return dataset_queries.proposals(session)


@for_a_minute
def composition(organization_id: UUID, dataset_id: UUID) -> pd.DataFrame:
    with reading_session(organization_id) as session:
        return dataset_queries.composition(session, dataset_id)


@for_a_minute
def dataset_examples(organization_id: UUID, dataset_id: UUID, split: str, limit: int) -> pd.DataFrame:
    with reading_session(organization_id) as session:
        return dataset_queries.members(session, dataset_id, split, limit)


@for_a_minute
def compared_datasets(
    organization_id: UUID, before: UUID, after: UUID, limit: int
) -> tuple[Difference, list[Change]]:
    with reading_session(organization_id) as session:
        return (
            dataset_versions.difference(session, before, after),
            dataset_versions.compare(session, before, after, limit),
        )


# ---------------------------------------------------------------- prompts


@for_a_minute
def prompt_agents(organization_id: UUID) -> list[Any]:
    """Return each agent with its prompts at a glance."""
    with reading_session(organization_id) as session:
        return prompt_queries.agents(session)


@for_a_minute
def prompt_versions(organization_id: UUID, agent: str) -> list[Any]:
    """Return an agent's prompt versions without their texts, newest first."""
    with reading_session(organization_id) as session:
        return prompt_history.entries(session, agent, VERSIONS_LISTED)


VERSIONS_LISTED = 500


def prompt_version(organization_id: UUID, agent: str, reference: int | str) -> Version | None:
    """Return a prompt version by number, key or label as it is now, None where there is none."""
    try:
        with reading_session(organization_id) as session:
            return prompt_history.find(session, agent, reference)
    except NotFound:
        return None


@for_a_minute
def reported_keys(organization_id: UUID, agent: str) -> list[str]:
    """Return the keys that an agent reported and no version has, the one reported last first."""
    with reading_session(organization_id) as session:
        return prompt_history.reported_keys(session, agent)


@for_a_minute
def live_figures(organization_id: UUID, agent: str, window: Window) -> dict[str, dict[str, Estimate | None]]:
    """Return what users said of each prompt version, by its key."""
    with reading_session(organization_id) as session:
        return metrics.by_version(session, agent, window)


@for_a_minute
def analysis(organization_id: UUID, agent: str) -> dict[str, Any] | None:
    """Return what the last thirty days say about an agent's prompt, None where there is no such agent."""
    try:
        with reading_session(organization_id) as session:
            return prompt_analysis.analyse(session, agent, datetime.now(UTC).date()).findings()
    except NotFound:
        return None


@for_a_minute
def estimate(organization_id: UUID, order: Order) -> tuple[dict[str, Any], dict[str, int]]:
    """Return what an optimization would take, and how many examples it would have for what."""
    with reading_session(organization_id) as session:
        ground = orders.survey(session, order)
    counts = {"train": len(ground.portions.teaching), "validation": len(ground.portions.selection)}
    return estimates.estimate(order, ground).told(), counts | {"test": len(ground.sealed)}


@for_a_minute
def prompt_runs(organization_id: UUID, agent: str) -> list[Any]:
    with reading_session(organization_id) as session:
        return prompt_queries.runs(session, agent)


def run(organization_id: UUID, run_id: UUID) -> tuple[background.Run, list[Standing], pd.DataFrame] | None:
    """Return a run, its leaderboard and its score over spend as they are now, None where there is none."""
    try:
        with reading_session(organization_id) as session:
            return (
                background.find(session, run_id),
                prompt_queries.leaderboard(session, run_id),
                prompt_queries.score_over_spend(session, run_id),
            )
    except NotFound:
        return None


@for_a_minute
def outcomes(organization_id: UUID, before: UUID, after: UUID, sealed: bool) -> Outcomes:
    with reading_session(organization_id) as session:
        return prompt_queries.outcomes(session, before, after, sealed=sealed)


@for_a_minute
def compared_answers(
    organization_id: UUID,
    before: UUID,
    after: UUID,
    sealed: bool,
    outcome: str | None,
    limit: int,
    offset: int,
) -> list[Any]:
    with reading_session(organization_id) as session:
        return prompt_queries.per_example(
            session, before, after, sealed=sealed, outcome=outcome, limit=limit, offset=offset
        )


@for_a_minute
def weekly(organization_id: UUID, agent: str) -> bool:
    """Return whether a weekly optimization of the agent is proposed."""
    with reading_session(organization_id) as session:
        return prompt_queries.weekly(session, agent)


@for_a_minute
def assigned_models(organization_id: UUID) -> dict[ModelRole, Model]:
    """Return the model for each role that has one."""
    with reading_session(organization_id) as session:
        return endpoints.assigned(session)


@for_a_minute
def datasets_of(organization_id: UUID, agent: str) -> list[Any]:
    """Return the dataset versions that hold examples of an agent, newest first."""
    with reading_session(organization_id) as session:
        return dataset_queries.versions(session, agent)


@for_a_minute
def split_sizes(organization_id: UUID, dataset_id: UUID, agent: str) -> dict[str, int]:
    """Return how many examples of an agent each split of a dataset version holds."""
    with reading_session(organization_id) as session:
        return prompt_queries.split_sizes(session, dataset_id, agent)


@for_a_minute
def evaluator(organization_id: UUID, evaluator_id: UUID | None) -> evaluators.Version | None:
    """Return how a run's answers are scored; None where the run does not say."""
    if evaluator_id is None:
        return None
    with reading_session(organization_id) as session:
        return evaluators.find(session, evaluator_id)


@for_a_minute
def evaluators_of(organization_id: UUID, agent: str) -> list[evaluators.Version]:
    """Return how an agent's answers are and were scored, the newest first."""
    with reading_session(organization_id) as session:
        return evaluators.versions(session, agent)


@for_a_minute
def suggested_evaluator(organization_id: UUID, dataset_id: UUID, agent: str) -> Evaluator:
    """Return what suits an agent's examples in a dataset version, those of its test split left unseen.

    Raises:
        NotEnoughData: it holds no others.
    """
    with reading_session(organization_id) as session:
        seen = [
            item.example
            for split in (Split.TRAIN, Split.VALIDATION)
            for item in scores.items(session, dataset_id, split, agent)
        ]
        return evaluators.suggested(seen, endpoints.assigned(session))


@for_a_minute
def sources(
    organization_id: UUID, feedback: tuple[str, ...], examples: tuple[str, ...], rules: tuple[str, ...]
) -> Sources:
    """Return the feedback, the examples and the rules that a candidate learnt from."""
    with reading_session(organization_id) as session:
        return prompt_queries.sources(session, feedback, examples, rules)


# ---------------------------------------------------------------- review


@for_a_minute
def agents_ever(organization_id: UUID) -> list[str]:
    """Return all agents by name."""
    with reading_session(organization_id) as session:
        return sorted(str(agent) for agent in queries.agents(session, Window.last(1, date.today()))["agent"])


@for_a_minute
def judged_quality(organization_id: UUID, window: Window) -> tuple[Estimate | None, Estimate | None]:
    """Return the quality that experts saw, and its change from the window before."""
    with reading_session(organization_id) as session:
        now = review_metrics.quality(session, window)
        before = review_metrics.quality(session, window.before())
        return now, difference(now, before) if now and before else None


@for_a_minute
def review_choices(organization_id: UUID) -> dict[str, list[str]]:
    """Return what waiting examples can be filtered by."""
    with reading_session(organization_id) as session:
        return review_queries.choices(session)


@for_a_minute
def review_progress(organization_id: UUID) -> review_queries.Progress:
    with reading_session(organization_id) as session:
        return review_queries.progress(session)


@for_a_minute
def guidelines(organization_id: UUID) -> dict[str, str]:
    with reading_session(organization_id) as session:
        return review_queries.guidelines(session)


@for_a_minute
def demonstrations(organization_id: UUID) -> pd.DataFrame:
    with reading_session(organization_id) as session:
        return review_queries.demonstrations(session)


@for_a_minute
def marks(organization_id: UUID, original: str | None, proposed: str | None) -> list[list[Any]] | None:
    """Return how a proposed text differs from the original, word by word."""
    return deck.marks(original, proposed)


JUDGEMENTS_MEASURED = 20_000


@for_a_minute
def consensus_by_value(organization_id: UUID, agent: str | None) -> dict[str, consensus.Measured]:
    """Return how far reviewers agree about each thing they judge."""
    with reading_session(organization_id) as session:
        said = {value: _said(session, value, agent) for value in review_queries.VALUES}
    return {
        value: consensus.measure(part, _level(value), np.random.default_rng(0))
        for value, part in said.items()
    }


@for_a_minute
def consensus_details(organization_id: UUID, agent: str | None, value: str) -> consensus.Details:
    """Return the agreement about one thing by agent, month and pair of reviewers."""
    with reading_session(organization_id) as session:
        said = _said(session, value, agent)
    return consensus.look_closer(said, _level(value), np.random.default_rng(0))


def _said(session: Any, value: str, agent: str | None) -> list[consensus.Said]:
    return review_queries.judgements(session, value, agent, JUDGEMENTS_MEASURED)


def _level(value: str) -> Level:
    return Level.NOMINAL if value == "decision" else Level.INTERVAL


@for_a_minute
def by_reviewer(organization_id: UUID) -> pd.DataFrame:
    with reading_session(organization_id) as session:
        return review_queries.by_reviewer(session)


@for_a_minute
def newest_examples(organization_id: UUID, status: str, agent: str | None, limit: int) -> pd.DataFrame:
    with reading_session(organization_id) as session:
        return review_queries.newest(session, status, agent, limit)


def disputed(organization_id: UUID) -> tuple[list[Any], int]:
    """Return the oldest disputed examples, and how many there are, as they are now."""
    with reading_session(organization_id) as session:
        return review_queries.disputed(session), review_queries.progress(session).disputed


def flagged(organization_id: UUID, limit: int) -> tuple[list[Any], int]:
    """Return the oldest flagged examples, and how many there are, as they are now."""
    with reading_session(organization_id) as session:
        return review_queries.flagged(session, limit), review_queries.progress(session).flagged


def judgements_of(organization_id: UUID, example_id: UUID) -> list[Any]:
    """Return the annotations of an example that were not undone, as they are now."""
    with reading_session(organization_id) as session:
        given = review_queries.annotations_of(session, example_id)
    return [row for row in given if row.undone_at is None and not row.on_gold]


def trace(organization_id: UUID, caller: Caller, example_id: UUID) -> tuple[traces.Trace | None, list[Any]]:
    """Return the way of an example so far, and the dataset versions that hold it, as they are now."""
    with reading_session(organization_id) as session:
        return (
            traces.trace(session, caller, example_id),
            dataset_queries.versions_of_example(session, example_id),
        )


def accuracies(organization_id: UUID, annotator: str | None) -> list[gold.Accuracy]:
    """Return the accuracy of each reviewer on gold items, or of one, as it is now."""
    with reading_session(organization_id) as session:
        return gold.accuracies(session, annotator)


def gold_items(organization_id: UUID) -> pd.DataFrame:
    """Return the gold items as they are now."""
    with reading_session(organization_id) as session:
        return review_queries.gold_items(session)
