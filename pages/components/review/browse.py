"""Examples by where they stand."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from learning_core.schema import ExampleStatus, ExampleType
from pages.components import frames, widgets
from pages.components.charts import shorten
from pages.components.session import User
from pages.components.texts import EXAMPLE_NAMES, STATUS_NAMES, count

BROWSED = [
    ExampleStatus.APPROVED,
    ExampleStatus.REJECTED,
    ExampleStatus.NEEDS_REVISION,
    ExampleStatus.PENDING,
]
EMPTY = {
    ExampleStatus.APPROVED: "An example is approved once its reviewers agree on the answer.",
    ExampleStatus.REJECTED: "Reviewers have rejected none.",
    ExampleStatus.NEEDS_REVISION: "Reviewers have asked for no revision that is still to be written.",
    ExampleStatus.PENDING: "Corrections, reported issues and a sample of praise become examples that wait.",
}
OF_AGENT = "There is none of this agent. Choose another status, or all agents."
MOST = 100


def show(user: User) -> None:
    """Show the newest examples of a status; choosing one opens it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
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
        agent = widgets.choose_agent(frames.agents_ever(user.organization_id))
    rows = frames.newest_examples(user.organization_id, status, agent, MOST)
    if rows.empty:
        widgets.show_empty("No such examples", OF_AGENT if agent else EMPTY[status])
        return

    def open_example() -> None:
        if chosen := st.session_state["examples"]["selection"]["rows"]:
            st.query_params["example"] = rows["id"].iloc[chosen[0]]

    found = count(len(rows), "example", "examples")
    shown = f"The newest {found}" if len(rows) == MOST else f"{found}, newest first"
    st.caption(f"{shown}. Choose a row for its texts and its history.")
    table = pd.DataFrame(
        {
            "Time": rows["created_at"],
            "Agent": [shorten(agent, 60) for agent in rows["agent"]],
            "Type": [EXAMPLE_NAMES[ExampleType(kind)] for kind in rows["example_type"]],
            "Question": _shortened(rows["input_text"]),
            "Answer": _shortened(rows["output"]),
        }
    )
    if status is ExampleStatus.APPROVED:
        table["Quality"] = rows["quality"]
        table["Verified"] = ["yes" if verified else "" for verified in rows["human_verified"]]
    st.dataframe(
        table,
        hide_index=True,
        key="examples",
        on_select=open_example,
        selection_mode="single-row",
        alt=f"Examples: {STATUS_NAMES[status].lower()}",
        placeholder="",
        column_config={
            "Time": st.column_config.DatetimeColumn(
                "Added (UTC)", format="YYYY-MM-DD", timezone="UTC", width=95
            ),
            "Agent": st.column_config.TextColumn(width=132),
            "Type": st.column_config.TextColumn(width=118),
            "Question": st.column_config.TextColumn(width=180),
            "Answer": st.column_config.TextColumn(width=160),
            "Quality": st.column_config.NumberColumn(format="%.2f", width=62, help="0 to 1"),
            "Verified": st.column_config.TextColumn(
                width=62, help="Approved by somebody who did not write the answer"
            ),
        },
    )


def _shortened(column: pd.Series) -> list[str | None]:
    return [None if pd.isna(text) else shorten(str(text), 300) for text in column]
