"""Numbers are found and compared as people write them."""

import doctest
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_core.evaluation import numbers
from learning_core.evaluation.numbers import Amount, amounts, in_unit, is_near, is_number


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("1,234.56", "1234.56", ""),
        ("1.234,56", "1234.56", ""),
        ("1,234", "1234", ""),
        ("0,125", "0.125", ""),
        ("12,5", "12.5", ""),
        ("1,234,567", "1234567", ""),
        ("1.234.567,8", "1234567.8", ""),
        ("1'234.50", "1234.50", ""),
        ("1\u202f234\u202f567", "1234567", ""),
        ("-5", "-5", ""),
        ("\u22123.5 %", "-3.5", "%"),
        ("(1,234.50)", "-1234.50", ""),
        ("($1,234)", "-1234", "usd"),
        ("-$5", "-5", "usd"),
        ("EUR 1.500,00", "1500.00", "eur"),
        ("5 €", "5", "eur"),
        ("2.5 million dollars", "2500000.0", "usd"),
        ("3,5 Mio. EUR", "3500000.0", "eur"),
        ("1e5", "1E+5", ""),
        (".5", "0.5", ""),
        ("100 km/h", "100", "km/h"),
        ("20 °C", "20", "°c"),
    ],
)
def test_a_number_is_read_as_it_is_written(text, value, unit):
    assert amounts(text) == [Amount(Decimal(value), unit)]
    assert is_number(text)


@pytest.mark.parametrize(("text", "value"), [("1.234", "1234"), ("1,234", "1.234"), ("1 234,5", "1234.5")])
def test_with_a_decimal_comma_the_marks_change_places(text, value):
    assert [str(amount.value) for amount in amounts(text, "comma")] == [value]


def test_ranges_dates_and_names_are_no_negative_numbers():
    assert [amount.value for amount in amounts("10-20")] == [10, 20]
    assert [amount.value for amount in amounts("2024-05-10")] == [2024, 5, 10]
    assert amounts("form A4, H2O") == []


@pytest.mark.parametrize("text", ["", "ten", "10 May 2024", "see 5", "1 and 2"])
def test_what_is_more_than_one_number_is_no_number(text):
    assert not is_number(text)


@pytest.mark.parametrize(
    ("amount", "unit", "value"),
    [
        (Amount(Decimal("1.5"), "kg"), "g", 1500),
        (Amount(Decimal(90), "min"), "h", Decimal("1.5")),
        (Amount(Decimal(2), "years"), "months", 24),
        (Amount(Decimal(5), "usd"), "$", 5),
        (Amount(Decimal(5), "apples"), "apples", 5),
    ],
)
def test_units_of_one_kind_turn_into_each_other(amount, unit, value):
    assert in_unit(amount, unit).value == value


@pytest.mark.parametrize("unit", ["s", "eur", "apples"])
def test_units_of_different_kinds_do_not(unit):
    assert in_unit(Amount(Decimal(1), "kg"), unit) is None
    assert in_unit(Amount(Decimal(1), ""), unit) is None


def test_a_tolerance_may_be_absolute_or_a_share_of_the_expected():
    expected = Amount(Decimal(200), "")
    assert is_near(Amount(Decimal(201), ""), expected, absolute=1)
    assert not is_near(Amount(Decimal("201.01"), ""), expected, absolute=1)
    assert is_near(Amount(Decimal(202), ""), expected, relative=0.01)
    assert not is_near(Amount(Decimal("202.1"), ""), expected, relative=0.01)


def test_nobody_waits_for_a_number_of_endless_digits():
    assert amounts("1" * 20_000) == []


@given(st.decimals(-(10**9), 10**9, places=2))
def test_a_number_written_in_any_usual_way_is_read_back(value):
    english = f"{value:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    swiss = english.replace(",", "'")
    for text, notation in ((english, "point"), (german, "comma"), (swiss, "point"), (f"{value}", "point")):
        assert [amount.value for amount in amounts(text, notation)] == [value]


@given(st.text())
def test_any_text_can_be_looked_through(text):
    for amount in amounts(text) + amounts(text, "comma"):
        assert amount.value.is_finite()


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(numbers).failed == 0
