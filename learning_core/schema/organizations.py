"""The tables of organisations: who belongs to them, what lets somebody in, and what was done."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from learning_core.schema.foundation import (
    NEW_ID,
    NOW,
    Base,
    Identified,
    Owned,
    of_an_organization,
    one_of,
)


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
        of_an_organization(),
        one_of("role", Role),
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
        of_an_organization(),
        one_of("role", Role),
        UniqueConstraint("organization_id", "secret_hash"),
    )


class SigningKey(Owned, Base):
    """The secret that signs an organisation's widget tokens."""

    __tablename__ = "signing_keys"

    secret: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)

    __table_args__ = (of_an_organization(),)


class AuditEntry(Identified, Base):
    """What was done, by whom. Append-only: the application may neither change nor delete a row."""

    __tablename__ = "audit_log"

    at: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))

    __table_args__ = (of_an_organization(), Index(None, "organization_id", text("at DESC")))
