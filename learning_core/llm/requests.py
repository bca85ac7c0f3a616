"""What is asked of a model and what comes back, the hash by which a call is known, and what it may cost."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any
from uuid import UUID

MESSAGE_TOKENS = 16
"""What a message costs beside its text, at most."""
TEMPLATE_TOKENS = 128
"""What a model's chat template adds of its own, such as a system message where there is none, at most."""
MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class Model:
    """A model as a run uses it: all that its answers and their price depend on, and how to reach it.

    A price that is None is unknown; a local model's is zero.
    """

    name: str
    provider: str
    base_url: str
    model: str
    key_name: str | None = None
    input_usd_per_million: Decimal | None = None
    output_usd_per_million: Decimal | None = None
    max_concurrency: int = 8
    timeout_s: int = 60
    structured_output: bool = True

    def price(self, prompt_tokens: int, completion_tokens: int) -> Decimal:
        """Return what so many tokens cost, in US dollars; 0 where the price is unknown."""
        input_usd = self.input_usd_per_million or Decimal(0)
        output_usd = self.output_usd_per_million or Decimal(0)
        return (input_usd * prompt_tokens + output_usd * completion_tokens) / MILLION

    def told(self) -> dict[str, Any]:
        """Return the JSON form that a run keeps."""
        return {
            name: str(value) if isinstance(value, Decimal) else value for name, value in asdict(self).items()
        }

    @classmethod
    def read(cls, told: dict[str, Any]) -> Model:
        """Return the model that its JSON form stands for."""
        prices = ("input_usd_per_million", "output_usd_per_million")
        amounts = {name: Decimal(told[name]) for name in prices if told.get(name) is not None}
        return cls(**{**told, **amounts})


@dataclass(frozen=True)
class Request:
    """One question to a model.

    Attributes:
        role: What the model is used for: task, proposer, judge or embedding.
        messages: As `Prompt.render` returns them; for an embedding, one message whose content is embedded.
        max_tokens: The longest answer.
        temperature: 0 asks for the likeliest answer; identical questions then have one answer.
        seed: Sent along where the model draws.
        schema: A JSON schema that the answer must follow, where the model can be held to one.
        draw: Tells apart questions that are alike on purpose, where several different answers are wanted.
    """

    role: str
    model: Model
    messages: tuple[tuple[str, str], ...]
    max_tokens: int = 512
    temperature: float = 0.0
    seed: int | None = None
    schema: dict[str, Any] | None = None
    draw: int = 0

    def content_hash(self, scope: UUID | None = None) -> str:
        """Return the hash of all that the answer depends on, and of a run whose calls are its own."""
        content = {
            "base_url": self.model.base_url,
            "model": self.model.model,
            "embedding": self.role == "embedding",
            "messages": self.messages,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "seed": self.seed,
            "schema": self.schema,
            "draw": self.draw,
            "scope": str(scope) if scope else None,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def most_tokens(self) -> int:
        """Return how many tokens the call can take at most: no token is shorter than one byte."""
        return self.most_prompt_tokens + (0 if self.role == "embedding" else self.max_tokens)

    @property
    def most_prompt_tokens(self) -> int:
        """Return how many tokens the question can have at most."""
        schema = len(json.dumps(self.schema)) if self.schema else 0
        return TEMPLATE_TOKENS + schema + self.prompt_bytes + MESSAGE_TOKENS * len(self.messages)

    @property
    def prompt_bytes(self) -> int:
        """Return how long the question's text is."""
        return sum(len(content.encode()) for _, content in self.messages)

    @property
    def most_usd(self) -> Decimal:
        """Return what the call can cost at most."""
        return self.model.price(self.most_prompt_tokens, self.most_tokens - self.most_prompt_tokens)

    def told(self) -> dict[str, Any]:
        """Return the JSON form that is stored with the call; with it the call can be repeated."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return own | {"model": self.model.told()}

    @classmethod
    def read(cls, told: dict[str, Any]) -> Request:
        """Return the request that its JSON form stands for."""
        messages = tuple((speaker, content) for speaker, content in told["messages"])
        return cls(**told | {"model": Model.read(told["model"]), "messages": messages})


@dataclass(frozen=True)
class Answer:
    """What a model answered, and what that took; or the error for which it gave up.

    Attributes:
        call_id: The stored call.
        text: The answer; empty where there is an error or an embedding.
        embedding: The vector, for an embedding.
        error: Why there is no answer, in words; None otherwise.
        reused: Whether it came from the store and cost nothing now.
    """

    call_id: UUID
    text: str
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal
    latency_ms: float
    embedding: tuple[float, ...] | None = None
    error: str | None = None
    reused: bool = False


def as_messages(rendered: Sequence[dict[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return rendered messages in the form a request holds them, with what cannot be stored replaced."""
    return tuple((message["role"], storable(message["content"])) for message in rendered)


def storable(content: str) -> str:
    """Return a text with each character that neither JSON in UTF-8 nor the database can hold replaced."""
    return UNSTORABLE.sub("\ufffd", content)


UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
