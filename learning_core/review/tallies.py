"""What annotators said of the same items, counted: all that a measure of agreement needs to know of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Value: TypeAlias = str | float
Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]


class Opinion(NamedTuple):
    """The value that one annotator gave one item; at most one, and none where the annotator gave none."""

    annotator: str
    item: str
    value: Value


@dataclass(frozen=True)
class Tally:
    """How often items occur that hold the same values; these items are one kind.

    A cell is a kind and a value it holds. Counting kinds is what makes 1,000 resamples cheap: to draw items
    with replacement is to draw from a multinomial distribution over their kinds. What is drawn is given back
    to the methods as `times`: how often each kind occurs in each resample (n_resamples, n_kinds).

    Attributes:
        scale: The distinct values, ascending.
        kinds: For each kind the positions of its values on the scale.
        times: For each kind the number of items of it.
        kind: For each cell its kind.
        position: For each cell the position of its value on the scale.
        count: For each cell how often the kind holds the value.
        size: For each kind how many values it holds.
    """

    scale: list[Value]
    kinds: list[tuple[int, ...]]
    times: Floats
    kind: Integers
    position: Integers
    count: Floats
    size: Floats

    @property
    def n(self) -> int:
        """Return the number of items."""
        return int(self.times.sum())

    @property
    def telling(self) -> int:
        """Return the number of items that do not all hold one and the same value."""
        unanimous: Counter[int] = Counter()
        for kind, times in zip(self.kinds, self.times, strict=True):
            if len(set(kind)) == 1:
                unanimous[kind[0]] += int(times)
        return self.n - max(unanimous.values(), default=0)

    def numbers(self) -> Floats:
        """Return the scale as numbers.

        Raises:
            ValueError: there is text on it.
        """
        numbers = [value for value in self.scale if not isinstance(value, str)]
        if len(numbers) < len(self.scale):
            raise ValueError("distances need numbers, not text")
        return np.array(numbers, dtype=np.float64)

    def totals(self, times: Floats) -> Floats:
        """Count each value in each resample: (n_resamples, n_values)."""
        return _sum_by(times[:, self.kind] * self.count, self.position, len(self.scale))

    def totals_of(self, place: int, times: Floats) -> Floats:
        """Count the values at one place of their kinds alone, as those of one of two annotators."""
        return _sum_by(times, self.positions_of(place), len(self.scale))

    def positions_of(self, place: int) -> Integers:
        """Return for each kind the position on the scale of its value at one place: (n_kinds,)."""
        return np.array([kind[place] for kind in self.kinds], dtype=np.int64)

    def square_sums(self) -> Floats:
        """Sum the squared counts of the values in each kind: (n_kinds,)."""
        sums: Floats = _sum_by(self.count[np.newaxis] ** 2, self.kind, len(self.kinds))[0]
        return sums

    def squares_within(self, points: Floats) -> Floats:
        """Sum the squared distances in each kind, over pairs and divided by m - 1: (n_resamples, n_kinds).

        Half of the sum over ordered pairs is m times the sum of the squared distances from the mean; taken
        from the mean, equal values have no distance at all, without cancellation.

        Args:
            points: Where each value lies, in each resample: (n_resamples, n_values).
        """
        held, n_kinds = points[:, self.position], len(self.kinds)
        means = _sum_by(held * self.count, self.kind, n_kinds) / self.size
        squares = _sum_by((held - means[:, self.kind]) ** 2 * self.count, self.kind, n_kinds)
        within: Floats = self.size / (self.size - 1) * squares
        return within


def of_shared_items(opinions: Iterable[Opinion]) -> Tally:
    """Tally the items of which at least two annotators said something."""
    return of_values(values_of_shared_items(opinions))


def of_values(values_by_item: Iterable[tuple[Value, ...]]) -> Tally:
    """Tally items by their values; those of a kind hold the same values in the same order."""
    alike = Counter(values_by_item)
    scale = sorted({value for values in alike for value in values}, key=_order)
    positions = {value: position for position, value in enumerate(scale)}
    times_of = {tuple(positions[value] for value in values): times for values, times in alike.items()}
    kinds = sorted(times_of)
    size = np.array([len(kind) for kind in kinds], dtype=np.int64)
    held = np.array([position for kind in kinds for position in kind], dtype=np.int64)
    cells, count = np.unique(np.repeat(np.arange(len(kinds)), size) * len(scale) + held, return_counts=True)
    return Tally(
        scale=scale,
        kinds=kinds,
        times=np.array([times_of[kind] for kind in kinds], dtype=np.float64),
        kind=cells // max(len(scale), 1),
        position=cells % max(len(scale), 1),
        count=count.astype(np.float64),
        size=size.astype(np.float64),
    )


def values_of_shared_items(opinions: Iterable[Opinion]) -> list[tuple[Value, ...]]:
    """Return the values of each item of which at least two annotators said something, in ascending order."""
    said: defaultdict[str, dict[str, Value]] = defaultdict(dict)
    for annotator, item, value in opinions:
        _give(said[item], annotator, value)
    return [tuple(sorted(values.values(), key=_order)) for values in said.values() if len(values) > 1]


def by_annotator(opinions: Iterable[Opinion]) -> dict[str, dict[str, Value]]:
    """Return for each annotator what they said: item -> value."""
    said: defaultdict[str, dict[str, Value]] = defaultdict(dict)
    for annotator, item, value in opinions:
        _give(said[annotator], item, value)
    return said


def _give(values: dict[str, Value], key: str, value: Value) -> None:
    if key in values:
        raise ValueError(f"two values for {key!r}; an annotator judges an item once")
    if not isinstance(value, str) and not isfinite(value):
        raise ValueError(f"{value} is no value; leave out what was not judged")
    values[key] = value


def _order(value: Value) -> tuple[bool, Value]:
    return isinstance(value, str), value


def _sum_by(parts: Floats, group: Integers, n_groups: int) -> Floats:
    """Sum the columns of the same group: from (n_rows, n_columns) to (n_rows, n_groups)."""
    target = np.arange(len(parts))[:, np.newaxis] * n_groups + group
    sums: Floats = np.bincount(target.ravel(), parts.ravel(), len(parts) * n_groups).astype(
        np.float64, copy=False
    )
    return sums.reshape(len(parts), n_groups)
