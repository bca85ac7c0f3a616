"""The libraries of others in the side-by-side, each as its own documentation uses it, through its own door.

Both ask the model at the same port as everybody else. What they choose is taken over as one of our prompts,
so that all are scored alike in the end. A library that is not there is left out, and the table says so.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from benchmarks.contestants import BUDGET, REWRITE_TOKENS, Contestant, Course, Setting, instruction_in
from benchmarks.samples import SELECTION
from benchmarks.served import TASK, WRITER
from learning_core.datasets.content import DatasetExample
from learning_core.llm.templates import Prompt

MINIBATCH = 4
DEMONSTRATIONS = 4
"""Bootstrapped ones of a DSPy program; as many labelled ones as make 16 join them (its own default)."""


def installed() -> dict[str, Contestant]:
    """Return the contestants whose library is there."""
    return {name: of for name, (library, of) in ALL.items() if find_spec(library)}


def missing() -> dict[str, str]:
    """Return the contestants whose library is not there, and why."""
    return {
        name: f"{library} is not installed" for name, (library, _) in ALL.items() if not find_spec(library)
    }


# ---------------------------------------------------------------- gepa


def gepa(setting: Setting) -> Course:
    """Optimize with gepa: reflection on minibatches with feedback in words, selection on the whole set."""
    import gepa as library

    sample = setting.sample
    bridge = Bridge(setting, setting.calls)

    def reflect(prompt: str | Sequence[Mapping[str, str]]) -> str:
        asked = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
        said = setting.voice.ask(WRITER, asked, max_tokens=REWRITE_TOKENS, temperature=0.7, seed=sample.seed)
        return f"```\n{instruction_in(said)}\n```"

    with contextlib.redirect_stdout(io.StringIO()):
        result = library.optimize(
            seed_candidate={PART: sample.task.prompt},
            trainset=list(sample.train),
            valset=list(sample.selection),
            adapter=bridge,
            reflection_lm=reflect,
            reflection_minibatch_size=MINIBATCH,
            max_metric_calls=BUDGET,
            seed=sample.seed,
        )
    chosen = Prompt.from_text(result.best_candidate[PART])
    return Course(chosen, tuple(bridge.leaders), f"{len(result.candidates)} candidates")


PART = "instruction"


@dataclass
class Bridge:
    """What gepa asks of whoever is to be optimized: scores, and what is to be learnt from answers."""

    setting: Setting
    started: int
    leaders: list[tuple[int, Prompt]] = field(default_factory=list)
    best: float = -1.0
    propose_new_texts: None = None

    def evaluate(
        self, batch: list[DatasetExample], candidate: dict[str, str], capture_traces: bool = False
    ) -> Any:
        """Answer a batch and score the answers."""
        from gepa.core.adapter import EvaluationBatch

        prompt = Prompt.from_text(candidate[PART])
        outputs = [self.setting.answer(prompt, example) for example in batch]
        values = [self.setting.value(*pair) for pair in zip(outputs, batch, strict=True)]
        if len(batch) == SELECTION and sum(values) > self.best:
            self.best = sum(values)
            self.leaders.append((self.setting.calls - self.started, prompt))
        traces = list(zip(batch, outputs, values, strict=True)) if capture_traces else None
        return EvaluationBatch(outputs, values, traces)

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> dict[str, list[dict[str, str]]]:
        """Say of each answer what was right or wrong about it."""
        told = [
            {
                "Inputs": example.input_text,
                "Generated Outputs": output,
                "Feedback": "This is right." if value == 1 else _what_is_wrong(example),
            }
            for example, output, value in eval_batch.trajectories
        ]
        return dict.fromkeys(components_to_update, told)


def _what_is_wrong(example: DatasetExample) -> str:
    return f"This is wrong. The right answer is exactly: {example.expected_output}"


# ---------------------------------------------------------------- DSPy


def dspy_few_shot(setting: Setting) -> Course:
    """Optimize with DSPy's random search over shown examples, with as many programs as about fit."""
    import dspy

    sample, started = setting.sample, setting.calls
    ends: list[int] = []

    def metric(example: Any, answer: Any, trace: Any = None) -> float:
        if trace is None:  # it is choosing, not looking for examples to show
            ends.append(setting.calls - started)
        return setting.value(answer.label or "", example.source)

    with _quiet(), dspy.context(lm=_model(dspy, setting), adapter=_plain_adapter(dspy)):
        program = dspy.BootstrapFewShotWithRandomSearch(
            metric=metric,
            max_bootstrapped_demos=DEMONSTRATIONS,
            num_candidate_programs=BUDGET // SELECTION - 3,  # it tries three programs beside those
            num_threads=1,
        ).compile(
            dspy.Predict(dspy.Signature("text -> label", sample.task.prompt)),
            trainset=[_as_dspy(dspy, example) for example in sample.train],
            valset=[_as_dspy(dspy, example) for example in sample.selection],
        )
    tried = sorted(program.candidate_programs, key=lambda one: one["seed"])
    leaders = _leaders(zip(ends[SELECTION - 1 :: SELECTION], tried, strict=True))
    return Course(_as_prompt(program), leaders, f"{len(tried)} candidates")


def _leaders(tried: Iterable[tuple[int, Mapping[str, Any]]]) -> tuple[tuple[int, Prompt], ...]:
    best, leaders = -1.0, []
    for calls, one in tried:
        if one["score"] > best:
            best = one["score"]
            leaders.append((calls, _as_prompt(one["program"])))
    return tuple(leaders)


def _model(dspy: Any, setting: Setting) -> Any:
    return dspy.LM(
        f"openai/{TASK}",
        api_base=setting.served.address,
        api_key="none",
        temperature=0.0,
        max_tokens=setting.max_tokens,
        cache=False,
    )


def _as_dspy(dspy: Any, example: DatasetExample) -> Any:
    told = dspy.Example(text=example.input_text, label=example.expected_output, source=example)
    return told.with_inputs("text")


def _as_prompt(program: Any) -> Prompt:
    predictor = program.predictors()[0]
    shown = [(demo["text"], demo["label"]) for demo in predictor.demos]
    return Prompt.from_text(predictor.signature.instructions).with_examples(shown)


def _plain_adapter(dspy: Any) -> Any:
    """Return an adapter that speaks as our prompts do; its own form needs a model that follows markers."""

    class Plain(dspy.Adapter):  # type: ignore[misc]
        def format(
            self, signature: Any, demos: Sequence[Mapping[str, str]], inputs: Mapping[str, str]
        ) -> list[dict[str, str]]:
            prompt = Prompt.from_text(signature.instructions)
            shown = prompt.with_examples((demo["text"], demo["label"]) for demo in demos)
            return shown.render({"input": inputs["text"], "context": None})

        def parse(self, signature: Any, completion: str) -> dict[str, str]:
            return {"label": completion.strip()}

    return Plain()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what a library prints and logs."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


ALL: dict[str, tuple[str, Contestant]] = {"gepa": ("gepa", gepa), "DSPy few-shot": ("dspy", dspy_few_shot)}
