"""One version of a dataset: what it holds, what it rests on, and what it may be used for."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import streamlit as st

from learning_core import db
from learning_core.datasets import queries, versions
from learning_core.datasets.curation import Gate, Rules, Statistics
from learning_core.datasets.splits import Split
from learning_core.feedback.intervals import Estimate
from pages.components import cards, charts, frames, widgets
from pages.components.charts import SPLIT_NAMES
from pages.components.datasets import comparing, downloading, go_to, rules
from pages.components.datasets.examples import show_examples
from pages.components.session import User
from pages.components.texts import EXAMPLE_NAMES, count, plain

SHOWN = 200
TABS = ["Examples", "Test split", "Compare", "Download"]


def show(user: User, dataset: str) -> None:
    """Show the version of that id, or say that there is none."""
    if st.button("← All datasets", type="tertiary"):
        go_to()
    version = _find(user, dataset)
    if version is None:
        widgets.show_empty("No such version", "It may belong to another organisation, or never have existed.")
        return
    figures = Statistics.read(version.statistics)
    with widgets.header(f"{plain(version.name)}, version {version.version}"):
        if user.may("curate") and st.button("New version", key="next_version"):
            go_to(make=str(version.id))
    st.caption(
        f"{count(version.example_count, 'example', 'examples')} of "
        f"{count(len(figures.by_agent), 'agent', 'agents')}, frozen {version.created_at:%d %b %Y, %H:%M} UTC "
        f"by {plain(version.created_by, 40)}. It never changes."
    )
    st.text(rules.describe(Rules.model_validate(version.rules)))
    _show_gates(version, figures)
    _show_content(user, version, figures)
    examples, test, compare, download = st.tabs(TABS, key="about", on_change="rerun", bind="query-params")
    if examples.open:
        with examples:
            _show_examples(user, version)
    if test.open:
        with test:
            _show_test_split(user, version, figures)
    if compare.open:
        with compare:
            comparing.show(user, version)
    if download.open:
        with download:
            downloading.show(user, version)


def _find(user: User, dataset: str) -> Any:
    try:
        dataset_id = UUID(dataset)
    except ValueError:
        return None
    with db.reading_session(user.organization_id) as session:
        return queries.version(session, dataset_id)


def _show_gates(version: Any, figures: Statistics) -> None:
    quality, verified, agreement = (Gate(**gate) for gate in version.gates)
    with st.grid(3, gap="small"):
        cards.show_gate(quality, None, "examples")
        cards.show_gate(verified, figures.verified, "examples")
        agreed = figures.agreement if isinstance(figures.agreement, Estimate) else None
        cards.show_gate(agreement, agreed, "examples that two or more judged, approved or not")


def _show_content(user: User, version: Any, figures: Statistics) -> None:
    left, right = st.columns([3, 2])
    with left, widgets.card("What it holds"):
        counts = frames.composition(user.organization_id, version.id)
        widgets.draw(charts.composition(counts, EXAMPLE_NAMES), "composition", "Examples by type and split")
    with right, widgets.card("What stays together"):
        st.text(
            f"{count(figures.group_count, 'group', 'groups')}: examples of one conversation or one user, or "
            "with nearly the same question, are all in one split."
        )
        nearly = "nearly repeats the question of another" if figures.alike_count == 1 else NEARLY
        st.text(f"{count(figures.alike_count, 'example', 'examples')} {nearly}.")
        with st.popover(
            f"Content hash {version.content_hash.removeprefix('sha256:')[:10]}…", type="tertiary"
        ):
            st.text("Equal hashes, equal content. To check the downloaded JSONL of all splits:")
            st.code("LC_ALL=C sort FILE.jsonl | sha256sum", language=None)
            st.code(version.content_hash, language=None, wrap_lines=True)


NEARLY = "nearly repeat the question of another"


def _show_examples(user: User, version: Any) -> None:
    split = st.segmented_control(
        "Split",
        [Split.TRAIN, Split.VALIDATION],
        default=Split.TRAIN,
        required=True,
        format_func=SPLIT_NAMES.__getitem__,
        label_visibility="collapsed",
        key=f"split_{version.id}",
    )
    rows = frames.dataset_examples(user.organization_id, version.id, split or Split.TRAIN, SHOWN)
    if rows.empty:
        st.caption("No example is in this split.")
        return
    first = f"The first {SHOWN:,}" if len(rows) == SHOWN else count(len(rows), "example", "examples")
    st.caption(f"{first} by their ids, as they were when frozen. Choose a row to see where it comes from.")
    show_examples(rows, f"examples_{version.id}", "Examples of the split")


def _show_test_split(user: User, version: Any, figures: Statistics) -> None:
    with db.reading_session(user.organization_id) as session:
        uses = queries.uses(session, version.id)
    looks = count(version.test_uses, "time", "times")
    seen = f"It was looked at {looks}." if version.test_uses else "Nobody has looked at it yet."
    st.text(
        f"{count(figures.by_split[Split.TEST], 'example is', 'examples are')} kept back for the final proof. "
        f"{seen} What is looked at often is no longer unseen, so every look is counted."
    )
    if not uses.empty:
        st.dataframe(
            uses.assign(split=uses["split"].map(SPLIT_NAMES)),
            hide_index=True,
            alt="Uses of the version",
            column_config={
                "used_at": st.column_config.DatetimeColumn(
                    "Time (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"
                ),
                "split": "Split",
                "purpose": "What for",
                "used_by": "Who",
            },
        )

    def note() -> None:
        if st.session_state[f"look_{version.id}"]:
            with widgets.reporting(), db.organization_session(user.organization_id) as writing:
                versions.record_use(writing, user.caller, version.id, Split.TEST, "read on its page")
            frames.forget()

    if st.toggle("Show its examples; this counts as a look", key=f"look_{version.id}", on_change=note):
        rows = frames.dataset_examples(user.organization_id, version.id, Split.TEST, SHOWN)
        show_examples(rows, f"test_{version.id}", "Examples of the test split")
