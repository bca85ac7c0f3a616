"""The tables. Every organisation's table carries organization_id in its primary key and every foreign key.

The column fills itself from the transaction's organisation, and row-level security checks it
(``migrations/policies.py``), so no statement elsewhere mentions it.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Computed,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REAL, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column
from sqlalchemy.schema import CheckConstraint, SchemaItem

NOW = text("now()")
NEW_ID = text("uuidv7()")
CURRENT_ORGANIZATION = text("(current_setting('app.organization_id'::text))::uuid")


class Base(DeclarativeBase):
    """Types and naming of every table."""

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "fk": "%(table_name)s_%(referred_table_name)s_fkey",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "ix": "%(table_name)s_%(column_0_N_name)s_index",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: Text(),
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: JSONB(),
        list[dict[str, Any]]: JSONB(),
        list[str]: ARRAY(Text()),
        bytes: LargeBinary(),
    }


class Owned:
    """A row that belongs to an organisation."""

    @declared_attr
    def organization_id(cls) -> Mapped[UUID]:
        return mapped_column(server_default=CURRENT_ORGANIZATION, primary_key=True, sort_order=-2)


class Identified(Owned):
    """A row of an organisation with an id of its own."""

    @declared_attr
    def id(cls) -> Mapped[UUID]:
        return mapped_column(server_default=NEW_ID, primary_key=True, sort_order=-1)


def _one_of(column: str, values: type[StrEnum] | tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'::text" for value in values)
    return CheckConstraint(f"{column} = ANY (ARRAY[{listed}])", name=column)


def _of_an_organization() -> ForeignKeyConstraint:
    """Reference the organisation. Tables below an agent reach it through the agent, and skip this check."""
    return ForeignKeyConstraint(["organization_id"], ["organizations.id"])


def _reference(column: str, table: str) -> ForeignKeyConstraint:
    """Reference a row of the same organisation: foreign keys bypass row-level security."""
    return ForeignKeyConstraint(["organization_id", column], [f"{table}.organization_id", f"{table}.id"])


# ---------------------------------------------------------------- organisations and who may do what


class Role(StrEnum):
    """What a member or an API key may do, from least to most."""

    VIEWER = "viewer"
    EXPERT = "expert"
    ENGINEER = "engineer"
    ADMIN = "admin"


class Organization(Base):
    """The tenant."""

    __tablename__ = "organizations"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    slug: Mapped[str]
    name: Mapped[str]
    simulated: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    removed_at: Mapped[datetime | None]

    __table_args__ = (
        Index("organizations_slug_key", "slug", unique=True, postgresql_where=text("removed_at IS NULL")),
    )


class Member(Identified, Base):
    """A person in an organisation."""

    __tablename__ = "members"

    email: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (
        _of_an_organization(),
        _one_of("role", Role),
        UniqueConstraint("organization_id", "email"),
    )


class ApiKey(Identified, Base):
    """What lets an agent in. The key itself is shown once and never stored."""

    __tablename__ = "api_keys"

    name: Mapped[str]
    prefix: Mapped[str]
    secret_hash: Mapped[bytes]
    role: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    created_by: Mapped[str]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        _of_an_organization(),
        _one_of("role", Role),
        UniqueConstraint("organization_id", "secret_hash"),
    )


class SigningKey(Owned, Base):
    """The secret that signs an organisation's widget tokens."""

    __tablename__ = "signing_keys"

    secret: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (_of_an_organization(),)


class AuditEntry(Identified, Base):
    """What was done, by whom. Append-only: the application may neither change nor delete a row."""

    __tablename__ = "audit_log"

    at: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))

    __table_args__ = (_of_an_organization(), Index(None, "organization_id", text("at DESC")))


# ---------------------------------------------------------------- agents, executions, feedback


class FeedbackType(StrEnum):
    """How a person reacted."""

    THUMBS_UP = "thumbs_up"
    THUMBS_DOWN = "thumbs_down"
    STAR_RATING = "star_rating"
    DETAILED_FEEDBACK = "detailed_feedback"
    CORRECTION = "correction"
    REPORT_ISSUE = "report_issue"


class IssueCategory(StrEnum):
    """What was wrong with an answer."""

    INCORRECT = "incorrect"
    INCOMPLETE = "incomplete"
    UNCLEAR = "unclear"
    HALLUCINATION = "hallucination"
    OUTDATED = "outdated"
    FORMATTING = "formatting"
    TONE = "tone"
    OTHER = "other"

    @property
    def words(self) -> str:
        """Return what people call it."""
        return {"hallucination": "Made up", "other": "Something else"}.get(self, self.capitalize())


SCALES = ("rating", "accuracy", "helpfulness", "clarity", "completeness")
"""The five star scales; the first is the overall rating, the others are its dimensions."""


class Agent(Identified, Base):
    """What is being improved."""

    __tablename__ = "agents"

    key: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    guidelines: Mapped[str | None]

    __table_args__ = (_of_an_organization(), UniqueConstraint("organization_id", "key"))


class Execution(Identified, Base):
    """One request to an agent. Without reported_at it is only known from feedback that came first."""

    __tablename__ = "executions"

    key: Mapped[str]
    agent_id: Mapped[UUID]
    prompt_version: Mapped[str | None]
    user_id: Mapped[str | None]
    conversation: Mapped[str | None]
    input_text: Mapped[str | None]
    context: Mapped[str | None]
    output_text: Mapped[str | None]
    error: Mapped[str | None]
    latency_ms: Mapped[float | None]
    cost_usd: Mapped[Decimal | None] = mapped_column(Numeric(14, 8))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    reported_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("organization_id", "key"), _reference("agent_id", "agents"))


class Feedback(Identified, Base):
    """One person's reaction to one execution. A withdrawn row stays, and is counted nowhere."""

    __tablename__ = "agent_feedback"

    key: Mapped[str]
    agent_id: Mapped[UUID]
    execution_id: Mapped[UUID]
    prompt_version: Mapped[str] = mapped_column(server_default=text("''::text"))
    user_id: Mapped[str | None]
    feedback_type: Mapped[str]
    rating: Mapped[int | None] = mapped_column(SmallInteger)
    accuracy: Mapped[int | None] = mapped_column(SmallInteger)
    helpfulness: Mapped[int | None] = mapped_column(SmallInteger)
    clarity: Mapped[int | None] = mapped_column(SmallInteger)
    completeness: Mapped[int | None] = mapped_column(SmallInteger)
    issue_categories: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))
    feedback_text: Mapped[str | None]
    correction_text: Mapped[str | None]
    source: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    received_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("organization_id", "key"),
        _reference("agent_id", "agents"),
        _reference("execution_id", "executions"),
        CheckConstraint(
            "rating BETWEEN 1 AND 5 AND accuracy BETWEEN 1 AND 5 AND helpfulness BETWEEN 1 AND 5"
            " AND clarity BETWEEN 1 AND 5 AND completeness BETWEEN 1 AND 5",
            name="stars",
        ),
        _one_of("feedback_type", FeedbackType),
        Index(None, "organization_id", "agent_id", text("created_at DESC")),
        Index(None, "organization_id", "execution_id"),
    )


# ---------------------------------------------------------------- roll-ups: counts a dashboard can afford

FEEDBACK_COUNTERS: dict[str, str] = {
    "feedback_count": "1",
    **{f"type_{kind}": f"(feedback_type = '{kind}')::int" for kind in FeedbackType},
    **{
        f"{scale}_{level}": f"(coalesce({scale}, 0) = {level})::int"
        for scale in SCALES
        for level in range(1, 6)
    },
    **{f"issue_{issue}": f"('{issue}' = ANY (issue_categories))::int" for issue in IssueCategory},
    "any_issue_count": "(issue_categories <> '{}')::int",
    "comment_count": "(coalesce(feedback_text, '') <> '')::int",
    "correction_count": "(correction_text IS NOT NULL)::int",
}
"""Counter of feedback_daily -> what one row of agent_feedback adds to it."""

EXECUTION_COUNTERS: dict[str, str] = {
    "execution_count": "1",
    "error_count": "(error IS NOT NULL)::int",
    "latency_count": "(latency_ms IS NOT NULL)::int",
    "latency_ms_sum": "coalesce(latency_ms::numeric, 0)",
    "cost_count": "(cost_usd IS NOT NULL)::int",
    "cost_usd_sum": "coalesce(cost_usd, 0)",
}
"""Counter of executions_daily -> what one row of executions adds to it."""


def _counters(counters: dict[str, str]) -> list[SchemaItem]:
    def kind(name: str) -> Any:
        return Numeric() if name.endswith("_sum") else BigInteger()

    return [Column(name, kind(name), nullable=False, server_default=text("0")) for name in counters]


ROOM_FOR_UPDATES = {"postgresql_with": {"fillfactor": "40"}}
"""A counter row is rewritten all day; free space on its page keeps that from touching the index."""


class FeedbackDaily(Owned, Base):
    """Counts of feedback per agent, UTC day and prompt version; `rollup` keeps them equal to the rows."""

    __tablename__ = "feedback_daily"

    agent_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    prompt_version: Mapped[str] = mapped_column(primary_key=True)

    __table_args__ = (
        _reference("agent_id", "agents"),
        *_counters(FEEDBACK_COUNTERS),
        Column(
            "rating_count",
            BigInteger,
            Computed("rating_1 + rating_2 + rating_3 + rating_4 + rating_5"),
        ),
        Column(
            "rating_sum",
            BigInteger,
            Computed("rating_1 + 2 * rating_2 + 3 * rating_3 + 4 * rating_4 + 5 * rating_5"),
        ),
        ROOM_FOR_UPDATES,
    )


class ExecutionDaily(Owned, Base):
    """Counts of executions per agent, UTC day and prompt version."""

    __tablename__ = "executions_daily"

    agent_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    prompt_version: Mapped[str] = mapped_column(primary_key=True)

    __table_args__ = (
        _reference("agent_id", "agents"),
        *_counters(EXECUTION_COUNTERS),
        ROOM_FOR_UPDATES,
    )


# ---------------------------------------------------------------- examples


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
        _reference("agent_id", "agents"),
        _reference("feedback_id", "agent_feedback"),
        _one_of("example_type", ExampleType),
        _one_of("status", ExampleStatus),
        _one_of("gold_decision", Decision),
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


# ---------------------------------------------------------------- review


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
        _reference("example_id", "learning_examples"),
        _one_of("annotation_type", AnnotationType),
        _one_of("decision", Decision),
        _one_of("preference", Preference),
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
        _reference("example_id", "learning_examples"),
        Index("review_leases_reviewer_index", "organization_id", "reviewer"),
        Index("review_leases_until_index", "organization_id", "leased_until"),
    )


# ---------------------------------------------------------------- datasets


class DatasetVersion(Identified, Base):
    """One version of a dataset, frozen from birth: the application may insert it, and never change it."""

    __tablename__ = "training_datasets"

    name: Mapped[str]
    version: Mapped[int]
    rules: Mapped[dict[str, Any]]
    seed: Mapped[str]
    content_hash: Mapped[str]
    example_count: Mapped[int]
    statistics: Mapped[dict[str, Any]]
    gates: Mapped[list[dict[str, Any]]]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (
        _of_an_organization(),
        UniqueConstraint("organization_id", "name", "version"),
    )


class DatasetMember(Owned, Base):
    """An example as it was when a version was frozen, and the feedback and annotations it rests on."""

    __tablename__ = "dataset_examples"

    dataset_id: Mapped[UUID] = mapped_column(primary_key=True)
    example_id: Mapped[UUID] = mapped_column(primary_key=True)
    split: Mapped[str]
    group_name: Mapped[str]
    content: Mapped[dict[str, Any]]
    feedback_id: Mapped[UUID | None]
    annotation_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'::uuid[]"))

    __table_args__ = (
        _reference("dataset_id", "training_datasets"),
        _reference("example_id", "learning_examples"),
        _one_of("split", ("train", "validation", "test")),
        Index("dataset_examples_example_index", "organization_id", "example_id"),
    )


class DatasetUse(Identified, Base):
    """One look at a split of a version: who, when, what for. Append-only."""

    __tablename__ = "dataset_uses"

    dataset_id: Mapped[UUID]
    split: Mapped[str]
    purpose: Mapped[str]
    used_by: Mapped[str]
    used_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (
        _reference("dataset_id", "training_datasets"),
        _one_of("split", ("train", "validation", "test")),
        Index("dataset_uses_dataset_index", "organization_id", "dataset_id", "split"),
    )


class DatasetProposal(Identified, Base):
    """A next version that the weekly look found worth freezing; it waits for a person."""

    __tablename__ = "dataset_proposals"

    name: Mapped[str]
    rules: Mapped[dict[str, Any]]
    summary: Mapped[dict[str, Any]]
    proposed_at: Mapped[datetime] = mapped_column(server_default=NOW)
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]

    __table_args__ = (
        _of_an_organization(),
        Index(
            "dataset_proposals_name_key",
            "organization_id",
            "name",
            unique=True,
            postgresql_where=text("decided_at IS NULL"),
        ),
    )


# ---------------------------------------------------------------- shared machinery, of no organisation


class RateLimit(Base):
    """Hits of one rate limit in its current window. Unlogged: after a crash, limits start afresh."""

    __tablename__ = "rate_limits"

    key: Mapped[str] = mapped_column(primary_key=True)
    hits: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime]

    __table_args__ = ({"prefixes": ["UNLOGGED"]},)
