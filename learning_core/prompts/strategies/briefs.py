"""What a strategy is told, what it may ask of a model, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from learning_core.datasets.content import DatasetExample
from learning_core.llm.templates import Prompt
from learning_core.prompts.evidence import Evidence
from learning_core.prompts.shapes import Shape

LONGEST = 24_000
"""Characters of a proposed prompt, unless the baseline is so long that examples need more."""


@dataclass(frozen=True)
class Question:
    """One question to the model that writes proposals.

    Attributes:
        purpose: What it is asked for, in a few words for people.
        messages: Role and content of each.
        max_tokens: The longest answer.
        temperature: 0 asks for the likeliest answer.
        seed: Tells draws apart; None where nothing is drawn.
        schema: A JSON schema that the answer should follow.
    """

    purpose: str
    messages: tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float = 0.0
    seed: int | None = None
    schema: dict[str, Any] | None = None


Ask: TypeAlias = Callable[[Sequence[Question]], list[str]]
"""Ask all questions at once; the answers come in their order, "" for one that failed."""


@dataclass(frozen=True)
class Proposal:
    """A prompt worth trying.

    Attributes:
        strategy: Name of the strategy that made it.
        prompt: It has the variables of the baseline.
        reason: What is different about it, in one sentence.
        parents: Numbers of the candidates it was made from, if others than the baseline.
        learnt_from: JSON: ids of feedback, examples and rules, and issue categories, that it rests on.
    """

    strategy: str
    prompt: Prompt
    reason: str
    parents: tuple[int, ...] = ()
    learnt_from: dict[str, Any] = field(default_factory=dict)


class Failure(NamedTuple):
    """An example and the wrong answer that a prompt led to."""

    example: DatasetExample
    output: str


class Tried(NamedTuple):
    """A candidate so far; its mean is None until it was scored on `n` examples."""

    number: int
    proposal: Proposal
    mean: float | None
    n: int
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class Brief:
    """What proposals are made from.

    Attributes:
        baseline: The prompt to be improved.
        examples: Of the train split only.
        evidence: What users and experts said.
        shape: What right answers look like.
        goals: What the person who started the run wants, in their words.
        tried: The candidates so far.
        room: How many proposals are wanted at most.
        longest: Characters that a proposed prompt may have.
    """

    baseline: Prompt
    examples: tuple[DatasetExample, ...]
    evidence: Evidence
    shape: Shape
    goals: str = ""
    tried: tuple[Tried, ...] = ()
    room: int = 3
    longest: int = LONGEST


class Refused(NamedTuple):
    """A proposal that did not come about, and why, in words for people."""

    strategy: str
    reason: str
    prompt: Prompt | None = None


def nobody(questions: Sequence[Question]) -> list[str]:
    """Answer nothing: what a strategy asks where there is no model to ask."""
    return [""] * len(questions)


def learnt(**ids: Iterable[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Return what a proposal rests on, each id once, kinds without any left out."""
    listed = {kind: list(dict.fromkeys(found)) for kind, found in ids.items()}
    return {kind: found for kind, found in listed.items() if found}
