"""Who may leave a race of candidates, decided from the scores so far and from nothing else.

All candidates meet the same examples in the same order, block by block. Nothing is kept between two looks:
whoever asks again with the same scores gets the same answer, so an interrupted race goes on as it would have.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import comb, sqrt
from statistics import NormalDist
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Scores: TypeAlias = NDArray[np.float64]
"""(n_candidates, n_examples), each 0-1, in the order of the race; NaN where a candidate has not come yet."""

UNITS = 200
"""Graded scores are compared in half hundredths: on whole numbers the exact test takes no sampling."""

BETS = 40
"""Stakes over which an e-value is averaged."""

ROUNDING = 1e-9
"""Sums nearer than this are the same."""


class Mode(StrEnum):
    """By what right a candidate may be dropped."""

    EXPLORATORY = "exploratory"
    """It does clearly worse at one look. Cheap; how often the wrong one goes is measured, not proven."""
    ALWAYS_VALID = "always_valid"
    """However often one looks, it is hardly better by more than a margin than the one that beats it."""
    EXHAUSTIVE = "exhaustive"
    """Never: every candidate meets every example."""


@dataclass(frozen=True)
class Rules:
    """How a race is run.

    Attributes:
        mode: By what right candidates are dropped.
        n_first: Examples before the first look.
        block: Examples between two looks.
        alpha: Exploratory: two-sided level of each comparison with the leader.
        slim: Exploratory: a smaller chance of catching up with the leader by the end is not pursued.
        error: Always valid: the chance that the best one is dropped for a worse one, at most.
        epsilon: Always valid: by how much (0-1) that one must be worse for it to count.
        most: Always valid: candidates that the race may have at most; None means those it has.
    """

    mode: Mode = Mode.EXPLORATORY
    n_first: int = 20
    block: int = 5
    alpha: float = 0.2
    slim: float = 0.1
    error: float = 0.05
    epsilon: float = 0.05
    most: int | None = None

    def next_look(self, n: int, n_examples: int) -> int:
        """Return how many examples a candidate that has met n of them meets before it is looked at again."""
        return min(self.n_first if n < self.n_first else n + self.block, n_examples)


class Why(StrEnum):
    """Why a candidate was dropped."""

    BEATEN = "beaten"
    OUT_OF_REACH = "out_of_reach"
    UNLIKELY = "unlikely"


class Drop(NamedTuple):
    """A candidate that leaves the race, and the one that beat it.

    Attributes:
        candidate: Its number.
        leader: The number of the one it was compared with.
        n: Examples that both have met.
        wins: Those of them on which the dropped one did better.
        losses: Those on which it did worse.
        mean: Its mean on them.
        leader_mean: The leader's mean on them.
        why: What settled it.
    """

    candidate: int
    leader: int
    n: int
    wins: int
    losses: int
    mean: float
    leader_mean: float
    why: Why

    @property
    def words(self) -> str:
        """Say why for people."""
        figures = f"{self.leader_mean:.2f} against its {self.mean:.2f} on the same {self.n} examples"
        leader = called(self.leader)
        if self.why is Why.OUT_OF_REACH:
            return f"{leader} is out of reach: {figures}."
        if self.why is Why.UNLIKELY:
            return f"{leader} would hardly be caught up with by the end: {figures}."
        return f"{leader} does clearly better: {figures}; it wins on {self.losses} and loses on {self.wins}."


class Raced(NamedTuple):
    """What came of a race that was run on known scores: the pick, the scores looked up, who left and why."""

    pick: int
    calls: int
    drops: tuple[Drop, ...]


def called(number: int) -> str:
    """Return what people call a candidate, as a sentence begins with it."""
    return f"Candidate {number}" if number else "The baseline"


def seen(scores: Scores) -> NDArray[np.int64]:
    """Count the examples that each candidate has met: (n_candidates,)."""
    return np.asarray(np.isfinite(scores).sum(axis=1), dtype=np.int64)


def find_leader(scores: Scores, racing: Collection[int]) -> int:
    """Return who leads: of those that have met most examples the best, of equal ones the first.

    >>> find_leader(np.array([[1, 0, 0], [1, 1, np.nan], [0, 0, 1]]), [0, 1, 2])
    0
    """
    counts = seen(scores)
    sums = np.nansum(scores, axis=1)
    most = max(counts[number] for number in racing)
    far = [number for number in sorted(racing) if counts[number] == most]
    best = max(sums[number] for number in far)
    return next(number for number in far if sums[number] >= best - ROUNDING)


def find_drops(scores: Scores, racing: Collection[int], rules: Rules) -> list[Drop]:
    """Decide who of those racing leaves now; the leader never does.

    Each is compared with the leader on the examples that both have met, once it has met `n_first` of them. In
    both modes that drop at all it leaves when the answer cannot change any more: when it would stay behind
    the leader with full marks from here on, were the leader to score nothing (exact curtailment). In the
    exploratory one it also leaves when it is behind at level `alpha`, and when its chance of catching up is
    below `slim` (Lan, Simon and Halperin, 1982, "Stochastically curtailed tests in long-term clinical
    trials", Sequential Analysis 1, 207-219): were both equally good from here on, the lead would change over
    the r examples still to come by a normal variable of variance r sum d^2 / n. The first is the stricter
    while most is still to come, the second towards the end.

    Args:
        scores: (n_candidates, n_examples), NaN where a candidate has not come yet; a row is filled from the
            left.
        racing: The candidates that are in the race.
        rules: By what right candidates are dropped.
    """
    if rules.mode is Mode.EXHAUSTIVE or len(racing) < 2:
        return []
    leader = find_leader(scores, racing)
    others = [number for number in sorted(racing) if number != leader]
    looked = (_look(scores, number, leader, rules) for number in others)
    return [drop for drop in looked if drop]


def run_race(scores: Scores, rules: Rules) -> Raced:
    """Run a race of candidates whose scores are all known.

    Args:
        scores: (n_candidates, n_examples), without NaN.
        rules: How the race is run.
    """
    n_candidates, n_examples = scores.shape
    met = np.full(scores.shape, np.nan)
    racing = list(range(n_candidates))
    drops: list[Drop] = []
    n = 0
    while n < n_examples and (n == 0 or len(racing) > 1):
        until = rules.next_look(n, n_examples)
        met[racing, n:until] = scores[racing, n:until]
        n = until
        left = find_drops(met, racing, rules)
        drops += left
        gone = {drop.candidate for drop in left}
        racing = [number for number in racing if number not in gone]
    return Raced(find_leader(met, racing), int(seen(met).sum()), tuple(drops))


def sign_flip_p(differences: Sequence[float] | Scores) -> float:
    """Return the exact two-sided p-value of paired differences, were each as likely the other way round.

    Fisher's randomization test: the share of all 2^n choices of signs whose sum is at least as far from zero,
    counted with the shift algorithm of Streitberg and Roehmel (1986), "Exact distributions for permutation
    and rank tests", Statistical Software Newsletter 12, 10-17. Where all differences have one size it is the
    exact test of McNemar (1947), "Note on the sampling error of the difference between correlated
    proportions", Psychometrika 12, 153-157.

    >>> sign_flip_p([1, 1, 1, 1, 0, 0]), sign_flip_p([0.5, 0.25, -0.25])
    (0.125, 0.75)
    """
    units = np.rint(np.asarray(differences, dtype=np.float64) * UNITS).astype(np.int64)
    sizes = np.abs(units[units != 0])
    if not len(sizes):
        return 1.0
    if (sizes == sizes[0]).all():
        wins = int((units > 0).sum())
        return _mcnemar_p(wins, len(sizes) - wins)
    return _shifted_p(sizes, abs(int(units.sum())))


def e_value(differences: Sequence[float] | Scores, epsilon: float) -> float:
    """Return how much a bettor against "the mean difference is at most -epsilon" has made of one unit.

    Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting", Journal of the
    Royal Statistical Society B 86, 1-27: capital prod (1 + stake (d + epsilon)), here the mean over stakes
    spread evenly over all that cannot ruin. Whenever one looks, the chance that it ever reached 1 / p is
    at most p where the hypothesis is true (Ville's inequality).

    Args:
        differences: Of paired scores, each -1 to 1.
        epsilon: 0-1.
    """
    stakes = (np.arange(BETS) + 0.5) / BETS / (1 - epsilon)
    gains = np.log1p(np.outer(stakes, np.asarray(differences, dtype=np.float64) + epsilon)).sum(axis=1)
    return float(np.exp(np.minimum(gains, 700)).mean())


def _look(scores: Scores, number: int, leader: int, rules: Rules) -> Drop | None:
    both = np.isfinite(scores[number]) & np.isfinite(scores[leader])
    n = int(both.sum())
    if n < min(rules.n_first, scores.shape[1]):
        return None
    own, best = scores[number, both], scores[leader, both]
    if _is_out_of_reach(scores, number, leader):
        why = Why.OUT_OF_REACH
    elif _is_beaten(best - own, len(scores), rules):
        why = Why.BEATEN
    elif rules.mode is Mode.EXPLORATORY and _is_unlikely(best - own, scores.shape[1], rules):
        why = Why.UNLIKELY
    else:
        return None
    wins, losses = int((own > best).sum()), int((own < best).sum())
    return Drop(number, leader, n, wins, losses, float(own.mean()), float(best.mean()), why)


def _is_out_of_reach(scores: Scores, number: int, leader: int) -> bool:
    unseen = np.isnan(scores[number]).sum()
    lead = float(np.nansum(scores[leader]) - np.nansum(scores[number]) - unseen)
    return lead > ROUNDING or (lead > -ROUNDING and number > leader)


def _is_beaten(leads: Scores, n_candidates: int, rules: Rules) -> bool:
    """Judge by how much the leader was ahead on each example."""
    if rules.mode is Mode.ALWAYS_VALID:
        rivals = max(rules.most or 0, n_candidates) - 1
        return e_value(leads, rules.epsilon) >= rivals / rules.error
    return float(leads.sum()) > 0 and sign_flip_p(leads) <= rules.alpha


def _is_unlikely(leads: Scores, n_examples: int, rules: Rules) -> bool:
    spread = sqrt((n_examples - len(leads)) * float((leads**2).mean()))
    lead = float(leads.sum())
    return lead > ROUNDING and lead >= NormalDist().inv_cdf(1 - rules.slim) * spread


def _mcnemar_p(wins: int, losses: int) -> float:
    n = wins + losses
    tail = sum(comb(n, k) for k in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / float(2**n))


def _shifted_p(sizes: NDArray[np.int64], total: int) -> float:
    """Return the chance that whole numbers with random signs come as far from zero as the total."""
    # Where those with a minus add up to s, the sum is that of all less 2 s: only small s reach the total.
    most = (int(sizes.sum()) - total) // 2
    chances = np.zeros(most + 1)
    chances[0] = 1.0
    for size in sizes[sizes <= most]:
        chances[size:] += chances[:-size].copy()
        chances /= 2
    unreached = int((sizes > most).sum())
    return min(1.0, 2 * float(chances.sum()) / 2.0**unreached)
