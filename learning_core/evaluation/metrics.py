"""What scores of single answers come to: means with intervals, what two prompts differ in, cost and time.

These figures describe. Whether a new prompt is better is decided elsewhere, on examples kept for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import fsum
from typing import Any, NamedTuple, Protocol, TypeVar

from learning_core.feedback.intervals import Estimate, mean_of_scores, share

Key = TypeVar("Key")

RIGHT = 0.5
"""A score from here on counts as right where an answer can be partly right."""
CLEAR_LOSS = 0.05
"""Two scores nearer than this are a tie: checks and judges are no finer."""


class Scored(Protocol):
    """What is known of one answer, or of the call that failed."""

    @property
    def value(self) -> float:
        """What it is worth (0-1)."""

    @property
    def output(self) -> str | None:
        """The answer itself."""

    @property
    def error(self) -> str | None:
        """Why there is none."""

    @property
    def latency_ms(self) -> float | None:
        """How long it took."""

    @property
    def cost_usd(self) -> Decimal | None:
        """What it cost."""


class Summary(NamedTuple):
    """What a prompt's answers come to.

    Attributes:
        mean: Mean score (0-1) with its 95 % interval; None without answers. A failed call counts as 0.
        error_count: Number of failed calls among them.
        cost_usd: Mean cost of an answer, without what judging it took; None where it is not known.
        latency_median_ms: Median time of a call.
        latency_p95_ms: The time within which 95 % of the calls were answered.
        length_median: Median number of characters of an answer.
    """

    mean: Estimate | None
    error_count: int
    cost_usd: Decimal | None
    latency_median_ms: float | None
    latency_p95_ms: float | None
    length_median: float | None

    def told(self) -> dict[str, Any]:
        """Return the JSON form that a run keeps: mean, low and high (0-1), n, and the other figures."""
        value, low, high, n = self.mean or (None, None, None, 0)
        return self._asdict() | {"mean": value, "low": low, "high": high, "n": n}


class Change(NamedTuple):
    """One example that both prompts answered, and what either answer is worth (0-1)."""

    example_id: str
    before: float
    after: float

    @property
    def difference(self) -> float:
        """Return what the later answer is worth more; negative where it is worth less."""
        return self.after - self.before


class Comparison(NamedTuple):
    """Two prompts on the same examples.

    Attributes:
        difference: Mean difference (-1 to 1), later less earlier, with its 95 % interval; None without
            common examples.
        wins: Examples on which the later one is better, by how much; the largest first.
        losses: Examples on which it is worse, the worst first.
        ties: Examples on which they are within 0.05 of each other, by id.
    """

    difference: Estimate | None
    wins: list[Change]
    losses: list[Change]
    ties: list[Change]


def mean(values: Sequence[float], confidence: float = 0.95) -> Estimate | None:
    """Estimate the mean of scores (0-1); None without any.

    Where all are 0 or 1 it is a share with Wilson's interval, otherwise a mean with Student's.

    >>> value, low, high, n = mean([1.0] * 9 + [0.0])
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)
    """
    if all(value in (0.0, 1.0) for value in values):
        return share(int(sum(values)), len(values), confidence)
    return mean_of_scores(len(values), fsum(values), fsum(value**2 for value in values), confidence)


def summarize(trials: Sequence[Scored]) -> Summary:
    """Return what answers come to; time and length are those of calls that succeeded."""
    answered = [trial for trial in trials if trial.error is None]
    costs = [trial.cost_usd for trial in answered if trial.cost_usd is not None]
    latencies = [trial.latency_ms for trial in answered if trial.latency_ms is not None]
    return Summary(
        mean=mean([trial.value for trial in trials]),
        error_count=len(trials) - len(answered),
        cost_usd=sum(costs, Decimal(0)) / len(costs) if costs else None,
        latency_median_ms=quantile(latencies, 0.5),
        latency_p95_ms=quantile(latencies, 0.95),
        length_median=quantile([len(trial.output or "") for trial in answered], 0.5),
    )


def compare(before: Mapping[str, float], after: Mapping[str, float]) -> Comparison:
    """Compare two prompts on the examples that both have scores of: example -> score (0-1)."""
    changes = [Change(name, before[name], after[name]) for name in sorted(before.keys() & after.keys())]
    wins = [change for change in changes if change.difference >= CLEAR_LOSS - ROUNDING]
    losses = [change for change in changes if change.difference <= ROUNDING - CLEAR_LOSS]
    return Comparison(
        paired_difference(changes),
        sorted(wins, key=lambda change: -change.difference),
        sorted(losses, key=lambda change: change.difference),
        [change for change in changes if abs(change.difference) < CLEAR_LOSS - ROUNDING],
    )


def paired_difference(changes: Sequence[Change], confidence: float = 0.95) -> Estimate | None:
    """Estimate the mean difference (-1 to 1) of paired scores with Student's t-interval; None without any.

    Halved and raised by a half the differences are scores, so this is `mean_of_scores` of them: their spread
    too is taken with one observation more, of a uniform distribution from -1 to 1.
    """
    halves = [(change.difference + 1) / 2 for change in changes]
    found = mean_of_scores(len(halves), fsum(halves), fsum(half**2 for half in halves), confidence)
    if found is None:
        return None
    value = fsum(change.difference for change in changes) / len(changes)
    return Estimate(value, min(2 * found.low - 1, value), max(2 * found.high - 1, value), found.n)


def regressions(
    before: Mapping[str, float], after: Mapping[str, float], right: float = RIGHT
) -> list[Change]:
    """Return the examples that the baseline gets right and the candidate loses, the greatest loss first.

    Args:
        before: Example -> score (0-1) of the baseline.
        after: Example -> score (0-1) of the candidate.
        right: The score from which on an answer counts as right.
    """
    return [change for change in compare(before, after).losses if change.before >= right]


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return a quantile, between two neighbours in proportion, as percentile_cont does; None without values.

    Hyndman and Fan (1996), "Sample quantiles in statistical packages", The American Statistician 50,
    361-365: definition 7.

    >>> quantile([1.0, 2.0, 4.0], 0.75)
    3.0
    """
    if not values:
        return None
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (position - below) * (ordered[above] - ordered[below]))


ROUNDING = 1e-9
