"""Questions about evaluations and their scores: one function, one question, one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.db import frame
from learning_core.evaluation.metrics import CLEAR_LOSS, RIGHT

if TYPE_CHECKING:
    import pandas as pd


def evaluations(session: Session, agent: str, limit: int = 100) -> pd.DataFrame:
    """Return an agent's evaluations, the newest first.

    One row per run: id, prompt (key of the version), dataset, split, status, stop_reason, error, started_by
    (str), dataset_version, prompt_number, evaluator_number (int), mean, low, high (0-1), cost_usd (mean of an
    answer), latency_median_ms (float), n (answers, int, 0 before the end), passed (str: yes, no, or empty
    before the end), created_at, finished_at (UTC).
    """
    return frame(
        session,
        """
        SELECT CAST(run.id AS text) AS id, prompt.key AS prompt,
               CAST(prompt.number AS bigint) AS prompt_number, dataset.name AS dataset,
               CAST(dataset.version AS bigint) AS dataset_version, run.settings ->> 'split' AS split,
               CAST(evaluator.number AS bigint) AS evaluator_number,
               run.status, run.stop_reason, run.error, run.started_by,
               CAST(run.result ->> 'mean' AS float8) AS mean, CAST(run.result ->> 'low' AS float8) AS low,
               CAST(run.result ->> 'high' AS float8) AS high,
               coalesce(CAST(run.result ->> 'n' AS bigint), 0) AS n,
               CAST(run.result ->> 'cost_usd' AS float8) AS cost_usd,
               CAST(run.result ->> 'latency_median_ms' AS float8) AS latency_median_ms,
               CASE run.result #>> '{gate,passed}' WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no' ELSE '' END
               AS passed,
               run.created_at, run.finished_at
        FROM training_runs AS run
        JOIN agents ON agents.id = run.agent_id
        JOIN prompt_versions AS prompt ON prompt.id = run.prompt_version_id
        JOIN training_datasets AS dataset ON dataset.id = run.dataset_id
        JOIN evaluators AS evaluator ON evaluator.id = run.evaluator_id
        WHERE agents.key = :agent AND run.kind = 'evaluation'
        ORDER BY run.created_at DESC, run.id DESC
        LIMIT :limit
        """,
        agent=agent,
        limit=limit,
    )


def candidate(session: Session, run_id: UUID, number: int = 0) -> UUID | None:
    """Return a candidate of a run by its number, None where there is none; 0 is what the run began with."""
    found: UUID | None = session.execute(CANDIDATE, {"run": run_id, "number": number}).scalar_one_or_none()
    return found


def scores(session: Session, candidate_id: UUID, limit: int = 1_000) -> pd.DataFrame:
    """Return what a candidate answered, the worst first.

    One row per example: id, name, split, input_text, expected_output, output, error (str), value (0-1),
    latency_ms, cost_usd (float), parts (JSON as str: check -> 0-1, and a judge's reason).
    """
    return frame(
        session,
        """
        SELECT CAST(score.example_id AS text) AS id, example.content ->> 'id' AS name, score.split,
               example.content ->> 'input_text' AS input_text,
               example.content ->> 'expected_output' AS expected_output, score.output, score.error,
               score.value, score.latency_ms, CAST(score.cost_usd AS float8) AS cost_usd,
               CAST(score.parts AS text) AS parts
        FROM scores AS score
        JOIN candidates AS candidate ON candidate.id = score.candidate_id
        JOIN training_runs AS run ON run.id = candidate.run_id
        LEFT JOIN dataset_examples AS example
          ON example.dataset_id = run.dataset_id AND example.example_id = score.example_id
        WHERE score.candidate_id = :candidate
        ORDER BY score.value, name, id
        LIMIT :limit
        """,
        candidate=candidate_id,
        limit=limit,
    )


def side_by_side(session: Session, before: UUID, after: UUID, limit: int = 1_000) -> pd.DataFrame:
    """Return what two candidates, of one run or of two, answered to the same examples.

    One row per example that both have a score of: id, name, split, input_text, expected_output,
    before_output, after_output, before_error, after_error (str), before_value, after_value (0-1), difference
    (-1 to 1, later less earlier); the greatest loss first.
    """
    return frame(
        session,
        f"{SIDE_BY_SIDE} ORDER BY difference, name, id LIMIT :limit",
        before=before,
        after=after,
        limit=limit,
    )


def regressions(
    session: Session, before: UUID, after: UUID, right: float = RIGHT, limit: int = 200
) -> pd.DataFrame:
    """Return the examples that one candidate gets right and a later one loses, as `side_by_side` does.

    Right is a score from `right` (0-1) on, and lost what is worth at least 0.05 less.
    """
    return frame(
        session,
        f"""
        SELECT * FROM ({SIDE_BY_SIDE}) AS pair
        WHERE before_value >= :right AND difference <= CAST(:noise AS float8) - CAST(:clear AS float8)
        ORDER BY difference, name, id LIMIT :limit
        """,  # noqa: S608 - made of constants
        before=before,
        after=after,
        right=right,
        clear=CLEAR_LOSS,
        noise=1e-9,
        limit=limit,
    )


def values(session: Session, candidate_id: UUID) -> dict[str, float]:
    """Return a candidate's scores: example -> value (0-1), as `metrics.compare` takes them."""
    return {str(row.example_id): row.value for row in session.execute(VALUES, {"candidate": candidate_id})}


SIDE_BY_SIDE = """
SELECT CAST(one.example_id AS text) AS id, example.content ->> 'id' AS name, one.split,
       example.content ->> 'input_text' AS input_text,
       example.content ->> 'expected_output' AS expected_output,
       one.output AS before_output, other.output AS after_output,
       one.error AS before_error, other.error AS after_error,
       one.value AS before_value, other.value AS after_value, other.value - one.value AS difference
FROM scores AS one
JOIN scores AS other ON other.example_id = one.example_id
JOIN candidates AS candidate ON candidate.id = other.candidate_id
JOIN training_runs AS run ON run.id = candidate.run_id
LEFT JOIN dataset_examples AS example
  ON example.dataset_id = run.dataset_id AND example.example_id = other.example_id
WHERE one.candidate_id = :before AND other.candidate_id = :after
"""

CANDIDATE = text("SELECT id FROM candidates WHERE run_id = :run AND number = :number")

VALUES = text("SELECT example_id, value FROM scores WHERE candidate_id = :candidate")
