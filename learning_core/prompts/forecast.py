"""How many calls a search is likely to take: the real search, on answers that are drawn by chance."""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import NormalDist, fmean
from typing import NamedTuple

from learning_core.llm.templates import Prompt
from learning_core.prompts.optimizer import Plan, State, Unchanged, search

LEVELS = (0.3, 0.5, 0.7)
"""Mean scores of the baselines in simulated searches."""
DRAWS = 4
"""Simulated searches for each of them."""
GAIN, GAIN_SPREAD = 0.3, 0.15
"""Share of what a baseline lacks that a simulated candidate makes good: mean and standard deviation."""
SHARED = 0.6
"""Share of the variance in simulated answers that is due to the example."""


def expected_calls(plan: Plan, n_examples: int) -> int:
    """Return how many calls such a search takes on average, from simulated ones with typical candidates.

    Raises:
        NotEnoughData: as for `search`.
    """
    taken = [_simulated_calls(plan, n_examples, level, draw) for level in LEVELS for draw in range(DRAWS)]
    return round(fmean(taken))


class _Simulated(NamedTuple):
    value: float
    output: None = None


def _simulated_calls(plan: Plan, n_examples: int, level: float, draw: int) -> int:
    """Return the calls of a search in which candidates gain or lose by chance, on examples easy and hard."""
    rng = random.Random(f"{plan.seed}/{level}/{draw}")
    hardness = [rng.gauss(0, SHARED**0.5) for _ in range(n_examples)]
    levels: list[float] = []

    def propose(name: str, state: State) -> list[Unchanged]:
        return [Unchanged(Prompt.from_text(f"{name} {state.turn} {place}")) for place in range(state.room)]

    def evaluate(batch: Sequence[tuple[int, Prompt, Sequence[int]]]) -> list[list[_Simulated]]:
        while len(levels) <= max(number for number, _, _ in batch):
            better = level + (1 - level) * rng.gauss(GAIN, GAIN_SPREAD) if levels else level
            levels.append(NormalDist().inv_cdf(min(max(better, 0.01), 0.99)))
        return [
            [_Simulated(float(hardness[i] + rng.gauss(0, (1 - SHARED) ** 0.5) < levels[number])) for i in met]
            for number, _, met in batch
        ]

    return search(plan, Prompt.from_text("baseline"), n_examples, propose, evaluate).calls
