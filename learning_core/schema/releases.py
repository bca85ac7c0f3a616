"""The tables of releases: a prompt version on its way to all traffic, what happened, and what came of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Integer, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from learning_core.schema.foundation import NOW, Base, Identified, Owned, one_of, reference


class ReleaseStatus(StrEnum):
    """Where a release stands. Waiting: for a person's approval before its first user."""

    WAITING = "waiting"
    ROLLING_OUT = "rolling_out"
    WATCHING = "watching"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"

    @property
    def is_over(self) -> bool:
        """Return whether nothing more will happen by itself."""
        return self not in (ReleaseStatus.WAITING, ReleaseStatus.ROLLING_OUT, ReleaseStatus.WATCHING)


class Release(Identified, Base):
    """A prompt version on its way to all of an agent's traffic, stage by stage.

    `previous_id` is where a rollback points; an agent's first release is preceded by one that stands for what
    was in production before. `report` is what the guardrails said last.
    """

    __tablename__ = "releases"

    agent_id: Mapped[UUID]
    number: Mapped[int] = mapped_column(Integer)
    version_id: Mapped[UUID]
    previous_id: Mapped[UUID | None]
    experiment_id: Mapped[UUID | None]
    run_id: Mapped[UUID | None]
    status: Mapped[str]
    stage: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    stage_since: Mapped[datetime | None]
    policy: Mapped[dict[str, Any]]
    reason: Mapped[str]
    held_by: Mapped[str | None]
    hold_reason: Mapped[str | None]
    approved_by: Mapped[str | None]
    approved_at: Mapped[datetime | None]
    approval_reason: Mapped[str | None]
    report: Mapped[dict[str, Any] | None]
    checked_at: Mapped[datetime | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    full_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        reference("agent_id", "agents"),
        reference("version_id", "prompt_versions"),
        reference("previous_id", "releases"),
        reference("experiment_id", "learning_experiments"),
        reference("run_id", "training_runs"),
        one_of("status", ReleaseStatus),
        UniqueConstraint("organization_id", "agent_id", "number"),
        Index(
            "releases_on_the_way_key",
            "organization_id",
            "agent_id",
            unique=True,
            postgresql_where=text("status = ANY (ARRAY['waiting'::text, 'rolling_out'::text])"),
        ),
    )


class ReleaseEvent(Identified, Base):
    """Something that happened to a release; the application may insert it, and never change it."""

    __tablename__ = "release_events"

    release_id: Mapped[UUID]
    at: Mapped[datetime]
    kind: Mapped[str]
    actor: Mapped[str]
    details: Mapped[dict[str, Any]]

    __table_args__ = (
        reference("release_id", "releases"),
        Index("release_events_release_index", "organization_id", "release_id", "at"),
    )


class ReleaseImpact(Owned, Base):
    """What became of an agent's metrics with a release, as measured last."""

    __tablename__ = "release_impacts"

    release_id: Mapped[UUID] = mapped_column(primary_key=True)
    measured_at: Mapped[datetime]
    figures: Mapped[dict[str, Any]]

    __table_args__ = (reference("release_id", "releases"),)
