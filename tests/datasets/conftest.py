"""Approved examples, people who judge, and datasets frozen from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from learning_core.access import Caller
from learning_core.datasets import selection, versions
from learning_core.datasets.curation import Rules
from learning_core.datasets.selection import Selection
from learning_core.feedback.executions import register_agents
from learning_core.review.annotations import AnnotationEntry, annotate
from learning_core.schema import Role
from tests.factories import approved_example


@pytest.fixture
def curator(organization: object) -> Caller:
    return Caller(organization.id, "Cora", Role.ENGINEER)


@pytest.fixture
def approve(transaction: Callable[..., Any]) -> Callable[..., list[UUID]]:
    """Store approved examples: `approve(20)`, `approve(input_text="Why?", domain="vat")`."""

    def store(times: int = 1, **overrides: Any) -> list[UUID]:
        with transaction() as session:
            return [approved_example(session, **overrides) for _ in range(times)]

    return store


@pytest.fixture
def select(transaction: Callable[..., Any]) -> Callable[..., Selection]:
    """Return what rules come to: `select(verified_only=True)`."""

    def chosen(**rules: Any) -> Selection:
        with transaction() as session:
            return selection.select(session, Rules(**rules))

    return chosen


@pytest.fixture
def freeze(transaction: Callable[..., Any], curator: Caller) -> Callable[..., versions.Version]:
    """Freeze a dataset: `freeze("vat", minimum_quality=0.8)`."""

    def make(name: str = "vat", **rules: Any) -> versions.Version:
        with transaction() as session:
            return versions.freeze(session, curator, name, Rules(**rules))

    return make


@pytest.fixture
def load(transaction: Callable[..., Any]) -> Callable[..., list[Any]]:
    """Return the examples of a version."""

    def read(version: versions.Version, split: str | None = None) -> list[Any]:
        with transaction() as session:
            return list(versions.load(session, version.id, split))

    return read


@pytest.fixture
def judge_twice(organization: object, transaction: Callable[..., Any]) -> Callable[..., UUID]:
    """Let Ann and Ben judge a new example blind to each other: `judge_twice("approve", "reject")`."""

    def judge(*decisions: str, agent: str = "tax-advisor") -> UUID:
        with transaction() as session:
            register_agents(session, {agent})
            example = session.execute(text(WAITING), {"agent": agent}).scalar_one()
            for name, decision in zip(("Ann", "Ben", "Cyd"), decisions, strict=False):
                expert = Caller(organization.id, name, Role.EXPERT)
                annotate(session, expert, AnnotationEntry(example_id=example, decision=decision))
            return example

    return judge


WAITING = """
INSERT INTO learning_examples (
    agent_id, example_type, source, input_text, expected_output, overlap, reviews_wanted
)
SELECT id, 'positive', 'api', CAST(uuidv7() AS text), 'On the tenth.', 2, 2 FROM agents WHERE key = :agent
RETURNING id
"""
