"""What an experiment would show, and when: in sentences, beside the form that asks for it."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from learning_core.errors import LearningError
from learning_core.experiments import amounts
from learning_core.experiments.analysis import Design, Method
from learning_core.experiments.habits import Habits, plan_of
from learning_core.experiments.metrics import METRICS, Metric
from learning_core.experiments.reports import telling
from learning_core.experiments.statistics.power import LONGEST_DAYS, Plan
from pages.components import frames_experiments, widgets
from pages.components.session import User

USUAL_DAYS = 28


def show(user: User, agent: str, design: Design) -> None:
    """Show what the agent's traffic of the last weeks makes of a design."""
    metric = METRICS[design.primary]
    seen = frames_experiments.habits(user.organization_id, agent, design.primary)
    with widgets.card("What it would show"):
        plan = of_design(design, seen, metric)
        if plan is None:
            st.text(too_little(metric, seen))
            return
        try:
            for told in said(user.organization_id, plan, metric, design.method, design.planned_days):
                st.text(told)
        except LearningError as error:
            st.text(error.message)
        st.caption(resting_on(metric, seen))


def of_design(design: Design, seen: Habits, metric: Metric) -> Plan | None:
    """Return the plan of a design with the traffic seen, None where too little was."""
    return plan_of(
        seen,
        design.smallest_effect if metric.higher_is_better else -design.smallest_effect,
        treatment_share=design.treatments[0].share,
        traffic=design.traffic,
        is_share=metric.unit == "share",
    )


def too_little(metric: Metric, seen: Habits) -> str:
    """Say that nothing can be foretold."""
    found = f"{seen.observations:,} {metric.counted}" if seen.observations else f"no {metric.counted}"
    return (
        f"The last {seen.days} days brought {found}: too little to say how long it would take. "
        "It can be started all the same, and says how far it is once users have answered."
    )


def resting_on(metric: Metric, seen: Habits) -> str:
    """Say what the plan rests on."""
    if seen.raters is None:
        return ""
    users = telling.count(seen.raters.raters, "user", "users")
    return (
        f"From the last {seen.days} days: {seen.observations:,} {metric.counted} of {users}, on average "
        f"{amounts.amount(seen.raters.mean, metric.unit)}. Likely means in four of five cases."
    )


def said(
    organization_id: UUID, plan: Plan, metric: Metric, method: Method, planned_days: int | None
) -> list[str]:
    """Say when an effect would be seen, and what else could be."""
    open_days = frames_experiments.days_needed(organization_id, plan, Method.ALWAYS_VALID, LONGEST_DAYS)
    enough = None  # a planned end is never later than an open one, and looking further would take seconds
    if open_days is not None:
        enough = frames_experiments.days_needed(organization_id, plan, Method.PLANNED_END, open_days)
    days = planned_days or USUAL_DAYS
    least = frames_experiments.smallest_effect(organization_id, plan, days, method)
    effect = amounts.change(plan.effect, metric.unit)
    if planned_days:
        told = [_by_the_end(least, planned_days, metric)]
        if enough and enough != planned_days:
            told.append(f"To likely see {effect}, plan the end for day {enough}.")
    else:
        told = [_when(effect, open_days)]
        other = amounts.change(least, metric.unit)
        if least is not None and other != effect:
            told.append(f"In {days} days you would likely see {other}.")
        if open_days and enough and enough < open_days:
            told.append(f"With an end planned from the start, {enough} days would do.")
    return [*told, f"Nothing is judged before day {plan.first_day}."]


def _when(effect: str, days: int | None) -> str:
    if days is None:
        return (
            f"You would not see {effect} within {LONGEST_DAYS} days. Look for a larger difference, or let "
            "more users meet the new version."
        )
    return f"You would likely see {effect} after about {telling.count(days, 'day', 'days')}."


def _by_the_end(least: float | None, days: int, metric: Metric) -> str:
    if least is None:
        return f"In {days} days there is too little traffic to see anything. Plan for longer."
    return f"In {days} days you would likely see {amounts.change(least, metric.unit)}, or more."
