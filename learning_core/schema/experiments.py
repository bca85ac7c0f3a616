"""The tables of experiments: what is compared, who met what, what followed for each user, and every look."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import CheckConstraint, SchemaItem

from learning_core.schema.feedback import IssueCategory
from learning_core.schema.foundation import NOW, Base, Identified, Owned, one_of, reference


class ExperimentStatus(StrEnum):
    """Where an experiment stands."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Return whether nothing more will happen."""
        return self in (ExperimentStatus.COMPLETED, ExperimentStatus.CANCELLED)


class ExperimentDecision(StrEnum):
    """What was done about an experiment."""

    ADOPT_TREATMENT = "adopt_treatment"
    KEEP_CONTROL = "keep_control"
    INCONCLUSIVE = "inconclusive"
    ROLLBACK = "rollback"


class AllocationKind(StrEnum):
    """What an allocation is for: to compare, to let few users go first, or to watch all of them."""

    COMPARISON = "comparison"
    CANARY = "canary"
    WATCH = "watch"


class AllocationStatus(StrEnum):
    """Whether users are assigned. While paused, and once ended, all get what is in production."""

    OPEN = "open"
    PAUSED = "paused"
    ENDED = "ended"


class Experiment(Identified, Base):
    """Variants to compare on live traffic. The verdict is what the data said, the decision what was done."""

    __tablename__ = "learning_experiments"

    agent_id: Mapped[UUID]
    name: Mapped[str]
    hypothesis: Mapped[str] = mapped_column(server_default=text("''::text"))
    status: Mapped[str] = mapped_column(server_default=text("'draft'::text"))
    design: Mapped[dict[str, Any]]
    run_id: Mapped[UUID | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    verdict: Mapped[dict[str, Any] | None]
    decided_at: Mapped[datetime | None]
    decision: Mapped[str | None]
    decision_by: Mapped[str | None]
    decision_reason: Mapped[str | None]

    __table_args__ = (
        reference("agent_id", "agents"),
        reference("run_id", "training_runs"),
        one_of("status", ExperimentStatus),
        one_of("decision", ExperimentDecision),
        CheckConstraint("(status = 'completed') = (decision IS NOT NULL)", name="completed"),
        Index("learning_experiments_agent_index", "organization_id", "agent_id", text("created_at DESC")),
    )


class ExperimentLook(Owned, Base):
    """One analysis of an experiment; the application may insert it, and never change it."""

    __tablename__ = "experiment_looks"

    experiment_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime]
    result: Mapped[dict[str, Any]]

    __table_args__ = (reference("experiment_id", "learning_experiments"),)


class Allocation(Identified, Base):
    """Which users of an agent meet which variant, of an experiment or of a release.

    It reserves the buckets from first_bucket up to end_bucket, of the 10,000 that the agent's users fall
    into: allocations that are open at the same time share none, but a watch looks at all that is left. `ramp`
    is the part (0-1] of each variant's share that is open now; a phase is a stretch in which it does not
    change.
    """

    __tablename__ = "allocations"

    agent_id: Mapped[UUID]
    kind: Mapped[str]
    experiment_id: Mapped[UUID | None]
    release_id: Mapped[UUID | None]
    salt: Mapped[str]
    first_bucket: Mapped[int] = mapped_column(Integer)
    end_bucket: Mapped[int] = mapped_column(Integer)
    ramp: Mapped[float]
    phase: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    slow_ms: Mapped[float | None]
    status: Mapped[str] = mapped_column(server_default=text("'open'::text"))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        reference("agent_id", "agents"),
        reference("experiment_id", "learning_experiments"),
        reference("release_id", "releases"),
        one_of("kind", AllocationKind),
        one_of("status", AllocationStatus),
        CheckConstraint(
            "0 <= first_bucket AND first_bucket < end_bucket AND end_bucket <= 10000", name="buckets"
        ),
        CheckConstraint("ramp > 0 AND ramp <= 1", name="ramp"),
        CheckConstraint("num_nonnulls(experiment_id, release_id) = 1", name="owner"),
        UniqueConstraint("organization_id", "experiment_id"),
        UniqueConstraint("organization_id", "release_id", "kind"),
        Index(
            "allocations_in_force_index",
            "organization_id",
            "agent_id",
            postgresql_where=text("status <> 'ended'::text"),
        ),
    )


class AllocationVariant(Owned, Base):
    """One variant of an allocation: its prompt version, and its share (0-1) of the allocation's users."""

    __tablename__ = "allocation_variants"

    allocation_id: Mapped[UUID] = mapped_column(primary_key=True)
    variant: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger)
    version_id: Mapped[UUID]
    share: Mapped[float]

    __table_args__ = (
        reference("allocation_id", "allocations"),
        reference("version_id", "prompt_versions"),
        CheckConstraint("share > 0 AND share <= 1", name="share"),
    )


class AllocationPhase(Owned, Base):
    """From when on which part of the shares was open."""

    __tablename__ = "allocation_phases"

    allocation_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    ramp: Mapped[float]
    started_at: Mapped[datetime]

    __table_args__ = (reference("allocation_id", "allocations"),)


EXPOSURE_EXECUTION_COUNTERS: dict[str, str] = {
    "execution_count": "1",
    "error_count": "(error IS NOT NULL)::int",
    "latency_count": "(latency_ms IS NOT NULL)::int",
    "latency_ms_sum": "coalesce(latency_ms::numeric, 0)",
    "slow_count": "coalesce(latency_ms > slow_ms, false)::int",
    "cost_count": "(cost_usd IS NOT NULL)::int",
    "cost_usd_sum": "coalesce(cost_usd, 0)",
    "score_count": "(score IS NOT NULL)::int",
    "score_sum": "coalesce(score::numeric, 0)",
}
"""Counter of exposures -> what one row of executions adds to it; slow_ms is the allocation's."""

EXPOSURE_FEEDBACK_COUNTERS: dict[str, str] = {
    "feedback_count": "1",
    "rating_count": "(rating IS NOT NULL)::int",
    "rating_sum": "coalesce(rating, 0)",
    "thumbs_count": "(feedback_type IN ('thumbs_up', 'thumbs_down'))::int",
    "thumbs_up_count": "(feedback_type = 'thumbs_up')::int",
    "correction_count": "(correction_text IS NOT NULL)::int",
    "any_issue_count": "(issue_categories <> '{}')::int",
    **{f"issue_{issue}": f"('{issue}' = ANY (issue_categories))::int" for issue in IssueCategory},
}
"""Counter of exposures -> what one row of agent_feedback adds to it."""

PRIOR_COUNTERS = (
    "feedback_count",
    "rating_count",
    "rating_sum",
    "thumbs_count",
    "thumbs_up_count",
    "correction_count",
    "any_issue_count",
)
"""What is also counted of a user's feedback in the weeks before the allocation began, as prior_..."""


def _counts(names: tuple[str, ...]) -> list[SchemaItem]:
    def kind(name: str) -> Any:
        return Numeric() if name in ("latency_ms_sum", "cost_usd_sum", "score_sum") else BigInteger()

    return [Column(name, kind(name), nullable=False, server_default=text("0")) for name in names]


class Exposure(Identified, Base):
    """A user's first answer under an allocation, and the counts of all that followed for this user.

    The write path keeps the counts; `phase` is the one in which the user came. A user who is seen in a second
    variant is marked as crossed, and stays with the first.
    """

    __tablename__ = "exposures"

    allocation_id: Mapped[UUID]
    user_id: Mapped[str]
    variant: Mapped[str]
    phase: Mapped[int] = mapped_column(SmallInteger)
    crossed: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    first_at: Mapped[datetime]
    history_at: Mapped[datetime | None]

    __table_args__ = (
        reference("allocation_id", "allocations"),
        UniqueConstraint("organization_id", "allocation_id", "user_id"),
        *_counts((*EXPOSURE_EXECUTION_COUNTERS, *EXPOSURE_FEEDBACK_COUNTERS)),
        *_counts(tuple(f"prior_{name}" for name in PRIOR_COUNTERS)),
        {"postgresql_with": {"fillfactor": "70"}},
    )
