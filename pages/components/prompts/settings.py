"""All that it takes to repeat a run, and what it may spend."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import streamlit as st

from learning_core import background, db
from learning_core.background import Cap, Run
from learning_core.evaluation.evaluators import Version
from learning_core.schema import ModelRole, RunKind
from pages.components import frames, texts, widgets
from pages.components.prompts import leaderboard, telling
from pages.components.session import User
from pages.components.texts import count

MODES = {
    "exploratory": "drops candidates that fall behind",
    "always_valid": "drops a candidate only when it is proven to be behind",
    "exhaustive": "tries every candidate on every example",
}


def show(user: User, told: Run) -> None:
    """Show the settings of a run, one a line."""
    given = told.settings
    if goals := given.get("goals"):
        st.caption("Goal, in the words of who started it")
        texts.framed(str(goals), missing="")
    with st.container(gap="xsmall"):
        for name, words in _lines(user, told, given).items():
            with st.container(horizontal=True, gap="small", wrap=False):
                st.caption(name, width=170)
                st.text(words, width="stretch")
    if content_hash := (given.get("dataset") or {}).get("content_hash"):
        with st.popover("Hash of the dataset's content", type="tertiary"):
            st.code(content_hash, language=None, wrap_lines=True)


def _lines(user: User, told: Run, given: dict[str, Any]) -> dict[str, str]:
    lines = {"A score of 100 %": _scored(frames.evaluator(user.organization_id, told.evaluator_id))}
    if counts := given.get("counts"):
        lines["Examples"] = _counted(counts)
    for role, model in (given.get("models") or {}).items():
        if model:
            lines[ModelRole(role).words] = f"{model['name']} ({model['model']} at {model['base_url']})"
    if told.kind == RunKind.PROMPT_OPTIMIZATION:
        lines["Strategies"] = ", ".join(map(leaderboard.strategy, given.get("strategies") or [])) or "all"
        lines["The search"] = MODES.get(str(given.get("mode")), str(given.get("mode")))
        if stop := told.progress.get("stop") or told.stop_reason:
            lines["The search ended"] = str(stop)
    lines["May spend at most"] = telling.cap(told)
    if told.estimate:
        lines["Expected to take"] = telling.expected(told.estimate)
    if told.spent.calls:
        lines["Spent"] = f"{telling.spent(told)}, {count(told.spent.tokens, 'token', 'tokens')}"
    lines["Seed"] = str(given.get("seed"))
    lines["Temperature"] = (
        f"{given.get('temperature', 0):g}, up to {given.get('max_tokens', 0):,} tokens an answer"
    )
    if "reuse" in given:
        lines["Answers paid for before"] = "are used again" if given["reuse"] else "are asked for again"
    lines["Run"] = str(told.id)
    return {name: words for name, words in lines.items() if words}


RIGHT_OR_WRONG = ("exact", "normalised", "pattern", "number")
"""Kinds of checks after which an answer is either right or wrong."""


def _scored(found: Version | None) -> str:
    if found is None:
        return ""
    checks = found.evaluator.checks
    words = " ".join(
        f"{check.words} ({check.weight:g} of {sum(each.weight for each in checks):g})"
        if len(checks) > 1
        else check.words
        for check in checks
    )
    return f"{words} Evaluator version {found.number}."


def _counted(counts: dict[str, Any]) -> str:
    return (
        f"{counts.get('train', 0):,} to learn from, {counts.get('validation', 0):,} for the search, "
        f"{counts.get('test', 0):,} kept back for the proof"
    )


def ask_cap(user: User, told: Run) -> None:
    """Let somebody change what a run may spend."""
    with st.form(f"cap_{told.id}", border=False):
        calls = st.number_input("Calls at most", 0, 1_000_000, told.cap.calls or 0, step=100, help=NO_LIMIT)
        usd = st.number_input("US dollars at most", 0.0, 100_000.0, float(told.cap.usd or 0), help=NO_LIMIT)
        if st.form_submit_button("Save", type="primary"):
            with widgets.reporting():
                cap = Cap(Decimal(str(usd)) if usd else None, told.cap.tokens, calls or None)
                with db.organization_session(user.organization_id) as session:
                    background.raise_cap(session, user.caller, told.id, cap)
                frames.forget()
                st.rerun()


NO_LIMIT = "0 is no limit."
