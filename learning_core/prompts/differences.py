"""Where two prompts differ, word by word and line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, unified_diff
from itertools import groupby
from typing import Literal, NamedTuple

from learning_core.llm.templates import Prompt

MOST_LINES = 5_000
MOST_WORDS = 2_000
"""How many lines of a text, or words of a changed passage, are told apart; beyond, it is replaced whole."""

WORD = re.compile(r"\S+\s*|\s+")


class Block(NamedTuple):
    """A passage that both texts have, or that one of them lacks."""

    kind: Literal["equal", "removed", "added"]
    text: str


class Difference(NamedTuple):
    """What changes from one prompt to another.

    Attributes:
        blocks: Equal and removed ones make up the text before, equal and added ones the text after.
        unified: The changed lines with three lines around them, as `diff -u` writes them.
    """

    blocks: tuple[Block, ...]
    unified: str

    @property
    def is_empty(self) -> bool:
        """Return whether the texts are the same."""
        return all(block.kind == "equal" for block in self.blocks)


def difference(before: Prompt, after: Prompt) -> Difference:
    """Compare the texts of two prompts: their lines first, then the words of the lines that changed."""
    old, new = (prompt.text.splitlines(keepends=True) for prompt in (before, after))
    return Difference(tuple(_joined(_by_line(old, new))), _unified(old, new))


def _by_line(before: Sequence[str], after: Sequence[str]) -> Iterator[Block]:
    for old, new in _passages(before, after, MOST_LINES):
        if old == new:
            yield Block("equal", "".join(old))
        else:
            yield from _by_word(WORD.findall("".join(old)), WORD.findall("".join(new)))


def _by_word(before: Sequence[str], after: Sequence[str]) -> Iterator[Block]:
    for old, new in _passages(before, after, MOST_WORDS):
        if old == new:
            yield Block("equal", "".join(old))
        else:
            yield Block("removed", "".join(old))
            yield Block("added", "".join(new))


def _passages(
    before: Sequence[str], after: Sequence[str], most: int
) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    if max(len(before), len(after)) > most:
        yield before, after
        return
    for _, start, end, new_start, new_end in SequenceMatcher(None, before, after).get_opcodes():
        yield before[start:end], after[new_start:new_end]


def _joined(blocks: Iterator[Block]) -> Iterator[Block]:
    for kind, run in groupby((block for block in blocks if block.text), key=lambda block: block.kind):
        yield Block(kind, "".join(block.text for block in run))


def _unified(before: Sequence[str], after: Sequence[str]) -> str:
    if max(len(before), len(after)) > MOST_LINES:
        return ""
    lines = unified_diff(before, after, "before", "after")
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
