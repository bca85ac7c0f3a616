"""Planning without making anything: what how much traffic would show when, and how often that goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import streamlit as st

from learning_core.errors import LearningError
from learning_core.experiments import amounts
from learning_core.experiments.analysis import Method
from learning_core.experiments.habits import MOST_ALIKE, plan_of
from learning_core.experiments.metrics import METRICS, Metric
from learning_core.experiments.simulation import repetition
from learning_core.experiments.simulation.outcomes import Outcome
from learning_core.experiments.simulation.replay import Replay
from learning_core.experiments.statistics.power import Plan, Traffic
from pages.components import frames_experiments, widgets
from pages.components.experiments import charts, effects, go_to, outlook
from pages.components.session import User
from pages.components.texts import plain

PLANNABLE = ("satisfaction", "thumbs_up_share", "correction_rate", "issue_rate", "error_rate")
LIKELY = 0.8
TRIED = 500


def show(user: User, agents: Sequence[str], agent: str | None) -> None:
    """Show the planner, beginning with an agent's traffic."""
    if st.button("← Experiments", type="tertiary"):
        go_to()
    st.title("How long would it take?", anchor=False)
    if not agents:
        widgets.show_empty("No agent has been heard of yet", "The plan starts from what an agent's users do.")
        return
    st.caption(
        "Nothing is started here. The figures begin with what the agent's users did in the last 28 days."
    )
    left, right = st.columns([2, 3], gap="medium")
    with left:
        agent = _ask_agent(agents, agent)
        metric, plan, days, method = _ask(user, agent)
    with right:
        try:
            _show_plan(user, plan, metric, method, days)
            _offer_trial(user, agent, metric, plan, method, days)
        except LearningError as error:
            widgets.show_error(error)


def _ask_agent(agents: Sequence[str], agent: str | None) -> str:
    if len(agents) == 1:
        return agents[0]
    place = agents.index(agent) if agent in agents else 0
    return st.selectbox("Agent", list(agents), index=place, key="plan_agent")


def _ask(user: User, agent: str) -> tuple[Metric, Plan, int, Method]:
    key = st.selectbox(
        "What decides?", PLANNABLE, format_func=lambda key: METRICS[key].words, key="plan_metric"
    )
    metric = METRICS[key]
    seen = frames_experiments.habits(user.organization_id, agent, key)
    known = plan_of(seen, 0.1, is_share=metric.unit == "share") or USUAL[metric.unit]
    if seen.raters is None:
        st.caption(f"{plain(agent)} has too few {metric.counted} yet: these figures are a small agent's.")
    effect = effects.ask(metric, seen, key="plan_effect")
    plan = _ask_traffic(known, f"{agent}_{key}", metric)
    share = st.slider("Users who meet the new version", 5, 50, 50, 5, format="%d %%", key="plan_share") / 100
    days = st.slider("Days", 7, 90, 28, 1, key="plan_days")
    end = st.radio("When does it end?", list(ENDS), format_func=ENDS.__getitem__, key="plan_end")
    effect = effect if metric.higher_is_better else -effect
    traffic = replace(plan.traffic, treatment_share=share)
    return metric, replace(plan, traffic=traffic, effect=effect), days, end


ENDS = {Method.ALWAYS_VALID: "Open: when it is known", Method.PLANNED_END: "On the planned day"}
USUAL = {
    "stars": Plan(Traffic(60.0, 12.0, 3.0), base=3.9, effect=0.15, sd=1.1),
    "share": Plan(Traffic(60.0, 12.0, 3.0), base=0.7, effect=0.05),
}


def _ask_traffic(known: Plan, key: str, metric: Metric) -> Plan:
    traffic = known.traffic
    users = st.slider(
        f"New users a day who give {metric.counted}",
        1,
        max(50, 4 * round(traffic.raters_per_day)),
        max(1, round(traffic.raters_per_day)),
        key=f"plan_users_{key}",
    )
    each = st.slider(
        f"{metric.counted.capitalize()} of each in four weeks",
        1.0,
        max(10.0, float(round(3 * traffic.ratings_per_rater))),
        max(1.0, round(traffic.ratings_per_rater, 1)),
        0.1,
        format="%.1f",
        key=f"plan_each_{key}",
    )
    alike = st.slider(
        f"How alike one user's {metric.counted} are",
        0.0,
        MOST_ALIKE,
        round(traffic.icc, 2),
        0.05,
        key=f"plan_alike_{key}",
        help="0: every rating stands for itself. Near 1: a user always says the same, so that more of their "
        "ratings tell nothing new.",
    )
    return replace(
        known,
        traffic=replace(
            traffic,
            raters_per_day=float(users),
            ratings_per_rater=each,
            ratings_per_day=users * each,
            icc=alike,
        ),
    )


# ---------------------------------------------------------------- what it comes to


def _show_plan(user: User, plan: Plan, metric: Metric, method: Method, days: int) -> None:
    with widgets.card("What it would show"):
        planned = days if method is Method.PLANNED_END else None
        for told in outlook.said(user.organization_id, plan, metric, method, planned):
            st.text(told)
        if days < plan.first_day:
            return
        effect = amounts.change(plan.effect, metric.unit)
        st.caption(
            f"How likely {effect} has been seen by each day, if it is there. Dotted: four of five cases."
        )
        widgets.draw(
            charts.likely_by_day(frames_experiments.chances_by_day(user.organization_id, plan, days), LIKELY),
            "likely_by_day",
            f"Likelihood of having seen {effect} by each of {days} days",
        )


# ---------------------------------------------------------------- trying it out


def _offer_trial(user: User, agent: str, metric: Metric, plan: Plan, method: Method, days: int) -> None:
    with widgets.card("Try it on your own traffic"):
        st.caption(
            f"Takes the users of the last {days} days with all they did, splits them by chance again and "
            "again, and lets the very same calculation judge: as they are, and with the difference added. It "
            "then counts how often it was right. This takes some seconds."
        )
        if st.button(f"Run {TRIED} experiments of each kind", key="try"):
            _try(user, agent, metric, plan, method, days)


def _try(user: User, agent: str, metric: Metric, plan: Plan, method: Method, days: int) -> None:
    recorded = frames_experiments.replay(user.organization_id, agent, metric.key, days)
    recorded = replace(recorded, treatment_share=plan.traffic.treatment_share)
    bar = st.progress(0.0, "Without any difference …")
    none = _simulate(recorded, method, lambda done: bar.progress(done / 2, "Without any difference …"))
    changed = replace(recorded, effect=plan.effect)
    some = _simulate(changed, method, lambda done: bar.progress(0.5 + done / 2, "With the difference …"))
    bar.empty()
    for outcome in (none, some):
        st.text(" ".join(outcome.words()))


def _simulate(source: Replay, method: Method, tell: Callable[[float], object]) -> Outcome:
    wanted = repetition.affordable(source, TRIED)
    design = repetition.design_for(source, method=method)
    return repetition.simulate(source, design, wanted, progress=lambda done, of: tell(done / of))
