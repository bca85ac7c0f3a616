"""One example in full: where it stands, its texts, its history, and whether it serves as a gold item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import streamlit as st

from learning_core import db
from learning_core.review import gold
from learning_core.review.trace import Trace
from learning_core.schema import Decision, ExampleStatus, ExampleType, IssueCategory
from pages.components import frames, frames_releases, texts, timeline, widgets
from pages.components.releases import effects
from pages.components.session import User
from pages.components.texts import DECISION_NAMES, EXAMPLE_NAMES, ISSUE_NAMES, STATUS_NAMES, plain

SETTLED = (ExampleStatus.APPROVED, ExampleStatus.REJECTED)
STATUS_COLORS = {
    ExampleStatus.APPROVED: "green",
    ExampleStatus.REJECTED: "red",
    ExampleStatus.DISPUTED: "orange",
    ExampleStatus.FLAGGED: "orange",
    ExampleStatus.NEEDS_REVISION: "orange",
}


def show(user: User, example_id: str) -> None:
    """Show the example of that id, or say that there is none."""
    if st.button("← Back to review", type="tertiary"):
        del st.query_params["example"]
        st.rerun()
    st.title("Example", anchor=False)
    found, versions = _read(user, example_id)
    if found is None:
        widgets.show_empty("No such example", "It may belong to another organisation, or never have existed.")
        return
    _show_standing(user, found.example)
    show_texts(found.example, found.example.approved_output)
    _show_impact(user, found.example)
    timeline.show(found, versions)


def _read(user: User, example_id: str) -> tuple[Trace | None, list[Any]]:
    try:
        key = UUID(example_id)
    except ValueError:
        return None, []
    return frames.trace(user.organization_id, user.caller, key)


def _show_standing(user: User, example: Any) -> None:
    status = ExampleStatus(example.status)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(STATUS_NAMES[status], color=STATUS_COLORS.get(status, "gray"))
        st.badge(EXAMPLE_NAMES[ExampleType(example.example_type)], color="gray")
        if example.human_verified:
            st.badge("Human-verified", color="green", help="Approved by somebody who did not write it.")
        for issue in example.issue_categories:
            st.badge(ISSUE_NAMES[IssueCategory(issue)], color="orange")
        facts = [f"agent {plain(example.agent)}", f"source {plain(example.source, 40)}"]
        if example.domain:
            facts.append(f"domain {plain(example.domain, 40)}")
        st.caption(" · ".join(facts), width="content")
        if user.may("administer"):
            _offer_gold(user, example)


def _offer_gold(user: User, example: Any) -> None:
    if example.gold_decision:
        right = DECISION_NAMES[Decision(example.gold_decision)].lower()
        st.badge(f"Gold item: {right}", color="yellow", help="Reviewers are measured by it, unmarked.")
        if st.button("Remove from gold", type="tertiary", key=f"unmake_{example.id}"):
            _change(user, gold.unmake_gold, example.id)
    elif example.status in SETTLED and st.button(
        "Make it a gold item",
        type="tertiary",
        key=f"make_{example.id}",
        help="Its decision is taken for right: it is mixed into what reviewers judge, unmarked, and their "
        "decisions are measured by it. Nothing is trained on it meanwhile.",
    ):
        _change(user, gold.make_gold, example.id)


def _show_impact(user: User, example: Any) -> None:
    shipped = frames_releases.shipped(user.organization_id, example.id)
    if not shipped and example.status != ExampleStatus.APPROVED:
        return
    st.header("What it changed", anchor=False)
    if not shipped:
        st.caption("No release has learnt from it yet.")
    is_correction = example.example_type == ExampleType.CORRECTION
    effects.show_shipped(
        shipped, example.issue_categories, is_correction=is_correction, rating=example.rating
    )


def _change(user: User, verb: Callable[..., None], example_id: UUID) -> None:
    with widgets.reporting():
        db.in_transaction(user.organization_id, lambda session: verb(session, user.caller, example_id))
        frames.forget()
        st.rerun()


def show_texts(example: Any, approved: str | None = None) -> None:
    """Show what was asked and answered, and what should have been answered: as approved, or as proposed."""
    st.header("Question", anchor=False)
    texts.framed(example.input_text, missing="The question was not reported.")
    if example.context:
        with st.expander("Context"):
            texts.as_written(example.context)
    if example.example_type == ExampleType.PREFERENCE:
        _show_options(example, approved)
        return
    before, after = st.columns(2)
    with before:
        st.header("Answer the agent gave", anchor=False)
        texts.framed(example.original_output, missing="The answer was not reported.")
    with after:
        text = approved or example.expected_output
        st.header("Answer approved" if approved else "Answer proposed", anchor=False)
        if not text:
            st.caption("None yet: a reviewer has to write it.")
        elif example.original_output == text:
            st.caption("The same, word for word.")
        elif example.original_output:
            texts.word_difference(example.original_output, text)
        else:
            texts.framed(text, missing="")


def _show_options(example: Any, approved: str | None) -> None:
    sides = {"Answer A": example.original_output, "Answer B": example.alternative_output}
    for column, (name, text) in zip(st.columns(2), sides.items(), strict=True):
        with column:
            is_better = text and text == approved
            st.header(f"{name}, the better one" if is_better else name, anchor=False)
            texts.framed(text, missing="There is none.")
