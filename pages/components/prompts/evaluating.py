"""Scoring a prompt version on a dataset: on which, on which of its examples, at what cost."""

from __future__ import annotations

import streamlit as st

from learning_core import db
from learning_core.background import Cap
from learning_core.datasets.splits import Split
from learning_core.evaluation import runs
from pages.components import frames, widgets
from pages.components.charts import SPLIT_NAMES
from pages.components.prompts import choosing, go_to
from pages.components.session import User
from pages.components.texts import count, plain


def show(user: User, agent: str, reference: str) -> None:
    """Show the form for scoring one version, and start it."""
    if st.button("← Prompts", type="tertiary"):
        go_to(agent)
    found = frames.prompt_version(
        user.organization_id, agent, int(reference) if reference.isdecimal() else reference
    )
    if found is None:
        widgets.show_empty("No such version", "It may be of another agent, or never have existed.")
        return
    st.title(f"Score version {found.number} of {plain(agent)}", anchor=False)
    st.caption("The version answers every example; each answer is scored against the expected one.")
    if not choosing.has_models(user):
        return
    dataset = choosing.dataset(user, agent)
    if dataset is None:
        return
    held = frames.split_sizes(user.organization_id, dataset.id, agent)
    split = st.segmented_control(
        "Examples",
        [split for split in Split if held[split]],
        default=Split.VALIDATION if held[Split.VALIDATION] else None,
        required=True,
        format_func=lambda one: f"{SPLIT_NAMES[one]} ({held[one]:,})",
        key="evaluated_split",
    )
    if split == Split.TEST:
        st.warning(
            "The test split is kept for the final proof. Scoring on it counts as a look, in your name."
        )
    if split is None:
        return
    st.text(f"One call for each of {count(held[split], 'example', 'examples')}; more where a judge scores.")
    if st.button("Score it", type="primary", key="start_evaluation"):
        with widgets.reporting():
            with db.organization_session(user.organization_id) as session:
                run_id = runs.start(
                    session, user.caller, agent, found.id, dataset.id, Split(split), cap=Cap()
                )
            frames.forget()
            go_to(agent, run=str(run_id))
