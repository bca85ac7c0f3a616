"""The proof of a gain: the winner and the prompt as it was answer examples that the search never saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from learning_core.access import Caller
from learning_core.background import Run
from learning_core.datasets import versions as datasets
from learning_core.datasets.content import DatasetExample
from learning_core.datasets.splits import Split
from learning_core.db import organization_session
from learning_core.errors import BudgetSpent
from learning_core.evaluation import metrics, safety
from learning_core.evaluation.safety import Gate, GateResult
from learning_core.evaluation.scoring import Scorer, Trial
from learning_core.llm.templates import Prompt
from learning_core.prompts import verdict
from learning_core.prompts.verdict import Verdict
from learning_core.schema import Role


class Proof(NamedTuple):
    """What the sealed examples say.

    Attributes:
        before, after: What the prompt as it was, and the winner, answered to each example.
        verdict: The gain with its interval.
        gate: Whether the winner does nothing that it must not do.
        lost: How many examples the prompt as it was gets right and the winner does not.
    """

    before: Sequence[Trial]
    after: Sequence[Trial]
    verdict: Verdict
    gate: GateResult
    lost: int

    def told(self) -> dict[str, Any]:
        """Return the JSON form that a run keeps."""
        return {
            "verdict": self.verdict.told(),
            "baseline_test": metrics.summarize(self.before).told(),
            "winner_test": metrics.summarize(self.after).told(),
            "gate": self.gate.told(),
            "regressions": self.lost,
        }


def prove(
    scorer: Scorer, gate: Gate, baseline: Prompt, winner: Prompt, sealed: Sequence[DatasetExample]
) -> Proof:
    """Let both prompts answer the sealed examples, once, and compare them pair by pair.

    Raises:
        BudgetSpent, Interrupted: as the exchange says.
    """
    before, after = scorer.trials_of([(baseline, sealed), (winner, sealed)])
    values = [[trial.value for trial in trials] for trials in (before, after)]
    one, other = ({e.id: value for e, value in zip(sealed, own, strict=True)} for own in values)
    return Proof(
        before,
        after,
        verdict.compare(*values),
        _pass_gate(scorer, gate, [(baseline, before), (winner, after)], sealed),
        len(metrics.regressions(one, other)),
    )


def unseal(organization_id: UUID, run: Run) -> int:
    """Put on record that a run looks at the test split, once, and return how often others did before."""
    assert run.dataset_id is not None  # noqa: S101 - an optimization has a dataset
    starter = Caller(organization_id, run.started_by, Role.ENGINEER)
    purpose = f"optimization {run.id}"
    with organization_session(organization_id) as session:
        looked = session.execute(LOOKED, {"dataset": run.dataset_id, "purpose": purpose}).one()
        if not looked.by_this_run:
            datasets.record_use(session, starter, run.dataset_id, Split.TEST, purpose)
    return int(looked.by_others)


def _pass_gate(
    scorer: Scorer,
    gate: Gate,
    tried: Sequence[tuple[Prompt, Sequence[Trial]]],
    sealed: Sequence[DatasetExample],
) -> GateResult:
    """Return what the last of the prompts does beyond what the one before it did."""
    decided: GateResult | None = None
    for prompt, trials in tried:
        answers = [
            (example, trial.output)
            for example, trial in zip(sealed, trials, strict=True)
            if trial.output is not None
        ]
        try:
            followed, probed = scorer.probe(prompt, sealed)
        except BudgetSpent:
            followed, probed = [], 0
        findings = [*safety.inspect(gate, prompt, answers), *followed]
        decided = safety.decide(gate, findings, len(answers), probed, decided)
    assert decided is not None  # noqa: S101 - at least one prompt was tried
    return decided


LOOKED = text("""
SELECT count(*) FILTER (WHERE purpose = :purpose) > 0 AS by_this_run,
       count(*) FILTER (WHERE purpose <> :purpose) AS by_others
FROM dataset_uses WHERE dataset_id = :dataset AND split = 'test'
""")
