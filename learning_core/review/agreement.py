"""How far the annotators of the same items agree, beyond what chance would do, and how well that is known.

Each measure comes as a Statistic: its plain value, or for display an estimate with its interval. Whether an
annotator is right is another question: annotators can share a mistake.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from math import isfinite
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from learning_core import errors
from learning_core.feedback.intervals import Estimate, share

REQUIRED_AGREEMENT = 0.80
"""The share of agreeing pairs from which annotated examples may train a model."""

FEWEST_SHARED_ITEMS = 10
"""Items that must be judged more than once before an agreement is shown."""

FEWEST_TELLING_ITEMS = 3
"""Items that must not all hold one and the same value: with three, 95 % of all resamples have variation."""

RESAMPLES = 1000

_NUMBERS_AT_ONCE = 500_000
_ROUNDING = 1e-9

Value: TypeAlias = str | float
Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

Figures: TypeAlias = Callable[[Floats], Floats]
"""From how often each kind of item occurs (n_resamples, n_kinds) to a measure (n_resamples,), nan where it is
undefined."""


class Judgement(NamedTuple):
    """The value that one annotator gave one item; at most one, and none where the annotator gave none."""

    annotator: str
    item: str
    value: Value


class Level(StrEnum):
    """What the values mean to each other; all but nominal ones are numbers."""

    NOMINAL = "nominal"
    """Two values are the same or not: left, right, tie."""
    ORDINAL = "ordinal"
    """Values have an order, but no distance: ranks, levels of severity."""
    INTERVAL = "interval"
    """Differences between values count: stars, scores."""


class Weighting(StrEnum):
    """How much a disagreement of two annotators weighs; all but equal weights need numbers."""

    EQUAL = "equal"
    LINEAR = "linear"
    QUADRATIC = "quadratic"


class TooLittle(NamedTuple):
    """No figure, and why.

    Attributes:
        reason: What is missing, for the user.
        n: Number of items judged often enough to be compared.
    """

    reason: str
    n: int


@dataclass(frozen=True)
class Items:
    """Items that can be compared; those that hold the same values are one kind.

    A cell is a kind and a value it holds. Counting kinds is what makes 1,000 resamples cheap: to draw items
    with replacement is to draw from a multinomial distribution over their kinds.

    Attributes:
        scale: The distinct values, ascending.
        kinds: For each kind the positions of its values on the scale.
        times: For each kind the number of items of it.
        kind: For each cell its kind.
        position: For each cell the position of its value on the scale.
        count: For each cell how often the kind holds the value.
        size: For each kind how many values it holds.
    """

    scale: list[Value]
    kinds: list[tuple[int, ...]]
    times: Floats
    kind: Integers
    position: Integers
    count: Floats
    size: Floats

    @property
    def n(self) -> int:
        return int(self.times.sum())

    @property
    def telling(self) -> int:
        """Count the items that do not all hold one and the same value."""
        unanimous: Counter[int] = Counter()
        for kind, times in zip(self.kinds, self.times, strict=True):
            if len(set(kind)) == 1:
                unanimous[kind[0]] += int(times)
        return self.n - max(unanimous.values(), default=0)


@dataclass(frozen=True)
class Statistic:
    """A measure of agreement, computable for the items as they are and for resamples of them.

    Attributes:
        items: The items that can be compared.
        judged_by: Who judged them, in words.
        lowest: The lowest value the measure is shown with; 1 is the highest.
        beyond_chance: Whether it is undefined without variation.
        figures: The measure of the items as they are, or of resamples.
    """

    items: Items
    judged_by: str
    lowest: float
    beyond_chance: bool
    figures: Figures

    def value(self) -> float:
        """Compute the measure; raise NotEnoughData where it is undefined."""
        if not self.items.n:
            raise errors.NotEnoughData(f"No item was judged by {self.judged_by}.")
        value = float(self.figures(self.items.times[np.newaxis])[0])
        if np.isnan(value):
            raise errors.NotEnoughData("All values are the same: agreement beyond chance is undefined.")
        return value

    def estimate(self, rng: np.random.Generator, confidence: float = 0.95) -> Estimate | TooLittle:
        """Estimate the measure with a percentile interval from resampled items, or say why not.

        Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13. Items are drawn with
        replacement, each with all its values; resamples without variation are left out. The annotators stay
        the same: the interval is about other items, not about other annotators. Where all resamples give the
        same figure, as for perfect agreement, an interval would have no width; it then reaches as far from
        the value as Wilson's interval does for n items of n.

        In 400 simulated sets each of three annotators and two or three values, intervals for 95 % held the
        true figure in at least 90 % from 50 items on and in at least 85 % with 10 or 20; where nine of ten
        values were the same, those of alpha and kappa with 10 or 20 items only in about 75 %.

        Returns:
            The value, its interval and the number of items; with fewer than FEWEST_SHARED_ITEMS items, or
            hardly any variation (FEWEST_TELLING_ITEMS), the reason in their place.
        """
        n = self.items.n
        if n < FEWEST_SHARED_ITEMS:
            return TooLittle(f"Items judged by {self.judged_by}: {n} of the {FEWEST_SHARED_ITEMS} needed.", n)
        if self.beyond_chance and self.items.telling < FEWEST_TELLING_ITEMS:
            return TooLittle("Nearly all values are the same: agreement beyond chance cannot be told.", n)
        value, resampled = self.value(), self._resample(rng)
        low, high = (
            float(end) for end in np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
        )
        alike = share(n, n, confidence)
        if alike and np.ptp(resampled) <= _ROUNDING:
            reach = 1 - alike.low
            low, high = max(value - reach, self.lowest), min(value + reach, 1.0)
        return Estimate(value, min(low, value), max(high, value), n)

    def _resample(self, rng: np.random.Generator) -> Floats:
        n, chances = self.items.n, self.items.times / self.items.n
        at_once = max(1, _NUMBERS_AT_ONCE // len(self.items.kind))
        figures = [
            self.figures(rng.multinomial(n, chances, size=min(at_once, RESAMPLES - done)).astype(np.float64))
            for done in range(0, RESAMPLES, at_once)
        ]
        resampled = np.concatenate(figures)
        return resampled[~np.isnan(resampled)]


def percent_agreement(judgements: Iterable[Judgement], tolerance: float = 0.0) -> Statistic:
    """Take the share (0-1) of agreeing pairs among all pairs of values for the same item.

    Chance is not taken off: two annotators who toss coins agree on half of all yes-no questions.

    Args:
        judgements: Items with fewer than two values are left out.
        tolerance: How far two numbers may lie apart and still agree.

    >>> stars = [Judgement("Ann", "a", 4), Judgement("Ben", "a", 5), Judgement("Cem", "a", 5)]
    >>> round(percent_agreement(stars).value(), 3), percent_agreement(stars, tolerance=1).value()
    (0.333, 1.0)
    """
    return _percent_agreement(_shared_items(judgements), tolerance, "at least two annotators")


def cohen_kappa(
    first: Mapping[str, Value], second: Mapping[str, Value], weighting: Weighting = Weighting.EQUAL
) -> Statistic:
    """Take Cohen's kappa of two annotators over the items that both judged.

    Cohen (1960), "A coefficient of agreement for nominal scales", Educational and Psychological Measurement
    20, 37-46, and with weights Cohen (1968), "Weighted kappa", Psychological Bulletin 70, 213-220:
    kappa = 1 - sum v_ij o_ij / sum v_ij e_ij, where o_ij is the share of items with i from the first and j
    from the second annotator, e_ij the product of their shares, and v_ij is 1 for i != j, |i - j| (linear) or
    (i - j)^2 (quadratic).

    Args:
        first: Item to value.
        second: Item to value.
        weighting: What a disagreement weighs.

    >>> ann = {"a": "yes", "b": "yes", "c": "no", "d": "no"}
    >>> cohen_kappa(ann, {**ann, "b": "no"}).value()
    0.5
    """
    items = _items((first[item], second[item]) for item in first.keys() & second.keys())
    n_values = len(items.scale)
    left, right = (np.array([kind[side] for kind in items.kinds], dtype=np.int64) for side in (0, 1))
    points = np.arange(n_values, dtype=np.float64) if weighting is Weighting.EQUAL else _numbers(items.scale)
    differing = _weigh(points[left] - points[right], weighting)

    def figures(times: Floats) -> Floats:
        n = times.sum(axis=1)
        lefts, rights = _sum_by(times, left, n_values), _sum_by(times, right, n_values)
        expected = _expected_weight(lefts, rights, points, weighting) / n
        return _beyond_chance(times @ differing, expected, lefts + rights)

    return Statistic(items, "both annotators", -1.0, True, figures)


def fleiss_kappa(judgements: Iterable[Judgement]) -> Statistic:
    """Take Fleiss' kappa: nominal agreement of a fixed number of annotators, not always the same ones.

    Fleiss (1971), "Measuring nominal scale agreement among many raters", Psychological Bulletin 76, 378-382:
    kappa = (P - P_e) / (1 - P_e), where P is the mean share of agreeing pairs in an item and P_e the sum of
    the squared shares of the values.

    Args:
        judgements: The number of values that most items have counts (of equally frequent ones the larger);
            items with another number are left out. Krippendorff's alpha can use them.
    """
    values = _values_by_item(judgements)
    sizes = Counter(len(kind) for kind in values)
    size = max(sizes, key=lambda number: (sizes[number], number), default=0)
    items = _items(kind for kind in values if len(kind) == size)
    differing = 1 - (_square_sums(items) - size) / (size * (size - 1)) if size else items.size

    def figures(times: Floats) -> Floats:
        totals = _totals(items, times)
        n = totals.sum(axis=1)
        expected = 1 - (totals**2).sum(axis=1) / n**2
        return _beyond_chance(times @ differing / times.sum(axis=1), expected, totals)

    judged_by = f"exactly {size} annotators" if size else "at least two annotators"
    return Statistic(items, judged_by, -1.0, True, figures)


def krippendorff_alpha(judgements: Iterable[Judgement], level: Level) -> Statistic:
    """Take Krippendorff's alpha: agreement of any number of annotators, with values missing anywhere.

    Krippendorff (2011), "Computing Krippendorff's alpha-reliability", University of Pennsylvania:
    alpha = 1 - (n - 1) sum o_ck d_ck^2 / sum n_c n_k d_ck^2 over all pairs of values c, k, where o is the
    matrix of coincidences within items, a pair in an item of m values counting 1 / (m - 1), n_c how often c
    occurs and n the number of values, those alone in their item left out. The distance d is 1 between any two
    nominal values and c - k between numbers. Between ordinal ones it is the number of values between them,
    half of their own included: the distance of their mean ranks, so that only sums over items are needed and
    never the matrix.

    >>> votes = [("Ann", "a", "tie"), ("Ben", "a", "tie"), ("Ann", "b", "left"), ("Cem", "b", "tie")]
    >>> krippendorff_alpha([Judgement(*vote) for vote in votes], Level.NOMINAL).value()
    0.0
    """
    items = _shared_items(judgements)
    if level is Level.NOMINAL:
        figures = _alpha_of_names(items)
    elif level is Level.ORDINAL:
        figures = _alpha_of_ranks(items)
    else:
        figures = _alpha_of_numbers(items)
    return Statistic(items, "at least two annotators", -1.0, True, figures)


class PairAgreement(NamedTuple):
    """How far two annotators agree on the items that both judged; n of either figure counts these."""

    first: str
    second: str
    percent: Estimate | TooLittle
    kappa: Estimate | TooLittle


def pairwise(
    judgements: Iterable[Judgement],
    rng: np.random.Generator,
    tolerance: float = 0.0,
    weighting: Weighting = Weighting.EQUAL,
) -> list[PairAgreement]:
    """Compare every two annotators by percent agreement and Cohen's kappa, in the order of their names."""
    judged: defaultdict[str, dict[str, Value]] = defaultdict(dict)
    for annotator, item, value in judgements:
        _give(judged[annotator], item, value)
    pairs = []
    for first, second in combinations(sorted(judged), 2):
        kappa = cohen_kappa(judged[first], judged[second], weighting)
        percent = _percent_agreement(kappa.items, tolerance, kappa.judged_by)
        pairs.append(PairAgreement(first, second, percent.estimate(rng), kappa.estimate(rng)))
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


def check_gate(agreement: Estimate | TooLittle, required: float = REQUIRED_AGREEMENT) -> GateResult:
    """Compare the value, not its interval, with the least agreement required.

    >>> check_gate(Estimate(0.83, 0.76, 0.89, n=120)).outcome.value
    'passed'
    """
    if isinstance(agreement, TooLittle):
        return GateResult(Outcome.NOT_ENOUGH_DATA, False)
    if agreement.value >= required:
        return GateResult(Outcome.PASSED, agreement.low >= required)
    return GateResult(Outcome.FAILED, agreement.high < required)


def _alpha_of_names(items: Items) -> Figures:
    within = (items.size**2 - _square_sums(items)) / (items.size - 1)

    def figures(times: Floats) -> Floats:
        totals = _totals(items, times)
        n = totals.sum(axis=1)
        expected = (n**2 - (totals**2).sum(axis=1)) / (n - 1)
        return _beyond_chance(times @ within, expected, totals)

    return figures


def _alpha_of_ranks(items: Items) -> Figures:
    _numbers(items.scale)

    def figures(times: Floats) -> Floats:
        totals = _totals(items, times)
        n = totals.sum(axis=1)
        mean_ranks = totals.cumsum(axis=1) - totals / 2
        observed = (times * _squares_within(items, mean_ranks)).sum(axis=1)
        return _beyond_chance(observed, n / (n - 1) * _squares(totals, mean_ranks), totals)

    return figures


def _alpha_of_numbers(items: Items) -> Figures:
    numbers = _numbers(items.scale)[np.newaxis]
    within = _squares_within(items, numbers)[0]

    def figures(times: Floats) -> Floats:
        totals = _totals(items, times)
        n = totals.sum(axis=1)
        return _beyond_chance(times @ within, n / (n - 1) * _squares(totals, numbers), totals)

    return figures


def _percent_agreement(items: Items, tolerance: float, judged_by: str) -> Statistic:
    agreeing, pairs = _agreeing_pairs(items, tolerance), items.size * (items.size - 1) / 2

    def figures(times: Floats) -> Floats:
        shares: Floats = (times @ agreeing) / (times @ pairs)
        return shares

    return Statistic(items, judged_by, 0.0, False, figures)


def _agreeing_pairs(items: Items, tolerance: float) -> Floats:
    if not tolerance:
        same: Floats = (_square_sums(items) - items.size) / 2
        return same
    numbers, reach = _numbers(items.scale), tolerance + _ROUNDING
    agreeing = []
    for kind in items.kinds:
        values = np.sort(numbers[list(kind)])
        within = np.searchsorted(values, values + reach, side="right") - np.arange(1, len(values) + 1)
        agreeing.append(within.sum())
    return np.array(agreeing, dtype=np.float64)


def _give(values: dict[str, Value], key: str, value: Value) -> None:
    if key in values:
        raise ValueError(f"two values for {key!r}; an annotator judges an item once")
    if not isinstance(value, str) and not isfinite(value):
        raise ValueError(f"{value} is no value; leave out what was not judged")
    values[key] = value


def _order(value: Value) -> tuple[bool, Value]:
    return isinstance(value, str), value


def _numbers(scale: Sequence[Value]) -> Floats:
    numbers = [value for value in scale if not isinstance(value, str)]
    if len(numbers) < len(scale):
        raise ValueError("distances need numbers, not text")
    return np.array(numbers, dtype=np.float64)


def _values_by_item(judgements: Iterable[Judgement]) -> list[tuple[Value, ...]]:
    judged: defaultdict[str, dict[str, Value]] = defaultdict(dict)
    for annotator, item, value in judgements:
        _give(judged[item], annotator, value)
    return [tuple(sorted(values.values(), key=_order)) for values in judged.values() if len(values) > 1]


def _shared_items(judgements: Iterable[Judgement]) -> Items:
    return _items(_values_by_item(judgements))


def _items(values_by_item: Iterable[tuple[Value, ...]]) -> Items:
    alike = Counter(values_by_item)
    scale = sorted({value for values in alike for value in values}, key=_order)
    positions = {value: position for position, value in enumerate(scale)}
    times_of = {tuple(positions[value] for value in values): times for values, times in alike.items()}
    kinds = sorted(times_of)
    size = np.array([len(kind) for kind in kinds], dtype=np.int64)
    held = np.array([position for kind in kinds for position in kind], dtype=np.int64)
    cells, count = np.unique(np.repeat(np.arange(len(kinds)), size) * len(scale) + held, return_counts=True)
    return Items(
        scale=scale,
        kinds=kinds,
        times=np.array([times_of[kind] for kind in kinds], dtype=np.float64),
        kind=cells // max(len(scale), 1),
        position=cells % max(len(scale), 1),
        count=count.astype(np.float64),
        size=size.astype(np.float64),
    )


def _sum_by(parts: Floats, group: Integers, n_groups: int) -> Floats:
    """Sum the columns of the same group: from (n_rows, n_columns) to (n_rows, n_groups)."""
    target = np.arange(len(parts))[:, np.newaxis] * n_groups + group
    sums: Floats = np.bincount(target.ravel(), parts.ravel(), len(parts) * n_groups).astype(
        np.float64, copy=False
    )
    return sums.reshape(len(parts), n_groups)


def _totals(items: Items, times: Floats) -> Floats:
    """Count each value in each resample: (n_resamples, n_values)."""
    return _sum_by(times[:, items.kind] * items.count, items.position, len(items.scale))


def _square_sums(items: Items) -> Floats:
    sums: Floats = _sum_by(items.count[np.newaxis] ** 2, items.kind, len(items.kinds))[0]
    return sums


def _squares_within(items: Items, points: Floats) -> Floats:
    """Sum the squared distances in each kind, over pairs and divided by m - 1: (n_resamples, n_kinds).

    Half of the sum over ordered pairs is m times the sum of the squared distances from the mean; taken from
    the mean, equal values have no distance at all, without cancellation.
    """
    held, n_kinds = points[:, items.position], len(items.kinds)
    means = _sum_by(held * items.count, items.kind, n_kinds) / items.size
    squares = _sum_by((held - means[:, items.kind]) ** 2 * items.count, items.kind, n_kinds)
    within: Floats = items.size / (items.size - 1) * squares
    return within


def _squares(totals: Floats, points: Floats) -> Floats:
    means = (totals * points).sum(axis=1, keepdims=True) / totals.sum(axis=1, keepdims=True)
    squares: Floats = (totals * (points - means) ** 2).sum(axis=1)
    return squares


def _weigh(distances: Floats, weighting: Weighting) -> Floats:
    match weighting:
        case Weighting.EQUAL:
            weights: Floats = (distances != 0).astype(np.float64)
        case Weighting.LINEAR:
            weights = np.abs(distances)
        case Weighting.QUADRATIC:
            weights = distances**2
    return weights


def _expected_weight(lefts: Floats, rights: Floats, points: Floats, weighting: Weighting) -> Floats:
    """Sum the weights of all pairs of one left and one right value, without forming the pairs."""
    n = lefts.sum(axis=1)
    match weighting:
        case Weighting.EQUAL:
            expected: Floats = n**2 - (lefts * rights).sum(axis=1)
        case Weighting.LINEAR:
            # A step of the scale lies between the two values of a pair if one is below it and one above.
            below_left, below_right = lefts.cumsum(axis=1)[:, :-1], rights.cumsum(axis=1)[:, :-1]
            above_left, above_right = n[:, np.newaxis] - below_left, n[:, np.newaxis] - below_right
            expected = (below_left * above_right + above_left * below_right) @ np.diff(points)
        case Weighting.QUADRATIC:
            means = (lefts @ points - rights @ points) / n
            expected = n * (_squares(lefts, points) + _squares(rights, points)) + (n * means) ** 2
    return expected


def _beyond_chance(observed: Floats, expected: Floats, totals: Floats) -> Floats:
    """Take 1 - observed / expected; nan where all values are the same, so that nothing else was expected."""
    varied = (totals > 0).sum(axis=1) > 1
    undefined = np.full(len(totals), np.nan)
    figures: Floats = 1 - np.divide(observed, expected, out=undefined, where=varied)
    return figures
