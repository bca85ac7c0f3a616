"""Parts of the users, to explore; nothing may be decided by them."""

from __future__ import annotations

import streamlit as st

from learning_core.experiments import amounts
from learning_core.experiments.metrics import METRICS
from learning_core.experiments.queries import Found
from learning_core.experiments.reports import telling
from pages.components import frames_experiments
from pages.components.session import User

FEWEST_USERS = 60
WARNING = (
    "Do not decide on these. With several groups, one nearly always looks different by chance alone. They "
    "may give an idea for the next experiment."
)


def offer(user: User, found: Found) -> None:
    """Offer the parts behind one click."""
    with st.expander("Groups of users (exploratory)", key=f"segments_{found.id}", on_change="rerun") as box:
        if not box.open:
            return
        st.warning(WARNING)
        metric = METRICS[found.design.primary]
        parts = frames_experiments.segments(user.organization_id, found.id)
        for part in parts:
            if part.users < FEWEST_USERS:
                st.text(f"{part.words}: too few to say, {telling.count(part.users, 'user', 'users')}")
                continue
            told = amounts.with_interval(part.difference, part.low, part.high, metric.unit)
            st.text(f"{part.words}: {told}, from {part.n:,} {metric.counted} of {part.users:,} users")
