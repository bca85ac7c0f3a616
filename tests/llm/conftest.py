from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from learning_core import db
from learning_core.llm import dispatch
from learning_core.llm.requests import Model, Request


@pytest.fixture
def new_run(transaction) -> Callable[..., UUID]:
    """Put down a run that may spend so much: `new_run(calls=10)`."""

    def create(calls: int | None = None, tokens: int | None = None, usd: Decimal | None = None) -> UUID:
        with transaction() as session:
            session.execute(text("INSERT INTO agents (key) VALUES ('a') ON CONFLICT DO NOTHING"))
            caps = {"calls": calls, "tokens": tokens, "usd": usd}
            return session.execute(text(RUN), caps).scalar_one()

    return create


RUN = """
INSERT INTO training_runs (kind, agent_id, settings, started_by, cap_calls, cap_tokens, cap_usd)
SELECT 'evaluation', id, '{}', 'ada', CAST(:calls AS integer), CAST(:tokens AS bigint), CAST(:usd AS numeric)
FROM agents WHERE key = 'a' RETURNING id
"""


@pytest.fixture
def book(transaction) -> Callable[[UUID], Any]:
    """Read what a run has spent and reserved."""

    def read(run_id: UUID) -> Any:
        with transaction() as session:
            return session.execute(text("SELECT * FROM training_runs WHERE id = :run"), {"run": run_id}).one()

    return read


@pytest.fixture
def calls(organization) -> Callable[[], list[Any]]:
    """Read the stored calls of the test's organisation, in the order they were entered."""

    def read() -> list[Any]:
        with db.organization_session(organization.id) as session:
            return list(session.execute(text("SELECT * FROM model_calls ORDER BY id")))

    return read


@pytest.fixture
def new_courier(courier, configure) -> Iterator[Callable[..., None]]:
    """Have the next calls made by a courier that starts in this environment: `new_courier(NAME="value")`."""

    def start(**variables: object) -> None:
        dispatch.close()
        configure(**variables)

    yield start
    dispatch.close()


def questions(model: Model, count: int, **overrides: Any) -> list[Request]:
    given = {"max_tokens": 20} | overrides
    return [Request("task", model, (("user", f"question {i}"),), **given) for i in range(count)]
