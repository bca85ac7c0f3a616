"""Examples of a dataset as rows."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from learning_core.schema import ExampleType
from pages.components.charts import shorten
from pages.components.texts import EXAMPLE_NAMES


def list_examples(rows: pd.DataFrame, alt: str) -> None:
    """Show examples with what was asked and what should be answered."""
    st.dataframe(
        _shown(rows),
        hide_index=True,
        alt=alt,
        column_config=COLUMNS,
        column_order=["Question", "Expected", "Type"],
    )


def show_examples(rows: pd.DataFrame, key: str, alt: str) -> None:
    """Show examples like `list_examples`; choosing one opens it in review."""

    def open_example() -> None:
        chosen = st.session_state[key]["selection"]["rows"]
        if chosen:
            st.switch_page("review.py", query_params={"example": rows["id"].iloc[chosen[0]]})

    st.dataframe(
        _shown(rows),
        hide_index=True,
        key=key,
        on_select=open_example,
        selection_mode="single-row",
        alt=alt,
        column_config=COLUMNS,
    )


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Question": [shorten(text, 300) for text in rows["input_text"]],
            "Expected": [shorten(text, 300) for text in rows["expected_output"]],
            "Type": [EXAMPLE_NAMES[ExampleType(kind)] for kind in rows["example_type"]],
            "Agent": [shorten(agent, 60) for agent in rows["agent"]],
            "Quality": rows["quality"],
            "Verified": ["yes" if verified else "no" for verified in rows["human_verified"]],
        }
    )


COLUMNS = {
    "Question": st.column_config.TextColumn(width=190),
    "Expected": st.column_config.TextColumn("Expected answer", width=180),
    "Type": st.column_config.TextColumn(width=118),
    "Agent": st.column_config.TextColumn(width=132),
    "Quality": st.column_config.NumberColumn(format="%.2f", width=60),
    "Verified": st.column_config.TextColumn(
        width=60, help="Approved by a person who did not write the answer"
    ),
}
