"""A look as rows: metric by metric, guardrail by guardrail, variant by variant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from learning_core.experiments import amounts
from learning_core.experiments.analysis import Comparison, Design, Look, MismatchState, State
from learning_core.experiments.guardrails import State as Rail
from learning_core.experiments.metrics import Metric
from learning_core.experiments.queries import Found
from learning_core.experiments.reports import telling
from learning_core.experiments.reports.telling import Effect, Words
from learning_core.schema import ExperimentDecision, ExperimentStatus
from pages.components import texts
from pages.components.texts import plain

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

STATUS_NAMES = {
    ExperimentStatus.DRAFT: "Draft",
    ExperimentStatus.RUNNING: "Running",
    ExperimentStatus.PAUSED: "Paused",
    ExperimentStatus.COMPLETED: "Ended",
    ExperimentStatus.CANCELLED: "Cancelled",
}
STATUS_COLORS = {
    ExperimentStatus.RUNNING: "blue",
    ExperimentStatus.PAUSED: "orange",
    ExperimentStatus.COMPLETED: "green",
}
STATE_COLORS = {State.BETTER: "green", State.WORSE: "red"}


def words(found: Found, look: Look | None) -> Words:
    """Say what an experiment has come to: the verdict, and what was decided."""
    if found.status is ExperimentStatus.DRAFT:
        return Words("Not started yet.", "No user meets a variant before somebody starts it.")
    if found.status is ExperimentStatus.CANCELLED:
        return Words("Cancelled, without a decision.", _reason(found))
    if found.status is ExperimentStatus.COMPLETED and found.decision:
        if found.decision is ExperimentDecision.ROLLBACK:
            return Words("The treatment was taken back.", _reason(found))
        return telling.outcome(found.design, look)._replace(
            advice=f"{DECIDED[found.decision]} {_reason(found)}"
        )
    said = telling.verdict(found.design, look)
    if found.status is ExperimentStatus.PAUSED:
        return said._replace(advice="Paused: all users get what is in production until it goes on.")
    return said


DECIDED = {
    ExperimentDecision.ADOPT_TREATMENT: "Decided: adopt the treatment.",
    ExperimentDecision.KEEP_CONTROL: "Decided: keep the control.",
    ExperimentDecision.INCONCLUSIVE: "Ended as inconclusive.",
}


def _reason(found: Found) -> str:
    if not found.decision_reason:
        return ""
    reason = texts.charts.shorten(found.decision_reason, 400)
    by_itself = (found.decision_by or "").startswith("guardrail ")
    return reason if by_itself else f"{texts.charts.shorten(found.decision_by or '', 40)}: {reason}"


# ---------------------------------------------------------------- over time


def over_time(looks: Sequence[Look], variant: str) -> pd.DataFrame:
    """Return one row per look in which the primary metric had something to compare, in order.

    Columns: number (int), at (datetime, UTC), day (float, since the first user), difference, low, high
    (float, in the metric's unit), n (int, observations of both variants), eligible (bool).
    """
    seen = [(look, one) for look in looks for one in look.primary if one.variant == variant]
    return pd.DataFrame(
        [_point(look, one) for look, one in seen if one.difference is not None], columns=list(POINT)
    ).astype(POINT)


POINT = {
    "number": "int64",
    "at": "object",
    "day": "float64",
    "difference": "float64",
    "low": "float64",
    "high": "float64",
    "n": "int64",
    "eligible": "bool",
}


def _point(look: Look, one: Comparison) -> dict[str, object]:
    return {
        "number": look.number,
        "at": look.at,
        "day": look.hours / telling.DAY_HOURS,
        "difference": one.difference,
        "low": one.low,
        "high": one.high,
        "n": round(one.control.n + one.treatment.n),
        "eligible": one.low is not None,
    }


def decided_day(looks: Sequence[Look], variant: str) -> float | None:
    """Return the day on which a variant was decided about, None where it was not."""
    found = looks[-1].verdict if looks else None
    return found.hours / telling.DAY_HOURS if found and found.variant == variant else None


def alt(frame: pd.DataFrame, metric: Metric) -> str:
    """Return the chart over time in words."""
    if frame.empty:
        return "Nothing to compare yet"
    last = frame.iloc[-1]
    told = amounts.change(last["difference"], metric.unit)
    return f"Difference in {telling.lower(metric)} over {last['day']:.0f} days; last {told}"


def draw(figure: Figure, key: str, alt: str, name: str) -> None:
    """Draw a chart to read, which can be saved as a picture."""
    st.plotly_chart(
        figure,
        key=key,
        config={
            "displaylogo": False,
            "modeBarButtons": [["toImage"]],
            "toImageButtonOptions": {"format": "png", "filename": f"experiment-{name}", "scale": 2},
        },
        alt=alt,
    )


# ---------------------------------------------------------------- metric by metric


def show_effects(effects: Sequence[Effect]) -> None:
    """Show what may be said of each metric, with the figures of both variants."""
    with st.container(gap="small"):
        for one in effects:
            with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
                st.badge(one.words, color=STATE_COLORS.get(one.state, "gray"))
                st.text(telling.effect(one))


# ---------------------------------------------------------------- guardrails and traffic


def show_guardrails(found: Found) -> None:
    """Show each bound with its state in a word."""
    if not found.guardrails:
        st.caption("None was set.")
        return
    st.caption("A broken one ends the experiment by itself, and all users get what is in production.")
    for one in found.guardrails:
        with st.container(gap="xxsmall"):
            st.badge(telling.RAIL_STATES[one.state], color=RAIL_COLORS[one.state])
            st.text(one.reason)


RAIL_COLORS = {Rail.OK: "green", Rail.BREACH: "red", Rail.UNPROVEN: "gray", Rail.NO_DATA: "gray"}


def show_traffic(design: Design, look: Look) -> None:
    """Show the users of each variant beside what its share would bring, and whether that is chance."""
    most = max([1.0, *(max(one.users, one.expected) for one in telling.arrived(design, look))])
    for one in telling.arrived(design, look):
        st.text(
            f"{telling.variant(one.variant)} ({texts.charts.shorten(one.version, 24)}): "
            f"{one.users:,} users, {one.expected:,.0f} planned"
        )
        st.html(_bar(one.users / most, one.expected / most))
    told = telling.mismatch(design, look)
    if look.mismatch.state is MismatchState.OK:
        st.caption(plain(told, 400))
    else:
        (st.error if look.mismatch.state is MismatchState.ALARM else st.warning)(plain(told, 600))
    st.caption(plain(telling.crossed(look), 200))


def _bar(users: float, planned: float) -> str:
    """Draw users as a bar, and what was planned as a tick across it."""
    part = "position:absolute;top:4px;height:8px;border-radius:4px;background:currentColor;left:0;"
    return f"""<div aria-hidden="true" style="position:relative;height:16px;margin-right:4px">
<div style="{part}width:100%;opacity:.1"></div><div style="{part}width:{users:.1%};opacity:.55"></div>
<div style="position:absolute;top:0;height:16px;width:2px;left:{planned:.1%};background:#D0662A"></div>
</div>"""
