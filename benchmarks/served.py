"""The model of a benchmark behind a port: the stand-in or a real one, with a count of what it is asked.

Whoever optimizes asks this port, whichever model answers: what each used is counted here, not told by them.
Scores that a benchmark wants for itself are asked without the port (`Served.say`), and not counted.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

import httpx

from benchmarks import standin
from benchmarks.ground import Options
from learning_core.datasets.content import DatasetExample
from learning_core.evaluation.checks import Evaluator, score
from learning_core.llm.requests import Model
from learning_core.llm.templates import Prompt
from learning_core.schema import ModelRole
from tests.fakes import ModelServer, content

TASK, WRITER = "task", "writer"
"""What the model is called when it answers questions and when it writes prompts."""
PATIENCE_S = 300.0
STANDIN_SLOTS = 16
PAUSES_S = (1.0, 4.0)
"""Before a real model is asked again that did not answer."""


Say: TypeAlias = Callable[[dict[str, Any]], str]
"""From a request's body to the answer's text."""


@dataclass
class Served:
    """A model behind a port.

    Attributes:
        say: Answers a request's body without the port.
        slots: How many requests it takes at a time.
        calls: Name of the model (`TASK`, `WRITER`) -> requests answered.
        contents: Request, by all that its answer depends on -> how often it was answered.
    """

    say: Say
    slots: int = 1
    calls: Counter[str] = field(default_factory=Counter)
    contents: Counter[str] = field(default_factory=Counter)
    address: str = "http://127.0.0.1:9/v1"
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, body: dict[str, Any]) -> str:
        """Answer a request and count it."""
        said = self.say(body)
        with self._lock:
            self.calls[body["model"]] += 1
            self.contents[content(body)] += 1
        return said

    def models(self) -> dict[ModelRole, Model]:
        """Return the models as a run uses them."""
        named = {ModelRole.TASK: TASK, ModelRole.PROPOSER: WRITER}
        return {
            role: Model(
                name, "bench", self.address, name, max_concurrency=self.slots, timeout_s=int(PATIENCE_S)
            )
            for role, name in named.items()
        }

    @property
    def repeated(self) -> int:
        """Return how many requests were answered before."""
        return self.contents.total() - len(self.contents)

    def forget(self) -> None:
        """Count from zero."""
        self.calls.clear()
        self.contents.clear()

    def scores(
        self, prompt: Prompt, examples: Sequence[DatasetExample], evaluator: Evaluator, max_tokens: int
    ) -> list[float]:
        """Return what a prompt's answers are worth, uncounted."""
        return score_all(self.say, self.slots, prompt, examples, evaluator, max_tokens)


@contextmanager
def serving(options: Options) -> Iterator[Served]:
    """Serve the model that the command line names, the stand-in without one."""
    if not options.base_url:
        served = Served(stand_in, STANDIN_SLOTS)
    else:
        served = Served(
            Relay(options.base_url, options.model, options.writer, options.key_name), options.slots
        )
    with ModelServer(served.answer) as server:
        served.address = server.base_url
        yield served


def score_all(
    say: Say,
    slots: int,
    prompt: Prompt,
    examples: Sequence[DatasetExample],
    evaluator: Evaluator,
    max_tokens: int,
) -> list[float]:
    """Return what a prompt's answers to examples are worth."""

    def one(example: DatasetExample) -> float:
        messages = prompt.render({"input": example.input_text, "context": example.context})
        body = {"model": TASK, "messages": messages, "max_tokens": max_tokens, "temperature": 0.0}
        return score(evaluator, say(body), example).value

    with ThreadPoolExecutor(slots) as threads:
        return list(threads.map(one, examples))


def stand_in(body: dict[str, Any]) -> str:
    """Answer as the stand-in does."""
    return standin.answer(body["messages"])


class Relay:
    """Passes requests on to a model elsewhere; what has one answer is asked there once.

    It sees the name that a benchmark gave the model and asks for the one that is meant.
    """

    def __init__(self, base_url: str, model: str, writer: str = "", key_name: str = "") -> None:
        self._models = {TASK: model, WRITER: writer or model}
        key = os.environ[key_name] if key_name else ""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=f"{base_url.rstrip('/')}/", headers=headers, timeout=PATIENCE_S)
        self._known: dict[str, str] = {}

    def __call__(self, body: dict[str, Any]) -> str:
        """Return the model's answer.

        Raises:
            httpx.HTTPError: there is none.
        """
        wanted = {**body, "model": self._models[body["model"]]}
        name = content(wanted) + json.dumps(wanted.get("response_format"))
        if wanted.get("temperature", 1) or name not in self._known:
            self._known[name] = self._ask(wanted)
        return self._known[name]

    def _ask(self, body: dict[str, Any]) -> str:
        for pause_s in PAUSES_S:
            try:
                return _text(self._client.post("chat/completions", json=body))
            except httpx.HTTPError:
                time.sleep(pause_s)
        return _text(self._client.post("chat/completions", json=body))


class Voice(Protocol):
    """How a contestant asks that has no exchange of its own."""

    def ask(
        self,
        model: str,
        messages: Sequence[Mapping[str, str]],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> str:
        """Return the answer to one request."""


@contextmanager
def speaking(served: Served) -> Iterator[Voice]:
    """Lend a voice that speaks over HTTP, like any client, for as long as the block lasts."""
    with httpx.Client(base_url=f"{served.address}/", timeout=PATIENCE_S) as client:

        def over_http(body: dict[str, Any]) -> str:
            return _text(client.post("chat/completions", json=body))

        yield Speaker(over_http)


def _text(response: httpx.Response) -> str:
    response.raise_for_status()
    return str(response.json()["choices"][0]["message"]["content"] or "")


class Speaker(NamedTuple):
    """A voice that says what it has to say to a function, which takes a request's body."""

    say: Say

    def ask(
        self,
        model: str,
        messages: Sequence[Mapping[str, str]],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> str:
        """Return the answer to one request."""
        body: dict[str, Any] = {"model": model, "messages": list(messages), "max_tokens": max_tokens}
        body |= {"temperature": temperature} | ({"seed": seed} if seed is not None else {})
        return self.say(body)
