"""A run under way: what it is doing, what it has found and spent, and how to hold it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from learning_core import background, db
from learning_core.background import Run
from learning_core.evaluation import runs as evaluations
from learning_core.prompts import runs
from learning_core.prompts.queries import Standing
from learning_core.schema import RunKind, RunStatus
from pages.components import charts, frames, widgets
from pages.components.prompts import leaderboard, telling
from pages.components.session import User

SILENT = timedelta(seconds=90)
"""After this long without a sign of life a run was probably cut off."""


@st.fragment(run_every="2s")
def show(user: User, run_id: UUID) -> None:
    """Follow a run until it is over or paused; then let the page run once more, without following."""
    found = frames.run(user.organization_id, run_id)
    if found is None or found[0].status not in telling.LIVE:
        frames.forget()
        st.rerun()
    told, board, points = found
    _show_activity(user, told)
    if told.kind == RunKind.PROMPT_OPTIMIZATION:
        show_score(told, board, points)
    if board:
        st.header("Candidates so far", anchor=False)
        leaderboard.show(board, f"live_{run_id}")


def _show_activity(user: User, told: Run) -> None:
    st.text(_activity(told))
    st.progress(telling.share_spent(told), text=telling.standing(told).replace("$", "\\$"))
    if silence := _silence(told):
        st.warning(
            f"No sign of life for {telling.duration(silence.total_seconds())}. If its worker died, another "
            "one takes the run up again and pays for nothing twice."
        )
    if user.may("optimize"):
        with st.container(horizontal=True):
            act(user, "Pause", background.pause, told, "pause")
            act(user, "Cancel", background.cancel, told, "cancel")


def _activity(told: Run) -> str:
    if told.wish:
        doing = {"pause": "It pauses", "cancel": "It stops"}[told.wish]
        return f"{doing} as soon as the calls on their way are answered …"
    if told.status == RunStatus.QUEUED:
        return "Waiting for a worker. `afterglow serve` starts one by itself."
    return told.progress.get("activity") or "Starting …"


def _silence(told: Run) -> timedelta | None:
    since = told.heartbeat_at or told.started_at
    silence = datetime.now(UTC) - since if since and told.status == RunStatus.RUNNING else None
    return silence if silence and silence > SILENT else None


def resume(kind: RunKind) -> Callable[..., None]:
    """Return the verb that lets a run of a kind begin, or go on."""
    return evaluations.resume if kind == RunKind.EVALUATION else runs.resume


def act(
    user: User, label: str, verb: Callable[..., Any], told: Any, key: str, *, primary: bool = False
) -> None:
    """Offer one verb on a run; it has an id and a wish."""
    kind = "primary" if primary else "secondary"
    if st.button(label, key=f"{key}_{told.id}", type=kind, disabled=told.wish is not None):
        with widgets.reporting():
            with db.organization_session(user.organization_id) as session:
                verb(session, user.caller, told.id)
            frames.forget()
            st.rerun()


def show_score(told: Run, board: list[Standing], points: pd.DataFrame) -> None:
    """Show how the best score rose with what was spent."""
    if points.empty:
        return
    baseline = next((one.selection for one in board if one.number == 0), None)
    unit = "usd" if points["usd"].iloc[-1] else "calls"
    figures, form = charts.score_over_spend(points, baseline, unit)
    st.vega_lite_chart(
        figures,
        form,
        key=f"score_{told.id}",
        alt="Best mean score over what was spent, and the score of the current prompt",
    )
