"""A release with all that came before it: examples, a dataset, an optimization; and users on both sides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.access import Caller
from learning_core.datasets import versions as datasets
from learning_core.datasets.curation import Rules
from learning_core.feedback import executions
from learning_core.feedback.collect import collect
from learning_core.llm.templates import Prompt
from learning_core.prompts import versions
from learning_core.schema import Role
from tests.factories import approved_example, execution, feedback

AGENT = "tax-advisor"
START = datetime(2026, 5, 1, 9, tzinfo=UTC)
"""When the first user met the new version."""
FULL = START + timedelta(days=3)


@dataclass(frozen=True)
class World:
    """What was made."""

    caller: Caller
    dataset_id: UUID
    run_id: UUID
    versions: tuple[versions.Version, versions.Version]
    setup_id: UUID
    release_id: UUID
    canary_id: UUID


def tell(
    session: Session,
    organization_id: UUID,
    learnt_from: Mapping[str, Any] | None = None,
    example_id: UUID | None = None,
    **release: Any,
) -> World:
    """Make a dataset of what is approved by now, an optimization that learnt from it (and from one more
    example), and a release of its winner.
    """
    caller = Caller(organization_id, "Cora", Role.ENGINEER)
    for _ in range(20):
        approved_example(session)
    rules = Rules(agents=(AGENT,), train_share=0.5, validation_share=0.25, test_share=0.25)
    dataset = datasets.freeze(session, caller, "Questions about tax", rules)
    session.execute(PUT_INTO, {"dataset": dataset.id, "example": example_id})
    old, new = (
        versions.save(session, caller, AGENT, Prompt.from_text(words), reason=words)
        for words in ("Answer the question.", "Answer the question with the day and the month.")
    )
    agent_id = session.execute(
        text("SELECT id FROM agents WHERE key = :agent"), {"agent": AGENT}
    ).scalar_one()
    found: dict[str, Any] = {"agent": agent_id, "dataset": dataset.id, "old": old.id, "new": new.id}
    run_id = session.execute(RUN, found).scalar_one()
    session.execute(CANDIDATES, found | {"run": run_id, "learnt_from": json.dumps(learnt_from or {})})
    setup_id, release_id = place(session, agent_id, old.id, new.id, **{"run_id": run_id} | release)
    canary_id = session.execute(
        CANARY, {"agent": agent_id, "release": release_id, "start": START, "full": FULL}
    )
    return World(caller, dataset.id, run_id, (old, new), setup_id, release_id, canary_id.scalar_one())


def place(session: Session, agent_id: UUID, old: UUID, new: UUID, **overrides: Any) -> tuple[UUID, UUID]:
    """Store what was in production before, and a release of the new version that has reached everybody."""
    common = {"agent": agent_id, "run_id": None, "experiment_id": None, "finished_at": None}
    long_ago = START - timedelta(days=90)
    first = {"version": old, "previous": None, "number": 0, "status": "completed", "by": "setup"}
    setup = common | first | {"at": long_ago, "full_at": long_ago}
    setup_id = session.execute(RELEASE, setup).scalar_one()
    next_one = {"version": new, "previous": setup_id, "number": 1, "status": "watching", "by": "Cora"}
    release = common | next_one | {"at": START, "full_at": FULL} | overrides
    return setup_id, session.execute(RELEASE, release).scalar_one()


def react(session: Session, version: str, at: datetime, user: str, count: int, **reaction: Any) -> None:
    """Let a user react so often to answers under a version."""
    served = [
        execution(prompt_version=version, user_id=user, created_at=at + timedelta(minutes=number))
        for number in range(count)
    ]
    executions.record(session, served)
    said = {"feedback_type": "star_rating", "rating": 4} | reaction
    collect(
        session,
        [
            feedback(execution_id=one.execution_id, user_id=user, created_at=one.created_at, **said)
            for one in served
        ],
        "import",
    )


def expose(session: Session, world: World, user: str, variant: str, phase: int = 1, **counts: Any) -> None:
    """Store what followed for a user of the canary."""
    names = ", ".join(counts)
    session.execute(
        text(
            f"INSERT INTO exposures (allocation_id, user_id, variant, phase, first_at, {names})"
            f" VALUES (:allocation, :user, :variant, :phase, :at, {', '.join(f':{name}' for name in counts)})"
        ),
        {"allocation": world.canary_id, "user": user, "variant": variant, "phase": phase, "at": START}
        | counts,
    )


PUT_INTO = text("""
INSERT INTO dataset_examples (dataset_id, example_id, split, group_name, content, feedback_id)
SELECT :dataset, id, 'train', 'said', '{}', feedback_id FROM learning_examples WHERE id = :example
""")

RUN = text("""
INSERT INTO training_runs
    (kind, agent_id, status, settings, prompt_version_id, dataset_id, result, started_by)
VALUES ('prompt_optimization', :agent, 'succeeded', '{}', :old, :dataset, '{}', 'Cora') RETURNING id
""")

CANDIDATES = text("""
INSERT INTO candidates
    (run_id, number, strategy, messages, content_hash, reason, state, learnt_from, prompt_version_id)
VALUES (:run, 0, 'baseline', '[]', 'old', 'As it is.', 'baseline', '{}', :old),
       (:run, 1, 'corrections', '[]', 'new', 'Rules.', 'winner', CAST(:learnt_from AS jsonb), :new)
""")

RELEASE = text("""
INSERT INTO releases (agent_id, number, version_id, previous_id, experiment_id, run_id, status, policy,
                      reason, created_by, created_at, full_at, finished_at)
VALUES (:agent, :number, :version, :previous, :experiment_id, :run_id, :status, '{}', 'Better.',
        :by, :at, :full_at, :finished_at)
RETURNING id
""")

CANARY = text("""
INSERT INTO allocations
    (agent_id, kind, release_id, salt, first_bucket, end_bucket, ramp, status, started_at, ended_at)
VALUES (:agent, 'canary', :release, 'salt', 0, 10000, 0.5, 'ended', :start, :full) RETURNING id
""")
