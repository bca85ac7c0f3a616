"""What every table has in common: how it is named, whom it belongs to, how it refers to others.

The column organization_id fills itself from the transaction's organisation, and row-level security checks it
(``migrations/policies.py``), so no statement elsewhere mentions it.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ForeignKeyConstraint,
    LargeBinary,
    MetaData,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column
from sqlalchemy.schema import CheckConstraint

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


def one_of(column: str, values: type[StrEnum] | tuple[str, ...]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'::text" for value in values)
    return CheckConstraint(f"{column} = ANY (ARRAY[{listed}])", name=column)


def of_an_organization() -> ForeignKeyConstraint:
    """Reference the organisation. Tables below an agent reach it through the agent, and skip this check."""
    return ForeignKeyConstraint(["organization_id"], ["organizations.id"])


def reference(column: str, table: str) -> ForeignKeyConstraint:
    """Reference a row of the same organisation: foreign keys bypass row-level security."""
    return ForeignKeyConstraint(["organization_id", column], [f"{table}.organization_id", f"{table}.id"])
