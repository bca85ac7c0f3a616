"""Gold items, whose right decision is known: how often reviewers get them right, and which they are."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from learning_core import db
from learning_core.review import gold
from learning_core.settings import settings
from pages.components import cards, frames, widgets
from pages.components.charts import shorten
from pages.components.session import User
from pages.components.texts import DECISION_NAMES, count, percent, plain

PER_PAGE = 10


def show(user: User) -> None:
    """Show the person's own accuracy; to administrators everybody's, and the items."""
    if not user.may("review"):
        return
    st.header("Accuracy on gold items", anchor=False)
    st.caption(
        f"About {percent(settings().review_gold_share, 0)} of what a reviewer is given are gold items: "
        "examples settled earlier, mixed in unmarked. The figure is the share decided as was known to be "
        "right, over all time; it does not tell who is right about everything else."
    )
    own = frames.accuracies(user.organization_id, user.name)
    with st.grid(3):
        cards.show_metric(
            "Your accuracy",
            own[0].share if own else None,
            "share",
            "gold items you judged",
            missing="You have judged no gold item.",
        )
    if user.may("administer"):
        _show_everybody(frames.accuracies(user.organization_id, None))
        _show_items(user, frames.gold_items(user.organization_id))


def _show_everybody(measured: list[gold.Accuracy]) -> None:
    if not measured:
        return
    st.header("Everybody's accuracy", anchor=False)
    st.dataframe(
        pd.DataFrame(
            {
                "Reviewer": [shorten(one.annotator, 60) for one in measured],
                "Accuracy": [cards.with_interval(one.share, percent) for one in measured],
                "Judged": [one.share.n for one in measured],
            }
        ),
        hide_index=True,
        alt="Accuracy of each reviewer on gold items",
        column_config={
            "Accuracy": "Decided as known to be right (95 % interval)",
            "Judged": st.column_config.NumberColumn("Gold items judged", format="localized"),
        },
    )


def _show_items(user: User, items: pd.DataFrame) -> None:
    st.header("Gold items", anchor=False)
    if items.empty:
        st.caption(
            "None yet. Open an example under Examples that was rejected, or approved as it was proposed, and "
            "make it a gold item there. From then on everybody is measured by it; ten or more, of both "
            "kinds, make a fair test."
        )
        return
    st.caption(
        f"{count(len(items), 'item', 'items')}, the newest first, at most 200. To add one, open a settled "
        "example under Examples."
    )
    pages = range(0, len(items), PER_PAGE)
    start = 0
    if len(pages) > 1:
        start = pages[st.pagination(len(pages), key="gold_page") - 1]
    for row in items[start : start + PER_PAGE].itertuples():
        _show_item(user, row)


def _show_item(user: User, row: Any) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(width="stretch", gap=None):
            st.text(shorten(row.input_text or "The question was not reported.", 120))
            judged = count(row.judged_count, "judgement", "judgements")
            st.caption(
                f"Right decision: {DECISION_NAMES[row.gold_decision].lower()} · {plain(row.agent)} · {judged}"
            )
        if st.button("Open", type="tertiary", key=f"open_{row.id}"):
            st.query_params["example"] = row.id
            st.rerun()
        if st.button("Remove", type="tertiary", key=f"unmake_{row.id}", help="An ordinary example again."):
            with widgets.reporting():
                example_id = UUID(row.id)
                db.in_transaction(
                    user.organization_id,
                    lambda session: gold.unmake_gold(session, user.caller, example_id),
                )
                st.rerun()
