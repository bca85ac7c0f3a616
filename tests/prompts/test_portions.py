from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_core.datasets.content import DatasetExample
from learning_core.errors import NotEnoughData
from learning_core.prompts import portions
from learning_core.prompts.portions import divide


def examples(count, split="train", groups=None, labels=("yes", "no")):
    return [
        DatasetExample(
            id=f"{split}-{number}",
            agent_id="router",
            example_type="positive",
            split=split,
            group=f"{split}-g{number % (groups or count)}",
            input_text=f"question {number}",
            expected_output=labels[number % len(labels)],
        )
        for number in range(count)
    ]


def test_enough_validation_examples_select_alone():
    train, validation = examples(50), examples(70, "validation")
    found = divide(train, validation, seed=1)
    assert sorted(example.id for example in found.teaching) == sorted(example.id for example in train)
    assert sorted(example.id for example in found.selection) == sorted(example.id for example in validation)


def test_no_more_select_than_change_anything():
    assert len(divide(examples(5), examples(400, "validation"), seed=1).selection) == portions.MOST


def test_few_validation_examples_are_topped_up_from_training_by_whole_groups():
    train = examples(100, groups=25)
    found = divide(train, examples(10, "validation"), seed=1)
    assert 60 <= len(found.selection) < 64
    taught, selected = ({example.group for example in part} for part in found)
    assert not taught & selected
    assert len(found.teaching) + len(found.selection) == 110


def test_teaching_keeps_its_share_of_a_small_dataset():
    found = divide(examples(30), [], seed=1)
    assert (len(found.teaching), len(found.selection)) == (12, 18)


def test_too_few_examples_are_refused_with_what_to_do():
    with pytest.raises(NotEnoughData, match="at least 10"):
        divide(examples(12), examples(2, "validation"), seed=1)


def test_the_first_examples_that_select_show_every_kind_of_answer():
    labels = tuple(f"label {number}" for number in range(10))
    first = divide([], examples(60, "validation", labels=labels), seed=3).selection[:10]
    assert {example.expected_output for example in first} == set(labels)


def test_the_first_examples_that_select_are_as_mixed_as_all_of_them():
    rare = examples(60, "validation", labels=("yes", "yes", "yes", "yes", "no"))
    first = divide([], rare, seed=3).selection[:10]
    assert sorted(example.expected_output for example in first).count("no") == 2


def test_another_seed_divides_differently_and_the_same_seed_alike():
    train = examples(100)
    assert divide(train, [], seed=1) == divide(list(reversed(train)), [], seed=1)
    assert divide(train, [], seed=1) != divide(train, [], seed=2)


@given(st.integers(0, 80), st.integers(0, 80), st.integers(1, 80), st.integers(0, 9))
def test_nothing_is_lost_doubled_or_both_taught_and_selected(taught, validated, groups, seed):
    train, validation = examples(taught, groups=groups), examples(validated, "validation")
    try:
        found = divide(train, validation, seed)
    except NotEnoughData:
        return
    ids = [example.id for part in found for example in part]
    assert len(ids) == len(set(ids)) == taught + min(validated, portions.MOST)
    assert not {example.group for example in found.teaching} & {example.group for example in found.selection}
