"""The quality that experts saw in a window, as one figure with its interval."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.feedback import intervals
from learning_core.feedback.intervals import Estimate
from learning_core.feedback.queries import Window
from learning_core.review.verdicts import WEIGHTS


def quality(session: Session, window: Window) -> Estimate | None:
    """Return the mean quality (0-1) of the judgements with scores in a window; None without any.

    Judgements of gold items, remarks and what was undone do not count; several of one example count each.
    """
    sums = session.execute(QUALITY, window._asdict()).one()
    return intervals.mean_of_scores(sums.judged_count, sums.quality_sum, sums.square_sum)


WEIGHED = " + ".join(f"coalesce({weight} * {scale}, 0)" for scale, weight in WEIGHTS.items())
GIVEN = " + ".join(f"CASE WHEN {scale} IS NULL THEN 0 ELSE {weight} END" for scale, weight in WEIGHTS.items())

QUALITY = text(f"""
SELECT count(*) AS judged_count, coalesce(sum(quality), 0) AS quality_sum,
       coalesce(sum(quality * quality), 0) AS square_sum
FROM (
    SELECT ({WEIGHED}) / nullif({GIVEN}, 0) AS quality
    FROM expert_annotations
    WHERE decision IS NOT NULL AND undone_at IS NULL AND NOT on_gold
      AND created_at >= CAST(:since AS date) AT TIME ZONE 'UTC'
      AND created_at < (CAST(:until AS date) + 1) AT TIME ZONE 'UTC'
) AS judged
WHERE quality IS NOT NULL
""")  # noqa: S608 - made of constants
