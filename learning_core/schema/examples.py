"""The table of examples: what is worth learning from, and what review settled about it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Index,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import REAL
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import CheckConstraint

from learning_core.schema.foundation import (
    NOW,
    Base,
    Identified,
    one_of,
    reference,
)


class ExampleType(StrEnum):
    """What an example teaches."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    CORRECTION = "correction"
    DEMONSTRATION = "demonstration"
    EDGE_CASE = "edge_case"
    FAILURE = "failure"
    PREFERENCE = "preference"


class ExampleStatus(StrEnum):
    """Where an example stands in review."""

    PENDING = "pending"
    NEEDS_REVISION = "needs_revision"
    DISPUTED = "disputed"
    FLAGGED = "flagged"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Decision(StrEnum):
    """What an expert decides about an example."""

    APPROVE = "approve"
    NEEDS_REVISION = "needs_revision"
    REJECT = "reject"


OPEN = (
    "status = ANY (ARRAY['pending'::text, 'needs_revision'::text, 'approved'::text])"
    " AND reviews_done + held < reviews_wanted"
)
"""The condition under which an example has room for one more reviewer; an approved one waits for somebody to
confirm a new text."""


class Example(Identified, Base):
    """An input with an expected output, where it came from, and what became of it in review.

    `expected_output` is what was proposed and stays; `approved_output` is what review settled on. In a
    preference, `original_output` is option A and `alternative_output` option B.
    """

    __tablename__ = "learning_examples"

    agent_id: Mapped[UUID]
    feedback_id: Mapped[UUID | None]
    key: Mapped[str | None]
    example_type: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=text("'pending'::text"))
    source: Mapped[str]
    domain: Mapped[str | None]
    conversation: Mapped[str | None]
    user_id: Mapped[str | None]
    author: Mapped[str | None]
    issue_categories: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))
    rating: Mapped[int | None] = mapped_column(SmallInteger)
    input_text: Mapped[str | None]
    context: Mapped[str | None]
    original_output: Mapped[str | None]
    alternative_output: Mapped[str | None]
    expected_output: Mapped[str | None]
    demonstration: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    # The queue
    priority: Mapped[float] = mapped_column(REAL, server_default=text("0.5"))
    evidence: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    nearness: Mapped[float | None] = mapped_column(REAL)
    ranked_at: Mapped[datetime | None]
    overlap: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    reviews_wanted: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    reviews_done: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    held: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    flag_reason: Mapped[str | None]
    flagged_by: Mapped[str | None]
    gold_decision: Mapped[str | None]

    # What review settled
    approved_output: Mapped[str | None]
    quality_score: Mapped[float | None]
    human_verified: Mapped[bool] = mapped_column(server_default=text("false"))
    settled_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("organization_id", "feedback_id"),
        UniqueConstraint("organization_id", "key"),
        reference("agent_id", "agents"),
        reference("feedback_id", "agent_feedback"),
        one_of("example_type", ExampleType),
        one_of("status", ExampleStatus),
        one_of("gold_decision", Decision),
        CheckConstraint("quality_score BETWEEN 0 AND 1", name="quality_score"),
        CheckConstraint("held >= 0 AND reviews_done >= 0", name="reviewers"),
        Index(
            "learning_examples_open_index",
            "organization_id",
            text("priority DESC"),
            "id",
            postgresql_where=text(OPEN),
        ),
        Index(
            "learning_examples_open_of_agent_index",
            "agent_id",
            text("priority DESC"),
            "id",
            postgresql_where=text(OPEN),
        ),
        Index("learning_examples_status_index", "organization_id", "status", "id"),
        Index(
            "learning_examples_unranked_index",
            "organization_id",
            "id",
            postgresql_where=text("ranked_at IS NULL AND status = 'pending'::text"),
        ),
        Index(
            "learning_examples_gold_index",
            "organization_id",
            "id",
            postgresql_where=text("gold_decision IS NOT NULL"),
        ),
    )
