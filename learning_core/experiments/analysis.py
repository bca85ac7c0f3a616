"""A look at an experiment: from the sums of its users and the look before to what may be said today.

The same sums give the same look. Once decided, an experiment stays decided: later looks bring the estimates
up to date and copy the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from math import inf, isfinite

from pydantic import TypeAdapter

from learning_core.experiments.comparisons import (
    ArmFigures,
    Comparison,
    Role,
    Spending,
    State,
    compare,
    hold_together,
)
from learning_core.experiments.metrics import METRICS
from learning_core.experiments.remaining import days_left
from learning_core.experiments.statistics import mismatch
from learning_core.experiments.statistics.moments import NOTHING, Moments
from learning_core.experiments.terms import CONTROL, DESIGN, Design, DesignVariant, Guardrail, Method

__all__ = [
    "CONTROL",
    "DESIGN",
    "LOOK",
    "ArmFigures",
    "Comparison",
    "Design",
    "DesignVariant",
    "Direction",
    "Gate",
    "Guardrail",
    "Look",
    "Method",
    "Mismatch",
    "MismatchState",
    "Observation",
    "Requirement",
    "Role",
    "Spending",
    "State",
    "Traffic",
    "Verdict",
    "look",
]


@dataclass(frozen=True)
class Observation:
    """The sums over the users of one variant in one phase, for one metric.

    Attributes:
        phase: Number of the phase in which the users came.
        variant: Its name.
        metric: Key of the metric.
        moments: The sums, as floats.
    """

    phase: int
    variant: str
    metric: str
    moments: Moments


@dataclass(frozen=True)
class Traffic:
    """Who came.

    Attributes:
        users: Users by phase and variant, by their first exposure; those who crossed are left out, so that
            losing those of one variant shows.
        ramps: Share (0-1) of the experiment's users that met a variant, by phase.
        crossed: Users seen in two variants.
        first_at: When the first user came; None before.
    """

    users: dict[int, dict[str, int]]
    ramps: dict[int, float]
    crossed: int
    first_at: datetime | None


@dataclass(frozen=True)
class Requirement:
    """What has to be reached before anything may be said, and what is.

    Attributes:
        have: How much there is.
        need: How much there has to be.
    """

    have: float
    need: float

    @property
    def passed(self) -> bool:
        """Whether it is reached."""
        return self.have >= self.need


@dataclass(frozen=True)
class Gate:
    """What the primary metric has to reach before the experiment may be decided.

    Attributes:
        hours: Since the first exposure.
        samples: Observations of both arms together; with several treatments, of the one that has fewest.
        raters: Users who gave one, in the arm that has fewest.
        spread: Whether the users of each arm differ at all; where all are alike, nothing says by how much
            another user might differ.
    """

    hours: Requirement
    samples: Requirement
    raters: Requirement
    spread: bool = True

    @property
    def passed(self) -> bool:
        """Whether all of it is reached."""
        return self.hours.passed and self.samples.passed and self.raters.passed and self.spread


class MismatchState(StrEnum):
    """How the users per variant follow the shares."""

    OK = "ok"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True)
class Mismatch:
    """Whether the users per variant follow the shares.

    Attributes:
        p: p-value of this look that is valid at all looks.
        running_p: The least so far.
        fixed_p: That of the chi-square test of this look alone, for display.
        counts: Users by variant, all phases together.
        expected: What the shares would have given.
        state: A warning below 0.01 blocks a verdict; an alarm below 0.001.
    """

    p: float
    running_p: float
    fixed_p: float | None
    counts: dict[str, int]
    expected: dict[str, float]
    state: MismatchState


class Direction(StrEnum):
    """What a verdict says of a variant."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no_difference"


@dataclass(frozen=True)
class Verdict:
    """What the data said first; it never changes.

    Attributes:
        direction: Better or worse than the control, or no difference shown by the planned end.
        variant: The treatment of which it is said: the best of those that are better.
        metric: Key of the primary metric.
        at: When it was decided.
        number: Number of the look that decided.
        hours: Hours from the first exposure to then.
        difference: As estimated then; at the moment of a decision estimates are too far from 0.
        low: Lower end of its interval.
        high: Its upper end.
    """

    direction: Direction
    variant: str
    metric: str
    at: datetime
    number: int
    hours: float
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Look:
    """One analysis of an experiment at one moment.

    Attributes:
        number: From 1.
        at: When.
        hours: Since the first exposure.
        gate: What the primary metric has to reach.
        comparisons: Each treatment in the primary metric, then in the secondary ones.
        mismatch: Whether the users per variant follow the shares.
        crossed: Users seen in two variants, who are left out.
        verdict: None until decided; then the same in all later looks.
        days_left: Days until the smallest effect worth knowing would show, or to the planned end; None where
            decided or unknown.
    """

    number: int
    at: datetime
    hours: float
    gate: Gate
    comparisons: tuple[Comparison, ...]
    mismatch: Mismatch
    crossed: int
    verdict: Verdict | None
    days_left: float | None

    @property
    def primary(self) -> tuple[Comparison, ...]:
        """The comparisons that decide, one for each treatment."""
        return tuple(each for each in self.comparisons if each.role is Role.PRIMARY)


LOOK: TypeAdapter[Look] = TypeAdapter(Look)
"""Reads and writes the JSON form of a look."""


def look(
    design: Design, observations: Sequence[Observation], traffic: Traffic, previous: Look | None, at: datetime
) -> Look:
    """Look at an experiment: bring its figures up to date, and decide if it may be decided.

    Args:
        design: The terms, unchanged since the start.
        observations: The sums per phase, variant and metric, all since the start.
        traffic: Who came, since the start.
        previous: The look before; None at the first.
        at: Now.
    """
    hours = max(0.0, (at - traffic.first_at).total_seconds() / 3600) if traffic.first_at else 0.0
    number = previous.number + 1 if previous else 1
    comparisons = _comparisons(design, observations, hours, previous)
    primary = [each for each in comparisons if each.role is Role.PRIMARY]
    arrivals = _mismatch(design, traffic, previous)
    found = previous.verdict if previous else None
    if found is None and arrivals.state is MismatchState.OK:
        found = _verdict(design, primary, at, number, hours)
    return Look(
        number=number,
        at=at,
        hours=hours,
        gate=_gate(design, primary, hours),
        comparisons=tuple(comparisons),
        mismatch=arrivals,
        crossed=traffic.crossed,
        verdict=found,
        days_left=days_left(design, primary, hours) if found is None else None,
    )


def _comparisons(
    design: Design, observations: Sequence[Observation], hours: float, previous: Look | None
) -> list[Comparison]:
    """Compare each treatment in each metric: the primary ones are a family, the secondary ones another."""
    before = {(each.variant, each.metric): each for each in (previous.comparisons if previous else ())}
    sums = {(each.metric, each.variant, each.phase): each.moments for each in observations}
    numbers = sorted({each.phase for each in observations})

    def compared(variant: str, metric: str) -> Comparison:
        pairs = [
            (sums.get((metric, CONTROL, phase), NOTHING), sums.get((metric, variant, phase), NOTHING))
            for phase in numbers
        ]
        return compare(design, variant, metric, pairs, hours, before.get((variant, metric)))

    names = [each.name for each in design.treatments]
    primary = [compared(name, design.primary) for name in names]
    secondary = [compared(name, metric) for metric in design.secondary for name in names]
    return [
        *hold_together(primary, design.significance),
        *hold_together(secondary, design.significance),
    ]


def _gate(design: Design, primary: Sequence[Comparison], hours: float) -> Gate:
    arms = [arm for each in primary for arm in (each.control, each.treatment)]
    return Gate(
        hours=Requirement(hours, design.minimum_hours),
        samples=Requirement(
            min(each.control.n + each.treatment.n for each in primary), design.minimum_samples
        ),
        raters=Requirement(min(arm.users for arm in arms), design.minimum_raters),
        spread=all(each.spread for each in primary),
    )


def _mismatch(design: Design, traffic: Traffic, previous: Look | None) -> Mismatch:
    """Test the shares phase by phase; once warned, an experiment stays warned."""
    shares = [each.share for each in design.variants]
    phases = [[users.get(each.name, 0) for each in design.variants] for users in traffic.users.values()]
    factor = sum(float(mismatch.log_bayes_factor(counts, shares)) for counts in phases)
    p = float(mismatch.sequential_p(factor))
    running_p = min(p, previous.mismatch.running_p) if previous else p
    counts = [sum(of_variant) for of_variant in zip(*phases, strict=True)] or [0] * len(shares)
    fixed_p = float(mismatch.chi_square(phases, shares)[1])
    named = [each.name for each in design.variants]
    return Mismatch(
        p=p,
        running_p=running_p,
        fixed_p=fixed_p if isfinite(fixed_p) else None,
        counts=dict(zip(named, counts, strict=True)),
        expected={name: sum(counts) * share for name, share in zip(named, shares, strict=True)},
        state=_state(running_p),
    )


def _state(p: float) -> MismatchState:
    if p < mismatch.ALARM:
        return MismatchState.ALARM
    return MismatchState.WARNING if p < mismatch.WARNING else MismatchState.OK


def _verdict(
    design: Design, primary: Sequence[Comparison], at: datetime, number: int, hours: float
) -> Verdict | None:
    """Decide: a treatment is better; or all are worse; or the planned end is there and neither is shown."""
    best = max(primary, key=partial(_gain, design))
    better = [each for each in primary if each.state is State.BETTER]
    if better:
        best, direction = max(better, key=partial(_gain, design)), Direction.BETTER
    elif all(each.state is State.WORSE for each in primary):
        direction = Direction.WORSE
    elif _ended(design, primary, hours):
        direction = Direction.NO_DIFFERENCE
    else:
        return None
    return Verdict(
        direction, best.variant, design.primary, at, number, hours, best.difference, best.low, best.high
    )


def _gain(design: Design, one: Comparison) -> float:
    if one.difference is None:
        return -inf
    return one.difference if METRICS[design.primary].higher_is_better else -one.difference


def _ended(design: Design, primary: Sequence[Comparison], hours: float) -> bool:
    planned = design.planned_days if design.method is Method.PLANNED_END else None
    return planned is not None and hours >= planned * 24 and all(each.eligible for each in primary)
