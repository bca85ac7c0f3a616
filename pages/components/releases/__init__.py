"""Parts of the page of releases, and the addresses of its views."""

from __future__ import annotations

from typing import NoReturn
from uuid import UUID

import streamlit as st

VIEWS = ("release", "make", "version", "experiment")


def go_to(agent: str | None = None, **query: str) -> NoReturn:
    """Go to a view: `release=<id>`, `make="release", version=<number>`, or none of them."""
    address(agent, **query)
    st.rerun()


def address(agent: str | None = None, **query: str) -> None:
    """Put a view into the URL; for callbacks, after which the page runs by itself."""
    for name in (*VIEWS, "agent"):
        st.query_params.pop(name, None)
    if agent is not None:
        st.query_params["agent"] = agent
    st.query_params.update(query)


def open_release(release_id: UUID) -> NoReturn:
    """Go to a release from another page."""
    st.switch_page("releases.py", query_params={"release": str(release_id)})


def open_form(agent: str, version: int) -> NoReturn:
    """Go from another page to the form that starts a release of a version."""
    query = {"make": "release", "agent": agent, "version": str(version)}
    st.switch_page("releases.py", query_params=query)
