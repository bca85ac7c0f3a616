"""The names that an agent's prompts may use as variables; the first one is the question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.errors import Conflict, InvalidInput, NotFound
from learning_core.llm.templates import require_known
from learning_core.prompts.history import Version, in_use
from learning_core.prompts.versions import hold

MOST = 20
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")


def known(session: Session, agent: str) -> tuple[str, ...]:
    """Return the names that an agent's prompts may use, the question first.

    Raises:
        NotFound: there is no such agent.
    """
    inputs = session.execute(text("SELECT inputs FROM agents WHERE key = :agent"), {"agent": agent}).scalar()
    if inputs is None:
        raise NotFound(f"There is no agent {agent!r}.")
    return tuple(inputs)


def declare(session: Session, caller: Caller, agent: str, names: Sequence[str]) -> None:
    """Set the names that an agent's prompts may use; the first one is the question, which each must use.

    Raises:
        NotPermitted: the caller's role may not optimize.
        NotFound: there is no such agent.
        InvalidInput: a name is no name, or stands twice, or there are none or too many.
        Conflict: a version that has a label could no longer be filled in.
    """
    access.require(caller, "optimize")
    if not 1 <= len(names) <= MOST or len(set(names)) < len(names):
        raise InvalidInput(f"An agent has 1 to {MOST} inputs, each named once.", field="inputs")
    if wrong := [name for name in names if not NAME.fullmatch(name)]:
        raise InvalidInput(
            f"{wrong[0]!r} is no name of an input: letters, digits and _, not starting with a digit.",
            field="inputs",
        )
    before = known(session, agent)
    agent_id, _ = hold(session, agent)
    for version in in_use(session, agent):
        _require_usable(version, names)
    session.execute(SET_INPUTS, {"agent": agent_id, "names": list(names)})
    access.audit(session, caller, "agent.inputs", agent, before=list(before), after=list(names))


def _require_usable(version: Version, names: Sequence[str]) -> None:
    try:
        require_known(version.prompt, names)
    except InvalidInput as error:
        raise Conflict(
            f"The version {version.key!r} ({', '.join(version.labels)}) could not be filled in any more:"
            f" {error.message}",
            field="inputs",
        ) from error


SET_INPUTS = text("UPDATE agents SET inputs = CAST(:names AS text[]) WHERE id = :agent")
