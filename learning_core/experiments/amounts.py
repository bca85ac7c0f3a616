"""Figures of metrics in their own unit, as people say them: 4.21 stars, +5.0 points, 1.20 s."""

from __future__ import annotations

from math import floor, isfinite, log10
from typing import NamedTuple, TypeGuard

MINUS = "\N{MINUS SIGN}"
SECOND_MS = 1_000
SMALL_SHARE = 0.001
SMALLEST_MONEY = 1e-6
"""US dollars below which there is nothing worth writing down."""

MISSING = "—"


class Form(NamedTuple):
    """How figures of a unit and a size are written: times a factor, with digits, between two marks."""

    factor: float
    digits: int
    before: str
    after: str

    def write(self, value: float) -> str:
        """Return the figure without its sign and its unit."""
        return f"{self.before}{abs(value) * self.factor:,.{self.digits}f}"

    def sign(self, value: float) -> str:
        """Return the figure with its sign; what rounds to nothing has none."""
        told = self.write(value)
        if not any(digit in told for digit in "123456789"):
            return told
        return f"{'+' if value > 0 else MINUS}{told}"


def amount(value: float | None, unit: str) -> str:
    """Return a figure with its unit.

    Args:
        value: In the metric's unit; None or not a number where nothing was counted.
        unit: "stars", "share" (0-1), "score" (0-1), "ms" or "usd".

    >>> amount(4.213, "stars"), amount(0.713, "share"), amount(1250, "ms"), amount(0.00214, "usd")
    ('4.21 stars', '71.3 %', '1.25 s', '$0.0021')
    """
    if not _is_known(value):
        return MISSING
    form = _form(unit, value, " %")
    return f"{MINUS if value < 0 else ''}{form.write(value)}{form.after}"


def change(value: float | None, unit: str) -> str:
    """Return a difference with its sign and unit.

    >>> change(0.21, "stars"), change(0.05, "share"), change(0.0, "ms")
    ('+0.21 stars', '+5.0 points', '0 ms')
    """
    if not _is_known(value):
        return MISSING
    form = _form(unit, value)
    return f"{form.sign(value)}{form.after}"


def between(low: float | None, high: float | None, unit: str) -> str:
    """Return an interval of a difference for a sentence.

    >>> between(0.08, 0.34, "stars")
    'between +0.08 and +0.34 stars'
    """
    if not (_is_known(low) and _is_known(high)):
        return "not known yet"
    form = _form(unit, max(abs(low), abs(high)))
    return f"between {form.sign(low)} and {form.sign(high)}{form.after}"


def interval(low: float | None, high: float | None, unit: str) -> str:
    """Return an interval of a difference for a cell of a table.

    >>> interval(0.08, 0.34, "stars")
    '+0.08 to +0.34 stars'
    """
    if not (_is_known(low) and _is_known(high)):
        return MISSING
    form = _form(unit, max(abs(low), abs(high)))
    return f"{form.sign(low)} to {form.sign(high)}{form.after}"


def with_interval(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    """Return a difference with its interval, all in the same form.

    >>> with_interval(36, 4, 121, "ms"), with_interval(0.0002, 0.00003, 0.0004, "usd")
    ('+36 (+4 to +121) ms', '+$0.00020 (+$0.00003 to +$0.00040)')
    """
    if not _is_known(value):
        return MISSING
    if not (_is_known(low) and _is_known(high)):
        return change(value, unit)
    form = _form(unit, max(abs(low), abs(high)))
    return f"{form.sign(value)} ({form.sign(low)} to {form.sign(high)}){form.after}"


def relative(value: float | None) -> str:
    """Return a change relative to the control, in whole percents where it is large.

    >>> relative(0.0521), relative(0.31)
    ('+5.2 %', '+31 %')
    """
    if not _is_known(value):
        return MISSING
    form = Form(100, 0 if abs(value) >= 0.1 else 1, "", " %")
    return f"{form.sign(value)}{form.after}"


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and isfinite(value)


def _form(unit: str, largest: float, share: str = " points") -> Form:
    """Return how figures are written of which the largest is as given."""
    size = abs(largest)
    match unit:
        case "share" | "score":
            return Form(100, 2 if 0 < size < SMALL_SHARE else 1, "", share)
        case "ms" if size >= SECOND_MS:
            return Form(1 / SECOND_MS, 2, "", " s")
        case "ms":
            return Form(1, 0, "", " ms")
        case "usd":
            return Form(1, _digits_of_money(size), "$", "")
        case _:
            return Form(1, 2, "", " stars")


def _digits_of_money(size: float) -> int:
    """Return how many digits show the first two that count, and cents at least."""
    if size >= 1 or size < SMALLEST_MONEY:
        return 2
    return max(2, 1 - floor(log10(size)))
