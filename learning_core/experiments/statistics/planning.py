"""How many ratings an experiment needs, what the likeness of one user's ratings costs, and how large it is.

How long that takes with a team's traffic, and how likely a difference is seen by a day, says `power`.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import asin, sqrt
from statistics import NormalDist
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from learning_core.errors import InvalidInput, NotEnoughData

Floats: TypeAlias = NDArray[np.float64]

DEFAULT_ICC = 0.15
"""Where nothing is known yet: ratings of one user in MovieLens-100k, stars (0.154); thumbs there 0.111."""

USUAL_POWER = 0.8


class SampleSize(NamedTuple):
    """Ratings that each variant needs, were all from different users; not rounded."""

    control: float
    treatment: float

    @property
    def both(self) -> float:
        """Return what the two need together."""
        return self.control + self.treatment


# ---------------------------------------------------------------- sample sizes


def variances(base: float, effect: float, sd: float | None = None) -> tuple[float, float]:
    """Return the variance of one rating under the control and under the treatment.

    Args:
        base: The mean under the control; a share (0-1) where no spread is given.
        effect: What the treatment adds.
        sd: Standard deviation of one rating; None for shares, which bring their own.

    >>> control, treatment = variances(0.70, 0.05)
    >>> round(control, 4), round(treatment, 4)
    (0.21, 0.1875)
    """
    if sd is not None:
        if sd <= 0:
            raise InvalidInput("A spread is above 0.", field="sd")
        return sd * sd, sd * sd
    better = base + effect
    if not (0 < base < 1 and 0 < better < 1):
        raise InvalidInput(f"A share of {base:g} cannot become {better:g}.", field="effect")
    return base * (1 - base), better * (1 - better)


def sample_size(
    base: float,
    effect: float,
    sd: float | None = None,
    *,
    treatment_share: float = 0.5,
    significance: float = 0.05,
    power: float = USUAL_POWER,
) -> SampleSize:
    """Return how many ratings of different users one look at the end needs to see an effect.

    n_t = (z_(1-a/2) + z_power)^2 (V_t + V_c n_t / n_c) / effect^2, with the variances not pooled: Fleiss,
    Levin and Paik (2003), "Statistical Methods for Rates and Proportions", 3rd edition, chapter 4, without
    the correction for continuity.

    >>> round(sample_size(0.70, 0.05).treatment)
    1248
    """
    of_control, of_treatment = variances(base, effect, sd)
    ratio = treatment_share / (1 - treatment_share)
    needed = _quantiles(significance, power) ** 2 / _above_nothing(effect) ** 2
    treatment = needed * (of_treatment + of_control * ratio)
    return SampleSize(treatment / ratio, treatment)


def sample_size_pooled(
    base: float, effect: float, *, significance: float = 0.05, power: float = USUAL_POWER
) -> float:
    """Return the ratings per variant where the test itself pools the variance; same source."""
    of_control, of_treatment = variances(base, effect)
    middle = base + effect / 2
    numerator = _upper(significance / 2) * sqrt(2 * middle * (1 - middle)) + _upper(1 - power) * sqrt(
        of_control + of_treatment
    )
    return (numerator / _above_nothing(effect)) ** 2


def sample_size_arcsine(
    base: float, effect: float, *, significance: float = 0.05, power: float = USUAL_POWER
) -> float:
    """Return the ratings per variant from Cohen's h.

    Cohen (1988), "Statistical Power Analysis for the Behavioral Sciences", 2nd edition, chapter 6:
    n = 2 ((z_(1-a/2) + z_power) / h)^2, h = 2 asin(sqrt(p_t)) - 2 asin(sqrt(p_c)).
    """
    variances(base, effect)
    h = 2 * asin(sqrt(base + effect)) - 2 * asin(sqrt(base))
    return 2 * (_quantiles(significance, power) / _above_nothing(h)) ** 2


def sample_size_student(
    effect: float, sd: float, *, significance: float = 0.05, power: float = USUAL_POWER
) -> float:
    """Return the ratings per variant for Student's test: the n at which it has the power asked for.

    The power is that of the noncentral t distribution with 2 (n - 1) degrees of freedom and the
    noncentrality effect / sd * sqrt(n / 2), in the direction of the effect: Cohen (1988), chapter 2.
    """
    from scipy.optimize import brentq  # type: ignore[import-untyped]
    from scipy.stats import nct, t  # type: ignore[import-untyped]

    def lacking(n: float) -> float:
        degrees, away = 2 * (n - 1), abs(effect) / sd * sqrt(n / 2)
        critical = t.isf(significance / 2, degrees)
        return float(nct.sf(critical, degrees, away)) - power

    start = sample_size(0.0, effect, sd, significance=significance, power=power).treatment
    return float(brentq(lacking, max(start, 2.0), 2 * start + 10, xtol=1e-10))


def design_effect(ratings_per_rater: float, spread: float, icc: float) -> float:
    """Return how many times more ratings are needed because users rate more than once.

    1 + ((1 + cv^2) m - 1) ICC: Eldridge, Ashby and Kerry (2006), "Sample size for cluster randomized trials:
    effect of coefficient of variation of cluster size and analysis method", International Journal of
    Epidemiology 35, 1292-1300.

    Args:
        ratings_per_rater: Mean number of ratings of those who rate, m.
        spread: Their coefficient of variation: standard deviation by mean, cv.
        icc: Intra-class correlation of one user's ratings.

    >>> round(design_effect(5, 0, 0.2), 2), round(design_effect(5, 1.2, 0.2), 2)
    (1.8, 3.24)
    """
    return 1 + ((1 + spread**2) * ratings_per_rater - 1) * icc


def _above_nothing(effect: float) -> float:
    if not effect:
        raise InvalidInput("No number of ratings shows an effect of nothing.", field="effect")
    return abs(effect)


def _upper(tail: float) -> float:
    return -NormalDist().inv_cdf(tail)


def _quantiles(significance: float, power: float) -> float:
    if not (0 < significance < 1 and 0 < power < 1):
        raise InvalidInput("Significance and power lie between 0 and 1.", field="power")
    return _upper(significance / 2) + _upper(1 - power)


# ---------------------------------------------------------------- how much alike one user's ratings are


class Raters(NamedTuple):
    """How a group of users rates.

    Attributes:
        raters: How many there are.
        ratings_per_rater: Mean number of ratings of each.
        spread: Coefficient of variation of that number.
        mean: Mean of all ratings.
        sd: Standard deviation of one rating.
        icc: Intra-class correlation, from -1 / (largest number of ratings - 1) to 1.
    """

    raters: int
    ratings_per_rater: float
    spread: float
    mean: float
    sd: float
    icc: float


def raters(n: Iterable[float], s: Iterable[float], ss: Iterable[float] | None = None) -> Raters:
    """Describe how users rate, with the analysis of variance estimator of the intra-class correlation.

    Donner (1986), "A review of inference procedures for the intraclass correlation coefficient in the one-way
    random effects model", International Statistical Review 54, 67-82; for thumbs Ridout, Demetrio and Firth
    (1999), "Estimating intraclass correlation for binary data", Biometrics 55, 137-148:
    (MSB - MSW) / (MSB + (n_0 - 1) MSW), n_0 = (N - sum n_i^2 / N) / (G - 1).

    Args:
        n: Number of ratings of each user; users without any do not count.
        s: Their sum.
        ss: The sum of their squares; None for thumbs, where it is the sum.

    Raises:
        NotEnoughData: with fewer than two raters, nobody who rated twice, or ratings that are all the same.

    >>> found = raters([2, 2, 2], [0, 2, 1])
    >>> round(found.icc, 3)
    0.5
    """
    counts, sums = _array(n), _array(s)
    squares = sums if ss is None else _array(ss)
    rated = counts > 0
    counts, sums, squares = counts[rated], sums[rated], squares[rated]
    groups, total = len(counts), float(counts.sum())
    if groups < 2 or total <= groups:
        raise NotEnoughData("How much alike one user's ratings are shows once users have rated twice.")
    mean = float(sums.sum()) / total
    within = float((squares - sums**2 / counts).sum()) / (total - groups)
    between = float((counts * (sums / counts - mean) ** 2).sum()) / (groups - 1)
    usual = (total - float((counts**2).sum()) / total) / (groups - 1)
    if between + (usual - 1) * within <= 0:
        raise NotEnoughData("All ratings are the same: how much alike those of one user are cannot be told.")
    variance = (float(squares.sum()) - total * mean**2) / (total - 1)
    return Raters(
        groups,
        total / groups,
        float(counts.std() / counts.mean()),
        mean,
        sqrt(max(variance, 0.0)),
        (between - within) / (between + (usual - 1) * within),
    )


def _array(values: Iterable[float]) -> Floats:
    return np.fromiter(values, np.float64)
