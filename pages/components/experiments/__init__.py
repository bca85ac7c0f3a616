"""Parts of the page of experiments, and the addresses of its views."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

VIEWS = ("experiment", "make", "run", "candidate", "version", "planner", "edit")


def go_to(agent: str | None = None, **query: str) -> NoReturn:
    """Go to a view: `experiment=<id>`, `make="experiment"` (with `run=<id>, candidate=<number>` or
    `version=<number>`), `planner="1"`, or none of them; of another agent where one is named.
    """
    address(agent, **query)
    st.rerun()


def address(agent: str | None = None, **query: str) -> None:
    """Put a view into the URL; for callbacks, after which the page runs by itself."""
    for name in VIEWS:
        st.query_params.pop(name, None)
    if agent is not None:
        st.query_params["agent"] = agent
    st.query_params.update(query)
