"""What watches over a release: each bound with the figures as they are, and what they allow to say."""

from __future__ import annotations

from datetime import datetime
from html import escape

import streamlit as st

from learning_core.experiments.amounts import amount
from learning_core.experiments.guardrails import GuardrailResult, State
from learning_core.experiments.metrics import METRICS
from learning_core.experiments.terms import CONTROL
from learning_core.releases.checks import TREATMENT, Check
from pages.components import rows
from pages.components.texts import count

STATES = {
    State.OK: ("Surely within", "green"),
    State.BREACH: ("Broken", "red"),
    State.UNPROVEN: ("Not sure yet", "orange"),
    State.NO_DATA: ("Nothing to go by", "gray"),
}

HEAD = ["", "This version", "Compared with", "Bound", "Could really be", "Rests on", ""]


def show(check: Check | None, against: str) -> None:
    """Show the bounds as last looked at; `against` is what they are compared with."""
    if check is None:
        st.caption("Nothing has been looked at yet: the first users have still to come.")
        return
    st.caption(_users(check))
    rows.show(HEAD, [_row(item) for item in check.report.items], "Guardrails")
    st.caption(
        f"Looked at {ago(check.at)}. Compared with {against}. “Surely within” means that even the worst that "
        "the figures leave room for is within the bound; only that lets a release go on."
    )


def _users(check: Check) -> str:
    met = check.users.get(TREATMENT, 0)
    told = f"{count(met, 'person has', 'people have')} met the new version"
    if control := check.users.get(CONTROL, 0):
        told += f", {control:,} the version before beside it"
    return f"{told}." + (
        f" {count(check.crossed, 'person', 'people')} saw both and count for neither."
        if check.crossed
        else ""
    )


def _row(item: GuardrailResult) -> list[str]:
    metric = METRICS[item.key]
    name, color = STATES[item.state]
    bound = "at least" if metric.higher_is_better else "at most"
    counted = f"{item.n:,.0f} {escape(metric.counted)}<br>of {item.users:,.0f} people" if item.n else "—"
    return [
        f"<b>{escape(item.words)}</b>",
        amount(item.value, metric.unit),
        amount(item.baseline, metric.unit),
        f"{bound} {amount(item.limit, metric.unit)}" if item.limit is not None else "—",
        f"as {'low' if metric.higher_is_better else 'high'} as {amount(item.bound, metric.unit)}"
        if item.bound is not None
        else "—",
        counted,
        rows.badge(name, color),
    ]


def ago(moment: datetime) -> str:
    """Return when something was, in a sentence."""
    return f"on {moment:%d %b, %H:%M} UTC"
