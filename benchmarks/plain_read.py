"""What claiming is compared with: the API with one route more, which reads one pending row and holds nothing.

`uvicorn benchmarks.plain_read:api` runs both in the same processes: the same keys are looked up, the same
middleware is passed, and an answer of the same shape goes out.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.api import api
from learning_core.api.callers import Reviewer
from learning_core.api.review import Queue, QueueItem
from learning_core.db import organization_session
from learning_core.schema import OPEN


def read_one(session: Session) -> Any:
    """Return the pending row that comes first."""
    return session.execute(FIRST).one()


FIRST = text(f"""
SELECT id, agent_id, example_type, source, domain, status, input_text, context, original_output,
       alternative_output, expected_output, approved_output, demonstration, issue_categories, rating,
       priority, evidence, created_at, gold_decision
FROM learning_examples
WHERE {OPEN}
ORDER BY priority DESC, id
LIMIT 1
""")  # the condition is the one the index of waiting examples is made for


@api.get("/learning/benchmark/plain", include_in_schema=False)
def plain(caller: Reviewer) -> Queue:
    """Read the pending row that comes first, and answer as the queue does."""
    with organization_session(caller.organization_id) as session:
        row = read_one(session)
    return Queue(
        items=[
            QueueItem(
                example_id=row.id,
                agent_id=str(row.agent_id),
                example_type=row.example_type,
                work="review",
                source=row.source,
                domain=row.domain,
                input_text=row.input_text,
                context=row.context,
                original_output=row.original_output,
                alternative_output=row.alternative_output,
                expected_output=row.expected_output,
                demonstration=row.demonstration,
                issue_categories=row.issue_categories,
                rating=row.rating,
                priority=round(row.priority, 4),
                reasons=[],
                feedback=[],
                leased_until=None,
            )
        ]
    )
