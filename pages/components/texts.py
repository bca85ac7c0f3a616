"""Words on the screen: what a stranger wrote, shown so that nothing in it acts, and our own names for things.

Streamlit renders Markdown in labels and captions, so a stranger's text goes through `plain` there; elsewhere
it is shown by `st.text`, by a table, or as escaped HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from html import escape

import streamlit as st

from learning_core.schema import (
    QUALITY_SCALES,
    Decision,
    ExampleStatus,
    ExampleType,
    FeedbackType,
    IssueCategory,
    Preference,
)
from pages.components import charts
from pages.components.charts import percent as percent

TYPE_NAMES = {
    FeedbackType.THUMBS_UP: "Thumbs up",
    FeedbackType.THUMBS_DOWN: "Thumbs down",
    FeedbackType.STAR_RATING: "Star rating",
    FeedbackType.DETAILED_FEEDBACK: "Detailed feedback",
    FeedbackType.CORRECTION: "Correction",
    FeedbackType.REPORT_ISSUE: "Reported issue",
}
ISSUE_NAMES = {issue: issue.words for issue in IssueCategory}
EXAMPLE_NAMES = {kind: kind.value.replace("_", " ").capitalize() for kind in ExampleType} | {
    ExampleType.POSITIVE: "Good answer",
    ExampleType.FAILURE: "Reported answer",
}
STATUS_NAMES = {status: status.value.replace("_", " ").capitalize() for status in ExampleStatus} | {
    ExampleStatus.PENDING: "Waiting",
}
DECISION_NAMES = {
    Decision.APPROVE: "Approve",
    Decision.NEEDS_REVISION: "Needs revision",
    Decision.REJECT: "Reject",
}
PREFERENCE_NAMES = {Preference.A: "A is better", Preference.B: "B is better", Preference.TIE: "Tie"}
SCORE_NAMES = {scale: scale.replace("_", " ").capitalize() for scale in (*QUALITY_SCALES, "difficulty")}


def plain(text: str, length: int = 80) -> str:
    """Return a stranger's text for a label: shortened, and with nothing in it that Markdown would act on.

    Addresses become links even when every sign is escaped; an invisible joiner in them prevents that.
    """
    inert = re.sub(r"(://|@|www\.)", "\\1\N{WORD JOINER}", charts.shorten(text, length), flags=re.IGNORECASE)
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", inert)


def count(number: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many}"


def pieces(number: int) -> str:
    """Return how much feedback there is."""
    return count(number, "piece of feedback", "pieces of feedback")


def stars(value: float) -> str:
    """Return a mean of stars."""
    return f"{value:.2f}"


def points(score: float) -> str:
    """Return a score (0-1) as reviewers give it: 1 to 5 points."""
    return f"{1 + 4 * score:.1f}".removesuffix(".0")


def as_written(text: str, limit: int = 20_000) -> None:
    """Show a stranger's text with their own line breaks; a long one scrolls."""
    cut = f"\n\n… {len(text) - limit:,} more characters" if len(text) > limit else ""
    with st.container(border=False, height="content" if len(text) < 1_500 else 320):
        st.html(f'<div style="{AS_WRITTEN}">{escape(text[:limit] + cut)}</div>')


def framed(text: str | None, *, missing: str) -> None:
    """Show a stranger's text in a frame, or say why there is none."""
    if text:
        with st.container(border=True):
            as_written(text)
    else:
        st.caption(missing)


AS_WRITTEN = "white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:plaintext"


def word_difference(before: str, after: str) -> None:
    """Show what a correction struck out and put in, word by word."""
    _show_marked(differences(before, after))


def changed_places(before: str, after: str) -> None:
    """Show what a correction struck out and put in, with a few of the words around it."""
    _show_marked(
        [
            (_middle_out(old), _middle_out(new)) if old == new else (old, new)
            for old, new in differences(before, after)
        ]
    )


def _middle_out(text: str) -> str:
    if len(text) <= 2 * AROUND:
        return text
    return re.sub(r"(?<=\s)\S+$", "", text[:AROUND]) + "[…]" + re.sub(r"^\S+(?=\s)", "", text[-AROUND:])


AROUND = 80
"""How many characters of unchanged text are shown on either side of a change."""


def _show_marked(pairs: list[tuple[str, str]]) -> None:
    pieces = []
    for old, new in pairs:
        if old == new:
            pieces.append(escape(new))
            continue
        pieces.append(f'<del style="{STRUCK}">{escape(old)}</del>' if old else "")
        pieces.append(f'<ins style="{PUT_IN}">{escape(new)}</ins>' if new else "")
    with st.container(border=True):
        st.html(f'<div style="{AS_WRITTEN}">{"".join(pieces)}</div>')


def _differences(old: list[str], new: list[str]) -> Iterator[tuple[str, str]]:
    """Pair up runs of words, equal or replaced; the time for it grows with the square of what differs."""
    start = _shared(old, new)
    end = _shared(old[start:][::-1], new[start:][::-1])
    left, right = old[start : len(old) - end], new[start : len(new) - end]
    yield "".join(new[:start]), "".join(new[:start])
    if max(len(left), len(right)) > WORDS_COMPARED:
        yield "".join(left), "".join(right)
    else:
        for _, i, j, k, m in SequenceMatcher(None, left, right).get_opcodes():
            yield "".join(left[i:j]), "".join(right[k:m])
    tail = "".join(new[len(new) - end :])
    yield tail, tail


def _shared(one: list[str], other: list[str]) -> int:
    """Count the words with which both begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


WORDS_COMPARED = 8_000
STRUCK = "background:color-mix(in srgb, #C0392B 18%, transparent);border-radius:3px"
PUT_IN = "background:color-mix(in srgb, #2E8B6F 22%, transparent);border-radius:3px;text-decoration:none"


def quote(text: str, source: str, execution: str, key: str) -> None:
    """Show what someone wrote, with the way to the execution they wrote it about."""
    said = (
        f'{escape(charts.shorten(text, 280))}<div style="{SMALL}">{escape(charts.shorten(source, 120))}</div>'
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        st.html(f'<div style="{QUOTED}">{said}</div>')
        if st.button("Open", type="tertiary", key=key):
            st.switch_page("feedback.py", query_params={"execution": execution})


SMALL = "font-size:.87em;opacity:.7"
QUOTED = (
    AS_WRITTEN + ";border-left:3px solid color-mix(in srgb, currentColor 25%, transparent);padding-left:.7em"
)


def differences(before: str, after: str) -> list[tuple[str, str]]:
    """Pair up what two texts share and what one has in place of the other, word by word and in order."""
    return list(_differences(*(re.findall(r"\s+|\w+\s*|[^\w\s]\s*", text) for text in (before, after))))
