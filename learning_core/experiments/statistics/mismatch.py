"""Whether users arrive at the variants as the shares say: if not, something is broken.

Users are counted by their first exposure, phase by phase. All functions take arrays whose last axis is that
of the variants.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONCENTRATION = 100.0
"""How near the shares a mismatch is looked for: shares off by about a twentieth are found soonest."""

WARNING, ALARM = 0.01, 0.001
"""Below the first no verdict is given; below the second somebody is told."""


def log_bayes_factor(
    counts: ArrayLike, shares: ArrayLike, concentration: float = CONCENTRATION
) -> NDArray[np.float64]:
    """Return the logarithm of how much likelier the counts are if the shares are not what they should be.

    Lindon and Malek (2022), "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 35, equation 5: the
    shares follow a Dirichlet distribution about the given ones, a = concentration * shares, against the
    given ones themselves:
    sum [ln G(a_i + x_i) - ln G(a_i)] - ln G(A + n) + ln G(A) - sum x_i ln w_i. Factors of phases multiply.

    Args:
        counts: Users of each variant.
        shares: What each should have; brought to a sum of 1.
        concentration: A, the strength of the prior about the shares.
    """
    from scipy.special import gammaln  # type: ignore[import-untyped]

    x, w = _counts_and_shares(counts, shares)
    a = concentration * w
    found = (gammaln(a + x) - gammaln(a) - x * np.log(w)).sum(axis=-1)
    return np.asarray(found - gammaln(concentration + x.sum(axis=-1)) + gammaln(concentration))


def sequential_p(log_factor: ArrayLike) -> NDArray[np.float64]:
    """Return the p-value that stays valid at every look: one by the Bayes factor, at most 1 (Ville, 1939)."""
    return np.asarray(np.exp(-np.maximum(log_factor, 0.0)))


def chi_square(
    counts: Sequence[ArrayLike], shares: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Pearson's chi-square of the phases together, and its p-value for a single look, for display.

    Pearson (1900), with one degree of freedom less than variants for each phase that anybody came in.

    >>> statistic, p = chi_square([[5050, 4950]], [0.5, 0.5])
    >>> float(statistic), round(float(p), 4)
    (1.0, 0.3173)
    """
    from scipy.special import chdtrc

    total, degrees = np.asarray(0.0), np.asarray(0.0)
    for phase in counts:
        x, w = _counts_and_shares(phase, shares)
        expected = x.sum(axis=-1, keepdims=True) * w
        seen = expected > 0
        total = total + np.where(seen, (x - expected) ** 2 / np.where(seen, expected, 1.0), 0.0).sum(axis=-1)
        degrees = degrees + (w.shape[-1] - 1) * seen.any(axis=-1)
    some = degrees > 0
    return total, np.where(some, chdtrc(np.where(some, degrees, 1.0), total), np.nan)


def _counts_and_shares(
    counts: ArrayLike, shares: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    w = np.asarray(shares, dtype=float)
    return np.asarray(counts, dtype=float), w / w.sum(axis=-1, keepdims=True)
