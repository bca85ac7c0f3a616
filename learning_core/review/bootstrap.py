"""A measure with its interval, from resampled items; or why too little is known for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from learning_core.errors import NotEnoughData
from learning_core.feedback.intervals import Estimate, share
from learning_core.review.tallies import Floats, Tally

FEWEST_SHARED_ITEMS = 10
"""Items that must be judged more than once before an agreement is shown."""

FEWEST_TELLING_ITEMS = 3
"""Items that must not all hold one and the same value: with three, 95 % of all resamples have variation."""

RESAMPLES = 1000

ROUNDING = 1e-9
"""Numbers nearer than this are the same."""

_NUMBERS_AT_ONCE = 500_000

Figures: TypeAlias = Callable[[Floats], Floats]
"""From how often each kind of item occurs (n_resamples, n_kinds) to a measure (n_resamples,), nan where it is
undefined."""


class TooLittle(NamedTuple):
    """No figure, and why.

    Attributes:
        reason: What is missing, for the user.
        n: Number of items judged often enough to be compared.
    """

    reason: str
    n: int


@dataclass(frozen=True)
class Statistic:
    """A measure of agreement, computable for the items as they are and for resamples of them.

    Attributes:
        tally: The items that can be compared.
        judged_by: Who judged them, in words.
        lowest: The lowest value the measure is shown with; 1 is the highest.
        beyond_chance: Whether it is undefined without variation.
        figures: The measure of the items as they are, or of resamples.
    """

    tally: Tally
    judged_by: str
    lowest: float
    beyond_chance: bool
    figures: Figures

    def value(self) -> float:
        """Compute the measure; raise NotEnoughData where it is undefined."""
        if not self.tally.n:
            raise NotEnoughData(f"No item was judged by {self.judged_by}.")
        value = float(self.figures(self.tally.times[np.newaxis])[0])
        if np.isnan(value):
            raise NotEnoughData("All values are the same: agreement beyond chance is undefined.")
        return value

    def estimate(self, rng: np.random.Generator, confidence: float = 0.95) -> Estimate | TooLittle:
        """Estimate the measure with a percentile interval from resampled items, or say why not.

        Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13. Items are drawn with
        replacement, each with all its values; resamples without variation are left out. The annotators stay
        the same: the interval is about other items, not about other annotators. Where all resamples give the
        same figure, as for perfect agreement, an interval would have no width; it then reaches as far from
        the value as Wilson's interval does for n items of n.

        In 400 simulated sets each of three annotators and two or three values, intervals for 95 % held the
        true figure in at least 90 % from 50 items on and in at least 85 % with 10 or 20; where nine of ten
        values were the same, those of alpha and kappa with 10 or 20 items only in about 75 %.

        Returns:
            The value, its interval and the number of items; with fewer than FEWEST_SHARED_ITEMS items, or
            hardly any variation (FEWEST_TELLING_ITEMS), the reason in their place.
        """
        n = self.tally.n
        if n < FEWEST_SHARED_ITEMS:
            return TooLittle(f"Items judged by {self.judged_by}: {n} of the {FEWEST_SHARED_ITEMS} needed.", n)
        if self.beyond_chance and self.tally.telling < FEWEST_TELLING_ITEMS:
            return TooLittle("Nearly all values are the same: agreement beyond chance cannot be told.", n)
        value, resampled = self.value(), self._resample(rng)
        low, high = (
            float(end) for end in np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
        )
        alike = share(n, n, confidence)
        if alike and np.ptp(resampled) <= ROUNDING:
            reach = 1 - alike.low
            low, high = max(value - reach, self.lowest), min(value + reach, 1.0)
        return Estimate(value, min(low, value), max(high, value), n)

    def _resample(self, rng: np.random.Generator) -> Floats:
        n, chances = self.tally.n, self.tally.times / self.tally.n
        at_once = max(1, _NUMBERS_AT_ONCE // len(self.tally.kind))
        figures = [
            self.figures(rng.multinomial(n, chances, size=min(at_once, RESAMPLES - done)).astype(np.float64))
            for done in range(0, RESAMPLES, at_once)
        ]
        resampled = np.concatenate(figures)
        return resampled[~np.isnan(resampled)]
