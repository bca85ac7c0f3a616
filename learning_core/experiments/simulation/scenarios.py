"""Streams of ratings as a product's users might give them: who comes when, rates how often, and how.

Users come by chance, each stays with a pace and a temper of their own: some rate daily, most hardly ever, and
ratings of one user resemble each other. Nothing here knows how experiments are judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf, log, log1p, sqrt

import numpy as np

from learning_core.errors import InvalidInput
from learning_core.experiments.simulation.streams import Floats, Integers, Streams

STAR_STEPS = 4
"""Five stars are the lowest and four steps above it."""

LATENCY_SPREAD = 0.8
"""Standard deviation of the logarithm of an answer's latency, within and between users together."""


class Measure(StrEnum):
    """What users leave behind: thumbs (share that are up), stars (1-5), or the latency of their answers."""

    THUMBS = "thumbs"
    STARS = "stars"
    LATENCY = "latency"


@dataclass(frozen=True)
class Scenario:
    """A product's traffic and what a change does to it; defaults are a small agent's, without any difference.

    Attributes:
        measure: What users leave behind.
        base: Its mean under the control: a share (0-1), stars (1-5) or milliseconds.
        effect: What the treatment adds to the mean, in the same unit. Everybody moves up and keeps their
            rank: who is hard to please stays hard to please.
        icc: How much alike ratings of one user are (0-1): intra-class correlation, for latency that of its
            logarithm.
        users_per_day: New users a day, on average.
        present: Users who are there on the first day already.
        ratings_per_day: What a user leaves a day from their arrival on, on average; None where everybody
            rates once, on the day they come.
        activity_shape: Shape of the gamma distribution of users' paces; the smaller, the more a few users
            say most.
        treatment_share: Share (0-1) of the users who meet the treatment.
        returning: Share (0-1) of the users who have rated before.
        history_days: For how many days they have.
        days: How long the experiment runs.
    """

    measure: Measure = Measure.THUMBS
    base: float = 0.70
    effect: float = 0.0
    icc: float = 0.20
    users_per_day: float = 120.0
    present: int = 0
    ratings_per_day: float | None = 0.35
    activity_shape: float = 0.7
    treatment_share: float = 0.5
    returning: float = 0.0
    history_days: int = 28
    days: int = 28

    def __post_init__(self) -> None:
        lowest, highest = BOUNDS[self.measure]
        for mean in (self.base, self.base + self.effect):
            if not lowest < mean < highest:
                raise InvalidInput(f"A mean of {mean:g} {self.measure} is not possible.", field="base")
        if not 0 <= self.icc < 1:
            raise InvalidInput("An intra-class correlation lies between 0 and 1.", field="icc")
        if not 0 < self.treatment_share < 1:
            raise InvalidInput("Both variants need a share of the users.", field="treatment_share")
        if not 0 <= self.returning <= 1:
            raise InvalidInput("A share of returning users lies between 0 and 1.", field="returning")
        if self.days < 1 or min(self.users_per_day, self.present, self.activity_shape) < 0:
            raise InvalidInput("There is nobody and no day to simulate.", field="days")

    @property
    def expected_users(self) -> float:
        """Return how many users an experiment meets, on average."""
        return self.present + self.users_per_day * self.days

    @property
    def expected_ratings(self) -> float:
        """Return how many ratings an experiment collects, on average."""
        if self.ratings_per_day is None:
            return self.expected_users
        user_days = self.present * self.days + self.users_per_day * self.days * (self.days + 1) / 2
        return self.ratings_per_day * user_days

    @property
    def metric(self) -> str:
        """Return the key of the metric that the measure makes."""
        return METRICS[self.measure]

    def draw(self, experiments: int, rng: np.random.Generator) -> Streams:
        """Draw so many experiments."""
        experiment, arrived = _arrivals(self, experiments, rng)
        treated = rng.random(len(arrived)) < self.treatment_share
        pace = _paces(self, len(arrived), rng)
        temper = _tempers(self, len(arrived), rng)
        prior_n, prior_s = _history(self, pace, temper, rng)
        now = np.where(treated, _moved(self, temper), temper) if self.effect else temper
        user, day = _ratings(self, arrived, pace, rng)
        s = _values(self, now[user], rng)
        one = np.ones(len(user))
        return Streams(
            experiments, self.days, experiment, treated, arrived, prior_n, prior_s, user, day, one, s
        )


METRICS = {
    Measure.THUMBS: "thumbs_up_share",
    Measure.STARS: "satisfaction",
    Measure.LATENCY: "latency_ms",
}

BOUNDS = {Measure.THUMBS: (0.0, 1.0), Measure.STARS: (1.0, 5.0), Measure.LATENCY: (0.0, inf)}


def _history(
    scenario: Scenario, pace: Floats, temper: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return how many ratings each user gave before, and their sum."""
    returns = rng.random(len(pace)) < scenario.returning
    n = np.where(returns, rng.poisson(pace * scenario.history_days), 0)
    user = np.repeat(np.arange(len(pace)), n)
    s = np.bincount(user, _values(scenario, temper[user], rng), len(pace))
    return n.astype(np.float64), s.astype(np.float64)


def _arrivals(scenario: Scenario, experiments: int, rng: np.random.Generator) -> tuple[Integers, Integers]:
    """Return the experiment and the first day of each user."""
    counts = rng.poisson(scenario.users_per_day, (experiments, scenario.days))
    counts[:, 0] += scenario.present
    cell = np.repeat(np.arange(counts.size), counts.ravel())
    experiment, arrived = np.divmod(cell, scenario.days)
    return experiment, arrived


def _paces(scenario: Scenario, users: int, rng: np.random.Generator) -> Floats:
    """Return how many ratings a day each user leaves, on average."""
    if scenario.ratings_per_day is None:
        return np.full(users, 1.0)
    return rng.gamma(scenario.activity_shape, scenario.ratings_per_day / scenario.activity_shape, users)


def _ratings(
    scenario: Scenario, arrived: Integers, pace: Floats, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """Return the user and the day of each rating, by user, then by day."""
    if scenario.ratings_per_day is None:
        return np.arange(len(arrived)), arrived
    stays = scenario.days - arrived
    user = np.repeat(np.arange(len(arrived)), rng.poisson(pace * stays))
    day = arrived[user] + (rng.random(len(user)) * stays[user]).astype(np.int64)
    ordered = np.sort(user * scenario.days + day)
    user, day = np.divmod(ordered, scenario.days)
    return user, day


# ---------------------------------------------------------------- how users rate


def _tempers(scenario: Scenario, users: int, rng: np.random.Generator) -> Floats:
    """Return each user's own mean, as a share of the scale (0-1), or as the logarithm of milliseconds."""
    if scenario.measure is Measure.LATENCY:
        between = LATENCY_SPREAD * sqrt(scenario.icc)
        return log(scenario.base) - LATENCY_SPREAD**2 / 2 + between * rng.standard_normal(users)
    share = _share_of_scale(scenario, scenario.base)
    if not scenario.icc:
        return np.full(users, share)
    return rng.beta(*_beta(scenario, share), users)


def _moved(scenario: Scenario, temper: Floats) -> Floats:
    """Return the tempers under the treatment: of the same rank in the distribution with the higher mean."""
    if scenario.measure is Measure.LATENCY:
        return temper + log1p(scenario.effect / scenario.base)
    share = _share_of_scale(scenario, scenario.base)
    better = _share_of_scale(scenario, scenario.base + scenario.effect)
    if not scenario.icc:
        return np.full(len(temper), better)
    from scipy.special import betaincinv, expit  # type: ignore[import-untyped]

    rank = expit(np.linspace(-20, 20, 4001))
    grid, moved = betaincinv(*_beta(scenario, share), rank), betaincinv(*_beta(scenario, better), rank)
    return np.asarray(np.interp(temper, grid, moved))


def _values(scenario: Scenario, temper: Floats, rng: np.random.Generator) -> Floats:
    """Draw one rating for each temper given."""
    if scenario.measure is Measure.LATENCY:
        within = LATENCY_SPREAD * sqrt(1 - scenario.icc)
        return np.asarray(np.exp(temper + within * rng.standard_normal(len(temper))))
    if scenario.measure is Measure.THUMBS:
        return np.asarray(rng.random(len(temper)) < temper, np.float64)
    steps = rng.random((STAR_STEPS, len(temper))) < temper
    return np.asarray(1 + steps.sum(axis=0), np.float64)


def _share_of_scale(scenario: Scenario, mean: float) -> float:
    return (mean - 1) / STAR_STEPS if scenario.measure is Measure.STARS else mean


def _beta(scenario: Scenario, share: float) -> tuple[float, float]:
    """Return the beta distribution of users' means that makes their ratings as much alike as the ICC says.

    A thumb is one step with the user's own probability p, so that Var(p) is the ICC's share of the variance.
    Stars are k = 4 such steps: with r = Var(p) / (m (1 - m)), the ICC is k r / (1 + (k - 1) r).
    """
    steps = STAR_STEPS if scenario.measure is Measure.STARS else 1
    likeness = scenario.icc / (steps - (steps - 1) * scenario.icc)
    size = 1 / likeness - 1
    return share * size, (1 - share) * size
