"""One optimization carried out: the search bound to models and database, then the sealed verdict.

Whoever carries it out again, after a kill or a pause, makes the same search: every answer that was paid for
comes from the store.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import text

from learning_core import background
from learning_core.background import Run
from learning_core.datasets.content import DatasetExample
from learning_core.db import organization_session
from learning_core.errors import BudgetSpent, ModelFailed
from learning_core.evaluation import calibration, scores
from learning_core.evaluation.checks import Evaluator
from learning_core.evaluation.scores import Item
from learning_core.evaluation.scoring import Scorer, Trial
from learning_core.llm.exchange import Exchange
from learning_core.llm.ledger import Spend
from learning_core.llm.requests import Model, Request
from learning_core.llm.templates import Prompt
from learning_core.prompts import optimizer, proof, rules
from learning_core.prompts.evidence import Evidence, shorten
from learning_core.prompts.optimizer import Admitted, Candidate, Dropped, Event, Outcome, Plan, Scored, State
from learning_core.prompts.portions import Portions
from learning_core.prompts.rules import Statement
from learning_core.prompts.shapes import Shape, shape
from learning_core.prompts.strategies import STRATEGIES, Brief, Failure, Proposal, Question, Refused, Tried
from learning_core.schema import CandidateState, ModelRole

SHOWN_FAILURES = 20
"""Wrong answers of a candidate that a strategy is shown, the worst first."""


@dataclass(frozen=True)
class Work:
    """What one optimization works with, read before its first call."""

    organization_id: UUID
    run: Run
    baseline: Prompt
    portions: Portions
    sealed: tuple[DatasetExample, ...]
    example_ids: dict[str, UUID]
    evaluator: Evaluator
    models: dict[ModelRole, Model]
    evidence: Evidence
    plan: Plan
    verification: Spend
    """What the verdict will take; the search leaves it alone."""


@dataclass
class Optimization:
    """Proposes, scores, remembers and reports on behalf of a search."""

    work: Work
    exchange: Exchange
    scorer: Scorer
    shape: Shape = field(init=False)
    refused: list[Refused] = field(default_factory=list)
    points: list[list[Any]] = field(default_factory=list)
    candidate_ids: dict[int, UUID] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.shape = shape(self.work.portions.teaching or self.work.portions.selection)

    # ------------------------------------------------------------ what the search calls

    def propose(self, strategy: str, state: State) -> list[Proposal]:
        """Return what a strategy makes of what is known so far."""
        self._say(f"Proposing: {STRATEGIES[strategy].title.lower()}", phase="proposing")
        brief = Brief(
            baseline=self.work.baseline,
            examples=self.work.portions.teaching,
            evidence=self.work.evidence,
            shape=self.shape,
            goals=self.work.run.settings["goals"],
            tried=tuple(self._tried(state.candidates[number]) for number in state.ranking),
            room=state.room,
        )
        drafted = STRATEGIES[strategy].draft(brief, self._ask, state.rng)
        self.refused += drafted.refused
        return drafted.proposals

    def evaluate(self, batch: Sequence[tuple[int, Prompt, Sequence[int]]]) -> list[list[Trial]]:
        """Score candidates on examples that choose, and store what came of it."""
        selection = self.work.portions.selection
        pairs = [(prompt, [selection[index] for index in wanted]) for _, prompt, wanted in batch]
        count = sum(len(examples) for _, examples in pairs)
        self._say(f"Trying {_count(len(pairs), 'prompt')} on {_count(count, 'example')}", phase="searching")
        found = self.scorer.trials_of(pairs, leaving=self.work.verification)
        for (number, _, _), (_, examples), trials in zip(batch, pairs, found, strict=True):
            self._store(number, examples, trials)
        if self._nothing_was_answered(found):
            raise ModelFailed(f"The model answered nothing at all: {found[0][0].error}")
        return found

    def notice(self, event: Event) -> None:
        """Keep what the search says for whoever watches."""
        match event:
            case Admitted(candidate):
                self._admit(candidate)
            case Dropped(drop, words):
                is_baseline = drop.candidate == 0
                state = CandidateState.BASELINE if is_baseline else CandidateState.DROPPED
                self._mark(drop.candidate, state, words)
            case Scored():
                self._plot(event)

    # ------------------------------------------------------------ verdict

    def verify(self, outcome: Outcome) -> dict[str, Any]:
        """Return what the run came to: the gain on the sealed examples, and what speaks against it."""
        self._mark_ranking(outcome)
        self._propose_rules(outcome)
        found: dict[str, Any] = {"winner": outcome.winner, "selection": _selection(outcome)}
        found["search"] = {"calls": outcome.calls, "stop": outcome.words, "reason": outcome.stop}
        if outcome.winner != 0:
            found |= self._verify(outcome.candidates[outcome.winner])
        organization, agent = self.work.organization_id, self.work.run.agent
        if judge := calibration.examine(organization, agent, self.scorer.questions, self.exchange):
            found["judge"] = judge
        return found

    def _verify(self, winner: Candidate) -> dict[str, Any]:
        sealed, uses = self.work.sealed, proof.unseal(self.work.organization_id, self.work.run)
        shown = _count(len(sealed), "example")
        self._say(f"Checking the best candidate on {shown} nobody has seen", phase="verifying")
        try:
            found = proof.prove(
                self.scorer, self.work.evaluator.gate, self.work.baseline, winner.prompt, sealed
            )
        except BudgetSpent:
            unverified = "The budget was spent before the best candidate was checked."
            return {"verdict": None, "test_uses": uses, "unverified": unverified}
        self._store(0, sealed, found.before)
        self._store(winner.number, sealed, found.after)
        return found.told() | {"test_uses": uses}

    # ------------------------------------------------------------ models

    def _ask(self, questions: Sequence[Question]) -> list[str]:
        proposer = self.work.models.get(ModelRole.PROPOSER)
        if proposer is None or not questions:
            return [""] * len(questions)
        requests = [
            Request(
                "proposer",
                proposer,
                question.messages,
                question.max_tokens,
                question.temperature,
                question.seed,
                question.schema,
            )
            for question in questions
        ]
        answers = self.exchange.ask(requests, leaving=self.work.verification)
        return [answer.text if answer.error is None else "" for answer in answers]

    def _tried(self, candidate: Candidate) -> Tried:
        selection = self.work.portions.selection
        failures = tuple(
            Failure(selection[miss.example], miss.output) for miss in candidate.misses[:SHOWN_FAILURES]
        )
        proposal = Proposal(
            candidate.strategy,
            candidate.prompt,
            candidate.reason,
            candidate.parents,
            dict(candidate.learnt_from),
        )
        return Tried(candidate.number, proposal, candidate.mean, candidate.n, failures)

    def _nothing_was_answered(self, found: Sequence[Sequence[Trial]]) -> bool:
        return not self.points and all(trial.error is not None for trials in found for trial in trials)

    # ------------------------------------------------------------ remembering

    def _admit(self, candidate: Candidate) -> None:
        is_baseline = candidate.number == 0
        with organization_session(self.work.organization_id) as session:
            self.candidate_ids[candidate.number] = scores.store_candidate(
                session,
                self.work.run.id,
                candidate.number,
                candidate.prompt,
                strategy=candidate.strategy,
                reason=candidate.reason,
                state=CandidateState.BASELINE if is_baseline else CandidateState.RACING,
                parents=candidate.parents,
                learnt_from=candidate.learnt_from,
                prompt_version_id=self.work.run.prompt_version_id if is_baseline else None,
            )

    def _store(self, number: int, examples: Sequence[DatasetExample], trials: Sequence[Trial]) -> None:
        items = (Item(self.work.example_ids[example.id], example) for example in examples)
        with organization_session(self.work.organization_id) as session:
            scores.store_scores(session, self.candidate_ids[number], zip(items, trials, strict=True))

    def _mark(self, number: int, state: CandidateState, why: str | None = None) -> None:
        with organization_session(self.work.organization_id) as session:
            session.execute(MARK, {"id": self.candidate_ids[number], "state": state, "why": why})

    def _mark_ranking(self, outcome: Outcome) -> None:
        for candidate in outcome.candidates[1:]:
            if candidate.number == outcome.winner:
                self._mark(candidate.number, CandidateState.WINNER)
            elif candidate.racing:
                self._mark(candidate.number, CandidateState.FINALIST)

    def _propose_rules(self, outcome: Outcome) -> None:
        """Keep the rules that corrections came to, for people to accept or dismiss."""
        mined = [rule for one in outcome.candidates for rule in one.learnt_from.get("mined", ())]
        found = [
            Statement(shorten(rule["statement"], rules.LONGEST), tuple(map(UUID, rule["examples"])))
            for rule in mined
        ]
        with organization_session(self.work.organization_id) as session:
            rules.propose(session, self.work.run.agent, found, by="an optimization")

    # ------------------------------------------------------------ reporting

    def _plot(self, scored: Scored) -> None:
        """Add where the search stands to the line of the best score over spend."""
        if not scored.standings:
            return
        best, n, mean = max(scored.standings, key=lambda standing: (standing[1], standing[2], -standing[0]))
        with organization_session(self.work.organization_id) as session:
            spent = background.find(session, self.work.run.id).spent
        place = len(self.points)
        told = self.work.run.progress.get("points", [])[place : place + 1]  # by an earlier life of this run
        self.points += told or [[spent.calls, float(spent.usd), spent.tokens, best, mean, n]]
        self._say(f"Best so far: candidate {best}", points=self.points, seconds_left=self._left(scored))

    def _left(self, scored: Scored) -> float | None:
        """Return how many seconds are left if the search takes all its calls, at the pace so far."""
        pace = (time.monotonic() - self.started) / max(scored.calls, 1)
        return pace * (scored.calls_left + self.work.verification.calls)

    def _say(self, activity: str, **figures: Any) -> None:
        refused = dict.fromkeys((one.strategy, one.reason) for one in self.refused)
        figures["refused"] = [{"strategy": strategy, "reason": reason} for strategy, reason in refused]
        with organization_session(self.work.organization_id) as session:
            background.report(session, self.work.run.id, activity, **figures)


def carry_out(work: Work, exchange: Exchange) -> dict[str, Any]:
    """Search, verify, and return what the run came to.

    Raises:
        Interrupted: a person or the process wishes it to stop; done again it comes to the same.
        BudgetSpent: not even the baseline could be scored.
        ModelFailed: the model answered nothing.
    """
    scorer = Scorer(
        exchange,
        work.models,
        work.evaluator,
        max_tokens=work.run.settings["max_tokens"],
        temperature=work.run.settings["temperature"],
    )
    bench = Optimization(work, exchange, scorer)
    outcome = optimizer.search(
        work.plan, work.baseline, len(work.portions.selection), bench.propose, bench.evaluate, bench.notice
    )
    return bench.verify(outcome)


def _selection(outcome: Outcome) -> dict[str, Any]:
    winner, baseline = outcome.candidates[outcome.winner], outcome.candidates[0]
    return {
        "winner_mean": winner.mean,
        "baseline_mean": baseline.mean,
        "n": winner.n,
        "baseline_n": baseline.n,
    }


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


MARK = text("""
UPDATE candidates SET
    state = :state,
    learnt_from = CASE WHEN CAST(:why AS text) IS NULL THEN learnt_from
                  ELSE learnt_from || jsonb_build_object('dropped_because', CAST(:why AS text)) END
WHERE id = :id
""")
