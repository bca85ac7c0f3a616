"""Let a model rewrite the instruction so that what users complain about no longer happens."""

from __future__ import annotations

import random
from collections.abc import Iterator

from learning_core.prompts.strategies.briefs import Ask, Brief, Proposal, Question, Refused, learnt
from learning_core.prompts.strategies.complaints import MOST_GUIDELINES, MOST_QUOTES, answers_are, told
from learning_core.prompts.strategies.replies import instruction_in
from learning_core.prompts.strategies.rewriting import BETWEEN, NO_INSTRUCTION, question, renewed
from learning_core.prompts.strategies.strategy import Strategy


def drafts(brief: Brief, ask: Ask, rng: random.Random) -> Iterator[Proposal | Refused]:
    """Yield one rewritten instruction for each answer of the model."""
    for answer in ask([_question(brief, draw, rng) for draw in range(brief.room)]):
        text = instruction_in(answer)
        yield _proposal(brief, text) if text else Refused("clarified", NO_INSTRUCTION)


def _question(brief: Brief, draw: int, rng: random.Random) -> Question:
    said = told(brief.evidence)
    wish = (
        "Rewrite the instruction so that these complaints no longer arise."
        if said
        else "Rewrite the instruction so that it is clearer and stricter."
    )
    end = f"Write only the new instruction, {BETWEEN}."
    return question("rewrite the instruction", brief, brief.baseline, said, wish, end, draw=draw, rng=rng)


def _proposal(brief: Brief, text: str) -> Proposal:
    issues = [issue.category for issue in brief.evidence.issues[:MOST_GUIDELINES]]
    because = f" against answers that are {', '.join(map(answers_are, issues))}" if issues else ""
    quotes = brief.evidence.quotes[:MOST_QUOTES]
    return Proposal(
        "clarified",
        renewed(brief, brief.baseline, text),
        f"A model rewrote the instruction{because}.",
        learnt_from=learnt(issues=issues, feedback=(quote.feedback_id for quote in quotes)),
    )


CLARIFIED = Strategy(
    "clarified",
    "Clarified instruction",
    "A model rewrites the instruction so that what users complain about no longer happens.",
    "proposer",
    drafts,
)
