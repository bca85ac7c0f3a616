"""How long an experiment still takes: until the smallest effect would have shown, or to its planned end."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite

import numpy as np

from learning_core.experiments.comparisons import Comparison
from learning_core.experiments.statistics.planning import USUAL_POWER
from learning_core.experiments.statistics.power import LONGEST_DAYS, decided
from learning_core.experiments.terms import Design, Method


def days_left(design: Design, primary: Sequence[Comparison], hours: float) -> float | None:
    """Return the days still to go, those of the slowest treatment; None where that cannot be told.

    Without a planned end: until daily looks would have seen the smallest effect worth knowing with the usual
    power, were it there, if the experiment learns as much per day as it did so far.
    """
    if hours <= 0:
        return None
    if design.method is Method.PLANNED_END and design.planned_days is not None:
        return max(0.0, design.planned_days - hours / 24)
    significance = design.significance / len(primary)
    days = [_day_seen(design, each, hours, significance) for each in primary]
    known = [day for day in days if day is not None]
    return max(0.0, max(known) - hours / 24) if len(known) == len(days) else None


def _day_seen(design: Design, one: Comparison, hours: float, significance: float) -> float | None:
    """Return the day since the first exposure by which the smallest effect would have been seen."""
    if one.information is None:
        return None
    per_day = one.information / (hours / 24)
    first_day = _first_day(design, one, hours)
    if one.first_information is not None:
        first_day = one.first_information / per_day
    if not isfinite(first_day) or first_day > LONGEST_DAYS:
        return None
    start = horizon = max(1, ceil(first_day))
    while horizon < LONGEST_DAYS:
        horizon = min(2 * horizon, LONGEST_DAYS)
        information = per_day * np.arange(start, horizon + 1.0)
        likely = decided(information, 1, design.smallest_effect, Method.ALWAYS_VALID, significance)
        if likely[-1] >= USUAL_POWER:
            return float(start + np.argmax(likely >= USUAL_POWER))
    return None


def _first_day(design: Design, one: Comparison, hours: float) -> float:
    """Return the day on which the gate will be passed, if users go on as they did."""
    days = hours / 24
    samples = one.control.n + one.treatment.n
    raters = min(one.control.users, one.treatment.users)
    if not samples or not raters:
        return float("inf")
    slowest = max(design.minimum_samples / samples, design.minimum_raters / raters)
    return max(design.minimum_hours / 24, days * slowest)
