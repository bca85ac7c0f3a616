"""How sure a difference is, however often somebody looks: p-values and radii that hold at all looks at once.

Nothing here decides: a radius is half the width of an interval in standard errors, a ratio says how much more
is known than at the first look that counted. All functions take floats or arrays of any common shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def two_sided_p(z: ArrayLike, information_ratio: ArrayLike) -> NDArray[np.float64]:
    """Return the p-value that stays valid at every look from the first eligible one on.

    Delayed start: the flat mixture of Robbins and Siegmund (1970), "Boundary Crossing Probabilities for the
    Wiener Process and Sample Sums", Annals of Mathematical Statistics 41, 1410-1429: a standard Wiener
    process ever leaves +-sqrt(t (a^2 + ln t)) after t = 1 with probability 2 (1 - Phi(a) + a phi(a)), which
    is the upper tail of chi-square with 3 degrees of freedom at a^2. Used asymptotically as by Waudby-Smith,
    Kennedy and Ramdas (2023), "Distribution-uniform anytime-valid sequential inference", arXiv 2311.03343:
    p = P(chi2_3 > z^2 - ln(I_t / I_m)).

    Args:
        z: The difference in standard errors.
        information_ratio: Greatest information so far by that of the first eligible look, at least 1.

    >>> round(float(two_sided_p(2.5, 1)), 3)
    0.1
    """
    from scipy.special import chdtrc  # type: ignore[import-untyped]

    excess = np.square(np.asarray(z, dtype=float)) - np.log(information_ratio)
    return np.asarray(chdtrc(3.0, np.maximum(excess, 0.0)))


def two_sided_radius(information_ratio: ArrayLike, alpha: ArrayLike) -> NDArray[np.float64]:
    """Return the radius of the confidence sequence that belongs to `two_sided_p`.

    sqrt(a^2 + ln(I_t / I_m)) with P(chi2_3 > a^2) = alpha.

    >>> round(float(two_sided_radius(1, 0.05)), 3)
    2.795
    """
    from scipy.special import chdtri

    return np.asarray(np.sqrt(chdtri(3.0, alpha) + np.log(information_ratio)))


def one_sided_p(z: ArrayLike, information_ratio: ArrayLike) -> NDArray[np.float64]:
    """Return the p-value against "not above 0" that stays valid at every look from the first eligible one on.

    The same argument as in `two_sided_p` with the flat mixture over positive drifts alone. Its likelihood
    ratio is, up to a constant, exp(z^2 / 2) Phi(z) / sqrt(t); crossing has probability
    1 - Phi(a) + phi(a) (a + phi(a) / Phi(a)), where g(a) = g(z) - ln(I_t / I_m) / 2 and
    g(x) = x^2 / 2 + ln Phi(x).

    Args:
        z: The difference in standard errors, positive in the direction to be shown.
        information_ratio: As in `two_sided_p`.

    >>> round(float(one_sided_p(2.503, 1)), 3)
    0.05
    """
    z = np.asarray(z, dtype=float)
    return _tail(_solved(_growth(z) - 0.5 * np.log(information_ratio)))


def one_sided_radius(information_ratio: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """Return how many standard errors above 0 `one_sided_p` is at alpha.

    >>> round(float(one_sided_radius(1, 0.05)), 3)
    2.503
    """
    from scipy.optimize import brentq  # type: ignore[import-untyped]

    a = brentq(lambda x: float(_tail(np.asarray(x))) - alpha, -10.0, 40.0, xtol=1e-14, rtol=1e-14)
    return _solved(_growth(np.asarray(a)) + 0.5 * np.log(information_ratio))


def mixture_scale(share_of_plan: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """Return the scale of the normal mixture that is tightest when the planned information is reached.

    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), "Time-uniform central limit theory and asymptotic
    confidence sequences", Annals of Statistics 52, appendix B.2: rho^2 N = -2 ln alpha + ln(1 - 2 ln alpha),
    here times the share of the plan that is reached.
    """
    tightest = -2 * np.log(alpha) + np.log(1 - 2 * np.log(alpha))
    return np.asarray(np.multiply(share_of_plan, tightest))


def mixture_p(z: ArrayLike, scale: ArrayLike) -> NDArray[np.float64]:
    """Return the p-value of the normal mixture, for comparison with `two_sided_p`.

    min(1, sqrt(1 + x) exp(-z^2 x / (2 (1 + x)))), x from `mixture_scale` (Robbins, 1970).
    """
    x = np.asarray(scale, dtype=float)
    return np.asarray(np.minimum(1.0, np.sqrt(1 + x) * np.exp(-np.square(z) * x / (2 * (1 + x)))))


def mixture_radius(scale: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """Return the radius of the confidence sequence that belongs to `mixture_p`.

    Waudby-Smith et al. (2024), theorem 2.2: sqrt((x + 1) / x (ln(x + 1) - 2 ln alpha)).
    """
    x = np.asarray(scale, dtype=float)
    return np.asarray(np.sqrt((x + 1) / x * (np.log(x + 1) - 2 * np.log(alpha))))


def mixture_one_sided_radius(scale: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """Return how many standard errors a bound to one side lies from the difference, for comparison.

    Waudby-Smith et al. (2024), proposition B.1: sqrt(2 (x + 1) / x ln(1 + sqrt(x + 1) / (2 alpha))), x from
    `mixture_scale` for twice alpha.
    """
    x = np.asarray(scale, dtype=float)
    return np.asarray(np.sqrt(2 * (x + 1) / x * np.log1p(np.sqrt(x + 1) / (2 * alpha))))


def _growth(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """g(x) = x^2 / 2 + ln Phi(x): increasing and convex."""
    from scipy.special import erfcx, log_ndtr

    far = np.maximum(x, 0.0)
    near = np.log(erfcx(-np.minimum(x, 0.0) / np.sqrt(2)) / 2)
    return np.asarray(np.where(x > 0, far**2 / 2 + log_ndtr(far), near))


def _slope(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The derivative of g: x + phi(x) / Phi(x)."""
    return np.asarray(x + np.exp(-_growth(x)) / np.sqrt(2 * np.pi))


def _solved(target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x with g(x) = target, by Newton's method from above, where it never overshoots."""
    x = np.sqrt(2 * np.maximum(target + np.log(2), 0.0))
    for _ in range(60):
        step = (_growth(x) - target) / _slope(x)
        x = x - step
        if not np.any(np.abs(step) > 1e-13 * (1 + np.abs(x))):
            break
    return np.asarray(x)


def _tail(a: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import ndtr

    density = np.exp(-np.square(a) / 2) / np.sqrt(2 * np.pi)
    return np.asarray(ndtr(-a) + density * _slope(a))


def as_normal(z: ArrayLike, degrees: ArrayLike) -> NDArray[np.float64]:
    """Return the standard normal value as unlikely as a difference in standard errors that are estimated.

    A standard error from few users is itself uncertain: large differences in it are likelier than a normal
    distribution has it: Student's distribution with so many degrees of freedom is what they follow.
    """
    from scipy.special import ndtri, stdtr

    z = np.asarray(z, dtype=float)
    tail = stdtr(degrees, -np.abs(z))
    return np.asarray(np.sign(z) * np.where(tail > 0, -ndtri(tail), np.abs(z)))


def as_student(radius: ArrayLike, degrees: ArrayLike) -> NDArray[np.float64]:
    """Return the radius, in estimated standard errors, as unlikely to be exceeded as a normal one.

    >>> [round(float(as_student(2.8, degrees)), 2) for degrees in (30, 60, 3000)]
    [3.02, 2.91, 2.8]
    """
    from scipy.special import ndtr, stdtrit

    return np.asarray(-stdtrit(degrees, ndtr(-np.asarray(radius, dtype=float))))
