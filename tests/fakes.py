"""A served stand-in for an OpenAI-compatible model: a real HTTP server that answers by a script.

It counts what it delivered to clients that were still there, so a test can tell what was paid for twice.
`python -m tests.fakes PORT` serves one in a process of its own; GET /counts tells its figures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import re
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from uuid import uuid4

from learning_core.llm.requests import Model


@dataclass(frozen=True)
class Reply:
    """What the server answers when a text alone does not say it."""

    text: str | None = ""
    finish_reason: str = "stop"
    usage: Mapping[str, int] | str | None = "counted"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str = "scripted"
    latency_s: float | None = None
    raw: bytes | None = None


Script = Callable[[dict[str, Any]], "str | Reply"]


def echo(body: dict[str, Any]) -> str:
    """Answer with something that fits the schema where there is one, else with the question's last line."""
    if wanted := body.get("response_format"):
        return json.dumps(instance(wanted["json_schema"]["schema"]))
    return str(body["messages"][-1]["content"]).splitlines()[-1]


class ModelServer:
    """A model behind a port of this machine.

    Args:
        answer: Says what to answer to a request's body.
        latency_s: How long an answer takes.
        slots: How many are answered at a time; the others wait.
        most: How many may be there at a time; the others get a 429.
        models: Their names; without, one that no other server has, so that a courier knows nothing of it yet.
        errors: Status -> share (0-1) of the requests that get it, drawn with the seed, one by one.

    Attributes:
        log: The bodies of all requests, in the order they came.
        headers: Their headers.
        delivered: Request (as `content` names it) -> how often an answer reached a client still there.
        most_at_once: How many requests were there at the same time.
    """

    def __init__(
        self,
        answer: Script = echo,
        *,
        latency_s: float = 0.0,
        slots: int | None = None,
        most: int | None = None,
        errors: Mapping[int, float] | None = None,
        seed: int = 0,
        models: tuple[str, ...] = (),
        port: int = 0,
    ) -> None:
        self.answer = answer
        self.latency_s = latency_s
        self.errors = dict(errors or {})
        self.models = models or (f"fake-{uuid4().hex[:8]}",)
        self.most = most
        self.log: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.delivered: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.most_at_once = 0
        self._at_once = 0
        self._rng = random.Random(seed)
        self._slots = threading.BoundedSemaphore(slots or 10_000)
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def answers(self) -> int:
        """How many answers were delivered."""
        return self.delivered.total()

    @property
    def delivered_twice(self) -> dict[str, int]:
        """What was delivered more often than once."""
        return {content: times for content, times in self.delivered.items() if times > 1}

    def model(self, **overrides: Any) -> Model:
        """This server's model as a run would use it."""
        given = {"name": "fake", "provider": "fake", "base_url": self.base_url, "model": self.models[0]}
        return Model(**given | overrides)

    def start(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ for the handler

    def arrive(self, body: dict[str, Any], headers: dict[str, str]) -> int:
        """Note a request and return the status that it will get."""
        with self._lock:
            self.log.append(body)
            self.headers.append(headers)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            status = 429 if self.most and self._at_once > self.most else self._draw()
            self.statuses[status] += 1
            return status

    def _draw(self) -> int:
        left = self._rng.random()
        for status, share in self.errors.items():
            left -= share
            if left < 0:
                return status
        return 200

    def leave(self) -> None:
        with self._lock:
            self._at_once -= 1

    def note_delivery(self, body: dict[str, Any]) -> None:
        with self._lock:
            self.delivered[content(body)] += 1

    def compose(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the answer to a request."""
        with self._slots:
            if path.endswith("/embeddings"):
                time.sleep(self.latency_s)
                return 200, {}, json.dumps(_embeddings(body)).encode()
            said = self.answer(body)
            reply = Reply(said) if isinstance(said, str) else said
            time.sleep(self.latency_s if reply.latency_s is None else reply.latency_s)
        if reply.status != 200:
            return reply.status, dict(reply.headers), _error(reply.error)
        return 200, dict(reply.headers), reply.raw or json.dumps(_completion(body, reply)).encode()

    def counts(self) -> dict[str, Any]:
        return {
            "requests": len(self.log),
            "delivered": self.answers,
            "delivered_twice": len(self.delivered_twice),
            "statuses": self.statuses,
            "most_at_once": self.most_at_once,
        }


def content(body: Mapping[str, Any]) -> str:
    """Name a request by all that its answer depends on."""
    return json.dumps({key: body[key] for key in body if key != "response_format"}, sort_keys=True)


# ---------------------------------------------------------------- HTTP


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close the connections that clients keep open."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client hangs up."""


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if self.path == "/counts":
                self._write(200, {}, json.dumps(server.counts()).encode())
            elif self.path == "/v1/models":
                listed = [{"id": name, "object": "model"} for name in server.models]
                self._write(200, {}, json.dumps({"object": "list", "data": listed}).encode())
            else:
                self._write(404, {}, _error("no such path"))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = server.arrive(body, {name.lower(): value for name, value in self.headers.items()})
            try:
                if status != 200:
                    return self._write(status, {}, _error("drawn"))
                status, headers, answer = server.compose(self.path, body)
                if self._client_is_there():
                    self._write(status, headers, answer)
                    if status == 200:
                        server.note_delivery(body)
                else:
                    self.close_connection = True
            finally:
                server.leave()

        def _client_is_there(self) -> bool:
            readable, _, _ = select.select([self.connection], [], [], 0)
            return not readable or bool(self.connection.recv(1, socket.MSG_PEEK))

        def _write(self, status: int, headers: dict[str, str], answer: bytes) -> None:
            given = {"Content-Type": "application/json", "Content-Length": str(len(answer)), **headers}
            lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
            self.wfile.write(f"HTTP/1.1 {status} Scripted\r\n{lines}\r\n".encode() + answer)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "scripted"}}).encode()


# ---------------------------------------------------------------- what it says


def _completion(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    said = {"role": "assistant", "content": reply.text}
    told = {
        "id": "fake",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "message": said, "finish_reason": reply.finish_reason}],
    }
    usage = _usage(body, reply) if reply.usage == "counted" else reply.usage
    return told | ({"usage": usage} if usage is not None else {})


def _usage(body: dict[str, Any], reply: Reply) -> dict[str, int]:
    prompt = sum(tokens(str(message["content"])) + 4 for message in body["messages"])
    limit = body.get("max_tokens", body.get("max_completion_tokens", 10**6))
    completion = min(tokens(reply.text or ""), limit)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def tokens(text: str) -> int:
    """Count tokens as a real model does, more or less: four bytes each."""
    return math.ceil(len(text.encode(errors="replace")) / 4)


DIMENSIONS = 64


def embedding(text: str) -> list[float]:
    """Return the normalized bag of a text's words, hashed: the more words two texts share, the closer."""
    vector = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        vector[int.from_bytes(hashlib.sha256(word.encode()).digest()[:4]) % DIMENSIONS] += 1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


def _embeddings(body: dict[str, Any]) -> dict[str, Any]:
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    used = sum(map(tokens, texts))
    data = [{"object": "embedding", "index": i, "embedding": embedding(text)} for i, text in enumerate(texts)]
    return {"object": "list", "model": body["model"], "data": data, "usage": {"prompt_tokens": used}}


def instance(schema: Mapping[str, Any]) -> Any:
    """Return the smallest value that a JSON schema allows, as far as prompts need it."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if kind == "object":
        return {name: instance(part) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [instance(schema["items"])] * schema.get("minItems", 1)
    return {"string": "text", "integer": 1, "number": 0.5, "boolean": True}.get(kind)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("port", type=int)
    options.add_argument("--latency", type=float, default=0.0)
    options.add_argument("--slots", type=int, default=None)
    options.add_argument("--most", type=int, default=None)
    given = options.parse_args()
    with ModelServer(latency_s=given.latency, slots=given.slots, most=given.most, port=given.port) as server:
        print(server.base_url, flush=True)  # noqa: T201 - tells whoever started it where it is
        threading.Event().wait()


if __name__ == "__main__":
    main()
