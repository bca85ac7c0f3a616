"""What reviewers go by, agent by agent."""

from __future__ import annotations

import streamlit as st

from learning_core import db
from learning_core.review.guidelines import LONGEST, write_guidelines
from pages.components import frames, texts, widgets
from pages.components.session import User


def show(user: User) -> None:
    """Show an agent's guidelines; let those who review write them."""
    agents = frames.agents_ever(user.organization_id)
    if not agents:
        widgets.show_empty(
            "No agent yet", "Guidelines belong to an agent; the first feedback or example brings one in."
        )
        return
    agent = st.selectbox(
        "Agent", agents, label_visibility="collapsed", key="guided", bind="query-params", width=240
    )
    st.caption(
        "What a good answer of this agent is, and when to approve, correct or reject. Reviewers see it "
        "beside what they judge."
    )
    written = frames.guidelines(user.organization_id).get(agent)
    texts.framed(written, missing="Nobody has written guidelines for this agent.")
    if user.may("review"):
        _write(user, agent, written or "")


def _write(user: User, agent: str, written: str) -> None:
    with (
        st.expander("Change them" if written else "Write them", expanded=not written),
        st.form(f"write_{agent}", border=False),
    ):
        text = st.text_area(
            "Guidelines",
            written,
            max_chars=LONGEST,
            height=320,
            label_visibility="collapsed",
            placeholder="Approve when …\nCorrect when …\nReject when …",
            key=f"guidelines_{agent}",
        )
        if st.form_submit_button("Save", type="primary"):
            with widgets.reporting():
                db.in_transaction(
                    user.organization_id,
                    lambda session: write_guidelines(session, user.caller, agent, text),
                )
                frames.forget()
                st.rerun()
