"""The tables of prompts: immutable versions, the labels that point at them, how answers are scored, and what
was found out about them.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from learning_core.schema.foundation import NOW, Base, Identified, Owned, one_of, reference


class RuleStatus(StrEnum):
    """Whether a person stands behind a rule."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"


class PromptVersion(Identified, Base):
    """One version of an agent's prompt; the application may insert it, and never change it.

    `key` is what executions report as their prompt version.
    """

    __tablename__ = "prompt_versions"

    agent_id: Mapped[UUID]
    number: Mapped[int] = mapped_column(Integer)
    key: Mapped[str]
    messages: Mapped[list[dict[str, Any]]]
    content_hash: Mapped[str]
    author: Mapped[str]
    parent_id: Mapped[UUID | None]
    reason: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (
        reference("agent_id", "agents"),
        reference("parent_id", "prompt_versions"),
        UniqueConstraint("organization_id", "agent_id", "number"),
        UniqueConstraint("organization_id", "agent_id", "key"),
        UniqueConstraint("organization_id", "agent_id", "content_hash"),
    )


class PromptLabel(Owned, Base):
    """A name such as "production" that points at one version of an agent's prompt."""

    __tablename__ = "prompt_labels"

    agent_id: Mapped[UUID] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(primary_key=True)
    version_id: Mapped[UUID]
    set_by: Mapped[str]
    set_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (reference("agent_id", "agents"), reference("version_id", "prompt_versions"))


class EvaluatorVersion(Identified, Base):
    """One version of how an agent's answers are scored: weighted checks, and a gate that forbids."""

    __tablename__ = "evaluators"

    agent_id: Mapped[UUID]
    number: Mapped[int] = mapped_column(Integer)
    checks: Mapped[list[dict[str, Any]]]
    gate: Mapped[dict[str, Any]]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (
        reference("agent_id", "agents"),
        UniqueConstraint("organization_id", "agent_id", "number"),
    )


class CorrectionRule(Identified, Base):
    """What corrections of the same kind come to, in one sentence; an accepted one goes into prompts."""

    __tablename__ = "correction_rules"

    agent_id: Mapped[UUID]
    statement: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=text("'proposed'::text"))
    example_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'::uuid[]"))
    proposed_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]

    __table_args__ = (
        reference("agent_id", "agents"),
        one_of("status", RuleStatus),
        UniqueConstraint("organization_id", "agent_id", "statement"),
    )


class PromptAnalysis(Owned, Base):
    """What one day's look at an agent's prompt found."""

    __tablename__ = "prompt_analyses"

    agent_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    findings: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (reference("agent_id", "agents"),)
