"""Examples that reviewers took out of the queue because something about them is wrong."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.errors import Conflict, InvalidInput
from learning_core.review import queue
from learning_core.review.settlement import settle


def flag(session: Session, caller: Caller, example_id: UUID, reason: str) -> None:
    """Take an example out of the queue, for everybody, with a reason.

    Raises:
        NotFound: there is no such example.
        Conflict: it is not waiting for review.
        InvalidInput: there is no reason.
    """
    access.act_as(session, caller, "review")
    if not (reason := reason.strip()[:2_000]):
        raise InvalidInput("Say in a few words what is wrong with this example.", field="reason")
    queue.lock(session, example_id)
    queue.release_all(session, example_id)
    _change(session, FLAG, example=example_id, reason=reason, me=caller.name)
    access.audit(session, caller, "example.flagged", str(example_id), reason=reason)


def unflag(session: Session, caller: Caller, example_id: UUID) -> None:
    """Put a flagged example back to where its judgements leave it.

    Raises:
        Conflict: it is not flagged.
    """
    access.act_as(session, caller, "review")
    _change(session, UNFLAG, example=example_id)
    settle(session, example_id)
    access.audit(session, caller, "example.unflagged", str(example_id))


def drop(session: Session, caller: Caller, example_id: UUID) -> None:
    """Reject a flagged example for good.

    Raises:
        Conflict: it is not flagged.
    """
    access.act_as(session, caller, "review")
    _change(session, DROP, example=example_id)
    access.audit(session, caller, "example.dropped", str(example_id))


def _change(session: Session, statement: TextClause, **parameters: object) -> None:
    if not session.execute(statement, parameters).all():
        raise Conflict("This example has moved on in the meantime.")


FLAG = text("""
UPDATE learning_examples SET status = 'flagged', flag_reason = :reason, flagged_by = :me
WHERE id = :example AND status IN ('pending', 'needs_revision') AND gold_decision IS NULL
RETURNING id
""")

UNFLAG = text("""
UPDATE learning_examples SET status = 'pending', flag_reason = NULL, flagged_by = NULL
WHERE id = :example AND status = 'flagged'
RETURNING id
""")

DROP = text("""
UPDATE learning_examples SET status = 'rejected', settled_at = now()
WHERE id = :example AND status = 'flagged'
RETURNING id
""")
