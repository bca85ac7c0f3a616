"""Making an experiment: what is compared and why, what decides, for how long, and what that would show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import streamlit as st

from learning_core import db
from learning_core.experiments import designs, suggestion
from learning_core.experiments.analysis import Guardrail, Method
from learning_core.experiments.designs import New
from learning_core.experiments.metrics import METRICS, Metric
from learning_core.experiments.suggestion import GUARDRAILS
from learning_core.prompts import runs
from learning_core.prompts.history import PRODUCTION
from pages.components import frames, frames_experiments, widgets
from pages.components.experiments import effects, go_to, outlook
from pages.components.session import User
from pages.components.texts import plain

OPEN_END = "Open: it ends when it is known"
PLANNED = "On a planned day"
DECIDING = ("satisfaction", "thumbs_up_share", "correction_rate", "issue_rate", "error_rate", "quality_score")
MOST_TREATED = 50


class Idea(NamedTuple):
    """What shall be tried: a version that is there, or a run's candidate that becomes one."""

    agent: str
    title: str
    name: str
    hypothesis: str
    version: int | None = None
    run_id: UUID | None = None
    candidate: int | None = None


def show(user: User, agents: Sequence[str], agent: str | None) -> None:
    """Show the form for an experiment, with what it would show beside it."""
    if st.button("← Experiments", type="tertiary"):
        go_to()
    idea = _idea(user, agents, agent)
    if idea is None:
        return
    st.caption(
        f"Agent {plain(idea.agent)}. {plain(idea.title, 200)} meets some of the users; the others, the "
        "control, keep what is in production. Each user always gets the same."
    )
    left, right = st.columns([3, 2], gap="medium")
    with left:
        name, hypothesis = _ask_words(idea)
        wish = _ask_wish(user, idea)
    with right, widgets.reporting():
        design = frames_experiments.designed(
            user.organization_id, idea.agent, _stand_in(idea), wish.share, wish.fields
        )
        outlook.show(user, idea.agent, design)
        _offer(user, idea, name, hypothesis, wish)


class Wish(NamedTuple):
    """What was asked for: the treatment's share (0-1) of the users, and fields of the design."""

    share: float
    fields: dict[str, Any]


# ---------------------------------------------------------------- what is tried


def _idea(user: User, agents: Sequence[str], agent: str | None) -> Idea | None:
    asked = st.query_params
    if run_id := asked.get("run"):
        return _from_run(user, run_id, asked.get("candidate", ""))
    st.title("A new experiment", anchor=False)
    if len(agents) > 1:
        agent = st.selectbox(
            "Agent",
            list(agents),
            index=_place(agents, agent),
            placeholder="Choose an agent",
            key="experiment_of",
            width=480,
        )
        if agent is None:
            return None
    agent = agent or (agents[0] if agents else None)
    if agent is None:
        widgets.show_empty(
            "No agent has been heard of yet", "Experiments compare versions of an agent's prompt."
        )
        return None
    return _from_version(user, agent, asked.get("version"))


def _place(agents: Sequence[str], agent: str | None) -> int | None:
    return agents.index(agent) if agent in agents else None


def _from_run(user: User, run_id: str, candidate: str) -> Idea | None:
    try:
        found = frames.run(user.organization_id, UUID(run_id))
    except ValueError:
        found = None
    told = next((one for one in found[1] if str(one.number) == candidate), None) if found else None
    if found is None or told is None or not told.number:
        widgets.show_empty(
            "No such candidate", "Its run may belong to another organisation, or never have existed."
        )
        return None
    st.title("An experiment with what the run found", anchor=False)
    return Idea(
        agent=found[0].agent,
        title=f"Candidate {told.number} of the improvement run",
        name=f"Candidate {told.number} of {found[0].created_at:%d %b %Y}",
        hypothesis=(told.reason or "").strip()[:1_000],
        run_id=found[0].id,
        candidate=told.number,
    )


def _from_version(user: User, agent: str, asked: str | None) -> Idea | None:
    known = frames.prompt_versions(user.organization_id, agent)
    others = [one for one in known if PRODUCTION not in one.labels]
    if len(known) == len(others):
        widgets.show_empty(
            "No version is in production",
            "Put one there under Prompts: an experiment compares another with it.",
        )
        return None
    if not others:
        widgets.show_empty(
            "There is only one version",
            "An experiment compares another one with it. Find or write one under Prompts.",
        )
        return None
    numbers = [one.number for one in others]
    wanted = int(asked) if asked and asked.isdecimal() else None
    number = st.selectbox(
        "Version to try",
        numbers,
        index=numbers.index(wanted) if wanted in numbers else 0,
        format_func=lambda number: _version_label(next(one for one in others if one.number == number)),
        key=f"version_of_{agent}",
        width=480,
    )
    chosen = next(one for one in others if one.number == number)
    current = next(one for one in known if PRODUCTION in one.labels)
    return Idea(
        agent=agent,
        title=f"Version {number}",
        name=f"Version {number} against version {current.number}",
        hypothesis=(chosen.reason or "").strip()[:1_000],
        version=number,
    )


def _version_label(one: Any) -> str:
    return f"Version {one.number}: {widgets.charts.shorten(one.reason, 60)}"


# ---------------------------------------------------------------- what is asked


def _ask_words(idea: Idea) -> tuple[str, str]:
    key = f"{idea.agent}_{idea.version}_{idea.run_id}_{idea.candidate}"
    name = st.text_input("Name", idea.name, max_chars=designs.LONGEST_NAME, key=f"name_{key}")
    hypothesis = st.text_area(
        "What do you expect, and why?",
        idea.hypothesis,
        height=90,
        max_chars=designs.LONGEST_HYPOTHESIS,
        placeholder="Users have to correct fewer answers, because the prompt now says which year applies.",
        key=f"hypothesis_{key}",
    )
    return name.strip(), hypothesis.strip()


def _ask_wish(user: User, idea: Idea) -> Wish:
    suggested = frames_experiments.suggested(user.organization_id, idea.agent, _stand_in(idea))
    key = st.selectbox(
        "What decides?",
        DECIDING,
        index=DECIDING.index(suggested.primary) if suggested.primary in DECIDING else 0,
        format_func=lambda key: METRICS[key].words,
        key="primary",
        help="One measure decides. The others are shown beside it, and decide nothing.",
    )
    metric = METRICS[key]
    least = effects.ask(metric, frames_experiments.habits(user.organization_id, idea.agent, key))
    share = st.slider("Users who meet the new version", 5, MOST_TREATED, 50, 5, format="%d %%", key="share")
    end = st.radio("When does it end?", [OPEN_END, PLANNED], horizontal=True, key="end_kind")
    days = None
    if end == PLANNED:
        days = int(st.number_input("After how many days?", 7, designs.MOST_DAYS, 28, key="planned_days"))
    fields = {
        "primary": key,
        "smallest_effect": least,
        "guardrails": _ask_guardrails(metric),
        "method": Method.PLANNED_END if days else Method.ALWAYS_VALID,
        "planned_days": days,
    }
    return Wish(share / 100, fields)


def _stand_in(idea: Idea) -> int | str:
    """Return the version to design with; a candidate that is none yet is stood in for by the control."""
    return idea.version if idea.version is not None else PRODUCTION


def _ask_guardrails(primary: Metric) -> tuple[Guardrail, ...]:
    kept = []
    with st.expander("Guardrails: what takes the new version back by itself"):
        for rail in GUARDRAILS:
            if rail.metric == primary.key:
                continue
            on, limit = st.columns([3, 2], vertical_alignment="bottom")
            words = RAIL_WORDS[rail.metric]
            if on.checkbox(words, True, key=f"rail_{rail.metric}"):
                percent = limit.number_input(
                    words,
                    1,
                    500,
                    round(rail.limit * 100),
                    label_visibility="collapsed",
                    key=f"limit_{rail.metric}",
                )
                kept.append(Guardrail(rail.metric, percent / 100, rail.relative))
        st.caption("In percent. A bound has to be broken beyond chance before the new version is taken back.")
    return tuple(kept)


RAIL_WORDS = {
    "error_rate": "Failed answers above",
    "satisfaction": "Satisfaction falls by",
    "latency_ms": "Answers take longer by",
}


# ---------------------------------------------------------------- making it


def _offer(user: User, idea: Idea, name: str, hypothesis: str, wish: Wish) -> None:
    st.caption("Starting it takes effect with the next request. You can pause or end it at any moment.")
    with st.container(horizontal=True):
        start = st.button("Start it", type="primary", key="start_experiment")
        draft = st.button("Keep as a draft", key="keep_draft")
    if start or draft:
        at = datetime.now(UTC)
        with db.organization_session(user.organization_id) as session:
            made = _make(session, user, idea, name, hypothesis, wish, at)
            if start:
                designs.start(session, user.caller, made, at)
        frames.forget()
        go_to(experiment=str(made))


def _make(session: Any, user: User, idea: Idea, name: str, hypothesis: str, wish: Wish, at: datetime) -> UUID:
    """Write the experiment down; a candidate becomes a version first, and both or neither happen."""
    version = idea.version
    if idea.run_id is not None and idea.candidate is not None:
        version = runs.make_version(session, user.caller, idea.run_id, idea.candidate).number
    design = suggestion.suggest(session, idea.agent, [version], at, shares=[wish.share], **wish.fields)
    new = New(agent=idea.agent, name=name, hypothesis=hypothesis, design=design, run_id=idea.run_id)
    return designs.create(session, user.caller, new)
