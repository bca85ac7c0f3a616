"""The shape of what arrives: an execution as an agent reports it, feedback as a person gives it.

The one validation for every door: API, widget, import, demo and pages all build these.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from learning_core.schema import SCALES as SCALES
from learning_core.schema import FeedbackType as FeedbackType
from learning_core.schema import IssueCategory as IssueCategory

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
CLOCK_SKEW = timedelta(minutes=5)


WITHOUT_NUL = r"^[^\x00]*$"
"""What every text has to match: no database text can hold the NUL character."""

ASSIGNMENT = r"^[0-9a-f]{32}\.[a-z0-9_]{1,40}$"
"""An allocation's id and the variant that a user met."""


def _plausible(moment: datetime) -> datetime:
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment < EARLIEST:
        raise ValueError("lies before the year 2000; is it in seconds, and not a default?")
    if moment > datetime.now(UTC) + CLOCK_SKEW:
        raise ValueError("lies in the future; check the sender's clock and time zone")
    return moment


Key = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=WITHOUT_NUL)
]
Text = Annotated[str, StringConstraints(max_length=20_000, pattern=WITHOUT_NUL)]
LongText = Annotated[str, StringConstraints(max_length=500_000, pattern=WITHOUT_NUL)]
Moment = Annotated[datetime, AfterValidator(_plausible)]
Stars = Annotated[int, Field(ge=1, le=5)]
Assignment = Annotated[
    str,
    StringConstraints(pattern=ASSIGNMENT),
    Field(description="What the answer with the prompt said under this name; counts with user_id only."),
]


class Dimensions(BaseModel):
    """Star ratings (1-5) of single aspects of an answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accuracy: Stars | None = None
    helpfulness: Stars | None = None
    clarity: Stars | None = None
    completeness: Stars | None = None


class FeedbackEntry(BaseModel):
    """One person's reaction to one execution.

    ``id`` is the caller's own: sending it again changes the same row. Without one, each entry is a new row.
    Times without a zone are read as UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Key | None = None
    execution_id: Key
    agent_id: Key
    feedback_type: FeedbackType
    user_id: Key | None = None
    rating: Stars | None = None
    dimensions: Dimensions = Dimensions()
    issue_categories: Annotated[tuple[IssueCategory, ...], Field(max_length=len(IssueCategory))] = ()
    feedback_text: Text | None = None
    correction_text: LongText | None = None
    created_at: Moment | None = None

    @model_validator(mode="after")
    def _says_what_its_type_promises(self) -> FeedbackEntry:
        if self.feedback_type is FeedbackType.CORRECTION and not (self.correction_text or "").strip():
            raise ValueError("a correction needs correction_text")
        if self.feedback_type is FeedbackType.STAR_RATING and not any(self.stars().values()):
            raise ValueError("a star_rating needs a rating or at least one of the dimensions")
        return self

    def stars(self) -> Mapping[str, int | None]:
        """Return the value of each of the five scales, None where it was not rated."""
        return {"rating": self.rating, **self.dimensions.__dict__}


class ExecutionEntry(BaseModel):
    """One request to an agent and the answer it served, as the agent reports it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    execution_id: Key
    agent_id: Key
    input_text: LongText | None = None
    context: Annotated[LongText, Field(description="What the agent was given besides.")] | None = None
    output_text: LongText | None = None
    conversation_id: Key | None = None
    prompt_version: Annotated[Key, Field(max_length=80)] | None = None
    user_id: Key | None = None
    latency_ms: Annotated[float, Field(ge=0, le=86_400_000, allow_inf_nan=False)] | None = None
    cost_usd: Annotated[Decimal, Field(ge=0, le=10_000, decimal_places=8)] | None = None
    error: Text | None = None
    created_at: Moment | None = None
    assignment: Assignment | None = None
    score: (
        Annotated[
            float,
            Field(ge=0, le=1, allow_inf_nan=False, description="What an evaluator said of the answer, 0-1."),
        ]
        | None
    ) = None


Source = Literal["api", "widget", "import", "page", "demo"]
"""The door through which a row came in."""


def describe_first_error(error: ValidationError) -> str:
    """Put the first thing that is wrong with an entry into a reader's words: "rating: should be ..."."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {describe(first)}" if field else describe(first)


def describe(error: Mapping[str, Any]) -> str:
    """Put one of pydantic's errors into a reader's words."""
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] == ASSIGNMENT:
        return "is not what was answered with the prompt, such as 0190...5f3a.treatment"
    if error["type"] == "string_pattern_mismatch":
        return "must not contain the NUL character, which no database text can hold"
    return str(error["msg"]).removeprefix("Value error, ")
