"""Parts of the page of datasets, and the addresses of its views."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

VIEWS = ("dataset", "make")


def go_to(**query: str) -> NoReturn:
    """Go to a view: `dataset=<id>`, `make="new"`, `make=<id of the version to follow>`, or none of them."""
    for name in VIEWS:
        st.query_params.pop(name, None)
    st.query_params.update(query)
    st.rerun()
