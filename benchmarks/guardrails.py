"""Whether guardrails take back what hurts, how soon, and what they take back that does not.

Simulated, through the rules that releases live by (`rates`, `bounds`), with a known truth. Failing answers:
canaries of 2,000 answers with a certain rate of failures, looked at after every tenth answer and, harder,
after each; beside it the literal rule, "more than 5 % of at least 200", on the same answers. Less satisfied
users: canaries of four weeks, with 400 new users a day whose ratings are clustered (ICC 0.2); looked at every
day. As released, 5 % of them on the first day and then 25 %, beside as many; and 5 % all along, beside as
many or beside all others. Slower answers: the same users with answer times in place of thumbs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import figures
from benchmarks.figures import AT_LEAST, Finding
from benchmarks.ground import Options
from learning_core.experiments import bounds
from learning_core.experiments.sides import Sides
from learning_core.experiments.simulation import repetition
from learning_core.experiments.simulation.scenarios import Measure, Scenario
from learning_core.experiments.simulation.streams import sums
from learning_core.experiments.statistics import rates
from learning_core.experiments.statistics.moments import Moments
from learning_core.experiments.terms import Guardrail

LIMIT = 0.05
LITERAL_MIN_N = 200
DAYS = (7, 14, 28)


class Size(NamedTuple):
    """How many canaries of each kind."""

    canaries: int
    answers: int
    comparisons: int


FULL = Size(canaries=4000, answers=2000, comparisons=1500)
QUICK = Size(canaries=400, answers=1000, comparisons=100)


class Fate(NamedTuple):
    """What became of canaries that were looked at again and again.

    Attributes:
        n: Of how many.
        taken_back: The look (from 0) at which each was taken back; as many as there were looks where never.
        shown: The look at which each was shown to be within its bound first.
        looks: How many there were.
    """

    n: int
    taken_back: NDArray[np.int64]
    shown: NDArray[np.int64]
    looks: int

    def share(self, looks: int | None = None) -> float:
        """Return the share (0-1) that was taken back within so many looks."""
        return float(np.mean(self.taken_back < (looks or self.looks)))


def run(options: Options) -> list[Finding]:
    """Fail, annoy, dawdle."""
    size = QUICK if options.quick else FULL
    return [*failing(size), *annoying(size), *dawdling(size)]


# ---------------------------------------------------------------- failing answers


def failing(size: Size) -> list[Finding]:
    """Take back canaries by their failing answers."""
    print(f"Failing answers: {size.canaries:,} canaries of {size.answers:,} answers, 5 % allowed")
    print("   truth  looked at   taken back   median answer   literal rule   shown within 5 %, median answer")
    found = {}
    for rate in (0.01, 0.02, 0.03, 0.04, 0.08, 0.10, 0.25):
        for every in (10, 1) if rate == 0.03 else (10,):
            fate = fail(rate, size, every)
            literal = fail(rate, size, every, LITERAL_MIN_N) if every > 1 else None
            found[rate, every] = fate
            print(
                f"   {rate:>4.0%}   {'every 10' if every > 1 else 'each':>9}   {_with_error(fate):>10}"
                f"   {_median(fate.taken_back, fate, every):>13}"
                f"   {f'{literal.share():.1%}' if literal else '':>12}"
                f"   {_median(fate.shown, fate, every):>12}",
                flush=True,
            )
    return [
        _at_most("failing: 3 % errors taken back", found[0.03, 10].share(), 0.01),
        _at_most("failing: the same, looked at after each answer", found[0.03, 1].share(), 0.01),
        _answers("failing: 10 % errors caught after", found[0.10, 10], 100),
        _answers("failing: 25 % errors caught after", found[0.25, 10], 50),
    ]


def fail(rate: float, size: Size, every: int = 10, literal_min_n: int | None = None, seed: int = 1) -> Fate:
    """Let canaries answer, and look at them after every so many answers."""
    rng = np.random.default_rng([seed, round(rate * 1000)])
    answers = size.answers // every
    failed = rng.binomial(1, rate, (size.canaries, answers, every)).sum(axis=2, dtype=np.int64)
    x = np.cumsum(failed, axis=1)
    n = np.arange(every, size.answers + 1, every)[None, :]
    above = rates.is_above(n, x, LIMIT)
    if literal_min_n is not None:
        above = above | ((n >= literal_min_n) & (x > LIMIT * n))
    return Fate(size.canaries, _first(above), _first(rates.is_below(n, x, LIMIT)), answers)


# ---------------------------------------------------------------- less satisfied users


class Course(NamedTuple):
    """How many new users a day a canary gets: on its first day, and on each later one.

    Attributes:
        first: Users of both groups on the first day.
        later: On each later day; the same as on the first: one phase.
        share: Share (0-1) of them that meets the new version.
    """

    first: float
    later: float
    share: float


AS_RELEASED = Course(40, 200, 0.5)
COURSES = {
    "5 %, then 25 %": AS_RELEASED,
    "5 %, beside 5 %": Course(40, 40, 0.5),
    "5 %, beside 95 %": Course(400, 400, 0.05),
}


def annoying(size: Size) -> list[Finding]:
    """Take back canaries by what their users say."""
    print(f"Less satisfied users: {size.comparisons:,} canaries, 400 new users a day, 10 % less allowed")
    print("   drop   course            taken back by day 7, 14, 28   shown within, half of them by day")
    found = {}
    for drop in (0.0, 0.05, 0.10, 0.14, 0.21, 0.36):
        for name, course in COURSES.items():
            canaries = size.comparisons // (1 if course.later < 400 else 5) * (1 if drop else 4)
            found[drop, name] = fate = annoy(drop, canaries, course)
            by_day = ", ".join(f"{fate.share(day):.3f}" for day in DAYS)
            within = f"{np.mean(fate.shown < fate.looks):.3f}, {_median(fate.shown, fate, 1)}"
            print(f"   {drop:>4.0%}   {name:<16} {by_day:>27}   {within:>33}", flush=True)
    findings = []
    for name in COURSES:
        findings += [
            _at_most(f"satisfaction: no effect taken back, {name}", found[0.0, name].share(), 0.02),
            _at_least(f"satisfaction: -21 % caught by day 14, {name}", found[0.21, name].share(14), 0.95),
        ]
    return findings


def annoy(drop: float, canaries: int, course: Course = AS_RELEASED, seed: int = 1) -> Fate:
    """Let canaries annoy their users, 70 % of whose thumbs are up else."""
    return compare(Scenario(base=0.70, effect=-drop * 0.70), course, canaries, "thumbs_up_share", 0.10, seed)


def dawdling(size: Size) -> list[Finding]:
    """Take back canaries by their answer times."""
    print(f"Slower answers: {size.comparisons:,} canaries, 5 % then 25 %, 50 % more allowed")
    found = {}
    for rise in (0.0, 0.2, 0.5, 0.8, 1.2):
        slow = Scenario(measure=Measure.LATENCY, base=900.0, effect=rise * 900)
        found[rise] = fate = compare(slow, AS_RELEASED, size.comparisons, "latency_ms", 0.5)
        by_day = ", ".join(f"{fate.share(day):.3f}" for day in DAYS)
        print(
            f"   {rise:>+5.0%} {by_day:>27}   shown within: {np.mean(fate.shown < fate.looks):.3f}",
            flush=True,
        )
    return [_at_most("latency: at the limit, taken back", found[0.5].share(), 0.05)]


def compare(
    scenario: Scenario, course: Course, canaries: int, metric: str, limit: float, seed: int = 1
) -> Fate:
    """Let canaries meet their users, and look at them every day."""
    scenario = replace(scenario, treatment_share=course.share)
    guardrail = Guardrail(metric, limit, relative=True)
    taken_back, shown = [], []
    for phases in _phases(scenario, course, canaries, seed):
        margin = harm = bounds.UNTRACKED
        breaches, within = [], []
        for day in range(scenario.days):
            pairs = [(_on(day, one), _on(day, other)) for one, other in phases]
            arms = Sides([one for one, _ in pairs], [other for _, other in pairs], None).arms()
            compared = bounds.compare(guardrail, *arms, margin, harm)
            margin, harm = compared.margin, compared.harm
            breaches.append(compared.breach)
            within.append(compared.ok)
        taken_back.append(_first(np.stack(breaches, axis=1)))
        shown.append(_first(np.stack(within, axis=1)))
    return Fate(canaries, np.concatenate(taken_back), np.concatenate(shown), scenario.days)


def _phases(
    scenario: Scenario, course: Course, canaries: int, seed: int
) -> Iterator[list[tuple[Moments, Moments]]]:
    """Yield the sums of both groups by phase, at the end of each day (n_canaries, n_days), some at a time."""
    design = repetition.design_for(scenario, prior=False, weighted=_is_reaction(scenario))
    if course.first == course.later:
        for streams in repetition.batches(replace(scenario, users_per_day=course.first), canaries, seed):
            yield [sums(streams, design)]
        return
    early = replace(scenario, present=round(course.first), users_per_day=0)
    late = replace(scenario, users_per_day=course.later, days=scenario.days - 1)
    at_once = 50
    for number, done in enumerate(range(0, canaries, at_once)):
        rng = np.random.default_rng([seed, number])
        few = min(at_once, canaries - done)
        yield [sums(early.draw(few, rng), design), _a_day_later(sums(late.draw(few, rng), design))]


def _is_reaction(scenario: Scenario) -> bool:
    """Return whether releases weigh users in this metric: they do in what users say."""
    return scenario.measure is not Measure.LATENCY


def _a_day_later(sides: tuple[Moments, Moments]) -> tuple[Moments, Moments]:
    one, other = (Moments(*(np.pad(each, ((0, 0), (1, 0))) for each in side)) for side in sides)
    return one, other


def _on(day: int, m: Moments) -> Moments:
    return Moments(*(np.asarray(each)[:, day] for each in m))


# ---------------------------------------------------------------- what it comes to


def _first(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the first look at which each row is true, the number of looks where none is."""
    return np.where(flags.any(axis=1), flags.argmax(axis=1), flags.shape[1])


def _median(first: NDArray[np.int64], fate: Fate, every: int) -> str:
    middle = np.median(first)
    return "never" if middle >= fate.looks else f"{(middle + 1) * every:,.0f}"


def _with_error(fate: Fate) -> str:
    share = fate.share()
    return f"{share:.3f} ±{1.96 * (share * (1 - share) / fate.n) ** 0.5:.3f}"


def _at_most(what: str, share: float, target: float) -> Finding:
    return Finding(what, "the truth", [100 * share], [], [100 * share], "%", "%", target=100 * target)


def _at_least(what: str, share: float, target: float) -> Finding:
    return replace(_at_most(what, share, target), bound=AT_LEAST)


def _answers(what: str, fate: Fate, target: float) -> Finding:
    return figures.absolute(
        what, [(float(np.median(fate.taken_back)) + 1) * 10], unit="answers", target=target
    )
