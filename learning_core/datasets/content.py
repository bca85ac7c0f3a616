"""What a dataset consists of, and the hash by which two datasets are known to hold the same."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from math import isfinite
from typing import Any

from learning_core.errors import InvalidInput

SCORE_DIGITS = 4
"""Decimal digits of a quality score that count; what lies beyond is noise of its calculation."""


@dataclass(frozen=True, kw_only=True)
class DatasetExample:
    """One approved example as a dataset freezes it.

    A value that is missing is None; inside a demonstration it is left out. Both are the same content.

    Attributes:
        id: The example's own stable key.
        agent_id: The agent's key.
        example_type: positive, negative, correction, demonstration, edge_case, failure or preference.
        split: train, validation or test.
        group: Name of the group of examples that must stay in one split.
        input_text: What the agent was asked.
        expected_output: What it should answer, whatever the type of the example.
        context: What the agent was told beside the input.
        rejected_output: An answer worse than the expected one.
        demonstration: How an expert did it: task (text), input_state (text), actions (list of texts),
            reasoning (text).
        domain: Subject the example belongs to.
        source: Where it came from.
        conversation: Key of the conversation it was taken from.
        user_id: Key of the person whose reaction it stems from.
        issue_categories: What was wrong with the answer that was given.
        quality_score: 0-1, kept to `SCORE_DIGITS`.
        human_verified: Whether a person approved it.
    """

    id: str
    agent_id: str
    example_type: str
    split: str
    group: str
    input_text: str
    expected_output: str
    context: str | None = None
    rejected_output: str | None = None
    demonstration: dict[str, Any] | None = None
    domain: str | None = None
    source: str = "api"
    conversation: str | None = None
    user_id: str | None = None
    issue_categories: tuple[str, ...] = ()
    quality_score: float | None = None
    human_verified: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "issue_categories", tuple(self.issue_categories))
        if self.quality_score is not None:
            object.__setattr__(self, "quality_score", _score(self.quality_score))
        if self.demonstration is not None:
            told = {name: value for name, value in self.demonstration.items() if value is not None}
            object.__setattr__(self, "demonstration", told)


NAMES = tuple(field.name for field in fields(DatasetExample))
"""The fields of an example, in the order in which files show them."""

REQUIRED = tuple(field.name for field in fields(DatasetExample) if field.default is MISSING)
"""The fields that every example has."""

DEMONSTRATED = ("task", "input_state", "actions", "reasoning")
"""What a demonstration may tell; task and actions it must."""

_to_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(example: DatasetExample) -> bytes:
    """Return the one JSON line that stands for an example: equal content, equal bytes.

    Keys are sorted, nothing is spaced or escaped without need, and fields without a value are left out.
    The line has no line feed, neither inside nor at its end.
    """
    told = {name: value for name, value in vars(example).items() if value is not None}
    return _to_json(told).encode()


def content_hash(examples: Iterable[DatasetExample]) -> str:
    r"""Return the SHA-256 of the sorted canonical lines, each ended by a line feed.

    The order of the examples does not matter; any change of any field does. Whoever holds all splits of a
    dataset as JSONL checks it with ``cat *.jsonl | LC_ALL=C sort | sha256sum``.

    >>> content_hash([])
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    digest = hashlib.sha256()
    for line in sorted(map(canonical, examples)):
        digest.update(line + b"\n")
    return f"sha256:{digest.hexdigest()}"


def parse(told: Mapping[str, Any]) -> DatasetExample:
    """Return the example that a canonical line, or another mapping of its fields, stands for.

    Raises:
        InvalidInput: a field is missing, unknown or of the wrong kind; the error names it.
    """
    given = {name: value for name, value in told.items() if value is not None}
    for name in REQUIRED:
        if name not in given:
            raise InvalidInput(f"{name}: is missing.", field=name)
    for name, value in given.items():
        if problem := _problem(name, value):
            raise InvalidInput(f"{name}: {problem}.", field=name)
    return DatasetExample(**given)


def _problem(name: str, value: Any) -> str | None:
    if name not in NAMES:
        return "is no field of an example"
    if name == "human_verified":
        return None if isinstance(value, bool) else "expected true or false"
    if name == "quality_score":
        return None if _is_score(value) else "expected a number from 0 to 1"
    if name == "issue_categories":
        return None if _is_list_of_texts(value) else "expected a list of texts"
    if name == "demonstration":
        return None if _is_demonstration(value) else "expected task, input_state, actions and reasoning"
    return None if _is_text(value) else "expected text without NUL and lone surrogates"


def _is_text(value: Any) -> bool:
    """Tell whether a value is text that PostgreSQL can hold."""
    return isinstance(value, str) and not re.search(r"[\x00\ud800-\udfff]", value)


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_demonstration(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    told = {name: part for name, part in value.items() if part is not None}
    if not {"task", "actions"} <= told.keys() <= set(DEMONSTRATED):
        return False
    return _is_list_of_texts(told.pop("actions")) and all(map(_is_text, told.values()))


def _score(value: float) -> float:
    score = round(float(value), SCORE_DIGITS)
    if not isfinite(score) or not 0 <= score <= 1:
        raise ValueError(f"a quality score lies between 0 and 1, not at {value}")
    return score + 0.0  # a negative zero is zero, and written like it
