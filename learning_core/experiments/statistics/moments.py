"""What sums over users say of a variant, and of the difference between two: ratios with clustered variance.

The unit is the user, however often one reacts: a variance that took each reaction for independent does not
exist here. All functions take floats or float64 arrays of any common shape, one element for each experiment,
and return nan wherever nothing can be said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Figure: TypeAlias = "float | NDArray[np.float64]"
"""One number, or one for each experiment."""

Z_95 = 1.959963984540054
"""Half the width of a 95 % interval in standard errors, looked at once."""

ROUNDING = 1e-12
"""A spread below this share of the squares it is made from is rounding, not spread."""


class Moments(NamedTuple):
    """Sums over the users of one variant in one phase, for one metric: all that the analysis needs.

    A user i gave n_i observations (at least one) that add up to s_i. Where a design weights users, n_i and
    s_i are both multiplied by `user_weight`. x_i is what the user's history says of the metric, shrunken, as
    a deviation from everybody's (0 where nothing is known), and c_i = n_i x_i.

    Attributes:
        users: Number of users.
        n: Sum of n_i.
        s: Sum of s_i.
        nn: Sum of n_i^2.
        ns: Sum of n_i s_i.
        ss: Sum of s_i^2.
        c: Sum of c_i.
        cc: Sum of c_i^2.
        cn: Sum of c_i n_i.
        cs: Sum of c_i s_i.
        observations: Observations, unweighted.
    """

    users: Figure
    n: Figure
    s: Figure
    nn: Figure
    ns: Figure
    ss: Figure
    c: Figure
    cc: Figure
    cn: Figure
    cs: Figure
    observations: Figure


NOTHING = Moments(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""The sums over no users."""


class Arm(NamedTuple):
    """One variant's metric.

    Attributes:
        value: The metric, in its unit; nan without observations.
        variance: Of the value; 0 where all users are alike, nan below two users.
        users: Number of users.
        n: Number of observations, unweighted.
    """

    value: Figure
    variance: Figure
    users: Figure
    n: Figure


class Difference(NamedTuple):
    """How far two variants lie apart.

    Attributes:
        value: Treatment less control.
        se: Its standard error.
    """

    value: Figure
    se: Figure

    @property
    def z(self) -> Figure:
        """The difference in standard errors; nan without a spread."""
        return np.where(_positive(self.se), self.value / _or_one(self.se), np.nan)

    @property
    def information(self) -> Figure:
        """The reciprocal of the squared standard error; nan without a spread."""
        return np.where(_positive(self.se), 1 / _or_one(self.se) ** 2, np.nan)


def user_weight(n: ArrayLike, icc: float) -> NDArray[np.float64]:
    """Weight users by what their observations are worth, 1 / (1 + (n_i - 1) icc).

    The reciprocal of the design effect of n_i observations with intra-class correlation `icc` (Kish, 1965,
    Survey Sampling, section 5.4): many from one user tell little more than a few. At 0 each observation
    counts alike, at 1 each user does. The correlation must be known beforehand: one taken from the data at
    hand would adapt the estimate to them.

    >>> user_weight([1, 5], 0.25).tolist()
    [1.0, 0.5]
    """
    return np.asarray(1 / (1 + np.maximum(np.asarray(n, dtype=float) - 1, 0) * icc))


def summed(
    n: ArrayLike, s: ArrayLike, history: ArrayLike = 0.0, weight: ArrayLike = 1.0, axis: int = -1
) -> Moments:
    """Sum over the users of a variant; those without observations count as if they were not there.

    Args:
        n: Observations of each user.
        s: Their sum.
        history: x_i, what the user's history says.
        weight: From `user_weight`.
        axis: The axis of the users.
    """
    raw, total, known, scale = np.broadcast_arrays(
        *(np.asarray(each, dtype=float) for each in (n, s, history, weight))
    )
    n_i, s_i = raw * scale, np.where(raw > 0, total * scale, 0.0)
    c_i = n_i * known
    products = (n_i, s_i, n_i * n_i, n_i * s_i, s_i * s_i, c_i, c_i * c_i, c_i * n_i, c_i * s_i, raw)
    return Moments((raw > 0).sum(axis=axis).astype(float), *(each.sum(axis=axis) for each in products))


def arm(m: Moments) -> Arm:
    """Return the ratio of sums and its variance, clustered by user.

    Deng, Knoblich and Lu (2018), "Applying the Delta Method in Metric Analytics", KDD, equation 4, in the
    form of cluster-robust regression: for G users theta = sum s / sum n and
    V = G / (G - 1) sum (s_i - theta n_i)^2 / (sum n)^2.
    With one observation of each user it is the usual variance of a mean.

    >>> value, variance, users, n = arm(summed([1, 1, 1, 1], [1, 0, 1, 1]))
    >>> float(value), float(variance)
    (0.75, 0.0625)
    """
    m = _arrays(m)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = m.s / m.n
        squares = m.ss + value**2 * m.nn
        residual = squares - 2 * value * m.ns
        residual = np.where(residual > ROUNDING * squares, residual, 0.0)
        variance = np.where(m.users >= 2, m.users / (m.users - 1) * residual / m.n**2, np.nan)
    return Arm(np.where(m.n > 0, value, np.nan), np.where(m.n > 0, variance, np.nan), m.users, m.observations)


def adjusted(control: Moments, treatment: Moments) -> tuple[Arm, Arm]:
    """Return both variants with what users' history explains taken out; `arm` of each where it says nothing.

    CUPED: Deng, Xu, Kohavi and Walker (2013), "Improving the Sensitivity of Online Controlled Experiments by
    Utilizing Pre-Experiment Data", WSDM, equations 4 to 6, for a ratio: s_i becomes
    s_i - beta (c_i - xi n_i), where xi = sum c / sum n, and beta is the slope of s_i - theta n_i on
    c_i - xi n_i, all taken over the users of both variants as if they were one.
    """
    control, treatment = _arrays(control), _arrays(treatment)
    both = Moments(*(one + other for one, other in zip(control, treatment, strict=True)))
    some = _or_one(both.n)
    theta, xi = both.s / some, both.c / some
    shared = both.cs - theta * both.cn - xi * both.ns + theta * xi * both.nn
    spread = both.cc - 2 * xi * both.cn + xi**2 * both.nn
    explains = spread > ROUNDING * (both.cc + xi**2 * both.nn)
    beta = np.where(explains, shared / np.where(explains, spread, 1.0), 0.0)
    return arm(_without_history(control, beta, xi)), arm(_without_history(treatment, beta, xi))


def difference(control: Arm, treatment: Arm) -> Difference:
    """Return treatment less control, in the unit of the metric."""
    return contrast(control, treatment, 0.0)


def contrast(control: Arm, treatment: Arm, margin: ArrayLike) -> Difference:
    """Return how far the treatment lies above (1 + margin) times the control.

    Margins are relative: with -0.1 the contrast is positive where less than a tenth is lost. Written without
    a ratio, it stays normal where a ratio does not (Fieller, 1954).
    """
    factor = 1 + np.asarray(margin, dtype=float)
    return Difference(
        treatment.value - factor * control.value,
        np.sqrt(treatment.variance + factor**2 * control.variance),
    )


def degrees(control: Arm, treatment: Arm) -> Figure:
    """Return the degrees of freedom of the difference's standard error, from the users of both variants.

    Satterthwaite (1946), "An Approximate Distribution of Estimates of Variance Components", Biometrics
    Bulletin 2, 110-114: a variance that a few users make up is not well known itself.

    >>> float(degrees(Arm(0.5, 0.01, 31, 31), Arm(0.5, 0.01, 31, 31)))
    60.0
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.square(each.variance) / np.subtract(each.users, 1) for each in (control, treatment)]
        return np.asarray(np.square(control.variance + treatment.variance) / (parts[0] + parts[1]))


def phase_weights(control: Sequence[Arm], treatment: Sequence[Arm]) -> list[Figure]:
    """Weigh phases by the observations of both variants; one in which either cannot be estimated weighs 0."""
    return [
        np.where(np.isfinite(one.variance + other.variance), one.n + other.n, 0.0)
        for one, other in zip(control, treatment, strict=True)
    ]


def combined(arms: Sequence[Arm], weights: Sequence[Figure]) -> Arm:
    """Bring the phases of one variant together with the given weights; phases are never pooled.

    Shares of the variants differ between the phases of a ramp, and so do days: a sum over phases compares
    the days, not the variants (Simpson's paradox). With the same weights in both variants each phase is
    compared with itself (Cochran, 1977, Sampling Techniques, equations 5.1 and 5.5).
    """
    value, variance = _weighted([each.value for each in arms], [each.variance for each in arms], weights)
    return Arm(value, variance, _total(each.users for each in arms), _total(each.n for each in arms))


def stratified(differences: Sequence[Difference], weights: Sequence[Figure]) -> Difference:
    """Bring the differences of the phases together with the given weights, as `combined` does variants."""
    variances = [np.square(each.se) for each in differences]
    value, variance = _weighted([each.value for each in differences], variances, weights)
    return Difference(value, np.sqrt(variance))


def to_relative(control: Arm, treatment: Arm) -> Difference:
    """Return the difference as a share of the control, with the delta method's standard error, for display.

    Deng, Knoblich and Lu (2018), section 2.1. Nan where the control is not above 0.
    """
    base = np.asarray(control.value, dtype=float)
    positive = _positive(base)
    base = np.where(positive, base, 1.0)
    ratio = treatment.value / base
    se = np.sqrt(treatment.variance + ratio**2 * control.variance) / base
    return Difference(np.where(positive, ratio - 1, np.nan), np.where(positive, se, np.nan))


def relative(control: Arm, treatment: Arm, radius: ArrayLike = Z_95) -> tuple[Figure, Figure]:
    """Return the interval of the difference as a share of the control.

    Fieller (1954), "Some Problems in Interval Estimation", Journal of the Royal Statistical Society B 16,
    175-185: all ratios rho with (t - rho c)^2 <= radius^2 (V_t + rho^2 V_c), less 1. Nan where the control is
    not clearly above 0, for then no bounded interval exists.

    Args:
        control: What is divided by.
        treatment: What is divided.
        radius: Half the width in standard errors.
    """
    c, t = np.asarray(control.value, dtype=float), np.asarray(treatment.value, dtype=float)
    r2 = np.square(np.asarray(radius, dtype=float))
    with np.errstate(invalid="ignore"):
        lead = c**2 - r2 * control.variance
        bounded = (lead > 0) & (c > 0)
        lead = np.where(bounded, lead, 1.0)
        root = r2 * (c**2 * treatment.variance + t**2 * control.variance)
        root = np.sqrt(np.maximum(root - r2**2 * control.variance * treatment.variance, 0.0))
        low, high = (np.where(bounded, (t * c + sign * root) / lead - 1, np.nan) for sign in (-1, 1))
    return low, high


def _arrays(m: Moments) -> Moments:
    return Moments(*(np.asarray(each, dtype=float) for each in m))


def _positive(values: Figure) -> NDArray[np.bool_]:
    return np.asarray(np.greater(values, 0))


def _or_one(values: Figure) -> NDArray[np.float64]:
    return np.where(_positive(values), values, 1.0)


def _total(values: Iterable[Figure]) -> Figure:
    return np.asarray(np.sum(np.broadcast_arrays(*values), axis=0))


def _weighted(
    values: Sequence[Figure], variances: Sequence[Figure], weights: Sequence[Figure]
) -> tuple[Figure, Figure]:
    all_weights = _total(weights)
    shares = [np.where(_positive(all_weights), each / _or_one(all_weights), np.nan) for each in weights]
    parts = [
        np.where(np.equal(share, 0), 0.0, share * value) for share, value in zip(shares, values, strict=True)
    ]
    spreads = [
        np.where(np.equal(share, 0), 0.0, share**2 * variance)
        for share, variance in zip(shares, variances, strict=True)
    ]
    return _total(parts), _total(spreads)


def _without_history(m: Moments, beta: Figure, xi: Figure) -> Moments:
    """Replace s_i by s_i - beta (c_i - xi n_i)."""
    return m._replace(
        s=m.s - beta * (m.c - xi * m.n),
        ns=m.ns - beta * (m.cn - xi * m.nn),
        ss=m.ss - 2 * beta * (m.cs - xi * m.ns) + beta**2 * (m.cc - 2 * xi * m.cn + xi**2 * m.nn),
    )
