"""One release: where it is, what watches over it, what it did, what it was made from, and what happened."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from learning_core.releases.queries import Found
from pages.components import frames_releases, texts, widgets
from pages.components.charts import shorten
from pages.components.releases import actions, effects, go_to, happened, origin, policies, progress, telling
from pages.components.session import User
from pages.components.texts import plain


def show(user: User, release_id: str) -> None:
    """Show the release of that id, or say that there is none."""
    found = _find(user, release_id)
    if st.button("← Releases", type="tertiary"):
        go_to()
    if found is None:
        widgets.show_empty("No such release", "It may belong to another organisation, or never have existed.")
        return
    _show_title(found)
    actions.offer(user, found)
    progress.show(user, found)
    _show_effect(user, found)
    st.header("What it was made from", anchor=False)
    origin.show(frames_releases.chain(user.organization_id, found.id), found.agent)
    with st.expander("The rules it follows"):
        policies.tell(found.policy)
    st.header("What happened", anchor=False)
    happened.show(frames_releases.release_events(user.organization_id, found.id))


def _find(user: User, release_id: str) -> Found | None:
    try:
        return frames_releases.release(user.organization_id, UUID(release_id))
    except ValueError:
        return None


def _show_title(found: Found) -> None:
    name, color = telling.status(found)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(f"Release {found.number} of {plain(found.agent)}", anchor=False, width="content")
        st.badge(name, color=color)
    st.caption(
        f"{plain(telling.takes_over(found), 120)} Started by {plain(found.created_by, 40)}, "
        f"{telling.at(found.created_at)}."
    )
    if found.reason:
        texts.as_written(shorten(found.reason, 500))


def _show_effect(user: User, found: Found) -> None:
    entry = frames_releases.effect(user.organization_id, found.id)
    if entry is None or entry.release.previous is None:
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.header("What users said, before and since", anchor=False, width="content")
        if entry.measured_at:
            st.caption(f"Measured {telling.at(entry.measured_at)}", width="content")
    if entry.impact is None:
        st.caption("Not measured yet: that happens once a day, and after each step.")
        return
    effects.show(entry.impact)
