"""What failures among answers say about a rate and a limit, however often somebody counts.

All functions take numbers or arrays of any common shape. Counts need not be whole: answers of the same user
are alike, and count for less (`effective`).
"""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning_core.experiments.statistics.moments import Figure, Moments, arm

ALPHA = 0.05
"""How often a rate that is within its limit may ever be taken for one beyond it, by e-value alone."""

LOG_ENOUGH = -log(ALPHA)
"""An e-value of 20, as its logarithm."""

MIXTURE = (1.0, 9.0)
"""Parameters of the beta distribution that e-values mix rates by: most weight below 20 %."""

PRIOR = (1.0, 19.0)
"""The one that the posterior starts from: one failure in twenty."""

SURE = 0.95
"""Posterior probability from which a rate counts as beyond its limit, and from how many answers on."""
SURE_FROM_N = 50


def log_e_above(
    n: ArrayLike, x: ArrayLike, limit: ArrayLike, mixture: tuple[float, float] = MIXTURE
) -> NDArray[np.float64]:
    """Return the logarithm of the e-value that speaks for a rate above a limit.

    The likelihood of the counts, mixed over the rates above the limit by a truncated beta distribution, by
    that at the limit (Robbins, 1970, "Statistical Methods Related to the Law of the Iterated Logarithm",
    Annals of Mathematical Statistics 41, 1397-1409). While the rate is within the limit it is a nonnegative
    supermartingale, so that by Ville's inequality it ever reaches 1 / alpha with probability alpha at most.

    Args:
        n: Answers.
        x: Those that failed.
        limit: The rate (0-1).
        mixture: Parameters of the beta distribution.

    >>> round(float(log_e_above(40, 8, 0.05, mixture=(1, 1))), 4)
    3.7867
    """
    from scipy.special import betaincc  # type: ignore[import-untyped]

    return _log_e(n, x, limit, mixture, betaincc)


def log_e_below(
    n: ArrayLike, x: ArrayLike, limit: ArrayLike, mixture: tuple[float, float] = MIXTURE
) -> NDArray[np.float64]:
    """Return the logarithm of the e-value that speaks for a rate below a limit; see `log_e_above`."""
    from scipy.special import betainc

    return _log_e(n, x, limit, mixture, betainc)


def probability_above(
    n: ArrayLike, x: ArrayLike, limit: ArrayLike, prior: tuple[float, float] = PRIOR
) -> NDArray[np.float64]:
    """Return the posterior probability that the rate is above a limit.

    Unlike an e-value, it may not be looked at as often as one likes.

    >>> round(float(probability_above(200, 18, 0.05, prior=(1, 1))), 4)
    0.9939
    """
    from scipy.special import betaincc

    n, x = np.asarray(n, dtype=float), np.asarray(x, dtype=float)
    return np.asarray(betaincc(prior[0] + x, prior[1] + n - x, limit))


def is_above(n: ArrayLike, x: ArrayLike, limit: ArrayLike) -> NDArray[np.bool_]:
    """Return whether the counts prove a rate above a limit: by e-value at any n, or, once there are enough,
    by a rate above it of which the posterior is sure.
    """
    n, x = np.asarray(n, dtype=float), np.asarray(x, dtype=float)
    surely = (n >= SURE_FROM_N) & (x > n * limit) & (probability_above(n, x, limit) >= SURE)
    return np.asarray((log_e_above(n, x, limit) >= LOG_ENOUGH) | surely)


def is_below(n: ArrayLike, x: ArrayLike, limit: ArrayLike) -> NDArray[np.bool_]:
    """Return whether the counts prove a rate below a limit, at however many looks."""
    return np.asarray(log_e_below(n, x, limit) >= LOG_ENOUGH)


def highest(n: float, x: float) -> float:
    """Return the upper end of the rate's confidence sequence: all limits that `is_below` does not rule out.

    >>> round(highest(0, 0), 3), round(highest(1000, 20), 4)
    (1.0, 0.0356)
    """
    low, high = x / n if n > 0 else 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if is_below(n, x, middle):
            high = middle
        else:
            low = middle
    return high


def drifts(n: ArrayLike, x: ArrayLike, limit: float, alpha: float) -> bool:
    """Return whether a rate has come to lie above a limit at some moment after the start.

    A long good record hides a bad day: evidence since the start weighs both. So it is also taken since each
    of several later moments, and their e-values are averaged with the weights 1 / (j (j + 1)), an e-value
    again, as each is 1 until its moment (after Shin, Ramdas and Rinaldo, 2024, "E-detectors", New England
    Journal of Statistics in Data Science 2, 229-260).

    Args:
        n: Answers since each moment, in the order of the moments.
        x: Those that failed.
        limit: The rate (0-1).
        alpha: How often a rate that stays within the limit may ever be taken for one that drifted.
    """
    from scipy.special import logsumexp

    n = np.asarray(n, dtype=float)
    if not n.size:
        return False
    j = np.arange(1, n.size + 1)
    return bool(logsumexp(log_e_above(n, x, limit) - np.log(j * (j + 1))) >= -log(alpha))


def effective(m: Moments) -> tuple[Figure, Figure]:
    """Return answers and failures in answers that count as independent: both divided by the design effect.

    It is the variance clustered by user by that of independent answers (Kish, 1965, Survey Sampling, section
    8.2), at least 1; a single user counts as one answer.

    >>> from learning_core.experiments.statistics.moments import summed
    >>> n, x = effective(summed([1] * 80 + [20], [0] * 80 + [20]))
    >>> bool(x < 2)
    True
    """
    found = arm(m)
    n, x = np.asarray(m.n, dtype=float), np.asarray(m.s, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        independent = found.value * (1 - found.value) / n
        effect = np.where(independent > 0, found.variance / independent, 1.0)
        effect = np.where(found.users < 2, n, np.maximum(effect, 1.0))
        return np.where(n > 0, n / effect, 0.0), np.where(n > 0, x / effect, 0.0)


def _log_e(
    n: ArrayLike, x: ArrayLike, limit: ArrayLike, mixture: tuple[float, float], mass: np.ufunc
) -> NDArray[np.float64]:
    from scipy.special import betaln, xlog1py, xlogy

    n, x = np.asarray(n, dtype=float), np.asarray(x, dtype=float)
    a, b = mixture
    with np.errstate(divide="ignore"):
        mixed = betaln(a + x, b + n - x) - betaln(a, b)
        mixed = mixed + np.log(mass(a + x, b + n - x, limit)) - np.log(mass(a, b, limit))
        return np.asarray(mixed - xlogy(x, limit) - xlog1py(n - x, -np.asarray(limit, dtype=float)))
