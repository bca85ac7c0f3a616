"""What reviewers of an agent's answers go by."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.errors import InvalidInput, NotFound

LONGEST = 20_000
"""Characters."""


def write_guidelines(session: Session, caller: Caller, agent: str, guidelines: str) -> None:
    """Replace an agent's guidelines; an empty text takes them away.

    Raises:
        NotPermitted: the caller's role may not review.
        InvalidInput: the text is too long, or holds a NUL character.
        NotFound: there is no such agent.
    """
    access.act_as(session, caller, "review")
    guidelines = guidelines.strip()
    if len(guidelines) > LONGEST:
        raise InvalidInput(
            f"Guidelines may have {LONGEST:,} characters; these have {len(guidelines):,}.", field="guidelines"
        )
    if "\0" in guidelines or "\0" in agent:
        raise InvalidInput("A NUL character cannot be stored.", field="guidelines")
    if not session.execute(WRITE, {"agent": agent, "guidelines": guidelines}).all():
        raise NotFound(f"There is no agent {agent!r}.")
    access.audit(session, caller, "guidelines.written", agent, characters=len(guidelines))


WRITE = text("""
UPDATE agents SET guidelines = nullif(:guidelines, '') WHERE key = :agent RETURNING id
""")
