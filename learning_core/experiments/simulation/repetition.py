"""How often experiments on such traffic are decided, when, and how often wrongly: the product's own
statistics, applied to thousands of experiments at once.

The sums over users grow rating by rating, as the write path lets them grow; each day's look goes through the
same functions as a look at a real experiment, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from learning_core.experiments import comparisons
from learning_core.experiments.simulation.outcomes import Fates, Outcome, Source
from learning_core.experiments.simulation.streams import Flags, Floats, Integers, Streams, sums
from learning_core.experiments.statistics import boundaries, mismatch, moments, sequential
from learning_core.experiments.statistics.moments import Arm, Difference
from learning_core.experiments.terms import CONTROL, Design, DesignVariant, Method

RATINGS_AT_ONCE = 200_000
"""Drawn together: so many fit into a processor's cache, and more take twice as long each."""

MOST_RATINGS = 50_000_000
FEWEST_EXPERIMENTS = 200
DEFAULT_EXPERIMENTS = 2_000


def design_for(source: Source, **terms: Any) -> Design:
    """Return the design of an experiment on such traffic, with the usual terms but for those given."""
    variants = (
        DesignVariant(CONTROL, "", "as it is", 1 - source.treatment_share),
        DesignVariant("treatment", "", "changed", source.treatment_share),
    )
    usual = Design(variants, source.metric, smallest_effect=abs(source.effect) or source.base / 20)
    return replace(usual, **{"planned_days": source.days} | terms)


# ---------------------------------------------------------------- from sums to decisions


class Days(NamedTuple):
    """What is known at the end of each day.

    Attributes:
        control: The metric (n_experiments, n_days).
        treatment: The same of the treatment.
        arrivals: Users who came to control and treatment (n_experiments, n_days, 2).
        passed: Whether enough time, ratings and raters were there (n_experiments, n_days).
    """

    control: Arm
    treatment: Arm
    arrivals: Floats
    passed: Flags

    @classmethod
    def joined(cls, parts: Sequence[Days]) -> Days:
        """Put experiments behind one another."""
        controls, treatments, arrivals, passed = zip(*parts, strict=True)
        return cls(_joined(controls), _joined(treatments), np.concatenate(arrivals), np.concatenate(passed))


def _joined(arms: Sequence[Arm]) -> Arm:
    return Arm(*(np.concatenate(columns) for columns in zip(*arms, strict=True)))


def summarize(streams: Streams, design: Design) -> Days:
    """Return what is known of experiments at the end of each day."""
    control, treatment = sums(streams, design)
    plain = moments.arm(control), moments.arm(treatment)
    passed = comparisons.passes(design, *plain, 24 * np.arange(1, streams.days + 1))
    arms = moments.adjusted(control, treatment) if design.prior else plain
    return Days(*arms, streams.arrivals(), passed)


class Looks(NamedTuple):
    """Daily looks at several experiments (n_experiments, n_days).

    Attributes:
        difference: Treatment less control, with its standard error.
        eligible: Whether a look may decide.
        sound: Whether users have come to the variants as their shares say, at this look and all before.
        radius: Half the width of the interval, in standard errors, where it may decide.
    """

    difference: Difference
    eligible: Flags
    sound: Flags
    radius: Floats

    @property
    def decisive(self) -> Flags:
        """Return at which looks the interval leaves out a difference of 0."""
        return self.eligible & self.sound & np.asarray(np.abs(self.difference.z) > self.radius)

    def misses(self, effect: float) -> Flags:
        """Return at which looks the interval leaves out an effect."""
        away = Difference(self.difference.value - effect, self.difference.se)
        return self.eligible & np.asarray(np.abs(away.z) > self.radius)


def look_daily(days: Days, design: Design) -> Looks:
    """Look at experiments at the end of each day."""
    difference = moments.difference(days.control, days.treatment)
    information = np.asarray(difference.information)
    eligible = np.logical_or.accumulate(days.passed, axis=1)
    known = np.maximum.accumulate(np.where(eligible & np.isfinite(information), information, 0.0), axis=1)
    if design.method is Method.PLANNED_END:
        radius = _planned_radius(known, eligible, design)
    else:
        degrees = moments.degrees(days.control, days.treatment)
        radius = sequential.as_student(_always_valid_radius(known, design), degrees)
    return Looks(difference, eligible & (known > 0), _sound(days, design), radius)


def _sound(days: Days, design: Design) -> Flags:
    shares = [each.share for each in design.variants]
    p = mismatch.sequential_p(mismatch.log_bayes_factor(days.arrivals, shares))
    return np.asarray(np.minimum.accumulate(p, axis=1) >= mismatch.WARNING)


def _always_valid_radius(known: Floats, design: Design) -> Floats:
    first = np.take_along_axis(known, np.argmax(known > 0, axis=1)[:, np.newaxis], axis=1)
    ratio = np.divide(known, first, out=np.ones_like(known), where=known > 0)
    return sequential.two_sided_radius(ratio, design.significance)


def _planned_radius(known: Floats, eligible: Flags, design: Design) -> Floats:
    passed = np.arange(1, known.shape[1] + 1) / (design.planned_days or known.shape[1])
    spent = np.where(eligible & (passed <= 1), boundaries.spent_by(passed, design.significance), 0.0)
    return boundaries.critical_values(known, np.maximum.accumulate(spent, axis=1))


# ---------------------------------------------------------------- what becomes of experiments


def fates(looks: Looks, effect: float) -> Fates:
    """Return what becomes of experiments: decided at the first decisive look, and decided for good."""
    value = np.asarray(looks.difference.value)
    decided = looks.decisive.any(axis=1)
    at = np.argmax(looks.decisive, axis=1)
    ordinary = np.asarray(np.abs(looks.difference.z) > moments.Z_95) & looks.eligible
    return Fates(
        _day(looks.decisive),
        np.where(decided, value[np.arange(len(at)), at], np.nan),
        value[:, -1],
        np.asarray(~looks.misses(effect).any(axis=1)),
        _day(ordinary),
    )


def _day(decisive: Flags) -> Integers:
    """Return the first day that is (from 1), 0 where none is."""
    return np.where(decisive.any(axis=1), np.argmax(decisive, axis=1) + 1, 0)


def affordable(source: Source, wanted: int = DEFAULT_EXPERIMENTS) -> int:
    """Return how many experiments take seconds, not minutes: as wanted, or fewer where traffic is heavy."""
    return max(min(wanted, FEWEST_EXPERIMENTS), min(wanted, int(MOST_RATINGS / source.expected_ratings)))


def batches(source: Source, experiments: int, seed: int) -> Iterator[Streams]:
    """Draw experiments, some at a time; the first ones are the same however many are asked for."""
    at_once = max(1, int(RATINGS_AT_ONCE / max(1.0, source.expected_ratings)))
    seeds = np.random.SeedSequence(seed).spawn(ceil(experiments / at_once))
    for number, of_batch in enumerate(seeds):
        streams = source.draw(at_once, np.random.default_rng(of_batch))
        yield streams.first(min(at_once, experiments - number * at_once))


def simulate(
    source: Source,
    design: Design | None = None,
    experiments: int = DEFAULT_EXPERIMENTS,
    seed: int = 7,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Simulate experiments; the same seed gives the same ones.

    Args:
        source: How users come and rate.
        design: How the experiments are judged; without, by the usual terms.
        experiments: How many.
        seed: Another seed, other experiments.
        progress: Told how many are done, and of how many.
    """
    design = design or design_for(source)
    parts = []
    done = 0
    for streams in batches(source, experiments, seed):
        parts.append(summarize(streams, design))
        done += streams.experiments
        if progress:
            progress(done, experiments)
    return Outcome(source, design, fates(look_daily(Days.joined(parts), design), source.effect))
