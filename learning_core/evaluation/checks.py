"""How answers are scored: weighted checks that make one value (0-1), and which of them suit given examples.

What needs a model, a judge or an embedding, comes in as a number: nothing here asks one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from learning_core.datasets.content import DatasetExample
from learning_core.errors import InvalidInput, ModelFailed, NotEnoughData
from learning_core.evaluation import numbers, options, records, texts
from learning_core.evaluation.kinds import KINDS, read_options
from learning_core.evaluation.safety import Gate

MOST_CHECKS = 10
HEAVIEST = 100.0

LONGEST_LABEL = 6
"""Words that a label may have."""
MOST_LABELS = 50
NEARLY_ALL = 0.9
"""Share (0-1) of expected outputs that must be numbers or JSON for answers to be scored as such."""


@dataclass(frozen=True)
class Check:
    """One check: its kind, how much it counts, and its options, all of them.

    Raises:
        InvalidInput: there is no such kind, the weight is not above zero, or an option is wrong.
    """

    kind: str
    weight: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", read_options(self.kind, self.options))
        weight = options.between(0, HEAVIEST)(self.weight, "weight")
        if not weight:
            raise InvalidInput("A check that counts nothing is left out.", field="weight")
        object.__setattr__(self, "weight", weight)

    @property
    def words(self) -> str:
        """Return when an answer is right, in one sentence."""
        return KINDS[self.kind].words

    def told(self) -> dict[str, Any]:
        """Return its JSON form."""
        return {"kind": self.kind, "weight": self.weight, "options": dict(self.options)}


@dataclass(frozen=True)
class Evaluator:
    """How an agent's answers are scored, and what forbids a prompt whatever it scores."""

    checks: tuple[Check, ...]
    gate: Gate = field(default_factory=Gate)

    def __post_init__(self) -> None:
        if not 1 <= len(self.checks) <= MOST_CHECKS:
            raise InvalidInput(f"An evaluator has 1 to {MOST_CHECKS} checks.", field="checks")
        for role in ("judge", "embedding"):
            if sum(KINDS[check.kind].needs == role for check in self.checks) > 1:
                raise InvalidInput(
                    f"Only one check of an evaluator can ask the {role} model.", field="checks"
                )

    @classmethod
    def parse(cls, told: object) -> Evaluator:
        """Return the evaluator that its JSON form stands for: checks, and a gate where it differs.

        Raises:
            InvalidInput: something in it cannot be; the message says what.
        """
        if not isinstance(told, Mapping) or not isinstance(told.get("checks"), list | tuple):
            raise InvalidInput("An evaluator has a list of checks.", field="checks")
        if unknown := told.keys() - {"checks", "gate"}:
            raise InvalidInput(f"An evaluator has checks and a gate, no {min(unknown)!r}.", field="checks")
        return cls(tuple(map(_check, told["checks"])), Gate.parse(told.get("gate") or {}))

    def told(self) -> dict[str, Any]:
        """Return the JSON form that `parse` reads, with every option."""
        return {"checks": [check.told() for check in self.checks], "gate": self.gate.told()}

    @property
    def needs(self) -> frozenset[str]:
        """Return the roles of the models it asks beside the one that answers: judge, embedding."""
        return frozenset(needed for check in self.checks if (needed := KINDS[check.kind].needs))

    def options_of(self, kind: str) -> Mapping[str, Any]:
        """Return the options of its first check of a kind.

        Raises:
            KeyError: it has none.
        """
        for check in self.checks:
            if check.kind == kind:
                return check.options
        raise KeyError(kind)


class Scored(NamedTuple):
    """What an answer is worth (0-1), and each check's part in it before weighting (0-1), by its kind.

    The second check of a kind is told as "contains 2".
    """

    value: float
    parts: dict[str, float | str]


def score(
    evaluator: Evaluator,
    output: str,
    example: DatasetExample,
    *,
    judged: float | None = None,
    similarity: float | None = None,
) -> Scored:
    """Score an answer: the weighted mean of what the checks say.

    Args:
        evaluator: The checks.
        output: The answer.
        example: What was asked and expected.
        judged: What a judge gave it (0-1), for a rubric.
        similarity: The cosine (-1 to 1) of its embedding to the expected answer's.

    Raises:
        ModelFailed: a check needs what a model did not give; without it the answer has no score.
    """
    given = {"judge": judged, "embedding": similarity}
    values = [_value(check, output, example, given) for check in evaluator.checks]
    weights = [check.weight for check in evaluator.checks]
    total = sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)
    parts: dict[str, float | str] = {}
    for check, value in zip(evaluator.checks, values, strict=True):
        parts[_new_name(check.kind, parts)] = value
    return Scored(min(max(total, min(values)), max(values)), parts)


def suggest(examples: Sequence[DatasetExample], available: Collection[str] = ()) -> Evaluator:
    """Return an evaluator that suits what the examples expect.

    Where nearly all are JSON they are compared field by field; few short texts that recur are labels; nearly
    all may be numbers. What is left is prose, scored by shared words and, where a model is there for it, by a
    judge or by meaning.

    Args:
        examples: At least one.
        available: Roles of the models there are: judge, embedding.

    Raises:
        NotEnoughData: there is no example.
    """
    expected = [example.expected_output for example in examples]
    if not expected:
        raise NotEnoughData("Without an example nobody can tell how answers are best scored.")
    if _share(_is_record(text) for text in expected) >= NEARLY_ALL:
        return Evaluator((Check("json"),))
    if _are_labels(expected):
        return Evaluator((Check("normalised"),))
    if _share(numbers.is_number(text) for text in expected) >= NEARLY_ALL:
        return Evaluator((Check("number"),))
    if "judge" in available:
        return Evaluator((Check("rubric", 3.0), Check("token_f1", 1.0)))
    if "embedding" in available:
        return Evaluator((Check("similarity"), Check("token_f1")))
    return Evaluator((Check("token_f1"),))


def _check(told: object) -> Check:
    if not isinstance(told, Mapping) or not isinstance(told.get("kind"), str):
        raise InvalidInput("A check has a kind.", field="checks")
    if unknown := told.keys() - {"kind", "weight", "options"}:
        raise InvalidInput(f"A check has kind, weight and options, no {min(unknown)!r}.", field="checks")
    return Check(told["kind"], told.get("weight", 1.0), told.get("options") or {})


def _value(check: Check, output: str, example: DatasetExample, given: Mapping[str, float | None]) -> float:
    kind = KINDS[check.kind]
    if kind.measure:
        return kind.measure(output, example.expected_output, check.options)
    value = given[kind.needs]
    if value is None:
        raise ModelFailed(f"The {kind.needs} model gave no value for {kind.title.lower()!r}.")
    floor: float = check.options.get("floor", 0.0)
    return min(max((value - floor) / (1 - floor), 0.0), 1.0)


def _new_name(kind: str, taken: Collection[str]) -> str:
    number = 2
    name = kind
    while name in taken:
        name, number = f"{kind} {number}", number + 1
    return name


def _are_labels(expected: Sequence[str]) -> bool:
    labels = {texts.normalised(text) for text in expected}
    are_short = all(len(texts.words(label)) <= LONGEST_LABEL for label in labels)
    return are_short and len(labels) <= MOST_LABELS and 2 * len(labels) <= len(expected)


def _is_record(text: str) -> bool:
    try:
        return isinstance(records.read(text), dict | list)
    except records.NotJson:
        return False


def _share(held: Iterable[bool]) -> float:
    told = list(held)
    return sum(told) / len(told)
