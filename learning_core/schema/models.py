"""The tables of language models: which there are, what each is used for, and every call that was made."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, Numeric, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import CheckConstraint

from learning_core.schema.foundation import (
    NOW,
    Base,
    Identified,
    Owned,
    of_an_organization,
    one_of,
    reference,
)

MONEY = Numeric(16, 8)


class ModelRole(StrEnum):
    """What a model is used for."""

    TASK = "task"
    PROPOSER = "proposer"
    JUDGE = "judge"
    EMBEDDING = "embedding"

    @property
    def words(self) -> str:
        """Return what it does, as people say it."""
        return {
            "task": "Answers like the agent",
            "proposer": "Writes new prompts",
            "judge": "Judges answers",
            "embedding": "Compares meanings",
        }[self]


class CallStatus(StrEnum):
    """What became of a call: on its way, answered, refused for good, or nobody will ever know."""

    RESERVED = "reserved"
    ANSWERED = "answered"
    FAILED = "failed"
    LOST = "lost"


class LanguageModel(Identified, Base):
    """A model behind an OpenAI-compatible address. Its key is named, never stored."""

    __tablename__ = "language_models"

    name: Mapped[str]
    provider: Mapped[str]
    base_url: Mapped[str]
    model: Mapped[str]
    key_name: Mapped[str | None]
    input_usd_per_million: Mapped[Decimal | None] = mapped_column(Numeric(12, 6))
    output_usd_per_million: Mapped[Decimal | None] = mapped_column(Numeric(12, 6))
    max_concurrency: Mapped[int] = mapped_column(SmallInteger, server_default=text("8"))
    timeout_s: Mapped[int] = mapped_column(SmallInteger, server_default=text("60"))
    structured_output: Mapped[bool] = mapped_column(server_default=text("true"))
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    retired_at: Mapped[datetime | None]

    __table_args__ = (
        of_an_organization(),
        CheckConstraint("max_concurrency BETWEEN 1 AND 512", name="max_concurrency"),
        CheckConstraint("timeout_s BETWEEN 1 AND 3600", name="timeout_s"),
        Index(
            "language_models_name_key",
            "organization_id",
            "name",
            unique=True,
            postgresql_where=text("retired_at IS NULL"),
        ),
    )


class ModelAssignment(Owned, Base):
    """Which model the organisation uses for what."""

    __tablename__ = "model_assignments"

    role: Mapped[str] = mapped_column(primary_key=True)
    model_id: Mapped[UUID]

    __table_args__ = (reference("model_id", "language_models"), one_of("role", ModelRole))


class ModelCall(Identified, Base):
    """One call of a model, stored before it is made: what it may cost is reserved, what it cost is settled.

    Equal content, equal hash: while one call of a hash is on its way or answered, there is no second.
    """

    __tablename__ = "model_calls"

    content_hash: Mapped[str]
    run_id: Mapped[UUID | None]
    role: Mapped[str]
    base_url: Mapped[str]
    model: Mapped[str]
    request: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(server_default=text("'reserved'::text"))
    courier: Mapped[int] = mapped_column(BigInteger)
    answer: Mapped[dict[str, Any] | None]
    error: Mapped[str | None]
    prompt_tokens: Mapped[int | None] = mapped_column(Integer)
    completion_tokens: Mapped[int | None] = mapped_column(Integer)
    cost_usd: Mapped[Decimal | None] = mapped_column(MONEY)
    latency_ms: Mapped[float | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    reserved_tokens: Mapped[int] = mapped_column(Integer)
    reserved_usd: Mapped[Decimal] = mapped_column(MONEY)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        of_an_organization(),
        reference("run_id", "training_runs"),
        one_of("role", ModelRole),
        one_of("status", CallStatus),
        Index(
            "model_calls_content_hash_key",
            "organization_id",
            "content_hash",
            unique=True,
            postgresql_where=text("status = ANY (ARRAY['reserved'::text, 'answered'::text])"),
        ),
        Index("model_calls_run_index", "organization_id", "run_id"),
    )
