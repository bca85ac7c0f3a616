from __future__ import annotations

import random

from learning_core.llm.templates import Prompt
from learning_core.prompts.strategies import STRATEGIES, nobody
from learning_core.prompts.strategies.layout import instruction, with_inline_examples
from learning_core.prompts.strategies.strategy import Drafted
from tests.prompts.strategies.making import LABELS, Scripted, able, routing, taxes, tried

NAMES = ", ".join(LABELS)
EXACT = Prompt.from_text(f"Be exact: {NAMES}.")
KIND = Prompt.from_text(f"Be kind: {NAMES}.")
SHOWING = KIND.with_examples([("send it", "transfer")])
INLINE = with_inline_examples(KIND, [("how much", "balance")])


def drafted(told, ask=nobody) -> Drafted:
    return STRATEGIES["combination"].draft(told, ask, random.Random(1))


def test_the_best_instruction_is_joined_with_the_best_examples():
    told = routing(tried=(tried(0, routing().baseline, 0.3), tried(1, EXACT, 0.6), tried(2, SHOWING, 0.7)))
    first = drafted(told).proposals[0]
    assert first.prompt == EXACT.with_examples([("send it", "transfer")])
    assert first.parents == (1, 2)
    assert first.reason == "Joins the instruction of candidate 1 with the examples of candidate 2."


def test_the_better_pair_comes_first_and_none_that_was_tried():
    told = routing(
        tried=(
            tried(1, EXACT, 0.6),
            tried(2, SHOWING, 0.5),
            tried(3, INLINE, 0.7),
            tried(4, EXACT.with_examples([("send it", "transfer")]), 0.1),
        )
    )
    found = drafted(told).proposals
    assert found[0].prompt == with_inline_examples(EXACT, [("how much", "balance")])
    assert found[0].parents == (1, 3)
    assert len(
        {one.prompt.content_hash for one in found} | {one.proposal.prompt.content_hash for one in told.tried}
    ) == (len(found) + 4)


def test_what_both_learnt_from_is_told():
    one, other = tried(1, EXACT, 0.6), tried(2, SHOWING, 0.7)
    one.proposal.learnt_from.update(
        issues=["tone"], examples=["a"], diagnosis="x", mined=[{"statement": "s"}]
    )
    other.proposal.learnt_from.update(examples=["a", "b"])
    found = drafted(routing(tried=(one, other))).proposals[0]
    assert found.learnt_from == {"examples": ["a", "b"], "issues": ["tone"]}


def test_at_the_start_explained_labels_are_joined_with_examples():
    ask = Scripted(able)
    first, second, third = drafted(routing(), ask).proposals
    assert "What the labels mean:" in instruction(first.prompt)
    assert [answer for _, answer in first.prompt.examples] == list(LABELS)
    assert instruction(second.prompt).startswith("# Task")
    assert len(third.prompt.examples) == 6
    assert len(ask.calls) == 1


def test_at_the_start_no_model_is_needed():
    assert len(drafted(routing()).proposals) == 3
    assert len(drafted(taxes()).proposals) == 3


def test_what_has_no_score_yet_counts_as_the_start():
    told = routing(tried=(tried(1, EXACT, None), tried(2, SHOWING, None)))
    assert all(one.parents == () for one in drafted(told).proposals)


def test_without_examples_nothing_is_joined():
    assert drafted(routing(examples=())).proposals == []
