"""Tasks made up by chance: what prompts of known quality score on examples, and strategies that propose them.

Answers are alike across prompts as those of a real model are: an example's own difficulty decides most, the
rest is each prompt's own. `python -m benchmarks.synthetic` writes the stored score matrices anew.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from learning_core.llm.templates import Prompt
from learning_core.prompts import optimizer
from learning_core.prompts.optimizer import State
from learning_core.prompts.racing import Scores

MATRICES = Path(__file__).parent / "data" / "score_matrices.json"

SHARED = 0.6
"""Share of the variance of an answer that is due to the example; neighbours then correlate with about 0.4."""

EXAMPLES = 300
MATRICES_OF_EACH = 4

LEVELS = {
    "ten intents, 0.5B model": (0.31, 0.52, 0.63, 0.67, 0.69, 0.71, 0.72, 0.77, 0.78),
    "six types, 1.5B model": (0.05, 0.47, 0.54, 0.55, 0.60, 0.62),
}
"""Shares of right answers that prompts of two small local models were measured to reach."""


def generate(levels: Sequence[float], n: int, rng: np.random.Generator) -> Scores:
    """Draw 0/1 scores (n_prompts, n) of which each row has exactly the share of ones that was asked for."""
    own = rng.standard_normal((len(levels), n))
    ease = np.sqrt(SHARED) * rng.standard_normal(n) + np.sqrt(1 - SHARED) * own
    scores = np.zeros_like(ease)
    for row, of_prompt, level in zip(scores, ease, levels, strict=True):
        row[np.argsort(of_prompt)[: round(level * n)]] = 1
    return scores


def stored() -> dict[str, list[Scores]]:
    """Return the stored matrices (n_prompts, n_examples) of each task."""
    told = json.loads(MATRICES.read_text())["matrices"]
    return {
        task: [np.array([[float(digit) for digit in row] for row in matrix]) for matrix in matrices]
        for task, matrices in told.items()
    }


def store() -> None:
    """Write the matrices, one text of zeros and ones for each prompt."""
    rng = np.random.default_rng(20)
    matrices = {
        task: [
            ["".join(str(int(score)) for score in row) for row in generate(levels, EXAMPLES, rng)]
            for _ in range(MATRICES_OF_EACH)
        ]
        for task, levels in LEVELS.items()
    }
    made = "python -m benchmarks.synthetic: drawn by chance, with the levels of benchmarks.synthetic.LEVELS"
    MATRICES.parent.mkdir(exist_ok=True)
    MATRICES.write_text(json.dumps({"made": made, "matrices": matrices}, indent=1) + "\n")


class Level(NamedTuple):
    """True quality of what a strategy proposes: normal, about a fixed mean, or about the leader's quality."""

    mean: float
    spread: float
    from_leader: bool = False


FREE = {"clarified": Level(0.35, 0.12), "restructured": Level(0.5, 0.1), "corrections": Level(0.45, 0.08)}

TASKS: dict[str, tuple[float, dict[str, Level]]] = {
    "ten intents": (
        0.31,
        FREE
        | {"scaffolded": Level(0.67, 0.03), "few_shot": Level(0.69, 0.04), "combination": Level(0.74, 0.03)}
        | {"reflective": Level(-0.08, 0.12, True)},
    ),
    "six types": (
        0.47,
        FREE
        | {"scaffolded": Level(0.54, 0.03), "few_shot": Level(0.60, 0.03), "combination": Level(0.60, 0.03)}
        | {"reflective": Level(-0.05, 0.1, True)},
    ),
    "strong proposer": (
        0.50,
        {name: Level(0.6, 0.05) for name in ("clarified", "restructured", "corrections")}
        | {"scaffolded": Level(0.6, 0.04), "few_shot": Level(0.62, 0.04), "combination": Level(0.68, 0.03)}
        | {"reflective": Level(0.03, 0.05, True)},
    ),
    "one odd strategy": (
        0.50,
        {name: Level(0.58, 0.05) for name in ("clarified", "scaffolded", "few_shot", "combination")}
        | {"restructured": Level(0.58, 0.05), "corrections": Level(0.78, 0.03)}
        | {"reflective": Level(-0.03, 0.06, True)},
    ),
    "nothing helps": (
        0.70,
        {name: Level(0.62, 0.03) for name in optimizer.ORDER},
    ),
}
"""The baseline's true quality, and what each strategy proposes."""


class Proposal(NamedTuple):
    """A prompt of a known quality."""

    prompt: Prompt
    reason: str = "By chance."
    parents: tuple[int, ...] = ()
    learnt_from: dict[str, Any] = {}  # noqa: RUF012 - nobody writes to it


class Trial(NamedTuple):
    """An answer that is right or wrong."""

    value: float
    output: str = ""


class Task:
    """A task in which the quality of every prompt is known; it remembers what was asked of it."""

    def __init__(self, name: str, n_examples: int, seed: int) -> None:
        self.baseline = Prompt.from_text("Baseline")
        baseline, self._levels = TASKS[name]
        self._quality = {self.baseline.content_hash: baseline}
        self._rows: dict[str, list[float]] = {}
        self._rng = random.Random(f"{name}/{seed}")
        self._hardness = [self._rng.gauss(0, SHARED**0.5) for _ in range(n_examples)]
        self.pairs: list[tuple[str, int]] = []

    def quality(self, prompt: Prompt) -> float:
        """Return the share of all examples there could be that a prompt gets right."""
        return self._quality[prompt.content_hash]

    def propose(self, strategy: str, state: State) -> list[Proposal]:
        """Draw prompts."""
        mean, spread, from_leader = self._levels[strategy]
        base = self.quality(state.candidates[state.ranking[0]].prompt) if from_leader else 0.0
        return [
            self._proposal(f"{strategy} {state.turn} {draw}", base + state.rng.gauss(mean, spread))
            for draw in range(state.room)
        ]

    def evaluate(self, batch: Sequence[tuple[int, Prompt, Sequence[int]]]) -> list[list[Trial]]:
        """Look up who is right on what."""
        self.pairs += [(prompt.content_hash, index) for _, prompt, wanted in batch for index in wanted]
        return [[Trial(self._row(prompt)[index]) for index in wanted] for _, prompt, wanted in batch]

    def _proposal(self, text: str, quality: float) -> Proposal:
        prompt = Prompt.from_text(text)
        self._quality.setdefault(prompt.content_hash, min(max(quality, 0.02), 0.98))
        return Proposal(prompt)

    def _row(self, prompt: Prompt) -> list[float]:
        key = prompt.content_hash
        if key not in self._rows:
            border = NormalDist().inv_cdf(self._quality[key])
            own = (1 - SHARED) ** 0.5
            self._rows[key] = [float(each + self._rng.gauss(0, own) < border) for each in self._hardness]
        return self._rows[key]


if __name__ == "__main__":
    store()
