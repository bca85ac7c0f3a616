"""Show the model approved questions with their right answers."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Literal, NamedTuple

from learning_core.datasets.content import DatasetExample
from learning_core.llm.templates import Prompt
from learning_core.prompts.shapes import Shape, label_key
from learning_core.prompts.strategies.briefs import Ask, Brief, Proposal, Refused, learnt
from learning_core.prompts.strategies.layout import asked, bare_of_examples, with_inline_examples
from learning_core.prompts.strategies.shown import Order, answer_of, draw, in_order, usable
from learning_core.prompts.strategies.strategy import Strategy


class Plan(NamedTuple):
    """How examples are shown: how many (of each label, or in all), in which order, and in which form."""

    number: int
    order: Order
    form: Literal["messages", "inline"]


OF_LABELS = (
    Plan(1, "label by label", "messages"),
    Plan(2, "round by round", "messages"),
    Plan(1, "label by label", "inline"),
    Plan(1, "shortest first", "messages"),
    Plan(2, "shortest first", "inline"),
    Plan(2, "label by label", "messages"),
)
OF_OTHERS = (
    Plan(3, "shortest first", "messages"),
    Plan(5, "shortest first", "messages"),
    Plan(3, "shortest first", "inline"),
    Plan(8, "shortest first", "messages"),
    Plan(5, "round by round", "inline"),
)
DRAWS = 3
"""How often each plan is drawn for, where there is room for so many."""


def drafts(brief: Brief, ask: Ask, rng: random.Random) -> Iterator[Proposal | Refused]:
    """Yield the baseline with examples, each time others or in another form."""
    pool = usable(brief)
    if not pool:
        yield Refused("few_shot", "No example of the train split is fit to be shown.")
        return
    for plan in chain.from_iterable(repeat(plans(brief), DRAWS)):
        yield proposal("few_shot", brief, brief.baseline, plan, draw(brief, pool, plan.number, rng))


def plans(brief: Brief) -> list[Plan]:
    """Return the ways to show examples; within the instruction only if no context belongs to them."""
    have_context = any(example.context for example in brief.examples)
    listed = OF_LABELS if brief.shape.kind == "labels" else OF_OTHERS
    return [plan for plan in listed if plan.form == "messages" or not have_context]


def proposal(
    strategy: str, brief: Brief, prompt: Prompt, plan: Plan, examples: Sequence[DatasetExample]
) -> Proposal:
    """Return a prompt with examples in place of those that it showed before."""
    ordered = in_order(examples, plan.order, brief.shape)
    return Proposal(
        strategy,
        show(brief, prompt, plan, ordered),
        f"Shows {_counted(ordered, brief.shape)} {_FORMS[plan.form]}, {plan.order}.",
        learnt_from=learnt(examples=(example.id for example in ordered)),
    )


def show(brief: Brief, prompt: Prompt, plan: Plan, ordered: Sequence[DatasetExample]) -> Prompt:
    """Return a prompt that shows these examples and no others."""
    bare = bare_of_examples(prompt)
    answers = [answer_of(example, brief.shape) for example in ordered]
    if plan.form == "messages":
        return bare.with_examples(zip((asked(bare, example) for example in ordered), answers, strict=True))
    return with_inline_examples(bare, zip((example.input_text for example in ordered), answers, strict=True))


def _counted(examples: Sequence[DatasetExample], shape: Shape) -> str:
    labels = len({label_key(example.expected_output) for example in examples})
    of_labels = f" of {labels} labels" if shape.kind == "labels" else ""
    return f"{len(examples)} approved examples{of_labels}"


_FORMS = {"messages": "as messages", "inline": "within the instruction"}


FEW_SHOT = Strategy(
    "few_shot",
    "Examples shown",
    "Shows the agent approved questions with their right answers.",
    None,
    drafts,
)
