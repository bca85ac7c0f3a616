"""Two versions side by side: what came in, what went out, what changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from learning_core.datasets.content import DatasetExample
from learning_core.datasets.versions import Change, Difference
from pages.components import frames, widgets
from pages.components.charts import SPLIT_NAMES, shorten
from pages.components.session import User
from pages.components.texts import count

SHOWN = 500


def show(user: User, version: Any) -> None:
    """Ask for another version, and show in what this one differs from it."""
    others = [other for other in frames.datasets(user.organization_id) if other.id != version.id]
    named = {f"{other.name}, version {other.version}": other for other in others}
    if not named:
        st.caption("There is no other version yet to compare with.")
        return
    earlier = [label for label, other in named.items() if other.name == version.name]
    chosen = widgets.choose(
        "Compare with",
        sorted(named, key=lambda label: label not in earlier),
        "Choose a version",
        key="against",
    )
    if chosen is None:
        st.caption("Choose the version that came before.")
        return
    found, changes = frames.compared_datasets(user.organization_id, named[chosen].id, version.id, SHOWN)
    _say(found)
    _show_changes([change for change in changes if not change.is_sealed])


def _say(found: Difference) -> None:
    with st.grid(4, gap="small"):
        for name, number, meaning in (
            ("Added", found.added, "Only in this version"),
            ("Removed", found.removed, "Only in the other one"),
            ("Changed", found.changed, "In both, with another content"),
            ("Moved", found.moved, "In both, in another split"),
        ):
            st.metric(name, f"{number:,}", help=meaning, border=True, height="stretch")
    st.caption(f"{count(found.same, 'example is', 'examples are')} the same in both.")
    if found.unsealed:
        st.warning(
            f"{count(found.unsealed, 'example', 'examples')} of this test split stood in the other version's "
            "training split: it is no fair test of what was trained on the other version."
        )


def _show_changes(changes: list[Change]) -> None:
    if not changes:
        st.caption("Nothing else to show; examples of test splits are counted above and stay unseen.")
        return
    rows = [_row(change.before, change.after) for change in changes]
    st.caption("By id; examples of test splits are counted above and stay unseen.")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        alt="Examples in which the versions differ",
        placeholder="",
        column_config={
            "What": st.column_config.TextColumn(width=80),
            "Question": st.column_config.TextColumn(width="medium"),
            "Before": st.column_config.TextColumn("Expected answer before", width="medium"),
            "After": st.column_config.TextColumn("Expected answer now", width="medium"),
            "Split": st.column_config.TextColumn(width=160),
        },
    )


def _row(before: DatasetExample | None, after: DatasetExample | None) -> dict[str, str | None]:
    held = [one for one in (before, after) if one]
    splits = list(dict.fromkeys(SPLIT_NAMES[one.split] for one in held))
    return {
        "What": _what(before, after),
        "Question": shorten(held[-1].input_text, 300),
        "Before": shorten(before.expected_output, 300) if before else None,
        "After": shorten(after.expected_output, 300) if after else None,
        "Split": " → ".join(splits),
    }


def _what(before: DatasetExample | None, after: DatasetExample | None) -> str:
    if before is None:
        return "Added"
    if after is None:
        return "Removed"
    is_same = replace(before, split=after.split, group=after.group) == after
    return "Moved" if is_same else "Changed"
