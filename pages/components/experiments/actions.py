"""What can be done with an experiment: the next step as one button, the others beside it, each explained."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import streamlit as st

from learning_core import db
from learning_core.experiments import designs
from learning_core.experiments.analysis import Direction, Look, MismatchState
from learning_core.experiments.queries import Found
from learning_core.schema import ExperimentDecision, ExperimentStatus
from pages.components import frames, frames_releases, widgets
from pages.components.session import User

Verb: TypeAlias = Callable[[Any, datetime], None]


def offer(user: User, found: Found, look: Look | None) -> None:
    """Offer the next step as the primary button, and what else can be done."""
    if found.status is ExperimentStatus.COMPLETED:
        _offer_release(user, found)
        return
    if not user.may("experiment") or found.status.is_over:
        return
    if found.status is ExperimentStatus.RUNNING and not _is_settled(look):
        st.caption("Nothing to do yet: let it run. It is looked at every hour by itself.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        match found.status:
            case ExperimentStatus.DRAFT:
                _confirm(
                    user,
                    "Start it",
                    STARTING,
                    lambda session, at: designs.start(session, user.caller, found.id, at),
                    primary=True,
                )
                _cancel(user, found)
            case ExperimentStatus.PAUSED:
                _confirm(
                    user,
                    "Go on",
                    GOING_ON,
                    lambda session, _: designs.resume(session, user.caller, found.id),
                    primary=True,
                )
                _offer_end(user, found, look, primary=False)
                _cancel(user, found)
            case ExperimentStatus.RUNNING:
                _offer_end(user, found, look, primary=_is_settled(look))
                _confirm(
                    user, "Pause", PAUSING, lambda session, _: designs.pause(session, user.caller, found.id)
                )
                _cancel(user, found)


STARTING = "From the next request on, users meet a variant by their share, and keep it."
GOING_ON = "Users meet the same variant again as before the pause."
PAUSING = "All users get what is in production until it goes on. What was counted stays."
CANCELLING = (
    "All users get what is in production. It ends without a decision, and what was counted stays readable."
)


def _is_settled(look: Look | None) -> bool:
    """Return whether waiting longer brings nothing."""
    return look is not None and (look.verdict is not None or look.mismatch.state is MismatchState.ALARM)


# ---------------------------------------------------------------- after the decision


def _offer_release(user: User, found: Found) -> None:
    if found.decision is not ExperimentDecision.ADOPT_TREATMENT:
        return
    releases = frames_releases.releases(user.organization_id, found.agent)
    followed = [release for release in releases if release.experiment_id == found.id]
    if followed:
        if st.button("See the release that followed", key="see_release"):
            st.switch_page("releases.py", query_params={"release": str(followed[0].id)})
        return
    if user.may("release") and st.button("Start the release with it", type="primary", key="to_release"):
        st.switch_page("releases.py", query_params={"make": "release", "experiment": str(found.id)})


# ---------------------------------------------------------------- deciding


def suggested(look: Look | None) -> ExperimentDecision:
    """Return what the data speak for."""
    if look is not None and look.verdict is not None:
        return SUGGESTED[look.verdict.direction]
    return ExperimentDecision.INCONCLUSIVE


SUGGESTED = {
    Direction.BETTER: ExperimentDecision.ADOPT_TREATMENT,
    Direction.WORSE: ExperimentDecision.KEEP_CONTROL,
    Direction.NO_DIFFERENCE: ExperimentDecision.INCONCLUSIVE,
}
LABELS = {
    ExperimentDecision.ADOPT_TREATMENT: "Adopt the treatment",
    ExperimentDecision.KEEP_CONTROL: "Keep the control",
    ExperimentDecision.INCONCLUSIVE: "End as inconclusive",
    ExperimentDecision.ROLLBACK: "Take the treatment back",
}
WHAT_FOLLOWS = {
    ExperimentDecision.ADOPT_TREATMENT: "The experiment ends, and you can start the release with the "
    "treatment. Until then all users get what is in production.",
    ExperimentDecision.KEEP_CONTROL: "The experiment ends, and all users get what is in production.",
    ExperimentDecision.INCONCLUSIVE: "The experiment ends without an answer; all users get what is in "
    "production.",
    ExperimentDecision.ROLLBACK: "The experiment ends because the treatment does harm; all users get what is "
    "in production.",
}


def _offer_end(user: User, found: Found, look: Look | None, *, primary: bool) -> None:
    label = LABELS[suggested(look)] if primary else "End it"
    with st.popover(label, type="primary" if primary else "secondary", key="end"):
        _ask_decision(user, found, look)


def _ask_decision(user: User, found: Found, look: Look | None) -> None:
    options = list(LABELS)
    decision = st.radio(
        "What shall be done?",
        options,
        index=options.index(suggested(look)),
        format_func=LABELS.__getitem__,
        key=f"decision_{found.id}",
    )
    st.caption(WHAT_FOLLOWS[decision])
    if decision is ExperimentDecision.ADOPT_TREATMENT and suggested(look) is not decision:
        st.warning("The data do not show that the treatment is better: its release waits for an approval.")
    reason = st.text_area(
        "Why?", max_chars=designs.LONGEST_REASON, height=90, key=f"reason_{found.id}"
    ).strip()
    if st.button("End the experiment", type="primary", key="decide") and _has_reason(reason):
        _do(user, lambda session, at: designs.complete(session, user.caller, found.id, decision, reason, at))


def _has_reason(reason: str) -> bool:
    if not reason:
        st.error("Say why, so that those who come later understand it.")
    return bool(reason)


# ---------------------------------------------------------------- verbs


def _confirm(user: User, label: str, what: str, verb: Verb, *, primary: bool = False) -> None:
    kind = "primary" if primary else "secondary"
    with st.popover(label, type=kind, key=f"ask_{label}"):
        st.text(what)
        if st.button(f"{label} now", type="primary", key=f"do_{label}"):
            _do(user, verb)


def _cancel(user: User, found: Found) -> None:
    with st.popover("Cancel", key="ask_cancel"):
        st.text(CANCELLING if found.status is not ExperimentStatus.DRAFT else "The draft stays readable.")
        reason = st.text_input("Why?", max_chars=designs.LONGEST_REASON, key="why_cancel").strip()
        if st.button("Cancel it now", type="primary", key="do_cancel") and _has_reason(reason):
            _do(user, lambda session, at: designs.cancel(session, user.caller, found.id, reason, at))


def _do(user: User, verb: Verb) -> None:
    with widgets.reporting():
        with db.organization_session(user.organization_id) as session:
            verb(session, datetime.now(UTC))
        frames.forget()
        st.rerun()
