"""When an experiment with a planned end may be decided on the way: group-sequential boundaries.

The permitted error is spent over time by a function fixed before the start; the boundary of a look follows
from what was spent until then, so that looks may come when they come, as long as their times do not depend on
what was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, exp, log

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_GROWTH = 1e-3
"""A look at which the information grew by less than this share is no new look: it spends nothing."""

LATENESS = 1.25
"""How information grows with time, as a power of it, where 120 users a day come and stay for four weeks."""

FEWEST_NODES, NODES_PER_STEP = 24, 1.5
"""Nodes of the numerical integration: as many as the step to the next look asks for, in its deviations."""

LOWEST_Z = -5.0
"""What lies lower has no more chance to reach the upper boundary."""

EXPERIMENTS_AT_ONCE = 200
"""Taken through their looks together; more would only take memory."""

LEAST_P, MOST_P = 1e-15, 0.99
"""Between them a p-value is computed; above, it is 1."""

PRECISION, MOST_STEPS = 1e-11, 50
"""When Newton's method ends."""


def pocock(share: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """Return the error spent after a share (0-1) of the plan, about evenly: it decides early.

    Lan and DeMets (1983), "Discrete sequential boundaries for clinical trials", Biometrika 70, 659-663:
    alpha ln(1 + (e - 1) t).

    >>> pocock([0.0, 0.5, 1.0], 0.05).round(4).tolist()
    [0.0, 0.031, 0.05]
    """
    return np.asarray(alpha * np.log1p((np.e - 1) * _within(share)))


def spent_by(passed: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """Return the error that an experiment with a planned end has spent when a share (0-1) of its time passed.

    `pocock`, of time as information follows it: users who came go on rating, so that half of the time brings
    less than half of what will be known. Whatever the traffic, a function of time alone keeps the error.
    """
    return pocock(_within(passed) ** LATENESS, alpha)


def obrien_fleming(share: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """Return the error spent after a share (0-1) of the plan, nearly all at the end: it sees most in the end.

    Lan and DeMets (1983), for each side with half of alpha: 2 (1 - Phi(z / sqrt(t))), where z is the upper
    alpha / 4 quantile.
    """
    from scipy.special import ndtr, ndtri  # type: ignore[import-untyped]

    t = _within(share)
    reached = ndtri(alpha / 4) / np.sqrt(np.where(t > 0, t, 1.0))
    return np.where(t > 0, 4 * ndtr(reached), 0.0)


def critical_values(information: ArrayLike, spent: ArrayLike) -> NDArray[np.float64]:
    """Return what |z| has to reach at each look (..., n_looks); infinite where a look spends nothing.

    Armitage, McPherson and Rowe (1969), "Repeated significance tests on accumulating data", Journal of the
    Royal Statistical Society A 132, 235-244. With B = z sqrt(I) the increments of B are independent and
    normal with variance dI; the density of what has stayed below the boundaries goes from look to look by
    numerical integration. Each side spends half, as if it were alone: the chance to cross both, some
    millionths, stays unspent.

    Args:
        information: 1 / SE^2 at each look, in any unit; a look is left out where it is not a number or has
            hardly grown.
        spent: The error spent until then, never falling.

    >>> critical_values([1, 2, 3, 4], pocock([0.25, 0.5, 0.75, 1], 0.05)).round(2).tolist()
    [2.37, 2.37, 2.36, 2.35]
    """
    known, used = np.broadcast_arrays(np.asarray(information, dtype=float), np.asarray(spent, dtype=float))
    looks = known.shape[-1]
    known, used = known.reshape(-1, looks), used.reshape(-1, looks)
    counts = _counting(known, used)
    # The looks that count come first, so that all experiments of a part take their steps together.
    order = np.argsort(~counts, axis=1, kind="stable")
    found = np.full_like(known, np.inf)
    for start in range(0, len(known), EXPERIMENTS_AT_ONCE):
        part = slice(start, start + EXPERIMENTS_AT_ONCE)
        ahead = [np.take_along_axis(each[part], order[part], axis=1) for each in (known, used)]
        bounds = _walk(ahead[0], ahead[1], counts[part].sum(axis=1))
        np.put_along_axis(found[part], order[part], bounds, axis=1)
    return found.reshape(np.broadcast_shapes(np.shape(information), np.shape(spent)))


def sequential_p(
    information: Sequence[float], passed: Sequence[float], z: Sequence[float], before: float = 1.0
) -> float:
    """Return the least error (0-1), spent as by `spent_by`, with which one of the looks so far decides.

    Liu and Anderson (2008), "On Adaptive Extensions of Group Sequential Trials for Clinical Investigations",
    Journal of the American Statistical Association 103, 1621-1630: the sequential p-value. It is at most
    alpha exactly where the boundaries for alpha are reached, so that several experiments can be held together
    by `multiplicity.holm` as single tests are.

    Args:
        information: 1 / SE^2 at each look that spent.
        passed: Share (0-1) of the planned time that had passed at each.
        z: The difference in standard errors at each.
        before: What this function returned at the look before the last.
    """
    from scipy.optimize import brentq  # type: ignore[import-untyped]

    def lacking(log_alpha: float) -> float:
        return float(critical_values(information, spent_by(passed, exp(log_alpha)))[-1]) - abs(z[-1])

    if lacking(log(LEAST_P)) <= 0:
        return min(before, LEAST_P)
    if lacking(log(before * MOST_P)) > 0:
        return before
    return float(exp(brentq(lacking, log(LEAST_P), log(before * MOST_P), xtol=1e-10)))


def _counting(information: NDArray[np.float64], spent: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which looks are new ones and spend something (n_experiments, n_looks)."""
    before, used = np.zeros(len(information)), np.zeros(len(information))
    counts = np.zeros(information.shape, np.bool_)
    for number, (now, total) in enumerate(zip(information.T, spent.T, strict=True)):
        counts[:, number] = (now > before * (1 + LEAST_GROWTH)) & (total > used)
        before = np.where(counts[:, number], now, before)
        used = np.where(counts[:, number], total, used)
    return counts


def _walk(
    information: NDArray[np.float64], spent: NDArray[np.float64], looks: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Go through the looks of several experiments (n_experiments, n_looks), the first `looks` of each."""
    critical = np.full_like(information, np.inf)
    at, mass = np.zeros((len(information), 1)), np.ones((len(information), 1))
    before, used = np.zeros((len(information), 1)), np.zeros((len(information), 1))
    for number in range(int(looks.max(initial=0))):
        live = looks > number
        at, mass, before, used = (each[live[looks >= number]] for each in (at, mass, before, used))
        now, total = information[live, number, np.newaxis], spent[live, number, np.newaxis]
        step, root = now - before, np.sqrt(now)
        bound = _bound(at, mass, step, root, (total - used) / 2)
        critical[live, number] = bound[:, 0]
        goes_on = looks[live] > number + 1
        if not goes_on.any():
            break
        width = (bound - LOWEST_Z)[goes_on, 0]
        nodes = _nodes(width, now[goes_on, 0], information[live, number + 1][goes_on])
        abscissae, weights = np.polynomial.legendre.leggauss(nodes)
        half = root * (bound - LOWEST_Z) / 2
        there = half * abscissae + root * (bound + LOWEST_Z) / 2
        moved = _density(there[:, :, np.newaxis] - at[:, np.newaxis, :], step[:, :, np.newaxis])
        at, mass = there, half * weights * np.einsum("ijk,ik->ij", moved, mass)
        before, used = now, total
    return critical


def _bound(
    at: NDArray[np.float64],
    mass: NDArray[np.float64],
    step: NDArray[np.float64],
    root: NDArray[np.float64],
    wanted: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the z that is passed upwards with the wanted probability (n_experiments, 1).

    Newton's method on the logarithm of that probability, which is concave, from above: it is less than if
    all had come to the next look alone, and than if all stood at the highest point before.
    """
    from scipy.special import ndtr, ndtri

    alone, spread = -ndtri(wanted), np.sqrt(step)
    z = np.minimum(alone, (at.max(axis=1, keepdims=True) + spread * alone) / root)
    for _ in range(MOST_STEPS):
        away = at - z * root
        passed = (mass * ndtr(away / spread)).sum(axis=1, keepdims=True)
        density = (mass * _density(away, step)).sum(axis=1, keepdims=True) * root
        change = np.log(passed / wanted) * passed / density
        z = z + change
        if not np.any(np.abs(change) > PRECISION):
            break
    return np.asarray(z)


def _nodes(width: NDArray[np.float64], before: NDArray[np.float64], now: NDArray[np.float64]) -> int:
    """Return how many nodes the smallest of some steps needs, where so many deviations are covered."""
    in_steps = width * np.sqrt(before / (now - before))
    return max(FEWEST_NODES, ceil(NODES_PER_STEP * float(in_steps.max())))


def _density(away: NDArray[np.float64], variance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-np.square(away) / (2 * variance)) / np.sqrt(2 * np.pi * variance))


def _within(share: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(np.clip(np.asarray(share, dtype=float), 0.0, 1.0))
