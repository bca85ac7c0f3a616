"""The tables of agents, executions and feedback, and the daily counts that a dashboard can afford."""

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
    Index,
    Numeric,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import CheckConstraint, SchemaItem

from learning_core.schema.foundation import (
    NOW,
    Base,
    Identified,
    Owned,
    of_an_organization,
    one_of,
    reference,
)


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
    inputs: Mapped[list[str]] = mapped_column(server_default=text("'{input,context}'::text[]"))
    weekly_optimization: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (of_an_organization(), UniqueConstraint("organization_id", "key"))


class Execution(Identified, Base):
    """One request to an agent. Without reported_at it is only known from feedback that came first.

    `exposure_id` says which user of which experiment or release it was served to, `score` (0-1) what an
    evaluator said of the answer.
    """

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
    exposure_id: Mapped[UUID | None]
    score: Mapped[float | None]

    __table_args__ = (
        UniqueConstraint("organization_id", "key"),
        reference("agent_id", "agents"),
        reference("exposure_id", "exposures"),
        CheckConstraint("score BETWEEN 0 AND 1", name="score"),
        Index(
            "executions_exposure_index",
            "organization_id",
            "exposure_id",
            postgresql_where=text("exposure_id IS NOT NULL"),
        ),
    )


class Feedback(Identified, Base):
    """One person's reaction to one execution. A withdrawn row stays, and is counted nowhere.

    `prompt_version` and `exposure_id` are the execution's.
    """

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
    exposure_id: Mapped[UUID | None]

    __table_args__ = (
        UniqueConstraint("organization_id", "key"),
        reference("agent_id", "agents"),
        reference("execution_id", "executions"),
        CheckConstraint(
            "rating BETWEEN 1 AND 5 AND accuracy BETWEEN 1 AND 5 AND helpfulness BETWEEN 1 AND 5"
            " AND clarity BETWEEN 1 AND 5 AND completeness BETWEEN 1 AND 5",
            name="stars",
        ),
        one_of("feedback_type", FeedbackType),
        Index(None, "organization_id", "agent_id", text("created_at DESC")),
        Index(None, "organization_id", "execution_id"),
    )


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


def counters(counters: dict[str, str]) -> list[SchemaItem]:
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
        reference("agent_id", "agents"),
        *counters(FEEDBACK_COUNTERS),
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
        reference("agent_id", "agents"),
        *counters(EXECUTION_COUNTERS),
        ROOM_FOR_UPDATES,
    )
