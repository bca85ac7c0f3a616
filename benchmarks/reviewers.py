"""Reviewers over HTTP: `crowd` starts some in a process of their own, where they can be killed.

Each has a key, a connection and one request on its way. They judge until they are told that it is over, or
only claim and give back, or only read, for so many seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from benchmarks.writers import PATIENCE_S

QUEUE = "/api/learning/annotations/queue"
ANNOTATIONS = "/api/learning/annotations"
PLAIN = "/api/learning/benchmark/plain"
"""Where `benchmarks.plain_read` answers with one pending row."""

DRAIN, CLAIM, READ = "drain", "claim", "read"
IDLE_S = 0.1
"""How long somebody waits who was given nothing, before asking again."""


@dataclass(frozen=True)
class Orders:
    """What a crowd is to do."""

    port: int
    names: Sequence[str]
    keys: Sequence[str]
    task: str
    """DRAIN: claim three and judge each. CLAIM: claim one and give it back. READ: read one pending row."""
    seconds: float = 0.0
    think_s: float = 0.0
    """Mean pause between requests of CLAIM and READ."""
    notes: str = ""
    """File for a line per acknowledged judgement: reviewer and example."""
    over: str = ""
    """DRAIN ends when this file exists."""


@dataclass
class Tally:
    """What became of it."""

    statuses: dict[str, int] = field(default_factory=dict)
    """Request and status -> how often."""
    waits_s: dict[str, list[float]] = field(default_factory=dict)
    """Request -> how long each answer took."""
    seconds: float = 0.0

    @property
    def refused(self) -> dict[str, int]:
        """Return the answers that were no success."""
        return {named: n for named, n in self.statuses.items() if not named.split()[1].startswith("2")}


@contextmanager
def crowd(orders: Orders) -> Iterator[subprocess.Popen[str]]:
    """Start reviewers in a process of their own; afterwards it is gone."""
    command = [sys.executable, "-m", "benchmarks.reviewers"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    process.stdin.write(json.dumps(asdict(orders)))
    process.stdin.close()
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def tally_of(process: subprocess.Popen[str]) -> Tally:
    """Wait for a crowd to finish and return what it counted."""
    assert process.stdout
    said = process.stdout.read()
    if process.wait():
        raise RuntimeError(f"The reviewers broke off with code {process.returncode}.")
    return Tally(**json.loads(said))


def drive(orders: Orders) -> Tally:
    """Run a crowd to its end and return what it counted."""
    with crowd(orders) as process:
        return tally_of(process)


def decision(name: str, example: str) -> str:
    """Return what somebody decides: one judgement in twenty, always the same, is a rejection."""
    drawn = int.from_bytes(hashlib.sha256(f"{name} {example}".encode()).digest()[:4])
    return "reject" if drawn % 20 == 0 else "approve"


class Reviewer:
    """One person with a connection."""

    def __init__(self, orders: Orders, place: int, tally: Tally, statuses: Counter[str]) -> None:
        self.orders, self.tally, self.statuses = orders, tally, statuses
        self.name = orders.names[place]
        self._head = (
            f" HTTP/1.1\r\nHost: 127.0.0.1:{orders.port}\r\nAuthorization: Bearer {orders.keys[place]}\r\n"
            "Content-Type: application/json\r\n"
        )
        self._rng = random.Random(self.name)

    async def work(self, begun: float, notes: TextIO | None) -> None:
        """Connect and do what was ordered."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.orders.port)
        ends = begun + self.orders.seconds
        try:
            if self.orders.task == DRAIN:
                await self._drain(notes)
            else:
                await self._go_on(ends)
        finally:
            self._writer.close()

    async def _drain(self, notes: TextIO | None) -> None:
        while not Path(self.orders.over).exists():
            given = await self._ask("claim", "GET", f"{QUEUE}?claim=true&limit=3")
            for item in given["items"]:
                example = item["example_id"]
                judgement = {"example_id": example, "decision": decision(self.name, example)}
                await self._ask("judge", "POST", ANNOTATIONS, json.dumps(judgement))
                if notes and self._succeeded:
                    notes.write(f"{self.name}\t{example}\n")
            if not given["items"]:
                await asyncio.sleep(IDLE_S)

    async def _go_on(self, ends: float) -> None:
        while True:
            await self._think(ends)
            if time.monotonic() >= ends:
                return
            if self.orders.task == READ:
                await self._ask("read", "GET", PLAIN)
                continue
            given = await self._ask("claim", "GET", f"{QUEUE}?claim=true&limit=1")
            if self._succeeded and len(given["items"]) != 1:
                self.statuses["claim gave-nothing"] += 1
            await self._think(ends)
            await self._ask("give_back", "DELETE", QUEUE)

    async def _think(self, until: float) -> None:
        if self.orders.think_s:
            thinking_s = self._rng.expovariate(1 / self.orders.think_s)
            await asyncio.sleep(max(0.0, min(thinking_s, until - time.monotonic())))

    async def _ask(self, what: str, method: str, path: str, body: str = "") -> Any:
        """Send a request, time it, and return what was answered."""
        request = f"{method} {path}{self._head}Content-Length: {len(body)}\r\n\r\n{body}"
        begun = time.perf_counter()
        self._writer.write(request.encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : head.find(b"\r\n", at)]) if at >= 0 else 0
        answer = await self._reader.readexactly(length)
        self.tally.waits_s.setdefault(what, []).append(time.perf_counter() - begun)
        status = head[9:12].decode()
        self.statuses[f"{what} {status}"] += 1
        self._succeeded = status.startswith("2")
        return json.loads(answer) if self._succeeded and answer else {"items": []}


async def carry_out(orders: Orders) -> Tally:
    """Let the reviewers in one by one, so that the server's processes share them; wait for the last."""
    begun = time.monotonic()
    tally, statuses = Tally(), Counter[str]()
    notes = Path(orders.notes).open("a", buffering=1) if orders.notes else None  # noqa: SIM115 - closed below
    async with asyncio.timeout(orders.seconds + 5 * PATIENCE_S), asyncio.TaskGroup() as group:
        for place in range(len(orders.keys)):
            reviewer = Reviewer(orders, place, tally, statuses)
            group.create_task(reviewer.work(begun, notes))
            await asyncio.sleep(0.002)
    if notes:
        notes.close()
    tally.statuses, tally.seconds = dict(statuses), time.monotonic() - begun
    return tally


def main() -> None:
    """Read orders from standard input, carry them out, print the tally."""
    import uvloop

    orders = Orders(**json.loads(sys.stdin.read()))
    print(json.dumps(asdict(uvloop.run(carry_out(orders)))))


if __name__ == "__main__":
    main()
