"""Live answers of experiments and releases, scored by the agent's evaluator as far as that takes no model and
no expected answer. A score that the agent itself reported stays.
"""

from __future__ import annotations

from functools import partial
from itertools import groupby
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.access import organizations
from learning_core.db import in_transaction, organization_session, shared_session
from learning_core.evaluation import evaluators
from learning_core.evaluation.live import score_alone
from learning_core.feedback.entries import ExecutionEntry
from learning_core.feedback.executions import record
from learning_core.jobs import defer, queue
from learning_core.llm.templates import Prompt

AT_ONCE = 500
MOST_AN_HOUR = 10_000
"""Answers scored per organisation and hour, the oldest first; beyond that they go without a score."""


@queue.periodic(cron="40 * * * *")
@queue.task(name="experiments.score_all", queueing_lock="experiments.score_all", pass_context=False)
def score_all(timestamp: int) -> None:
    """Queue the scoring of every organisation's latest answers."""
    with shared_session() as session:
        for organization in organizations(session):
            defer(session, score_latest, organization_id=str(organization.id))


@queue.task(name="experiments.score")
def score_latest(organization_id: str) -> None:
    """Score the answers of the last hour that were served under an allocation."""
    done = 0
    while done < MOST_AN_HOUR:
        with organization_session(UUID(organization_id)) as session:
            scored = _score(session)
        if not scored:
            return
        in_transaction(UUID(organization_id), partial(record, entries=scored))
        done += len(scored)


def _score(session: Session) -> list[ExecutionEntry]:
    """Return the next answers with their scores, to be reported again."""
    scored = []
    rows = session.execute(UNSCORED, {"limit": AT_ONCE}).all()
    for (agent, _), served in groupby(rows, key=lambda row: (row.agent, row.version_id)):
        version = evaluators.newest(session, agent)
        if version is None:
            continue
        for row in served:
            worth = score_alone(
                version.evaluator, Prompt.parse(row.messages), row.input_text or "", row.output_text
            )
            scored.append(ExecutionEntry(execution_id=row.key, agent_id=agent, score=worth))
    return scored


UNSCORED = text("""
WITH oldest AS (
    SELECT id, key, agent_id, exposure_id, input_text, output_text
    FROM executions
    WHERE id > uuidv7(interval '-61 minutes')  -- ids are in the order of time
      AND exposure_id IS NOT NULL AND score IS NULL AND output_text IS NOT NULL
      AND EXISTS (SELECT FROM evaluators WHERE evaluators.agent_id = executions.agent_id)
    ORDER BY id
    LIMIT :limit
)
SELECT oldest.key, oldest.input_text, oldest.output_text, agents.key AS agent,
       version.id AS version_id, version.messages
FROM oldest
JOIN agents ON agents.id = oldest.agent_id
JOIN exposures ON exposures.id = oldest.exposure_id
JOIN allocation_variants AS variant
  ON variant.allocation_id = exposures.allocation_id AND variant.variant = exposures.variant
JOIN prompt_versions AS version ON version.id = variant.version_id
ORDER BY agents.key, version.id, oldest.id
""")
