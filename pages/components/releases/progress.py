"""A release under way, as it is now: its stages, what it waits for, and its bounds."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

import streamlit as st

from learning_core.releases.queries import Found
from learning_core.schema import ReleaseStatus
from pages.components import frames, frames_releases
from pages.components.releases import course, guards, telling
from pages.components.session import User

EVERY = "10s"


def show(user: User, found: Found) -> None:
    """Show where a release is; one under way is followed until its next step."""
    if found.status.is_over:
        _draw(found)
    else:
        _follow(user, found)


@st.fragment(run_every=EVERY)
def _follow(user: User, before: Found) -> None:
    found = frames_releases.release(user.organization_id, before.id)
    if found is None or _step(found) != _step(before):
        frames.forget()
        st.rerun()
    _draw(found)


def _step(found: Found) -> tuple[object, ...]:
    """Return what decides which buttons there are and what is written around."""
    return found.status, found.stage, found.held_by, found.approved_by


def _draw(found: Found) -> None:
    words = telling.standing(found)
    with st.container(border=True, gap="small"):
        st.html(f'<p style="{LARGE}">{escape(words.headline)}</p>')
        for line in words.details:
            st.text(line)
        course.draw(telling.stops(found, datetime.now(UTC)))
    if found.check or found.status is ReleaseStatus.ROLLING_OUT:
        st.header("Guardrails", anchor=False)
        guards.show(found.check, telling.against(found))


LARGE = "font-size:1.2rem;font-weight:600;line-height:1.35;margin:0"
