"""Which examples teach, which select among candidates, and which stay sealed for the verdict.

A small dataset has few examples for validation. What selects is then topped up from those for training,
whole groups of alike examples at a time, so that no candidate is chosen on what it was made from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from learning_core.datasets.content import DatasetExample
from learning_core.datasets.splits import Split
from learning_core.errors import NotEnoughData

WANTED = 60
"""So many examples select, where there are enough: fewer tell good from lucky too rarely."""

MOST = 100
"""More than these cost calls and change little."""

FEWEST = 10
TEACHING_SHARE = 0.4
"""At least this share (0-1) of the training examples goes on teaching."""


class Portions(NamedTuple):
    """The examples of a dataset version as one run uses them, each in a fixed order."""

    teaching: tuple[DatasetExample, ...]
    selection: tuple[DatasetExample, ...]


def divide(train: Sequence[DatasetExample], validation: Sequence[DatasetExample], seed: int) -> Portions:
    """Divide what may be seen into what teaches and what selects; equal seed, equal portions.

    Raises:
        NotEnoughData: fewer than ten examples would select.
    """
    selection = _shuffled(validation, seed)[:MOST]
    groups: dict[str, list[DatasetExample]] = {}
    for example in _shuffled(train, seed):
        groups.setdefault(example.group, []).append(example)
    left = len(train)
    for name, alike in list(groups.items()):
        if len(selection) < WANTED and left - len(alike) >= max(1, TEACHING_SHARE * len(train)):
            selection += groups.pop(name)
            left -= len(alike)
    if len(selection) < FEWEST:
        raise NotEnoughData(
            f"{len(selection)} examples would choose among the candidates; it takes at least {FEWEST}."
            " Freeze a dataset with more approved examples for training or validation."
        )
    validating = (replace(example, split=Split.VALIDATION) for example in _mixed(selection))
    return Portions(tuple(chain(*groups.values())), tuple(validating))


def _shuffled(examples: Iterable[DatasetExample], seed: int) -> list[DatasetExample]:
    return sorted(examples, key=lambda example: hashlib.sha256(f"{seed} {example.id}".encode()).digest())


def _mixed(examples: Sequence[DatasetExample]) -> list[DatasetExample]:
    """Return the examples with each kind of expected output spread evenly: any first few are typical."""
    kinds: dict[str, list[DatasetExample]] = {}
    for example in examples:
        kinds.setdefault(example.expected_output.strip().casefold(), []).append(example)
    placed = [
        ((place + 0.5) / len(alike), example)
        for alike in kinds.values()
        for place, example in enumerate(alike)
    ]
    return [example for _, example in sorted(placed, key=lambda one: one[0])]
