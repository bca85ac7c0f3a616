"""A version as a file: for which trainer, which split, and what that costs the test."""

from __future__ import annotations

from typing import Any

import streamlit as st

from learning_core.datasets import download, exports
from learning_core.datasets.exports import Format
from learning_core.datasets.splits import Split
from pages.components import frames
from pages.components.charts import SPLIT_NAMES
from pages.components.session import User
from pages.components.texts import count

FORMATS = {
    Format.JSONL: ("Afterglow (JSONL)", "Every field, one example per line. Can be imported again."),
    Format.OPENAI_CHAT: (
        "OpenAI fine-tuning",
        "Question and expected answer as a conversation, for supervised fine-tuning of chat models.",
    ),
    Format.TRL_SFT: (
        "Hugging Face TRL, supervised",
        "Prompt and completion, for supervised fine-tuning of open models.",
    ),
    Format.TRL_DPO: (
        "Hugging Face TRL, preferences",
        "Prompt with the better and the worse answer, for DPO; only examples that have both.",
    ),
    Format.CSV: ("Spreadsheet (CSV)", "Every field, for Excel and the like."),
    Format.PARQUET: ("Parquet", "Every field with its type, for pandas, DuckDB and the like."),
}
ALL = "all"


def show(user: User, version: Any) -> None:
    """Ask for format and split, and offer the file."""
    left, right = st.columns(2)
    with left:
        shape = st.selectbox(
            "Format", list(Format), format_func=lambda one: FORMATS[one][0], key="download_format"
        )
        st.caption(FORMATS[shape][1])
    with right:
        split = st.segmented_control(
            "Split",
            [*Split, ALL],
            default=Split.TRAIN,
            required=True,
            format_func=lambda one: SPLIT_NAMES.get(one, "All"),
            key="download_split",
        )
    wanted = None if split == ALL else split or Split.TRAIN
    if wanted in (None, Split.TEST):
        st.warning("This holds the test split. Downloading it counts as a look, in your name.")

    def content() -> bytes:
        file = download.prepare(user.caller, version.name, version.version, wanted, shape).content()
        frames.forget()
        return file

    held = frames.composition(user.organization_id, version.id)
    held = held if wanted is None else held[held["split"] == wanted]
    st.download_button(
        f"Download {count(int(held[COUNTED[shape == Format.TRL_DPO]].sum()), 'example', 'examples')}",
        content,
        file_name=exports.file_name(version.name, version.version, wanted, shape),
        mime=exports.media_type(shape),
        type="primary",
        key="download",
        on_click="ignore",
    )


COUNTED = {True: "pair_count", False: "example_count"}
