"""The kinds of checks: what each says of one answer, which options it takes, and how it is told to people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from learning_core.errors import InvalidInput
from learning_core.evaluation import numbers, options, patterns, records, texts
from learning_core.evaluation.options import Option

Options = Mapping[str, Any]
Measure = Callable[[str, str, Options], float]
"""From an answer, the expected one and the options to a value (0-1)."""

CRITERIA = (
    "The answer is technically accurate: it says nothing that contradicts the expected answer.",
    "The answer is complete: it says all that matters in the expected answer.",
    "The answer is professional in tone and form.",
    "The answer is clear to the person who asked.",
)
"""What a judge looks at where nobody said otherwise: the four scales of an expert's annotation."""

MOST_CRITERIA = 8


class Kind(NamedTuple):
    """A kind of check.

    Attributes:
        title: Its name for people.
        words: One sentence: when an answer is right.
        options: Option by name.
        measure: How it is computed; None where the value comes from a model.
        needs: The role of that model, judge or embedding; empty without one.
    """

    title: str
    words: str
    options: Mapping[str, Option]
    measure: Measure | None
    needs: str = ""


def _exact(output: str, expected: str, _: Options) -> float:
    return float(output.strip() == expected.strip())


def _normalised(output: str, expected: str, _: Options) -> float:
    return float(texts.normalised(output) == texts.normalised(expected))


def _contains(output: str, expected: str, given: Options) -> float:
    phrases = given.get("phrases") or [expected]
    found = [texts.holds(output, phrase) for phrase in phrases]
    share = sum(found) / len(found)
    return {"all": float(all(found)), "any": float(any(found)), "share": share}[given["mode"]]


def _pattern(output: str, _: str, given: Options) -> float:
    return float(patterns.occurs(given["pattern"], output))


def _json(output: str, expected: str, given: Options) -> float:
    try:
        told = records.read(output)
    except records.NotJson:
        return 0.0
    if "schema" in given and not records.follows(told, given["schema"]):
        return 0.0
    try:
        wanted = records.read(expected)
    except records.NotJson:
        return 1.0
    return records.share_of_fields(told, wanted, given.get("fields", {}), given["tolerance"])


def _number(output: str, expected: str, given: Options) -> float:
    found, wanted = (numbers.amounts(text, given["notation"]) for text in (output, expected))
    if not wanted:
        return _normalised(output, expected, given)
    if not found:
        return 0.0
    at = -1 if given["which"] == "last" else 0
    one, other = _in_unit(found[at], wanted[at], given.get("unit"))
    return float(
        one is not None
        and other is not None
        and numbers.is_near(one, other, given["tolerance"], given["relative_tolerance"])
    )


def _in_unit(
    one: numbers.Amount, other: numbers.Amount, unit: str | None
) -> tuple[numbers.Amount | None, numbers.Amount | None]:
    if unit is None:
        return one, other
    other = other._replace(unit=other.unit or numbers.canonical_unit(unit))
    return numbers.in_unit(one, unit), numbers.in_unit(other, unit)


def _token_f1(output: str, expected: str, _: Options) -> float:
    return texts.token_f1(output, expected)


def _read_pattern(value: Any, name: str) -> str:
    pattern = options.text(value, name)
    patterns.require_pattern(pattern, name)
    return pattern


def _read_schema(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        raise InvalidInput(f"{name} is a JSON schema.", field=name)
    records.require_schema(value, name)
    return dict(value)


def _read_fields(value: Any, name: str) -> dict[str, str]:
    if not isinstance(value, Mapping) or not 1 <= len(value) <= 100:
        raise InvalidInput(f"{name} says for 1 to 100 fields how they are compared.", field=name)
    compared = options.choice("exact", "normalised", "number")
    return {options.text(field, name): compared(how, name) for field, how in value.items()}


KINDS = {
    "exact": Kind(
        "Exactly the same",
        "The answer is the expected text, character by character, but for white space at its ends.",
        {},
        _exact,
    ),
    "normalised": Kind(
        "The same to a reader",
        "The answer is the expected text, whatever its case, spacing, quotes, emphasis and last mark.",
        {},
        _normalised,
    ),
    "contains": Kind(
        "Contains",
        "The answer holds the expected text, or the given phrases, as whole words.",
        {
            "phrases": Option("What is looked for instead of the expected text.", options.texts(50)),
            "mode": Option(
                "All must be there, any will do, or the share of those that are.",
                options.choice("all", "any", "share"),
                "all",
            ),
        },
        _contains,
    ),
    "pattern": Kind(
        "Fits a pattern",
        "A regular expression matches somewhere in the answer; ^ and $ bind it to the ends.",
        {"pattern": Option("The expression, without look-around and back references.", _read_pattern)},
        _pattern,
    ),
    "json": Kind(
        "JSON",
        "The answer is JSON that follows the schema, and is worth the share of expected fields it has right.",
        {
            "schema": Option("A JSON schema that the answer must follow.", _read_schema),
            "fields": Option(
                "Fields that count, each compared exact, normalised or as a number; without, all do.",
                _read_fields,
            ),
            "tolerance": Option(
                "How far numbers may lie off, as a share of the expected ones.", options.between(0, 1), 0.0
            ),
        },
        _json,
    ),
    "number": Kind(
        "The same number",
        "The last number in the answer (or the first) is the expected one, within a tolerance.",
        {
            "which": Option(
                "Whether the first or the last number counts.", options.choice("first", "last"), "last"
            ),
            "tolerance": Option("How far it may lie off.", options.between(0, 1e12), 0.0),
            "relative_tolerance": Option(
                "How far it may lie off, as a share of the expected number.", options.between(0, 1), 0.0
            ),
            "unit": Option("The unit it must be given in, or one that can be turned into it.", options.text),
            "notation": Option(
                "What stands before decimals where a number leaves it open.",
                options.choice("point", "comma"),
                "point",
            ),
        },
        _number,
    ),
    "token_f1": Kind(
        "Shared words",
        "The words that the answer shares with the expected text, as F1: 1 with all and no others.",
        {},
        _token_f1,
    ),
    "similarity": Kind(
        "Close in meaning",
        "How near an embedding model finds the answer to the expected text.",
        {"floor": Option("The cosine up to which two texts count as unlike.", options.between(0, 0.95), 0.0)},
        None,
        "embedding",
    ),
    "rubric": Kind(
        "Judged by criteria",
        "A model judges the answer by written criteria, 0 to 4 each; the value is the mean as a share.",
        {
            "criteria": Option(
                "What is judged, a sentence each.", options.texts(MOST_CRITERIA), list(CRITERIA)
            )
        },
        None,
        "judge",
    ),
}
"""Kind of check by name, in the order in which people are offered them."""

REQUIRED = {"pattern": "pattern"}
"""Kind -> the option without which it says nothing."""


def read_options(kind: str, told: object) -> dict[str, Any]:
    """Return the options of a kind as they are kept.

    Raises:
        InvalidInput: there is no such kind, or an option is wrong; the message says which.
    """
    if kind not in KINDS:
        raise InvalidInput(f"There is no check {kind!r}; there are: {', '.join(KINDS)}.", field="kind")
    read = options.read_all(KINDS[kind].options, told, f"The check {kind!r}")
    if (required := REQUIRED.get(kind)) and required not in read:
        raise InvalidInput(f"The check {kind!r} needs the option {required!r}.", field=required)
    return read
