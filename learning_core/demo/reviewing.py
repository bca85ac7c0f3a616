"""What the firm's experts made of the story's examples: judgements, disagreements, a first dataset, and how
answers are scored.

It goes the way every judgement goes, so it takes seconds; a worker does it while people look around already.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.access import Caller
from learning_core.datasets.content import DatasetExample
from learning_core.datasets.curation import Rules
from learning_core.datasets.splits import Split
from learning_core.datasets.versions import freeze, load
from learning_core.db import organization_session
from learning_core.errors import Conflict, NotEnoughData
from learning_core.evaluation import evaluators
from learning_core.jobs import queue
from learning_core.review import gold, priority
from learning_core.review.annotations import AnnotationEntry, annotate
from learning_core.schema import QUALITY_SCALES, Decision, ExampleType, Role

JUDGED_SHARE = 0.65
"""Share (0-1) of the examples that somebody has judged; the rest waits in the queue."""

OVERLAP_SHARE = 0.45
POOR_SHARE = 0.2
"""Share (0-1) of the examples that are poor: experts mostly see it alike."""

REWRITTEN_SHARE = 0.06
GOLD_ITEMS = 4


class Expert(NamedTuple):
    """One of the firm's experts.

    Attributes:
        name: As it stands beside their judgements.
        leniency: What they add to each score (0-1).
        eye: Share (0-1) of examples that they take for what they are.
        seconds: Median time for a judgement.
    """

    name: str
    leniency: float
    eye: float
    seconds: float


EXPERTS = (
    Expert("Ada Lindqvist (simulated)", 0.03, 0.97, 38),
    Expert("Ben Okafor (simulated)", -0.05, 0.91, 55),
    Expert("Cleo Martin (simulated)", 0.00, 0.95, 44),
)

GUIDELINES = {
    "tax-advisor": "Approve an answer only if it names the paragraph it rests on and the year it holds for.\n"
    "A right answer to another question is to be rejected.\nAmounts: state currency and rounding.",
    "audit-assistant": "Short and checkable: the procedure first, the standard in brackets.\n"
    "No opinion on a client's intent.",
}


@queue.task(name="demo.review")
def review(organization_id: str, seed: str) -> None:
    """Let the experts of a demo organisation judge most of its examples, and freeze a first dataset."""
    organization, rng = UUID(organization_id), Random(seed)
    with organization_session(organization) as session:
        for agent, words in GUIDELINES.items():
            session.execute(
                text("UPDATE agents SET guidelines = :words WHERE key = :agent"),
                {"words": words, "agent": agent},
            )
        session.execute(DATE_BACK)
        while priority.rank_new(session):
            pass
        waiting = session.execute(WAITING).all()
    for example in waiting:
        if rng.random() < JUDGED_SHARE:
            # somebody who looks around already may hold it
            with suppress(Conflict), organization_session(organization) as session:
                _judge(session, organization, rng, example)
    _freeze(organization)


def _judge(session: Session, organization: UUID, rng: Random, example: Any) -> None:
    """Let one expert judge an example, or several; each a little later than the one before."""
    if rng.random() < OVERLAP_SHARE:
        session.execute(ASK_TWO, {"id": example.id})
    at = example.created_at + timedelta(hours=rng.uniform(2, 60))
    is_poor = rng.random() < POOR_SHARE
    for expert in rng.sample(EXPERTS, k=len(EXPERTS)):
        entry = _entry(rng, expert, example, is_poor=is_poor)
        if entry is None or at > datetime.now(UTC) or not _is_waiting(session, example.id):
            return
        outcome = annotate(session, Caller(organization, expert.name, Role.EXPERT), entry, source="demo")
        session.execute(SET_TIME, {"id": outcome.annotation_id, "example": example.id, "at": at})
        at += timedelta(hours=rng.uniform(1, 30))


def _entry(rng: Random, expert: Expert, example: Any, *, is_poor: bool) -> AnnotationEntry | None:
    """Return a judgement; None where the expert leaves the example for later."""
    if example.example_type == ExampleType.FAILURE:
        if rng.random() > 0.25:
            return None
        notes = "Reported as wrong, but nobody has written the right answer yet."
        return AnnotationEntry(example_id=example.id, decision=Decision.NEEDS_REVISION, notes=notes)
    approves = is_poor ^ (rng.random() < expert.eye)
    rewrites = approves and rng.random() < REWRITTEN_SHARE
    return AnnotationEntry(
        example_id=example.id,
        decision=Decision.APPROVE if approves else Decision.REJECT,
        **_scores(rng, expert, approves=approves),
        corrected_output=f"{example.expected_output} Please check the current year's figures."
        if rewrites
        else None,
        notes=None if approves else rng.choice(OBJECTIONS),
        duration_ms=expert.seconds * 1000 * rng.lognormvariate(0, 0.5),
    )


def _scores(rng: Random, expert: Expert, *, approves: bool) -> dict[str, float]:
    base = 0.86 if approves else 0.45
    return {
        name: min(1.0, max(0.0, round(4 * (base + expert.leniency + rng.gauss(0, 0.12))) / 4))
        for name in QUALITY_SCALES
    }


OBJECTIONS = (
    "Right in principle, but the threshold is last year's.",
    "Does not answer what was asked.",
    "No source, and the amount cannot be checked.",
    "Too long; the client needs the first sentence only.",
)


def _is_waiting(session: Session, example_id: UUID) -> bool:
    return bool(session.execute(STILL_WAITING, {"id": example_id}).scalar())


def _freeze(organization: UUID) -> None:
    lead = Caller(organization, "demo", Role.ADMIN)
    with organization_session(organization) as session:
        for example_id in session.execute(SETTLED, {"limit": GOLD_ITEMS}).scalars().all():
            gold.make_gold(session, lead, example_id)
        try:
            dataset = freeze(session, lead, "Corrections", Rules(example_types=(ExampleType.CORRECTION,)))
        except (NotEnoughData, Conflict):
            return  # the story had no approved correction, or this run was cut off after its last step
        _suggest_evaluators(session, lead, list(load(session, dataset.id, Split.TRAIN)))


def _suggest_evaluators(session: Session, lead: Caller, examples: list[DatasetExample]) -> None:
    """Save for each agent how its answers are best scored, without any model."""
    for agent in sorted({example.agent_id for example in examples}):
        of_agent = [example for example in examples if example.agent_id == agent]
        evaluators.newest_or_suggested(session, lead, agent, of_agent, models={})


DATE_BACK = text("""
UPDATE learning_examples AS example SET created_at = feedback.created_at
FROM agent_feedback AS feedback WHERE feedback.id = example.feedback_id
""")

WAITING = text("""
SELECT id, example_type, expected_output, created_at FROM learning_examples
WHERE status = 'pending' AND reviews_done = 0 ORDER BY created_at, id
""")

STILL_WAITING = text("""
SELECT status IN ('pending', 'approved') AND reviews_done < reviews_wanted AND held = 0
FROM learning_examples WHERE id = :id
""")

ASK_TWO = text("""
UPDATE learning_examples SET overlap = 2, reviews_wanted = 2 WHERE id = :id AND held = 0
""")

SET_TIME = text("""
WITH dated AS (UPDATE expert_annotations SET created_at = :at WHERE id = :id)
UPDATE learning_examples SET settled_at = :at WHERE id = :example AND settled_at IS NOT NULL
""")

SETTLED = text("""
SELECT id FROM learning_examples
WHERE status IN ('approved', 'rejected') AND reviews_done > 0
  AND NOT EXISTS (SELECT FROM learning_examples WHERE gold_decision IS NOT NULL)
ORDER BY row_number() OVER (PARTITION BY status ORDER BY settled_at, id), status LIMIT :limit
""")
