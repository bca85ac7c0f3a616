"""Decisions as a reviewer's deck sends them: a numbered log, applied in order, one transaction each.

The browser shows the next example at once and tells what was decided afterwards; it may tell the same again
after a lost connection. So a decision that is in force already is taken for done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.db import in_transaction
from learning_core.errors import LearningError, NotFound, Unavailable
from learning_core.feedback.entries import LongText, Text, describe_first_error
from learning_core.review import flags, queue
from learning_core.review.annotations import LONGEST_MS, AnnotationEntry, annotate, undo
from learning_core.schema import Decision, Preference

Action = Literal["approve", "needs_revision", "reject", "skip", "flag", "undo", "a", "b", "tie"]


class DeckDecision(BaseModel):
    """One line of a deck's log."""

    model_config = ConfigDict(extra="ignore")

    seq: int
    id: UUID
    action: Action
    scores: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    corrected_output: LongText | None = None
    notes: Text | None = None
    improvement_suggestions: Text | None = None
    reason: Text = ""
    strength: Annotated[int, Field(ge=1, le=5)] | None = None
    duration_ms: float | None = None


class Refusal(NamedTuple):
    """A decision that could not be applied, and why."""

    seq: int
    example_id: UUID
    why: str


def apply(caller: Caller, log: Sequence[DeckDecision], applied: int) -> tuple[int, list[Refusal]]:
    """Apply what follows the number applied last; return the new last number and what was refused.

    Raises:
        NotPermitted: the caller's role may not review.
        Unavailable: the database cannot be reached; what was applied before stays applied.
    """
    refused = []
    for decision in sorted(log, key=lambda decision: decision.seq):
        if decision.seq <= applied:
            continue
        access.require(caller, "review")
        try:
            _apply_one(caller, decision)
        except Unavailable:
            raise
        except LearningError as error:
            refused.append(Refusal(decision.seq, decision.id, error.message))
        except ValidationError as error:
            refused.append(Refusal(decision.seq, decision.id, describe_first_error(error)))
        applied = decision.seq
    return applied, refused


def _apply_one(caller: Caller, decision: DeckDecision) -> None:
    def work(session: Session) -> None:
        if decision.action == "skip":
            queue.skip(session, caller, decision.id)
        elif decision.action == "undo":
            _undo(session, caller, decision.id)
        elif _is_in_force(session, caller, decision):
            return
        elif decision.action == "flag":
            flags.flag(session, caller, decision.id, decision.reason)
        else:
            annotate(session, caller, _entry(decision))

    in_transaction(caller.organization_id, work)


def _undo(session: Session, caller: Caller, example_id: UUID) -> None:
    """Undo whatever the caller did last to an example: a skip, a flag or a judgement."""
    state = session.execute(STATE, {"example": example_id, "me": caller.name}).one_or_none()
    if state is None:
        raise NotFound("There is no such example.")
    if not (state.has_skipped or state.has_flagged) and state.decision is not None:
        undo(session, caller, example_id)
        return
    access.act_as(session, caller, "review")
    if state.has_skipped:
        queue.bring_back_skipped(session, caller, example_id)
    elif state.has_flagged:
        flags.unflag(session, caller, example_id)
    queue.hold(session, caller, example_id)


def _is_in_force(session: Session, caller: Caller, decision: DeckDecision) -> bool:
    state = session.execute(STATE, {"example": decision.id, "me": caller.name}).one_or_none()
    if state is None:
        return False
    if decision.action == "flag":
        return bool(state.has_flagged)
    entry = _entry(decision)
    return (state.decision, state.preference, state.corrected_output) == (
        entry.decision,
        entry.preference,
        entry.corrected_output,
    )


def _entry(decision: DeckDecision) -> AnnotationEntry:
    is_choice = decision.action in list(Preference)
    return AnnotationEntry.model_validate(
        decision.scores
        | {
            "example_id": decision.id,
            "decision": Decision.APPROVE if is_choice else decision.action,
            "preference": decision.action if is_choice else None,
            "preference_strength": decision.strength if is_choice else None,
            "corrected_output": decision.corrected_output,
            "notes": decision.notes,
            "improvement_suggestions": decision.improvement_suggestions,
            "duration_ms": min(decision.duration_ms or 0, LONGEST_MS),
        }
    )


STATE = text("""
SELECT mine.decision, mine.preference, mine.corrected_output,
       status = 'flagged' AND flagged_by = :me AS has_flagged,
       EXISTS (
           SELECT FROM review_leases
           WHERE example_id = example.id AND reviewer = :me AND leased_until IS NULL
       ) AS has_skipped
FROM learning_examples AS example
LEFT JOIN expert_annotations AS mine
    ON mine.example_id = example.id AND mine.annotator = :me
    AND mine.decision IS NOT NULL AND mine.undone_at IS NULL
WHERE example.id = :example
""")
