"""Options of checks and of the gate as people see them: what each is called, its widget, and its words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import streamlit as st

from learning_core.errors import InvalidInput
from learning_core.evaluation.checks import HEAVIEST, Check
from learning_core.evaluation.probes import PROBES
from learning_core.evaluation.safety import USUAL_LENGTH, WORDS
from pages.components import texts
from pages.components.charts import percent


def sentence(words: str) -> str:
    """Return words as the beginning of a sentence."""
    return f"{words[:1].upper()}{words[1:]}"


def percents(share: float) -> str:
    """Return a share as a percentage, with as many digits as it takes."""
    return f"{share * 100:g} %"


class Field(NamedTuple):
    """How an option is asked for and told.

    Attributes:
        label: What it is called.
        draw: The widget, from label, key and help.
        write: What the widget holds for the option; the option may be missing.
        read: The option that it holds; None where it holds nothing.
        tell: The option in words.
    """

    label: str
    draw: Callable[..., Any]
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    tell: Callable[[Any], str]


def _lines(label: str, tidy: Callable[[str], str], height: int, placeholder: str) -> Field:
    return Field(
        label,
        partial(_draw_lines, height=height, placeholder=placeholder),
        lambda told: "\n".join(map(tidy, told or ())),
        lambda held: [tidy(one) for one in _filled(held)] or None,
        _listed,
    )


def _listed(told: Sequence[str]) -> str:
    return "\n".join(f"• {one}" for one in told) if len(told) > 1 else told[0]


def _draw_lines(label: str, **options: Any) -> str:
    return st.text_area(f"{label}, one per line", **options) or ""


def _filled(held: str) -> list[str]:
    return [one for one in held.split("\n") if one.strip()]


def _in_one_line(phrase: str) -> str:
    return " ".join(phrase.split())


def _escaped(pattern: str) -> str:
    return pattern.replace("\n", r"\n")


def _text(label: str, placeholder: str) -> Field:
    draw = partial(st.text_input, placeholder=placeholder)
    return Field(label, draw, lambda told: told or "", lambda held: held or None, str)


def _amount(label: str, low: float, high: float, step: float = 1.0) -> Field:
    draw = partial(st.number_input, min_value=low, max_value=high, step=step, format="%g")
    return Field(label, draw, float, float, "{:g}".format)


def _share_of_hundred(label: str, high: float = 100.0) -> Field:
    draw = partial(st.number_input, min_value=0.0, max_value=high, step=1.0, format="%g")
    return Field(label, draw, lambda share: round(share * 100, 6), lambda held: held / 100, percents)


def _one_of(label: str, names: dict[str, str]) -> Field:
    draw = partial(st.radio, options=list(names), format_func=names.__getitem__, horizontal=True)
    return Field(label, draw, str, str, names.__getitem__)


def _read_schema(held: str) -> Any:
    if not held.strip():
        return None
    try:
        return json.loads(held)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The schema is no JSON: {error}.", field="schema") from error


def _write_json(told: Any) -> str:
    return json.dumps(told, indent=2, ensure_ascii=False) if told else ""


def _read_fields(held: str) -> dict[str, str] | None:
    """Read a field a line, such as "total: number"; without a word it is compared as a reader would."""
    lines = [one.rpartition(":") if ":" in one else (one, "", "") for one in _filled(held)]
    return {name.strip(): how.strip() or "normalised" for name, _, how in lines} or None


def _write_fields(told: Mapping[str, str] | None) -> str:
    return "\n".join(f"{name}: {how}" for name, how in (told or {}).items())


FIELDS = {
    "weight": _amount("How much it counts", 0.0, HEAVIEST),
    "phrases": _lines("Phrases", _in_one_line, 100, "the expected text"),
    "mode": _one_of("How many of them", {"all": "All", "any": "Any", "share": "The share that is there"}),
    "pattern": _text("Pattern", r"^\d{2} %$"),
    "schema": Field(
        "JSON schema",
        partial(st.text_area, height=140, placeholder='{"type": "object", "required": ["total"]}'),
        _write_json,
        _read_schema,
        _write_json,
    ),
    "fields": Field(
        "Fields that count",
        partial(_draw_lines, height=100, placeholder="total: number\ncustomer.name: normalised"),
        _write_fields,
        _read_fields,
        _write_fields,
    ),
    "tolerance": _amount("Tolerance", 0.0, 1e12, 0.1),
    "relative_tolerance": _share_of_hundred("Tolerance in percent"),
    "which": _one_of("Which number counts", {"last": "The last", "first": "The first"}),
    "unit": _text("Unit", "kg"),
    "notation": _one_of("Decimals stand behind", {"point": "A point", "comma": "A comma"}),
    "floor": _amount("Texts are unlike up to a cosine of", 0.0, 0.95, 0.05),
    "criteria": _lines("Criteria", _in_one_line, 160, "The answer names the deadline."),
    "forbidden": _lines("Forbidden patterns", _escaped, 80, "(?i)guarantee"),
    "times_expected": _amount("Times as long as expected, at most", 1.0, 1_000.0)._replace(
        tell=f"{{:g}}, beyond {USUAL_LENGTH} characters".format
    ),
    "longest": Field(
        "Characters at most",
        partial(st.number_input, min_value=1, max_value=1_000_000, value=None, placeholder="no limit"),
        lambda told: told,
        lambda held: held,
        "{:,}".format,
    ),
    "probes": Field(
        "Planted instructions it is tried with",
        partial(st.number_input, min_value=0, max_value=len(PROBES)),
        int,
        int,
        str,
    ),
}
"""Option of a check or of the gate -> how it is asked for."""
ALLOWED = {kind: _share_of_hundred(sentence(words)) for kind, words in WORDS.items()}
"""Kind of finding -> how the share of answers that may show it is asked for."""

GATE = ("forbidden", "times_expected", "longest", "probes")


def field_of(kind: str, name: str) -> Field:
    """Return how an option is asked for; the tolerance of JSON is a share of the expected number."""
    return FIELDS["relative_tolerance" if (kind, name) == ("json", "tolerance") else name]


def share(check: Check, checks: Sequence[Check]) -> str:
    """Return how much of the score a check decides."""
    return f"{percent(check.weight / sum(each.weight for each in checks), 0)} of the score"


LONGEST_BESIDE = 60
"""Characters that are shown beside what they are called, and not below."""


def line(label: str, words: str) -> None:
    """Show one thing and what it is, side by side."""
    if "\n" in words or len(words) > LONGEST_BESIDE:
        with st.container(gap=None):
            st.caption(label)
            texts.as_written(words)
        return
    with st.container(horizontal=True, gap="small", wrap=False):
        st.caption(label, width=170)
        texts.as_written(words)
