"""Three hundred writers over HTTP while the database is killed five times, with every process it has.

The API runs as in operation, in two processes; a thread revives the database as the serving process does.
Writers send again, under the same id, what was refused with 503 or cut off, until it is acknowledged.

Proved: every acknowledged piece of feedback is there exactly once, nothing else is, nothing was refused for
good, and the roll-ups equal the rows. Measured: how long after each kill nothing could be stored.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from benchmarks import figures, ground, writers
from benchmarks.figures import Finding
from benchmarks.ground import Options
from benchmarks.writers import Orders, Tally
from learning_core import db, embedded
from learning_core.db import organization_session
from learning_core.settings import settings

NAME = "crash"


class Size(NamedTuple):
    """How many, how long."""

    clients: int
    kills: int
    between_kills_s: float


FULL = Size(clients=300, kills=5, between_kills_s=12)
QUICK = Size(clients=300, kills=2, between_kills_s=2)
REVIVAL_S = 4
"""What the schedule allows for an outage."""


def run(options: Options) -> list[Finding]:
    """Write, kill, revive; then count."""
    size = QUICK if options.quick else FULL
    db.migrate()
    organization = ground.new_organization("Durability")
    ground.report_executions(organization)
    notes = settings().home / "acknowledged.txt"
    with ground.api_server() as (_, port), revived():
        ends = (size.between_kills_s + REVIVAL_S) * size.kills + size.between_kills_s
        orders = Orders(port, ground.new_key(organization), size.clients, ends, NAME, 1, True, str(notes))
        with killed_regularly(size) as kills:
            tally = writers.drive(orders)
    db.engine().dispose()  # its connections died with the server
    acknowledged = read_notes(notes)
    outages = [longest_gap(sorted(acknowledged.values()), kill, ends) for kill, ends in spans(kills, size)]
    show(tally, kills, outages)
    return [
        figures.absolute("durability: nothing stored after a kill", outages, unit="s"),
        figures.proof("durability: kills that did not happen", size.kills - len(kills)),
        figures.proof("durability: writers refused for good, or never answered", given_up(tally)),
        *compare(acknowledged, organization),
    ]


@contextmanager
def revived() -> Iterator[None]:
    """Watch over the database as the serving process does."""
    stop = threading.Event()
    watcher = threading.Thread(target=embedded.watch, args=(stop,), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


@contextmanager
def killed_regularly(size: Size) -> Iterator[list[float]]:
    """Kill the database again and again beside the work; yield the moments (time.monotonic) as they come."""
    kills: list[float] = []
    over = threading.Event()

    def kill() -> None:
        while len(kills) < size.kills and not over.wait(size.between_kills_s):
            while ground.postmaster() is None and not over.wait(0.1):
                pass  # not revived yet
            kills.append(time.monotonic())
            ground.kill_database()

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield kills
    finally:
        over.set()
        thread.join()


def read_notes(notes: Path) -> dict[str, float]:
    """Return what was acknowledged: id and moment. An id acknowledged twice would be a mistake of ours."""
    acknowledged: dict[str, float] = {}
    for line in notes.read_text().splitlines():
        number, moment = line.split()
        id_ = f"{NAME}-{int(number):08x}-0"
        assert id_ not in acknowledged
        acknowledged[id_] = float(moment)
    return acknowledged


def spans(kills: Sequence[float], size: Size) -> list[tuple[float, float]]:
    """Return each kill with the moment of the next; the last has as much time again."""
    return list(pairwise([*kills, kills[-1] + 10 * size.between_kills_s])) if kills else []


def longest_gap(moments: Sequence[float], since: float, until: float) -> float:
    """Return the longest time without an acknowledgement that begins in a span.

    >>> longest_gap([1.0, 2.0, 5.0, 6.0, 16.0], 1.5, 6.0)
    4.0
    """
    first = max(0, bisect_right(moments, since) - 1)
    within = moments[first : bisect_right(moments, until) + 1]
    return max((later - earlier for earlier, later in pairwise(within) if earlier < until), default=0.0)


def given_up(tally: Tally) -> int:
    """Count the requests that got an answer other than 2xx and 503, or none."""
    retried = {status: n for status, n in tally.statuses.items() if not status.startswith("2")}
    retried.pop("503", None)
    return sum(retried.values()) + tally.unanswered


def compare(acknowledged: dict[str, float], organization: UUID) -> list[Finding]:
    """Compare what was acknowledged with what is there."""
    with organization_session(organization) as session:
        stored = list(session.execute(text("SELECT key FROM agent_feedback")).scalars())
    there = set(stored)
    return [
        figures.proof("durability: acknowledged but not there", len(acknowledged.keys() - there)),
        figures.proof("durability: there but never acknowledged", len(there - acknowledged.keys())),
        figures.proof("durability: there twice", len(stored) - len(there)),
        figures.proof("durability: wrong rows of the roll-ups", ground.wrong_counts(organization)),
    ]


def show(tally: Tally, kills: Sequence[float], outages: Sequence[float]) -> None:
    """Print what happened."""
    refused = tally.statuses.get("503", 0)
    print(
        f"{tally.acknowledged:,} acknowledged in {tally.seconds:.0f} s by way of {refused:,} answers 503 and"
        f" {tally.cut_off:,} lost connections; {len(kills)} kills, {sum(outages):.1f} s of outage"
    )
    print(f"answers: {tally.statuses}")
