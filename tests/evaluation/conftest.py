"""Examples, a model that answers by a script without a wire, and datasets with prompts to evaluate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic_core import to_json
from sqlalchemy import text

from learning_core.access import Caller
from learning_core.datasets import versions
from learning_core.datasets.content import DatasetExample
from learning_core.datasets.curation import Rules
from learning_core.llm.requests import Answer, Model, Request
from learning_core.llm.templates import Prompt
from learning_core.schema import ModelRole, Role
from tests.factories import approved_example

MODEL = Model("small", "local", "http://127.0.0.1:1/v1", "small", input_usd_per_million=Decimal(1))
MODELS = {
    role: Model(role, "local", f"http://127.0.0.1:{at}/v1", role) for at, role in enumerate(ModelRole, 1)
}


def example(expected: str = "On the tenth.", **overrides: Any) -> DatasetExample:
    """An example whose expected output is what the test cares about."""
    name = f"example-{uuid4().hex[:8]}"
    given = {"id": name, "agent_id": "tax-advisor", "example_type": "positive", "split": "test"}
    given |= {"group": name, "input_text": "When is it due?", "expected_output": expected}
    return DatasetExample(**given | overrides)


@dataclass
class ScriptedExchange:
    """Answers requests by a script, without wire and store.

    Attributes:
        say: From a request to a text, a vector, or an exception whose message is the answer's error.
        asks: What was asked, one list per ask.
    """

    say: Callable[[Request], Any]
    asks: list[list[Request]] = field(default_factory=list)

    def ask(self, requests: Sequence[Request], **_: Any) -> list[Answer]:
        self.asks.append(list(requests))
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Answer:
        said = self.say(request)
        told: dict[str, Any] = {"text": said if isinstance(said, str) else ""}
        if isinstance(said, tuple):
            told |= {"embedding": said}
        elif isinstance(said, Exception):
            told |= {"error": str(said)}
        return Answer(
            uuid4(), prompt_tokens=10, completion_tokens=2, cost_usd=Decimal("0.01"), latency_ms=5.0, **told
        )


@pytest.fixture
def engineer(organization: object) -> Caller:
    return Caller(organization.id, "erin", Role.ENGINEER)


@pytest.fixture
def freeze(transaction: Callable[..., Any], engineer: Caller) -> Callable[..., versions.Version]:
    """Freeze pairs of question and answer as a dataset with one split: `freeze([("Why?", "Because.")])`."""

    def make(
        pairs: Sequence[tuple[str, str]],
        split: str = "validation",
        name: str = "vat",
        agent: str = "tax-advisor",
    ) -> versions.Version:
        shares = {f"{known}_share": float(known == split) for known in ("train", "validation", "test")}
        with transaction() as session:
            for question, answer in pairs:
                approved_example(session, agent_id=agent, input_text=question, expected_output=answer)
            return versions.freeze(session, engineer, name, Rules(**shares))

    return make


@pytest.fixture
def new_prompt(transaction: Callable[..., Any]) -> Callable[..., UUID]:
    """Store a prompt version of "tax-advisor": `new_prompt("Answer in one word.")`."""

    def store(instruction: str = "Answer.", number: int = 1) -> UUID:
        prompt = Prompt.from_text(instruction)
        values = {"number": number, "messages": to_json(prompt.told()).decode(), "hash": prompt.content_hash}
        with transaction() as session:
            return session.execute(text(PROMPT), values).scalar_one()

    return store


PROMPT = """
INSERT INTO prompt_versions (agent_id, number, key, messages, content_hash, author, reason)
SELECT id, :number, 'v' || :number, CAST(:messages AS jsonb), :hash, 'erin', 'a try'
FROM agents WHERE key = 'tax-advisor' RETURNING id
"""
