"""What an experiment has to say, in sentences that a product manager can read aloud; as text, no Markdown."""

from __future__ import annotations

from math import ceil, isfinite
from typing import NamedTuple

from learning_core.experiments.amounts import amount, between, change, with_interval
from learning_core.experiments.analysis import (
    CONTROL,
    Comparison,
    Design,
    Direction,
    Look,
    Method,
    MismatchState,
    Requirement,
    State,
    Verdict,
)
from learning_core.experiments.comparisons import Role
from learning_core.experiments.guardrails import State as Rail
from learning_core.experiments.metrics import METRICS, Metric

DAY_HOURS = 24


class Words(NamedTuple):
    """What there is to say: one sentence to read first, the figures behind it, and what to do about it."""

    headline: str
    figures: str
    advice: str = ""


class Effect(NamedTuple):
    """What became of one metric under one variant.

    Attributes:
        metric: What was measured.
        variant: The treatment.
        state: What may be said of it.
        words: The same in a word or two.
        change: The difference, in the metric's unit.
        told: The difference with its interval.
        values: Control and treatment as they are.
        counted: What both rest on.
        relative: The difference as a share of the control's value; None where that says nothing.
        relative_low: Lower end of its interval.
        relative_high: Its upper end.
    """

    metric: Metric
    variant: str
    state: State
    words: str
    change: str
    told: str
    values: str
    counted: str
    relative: float | None
    relative_low: float | None
    relative_high: float | None


STATE_WORDS = {
    State.TOO_EARLY: "Too early to say",
    State.NO_EVIDENCE: "No difference shown",
    State.BETTER: "Better",
    State.WORSE: "Worse",
}


NOTHING_SEEN = "Nothing to go by"
RAIL_STATES = {
    Rail.OK: "Kept",
    Rail.BREACH: "Broken",
    Rail.UNPROVEN: "Not sure yet",
    Rail.NO_DATA: NOTHING_SEEN,
}


def variant(name: str) -> str:
    """Return a variant's name for the start of a sentence.

    >>> variant("treatment_2")
    'Treatment 2'
    """
    return name.replace("_", " ").capitalize()


def count(number: float, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{number:,.0f} {one if round(number) == 1 else many}"


def day(hours: float) -> int:
    """Return the day since the first user, counted from 1."""
    return max(1, ceil(hours / DAY_HOURS))


# ---------------------------------------------------------------- the verdict


def verdict(design: Design, look: Look | None) -> Words:
    """Say what is known by the last look, None before the first."""
    metric = METRICS[design.primary]
    if look is None:
        return Words("No look yet.", "The first analysis comes within the hour after the start.")
    if look.verdict is not None:
        return _decided(design, look, look.verdict, metric)
    if look.mismatch.state is not MismatchState.OK:
        return Words("Do not trust these figures.", mismatch(design, look), MENDING)
    if not look.gate.passed:
        return _early(look, metric)
    return _open(design, look, metric)


MENDING = (
    "Something keeps users of one variant from being counted: an error before the answer, a cache, or bots. "
    "Find it, end this experiment, and start anew."
)


def _decided(design: Design, look: Look, found: Verdict, metric: Metric) -> Words:
    when = f"Decided on day {day(found.hours)}."
    advice = "" if look.mismatch.state is MismatchState.OK else f"Since then: {mismatch(design, look)}"
    if found.direction is Direction.NO_DIFFERENCE:
        figures = f"The difference lies {between(found.low, found.high, metric.unit)}. {when}"
        return Words("No difference shown by the planned end.", figures, advice)
    name, unit = variant(found.variant), metric.unit
    headline = f"{name} is {found.direction}: {lower(metric)} {change(found.difference, unit)}."
    sure_of = f"We are {sure(design)} sure that it lies {between(found.low, found.high, unit)}. {when}"
    return Words(headline, f"{sure_of}{_since(look, found, metric)}", advice)


def _since(look: Look, found: Verdict, metric: Metric) -> str:
    now = next((one for one in look.primary if one.variant == found.variant), None)
    if now is None:
        return ""
    if look.number == found.number or now.low is None:
        return f" {sentence(_rests_on(now, metric))}."
    told = with_interval(now.difference, now.low, now.high, metric.unit)
    return f" By day {day(look.hours)} it came to {told}, from {_rests_on(now, metric)}."


def _early(look: Look, metric: Metric) -> Words:
    missing = missing_for_gate(look, metric)
    return Words(
        f"Too early to say: {missing}.",
        "Before that, chance alone makes almost any change look good or bad, so nothing is judged yet. "
        f"So far: {count(look.gate.samples.have, metric.counted.removesuffix('s'), metric.counted)}, "
        f"day {day(look.hours)}.",
    )


def missing_for_gate(look: Look, metric: Metric) -> str:
    """Say what has to come before anything may be said: "4 more days and about 320 more ratings"."""
    gate = look.gate
    hours, samples, raters = (_missing(one) for one in (gate.hours, gate.samples, gate.raters))
    wanted = []
    if hours:
        days = hours / DAY_HOURS
        wanted.append(count(ceil(days), "more day", "more days") if days > 1 else f"{ceil(hours)} more hours")
    if samples:
        wanted.append(f"about {_round(samples):,} more {metric.counted}")
    elif raters:
        wanted.append(f"{count(raters, 'more user', 'more users')} who give {metric.counted} in each variant")
    if not wanted and not gate.spread:
        return f"as soon as {metric.counted} differ between users: so far they are all alike"
    return " and ".join(wanted) or "the next look decides"


def _missing(one: Requirement) -> float:
    return max(0.0, one.need - one.have)


def _round(number: float) -> int:
    """Round up to what somebody would say: 317 to 320, 46 to 50, 7 to 7."""
    step = 10 if number > 30 else 1
    return ceil(number / step) * step


def _open(design: Design, look: Look, metric: Metric) -> Words:
    leading = max(look.primary, key=lambda one: abs(one.difference or 0.0))
    if leading.low is None:
        return Words("No difference shown so far.", f"All {metric.counted} are the same.")
    figures = (
        f"{metric.words} under {_the(leading.variant)}: {change(leading.difference, metric.unit)}. With what "
        f"is known, the true difference lies {between(leading.low, leading.high, metric.unit)}: there may be "
        f"none. {sentence(_rests_on(leading, metric))}, day {day(look.hours)}."
    )
    return Words("No difference shown so far.", figures, progress(design, look))


def outcome(design: Design, look: Look | None) -> Words:
    """Say what was known at the end of an experiment."""
    said = verdict(design, look)
    if look is None:
        return Words("It ended before anything was known.", "")
    if look.verdict is not None or look.mismatch.state is not MismatchState.OK:
        return said._replace(advice="")
    if not look.gate.passed:
        have = look.gate.samples.have
        counted = METRICS[design.primary].counted
        return Words(
            "It ended too early to say.", f"There were {have:,.0f} {counted} by day {day(look.hours)}."
        )
    return Words("No difference shown.", said.figures)


def _the(name: str) -> str:
    return "the treatment" if name == "treatment" else name.replace("_", " ")


def sure(design: Design) -> str:
    """Return how sure an interval is."""
    return f"{(1 - design.significance) * 100:g} %"


def _rests_on(one: Comparison, metric: Metric) -> str:
    users = count(one.control.users + one.treatment.users, "user", "users")
    return f"{one.control.n + one.treatment.n:,.0f} {metric.counted} of {users}"


def lower(metric: Metric) -> str:
    """Return a metric's name within a sentence."""
    return metric.words[:1].lower() + metric.words[1:]


def sentence(words: str) -> str:
    """Return words with a capital at the start."""
    return words[:1].upper() + words[1:]


def window(look: Look) -> str:
    """Return the time that a look covers."""
    days = day(look.hours)
    return f"{'day 1' if days == 1 else f'day 1 to {days}'}, up to {look.at:%d %b %Y, %H:%M} UTC"


# ---------------------------------------------------------------- how far


def progress(design: Design, look: Look | None) -> str:
    """Say how long it still takes, as far as that is known."""
    if look is None or look.verdict is not None:
        return ""
    metric = METRICS[design.primary]
    least = change(
        design.smallest_effect if metric.higher_is_better else -design.smallest_effect, metric.unit
    )
    if design.method is Method.PLANNED_END and design.planned_days is not None:
        left = max(0.0, design.planned_days - look.hours / DAY_HOURS)
        return f"{count(ceil(left), 'day', 'days')} to go until the planned end, which is when it is settled."
    if look.days_left is None or not isfinite(look.days_left):
        return ""
    if look.days_left < 0.5:
        return f"A difference of {least} would most likely have shown by now: it is probably smaller."
    return f"About {count(ceil(look.days_left), 'day', 'days')} to go to see {least}, if it is there."


def share_done(design: Design, look: Look | None) -> float:
    """Return how far on the way an experiment is (0-1): to a verdict, or to the planned end."""
    if look is None:
        return 0.0
    if look.verdict is not None:
        return 1.0
    days = look.hours / DAY_HOURS
    if design.method is Method.PLANNED_END and design.planned_days:
        return min(1.0, days / design.planned_days)
    if look.days_left is not None and isfinite(look.days_left) and days + look.days_left > 0:
        return min(1.0, days / (days + look.days_left))
    gate = look.gate
    return min(1.0, *(one.have / one.need for one in (gate.hours, gate.samples, gate.raters) if one.need))


# ---------------------------------------------------------------- metric by metric


def effects(look: Look) -> list[Effect]:
    """Return what became of the metric that decides, and of those that anything was counted of."""
    return [
        _effect(one)
        for one in look.comparisons
        if one.role is Role.PRIMARY or one.control.n + one.treatment.n
    ]


def _effect(one: Comparison) -> Effect:
    metric = METRICS[one.metric]
    told = with_interval(one.difference, one.low, one.high, metric.unit)
    known = one.state is not State.TOO_EARLY
    control, treatment = (amount(arm.value, metric.unit) for arm in (one.control, one.treatment))
    return Effect(
        metric=metric,
        variant=one.variant,
        state=one.state,
        words=STATE_WORDS[one.state] if one.control.n + one.treatment.n else NOTHING_SEEN,
        change=change(one.difference, metric.unit),
        told=told,
        values=f"{treatment} instead of {control}",
        counted=_rests_on(one, metric),
        relative=one.relative,
        relative_low=one.relative_low if known else None,
        relative_high=one.relative_high if known else None,
    )


def effect(one: Effect) -> str:
    """Say in one line what became of a metric."""
    if one.words == NOTHING_SEEN:
        return f"{one.metric.words}: no {one.metric.counted} yet."
    told = "" if one.state is State.TOO_EARLY else f", {one.told}"
    return f"{one.metric.words}: {one.values}{told}, from {one.counted}."


# ---------------------------------------------------------------- traffic


def mismatch(design: Design, look: Look) -> str:
    """Say whether as many users came to each variant as its share would bring."""
    shares = {one.name: one.share for one in design.variants}
    total = sum(look.mismatch.counts.values())
    if not total:
        return "No user has met a variant yet."
    if look.mismatch.state is MismatchState.OK:
        return f"Users arrive as planned: {count(total, 'user', 'users')}, shared out as the shares say."
    told = ", ".join(
        f"{_the(name)} has {found / total * 100:.1f} % of the users "
        f"where {shares.get(name, 0) * 100:.1f} % were due"
        for name, found in look.mismatch.counts.items()
    )
    worry = "That is hardly chance" if look.mismatch.state is MismatchState.WARNING else "That is no chance"
    return f"{sentence(told)}. {worry}: no verdict is given while it is so."


def crossed(look: Look) -> str:
    """Say how many users met two variants."""
    if not look.crossed:
        return "Nobody met two variants."
    had = "user was" if look.crossed == 1 else "users were"
    return f"{look.crossed:,} {had} seen in two variants, and left out of every figure."


class Arrived(NamedTuple):
    """How many users met a variant.

    Attributes:
        variant: Its name.
        version: Its prompt version, for people.
        users: Users who met it first.
        expected: Users that its share would have brought.
        share: Its share as planned (0-1).
    """

    variant: str
    version: str
    users: int
    expected: float
    share: float


def arrived(design: Design, look: Look) -> list[Arrived]:
    """Return how many users met each variant, the control first."""
    variants = sorted(design.variants, key=lambda one: one.name != CONTROL)
    counts, expected = look.mismatch.counts, look.mismatch.expected
    return [
        Arrived(one.name, one.version, counts.get(one.name, 0), expected.get(one.name, 0.0), one.share)
        for one in variants
    ]


# ---------------------------------------------------------------- in a word


def short(design: Design, look: Look | None) -> str:
    """Return the verdict for a cell of a table."""
    metric = METRICS[design.primary]
    if look is None:
        return "No look yet"
    if (found := look.verdict) is not None:
        if found.direction is Direction.NO_DIFFERENCE:
            return "No difference shown"
        return f"{variant(found.variant)} is {found.direction}: {change(found.difference, metric.unit)}"
    if look.mismatch.state is not MismatchState.OK:
        return "Traffic is not as planned"
    if not look.gate.passed:
        return "Too early to say"
    return "No difference shown so far"
