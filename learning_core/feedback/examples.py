"""Which feedback is worth learning from: corrections, reported failures, and a sample of praise."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.settings import settings


def derive(session: Session, feedback_ids: list[UUID]) -> None:
    """Create, refresh or withdraw the example of each piece of feedback; at most one each.

    A correction becomes an example with the corrected text as expected output; a reported failure one
    without; praise (rating from `positive_rating` on) one that expects the answer given, for a fixed share
    of the feedback chosen by a hash of its key, once the answer is known. An example that review has
    already taken up is left as it is.
    """
    if not feedback_ids:
        return
    session.execute(DERIVE, {"ids": feedback_ids, **rules()})
    session.execute(WITHDRAW, {"ids": feedback_ids, **rules()})


def rules() -> dict[str, float]:
    """Return the settings that decide which praise becomes an example."""
    return {
        "positive_rating": settings().positive_rating,
        "sample_share": settings().positive_sample_share,
    }


CLASSIFIED = """
WITH classified AS (
    SELECT feedback.id, feedback.agent_id, feedback.source, feedback.correction_text,
           feedback.issue_categories, feedback.rating,
           coalesce(feedback.user_id, executions.user_id) AS user_id,
           executions.conversation, executions.input_text, executions.context, executions.output_text,
           CASE
               WHEN feedback.withdrawn_at IS NOT NULL THEN NULL
               WHEN feedback.correction_text IS NOT NULL THEN 'correction'
               WHEN feedback.feedback_type = 'report_issue' THEN 'failure'
               WHEN feedback.rating >= :positive_rating AND executions.output_text IS NOT NULL
                    AND abs(hashtextextended(feedback.key, 0) % 10000) < 10000 * :sample_share
                   THEN 'positive'
           END AS example_type
    FROM agent_feedback AS feedback
    JOIN executions ON executions.id = feedback.execution_id
    WHERE feedback.id = ANY(:ids)
)
"""

DERIVE = text(f"""{CLASSIFIED}
INSERT INTO learning_examples AS known (
    agent_id, feedback_id, example_type, source, conversation, user_id, issue_categories, rating,
    input_text, context, original_output, expected_output
)
SELECT agent_id, id, example_type, source, conversation, user_id, issue_categories, rating,
       input_text, context, output_text,
       CASE example_type WHEN 'correction' THEN correction_text WHEN 'positive' THEN output_text END
FROM classified
WHERE example_type IS NOT NULL
ORDER BY id
ON CONFLICT (organization_id, feedback_id) DO UPDATE SET
    example_type = excluded.example_type,
    conversation = excluded.conversation,
    user_id = excluded.user_id,
    issue_categories = excluded.issue_categories,
    rating = excluded.rating,
    input_text = excluded.input_text,
    context = excluded.context,
    original_output = excluded.original_output,
    expected_output = excluded.expected_output,
    status = 'pending',
    ranked_at = NULL
WHERE known.status IN ('pending', 'withdrawn') AND known.reviews_done = 0 AND known.held = 0
""")  # noqa: S608 - the classification is a constant

WITHDRAW = text(f"""{CLASSIFIED}
UPDATE learning_examples AS known SET status = 'withdrawn'
FROM classified
WHERE known.feedback_id = classified.id AND classified.example_type IS NULL
  AND known.status = 'pending' AND known.reviews_done = 0
""")  # noqa: S608 - the classification is a constant
