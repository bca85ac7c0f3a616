from __future__ import annotations

import json
import random

import pytest

from learning_core.llm.templates import Prompt
from learning_core.prompts.strategies import STRATEGIES, nobody
from learning_core.prompts.strategies.layout import instruction
from learning_core.prompts.strategies.restructured import descriptions, without_lists
from learning_core.prompts.strategies.strategy import Drafted
from tests.prompts.strategies.making import Scripted, brief, example, invoices, routing, taxes

LABELS = ["balance", "bill_due", "freeze_account"]

OF_LABELS = """\
# Task
Classify the banking message into one of the labels below.

# Labels
- balance
- freeze_account
- transfer

# Answer
Answer with exactly one of these labels, and nothing else: balance, freeze_account, transfer
Copy the label letter by letter: no other words, no quotes, no explanation."""

OF_FIELDS = """\
# Task
Extract the invoice.

# Fields
- vendor: a text, copied from the input letter by letter
- total: a number, without unit
- due: a text, or null

# Answer
Answer with one JSON object and nothing else: no code fence, no comment, no text around it.
Use exactly these keys, in this order:
{"vendor": "<text>", "total": <number>, "due": "<text>"}
Write null, without quotes, where the input does not give: due"""

OF_TEXT = """\
# Task
You are a tax adviser. Answer with the help of the context.

# Rules
- Answer every part of the question, with the conditions and exceptions that matter.
- Say for which date or version of the rules the answer holds.

# Context
{{context}}

# Answer
Give the answer itself first, then only what supports it. Write 10 to 15 words."""


def drafted(told, ask=nobody) -> Drafted:
    return STRATEGIES["restructured"].draft(told, ask, random.Random(1))


@pytest.mark.parametrize(
    ("told", "text"), [(routing(), OF_LABELS), (invoices(), OF_FIELDS), (taxes(), OF_TEXT)]
)
def test_the_instruction_is_put_into_sections_without_a_model(told, text):
    assert instruction(drafted(told).proposals[0].prompt) == text


def test_a_model_writes_the_sections_too():
    sections = {"role": "You are a teller.", "task": "Route the message.", "rules": ["- Read twice.", "", 5]}
    ask = Scripted("Sure!\n```json\n" + json.dumps(sections) + "\n```")
    text = instruction(drafted(routing(), ask).proposals[1].prompt)
    assert text.startswith("# Task\nYou are a teller.\nRoute the message.\n\n# Labels\n- balance")
    assert "# Rules\n- Read twice\n\n# Answer\nAnswer with exactly one" in text
    assert ask.questions[0].schema["required"] == ["role", "task", "rules"]


@pytest.mark.parametrize(
    "answer", ["", "Sure!", "{}", '{"task": 5}', '{"task": "x"}', '{"role": "a", "task"']
)
def test_without_sections_the_model_is_refused(answer):
    found = drafted(routing(), Scripted(answer))
    assert len(found.proposals) == 1
    assert [one.reason for one in found.refused] == ["The model's answer holds no sections."]


def test_a_model_is_not_asked_without_room():
    ask = Scripted()
    drafted(routing(room=1), ask)
    assert ask.calls == []


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "Classify into one of: balance, bill_due, freeze_account.",
            "Classify into one of the labels below.",
        ),
        ("Sort it. Labels: balance, bill_due or freeze_account.", "Sort it."),
        ("Sort it.\n\nLabels:\n- balance\n- bill_due\n- freeze_account\n\nBe kind.", "Sort it.\n\nBe kind."),
        ("Sort it. Answer with balance, bill_due, freeze_account.", "Sort it."),
        ("Sort it. Answer with the label only.", "Sort it."),
        ("Sort it.\nbalance: what is left\nbill_due: when to pay\nBe kind.", "Sort it.\nBe kind."),
        (
            "Choose between `balance`, `bill_due`, and `freeze_account` for it.",
            "Choose between the labels below for it.",
        ),
        ("Only a balance matters here.", "Only a balance matters here."),
        ("balance, bill_due, freeze_account", ""),
        ("Choose one of these categories: balance, bill_due, freeze_account", ""),
        ("Route it (balance, bill_due, freeze_account) at once.", "Route it (the labels below) at once."),
    ],
)
def test_lists_of_labels_are_left_to_their_section(text, left):
    assert without_lists(text, LABELS) == left


def test_a_task_that_is_nothing_but_labels_gets_a_default():
    told = routing(baseline=Prompt.from_text("balance, freeze_account, transfer"))
    text = instruction(drafted(told).proposals[0].prompt)
    assert text.startswith("# Task\nRead the input and choose the one label that fits it best.")


def test_what_the_baseline_says_of_labels_stays():
    text = "Route it.\n- balance: what is left\n- freeze_account \u2013 lock it\ntransfer: move money"
    assert descriptions(text, ["balance", "freeze_account", "transfer"]) == {
        "balance": "what is left",
        "freeze_account": "lock it",
        "transfer": "move money",
    }
    shown = instruction(drafted(routing(baseline=Prompt.from_text(text))).proposals[0].prompt)
    assert "# Labels\n- balance: what is left\n- freeze_account: lock it\n- transfer: move money" in shown


def test_many_labels_are_listed_once():
    examples = [example(f"{n}-{i}", f"word{n} {i}", f"label_{n}") for n in range(40) for i in range(3)]
    text = instruction(drafted(brief(Prompt.from_text("Route it."), examples)).proposals[0].prompt)
    assert "Answer with exactly one label of the list above, and nothing else.\n" in text
    assert text.count("label_17") == 1


def test_a_label_with_a_comma_is_quoted_where_labels_are_named():
    examples = [example(str(n), "?", answer) for n, answer in enumerate(["yes, please", "no"] * 4)]
    text = instruction(drafted(brief(Prompt.from_text("Route it."), examples)).proposals[0].prompt)
    assert 'nothing else: "no", "yes, please"' in text


def test_what_fields_hold_is_read_from_the_examples():
    told = [
        {
            "paid": n % 2 == 0,
            "count": n,
            "kind": ["in", "out"][n % 2],
            "day": "2024-05-01",
            "of": [n],
            "more": {},
        }
        for n in range(6)
    ]
    examples = [example(str(n), "?", json.dumps(one)) for n, one in enumerate(told)]
    text = instruction(drafted(brief(Prompt.from_text("Read it."), examples)).proposals[0].prompt)
    assert (
        '{"paid": <true or false>, "count": <whole number>, "kind": "<in or out>", "day": "<YYYY-MM-DD>", '
        '"of": [<values>], "more": {<values>}}'
    ) in text
    assert '- kind: one of "in", "out"' in text


def test_a_hostile_field_names_no_variable():
    examples = [example(str(n), "?", json.dumps({"{{context}}": f"{{{{x}}}} {n % 2}"})) for n in range(6)]
    found = drafted(brief(Prompt.from_text("Read it."), examples))
    assert found.proposals[0].prompt.variables == ("input",)
