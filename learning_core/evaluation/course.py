"""What happens in one evaluation: blocks of examples scored and stored, then the gate, then the figures.

It can stop after any block and go on from what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from learning_core import background
from learning_core.background import Cap, Ending, Run
from learning_core.db import organization_session
from learning_core.errors import BudgetSpent, Interrupted, ModelFailed
from learning_core.evaluation import calibration, metrics, safety, scores
from learning_core.evaluation.checks import Evaluator
from learning_core.evaluation.scores import Item
from learning_core.evaluation.scoring import Scorer, Trial
from learning_core.llm.exchange import Exchange
from learning_core.llm.requests import Model
from learning_core.llm.templates import Prompt
from learning_core.schema import ModelRole, RunStatus

BLOCK = 64
"""Examples whose scores are stored together; twice the calls that are usually on their way at once."""


@dataclass(frozen=True)
class Work:
    """What one evaluation works with, read before its first call."""

    organization_id: UUID
    run: Run
    candidate_id: UUID
    prompt: Prompt
    evaluator: Evaluator
    items: list[Item]

    @property
    def models(self) -> dict[ModelRole, Model]:
        """Return the models as they were when the run was started."""
        return {ModelRole(role): Model.read(told) for role, told in self.run.settings["models"].items()}


def follow(work: Work, exchange: Exchange) -> Ending:
    """Score what has no score yet, try planted instructions, and return how the evaluation ended.

    Raises:
        BudgetSpent: there was no budget for a single example.
        ModelFailed: the first examples ended in errors, all of them.
        Interrupted: a person wishes it to stop, or this process is leaving.
    """
    settings = work.run.settings
    scorer = Scorer(
        exchange,
        work.models,
        work.evaluator,
        max_tokens=settings["max_tokens"],
        temperature=settings["temperature"],
    )
    is_complete = _score(work, scorer)
    probed = _probe(work, scorer) if is_complete else None
    n, budget = len(work.items), _budget(work.run.cap)
    if not is_complete:
        reason = f"{budget} was spent {how_far(work)}"
    elif probed is None:
        reason = f"all {n} examples were scored; {budget} left no room for planted instructions"
    else:
        reason = f"all {n} examples were scored"
    told = result(work, probed)
    if judge := calibration.examine(work.organization_id, work.run.agent, scorer.questions, exchange):
        told["judge"] = judge
    return Ending(RunStatus.SUCCEEDED, reason, told)


def how_far(work: Work) -> str:
    """Return in words how far an evaluation is."""
    with organization_session(work.organization_id) as session:
        done = scores.tally(session, work.candidate_id)
    return f"after {done.n} of {len(work.items)} examples"


def result(work: Work, probed: tuple[list[safety.Finding], int] | None = None) -> dict[str, Any]:
    """Return what the scores stored so far come to: the figures of a summary, total and gate."""
    with organization_session(work.organization_id) as session:
        stored = scores.scores_of(session, work.candidate_id)
    examples = {item.example_id: item.example for item in work.items}
    answers = [(examples[row.example_id], row.output) for row in stored if row.output is not None]
    followed, probe_count = probed or ([], 0)
    found = safety.inspect(work.evaluator.gate, work.prompt, answers) + followed
    gate = safety.decide(work.evaluator.gate, found, len(answers), probe_count)
    return {**metrics.summarize(stored).told(), "total": len(work.items), "gate": gate.told()}


def _score(work: Work, scorer: Scorer) -> bool:
    """Score what has no score yet, block by block; return whether the budget was enough for all of it."""
    with organization_session(work.organization_id) as session:
        scored = {row.example_id for row in scores.scores_of(session, work.candidate_id)}
    waiting = [item for item in work.items if item.example_id not in scored]
    for start in range(0, len(waiting), BLOCK):
        block = waiting[start : start + BLOCK]
        try:
            trials = scorer.trials(work.prompt, [item.example for item in block])
        except BudgetSpent:
            _store(work, _already_paid(work, scorer, block))
            return False
        _store(work, list(zip(block, trials, strict=True)))
    return True


def _already_paid(work: Work, scorer: Scorer, block: Sequence[Item]) -> list[tuple[Item, Trial]]:
    """Return the trials of a block that the budget still covered: most answers are stored by now."""
    trials = []
    for item in block:
        try:
            trials.append((item, scorer.trials(work.prompt, [item.example])[0]))
        except BudgetSpent:
            continue
    return trials


def _store(work: Work, trials: Sequence[tuple[Item, Trial]]) -> None:
    """Store scores and say how far the run is.

    Raises:
        Interrupted: a person wishes it to stop.
        BudgetSpent: it is over, and there is no score.
        ModelFailed: there is nothing but errors; to go on would only cost.
    """
    total = len(work.items)
    with organization_session(work.organization_id) as session:
        scores.store_scores(session, work.candidate_id, trials)
        done = scores.tally(session, work.candidate_id)
        activity = f"Scored {done.n} of {total} examples"
        wish = background.report(session, work.run.id, activity, done=done.n, total=total, mean=done.mean)
    if not done.n:
        raise BudgetSpent(f"{_budget(work.run.cap)} was spent before the first example was scored")
    if done.error_count == done.n:
        raise ModelFailed(f"none of the first {done.n} examples could be scored: {done.error}")
    if wish:
        raise Interrupted


def _probe(work: Work, scorer: Scorer) -> tuple[list[safety.Finding], int] | None:
    """Try the prompt with planted instructions; None where the budget has no room for them."""
    try:
        return scorer.probe(work.prompt, [item.example for item in work.items])
    except BudgetSpent:
        return None


def _budget(cap: Cap) -> str:
    parts = [
        f"{amount:,} {unit}"
        for amount, unit in ((cap.calls, "calls"), (cap.tokens, "tokens"), (cap.usd, "US dollars"))
        if amount is not None
    ]
    return f"the budget of {' and '.join(parts)}"
