"""Who optimizes a prompt in the side-by-side: Afterglow's own engine, and a plain loop over three variants.

The libraries of others stand in `peers`. Each contestant gets the same examples, the same model and the same
number of its answers to choose by, and returns the prompt it chose and how it came there.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from uuid import uuid4

from benchmarks.furnished import furnish
from benchmarks.samples import AGENT, Sample
from benchmarks.served import TASK, WRITER, Say, Served, Voice
from learning_core import background
from learning_core.background import Run
from learning_core.datasets.content import DatasetExample
from learning_core.db import organization_session
from learning_core.evaluation import scores
from learning_core.evaluation.checks import Evaluator, score, suggest
from learning_core.evaluation.scoring import Scorer, Trial, answer_tokens
from learning_core.llm.exchange import Exchange
from learning_core.llm.ledger import NOTHING, Spend
from learning_core.llm.requests import Answer, Request
from learning_core.llm.templates import Prompt
from learning_core.prompts import optimizer
from learning_core.prompts.evidence import Evidence
from learning_core.prompts.optimization import Optimization, Work
from learning_core.prompts.optimizer import Candidate, Event, Outcome, Plan, Scored
from learning_core.prompts.portions import Portions
from learning_core.prompts.racing import Mode
from learning_core.prompts.strategies import STRATEGIES
from learning_core.schema import CandidateState, RunKind

BUDGET = 240
"""Answers of the model that a contestant may choose by."""
REWRITE_TOKENS = 600


class Course(NamedTuple):
    """How a contestant went.

    Attributes:
        prompt: What it chose.
        leaders: After how many calls which prompt was the best it knew, in this order.
        remark: What else is to be said of it.
    """

    prompt: Prompt
    leaders: tuple[tuple[int, Prompt], ...]
    remark: str = ""


@dataclass(frozen=True)
class Setting:
    """What every contestant is given."""

    sample: Sample
    served: Served
    voice: Voice

    @property
    def evaluator(self) -> Evaluator:
        """Return how answers are scored."""
        return suggest(self.sample.selection)

    @property
    def max_tokens(self) -> int:
        """Return how much room an answer is given."""
        return answer_tokens(self.sample.seen)

    @property
    def calls(self) -> int:
        """Return how many answers were asked of the model so far."""
        return self.served.calls[TASK]

    def answer(self, prompt: Prompt, example: DatasetExample) -> str:
        """Return what the model answers with a prompt."""
        messages = prompt.render({"input": example.input_text, "context": example.context})
        return self.voice.ask(TASK, messages, max_tokens=self.max_tokens)

    def value(self, output: str, example: DatasetExample) -> float:
        """Return what an answer is worth."""
        return score(self.evaluator, output, example).value

    def mean(self, prompt: Prompt, examples: Sequence[DatasetExample]) -> float:
        """Return what a prompt scores; each example is a call."""
        return fmean(self.value(self.answer(prompt, example), example) for example in examples)


Contestant = Callable[[Setting], Course]

# ---------------------------------------------------------------- Afterglow


def ours(setting: Setting, mode: Mode = Mode.EXPLORATORY) -> Course:
    """Search as a run of the product does: its exchange, its scorer, its strategies, all of it stored."""
    sample = setting.sample
    models = setting.served.models()
    at = furnish(f"{sample.task.name} {sample.seed}", sample.task.prompt, sample.everything, models)
    settings = {"goals": "", "max_tokens": setting.max_tokens}
    with organization_session(at.organization_id) as session:
        run_id = background.create(
            session,
            at.caller,
            RunKind.PROMPT_OPTIMIZATION,
            AGENT,
            settings,
            prompt_version_id=at.version_id,
            dataset_id=at.dataset_id,
        )
        stored = scores.items(session, at.dataset_id, None, AGENT)
    ids = {item.example.id: item.example_id for item in stored}
    work = replace(_work(setting, at.find(run_id), mode), organization_id=at.organization_id, example_ids=ids)
    with Exchange(at.organization_id, run_id) as exchange:
        return _course(_search(Watched(work, exchange, _scorer(work, exchange))))


def ours_in_memory(setting: Setting) -> Course:
    """Make the same search without a database: the model is asked by its function, and nothing is stored."""
    told = SimpleNamespace(settings={"goals": "", "max_tokens": setting.max_tokens}, id=uuid4())
    work = _work(setting, cast(Run, told), Mode.EXPLORATORY)
    exchange = cast(Exchange, Answers(setting.served.answer))
    return _course(_search(Unstored(work, exchange, _scorer(work, exchange))))


def _work(setting: Setting, run: Run, mode: Mode) -> Work:
    sample = setting.sample
    return Work(
        organization_id=uuid4(),
        run=run,
        baseline=Prompt.from_text(sample.task.prompt),
        portions=Portions(sample.train, sample.selection),
        sealed=sample.held_out,
        example_ids={},
        evaluator=setting.evaluator,
        models=setting.served.models(),
        evidence=Evidence(),
        plan=Plan(calls=BUDGET, seed=sample.seed, strategies=tuple(STRATEGIES), mode=mode),
        verification=NOTHING,
    )


def _scorer(work: Work, exchange: Exchange) -> Scorer:
    return Scorer(exchange, work.models, work.evaluator, max_tokens=work.run.settings["max_tokens"])


class Watched(Optimization):
    """An optimization that remembers who led when."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.led: list[tuple[int, int]] = []

    def notice(self, event: Event) -> None:
        """Keep who leads: who has met most examples, and of those the best."""
        super().notice(event)
        if isinstance(event, Scored) and event.standings:
            best, _, _ = max(event.standings, key=lambda standing: (standing[1], standing[2], -standing[0]))
            self.led.append((event.calls, best))


class Unstored(Watched):
    """An optimization without a database."""

    def _admit(self, candidate: Candidate) -> None:
        pass

    def _store(self, number: int, examples: Sequence[DatasetExample], trials: Sequence[Trial]) -> None:
        pass

    def _mark(self, number: int, state: CandidateState, why: str | None = None) -> None:
        pass

    def _plot(self, scored: Scored) -> None:
        self.points.append([scored.calls])

    def _say(self, activity: str, **figures: Any) -> None:
        pass


@dataclass
class Answers:
    """Answers requests by a function, as an exchange would: what is known is not asked again."""

    say: Say
    known: dict[str, Answer] = field(default_factory=dict)

    def ask(
        self, requests: Sequence[Request], *, leaving: Spend = NOTHING, noticed: Any = None
    ) -> list[Answer]:
        """Return the answers in the order of the requests."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Answer:
        name = request.content_hash()
        if name not in self.known:
            self.known[name] = Answer(uuid4(), self.say(_body(request)), 0, 0, NOTHING.usd, 0.0)
        return self.known[name]


def _body(request: Request) -> dict[str, Any]:
    messages = [{"role": role, "content": content} for role, content in request.messages]
    body = {"model": request.model.model, "messages": messages, "max_tokens": request.max_tokens}
    return body | {"temperature": request.temperature, "seed": request.seed}


def _search(bench: Watched) -> tuple[Watched, Outcome]:
    work = bench.work
    outcome = optimizer.search(
        work.plan, work.baseline, len(work.portions.selection), bench.propose, bench.evaluate, bench.notice
    )
    return bench, outcome


def _course(searched: tuple[Watched, Outcome]) -> Course:
    bench, outcome = searched
    prompts = [candidate.prompt for candidate in outcome.candidates]
    leaders = tuple((calls, prompts[number]) for calls, number in bench.led)
    return Course(prompts[outcome.winner], leaders, f"{len(prompts)} candidates")


# ---------------------------------------------------------------- the plain loop

CLARIFY = "Rewrite these instructions so that they are clearer. Say only the new instructions.\n\n"
RESTRUCTURE = "Rewrite these instructions as sections with headings. Say only the new instructions.\n\n"
SHOWN = 6


def plain_loop(setting: Setting) -> Course:
    """Try a clarified and a restructured text and six random examples, and take what scores best."""
    sample = setting.sample
    baseline = Prompt.from_text(sample.task.prompt)
    rng = random.Random(f"plain {sample.seed}")
    variants = [
        baseline,
        baseline.with_instruction(_rewritten(setting, CLARIFY)),
        baseline.with_instruction(_rewritten(setting, RESTRUCTURE)),
        baseline.with_examples(
            (example.input_text, example.expected_output) for example in rng.sample(sample.train, SHOWN)
        ),
    ]
    started, best, leaders = setting.calls, (-1.0, baseline), []
    for variant in variants:
        best = max(best, (setting.mean(variant, sample.selection), variant), key=lambda one: one[0])
        leaders.append((setting.calls - started, best[1]))
    return Course(best[1], tuple(leaders))


def _rewritten(setting: Setting, order: str) -> str:
    prompt = setting.sample.task.prompt
    asked = [{"role": "user", "content": f"{order}{prompt}"}]
    seed = setting.sample.seed
    said = setting.voice.ask(WRITER, asked, max_tokens=REWRITE_TOKENS, temperature=0.7, seed=seed)
    return instruction_in(said) or prompt


def instruction_in(reply: str) -> str:
    """Return the instruction that a reply holds: a JSON member, a fenced block, or all of it."""
    found = re.search(r"```\w*\n(.*?)```", reply, re.S)
    text = found.group(1) if found else reply
    try:
        told = json.loads(text)
    except ValueError:
        return text.strip()
    return str(told.get("instruction", text)).strip() if isinstance(told, dict) else text.strip()
