"""What users say about an agent's answers: figures, issues in their own words, rules to decide about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import streamlit as st

from learning_core import db
from learning_core.feedback.intervals import Estimate
from learning_core.feedback.metrics import Issue
from learning_core.prompts import rules
from learning_core.prompts.analysis import DAYS
from learning_core.schema import IssueCategory
from pages.components import cards, frames, texts, widgets
from pages.components.prompts import telling
from pages.components.session import User
from pages.components.texts import ISSUE_NAMES, count, plain

ISSUES = 3
REACTIONS = (
    ("Satisfaction", "satisfaction", "stars", "ratings", False),
    ("Thumbs up", "thumbs_up_share", "share", "thumbs", False),
    ("Correction rate", "correction_rate", "share", "pieces of feedback", True),
    ("Error rate", "error_rate", "share", "answers", True),
)
MISSING = "Nothing was counted in these days."


def show(user: User, agent: str) -> None:
    """Show what the last thirty days say about an agent's prompt."""
    found = frames.analysis(user.organization_id, agent)
    if found is None or not (found["overall"]["feedback_count"] or found["overall"]["execution_count"]):
        st.caption(f"Nobody has used this agent or said anything about it in the last {DAYS} days.")
    else:
        _show_figures(found)
        _show_issues(found)
    show_rules(user, agent, (found or {}).get("rules") or [])


def _show_figures(found: Mapping[str, Any]) -> None:
    current = found["current"]
    figures = current or found["overall"]
    with st.grid(3, gap="small"):
        for name, measure, kind, counted, falls in REACTIONS:
            cards.show_metric(
                name, _estimate(figures[measure]), kind, counted, falling_is_good=falls, missing=MISSING
            )
        cards.show_mean("Time to answer", figures["latency_ms"], telling.milliseconds, "answers")
        cards.show_mean("Cost of an answer", figures["cost_usd"], telling.usd, "answers with a cost")
    under = f"under version {plain(found['version'], 40)}" if current else "under all versions"
    st.caption(f"{found['since']} to {found['until']} (UTC days), {under}.")
    for sentence in found["missing"]:
        st.caption(plain(sentence, 300))


def _show_issues(found: Mapping[str, Any]) -> None:
    issues = found["issues"][:ISSUES]
    if not issues:
        return
    st.header("What users complain about", anchor=False)
    most = max(issue["share"]["value"] for issue in issues)
    for place, told in zip(st.columns(len(issues)), issues, strict=True):
        with place, st.container(border=True, height="stretch"):
            _show_issue(told, most)


def _show_issue(told: Mapping[str, Any], most: float) -> None:
    category = told["category"]
    share, change = _estimate(told["share"]), _estimate(told["change"])
    assert share is not None  # noqa: S101 - an issue that was named was named in some feedback
    cards.show_issue(
        ISSUE_NAMES[IssueCategory(category)], Issue(category, told["count"], share, change), most
    )
    for quote in told["quotes"]:
        stars = f", {quote['rating']} of 5" if quote["rating"] else ""
        day = str(quote["created_at"])[:10]
        texts.quote(quote["text"], f"{day}{stars}", quote["execution"], f"quote_{category}_{quote['id']}")


def _estimate(told: Mapping[str, Any] | None) -> Estimate | None:
    return Estimate(**told) if told else None


# ---------------------------------------------------------------- rules


def show_rules(user: User, agent: str, known: Sequence[Mapping[str, Any]]) -> None:
    """Show what corrections come to; let engineers accept it into prompts or dismiss it."""
    if not known:
        return
    st.header("Rules from corrections", anchor=False)
    st.caption(
        "What corrections of the same kind come to. An accepted rule may go into the prompts that runs try; "
        "a proposed one does not."
    )
    for rule in known:
        _show_rule(user, rule)


def _show_rule(user: User, rule: Mapping[str, Any]) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        accepted = rule["accepted"]
        st.badge("Accepted" if accepted else "Proposed", color="green" if accepted else "orange")
        with st.container(gap=None):
            texts.as_written(rule["statement"])
            st.caption(f"From {count(len(rule['example_ids']), 'correction', 'corrections')}.")
        if not (user.may("optimize") or user.may("review")):
            return
        key = rule["id"]
        if not accepted and st.button("Accept", key=f"accept_{key}", type="primary"):
            _decide(user, rules.accept, key)
        if st.button("Dismiss", key=f"dismiss_{key}"):
            _decide(user, rules.dismiss, key)


def _decide(user: User, verb: Callable[..., Any], rule_id: str) -> None:
    with widgets.reporting():
        with db.organization_session(user.organization_id) as session:
            verb(session, user.caller, UUID(rule_id))
        frames.forget()
        st.rerun()
