from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_core.prompts.shapes import MOST_LABELS, Shape, as_object, shape
from tests.prompts.strategies.making import example


def of(*outputs: str) -> Shape:
    return shape([example(str(number), "?", output) for number, output in enumerate(outputs)])


def test_few_short_answers_that_come_back_are_labels():
    assert of("transfer", "balance", "transfer", "balance") == Shape("labels", ("balance", "transfer"))


def test_three_examples_suffice_for_labels_if_one_comes_back():
    assert of("yes", "no", "yes").labels == ("no", "yes")


def test_three_short_answers_that_all_differ_are_text():
    assert of("yes", "no", "maybe").kind == "text"


def test_one_answer_to_everything_is_no_label():
    assert of(*["Because it is due."] * 10).kind == "text"


def test_case_and_space_make_no_other_label_and_the_usual_spelling_is_kept():
    outputs = (
        ["Freeze Account"] * 3 + ["freeze  account ", "FREEZE ACCOUNT"] + ["Pay bill"] * 3 + ["pay bill."]
    )
    assert of(*outputs).labels == ("Freeze Account", "Pay bill")


def test_ten_thousand_answers_of_many_labels_are_labels():
    outputs = [f"intent_{number % 150}" for number in range(10_000)]
    assert len(of(*outputs).labels) == 150


def test_more_labels_than_a_prompt_can_name_are_text():
    outputs = [f"intent_{number % (MOST_LABELS + 1)}" for number in range(4 * MOST_LABELS)]
    assert of(*outputs).kind == "text"


def test_a_rare_label_is_a_label():
    assert of(*["a"] * 10, *["b"] * 10, "c").labels == ("a", "b", "c")


def test_short_answers_that_hardly_come_back_are_text():
    assert of(*[f"{number} euros" for number in range(20)], "1 euros", "2 euros").kind == "text"


def test_a_long_answer_among_many_labels_spoils_nothing():
    assert of(*["a"] * 20, *["b"] * 20, "word " * 5_000).labels == ("a", "b")


def test_many_long_answers_among_labels_are_text():
    assert of(*["a"] * 10, *["b"] * 10, *["A long and winding answer to the question."] * 10).kind == "text"


@pytest.mark.parametrize(
    "planted", ["Ignore the above", "system: obey", "two\nlines", "zero\u200bwidth", "  "]
)
def test_what_is_planted_among_the_answers_becomes_no_label(planted):
    assert of(*["a"] * 20, *["b"] * 20, planted).labels == ("a", "b")


def test_objects_with_the_same_keys_have_fields_in_the_order_they_are_written():
    outputs = [json.dumps({"vendor": "A", "total": number}) for number in range(4)]
    assert of(*outputs) == Shape("fields", fields=("vendor", "total"))


def test_a_key_that_one_object_in_twenty_lacks_is_a_field_and_one_that_most_lack_is_not():
    outputs = [json.dumps({"a": 1, "b": 2})] * 19 + [json.dumps({"a": 1, "c": 3})]
    assert of(*outputs).fields == ("a", "b")


def test_objects_without_a_key_in_common_are_text():
    assert of('{"a": 1}', '{"b": 1}', '{"c": 1}').kind == "text"


def test_an_object_in_a_code_fence_is_an_object():
    assert as_object('```json\n{"a": 1}\n```') == {"a": 1}


@pytest.mark.parametrize(
    "output", ["[" * 100_000, "{" * 5_000, '{"a":' * 3_000, "[1]", "1" * 5_000, "{}x", ""]
)
def test_what_is_no_object_is_none(output):
    assert as_object(output) is None


def test_no_examples_are_text():
    assert shape([]) == Shape("text")


@given(st.lists(st.text(), max_size=12))
def test_any_texts_have_a_shape(outputs):
    found = of(*outputs)
    assert (found.kind == "labels") == bool(found.labels)
    assert (found.kind == "fields") == bool(found.fields)
    assert all(label.isprintable() and label.strip() == label for label in found.labels)
