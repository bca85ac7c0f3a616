"""Is what an optimization says beforehand what it takes, and is a cap a cap?

Runs of the product on the stand-in: both generated tasks, several seeds, each in an organisation of its own.
What a run was estimated to take is compared with what its book says, and the book with the requests that
arrived where the model is served: calls and tokens are counted there once more. Then runs with a narrow cap
on calls, on tokens, on money; and, since a run plans within its cap, one that asks on until it may not.

Proved: the book is right to the token; no request is made twice; no cap is exceeded, whichever it is.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import NamedTuple

from benchmarks import figures, samples, standin
from benchmarks.figures import Finding
from benchmarks.furnished import PRICE, furnish
from benchmarks.ground import Options
from benchmarks.samples import AGENT, Sample
from learning_core import background, db
from learning_core.background import UNCAPPED, Cap, Run
from learning_core.db import organization_session
from learning_core.errors import BudgetSpent
from learning_core.evaluation.checks import suggest
from learning_core.evaluation.scoring import Scorer
from learning_core.llm.exchange import Exchange
from learning_core.llm.templates import Prompt
from learning_core.schema import ModelRole, RunKind, RunStatus
from tests.fakes import ModelServer, tokens

SLOTS = 16
NEAR = 0.30
"""Share by which an estimate may be off, either way."""
NARROW = {
    "calls": Cap(calls=100),
    "tokens": Cap(tokens=40_000),
    "money": Cap(usd=Decimal("0.02")),
    "all three": Cap(Decimal("0.02"), 40_000, 100),
}
FEW = 60
"""Examples for the runs with a narrow cap: with more, the cap has no room for the check."""
PER_MESSAGE = 4
"""Tokens that the served model counts beside a message's text."""


class Size(NamedTuple):
    """Seeds, and examples for all purposes."""

    seeds: int
    examples: int


FULL = Size(seeds=3, examples=300)
QUICK = Size(seeds=1, examples=150)


class Spending(NamedTuple):
    """One run and what arrived where the model is served."""

    what: str
    run: Run
    calls: int
    tokens: int
    answered_twice: int

    @property
    def ratios(self) -> dict[str, float]:
        """Return what it took as a multiple of what was estimated: calls, tokens, usd."""
        return {
            name: float(getattr(self.run.spent, name)) / self.run.estimate[name]
            for name in ("calls", "tokens", "usd")
        }

    @property
    def misbooked(self) -> int:
        """Return by how many calls and tokens the book differs from what arrived."""
        return abs(self.run.spent.calls - self.calls) + abs(self.run.spent.tokens - self.tokens)

    @property
    def excess(self) -> int:
        """Return how many of the run's caps were exceeded, by the book or by what arrived."""
        spent, cap = self.run.spent, self.run.cap
        return sum(
            most is not None and found > most
            for found, most in (
                (spent.calls, cap.calls),
                (self.calls, cap.calls),
                (spent.tokens, cap.tokens),
                (self.tokens, cap.tokens),
                (spent.usd, cap.usd),
            )
        )


def run(options: Options) -> list[Finding]:
    """Compare estimates with runs, then narrow the caps."""
    size = QUICK if options.quick else FULL
    db.migrate()
    everything = [samples.draw(task, 1 + n) for task in samples.generated() for n in range(size.seeds)]
    usual = [spend(sample, size.examples, UNCAPPED) for sample in everything]
    narrow = [spend(everything[0], FEW, cap, f"cap on {what}") for what, cap in NARROW.items()]
    pressed = [press(everything[0], cap, f"pressed against {what}") for what, cap in NARROW.items()]
    show(usual + narrow)
    show_pressed(pressed)
    return [
        *how_near(usual),
        figures.proof("spending: runs that did not succeed", sum(map(_has_failed, usual + narrow))),
        *proofs(usual + narrow + pressed),
    ]


def spend(sample: Sample, examples: int, cap: Cap, what: str = "") -> Spending:
    """Carry out one optimization and count what arrives."""
    with ModelServer(lambda body: standin.answer(body["messages"])) as server:
        model = server.model(name="stand-in", max_concurrency=SLOTS, **PRICE)
        few = random.Random(sample.seed).sample(sample.everything, examples)
        at = furnish("Spending", sample.task.prompt, few, {ModelRole.TASK: model})
        found = at.optimize(at.start(cap=cap, seed=sample.seed))
        return _spending(what or f"{sample.task.name}, seed {sample.seed}", found, server)


def press(sample: Sample, cap: Cap, what: str) -> Spending:
    """Ask more than a cap has room for, in the name of a run, and count what arrives."""
    with ModelServer(lambda body: standin.answer(body["messages"])) as server:
        model = server.model(name="stand-in", max_concurrency=SLOTS, **PRICE)
        at = furnish("Pressed", sample.task.prompt, sample.seen, {ModelRole.TASK: model})
        with organization_session(at.organization_id) as session:
            kind = RunKind.PROMPT_OPTIMIZATION
            run_id = background.create(session, at.caller, kind, AGENT, {}, cap=cap)
        with Exchange(at.organization_id, run_id) as exchange, suppress(BudgetSpent):
            scorer = Scorer(exchange, {ModelRole.TASK: model}, suggest(sample.selection), max_tokens=32)
            prompt = Prompt.from_text(sample.task.prompt)
            for more in ("", " Answer with one label.", " Nothing else."):
                scorer.trials(prompt.with_instruction(sample.task.prompt + more), sample.everything)
        return _spending(what, at.find(run_id), server)


def _spending(what: str, run: Run, server: ModelServer) -> Spending:
    return Spending(what, run, server.answers, _tokens(server), len(server.delivered_twice))


def _tokens(server: ModelServer) -> int:
    """Count the tokens of all that was asked and answered, as the served model does."""
    total = 0
    for body in server.log:
        messages = body["messages"]
        total += sum(tokens(message["content"]) + PER_MESSAGE for message in messages)
        total += min(tokens(standin.answer(messages)), body["max_tokens"])
    return total


# ---------------------------------------------------------------- what came of it


def how_near(spendings: Sequence[Spending]) -> list[Finding]:
    """Say what multiple of its estimate each run took."""
    return [
        Finding(
            f"spending: {name}, off its estimate",
            "estimate",
            [float(getattr(one.run.spent, name)) for one in spendings],
            [float(one.run.estimate[name]) for one in spendings],
            [max(abs(one.ratios[name] - 1) for one in spendings)],
            name,
            "of it at most",
            target=NEAR,
        )
        for name in ("calls", "tokens", "usd")
    ]


def proofs(spendings: Sequence[Spending]) -> list[Finding]:
    """Say what must hold of every run."""
    return [
        figures.proof("spending: calls and tokens misbooked", sum(one.misbooked for one in spendings)),
        figures.proof("spending: requests answered twice", sum(one.answered_twice for one in spendings)),
        figures.proof("spending: caps exceeded", sum(one.excess for one in spendings)),
    ]


def _has_failed(spending: Spending) -> bool:
    return spending.run.status != RunStatus.SUCCEEDED


def show(spendings: Sequence[Spending]) -> None:
    """Print one line per run: what it took, what multiple of the estimate that is, what it came to."""
    rows = [
        (
            one.what,
            f"{one.run.spent.calls:,}",
            f"{one.run.spent.tokens:,}",
            f"{one.run.spent.usd:.4f}",
            *(f"{ratio:.2f}" for ratio in one.ratios.values()),
            _outcome(one.run),
        )
        for one in spendings
    ]
    head = ("run", "calls", "tokens", "usd", "of estimate: calls", "tokens", "usd", "outcome")
    figures.show_table(head, rows)
    print(flush=True)


def show_pressed(spendings: Sequence[Spending]) -> None:
    """Print how much of its cap each run used."""
    rows = [
        (one.what, *(_of(getattr(one.run.spent, name), getattr(one.run.cap, name)) for name in Cap._fields))
        for one in spendings
    ]
    figures.show_table(("run", "usd", "tokens", "calls"), rows)
    print(flush=True)


def _of(spent: float, most: float | None) -> str:
    return figures.short(float(spent)) + (f" of {figures.short(float(most))}" if most is not None else "")


def _outcome(run: Run) -> str:
    verdict = (run.result or {}).get("verdict")
    said = f"{verdict['kind']}, {verdict['gain']:+.2f}" if verdict else "no verdict"
    return f"{run.status}: {said}; {run.error or run.stop_reason}"
