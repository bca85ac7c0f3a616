"""One experiment: what it says, what to do about it, and everything that rests on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from uuid import UUID

import streamlit as st

from learning_core.experiments.analysis import Look, MismatchState, State
from learning_core.experiments.metrics import METRICS
from learning_core.experiments.queries import Found
from learning_core.experiments.reports import telling
from learning_core.schema import ExperimentStatus
from pages.components import frames_experiments, texts, widgets
from pages.components.experiments import actions, charts, downloads, go_to, outlook, rows, segments
from pages.components.experiments import looks as looks_of
from pages.components.prompts.run import LARGE
from pages.components.session import User
from pages.components.texts import plain


def show(user: User, experiment_id: str) -> None:
    """Show the experiment of that id, or say that there is none."""
    found = _find(user, experiment_id)
    if st.button("← Experiments", type="tertiary"):
        go_to()
    if found is None:
        widgets.show_empty(
            "No such experiment", "It may belong to another organisation, or never have existed."
        )
        return
    looks = frames_experiments.looks(user.organization_id, found.id)
    last = looks[-1] if looks else None
    _show_title(found)
    _say(found, last)
    actions.offer(user, found, last)
    if found.status is ExperimentStatus.DRAFT:
        looks_of.show_terms(found.design)
        outlook.show(user, found.agent, found.design)
        return
    if last is None:
        st.caption("Looks are taken every hour. The first comes within the hour.")
        looks_of.show_terms(found.design)
        return
    _show_difference(found, looks)
    _show_effects(found, last)
    _show_rails_and_traffic(found, last)
    segments.offer(user, found)
    looks_of.offer(found, looks)
    downloads.offer(user, found, looks)


def _find(user: User, experiment_id: str) -> Found | None:
    try:
        return frames_experiments.experiment(user.organization_id, UUID(experiment_id))
    except ValueError:
        return None


def _show_title(found: Found) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(plain(found.name, 120), anchor=False, width="content")
        st.badge(rows.STATUS_NAMES[found.status], color=rows.STATUS_COLORS.get(found.status, "gray"))
    st.caption(f"{_compared(found)} {_times(found)}")
    if found.hypothesis:
        texts.as_written(found.hypothesis)


def _compared(found: Found) -> str:
    control = next(one for one in found.design.variants if one.name == telling.CONTROL)
    treatments = ", ".join(
        f"{telling.variant(one.name).lower()} (version {plain(one.version, 30)}, {_percent(one.share)})"
        for one in found.design.treatments
    )
    return (
        f"Agent {plain(found.agent)}: {treatments} against control (version {plain(control.version, 30)}, "
        f"{_percent(control.share)})."
    )


def _percent(share: float) -> str:
    return texts.percent(share, 0)


def _times(found: Found) -> str:
    if found.started_at is None:
        return f"Made {_on(found.created_at)} by {plain(found.created_by, 40)}."
    end = f" to {_on(found.ended_at)}" if found.ended_at else ""
    return f"{'Ran' if found.ended_at else 'Since'} {_on(found.started_at)}{end}."


def _on(at: datetime) -> str:
    return f"{at:%d %b %Y, %H:%M} UTC"


def _say(found: Found, look: Look | None) -> None:
    words = rows.words(found, look)
    with st.container(border=True, gap="xsmall"):
        st.html(f'<p style="{LARGE}">{escape(words.headline)}</p>')
        for told in (words.figures, words.advice):
            if told:
                st.text(told)
        if found.status is ExperimentStatus.RUNNING and look is not None and _is_open(look):
            st.progress(telling.share_done(found.design, look))


def _is_open(look: Look) -> bool:
    return look.verdict is None and look.mismatch.state is MismatchState.OK


# ---------------------------------------------------------------- what was seen


def _show_difference(found: Found, looks: Sequence[Look]) -> None:
    metric = METRICS[found.design.primary]
    with widgets.card(f"{metric.words} over time"):
        st.caption(
            f"How much {telling.lower(metric)} differs from the control. The band is where the true "
            "difference lies, with 95 % certainty on all days together, however often you look."
        )
        for treatment in found.design.treatments:
            if len(found.design.treatments) > 1:
                st.subheader(telling.variant(treatment.name), anchor=False)
            frame = rows.over_time(looks, treatment.name)
            figure = charts.over_time(frame, metric, rows.decided_day(looks, treatment.name))
            rows.draw(figure, f"over_time_{found.id}_{treatment.name}", rows.alt(frame, metric), "difference")


def _show_effects(found: Found, look: Look) -> None:
    with widgets.card("What changed"):
        judged = any(one.state is not State.TOO_EARLY for one in look.comparisons)
        way = "Each row is a measure of its own; to the right is better in all of them. " if judged else ""
        st.caption(f"{way}{telling.sentence(telling.window(look))}.")
        for treatment in found.design.treatments:
            effects = [one for one in telling.effects(look) if one.variant == treatment.name]
            if len(found.design.treatments) > 1:
                st.subheader(telling.variant(treatment.name), anchor=False)
            if judged := [one for one in effects if one.state is not State.TOO_EARLY]:
                told = "; ".join(f"{one.metric.words}: {one.words}, {one.told}" for one in judged)
                key = f"effects_{found.id}_{treatment.name}"
                rows.draw(charts.effects(judged), key, told, "effects")
            rows.show_effects(effects)


def _show_rails_and_traffic(found: Found, look: Look) -> None:
    left, right = st.columns(2, gap="small")
    with left, widgets.card("Guardrails"):
        rows.show_guardrails(found)
    with right, widgets.card("Traffic"):
        rows.show_traffic(found.design, look)
