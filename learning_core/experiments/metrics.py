"""What an experiment can be judged by: the metrics, and the counts of an exposure each is made of.

Every metric is a ratio of two sums over users: what was seen (`s`) by how often it could be seen (`n`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Unit = Literal["stars", "share", "ms", "usd", "score"]


class Metric(NamedTuple):
    """A figure of an agent that users' reactions or its answers give.

    Attributes:
        key: Its name in designs, looks and addresses.
        words: Its name for people.
        unit: stars (1-5), share (0-1), ms (milliseconds), usd (US dollars) or score (0-1).
        higher_is_better: Whether a rise is a gain.
        counted: What `n` counts, in words.
        n: The column of `exposures` with the number of observations of a user.
        s: The one with their sum.
        prior_n: The column with the user's observations before the start, where they are kept.
        prior_s: The one with their sum.
    """

    key: str
    words: str
    unit: Unit
    higher_is_better: bool
    counted: str
    n: str
    s: str
    prior_n: str | None = None
    prior_s: str | None = None


METRICS = {
    metric.key: metric
    for metric in (
        Metric(
            "satisfaction",
            "Satisfaction",
            "stars",
            True,
            "ratings",
            "rating_count",
            "rating_sum",
            "prior_rating_count",
            "prior_rating_sum",
        ),
        Metric(
            "thumbs_up_share",
            "Thumbs up",
            "share",
            True,
            "thumbs",
            "thumbs_count",
            "thumbs_up_count",
            "prior_thumbs_count",
            "prior_thumbs_up_count",
        ),
        Metric(
            "correction_rate",
            "Corrected answers",
            "share",
            False,
            "reactions",
            "feedback_count",
            "correction_count",
            "prior_feedback_count",
            "prior_correction_count",
        ),
        Metric(
            "issue_rate",
            "Reported issues",
            "share",
            False,
            "reactions",
            "feedback_count",
            "any_issue_count",
            "prior_feedback_count",
            "prior_any_issue_count",
        ),
        Metric("error_rate", "Failed answers", "share", False, "answers", "execution_count", "error_count"),
        Metric("latency_ms", "Answer time", "ms", False, "timed answers", "latency_count", "latency_ms_sum"),
        Metric("slow_share", "Slow answers", "share", False, "timed answers", "latency_count", "slow_count"),
        Metric("cost_usd", "Cost of an answer", "usd", False, "priced answers", "cost_count", "cost_usd_sum"),
        Metric("quality_score", "Quality score", "score", True, "scored answers", "score_count", "score_sum"),
    )
}
"""All metrics by key, in the order in which people read them.

`slow_share` counts the answers slower than the 95th percentile before the allocation started.
"""
