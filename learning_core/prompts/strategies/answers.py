"""How the model is told to answer: as strictly as the right answers of the train split allow."""

from __future__ import annotations

import json
from collections.abc import Sequence

from learning_core.datasets.content import DatasetExample
from learning_core.prompts.shapes import Shape
from learning_core.prompts.strategies.fields import object_contract
from learning_core.prompts.strategies.layout import plain

MOST_NAMED = 30
"""So many labels are named again where a list of them stood before."""

FEWEST_LENGTHS = 5
"""From so many right answers on, their length is worth telling."""


def contract(shape: Shape, examples: Sequence[DatasetExample], *, is_listed: bool = False) -> str:
    """Return how to answer; for labels `is_listed` says that a list of them stands before."""
    if shape.kind == "labels":
        return label_contract(shape.labels, is_listed=is_listed)
    return object_contract(shape, examples) if shape.kind == "fields" else text_contract(examples)


def label_contract(labels: Sequence[str], *, is_listed: bool = False) -> str:
    """Return how to answer with one label."""
    which = (
        "Answer with exactly one label of the list above, and nothing else."
        if is_listed and len(labels) > MOST_NAMED
        else f"Answer with exactly one of these labels, and nothing else: {named(labels)}"
    )
    return f"{which}\nCopy the label letter by letter: no other words, no quotes, no explanation."


def named(labels: Sequence[str]) -> str:
    """Return the labels as they are named in a sentence; quoted where a comma would blur them."""
    written = [plain(label) for label in labels]
    if any("," in label for label in written):
        written = [json.dumps(label, ensure_ascii=False) for label in written]
    return ", ".join(written)


def text_contract(examples: Sequence[DatasetExample]) -> str:
    """Return how to answer in free text: as long as the right answers are."""
    return f"Give the answer itself first, then only what supports it.{_length(examples)}"


def _length(examples: Sequence[DatasetExample]) -> str:
    """Half of the right answers have this many words."""
    lengths = sorted(len(example.expected_output.split()) for example in examples)
    if len(lengths) < FEWEST_LENGTHS:
        return ""
    low, high = (lengths[round(share * (len(lengths) - 1))] for share in (0.25, 0.75))
    step = 5 if high < 50 else 10
    low, high = max(step, low // step * step), max(step, -(-high // step) * step)
    return f" Write {low} to {high} words." if low < high else f" Write about {high} words."
