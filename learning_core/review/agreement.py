"""How far the annotators of the same items agree, beyond what chance would do, and whether that is enough.

Each measure comes as a Statistic: its plain value, or for display an estimate with its interval. Whether an
annotator is right is another question: annotators can share a mistake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from itertools import combinations
from typing import NamedTuple, TypeAlias

import numpy as np

from learning_core.feedback.intervals import Estimate
from learning_core.review import tallies
from learning_core.review.bootstrap import ROUNDING, Figures, Statistic, TooLittle
from learning_core.review.tallies import Floats, Opinion, Tally, Value

Kappa: TypeAlias = Callable[[Mapping[str, Value], Mapping[str, Value]], Statistic]
"""From what each of two annotators said, item to value, to how far they agree."""


class Level(StrEnum):
    """What the values mean to each other; all but nominal ones are numbers."""

    NOMINAL = "nominal"
    """Two values are the same or not: left, right, tie."""
    ORDINAL = "ordinal"
    """Values have an order, but no distance: ranks, levels of severity."""
    INTERVAL = "interval"
    """Differences between values count: stars, scores."""


def percent_agreement(opinions: Iterable[Opinion], tolerance: float = 0.0) -> Statistic:
    """Take the share (0-1) of agreeing pairs among all pairs of values for the same item.

    Chance is not taken off: two annotators who toss coins agree on half of all yes-no questions.

    Args:
        opinions: Items with fewer than two values are left out.
        tolerance: How far two numbers may lie apart and still agree.

    >>> stars = [Opinion("Ann", "a", 4), Opinion("Ben", "a", 5), Opinion("Cem", "a", 5)]
    >>> round(percent_agreement(stars).value(), 3), percent_agreement(stars, tolerance=1).value()
    (0.333, 1.0)
    """
    return _percent_agreement(tallies.of_shared_items(opinions), tolerance, "at least two annotators")


def cohen_kappa(first: Mapping[str, Value], second: Mapping[str, Value]) -> Statistic:
    """Take Cohen's kappa of two annotators over the items that both judged.

    Cohen (1960), "A coefficient of agreement for nominal scales", Educational and Psychological Measurement
    20, 37-46: kappa = (p_o - p_e) / (1 - p_e), where p_o is the share of items with the same value from both
    and p_e the sum over all values of the product of their shares.

    Args:
        first: Item to value.
        second: Item to value.

    >>> ann = {"a": "yes", "b": "yes", "c": "no", "d": "no"}
    >>> cohen_kappa(ann, {**ann, "b": "no"}).value()
    0.5
    """
    tally = _of_both(first, second)
    differing = (tally.positions_of(0) != tally.positions_of(1)).astype(np.float64)

    def figures(times: Floats) -> Floats:
        n, firsts, seconds = times.sum(axis=1), tally.totals_of(0, times), tally.totals_of(1, times)
        expected = n - (firsts * seconds).sum(axis=1) / n
        return _beyond_chance(times @ differing, expected, firsts + seconds)

    return Statistic(tally, "both annotators", -1.0, True, figures)


def weighted_kappa(first: Mapping[str, Value], second: Mapping[str, Value]) -> Statistic:
    """Take Cohen's weighted kappa of two annotators, to whom a difference counts by its square.

    Cohen (1968), "Weighted kappa", Psychological Bulletin 70, 213-220: kappa = 1 - sum v_ij o_ij /
    sum v_ij e_ij, where o_ij is the share of items with i from the first and j from the second annotator,
    e_ij the product of their shares, and v_ij here (i - j)^2.

    Args:
        first: Item to number.
        second: Item to number.
    """
    tally = _of_both(first, second)
    numbers = tally.numbers()
    differing = (numbers[tally.positions_of(0)] - numbers[tally.positions_of(1)]) ** 2

    def figures(times: Floats) -> Floats:
        n, firsts, seconds = times.sum(axis=1), tally.totals_of(0, times), tally.totals_of(1, times)
        apart = (firsts @ numbers - seconds @ numbers) / n
        expected = _squares(firsts, numbers) + _squares(seconds, numbers) + n * apart**2
        return _beyond_chance(times @ differing, expected, firsts + seconds)

    return Statistic(tally, "both annotators", -1.0, True, figures)


def fleiss_kappa(opinions: Iterable[Opinion]) -> Statistic:
    """Take Fleiss' kappa: nominal agreement of a fixed number of annotators, not always the same ones.

    Fleiss (1971), "Measuring nominal scale agreement among many raters", Psychological Bulletin 76, 378-382:
    kappa = (P - P_e) / (1 - P_e), where P is the mean share of agreeing pairs in an item and P_e the sum of
    the squared shares of the values.

    Args:
        opinions: The number of values that most items have counts (of equally frequent ones the larger);
            items with another number are left out. Krippendorff's alpha can use them.
    """
    values = tallies.values_of_shared_items(opinions)
    sizes = Counter(len(of_one) for of_one in values)
    size = max(sizes, key=lambda number: (sizes[number], number), default=0)
    tally = tallies.of_values(of_one for of_one in values if len(of_one) == size)
    differing = 1 - (tally.square_sums() - size) / (size * (size - 1)) if size else tally.size

    def figures(times: Floats) -> Floats:
        totals = tally.totals(times)
        n = totals.sum(axis=1)
        expected = 1 - (totals**2).sum(axis=1) / n**2
        return _beyond_chance(times @ differing / times.sum(axis=1), expected, totals)

    judged_by = f"exactly {size} annotators" if size else "at least two annotators"
    return Statistic(tally, judged_by, -1.0, True, figures)


def krippendorff_alpha(opinions: Iterable[Opinion], level: Level) -> Statistic:
    """Take Krippendorff's alpha: agreement of any number of annotators, with values missing anywhere.

    Krippendorff (2011), "Computing Krippendorff's alpha-reliability", University of Pennsylvania:
    alpha = 1 - (n - 1) sum o_ck d_ck^2 / sum n_c n_k d_ck^2 over all pairs of values c, k, where o is the
    matrix of coincidences within items, a pair in an item of m values counting 1 / (m - 1), n_c how often c
    occurs and n the number of values, those alone in their item left out. The distance d is 1 between any two
    nominal values and c - k between numbers. Between ordinal ones it is the number of values between them,
    half of their own included: the distance of their mean ranks, so that only sums over items are needed and
    never the matrix.

    >>> votes = [("Ann", "a", "tie"), ("Ben", "a", "tie"), ("Ann", "b", "left"), ("Cem", "b", "tie")]
    >>> krippendorff_alpha([Opinion(*vote) for vote in votes], Level.NOMINAL).value()
    0.0
    """
    tally = tallies.of_shared_items(opinions)
    if level is Level.NOMINAL:
        figures = _alpha_of_names(tally)
    elif level is Level.ORDINAL:
        figures = _alpha_of_ranks(tally)
    else:
        figures = _alpha_of_numbers(tally)
    return Statistic(tally, "at least two annotators", -1.0, True, figures)


class PairAgreement(NamedTuple):
    """How far two annotators agree on the items that both judged; n of either figure counts these."""

    first: str
    second: str
    percent: Estimate | TooLittle
    kappa: Estimate | TooLittle


def pairwise(
    opinions: Iterable[Opinion], rng: np.random.Generator, tolerance: float = 0.0, kappa: Kappa = cohen_kappa
) -> list[PairAgreement]:
    """Compare every two annotators by percent agreement and a kappa, in the order of their names.

    Args:
        opinions: At most one of each annotator about each item.
        rng: Where the intervals' resamples come from.
        tolerance: How far two numbers may lie apart and still agree, by percent agreement.
        kappa: `cohen_kappa` or `weighted_kappa`.
    """
    said = tallies.by_annotator(opinions)
    pairs = []
    for first, second in combinations(sorted(said), 2):
        beyond_chance = kappa(said[first], said[second])
        percent = _percent_agreement(beyond_chance.tally, tolerance, beyond_chance.judged_by)
        pairs.append(PairAgreement(first, second, percent.estimate(rng), beyond_chance.estimate(rng)))
    return pairs


class Outcome(StrEnum):
    """How an agreement compares with what is required."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_ENOUGH_DATA = "not enough data"


class GateResult(NamedTuple):
    """The outcome, and whether it is beyond doubt: the whole interval lies on the same side."""

    outcome: Outcome
    beyond_doubt: bool


def check_gate(agreement: Estimate | TooLittle, required: float) -> GateResult:
    """Compare the value, not its interval, with the least agreement required.

    >>> check_gate(Estimate(0.83, 0.76, 0.89, n=120), required=0.8).outcome.value
    'passed'
    """
    if isinstance(agreement, TooLittle):
        return GateResult(Outcome.NOT_ENOUGH_DATA, False)
    if agreement.value >= required:
        return GateResult(Outcome.PASSED, agreement.low >= required)
    return GateResult(Outcome.FAILED, agreement.high < required)


def _of_both(first: Mapping[str, Value], second: Mapping[str, Value]) -> Tally:
    return tallies.of_values((first[item], second[item]) for item in first.keys() & second.keys())


def _percent_agreement(tally: Tally, tolerance: float, judged_by: str) -> Statistic:
    agreeing, pairs = _agreeing_pairs(tally, tolerance), tally.size * (tally.size - 1) / 2

    def figures(times: Floats) -> Floats:
        shares: Floats = (times @ agreeing) / (times @ pairs)
        return shares

    return Statistic(tally, judged_by, 0.0, False, figures)


def _agreeing_pairs(tally: Tally, tolerance: float) -> Floats:
    if not tolerance:
        same: Floats = (tally.square_sums() - tally.size) / 2
        return same
    numbers, reach = tally.numbers(), tolerance + ROUNDING
    agreeing = []
    for kind in tally.kinds:
        values = np.sort(numbers[list(kind)])
        within = np.searchsorted(values, values + reach, side="right") - np.arange(1, len(values) + 1)
        agreeing.append(within.sum())
    return np.array(agreeing, dtype=np.float64)


def _alpha_of_names(tally: Tally) -> Figures:
    within = (tally.size**2 - tally.square_sums()) / (tally.size - 1)

    def figures(times: Floats) -> Floats:
        totals = tally.totals(times)
        n = totals.sum(axis=1)
        expected = (n**2 - (totals**2).sum(axis=1)) / (n - 1)
        return _beyond_chance(times @ within, expected, totals)

    return figures


def _alpha_of_ranks(tally: Tally) -> Figures:
    tally.numbers()  # text has no order

    def figures(times: Floats) -> Floats:
        totals = tally.totals(times)
        n = totals.sum(axis=1)
        mean_ranks = totals.cumsum(axis=1) - totals / 2
        observed = (times * tally.squares_within(mean_ranks)).sum(axis=1)
        return _beyond_chance(observed, n / (n - 1) * _squares(totals, mean_ranks), totals)

    return figures


def _alpha_of_numbers(tally: Tally) -> Figures:
    numbers = tally.numbers()[np.newaxis]
    within = tally.squares_within(numbers)[0]

    def figures(times: Floats) -> Floats:
        totals = tally.totals(times)
        n = totals.sum(axis=1)
        return _beyond_chance(times @ within, n / (n - 1) * _squares(totals, numbers), totals)

    return figures


def _squares(totals: Floats, points: Floats) -> Floats:
    """Sum the squared distances of values from their mean: (n_resamples,)."""
    means = (totals * points).sum(axis=1, keepdims=True) / totals.sum(axis=1, keepdims=True)
    squares: Floats = (totals * (points - means) ** 2).sum(axis=1)
    return squares


def _beyond_chance(observed: Floats, expected: Floats, totals: Floats) -> Floats:
    """Take 1 - observed / expected; nan where all values are the same, so that nothing else was expected."""
    varied = (totals > 0).sum(axis=1) > 1
    undefined = np.full(len(totals), np.nan)
    figures: Floats = 1 - np.divide(observed, expected, out=undefined, where=varied)
    return figures
