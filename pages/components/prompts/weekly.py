"""Whether the weekly look may propose a run for an agent."""

from __future__ import annotations

import streamlit as st

from learning_core import db
from learning_core.prompts import runs
from pages.components import frames, widgets
from pages.components.session import User


def offer(user: User, agent: str) -> None:
    """Show the switch; whoever may not turn it reads how it stands."""
    st.header("Every week", anchor=False)
    is_on = frames.weekly(user.organization_id, agent)
    if not user.may("optimize"):
        st.caption(f"A weekly run is {'' if is_on else 'not '}proposed. A person decides before it starts.")
        return
    key = f"weekly_{agent}"

    def turn() -> None:
        with widgets.reporting(), db.organization_session(user.organization_id) as session:
            runs.enable_weekly(session, user.caller, agent, st.session_state[key])
        frames.forget()

    st.toggle(
        "Propose a run every week, where there is something new to learn from",
        is_on,
        key=key,
        on_change=turn,
        help="A proposal says what it would cost and waits: it spends nothing before somebody starts it.",
    )
