"""JSON answers: read without surprises, held against a schema, compared field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any

from learning_core.errors import InvalidInput
from learning_core.evaluation.numbers import Amount, amounts, is_near
from learning_core.evaluation.patterns import occurs, require_pattern
from learning_core.evaluation.texts import LONGEST, normalised, unfenced

DEEPEST = 40
"""Levels of nesting that a schema or an answer may have."""
LOCAL_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class NotJson(ValueError):
    """A text is no JSON document."""


def read(text: str) -> Any:
    """Return what a JSON text says; a code fence around it is taken off.

    Raises:
        NotJson: it is none, names a field twice, is nested too deep, too long, or has a number without end.
    """
    if len(text) > LONGEST:
        raise NotJson(f"longer than {LONGEST} characters")
    try:
        told = json.loads(unfenced(text), object_pairs_hook=_object, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error
    if _depth(told) > DEEPEST:
        raise NotJson("nested too deep")
    return told


def fields(told: Any, path: str = "") -> dict[str, Any]:
    """Return the plain values of a JSON document by their path, such as ``items.0.price``.

    An empty list or object is a value of its own, and so is a document that is neither.

    >>> fields({"a": 1, "b": [{"c": "x"}]})
    {'a': 1, 'b.0.c': 'x'}
    """
    if isinstance(told, Mapping) and told:
        parts: Iterator[tuple[str, Any]] = iter(told.items())
    elif isinstance(told, list) and told:
        parts = ((str(at), value) for at, value in enumerate(told))
    else:
        return {path: told}
    found: dict[str, Any] = {}
    for name, value in parts:
        found |= fields(value, f"{path}.{name}" if path else name)
    return found


def share_of_fields(given: Any, wanted: Any, kinds: Mapping[str, str], tolerance: float = 0.0) -> float:
    """Return the share (0-1) of the wanted fields that are given with the right value.

    Args:
        given: The answer.
        wanted: What it should be.
        kinds: Field -> exact, normalised or number; where there are any, only these fields count. Without,
            texts are compared normalised, numbers as numbers, all else exactly.
        tolerance: How far a number may lie off, as a share (0-1) of the wanted one.
    """
    right, theirs = fields(wanted), fields(given)
    counted = list(kinds or right)
    same = [
        name in theirs and name in right and _same(theirs[name], right[name], kinds.get(name), tolerance)
        for name in counted
    ]
    return sum(same) / len(same)


def require_schema(schema: Mapping[str, Any], field: str) -> None:
    """Refuse a JSON schema that cannot be used.

    Raises:
        InvalidInput: it is no valid schema, refers to another document, or has patterns as names of fields.
    """
    # Slow to import, and few evaluators need it; it ships no type information.
    from jsonschema import Draft202012Validator, SchemaError  # type: ignore[import-untyped]

    if _depth(schema) > DEEPEST:
        raise InvalidInput("The JSON schema is nested too deep.", field=field)
    for name, value in _keywords(schema):
        if name in LOCAL_REFERENCES and not str(value).startswith("#"):
            raise InvalidInput("A JSON schema may refer to itself alone.", field=field)
        if name == "patternProperties":
            raise InvalidInput("A JSON schema cannot have patternProperties here.", field=field)
        if name == "pattern" and isinstance(value, str):
            require_pattern(value, field)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise InvalidInput(f"The JSON schema is not valid: {error.message}.", field=field) from error


def follows(told: Any, schema: Mapping[str, Any]) -> bool:
    """Return whether a document follows a JSON schema.

    Raises:
        InvalidInput: the schema refers to itself without end, or to what it does not define.
    """
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend  # type: ignore[import-untyped]
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    def pattern(_: Any, wanted: str, instance: Any, __: Any) -> Iterator[ValidationError]:
        if isinstance(instance, str) and not occurs(wanted, instance):
            yield ValidationError("does not match the pattern")

    validator = extend(Draft202012Validator, {"pattern": pattern})(schema, registry=Registry())
    try:
        return bool(validator.is_valid(told))
    except (RecursionError, Unresolvable) as error:
        raise InvalidInput("The JSON schema refers to itself without end, or to nothing.") from error


def _same(given: Any, wanted: Any, kind: str | None, tolerance: float) -> bool:
    if kind == "number" or (kind is None and _is_number(wanted)):
        one, other = _amount(given), _amount(wanted)
        return one is not None and other is not None and is_near(one, other, relative=tolerance)
    if kind != "exact" and isinstance(given, str) and isinstance(wanted, str):
        return normalised(given) == normalised(wanted)
    return type(given) is type(wanted) and bool(given == wanted)


def _amount(value: Any) -> Amount | None:
    if _is_number(value):
        return Amount(Decimal(str(value)), "") if isfinite(value) else None
    return next(iter(amounts(value)), None) if isinstance(value, str) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) < len(pairs):
        raise NotJson("a field is named twice")
    return told


def _refuse(constant: str) -> None:
    raise NotJson(f"{constant} is no JSON")


def _depth(told: Any) -> int:
    level, depth = [told], 0
    while level and depth <= DEEPEST:
        parents = [value for value in level if isinstance(value, Mapping | list)]
        level = [
            child for value in parents for child in (value.values() if isinstance(value, Mapping) else value)
        ]
        depth += 1
    return depth


def _keywords(schema: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(schema, Mapping):
        for name, value in schema.items():
            yield name, value
            yield from _keywords(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _keywords(value)
