"""Who reviewed how much lately."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.components import frames, tables
from pages.components.charts import shorten
from pages.components.session import User


def show(user: User) -> None:
    """Show what each reviewer decided in the last 30 days."""
    st.header("Activity", anchor=False)
    rows = frames.by_reviewer(user.organization_id)
    if rows.empty:
        st.caption("Nobody has decided anything in the last 30 days.")
        return
    st.caption("Decisions of the last 30 days, the busiest reviewer first; undone ones are left out.")
    shown = pd.DataFrame(
        {
            "Reviewer": [shorten(name, 60) for name in rows["annotator"]],
            "Decisions": rows["judgement_count"],
            "Approved": tables.percents(rows["approved_share"]),
            "Corrected": tables.percents(rows["corrected_share"]),
            "Seconds": rows["median_s"],
            "Last": rows["last_at"],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        alt="Decisions of each reviewer in the last 30 days",
        placeholder="",
        column_config={
            "Decisions": st.column_config.NumberColumn(format="localized"),
            "Approved": tables.percent_column(
                help="Approvals, and choices between two answers, among the decisions"
            ),
            "Corrected": tables.percent_column(help="Decisions that came with a new text"),
            "Seconds": st.column_config.NumberColumn(
                "Typical time (s)", format="%.0f", help="Half of the decisions took less; empty where unknown"
            ),
            "Last": st.column_config.DatetimeColumn("Last (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"),
        },
    )
