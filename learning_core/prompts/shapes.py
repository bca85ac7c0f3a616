"""What an agent's right answers look like: one of a few labels, a JSON object, or free text."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple

from learning_core.datasets.content import DatasetExample
from learning_core.prompts.evidence import looks_planted

LABEL_CHARACTERS, LABEL_WORDS = 48, 5
"""The longest label."""

MOST_LABELS = 200
ENOUGH = 8
"""So many answers show how often each comes back."""

REPEATED = 0.8
"""Share (0-1) of the answers whose label another example has too; below it, the answers are no labels."""

EXAMPLES_PER_LABEL = 1.5
SHARED = 0.9
"""Share (0-1) of the answers that are objects, and of these that have a key, for it to be a field."""

MOST_FIELDS, FIELD_CHARACTERS = 60, 80
READ_CHARACTERS = 20_000

_FENCED = re.compile(r"\A```\w*\s*\n(.*)\n```\Z", re.DOTALL)


class Shape(NamedTuple):
    """What right answers have in common.

    Attributes:
        kind: labels, fields or text.
        labels: The labels in the spelling used most, by alphabet; empty unless they are labels.
        fields: The keys of the objects, in the order in which they are written; empty unless they are.
    """

    kind: Literal["labels", "fields", "text"]
    labels: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


def shape(examples: Sequence[DatasetExample]) -> Shape:
    """Return the shape of the expected outputs.

    >>> told = {"agent_id": "a", "example_type": "positive", "split": "train", "group": "g"}
    >>> outputs = ["yes", "no", "Yes ", "yes", "no"]
    >>> shape([DatasetExample(id="e", input_text="?", expected_output=text, **told) for text in outputs])
    Shape(kind='labels', labels=('no', 'yes'), fields=())
    """
    outputs = [example.expected_output for example in examples]
    if labels := _labels(outputs):
        return Shape("labels", labels=labels)
    if fields := _fields(outputs):
        return Shape("fields", fields=fields)
    return Shape("text")


def label_key(output: str) -> str:
    """Return what an answer is counted as: spaces, case and a full stop at the end make no other label.

    >>> label_key(" Freeze  account. ")
    'freeze account'
    """
    return " ".join(output.split()).strip("\"'`").rstrip(".").casefold()


def as_object(output: str) -> dict[str, Any] | None:
    """Return the JSON object that an answer is, in a code fence or not; None if it is none."""
    bare = output[: READ_CHARACTERS + 1].strip()
    if len(bare) > READ_CHARACTERS:
        return None
    fenced = _FENCED.match(bare)
    try:
        told = json.loads(fenced[1] if fenced else bare)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _labels(outputs: Sequence[str]) -> tuple[str, ...]:
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for output in outputs:
        if _could_be_label(output):
            spellings[label_key(output)][" ".join(output.split())] += 1
    counts = {key: used.total() for key, used in spellings.items()}
    if not (_recur(list(counts.values()), len(outputs)) and 2 <= len(counts) <= MOST_LABELS):
        return ()
    labels = (_most_used(used) for used in spellings.values())
    return tuple(sorted(labels, key=lambda label: (label.casefold(), label)))


def _recur(counts: Sequence[int], outputs: int) -> bool:
    """Whether answers come back again and again; of a few answers it is enough that one does."""
    repeated = sum(count for count in counts if count > 1)
    is_common = repeated >= REPEATED * outputs if outputs >= ENOUGH else repeated > 1
    return is_common and sum(counts) >= SHARED * outputs >= SHARED * EXAMPLES_PER_LABEL * len(counts)


def _could_be_label(output: str) -> bool:
    if len(output) > 2 * LABEL_CHARACTERS:
        return False
    bare = output.strip()
    return (
        0 < len(bare) <= LABEL_CHARACTERS
        and len(bare.splitlines()) == 1
        and len(bare.split()) <= LABEL_WORDS
        and label_key(bare) != ""
        and bare.isprintable()
        and bare[0] not in "{["
        and not looks_planted(bare)
    )


def _most_used(spellings: Counter[str]) -> str:
    return min(spellings, key=lambda spelling: (-spellings[spelling], spelling))


def _fields(outputs: Sequence[str]) -> tuple[str, ...]:
    objects = [told for told in map(as_object, outputs) if told]
    if not objects or len(objects) < SHARED * len(outputs):
        return ()
    counts = Counter(key for told in objects for key in _keys(told))
    return tuple(
        islice((key for key, count in counts.items() if count >= SHARED * len(objects)), MOST_FIELDS)
    )


def _keys(told: dict[str, Any]) -> Iterable[str]:
    return (key for key in told if 0 < len(key) <= FIELD_CHARACTERS and key.isprintable())
