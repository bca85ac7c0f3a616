"""Making a version: rules on the left, what they come to on the right, and freezing it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pandas as pd
import streamlit as st

from learning_core import db
from learning_core.datasets import queries, versions
from learning_core.datasets.curation import Rules, outlook
from learning_core.schema import ExampleType
from pages.components import cards, frames, widgets
from pages.components.datasets import go_to, rules
from pages.components.datasets.examples import list_examples
from pages.components.session import User
from pages.components.texts import EXAMPLE_NAMES, count, plain


def show(user: User, make: str) -> None:
    """Show the form for a new dataset, or for the next version of the one that `make` names by its id."""
    last = _last(user, make)
    key = f"rules_{last.id if last else 'new'}"
    if st.button("← All datasets", type="tertiary"):
        go_to()
    st.title(f"New version of {plain(last.name)}" if last else "New dataset", anchor=False)
    st.caption("The figures follow the rules at once. Nothing is kept until you freeze it.")
    left, right = st.columns([2, 3], gap="medium")
    with left:
        name = last.name if last else _ask_name(key)
        chosen = rules.ask(user, Rules.model_validate(last.rules) if last else Rules(), key)
    if chosen:
        with right:
            _show_outcome(user, name, chosen)


def _ask_name(key: str) -> str:
    return st.text_input("Name", max_chars=80, placeholder="Tax answers for fine-tuning", key=f"{key}_name")


def _last(user: User, make: str) -> Any:
    """Return the version whose rules the form begins with, None for a new dataset."""
    try:
        dataset_id = UUID(make)
    except ValueError:
        return None
    with db.reading_session(user.organization_id) as session:
        return queries.version(session, dataset_id)


def _show_outcome(user: User, name: str, chosen: Rules) -> None:
    by_type, sample = frames.preview(user.organization_id, chosen.model_dump_json())
    now = outlook(by_type)
    if not now.example_count:
        widgets.show_empty("Nothing fits these rules", "Ask for less quality, or for more agents and types.")
        return
    st.header(f"{count(now.example_count, 'example fits', 'examples fit')}", anchor=False)
    approved, _, _ = frames.approved_examples(user.organization_id)
    st.caption(f"Of {approved:,} approved. {_listed(by_type)}.")
    with st.grid(2, gap="small"):
        cards.show_gate(now.gates[0], None, "examples")
        cards.show_gate(now.gates[1], now.verified, "examples")
    st.caption("How far reviewers agree, near-duplicates and splits are worked out when you freeze.")
    _offer_freeze(user, name, chosen, now.example_count)
    st.header("The newest of them", anchor=False)
    list_examples(sample, "Newest examples that fit the rules")


def _listed(by_type: pd.DataFrame) -> str:
    return ", ".join(
        f"{EXAMPLE_NAMES[ExampleType(row.example_type)]} {row.example_count:,}"
        for row in by_type.itertuples()
    )


def _offer_freeze(user: User, name: str, chosen: Rules, example_count: int) -> None:
    if not name.strip():
        st.button("Freeze version 1", type="primary", disabled=True, key="freeze")
        st.caption("Give it a name first.")
        return
    with db.reading_session(user.organization_id) as session:
        number = versions.next_number(session, name)
    if st.button(f"Freeze version {number}", type="primary", key="freeze"):
        freeze(user, name, chosen, example_count)


def freeze(user: User, name: str, chosen: Rules, example_count: int) -> None:
    """Freeze what the rules come to now, telling what happens, and open the version."""
    doing = (
        f"Looking for near-duplicates among {count(example_count, 'example', 'examples')}, dealing out "
        "groups to training, validation and test, and freezing the result …"
    )
    with widgets.reporting():
        with st.spinner(doing), db.organization_session(user.organization_id) as session:
            frozen = versions.freeze(session, user.caller, name, chosen)
        frames.forget()
        go_to(dataset=str(frozen.id))
