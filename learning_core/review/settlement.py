"""What becomes of an example: its judgements are told anew from the first, and the verdict is stored."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.review.verdicts import WEIGHTS, Case, Judgement, Verdict, judge
from learning_core.schema import Decision, Preference
from learning_core.settings import settings


def settle(session: Session, example_id: UUID) -> Verdict:
    """Let an example become what its judgements come to; the caller holds its lock."""
    case = _case(session.execute(CASE, {"example": example_id}).one())
    verdict = judge(case, _judgements(session, example_id), settings().review_disagreement)
    session.execute(
        SETTLE,
        {
            "example": example_id,
            "status": verdict.status,
            "wanted": verdict.reviews_wanted,
            "output": verdict.output,
            "quality": verdict.quality,
            "verified": verdict.is_verified,
        },
    )
    session.execute(
        VERIFY,
        {
            "example": example_id,
            "ids": list(verdict.confirmed),
            "names": list(verdict.confirmed.values()),
        },
    )
    return verdict


def verdicts(session: Session, example_id: UUID) -> dict[UUID, Verdict]:
    """Return what an example came to with each of its judgements: annotation -> verdict, in their order."""
    case = _case(session.execute(CASE, {"example": example_id}).one())
    given = _judgements(session, example_id)
    bound = settings().review_disagreement
    return {last.id: judge(case, given[:place], bound) for place, last in enumerate(given, start=1)}


def _case(row: Any) -> Case:
    has_alternative = row.alternative_output is not None
    alternatives = (row.original_output, row.alternative_output) if has_alternative else None
    return Case(row.proposed, row.author, row.overlap, alternatives)


def _judgements(session: Session, example_id: UUID) -> list[Judgement]:
    return [
        Judgement(
            id=row.id,
            annotator=row.annotator,
            decision=Decision(row.decision),
            corrected_output=row.corrected_output,
            preference=Preference(row.preference) if row.preference else None,
            scores={name: getattr(row, name) for name in WEIGHTS if getattr(row, name) is not None},
        )
        for row in session.execute(JUDGEMENTS, {"example": example_id})
    ]


CASE = text("""
SELECT coalesce(expected_output, CASE WHEN alternative_output IS NULL THEN original_output END) AS proposed,
       author, overlap, original_output, alternative_output
FROM learning_examples WHERE id = :example
""")

JUDGEMENTS = text("""
SELECT id, annotator, decision, corrected_output, preference, technical_accuracy, professional_quality,
       completeness, clarity
FROM expert_annotations
WHERE example_id = :example AND decision IS NOT NULL AND undone_at IS NULL AND NOT on_gold
ORDER BY created_at, id
""")

SETTLE = text("""
UPDATE learning_examples AS example
SET status = CASE WHEN flagged_by IS NOT NULL OR status = 'withdrawn' THEN status ELSE :status END,
    reviews_wanted = :wanted, approved_output = :output, quality_score = :quality,
    human_verified = :verified,
    reviews_done = (
        SELECT CAST(count(*) AS int2) FROM expert_annotations
        WHERE example_id = :example AND decision IS NOT NULL AND undone_at IS NULL AND NOT on_gold
    ),
    settled_at = CASE WHEN flagged_by IS NOT NULL THEN settled_at
                      WHEN :status IN ('approved', 'rejected') THEN coalesce(settled_at, now()) END
WHERE id = :example
""")

VERIFY = text("""
WITH confirmed AS (
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:names AS text[])) AS confirmed (id, name)
)
UPDATE expert_annotations AS annotation
SET verified_by = confirmed.name,
    verified_at = CASE WHEN confirmed.name IS NOT NULL THEN coalesce(annotation.verified_at, now()) END
FROM expert_annotations AS every LEFT JOIN confirmed USING (id)
WHERE annotation.id = every.id AND every.example_id = :example
  AND annotation.verified_by IS DISTINCT FROM confirmed.name
""")
