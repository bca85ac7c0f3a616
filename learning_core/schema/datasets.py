"""The tables of datasets: versions frozen from birth, and who looked at them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Index,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from learning_core.schema.foundation import (
    NOW,
    Base,
    Identified,
    Owned,
    of_an_organization,
    one_of,
    reference,
)


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
        of_an_organization(),
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
        reference("dataset_id", "training_datasets"),
        reference("example_id", "learning_examples"),
        one_of("split", ("train", "validation", "test")),
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
        reference("dataset_id", "training_datasets"),
        one_of("split", ("train", "validation", "test")),
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
        of_an_organization(),
        Index(
            "dataset_proposals_name_key",
            "organization_id",
            "name",
            unique=True,
            postgresql_where=text("decided_at IS NULL"),
        ),
    )
