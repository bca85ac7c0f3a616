"""Whether a variant hurts: bounds on its metrics, what breaks them, and what shows that it stays within.

A bound is broken by the figure and by evidence, not by the figure alone: that takes back one healthy variant
in four. And nothing is within its bound by silence: only what is shown to be no worse is ok. A judgement is a
fold: what has to be remembered from the looks before stands in the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf, isfinite
from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter

from learning_core.experiments import bounds
from learning_core.experiments.amounts import amount
from learning_core.experiments.bounds import ALPHA as ALPHA
from learning_core.experiments.bounds import MINIMUM_RATERS, UNTRACKED, Track
from learning_core.experiments.metrics import METRICS, Metric
from learning_core.experiments.sides import Sides, sides_of
from learning_core.experiments.statistics import moments, rates
from learning_core.experiments.statistics.moments import Arm, Figure, Moments
from learning_core.experiments.terms import Guardrail as Guardrail

if TYPE_CHECKING:
    from learning_core.experiments.analysis import Observation

DRIFT_ALPHA = 0.01
DRIFT_EVERY = timedelta(days=1)
DRIFT_MOMENTS = 30
"""A rate is also looked at since each of so many later moments, one a day, with so much error allowed."""

LITERAL_FALSE_ALARMS = {20: 0.37, 50: 0.30, 200: 0.083}
"""The literal rule, "the figure is beyond the bound", from so many answers on: the share of variants with 3 %
errors that it takes back within 2,000 answers, where 5 % are allowed. By evidence it is 1 in 200."""


@dataclass(frozen=True)
class Limits:
    """Bounds of a release. None: not watched.

    Attributes:
        error_rate: Share (0-1) of answers that may fail.
        satisfaction_drop: Share (0-1) of the control's satisfaction that may be lost.
        latency_rise: Share of the control's answer time that may be added.
        satisfaction: Key of the metric that stands for it; where users give thumbs, their share.
        literal_min_n: From so many answers on, a figure beyond its bound is enough; None: evidence decides.
    """

    error_rate: float | None = 0.05
    satisfaction_drop: float | None = 0.10
    latency_rise: float | None = 0.50
    satisfaction: str = "satisfaction"
    literal_min_n: int | None = None

    @property
    def guardrails(self) -> tuple[Guardrail, ...]:
        """The bounds, in the order in which people read them."""
        bounds = (
            ("error_rate", self.error_rate, False),
            (self.satisfaction, self.satisfaction_drop, True),
            ("latency_ms", self.latency_rise, True),
        )
        return tuple(Guardrail(key, limit, relative) for key, limit, relative in bounds if limit is not None)


class State(StrEnum):
    """What may be said of a bound: shown to hold, broken, neither shown, or nothing to go by."""

    OK = "ok"
    BREACH = "breach"
    UNPROVEN = "unproven"
    NO_DATA = "no_data"


class Moment(NamedTuple):
    """What had been counted of a rate at some moment."""

    at: datetime
    n: float
    x: float


class Information(NamedTuple):
    """Information (1 / SE^2) at the first look with enough users, and the most since."""

    first: float
    most: float


@dataclass(frozen=True)
class GuardrailResult:
    """One bound at one look, all figures in the metric's unit and None where there are none.

    Attributes:
        key: Of the metric.
        words: Its name.
        state: What may be said.
        value: The variant's.
        baseline: The control's, also where the limit is not relative to it; None where there is none.
        limit: The worst value allowed.
        bound: How bad it may really be, at worst: ok means that this is within the limit.
        n: Observations of the variant.
        users: Users of the variant who gave one.
        reason: All that in a sentence.
        margin: How much was known of the distance to the limit.
        harm: The same of the difference from the control.
        moments: What had been counted, once a day.
    """

    key: str
    words: str
    state: State
    value: float | None
    baseline: float | None
    limit: float | None
    bound: float | None
    n: float
    users: float
    reason: str
    margin: Information | None = None
    harm: Information | None = None
    moments: tuple[Moment, ...] = ()


@dataclass(frozen=True)
class Report:
    """All bounds of a variant at one look."""

    at: datetime
    items: tuple[GuardrailResult, ...]

    @property
    def breaches(self) -> tuple[GuardrailResult, ...]:
        """Those that are broken."""
        return tuple(item for item in self.items if item.state is State.BREACH)

    @property
    def open(self) -> tuple[GuardrailResult, ...]:
        """Those that are not shown to hold."""
        return tuple(item for item in self.items if item.state is not State.OK)

    def of(self, key: str) -> GuardrailResult | None:
        """Return what is said of a metric; None where it has no bound."""
        return next((item for item in self.items if item.key == key), None)


REPORT: TypeAdapter[Report] = TypeAdapter(Report)
"""Reads and writes the JSON form of a report."""


def judge(
    guardrails: Sequence[Guardrail],
    observations: Sequence[Observation],
    variant: str,
    *,
    at: datetime,
    previous: Report | None = None,
    baseline: Mapping[str, Arm] | None = None,
    literal_min_n: int | None = None,
) -> Report:
    """Judge a variant by bounds on its metrics.

    Args:
        guardrails: The bounds.
        observations: The sums per phase, variant and metric, all since the start.
        variant: Whom to judge.
        at: Now.
        previous: The look before; None at the first.
        baseline: What the variant is compared with by metric, where no control group meets it.
        literal_min_n: From so many observations on, a figure beyond its bound is enough.
    """
    items = []
    for guardrail in guardrails:
        sides = sides_of(observations, variant, guardrail.metric, baseline)
        before = previous.of(guardrail.metric) if previous else None
        judged = _judge_rate if _is_rate(guardrail) else _judge_value
        items.append(judged(guardrail, sides, before, at, literal_min_n))
    return Report(at, tuple(items))


# ---------------------------------------------------------------- one bound


def _is_rate(guardrail: Guardrail) -> bool:
    return not guardrail.relative and METRICS[guardrail.metric].unit == "share"


def _judge_rate(
    guardrail: Guardrail,
    sides: Sides,
    before: GuardrailResult | None,
    at: datetime,
    literal_min_n: int | None,
) -> GuardrailResult:
    """Judge the share of observations that went wrong, by itself."""
    metric, limit = METRICS[guardrail.metric], guardrail.limit
    m = sides.total()
    total = float(m.n)
    if not total:
        return _nothing(metric, before)
    value = float(m.s) / total
    control, _ = sides.arms()
    if metric.higher_is_better:  # what goes wrong is what is missing
        m, limit = m._replace(s=m.n - m.s, ns=m.nn - m.ns, ss=m.nn - 2 * m.ns + m.ss), 1 - limit
    n, x = (float(each) for each in rates.effective(m))
    kept = before.moments if before else ()
    drifting = _drifts(kept, m, n / total, limit)
    literal = literal_min_n is not None and total >= literal_min_n and m.s > limit * total
    is_broken = bool(rates.is_above(n, x, limit)) or drifting or literal
    state = State.BREACH if is_broken else State.OK if rates.is_below(n, x, limit) else State.UNPROVEN
    worst = rates.highest(n, x)
    found = GuardrailResult(
        key=metric.key,
        words=metric.words,
        state=state,
        value=value,
        baseline=_number(control.value),
        limit=guardrail.limit,
        bound=1 - worst if metric.higher_is_better else worst,
        n=float(m.observations),
        users=float(m.users),
        reason="",
        moments=_with_moment(kept, Moment(at, total, float(m.s))),
    )
    return _told(found, metric, against=_name_of_control(sides), lately=drifting)


def _drifts(kept: Sequence[Moment], m: Moments, part: float, limit: float) -> bool:
    since_n = [max(float(m.n) - moment.n, 0.0) * part for moment in kept]
    since_x = [max(float(m.s) - moment.x, 0.0) * part for moment in kept]
    since_x = [min(x, n) for x, n in zip(since_x, since_n, strict=True)]
    return rates.drifts(since_n, since_x, limit, DRIFT_ALPHA)


def _with_moment(kept: tuple[Moment, ...], now: Moment) -> tuple[Moment, ...]:
    is_due = not kept or (len(kept) < DRIFT_MOMENTS and now.at - kept[-1].at >= DRIFT_EVERY)
    return (*kept, now) if is_due else kept


def _judge_value(
    guardrail: Guardrail,
    sides: Sides,
    before: GuardrailResult | None,
    at: datetime,
    literal_min_n: int | None,
) -> GuardrailResult:
    """Judge a mean, beside the control's or beside the bound itself."""
    metric = METRICS[guardrail.metric]
    control, treatment = sides.arms()
    if not guardrail.relative:
        control = bounds.itself(guardrail)
        treatment = moments.arm(sides.total())
    if not treatment.users:
        return _nothing(metric, before)
    if not control.users:
        return _nothing(metric, before, " in the control group")
    compared = bounds.compare(
        guardrail,
        control,
        treatment,
        _track(before.margin if before else None),
        _track(before.harm if before else None),
        literal_min_n,
    )
    state = State.BREACH if compared.breach else State.OK if compared.ok else State.UNPROVEN
    found = GuardrailResult(
        key=metric.key,
        words=metric.words,
        state=state,
        value=_number(treatment.value),
        baseline=_number(control.value) if guardrail.relative else None,
        limit=_number(compared.limit),
        bound=_number(compared.bound),
        n=float(treatment.n),
        users=float(treatment.users),
        reason="",
        margin=_information(compared.margin),
        harm=_information(compared.harm),
    )
    fewest = float(min(control.users, treatment.users))
    return _told(found, metric, against=_name_of_control(sides), fewest=fewest)


def _nothing(metric: Metric, before: GuardrailResult | None, where: str = "") -> GuardrailResult:
    kept = before.moments if before else ()
    reason = f"{metric.words}: no {metric.counted}{where} to go by yet."
    return GuardrailResult(
        metric.key, metric.words, State.NO_DATA, None, None, None, None, 0.0, 0.0, reason, moments=kept
    )


def _track(kept: Information | None) -> Track:
    return Track(*kept) if kept else UNTRACKED


def _information(track: Track) -> Information | None:
    first, most = _number(track.first), _number(track.most)
    return None if first is None or most is None else Information(first, most)


def _number(figure: Figure) -> float | None:
    return float(figure) if isfinite(float(figure)) else None


# ---------------------------------------------------------------- in words


def _told(
    found: GuardrailResult,
    metric: Metric,
    *,
    against: str,
    fewest: float = inf,
    lately: bool = False,
) -> GuardrailResult:
    """Say in a sentence what a result rests on and what it comes to."""

    def say(value: float | None) -> str:
        return amount(value, metric.unit)

    if found.value is None or found.limit is None:
        few = f"one group has {fewest:.0f} of the {MINIMUM_RATERS} people that it takes"
        return replace(found, reason=f"{found.words}: too early to say, {few}.")
    beside = f" against {say(found.baseline)} in {against}" if found.baseline is not None else ""
    allowed = f"{'at least' if metric.higher_is_better else 'at most'} {say(found.limit)}"
    is_beyond = _is_beyond(found, metric)
    if found.state is State.BREACH:
        comes_to = "lately it was surely worse" if lately and not is_beyond else "this is worse"
    elif found.state is State.OK:
        comes_to = f"surely within that ({say(found.bound)} at worst)"
    elif fewest < MINIMUM_RATERS:
        comes_to = f"too early to say: one group has {fewest:.0f} people, and it takes {MINIMUM_RATERS}"
    elif is_beyond:
        comes_to = "this is worse, but may be chance"
    else:
        comes_to = f"it looks fine, but may still be as bad as {say(found.bound)}"
    figures = f"{say(found.value)} in {found.n:,.0f} {metric.counted}{beside}"
    return replace(found, reason=f"{found.words}: {figures}. Allowed is {allowed}; {comes_to}.")


def _name_of_control(sides: Sides) -> str:
    return "the control group" if sides.baseline is None else "the control group before"


def _is_beyond(found: GuardrailResult, metric: Metric) -> bool:
    if found.value is None or found.limit is None:
        return False
    return found.value < found.limit if metric.higher_is_better else found.value > found.limit
