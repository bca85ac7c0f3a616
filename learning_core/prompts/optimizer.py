"""The search for a better prompt: who is tried, on what, in which order, and when to stop.

It plans and decides; proposing, scoring and remembering are its callers'. Nothing in it depends on the time
or on chance beyond the seed, so whoever runs it again with the same answers gets the same search: that is how
an interrupted run goes on. What the winner scored on the examples it was chosen by is not what it will score
elsewhere; that is measured on examples the search never saw (`verdict`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from learning_core.errors import BudgetSpent, NotEnoughData
from learning_core.llm.templates import Prompt
from learning_core.prompts.contest import (
    Admitted,
    Candidate,
    Contest,
    Dropped,
    Evaluate,
    Proposal,
    Scored,
)
from learning_core.prompts.racing import Drop, Mode, Rules, Scores, called

__all__ = [
    "Admitted",
    "Asked",
    "Candidate",
    "Dropped",
    "Event",
    "Finished",
    "Outcome",
    "Plan",
    "Rounded",
    "Scored",
    "State",
    "Stop",
    "Unchanged",
    "search",
]

FEWEST_EXAMPLES = 10
"""Examples below which no choice between prompts is made."""

FIRST_LOOKS = (15, FEWEST_EXAMPLES)
"""Examples of a first look, where the calls are many and where they are few."""

ORDER = ("scaffolded", "few_shot", "combination", "restructured", "clarified", "corrections", "reflective")
"""The strategies in the order in which the first round turns to them: what helped most often comes first."""

LATER = ("combination", "reflective")
"""Strategies that build on what was tried: later rounds turn to them first."""

BASELINE = "baseline"


@dataclass(frozen=True)
class Plan:
    """What a search may do.

    Attributes:
        calls: Answers of the task model that it may have scored; never exceeded.
        seed: With the same seed and the same answers a search is the same.
        strategies: Names of those that may propose.
        mode: By what right a candidate may be dropped.
        n_first: Examples before a candidate may be dropped, at least 10; None means 15, or 10 where the calls
            would not give every strategy a first look at 15.
        block: Examples between two looks after that.
        opening: Share (0-1) of the calls that the first look at the first round's candidates may take.
        later: Share (0-1) of the calls left that the first look at a later round's candidates may take.
        finalists: Candidates that a round narrows its field down to before the next one begins.
        newcomers: Candidates that a round asks for, at most; the first gives every strategy one try.
        patience: Rounds in a row that bring no new leader before the search stops.
        max_candidates: Candidates in all, the baseline included.
    """

    calls: int
    seed: int = 0
    strategies: tuple[str, ...] = ORDER
    mode: Mode = Mode.EXPLORATORY
    n_first: int | None = None
    block: int = 5
    opening: float = 0.5
    later: float = 0.35
    finalists: int = 2
    newcomers: int = 4
    patience: int = 2
    max_candidates: int = 24

    def __post_init__(self) -> None:
        if min(self.calls, self.block, self.newcomers, self.patience, self.max_candidates) < 1:
            raise ValueError("calls, block, newcomers, patience and candidates are at least one")
        if self.n_first is not None and self.n_first < FEWEST_EXAMPLES:
            raise ValueError(f"a first look takes at least {FEWEST_EXAMPLES} examples")

    @property
    def first_look(self) -> int:
        """Return how many examples a candidate meets before it may be dropped."""
        if self.n_first is not None:
            return self.n_first
        usual = FIRST_LOOKS[0]
        everyone = (len(self.strategies) + 1) * usual
        return usual if everyone <= self.opening * (self.calls + usual) else FIRST_LOOKS[1]

    @property
    def rules(self) -> Rules:
        """Return the rules of its race."""
        return Rules(self.mode, self.first_look, self.block, most=self.max_candidates)


class State(NamedTuple):
    """What a strategy may know when it is asked.

    Attributes:
        candidates: All so far, by number.
        ranking: Their numbers, the best first.
        room: How many proposals are wanted at most.
        turn: The round, from 1.
        rng: The strategy's own chance; the same whenever the search comes here.
    """

    candidates: tuple[Candidate, ...]
    ranking: tuple[int, ...]
    room: int
    turn: int
    rng: random.Random


class Stop(StrEnum):
    """Why a search came to its end."""

    PERFECT = "perfect"
    SETTLED = "settled"
    DRY = "dry"
    FULL = "full"
    BUDGET = "budget"


class Asked(NamedTuple):
    """What a strategy was asked for in a round, proposed, and had admitted; what is known already is not."""

    strategy: str
    room: int
    proposed: int
    admitted: int


class Rounded(NamedTuple):
    """A round of proposals was made; `number` counts from 1."""

    number: int
    asked: tuple[Asked, ...]


class Outcome(NamedTuple):
    """What a search came to.

    Attributes:
        winner: Number of the challenger; 0, the baseline, where no candidate is better.
        ranking: All numbers, the best first; those that left early, on few examples, last.
        candidates: All, by number.
        scores: (n_candidates, n_examples), in the order of the examples; NaN where nothing was asked.
        drops: Who left, in this order, and why.
        calls: Scored answers.
        stop: Why it ended.
        words: Why it ended, for people.
    """

    winner: int
    ranking: tuple[int, ...]
    candidates: tuple[Candidate, ...]
    scores: Scores
    drops: tuple[Drop, ...]
    calls: int
    stop: Stop
    words: str


class Finished(NamedTuple):
    """The search is over."""

    outcome: Outcome


Event: TypeAlias = Admitted | Rounded | Scored | Dropped | Finished
Propose: TypeAlias = Callable[[str, State], Sequence[Proposal]]


def search(
    plan: Plan,
    baseline: Prompt,
    n_examples: int,
    propose: Propose,
    evaluate: Evaluate,
    notice: Callable[[Event], None] = lambda event: None,
) -> Outcome:
    """Search for a prompt that does better than the baseline.

    No candidate is evaluated twice on one example, no prompt admitted twice, and no block begun that does not
    fit into the calls that are left. BudgetSpent, from proposing or evaluating, ends the search with what is
    known, if anything is; every other exception, Interrupted above all, passes through.

    Args:
        plan: What the search may do.
        baseline: The prompt to improve, candidate 0.
        n_examples: Examples to choose by. All candidates meet them in their order, which should be mixed.
        propose: Asks a strategy by its name.
        evaluate: Has answers scored.
        notice: Is told what happens.

    Raises:
        NotEnoughData: there are fewer than FEWEST_EXAMPLES examples, or calls for the first look at two.
    """
    if n_examples < FEWEST_EXAMPLES:
        raise NotEnoughData(
            f"Choosing between prompts takes at least {FEWEST_EXAMPLES} examples; there are {n_examples}."
        )
    if plan.calls < (fewest := 2 * min(plan.first_look, n_examples)):
        raise NotEnoughData(f"A first look at two prompts takes {fewest} calls; there are {plan.calls}.")
    race = Contest(plan.rules, plan.calls, n_examples, evaluate, notice)
    try:
        stop, words = _run(race, plan, baseline, propose, notice)
    except BudgetSpent:
        if not race.calls:
            raise
        stop, words = Stop.BUDGET, "All that the search may spend is spent."
    outcome = Outcome(
        race.ranking()[0],
        race.ranking(),
        race.candidates(),
        race.scores(),
        tuple(race.drops),
        race.calls,
        stop,
        words,
    )
    notice(Finished(outcome))
    return outcome


def _run(
    race: Contest, plan: Plan, baseline: Prompt, propose: Propose, notice: Callable[[Event], None]
) -> tuple[Stop, str]:
    race.admit(BASELINE, Unchanged(baseline))
    race.score_block()
    turn, fruitless = 1, 0
    while True:
        race.prove_if_perfect()
        room = _room(race, plan, turn)
        stop = _reason_to_stop(race, plan, room, fruitless)
        if stop is None:
            leader, asked = race.leader, _ask(race, plan, propose, turn, room)
            notice(Rounded(turn, asked))
            if not any(one.admitted for one in asked):
                stop = Stop.DRY, "No strategy had anything new to propose."
        if stop:
            race.narrow(1)
            return stop
        race.narrow(plan.finalists)
        turn, fruitless = turn + 1, 0 if race.leader != leader else fruitless + 1


def _reason_to_stop(race: Contest, plan: Plan, room: int, fruitless: int) -> tuple[Stop, str] | None:
    if race.is_perfect:
        return Stop.PERFECT, f"{called(race.leader)} has full marks on every example."
    if fruitless >= plan.patience:
        return Stop.SETTLED, f"The last {fruitless} rounds brought nothing better."
    if len(race) >= plan.max_candidates:
        return Stop.FULL, f"All {plan.max_candidates} candidates that the search may have were tried."
    if room < 1:
        return Stop.BUDGET, f"The {race.calls_left} calls left did not suffice for another round."
    return None


def _room(race: Contest, plan: Plan, turn: int) -> int:
    """Return how many newcomers a round may ask for: their first look takes a share of the calls left."""
    if plan.mode is Mode.EXHAUSTIVE:
        fitting = (race.calls_left - race.unmet(race.racing)) // race.n_examples
    else:
        share = plan.opening if turn == 1 else plan.later
        fitting = int(share * race.calls_left) // min(plan.first_look, race.n_examples)
    wanted = max(plan.newcomers, len(plan.strategies)) if turn == 1 else plan.newcomers
    return min(max(fitting, 1 if turn == 1 else 0), wanted, plan.max_candidates - len(race))


def _ask(race: Contest, plan: Plan, propose: Propose, turn: int, room: int) -> tuple[Asked, ...]:
    """Ask the strategies in turn for so many newcomers; what one leaves over goes to the next."""
    names = _first_order(plan) if turn == 1 else _later_order(race, plan)
    shares = {name: len(range(place, room, len(names))) for place, name in enumerate(names)}
    asked: list[Asked] = []
    left, spare = room, 0
    for name in (*names, *names):  # who gave all it was asked for may be asked again
        wanted = min(left, shares.pop(name, 0) + spare)
        if wanted < 1 or any(one.strategy == name and one.proposed < one.room for one in asked):
            continue
        rng = random.Random(f"{plan.seed}/{turn}/{len(asked)}/{name}")
        proposals = propose(name, State(race.candidates(), race.ranking(), wanted, turn, rng))
        admitted = 0
        for proposal in proposals:
            admitted += admitted < wanted and race.admit(name, proposal)
        asked.append(Asked(name, wanted, len(proposals), admitted))
        left, spare = left - admitted, wanted - admitted
    return tuple(asked)


def _first_order(plan: Plan) -> list[str]:
    known = [name for name in ORDER if name in plan.strategies]
    return known + [name for name in plan.strategies if name not in ORDER]


def _later_order(race: Contest, plan: Plan) -> list[str]:
    """Order the strategies by how many of their candidates are still in the race (Laplace's estimate)."""

    def survival(name: str) -> float:
        own = [one for one in race.candidates() if one.strategy == name]
        return (sum(one.racing for one in own) + 1) / (len(own) + 2)

    names = sorted(_first_order(plan), key=lambda name: name not in LATER)
    return sorted(names, key=survival, reverse=True)


class Unchanged(NamedTuple):
    """The baseline as if it were a proposal."""

    prompt: Prompt
    reason: str = "The prompt as it is."
    parents: tuple[int, ...] = ()
    learnt_from: Mapping[str, Any] = MappingProxyType({})
