"""Options of a check or a gate as people give them, read one by one; what is wrong is said by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, NamedTuple

from learning_core.errors import InvalidInput

Reader = Callable[[Any, str], Any]
"""From a value and the option's name to the value as it is kept; raises InvalidInput."""

LONGEST_TEXT = 1_000


class Option(NamedTuple):
    """An option: what a page says of it, how it is read, and what holds where it is not given."""

    words: str
    read: Reader
    default: Any = None


def read_all(known: Mapping[str, Option], told: object, owner: str) -> dict[str, Any]:
    """Return all options of their owner, each as given or by its default; those without either are left out.

    Raises:
        InvalidInput: one is unknown or cannot be what it is; the message names it.
    """
    if not isinstance(told, Mapping):
        raise InvalidInput(f"The options of {owner} are names with values.", field="options")
    for name in told:
        if name not in known:
            names = ", ".join(known) or "none"
            raise InvalidInput(f"{owner} has no option {name!r}; it has: {names}.", field=str(name))
    given = {name: value for name, value in told.items() if value is not None}
    read = {
        name: option.read(given[name], name) if name in given else option.default
        for name, option in known.items()
    }
    return {name: value for name, value in read.items() if value is not None}


def flag(value: Any, name: str) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} is true or false, not {value!r}.", field=name)
    return value


def text(value: Any, name: str) -> str:
    """Read a text that is not empty."""
    if not isinstance(value, str) or not value.strip() or re.search(r"[\x00\ud800-\udfff]", value):
        raise InvalidInput(f"{name} is a text, not {value!r}.", field=name)
    if len(value) > LONGEST_TEXT:
        raise InvalidInput(f"{name} has at most {LONGEST_TEXT:,} characters.", field=name)
    return value


def texts(most: int) -> Reader:
    """Return a reader of a list of one to so many texts."""

    def read(value: Any, name: str) -> list[str]:
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= most:
            raise InvalidInput(f"{name} is a list of 1 to {most} texts.", field=name)
        return [text(one, name) for one in value]

    return read


def between(low: float, high: float) -> Reader:
    """Return a reader of a number within bounds."""

    def read(value: Any, name: str) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        if not is_number or not low <= value <= high:
            raise InvalidInput(f"{name} is a number from {low:g} to {high:g}, not {value!r}.", field=name)
        return float(value)

    return read


def whole(low: int, high: int) -> Reader:
    """Return a reader of a whole number within bounds."""

    def read(value: Any, name: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise InvalidInput(f"{name} is a whole number from {low} to {high}, not {value!r}.", field=name)
        return value

    return read


def choice(*values: str) -> Reader:
    """Return a reader of one of some words."""

    def read(value: Any, name: str) -> str:
        if value not in values:
            raise InvalidInput(f"{name} is one of {', '.join(values)}, not {value!r}.", field=name)
        return str(value)

    return read
