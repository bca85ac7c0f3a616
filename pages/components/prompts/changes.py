"""Where two prompts differ, line by line and then word by word."""

from __future__ import annotations

from html import escape

import streamlit as st

from learning_core.llm.templates import Prompt
from learning_core.prompts.differences import difference
from pages.components.texts import AS_WRITTEN, PUT_IN, STRUCK


def show(before: Prompt, after: Prompt) -> None:
    """Show what one prompt says in place of another: struck out what went, marked what came."""
    found = difference(before, after)
    if found.is_empty:
        st.caption("Both say the same, word for word.")
        return
    st.caption("Struck out what went, marked what came.")
    pieces = [MARKS[block.kind].format(escape(block.text)) for block in found.blocks]
    with st.container(border=True):
        st.html(f'<div style="{AS_WRITTEN}">{"".join(pieces)}</div>')


MARKS = {
    "equal": "{}",
    "removed": f'<del style="{STRUCK}">{{}}</del>',
    "added": f'<ins style="{PUT_IN}">{{}}</ins>',
}
