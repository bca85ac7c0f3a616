"""One prompt version: what it says, why it was made, what users say of it, and which labels point at it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import streamlit as st

from learning_core import db
from learning_core.feedback.queries import Window
from learning_core.prompts import versions
from learning_core.prompts.history import PRODUCTION, Version
from pages.components import cards, frames, texts, widgets
from pages.components.prompts import changes, go_to
from pages.components.releases import open_form
from pages.components.session import User
from pages.components.texts import plain

YEAR = 365


def show(user: User, agent: str, reference: str) -> None:
    """Show the version of that number, or say that there is none."""
    if st.button("← Prompts", type="tertiary"):
        go_to(agent)
    found = frames.prompt_version(
        user.organization_id, agent, int(reference) if reference.isdecimal() else reference
    )
    if found is None:
        widgets.show_empty("No such version", "It may be of another agent, or never have existed.")
        return
    with widgets.header(f"Version {found.number} of {plain(agent)}"):
        _offer(user, found)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for label in found.labels:
            st.badge(label, color="green" if label == PRODUCTION else "gray")
        st.caption(
            f"Made {found.created_at:%d %b %Y, %H:%M} UTC by {plain(found.author, 40)}. "
            f"Executions report it as {plain(found.key)}.",
            width="content",
        )
    texts.as_written(found.reason)
    show_figures(user, found)
    _show_text(user, found)
    if user.may("optimize"):
        _show_labels(user, found)


def _offer(user: User, found: Version) -> None:
    if user.may("optimize"):
        if PRODUCTION not in found.labels and st.button("Compare on live traffic", key="compare_live"):
            query = {"make": "experiment", "agent": found.agent, "version": str(found.number)}
            st.switch_page("experiments.py", query_params=query)
        if st.button("Score it on a dataset", key="score"):
            go_to(found.agent, make="evaluation", version=str(found.number))
        if st.button("Improve it", key="improve", type="primary"):
            go_to(found.agent, make="run", version=str(found.number))


def show_figures(user: User, found: Version) -> None:
    """Show what users said of a version in the last year."""
    window = Window.last(YEAR, datetime.now(UTC).date())
    figures = frames.live_figures(user.organization_id, found.agent, window).get(found.key) or {}
    if not figures:
        st.caption("No user has said anything about an answer under this version yet.")
        return
    with st.grid(4, gap="small"):
        for name, measure, kind, counted, falls in FIGURES:
            cards.show_metric(
                name, figures.get(measure), kind, counted, falling_is_good=falls, missing=MISSING
            )
    st.caption("Under this version, in the last 365 days.")


FIGURES = (
    ("Satisfaction", "satisfaction", "stars", "ratings", False),
    ("Thumbs up", "thumbs_up_share", "share", "thumbs", False),
    ("Correction rate", "correction_rate", "share", "pieces of feedback", True),
    ("Issue rate", "issue_rate", "share", "pieces of feedback", True),
)
MISSING = "Nobody gave this kind of feedback."


def _show_text(user: User, found: Version) -> None:
    parent = frames.prompt_version(user.organization_id, found.agent, found.parent) if found.parent else None
    what, change, export = st.tabs(
        ["Prompt", f"Change from version {parent.number}" if parent else "Change", "Use it"],
        key=f"of_version_{found.id}",
    )
    with what:
        texts.framed(found.prompt.text, missing="It is empty.")
    with change:
        if parent:
            changes.show(parent.prompt, found.prompt)
        else:
            st.caption("It was made from no other version.")
        if st.button("Compare with any other version", type="tertiary", key="compare_any"):
            before = parent.number if parent else max(found.number - 1, 1)
            go_to(found.agent, before=str(before), after=str(found.number))
    with export:
        _show_export(found)


def _show_export(found: Version) -> None:
    st.text("An agent asks for its prompt with its key, by label or by version:")
    host = st.context.headers.get("Host")
    st.code(
        f'curl -H "Authorization: Bearer YOUR_KEY" "http://{host}/api/learning/prompts/{found.agent}"',
        language=None,
        wrap_lines=True,
    )
    told = {
        "agent_id": found.agent,
        "key": found.key,
        "messages": found.prompt.told(),
        "reason": found.reason,
    }
    st.download_button(
        "Download as JSON",
        json.dumps(told, ensure_ascii=False, indent=2),
        file_name=f"prompt-version-{found.number}.json",
        mime="application/json",
        key="export",
        on_click="ignore",
    )


def _show_labels(user: User, found: Version) -> None:
    st.header("Labels", anchor=False)
    st.caption(
        "Agents ask for “production” unless they name another label. Moving a label takes effect at once."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if PRODUCTION not in found.labels:
            if st.button("Put it into production", type="primary", key="release", help=STEP_BY_STEP):
                open_form(found.agent, found.number)
            with st.popover("Put it there at once"):
                st.text("From the next request on everybody gets it, and nothing takes it back by itself.")
                if st.button("Do it now", key="promote"):
                    set_label(user, found, PRODUCTION)
        for label in found.labels:
            if label != PRODUCTION and st.button(f"Remove {label}", key=f"unlabel_{label}"):
                _unlabel(user, found, label)
        with st.popover("Add another label"):
            name = st.text_input("Label", max_chars=40, placeholder="staging", key="new_label")
            if st.button("Add", key="add_label", type="primary") and name.strip():
                set_label(user, found, name.strip())


STEP_BY_STEP = "As a release: few users first, then more, then all, and back by itself where it hurts."


def set_label(user: User, found: Version, label: str) -> None:
    """Let a label point at a version."""
    with widgets.reporting():
        with db.organization_session(user.organization_id) as session:
            versions.label(session, user.caller, found.agent, label, found.number)
        frames.forget()
        st.rerun()


def _unlabel(user: User, found: Version, label: str) -> None:
    with widgets.reporting():
        with db.organization_session(user.organization_id) as session:
            versions.unlabel(session, user.caller, found.agent, label)
        frames.forget()
        st.rerun()
