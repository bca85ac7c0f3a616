from __future__ import annotations

import pytest

from learning_core.llm.templates import Message, Prompt
from learning_core.prompts.strategies.layout import (
    asked,
    bare_of_examples,
    examples_in,
    inline,
    instruction,
    plain,
    rewritten,
    rules_in,
    task_of,
    with_inline_examples,
    with_lists_of,
    with_rules,
    without_rules,
)
from tests.prompts.strategies.making import example

SYSTEM = Prompt.from_text("Be brief.")
SINGLE = Prompt.from_text("Sort the mail.\n\nContext: {{context}}\nMail: {{input}}\nBox:")
WITH_CONTEXT = Prompt(
    (Message("system", "Use the context.\n\nContext:\n{{context}}"), Message("user", "{{input}}"))
)


def said(prompt: Prompt) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in prompt.messages]


def test_a_system_message_is_rewritten_in_its_place():
    assert said(rewritten(SYSTEM, "Be exact.", "One word.")) == [
        ("system", "Be exact.\n\nOne word."),
        ("user", "{{input}}"),
    ]


def test_what_the_old_instruction_passed_on_goes_before_the_last_part():
    assert said(rewritten(WITH_CONTEXT, "Be exact.", "One word."))[0][1] == (
        "Be exact.\n\nContext:\n{{context}}\n\nOne word."
    )
    assert rewritten(WITH_CONTEXT, "Be exact, {{context}}.").messages[0].text == "Be exact, {{context}}."


def test_an_instruction_that_is_the_question_too_is_taken_apart():
    assert said(rewritten(SINGLE, "Be exact.")) == [
        ("system", "Be exact."),
        ("user", "Context:\n{{context}}\n\nInput:\n{{input}}"),
    ]
    assert said(rewritten(Prompt.from_text("Sort {{input}}."), "Be exact."))[1] == ("user", "{{input}}")


def test_examples_stay_before_the_question_when_the_instruction_is_rewritten():
    shown = rewritten(SINGLE.with_examples([("a", "b")]), "Be exact.")
    assert [message.role for message in shown.messages] == ["system", "user", "assistant", "user"]
    assert shown.examples == (("a", "b"),)
    assert rewritten(SYSTEM.with_examples([("a", "b")]), "Be exact.").examples == (("a", "b"),)


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("Sort the mail.\n\nContext: {{context}}\nMail: {{input}}\nBox:", "Sort the mail."),
        ("Sort the mail.\n\nContext:\n{{context}}\n\n<mail>{{input}}</mail>", "Sort the mail."),
        ("Sort the mail.\n<mail>\n{{input}}\n</mail>\nOne word.", "Sort the mail.\nOne word."),
        ("Is {{input}} spam?", "Is the input spam?"),
        ("{{input}}\n\nSort the mail above.", "Sort the mail above."),
    ],
)
def test_the_task_is_told_without_places_for_input(text, task):
    assert task_of(Prompt.from_text(text)) == task


def test_the_task_is_told_without_lists_of_ours():
    listed = with_inline_examples(with_rules(SYSTEM, ["Say when."]), [("a", "b")])
    assert task_of(listed) == "Be brief."


def test_examples_within_the_instruction_are_found_and_replaced():
    one = with_inline_examples(SYSTEM, [("a\nOutput: x\n\nExamples:", "b"), ("c", "d")])
    assert instruction(one) == (
        "Be brief.\n\nExamples:\n\nInput: a\n  Output: x\n  \n  Examples:\nOutput: b\n\nInput: c\nOutput: d"
    )
    assert bare_of_examples(one) == SYSTEM
    other = with_inline_examples(one.with_examples([("x", "y")]), [("e", "f")])
    assert instruction(other) == "Be brief.\n\nExamples:\n\nInput: e\nOutput: f"
    assert other.examples == ()


def test_examples_go_before_an_instruction_that_is_the_question_too():
    shown = with_inline_examples(SINGLE, [("a", "b")])
    assert instruction(shown).startswith("Examples:\n\nInput: a\nOutput: b\n\nSort the mail.")
    assert bare_of_examples(shown) == SINGLE
    assert examples_in(instruction(shown)) == "Examples:\n\nInput: a\nOutput: b"


def test_an_example_within_the_instruction_names_no_variables():
    shown = with_inline_examples(SYSTEM, [("what is {{context}}?", "{{ input }}")])
    assert shown.variables == ("input",)
    assert plain("{{a}} {{ b }} {{1}}") == "{ {a} } { { b } } {{1}}"


def test_rules_are_added_to_those_that_are_listed_already():
    once = with_rules(SYSTEM, ["Say when.", "Say {{how}}\nmuch."])
    assert instruction(once) == "Be brief.\n\nRules:\n- Say when.\n- Say { {how} } much."
    twice = with_rules(once, ["Say when.", "Say why."])
    assert rules_in(instruction(twice)) == ["Say when.", "Say { {how} } much.", "Say why."]
    assert without_rules(instruction(twice)) == "Be brief."


def test_a_section_of_rules_is_a_list_of_rules():
    assert rules_in("# Task\nSort.\n\n# Rules\n- One.\n- Two.\n\n# Answer\nShort.") == ["One.", "Two."]


def test_lists_are_carried_over_to_another_instruction():
    old = with_inline_examples(with_rules(SYSTEM, ["Say when."]), [("a", "b")])
    new = with_lists_of(old, rewritten(old, "Be exact."))
    assert instruction(new) == "Be exact.\n\nRules:\n- Say when.\n\nExamples:\n\nInput: a\nOutput: b"
    assert with_lists_of(SYSTEM, SYSTEM) == SYSTEM


def test_an_example_asks_as_the_prompt_does():
    form = Prompt((Message("system", "Sort."), Message("user", "Mail: {{input}}\nFrom: {{context}}")))
    told = example("e", "hello {{context}}", "spam", context="Ann")
    assert asked(form, told) == "Mail: hello {{context}}\nFrom: Ann"
    assert asked(SINGLE, told) == "hello {{context}}"
    assert asked(SYSTEM, told) == "hello {{context}}"


def test_an_inline_example_is_two_lines():
    assert inline(" a \n b", "c") == "Input: a\n  b\nOutput: c"
