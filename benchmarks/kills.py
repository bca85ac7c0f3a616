"""Is anything lost or paid twice when the process of an optimization is killed again and again?

An order is carried out undisturbed; the same order, in another organisation, by a process that is killed with
SIGKILL at random moments and started again each time, until it was killed often enough and may finish. The
model is served by this process, which lives through all of it and counts.

Proved: both come to the same result, candidate for candidate and score for score; no request was answered
twice; both spent the same on what was answered.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from benchmarks import figures, ground, samples, standin
from benchmarks.figures import Finding
from benchmarks.furnished import PRICE, Furnished, furnish
from benchmarks.ground import Options
from benchmarks.samples import Sample
from learning_core import db
from learning_core.background import Cap, Run
from learning_core.background.rows import Spent
from learning_core.db import organization_session
from learning_core.schema import ModelRole
from tests.fakes import ModelServer

LATENCY_S = 0.03
SLOTS = 8
SEED = 1
LATEST = 0.98
"""Share (0-1) of all answers by which the last kill is due."""
AFTERWARDS_S = 0.3
"""A kill comes up to so long after the answer that it was waiting for."""
PATIENCE_S = 300.0


class Size(NamedTuple):
    """How often it is killed, and what it has to do: examples for all purposes, and calls at most.

    There are more calls than a search takes that settles: one that is cut short by its cap ends elsewhere
    where a kill has cost a call.
    """

    kills: int
    examples: int
    calls: int


FULL = Size(kills=20, examples=300, calls=1000)
QUICK = Size(kills=3, examples=60, calls=400)


class Told(NamedTuple):
    """All that a run left behind, but for times and ids.

    Attributes:
        spent: What its book says.
        lost: Of that, what is booked for calls of which nobody knows whether they were answered.
        reserved_calls: Calls still on their way; none, once it is over.
    """

    result: dict[str, Any]
    spent: Spent
    lost: Spent
    candidates: list[dict[str, Any]]
    scores: list[dict[str, Any]]
    reserved_calls: int


@dataclass
class Life:
    """How a run went: what it left, what was answered, and how often it was killed in the middle."""

    told: Told
    answers: int
    answered_twice: int
    kills: int = 0
    starts: int = 1
    seconds: float = field(default=0.0)


def run(options: Options) -> list[Finding]:
    """Carry one order out undisturbed and another under fire, and compare."""
    size = QUICK if options.quick else FULL
    db.migrate()
    sample = samples.draw(samples.generated()[0], SEED)
    undisturbed = live(sample, size, [])
    moments = draw_moments(size.kills, undisturbed.answers)
    killed = live(sample, size, moments)
    show(undisturbed, killed)
    return [
        figures.proof("kills: that did not happen", size.kills - killed.kills),
        *compare(undisturbed, killed),
    ]


def draw_moments(kills: int, answers: int) -> list[int]:
    """Return after how many answers each kill is due."""
    rng = random.Random(SEED)
    return sorted(rng.sample(range(int(LATEST * answers)), kills))


def live(sample: Sample, size: Size, moments: Sequence[int]) -> Life:
    """Carry out an order in an organisation of its own, killed at these moments."""
    with ModelServer(lambda body: standin.answer(body["messages"]), latency_s=LATENCY_S) as server:
        at = _furnished(sample, size, server)
        run_id = at.start(cap=Cap(calls=size.calls), seed=SEED)
        begun = time.monotonic()
        killed = under_fire(at, run_id, server, moments) if moments else 0
        at.optimize(run_id)
        life = Life(
            look_at(at, run_id), server.answers, len(server.delivered_twice), killed, len(moments) + 1
        )
        life.seconds = time.monotonic() - begun
    return life


def _furnished(sample: Sample, size: Size, server: ModelServer) -> Furnished:
    model = server.model(name="stand-in", max_concurrency=SLOTS, **PRICE)
    examples = sample.everything[: size.examples]
    return furnish("Kills", sample.task.prompt, examples, {ModelRole.TASK: model})


def under_fire(at: Furnished, run_id: UUID, server: ModelServer, moments: Sequence[int]) -> int:
    """Start the process again after each kill, but for the last; return how many kills met it.

    Raises:
        RuntimeError: it ended by itself, in an error.
    """
    rng = random.Random(SEED)
    killed = 0
    for moment in moments:
        process = _start(at, run_id)
        _wait(process, server, moment)
        time.sleep(rng.uniform(0, AFTERWARDS_S))
        process.kill()
        killed += _ending(process) == -signal.SIGKILL
    return killed


def _start(at: Furnished, run_id: UUID) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", CARRY_OUT, str(at.organization_id), str(run_id)]
    return subprocess.Popen(command, env=ground.environment(), cwd=ground.ROOT)


CARRY_OUT = """
import sys
from learning_core.prompts import runs

runs.optimize(organization_id=sys.argv[1], run_id=sys.argv[2])
"""


def _ending(process: subprocess.Popen[bytes]) -> int:
    code = process.wait(PATIENCE_S)
    if code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"The process that optimizes ended with code {code}.")
    return code


def _wait(process: subprocess.Popen[bytes], server: ModelServer, answers: int) -> None:
    """Wait until so many answers were given, or the process is over."""
    deadline = time.monotonic() + PATIENCE_S
    while server.answers < answers and process.poll() is None:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{server.answers} of {answers} answers within {PATIENCE_S:.0f} s.")
        time.sleep(0.005)


# ---------------------------------------------------------------- what is left


def look_at(at: Furnished, run_id: UUID) -> Told:
    """Return what a run left behind."""
    found = at.find(run_id)
    with organization_session(at.organization_id) as session:
        candidates = [dict(row._mapping) for row in session.execute(CANDIDATES, {"run": run_id})]
        stored = [dict(row._mapping) for row in session.execute(SCORES, {"run": run_id})]
        reserved = session.execute(RESERVED, {"run": run_id}).scalar_one()
        lost = Spent(*session.execute(LOST, {"run": run_id}).one())
    return Told(_timeless(found), found.spent, lost, candidates, stored, reserved)


def _timeless(run: Run) -> dict[str, Any]:
    """Return a run's result without what depends on the clock."""
    told = {"status": run.status, "stop_reason": run.stop_reason, **(run.result or {})}
    for part in ("baseline_test", "winner_test"):
        if told.get(part):
            told[part] = {name: value for name, value in told[part].items() if not name.startswith("latency")}
    told.pop("seconds", None)
    return told


def compare(undisturbed: Life, killed: Life) -> list[Finding]:
    """Say in what two lives of one order differ."""
    one, other = undisturbed.told, killed.told
    return [
        *(
            figures.proof(f"kills: {what} that differ", count)
            for what, count in count_differences(one, other).items()
        ),
        figures.proof("kills: requests answered twice", undisturbed.answered_twice + killed.answered_twice),
        figures.proof("kills: difference in what was spent", int(_answered(one) != _answered(other))),
        figures.proof("kills: calls answered but not booked", abs(killed.answers - _answered(other).calls)),
        figures.absolute("kills: calls booked but not answered", [other.lost.calls], unit="calls", target=0),
        figures.proof("kills: calls left open", one.reserved_calls + other.reserved_calls),
    ]


def _answered(told: Told) -> Spent:
    """Return what was spent on calls that were answered."""
    return Spent(*(spent - lost for spent, lost in zip(told.spent, told.lost, strict=True)))


def count_differences(one: Told, other: Told) -> dict[str, int]:
    """Return in how many parts of the result, candidates and scores two runs of one order differ."""
    return {
        "parts of the result": _differing(one.result, other.result),
        "candidates": _unlike(one.candidates, other.candidates),
        "scores": _unlike(one.scores, other.scores),
    }


def _differing(one: dict[str, Any], other: dict[str, Any]) -> int:
    return sum(one.get(name) != other.get(name) for name in one.keys() | other.keys())


def _unlike(some: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> int:
    return abs(len(some) - len(others)) + sum(a != b for a, b in zip(some, others, strict=False))


def show(undisturbed: Life, killed: Life) -> None:
    """Print what happened."""
    usd, tokens, calls = killed.told.spent
    print(
        f"undisturbed: {undisturbed.answers} answers in {undisturbed.seconds:.0f} s;"
        f" killed {killed.kills} times in {killed.starts} lives: {killed.answers} answers"
        f" in {killed.seconds:.0f} s; spent {calls} calls, {tokens:,} tokens, ${usd:.4f}"
    )
    for name in killed.told.result.keys() | undisturbed.told.result.keys():
        one, other = undisturbed.told.result.get(name), killed.told.result.get(name)
        if one != other:
            print(f"differs: {name}\n  undisturbed {one}\n  killed      {other}")


CANDIDATES = text("""
SELECT number, strategy, state, content_hash, parents, reason, learnt_from FROM candidates
WHERE run_id = :run ORDER BY number
""")

SCORES = text("""
SELECT number, key, split, value, parts, output, error, prompt_tokens, completion_tokens, scores.cost_usd
FROM scores
JOIN candidates ON candidates.id = candidate_id
JOIN learning_examples ON learning_examples.id = example_id
WHERE run_id = :run ORDER BY number, key, split
""")

LOST = text("""
SELECT coalesce(sum(reserved_usd), 0), coalesce(sum(reserved_tokens), 0), count(*)
FROM model_calls WHERE run_id = :run AND status = 'lost'
""")

RESERVED = text("SELECT reserved_calls FROM training_runs WHERE id = :run")
