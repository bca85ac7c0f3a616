"""What a product manager follows: each metric of an agent with its n, its interval and its change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

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


def measure(session: Session, agent: str | None, window: Window) -> Metrics:
    """Return the metrics of an agent (None: of all agents) over a window."""
    found = queries.totals(session, agent, window)
    return Metrics(
        feedback_count=found.feedback_count,
        execution_count=found.execution_count,
        feedback_rate=_feedback_rate(found.feedback_count, found.execution_count),
        **_reactions(found._mapping),
        error_rate=intervals.share(found.error_count, found.execution_count),
        latency_ms=found.latency_ms_sum / found.latency_count if found.latency_count else None,
        cost_usd=found.cost_usd_sum / found.cost_count if found.cost_count else None,
    )


def changes(now: Metrics, before: Metrics) -> dict[str, Estimate | None]:
    """Return the change of each estimate from one window to the next; None where either is missing."""
    return {name: _change(getattr(now, name), getattr(before, name)) for name in ESTIMATES}


def by_version(session: Session, agent: str, window: Window) -> dict[str, dict[str, Estimate | None]]:
    """Return, per prompt version of an agent (oldest first), satisfaction, thumbs_up_share, correction_rate
    and issue_rate.
    """
    counts = queries.by_version(session, agent, window)
    return {str(row["prompt_version"]): _reactions(row) for row in counts.to_dict("records")}


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
    found = []
    for row in queries.issue_counts(session, agent, window):
        share = intervals.share(row.issue_count, row.feedback_count)
        before = intervals.share(row.issue_count_before, row.feedback_count_before)
        assert share is not None  # noqa: S101 - an issue that was named was named in some feedback
        found.append(Issue(row.category, row.issue_count, share, _change(share, before)))
    return found


def _feedback_rate(feedback: int, executions: int) -> Estimate | None:
    return intervals.share(feedback, executions) if feedback <= executions else None


def _reactions(counts: Mapping[Any, Any]) -> dict[str, Estimate | None]:
    feedback, thumbs = int(counts["feedback_count"]), int(counts["thumbs_up"] + counts["thumbs_down"])
    return {
        "satisfaction": intervals.mean_of_levels([int(counts[level]) for level in STARS]),
        "thumbs_up_share": intervals.share(int(counts["thumbs_up"]), thumbs),
        "correction_rate": intervals.share(int(counts["correction_count"]), feedback),
        "issue_rate": intervals.share(int(counts["any_issue_count"]), feedback),
    }


def _change(now: Estimate | None, before: Estimate | None) -> Estimate | None:
    return intervals.difference(now, before) if now and before else None
