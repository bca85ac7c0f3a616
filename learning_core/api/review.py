"""Routes of the review step: what waits for an expert, what experts judged, what they showed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from learning_core.api import problems
from learning_core.api.callers import Reviewer
from learning_core.db import in_transaction
from learning_core.feedback.entries import Key
from learning_core.review import queue
from learning_core.review.annotations import AnnotationEntry, annotate
from learning_core.review.demonstrations import DemonstrationEntry, add_demonstration
from learning_core.review.items import Item, items
from learning_core.review.queue import Filters
from learning_core.schema import IssueCategory

router = APIRouter(prefix="/learning", tags=["review"])

REVIEWING = problems.responses(401, 403, 404, 409, 413, 422, 503)


class QueueItem(BaseModel):
    """An example that waits for a judgement, with the feedback that led to it."""

    example_id: UUID
    agent_id: str
    example_type: str
    work: str = Field(description="review, revise (write what is missing) or verify (confirm a new text)")
    source: str
    domain: str | None
    input_text: str | None
    context: str | None
    original_output: str | None
    alternative_output: str | None
    expected_output: str | None
    demonstration: dict[str, Any] | None
    issue_categories: list[str]
    rating: int | None
    priority: float
    reasons: list[str] = Field(description="Why it comes now, the weightiest first")
    feedback: list[dict[str, Any]]
    leased_until: datetime | None = Field(description="Until when you hold it; null without a claim")


class Queue(BaseModel):
    """What the caller is to judge next, the most valuable first."""

    items: list[QueueItem]


class Judged(BaseModel):
    """What became of an annotation and of its example."""

    annotation_id: UUID
    example_id: UUID
    example_status: str
    quality_score: float | None = Field(description="0-1; null without an approval")
    usable_for_training: bool


class Added(BaseModel):
    """The example a demonstration became."""

    example_id: UUID
    status: str


@router.get("/annotations/queue", responses=REVIEWING)
def annotation_queue(
    caller: Reviewer,
    agent_id: Annotated[Key | None, Query(description="The agent's own key.")] = None,
    domain: Annotated[Key | None, Query()] = None,
    source: Annotated[Key | None, Query()] = None,
    issue: Annotated[IssueCategory | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
    claim: Annotated[
        bool, Query(description="Hold them for you alone, for half an hour after your last request.")
    ] = False,
) -> Queue:
    """Return what you are to judge next; with `claim=true`, what you hold already comes first."""
    filters = Filters(agent=agent_id, domain=domain, source=source, issue=issue)
    choose = queue.claim if claim else queue.look_ahead

    def work(session: Session) -> list[Item]:
        chosen = choose(session, caller, filters, limit)
        return items(session, caller, chosen, datetime.now(UTC))

    return Queue(items=[_shown(item) for item in in_transaction(caller.organization_id, work)])


@router.delete("/annotations/queue", status_code=204, responses=problems.responses(401, 403, 422, 503))
def leave_annotation_queue(caller: Reviewer) -> None:
    """Give back everything you hold."""
    in_transaction(caller.organization_id, lambda session: queue.give_back(session, caller))


@router.post("/annotations", status_code=201, responses=REVIEWING)
def annotate_example(entry: AnnotationEntry, caller: Reviewer) -> Judged:
    """Judge an example you hold, or one nobody holds, or add a remark to any."""
    effect = in_transaction(
        caller.organization_id, lambda session: annotate(session, caller, entry, source="api")
    )
    return Judged(
        annotation_id=effect.annotation_id,
        example_id=effect.example_id,
        example_status=effect.example_status,
        quality_score=effect.quality_score,
        usable_for_training=effect.is_usable,
    )


@router.post("/demonstrations", status_code=201, responses=problems.responses(401, 403, 413, 422, 503))
def demonstrate(entry: DemonstrationEntry, caller: Reviewer) -> Added:
    """Show how a task is done; somebody else reviews it before an agent learns from it."""
    example = in_transaction(
        caller.organization_id, lambda session: add_demonstration(session, caller, entry, source="api")
    )
    return Added(example_id=example, status="pending")


def _shown(item: Item) -> QueueItem:
    same = {name: getattr(item, name) for name in SAME_IN_BOTH}
    return QueueItem(
        example_id=item.id,
        agent_id=item.agent,
        expected_output=item.proposed,
        priority=round(item.priority, 4),
        **same,
    )


SAME_IN_BOTH = QueueItem.model_fields.keys() - {"example_id", "agent_id", "expected_output", "priority"}
