"""What runs tried and what it scored, in the database: candidates and scores, stored once and read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core.datasets.content import DatasetExample, parse
from learning_core.datasets.splits import Split
from learning_core.errors import Conflict
from learning_core.evaluation.scoring import Trial
from learning_core.llm.templates import Prompt
from learning_core.schema import CandidateState


class Item(NamedTuple):
    """An example of a dataset version, and the row it was frozen from."""

    example_id: UUID
    example: DatasetExample


def items(session: Session, dataset_id: UUID, split: Split | None, agent: str) -> list[Item]:
    """Return an agent's examples in a split of a dataset version, or in all of it, by their own id.

    Whoever reads the test split records the use (`datasets.versions.record_use`).
    """
    rows = session.execute(ITEMS, {"dataset": dataset_id, "split": split, "agent": agent})
    return [Item(row.example_id, parse(row.content)) for row in rows]


def store_candidate(
    session: Session,
    run_id: UUID,
    number: int,
    prompt: Prompt,
    *,
    strategy: str,
    reason: str,
    state: CandidateState = CandidateState.RACING,
    parents: Sequence[int] = (),
    learnt_from: Mapping[str, Any] | None = None,
    prompt_version_id: UUID | None = None,
) -> UUID:
    """Store a prompt as a candidate of a run and return its id; one stored before is found again.

    Raises:
        Conflict: another prompt has that number in the run.
    """
    session.execute(
        STORE_CANDIDATE,
        {
            "run": run_id,
            "number": number,
            "strategy": strategy,
            "messages": to_json(prompt.told()).decode(),
            "hash": prompt.content_hash,
            "parents": list(parents),
            "reason": reason,
            "learnt_from": to_json(learnt_from or {}).decode(),
            "state": state,
            "version": prompt_version_id,
        },
    )
    row = session.execute(CANDIDATE, {"run": run_id, "number": number}).one()
    if row.content_hash != prompt.content_hash:
        raise Conflict(f"Candidate {number} of the run is another prompt.")
    found: UUID = row.id
    return found


def store_scores(session: Session, candidate_id: UUID, trials: Iterable[tuple[Item, Trial]]) -> None:
    """Store what a candidate's answers are worth; an example that has a score keeps it."""
    rows = [
        {
            "candidate": candidate_id,
            "example": item.example_id,
            "split": item.example.split,
            **trial._asdict(),
            "parts": to_json(trial.parts).decode(),
            "call_ids": list(trial.call_ids),
        }
        for item, trial in trials
    ]
    if rows:
        session.execute(STORE_SCORES, rows)


class Tally(NamedTuple):
    """How far a candidate is: examples scored, their mean (0-1), those with an error, and one such error."""

    n: int
    mean: float | None
    error_count: int
    error: str | None


def tally(session: Session, candidate_id: UUID) -> Tally:
    """Return how far a candidate is."""
    return Tally(*session.execute(TALLY, {"candidate": candidate_id}).one())


def scores_of(session: Session, candidate_id: UUID) -> Sequence[Row[Any]]:
    """Return a candidate's scores in the order of the examples' ids: example_id and the fields of a trial."""
    return session.execute(SCORES, {"candidate": candidate_id}).all()


ITEMS = text("""
SELECT example_id, content FROM dataset_examples
WHERE dataset_id = :dataset AND (CAST(:split AS text) IS NULL OR split = :split)
  AND content ->> 'agent_id' = :agent
ORDER BY content ->> 'id', example_id
""")

STORE_CANDIDATE = text("""
INSERT INTO candidates (
    run_id, number, strategy, messages, content_hash, parents, reason, learnt_from, state, prompt_version_id
)
VALUES (
    :run, :number, :strategy, CAST(:messages AS jsonb), :hash, CAST(:parents AS smallint[]), :reason,
    CAST(:learnt_from AS jsonb), :state, CAST(:version AS uuid)
)
ON CONFLICT (organization_id, run_id, number) DO NOTHING
""")

CANDIDATE = text("SELECT id, content_hash FROM candidates WHERE run_id = :run AND number = :number")

STORE_SCORES = text("""
INSERT INTO scores (
    candidate_id, example_id, split, value, parts, output, error, latency_ms, cost_usd, prompt_tokens,
    completion_tokens, call_ids
)
VALUES (
    :candidate, :example, :split, :value, CAST(:parts AS jsonb), :output, :error, :latency_ms, :cost_usd,
    :prompt_tokens, :completion_tokens, CAST(:call_ids AS uuid[])
)
ON CONFLICT DO NOTHING
""")

TALLY = text("""
SELECT count(*) AS n, avg(value) AS mean, count(error) AS error_count, min(error) AS error
FROM scores WHERE candidate_id = :candidate
""")

SCORES = text("""
SELECT example_id, value, parts, output, error, latency_ms, cost_usd, prompt_tokens, completion_tokens,
       call_ids
FROM scores WHERE candidate_id = :candidate ORDER BY example_id
""")
