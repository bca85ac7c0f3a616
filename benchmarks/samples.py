"""Tasks for optimizations, drawn anew with each seed: what teaches, what selects, and what is held out.

Questions that are wordings of one another stay in one portion. A task of one's own comes as JSONL, an object
with text and label a line; what is held out comes from a file of its own or is kept back from the only one.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

from benchmarks import standin
from learning_core.datasets.content import DatasetExample
from learning_core.datasets.splits import Split

AGENT = "router"
TRAIN, SELECTION = 40, 60
HELD_OUT, HELD_OUT_OF_FILES = 200, 100


class Line(NamedTuple):
    """A question with its right answer, and which others are wordings of the same."""

    text: str
    label: str
    group: str


@dataclass(frozen=True)
class Task:
    """What an agent has to do: the prompt that it starts with, and questions.

    Attributes:
        known: Questions to learn and to choose from.
        held_out: Questions for the final score; without any, whole groups of the known ones are kept back.
        is_generated: Whether the stand-in can answer them, and figures are expected of them.
    """

    name: str
    prompt: str
    known: tuple[Line, ...]
    held_out: tuple[Line, ...] = ()
    is_generated: bool = False


@dataclass(frozen=True)
class Sample:
    """A task's examples as one seed draws them."""

    task: Task
    seed: int
    train: tuple[DatasetExample, ...]
    selection: tuple[DatasetExample, ...]
    held_out: tuple[DatasetExample, ...]

    @property
    def seen(self) -> tuple[DatasetExample, ...]:
        """Return what an optimizer may look at."""
        return self.train + self.selection

    @property
    def everything(self) -> tuple[DatasetExample, ...]:
        """Return all its examples."""
        return self.seen + self.held_out


def generated() -> list[Task]:
    """Return the two tasks that the stand-in knows."""
    return [
        Task(one.name, one.seed_prompt, tuple(Line(*line) for line in one.questions), is_generated=True)
        for one in (standin.INTENTS, standin.CLASSES)
    ]


def read(train: Path, test: Path | None = None, prompt: str | None = None) -> Task:
    """Return the task that JSONL files hold; without a prompt, it is to name one of the labels."""
    known = _lines(train)
    labels = ", ".join(sorted({line.label for line in known}))
    told = prompt or f"Classify the text as one of: {labels}."
    return Task(train.stem, told, tuple(known), tuple(_lines(test)) if test else ())


def draw(task: Task, seed: int) -> Sample:
    """Return what a seed draws of a task: each portion holds as much of each label as there is of it."""
    rng = random.Random(f"{task.name} {seed}")
    if task.held_out:
        train, selection = _apart(task.known, (TRAIN, SELECTION), rng)
        held_out = rng.sample(task.held_out, min(HELD_OUT_OF_FILES, len(task.held_out)))
    else:
        most = HELD_OUT if task.is_generated else HELD_OUT_OF_FILES
        train, selection, held_out = _apart(task.known, (TRAIN, SELECTION, most), rng)
    return Sample(
        task,
        seed,
        as_examples(train, Split.TRAIN),
        as_examples(selection, Split.VALIDATION),
        as_examples(held_out, Split.TEST),
    )


def _lines(file: Path) -> list[Line]:
    told = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
    return [Line(str(one["text"]), str(one["label"]), str(one.get("group", one["text"]))) for one in told]


def _apart(lines: Sequence[Line], sizes: Sequence[int], rng: random.Random) -> list[list[Line]]:
    """Deal the groups of each label out to portions by their sizes, and draw from each portion's own."""
    by_label: dict[str, dict[str, list[Line]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        by_label[line.label][line.group].append(line)
    pools: list[list[list[Line]]] = [[] for _ in sizes]
    for label in sorted(by_label):
        groups = list(by_label[label].values())
        rng.shuffle(groups)
        for pool, dealt in zip(pools, _deal(groups, sizes), strict=True):
            of_label = list(chain(*dealt))
            rng.shuffle(of_label)
            pool.append(of_label)
    return [_in_turn(pool, size) for pool, size in zip(pools, sizes, strict=True)]


def _deal(groups: Sequence[list[Line]], sizes: Sequence[int]) -> list[list[list[Line]]]:
    """Give each group to the portion that has the least of what it is to have."""
    dealt: list[list[list[Line]]] = [[] for _ in sizes]
    for group in groups:
        shares = [sum(map(len, one)) / size for one, size in zip(dealt, sizes, strict=True)]
        dealt[shares.index(min(shares))].append(group)
    return dealt


def _in_turn(pool: Iterable[Sequence[Line]], size: int) -> list[Line]:
    """Take one of each label in turn."""
    turns = chain(*zip_longest(*pool))
    return [line for line in turns if line is not None][:size]


def as_examples(lines: Iterable[Line], split: Split) -> tuple[DatasetExample, ...]:
    """Return questions as the examples of a split."""
    return tuple(
        DatasetExample(
            id=f"{split}-{number:03d}",
            agent_id=AGENT,
            example_type="positive",
            split=split,
            group=line.group,
            input_text=line.text,
            expected_output=line.label,
        )
        for number, line in enumerate(lines)
    )
