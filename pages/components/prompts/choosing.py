"""What every run needs: a model to ask, and a dataset to ask it about; or the way to get them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from learning_core.schema import ModelRole
from pages.components import frames, widgets
from pages.components.charts import SPLIT_NAMES
from pages.components.prompts import VIEWS
from pages.components.session import User
from pages.components.texts import count

AGENT = "prompts_of"


def agent(known: list[str], named: str | None) -> str | None:
    """Ask for an agent; None means all of them.

    The choice is written into the address by hand: what is bound to a widget could not be set by a link.
    """
    if st.session_state.get(AGENT) not in known:
        st.session_state[AGENT] = named if named in known else None
    return st.selectbox(
        "Agent",
        known,
        index=None,
        placeholder="All agents",
        label_visibility="collapsed",
        key=AGENT,
        on_change=_keep_agent,
        width=240,
    )


def _keep_agent() -> None:
    if chosen := st.session_state[AGENT]:
        st.query_params["agent"] = chosen
    elif not any(view in st.query_params for view in VIEWS):  # no view of an agent has just been opened
        st.query_params.pop("agent", None)


def choose_agent(name: str) -> None:
    """Choose an agent in a callback."""
    st.session_state[AGENT] = name
    _keep_agent()


def has_models(user: User) -> bool:
    """Tell whether there is a model that answers like the agent; where there is none, say what to do."""
    if ModelRole.TASK in frames.assigned_models(user.organization_id):
        return True
    widgets.show_empty(
        "No model is configured yet",
        "Trying a prompt out takes a language model, on this machine or at a provider. An administrator adds "
        "one under Administration, Models; everything else works without.",
    )
    if user.may("administer") and st.button("Add a model", type="primary", key="to_models"):
        st.switch_page("admin.py", query_params={"tab": "Models"})
    return False


def dataset(user: User, agent: str) -> Any:
    """Ask for a dataset version that holds examples of the agent; say what to do where there is none."""
    known = frames.datasets_of(user.organization_id, agent)
    if not known:
        widgets.show_empty(
            "No dataset with this agent's examples yet",
            "A run learns from approved examples and proves itself on others. Approve some under Review, and "
            "freeze them under Datasets.",
        )
        if st.button("Go to Datasets", type="primary", key="to_datasets"):
            st.switch_page("datasets.py")
        return None
    named = {f"{one.name}, version {one.version}": one for one in known}
    chosen = st.selectbox("Dataset", list(named), key="run_dataset")
    found = named[chosen]
    held = frames.split_sizes(user.organization_id, found.id, agent)
    listed = ", ".join(f"{name.lower()} {held[split]:,}" for split, name in SPLIT_NAMES.items())
    st.caption(f"{count(sum(held.values()), 'example', 'examples')} of this agent: {listed}.")
    if found.test_uses:
        times = count(found.test_uses, "time", "times")
        st.warning(
            f"Its test split was used {times} before. The more often it is looked at, the less it proves: "
            "freeze a version with new examples from time to time."
        )
    return found
