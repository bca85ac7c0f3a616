"""Groups stay whole, shares are met, and assignments outlast growth, shuffling and other processes."""

import doctest
import json
import os
import subprocess
import sys
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning_core.datasets import splits
from learning_core.datasets.splits import Shares, Split, assign, groups
from learning_core.errors import InvalidInput

SHARES = st.sampled_from(
    [
        Shares(),
        Shares(0.8, 0, 0.2),
        Shares(0.5, 0.25, 0.25),
        Shares(1, 0, 0),
        Shares(0, 0.5, 0.5),
        Shares(0, 0, 1),
    ]
)
KEY = st.none() | st.sampled_from("abcdef")
KEYED = st.lists(st.tuples(KEY, KEY, st.integers(0, 30)), max_size=30)
NUMBERS = st.lists(st.integers(0, 25), max_size=60)


def _names(count):
    return [f"example-{number:05}" for number in range(count)]


def _drawn(seed, count, most=4):
    """Group numbers of examples: groups of one to four."""
    rng = Random(seed)
    numbers = []
    while len(numbers) < count:
        numbers += [len(numbers)] * rng.randint(1, most)
    rng.shuffle(numbers)
    return numbers[:count]


def _shares(assigned):
    counts = Counter(assigned)
    return Shares(*(counts[split] / len(assigned) for split in Split))


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(splits).failed == 0


def test_examples_that_share_a_key_of_one_kind_are_one_group():
    keys = [("c1", "ann"), ("c2", "ann"), ("c2", None), ("c3", "bob"), (None, "bob")]
    assert groups(keys, range(5)) == [0, 0, 0, 1, 1]


def test_keys_of_different_kinds_are_never_the_same():
    assert groups([("ann", None), (None, "ann")], [0, 1]) == [0, 1]


def test_missing_keys_are_shared_with_nobody():
    assert groups([(None, None)] * 3, range(3)) == [0, 1, 2]


def test_examples_of_one_cluster_are_one_group():
    assert groups([("c1",), ("c2",), ("c3",)], [7, 0, 7]) == [0, 1, 0]


def test_a_late_example_can_join_two_groups():
    assert groups([("a", "x"), ("b", "y"), ("c", "z"), ("a", "y")], range(4)) == [0, 0, 1, 0]


def test_every_example_needs_a_cluster():
    with pytest.raises(ValueError, match="zip"):
        groups([("a",)], [0, 1])


@given(KEYED)
def test_groups_are_the_connected_components(rows):
    keys, clusters = [row[:2] for row in rows], [row[2] for row in rows]
    numbers = groups(keys, clusters)
    assert list(dict.fromkeys(numbers)) == list(range(len(set(numbers))))
    reached = {number: {number} for number in range(len(rows))}
    for _ in rows:
        for one, of_one in reached.items():
            for other, row in enumerate(rows):
                if other not in of_one and any(_bound(rows[member], row) for member in of_one):
                    reached[one] = of_one = of_one | {other}
    for one, number in enumerate(numbers):
        assert {other for other, of_other in enumerate(numbers) if of_other == number} == reached[one]


def _bound(one, other):
    return any(key is not None and key == of_other for key, of_other in zip(one, other, strict=True))


@given(NUMBERS, SHARES, st.text("ab", max_size=2))
def test_no_group_straddles_two_splits(numbers, shares, seed):
    assigned = assign(_names(len(numbers)), numbers, shares, seed)
    assert len(set(zip(numbers, assigned, strict=True))) == len(set(numbers))


@given(NUMBERS, SHARES, st.randoms(use_true_random=False))
def test_the_order_of_the_examples_does_not_matter(numbers, shares, random):
    names = _names(len(numbers))
    order = random.sample(range(len(numbers)), len(numbers))
    renumbered = [99 - numbers[position] for position in order]
    mixed = assign([names[position] for position in order], renumbered, shares, "s")
    assigned = assign(names, numbers, shares, "s")
    assert mixed == [assigned[position] for position in order]


@given(NUMBERS, SHARES)
def test_with_enough_groups_each_split_with_a_share_gets_one_and_no_other_any(numbers, shares):
    assigned = set(assign(_names(len(numbers)), numbers, shares, "s"))
    wanted = {split for split, share in zip(Split, shares, strict=True) if share}
    assert assigned <= wanted
    if len(set(numbers)) >= len(wanted):
        assert assigned == wanted


@pytest.mark.parametrize("sizes", [[1], [5], [400]])
def test_one_group_is_for_training(sizes):
    numbers = [number for number, size in enumerate(sizes) for _ in range(size)]
    assert set(assign(_names(len(numbers)), numbers, Shares(), "s")) == {Split.TRAIN}


def test_no_examples_have_no_split():
    assert assign([], [], Shares(), "s") == []


@pytest.mark.parametrize("seed", ["a", "b", "c", "d"])
def test_three_groups_go_to_three_splits(seed):
    assert set(assign(_names(3), [0, 1, 2], Shares(), seed)) == set(Split)


@pytest.mark.parametrize("seed", ["a", "b", "c", "d"])
def test_a_group_larger_than_the_share_of_test_is_for_training(seed):
    numbers = [0] * 30 + list(range(1, 71))
    assigned = assign(_names(100), numbers, Shares(), seed)
    assert assigned[0] == Split.TRAIN
    assert _shares(assigned) == pytest.approx(Shares())


def test_of_a_huge_group_and_two_small_ones_the_small_ones_are_tested_on():
    assigned = assign(_names(100), [0] * 98 + [1, 2], Shares(), "s")
    assert set(assigned[:98]) == {Split.TRAIN}
    assert set(assigned[98:]) == {Split.VALIDATION, Split.TEST}


@pytest.mark.parametrize("count", [10, 50, 1000])
def test_single_examples_meet_the_shares_exactly(count):
    assert _shares(assign(_names(count), range(count), Shares(), "s")) == pytest.approx(Shares())


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(100, 400), st.sampled_from([1, 2, 4, 8]))
def test_shares_are_missed_by_half_a_large_group_at_most(seed, count, most):
    assigned = assign(_names(count), _drawn(seed, count, most), Shares(), str(seed))
    missed = [abs(got - wished) * count for got, wished in zip(_shares(assigned), Shares(), strict=True)]
    assert max(missed[1:]) <= most / 2 + 1e-9
    assert missed[0] <= most + 1e-9


def test_groups_that_pass_over_the_share_are_taken_if_that_is_closer():
    numbers = [number for number in range(10) for _ in range(9)]
    shares = Shares(0.74, 0.1, 0.16)
    assert Counter(assign(_names(90), numbers, shares, "s")) == {"train": 63, "validation": 9, "test": 18}


def test_another_seed_gives_another_assignment():
    names, numbers = _names(200), range(200)
    assert assign(names, numbers, Shares(), "a") != assign(names, numbers, Shares(), "b")


def test_every_group_is_as_likely_to_be_tested_on():
    names = _names(40)
    tested = Counter(
        name
        for seed in range(400)
        for name, split in zip(names, assign(names, range(40), Shares(), str(seed)), strict=True)
        if split == Split.TEST
    )
    assert sum(tested.values()) == 400 * 8
    # Five standard deviations of a binomial count around its mean.
    assert all(abs(tested[name] - 80) < 40 for name in names)


@pytest.mark.parametrize("size", [30, 100, 400])
@pytest.mark.parametrize("grows", ["a new group", "an old group"])
def test_one_example_more_leaves_nearly_all_where_they_are(size, grows):
    kept = []
    for seed in range(40):
        names, numbers = _names(size), _drawn(seed, size)
        before = assign(names, numbers, Shares(), str(seed))
        joined = size + 1 if grows == "a new group" else numbers[seed % size]
        after = assign([*names, f"example-{size:05}"], [*numbers, joined], Shares(), str(seed))
        kept.append(sum(one == other for one, other in zip(before, after, strict=False)) / size)
    assert sum(kept) / len(kept) >= (0.93 if size < 100 else 0.97)
    assert size < 100 or min(kept) >= 0.9


def test_a_dataset_that_doubles_keeps_most_of_its_assignments():
    names, numbers = _names(800), _drawn(3, 800, 2)
    old = [position for position in range(800) if numbers[position] < 400]
    before = assign([names[p] for p in old], [numbers[p] for p in old], Shares(), "s")
    after = assign(names, numbers, Shares(), "s")
    assert sum(after[p] == split for p, split in zip(old, before, strict=True)) >= 0.85 * len(old)


@pytest.mark.parametrize(
    "shares", [Shares(0.5, 0.5, 0.5), Shares(1.2, -0.1, -0.1), Shares(float("nan"), 0, 1), Shares(0, 0, 0)]
)
def test_shares_that_make_no_whole_are_refused(shares):
    with pytest.raises(InvalidInput, match="between 0 and 1") as refusal:
        assign(_names(3), [0, 1, 2], shares, "s")
    assert refusal.value.field == "shares"


def test_two_examples_of_one_name_are_refused():
    with pytest.raises(InvalidInput, match="same name"):
        assign(["a", "a"], [0, 1], Shares(), "s")


def test_assignments_are_the_same_in_another_process():
    names, numbers = _names(120), _drawn(1, 120)
    script = (
        "import json, sys; from learning_core.datasets.splits import Shares, assign\n"
        "names, numbers = json.load(sys.stdin)\n"
        "print(json.dumps(assign(names, numbers, Shares(), 's')))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps([names, numbers]),
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(answer.stdout) == assign(names, numbers, Shares(), "s")
