"""A crowd of HTTP clients that give feedback: `drive` lets one loose, in a process of its own, and counts.

Cheap on purpose, as it shares the cores with what it measures: requests are made beforehand but for their
numbers, and of an answer only the status is read. Each client has one connection and one request on its way.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

AGENT = "tax-advisor"
KNOWN_EXECUTIONS = 1_000
"""How many executions of the agent are reported beforehand; feedback goes to one after the other."""

NUMBER = b"@number@"
"""Stands for the number of the request in a request made beforehand; as wide as eight hexadecimal digits."""

PATIENCE_S = 120.0
"""How long after its time is up a crowd waits for its last answers."""


@dataclass(frozen=True)
class Orders:
    """What a crowd is to do."""

    port: int
    key: str
    clients: int
    seconds: float
    name: str
    """Begins every id, so that no two crowds send the same."""
    rows: int = 1
    """Pieces of feedback in a request; more than one go to the batch route."""
    insist: bool = False
    """Send again, under the same id, what was refused with 503 or cut off."""
    notes: str = ""
    """File for a line per acknowledged request: its number and the moment (time.monotonic)."""


@dataclass
class Tally:
    """What became of it."""

    requests: int = 0
    acknowledged: int = 0
    """Rows answered with 2xx."""
    statuses: dict[str, int] = field(default_factory=dict)
    cut_off: int = 0
    """Requests whose connection ended before their answer."""
    unanswered: int = 0
    """Requests without an answer when patience ended."""
    seconds: float = 0.0
    """From the first request to the last answer."""
    cpu_s: float = 0.0

    @property
    def rate(self) -> float:
        """Return acknowledged rows per second."""
        return self.acknowledged / self.seconds

    @property
    def failures(self) -> int:
        """Return how many requests got no answer, or another than 2xx."""
        refused = sum(n for status, n in self.statuses.items() if not status.startswith("2"))
        return refused + self.cut_off + self.unanswered


def drive(orders: Orders) -> Tally:
    """Run a crowd in a process of its own and return what it counted."""
    command = [sys.executable, "-m", "benchmarks.writers"]
    done = subprocess.run(
        command, input=json.dumps(asdict(orders)), stdout=subprocess.PIPE, text=True, check=True
    )
    return Tally(**json.loads(done.stdout))


def execution_key(agent: str, number: int) -> str:
    """Return the key of an execution that was reported beforehand."""
    return f"{agent}-{number:04d}"


def entry(name: str, row: str, execution: str) -> dict[str, Any]:
    """Return the piece of feedback that every benchmark of writing writes."""
    return {
        "id": f"{name}-{NUMBER.decode()}-{row}",
        "execution_id": execution,
        "agent_id": AGENT,
        "feedback_type": "star_rating",
        "user_id": f"user-{name}-{NUMBER.decode()}-{row}",
        "rating": 4,
        "dimensions": {"accuracy": 5},
        "issue_categories": ["incomplete"],
        "feedback_text": "Correct, but it leaves out the deadline for the annual return.",
    }


def requests_of(orders: Orders) -> list[bytes]:
    """Return the requests that the crowd cycles through, complete but for their numbers."""
    executions = [execution_key(AGENT, number) for number in range(KNOWN_EXECUTIONS)]
    if orders.rows == 1:
        return [_request(orders, "feedback", entry(orders.name, "0", key)) for key in executions]
    batch = [entry(orders.name, str(row), executions[row % len(executions)]) for row in range(orders.rows)]
    return [_request(orders, "feedback/batch", batch)]


def _request(orders: Orders, route: str, content: object) -> bytes:
    body = json.dumps(content).encode()
    head = (
        f"POST /api/learning/{route} HTTP/1.1\r\nHost: 127.0.0.1:{orders.port}\r\n"
        f"Authorization: Bearer {orders.key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Crowd:
    """The clients together: which request is next, what was answered, when it is over."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.tally = Tally()
        self.statuses: Counter[int] = Counter()
        self.over = asyncio.Event()
        self._templates = requests_of(orders)
        self._notes = Path(orders.notes).open("w") if orders.notes else None  # noqa: SIM115 - closed by `run`
        self._clients_at_work = 0
        self._ends = 0.0

    async def run(self) -> Tally:
        """Let the clients in one by one, so that the server's processes share them; wait for the last."""
        begun, cpu_before_s = time.monotonic(), time.process_time()
        self._ends = begun + self.orders.seconds
        self._clients_at_work = self.orders.clients
        for _ in range(self.orders.clients):
            connect(Client(self))
            await asyncio.sleep(0.002)
        try:
            await asyncio.wait_for(self.over.wait(), self.orders.seconds + PATIENCE_S)
        except TimeoutError:
            self.tally.unanswered = self._clients_at_work
        if self._notes:
            self._notes.close()
        self.tally.seconds = time.monotonic() - begun
        self.tally.statuses = {str(status): n for status, n in self.statuses.items()}
        self.tally.cpu_s = time.process_time() - cpu_before_s
        return self.tally

    def next_request(self) -> tuple[int, bytes] | None:
        """Return the next request and its number, None when time is up."""
        if time.monotonic() >= self._ends:
            return None
        number = self.tally.requests
        self.tally.requests += 1
        template = self._templates[number % len(self._templates)]
        return number, template.replace(NUMBER, b"%08x" % number)

    def note(self, number: int, status: int) -> bool:
        """Count an answer and return whether its request is done with."""
        self.statuses[status] += 1
        if 200 <= status < 300:
            self.tally.acknowledged += self.orders.rows
            if self._notes:
                self._notes.write(f"{number} {time.monotonic():.4f}\n")
        return not (self.orders.insist and status == 503)

    def leave(self) -> None:
        """Let one client go; with the last one it is over."""
        self._clients_at_work -= 1
        if not self._clients_at_work:
            self.over.set()


class Client(asyncio.Protocol):
    """One client: sends a request, waits for its answer, sends the next."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.number = -1
        self.request = b""
        self.answer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what is still to be sent, or the first request."""
        self.transport = cast(asyncio.Transport, transport)
        self.answer = b""
        if self.request:
            self.transport.write(self.request)
        else:
            self.send_next()

    def send_next(self) -> None:
        """Send the next request, or leave."""
        if self.transport is None:
            return
        following = self.crowd.next_request()
        if following:
            self.number, self.request = following
            self.transport.write(self.request)
        else:
            self.request = b""
            self.transport.close()

    def send_again(self) -> None:
        """Send the same request once more, unless the connection has been lost, which does the same."""
        if self.transport:
            self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Read the status of a complete answer and go on."""
        self.answer += data
        if not is_complete(self.answer):
            return
        status = int(self.answer[9:12])
        self.answer = b""
        if self.crowd.note(self.number, status):
            self.send_next()
        else:
            asyncio.get_running_loop().call_later(RETRY_S, self.send_again)

    def connection_lost(self, _: Exception | None) -> None:
        """Leave if nothing waits for its answer; else count it, and insist on it or go on to the next."""
        self.transport = None
        if not self.request:
            self.crowd.leave()
            return
        self.crowd.tally.cut_off += 1
        if not self.crowd.orders.insist:
            self.request = b""
        connect(self, RETRY_S)


RETRY_S = 0.1


def connect(client: Client, after_s: float = 0.0) -> None:
    """Open a client's connection, trying until the server lets it in."""

    async def keep_trying() -> None:
        await asyncio.sleep(after_s)
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.create_connection(lambda: client, "127.0.0.1", client.crowd.orders.port)
                return
            except OSError:
                await asyncio.sleep(RETRY_S)

    task = asyncio.get_running_loop().create_task(keep_trying())
    connecting.add(task)
    task.add_done_callback(connecting.discard)


connecting: set[asyncio.Task[None]] = set()
"""Held here, as a loop holds its tasks only weakly."""


def is_complete(answer: bytes) -> bool:
    r"""Return whether an answer has arrived with all its body.

    >>> is_complete(b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{")
    False
    >>> is_complete(b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}")
    True
    """
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return False
    at = answer.lower().find(b"content-length:", 0, head)
    length = int(answer[at + 15 : answer.find(b"\r\n", at)]) if at >= 0 else 0
    return len(answer) >= head + 4 + length


def main() -> None:
    """Read orders from standard input, carry them out, print the tally."""
    import uvloop

    orders = Orders(**json.loads(sys.stdin.read()))

    async def carry_out() -> Tally:
        return await Crowd(orders).run()

    print(json.dumps(asdict(uvloop.run(carry_out()))))


if __name__ == "__main__":
    main()
