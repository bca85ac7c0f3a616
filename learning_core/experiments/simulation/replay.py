"""An agent's own users as a source of experiments: drawn anew, with all that they did, and split by chance.

Whatever is particular about them stays: who comes back, who says most, how alike one's ratings are. What the
treatment adds is added by chance to the ratings of those who meet it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning_core.errors import InvalidInput, NotEnoughData
from learning_core.experiments.metrics import METRICS
from learning_core.experiments.simulation.streams import Floats, Integers, Streams

FEWEST_USERS = 100
"""With fewer, the same few would be compared with themselves."""


@dataclass(frozen=True)
class Replay:
    """What users left over some weeks, to be split in two as often as one likes.

    Attributes:
        metric: Key of the metric that it makes.
        user: Who left something, from 0, ascending (n_rows,).
        day: On which day, from 0, ascending within a user (n_rows,).
        n: How much (n_rows,).
        s: The sum (n_rows,).
        days: How long an experiment runs: as long as was recorded.
        effect: What the treatment adds to the metric, in its unit.
        treatment_share: Share (0-1) of the users who meet the treatment.
    """

    metric: str
    user: Integers
    day: Integers
    n: Floats
    s: Floats
    days: int
    effect: float = 0.0
    treatment_share: float = 0.5

    def __post_init__(self) -> None:
        if self.users < FEWEST_USERS:
            raise NotEnoughData(
                f"{self.users} users left something; it takes {FEWEST_USERS} to simulate with."
            )
        if self._is_share and not 0 <= self.base + self.effect <= 1:
            raise InvalidInput(
                f"A share of {self.base:.3f} cannot change by {self.effect:g}.", field="effect"
            )
        if not 0 < self.treatment_share < 1:
            raise InvalidInput("Both variants need a share of the users.", field="treatment_share")

    @property
    def users(self) -> int:
        """Return how many users left something."""
        return int(self.user[-1]) + 1 if len(self.user) else 0

    @property
    def base(self) -> float:
        """Return the metric as it was."""
        return float(self.s.sum() / self.n.sum())

    @property
    def expected_ratings(self) -> float:
        """Return how much users leave in an experiment, on average, in rows."""
        return float(len(self.user))

    def draw(self, experiments: int, rng: np.random.Generator) -> Streams:
        """Draw so many experiments, each with as many users as were recorded, with replacement."""
        drawn = rng.integers(self.users, size=experiments * self.users)
        treated = rng.random(len(drawn)) < self.treatment_share
        starts = np.searchsorted(self.user, np.arange(self.users + 1))
        rows = np.diff(starts)[drawn]
        user = np.repeat(np.arange(len(drawn)), rows)
        place = starts[drawn][user] + np.arange(len(user)) - (np.cumsum(rows) - rows)[user]
        n, s = self.n[place], self.s[place]
        nothing = np.zeros(len(drawn))
        return Streams(
            experiments,
            self.days,
            np.repeat(np.arange(experiments), self.users),
            treated,
            self.day[starts[drawn]],
            nothing,
            nothing,
            user,
            self.day[place],
            n,
            np.where(treated[user], self._changed(n, s, rng), s) if self.effect else s,
        )

    @property
    def _is_share(self) -> bool:
        return METRICS[self.metric].unit == "share"

    def _changed(self, n: Floats, s: Floats, rng: np.random.Generator) -> Floats:
        """Add the effect: to each rating, or by turning as many thumbs as it takes."""
        if not self._is_share:
            return s + n * self.effect
        if self.effect > 0:
            return s + rng.binomial((n - s).astype(np.int64), self.effect / (1 - self.base))
        return s - rng.binomial(s.astype(np.int64), -self.effect / self.base)
