"""The candidates of one search: the answers they gave, who is still in the race, and who was dropped why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from learning_core.llm.templates import Prompt
from learning_core.prompts import racing
from learning_core.prompts.racing import Drop, Mode, Rules, Scores


class Trial(Protocol):
    """One answer and what it is worth."""

    @property
    def value(self) -> float:
        """Return the score, 0-1."""

    @property
    def output(self) -> str | None:
        """Return the answer; None where there is none."""


class Proposal(Protocol):
    """A prompt worth trying, why, the candidates it was made from, and what it was learnt from."""

    @property
    def prompt(self) -> Prompt: ...
    @property
    def reason(self) -> str: ...
    @property
    def parents(self) -> tuple[int, ...]: ...
    @property
    def learnt_from(self) -> Mapping[str, Any]: ...


class Miss(NamedTuple):
    """An example, by its index, that a candidate did not get full marks on; its answer and what it scored."""

    example: int
    output: str
    value: float


class Candidate(NamedTuple):
    """A prompt in the search and how far it has come.

    Attributes:
        number: In the order of admission; 0 is the baseline.
        strategy: What proposed it.
        mean: Of its scores so far; None before the first. Chosen as the best, it is too high an estimate.
        n: How many examples it has met.
        misses: The examples it did not get full marks on, the worst first.
        racing: Whether it is still in the race.
    """

    number: int
    strategy: str
    prompt: Prompt
    reason: str
    parents: tuple[int, ...]
    learnt_from: Mapping[str, Any]
    mean: float | None
    n: int
    misses: tuple[Miss, ...]
    racing: bool


class Admitted(NamedTuple):
    """A candidate entered the race."""

    candidate: Candidate


class Scored(NamedTuple):
    """A block was scored: calls so far and left, and (number, n, mean) of everyone in the race."""

    calls: int
    calls_left: int
    standings: tuple[tuple[int, int, float], ...]


class Dropped(NamedTuple):
    """A candidate left the race."""

    drop: Drop
    words: str


Evaluate: TypeAlias = Callable[[Sequence[tuple[int, Prompt, Sequence[int]]]], Sequence[Sequence[Trial]]]
"""From (number, prompt, example indices), one candidate after the other, to one list of trials each."""


@dataclass
class _Entry:
    strategy: str
    proposal: Proposal
    trials: list[Trial] = field(default_factory=list)


class Contest:
    """A race that candidates may enter while it is on.

    Attributes:
        n_examples: All candidates meet them in the same order, their own.
        racing: Numbers of those still in the race.
        drops: Who left it, in this order.
    """

    def __init__(
        self,
        rules: Rules,
        calls: int,
        n_examples: int,
        evaluate: Evaluate,
        notice: Callable[[Admitted | Scored | Dropped], None],
    ) -> None:
        self.n_examples = n_examples
        self.racing: list[int] = []
        self.drops: list[Drop] = []
        self._rules = rules
        self._calls_allowed = calls
        self._evaluate = evaluate
        self._notice = notice
        self._entries: list[_Entry] = []
        self._known: set[str] = set()
        self._first = rules.next_look(0, n_examples)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def calls(self) -> int:
        """Return how many answers were scored."""
        return sum(len(entry.trials) for entry in self._entries)

    @property
    def calls_left(self) -> int:
        """Return how many more may be."""
        return self._calls_allowed - self.calls

    @property
    def leader(self) -> int:
        """Return the number of who leads."""
        return racing.find_leader(self.scores(), self.racing)

    @property
    def is_perfect(self) -> bool:
        """Return whether the leader has full marks on every example."""
        return self._is_faultless() and self.unmet([self.leader]) == 0

    def unmet(self, numbers: Sequence[int]) -> int:
        """Count the examples that these have not met."""
        return sum(self.n_examples - len(self._entries[number].trials) for number in numbers)

    def admit(self, strategy: str, proposal: Proposal) -> bool:
        """Let a prompt into the race; return False where it has been in it before."""
        if proposal.prompt.content_hash in self._known:
            return False
        self._known.add(proposal.prompt.content_hash)
        self.racing.append(len(self._entries))
        self._entries.append(_Entry(strategy, proposal))
        self._notice(Admitted(self._candidate(len(self._entries) - 1)))
        return True

    def narrow(self, few: int) -> None:
        """Score and drop until so few are left, on a level with each other, or nothing more fits."""
        while not self._is_down_to(few) and self.score_block():
            pass

    def prove_if_perfect(self) -> None:
        """Let a leader without a fault meet all examples: while it has none there is nothing to improve."""
        while self._is_faultless() and not self.is_perfect and self.score_block([self.leader]):
            pass

    def score_block(self, numbers: Sequence[int] | None = None) -> bool:
        """Score the next block of those furthest behind, and drop who may go; False where it does not fit."""
        numbers = self.racing if numbers is None else numbers
        n = min(len(self._entries[number].trials) for number in numbers)
        behind = [number for number in numbers if len(self._entries[number].trials) == n]
        until = self._rules.next_look(n, self.n_examples)
        if self.calls_left < len(behind) * (until - n):
            if n < self._first:
                return False
            until = n + self.calls_left // len(behind)
        if until == n:
            return False
        self._score(behind, range(n, until))
        self._drop()
        return True

    def candidates(self) -> tuple[Candidate, ...]:
        """Return all of them, by number."""
        return tuple(self._candidate(number) for number in range(len(self._entries)))

    def ranking(self) -> tuple[int, ...]:
        """Return the winner, who is in the race, who left it; of each the furthest, of those the best."""
        winner = self._winner()

        def place(number: int) -> tuple[bool, bool, int, float, int]:
            values = [trial.value for trial in self._entries[number].trials]
            mean = sum(values) / len(values) if values else 0.0
            return number != winner, number not in self.racing, -len(values), -mean, number

        return tuple(sorted(range(len(self._entries)), key=place))

    def scores(self) -> Scores:
        """Return (n_candidates, n_examples), NaN where nothing was asked."""
        scores = np.full((len(self._entries), self.n_examples), np.nan)
        for row, entry in zip(scores, self._entries, strict=True):
            row[: len(entry.trials)] = [trial.value for trial in entry.trials]
        return scores

    def _winner(self) -> int:
        """Return the leader, or who has met fewer examples and beats it clearly on those."""
        scores, winner = self.scores(), self.leader
        for number in self.racing:
            ahead = scores[number] - scores[winner]
            ahead = ahead[np.isfinite(ahead)]
            if len(ahead) < self._first or ahead.sum() <= racing.ROUNDING:
                continue
            if racing.sign_flip_p(ahead) <= self._rules.alpha:
                winner = number
        return winner

    def _is_down_to(self, few: int) -> bool:
        counts = {len(self._entries[number].trials) for number in self.racing}
        if len(counts) > 1 or 0 in counts:
            return False
        return self.n_examples in counts or (
            len(self.racing) <= few and self._rules.mode is not Mode.EXHAUSTIVE
        )

    def _is_faultless(self) -> bool:
        return all(trial.value >= 1 for trial in self._entries[self.leader].trials)

    def _score(self, numbers: Sequence[int], examples: Sequence[int]) -> None:
        batch = [(number, self._entries[number].proposal.prompt, examples) for number in numbers]
        for number, trials in zip(numbers, self._evaluate(batch), strict=True):
            if len(trials) != len(examples) or not all(0 <= trial.value <= 1 for trial in trials):
                raise ValueError(f"candidate {number} has no score from 0 to 1 for each of its examples")
            self._entries[number].trials += trials
        standings = tuple(
            (one.number, one.n, one.mean) for one in self.candidates() if one.racing and one.mean is not None
        )
        self._notice(Scored(self.calls, self.calls_left, standings))

    def _drop(self) -> None:
        for drop in racing.find_drops(self.scores(), self.racing, self._rules):
            self.racing.remove(drop.candidate)
            self.drops.append(drop)
            self._notice(Dropped(drop, drop.words))

    def _candidate(self, number: int) -> Candidate:
        entry = self._entries[number]
        values = [trial.value for trial in entry.trials]
        misses = [
            Miss(example, trial.output or "", trial.value)
            for example, trial in enumerate(entry.trials)
            if trial.value < 1
        ]
        return Candidate(
            number,
            entry.strategy,
            entry.proposal.prompt,
            entry.proposal.reason,
            tuple(entry.proposal.parents),
            entry.proposal.learnt_from,
            sum(values) / len(values) if values else None,
            len(values),
            tuple(sorted(misses, key=lambda miss: miss.value)),
            number in self.racing,
        )
