"""Which train examples a prompt shows: unlike each other, of every label, about what is complained of."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, zip_longest
from typing import Literal, TypeAlias

from learning_core.datasets.content import DatasetExample
from learning_core.prompts.evidence import looks_planted, words
from learning_core.prompts.shapes import Shape, as_object, label_key
from learning_core.prompts.strategies.briefs import Brief

Order: TypeAlias = Literal["label by label", "round by round", "shortest first"]

MOST_SHOWN = 24
MOST_CHARACTERS = 12_000
"""Of all examples that a prompt shows."""

QUESTION_CHARACTERS, ANSWER_CHARACTERS = 1_500, 2_000
COMPARED = 8
"""Out of so many drawn at random the one that adds most is shown."""

FOR_ISSUE, FOR_VERIFIED = 0.3, 0.1
"""What counts beside the difference (0-1) from those shown already."""


def usable(brief: Brief) -> list[DatasetExample]:
    """Return the examples fit to be shown: short, right in shape, without instructions to the model.

    Of equal questions one is shown, and none if their answers differ.
    """
    fit = [example for example in brief.examples if _is_fit(example, brief.shape)]
    by_question: dict[str, list[DatasetExample]] = defaultdict(list)
    for example in fit:
        by_question[" ".join(words(example.input_text))].append(example)
    return [
        same[0]
        for same in by_question.values()
        if len({label_key(example.expected_output) for example in same}) == 1
    ]


def draw(
    brief: Brief, pool: Sequence[DatasetExample], count: int, rng: random.Random
) -> list[DatasetExample]:
    """Return examples to show: `count` of each label, or `count` in all where there are no labels."""
    chosen: list[DatasetExample] = []
    for group, _ in _turns(brief.shape, pool, count):
        left = [example for example in group if example not in chosen]
        if left:
            compared = rng.sample(left, min(COMPARED, len(left)))
            chosen.append(max(compared, key=lambda example: _worth(example, chosen, brief)))
    return _within_length(chosen)


def in_order(examples: Sequence[DatasetExample], order: Order, shape: Shape) -> list[DatasetExample]:
    """Return the examples in the order in which they are shown."""
    if order == "shortest first":
        return sorted(examples, key=lambda example: (len(example.input_text), example.id))
    groups = _by_label(examples, shape)
    if order == "label by label":
        return list(chain.from_iterable(groups))
    return [example for round_ in zip_longest(*groups) for example in round_ if example]


def answer_of(example: DatasetExample, shape: Shape) -> str:
    """Return the right answer as it is shown: a label in the spelling that the labels have."""
    if shape.kind != "labels":
        return example.expected_output.strip()
    return _spellings(shape).get(label_key(example.expected_output), example.expected_output)


@lru_cache(maxsize=8)
def _spellings(shape: Shape) -> dict[str, str]:
    return {label_key(label): label for label in shape.labels}


def _turns(
    shape: Shape, pool: Sequence[DatasetExample], count: int
) -> Iterable[tuple[Sequence[DatasetExample], int]]:
    if shape.kind != "labels":
        return ((pool, turn) for turn in range(min(count, MOST_SHOWN)))
    groups = sorted(_by_label(pool, shape), key=len, reverse=True)[:MOST_SHOWN]
    rounds = max(1, min(count, MOST_SHOWN // max(1, len(groups))))
    return ((group, turn) for turn in range(rounds) for group in groups)


def _by_label(examples: Iterable[DatasetExample], shape: Shape) -> list[list[DatasetExample]]:
    groups: dict[str, list[DatasetExample]] = {label_key(label): [] for label in shape.labels}
    for example in examples:
        groups.setdefault(label_key(example.expected_output) if shape.labels else "", []).append(example)
    return [group for group in groups.values() if group]


def _worth(example: DatasetExample, chosen: Sequence[DatasetExample], brief: Brief) -> float:
    complained_of = {issue.category for issue in brief.evidence.issues}
    covered = {category for other in chosen for category in other.issue_categories}
    own = set(example.issue_categories) & complained_of - covered
    return (
        1
        - max((_likeness(example, other) for other in chosen), default=0.0)
        + FOR_ISSUE * bool(own)
        + FOR_VERIFIED * example.human_verified
    )


def _likeness(one: DatasetExample, other: DatasetExample) -> float:
    """Jaccard's index of the words of two questions."""
    first, second = set(words(one.input_text)), set(words(other.input_text))
    return len(first & second) / max(1, len(first | second))


def _within_length(examples: Sequence[DatasetExample]) -> list[DatasetExample]:
    kept, length = [], 0
    for example in examples:
        length += len(example.input_text) + len(example.context or "") + len(example.expected_output)
        if length <= MOST_CHARACTERS:
            kept.append(example)
    return kept


def _is_fit(example: DatasetExample, shape: Shape) -> bool:
    question, answer = example.input_text.strip(), example.expected_output.strip()
    if not (0 < len(question) <= QUESTION_CHARACTERS and 0 < len(answer) <= ANSWER_CHARACTERS):
        return False
    if any(looks_planted(text) for text in (question, answer, example.context or "")):
        return False
    if shape.kind == "labels":
        return label_key(answer) in _spellings(shape)
    return shape.kind == "text" or set(shape.fields) <= (as_object(answer) or {}).keys()
