"""What a candidate was made from: why, by which strategy, and from whose feedback and examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from learning_core.prompts.queries import Standing
from learning_core.schema import FeedbackType, IssueCategory
from pages.components import frames, texts
from pages.components.prompts import leaderboard
from pages.components.session import User
from pages.components.texts import ISSUE_NAMES, TYPE_NAMES, count


def show(user: User, chosen: Standing, board: Sequence[Standing]) -> None:
    """Show what a candidate learnt from, each piece with the way to it."""
    texts.as_written(chosen.reason)
    parents = [leaderboard.name(one) for one in board if one.number in chosen.parents]
    if parents:
        st.text(f"Made from: {', '.join(parents)}.")
    told = chosen.learnt_from
    if dropped := told.get("dropped_because"):
        st.text(f"Why it was dropped: {dropped}")
    if diagnosis := told.get("diagnosis"):
        st.caption("What the model that wrote it found wrong")
        texts.framed(str(diagnosis), missing="")
    issues = _texts(told.get("issues"))
    if issues:
        st.text(f"Issues that users named: {', '.join(map(_issue, issues))}.")
    found = frames.sources(
        user.organization_id, *(tuple(_texts(told.get(kind))) for kind in ("feedback", "examples", "rules"))
    )
    rules = found.rules + [str(one.get("statement")) for one in told.get("mined") or ()]
    _show_rules(rules)
    if found.feedback:
        st.header(f"{count(len(found.feedback), 'piece', 'pieces')} of feedback", anchor=False)
        for row in found.feedback:
            texts.quote(row.text or "", _source(row), row.execution, f"said_{chosen.number}_{row.id}")
    if found.examples:
        st.header(f"{count(len(found.examples), 'approved example', 'approved examples')}", anchor=False)
        for row in found.examples:
            _show_example(row, f"learnt_{chosen.number}_{row.id}")
    if not (parents or issues or found.feedback or found.examples or rules):
        st.caption("It was written from the prompt and the goal alone.")


def _show_rules(rules: Sequence[str]) -> None:
    if rules:
        st.text("Rules that corrections come to:")
        for rule in rules:
            texts.as_written(f"• {rule}")


def _show_example(row: Any, key: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        texts.as_written(f"{texts.charts.shorten(row.input_text, 200)}\n→ {_shortened(row.expected_output)}")
        if st.button("Open", type="tertiary", key=key):
            st.switch_page("review.py", query_params={"example": row.id})


def _shortened(text: str | None) -> str:
    return texts.charts.shorten(text or "no answer any more", 160)


def _source(row: Any) -> str:
    rating = f", {row.rating} of 5" if row.rating else ""
    return f"{TYPE_NAMES[FeedbackType(row.feedback_type)]}{rating}"


def _issue(name: str) -> str:
    known = {issue.value: words for issue, words in ISSUE_NAMES.items()}
    return known.get(IssueCategory(name) if name in known else name, name)


def _texts(told: Any) -> list[str]:
    return [str(one) for one in told] if isinstance(told, list | tuple) else []
