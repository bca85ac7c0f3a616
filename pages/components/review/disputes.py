"""Disputed examples one at a time: what the reviewers said side by side, and the decision that settles it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st
from pydantic import ValidationError

from learning_core import db
from learning_core.feedback.entries import describe_first_error
from learning_core.review.annotations import AnnotationEntry, annotate
from learning_core.schema import QUALITY_SCALES, Decision, ExampleType, Preference
from pages.components import frames, texts, widgets
from pages.components.example import show_texts
from pages.components.review import judgement
from pages.components.session import User
from pages.components.texts import DECISION_NAMES, PREFERENCE_NAMES, SCORE_NAMES, plain

ACROSS = 3
"""How many judgements stand side by side."""

SCORES = [0.0, 0.25, 0.5, 0.75, 1.0]


def show(user: User) -> None:
    """Show one disputed example with its judgements, and ask for the decision."""
    if settled := st.session_state.pop("settled", None):
        st.toast(settled)
    rows, total = frames.disputed(user.organization_id)
    if not rows:
        widgets.show_empty(
            "Nothing is disputed",
            "When reviewers differ and one more opinion does not settle it, the example comes here and "
            "somebody who has not judged it decides.",
        )
        return
    example = _choose(rows, total)
    judged = frames.judgements_of(user.organization_id, example.id)
    judged.sort(key=lambda row: row.decision is None)
    st.caption(f"Agent {plain(example.agent)}")
    show_texts(example)
    why_not = _why_not(user, example, [row for row in judged if row.decision])
    st.header("What the reviewers say", anchor=False)
    for start in range(0, len(judged), ACROSS):
        for column, row in zip(st.columns(ACROSS), judged[start : start + ACROSS], strict=False):
            with column, st.container(border=True, height="stretch"):
                st.caption(f"{plain(row.annotator, 40)}, {row.created_at:%d %b %Y}")
                judgement.badge(row)
                judgement.show(row, example.expected_output)
                if row.decision and not why_not:
                    _offer(user, example, row)
    st.header("Decide", anchor=False)
    if why_not:
        st.text(why_not)
    else:
        _decide(user, example)


def _choose(rows: list[Any], total: int) -> Any:
    """Return the example that the URL names, or the first, and offer its neighbours."""
    ids = [str(row.id) for row in rows]
    wanted = st.query_params.get("dispute")
    place = ids.index(wanted) if wanted in ids else 0

    def go(step: int) -> Callable[[], None]:
        return lambda: st.query_params.update(dispute=ids[place + step])

    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        oldest = ", the oldest first" if total > 1 else ""
        st.caption(f"{place + 1:,} of {total:,} disputed{oldest}", width="content")
        is_last = place + 1 == len(ids)
        if len(ids) > 1:
            st.button("← Previous", type="tertiary", disabled=not place, on_click=go(-1) if place else None)
            st.button("Next →", type="tertiary", disabled=is_last, on_click=None if is_last else go(1))
        if st.button("See its history", type="tertiary"):
            st.query_params["example"] = ids[place]
            st.rerun()
    return rows[place]


def _why_not(user: User, example: Any, judged: list[Any]) -> str | None:
    if not user.may("review"):
        return "Experts and administrators decide disputed examples; your role reads."
    if user.name in {row.annotator for row in judged}:
        return "You judged this example yourself, so somebody who has not judged it decides."
    if user.name == example.author:
        return "You wrote the answer proposed here, so somebody else decides."
    return None


def _offer(user: User, example: Any, row: Any) -> None:
    taken = st.button(
        _name(row),
        key=f"take_{row.id}",
        width="stretch",
        help="Takes this outcome and these scores as your own judgement.",
    )
    if taken:
        scores = {scale: getattr(row, scale) for scale in QUALITY_SCALES}
        _settle(
            user,
            scores
            | {
                "example_id": example.id,
                "decision": row.decision,
                "preference": row.preference,
                "preference_strength": row.preference_strength,
                "corrected_output": row.corrected_output,
            },
        )


def _name(row: Any) -> str:
    if row.preference:
        return f"Settle: {PREFERENCE_NAMES[Preference(row.preference)]}"
    if row.decision == Decision.APPROVE:
        return "Settle: approve this text" if row.corrected_output else "Settle: approve as proposed"
    return f"Settle: {DECISION_NAMES[Decision(row.decision)].lower()}"


def _decide(user: User, example: Any) -> None:
    is_preference = example.example_type == ExampleType.PREFERENCE
    confirmed = "" if is_preference else " A new text then waits for one more person to confirm it."
    st.caption(f"Settle it as one of the reviewers above, or decide for yourself.{confirmed}")
    options = [*PREFERENCE_NAMES, Decision.REJECT] if is_preference else list(Decision)
    with st.form(f"decide_{example.id}"):
        chosen = st.segmented_control(
            "Decision",
            options,
            format_func=(PREFERENCE_NAMES | DECISION_NAMES).__getitem__,
            key=f"decision_{example.id}",
        )
        text = example.expected_output or ""
        if not is_preference:
            text = st.text_area(
                "Answer, for an approval",
                text,
                max_chars=500_000,
                height=200,
                key=f"text_{example.id}",
            )
        scores = _ask_for_scores(example)
        notes = st.text_area("Notes", max_chars=20_000, height=80, key=f"notes_{example.id}")
        if st.form_submit_button("Settle it", type="primary"):
            if chosen is None:
                st.error("Choose a decision first.")
                return
            is_approved = chosen == Decision.APPROVE
            is_new = is_approved and text.strip() != (example.expected_output or "").strip()
            _settle(
                user,
                scores
                | {
                    "example_id": example.id,
                    "decision": Decision.APPROVE if chosen in PREFERENCE_NAMES else chosen,
                    "preference": chosen if chosen in PREFERENCE_NAMES else None,
                    "corrected_output": text if is_new else None,
                    "notes": notes,
                },
            )


def _ask_for_scores(example: Any) -> dict[str, float | None]:
    with st.grid(2, gap="small"):
        return {
            scale: st.segmented_control(
                f"{SCORE_NAMES[scale]}, 1 to 5",
                SCORES,
                format_func=texts.points,
                key=f"{scale}_{example.id}",
            )
            for scale in QUALITY_SCALES
        }


def _settle(user: User, given: dict[str, Any]) -> None:
    with widgets.reporting():
        try:
            entry = AnnotationEntry.model_validate(given)
        except ValidationError as error:
            st.error(describe_first_error(error))
            return
        outcome = db.in_transaction(
            user.organization_id, lambda session: annotate(session, user.caller, entry)
        )
        st.session_state["settled"] = f"Settled: {texts.STATUS_NAMES[outcome.example_status].lower()}."
        st.query_params.pop("dispute", None)
        frames.forget()
        st.rerun()
