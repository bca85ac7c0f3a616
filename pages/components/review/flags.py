"""Examples that reviewers took out of the queue, for somebody to put back or reject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from learning_core import db
from learning_core.review import flags
from pages.components import frames, texts, widgets
from pages.components.session import User
from pages.components.texts import count, plain

SHOWN = 20


def show(user: User) -> None:
    """Show flagged examples with the reason, and what can be done about them."""
    rows, total = frames.flagged(user.organization_id, SHOWN)
    if not rows:
        widgets.show_empty(
            "Nothing is flagged",
            "A reviewer who finds something wrong with an example itself, such as private data or a question "
            "nobody can answer, flags it while judging. It then waits here.",
        )
        return
    whole = count(total, "flagged example", "flagged examples")
    shown = f", the oldest {len(rows):,} are shown" if total > len(rows) else ", the oldest first"
    st.caption(f"{whole}{shown if total > 1 else ''}. Nobody is given them to judge meanwhile.")
    for row in rows:
        _show(user, row)


def _show(user: User, row: Any) -> None:
    with st.container(border=True):
        st.caption(f"Flagged by {plain(row.flagged_by, 40)} · agent {plain(row.agent)}")
        texts.as_written(row.flag_reason or "")
        question, answer = st.columns(2)
        with question:
            st.caption("Question")
            texts.framed(row.input_text, missing="Not reported.")
        with answer:
            st.caption("Answer proposed" if row.expected_output else "Answer the agent gave")
            texts.framed(row.expected_output or row.original_output, missing="Not reported.")
        with st.container(horizontal=True, gap="small"):
            if user.may("review"):
                if st.button("Put it back", key=f"unflag_{row.id}", help="It waits for review again."):
                    _change(user, flags.unflag, row.id)
                with st.popover("Reject for good", type="tertiary"):
                    st.text("It is never given to anybody to judge or to learn from again.")
                    if st.button("Reject it", type="primary", key=f"drop_{row.id}"):
                        _change(user, flags.drop, row.id)
            if st.button("See its history", type="tertiary", key=f"open_{row.id}"):
                st.query_params["example"] = str(row.id)
                st.rerun()


def _change(user: User, verb: Callable[..., None], example_id: Any) -> None:
    with widgets.reporting():
        db.in_transaction(user.organization_id, lambda session: verb(session, user.caller, example_id))
        frames.forget()
        st.rerun()
