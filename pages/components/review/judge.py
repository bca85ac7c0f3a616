"""Judging: the deck of examples that this person holds, and the decisions that come back from it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import streamlit as st
from pydantic import ValidationError

from learning_core import db
from learning_core.review import decisions, items, queue
from learning_core.review.decisions import DeckDecision
from learning_core.review.items import Item
from learning_core.review.queries import OwnProgress, own_progress
from learning_core.review.queue import Filters
from learning_core.schema import ExampleType, FeedbackType, IssueCategory
from pages.components import deck, frames, widgets
from pages.components.session import User
from pages.components.texts import EXAMPLE_NAMES, ISSUE_NAMES, TYPE_NAMES, plain

HELD = 12
"""How many examples a deck holds, so that the next one is there before the server has answered."""

FILTERS = ("agent", "domain", "source", "issue")

REFUSALS_KEPT = 50
"""The deck tells each refusal once; it may miss the run in which one happened."""


def show(user: User, mode: str) -> None:
    """Show the deck: "review" for single answers, "compare" for two to choose from."""
    filters = _choose_filters(user, mode)
    if st.session_state.get("reviewing") != (user, filters):
        leave(user)
    st.session_state["reviewing"] = (user, filters)
    _deck(user, mode, filters)


def leave(user: User) -> None:
    """Store what was decided last, and give back what the person holds: they look at something else now.

    What was decided in another organisation, or with a role that is gone, stays in the browser.
    """
    if "reviewing" not in st.session_state:
        return
    reviewer, _ = st.session_state["reviewing"]
    if reviewer.organization_id == user.organization_id and user.may("review"):
        for mode in ("review", "compare"):
            _apply(user, mode)
    db.in_transaction(reviewer.organization_id, lambda session: queue.give_back(session, reviewer.caller))
    del st.session_state["reviewing"]


@st.fragment
def _deck(user: User, mode: str, filters: Filters) -> None:
    state = _state(user, mode)
    with widgets.reporting():
        _apply(user, mode)
        if st.session_state.get("bring_back_skipped"):
            db.in_transaction(
                user.organization_id, lambda session: queue.bring_back_skipped(session, user.caller)
            )
        held, own = _claim(user, filters)
        guidelines, agents = frames.guidelines(user.organization_id), {item.agent for item in held}
        deck.show_deck(
            {
                "deck": state["deck"],
                "owner": f"{user.organization_id}/{user.name}",
                "mode": mode,
                "acked": state["acked"],
                "refused": state["refused"],
                "progress": {
                    "done_today": own.today,
                    "waiting": frames.review_progress(user.organization_id).waiting,
                    "mine": len(held),
                },
                "guidelines": {agent: guidelines[agent] for agent in guidelines if agent in agents},
                "items": [_shown(user, item) for item in held],
            },
            key=_key(mode),
        )
        if own.skipped:
            st.button(f"Bring back {own.skipped:,} skipped", key="bring_back_skipped")


def _claim(user: User, filters: Filters) -> tuple[list[Item], OwnProgress]:
    def work(session: Any) -> tuple[list[Item], OwnProgress]:
        held = queue.claim(session, user.caller, filters, HELD)
        now = datetime.now(UTC)
        return items.items(session, user.caller, held, now), own_progress(session, user.name)

    return db.in_transaction(user.organization_id, work)


def _apply(user: User, mode: str) -> None:
    """Apply what the browser decided since the last time."""
    state = _state(user, mode)
    log = [_understood(entry) for entry in deck.sent(_key(mode), state["deck"], state["acked"])]
    if log:
        known = [entry for entry in log if isinstance(entry, DeckDecision)]
        state["acked"], refused = decisions.apply(user.caller, known, state["acked"])
        state["acked"] = max(state["acked"], *(_seq(entry) for entry in log))
        state["refused"] += [
            {"seq": refusal.seq, "id": str(refusal.example_id), "why": refusal.why} for refusal in refused
        ] + [entry for entry in log if isinstance(entry, dict)]
        del state["refused"][:-REFUSALS_KEPT]


def _understood(entry: dict[str, Any]) -> DeckDecision | dict[str, Any]:
    try:
        return DeckDecision.model_validate(entry)
    except ValidationError:
        return {"seq": entry["seq"], "id": entry["id"], "why": "This decision could not be read."}


def _seq(entry: DeckDecision | dict[str, Any]) -> int:
    return entry.seq if isinstance(entry, DeckDecision) else int(entry["seq"])


def _state(user: User, mode: str) -> dict[str, Any]:
    """Return what this browser session knows of its deck; another organisation gets another deck."""
    fresh = {"deck": uuid4().hex, "acked": 0, "refused": []}
    state: dict[str, Any] = st.session_state.setdefault(f"deck_{mode}_{user.organization_id}", fresh)
    return state


def _key(mode: str) -> str:
    return f"deck_{mode}"


def _choose_filters(user: User, mode: str) -> Filters:
    chosen = [str(st.session_state[key]) for key in FILTERS if st.session_state.get(key)]
    choices = frames.review_choices(user.organization_id)
    with st.popover(f"Only {plain(', '.join(chosen))}" if chosen else "Filter", type="tertiary"):
        agent = widgets.choose("Agent", choices["agent"], "All agents", key="agent")
        domain = widgets.choose("Domain", choices["domain"], "All domains", key="domain")
        source = widgets.choose("Source", choices["source"], "All sources", key="source")
        issue = widgets.choose("Issue", list(IssueCategory), "All issues", key="issue")
    return Filters(agent, domain, source, issue, is_preference=mode == "compare")


def _shown(user: User, item: Item) -> dict[str, Any]:
    return {
        "id": str(item.id),
        "agent": item.agent,
        "domain": item.domain,
        "source": item.source,
        "type": EXAMPLE_NAMES[ExampleType(item.example_type)],
        "work": item.work,
        "reasons": list(item.reasons),
        "input": item.input_text or "",
        "context": item.context,
        "original": item.original_output,
        "proposed": item.proposed,
        "diff": frames.marks(user.organization_id, item.original_output, item.proposed),
        "option_a": item.original_output or "",
        "option_b": item.alternative_output or "",
        "feedback": [_said(feedback) for feedback in item.feedback],
        "notes": [{"who": note["annotator"], "text": note["text"]} for note in item.notes],
    }


def _said(feedback: dict[str, Any]) -> dict[str, Any]:
    at = datetime.fromisoformat(feedback["at"])
    return {
        "said": TYPE_NAMES[FeedbackType(feedback["feedback_type"])],
        "stars": f"Rating {feedback['rating']} of 5" if feedback["rating"] else "",
        "issues": [ISSUE_NAMES[IssueCategory(issue)] for issue in feedback["issue_categories"]],
        "comment": feedback["comment"],
        "who": feedback["user"] or "someone not named",
        "when": f"{at:%d %b %Y}",
    }
