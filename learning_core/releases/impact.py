"""How a metric lay before a release and since, with what is known of it, and the sentence that says so.

Two comparisons are told apart. Measured side by side, in the canary, users of the old and of the new version
met at the same time and by lot: what differs is the release's doing. By calendar, the time before is compared
with the time after: whatever else changed meanwhile is in it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import isfinite, sqrt
from typing import NamedTuple

from pydantic import TypeAdapter

from learning_core.experiments.metrics import METRICS, Unit
from learning_core.experiments.statistics import moments
from learning_core.experiments.statistics.moments import Arm, Moments
from learning_core.feedback import intervals
from learning_core.feedback.intervals import HIGHEST, LOWEST, Estimate

CONFIDENCE = 0.95

MIDDLE, SPREAD = 3.0, 2.0
"""Mean and variance of a rating that is any of the five levels with the same probability."""


class Way(StrEnum):
    """How two versions were compared."""

    SIDE_BY_SIDE = "side_by_side"
    BY_CALENDAR = "by_calendar"


class Direction(StrEnum):
    """What a change comes to."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "unclear"


class Measure(NamedTuple):
    """A metric that the ledger follows; `n` and `s` are counters of feedback, `says` fits into a sentence."""

    key: str
    words: str
    says: str
    unit: Unit
    higher_is_better: bool
    counted: str
    n: str
    s: str


SAYS = {
    "satisfaction": "satisfaction",
    "thumbs_up_share": "thumbs up",
    "correction_rate": "corrected",
    "issue_rate": "reported with an issue",
}
ISSUES = {
    "incorrect": "reported as incorrect",
    "incomplete": "reported as incomplete",
    "unclear": "reported as unclear",
    "hallucination": "reported as made up",
    "outdated": "reported as outdated",
    "formatting": "reported for its formatting",
    "tone": "reported for its tone",
    "other": "reported for something else",
}
"""Issue category -> how a sentence says that an answer was reported with it."""


def _followed() -> Iterator[Measure]:
    for key, says in SAYS.items():
        metric = METRICS[key]
        yield Measure(
            key, metric.words, says, metric.unit, metric.higher_is_better, metric.counted, metric.n, metric.s
        )
    for issue, says in ISSUES.items():
        counters = ("feedback_count", f"issue_{issue}")
        yield Measure(f"issue_{issue}", says.capitalize(), says, "share", False, "reactions", *counters)


MEASURES = {measure.key: measure for measure in _followed()}
"""What the ledger follows, by key, in the order in which people read it."""


# ---------------------------------------------------------------- what was measured


@dataclass(frozen=True)
class Figure:
    """A metric under one version: the value with its interval, the observations and the users it rests on."""

    value: float
    low: float
    high: float
    n: int
    users: int

    @property
    def estimate(self) -> Estimate:
        """Return it without its users."""
        return Estimate(self.value, self.low, self.high, self.n)


@dataclass(frozen=True)
class Change:
    """One metric before and after; the difference is None where one of them is."""

    metric: str
    before: Figure | None
    after: Figure | None
    difference: Estimate | None

    @property
    def direction(self) -> Direction:
        """Return what it comes to: unclear as long as the interval of the difference holds zero."""
        found = self.difference
        if found is None or found.low <= 0 <= found.high:
            return Direction.UNCLEAR
        rose = found.low > 0
        return Direction.BETTER if rose == MEASURES[self.metric].higher_is_better else Direction.WORSE


@dataclass(frozen=True)
class Period:
    """From when until when a version was looked at."""

    version: str
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Comparison:
    """All metrics under two versions."""

    way: Way
    before: Period
    after: Period
    changes: tuple[Change, ...]

    def of(self, metric: str) -> Change | None:
        """Return the change of a metric that both sides know, None where one does not."""
        return next((one for one in self.changes if one.metric == metric and one.difference), None)


@dataclass(frozen=True)
class Impact:
    """What became of an agent's metrics with a release. None: nothing to compare with."""

    side_by_side: Comparison | None
    by_calendar: Comparison | None

    def best(self, metric: str) -> tuple[Comparison, Change] | None:
        """Return the change of a metric that says most: side by side where there is one, else by calendar."""
        for comparison in (self.side_by_side, self.by_calendar):
            if comparison and (change := comparison.of(metric)):
                return comparison, change
        return None


IMPACT = TypeAdapter(Impact)
"""To JSON and back."""


# ---------------------------------------------------------------- from sums over users to figures


def change(metric: str, before: Arm, after: Arm) -> Change:
    """Compare a metric under two versions."""
    one, other = figure(metric, before), figure(metric, after)
    found = intervals.difference(other.estimate, one.estimate) if one and other else None
    return Change(metric, one, other, found)


def stratified(phases: Sequence[tuple[Moments, Moments]]) -> tuple[Arm, Arm]:
    """Return both sides of what was measured in phases; each phase is compared with itself alone."""
    before = [moments.arm(one) for one, _ in phases]
    after = [moments.arm(other) for _, other in phases]
    weights = moments.phase_weights(before, after)
    return moments.combined(before, weights), moments.combined(after, weights)


def figure(metric: str, arm: Arm) -> Figure | None:
    """Return a metric with its interval; None below two users, of whom nothing general can be said.

    For a share it is Wilson's interval with the effective number of observations in place of their number,
    the number of independent ones that would have the same variance, as Korn and Graubard (1998), "Confidence
    intervals for proportions with small expected number of positive counts estimated from survey data",
    Survey Methodology 24, 193-201, have it for theirs. For stars it is Student's, with one rating more in the
    spread, as in `feedback.intervals`. Degrees of freedom are those of the users.
    """
    users, n, value = int(arm.users), int(arm.n), float(arm.value)
    if users < 2 or not isfinite(value):
        return None
    quantile = intervals.student_quantile(CONFIDENCE, users - 1)
    variance = max(float(arm.variance), 0.0)
    bounds = _of_stars if MEASURES[metric].unit == "stars" else _of_share
    low, high = bounds(value, variance, users, n, quantile)
    return Figure(value, low, high, n, users)


def _of_stars(value: float, variance: float, users: int, n: int, quantile: float) -> tuple[float, float]:
    half = quantile * sqrt(variance + (SPREAD + (value - MIDDLE) ** 2) / n**2)
    return max(value - half, LOWEST), min(value + half, HIGHEST)


def _of_share(value: float, variance: float, users: int, n: int, quantile: float) -> tuple[float, float]:
    effective = min(value * (1 - value) / variance, n) if variance > 0 else users
    squared = quantile * quantile
    middle = (value + squared / (2 * effective)) / (1 + squared / effective)
    half = quantile / (1 + squared / effective)
    half *= sqrt(value * (1 - value) / effective + squared / (4 * effective * effective))
    return max(min(middle - half, value), 0.0), min(max(middle + half, value), 1.0)


# ---------------------------------------------------------------- in words


def shown(metric: str, *values: float) -> tuple[str, ...]:
    """Return values of a metric as people read them, all with as many digits as the largest asks for.

    >>> shown("issue_rate", 0.12, 0.073), shown("issue_rate", 0.07, 0.013), shown("satisfaction", 3.9)
    (('12 %', '7 %'), ('7.0 %', '1.3 %'), ('3.90',))
    """
    if MEASURES[metric].unit == "stars":
        return tuple(f"{value:.2f}" for value in values)
    digits = 1 if max(map(abs, values)) < 0.1 else 0
    return tuple(f"{value:.{digits}%}".replace("%", " %") for value in values)


def sentence(found: Change) -> str:
    """Say a change in one line: what it was, what it is, and where that surely lies.

    >>> before, after = Figure(0.12, 0.1, 0.14, 900, 300), Figure(0.07, 0.05, 0.09, 800, 280)
    >>> sentence(Change("issue_incorrect", before, after, Estimate(-0.05, -0.08, -0.02, 1700)))
    'reported as incorrect: 12 % before, 7 % since (5 % to 9 %)'
    """
    says = MEASURES[found.metric].says
    if found.before is None or found.after is None:
        return f"{says}: too little feedback to compare"
    was, now, low, high = shown(
        found.metric, found.before.value, found.after.value, found.after.low, found.after.high
    )
    return f"{says}: {was} before, {now} since ({low} to {high})"


BASIS = {
    Way.SIDE_BY_SIDE: "Measured side by side, {since} to {until}: {before} with the version before, {after} "
    "with this one, at the same time and chosen by lot.",
    Way.BY_CALENDAR: "The time before, from {began} on, compared with {since} to {until}: {before}, then "
    "{after}. Other things may have changed too.",
}


def basis(comparison: Comparison, found: Change) -> str:
    """Say what a change rests on, and what it can prove."""
    return BASIS[comparison.way].format(
        began=f"{comparison.before.since:%d %b %Y}",
        since=f"{comparison.after.since:%d %b}",
        until=f"{comparison.after.until:%d %b %Y}",
        before=_counted(found.metric, found.before),
        after=_counted(found.metric, found.after),
    )


def _counted(metric: str, side: Figure | None) -> str:
    n, users = (side.n, side.users) if side else (0, 0)
    return f"{n:,} {MEASURES[metric].counted} of {users:,} people"
