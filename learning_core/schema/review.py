"""The tables of review: what experts said, and who holds which example."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    Index,
    SmallInteger,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import CheckConstraint

from learning_core.schema.examples import Decision
from learning_core.schema.foundation import (
    NOW,
    Base,
    Identified,
    Owned,
    one_of,
    reference,
)


class AnnotationType(StrEnum):
    """What kind of judgement an annotation is."""

    QUALITY_ASSESSMENT = "quality_assessment"
    CORRECTION = "correction"
    EXPLANATION = "explanation"
    CATEGORIZATION = "categorization"
    DIFFICULTY_RATING = "difficulty_rating"


class Preference(StrEnum):
    """Which of two outputs is better."""

    A = "a"
    B = "b"
    TIE = "tie"


QUALITY_SCALES = ("technical_accuracy", "professional_quality", "completeness", "clarity")
"""The scores of an annotation, each 0-1."""


class Annotation(Identified, Base):
    """An expert's judgement of an example; without a decision it is a remark. An undone one stays on record.

    The database lets only experts and administrators write one, and nobody verify their own.
    """

    __tablename__ = "expert_annotations"

    example_id: Mapped[UUID]
    annotator: Mapped[str]
    annotation_type: Mapped[str]
    decision: Mapped[str | None]
    preference: Mapped[str | None]
    preference_strength: Mapped[int | None] = mapped_column(SmallInteger)
    technical_accuracy: Mapped[float | None]
    professional_quality: Mapped[float | None]
    completeness: Mapped[float | None]
    clarity: Mapped[float | None]
    difficulty: Mapped[float | None]
    issue_categories: Mapped[list[str] | None]
    corrected_output: Mapped[str | None]
    notes: Mapped[str | None]
    improvement_suggestions: Mapped[str | None]
    on_gold: Mapped[bool] = mapped_column(server_default=text("false"))
    source: Mapped[str]
    duration_ms: Mapped[float | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    verified_by: Mapped[str | None]
    verified_at: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]

    __table_args__ = (
        reference("example_id", "learning_examples"),
        one_of("annotation_type", AnnotationType),
        one_of("decision", Decision),
        one_of("preference", Preference),
        CheckConstraint("preference_strength BETWEEN 1 AND 5", name="preference_strength"),
        CheckConstraint(
            "technical_accuracy BETWEEN 0 AND 1 AND professional_quality BETWEEN 0 AND 1"
            " AND completeness BETWEEN 0 AND 1 AND clarity BETWEEN 0 AND 1 AND difficulty BETWEEN 0 AND 1",
            name="scores",
        ),
        CheckConstraint("verified_by <> annotator", name="verified_by"),
        Index(
            "expert_annotations_judgement_key",
            "organization_id",
            "example_id",
            "annotator",
            unique=True,
            postgresql_where=text("decision IS NOT NULL AND undone_at IS NULL"),
        ),
        Index("expert_annotations_example_index", "organization_id", "example_id"),
        Index("expert_annotations_annotator_index", "organization_id", "annotator", text("created_at DESC")),
    )


class Lease(Owned, Base):
    """A reviewer's hold on an example until a moment; without one, the reviewer skipped it."""

    __tablename__ = "review_leases"

    example_id: Mapped[UUID] = mapped_column(primary_key=True)
    reviewer: Mapped[str] = mapped_column(primary_key=True)
    leased_at: Mapped[datetime] = mapped_column(server_default=NOW)
    leased_until: Mapped[datetime | None]

    __table_args__ = (
        reference("example_id", "learning_examples"),
        Index("review_leases_reviewer_index", "organization_id", "reviewer"),
        Index("review_leases_until_index", "organization_id", "leased_until"),
    )
