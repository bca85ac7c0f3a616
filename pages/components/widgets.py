"""Small pieces that pages share: notices, what to look at, and where a chart leads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import streamlit as st

from learning_core import access, db
from learning_core.errors import LearningError, NotPermitted, Unavailable
from learning_core.feedback import trends
from learning_core.feedback.entries import EARLIEST
from learning_core.feedback.queries import Window
from pages.components import charts, frames
from pages.components.session import User
from pages.components.texts import plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

WINDOW_DAYS = {"7d": 7, "30d": 30, "90d": 90, "365d": 365}
CUSTOM = "custom"


# ---------------------------------------------------------------- errors and notices


@contextmanager
def reporting() -> Iterator[None]:
    """Show what went wrong in place of a traceback."""
    try:
        yield
    except LearningError as error:
        show_error(error)


def show_error(error: LearningError) -> None:
    """Say what went wrong in the words of its kind."""
    titles = {Unavailable: "The database does not answer", NotPermitted: "Not allowed"}
    title = titles.get(type(error), "That did not work")
    st.error(f"{title}. {plain(error.message, 500)}")


def say_simulated(user: User) -> None:
    """Tell everyone that these rows are invented; let administrators remove them."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge("Simulated data", color="orange")
        st.caption("Invented to show what Afterglow does: no real person, firm or answer.", width="content")
        if user.may("administer"):
            with st.popover("Remove the demo", type="tertiary"):
                st.text("This deletes the organisation and everything in it.")
                if st.button("Remove it now", type="primary", key="remove_demo"):
                    remove_organization(user)


def remove_organization(user: User) -> None:
    """Delete the organisation and go where another one is."""
    with reporting():
        with db.organization_session(user.organization_id) as session:
            access.remove_organization(session, user.caller)
        frames.forget()
        st.switch_page("overview.py", query_params={})


def show_empty(title: str, text: str) -> None:
    """Say that there is nothing yet, and what to do about it."""
    with st.container(border=True):
        st.header(title, anchor=False)
        st.text(text)


# ---------------------------------------------------------------- what to look at


@contextmanager
def header(title: str) -> Iterator[None]:
    """Put a page's title on the left and whatever the block draws on the right."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.title(title, anchor=False, width="content")
        with st.container(
            horizontal=True, horizontal_alignment="right", vertical_alignment="bottom", width="content"
        ):
            yield


@contextmanager
def card(title: str) -> Iterator[None]:
    """Frame what the block draws under a title."""
    with st.container(border=True, height="stretch", gap="xsmall"):
        st.header(title, anchor=False)
        yield


def choose_agent(agents: list[str]) -> str | None:
    """Ask for an agent; None means all of them."""
    return choose("Agent", agents, "All agents", key="agent")


def choose(label: str, options: list[str], every: str, *, key: str) -> str | None:
    """Ask for one of several, or for all of them (None); the choice lives in the URL."""
    return st.selectbox(
        label,
        options,
        index=None,
        placeholder=every,
        label_visibility="collapsed",
        key=key,
        bind="query-params",
        width=240,
    )


def choose_window() -> Window:
    """Ask for a window of whole UTC days that ends today, or for one of any dates."""
    today = datetime.now(UTC).date()
    options = [*WINDOW_DAYS, CUSTOM]
    chosen = st.segmented_control(
        "Window",
        options,
        default="30d",
        required=True,
        label_visibility="collapsed",
        on_change=_leave_period,
        key="window",
        bind="query-params",
    )
    if chosen != CUSTOM:
        return Window.last(WINDOW_DAYS.get(chosen or "", 30), today)
    dates = st.date_input(
        "From and to",
        (today - timedelta(days=29), today),
        max_value=today,
        format="YYYY-MM-DD",
        label_visibility="collapsed",
        key="dates",
        bind="query-params",
        width=230,
    )
    return (
        Window(dates[0], dates[1]) if isinstance(dates, tuple) and len(dates) == 2 else Window.last(30, today)
    )


def _leave_period() -> None:
    """Drop the days chosen on a chart: another window was asked for."""
    if "period" in st.query_params:
        del st.query_params["period"]


def read_period(text: str | None) -> Window | None:
    """Return the days that a click on a chart put into the URL, None where there are none."""
    try:
        since, until = (date.fromisoformat(day) for day in (text or "").split(".."))
    except ValueError:
        return None
    today = datetime.now(UTC).date()
    return Window(since, until) if EARLIEST.date() <= since <= until <= today else None


def describe_points(window: Window) -> str:
    """Return what a bar of a chart over the window stands for."""
    period = "day" if trends.days_per_period(window) == 1 else "week"
    return f"Per {period} (UTC). Choose a bar to see its feedback."


def describe_ratings(*, one: bool) -> str:
    """Return how to read a chart of ratings over time, of one series or of several."""
    band = " with its 95 % interval; dots are single days" if one else ""
    return f"Mean rating of the last seven days{band}. Choose a point for its feedback."


def describe_window(window: Window) -> str:
    """Return the window in a sentence's words, and what it is compared with."""
    days = charts.span(window.since, window.until)
    so_far = ", today so far included" if window.until == datetime.now(UTC).date() else ""
    return f"{days} (UTC days{so_far}), compared with the {window.days} days before"


# ---------------------------------------------------------------- charts


def draw(figure: Figure, key: str, alt: str) -> None:
    """Draw a chart to read."""
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=alt)


def drill_down(figure: Figure, key: str, alt: str) -> None:
    """Draw a chart over time; a click on a point opens the feedback of its day or week."""

    def open_period() -> None:
        points = st.session_state[key]["selection"]["points"]
        if points and "customdata" in points[0]:
            period, *_, agent = points[0]["customdata"]
            query = {"period": period, "agent": agent} if agent else {"period": period}
            st.switch_page("feedback.py", query_params=query)

    st.plotly_chart(
        figure,
        key=key,
        on_select=open_period,
        selection_mode="points",
        config={"displayModeBar": False},
        alt=alt,
    )
