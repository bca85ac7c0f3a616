from __future__ import annotations

import json
import random

import pytest

from learning_core.prompts.shapes import Shape
from learning_core.prompts.strategies import STRATEGIES, Failure, nobody
from learning_core.prompts.strategies.layout import instruction
from learning_core.prompts.strategies.reflective import MINIBATCH, leader_in, what_is_wrong
from learning_core.prompts.strategies.strategy import Drafted
from tests.prompts.strategies.making import LABELS, Scripted, able, example, invoices, routing, tried

ANSWER = """\
Diagnosis: It adds words around the label.
<instruction>
Read the message and write its label alone.
</instruction>"""


def failing(number: int, mean: float | None, outputs: int = 6, text: str = "Route it."):
    told = routing()
    failures = [Failure(one, "Sure, transfer!") for one in told.examples[:outputs]]
    return tried(number, told.baseline.with_instruction(f"{text} {', '.join(LABELS)}"), mean, failures)


def drafted(told, ask=nobody) -> Drafted:
    return STRATEGIES["reflective"].draft(told, ask, random.Random(1))


def test_the_best_prompt_that_failed_is_mended():
    told = routing(tried=(failing(0, 0.3), failing(4, 0.6, text="Sort it."), failing(5, 0.9, outputs=0)))
    ask = Scripted(ANSWER)
    proposal = drafted(told, ask).proposals[0]
    assert proposal.parents == (4,)
    assert proposal.reason == "A model mended the instruction of candidate 4 after 4 failures."
    assert proposal.learnt_from["diagnosis"] == "It adds words around the label."
    assert instruction(proposal.prompt).startswith(
        "Read the message and write its label alone.\n\nAnswer with"
    )
    assert "<instruction>\nSort it." in ask.questions[0].messages[1][1]


def test_only_failures_are_shown_a_few_at_a_time():
    ask = Scripted(able)
    found = drafted(routing(tried=(failing(1, 0.5, outputs=9),), room=3), ask)
    assert [len(call) for call in ask.calls] == [3]
    lines = [line for line in ask.questions[0].messages[1][1].splitlines() if line.startswith("{")]
    assert len(lines) == MINIBATCH
    assert {json.loads(line)["answer"] for line in lines} == {"Sure, transfer!"}
    assert len({tuple(one.learnt_from["examples"]) for one in found.proposals}) > 1


def test_without_failures_there_is_nothing_to_learn_from():
    for known in ((), (failing(0, 0.5, outputs=0),), (failing(0, None),)):
        ask = Scripted()
        assert drafted(routing(tried=known), ask).refused[0].reason.startswith("No prompt has failed yet")
        assert ask.calls == []


def test_of_equal_prompts_the_first_leads():
    assert leader_in([failing(3, 0.5), failing(1, 0.5), failing(2, 0.4)]).number == 1


@pytest.mark.parametrize("answer", ["", "Diagnosis: I do not know.", "```\nx\n```"])
def test_an_answer_without_instruction_is_refused(answer):
    found = drafted(routing(tried=(failing(0, 0.5),), room=1), Scripted(answer))
    assert found.proposals == []
    assert "no instruction" in found.refused[0].reason


def test_an_instruction_that_copies_a_failure_is_refused():
    question = "my landlord wants to increase the rent by twenty percent"
    told = routing(
        tried=(tried(0, routing().baseline, 0.5, [Failure(example("e", question, "balance"), "x")]),)
    )
    found = drafted(told, Scripted(f"<instruction>If {question}, choose balance.</instruction>"))
    assert "copies what a user wrote" in found.refused[0].reason


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("", "there is no answer"),
        ("Sure, transfer!", "this is not exactly one of the labels"),
        ("Transfer.", "another label is right"),
    ],
)
def test_it_is_told_what_is_wrong_with_a_label(output, told):
    assert what_is_wrong(routing().shape, Failure(example("e", "?", "balance"), output)) == told


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("vendor: Acme", "this is not one JSON object"),
        ('{"vendor": "Acme 1", "total": 2}', "wrong or missing: total, due"),
        (
            '{"vendor": "Acme 1", "total": 1.5, "due": null, "x": 1}',
            "it holds more than the fields asked for",
        ),
    ],
)
def test_it_is_told_what_is_wrong_with_an_object(output, told):
    assert what_is_wrong(invoices().shape, Failure(invoices().examples[1], output)) == told


def test_it_is_not_told_what_is_wrong_with_a_text():
    assert (
        what_is_wrong(Shape("text"), Failure(example("e", "?", "a"), "b"))
        == "it differs from the right answer"
    )
