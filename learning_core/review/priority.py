"""What an example is worth judging: a number that orders the queue, and the reasons for it in words.

The expected value of a judgement is a weighted sum of five things, each 0-1: how often the issue occurs that
the example shows, how badly the answer was rated, whether people differ about it, how far it is from what is
approved already, and how long it has waited.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.schema import OPEN, IssueCategory

WEIGHTS = {"frequency": 0.35, "severity": 0.3, "dispute": 0.15, "novelty": 0.1, "age": 0.1}

FREQUENT = 0.2
"""Share of an agent's feedback from which an issue counts as frequent as can be."""

OLD_DAYS = 30

BATCH = 5_000
"""Examples ranked in one transaction."""

BEGINNING = UUID(int=0)
"""Before the first id."""


class Ranked(NamedTuple):
    """How many examples were written, and up to which id all were looked at; None where none is left."""

    written: int
    last: UUID | None


def rank_new(session: Session, limit: int = BATCH) -> int:
    """Rank the examples that were not ranked yet, up to a limit; return how many."""
    return Ranked(*session.execute(RANK_NEW, {"limit": limit} | CONSTANTS).one()).written


def rank_anew(session: Session, after: UUID = BEGINNING, limit: int = BATCH) -> Ranked:
    """Rank the next examples by id that wait, up to a limit, and write those whose rank or reasons changed.

    Each batch is a transaction of its own: while one lasts, a claim passes over what it changes.
    """
    return Ranked(*session.execute(RANK_ANEW, {"after": after, "limit": limit} | CONSTANTS).one())


def reasons(evidence: Mapping[str, Any], created_at: datetime, now: datetime) -> list[str]:
    """Return why an example comes where it comes in the queue, the weightiest reason first."""
    waited = (now - created_at).days
    weighed = [
        (WEIGHTS["frequency"] * min(1.0, evidence.get("issue_share", 0) / FREQUENT), _frequency(evidence)),
        (WEIGHTS["severity"] * evidence.get("severity", 0), _severity(evidence)),
        (WEIGHTS["dispute"] * evidence.get("dispute", 0), _dispute(evidence)),
        (WEIGHTS["novelty"] * (1 - evidence.get("nearness", 0)), _novelty(evidence)),
        (WEIGHTS["age"] * min(1.0, waited / OLD_DAYS), f"Waiting for {waited} days" if waited > 1 else ""),
    ]
    return [words for weight, words in sorted(weighed, key=lambda pair: -pair[0]) if words and weight > 0]


def _frequency(evidence: Mapping[str, Any]) -> str:
    if not evidence.get("issue"):
        return ""
    share, count = evidence["issue_share"], evidence["issue_count"]
    issue = IssueCategory(evidence["issue"]).words
    times = "report" if count == 1 else "reports"
    percent = f"{share * 100:.0f} %" if share >= 0.01 else "under 1 %"
    return f"“{issue}” is in {percent} of the agent's feedback ({count:,} {times} in 30 days)"


def _severity(evidence: Mapping[str, Any]) -> str:
    if evidence.get("rating") is not None and evidence["severity"] >= 0.5:
        return f"Rated {evidence['rating']} of 5"
    return {"failure": "Reported as an issue", "correction": "A user corrected the answer"}.get(
        evidence.get("type", ""), ""
    )


def _dispute(evidence: Mapping[str, Any]) -> str:
    if evidence.get("reviewers_differ"):
        return "Reviewers disagree"
    return "Users disagree about this answer" if evidence.get("dispute") else ""


def _novelty(evidence: Mapping[str, Any]) -> str:
    nearness = evidence.get("nearness")
    if nearness is None:
        return ""
    return "Unlike anything approved so far" if nearness < 0.3 else ""


CONSTANTS: dict[str, float] = {f"weight_{name}": weight for name, weight in WEIGHTS.items()} | {
    "frequent": FREQUENT,
    "old_days": OLD_DAYS,
}


def _rank(chosen: str, is_due: str) -> str:
    return f"""
WITH chosen AS (
    SELECT id, agent_id, feedback_id, example_type, issue_categories, rating, created_at, nearness,
           priority AS old_priority, evidence AS old_evidence, ranked_at,
           reviews_wanted > overlap AND status = 'pending' AS reviewers_differ
    FROM learning_examples
    WHERE {chosen}
    LIMIT :limit
),
reported AS (
    SELECT agent_id, sum(feedback_count) AS feedback, issue, sum(reports) AS reports
    FROM feedback_daily
    CROSS JOIN LATERAL (VALUES
        ('incorrect', issue_incorrect), ('incomplete', issue_incomplete), ('unclear', issue_unclear),
        ('hallucination', issue_hallucination), ('outdated', issue_outdated),
        ('formatting', issue_formatting), ('tone', issue_tone), ('other', issue_other)
    ) AS named (issue, reports)
    WHERE day > CAST(now() AT TIME ZONE 'UTC' AS date) - 30
    GROUP BY agent_id, issue
),
weighed AS (
    SELECT chosen.*, top.issue, coalesce(top.reports, 0) AS reports,
           CAST(coalesce(top.reports / nullif(top.feedback, 0), 0) AS float8) AS issue_share,
           CASE WHEN rating IS NOT NULL THEN (5 - rating) / 4.0
                ELSE CASE example_type WHEN 'failure' THEN 0.75 WHEN 'correction' THEN 0.6
                                       WHEN 'positive' THEN 0 ELSE 0.5 END
           END AS severity,
           CASE WHEN reviewers_differ OR opinions.differ THEN 1 ELSE 0 END AS dispute,
           1 - coalesce(nearness, 0) AS novelty,
           least(1, extract(epoch FROM now() - created_at) / 86400 / :old_days) AS age
    FROM chosen
    LEFT JOIN LATERAL (
        SELECT reported.* FROM reported
        WHERE reported.agent_id = chosen.agent_id AND reported.issue = ANY (chosen.issue_categories)
        ORDER BY reports DESC, issue LIMIT 1
    ) AS top ON true
    LEFT JOIN LATERAL (
        SELECT bool_or(other.rating >= 4 OR other.feedback_type = 'thumbs_up')
               AND bool_or(other.rating <= 2 OR other.feedback_type = 'thumbs_down') AS differ
        FROM agent_feedback AS mine
        JOIN agent_feedback AS other USING (execution_id)
        WHERE mine.id = chosen.feedback_id AND other.withdrawn_at IS NULL
    ) AS opinions ON true
),
ranked AS (
    SELECT id, old_priority, old_evidence, ranked_at,
           CAST(:weight_frequency * least(1, issue_share / :frequent) + :weight_severity * severity
                + :weight_dispute * dispute + :weight_novelty * novelty + :weight_age * age AS real)
               AS priority,
           jsonb_strip_nulls(jsonb_build_object(
               'type', example_type, 'rating', rating, 'issue', issue, 'issue_count', CAST(reports AS int8),
               'issue_share', round(CAST(issue_share AS numeric), 4), 'severity', round(severity, 4),
               'dispute', dispute, 'reviewers_differ', reviewers_differ,
               'nearness', round(CAST(nearness AS numeric), 3)
           )) AS evidence
    FROM weighed
),
free AS (
    SELECT example.id, ranked.priority, ranked.evidence
    FROM ranked JOIN learning_examples AS example ON example.id = ranked.id
    WHERE {is_due}
    ORDER BY example.id
    FOR NO KEY UPDATE OF example SKIP LOCKED
),
written AS (
    UPDATE learning_examples AS example
    SET priority = free.priority, evidence = free.evidence, ranked_at = now()
    FROM free WHERE example.id = free.id
    RETURNING example.id
)
SELECT (SELECT count(*) FROM written) AS written,
       (SELECT id FROM chosen ORDER BY id DESC LIMIT 1) AS last
"""  # noqa: S608 - made of constants


RANK_NEW = text(_rank("ranked_at IS NULL AND status = 'pending'", "true"))

COUNTED = "CAST(ARRAY['issue_count', 'issue_share'] AS text[])"

RANK_ANEW = text(
    _rank(
        f"{OPEN} AND id > :after ORDER BY id",
        f"""
          (ranked.ranked_at IS NULL
           OR abs(ranked.old_priority - ranked.priority) > 0.01
           OR ranked.old_evidence - {COUNTED} IS DISTINCT FROM ranked.evidence - {COUNTED}
           OR abs(CAST(ranked.old_evidence ->> 'issue_share' AS float8)
                  - CAST(ranked.evidence ->> 'issue_share' AS float8)) > 0.01)
        """,
    )
)
"""What changes a little every day is written only when people would notice: a hundredth of the rank, or of
the share that an issue has."""
