"""One judgement on the screen: what was decided, scored, rewritten and noted."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from learning_core.schema import Decision, IssueCategory, Preference
from pages.components import texts
from pages.components.texts import DECISION_NAMES, ISSUE_NAMES, PREFERENCE_NAMES, SCORE_NAMES

COLORS = {Decision.APPROVE: "green", Decision.NEEDS_REVISION: "orange", Decision.REJECT: "red"}


def show(row: Any, proposed: str | None) -> None:
    """Show what an annotation says; of a new text, where it differs from the one proposed."""
    if row.issue_categories:
        with st.container(horizontal=True, gap="xsmall"):
            for issue in row.issue_categories:
                st.badge(ISSUE_NAMES[IssueCategory(issue)], color="orange")
    _show_scores(row)
    if row.corrected_output:
        if proposed:
            st.caption("What it changes in the proposed text")
            texts.changed_places(proposed, row.corrected_output)
        else:
            st.caption("New text")
            texts.framed(row.corrected_output, missing="")
    for name, text in (("Notes", row.notes), ("Suggestions", row.improvement_suggestions)):
        if text:
            st.caption(name)
            texts.as_written(text)


def badge(row: Any) -> None:
    """Show what was decided."""
    if row.decision is None:
        st.badge("Remark", color="gray")
        return
    decision = Decision(row.decision)
    if row.preference:
        strength = f", strength {row.preference_strength} of 5" if row.preference_strength else ""
        st.badge(PREFERENCE_NAMES[Preference(row.preference)] + strength, color="blue")
    else:
        st.badge(DECISION_NAMES[decision], color=COLORS[decision])


def _show_scores(row: Any) -> None:
    given = {name: getattr(row, scale) for scale, name in SCORE_NAMES.items()}
    lines = "".join(
        f'<div>{escape(name)}</div><div style="text-align:right">{texts.points(score)} of 5</div>'
        for name, score in given.items()
        if score is not None
    )
    if lines:
        st.html(f'<div style="{GRID}">{lines}</div>')


GRID = (
    "display:grid;grid-template-columns:minmax(0,11rem) 4rem;gap:.1rem .6rem;font-size:.9em;"
    "font-variant-numeric:tabular-nums"
)
