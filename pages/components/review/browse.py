"""Examples by where they stand."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from learning_core.schema import ExampleStatus, ExampleType
from pages.components import frames, widgets
from pages.components.charts import shorten
from pages.components.session import User
from pages.components.texts import EXAMPLE_NAMES, STATUS_NAMES

BROWSED = [
    ExampleStatus.APPROVED,
    ExampleStatus.REJECTED,
    ExampleStatus.NEEDS_REVISION,
    ExampleStatus.PENDING,
]
EMPTY = {
    ExampleStatus.APPROVED: "An example is approved once reviewers agree on its answer.",
    ExampleStatus.REJECTED: "Reviewers have rejected none.",
    ExampleStatus.NEEDS_REVISION: "Reviewers have asked for no revision that is still to be written.",
    ExampleStatus.PENDING: "Corrections, reports and some praise become examples that wait for review.",
}


def show(user: User, agent: str | None) -> None:
    """Show the newest examples of a status; choosing one opens it."""
    status = ExampleStatus(
        st.segmented_control(
            "Status",
            BROWSED,
            default=BROWSED[0],
            required=True,
            format_func=STATUS_NAMES.__getitem__,
            label_visibility="collapsed",
            key="status",
            bind="query-params",
        )
        or BROWSED[0]
    )
    rows = frames.newest_examples(user.organization_id, status, agent)
    if rows.empty:
        widgets.show_empty("No such examples", EMPTY[status])
        return

    def open_example() -> None:
        if chosen := st.session_state["examples"]["selection"]["rows"]:
            st.query_params["example"] = rows["id"].iloc[chosen[0]]

    st.caption(f"The newest {len(rows):,}, at most 100. Choose a row for the example and its way so far.")
    shown = pd.DataFrame(
        {
            "Time": rows["created_at"],
            "Agent": [shorten(agent, 60) for agent in rows["agent"]],
            "Kind": [EXAMPLE_NAMES[ExampleType(kind)] for kind in rows["example_type"]],
            "Question": _shortened(rows["input_text"]),
            "Answer": _shortened(rows["output"]),
        }
    )
    if status is ExampleStatus.APPROVED:
        shown["Quality"] = rows["quality"]
        shown["Verified"] = ["yes" if verified else "" for verified in rows["human_verified"]]
    st.dataframe(
        shown,
        hide_index=True,
        key="examples",
        on_select=open_example,
        selection_mode="single-row",
        alt=f"Examples: {STATUS_NAMES[status].lower()}",
        placeholder="",
        column_config={
            "Time": st.column_config.DatetimeColumn(
                "Since (UTC)", format="YYYY-MM-DD", timezone="UTC", width=92
            ),
            "Agent": st.column_config.TextColumn(width=115),
            "Kind": st.column_config.TextColumn(width=100),
            "Question": st.column_config.TextColumn(width=205),
            "Answer": st.column_config.TextColumn(width=175),
            "Quality": st.column_config.NumberColumn(format="%.2f", width=62, help="0 to 1"),
            "Verified": st.column_config.TextColumn(
                width=62, help="Approved by somebody who did not write the answer"
            ),
        },
    )


def _shortened(column: pd.Series) -> list[str | None]:
    return [None if pd.isna(text) else shorten(str(text), 300) for text in column]
