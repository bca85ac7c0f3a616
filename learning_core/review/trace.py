"""The way of an example so far: what users said, who judged it, and what each judgement made of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.review import queries, settlement
from learning_core.review.verdicts import Verdict
from learning_core.schema import ExampleStatus


class Step(NamedTuple):
    """An annotation, and what the example came to by it; a remark, or an undone one, changed nothing."""

    annotation: Row[Any]
    verdict: Verdict | None


class Trace(NamedTuple):
    """An example with the feedback it came from and its annotations, oldest first.

    Attributes:
        is_blind: Whether the judgements are kept back, because the caller may still judge.
    """

    example: Row[Any]
    feedback: list[Row[Any]]
    steps: list[Step]
    is_blind: bool

    def later(self) -> list[Step | Row[Any]]:
        """Return the annotations, and the feedback that came once there was the example, by time."""
        happened: list[tuple[datetime, Step | Row[Any]]] = [
            (row.created_at, row) for row in self.feedback if row.created_at > self.example.created_at
        ]
        happened += [(step.annotation.created_at, step) for step in self.steps]
        return [one for _, one in sorted(happened, key=lambda timed: timed[0])]


def trace(session: Session, caller: Caller, example_id: UUID) -> Trace | None:
    """Return the way of an example, None where there is none.

    Somebody who may still judge it sees no judgement of others. Judgements on a gold item, by which its
    reviewers are measured, are for administrators only.
    """
    example = queries.example(session, example_id)
    if example is None:
        return None
    given = queries.annotations_of(session, example_id)
    is_blind = _may_still_judge(caller, example, given)
    shown = [
        row
        for row in given
        if not (is_blind and row.decision) and (not row.on_gold or caller.role in access.RIGHTS["administer"])
    ]
    verdicts = settlement.verdicts(session, example_id)
    steps = [Step(row, verdicts.get(row.id)) for row in shown]
    return Trace(example, queries.feedback_of(session, example_id), steps, is_blind)


def _may_still_judge(caller: Caller, example: Row[Any], given: list[Row[Any]]) -> bool:
    standing = [row.annotator for row in given if row.decision and row.undone_at is None and not row.on_gold]
    return (
        example.status == ExampleStatus.PENDING
        and bool(standing)
        and caller.role in access.RIGHTS["review"]
        and caller.name not in (example.author, *standing)
    )
