"""Let a model look at answers that the best prompt so far got wrong, say why, and mend the instruction."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from learning_core.prompts.evidence import quoted, shorten
from learning_core.prompts.shapes import Shape, as_object, label_key
from learning_core.prompts.strategies.briefs import (
    Ask,
    Brief,
    Failure,
    Proposal,
    Question,
    Refused,
    Tried,
    learnt,
)
from learning_core.prompts.strategies.replies import DIAGNOSIS, diagnosis_in, instruction_in
from learning_core.prompts.strategies.rewriting import BETWEEN, NO_INSTRUCTION, question, renewed
from learning_core.prompts.strategies.strategy import Strategy

MINIBATCH = 4
"""Failures that the model looks at in one question."""

QUOTED_CHARACTERS = 400


def drafts(brief: Brief, ask: Ask, rng: random.Random) -> Iterator[Proposal | Refused]:
    """Yield the leader with mended instructions, each after other failures."""
    leader = leader_in(brief.tried)
    if leader is None:
        yield Refused("reflective", "No prompt has failed yet: there is nothing to learn from.")
        return
    batches = [_minibatch(leader.failures, rng) for _ in range(brief.room)]
    questions = [_question(brief, leader, batch, draw, rng) for draw, batch in enumerate(batches)]
    for answer, batch in zip(ask(questions), batches, strict=True):
        text = instruction_in(answer)
        if text:
            yield _proposal(brief, leader, batch, text, diagnosis_in(answer))
        else:
            yield Refused("reflective", NO_INSTRUCTION)


def leader_in(tried: Sequence[Tried]) -> Tried | None:
    """Return the best candidate whose failures are known."""
    failed = [one for one in tried if one.mean is not None and one.failures]
    return max(failed, key=lambda one: (one.mean, one.n, -one.number), default=None)


def what_is_wrong(shape: Shape, failure: Failure) -> str:
    """Return in words what is wrong with an answer, as far as its shape tells."""
    output, expected = failure.output.strip(), failure.example.expected_output
    if not output:
        return "there is no answer"
    if shape.kind == "labels":
        known = {label_key(label) for label in shape.labels}
        return (
            "another label is right"
            if label_key(output) in known
            else "this is not exactly one of the labels"
        )
    if shape.kind == "text":
        return "it differs from the right answer"
    told, right = as_object(output), as_object(expected) or {}
    if told is None:
        return "this is not one JSON object"
    wrong = [name for name in right if name not in told or told[name] != right[name]]
    return f"wrong or missing: {', '.join(wrong)}" if wrong else "it holds more than the fields asked for"


def _minibatch(failures: Sequence[Failure], rng: random.Random) -> list[Failure]:
    return rng.sample(failures, min(MINIBATCH, len(failures)))


def _question(
    brief: Brief, leader: Tried, batch: Sequence[Failure], draw: int, rng: random.Random
) -> Question:
    parts = (
        "It fails on the inputs below. Each comes with the answer it led to, and the right one.",
        quoted(_record(brief.shape, failure) for failure in batch),
        "Change the instruction so that such inputs are answered rightly; keep what works.",
        f"Write one line that starts with {DIAGNOSIS} and says what these failures have in common, then the "
        f"whole new instruction {BETWEEN}.",
    )
    return question("learn from failures", brief, leader.proposal.prompt, *parts, draw=draw, rng=rng)


def _record(shape: Shape, failure: Failure) -> dict[str, Any]:
    example = failure.example
    return {
        "input": shorten(example.input_text, QUOTED_CHARACTERS),
        "context": shorten(example.context or "", QUOTED_CHARACTERS),
        "answer": shorten(failure.output, QUOTED_CHARACTERS),
        "right": shorten(example.expected_output, QUOTED_CHARACTERS),
        "wrong": what_is_wrong(shape, failure),
        "complaints": list(example.issue_categories),
    }


def _proposal(brief: Brief, leader: Tried, batch: Sequence[Failure], text: str, diagnosis: str) -> Proposal:
    learnt_from = learnt(
        examples=(failure.example.id for failure in batch),
        issues=(category for failure in batch for category in failure.example.issue_categories),
    )
    return Proposal(
        "reflective",
        renewed(brief, leader.proposal.prompt, text),
        f"A model mended the instruction of candidate {leader.number} after {len(batch)} failures.",
        parents=(leader.number,),
        learnt_from=learnt_from | ({"diagnosis": diagnosis} if diagnosis else {}),
    )


REFLECTIVE = Strategy(
    "reflective",
    "Learning from failures",
    "A model looks at answers that the best prompt so far got wrong, says why, and mends the instruction.",
    "proposer",
    drafts,
)
