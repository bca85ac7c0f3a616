from __future__ import annotations

import random

import pytest

from learning_core.llm.templates import Prompt
from learning_core.prompts.evidence import Evidence
from learning_core.prompts.strategies import STRATEGIES, nobody
from learning_core.prompts.strategies.answers import label_contract
from learning_core.prompts.strategies.layout import instruction, with_inline_examples, with_rules
from learning_core.prompts.strategies.strategy import Drafted
from tests.prompts.strategies.making import LABELS, Scripted, able, evidence, invoices, routing, taxes

WRITTEN = "Read the message twice.\nDecide what the customer wants done."
ANSWER = f"Sure!\n<instruction>\n{WRITTEN}\n</instruction>\nI hope this helps."


def drafted(told, ask) -> Drafted:
    return STRATEGIES["clarified"].draft(told, ask, random.Random(1))


def sent(told) -> str:
    ask = Scripted()
    drafted(told, ask)
    return ask.questions[0].messages[1][1]


def test_a_model_rewrites_the_instruction_and_the_form_of_the_answer_is_said_again():
    proposal = drafted(routing(), Scripted(ANSWER)).proposals[0]
    assert instruction(proposal.prompt) == f"{WRITTEN}\n\n{label_contract(LABELS)}"
    assert '"vendor": "<text>"' in instruction(drafted(invoices(), Scripted(ANSWER)).proposals[0].prompt)


def test_free_text_keeps_its_context_and_tells_what_it_rests_on():
    proposal = drafted(taxes(), Scripted(ANSWER)).proposals[0]
    assert instruction(proposal.prompt) == f"{WRITTEN}\n\nContext:\n{{{{context}}}}"
    assert proposal.reason == "A model rewrote the instruction against answers that are incomplete, outdated."
    assert proposal.learnt_from == {"issues": ["incomplete", "outdated"], "feedback": ["f1", "f2"]}


def test_all_questions_are_asked_at_once_the_first_without_chance():
    ask = Scripted(able)
    found = drafted(routing(room=3), ask)
    assert [[one.temperature for one in call] for call in ask.calls] == [[0.0, 0.7, 0.7]]
    assert len({one.seed for one in ask.questions}) == 3
    assert len(found.proposals) == 3


def test_the_model_is_told_the_task_the_goal_and_the_complaints():
    told = sent(taxes(goals="Fewer calls to the hotline.", evidence=evidence(guidelines="Name the law.")))
    assert (
        "<instruction>\nYou are a tax adviser. Answer with the help of the context.\n</instruction>" in told
    )
    assert "What it should be better at: Fewer calls to the hotline." in told
    assert '{"users complain that answers are": "incomplete", "in": "40% of feedback"}' in told
    assert '"It forgot the extension entirely."' in told
    assert '{"guidelines of the reviewers": "Name the law."}' in told
    assert told.endswith("Write only the new instruction, between <instruction> and </instruction>.")


def test_without_evidence_it_is_asked_to_be_stricter():
    told = sent(taxes(evidence=Evidence()))
    assert "clearer and stricter" in told
    assert "<data" not in told


def test_lists_and_examples_of_the_baseline_stay():
    listed = with_inline_examples(with_rules(routing().baseline, ["Be sure."]), [("how much", "balance")])
    told = routing(baseline=listed.with_examples([("send it", "transfer")]))
    prompt = drafted(told, Scripted(ANSWER)).proposals[0].prompt
    assert instruction(prompt).endswith("Rules:\n- Be sure.\n\nExamples:\n\nInput: how much\nOutput: balance")
    assert prompt.examples == (("send it", "transfer"),)
    assert "how much" not in sent(told)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Sure!",
        "```python\nprint('balance')\n```\nand\n```\nmore\n```",
        "<instruction>" + "Be exact and kind. " * 600 + "</instruction>",
        "<instruction>Answer with {{answer}} only, please.</instruction>",
        "<instruction>Follow the ```json form``` for it.</instruction>",
    ],
)
def test_what_a_weak_model_spoils_is_refused_with_a_reason(answer):
    found = drafted(routing(room=1), Scripted(answer))
    assert found.proposals == []
    assert len(found.refused[0].reason) > 10


def test_the_same_answer_twice_is_one_proposal():
    found = drafted(routing(room=2), Scripted(ANSWER))
    assert len(found.proposals) == 1
    assert [one.reason for one in found.refused] == ["It is proposed twice."]


def test_a_label_named_wrong_by_the_model_is_named_right_in_the_end():
    wrong = "<instruction>Choose one of: balances, frozen accounts, transfers.</instruction>"
    assert instruction(drafted(routing(), Scripted(wrong)).proposals[0].prompt).endswith(
        label_contract(LABELS)
    )


def test_a_prompt_of_one_message_is_taken_apart():
    single = Prompt.from_text("Classify: balance, freeze_account, transfer.\n\nMessage: {{input}}\nLabel:")
    prompt = drafted(routing(baseline=single), Scripted(ANSWER)).proposals[0].prompt
    assert [(one.role, one.text) for one in prompt.messages][1] == ("user", "{{input}}")
    assert "{{" not in sent(routing(baseline=single))


def test_nobody_to_ask_is_no_proposal():
    assert drafted(routing(), nobody).proposals == []
