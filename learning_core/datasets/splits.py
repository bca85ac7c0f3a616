"""Which group of examples goes to train, validation or test.

Examples that belong together never stand on two sides: a test on a paraphrase of what was trained on, or on
the same person's next question, measures memory.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from enum import StrEnum
from hashlib import blake2b
from itertools import chain
from math import isclose
from typing import NamedTuple

from learning_core.errors import InvalidInput


class Split(StrEnum):
    """What examples are for: improving, choosing between improvements, or proving the one chosen."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Shares(NamedTuple):
    """What share (0-1) of the examples each split should receive; together they make 1."""

    train: float = 0.7
    validation: float = 0.1
    test: float = 0.2


class _Group(NamedTuple):
    size: int
    name: str


def groups(keys: Sequence[Sequence[str | None]], clusters: Sequence[int]) -> list[int]:
    """Return a group number for each example: those that share a key or a cluster share a group.

    Sharing is passed on: if one example shares its conversation with a second, and the second its user with
    a third, all three are one group.

    Args:
        keys: For each example the same kinds of keys in the same order, such as conversation and user. Keys
            are compared with those of their own kind only; None is shared with nobody.
        clusters: For each example the number of its cluster of texts.

    Returns:
        Group numbers from 0, in order of first appearance.

    >>> groups([("c1", "ann"), ("c2", "bob"), (None, "ann"), (None, None)], [0, 1, 2, 1])
    [0, 1, 0, 1]
    """
    parents = list(range(len(clusters)))
    first_with: dict[Hashable, int] = {}
    for number, (of_one, cluster) in enumerate(zip(keys, clusters, strict=True)):
        shared = [(kind, key) for kind, key in enumerate(of_one) if key is not None]
        for bond in chain(shared, [cluster]):
            first = _root(parents, first_with.setdefault(bond, number))
            parents[_root(parents, number)] = first
    numbers: dict[int, int] = {}
    return [numbers.setdefault(_root(parents, number), len(numbers)) for number in range(len(parents))]


def assign(names: Sequence[str], groups: Sequence[int], shares: Shares, seed: str) -> list[Split]:
    """Assign each example's whole group to a split, close to the shares.

    A group is known by its smallest name; where names sort by age, as uuidv7 does, it keeps that as it grows.
    A hash of seed, split and name puts the groups in an order that belongs to the split. Test takes groups in
    its order, passing over those that exceed the room left, until its share is full; then the smallest of
    those passed over, if that comes closer to the share. Validation does the same with what is left, and the
    rest is for training.

    So the order of the examples does not matter, and a dataset that grows keeps nearly all of its
    assignments: only groups near the end of what a split took move. Nearly is not all; what must never move
    from train to test is kept by keeping the assignment.

    A group larger than a split's share does not go to test or validation, except that each split with a share
    gets at least one group where there are enough: the smallest of the split that has most groups.

    Args:
        names: A unique name for each example that stays the same from one call to the next.
        groups: The group number of each example.
        shares: What share of the examples each split should receive.
        seed: Another seed gives another assignment.

    Returns:
        The split of each example.

    Raises:
        InvalidInput: If the shares do not make 1, or two examples have the same name.
    """
    _check(names, shares)
    members = _gather(names, groups)
    rest = set(members)
    taken: dict[Split, set[_Group]] = {split: set() for split in Split}
    wanted = [split for split in (Split.TEST, Split.VALIDATION, Split.TRAIN) if _share(shares, split)]
    for split in wanted[:-1]:
        taken[split] = _take(_ranked(rest, split, seed), _share(shares, split) * len(names))
        rest -= taken[split]
    taken[wanted[-1]] = rest
    _give_each_one(taken, wanted, seed)
    split_of = {name: split for split in Split for group in taken[split] for name in members[group]}
    return [split_of[name] for name in names]


def _root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def _check(names: Sequence[str], shares: Shares) -> None:
    if not all(0 <= share <= 1 for share in shares) or not isclose(sum(shares), 1):
        raise InvalidInput("The shares of the splits lie between 0 and 1 and make 1 together", field="shares")
    if len(set(names)) < len(names):
        raise InvalidInput("Two examples have the same name", field="names")


def _share(shares: Shares, split: Split) -> float:
    return {Split.TRAIN: shares.train, Split.VALIDATION: shares.validation, Split.TEST: shares.test}[split]


def _gather(names: Sequence[str], groups: Sequence[int]) -> dict[_Group, list[str]]:
    members: dict[int, list[str]] = {}
    for name, number in zip(names, groups, strict=True):
        members.setdefault(number, []).append(name)
    return {_Group(len(of_one), min(of_one)): of_one for of_one in members.values()}


def _ranked(waiting: Iterable[_Group], split: Split, seed: str) -> list[_Group]:
    # A zero byte parts the three, so that no other seed and name read the same when strung together.
    digests = {group: blake2b(f"{seed}\0{split}\0{group.name}".encode()).digest() for group in waiting}
    return sorted(digests, key=digests.__getitem__)


def _take(ranked: Sequence[_Group], room: float) -> set[_Group]:
    eligible = [group for group in ranked if group.size <= room]
    taken = set()
    for group in eligible:
        if group.size <= room:
            taken.add(group)
            room -= group.size
    left = [group for group in eligible if group not in taken]
    if left:
        smallest = min(left, key=lambda group: group.size)
        if smallest.size - room < room:
            taken.add(smallest)
    return taken


def _give_each_one(taken: dict[Split, set[_Group]], wanted: Sequence[Split], seed: str) -> None:
    if sum(map(len, taken.values())) < len(wanted):
        return
    for split in wanted:
        if not taken[split]:
            giver = max(wanted, key=lambda other: len(taken[other]))
            smallest = min(_ranked(taken[giver], split, seed), key=lambda group: group.size)
            taken[giver].remove(smallest)
            taken[split].add(smallest)
