"""The tables of background runs: what was asked for, how far it is, what it tried, what each try scored."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, SmallInteger, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import CheckConstraint

from learning_core.schema.foundation import NOW, Base, Identified, Owned, one_of, reference
from learning_core.schema.models import MONEY

NOTHING = text("0")
NONE_YET = text("'{}'::jsonb")


class RunKind(StrEnum):
    """What a background run does."""

    PROMPT_OPTIMIZATION = "prompt_optimization"
    EVALUATION = "evaluation"
    RAG_TUNING = "rag_tuning"
    FINE_TUNING = "fine_tuning"
    RLHF = "rlhf"
    DPO = "dpo"


class RunStatus(StrEnum):
    """Where a run stands. A proposed one waits for a person; a paused one goes on when told to."""

    PROPOSED = "proposed"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Return whether nothing more will happen."""
        return self in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)


class CandidateState(StrEnum):
    """How far a candidate has come in its run."""

    BASELINE = "baseline"
    RACING = "racing"
    DROPPED = "dropped"
    FINALIST = "finalist"
    WINNER = "winner"


class Run(Identified, Base):
    """One background run. Its row says all that is needed to repeat it, and what may be spent on it.

    `settings` holds seed, models with their parameters, strategies and goals; `wish` is what a person asked
    of a run that is under way.
    """

    __tablename__ = "training_runs"

    kind: Mapped[str]
    agent_id: Mapped[UUID]
    status: Mapped[str] = mapped_column(server_default=text("'queued'::text"))
    wish: Mapped[str | None]
    settings: Mapped[dict[str, Any]]
    prompt_version_id: Mapped[UUID | None]
    dataset_id: Mapped[UUID | None]
    evaluator_id: Mapped[UUID | None]

    cap_usd: Mapped[Decimal | None] = mapped_column(MONEY)
    cap_tokens: Mapped[int | None] = mapped_column(BigInteger)
    cap_calls: Mapped[int | None] = mapped_column(Integer)
    spent_usd: Mapped[Decimal] = mapped_column(MONEY, server_default=NOTHING)
    spent_tokens: Mapped[int] = mapped_column(BigInteger, server_default=NOTHING)
    spent_calls: Mapped[int] = mapped_column(Integer, server_default=NOTHING)
    reserved_usd: Mapped[Decimal] = mapped_column(MONEY, server_default=NOTHING)
    reserved_tokens: Mapped[int] = mapped_column(BigInteger, server_default=NOTHING)
    reserved_calls: Mapped[int] = mapped_column(Integer, server_default=NOTHING)

    estimate: Mapped[dict[str, Any]] = mapped_column(server_default=NONE_YET)
    progress: Mapped[dict[str, Any]] = mapped_column(server_default=NONE_YET)
    result: Mapped[dict[str, Any] | None]
    stop_reason: Mapped[str | None]
    error: Mapped[str | None]
    started_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    started_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        reference("agent_id", "agents"),
        reference("prompt_version_id", "prompt_versions"),
        reference("dataset_id", "training_datasets"),
        reference("evaluator_id", "evaluators"),
        one_of("kind", RunKind),
        one_of("status", RunStatus),
        one_of("wish", ("pause", "cancel")),
        CheckConstraint("spent_calls + reserved_calls <= cap_calls", name="cap"),
        Index("training_runs_agent_index", "organization_id", "agent_id", text("created_at DESC")),
    )


class Candidate(Identified, Base):
    """A prompt within a run, what it was made from, and how far it has come. Number 0 is the baseline."""

    __tablename__ = "candidates"

    run_id: Mapped[UUID]
    number: Mapped[int] = mapped_column(SmallInteger)
    strategy: Mapped[str]
    messages: Mapped[list[dict[str, Any]]]
    content_hash: Mapped[str]
    parents: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger), server_default=text("'{}'::smallint[]"))
    reason: Mapped[str]
    learnt_from: Mapped[dict[str, Any]] = mapped_column(server_default=NONE_YET)
    state: Mapped[str] = mapped_column(server_default=text("'racing'::text"))
    prompt_version_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (
        reference("run_id", "training_runs"),
        reference("prompt_version_id", "prompt_versions"),
        one_of("state", CandidateState),
        UniqueConstraint("organization_id", "run_id", "number"),
    )


class Score(Owned, Base):
    """What one candidate answered to one example of the run's dataset, and what that is worth (0-1)."""

    __tablename__ = "scores"

    candidate_id: Mapped[UUID] = mapped_column(primary_key=True)
    example_id: Mapped[UUID] = mapped_column(primary_key=True)
    split: Mapped[str]
    value: Mapped[float]
    parts: Mapped[dict[str, Any]] = mapped_column(server_default=NONE_YET)
    output: Mapped[str | None]
    error: Mapped[str | None]
    latency_ms: Mapped[float | None]
    cost_usd: Mapped[Decimal | None] = mapped_column(MONEY)
    prompt_tokens: Mapped[int | None] = mapped_column(Integer)
    completion_tokens: Mapped[int | None] = mapped_column(Integer)
    call_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'::uuid[]"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (
        reference("candidate_id", "candidates"),
        reference("example_id", "learning_examples"),
        one_of("split", ("train", "validation", "test")),
        CheckConstraint("value BETWEEN 0 AND 1", name="value"),
        Index("scores_example_index", "organization_id", "example_id"),
    )
