from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_core.errors import InvalidInput
from learning_core.llm.templates import LONGEST, Message, Prompt, require_known

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
MESSAGES = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant"]),
    TEXTS | st.just("Say {{input}} and {{ context }}."),
    st.booleans(),
)
PROMPTS = st.builds(Prompt, st.lists(MESSAGES, min_size=1, max_size=5).map(tuple))


def test_a_plain_instruction_is_followed_by_the_input():
    prompt = Prompt.from_text("Answer in one word.")
    assert prompt.render({"input": "Why?"}) == [
        {"role": "system", "content": "Answer in one word."},
        {"role": "user", "content": "Why?"},
    ]


def test_an_instruction_that_names_the_input_is_the_whole_prompt():
    prompt = Prompt.from_text("Translate: {{input}}")
    assert prompt.render({"input": "Haus"}) == [{"role": "user", "content": "Translate: Haus"}]


@given(PROMPTS)
def test_what_is_told_is_parsed_to_the_same_prompt(prompt):
    again = Prompt.parse(prompt.told())
    assert again == prompt
    assert again.content_hash == prompt.content_hash


PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}"), max_size=20)
NAMES = st.sampled_from(["input", "context", "_x1"])


@given(st.lists(st.tuples(PLAIN, NAMES)), st.dictionaries(NAMES, TEXTS | st.just("{{input}} {{context}}")))
def test_each_variable_is_replaced_and_nothing_else_is(parts, known):
    values = {"input": "{{context}}", "context": "{{_x1}}", "_x1": r"\1"} | known
    template = "".join(f"{plain}{{{{ {name} }}}}" for plain, name in parts)
    rendered = Prompt((Message("user", template),)).render(values)
    assert rendered[0]["content"] == "".join(plain + values[name] for plain, name in parts)


@given(TEXTS | st.just("{{input}}"))
def test_a_literal_message_is_sent_as_it_is(said):
    assert Prompt((Message("user", said, True),)).render({})[0]["content"] == said


def test_filling_in_happens_in_one_pass():
    prompt = Prompt((Message("user", "{{a}} {{b}}"),))
    assert prompt.render({"a": "{{b}}", "b": "{{a}}"})[0]["content"] == "{{b}} {{a}}"


def test_backslashes_and_group_references_are_filled_in_as_they_are():
    prompt = Prompt((Message("user", "{{a}}"),))
    assert prompt.render({"a": r"\1 \g<0> \n"})[0]["content"] == r"\1 \g<0> \n"


def test_an_examples_text_names_no_variables():
    prompt = Prompt.from_text("Answer.").with_examples([("What is {{secret}}?", "{{input}}")])
    assert prompt.variables == ("input",)
    assert [message["content"] for message in prompt.render({"input": "x"})] == [
        "Answer.",
        "What is {{secret}}?",
        "{{input}}",
        "x",
    ]


def test_examples_stand_before_the_last_message_and_can_be_taken_out():
    prompt = Prompt.from_text("Answer.")
    shown = prompt.with_examples([("q1", "a1"), ("q2", "a2")])
    assert shown.examples == (("q1", "a1"), ("q2", "a2"))
    assert shown.without_examples() == prompt


def test_a_variable_without_a_value_is_named():
    with pytest.raises(InvalidInput, match=r"\{\{context\}\}"):
        Prompt.from_text("With {{context}}.").render({"input": "x"})


def test_a_value_of_none_is_filled_in_as_nothing():
    assert Prompt.from_text("<{{input}}>").render({"input": None})[0]["content"] == "<>"


def test_the_instruction_is_exchanged_and_the_rest_stays():
    prompt = Prompt.from_text("Old.").with_examples([("q", "a")])
    changed = prompt.with_instruction("New.")
    assert changed.instruction == "New."
    assert changed.examples == prompt.examples


def test_a_prompt_without_instruction_gets_one_before_it():
    prompt = Prompt((Message("user", "{{input}}"),)).with_instruction("New.")
    assert [message.role for message in prompt.messages] == ["system", "user"]


def test_a_plain_prompts_text_is_its_instruction():
    assert Prompt.from_text("Answer.").text == "Answer."


def test_another_prompts_text_names_the_speakers():
    prompt = Prompt((Message("system", "Answer."), Message("user", "Now: {{input}}")))
    assert prompt.text == "[system]\nAnswer.\n\n[user]\nNow: {{input}}"


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "text",
        [1],
        [{}],
        [{"role": "tool", "text": "x"}],
        [{"role": "user", "text": 1}],
        [{"role": "user", "text": "a\x00b"}],
        [{"role": "user", "text": "\ud800"}],
        [{"role": "user", "text": "x" * (LONGEST + 1)}],
    ],
)
def test_what_is_no_prompt_is_refused(told):
    with pytest.raises(InvalidInput):
        Prompt.parse(told)


def test_other_programs_say_content_for_text():
    assert Prompt.parse([{"role": "user", "content": "x"}]) == Prompt((Message("user", "x"),))


def test_equal_prompts_have_equal_hashes_and_others_do_not():
    one = Prompt.from_text("Answer.")
    assert one.content_hash == Prompt.from_text("Answer.").content_hash
    literal = Prompt((Message("user", "{{input}}", True),))
    assert literal.content_hash != Prompt((Message("user", "{{input}}"),)).content_hash


def test_a_variable_that_the_agent_does_not_have_is_named():
    with pytest.raises(InvalidInput, match="tone"):
        require_known(Prompt.from_text("In {{tone}}."), ("input", "context"))


def test_a_prompt_that_ignores_the_input_is_refused():
    prompt = Prompt((Message("user", "Hello {{context}}"),))
    with pytest.raises(InvalidInput, match="does not use"):
        require_known(prompt, ("input", "context"))


def test_a_prompt_that_uses_what_the_agent_has_is_accepted():
    require_known(Prompt.from_text("With {{context}}."), ("input", "context"))
