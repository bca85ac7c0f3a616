"""Examples whose right decision is known, mixed into the queue: how often each reviewer gets them right."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.errors import Conflict
from learning_core.feedback.intervals import Estimate, share
from learning_core.review import queue


class Accuracy(NamedTuple):
    """How often a reviewer decided about gold items as was known to be right."""

    annotator: str
    share: Estimate


def make_gold(session: Session, caller: Caller, example_id: UUID) -> None:
    """Take a settled example for gold: from now on its decision is what others are measured by.

    They are shown what was proposed, so an approval of another text is no measure.

    Raises:
        Conflict: it is not settled, or a preference, or was approved with another text.
    """
    access.require(caller, "administer")
    if not session.execute(MAKE, {"example": example_id}).all():
        raise Conflict("Only an example rejected, or approved as it was proposed, can serve as a gold item.")
    access.audit(session, caller, "example.made_gold", str(example_id))


def unmake_gold(session: Session, caller: Caller, example_id: UUID) -> None:
    """Let an example be an ordinary one again.

    Raises:
        Conflict: it is no gold item.
    """
    access.require(caller, "administer")
    if not session.execute(UNMAKE, {"example": example_id}).all():
        raise Conflict("This example is no gold item.")
    queue.release_all(session, example_id)
    access.audit(session, caller, "example.unmade_gold", str(example_id))


def accuracies(session: Session, annotator: str | None = None) -> list[Accuracy]:
    """Return the accuracy of each reviewer on gold items, or of one, by name."""
    rows = session.execute(ACCURACIES, {"annotator": annotator})
    measured = ((row.annotator, share(row.right_count, row.judged_count)) for row in rows)
    return [Accuracy(name, estimate) for name, estimate in measured if estimate]


MAKE = text("""
UPDATE learning_examples
SET gold_decision = CASE status WHEN 'approved' THEN 'approve' ELSE 'reject' END,
    reviews_wanted = reviews_done
WHERE id = :example AND status IN ('approved', 'rejected') AND example_type <> 'preference'
  AND (status = 'rejected' OR approved_output = expected_output) AND gold_decision IS NULL
RETURNING id
""")

UNMAKE = text("""
UPDATE learning_examples SET gold_decision = NULL
WHERE id = :example AND gold_decision IS NOT NULL
RETURNING id
""")

ACCURACIES = text("""
SELECT annotator, CAST(count(*) FILTER (WHERE decision = gold_decision) AS int) AS right_count,
       CAST(count(*) AS int) AS judged_count
FROM expert_annotations AS annotation
JOIN learning_examples AS example ON example.id = example_id
WHERE on_gold AND decision IS NOT NULL AND undone_at IS NULL AND gold_decision IS NOT NULL
  AND (CAST(:annotator AS text) IS NULL OR annotator = :annotator)
GROUP BY annotator
ORDER BY annotator
""")
