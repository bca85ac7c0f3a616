"""Numbers as people and models write them: separators, signs, currencies, percent, units, magnitudes."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal, NamedTuple

from learning_core.evaluation.texts import LONGEST

Notation = Literal["point", "comma"]
"""Which mark stands before decimals where a text leaves it open."""

LONGEST_NUMBER = 60
"""Digits and separators that a number may have; longer ones are no amounts."""

CURRENCIES = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", "₹": "inr", "zł": "pln", "kč": "czk"}
CURRENCIES |= {"dollar": "usd", "dollars": "usd", "euro": "eur", "euros": "eur", "pounds": "gbp"}


class Amount(NamedTuple):
    """A number as a text holds it. The unit is in lower case and empty where none was written."""

    value: Decimal
    unit: str


def amounts(text: str, notation: Notation = "point") -> list[Amount]:
    """Return the numbers of a text in their order.

    Where a number shows both marks, the last one stands before the decimals. A single one before exactly
    three digits is what the notation says: with "point", ``1,234`` is more than a thousand and ``1.234``
    more than one; with "comma" it is the other way round, and a plain space may stand between thousands. In
    parentheses of its own, a number is negative.

    >>> [str(amount.value) for amount in amounts("from (1,250.50) to $2.5 million")]
    ['-1250.50', '2500000.0']
    """
    found = PATTERNS[notation].finditer(text[:LONGEST].casefold())
    return [_amount(one, notation) for one in found if len(one["number"]) <= LONGEST_NUMBER]


def is_number(text: str, notation: Notation = "point") -> bool:
    """Return whether a text is one number and nothing else but its unit.

    >>> is_number("1,200 EUR"), is_number("10 May 2024")
    (True, False)
    """
    bare = text[:LONGEST].strip().casefold().removesuffix(".")
    return PATTERNS[notation].fullmatch(bare) is not None


def is_near(output: Amount, expected: Amount, absolute: float = 0.0, relative: float = 0.0) -> bool:
    """Return whether two numbers are the same within the wider of two tolerances.

    Args:
        output: The number to judge.
        expected: What it should be.
        absolute: How far they may lie apart.
        relative: How far they may lie apart, as a share (0-1) of the expected number.
    """
    reach = max(Decimal(str(absolute)), Decimal(str(relative)) * abs(expected.value))
    return abs(output.value - expected.value) <= reach


def in_unit(amount: Amount, unit: str) -> Amount | None:
    """Return a number in another unit; None where its own is of another kind or was not written.

    >>> in_unit(Amount(Decimal("1.5"), "kg"), "g").value == 1500
    True
    """
    wanted = canonical_unit(unit)
    if amount.unit == wanted:
        return amount
    row = next((row for row in UNITS if wanted in row and amount.unit in row), None)
    return Amount(amount.value * row[amount.unit] / row[wanted], wanted) if row else None


def canonical_unit(unit: str) -> str:
    """Return the name by which a unit is known: in lower case, a currency sign as its code."""
    folded = unit.strip().casefold()
    return CURRENCIES.get(folded, folded)


def _row(**factors: str) -> dict[str, Decimal]:
    return {name: Decimal(factor) for name, factor in factors.items()}


UNITS = (
    _row(mg="0.001", g="1", kg="1000", t="1000000", oz="28.349523125", lb="453.59237"),
    _row(mm="1", cm="10", m="1000", km="1000000", ft="304.8", mi="1609344") | {"in": Decimal("25.4")},
    _row(ml="1", cl="10", dl="100", l="1000", hl="100000"),
    _row(ms="0.001", s="1", sec="1", second="1", seconds="1", min="60", minute="60", minutes="60")
    | _row(h="3600", hour="3600", hours="3600", day="86400", days="86400", week="604800", weeks="604800"),
    _row(month="1", months="1", year="12", years="12"),
    _row(kb="1", mb="1000", gb="1000000", tb="1000000000"),
    _row(wh="1", kwh="1000", mwh="1000000"),
    _row(percent="1", prozent="1", pct="1", bp="0.01", bps="0.01")
    | {"%": Decimal(1), "per cent": Decimal(1)},
)
"""Units that turn into each other, a row for each kind, with how many of the row's smallest one each is."""

MAGNITUDES = {
    **dict.fromkeys(("thousand", "tausend"), Decimal(1_000)),
    **dict.fromkeys(("million", "millions", "millionen", "mio", "mln"), Decimal(1_000_000)),
    **dict.fromkeys(("billion", "bn", "milliarde", "milliarden", "mrd"), Decimal(1_000_000_000)),
}

GAPS = "\u00a0\u2009\u202f'’"  # noqa: RUF001 - apostrophes between thousands
SIGN = r"(?<![\w.,)])[-−–]"  # noqa: RUF001 - a minus, and a dash that serves as one
CURRENCY = rf"[{''.join(sign for sign in CURRENCIES if len(sign) == 1)}]"
CURRENCY += r"|\b(?:usd|eur|gbp|chf|jpy|pln|czk|sek|nok|dkk|inr|cny|aud|cad)\b"


def _pattern(digits: str) -> re.Pattern[str]:
    return re.compile(
        rf"""
        (?P<open>\()?
        (?P<minus>{SIGN})? (?:(?P<currency>{CURRENCY})\s?)? (?P<inner_minus>{SIGN})?
        (?<!\w)(?P<number>{digits}|\d+(?:[.,]\d+)?|(?<!\d)\.\d+)(?P<power>e[-+]?\d{{1,2}}\b)?
        (?:\s?(?P<magnitude>{"|".join(MAGNITUDES)})\b\.?)?
        (?:\s?(?P<unit>{CURRENCY}|per[ ]cent\b|%|°?[^\W\d_]+(?:/[^\W\d_]+)?\b[²³]?))?
        (?P<close>\))?
        """,
        re.VERBOSE,
    )


PATTERNS: dict[Notation, re.Pattern[str]] = {
    "point": _pattern(rf"\d{{1,3}}(?:[.,{GAPS}]\d{{3}})+(?!\d)(?:[.,]\d+)?"),
    "comma": _pattern(rf"\d{{1,3}}(?:[.,{GAPS} ]\d{{3}})+(?!\d)(?:[.,]\d+)?"),
}


def _amount(found: re.Match[str], notation: Notation) -> Amount:
    value = Decimal(_plain(found["number"], notation) + (found["power"] or ""))
    value *= MAGNITUDES.get(found["magnitude"] or "", Decimal(1))
    if found["minus"] or found["inner_minus"] or (found["open"] and found["close"]):
        value = -value
    return Amount(value, canonical_unit(found["currency"] or found["unit"] or ""))


def _plain(digits: str, notation: Notation) -> str:
    """Write digits with a point before the decimals and nothing between thousands."""
    compact = re.sub(rf"[{GAPS}\s]", "", digits)
    mark = _decimal_mark(compact, notation)
    whole, _, decimals = compact.rpartition(mark) if mark else (compact, "", "0")
    return re.sub(r"[.,]", "", whole or "0") + ("." + decimals if mark else "")


def _decimal_mark(digits: str, notation: Notation) -> str | None:
    marks = re.findall(r"[.,]", digits)
    if len(set(marks)) == 2:
        return str(marks[-1])
    if len(marks) != 1:
        return None
    before, _, after = digits.partition(marks[0])
    is_between_thousands = marks[0] == {"point": ",", "comma": "."}[notation]
    return None if is_between_thousands and len(after) == 3 and before.lstrip("0") else str(marks[0])
