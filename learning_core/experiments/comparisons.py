"""One variant against the control in one metric: what is known at a look, given what was known before.

Pages put it into words; nothing here ends an experiment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf, isfinite
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning_core.experiments.metrics import METRICS
from learning_core.experiments.statistics import boundaries, moments, multiplicity, sequential
from learning_core.experiments.statistics.moments import Arm, Figure, Moments
from learning_core.experiments.terms import Design, Method


class State(StrEnum):
    """What may be said of a variant in a metric."""

    TOO_EARLY = "too_early"
    NO_EVIDENCE = "no_evidence"
    BETTER = "better"
    WORSE = "worse"


SHOWN = (State.BETTER, State.WORSE)
"""What stays, once it is shown."""


class Role(StrEnum):
    """What a metric is for: the primary one decides, the secondary ones are shown beside it."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


@dataclass(frozen=True)
class ArmFigures:
    """A variant's metric.

    Attributes:
        value: In the unit of the metric; None without observations.
        n: Observations.
        users: Users who gave one.
    """

    value: float | None
    n: float
    users: float


NO_FIGURES = ArmFigures(None, 0.0, 0.0)


@dataclass(frozen=True)
class Spending:
    """A look of an experiment with a planned end that spent some of the permitted error.

    Attributes:
        day: Whole days since the first exposure.
        share: Share (0-1) of the planned time that had passed.
        information: 1 / SE^2 of the difference.
        z: The difference in standard errors.
        critical: What |z| had to reach.
    """

    day: int
    share: float
    information: float
    z: float
    critical: float


@dataclass(frozen=True)
class Comparison:
    """One variant against the control in one metric at one look.

    Attributes:
        variant: Name of the treatment.
        metric: Key of the metric.
        role: Whether the metric decides.
        control: The control's figures, with what history explains taken out where the design says so.
        treatment: The treatment's.
        difference: Treatment less control, in the unit of the metric.
        se: Its standard error.
        low: Lower end of the interval that holds at all looks at once, for this comparison alone; None before
            the gate is passed.
        high: Its upper end.
        running_low: The highest lower end so far.
        running_high: The lowest upper end so far.
        relative: The difference as a share of the control.
        relative_low: Lower end of its interval, for display; None where the control is not clearly above 0.
        relative_high: Its upper end.
        information: 1 / SE^2.
        first_information: The information at the first eligible look.
        most_information: The greatest since then.
        p: The p-value of this look that is valid at all looks.
        running_p: The least so far.
        holm_p: The running one, adjusted for the others of its family.
        chance: Probability (0-1) that the treatment is better, for display: it must never stop anything.
        eligible: Whether the gate is passed, now or before.
        leaning: "better" or "worse": where the difference lay when the running p-value was reached.
        state: What may be said.
        spendings: With a planned end, the looks that spent.
        spread: Whether the users of each arm differ at all.
    """

    variant: str
    metric: str
    role: Role
    control: ArmFigures = NO_FIGURES
    treatment: ArmFigures = NO_FIGURES
    difference: float | None = None
    se: float | None = None
    low: float | None = None
    high: float | None = None
    running_low: float | None = None
    running_high: float | None = None
    relative: float | None = None
    relative_low: float | None = None
    relative_high: float | None = None
    information: float | None = None
    first_information: float | None = None
    most_information: float | None = None
    p: float | None = None
    running_p: float | None = None
    holm_p: float | None = None
    chance: float | None = None
    eligible: bool = False
    leaning: State | None = None
    state: State = State.TOO_EARLY
    spendings: tuple[Spending, ...] = ()
    spread: bool = True


def estimate(phases: Sequence[tuple[Moments, Moments]], prior: bool) -> tuple[Arm, Arm]:
    """Return control and treatment over all phases, each phase compared with itself.

    Args:
        phases: The sums of control and treatment, phase by phase.
        prior: Whether what users did before is used.
    """
    if not phases:
        nothing = Arm(np.nan, np.nan, 0.0, 0.0)
        return nothing, nothing
    pairs = [
        moments.adjusted(*pair) if prior else (moments.arm(pair[0]), moments.arm(pair[1])) for pair in phases
    ]
    controls, treatments = zip(*pairs, strict=True)
    weights = moments.phase_weights(controls, treatments)
    return moments.combined(controls, weights), moments.combined(treatments, weights)


def compare(
    design: Design,
    variant: str,
    metric: str,
    phases: Sequence[tuple[Moments, Moments]],
    hours: float,
    previous: Comparison | None,
) -> Comparison:
    """Compare a treatment with the control in one metric; others of its family are not taken into account.

    Args:
        design: The terms.
        variant: Name of the treatment.
        metric: Key of the metric.
        phases: The sums of control and treatment, phase by phase.
        hours: Since the first exposure.
        previous: The same comparison at the look before; None at the first.
    """
    role = Role.PRIMARY if metric == design.primary else Role.SECONDARY
    before = previous or Comparison(variant, metric, role)
    control, treatment = estimate(phases, design.prior)
    # What history explains may differ where nothing else does: the gate goes by the sums as they are.
    plain = estimate(phases, prior=False)
    found = moments.difference(control, treatment)
    now = replace(
        before,
        control=_figures(control),
        treatment=_figures(treatment),
        difference=_number(found.value),
        se=_number(found.se),
        low=None,
        high=None,
        relative=_number(moments.to_relative(control, treatment).value),
        relative_low=None,
        relative_high=None,
        information=_number(found.information),
        p=None,
        holm_p=None,
        chance=None,
        eligible=before.eligible or bool(passes(design, *plain, hours)),
        spread=bool(has_spread(*plain)),
    )
    if not now.eligible or now.information is None:
        return now
    return _judged(design, now, control, treatment, hours)


def hold_together(family: Sequence[Comparison], significance: float) -> list[Comparison]:
    """Adjust the running p-values of a family for one another, and say what may be said of each.

    Holm's procedure on p-values that are valid at all looks is valid at all looks. What is not eligible yet
    counts with a p-value of 1, so that the family is as large at the first look as at the last.
    """
    if not family:
        return []
    adjusted = multiplicity.holm([1.0 if each.running_p is None else each.running_p for each in family])
    return [_said(each, float(p), significance) for each, p in zip(family, adjusted, strict=True)]


def _said(one: Comparison, holm_p: float, significance: float) -> Comparison:
    if one.running_p is None:
        return one
    if one.state in SHOWN:
        return replace(one, holm_p=holm_p)
    shown = one.leaning if holm_p <= significance else None
    return replace(one, holm_p=holm_p, state=shown or State.NO_EVIDENCE)


def passes(design: Design, control: Arm, treatment: Arm, hours: ArrayLike) -> NDArray[np.bool_]:
    """Say whether the gate is passed: none of it depends on how good either variant is."""
    return np.asarray(
        np.greater_equal(hours, design.minimum_hours)
        & np.greater_equal(np.add(control.n, treatment.n), design.minimum_samples)
        & np.greater_equal(np.minimum(control.users, treatment.users), design.minimum_raters)
        & has_spread(control, treatment)
    )


def has_spread(control: Arm, treatment: Arm) -> NDArray[np.bool_]:
    """Say whether the users of each arm differ at all.

    Where all are alike nothing says how far another might differ: the standard error would be 0, and any
    difference certain.
    """
    return np.asarray(np.greater(control.variance, 0) & np.greater(treatment.variance, 0))


def _judged(design: Design, now: Comparison, control: Arm, treatment: Arm, hours: float) -> Comparison:
    """Say how sure a difference is that may be judged."""
    found = moments.difference(control, treatment)
    value, se, z, information = (float(each) for each in (*found, found.z, found.information))
    first = now.first_information or information
    most = max(now.most_information or 0.0, information)
    spendings = now.spendings
    if design.method is Method.PLANNED_END:
        p, radius, spendings = _planned(design, now, z, information, hours)
    else:
        p, radius = _always_valid(design, z, most / first, moments.degrees(control, treatment))
    low, high = value - radius * se, value + radius * se
    running_low, running_high = _narrowed(now, low, high)
    relative_low, relative_high = moments.relative(control, treatment, radius)
    gain = z if METRICS[now.metric].higher_is_better else -z
    least = now.running_p is None or p < now.running_p
    return replace(
        now,
        low=low,
        high=high,
        running_low=running_low,
        running_high=running_high,
        relative_low=_number(relative_low),
        relative_high=_number(relative_high),
        first_information=first,
        most_information=most,
        p=p,
        running_p=p if least else now.running_p,
        chance=NormalDist().cdf(gain),
        leaning=(State.BETTER if gain > 0 else State.WORSE) if least else now.leaning,
        spendings=spendings,
    )


def _always_valid(design: Design, z: float, ratio: float, degrees: Figure) -> tuple[float, float]:
    """Return p-value and radius of the delayed-start confidence sequence, whenever it is looked at."""
    p = sequential.two_sided_p(sequential.as_normal(z, degrees), ratio)
    radius = sequential.as_student(sequential.two_sided_radius(ratio, design.significance), degrees)
    return float(p), float(radius)


def _planned(
    design: Design, now: Comparison, z: float, information: float, hours: float
) -> tuple[float, float, tuple[Spending, ...]]:
    """Return p-value and radius of the group-sequential boundary, and the looks that spent so far.

    What may be spent follows the time that has passed, not what was seen. A look that spends nothing keeps
    the boundary and the p-value of the one before; so do all after the planned end.
    """
    before = 1.0 if now.running_p is None else now.running_p
    days = hours / 24
    passed = min(1.0, days / (design.planned_days or 1))
    if not _spends(now.spendings, int(days), passed, information):
        return before, now.spendings[-1].critical, now.spendings
    history = (*now.spendings, Spending(int(days), passed, information, z, inf))
    known, shares = [each.information for each in history], [each.share for each in history]
    spent = boundaries.spent_by(shares, design.significance)
    critical = float(boundaries.critical_values(known, spent)[-1])
    p = boundaries.sequential_p(known, shares, [each.z for each in history], before)
    return p, critical, (*now.spendings, replace(history[-1], critical=critical))


def _spends(spendings: Sequence[Spending], day: int, passed: float, information: float) -> bool:
    """Say whether a look spends: one on a new day that knows more than the last, up to the planned end."""
    if not spendings:
        return True
    last = spendings[-1]
    grown = information > last.information * (1 + boundaries.LEAST_GROWTH)
    return day > last.day and passed > last.share and grown


def _narrowed(before: Comparison, low: float, high: float) -> tuple[float, float]:
    """Return what all intervals so far have in common, or had, where they have nothing any more."""
    if before.running_low is None or before.running_high is None:
        return low, high
    narrowed = max(before.running_low, low), min(before.running_high, high)
    return narrowed if narrowed[0] <= narrowed[1] else (before.running_low, before.running_high)


def _figures(arm: Arm) -> ArmFigures:
    return ArmFigures(_number(arm.value), float(arm.n), float(arm.users))


def _number(figure: Figure) -> float | None:
    return float(figure) if isfinite(figure) else None
