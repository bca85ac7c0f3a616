"""Regular expressions that cannot run away: matched in time linear in the text, whatever they say.

They are those of Rust's regex crate, which comes with pydantic: Python's syntax without look-around and
references back to a group, because these are what takes exponential time.
"""

from __future__ import annotations

from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

from learning_core.errors import InvalidInput

LONGEST_PATTERN = 1_000
"""Characters a pattern may have."""


def require_pattern(pattern: str, field: str) -> None:
    """Refuse a pattern that cannot be used.

    Raises:
        InvalidInput: it is too long or no pattern; the message says why.
    """
    if not 0 < len(pattern) <= LONGEST_PATTERN:
        raise InvalidInput(f"A pattern has 1 to {LONGEST_PATTERN} characters.", field=field)
    try:
        _compiled(pattern)
    except SchemaError as error:
        why = str(error).strip().splitlines()[-1].strip().removeprefix("error: ")
        raise InvalidInput(f"The pattern {pattern!r} cannot be used: {why}.", field=field) from error


def occurs(pattern: str, text: str) -> bool:
    r"""Return whether a pattern matches somewhere in a text.

    >>> occurs(r"^(?i)vat \d+ %$", "VAT 19 %")
    True
    """
    return _compiled(pattern).isinstance_python(text)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
