"""What became of simulated experiments, in frames and words: how many were decided when, how many wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from learning_core.errors import InvalidInput
from learning_core.experiments.amounts import change
from learning_core.experiments.metrics import METRICS
from learning_core.experiments.simulation.streams import Flags, Floats, Integers, Streams
from learning_core.experiments.terms import Design
from learning_core.feedback.intervals import Estimate, share


class Source(Protocol):
    """Where users and their ratings come from: a scenario, or what an agent's own users did."""

    @property
    def metric(self) -> str:
        """Key of the metric that ratings make."""

    @property
    def base(self) -> float:
        """Its mean under the control."""

    @property
    def effect(self) -> float:
        """What the treatment adds to it."""

    @property
    def treatment_share(self) -> float:
        """Share (0-1) of the users who meet the treatment."""

    @property
    def days(self) -> int:
        """How long an experiment runs."""

    @property
    def expected_ratings(self) -> float:
        """How many ratings an experiment collects, on average."""

    def draw(self, experiments: int, rng: np.random.Generator) -> Streams:
        """Draw so many experiments."""


class Fates(NamedTuple):
    """What became of each experiment (n_experiments,).

    Attributes:
        day: The day of its decision, from 1; 0 where there was none.
        estimate: The difference as it was at the decision; nan where there was none.
        last: The difference on the last day; nan where nothing was known of a variant.
        covered: Whether every interval of every look that may decide held the true effect.
        ordinary_day: The day of the first look at which an ordinary test for one look at the end would have
            called it significant; 0 where there was none.
    """

    day: Integers
    estimate: Floats
    last: Floats
    covered: Flags
    ordinary_day: Integers


@dataclass(frozen=True)
class Outcome:
    """What became of simulated experiments.

    Attributes:
        source: How users came and rated.
        design: How the experiments were judged.
        fates: What became of each.
    """

    source: Source
    design: Design
    fates: Fates

    @property
    def title(self) -> str:
        """Return what was simulated, in a few words."""
        if not self.source.effect:
            return "no difference"
        return change(self.source.effect, METRICS[self.source.metric].unit)

    @property
    def experiments(self) -> int:
        """Return how many experiments there were."""
        return len(self.fates.day)

    def decided(self, day: int | None = None) -> Estimate:
        """Return the share of experiments decided by a day (without, the last), with its 95 % interval."""
        return self._share(self._by(self.fates.day, day))

    def ordinary(self, day: int | None = None) -> Estimate:
        """Return the share that an ordinary test, looked at every day as well, would have called by a day."""
        return self._share(self._by(self.fates.ordinary_day, day))

    @property
    def wrong_direction(self) -> Estimate:
        """Return the share decided against the true effect; without an effect, decided at all."""
        wrong = np.isfinite(self.fates.estimate)
        if self.source.effect:
            wrong &= np.sign(self.fates.estimate) != np.sign(self.source.effect)
        return self._share(wrong)

    @property
    def covered(self) -> Estimate:
        """Return the share of experiments whose intervals held the true effect at every look."""
        return self._share(self.fates.covered)

    @property
    def mean_day(self) -> float:
        """Return the mean day of decision, where the undecided count as decided on the last day."""
        return float(np.where(self.fates.day > 0, self.fates.day, self.source.days).mean())

    @property
    def mean_estimate(self) -> float:
        """Return the mean difference shown at the moment of decision; nan where nothing was decided."""
        found = self.fates.estimate[self.fates.day > 0]
        return float(found.mean()) if len(found) else float("nan")

    def by_day(self) -> pd.DataFrame:
        """Return one row per day, from the first: how many experiments were decided by its end.

        Columns: day (int, from 1), decided (int), share, low, high (float, 0-1, with Wilson's 95 % interval),
        ordinary (float, 0-1: what an ordinary test looked at every day would have called by then).
        """
        rows = [(day, self.decided(day), self.ordinary(day).value) for day in range(1, self.source.days + 1)]
        return pd.DataFrame(
            [
                (day, round(found.value * found.n), found.value, found.low, found.high, ordinary)
                for day, found, ordinary in rows
            ],
            columns=["day", "decided", "share", "low", "high", "ordinary"],
        )

    def by_experiment(self) -> pd.DataFrame:
        """Return one row per experiment, in the order drawn.

        Columns: day (float, from 1; missing where undecided), estimate (float, in the unit of the effect, at
        the decision), last (float, on the last day), covered (bool).
        """
        fates = self.fates
        return pd.DataFrame(
            {
                "day": np.where(fates.day > 0, fates.day, np.nan),
                "estimate": fates.estimate,
                "last": fates.last,
                "covered": fates.covered,
            }
        )

    def words(self) -> list[str]:
        """Say what became of them, in sentences."""
        days, found = self.source.days, self.decided()
        if not self.source.effect:
            return [
                f"Of {found.n:,} experiments without any difference, {_between(found)} would have been called"
                f" a win or a loss by day {days}.",
                "An ordinary test that is looked at every day as well would have called"
                f" {_percent(self.ordinary().value)} of them.",
            ]
        told = [
            f"Of {found.n:,} experiments in which the treatment adds {self.title},"
            f" {_between(found)} would have been decided by day {days},"
            f" {_percent(self.wrong_direction.value)} of all the wrong way.",
            f"It takes {self.mean_day:.1f} days on average, where the undecided count as {days}.",
        ]
        if found.value:
            seen = change(self.mean_estimate, METRICS[self.source.metric].unit)
            told.append(
                f"On the day of its decision the difference looks like {seen} on"
                " average: luck helps to decide early. How large it may be, its interval says."
            )
        return told

    def _by(self, days: Integers, day: int | None) -> Flags:
        return (days > 0) & (days <= (self.source.days if day is None else day))

    def _share(self, flags: Flags) -> Estimate:
        found = share(int(flags.sum()), len(flags))
        if found is None:
            raise InvalidInput("Nothing was simulated.", field="experiments")
        return found


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _between(found: Estimate) -> str:
    return f"{_percent(found.value)} ({found.low * 100:.1f}\N{EN DASH}{found.high * 100:.1f} %)"
