"""Routes of the ledger: what became of a piece of feedback, and of the metrics with a release."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from learning_core.api import problems
from learning_core.api.callers import Reader
from learning_core.db import reading_session
from learning_core.feedback.entries import Key
from learning_core.releases import impact, ledger
from learning_core.releases.impact import MEASURES, Change, Comparison, Direction, Figure, Way
from learning_core.releases.ledger import Entry, Shipped
from learning_core.schema import ExampleStatus, FeedbackType, ReleaseStatus

router = APIRouter(prefix="/learning", tags=["impact"])

READING = problems.responses(401, 404, 422, 503)


class FigureOut(BaseModel):
    """A metric under one version, with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int = Field(description="Reactions that it rests on")
    users: int = Field(description="People they came from")


class DifferenceOut(BaseModel):
    """After less before, with its 95 % interval."""

    value: float
    low: float
    high: float


class ChangeOut(BaseModel):
    """One metric before and after."""

    metric: str
    unit: str = Field(description="stars (1-5) or share (0-1)")
    before: FigureOut | None
    after: FigureOut | None
    difference: DifferenceOut | None
    direction: Direction
    words: str


class PeriodOut(BaseModel):
    """When which version was looked at."""

    version: str = Field(description="What executions report as prompt_version")
    since: datetime
    until: datetime


class ComparisonOut(BaseModel):
    """All metrics under two versions."""

    way: Way = Field(
        description="side_by_side: at the same time, users chosen by lot, which is proof. by_calendar: the "
        "time before with the time after; other things may have changed too."
    )
    before: PeriodOut
    after: PeriodOut
    changes: list[ChangeOut]


class ReleaseImpactOut(BaseModel):
    """What a release was made from, and what became of the agent's metrics."""

    release_id: UUID
    agent_id: str
    number: int
    status: ReleaseStatus
    version: str = Field(description="Key of its prompt version")
    feedback_count: int = Field(description="Pieces of feedback that it learnt from")
    example_count: int = Field(description="Approved examples that it learnt from")
    dataset: str | None
    dataset_version: int | None
    run_id: UUID | None = Field(description="The optimization that found its prompt")
    experiment_id: UUID | None
    measured_at: datetime | None
    side_by_side: ComparisonOut | None
    by_calendar: ComparisonOut | None


class ShippedOut(BaseModel):
    """A release that learnt from a piece of feedback, and what it did about what was said."""

    release_id: UUID
    number: int
    version: str
    status: ReleaseStatus
    full_at: datetime | None = Field(description="Since when it serves everybody")
    taught_directly: bool = Field(
        description="Whether its prompt names the feedback as what it was made from"
    )
    way: Way | None
    changes: list[ChangeOut] = Field(description="Of the metrics that the feedback speaks to")
    words: str


class FeedbackImpactOut(BaseModel):
    """What became of a piece of feedback."""

    feedback_id: str
    agent_id: str
    example_id: UUID | None
    example_status: ExampleStatus | None
    shipped: list[ShippedOut] = Field(description="The releases that learnt from it, the oldest first")
    words: str


@router.get("/feedback/{feedback_id:path}/impact", responses=READING)
def feedback_impact(
    feedback_id: Annotated[Key, Path(description="The id it was sent with, or was given.")], caller: Reader
) -> FeedbackImpactOut:
    """Tell the person who said something what became of it: whether it shipped, and what that changed."""
    with reading_session(caller.organization_id) as session:
        heard = ledger.of_feedback(session, feedback_id)
    said, measures = heard.feedback, heard.measures
    what = WHAT.get(said.feedback_type, "This feedback")
    return FeedbackImpactOut(
        feedback_id=said.key,
        agent_id=said.agent,
        example_id=said.example_id,
        example_status=said.example_status,
        shipped=[_shipped(one, measures, what) for one in heard.shipped],
        words=heard.told(what),
    )


WHAT = {FeedbackType.CORRECTION: "This correction", FeedbackType.REPORT_ISSUE: "This report"}


@router.get("/releases/{release_id}/impact", responses=READING)
def release_impact(release_id: UUID, caller: Reader) -> ReleaseImpactOut:
    """Return what a release was made from, and how the agent's metrics lay before it and since."""
    with reading_session(caller.organization_id) as session:
        found, chain = ledger.entry(session, release_id), ledger.chain(session, release_id)
    effect = found.impact
    return ReleaseImpactOut(
        release_id=release_id,
        agent_id=found.release.agent,
        **{name: getattr(found.release, name) for name in ("number", "status", "version")},
        **{name: getattr(chain, name) for name in CHAINED},
        measured_at=found.measured_at,
        side_by_side=_compared(effect.side_by_side) if effect else None,
        by_calendar=_compared(effect.by_calendar) if effect else None,
    )


CHAINED = ("feedback_count", "example_count", "dataset", "dataset_version", "run_id", "experiment_id")


def _shipped(shipped: Shipped, measures: Sequence[str], what: str) -> ShippedOut:
    found = shipped.entry
    best = ledger.effect(found, measures)
    return ShippedOut(
        release_id=found.release.id,
        **{name: getattr(found.release, name) for name in ("number", "version", "status", "full_at")},
        taught_directly=shipped.directly,
        way=best[0].way if best else None,
        changes=_of(found, measures),
        words=ledger.told(found, measures, what),
    )


def _of(found: Entry, measures: Sequence[str]) -> list[ChangeOut]:
    known = [found.impact.best(metric) for metric in measures] if found.impact else []
    return [_changed(best[1]) for best in known if best]


def _compared(comparison: Comparison | None) -> ComparisonOut | None:
    if comparison is None:
        return None
    periods = {
        side: PeriodOut(version=period.version, since=period.since, until=period.until)
        for side, period in (("before", comparison.before), ("after", comparison.after))
    }
    changes = [_changed(change) for change in comparison.changes]
    return ComparisonOut(way=comparison.way, changes=changes, **periods)


def _changed(change: Change) -> ChangeOut:
    found = change.difference
    return ChangeOut(
        metric=change.metric,
        unit=MEASURES[change.metric].unit,
        before=_figure(change.before),
        after=_figure(change.after),
        difference=DifferenceOut(value=found.value, low=found.low, high=found.high) if found else None,
        direction=change.direction,
        words=impact.sentence(change),
    )


def _figure(figure: Figure | None) -> FigureOut | None:
    return FigureOut(**vars(figure)) if figure else None
