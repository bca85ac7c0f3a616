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
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
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


SCALES = ("rating", "accuracy", "helpfulness", "clarity", "completeness")
"""The five star scales; the first is the overall rating, the others are its dimensions."""


class Agent(Identified, Base):
    """What is being improved."""

    __tablename__ = "agents"

    key: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (_of_an_organization(), UniqueConstraint("organization_id", "key"))


class Execution(Identified, Base):
    """One request to an agent. Without reported_at it is only known from feedback that came first."""

    __tablename__ = "executions"

    key: Mapped[str]
    agent_id: Mapped[UUID]
    prompt_version: Mapped[str | None]
    user_id: Mapped[str | None]
    input_text: Mapped[str | None]
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


class Example(Identified, Base):
    """An input with an expected output, and the feedback it came from."""

    __tablename__ = "learning_examples"

    agent_id: Mapped[UUID]
    feedback_id: Mapped[UUID | None]
    example_type: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=text("'pending'::text"))
    source: Mapped[str]
    input_text: Mapped[str | None]
    original_output: Mapped[str | None]
    expected_output: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (
        UniqueConstraint("organization_id", "feedback_id"),
        _reference("agent_id", "agents"),
        _reference("feedback_id", "agent_feedback"),
        _one_of("example_type", ExampleType),
        _one_of("status", ("pending", "withdrawn")),
    )


# ---------------------------------------------------------------- shared machinery, of no organisation


class RateLimit(Base):
    """Hits of one rate limit in its current window. Unlogged: after a crash, limits start afresh."""

    __tablename__ = "rate_limits"

    key: Mapped[str] = mapped_column(primary_key=True)
    hits: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime]

    __table_args__ = ({"prefixes": ["UNLOGGED"]},)
