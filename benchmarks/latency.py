"""Does an optimization keep a model busy? Wall time against calls x latency / slots, and what errors do.

The model takes the same time for every answer, 32 at once. One prompt on many examples has nothing to wait
for; a search has: a block of a few candidates must be answered before it knows who goes on. Its ratio is
printed as it is, without a target.

Proved: while one request in ten is refused with 429 and one in twenty fails with 500, every example is
scored, none with an error, and the run comes to the same result as without.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import text

from benchmarks import figures, kills, samples, standin
from benchmarks.figures import Finding
from benchmarks.furnished import PRICE, Furnished, furnish
from benchmarks.ground import Options
from benchmarks.kills import Told
from benchmarks.samples import Line, Sample
from learning_core import db
from learning_core.background import Cap
from learning_core.datasets.splits import Split
from learning_core.db import organization_session
from learning_core.evaluation.checks import suggest
from learning_core.evaluation.scoring import Scorer
from learning_core.llm import dispatch
from learning_core.llm.exchange import Exchange
from learning_core.llm.templates import Prompt
from learning_core.schema import ModelRole
from tests.fakes import ModelServer

SLOTS = 32
ERRORS = {429: 0.10, 500: 0.05}
TARGET = 1.10
SEED = 1
CALLS = 600


class Size(NamedTuple):
    """How long an answer takes, how many one evaluation asks for, how often, and examples of the search."""

    latency_s: float
    evaluated: int
    repetitions: int
    examples: int


FULL = Size(latency_s=1.0, evaluated=640, repetitions=3, examples=300)
QUICK = Size(latency_s=0.2, evaluated=128, repetitions=1, examples=150)
LATENCY_WITH_ERRORS_S = 0.05


class Timed(NamedTuple):
    """How long something took (s), and how long its calls would take at the least."""

    seconds: float
    ideal: float
    answers: int


def run(options: Options) -> list[Finding]:
    """Evaluate, search, and search again where the model fails now and then."""
    size = QUICK if options.quick else FULL
    db.migrate()
    evaluated = [evaluate(size) for _ in range(size.repetitions)]
    sample = samples.draw(samples.generated()[0], SEED)
    searched = [search(sample, size) for _ in range(size.repetitions)]
    for what, timed in (("evaluation", evaluated[-1]), ("optimization", searched[-1])):
        print(
            f"{what}: {timed.answers} calls of {size.latency_s} s, {SLOTS} at a time:"
            f" {timed.seconds:.1f} s, at the least {timed.ideal:.1f} s",
            flush=True,
        )
    return [
        _ratio("latency: one prompt on many examples", evaluated, TARGET),
        _ratio("latency: a whole optimization", searched, None),
        *among_errors(sample, size),
    ]


def _ratio(what: str, timed: list[Timed], target: float | None) -> Finding:
    return figures.multiple(
        what,
        [one.seconds for one in timed],
        [one.ideal for one in timed],
        against="calls x latency / slots",
        unit="s",
        target=target,
    )


def evaluate(size: Size) -> Timed:
    """Try one prompt on many examples."""
    questions = [Line(*line) for line in standin.CLASSES.questions[: size.evaluated]]
    examples = samples.as_examples(questions, Split.TEST)
    with _serving(size.latency_s) as server:
        at = _furnished(examples[:20], server)
        models = {ModelRole.TASK: server.model(max_concurrency=SLOTS)}
        with Exchange(at.organization_id) as exchange:
            dispatch.line().wait_until_ready()
            scorer = Scorer(exchange, models, suggest(examples), max_tokens=32)
            begun = time.perf_counter()
            trials = scorer.trials(Prompt.from_text(standin.CLASSES.seed_prompt), examples)
            seconds = time.perf_counter() - begun
        assert len(trials) == server.answers == size.evaluated
    return Timed(seconds, size.evaluated * size.latency_s / SLOTS, size.evaluated)


def search(sample: Sample, size: Size) -> Timed:
    """Carry out a whole optimization: what it takes from the first question to the last answer stored."""
    with _serving(size.latency_s) as server:
        at = _furnished(sample.everything[: size.examples], server)
        run_id = at.start(cap=Cap(calls=CALLS), seed=SEED)
        dispatch.line().wait_until_ready()
        begun = time.perf_counter()
        at.optimize(run_id)
        seconds = time.perf_counter() - begun
        return Timed(seconds, server.answers * size.latency_s / SLOTS, server.answers)


def among_errors(sample: Sample, size: Size) -> list[Finding]:
    """Carry out one order on a model without faults and on one that fails, and compare."""
    calm, _ = _one_run(sample, size, {})
    shaken, facts = _one_run(sample, size, ERRORS)
    print(f"with errors: {facts['statuses']}", flush=True)
    return [
        figures.proof("latency: requests that did not fail as they should", int(facts["failed"] == 0)),
        figures.proof("latency: scores with an error", facts["errors"]),
        figures.proof("latency: scores missing or other than without errors", differences(calm, shaken)),
        figures.proof("latency: requests answered twice", facts["answered_twice"]),
    ]


def differences(calm: Told, shaken: Told) -> int:
    """Count what differs between two runs of one order."""
    return sum(kills.count_differences(calm, shaken).values())


def _one_run(sample: Sample, size: Size, errors: dict[int, float]) -> tuple[Told, dict[str, Any]]:
    with _serving(LATENCY_WITH_ERRORS_S, errors) as server:
        at = _furnished(sample.everything[: size.examples], server)
        run_id = at.start(cap=Cap(calls=CALLS), seed=SEED)
        at.optimize(run_id)
        with organization_session(at.organization_id) as session:
            wrong = session.execute(ERRORS_OF, {"run": run_id}).scalar_one()
        return kills.look_at(at, run_id), {
            "statuses": dict(server.statuses),
            "failed": sum(count for status, count in server.statuses.items() if status != 200),
            "errors": wrong,
            "answered_twice": len(server.delivered_twice),
        }


@contextmanager
def _serving(latency_s: float, errors: dict[int, float] | None = None) -> Iterator[ModelServer]:
    with ModelServer(
        lambda body: standin.answer(body["messages"]), latency_s=latency_s, slots=SLOTS, errors=errors
    ) as server:
        yield server


def _furnished(examples: Any, server: ModelServer) -> Furnished:
    model = server.model(name="stand-in", max_concurrency=SLOTS, **PRICE)
    return furnish("Latency", standin.INTENTS.seed_prompt, examples, {ModelRole.TASK: model})


ERRORS_OF = text("""
SELECT count(scores.error) FROM scores JOIN candidates ON candidates.id = candidate_id WHERE run_id = :run
""")
