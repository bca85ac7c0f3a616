"""One execution in full: what was asked and answered, what people said of it, and what came of that."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from learning_core import access, db
from learning_core.feedback import collect
from learning_core.feedback.entries import FeedbackEntry
from learning_core.schema import ExampleStatus, ExampleType, FeedbackType, IssueCategory
from pages.components import frames, texts, widgets
from pages.components.charts import SCALE_NAMES
from pages.components.session import User
from pages.components.texts import EXAMPLE_NAMES, ISSUE_NAMES, STATUS_NAMES, TYPE_NAMES, plain

MISSING = "Not reported yet: the agent sends it to /api/learning/executions."


def show(user: User, key: str) -> None:
    """Show the execution of that key, or say that there is none."""
    found, feedback = frames.execution(user.organization_id, key)
    if st.button("← Back to all feedback", type="tertiary"):
        del st.query_params["execution"]
        st.rerun()
    st.title("Execution", anchor=False)
    if found.empty:
        widgets.show_empty(
            "No such execution", "It may belong to another organisation, or never have existed."
        )
        return
    answer = found.iloc[0]
    st.caption(" · ".join(_facts(answer)))
    question, reply = st.columns(2)
    with question:
        st.header("Question", anchor=False)
        texts.framed(_text(answer.input_text), missing=MISSING)
    with reply:
        st.header("Answer", anchor=False)
        if error := _text(answer.error):
            st.badge("Failed", color="red")
            texts.as_written(error)
        texts.framed(_text(answer.output_text), missing=MISSING)
    st.header(f"Feedback ({len(feedback):,})", anchor=False)
    for row in feedback.itertuples():
        _show_feedback(user, row, _text(answer.output_text))
    if user.may("report"):
        _add_feedback(user, key, answer.agent, _text(answer.output_text) or "")


def _facts(answer: Any) -> list[str]:
    facts = [plain(answer.agent), f"{answer.created_at:%d %b %Y, %H:%M} UTC"]
    if _text(answer.prompt_version):
        facts.append(f"prompt {plain(answer.prompt_version)}")
    if pd.notna(answer.latency_ms):
        facts.append(f"{answer.latency_ms / 1000:.1f} s")
    if pd.notna(answer.cost_usd):
        facts.append(f"{answer.cost_usd:.4f} US dollars")
    return [*facts, f"id {plain(answer.id, 60)}"]


def _show_feedback(user: User, row: Any, answer: str | None) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(TYPE_NAMES[FeedbackType(row.feedback_type)], color="gray")
            if rated := _stars(row):
                st.caption(rated, width="content")
            for issue in row.issue_categories:
                st.badge(ISSUE_NAMES[IssueCategory(issue)], color="orange")
            if row.withdrawn:
                st.badge("Withdrawn, counted nowhere", color="red")
            who = plain(row.user_id, 40) if _text(row.user_id) else "someone not named"
            st.caption(f"{who}, {row.created_at:%d %b %Y, %H:%M} UTC", width="content")
            if user.may("report") and not row.withdrawn:
                _offer_withdrawal(user, row.id)
        if comment := _text(row.feedback_text):
            texts.as_written(comment)
        if correction := _text(row.correction_text):
            st.caption("Corrected answer" + (": struck out and put in" if answer else ""))
            if answer:
                texts.word_difference(answer, correction)
            else:
                texts.as_written(correction)
        if _text(row.example_type):
            _show_example(row)


def _show_example(row: Any) -> None:
    kind = EXAMPLE_NAMES[ExampleType(row.example_type)].lower()
    status = STATUS_NAMES[ExampleStatus(row.example_status)].lower()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"Became an example ({kind}), {status}.", width="content")
        if st.button("See its history", type="tertiary", key=f"example_{row.example_id}"):
            st.switch_page("review.py", query_params={"example": row.example_id})


def _stars(row: Any) -> str:
    rated = [(name, getattr(row, scale)) for scale, name in SCALE_NAMES.items()]
    return ", ".join(f"{name} {stars} of 5" for name, stars in rated if pd.notna(stars))


def _offer_withdrawal(user: User, feedback: str) -> None:
    with st.popover("Withdraw", type="tertiary"):
        st.text("It stays on record, but counts nowhere any more, and its example is withdrawn.")
        if st.button("Withdraw this feedback", type="primary", key=f"withdraw_{feedback}"):
            with widgets.reporting():
                access.require(user.caller, "report")
                with db.organization_session(user.organization_id) as session:
                    collect.withdraw(session, feedback)
                    access.audit(session, user.caller, "feedback.withdrawn", feedback)
                frames.forget()
                st.rerun()


def _add_feedback(user: User, execution: str, agent: str, answer: str) -> None:
    with st.expander("Add your feedback"), st.form("add_feedback", border=False, clear_on_submit=True):
        thumb = st.feedback("thumbs", key="new_thumb")
        st.caption("Stars")
        stars = st.feedback("stars", key="new_stars")
        issues = st.pills(
            "What was wrong?",
            list(IssueCategory),
            selection_mode="multi",
            format_func=ISSUE_NAMES.__getitem__,
            key="new_issues",
        )
        comment = st.text_area("Comment", max_chars=20_000, key="new_comment")
        correction = st.text_area("Corrected answer", answer, max_chars=500_000, key="new_correction")
        correction = "" if correction.strip() == answer.strip() else correction.strip()
        if st.form_submit_button("Add it", type="primary"):
            kind = _kind(thumb, stars, issues, correction)
            if kind is None and not comment.strip():
                st.error("Choose or write something first.")
                return
            entry = {
                "execution_id": execution,
                "agent_id": agent,
                "feedback_type": kind or FeedbackType.DETAILED_FEEDBACK,
                "user_id": user.name,
                "rating": None if stars is None else stars + 1,
                "issue_categories": issues,
                "feedback_text": comment.strip() or None,
                "correction_text": correction or None,
            }
            with widgets.reporting():
                access.require(user.caller, "report")
                with db.organization_session(user.organization_id) as session:
                    collect.collect(session, [FeedbackEntry.model_validate(entry)], source="page")
                frames.forget()
                st.rerun()


def _kind(
    thumb: int | None, stars: int | None, issues: list[IssueCategory], correction: str
) -> FeedbackType | None:
    """Name the reaction after the strongest thing it holds; None where a comment is all there may be."""
    if correction:
        return FeedbackType.CORRECTION
    if issues:
        return FeedbackType.REPORT_ISSUE
    if thumb is not None:
        return FeedbackType.THUMBS_UP if thumb else FeedbackType.THUMBS_DOWN
    return FeedbackType.STAR_RATING if stars is not None else None


def _text(value: Any) -> str | None:
    return None if pd.isna(value) or value == "" else str(value)
