"""Join the best instruction with the best examples."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from learning_core.llm.templates import Prompt
from learning_core.prompts.strategies import few_shot, restructured, scaffolded
from learning_core.prompts.strategies.briefs import Ask, Brief, Proposal, Refused, Tried, learnt, nobody
from learning_core.prompts.strategies.few_shot import Plan
from learning_core.prompts.strategies.guard import acceptable
from learning_core.prompts.strategies.layout import bare_of_examples, examples_in, instruction, with_block
from learning_core.prompts.strategies.shown import draw, usable
from learning_core.prompts.strategies.strategy import Strategy

COMPARED = 4
"""How many of the best instructions and of the best examples are joined."""


def drafts(brief: Brief, ask: Ask, rng: random.Random) -> Iterator[Proposal | Refused]:
    """Yield what was best so far, joined; while nothing was tried, what mostly turns out best."""
    joined = list(_of_tried(brief))
    if joined:
        yield from joined
    else:
        yield from _at_the_start(brief, ask, rng)


def _of_tried(brief: Brief) -> Iterator[Proposal]:
    ranked = sorted(
        (one for one in brief.tried if one.mean is not None),
        key=lambda one: (-(one.mean or 0.0), -one.n, one.number),
    )
    with_examples = [one for one in ranked if _shows_examples(one.proposal.prompt)]
    known = {one.proposal.prompt.content_hash for one in brief.tried} | {brief.baseline.content_hash}
    pairs = product(ranked[:COMPARED], with_examples[:COMPARED])
    for one, other in sorted(pairs, key=lambda pair: -sum(part.mean or 0.0 for part in pair)):
        prompt = _join(one.proposal.prompt, other.proposal.prompt)
        if one.number != other.number and prompt.content_hash not in known:
            known.add(prompt.content_hash)
            yield _joined_proposal(prompt, one, other)


def _joined_proposal(prompt: Prompt, one: Tried, other: Tried) -> Proposal:
    return Proposal(
        "combination",
        prompt,
        f"Joins the instruction of candidate {one.number} with the examples of candidate {other.number}.",
        parents=(one.number, other.number),
        learnt_from=_both(one.proposal.learnt_from, other.proposal.learnt_from),
    )


def _at_the_start(brief: Brief, ask: Ask, rng: random.Random) -> Iterator[Proposal | Refused]:
    pool = usable(brief)
    if not pool:
        yield Refused("combination", "No example of the train split is fit to be shown.")
        return
    explained = _first(scaffolded.drafts(brief, ask, rng), brief)
    structured = _first(restructured.drafts(brief, nobody, rng), brief)
    plans = few_shot.plans(brief)
    for base, plan in (
        (explained, plans[0]),
        (structured, plans[0]),
        (explained, plans[1]),
        (structured, plans[1]),
    ):
        if base:
            yield _with_examples(brief, base, plan, draw(brief, pool, plan.number, rng))


def _first(found: Iterator[Proposal | Refused], brief: Brief) -> Proposal | None:
    return next((draft for draft in found if isinstance(draft, Proposal) and acceptable(draft, brief)), None)


def _with_examples(brief: Brief, base: Proposal, plan: Plan, examples: Sequence[Any]) -> Proposal:
    shown = few_shot.proposal("combination", brief, base.prompt, plan, examples)
    return Proposal(
        "combination",
        shown.prompt,
        f"{base.reason} {shown.reason}",
        learnt_from=_both(base.learnt_from, shown.learnt_from),
    )


def _join(one: Prompt, other: Prompt) -> Prompt:
    bare = bare_of_examples(one)
    if block := examples_in(instruction(other)):
        bare = with_block(bare, block)
    return bare.with_examples(other.examples) if other.examples else bare


def _shows_examples(prompt: Prompt) -> bool:
    return bool(prompt.examples or examples_in(instruction(prompt)))


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    lists = {
        kind
        for told in (one, other)
        for kind, ids in told.items()
        if isinstance(ids, list) and kind != "mined"
    }
    return learnt(**{kind: [*one.get(kind, ()), *other.get(kind, ())] for kind in sorted(lists)})


COMBINATION = Strategy(
    "combination",
    "Best of both",
    "Joins the best instruction found so far with the best examples found so far.",
    None,
    drafts,
)
