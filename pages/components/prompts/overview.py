"""An agent's prompts at a glance: the one in use, what users say, all versions, all runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from learning_core import background
from learning_core.evaluation import metrics
from learning_core.feedback.intervals import Estimate
from learning_core.feedback.queries import Window
from learning_core.prompts.history import PRODUCTION
from learning_core.schema import RunKind, RunStatus
from pages.components import frames, texts
from pages.components.charts import shorten
from pages.components.prompts import (
    address,
    choosing,
    findings,
    go_to,
    making,
    progress,
    telling,
    version,
    weekly,
)
from pages.components.session import User
from pages.components.texts import plain

COLLAPSED_CHARACTERS = 900


def show_agents(user: User, known: Sequence[Any]) -> None:
    """Show all agents with the state of their prompts; choosing a row opens one."""
    st.caption("Choose an agent to see its prompts, or to improve them.")

    def choose() -> None:
        rows = st.session_state["prompt_agents"]["selection"]["rows"]
        if rows:
            choosing.choose_agent(known[rows[0]].agent)

    st.dataframe(
        pd.DataFrame([_agent_row(one) for one in known]),
        hide_index=True,
        key="prompt_agents",
        on_select=choose,
        selection_mode="single-row",
        alt="Agents and the state of their prompts",
        placeholder="—",
        column_config={
            "Agent": st.column_config.TextColumn(width=170),
            "In production": st.column_config.TextColumn(width=95),
            "Since": st.column_config.DatetimeColumn(
                "Since (UTC)", format="YYYY-MM-DD", timezone="UTC", width=100
            ),
            "Versions": st.column_config.NumberColumn(width=66),
            "Runs": st.column_config.NumberColumn(width=50, help="Runs that looked for a better prompt"),
            "Last run": st.column_config.TextColumn(width=120),
            "Gain": st.column_config.TextColumn(
                "Gain in points", width=180, help="On unseen examples, with its 95 % interval"
            ),
        },
    )


def _agent_row(one: Any) -> dict[str, Any]:
    return {
        "Agent": shorten(one.agent, 60),
        "In production": f"version {one.production}" if one.production else None,
        "Since": one.production_since,
        "Versions": one.version_count,
        "Runs": one.run_count,
        "Last run": _standing(one.run_status, one.run_result) if one.run_status else None,
        "Gain": telling.gain(one.run_result) or None,
    }


def _standing(status: str, result: Any) -> str:
    return telling.verdict(result) or telling.STATUS_NAMES[RunStatus(status)]


def show(user: User, agent: str) -> None:
    """Show the prompts of one agent."""
    versions = frames.prompt_versions(user.organization_id, agent)
    runs = frames.prompt_runs(user.organization_id, agent)
    _show_waiting(user, agent, runs)
    if versions:
        _show_current(user, agent)
    else:
        making.invite(user, agent)
    if st.button("How answers are scored", key="evaluator", type="tertiary"):
        go_to(agent, evaluator="1")
    findings.show(user, agent)
    if versions:
        _show_versions(user, agent, versions)
    if runs:
        _show_runs(agent, runs)
    if versions:
        weekly.offer(user, agent)


def _show_waiting(user: User, agent: str, runs: Sequence[Any]) -> None:
    """Show what wants a decision or is under way."""
    for run in runs:
        status = RunStatus(run.status)
        if status.is_over:
            continue
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.badge(telling.STATUS_NAMES[status], color=telling.STATUS_COLORS.get(status, "gray"))
            words = WAITING[status].format(kind=telling.KIND_NAMES[RunKind(run.kind)].lower())
            doing = f" {plain(run.activity, 160)}" if run.activity and status in telling.LIVE else ""
            st.markdown(f"{words}{doing}", width="stretch")
            if st.button("Look", key=f"look_{run.id}", type="tertiary"):
                go_to(agent, run=str(run.id))
            if status == RunStatus.PROPOSED and user.may("optimize"):
                progress.act(user, "Dismiss", background.cancel, run, "dismiss")
                progress.act(user, "Start it", progress.resume(run.kind), run, "start", primary=True)


WAITING = {
    RunStatus.PROPOSED: "The weekly look proposes an {kind} run. It waits for a decision.",
    RunStatus.QUEUED: "An {kind} waits for its turn.",
    RunStatus.RUNNING: "An {kind} is under way.",
    RunStatus.PAUSED: "An {kind} is paused.",
}


def _show_current(user: User, agent: str) -> None:
    current = frames.prompt_version(user.organization_id, agent, PRODUCTION)
    if current is None:
        st.caption("No version is in production. Choose one below and put it there.")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.header(f"In production: version {current.number}", anchor=False, width="content")
        if st.button("Open", key="open_current", type="tertiary"):
            go_to(agent, version=str(current.number))
    text = current.prompt.text
    with st.container(border=True):
        texts.as_written(text[:COLLAPSED_CHARACTERS] + (" […]" if len(text) > COLLAPSED_CHARACTERS else ""))


# ---------------------------------------------------------------- tables


def _show_versions(user: User, agent: str, known: Sequence[Any]) -> None:
    window = Window.last(version.YEAR, datetime.now(UTC).date())
    figures = frames.live_figures(user.organization_id, agent, window)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.header("Versions", anchor=False, width="content")
        with st.container(horizontal=True, width="content"):
            if len(known) > 1 and st.button("Compare two", key="compare", type="tertiary"):
                go_to(agent, before=str(known[1].number), after=str(known[0].number))
            if user.may("optimize") and st.button("Write a new one", key="write", type="tertiary"):
                go_to(agent, make="version")
    st.caption("Newest first; satisfaction is of the last 365 days. Choose a row for its text and figures.")

    def choose() -> None:
        rows = st.session_state["prompt_versions"]["selection"]["rows"]
        if rows:
            address(agent, version=str(known[rows[0]].number))

    st.dataframe(
        pd.DataFrame([_version_row(one, figures.get(one.key) or {}) for one in known]),
        hide_index=True,
        key="prompt_versions",
        on_select=choose,
        selection_mode="single-row",
        alt="Versions of the prompt",
        placeholder="—",
        column_config={
            "Version": st.column_config.NumberColumn(width=60),
            "Labels": st.column_config.ListColumn(width=95),
            "Why": st.column_config.TextColumn(width=170),
            "Author": st.column_config.TextColumn(width=80),
            "Satisfaction": st.column_config.NumberColumn(
                format="%.2f", width=88, help="Mean rating, 1 to 5, of answers under this version"
            ),
            "Interval": st.column_config.TextColumn("95 % interval (ratings)", width=150),
            "Characters": st.column_config.NumberColumn(format="localized", width=78),
            "Made": st.column_config.DatetimeColumn("Made", format="distance", timezone="UTC", width=95),
        },
    )


def _version_row(one: Any, figures: dict[str, Estimate | None]) -> dict[str, Any]:
    rated = figures.get("satisfaction")
    return {
        "Version": one.number,
        "Labels": one.labels,
        "Why": shorten(one.reason, 200),
        "Author": shorten(one.author, 40),
        "Satisfaction": rated.value if rated else None,
        "Interval": f"{rated.low:.2f} to {rated.high:.2f} (n {rated.n:,})" if rated else "not rated",
        "Characters": int(one.characters or 0),
        "Made": one.created_at,
    }


def _show_runs(agent: str, runs: Sequence[Any]) -> None:
    st.header("Runs", anchor=False)
    st.caption("Newest first. Choose a row for what came of it and what it rests on.")

    def choose() -> None:
        rows = st.session_state["prompt_runs"]["selection"]["rows"]
        if rows:
            address(agent, run=str(runs[rows[0]].id))

    st.dataframe(
        pd.DataFrame([_run_row(run) for run in runs]),
        hide_index=True,
        key="prompt_runs",
        on_select=choose,
        selection_mode="single-row",
        alt="Runs on this agent's prompts",
        placeholder="—",
        column_config={
            "What": st.column_config.TextColumn(width=98),
            "Outcome": st.column_config.TextColumn(width=118),
            "Figure": st.column_config.TextColumn(
                "Gain or score",
                width=178,
                help="Points gained on unseen examples, or the score of an evaluation, with 95 % interval",
            ),
            "Version": st.column_config.NumberColumn(
                width=60, help="The version that it began with, or scored"
            ),
            "Dataset": st.column_config.TextColumn(width=115),
            "Calls": st.column_config.NumberColumn(format="localized", width=50),
            "Spent": st.column_config.NumberColumn(format="$%.2f", width=58),
            "Started": st.column_config.DatetimeColumn(
                "Started (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC", width=125
            ),
        },
    )


def _run_row(run: Any) -> dict[str, Any]:
    is_evaluation = run.kind == RunKind.EVALUATION
    scored = telling.measured(metrics.mean(run.values)) if run.values else None
    return {
        "What": telling.KIND_NAMES[RunKind(run.kind)],
        "Outcome": _outcome(run, is_evaluation),
        "Figure": scored if is_evaluation else telling.gain(run.result) or None,
        "Version": run.version,
        "Dataset": f"{shorten(run.dataset, 40)} v{run.dataset_version}" if run.dataset else None,
        "Calls": run.spent_calls,
        "Spent": float(run.spent_usd),
        "Started": run.created_at,
    }


def _outcome(run: Any, is_evaluation: bool) -> str:
    status = RunStatus(run.status)
    if status != RunStatus.SUCCEEDED:
        return telling.STATUS_NAMES[status]
    return "Scored" if is_evaluation else telling.verdict(run.result)
