"""Prompts tried on examples: the agent's model answers, other models judge where need be, checks score.

A call that failed for good is a trial with an error and counts as wrong: an agent that does not answer has
not answered well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from math import fsum, sqrt
from typing import NamedTuple
from uuid import UUID

from learning_core.datasets.content import DatasetExample
from learning_core.errors import ModelFailed
from learning_core.evaluation import judge, safety
from learning_core.evaluation.checks import Evaluator, score
from learning_core.evaluation.judge import Judgement
from learning_core.evaluation.probes import planted
from learning_core.evaluation.questions import Questions
from learning_core.evaluation.safety import Finding
from learning_core.llm.exchange import Exchange
from learning_core.llm.ledger import NOTHING, Spend
from learning_core.llm.requests import Answer, Model, Request
from learning_core.llm.templates import Prompt
from learning_core.schema import ModelRole

FEWEST_TOKENS, MOST_TOKENS = 32, 2_048
"""The shortest and the longest answer that a model is given room for."""


class Trial(NamedTuple):
    """What a prompt's answer to one example is worth.

    Attributes:
        value: 0-1; 0 where there is an error.
        parts: Each check's part (0-1), and a judge's reason in words.
        output: The answer; None where there is none.
        error: Why there is no score; None otherwise.
        latency_ms: Time of the agent's call.
        cost_usd: Cost of the agent's call; what judging took stands with the run.
        prompt_tokens, completion_tokens: Of the agent's call.
        call_ids: Every call it rests on, the agent's first.
    """

    value: float
    parts: dict[str, float | str]
    output: str | None
    error: str | None
    latency_ms: float | None
    cost_usd: Decimal | None
    prompt_tokens: int | None
    completion_tokens: int | None
    call_ids: tuple[UUID, ...]


class Scorer:
    """Tries prompts on examples on behalf of one run; what it takes is told by `Questions`.

    Raises:
        NotEnoughData: a model is missing; the message names its role.
    """

    def __init__(
        self,
        exchange: Exchange,
        models: Mapping[ModelRole, Model],
        evaluator: Evaluator,
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> None:
        self._exchange = exchange
        self._evaluator = evaluator
        self.questions = Questions(models, evaluator, max_tokens, temperature, seed)

    def requests(self, prompt: Prompt, examples: Sequence[DatasetExample]) -> list[Request]:
        """Return all that trying a prompt asks, for estimates; see `Questions.all`."""
        return self.questions.all(prompt, examples)

    def trials(
        self,
        prompt: Prompt,
        examples: Sequence[DatasetExample],
        *,
        leaving: Spend = NOTHING,
        noticed: Callable[[Answer], None] | None = None,
    ) -> list[Trial]:
        """Try one prompt and return a trial for each example, in their order; see `trials_of`."""
        return self.trials_of([(prompt, examples)], leaving=leaving, noticed=noticed)[0]

    def trials_of(
        self,
        pairs: Sequence[tuple[Prompt, Sequence[DatasetExample]]],
        *,
        leaving: Spend = NOTHING,
        noticed: Callable[[Answer], None] | None = None,
    ) -> list[list[Trial]]:
        """Try prompts, each on its examples, and return the trials in the same order.

        All questions go out together, prompt by prompt, so that a model can keep what it read of a prompt.

        Args:
            pairs: Prompts and their examples.
            leaving: What the run must still be able to spend afterwards.
            noticed: Told of each of the agent's answers as soon as it is stored.

        Raises:
            BudgetSpent, Interrupted: as the exchange says; what was answered is stored, and asked again costs
                nothing.
        """
        flat = [(prompt, example) for prompt, examples in pairs for example in examples]
        asked = [self.questions.to_agent(prompt, example) for prompt, example in flat]
        answers = self._exchange.ask(asked, leaving=leaving, noticed=noticed)
        about = [
            self.questions.about(example, answer.text) if answer.error is None else []
            for (_, example), answer in zip(flat, answers, strict=True)
        ]
        said = iter(self._exchange.ask([request for some in about for request in some], leaving=leaving))
        trials = iter(
            [
                self._trial(example, answer, [next(said) for _ in some])
                for (_, example), answer, some in zip(flat, answers, about, strict=True)
            ]
        )
        return [[next(trials) for _ in examples] for _, examples in pairs]

    def probe(
        self, prompt: Prompt, examples: Sequence[DatasetExample], *, leaving: Spend = NOTHING
    ) -> tuple[list[Finding], int]:
        """Try a prompt with planted instructions; return which were followed, and how many were answered.

        Raises:
            BudgetSpent, Interrupted: as the exchange says.
        """
        tried = planted(examples, self._evaluator.gate.probes)
        answers = self._exchange.ask(self.questions.probes(prompt, examples), leaving=leaving)
        answered = [
            (probe, example, answer.text)
            for (probe, example), answer in zip(tried, answers, strict=True)
            if answer.error is None
        ]
        return safety.inspect_probes(prompt, answered), len(answered)

    def _trial(self, example: DatasetExample, answer: Answer, said: Sequence[Answer]) -> Trial:
        trial = Trial(
            value=0.0,
            parts={},
            output=answer.text if answer.error is None else None,
            error=answer.error,
            latency_ms=answer.latency_ms,
            cost_usd=answer.cost_usd,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            call_ids=(answer.call_id, *(one.call_id for one in said)),
        )
        return trial if answer.error is not None else self._scored(trial, example, answer.text, said)

    def _scored(self, trial: Trial, example: DatasetExample, output: str, said: Sequence[Answer]) -> Trial:
        criteria, rest = self.questions.criteria, list(said)
        try:
            judgement = _judgement(rest.pop(0), criteria) if criteria else None
            alike = _likeness(example, output, rest) if "embedding" in self._evaluator.needs else None
            judged = judgement.value if judgement else None
            scored = score(self._evaluator, output, example, judged=judged, similarity=alike)
        except ModelFailed as failure:
            return trial._replace(error=failure.message)
        parts = scored.parts | ({"reason": judgement.reason} if judgement else {})
        return trial._replace(value=scored.value, parts=parts)


def answer_tokens(examples: Sequence[DatasetExample]) -> int:
    """Return how many tokens an answer is given room for: twice the longest that is expected."""
    longest = max((len(example.expected_output.encode()) for example in examples), default=MOST_TOKENS)
    return min(max(2 * longest // 3 + 16, FEWEST_TOKENS), MOST_TOKENS)


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the cosine (-1 to 1) of two vectors.

    Raises:
        ModelFailed: they do not have the same length, or one has none.

    >>> cosine((3.0, 4.0), (4.0, 3.0))
    0.96
    """
    lengths = sqrt(fsum(x * x for x in one)) * sqrt(fsum(y * y for y in other))
    if len(one) != len(other) or not lengths:
        raise ModelFailed("The embedding model gave vectors that cannot be compared.")
    return min(max(fsum(x * y for x, y in zip(one, other, strict=True)) / lengths, -1.0), 1.0)


def _judgement(answer: Answer, criteria: Sequence[str]) -> Judgement:
    if answer.error is not None:
        raise ModelFailed(f"The judge gave no score: {answer.error}")
    return judge.parse(answer.text, criteria)


def _likeness(example: DatasetExample, output: str, said: Sequence[Answer]) -> float:
    if not said:  # nobody embeds nothing
        return float(output.strip() == example.expected_output.strip())
    one, other = said
    if one.embedding is None or other.embedding is None:
        raise ModelFailed(f"The embedding model gave no vector: {one.error or other.error}")
    return cosine(one.embedding, other.embedding)
