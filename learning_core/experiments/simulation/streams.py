"""Several experiments' users and what they left, rating by rating, and the sums over users that grow from it.

The sums are those that one statement adds up for a real experiment, at the end of each day.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from learning_core.experiments.statistics import moments
from learning_core.experiments.statistics.moments import Moments
from learning_core.experiments.terms import Design

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


class Streams(NamedTuple):
    """Several experiments' users and what they left.

    Attributes:
        experiments: How many experiments.
        days: How long each ran.
        experiment: The experiment of each user, ascending (n_users,).
        treated: Whether the user meets the treatment (n_users,).
        arrived: The user's first day, from 0 (n_users,).
        prior_n: How many ratings the user gave before (n_users,).
        prior_s: Their sum (n_users,).
        user: Who gave ratings; a user's rows stand together, in order of time (n_rows,).
        day: On which day, from 0 (n_rows,).
        n: How many at once (n_rows,).
        s: Their sum: thumbs up, stars, or milliseconds (n_rows,).
    """

    experiments: int
    days: int
    experiment: Integers
    treated: Flags
    arrived: Integers
    prior_n: Floats
    prior_s: Floats
    user: Integers
    day: Integers
    n: Floats
    s: Floats

    def arrivals(self) -> Floats:
        """Return how many users came to control and treatment by each day (n_experiments, n_days, 2)."""
        cell = (self.experiment * self.days + self.arrived) * 2 + self.treated
        came = np.bincount(cell, minlength=self.experiments * self.days * 2)
        return np.cumsum(came.reshape(self.experiments, self.days, 2), axis=1).astype(np.float64)

    def first(self, experiments: int) -> Streams:
        """Return the first so many experiments."""
        if experiments >= self.experiments:
            return self
        users = int(np.searchsorted(self.experiment, experiments))
        rows = int(np.searchsorted(self.user, users))
        return Streams(
            experiments,
            self.days,
            self.experiment[:users],
            self.treated[:users],
            self.arrived[:users],
            self.prior_n[:users],
            self.prior_s[:users],
            self.user[:rows],
            self.day[:rows],
            self.n[:rows],
            self.s[:rows],
        )


def sums(streams: Streams, design: Design) -> tuple[Moments, Moments]:
    """Return the sums over the users of either variant at the end of each day (n_experiments, n_days)."""
    grown = _growth(streams, design.icc if design.weighted else 0.0)
    tally = _Tally(streams)
    n, s, nn, ns, ss = (tally(one) for one in (grown.n, grown.s, grown.nn, grown.ns, grown.ss))
    observations, users = tally(streams.n), tally(grown.first.astype(np.float64))
    c = cc = cn = cs = np.zeros_like(n)
    if design.prior and design.icc and streams.prior_n.any():
        c, cc, cn, cs = _known(streams, grown, tally, design.icc)
    columns = {
        "users": users,
        "n": n,
        "s": s,
        "nn": nn,
        "ns": ns,
        "ss": ss,
        "c": c,
        "cc": cc,
        "cn": cn,
        "cs": cs,
        "observations": observations,
    }
    control, treatment = (Moments(**{name: of[:, arm] for name, of in columns.items()}) for arm in (0, 1))
    return control, treatment


class _Growth(NamedTuple):
    """By how much each row lets its user's n, s and their products grow; which rows are a user's first."""

    n: Floats
    s: Floats
    nn: Floats
    ns: Floats
    ss: Floats
    first: Flags


def _growth(streams: Streams, icc: float) -> _Growth:
    """Weigh users by what their ratings are worth, anew with each of them."""
    user = streams.user
    first = np.ones(len(user), np.bool_)
    first[1:] = user[1:] != user[:-1]
    n, s = _so_far(streams.n, first), _so_far(streams.s, first)
    weight = moments.user_weight(n, icc)
    n, s = weight * n, weight * s
    n_before, s_before = _before(n, first), _before(s, first)
    return _Growth(
        n - n_before,
        s - s_before,
        n * n - n_before * n_before,
        n * s - n_before * s_before,
        s * s - s_before * s_before,
        first,
    )


def _so_far(values: Floats, first: Flags) -> Floats:
    """Return the sum of a user's values up to each."""
    total = np.cumsum(values)
    start = np.maximum.accumulate(np.where(first, np.arange(len(values)), 0))
    return total - (total - values)[start]


def _before(values: Floats, first: Flags) -> Floats:
    before = np.zeros_like(values)
    before[1:] = values[:-1]
    before[first] = 0.0
    return before


class _Tally:
    """Adds up what ratings bring, for each experiment, variant and day with all days before it."""

    def __init__(self, streams: Streams) -> None:
        self.shape = (streams.experiments, 2, streams.days)
        arm = streams.experiment * 2 + streams.treated
        self.cell = arm[streams.user] * streams.days + streams.day

    def __call__(self, growth: Floats) -> Floats:
        added = np.bincount(self.cell, growth, int(np.prod(self.shape)))
        return np.cumsum(added.reshape(self.shape), axis=2)


def _known(
    streams: Streams, grown: _Growth, tally: _Tally, icc: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the sums of what is known from before: c, cc, cn and cs.

    With x_i = a_i - mu b_i, where mu is the mean of the prior ratings of all users who have come by then,
    each sum is a polynomial in mu whose coefficients are sums.
    """
    shrunken = 1 / (streams.prior_n + (1 - icc) / icc)
    a = (streams.prior_s * shrunken)[streams.user]
    b = (streams.prior_n * shrunken)[streams.user]
    mu = _prior_mean(streams)
    with_a, with_b = grown.nn * a, grown.nn * b
    return (
        tally(grown.n * a) - mu * tally(grown.n * b),
        tally(with_a * a) - 2 * mu * tally(with_a * b) + mu * mu * tally(with_b * b),
        tally(with_a) - mu * tally(with_b),
        tally(grown.ns * a) - mu * tally(grown.ns * b),
    )


def _prior_mean(streams: Streams) -> Floats:
    """Return the mean of the prior ratings of all users who have come so far (n_experiments, 1, n_days)."""
    shape = (streams.experiments, 1, streams.days)
    came = streams.experiment * streams.days + streams.arrived
    n, s = (
        np.cumsum(np.bincount(came, of, int(np.prod(shape))).reshape(shape), axis=2)
        for of in (streams.prior_n, streams.prior_s)
    )
    return np.divide(s, n, out=np.zeros(shape), where=n > 0)
