"""A scripted agent asks what each user gets, answers, and reports what users say; nobody else acts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from learning_core.experiments import allocations
from learning_core.releases import ledger, measurement, queries
from learning_core.releases.impact import Direction, Way
from learning_core.releases.stages import Action, Decision
from learning_core.schema import AllocationKind, ReleaseStatus
from tests.releases.rollouts import AGENT, Manner, Rollouts, after, fix_salt, settle

V1 = Manner(4.0, failed=0.005)
BETTER = {"v1": V1, "v2": Manner(4.4, failed=0.005)}
FAILING = {"v1": V1, "v2": Manner(4.0, failed=0.25)}
ANNOYING = {"v1": V1, "v2": Manner(2.9)}

Advance = Callable[[Any, float], Decision]


@pytest.fixture
def bench(organization, monkeypatch):
    fix_salt(monkeypatch)
    return settle(organization)


# ---------------------------------------------------------------- a worker that is killed


class Stopped(NamedTuple):
    """A process that stands still in the middle of a check, after so many statements."""

    pid: int
    statements: int


class Worker:
    """A process that checks releases, each time in a child that stops where it is told to."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", WORKER]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.kills = 0

    def stop_in(self, bench: Rollouts, release_id: Any, hours: float, statements: int | None) -> Stopped:
        """Check a release up to that statement; without, up to the moment before the commit."""
        wish = {
            "organization": str(bench.organization_id),
            "release": str(release_id),
            "at": after(hours).isoformat(),
            "statements": statements,
        }
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(wish) + "\n")
        self.process.stdin.flush()
        return Stopped(**json.loads(self.process.stdout.readline()))

    def kill(self, stopped: Stopped) -> None:
        os.kill(stopped.pid, signal.SIGKILL)
        self.kills += 1

    def close(self) -> None:
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0


WORKER = """
import json, os, sys, time
from datetime import datetime
from uuid import UUID

import scipy.special, scipy.optimize
from sqlalchemy import event

from learning_core import db
from learning_core.releases import rollout

def check(wish):
    done = 0
    def stand_still():
        print(json.dumps({"pid": os.getpid(), "statements": done}), flush=True)
        time.sleep(600)
    def count(*_):
        nonlocal done
        done += 1
        if done == wish["statements"]:
            stand_still()
    with db.organization_session(UUID(wish["organization"])) as session:
        event.listen(db.engine(), "after_cursor_execute", count)
        rollout.advance(session, UUID(wish["release"]), datetime.fromisoformat(wish["at"]))
        stand_still()

db.application_url()
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        check(json.loads(line))
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def worker(database) -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


@pytest.fixture
def through_kills(bench, worker) -> Advance:
    """Check a release after a worker was killed three times over the same check."""

    def advance(release_id, hours):
        before = standing(bench, release_id)
        last = worker.stop_in(bench, release_id, hours, None)
        worker.kill(last)
        for part in (last.statements // 3, 2 * last.statements // 3):
            worker.kill(worker.stop_in(bench, release_id, hours, part))
        assert standing(bench, release_id) == before
        return bench.advance(release_id, hours)

    return advance


def standing(bench, release_id) -> tuple[Any, ...]:
    """Return all that a check could change."""
    with bench.session() as session:
        kinds = (AllocationKind.CANARY, AllocationKind.WATCH)
        allocated = [allocations.of_release(session, release_id, kind) for kind in kinds]
        events = [tuple(event) for event in queries.history(session, release_id)]
    return bench.find(release_id), allocated, events, bench.gets()


# ---------------------------------------------------------------- the stories


class Outcome(NamedTuple):
    """What a story comes to: status, version in production, what happened when, who met what in the end."""

    status: ReleaseStatus
    production: str | None
    happened: list[tuple[Any, ...]]
    gets: set[str]


def tell(bench: Rollouts, advance: Advance, *manners: dict[str, Manner]) -> tuple[Any, Outcome]:
    """Let a release run by itself; users fare as the manners of its stages say."""
    release_id = bench.start(approved=True)
    first, second, third = (*manners, *[manners[-1]] * 3)[:3]
    for live, then in (
        ((0.1, first, 800, 4), 24.0),
        ((25.0, second, 800, 2), 72.0),
        ((73.0, third, 150, 2), 74.0),
        ((300.0, third, 100, 1), 72.0 + 336),
    ):
        hours, manner, users, answers = live
        bench.live(hours, manner, users=users, answers=answers)
        if advance(release_id, then).action is Action.ROLL_BACK:
            break
    found = bench.find(release_id)
    with bench.session() as session:
        happened = [(one.kind, one.at, one.actor) for one in queries.history(session, release_id)]
    gets = {bench.gets(f"user-{number}") for number in range(40)}
    return release_id, Outcome(found.status, found.production, happened, gets)


WAYS = {
    "good": (BETTER,),
    "fails at once": (FAILING,),
    "annoys a quarter": (BETTER, ANNOYING),
    "fails for everybody": (BETTER, BETTER, FAILING),
}
OUTCOMES = {
    "good": Outcome(
        ReleaseStatus.COMPLETED,
        "v2",
        [
            ("approved", after(0), "Edda"),
            ("started", after(0), "Edda"),
            ("promoted", after(24), "schedule"),
            ("promoted", after(72), "schedule"),
            ("completed", after(72 + 336), "schedule"),
        ],
        {"v2"},
    ),
    "fails at once": Outcome(
        ReleaseStatus.ROLLED_BACK,
        "v1",
        [
            ("approved", after(0), "Edda"),
            ("started", after(0), "Edda"),
            ("rolled_back", after(24), "guardrail"),
        ],
        {"v1"},
    ),
    "annoys a quarter": Outcome(
        ReleaseStatus.ROLLED_BACK,
        "v1",
        [
            ("approved", after(0), "Edda"),
            ("started", after(0), "Edda"),
            ("promoted", after(24), "schedule"),
            ("rolled_back", after(72), "guardrail"),
        ],
        {"v1"},
    ),
    "fails for everybody": Outcome(
        ReleaseStatus.ROLLED_BACK,
        "v1",
        [
            ("approved", after(0), "Edda"),
            ("started", after(0), "Edda"),
            ("promoted", after(24), "schedule"),
            ("promoted", after(72), "schedule"),
            ("rolled_back", after(74), "guardrail"),
        ],
        {"v1"},
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_release_runs_by_itself_to_its_end_and_so_it_does_when_its_worker_is_killed_at_every_step(
    bench, worker, through_kills, way
):
    kills = worker.kills
    _, outcome = tell(bench, through_kills, *WAYS[way])
    assert outcome == OUTCOMES[way]
    steps = {"good": 4, "fails at once": 1, "annoys a quarter": 2, "fails for everybody": 3}
    assert worker.kills - kills == 3 * steps[way]


def test_one_after_the_other_a_good_one_stays_a_bad_one_goes_and_the_ledger_shows_both(bench):
    good, outcome = tell(bench, bench.advance, BETTER)
    assert outcome == OUTCOMES["good"]
    hours = 420.0
    bad = bench.start("v3", at=after(hours), approved=True)
    bench.live(hours + 0.1, {"v2": Manner(4.4), "v3": Manner(2.9)}, users=1200)
    assert bench.gets("user-1") == "v2"
    assert bench.advance(bad, hours + 1).action is Action.ROLL_BACK
    assert {bench.gets(f"user-{number}") for number in range(40)} == {"v2"}
    with bench.session() as session:
        for release_id in (good, bad):
            measurement.measure(session, release_id, after(hours + 2))
        shown = {entry.release.id: entry for entry in ledger.entries(session, AGENT)}
    assert set(shown) == {good, bad}
    for release_id, direction in ((good, Direction.BETTER), (bad, Direction.WORSE)):
        comparison, change = shown[release_id].impact.best("satisfaction")
        assert comparison.way is Way.SIDE_BY_SIDE
        assert change.direction is direction
    assert shown[good].release.status == ReleaseStatus.COMPLETED
    assert shown[bad].release.status == ReleaseStatus.ROLLED_BACK
