"""Figures with what they count and how sure they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from learning_core.datasets.curation import Gate
from learning_core.feedback import trends
from learning_core.feedback.intervals import Estimate
from learning_core.feedback.metrics import Issue
from learning_core.feedback.trends import Improvement
from pages.components.texts import percent, plain, stars


def signed_percent(value: float) -> str:
    """Return a relative change as a percentage with its sign."""
    return f"{value:+.1%}".replace("%", " %")


FORMATS = {"share": percent, "stars": stars, "score": stars, "change": signed_percent}


def with_interval(estimate: Estimate, show: Callable[[float], str]) -> str:
    """Return a figure with its interval for a cell of a table."""
    return f"{show(estimate.value)} ({show(estimate.low)} to {show(estimate.high)})"


def show_metric(
    name: str,
    estimate: Estimate | None,
    kind: str,
    counted: str,
    change: Estimate | None = None,
    *,
    target: float | None = None,
    falling_is_good: bool = False,
    missing: str = "Nothing was counted in this window.",
    help: str | None = None,
) -> None:
    """Show one figure with its change, its target, its interval and what was counted."""
    with st.container(border=True, height="stretch", gap="xsmall"):
        if estimate is None:
            st.metric(name, "—", help=help)
            st.caption(f"Not measured yet. {missing}")
            return
        show = FORMATS[kind]
        if change and not trends.is_comparable(change, estimate):
            change = None
        surely = bool(change and trends.is_beyond_chance(change))
        st.metric(
            name,
            show(estimate.value),
            _signed(change, kind) if change else None,
            delta_color=("inverse" if falling_is_good else "normal") if surely else "off",
            delta_arrow="auto" if surely else "off",
            delta_description="within chance" if change and not surely else None,
            help=help,
        )
        if target is not None:
            st.html(_range_bar(estimate, target, kind))
            goal = f"Target {show(target)}: {STANDINGS[trends.standing(estimate, target)]}. "
        else:
            goal = "Should fall. " if falling_is_good else ""
        st.caption(
            f"{goal}95 % interval {show(estimate.low)} to {show(estimate.high)}, {estimate.n:,} {counted}"
        )


def show_mean(name: str, told: Mapping[str, Any] | None, show: Callable[[float], str], counted: str) -> None:
    """Show a mean as JSON tells it: value, n, and low and high where more than one day was counted."""
    with st.container(border=True, height="stretch", gap="xsmall"):
        if told is None:
            st.metric(name, "—")
            st.caption("Not measured yet. The agent reports it with its answers.")
            return
        st.metric(name, show(told["value"]))
        interval = ""
        if told["low"] is not None:
            interval = f"95 % interval {show(told['low'])} to {show(told['high'])}, "
        st.caption(plain(f"{interval}{told['n']:,} {counted}", 200))


def show_improvement(improvements: list[Improvement], target: float) -> None:
    """Show what the newest prompt version of the most rated agent changed, and count the other agents'."""
    if not improvements:
        show_metric(
            "Prompt improvement",
            None,
            "share",
            "",
            missing="It starts when an agent has ratings under two prompt versions.",
            help=IMPROVEMENT_HELP,
        )
        return
    first = improvements[0]
    versions = f"{plain(first.version, 16)} against {plain(first.version_before, 16)}"
    show_metric(
        "Prompt improvement",
        first.change,
        "change",
        f"ratings of {plain(first.agent, 30)}, {versions}.",
        target=target,
        help=f"{IMPROVEMENT_HELP} Agents with two rated versions: {len(improvements):,}.",
    )


IMPROVEMENT_HELP = (
    "Satisfaction under the newest prompt version, relative to the version before it, over the last 365 "
    "days; for the agent with the most ratings."
)


def show_gate(gate: Gate, estimate: Estimate | None, counted: str) -> None:
    """Show a requirement of training: what it takes, what there is, and whether that suffices."""
    name, show = GATES[gate.name]
    with st.container(border=True, height="stretch", gap="xsmall"):
        st.metric(name, "—" if gate.found is None else show(gate.found))
        outcome, color = GATE_OUTCOMES[gate.outcome]
        st.badge(outcome, color=color)
        interval = ""
        if estimate:
            interval = f"95 % interval {show(estimate.low)} to {show(estimate.high)}, "
        st.caption(f"Training takes {show(gate.required)} or more. {interval}{gate.n:,} {counted}.")


GATES = {
    "quality": ("Mean quality", stars),
    "human-verified": ("Human-verified", percent),
    "agreement": ("Agreement of reviewers", percent),
}
GATE_OUTCOMES = {
    "passed": ("Met", "green"),
    "failed": ("Missed", "red"),
    "not enough data": ("Too little data", "gray"),
}


def show_issue(name: str, issue: Issue, most: float) -> None:
    """Show how often an issue was named, as a bar relative to the most frequent one, and its change."""
    st.subheader(name, anchor=False)
    st.html(_share_bar(issue.share.value / most))
    st.text(f"{issue.count:,} of {issue.share.n:,} ({percent(issue.share.value)})")
    interval = f"95 % interval {percent(issue.share.low)} to {percent(issue.share.high)}."
    if issue.change is None or not trends.is_comparable(issue.change, issue.share):
        st.caption(f"{interval} Too little before to compare with.")
        return
    surely = trends.is_beyond_chance(issue.change)
    change = f"{_signed(issue.change, 'share')} against the time before"
    st.caption(f"{interval} {change}{'' if surely else ', within chance'}.")


def _share_bar(share: float) -> str:
    bar = "height:6px;border-radius:3px;background:"
    return f"""<div aria-hidden="true" style="{bar}color-mix(in srgb, currentColor 10%, transparent)">
<div style="{bar}currentColor;width:{share:.1%};opacity:.55"></div></div>"""


STANDINGS = {"met": "met", "missed": "missed", "open": "too close to call"}


def _signed(change: Estimate, kind: str) -> str:
    """Write a change with its sign; what rounds to nothing has none."""
    if kind in ("stars", "score"):
        return f"{round(change.value, 2) + 0:+.2f}"
    return f"{round(change.value * 100, 1) + 0:+.1f} points"


def _range_bar(estimate: Estimate, target: float, kind: str) -> str:
    """Draw the interval as a bar, the figure as a dot and the target as a tick on one scale."""
    start, end = (
        (1.0, 5.0) if kind == "stars" else (min(0.0, estimate.low), max(estimate.high, target) * 1.15)
    )
    low, value, high, goal = (
        f"{min(max((figure - start) / (end - start), 0), 1):.1%}"
        for figure in (estimate.low, estimate.value, estimate.high, target)
    )
    part = "position:absolute;border-radius:4px;background:"
    line = f"{part}currentColor;top:5px;height:4px;"
    return f"""<div aria-hidden="true" style="position:relative;height:14px">
<div style="{line}left:0;right:0;opacity:.12"></div>
<div style="{line}left:{low};width:calc({high} - {low});opacity:.5"></div>
<div style="{part}currentColor;left:{value};top:2px;width:10px;height:10px;margin-left:-5px"></div>
<div style="{part}#D0662A;left:{goal};top:0;width:2px;height:14px"></div></div>"""
