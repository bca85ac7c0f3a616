"""Two prompts side by side, example by example: where the second wins, where it loses, what each answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import streamlit as st

from learning_core import db
from learning_core.datasets import versions
from learning_core.datasets.splits import Split
from learning_core.prompts.queries import Outcomes
from pages.components import frames, texts, widgets
from pages.components.prompts import telling
from pages.components.session import User
from pages.components.texts import count

PER_PAGE = 10
SEARCHED, UNSEEN = "Examples of the search", "Unseen examples"


class Side(NamedTuple):
    """A candidate, and what it is called here."""

    id: UUID
    name: str


def show(
    user: User, dataset_id: UUID | None, before: Side, after: Side, parts: Sequence[str], key: str
) -> None:
    """Show how two candidates did on the same examples: on those of the search, or on unseen ones."""
    part = _choose_part(parts, key)
    told = frames.outcomes(user.organization_id, before.id, after.id, part == UNSEEN)
    if not told.n:
        st.caption("Both answered none of these examples.")
        return
    if before.id != after.id:
        st.text(_sum_up(told, before, after))
    if part == UNSEEN and not _unseal(user, dataset_id, key):
        return
    outcome = _choose_outcome(told, f"{key}_{part}") if before.id != after.id else None
    _show_page(user, told, before, after, part, outcome, key)


def _choose_part(parts: Sequence[str], key: str) -> str:
    if len(parts) == 1:
        return parts[0]
    chosen = st.segmented_control(
        "Examples", parts, default=parts[0], required=True, label_visibility="collapsed", key=f"{key}_part"
    )
    return chosen or parts[0]


def _sum_up(told: Outcomes, before: Side, after: Side) -> str:
    return (
        f"Of {count(told.n, 'example', 'examples')} that both answered, {after.name} does better on "
        f"{told.won:,}, worse on {told.lost:,} and the same on {told.tied:,}, compared with {before.name}."
    )


def _unseal(user: User, dataset_id: UUID | None, key: str) -> bool:
    """Ask before examples of the test split are shown, and put on record that they were."""

    def note() -> None:
        if st.session_state[f"{key}_look"] and dataset_id:
            with widgets.reporting(), db.organization_session(user.organization_id) as session:
                versions.record_use(session, user.caller, dataset_id, Split.TEST, "read in a run's answers")
            frames.forget()

    st.caption("What is looked at often is no longer unseen, so every look at these examples is counted.")
    return st.toggle("Show the answers; this counts as a look", key=f"{key}_look", on_change=note)


def _choose_outcome(told: Outcomes, key: str) -> str | None:
    labels = {f"Worse ({told.lost:,})": "lost", f"Better ({told.won:,})": "won"}
    labels |= {f"The same ({told.tied:,})": "tied", f"All ({told.n:,})": None}
    first = next(label for label, outcome in labels.items() if outcome is None or getattr(told, outcome))
    chosen = st.segmented_control(
        "Outcome",
        list(labels),
        default=first,
        required=True,
        label_visibility="collapsed",
        key=f"{key}_outcome",
    )
    return labels[chosen or first]


def _show_page(
    user: User, told: Outcomes, before: Side, after: Side, part: str, outcome: str | None, key: str
) -> None:
    held = getattr(told, outcome) if outcome else told.n
    if not held:
        st.caption("There is none.")
        return
    slot = st.container()
    pages = -(-held // PER_PAGE)
    page = st.pagination(pages, key=f"{key}_{part}_{outcome}_page") if pages > 1 else 1
    rows = frames.compared_answers(
        user.organization_id, before.id, after.id, part == UNSEEN, outcome, PER_PAGE, (page - 1) * PER_PAGE
    )
    with slot:
        for row in rows:
            _show_example(row, before, after, f"{key}_{row.id}")


def _show_example(row: Any, before: Side, after: Side, key: str) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="top"):
            texts.as_written(row.input_text)
            if st.button("Open", type="tertiary", key=f"open_{key}"):
                st.switch_page("review.py", query_params={"example": row.id})
        if row.context:
            with st.expander("Context"):
                texts.as_written(row.context)
        expected, *places = st.columns(2 if before.id == after.id else 3)
        with expected:
            st.caption("Expected")
            texts.framed(row.expected_output, missing="Nothing is expected.")
        sides = [(before, row.before_value, row.before_output, row.before_error)]
        sides += [(after, row.after_value, row.after_output, row.after_error)]
        for place, side in zip(places, sides, strict=False):
            _show_answer(place, *side)


def _show_answer(place: Any, side: Side, value: float, output: str | None, error: str | None) -> None:
    with place:
        st.caption(f"{texts.plain(side.name[:1].upper() + side.name[1:])} · scored {telling.score(value)}")
        if error:
            texts.framed(f"No answer: {error}", missing="")
        else:
            texts.framed(output, missing="An empty answer.")
