"""All releases: what is on its way, what each agent uses now, and what there was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from learning_core.releases.ledger import Entry
from pages.components import frames_releases, widgets
from pages.components.charts import shorten
from pages.components.releases import address, course, effects, go_to, telling
from pages.components.session import User
from pages.components.texts import plain


def show(user: User, agents: list[str], agent: str | None) -> None:
    """Show the releases of an agent, or of all."""
    if not agents:
        widgets.show_empty(
            "No agent has been heard of yet",
            "Releases take a prompt to the users of an agent. The first feedback, execution or example of an "
            "agent brings it in.",
        )
        return
    found = frames_releases.releases(user.organization_id, agent)
    under_way = [one for one in found if not one.status.is_over]
    for one in under_way:
        _show_under_way(one)
    _show_current(user, agent)
    _show_history(user, agent, [one for one in found if not one.is_standing_in])


def _show_under_way(one: Any) -> None:
    name, color = telling.status(one)
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.header(f"{plain(one.agent, 60)}: {plain(one.version, 20)}", anchor=False, width="content")
            st.badge(name, color=color)
            if st.button("Open", key=f"open_{one.id}", type="tertiary"):
                go_to(release=str(one.id))
        words = telling.standing(one)
        st.text(words.headline)
        if words.details:
            st.caption(plain(words.details[-1], 300))
        course.draw(telling.stops(one, datetime.now(UTC)))


def _show_current(user: User, agent: str | None) -> None:
    current = frames_releases.current(user.organization_id)
    rows = [one for one in current if agent in (None, one.agent)]
    st.header("In production now", anchor=False)
    if not rows:
        st.caption("No agent has a prompt in production yet. An agent's first version goes there by itself.")
        return
    st.dataframe(
        pd.DataFrame([_current_row(row) for row in rows]),
        hide_index=True,
        alt="The version that each agent uses now",
        placeholder="—",
        key="current",
        column_config={
            "Agent": st.column_config.TextColumn(width=190),
            "Version": st.column_config.TextColumn(width=110),
            "Since": st.column_config.DatetimeColumn(
                "Since (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC", width=140
            ),
            "By": st.column_config.TextColumn(width=150),
            "How": st.column_config.TextColumn(width=90),
            "Experiment": st.column_config.TextColumn("Compared in", width=190),
        },
    )


def _current_row(row: Any) -> dict[str, Any]:
    return {
        "Agent": shorten(row.agent, 60),
        "Version": shorten(row.version_key, 40),
        "Since": row.since,
        "By": shorten(row.by, 40),
        "How": f"release {row.release}" if row.release else "by hand",
        "Experiment": shorten(row.experiment, 80) if row.experiment else None,
    }


def _show_history(user: User, agent: str | None, found: Sequence[Any]) -> None:
    st.header("History", anchor=False)
    if not found:
        st.caption(
            "Nothing was released yet. A release takes a new version to few users first, compares them with "
            "as many others, and goes on only when nothing got worse."
        )
        return
    st.caption("Newest first. Choose a row for what it did and what it was made from.")
    measured = {one.release.id: one for one in frames_releases.effects(user.organization_id, agent)}

    def choose() -> None:
        rows = st.session_state["releases"]["selection"]["rows"]
        if rows:
            address(release=str(found[rows[0]].id))

    st.dataframe(
        pd.DataFrame([_row(one, measured.get(one.id)) for one in found]),
        hide_index=True,
        key="releases",
        on_select=choose,
        selection_mode="single-row",
        alt="All releases",
        placeholder="—",
        column_config={
            "Agent": st.column_config.TextColumn(width=105),
            "Release": st.column_config.NumberColumn(width=62),
            "Version": st.column_config.TextColumn(width=75),
            "State": st.column_config.TextColumn(width=125),
            "Effect": st.column_config.TextColumn(
                "What users said, before and since",
                width=345,
                help="With the 95 % interval of the value since",
            ),
            "Started": st.column_config.DatetimeColumn(
                "Started (UTC)", format="YYYY-MM-DD", timezone="UTC", width=95
            ),
        },
    )


def _row(one: Any, measured: Entry | None) -> dict[str, Any]:
    before = f"{shorten(one.previous_version, 20)} → " if one.previous_version else ""
    return {
        "Agent": shorten(one.agent, 60),
        "Release": one.number,
        "Version": f"{before}{shorten(one.version, 20)}",
        "State": telling.status(one)[0],
        "Effect": effects.headline(measured) if measured else None,
        "Started": one.created_at,
    }
