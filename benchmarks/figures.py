"""How a measurement is put: what, against what, the ratio, how often repeated, the target it has to meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

AT_LEAST, AT_MOST = "at least", "at most"


@dataclass(frozen=True)
class Finding:
    """One measurement; `judged` holds what the target is compared with, one value per repetition."""

    what: str
    against: str
    ours: Sequence[float]
    baseline: Sequence[float]
    judged: Sequence[float]
    unit: str
    judged_in: str = "x"
    bound: str = AT_MOST
    target: float | None = None
    exact: bool = False
    """A proof rather than a measurement: falling short of it is an error."""

    @property
    def verdict(self) -> str:
        """Return PASS or short, or nothing where no target was set."""
        if self.target is None:
            return ""
        value = median(self.judged)
        reached = value >= self.target if self.bound == AT_LEAST else value <= self.target
        return "PASS" if reached else "short"


def speedup(
    what: str,
    ours: Sequence[float],
    baseline: Sequence[float],
    *,
    against: str,
    unit: str,
    target: float | None = None,
) -> Finding:
    """Say how many times less ours takes than the baseline, both in the same unit of cost."""
    ratios = [theirs / mine for mine, theirs in zip(ours, baseline, strict=True)]
    return Finding(what, against, ours, baseline, ratios, unit, bound=AT_LEAST, target=target)


def multiple(
    what: str,
    ours: Sequence[float],
    baseline: Sequence[float],
    *,
    against: str,
    unit: str,
    target: float | None = None,
    bound: str = AT_MOST,
) -> Finding:
    """Say what multiple of the baseline ours is."""
    ratios = [mine / theirs for mine, theirs in zip(ours, baseline, strict=True)]
    return Finding(what, against, ours, baseline, ratios, unit, bound=bound, target=target)


def absolute(what: str, ours: Sequence[float], *, unit: str, target: float | None = None) -> Finding:
    """Say how much ours takes where there is nothing to compare it with."""
    return Finding(what, "", ours, [], ours, unit, judged_in=unit, target=target)


def proof(what: str, wrong: int) -> Finding:
    """Say that a count of wrong things, which has to be 0, is what it is."""
    return Finding(what, "0 wrong", [wrong], [], [wrong], "wrong", "wrong", target=0, exact=True)


def take_turns(repetitions: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Call measures in turn (A B A B) and return one list for each."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(repetitions):
        for measure, values in zip(measures, taken, strict=True):
            values.append(measure())
    return taken


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share (0-1) of the values does not exceed.

    >>> percentile([1, 2, 3, 4], 0.5), percentile(range(100), 0.95)
    (2, 94)
    """
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def describe(values: Sequence[float], unit: str) -> str:
    """Put values into words: smallest, median, largest and the unit.

    >>> describe([2.0, 1.0, 30.0], "ms")
    '1.00 / 2.00 / 30.0 ms'
    """
    if not values:
        return ""
    parts = dict.fromkeys(short(value) for value in (min(values), median(values), max(values)))
    return f"{' / '.join(parts)} {unit}"


def short(value: float) -> str:
    """Write a number with three digits that matter.

    >>> short(0.01234), short(1.5), short(12.345), short(123456.7), short(0)
    ('0.0123', '1.50', '12.3', '123,457', '0')
    """
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def show(findings: Sequence[Finding]) -> None:
    """Print one line per finding: measured, baseline and ratio as min / median / max, and n."""
    head = ("measured", "ours", "baseline", "against", "ratio", "n")
    rows = [
        (
            finding.what,
            describe(finding.ours, finding.unit),
            describe(finding.baseline, finding.unit),
            finding.against,
            describe(finding.judged, finding.judged_in) if finding.baseline else "",
            str(len(finding.ours)),
        )
        for finding in findings
    ]
    show_table(head, rows)


def summarize(findings: Sequence[Finding]) -> None:
    """Print each target, what was reached (the median), and whether that suffices."""
    rows = [
        (
            finding.what,
            f"{short(median(finding.judged))} {finding.judged_in}",
            f"{finding.bound} {short(finding.target)} {finding.judged_in}",
            finding.verdict,
        )
        for finding in findings
        if finding.target is not None
    ]
    show_table(("target", "reached", "asked for", ""), rows)


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a head, in columns as wide as they need to be."""
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    for line in [head, ["-" * width for width in widths], *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
