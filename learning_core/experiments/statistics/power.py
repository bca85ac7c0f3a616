"""How likely an experiment has decided by a day, how long it has to run, and what it can see in its time.

Computed, not simulated: the difference moves like a Brownian motion in its information, which daily looks
meet at known moments, and the bounds of either method are known before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, sqrt
from typing import TYPE_CHECKING

import numpy as np

from learning_core.errors import InvalidInput
from learning_core.experiments.statistics import boundaries, sequential
from learning_core.experiments.statistics.planning import (
    DEFAULT_ICC,
    USUAL_POWER,
    Floats,
    design_effect,
    variances,
)
from learning_core.experiments.terms import Method as Method

if TYPE_CHECKING:
    import pandas as pd

LONGEST_DAYS = 180
"""No experiment is planned for longer."""

FEWEST_NODES, NODES_PER_STEP = 64, 1.6
"""Nodes of the numerical integration: as many as a look's step asks for, in standard deviations."""


@dataclass(frozen=True)
class Traffic:
    """How an agent is rated, counted over a time about as long as the experiment.

    Attributes:
        ratings_per_day: Ratings of both variants together.
        raters_per_day: New users a day who rate, of both variants.
        ratings_per_rater: How many ratings each gives, on average, over that time.
        spread: Coefficient of variation of that number.
        icc: Intra-class correlation of one user's ratings.
        treatment_share: Share (0-1) of the users in the experiment who meet the treatment.
    """

    ratings_per_day: float
    raters_per_day: float
    ratings_per_rater: float
    spread: float = 1.0
    icc: float = DEFAULT_ICC
    treatment_share: float = 0.5

    def __post_init__(self) -> None:
        if min(self.ratings_per_day, self.raters_per_day) <= 0 or self.ratings_per_rater < 1:
            raise InvalidInput("Without ratings no difference is ever seen.", field="ratings_per_day")
        if not 0 < self.treatment_share < 1:
            raise InvalidInput("Both variants need a share of the users.", field="treatment_share")

    @property
    def design_effect(self) -> float:
        """Return how many times more ratings are needed because users rate more than once."""
        return design_effect(self.ratings_per_rater, self.spread, self.icc)


@dataclass(frozen=True)
class Plan:
    """What an experiment is to show, and by which rules.

    Attributes:
        traffic: How the agent is rated.
        base: The metric's mean under the control.
        effect: What the treatment is to add.
        sd: Standard deviation of one rating; None for shares.
        significance: How often (0-1) a change without effect may look like one.
        minimum_hours: No verdict before.
        minimum_samples: Nor with fewer ratings of both variants together.
        minimum_raters: Nor with fewer raters in either.
    """

    traffic: Traffic
    base: float
    effect: float
    sd: float | None = None
    significance: float = 0.05
    minimum_hours: float = 168
    minimum_samples: int = 1000
    minimum_raters: int = 30

    @property
    def first_day(self) -> int:
        """Return the day of the first look that may decide."""
        traffic = self.traffic
        smaller = min(traffic.treatment_share, 1 - traffic.treatment_share)
        return max(
            1,
            ceil(self.minimum_hours / 24),
            ceil(self.minimum_samples / traffic.ratings_per_day),
            ceil(self.minimum_raters / (traffic.raters_per_day * smaller)),
        )

    def information(self, days: int) -> Floats:
        """Return 1 / SE^2 of the difference at the end of each day (days,)."""
        of_control, of_treatment = variances(self.base, self.effect, self.sd)
        share = self.traffic.treatment_share
        ratings = self.traffic.ratings_per_day * np.arange(1.0, days + 1)
        return ratings / (self.traffic.design_effect * (of_control / (1 - share) + of_treatment / share))


# ---------------------------------------------------------------- by day


def decided_by_day(plan: Plan, days: int, method: Method = Method.ALWAYS_VALID) -> Floats:
    """Return the probability that a daily look has decided by the end of each day (days,).

    Args:
        plan: What is to be shown.
        days: How long the experiment runs; its planned end where the method asks for one.
        method: When it may decide.
    """
    return decided(plan.information(days), plan.first_day, plan.effect, method, plan.significance)


def decided(
    information: Floats, first_day: int, effect: float, method: Method, significance: float = 0.05
) -> Floats:
    """Return the probability that a look has decided by the end of each day (days,).

    Args:
        information: 1 / SE^2 of the difference at the end of each day, growing (days,).
        first_day: The first day whose look may decide, from 1.
        effect: The true difference.
        method: When a look decides; a planned end is the last day.
        significance: How often (0-1) it may where there is no difference.
    """
    late_enough = slice(first_day - 1, None)
    likely = np.zeros(len(information))
    if first_day > len(information):
        return likely
    if method is Method.PLANNED_END:
        passed = np.arange(1.0, len(information) + 1) / len(information)
        spent = boundaries.spent_by(passed[late_enough], significance)
        critical = boundaries.critical_values(information[late_enough], spent)
    else:
        ratio = information[late_enough] / information[first_day - 1 : first_day]
        critical = sequential.two_sided_radius(ratio, significance)
    likely[late_enough] = crossing(information[late_enough], critical, effect)
    return likely


def crossing(information: Floats, critical: Floats, effect: float) -> Floats:
    """Return the probability that a z-value has left its bounds by each look (n_looks,).

    With B = z sqrt(I), increments of B are independent and normal with mean effect dI and variance dI. The
    density of paths still within their bounds goes from look to look by numerical integration (Armitage,
    McPherson and Rowe 1969, "Repeated significance tests on accumulating data", Journal of the Royal
    Statistical Society A 132, 235-244), without effect; exp(effect B - effect^2 I / 2) turns it into the
    density with effect.

    Args:
        information: At each look, growing (n_looks,).
        critical: |z| at which a look decides; infinite at one that decides nothing (n_looks,).
        effect: The true difference.
    """
    from scipy.special import ndtr  # type: ignore[import-untyped]

    nodes, weights = _legendre(_nodes(information, critical))
    left = np.zeros(len(information))
    at, mass, before = np.zeros(1), np.ones(1), 0.0
    for look, (now, bound) in enumerate(zip(information, critical, strict=True)):
        if not np.isfinite(bound):
            continue
        step, edge = now - before, bound * sqrt(now)
        spread = sqrt(step)
        there = mass * np.exp(effect * at - effect**2 * before / 2)
        ahead = at + effect * step
        left[look] = there @ (ndtr((-edge - ahead) / spread) + ndtr((ahead - edge) / spread))
        goes = np.exp(-((edge * nodes[:, np.newaxis] - at) ** 2) / (2 * step)) / (spread * sqrt(2 * np.pi))
        at, mass, before = edge * nodes, edge * weights * (goes @ mass), now
    return np.cumsum(left)


@lru_cache
def _legendre(nodes: int) -> tuple[Floats, Floats]:
    return np.polynomial.legendre.leggauss(nodes)


def _nodes(information: Floats, critical: Floats) -> int:
    counts = np.isfinite(critical)
    before, steps = information[counts][:-1], np.diff(information[counts])
    if not len(steps):
        return FEWEST_NODES
    in_steps = 2 * critical[counts][:-1] * np.sqrt(before / steps)
    return max(FEWEST_NODES, ceil(NODES_PER_STEP * float(in_steps.max())))


def mean_day(decided: Floats) -> float:
    """Return the mean day of decision where undecided experiments count as decided on the last day."""
    return 1.0 + float((1 - decided[:-1]).sum())


# ---------------------------------------------------------------- what a plan comes to


def days_needed(
    plan: Plan, method: Method = Method.ALWAYS_VALID, power: float = USUAL_POWER, longest: int = LONGEST_DAYS
) -> int | None:
    """Return the days after which an effect is seen with the power asked for; None if never in time.

    Without a planned end, the first day by which so many experiments have decided; with one, the first day
    that would do as an end.
    """
    if not plan.effect:
        raise InvalidInput("Nothing ever shows an effect of nothing.", field="effect")
    for horizon in _horizons(plan.first_day, longest):
        likely = decided_by_day(plan, horizon, method)
        if likely[-1] >= power and method is Method.ALWAYS_VALID:
            return int(np.argmax(likely >= power)) + 1
        if likely[-1] >= power:
            return _first(
                plan.first_day,
                horizon,
                lambda end: float(decided_by_day(plan, end, method)[-1]) >= power,
            )
    return None


def _horizons(first_day: int, longest: int) -> Iterator[int]:
    """Give days that double, up to the longest: short experiments need no long calculation."""
    horizon = 4 * first_day
    while horizon < longest:
        yield horizon
        horizon *= 2
    yield longest


def _first(low: int, high: int, suffices: Callable[[int], bool]) -> int:
    """Return the first number from low to high that suffices, where all after it do."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle + 1, high)
    return low


def smallest_effect(
    plan: Plan, days: int, method: Method = Method.ALWAYS_VALID, power: float = USUAL_POWER
) -> float | None:
    """Return the smallest effect, in the direction of the plan's, seen within so many days; None if none is.

    For shares, no effect takes the mean beyond 0 or 1.
    """
    from scipy.optimize import brentq  # type: ignore[import-untyped]

    if days < plan.first_day:
        return None
    towards = -1.0 if plan.effect < 0 else 1.0
    widest = _widest(plan, towards, days)

    def lacking(size: float) -> float:
        return float(decided_by_day(replace(plan, effect=towards * size), days, method)[-1]) - power

    if lacking(widest) < 0:
        return None
    return towards * float(brentq(lacking, widest * 1e-6, widest, rtol=1e-7))


def _widest(plan: Plan, towards: float, days: int) -> float:
    if plan.sd is None:
        return (1 - plan.base if towards > 0 else plan.base) * (1 - 1e-6)
    return 20 / sqrt(float(plan.information(days)[-1]))


# ---------------------------------------------------------------- frames


def by_day(plan: Plan, days: int) -> pd.DataFrame:
    """Return one row per day, from the first: how likely the effect is seen by its end.

    Columns: day (int, from 1), ratings (float, expected, both variants), always_valid, planned_end (float,
    0-1; the latter planned for the last day), single_look (float, 0-1: had all waited for this day and looked
    once, which is the most that anybody can see).
    """
    import pandas as pd

    information = plan.information(days)
    late_enough = np.arange(1, days + 1) >= plan.first_day
    return pd.DataFrame(
        {
            "day": np.arange(1, days + 1),
            "ratings": plan.traffic.ratings_per_day * np.arange(1.0, days + 1),
            "always_valid": decided_by_day(plan, days, Method.ALWAYS_VALID),
            "planned_end": decided_by_day(plan, days, Method.PLANNED_END),
            "single_look": np.where(late_enough, _single(information, plan), 0.0),
        }
    )


def _single(information: Floats, plan: Plan) -> Floats:
    from scipy.special import ndtr, ndtri

    critical, away = -ndtri(plan.significance / 2), plan.effect * np.sqrt(information)
    return np.asarray(ndtr(away - critical) + ndtr(-away - critical), np.float64)
