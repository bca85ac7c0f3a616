"""How a result is computed, for those who want to know; the only place with the words of statistics."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from learning_core.experiments.analysis import Design, Look
from learning_core.experiments.queries import Found
from learning_core.experiments.reports import method


def offer(found: Found, looks: Sequence[Look]) -> None:
    """Offer the method, the terms and all looks behind one click."""
    with st.expander("How this is computed", key=f"method_{found.id}"):
        show_terms(found.design)
        for way in method.explained(found.design):
            st.text(way)
        frame = looks_frame(looks)
        st.dataframe(
            frame,
            hide_index=True,
            key=f"looks_{found.id}",
            alt="All looks with their figures",
            placeholder="—",
            column_config=COLUMNS,
        )


FIGURES = ("control", "treatment", "difference", "low", "high", "relative", "relative_low", "relative_high")
COLUMNS = {name: st.column_config.NumberColumn(format="%.4g") for name in (*FIGURES, "information")} | {
    "at": st.column_config.DatetimeColumn("Look (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"),
    "p": st.column_config.NumberColumn(format="%.4f"),
    "running_p": st.column_config.NumberColumn("least p so far", format="%.4f"),
    "holm_p": st.column_config.NumberColumn("p among several", format="%.4f"),
    "chance": st.column_config.NumberColumn(
        "chance to be better", format="%.3f", help="For display; it decides nothing."
    ),
}


def show_terms(design: Design) -> None:
    """Show the terms, which were fixed before the start."""
    for name, told in method.terms(design):
        with st.container(horizontal=True, gap="small"):
            st.caption(name, width=150)
            st.text(told, width="stretch")


def looks_frame(looks: Sequence[Look]) -> pd.DataFrame:
    """Return one row per look, metric and treatment, the newest look first.

    Columns: look (int), at (datetime, UTC), hours (float), metric, variant, state (text), control, treatment,
    difference, low, high (float, in the metric's unit), control_n, treatment_n (observations), control_users,
    treatment_users, relative, relative_low, relative_high (float, shares of the control), p, running_p,
    holm_p, chance (0-1), information (float), mismatch_p (0-1), crossed (int), verdict (text).
    """
    return pd.DataFrame([row for look in reversed(looks) for row in _rows(look)])


def _rows(look: Look) -> list[dict[str, object]]:
    return [
        {
            "look": look.number,
            "at": look.at,
            "hours": round(look.hours, 2),
            "metric": one.metric,
            "variant": one.variant,
            "state": one.state.value,
            "control": one.control.value,
            "treatment": one.treatment.value,
            "difference": one.difference,
            "low": one.low,
            "high": one.high,
            "control_n": one.control.n,
            "treatment_n": one.treatment.n,
            "control_users": one.control.users,
            "treatment_users": one.treatment.users,
            "relative": one.relative,
            "relative_low": one.relative_low,
            "relative_high": one.relative_high,
            "p": one.p,
            "running_p": one.running_p,
            "holm_p": one.holm_p,
            "chance": one.chance,
            "information": one.information,
            "mismatch_p": look.mismatch.running_p,
            "crossed": look.crossed,
            "verdict": look.verdict.direction.value if look.verdict else None,
        }
        for one in look.comparisons
    ]
