"""People who review, and examples for them to judge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from learning_core.access import Caller
from learning_core.db import in_transaction
from learning_core.feedback.executions import register_agents
from learning_core.review import annotations
from learning_core.review.annotations import AnnotationEntry, Effect
from learning_core.schema import Role

AGENT = "tax-advisor"


@pytest.fixture
def one_each(configure) -> None:
    """One person judges each example, and nobody is given gold, so that a test decides about both."""
    configure(AFTERGLOW_REVIEW_OVERLAP_SHARE=0, AFTERGLOW_REVIEW_GOLD_SHARE=0)


@pytest.fixture
def person(organization) -> Callable[..., Caller]:
    """Somebody of the test's organisation: `person("ada")`, `person("vera", Role.VIEWER)`."""
    return lambda name, role=Role.EXPERT: Caller(organization.id, name, role)


@pytest.fixture
def ada(person) -> Caller:
    return person("ada")


@pytest.fixture
def ben(person) -> Caller:
    return person("ben")


@pytest.fixture
def cyd(person) -> Caller:
    return person("cyd")


@pytest.fixture
def boss(person) -> Caller:
    return person("boss", Role.ADMIN)


@pytest.fixture
def new_example(transaction) -> Callable[..., UUID]:
    """Put an example into the queue: `new_example(priority=0.9, overlap=2)`; it proposes a text."""

    def insert(agent: str = AGENT, **columns: Any) -> UUID:
        given = {"example_type": "positive", "source": "api", "input_text": "When is it due?"}
        given |= {"expected_output": "On the tenth.", "reviews_wanted": columns.get("overlap", 1)} | columns
        names, values = ", ".join(given), ", ".join(f":{name}" for name in given)
        with transaction() as session:
            register_agents(session, {agent})
            statement = f"""
                INSERT INTO learning_examples (agent_id, {names})
                SELECT id, {values} FROM agents WHERE key = :agent RETURNING id
            """
            return session.execute(text(statement), given | {"agent": agent}).scalar_one()

    return insert


@pytest.fixture
def judge() -> Callable[..., Effect]:
    """Let somebody judge: `judge(ada, example, "reject", notes="Wrong.")`."""

    def annotate(caller: Caller, example: UUID, decision: str | None = "approve", **more: Any) -> Effect:
        entry = AnnotationEntry.model_validate({"example_id": example, "decision": decision} | more)
        return in_transaction(
            caller.organization_id, lambda session: annotations.annotate(session, caller, entry)
        )

    return annotate


@pytest.fixture
def act() -> Callable[..., Any]:
    """Let somebody do one thing in a transaction of its own: `act(queue.claim, ada, limit=3)`."""

    def do(verb: Callable[..., Any], caller: Caller, *given: Any, **more: Any) -> Any:
        return in_transaction(caller.organization_id, lambda session: verb(session, caller, *given, **more))

    return do


@pytest.fixture
def look(transaction) -> Callable[[UUID], Any]:
    """Return the row of an example."""

    def read(example: UUID) -> Any:
        with transaction() as session:
            return session.execute(
                text("SELECT * FROM learning_examples WHERE id = :id"), {"id": example}
            ).one()

    return read


@pytest.fixture
def leases(transaction) -> Callable[[], list[tuple[UUID, str]]]:
    """Return who holds which example, those skipped and those lapsed left out."""

    def read() -> list[tuple[UUID, str]]:
        with transaction() as session:
            rows = session.execute(
                text(
                    "SELECT example_id, reviewer FROM review_leases WHERE leased_until > now() ORDER BY 1, 2"
                )
            )
            return [tuple(row) for row in rows]

    return read
