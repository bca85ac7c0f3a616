"""Feedback as rows: on the screen and as a download."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from learning_core.schema import FeedbackType, IssueCategory
from pages.components.charts import shorten
from pages.components.texts import ISSUE_NAMES, TYPE_NAMES


def show_feedback(rows: pd.DataFrame, key: str, on_select: Any) -> None:
    """Show feedback row by row; choosing one calls `on_select`."""
    shown = pd.DataFrame(
        {
            "Time": rows["created_at"],
            "Agent": rows["agent"],
            "Type": [TYPE_NAMES[FeedbackType(kind)] for kind in rows["feedback_type"]],
            "Rating": rows["rating"],
            "Comment": [shorten(text, 300) if text else None for text in _texts(rows["feedback_text"])],
            "Issues": [
                [ISSUE_NAMES[IssueCategory(i)] for i in issues] for issues in rows["issue_categories"]
            ],
            "Correction": ["yes" if text else "" for text in _texts(rows["correction_text"])],
            "Prompt": rows["prompt_version"],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        key=key,
        on_select=on_select,
        selection_mode="single-row",
        alt="Latest feedback",
        placeholder="",
        column_config={
            "Time": st.column_config.DatetimeColumn(
                "Time (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC", width=130
            ),
            "Agent": st.column_config.TextColumn(width=135),
            "Type": st.column_config.TextColumn(width=125),
            "Rating": st.column_config.NumberColumn("Stars", width=50),
            "Comment": st.column_config.TextColumn(width=255),
            "Issues": st.column_config.ListColumn(width=120),
            "Correction": st.column_config.TextColumn("Corrected", width=75),
            "Prompt": st.column_config.TextColumn(width=60),
        },
    )


def show_agents(rows: pd.DataFrame, key: str, on_select: Any) -> None:
    """Show agents with their figures; choosing one calls `on_select`."""
    shown = pd.DataFrame(
        {
            "Rank": rows["rank"],
            "Agent": [shorten(agent, 60) for agent in rows["agent"]],
            "Feedback": rows["feedback_count"],
            "Satisfaction": rows["satisfaction"],
            "Interval": [
                f"{row.satisfaction_low:.2f} to {row.satisfaction_high:.2f} (n {row.rating_count:,})"
                if row.rating_count
                else "not rated"
                for row in rows.itertuples()
            ],
            "Trend": rows["trend"],
            "Corrected": percents(rows["correction_rate"]),
            "Issue": [ISSUE_NAMES.get(issue, "—") for issue in rows["top_issue"]],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        key=key,
        on_select=on_select,
        selection_mode="single-row",
        alt="Agents with feedback, satisfaction and top issue",
        placeholder="",
        column_config={
            "Rank": st.column_config.NumberColumn("#", width=40),
            "Agent": st.column_config.TextColumn(width=140),
            "Feedback": st.column_config.NumberColumn(
                format="localized", width=78, help="Pieces of feedback"
            ),
            "Satisfaction": st.column_config.NumberColumn(
                format="%.2f", width=90, help="Mean rating, 1 to 5"
            ),
            "Interval": st.column_config.TextColumn("95 % interval (ratings)", width=170),
            "Trend": st.column_config.LineChartColumn(
                width=95, y_min=1, y_max=5, help="Satisfaction over the window"
            ),
            "Corrected": percent_column(width=78, help="Share with a corrected answer"),
            "Issue": st.column_config.TextColumn("Top issue", width=115),
        },
    )


def percents(shares: pd.Series) -> pd.Series:
    """Return shares (0-1) for a column of `percent_column`."""
    return shares * 100


def percent_column(label: str | None = None, **options: Any) -> Any:
    """Return a column of percentages, all with one decimal; sorting goes by the number."""
    return st.column_config.NumberColumn(label, format="%.1f %%", **options)


def csv(rows: pd.DataFrame) -> bytes:
    """Return rows as CSV in which no cell starts a formula in a spreadsheet."""
    safe = rows.assign(issue_categories=[" ".join(issues) for issues in rows["issue_categories"]])
    for column in safe.select_dtypes(["object", "string"]):
        risky = safe[column].str.match(r"[=+\-@\t\r]", na=False)
        safe[column] = safe[column].where(~risky, "'" + safe[column])
    return safe.to_csv(index=False).encode("utf-8-sig")


def _texts(column: pd.Series) -> list[str | None]:
    return [None if pd.isna(text) else str(text) for text in column]
