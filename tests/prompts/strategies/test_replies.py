from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_core.prompts.strategies.replies import (
    clean,
    diagnosis_in,
    instruction_in,
    line_in,
    object_in,
    whole_sentences,
)

WANTED = "Read the message.\nAnswer with the label that fits best."


@pytest.mark.parametrize(
    "answer",
    [
        f"<instruction>{WANTED}</instruction>",
        f"<instruction>\n{WANTED}\n</instruction>\n\nI hope this helps!",
        f"Sure! Here is it:\n<instruction>\n{WANTED}\n</instruction>",
        f"<INSTRUCTION>\n{WANTED}\n</INSTRUCTION>",
        f"<instruction>\n```\n{WANTED}\n```\n</instruction>",
        f"```text\n<instruction>\n{WANTED}\n</instruction>\n```",
        f"I write it between <instruction> and </instruction>.\n<instruction>{WANTED}</instruction>",
        f"<instruction>\n{WANTED} And then it broke o",
        f"<instruction>\nNew instruction: {WANTED}\n</instruction>",
        f"<instruction>\n**Instruction:**\n{WANTED}\n</instruction>",
        json.dumps({"diagnosis": "Too vague.", "instruction": WANTED}),
        "```json\n" + json.dumps({"instruction": WANTED}) + "\n```",
        json.dumps({"instruction": f"{WANTED} And then it broke o"})[:-2],
        WANTED,
        f'"{WANTED}"',
        f"```\n{WANTED}\n```",
        f"Sure! Here is the improved instruction:\n\n{WANTED}",
        f"Here's the rewritten prompt: {WANTED}",
        f"Certainly!\n\n{WANTED}\n\nLet me know if you need anything else!",
        f"### New Instruction:\n{WANTED}\n\n**Changes made:**\n- It is shorter.",
        f"{WANTED}\n\nThis instruction is clearer because it is shorter.",
        WANTED.replace("\n", "\r\n"),
        f"{WANTED}\n\n\n\nI made it shorter.\n",
        f"{WANTED} And then it broke o",
    ],
)
def test_the_instruction_is_found_whatever_stands_around_it(answer):
    assert instruction_in(answer) == WANTED


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "   \n\n",
        "Sure!",
        "Sure! Here is the improved instruction:",
        "I cannot",
        "<instruction></instruction>",
        "<instruction>...</instruction>",
        f"Use this:\n```python\nlabels = ['a']\n```\nor that:\n```\n{WANTED}\n```",
        f"{WANTED}\n```",
        '{"prompt": "no instruction here at all, sorry"}',
        '{"instruction": 5}',
        "{" * 5_000,
        "word " * 3 + "cut off without any end at al",
    ],
)
def test_no_instruction_is_found_where_none_can_be_trusted(answer):
    assert instruction_in(answer) == ""


def test_only_what_broke_off_loses_its_last_sentence():
    assert instruction_in("<instruction>Be brief and be exact</instruction>") == "Be brief and be exact"
    assert whole_sentences("One two three. Four fi") == "One two three."
    assert whole_sentences("- one two three\n- four fi") == "- one two three"


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ("the user asks how much money is left", "the user asks how much money is left"),
        ("balance: the user asks what is left.", "the user asks what is left"),
        ("**balance**: the user asks what is left", "the user asks what is left"),
        ("The label balance is - the user asks what is left", "the user asks what is left"),
        ("Definition: the user asks what is left", "the user asks what is left"),
        ("- the user asks what is left\n- and more", "the user asks what is left"),
        ("1. the user asks what is left", "the user asks what is left"),
        ('"the user asks what is left"', "the user asks what is left"),
        ("Sure! Here is a definition:\nthe user asks what is left", "the user asks what is left"),
        ("Sure, here is the line: the user asks what is left", "the user asks what is left"),
        ("the user asks what is left. Note that it may differ.", "the user asks what is left"),
        ("\n\nthe user asks\twhat is left\n", "the user asks what is left"),
        ("asks for {{input}} of the account", "asks for { {input} } of the account"),
    ],
)
def test_one_line_is_found_whatever_stands_around_it(answer, line):
    assert line_in(answer, "balance") == line


@pytest.mark.parametrize(
    "answer", ["", "balance", "balance balance balance", "Balance: balance", "```", "Sure!", "...", "\u2014"]
)
def test_no_line_is_found_where_nothing_is_said(answer):
    assert line_in(answer, "balance") == ""


def test_a_long_line_ends_after_a_clause():
    line = "asks how much money is left in any of the accounts, " + "and so on " * 40
    assert line_in(line, most_words=14) == "asks how much money is left in any of the accounts"
    assert len(line_in("one word and another " * 2_500, most_words=14).split()) == 14


def test_a_diagnosis_is_one_line_before_the_instruction():
    answer = "**Diagnosis:** It adds words.\n<instruction>Answer with one label only.</instruction>"
    assert diagnosis_in(answer) == "It adds words."
    assert diagnosis_in("Sure! <instruction>Answer with one label only.</instruction>") == ""
    assert len(diagnosis_in("Diagnosis: " + "x" * 10_000)) == 300


def test_an_object_is_found_in_chatter_and_nothing_in_what_is_none():
    assert object_in('Sure:\n```json\n{"a": 1}\n```\nDone.') == {"a": 1}
    assert object_in("no braces") == object_in('{"a": ') == object_in("[1]") == {}
    assert object_in('{"a":' * 5_000 + "}" * 5_000) == {}


def test_what_a_prompt_cannot_hold_is_removed():
    assert clean("a\x00b\ud800c\r\nd\x1b[0m  \n\n\n\ne") == "abc\nd[0m\n\ne"


@given(st.text())
def test_any_answer_is_read(answer):
    assert instruction_in(answer) == instruction_in(answer).strip()
    assert "\n" not in line_in(answer, "balance")
    assert "\n" not in diagnosis_in(answer)
    assert isinstance(object_in(answer), dict)


def test_a_model_that_never_stops_is_read_to_the_end():
    assert instruction_in("\n \n" * 5_000) == ""
    assert instruction_in("- \n" * 5_000 + "\u2014") == ""
