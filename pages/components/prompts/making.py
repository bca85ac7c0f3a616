"""A prompt version from what somebody writes: the first one, which agents use already, or the next."""

from __future__ import annotations

import streamlit as st

from learning_core import db
from learning_core.llm.templates import Prompt
from learning_core.prompts import versions
from learning_core.prompts.history import PRODUCTION, Version
from pages.components import frames, widgets
from pages.components.prompts import go_to
from pages.components.session import User
from pages.components.texts import plain

OTHER = "A new one"


def invite(user: User, agent: str) -> None:
    """Ask for the prompt that an agent has used so far."""
    if not user.may("optimize"):
        widgets.show_empty(
            "No prompt yet", "ML engineers and administrators enter the one that the agent uses now."
        )
        return
    with st.container(border=True):
        st.header("Which prompt does the agent use now?", anchor=False)
        st.text(
            "Paste it here. It becomes version 1: what users say is held against it, and every improvement "
            "begins with it."
        )
        _ask(user, agent, "", frames.reported_keys(user.organization_id, agent), first=True)


def show(user: User, agent: str) -> None:
    """Show the form for another version, which begins with the one in production."""
    if st.button("← Prompts", type="tertiary"):
        go_to(agent)
    st.title(f"A new version for {plain(agent)}", anchor=False)
    st.caption("It changes nothing until a label points at it.")
    current = frames.prompt_version(user.organization_id, agent, PRODUCTION)
    text = _editable(current) if current else ""
    if text is None:
        st.text(
            "The version in production is more than one instruction: it has examples, or several messages. "
            "Download it under its version, change the file, and import it again."
        )
        st.code(".venv/bin/afterglow import prompts FILE --organization NAME --agent AGENT", language=None)
        return
    _ask(user, agent, text, [], first=not current, parent=current)


def _editable(version: Version) -> str | None:
    """Return the text that stands for a prompt, None where it takes more than one text to write it."""
    prompt = Prompt.from_text(version.prompt.text)
    return version.prompt.text if prompt == version.prompt else None


def _ask(
    user: User, agent: str, text: str, keys: list[str], *, first: bool, parent: Version | None = None
) -> None:
    with st.form("new_version", border=False):
        text = st.text_area(
            "Prompt",
            text,
            height=240,
            max_chars=200_000,
            placeholder="Sort the message into one of our topics and answer with its name.",
            help="The user's input follows the prompt. To place it yourself, write {{input}}.",
        )
        if first:
            reason = "The prompt that the agent used so far."
        else:
            reason = st.text_input("Why this version is made", max_chars=500)
        key = _ask_key(keys)
        if st.form_submit_button("Save as version 1" if first else "Save", type="primary"):
            _save(user, agent, text, reason, key, parent)


def _ask_key(keys: list[str]) -> str | None:
    """Ask under which name the agent reports this prompt, where it has reported any."""
    if not keys:
        return None
    chosen = st.selectbox(
        "The agent reports it as",
        [*keys, OTHER],
        help="Executions name the prompt version they ran under; that is how figures find their version.",
    )
    return None if chosen == OTHER else chosen


def _save(user: User, agent: str, text: str, reason: str, key: str | None, parent: Version | None) -> None:
    with widgets.reporting():
        with db.organization_session(user.organization_id) as session:
            made = versions.save(
                session,
                user.caller,
                agent,
                Prompt.from_text(text.strip()),
                reason=reason,
                key=key,
                parent=parent.id if parent else None,
            )
        frames.forget()
        go_to(agent, version=str(made.number))
