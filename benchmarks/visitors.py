"""People at the dashboard: `visit` opens their sessions from a process of its own and times their waits.

Each session is a websocket that speaks Streamlit's protocol. It asks for a page, reads what comes until the
script has finished, thinks for a while, asks for the next.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.util import calc_hash
from websockets.asyncio.client import ClientConnection, connect

JUDGE = "review"
PAGES = {
    "": 0.25,
    "feedback": 0.2,
    "issues": 0.15,
    JUDGE: 0.2,
    "review?view_of_review=Agreement": 0.05,
    "review?view_of_review=Examples": 0.05,
    "datasets": 0.1,
}
"""Address of a page -> its share of the visits.

Without sign-in all visitors are one person, who holds the same examples in every window: one that leaves
Review gives them back, and the next that runs claims again.
"""

PATIENCE_S = 120.0


class Tour(NamedTuple):
    """How many people visit, for how long, and how long (mean) they think."""

    port: int
    sessions: int
    seconds: float
    think_s: float
    seed: int
    pages: dict[str, float] = PAGES
    """Where to, by shares; the first of them comes first."""


@dataclass
class Visits:
    """What they saw: how long each page took (s), and how many showed an error or never finished."""

    waits: list[float] = field(default_factory=list)
    broken: int = 0


def visit(tour: Tour) -> Visits:
    """Send visitors, from a process of its own, and return what they saw."""
    command = [sys.executable, "-m", "benchmarks.visitors"]
    done = subprocess.run(command, input=json.dumps(tour), stdout=subprocess.PIPE, text=True, check=True)
    return Visits(**json.loads(done.stdout))


def first_page(port: int) -> float:
    """Open one session and return at what time (time.perf_counter) its first page was complete."""

    async def look() -> float:
        async with session(port) as connection:
            if not await shows(connection, ""):
                raise RuntimeError("The first page shows an error.")
            return time.perf_counter()

    return asyncio.run(look())


def session(port: int) -> connect:
    """Connect as a browser does."""
    return connect(
        f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"], max_size=None, open_timeout=60
    )


async def shows(connection: ClientConnection, page: str) -> bool:
    """Ask for a page, read until its script has finished, and return whether it is free of errors."""
    path, _, query = page.partition("?")
    request = BackMsg()
    request.rerun_script.page_script_hash = calc_hash(path)
    request.rerun_script.query_string = query
    request.rerun_script.is_history_navigation = True  # the address decides, not what was chosen before
    await connection.send(request.SerializeToString())
    healthy = True
    async for data in connection:
        message = ForwardMsg.FromString(data)
        healthy = healthy and not is_trouble(message)
        if message.WhichOneof("type") == "script_finished":
            if message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                continue
            return healthy and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
    return False


def is_trouble(message: ForwardMsg) -> bool:
    """Return whether a message puts an error on the page, or says that there is no such page."""
    kind = message.WhichOneof("type")
    if kind == "delta":
        return message.delta.new_element.WhichOneof("type") == "exception"
    return kind == "page_not_found"


async def go_on_tour(tour: Tour) -> Visits:
    """Let everybody visit until the time is up; a page that is being waited for is waited for."""
    visits = Visits()
    ends = time.monotonic() + tour.seconds
    people = [
        stay(tour, random.Random(f"{tour.seed} {number}"), ends, visits) for number in range(tour.sessions)
    ]
    await asyncio.gather(*people)
    return visits


async def stay(tour: Tour, rng: random.Random, ends: float, visits: Visits) -> None:
    """Visit page after page in one session. The first is not timed: it waits for everybody's arrival."""
    await asyncio.sleep(rng.uniform(0, tour.think_s))
    async with session(tour.port) as connection:
        await look_at(connection, next(iter(tour.pages)), visits)
        while True:
            await asyncio.sleep(rng.expovariate(1 / tour.think_s))
            if time.monotonic() >= ends:
                return
            [page] = rng.choices(list(tour.pages), list(tour.pages.values()))
            begun = time.perf_counter()
            await look_at(connection, page, visits)
            visits.waits.append(time.perf_counter() - begun)


async def look_at(connection: ClientConnection, page: str, visits: Visits) -> None:
    """Ask for a page and note if it shows an error or does not come."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            is_whole = await shows(connection, page)
    except TimeoutError:
        is_whole = False
    visits.broken += not is_whole  # in one step: others count as well while this one waits


def main() -> None:
    """Read a tour from standard input, go on it, print what was seen."""
    tour = Tour(*json.loads(sys.stdin.read()))
    print(json.dumps(asdict(asyncio.run(go_on_tour(tour)))))


if __name__ == "__main__":
    main()
