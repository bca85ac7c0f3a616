"""What a reviewer sees of an example: the texts, the feedback that led here, and why it comes now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.access import Caller
from learning_core.review import priority
from learning_core.schema import ExampleStatus


class Work(StrEnum):
    """What a reviewer is asked to do with an example."""

    REVIEW = "review"
    REVISE = "revise"
    VERIFY = "verify"


@dataclass(frozen=True)
class Item:
    """One example as it is put before a reviewer.

    Attributes:
        work: Whether to judge it afresh, to write what an earlier reviewer missed, or to confirm a new text.
        proposed: The output to judge, None where somebody has to write one.
        reasons: Why it comes now, the weightiest first.
        feedback: What users said of the answer, oldest first: feedback_type, rating, issue_categories,
            comment, user, at.
        notes: What earlier reviewers wrote: annotator, text. Empty while judgements are blind to each other.
        leased_until: When the caller's hold ends, None without one.
    """

    id: UUID
    agent: str
    example_type: str
    source: str
    domain: str | None
    work: Work
    input_text: str | None
    context: str | None
    original_output: str | None
    alternative_output: str | None
    proposed: str | None
    demonstration: dict[str, Any] | None
    issue_categories: tuple[str, ...]
    rating: int | None
    priority: float
    reasons: tuple[str, ...]
    feedback: tuple[dict[str, Any], ...]
    notes: tuple[dict[str, str], ...]
    created_at: datetime
    leased_until: datetime | None


def items(session: Session, caller: Caller, example_ids: Sequence[UUID], now: datetime) -> list[Item]:
    """Return what the caller sees of examples, in the order asked for."""
    if not example_ids:
        return []
    rows = session.execute(ITEMS, {"ids": list(example_ids), "me": caller.name})
    found = {row.id: _item(row, now) for row in rows}
    return [found[example_id] for example_id in example_ids if example_id in found]


def _item(row: Any, now: datetime) -> Item:
    work = _work(row)
    is_blind = work is Work.REVIEW
    confirming = ("Somebody wrote a new text; a second person should confirm it",)
    revising = ("A reviewer asked for a revision",)
    asked = {Work.VERIFY: confirming, Work.REVISE: revising}.get(work, ())
    return Item(
        id=row.id,
        agent=row.agent,
        example_type=row.example_type,
        source=row.source,
        domain=row.domain,
        work=work,
        input_text=row.input_text,
        context=row.context,
        original_output=row.original_output,
        alternative_output=row.alternative_output,
        proposed=row.approved_output if work is Work.VERIFY else row.expected_output,
        demonstration=row.demonstration,
        issue_categories=tuple(row.issue_categories),
        rating=row.rating,
        priority=row.priority,
        reasons=(*asked, *priority.reasons(row.evidence, row.created_at, now)),
        feedback=tuple(row.feedback or ()),
        notes=() if is_blind else tuple(row.notes or ()),
        created_at=row.created_at,
        leased_until=row.leased_until,
    )


def _work(row: Any) -> Work:
    if row.gold_decision is None and row.status == ExampleStatus.APPROVED:
        return Work.VERIFY
    return Work.REVISE if row.status == ExampleStatus.NEEDS_REVISION else Work.REVIEW


ITEMS = text("""
SELECT example.id, agents.key AS agent, example_type, example.source, domain, status, input_text, context,
       original_output, alternative_output, expected_output, approved_output, demonstration,
       example.issue_categories, example.rating, priority, evidence, example.created_at, gold_decision,
       lease.leased_until, said.feedback, written.notes
FROM learning_examples AS example
JOIN agents ON agents.id = example.agent_id
LEFT JOIN review_leases AS lease ON lease.example_id = example.id AND lease.reviewer = :me
LEFT JOIN LATERAL (
    SELECT jsonb_agg(
               jsonb_build_object(
                   'feedback_type', other.feedback_type, 'rating', other.rating,
                   'issue_categories', other.issue_categories, 'comment', other.feedback_text,
                   'user', other.user_id, 'at', other.created_at
               ) ORDER BY other.created_at, other.id
           ) AS feedback
    FROM agent_feedback AS mine
    JOIN agent_feedback AS other USING (execution_id)
    WHERE mine.id = example.feedback_id AND other.withdrawn_at IS NULL
) AS said ON true
LEFT JOIN LATERAL (
    SELECT jsonb_agg(
               jsonb_build_object(
                   'annotator', annotator, 'text', concat_ws(E'\\n\\n', notes, improvement_suggestions)
               ) ORDER BY created_at, id
           ) AS notes
    FROM expert_annotations
    WHERE example_id = example.id AND undone_at IS NULL
      AND coalesce(notes, improvement_suggestions) IS NOT NULL
) AS written ON true
WHERE example.id = ANY (:ids)
""")
