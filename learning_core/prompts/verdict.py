"""Whether the winner of a search is better, from examples that the search never saw, and how sure that is.

The candidate is fixed before these examples are looked at, so that the choice does not flatter its gain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from math import ceil, fsum, sqrt
from statistics import NormalDist
from typing import Any, NamedTuple

from learning_core.errors import NotEnoughData
from learning_core.evaluation.metrics import CLEAR_LOSS

CONFIDENCE = 0.95
POWER = 0.8
"""The chance of being proven with which a gain counts as provable."""

LOST_SHARE = 0.05
"""Share (0-1) of the examples on which a better prompt typically does worse; more make it harder to prove."""

ROUNDING = 1e-9
"""Scores nearer than this are the same."""


class Kind(StrEnum):
    """What the examples say."""

    IMPROVED = "improved"
    NO_EVIDENCE = "no_evidence"
    WORSE = "worse"


class Verdict(NamedTuple):
    """What the unseen examples say of two prompts.

    Attributes:
        kind: Improved where the whole interval lies above 0, worse where it lies below.
        gain: Mean score of the winner less that of the baseline (-1 to 1).
        low: Lower end of the 95 % interval of the gain.
        high: Its upper end.
        n: Examples that both answered.
        wins: Those on which the winner is clearly better.
        losses: Those on which it is clearly worse.
        ties: The others.
    """

    kind: Kind
    gain: float
    low: float
    high: float
    n: int
    wins: int
    losses: int
    ties: int

    @property
    def words(self) -> str:
        """Say it for people."""
        unseen = f"on {_examples(self.n)} the run never saw"
        gain, low, high = _points(self.gain), _points(self.low), _points(self.high)
        if self.kind is Kind.NO_EVIDENCE:
            return (
                f"No evidence of a difference: {gain} {_unit(gain)} measured "
                f"(95 % sure it is between {low} and {high}), {unseen}."
            )
        if self.kind is Kind.WORSE:
            gain, low, high = _points(-self.gain), _points(-self.high), _points(-self.low)
        word = "Improved" if self.kind is Kind.IMPROVED else "Worse"
        return f"{word} by {gain} {_unit(gain)} (95 % sure it is between {low} and {high}), {unseen}."

    def told(self) -> dict[str, Any]:
        """Return the JSON form that a run keeps."""
        return self._asdict() | {"words": self.words}


def compare(baseline: Sequence[float], winner: Sequence[float]) -> Verdict:
    """Compare the scores (0-1) of both prompts on the same unseen examples, in the same order.

    Raises:
        NotEnoughData: there is no example.

    >>> compare([0] * 20 + [1] * 40, [1] * 14 + [0] * 6 + [1] * 38 + [0] * 2).words
    'Improved by 20 points (95 % sure it is between 6 and 35), on 60 examples the run never saw.'
    """
    differences = [after - before for before, after in zip(baseline, winner, strict=True)]
    n = len(differences)
    if not n:
        raise NotEnoughData("There is no unseen example on which the two prompts could be compared.")
    low, high = interval(differences)
    kind = Kind.IMPROVED if low > 0 else Kind.WORSE if high < 0 else Kind.NO_EVIDENCE
    wins = sum(difference >= CLEAR_LOSS - ROUNDING for difference in differences)
    losses = sum(difference <= -CLEAR_LOSS + ROUNDING for difference in differences)
    return Verdict(kind, fsum(differences) / n, low, high, n, wins, losses, n - wins - losses)


def interval(differences: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the interval of the mean difference of paired scores: `of_counts` where each is right or wrong.

    Graded scores get Student's interval with a spread as if one more difference had been found, as far out as
    can be: a few dozen examples may hold none of those on which a prompt fails altogether. In 1,000 simulated
    samples of 10 to 200, 95 % intervals for two equally good prompts lay above zero in at most 2 %, and in at
    most 5 % where small gains hid rare failures (without the addition in up to 42 %).

    Args:
        differences: Each -1 to 1; at least one.
        confidence: Probability (0-1) with which such intervals hold the true mean.
    """
    wins, losses = (sum(abs(difference - sign) <= ROUNDING for difference in differences) for sign in (1, -1))
    ties = sum(abs(difference) <= ROUNDING for difference in differences)
    if wins + losses + ties == len(differences):
        return of_counts(wins, losses, len(differences), confidence)
    return _of_graded(differences, confidence)


def of_counts(
    wins: int, losses: int, n: int, confidence: float = CONFIDENCE, correction: float = 1.0
) -> tuple[float, float]:
    """Return the interval of the difference of two paired shares, with continuity correction.

    Tango (1998), "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", Statistics in Medicine 17, 891-908: all differences D with
    |wins - losses - n D| - 1 <= z sqrt(n (2 q + D (1 - D))), where q is the likeliest chance of a loss given
    D. The 1 is Edwards' (1948) correction of McNemar's test, with which it agrees about D = 0. Wherever it
    was computed for 10 to 200 pairs, the interval held the true difference with a chance of at least 96 %
    (uncorrected: 93 %) and excluded zero for equally good prompts with one of at most 3.9 % (5.4 %).

    Args:
        wins: Pairs of which only the second is right.
        losses: Pairs of which only the first is.
        n: All pairs.
        confidence: Probability (0-1) with which such intervals hold the true difference, at least.
        correction: 0 for Tango's own interval.

    >>> low, high = of_counts(9, 3, 32, correction=0)
    >>> round(low, 3), round(high, 3)
    (-0.027, 0.39)
    """
    if min(wins, losses) < 0 or n < max(1, wins + losses):
        raise ValueError(f"{wins} wins and {losses} losses of {n} are no pairs")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    return _lowest(wins, losses, n, z, correction), -_lowest(losses, wins, n, z, correction)


def needed(gain: float, lost_share: float = LOST_SHARE) -> int:
    """Return how many unseen examples it takes to prove a true gain (0-1) with a chance of POWER.

    Miettinen (1968), "The matched pairs design in the case of all-or-none responses", Biometrics 24, 339-352,
    with the correction that the verdict has: n gain - 1 must exceed z sqrt(n c) by so many standard
    deviations sqrt(n (c - gain^2)), where c is the share of examples on which the prompts differ.

    >>> needed(0.1), needed(0.3)
    (175, 39)
    """
    if not 0 < gain <= 1:
        raise ValueError("a gain lies between 0 and 1")
    z, beyond = NormalDist().inv_cdf((1 + CONFIDENCE) / 2), NormalDist().inv_cdf(POWER)
    changed = min(gain + 2 * lost_share, 1.0)
    spread = z * sqrt(changed) + beyond * sqrt(max(changed - gain**2, 0.0))
    return ceil(((spread + sqrt(spread**2 + 4 * gain)) / (2 * gain)) ** 2)


def provable(n: int, lost_share: float = LOST_SHARE) -> float | None:
    """Return the smallest true gain (0-1, in steps of a point) that so many examples prove; None if none.

    >>> provable(20), provable(60), provable(3)
    (0.51, 0.22, None)
    """
    gains = (points / 100 for points in range(1, 101))
    return next((gain for gain in gains if needed(gain, lost_share) <= n), None)


def promise(n: int) -> str:
    """Say for people what so many unseen examples can prove.

    >>> promise(60)
    'With 60 unseen examples, a gain of 22 points or more would probably be proven; a smaller one hardly.'
    """
    gain = provable(n)
    if gain is None:
        return f"With {_examples(n, 'unseen ')}, no gain can be proven."
    return (
        f"With {_examples(n, 'unseen ')}, a gain of {_points(gain)} {_unit(_points(gain))} or more would "
        "probably be proven; a smaller one hardly."
    )


def _lowest(wins: int, losses: int, n: int, z: float, correction: float) -> float:
    """Return the smallest difference that the pairs do not exclude."""

    def excluded(difference: float) -> bool:
        beyond = wins - losses - n * difference - correction
        return beyond > z * sqrt(n * _variance(wins, losses, n, difference))

    return _border(excluded, -1.0, (wins - losses) / n)


def _variance(wins: int, losses: int, n: int, difference: float) -> float:
    """Return the variance of one pair's difference, at the likeliest chance of a loss."""
    linear = (2 * n - wins + losses) * difference - wins - losses
    constant = losses * difference * (1 - difference)
    q = (sqrt(max(linear**2 + 8 * n * constant, 0.0)) - linear) / (4 * n)
    return max(2 * q + difference * (1 - difference), 0.0)


def _border(excluded: Callable[[float], bool], low: float, high: float) -> float:
    """Return where what is excluded ends; it holds below a point of the range and not above."""
    if not excluded(low):
        return low
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if excluded(middle) else (low, middle)
    return high


def _of_graded(differences: Sequence[float], confidence: float) -> tuple[float, float]:
    # Slow to load, and most scores are right or wrong. It ships no types.
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    n = len(differences)
    if n == 1:
        return -1.0, 1.0
    mean = fsum(differences) / n
    squares = fsum((difference - mean) ** 2 for difference in differences) + 1
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * sqrt(squares) / n
    return max(mean - half, -1.0), min(mean + half, 1.0)


def _points(share: float) -> str:
    """Return hundredths, whole unless that would make something nothing."""
    points = 100 * share
    rounded = round(points)
    return str(rounded) if rounded or abs(points) < 0.05 else f"{points:.1f}"


def _unit(points: str) -> str:
    return "point" if points in ("1", "-1") else "points"


def _examples(n: int, kind: str = "") -> str:
    return f"{n:,} {kind}example{'' if n == 1 else 's'}"
