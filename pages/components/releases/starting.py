"""The form that starts a release, with what will happen said beforehand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import streamlit as st

from learning_core import db
from learning_core.prompts.history import PRODUCTION
from learning_core.releases import starting
from learning_core.releases.stages import Policy
from learning_core.releases.starting import LONGEST_REASON, Start
from pages.components import frames, frames_experiments, frames_releases, widgets
from pages.components.charts import shorten
from pages.components.releases import go_to, policies
from pages.components.session import User

LITERAL_MIN_N = 200


class Subject(NamedTuple):
    """What is to be released: a version of an agent's prompt, and the experiment it comes from."""

    agent: str
    version: Any
    experiment: Any = None


def show(user: User, agents: list[str]) -> None:
    """Show the form, and start the release."""
    if st.button("← Releases", type="tertiary"):
        go_to()
    st.title("Start a release", anchor=False)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        subject = _from_experiment(user) or _choose(user, agents)
        if subject is None:
            return
        if subject.experiment:
            st.text(f"It comes from the experiment “{shorten(subject.experiment.name, 80)}”.")
        reason = st.text_input(
            "Why is it released?",
            max_chars=LONGEST_REASON,
            placeholder="What should get better for users",
            key="release_reason",
        )
        policy = _ask_policy(frames_releases.usual_policy(user.organization_id, subject.agent))
        approved = st.checkbox(
            "I approve it for everybody already",
            disabled=policy.two_person,
            key="release_approved",
            help="Without, it waits before it passes half of all users until somebody approves it.",
        )
    with right, widgets.card("What will happen"):
        current = frames.prompt_version(user.organization_id, subject.agent, PRODUCTION)
        if current:
            st.text(f"{shorten(subject.version.key, 40)} is to take over from {shorten(current.key, 40)}.")
        policies.tell(policy)
        if st.button("Start the release", type="primary", key="start_release"):
            _start(user, subject, reason.strip(), policy, approved and not policy.two_person)


def _from_experiment(user: User) -> Subject | None:
    try:
        wanted = UUID(st.query_params.get("experiment", ""))
    except ValueError:
        return None
    found = frames_experiments.experiment(user.organization_id, wanted)
    if found is None:
        return None
    winner = found.verdict.variant if found.verdict else "treatment"
    variant = next((one for one in found.design.variants if one.name == winner), None)
    version = frames.prompt_version(user.organization_id, found.agent, variant.version) if variant else None
    return Subject(found.agent, version, found) if version else None


def _choose(user: User, agents: list[str]) -> Subject | None:
    named = st.query_params.get("agent")
    agent = st.selectbox(
        "Agent", agents, index=agents.index(named) if named in agents else 0 if len(agents) == 1 else None,
        placeholder="Choose an agent", key="release_agent",
    )  # fmt: skip
    if agent is None:
        return None
    known = [
        one for one in frames.prompt_versions(user.organization_id, agent) if PRODUCTION not in one.labels
    ]
    if not known:
        widgets.show_empty(
            "There is no other version to release",
            "A release takes a later version of the prompt to users. Improve the prompt under Prompts first.",
        )
        return None
    numbers = [one.number for one in known]
    asked = st.query_params.get("version", "")
    place = numbers.index(int(asked)) if asked.isdecimal() and int(asked) in numbers else 0
    named = {one.number: f"{shorten(one.key, 30)} · {shorten(one.reason, 70)}" for one in known}
    number = st.selectbox(
        "Version",
        numbers,
        index=place,
        format_func=named.__getitem__,
        key=f"release_version_{agent}",
    )
    version = frames.prompt_version(user.organization_id, agent, number)
    return Subject(agent, version) if version else None


def _ask_policy(usual: Policy) -> Policy:
    with st.expander("Rules"):
        two_person = st.checkbox(
            "Somebody else has to approve it",
            key="release_two_person",
            help="Who starts the release cannot be the one who approves it.",
        )
        literal = st.checkbox("Take it back by the plain figure", key="release_literal")
        st.caption(policies.literal_warning())
    policy = replace(usual, two_person=two_person)
    return replace(policy, limits=replace(policy.limits, literal_min_n=LITERAL_MIN_N)) if literal else policy


def _start(user: User, subject: Subject, reason: str, policy: Policy, approved: bool) -> None:
    if not reason:
        st.error("Say why it is released, in a few words: it stays on record.")
        return
    start = Start(
        agent=subject.agent,
        version=subject.version.key,
        reason=reason,
        experiment_id=subject.experiment.id if subject.experiment else None,
        run_id=subject.experiment.run_id if subject.experiment else None,
        policy=policy,
        approved=approved,
        approval_reason=reason if approved else None,
    )
    with widgets.reporting():
        release_id = db.in_transaction(
            user.organization_id,
            lambda session: starting.start(session, user.caller, start, datetime.now(UTC)),
        )
        frames.forget()
        go_to(release=str(release_id))
