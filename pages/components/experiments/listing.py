"""All experiments at a glance: where each stands, what it says, and for how long it has been running."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from learning_core.experiments.reports import telling
from learning_core.schema import ExperimentDecision, ExperimentStatus
from pages.components import widgets
from pages.components.charts import shorten
from pages.components.experiments import address, rows
from pages.components.session import User


def show(user: User, known: list[Any], agent: str | None) -> None:
    """Show experiments row by row, those under way first; choosing a row opens one."""
    if not known:
        _invite(user, agent)
        return
    st.caption("Choose a row for its result, and for what to do next.")

    def choose() -> None:
        chosen = st.session_state["experiments"]["selection"]["rows"]
        if chosen:
            address(experiment=str(known[chosen[0]].id))

    st.dataframe(
        pd.DataFrame([_row(one) for one in known]),
        hide_index=True,
        key="experiments",
        on_select=choose,
        selection_mode="single-row",
        alt="Experiments with what they say",
        placeholder="—",
        column_config={
            "State": st.column_config.TextColumn(width=76),
            "Agent": st.column_config.TextColumn(width=105),
            "Question": st.column_config.TextColumn(width=155),
            "Verdict": st.column_config.TextColumn("What it says", width=230),
            "Since": st.column_config.DatetimeColumn(
                "Since (UTC)", format="YYYY-MM-DD", timezone="UTC", width=92
            ),
            "Way": st.column_config.ProgressColumn(
                "How far", format="%.0f %%", min_value=0, max_value=100, width=88, help="To an answer"
            ),
            "Users": st.column_config.NumberColumn(format="localized", width=60),
        },
    )


def _row(one: Any) -> dict[str, Any]:
    return {
        "State": rows.STATUS_NAMES[one.status],
        "Question": shorten(one.name, 120),
        "Verdict": _verdict(one),
        "Agent": shorten(one.agent, 60),
        "Since": one.started_at,
        "Way": 100.0 if one.status.is_over else 100 * telling.share_done(one.design, one.look),
        "Users": sum(one.look.mismatch.counts.values()) if one.look else None,
    }


def _verdict(one: Any) -> str | None:
    if one.status in (ExperimentStatus.DRAFT, ExperimentStatus.CANCELLED):
        return None
    if one.decision is ExperimentDecision.ROLLBACK:
        return "Taken back"
    return telling.short(one.design, one.look).removesuffix(" so far" if one.status.is_over else " ")


def _invite(user: User, agent: str | None) -> None:
    widgets.show_empty(
        f"No experiment {'of this agent ' if agent else ''}yet",
        "An experiment lets some users meet another version of a prompt, and says whether they are better "
        "off: every day the truth, however often you look. "
        + (
            "Begin with “New experiment”, or with what an improvement run found."
            if user.may("experiment")
            else "ML engineers and administrators begin one."
        ),
    )
