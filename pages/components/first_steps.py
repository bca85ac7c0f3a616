"""What an organisation without feedback sees: how the first piece of it gets in."""

from __future__ import annotations

import streamlit as st

from pages.components import frames, widgets
from pages.components.session import User


def show(user: User) -> None:
    """Show three steps to copy and a button to look again."""
    api = f"http://{st.context.headers.get('Host')}/api"
    st.text("No agent has been heard of yet. Two steps to the first figures:")
    with widgets.card("Step 1: create a key for your agent"):
        st.text("In a terminal on this machine, or under Administration. The key is shown once.")
        st.code(
            f".venv/bin/afterglow key create --organization {user.organization_slug}"
            " --role engineer --name my-agent",
            language=None,
            wrap_lines=True,
        )
    with widgets.card("Step 2: send a first piece of feedback"):
        st.code(
            f"curl -X POST {api}/learning/feedback \\\n"
            '  -H "Authorization: Bearer YOUR_KEY" -H "Content-Type: application/json" \\\n'
            '  -d \'{"execution_id": "test", "agent_id": "test", '
            '"feedback_type": "thumbs_up", "rating": 5}\'',
            language=None,
            wrap_lines=True,
        )
        st.text("Or put the feedback form under the answers on your own page:")
        st.code(
            f'<script src="{api}/widget.js" async></script>\n'
            '<afterglow-feedback execution-id="test" agent-id="test" token="TOKEN_FROM_YOUR_SERVER">\n'
            "</afterglow-feedback>",
            language=None,
            wrap_lines=True,
        )
    with widgets.card("Or bring what you have collected so far"):
        st.text("A file with one JSON object, or one CSV row, per piece of feedback.")
        st.code(
            f".venv/bin/afterglow import feedback FILE --organization {user.organization_slug}",
            language=None,
            wrap_lines=True,
        )
    if st.button("Look again", type="primary"):
        frames.forget()
        st.rerun()
