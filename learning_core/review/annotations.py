"""The one write path of annotations: what one may say, who may judge, and what is taken back."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from learning_core.feedback.entries import LongText, Text
from learning_core.review import queue, settlement
from learning_core.review.verdicts import WEIGHTS
from learning_core.schema import OPEN, AnnotationType, Decision, ExampleStatus, IssueCategory, Preference
from learning_core.settings import settings

Score = float | None

LONGEST_MS = 86_400_000
"""No judgement takes longer than a day; whoever left the page open is not still thinking."""


class AnnotationEntry(BaseModel):
    """An expert's judgement of an example, as a page or the API sends it. Scores are 0-1."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    example_id: UUID
    annotation_type: AnnotationType | None = Field(None, description="Follows from the content by default.")
    decision: Decision | None = Field(None, description="Without one, this is a remark.")
    approved: bool | None = Field(None, description="Short for the decisions approve and reject.")
    preference: Preference | None = None
    preference_strength: int | None = Field(None, ge=1, le=5)
    technical_accuracy: Score = Field(None, ge=0, le=1)
    professional_quality: Score = Field(None, ge=0, le=1)
    completeness: Score = Field(None, ge=0, le=1)
    clarity: Score = Field(None, ge=0, le=1)
    difficulty: Score = Field(None, ge=0, le=1)
    issue_categories: list[IssueCategory] | None = Field(None, max_length=len(IssueCategory))
    corrected_output: LongText | None = None
    notes: Text | None = None
    improvement_suggestions: Text | None = None
    duration_ms: float | None = Field(None, ge=0, le=LONGEST_MS)

    @model_validator(mode="after")
    def settle_what_follows(self) -> AnnotationEntry:
        """Derive decision and type, and refuse what says nothing or contradicts itself."""
        if self.approved is not None:
            meant = Decision.APPROVE if self.approved else Decision.REJECT
            if self.decision not in (None, meant):
                raise ValueError("approved and decision contradict each other")
            self.decision = meant
        if self.preference and self.decision is None:
            self.decision = Decision.APPROVE
        if self.corrected_output == "":
            self.corrected_output = None
        if self.annotation_type is None:
            self.annotation_type = self._type()
        if self.decision is None and not self._says_something():
            raise ValueError("give a decision, or say something: notes, a difficulty or issue categories")
        return self

    def _type(self) -> AnnotationType:
        if self.corrected_output is not None:
            return AnnotationType.CORRECTION
        if self.decision is not None or self.scores:
            return AnnotationType.QUALITY_ASSESSMENT
        if self.difficulty is not None:
            return AnnotationType.DIFFICULTY_RATING
        if self.issue_categories:
            return AnnotationType.CATEGORIZATION
        return AnnotationType.EXPLANATION

    def _says_something(self) -> bool:
        said = (self.notes, self.improvement_suggestions, self.issue_categories, self.corrected_output)
        return any(said) or self.difficulty is not None or bool(self.scores)

    @property
    def scores(self) -> dict[str, float]:
        """Return the scores that were given."""
        given = {name: getattr(self, name) for name in WEIGHTS}
        return {name: score for name, score in given.items() if score is not None}


class Effect(NamedTuple):
    """What became of an annotation and of its example."""

    annotation_id: UUID
    example_id: UUID
    example_status: str
    quality_score: float | None

    @property
    def is_usable(self) -> bool:
        """Return whether the example is good enough to train on."""
        return (
            self.example_status == ExampleStatus.APPROVED
            and self.quality_score is not None
            and self.quality_score >= settings().training_quality
        )


def annotate(session: Session, caller: Caller, entry: AnnotationEntry, source: str = "page") -> Effect:
    """Store a judgement, end its lease, and let the example become what its judgements come to.

    A remark (no decision) changes nothing about the example. A judgement of a gold item is measured and
    changes nothing either.

    Raises:
        NotFound: there is no such example.
        NotPermitted: the caller's role may not review, or the caller wrote what is to be judged.
        Conflict: somebody else holds the example, the caller judged it before, or it is settled.
        InvalidInput: an approval of nothing, or a preference where there is nothing to choose from.
    """
    access.act_as(session, caller, "review")
    queue.lock(session, entry.example_id)
    if entry.decision is not None:
        queue.release(session, caller, entry.example_id)
    example = session.execute(STATE, {"example": entry.example_id, "me": caller.name}).one()
    if entry.decision is None:
        annotation = _store(session, caller, entry, source)
        return Effect(annotation, example.id, example.status, example.quality_score)
    _require_turn(example, caller)
    _require_fit(example, entry)
    annotation = _store(session, caller, entry, source, on_gold=example.is_gold)
    if example.is_gold:  # whoever judges it shall not learn what was known to be right
        return Effect(annotation, example.id, ExampleStatus.PENDING, None)
    verdict = settlement.settle(session, example.id)
    return Effect(annotation, example.id, verdict.status, verdict.quality)


def undo(session: Session, caller: Caller, example_id: UUID) -> None:
    """Take the caller's judgement of an example back and hold the example for them again.

    Raises:
        NotFound: the caller has not judged it.
        Conflict: somebody took it up after the caller, it is part of a frozen dataset, or a gold item.
    """
    access.act_as(session, caller, "review")
    queue.lock(session, example_id)
    mine = session.execute(MINE, {"example": example_id, "me": caller.name}).one_or_none()
    if mine is None:
        raise NotFound("There is no judgement of yours to undo.")
    if not mine.on_gold:
        _require_free(mine)
    session.execute(text("UPDATE expert_annotations SET undone_at = now() WHERE id = :id"), {"id": mine.id})
    if not mine.on_gold:
        settlement.settle(session, example_id)
    queue.hold(session, caller, example_id)
    access.audit(session, caller, "annotation.undone", str(example_id))


def _require_free(judgement: Any) -> None:
    if judgement.is_frozen:
        raise Conflict("This example is part of a frozen dataset; what it rests on cannot be undone.")
    if judgement.is_gold:
        raise Conflict("This example serves as a gold item; what it rests on cannot be undone.")
    if judgement.is_followed:
        raise Conflict("Somebody has taken this example up after you; it is too late to undo.")


def _require_fit(example: Any, entry: AnnotationEntry) -> None:
    is_preference = example.example_type == "preference"
    if bool(entry.preference) and not is_preference:
        raise InvalidInput("There are no two outputs to choose from.", field="preference")
    if entry.decision is not Decision.APPROVE:
        return
    if is_preference and not entry.preference:
        raise InvalidInput("Say which output is better: a, b or tie.", field="preference")
    settled = None if example.is_gold else example.approved_output
    shown = settled or example.expected_output or example.original_output
    if not is_preference and not (entry.corrected_output or shown):
        raise InvalidInput("Write the answer that should have been given.", field="corrected_output")


def _require_turn(example: Any, caller: Caller) -> None:
    if example.has_judged:
        raise Conflict("You have judged this example already.")
    if example.author == caller.name:
        raise NotPermitted("You wrote this answer; somebody else has to judge it.")
    if example.is_gold or example.is_open or example.status == ExampleStatus.DISPUTED:
        return
    raise Conflict(
        "Somebody else holds this example at the moment."
        if example.is_waiting
        else "This example does not wait for a judgement any more."
    )


def _store(
    session: Session, caller: Caller, entry: AnnotationEntry, source: str, *, on_gold: bool = False
) -> UUID:
    values = entry.model_dump(exclude={"approved"})
    values |= {"annotator": caller.name, "source": source, "on_gold": on_gold}
    stored: UUID = session.execute(STORE, values).scalar_one()
    return stored


WAITING = "status = ANY (ARRAY['pending', 'needs_revision', 'approved']) AND reviews_done < reviews_wanted"

STATE = text(f"""
SELECT example.id, example_type, status, author, original_output, expected_output, approved_output,
       quality_score, gold_decision IS NOT NULL AS is_gold, {OPEN} AS is_open,
       held > 0 AND {WAITING} AS is_waiting,
       EXISTS (
           SELECT FROM expert_annotations AS mine
           WHERE mine.example_id = example.id AND annotator = :me
             AND decision IS NOT NULL AND undone_at IS NULL
           OFFSET 0  -- by key, also before the table is first analysed
       ) AS has_judged
FROM learning_examples AS example WHERE id = :example
""")  # noqa: S608 - made of constants

STORE = text("""
INSERT INTO expert_annotations (
    example_id, annotator, annotation_type, decision, preference, preference_strength, technical_accuracy,
    professional_quality, completeness, clarity, difficulty, issue_categories, corrected_output, notes,
    improvement_suggestions, on_gold, source, duration_ms
)
VALUES (
    :example_id, :annotator, :annotation_type, :decision, :preference, :preference_strength,
    :technical_accuracy, :professional_quality, :completeness, :clarity, :difficulty, :issue_categories,
    :corrected_output, nullif(:notes, ''), nullif(:improvement_suggestions, ''), :on_gold, :source,
    :duration_ms
)
RETURNING id
""")

MINE = text("""
SELECT annotation.id, on_gold,
       EXISTS (
           SELECT FROM expert_annotations AS later
           WHERE later.example_id = annotation.example_id AND later.annotator <> :me
             AND later.decision IS NOT NULL AND later.undone_at IS NULL
             AND (later.created_at, later.id) > (annotation.created_at, annotation.id)
       ) OR status <> 'pending' AND EXISTS (
           SELECT FROM review_leases AS other
           WHERE other.example_id = annotation.example_id AND reviewer <> :me AND leased_until > now()
       ) AS is_followed,
       gold_decision IS NOT NULL AS is_gold,
       EXISTS (SELECT FROM dataset_examples WHERE example_id = annotation.example_id) AS is_frozen
FROM expert_annotations AS annotation
JOIN learning_examples AS example ON example.id = annotation.example_id
WHERE annotation.example_id = :example AND annotator = :me AND decision IS NOT NULL AND undone_at IS NULL
""")
