"""How often experiments are decided wrongly, and how soon rightly, beside GrowthBook's sequential test.

Simulated: thousands of experiments of 28 days, looked at every day, whose users come by chance, rate at paces
of their own, and rate alike. Without any difference first, in all kinds of traffic; then with one. Every look
goes through the product's own statistics. GrowthBook's formula (its sequential frequentist test with the
default tuning, from the relative lift and with variances clustered by user) gets the same looks at the same
streams, and waits for the same time and ratings; so does an ordinary test that is looked at every day. What
is not decided counts as decided on day 28.

Also: whether intervals hold the true difference at all looks at once, and whether broken traffic is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from benchmarks import figures
from benchmarks.figures import AT_LEAST, AT_MOST, Finding
from benchmarks.ground import Options
from learning_core.experiments.simulation import repetition
from learning_core.experiments.simulation.outcomes import Outcome
from learning_core.experiments.simulation.repetition import Days, Looks
from learning_core.experiments.simulation.scenarios import Measure, Scenario
from learning_core.experiments.simulation.streams import Flags, Floats
from learning_core.experiments.statistics import mismatch
from learning_core.experiments.statistics.moments import Difference
from learning_core.experiments.terms import Design, Method
from learning_core.feedback.intervals import Estimate

SEED = 20_251


FULL, QUICK = 8_000, 400
"""How many experiments of each kind."""

PLANNED = {"method": Method.PLANNED_END}
EVERYTHING = {"weighted": True, "prior": True, "icc": 0.2}

BASE = Scenario()
CELLS = {
    "base": BASE,
    "one rating each": Scenario(ratings_per_day=None, users_per_day=140),
    "heavy users, all there on day 1": Scenario(
        users_per_day=0, present=500, ratings_per_day=0.9, activity_shape=0.35
    ),
    "canary of 5 %": Scenario(treatment_share=0.05),
    "rare, 2 %": Scenario(base=0.02),
    "low traffic, 60 users a day": Scenario(users_per_day=60),
    "stars": Scenario(measure=Measure.STARS, base=4.0),
    "latency": Scenario(measure=Measure.LATENCY, base=2000.0),
}
"""Traffic without any difference."""

KNOWN, RETURNING = "base, half of the users known", 0.5
"""Share of the users who had rated before, where that is used."""


class Contest(NamedTuple):
    """What became of the same experiments, judged in several ways: by the name of the way."""

    cell: str
    ways: dict[str, Outcome]


OURS, THEIRS = "ours", "GrowthBook"


def run(options: Options) -> list[Finding]:
    """Simulate, print what was decided when, and compare it with what was aimed at."""
    size = QUICK if options.quick else FULL
    unplanned, either = {OURS: {}}, {OURS: {}, "planned end": PLANNED}
    known = {"weights and prior": EVERYTHING, "all three": EVERYTHING | PLANNED}
    returning = Scenario(returning=RETURNING)
    without = [
        contest(cell, source, size, either if cell == "base" else unplanned) for cell, source in CELLS.items()
    ]
    without.append(contest(KNOWN, returning, size, known))
    print(f"\nWithout any difference: {size:,} experiments each, decided by day 28")
    show(without)
    better = [
        contest("base", replace(BASE, effect=0.05), size, either),
        contest(KNOWN, replace(returning, effect=0.05), size, known),
        *(
            contest(cell, replace(CELLS[cell], effect=0.05), size, unplanned)
            for cell in ("low traffic, 60 users a day", "one rating each")
        ),
    ]
    print(f"\n+5 points: {size:,} experiments each, decided by day 28")
    show(better)
    show_estimates(better)
    return [*wrongly(without), *rightly(better), *covered(without + better), *broken_traffic(size)]


# ---------------------------------------------------------------- the same streams, judged in several ways


def contest(cell: str, source: Scenario, experiments: int, ways: dict[str, dict[str, object]]) -> Contest:
    """Draw experiments and judge each in every way, by GrowthBook's formula too."""
    plain = repetition.design_for(source, prior=False)
    designs = {way: repetition.design_for(source, **terms) for way, terms in ways.items()} | {THEIRS: plain}
    parts: dict[tuple[float, bool], list[Days]] = {
        _estimator(source, design): [] for design in designs.values()
    }
    for streams in repetition.batches(source, experiments, SEED):
        for design in {_estimator(source, design): design for design in designs.values()}.values():
            parts[_estimator(source, design)].append(repetition.summarize(streams, design))
    days = {estimator: Days.joined(of) for estimator, of in parts.items()}
    outcomes = {}
    for way, design in designs.items():
        known, true = days[_estimator(source, design)], source.effect
        if way == THEIRS:
            looks, true = growthbook(known, design), source.effect / source.base
        else:
            looks = repetition.look_daily(known, design)
        outcomes[way] = Outcome(source, design, repetition.fates(looks, true))
    return Contest(cell, outcomes)


def _estimator(source: Scenario, design: Design) -> tuple[float, bool]:
    """Return what tells one way to estimate from another: the weights' ICC, and whether history counts."""
    return design.icc if design.weighted else 0.0, design.prior and source.returning > 0


TUNED_FOR = 5_000
"""N*, the number of users for which GrowthBook's default interval is narrowest."""


def growthbook(days: Days, design: Design) -> Looks:
    """Look daily with GrowthBook's sequential test, once our own gate is passed.

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (Annals of
    Statistics 52, 2024) about the relative lift, as in gbstats: with N the users of both variants,
    rho^2 = (-2 ln a + ln(1 - 2 ln a)) / N* and x = N rho^2 its half width is
    sqrt((x + 1) / x (ln(x + 1) - 2 ln a)) standard errors; those of the lift t / c - 1 are
    sqrt(V_t / c^2 + V_c t^2 / c^4).
    """
    control, treatment, arrivals, passed = days
    with np.errstate(divide="ignore", invalid="ignore"):
        lift = treatment.value / control.value - 1
        of_treatment = treatment.variance / control.value**2
        of_control = control.variance * treatment.value**2 / control.value**4
    alpha, users = design.significance, arrivals.sum(axis=2)
    x = np.maximum(users, 1) * (-2 * np.log(alpha) + np.log(1 - 2 * np.log(alpha))) / TUNED_FOR
    radius = np.sqrt((x + 1) / x * (np.log(x + 1) - 2 * np.log(alpha)))
    eligible = np.logical_or.accumulate(passed, axis=1)
    return Looks(
        Difference(lift, np.sqrt(of_treatment + of_control)), eligible, np.ones_like(eligible), radius
    )


def show(contests: Sequence[Contest]) -> None:
    """Print a line for each way in which experiments were judged."""
    head = ("traffic", "judged by", "decided by day 28", "mean day", "held the truth", "an ordinary test")
    rows = [
        (
            one.cell,
            way,
            interval(outcome.decided()),
            f"{outcome.mean_day:.2f}",
            interval(outcome.covered),
            interval(outcome.ordinary()),
        )
        for one in contests
        for way, outcome in one.ways.items()
    ]
    figures.show_table(head, rows)


def show_estimates(contests: Sequence[Contest]) -> None:
    """Print what differences look like: on the day of the decision, and on the last day."""
    head = ("traffic", "judged by", "true", "at the decision", "on day 28", "decided the wrong way")
    rows = [
        (
            one.cell,
            way,
            f"{outcome.source.effect:+.4f}",
            f"{outcome.mean_estimate:+.4f}",
            f"{float(np.nanmean(outcome.fates.last)):+.4f}",
            interval(outcome.wrong_direction),
        )
        for one in contests
        for way, outcome in one.ways.items()
        if way != THEIRS
    ]
    figures.show_table(head, rows)


def interval(found: Estimate) -> str:
    """Put a share with its 95 % interval.

    >>> interval(Estimate(0.0179, 0.0152, 0.021, 8000))
    '0.0179 (0.0152-0.0210)'
    """
    return f"{found.value:.4f} ({found.low:.4f}-{found.high:.4f})"


# ---------------------------------------------------------------- what was aimed at


LIMITS = {("base", OURS): 0.025}
"""The share that may be decided without a difference, where it is not the 0.05 of a planned end."""


def wrongly(contests: Sequence[Contest]) -> list[Finding]:
    """Return the share decided where there is nothing to decide."""
    return [
        _beside(f"no difference, {one.cell}: {way}", one, way, AT_MOST, LIMITS.get((one.cell, way), 0.05))
        for one in contests
        for way in one.ways
        if way != THEIRS
    ]


AIMS = {
    ("base", OURS): (0.71, 19.5),
    ("base", "planned end"): (0.86, 17.0),
    (KNOWN, "weights and prior"): (0.97, 14.5),
    ("low traffic, 60 users a day", OURS): (0.37, None),
}
"""With five points more: the share to be decided, and the mean day of it."""


def rightly(contests: Sequence[Contest]) -> list[Finding]:
    """Return the share decided where there is something, and the mean day, to a tenth."""
    found = []
    for one in contests:
        for way in (way for way in one.ways if (one.cell, way) in AIMS):
            share, day = AIMS[one.cell, way]
            what = f"+5 points, {one.cell}: {way}"
            found.append(_beside(what, one, way, AT_LEAST, share))
            mean, theirs = (round(one.ways[which].mean_day, 1) for which in (way, THEIRS))
            found.append(
                Finding(f"{what}, mean day", THEIRS, [mean], [theirs], [mean], "days", "days", AT_MOST, day)
            )
    return found


def _beside(what: str, one: Contest, way: str, bound: str, target: float) -> Finding:
    ours, theirs = one.ways[way].decided().value, one.ways[THEIRS].decided().value
    return Finding(what, THEIRS, [ours], [theirs], [ours], "decided", "decided", bound, target)


def covered(contests: Sequence[Contest]) -> list[Finding]:
    """Return how often intervals hold the truth at all looks at once, where they do so least."""
    return [_least(contests, Method.ALWAYS_VALID, 0.95), _least(contests, Method.PLANNED_END, None)]


def _least(contests: Sequence[Contest], method: Method, target: float | None) -> Finding:
    ways = [(way, outcome) for one in contests for way, outcome in one.ways.items()]
    ours = [
        outcome.covered.value for way, outcome in ways if way != THEIRS and outcome.design.method is method
    ]
    theirs = [outcome.covered.value for way, outcome in ways if way == THEIRS]
    what = f"intervals hold the truth at all looks, where they do least: {method}"
    return Finding(what, THEIRS, [min(ours)], [min(theirs)], [min(ours)], "held", "held", AT_LEAST, target)


# ---------------------------------------------------------------- broken traffic


RAMP = {0: 0.05, 1: 0.25, 3: 1.0}
"""From which day on (from 0) which part of the users meets a variant."""


def broken_traffic(size: int) -> list[Finding]:
    """Return how often a mismatch is seen within 28 days: where there is none, and at 55 to 45."""
    rng = np.random.default_rng(SEED)
    at_once = {0: 1.0}
    half = warned(arrivals(0.5, at_once, size, rng))
    ramped = warned(arrivals(0.5, RAMP, size, rng))
    off = warned(arrivals(0.55, at_once, size, rng))
    return [
        _share("mismatch seen where there is none", half, AT_MOST, 0.01),
        _share("mismatch seen where there is none, over a ramp of 5, 25 and 100 %", ramped, AT_MOST, 0.01),
        _share("mismatch seen at 55 to 45", off, AT_LEAST, 0.95),
    ]


def arrivals(
    treated: float, ramp: dict[int, float], experiments: int, rng: np.random.Generator
) -> list[Floats]:
    """Draw, phase by phase, how many users of either variant came by each day (n_experiments, n_days, 2)."""
    phases, starts = [], [*ramp, BASE.days]
    for begin, end in pairwise(starts):
        users = np.zeros((BASE.days, 2))
        users[begin:end] = BASE.users_per_day * ramp[begin] * np.array([1 - treated, treated])
        daily = rng.poisson(users, (experiments, BASE.days, 2))
        phases.append(np.cumsum(daily, axis=1).astype(np.float64))
    return phases


def warned(phases: Sequence[Floats]) -> Flags:
    """Return in which experiments a mismatch is seen on any day, where half are to be treated."""
    factor = sum(mismatch.log_bayes_factor(counts, [0.5, 0.5]) for counts in phases)
    return np.asarray((mismatch.sequential_p(factor) < mismatch.WARNING).any(axis=1))


def _share(what: str, flags: Flags, bound: str, target: float) -> Finding:
    value = [float(flags.mean())]
    return Finding(what, "", value, [], value, "of experiments", "of experiments", bound, target)
