"""Parts of the page of prompts, and the addresses of its views."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

VIEWS = ("run", "version", "before", "after", "make", "candidate", "evaluator")


def go_to(agent: str | None = None, **query: str) -> NoReturn:
    """Go to a view: `run=<id>`, `version=<number>`, `before=<number>, after=<number>`, `make="run"`,
    `make="version"`, `make="evaluation"`, or none of them; of another agent where one is named.
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
