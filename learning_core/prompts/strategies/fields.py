"""What the fields of an object hold, as far as the train examples tell, and how to answer with one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

from learning_core.datasets.content import DatasetExample
from learning_core.prompts.evidence import looks_planted
from learning_core.prompts.shapes import Shape, as_object
from learning_core.prompts.strategies.layout import plain

READ_EXAMPLES = 500
MOST_OPTIONS, OPTION_CHARACTERS = 8, 32
TIMES_PER_OPTION = 3
"""How often each option occurs, on average, for a field to have no others."""

COPIED = 0.8
"""Share (0-1) of the values that stand in the input letter by letter, for a field to be copied from it."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Kind(NamedTuple):
    """What the values of a field are.

    Attributes:
        words: For the list of fields.
        place: What stands for a value in the form of an answer.
        can_miss: Whether it is null at times.
    """

    words: str
    place: str
    can_miss: bool = False


def kinds(shape: Shape, examples: Sequence[DatasetExample]) -> dict[str, Kind]:
    """Return what the values of each field are."""
    read = ((as_object(one.expected_output), one.input_text) for one in islice(examples, READ_EXAMPLES))
    objects = [(told, source) for told, source in read if told]
    return {
        name: _kind([(told[name], source) for told, source in objects if name in told])
        for name in shape.fields
    }


def object_contract(shape: Shape, examples: Sequence[DatasetExample]) -> str:
    """Return how to answer with one JSON object."""
    found = kinds(shape, examples)
    form = ", ".join(f"{_quoted(name)}: {kind.place}" for name, kind in found.items())
    missing = ", ".join(plain(name) for name, kind in found.items() if kind.can_miss)
    return (
        "Answer with one JSON object and nothing else: no code fence, no comment, no text around it.\n"
        f"Use exactly these keys, in this order:\n{{{form}}}"
        + (f"\nWrite null, without quotes, where the input does not give: {missing}" if missing else "")
    )


def _kind(values: Sequence[tuple[Any, str]]) -> Kind:
    given = [(value, source) for value, source in values if value is not None]
    if len(given) == len(values):
        return _kind_of(given)
    kind = _kind_of(given)
    return Kind(f"{kind.words}, or null", kind.place, can_miss=True)


def _kind_of(values: Sequence[tuple[Any, str]]) -> Kind:
    types = {type(value) for value, _ in values}
    if types == {bool}:
        return Kind("true or false", "<true or false>")
    if types == {int}:
        return Kind("a whole number", "<whole number>")
    if types and types <= {int, float}:
        return Kind("a number, without unit", "<number>")
    if types == {list}:
        return Kind("a list", "[<values>]")
    if types == {dict}:
        return Kind("an object", "{<values>}")
    return _kind_of_texts([(str(value), source) for value, source in values])


def _kind_of_texts(values: Sequence[tuple[str, str]]) -> Kind:
    texts = [text for text, _ in values]
    if texts and all(_DATE.fullmatch(text) for text in texts):
        return Kind("a date, as YYYY-MM-DD", '"<YYYY-MM-DD>"')
    options = sorted(set(texts))
    are_few = 2 <= len(options) <= MOST_OPTIONS and len(texts) >= TIMES_PER_OPTION * len(options)
    if are_few and all(map(_is_option, options)):
        return Kind(f"one of {', '.join(map(_quoted, options))}", f'"<{" or ".join(map(plain, options))}>"')
    if texts and sum(text in source for text, source in values) >= COPIED * len(texts):
        return Kind("a text, copied from the input letter by letter", '"<text>"')
    return Kind("a text", '"<text>"')


def _is_option(text: str) -> bool:
    return 0 < len(text) <= OPTION_CHARACTERS and text.isprintable() and not looks_planted(text)


def _quoted(name: str) -> str:
    return plain(json.dumps(name, ensure_ascii=False))
