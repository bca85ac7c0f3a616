"""Questions about prompts and the runs that improve them: one function, one question, one statement."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core.datasets.splits import Split
from learning_core.db import frame
from learning_core.evaluation.metrics import CLEAR_LOSS, ROUNDING, mean
from learning_core.feedback.intervals import Estimate
from learning_core.schema import CandidateState, RunKind

if TYPE_CHECKING:
    import pandas as pd


class Standing(NamedTuple):
    """A candidate of a run and what it came to. Number 0 is the prompt that the run began with.

    Attributes:
        selection: Its score (0-1) on the examples that the search went by; n differs from one to the next.
        proof: Its score (0-1) on the examples that were kept back; None for those not put to the test.
        latency_ms: Median time of an answer.
        cost_usd: Mean cost of an answer; None where none is known.
        prompt_tokens: Mean tokens of prompt and question together; None where none were counted.
        characters: Length of the prompt.
        failed: Answers that ended in an error.
        version: Number of the prompt version that it is, None where it was not made one.
    """

    id: UUID
    number: int
    strategy: str
    state: CandidateState
    reason: str
    parents: tuple[int, ...]
    learnt_from: dict[str, Any]
    messages: list[dict[str, Any]]
    selection: Estimate | None
    proof: Estimate | None
    latency_ms: float | None
    cost_usd: float | None
    prompt_tokens: float | None
    characters: int
    failed: int
    version: int | None


CLEAR = CLEAR_LOSS - ROUNDING
"""Two scores at least this far apart are a win or a loss, as in `evaluation.metrics`."""


class Outcomes(NamedTuple):
    """On how many examples a second prompt scored more, less and about the same."""

    won: int
    lost: int
    tied: int

    @property
    def n(self) -> int:
        """Return on how many examples both were scored."""
        return sum(self)


class Sources(NamedTuple):
    """What a candidate was made from. Rows of feedback: id, execution, feedback_type, rating, text; rows of
    examples: id, input_text, expected_output, original_output; and the statements of correction rules.
    """

    feedback: list[Row[Any]]
    examples: list[Row[Any]]
    rules: list[str]


# ---------------------------------------------------------------- agents


def agents(session: Session) -> list[Row[Any]]:
    """Return each agent with its prompts at a glance, by key: agent, weekly (bool), version_count,
    production (number of the version of that label), production_since (UTC), run_count (of optimizations),
    run_status, run_result (JSON) and run_at (UTC) of the newest one; None where there is none.
    """
    return list(session.execute(AGENTS))


def weekly(session: Session, agent: str) -> bool:
    """Return whether a weekly optimization of the agent is proposed."""
    statement = text("SELECT weekly_optimization FROM agents WHERE key = :agent")
    return bool(session.execute(statement, {"agent": agent}).scalar())


def split_sizes(session: Session, dataset_id: UUID, agent: str) -> dict[str, int]:
    """Return how many examples of an agent each split of a dataset version holds; 0 where it holds none."""
    found = session.execute(SPLIT_SIZES, {"dataset": dataset_id, "agent": agent})
    return {str(split): 0 for split in Split} | {row.split: row.example_count for row in found}


# ---------------------------------------------------------------- runs


def runs(session: Session, agent: str, kind: RunKind | None = None, limit: int = 200) -> list[Row[Any]]:
    """Return an agent's runs, newest first: id, kind, status, wish, settings, result (JSON), activity (str),
    estimate (JSON), stop_reason, error, started_by, created_at, finished_at, spent_usd, spent_calls,
    cap_calls, version (number of the prompt version it began with), dataset_id, dataset (name),
    dataset_version, candidate_count (int, without the baseline), values (list of scores 0-1; None but for an
    evaluation).
    """
    return list(session.execute(RUNS, {"agent": agent, "kind": kind, "limit": limit}))


def leaderboard(session: Session, run_id: UUID) -> list[Standing]:
    """Return a run's candidates: winner, then finalists, the rest, the dropped; the best of each first."""
    return [_standing(row) for row in session.execute(LEADERBOARD, {"run": run_id})]


def score_over_spend(session: Session, run_id: UUID) -> pd.DataFrame:
    """Return how the best score rose, in the order of time: calls (int), usd (float), tokens (int), number
    (of the best candidate), mean (0-1), n (int, the examples that the mean rests on).
    """
    return frame(
        session,
        """
        SELECT CAST(point ->> 0 AS bigint) AS calls, CAST(point ->> 1 AS float8) AS usd,
               CAST(point ->> 2 AS bigint) AS tokens, CAST(point ->> 3 AS bigint) AS number,
               CAST(point ->> 4 AS float8) AS mean, CAST(point ->> 5 AS bigint) AS n
        FROM training_runs, jsonb_array_elements(coalesce(progress -> 'points', '[]'))
             WITH ORDINALITY AS points (point, place)
        WHERE id = :run
        ORDER BY place
        """,
        run=run_id,
    )


def outcomes(session: Session, before: UUID, after: UUID, *, sealed: bool) -> Outcomes:
    """Return how one candidate did against another on examples that both answered: those of the test split,
    which are sealed, or all others.
    """
    sides = {"before": before, "after": after, "sealed": sealed, "clear": CLEAR}
    return Outcomes(*session.execute(OUTCOMES, sides).one())


def per_example(
    session: Session,
    before: UUID,
    after: UUID,
    *,
    sealed: bool,
    outcome: str | None = None,
    limit: int = 20,
    offset: int = 0,
) -> list[Row[Any]]:
    """Return what two candidates answered, example by example: the largest change first, then the worst.

    Of each: id (of the example), input_text, context, expected_output, before_output, after_output,
    before_error, after_error (str or None), before_value, after_value (0-1). An outcome of "won", "lost" or
    "tied" keeps only those. Whoever shows sealed ones, of the test split, records the use first.
    """
    sides = {"before": before, "after": after, "sealed": sealed, "outcome": outcome, "clear": CLEAR}
    return list(session.execute(PER_EXAMPLE, sides | {"limit": limit, "offset": offset}))


def sources(
    session: Session, feedback: Sequence[str] = (), examples: Sequence[str] = (), rules: Sequence[str] = ()
) -> Sources:
    """Return what there still is of feedback, examples and rules of these ids or keys, the newest first."""
    return Sources(
        list(session.execute(FEEDBACK, _named(feedback))),
        list(session.execute(EXAMPLES, _named(examples))),
        list(session.execute(RULES, _named(rules)).scalars()),
    )


def _named(names: Sequence[str]) -> dict[str, list[str]]:
    return {"ids": [name for name in names if UUID_PATTERN.fullmatch(name)], "keys": list(names)}


UUID_PATTERN = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _standing(row: Row[Any]) -> Standing:
    told = dict(row._mapping)
    told["selection"] = mean(told["selection"] or [])
    told["proof"] = mean(told["proof"] or [])
    told["state"], told["parents"] = CandidateState(told["state"]), tuple(told["parents"])
    return Standing(**told)


AGENTS = text("""
SELECT agents.key AS agent, weekly_optimization AS weekly, coalesce(version_count, 0) AS version_count,
       production.number AS production, production.set_at AS production_since,
       coalesce(run_count, 0) AS run_count, run.status AS run_status, run.result AS run_result,
       run.created_at AS run_at
FROM agents
LEFT JOIN (SELECT agent_id, count(*) AS version_count FROM prompt_versions GROUP BY agent_id) AS versions
    ON versions.agent_id = agents.id
LEFT JOIN (
    SELECT prompt_labels.agent_id, number, set_at
    FROM prompt_labels JOIN prompt_versions ON prompt_versions.id = version_id WHERE label = 'production'
) AS production ON production.agent_id = agents.id
LEFT JOIN (
    SELECT DISTINCT ON (agent_id) agent_id, status, result, created_at,
           count(*) OVER (PARTITION BY agent_id) AS run_count
    FROM training_runs WHERE kind = 'prompt_optimization'
    ORDER BY agent_id, created_at DESC, id DESC
) AS run ON run.agent_id = agents.id
ORDER BY agents.key
LIMIT 1000
""")

SPLIT_SIZES = text("""
SELECT split, count(*) AS example_count
FROM dataset_examples WHERE dataset_id = :dataset AND content ->> 'agent_id' = :agent
GROUP BY split
""")

RUNS = text("""
SELECT run.id, run.kind, run.status, run.wish, run.settings, run.result,
       run.progress ->> 'activity' AS activity, run.estimate, run.stop_reason, run.error, run.started_by,
       run.created_at, run.finished_at,
       run.spent_usd + run.reserved_usd AS spent_usd, run.spent_calls + run.reserved_calls AS spent_calls,
       run.cap_calls, version.number AS version, run.dataset_id, dataset.name AS dataset,
       dataset.version AS dataset_version,
       (SELECT count(*) FROM candidates WHERE run_id = run.id AND number > 0) AS candidate_count,
       CASE run.kind WHEN 'evaluation' THEN ARRAY(
           SELECT value FROM candidates JOIN scores ON candidate_id = candidates.id WHERE run_id = run.id
       ) END AS "values"
FROM training_runs AS run
LEFT JOIN prompt_versions AS version ON version.id = run.prompt_version_id
LEFT JOIN training_datasets AS dataset ON dataset.id = run.dataset_id
WHERE run.agent_id = (SELECT id FROM agents WHERE key = :agent)
  AND run.kind IN ('prompt_optimization', 'evaluation')
  AND (CAST(:kind AS text) IS NULL OR run.kind = :kind)
ORDER BY run.created_at DESC, run.id DESC
LIMIT :limit
""")

LEADERBOARD = text("""
WITH scored AS (
    SELECT candidate_id,
           array_agg(value) FILTER (WHERE split <> 'test') AS selection,
           array_agg(value) FILTER (WHERE split = 'test') AS proof,
           avg(value) FILTER (WHERE split <> 'test') AS selection_mean,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms) FILTER (WHERE error IS NULL) AS latency_ms,
           CAST(avg(cost_usd) FILTER (WHERE error IS NULL) AS float8) AS cost_usd,
           CAST(avg(prompt_tokens) FILTER (WHERE error IS NULL) AS float8) AS prompt_tokens,
           count(error) AS failed
    FROM scores
    WHERE candidate_id = ANY (ARRAY(SELECT id FROM candidates WHERE run_id = :run))
    GROUP BY candidate_id
)
SELECT candidate.id, candidate.number, strategy, state, candidate.reason, parents, learnt_from,
       candidate.messages, selection, proof, latency_ms, cost_usd, prompt_tokens,
       (SELECT CAST(coalesce(sum(length(message ->> 'text')), 0) AS int)
        FROM jsonb_array_elements(candidate.messages) AS message) AS characters,
       coalesce(failed, 0) AS failed, version.number AS version
FROM candidates AS candidate
LEFT JOIN scored ON candidate_id = candidate.id
LEFT JOIN prompt_versions AS version ON version.id = candidate.prompt_version_id
WHERE run_id = :run
ORDER BY CASE state WHEN 'winner' THEN 0 WHEN 'dropped' THEN 2 ELSE 1 END,
         selection_mean DESC NULLS LAST, candidate.number
""")

OUTCOMES = text("""
SELECT count(*) FILTER (WHERE other.value - one.value >= :clear) AS won,
       count(*) FILTER (WHERE one.value - other.value >= :clear) AS lost,
       count(*) FILTER (WHERE abs(other.value - one.value) < :clear) AS tied
FROM scores AS one
JOIN scores AS other ON other.candidate_id = :after AND other.example_id = one.example_id
WHERE one.candidate_id = :before AND (one.split = 'test') = :sealed
""")

PER_EXAMPLE = text("""
SELECT CAST(example.example_id AS text) AS id, content ->> 'input_text' AS input_text,
       content ->> 'context' AS context, content ->> 'expected_output' AS expected_output,
       one.output AS before_output, other.output AS after_output, one.error AS before_error,
       other.error AS after_error, one.value AS before_value, other.value AS after_value
FROM scores AS one
JOIN scores AS other ON other.candidate_id = :after AND other.example_id = one.example_id
JOIN candidates AS candidate ON candidate.id = one.candidate_id
JOIN training_runs AS run ON run.id = candidate.run_id
JOIN dataset_examples AS example
    ON example.dataset_id = run.dataset_id AND example.example_id = one.example_id
WHERE one.candidate_id = :before AND (one.split = 'test') = :sealed
  AND CASE CAST(:outcome AS text)
          WHEN 'won' THEN other.value - one.value >= :clear
          WHEN 'lost' THEN one.value - other.value >= :clear
          WHEN 'tied' THEN abs(other.value - one.value) < :clear
          ELSE true END
ORDER BY abs(other.value - one.value) DESC, other.value, content ->> 'id', example.example_id
LIMIT :limit OFFSET :offset
""")

FEEDBACK = text("""
SELECT CAST(feedback.id AS text) AS id, executions.key AS execution, feedback_type, rating,
       coalesce(feedback_text, correction_text) AS text
FROM agent_feedback AS feedback JOIN executions ON executions.id = execution_id
WHERE feedback.id = ANY (CAST(:ids AS uuid[])) OR feedback.key = ANY (CAST(:keys AS text[]))
ORDER BY feedback.created_at DESC, feedback.id
LIMIT 50
""")

EXAMPLES = text("""
SELECT CAST(id AS text) AS id, input_text, approved_output AS expected_output, original_output
FROM learning_examples
WHERE id = ANY (CAST(:ids AS uuid[])) OR key = ANY (CAST(:keys AS text[]))
ORDER BY created_at DESC, id
LIMIT 50
""")

RULES = text("""
SELECT statement FROM correction_rules
WHERE id = ANY (CAST(:ids AS uuid[])) AND CAST(:keys AS text[]) IS NOT NULL
ORDER BY created_at DESC, id
LIMIT 50
""")
