"""What a product manager follows: each metric of an agent with its n, its interval and its change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.orm import Session

from learning_core.feedback import intervals, queries
from learning_core.feedback.intervals import Estimate
from learning_core.feedback.queries import Window

STARS = ("rating_1", "rating_2", "rating_3", "rating_4", "rating_5")


class Metrics(NamedTuple):
    """An agent over one window. Each estimate is None where nothing was counted; n says what was."""

    feedback_count: int
    """Pieces of feedback in force."""
    execution_count: int
    """Answers the agent reported."""
    feedback_rate: Estimate | None
    """Pieces of feedback per answer (0-1); None where answers were not reported, or fewer than feedback."""
    satisfaction: Estimate | None
    """Mean overall rating, 1-5."""
    thumbs_up_share: Estimate | None
    """Thumbs up among all thumbs, 0-1."""
    correction_rate: Estimate | None
    """Share of feedback that brought a corrected text, 0-1."""
    issue_rate: Estimate | None
    """Share of feedback that named an issue, 0-1."""
    error_rate: Estimate | None
    """Share of answers that failed with an error, 0-1."""
    latency_ms: float | None
    """Mean time to answer."""
    cost_usd: float | None
    """Mean cost of an answer."""


ESTIMATES = (
    "feedback_rate",
    "satisfaction",
    "thumbs_up_share",
    "correction_rate",
    "issue_rate",
    "error_rate",
)

if TYPE_CHECKING:
    import pandas as pd


def measure(session: Session, agent: str | None, window: Window) -> Metrics:
    """Return the metrics of an agent (None: of all agents) over a window."""
    counts = queries.totals(session, agent, window).iloc[0]
    served = queries.execution_totals(session, agent, window).iloc[0]
    feedback, executions = int(counts.feedback_count), int(served.execution_count)
    return Metrics(
        feedback_count=feedback,
        execution_count=executions,
        feedback_rate=intervals.share(feedback, executions) if feedback <= executions else None,
        **_reactions(counts),
        error_rate=intervals.share(int(served.error_count), executions),
        latency_ms=served.latency_ms_sum / served.latency_count if served.latency_count else None,
        cost_usd=served.cost_usd_sum / served.cost_count if served.cost_count else None,
    )


def changes(now: Metrics, before: Metrics) -> dict[str, Estimate | None]:
    """Return the change of each estimate from one window to the next; None where either is missing."""
    return {name: _change(getattr(now, name), getattr(before, name)) for name in ESTIMATES}


def by_version(session: Session, agent: str, window: Window) -> dict[str, dict[str, Estimate | None]]:
    """Return, per prompt version of an agent (oldest first), satisfaction, thumbs_up_share, correction_rate
    and issue_rate.
    """
    counts = queries.by_version(session, agent, window)
    return {str(row["prompt_version"]): _reactions(row) for _, row in counts.iterrows()}


@dataclass(frozen=True)
class Issue:
    """How often an issue category was named in a window, and the change of its share."""

    category: str
    count: int
    share: Estimate
    change: Estimate | None


def issues(session: Session, agent: str | None, window: Window) -> list[Issue]:
    """Return the issue categories that occurred, most frequent first; share is of all feedback (0-1).

    The change is against the window of the same length before.
    """
    total, total_before = (
        int(queries.totals(session, agent, when).iloc[0].feedback_count) for when in (window, window.before())
    )
    counted = queries.issue_counts(session, agent, window)
    counted_before = queries.issue_counts(session, agent, window.before())
    before = dict(zip(counted_before.category, counted_before.issue_count, strict=True))
    found = []
    for category, count in zip(counted.category, counted.issue_count, strict=True):
        share = intervals.share(count, total)
        if count and share:
            change = _change(share, intervals.share(before[category], total_before))
            found.append(Issue(category, int(count), share, change))
    return found


def _reactions(counts: pd.Series) -> dict[str, Estimate | None]:
    feedback = int(counts.feedback_count)
    thumbs_up, thumbs_down = int(counts.thumbs_up), int(counts.thumbs_down)
    return {
        "satisfaction": intervals.mean_of_levels([int(counts[level]) for level in STARS]),
        "thumbs_up_share": intervals.share(thumbs_up, thumbs_up + thumbs_down),
        "correction_rate": intervals.share(int(counts.correction_count), feedback),
        "issue_rate": intervals.share(int(counts.any_issue_count), feedback),
    }


def _change(now: Estimate | None, before: Estimate | None) -> Estimate | None:
    return intervals.difference(now, before) if now and before else None
