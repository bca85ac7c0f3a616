"""Prompt versions, which never change, and the labels that point at them, which do.

An agent asks for the version behind a label, mostly "production", and reports the version's key with each
answer: that is how live figures find their version.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.errors import Conflict, InvalidInput, NotFound
from learning_core.feedback.executions import register_agents
from learning_core.llm.templates import Prompt, require_known
from learning_core.prompts.differences import difference as difference
from learning_core.prompts.history import PRODUCTION, by_id, with_content
from learning_core.prompts.history import Version as Version
from learning_core.prompts.history import find as find
from learning_core.prompts.history import labels as labels

LONGEST_REASON = 500
LONGEST_KEY = 80
LONGEST_AGENT = 200

LABEL = re.compile(r"(?=.*[a-z])[a-z0-9-]{1,40}")


class Draft(NamedTuple):
    """What a version is made of; without a key it gets one, without a time it is made now."""

    prompt: Prompt
    reason: str
    author: str
    parent_id: UUID | None = None
    key: str | None = None
    created_at: datetime | None = None


def save(
    session: Session,
    caller: Caller,
    agent: str,
    prompt: Prompt,
    *,
    reason: str,
    parent: UUID | None = None,
    key: str | None = None,
) -> Version:
    """Save a prompt as the next version of an agent's; the first one is labelled production.

    The key is "v" and the number, or the next such key that the agent has never reported: what it reported
    before belongs to another prompt. To adopt a prompt that is in use already, pass the key that the agent
    reports it by.

    Raises:
        NotPermitted: the caller's role may not optimize.
        InvalidInput: the agent cannot fill the prompt in, or the reason or the key is no good.
        Conflict: there is a version with this content, or another one with this key.
    """
    version, is_new = save_or_find(session, caller, agent, prompt, reason=reason, parent=parent, key=key)
    if not is_new:
        raise Conflict(f"The version {version.key!r} of {agent!r} says the same already.")
    return version


def save_or_find(
    session: Session,
    caller: Caller,
    agent: str,
    prompt: Prompt,
    *,
    reason: str,
    parent: UUID | None = None,
    key: str | None = None,
) -> tuple[Version, bool]:
    """Do what `save` does, or return the version that has this content; and whether it is new.

    Raises:
        NotPermitted, InvalidInput: as `save` does.
        Conflict: the version with this content has another key than the given one, or the other way round.
    """
    access.require(caller, "optimize")
    draft = checked(Draft(prompt, reason, caller.name, parent, key))
    _, inputs = hold(session, agent)
    require_known(draft.prompt, inputs)
    if same := with_content(session, agent, draft.prompt.content_hash):
        if draft.key not in (None, same.key):
            raise Conflict(f"The version {same.key!r} of {agent!r} says the same already.")
        return same, False
    version = store(session, caller, agent, draft)
    if version.number == 1:
        version = label(session, caller, agent, PRODUCTION, version.number)
    return version, True


def store(session: Session, caller: Caller, agent: str, draft: Draft) -> Version:
    """Store a checked draft as the next version, without any label, as long as nobody else does.

    Raises:
        NotPermitted: the caller's role may not optimize.
        InvalidInput: the parent is no version of the agent.
        Conflict: the key is that of another version, or a label.
    """
    access.require(caller, "optimize")
    agent_id, _ = hold(session, agent)
    _refuse_taken(session, agent_id, draft)
    stored = session.execute(STORE, _row(agent_id, draft)).one()
    access.audit(session, caller, "prompt.saved", agent, version=stored.key, hash=draft.prompt.content_hash)
    return by_id(session, stored.id)


# ---------------------------------------------------------------- labels


def label(session: Session, caller: Caller, agent: str, name: str, reference: int | str) -> Version:
    """Let a label point at a version, found by number, key or label, and return that version.

    Raises:
        NotPermitted: the caller's role may not optimize.
        InvalidInput: the name is not 1 to 40 of a-z, 0-9 and -, with a letter; or the agent's inputs have
            changed since, so that it cannot fill the version in.
        NotFound: there is no such version.
        Conflict: a version has the name as its key.
    """
    access.require(caller, "optimize")
    if not LABEL.fullmatch(name):
        raise InvalidInput("A label is 1 to 40 of a-z, 0-9 and -, at least one a letter.", field="label")
    version = find(session, agent, reference)
    _, inputs = hold(session, agent)
    require_known(version.prompt, inputs)
    if session.execute(KEYED, {"agent": agent, "key": name}).one_or_none():
        raise Conflict(f"{name!r} is the key of a version of {agent!r}; it cannot be a label too.")
    moved = session.execute(
        SET_LABEL, {"version": version.id, "label": name, "by": caller.name}
    ).one_or_none()
    if moved:
        access.audit(
            session, caller, "prompt.labelled", agent, label=name, before=moved.before, after=version.key
        )
    return by_id(session, version.id)


def unlabel(session: Session, caller: Caller, agent: str, name: str) -> None:
    """Take a label away.

    Raises:
        NotPermitted: the caller's role may not optimize.
        Conflict: it is the production label, which agents ask for; it can be moved.
        NotFound: there is no such label.
    """
    access.require(caller, "optimize")
    if name == PRODUCTION:
        raise Conflict("Agents ask for the production label: move it to another version instead.")
    removed = session.execute(UNLABEL, {"agent": agent, "label": name}).one_or_none()
    if removed is None:
        raise NotFound(f"The agent {agent!r} has no label {name!r}.")
    access.audit(session, caller, "prompt.labelled", agent, label=name, before=removed.key, after=None)


# ---------------------------------------------------------------- checks


def hold(session: Session, agent: str) -> tuple[UUID, list[str]]:
    """Return an agent's id and inputs, made known if need be; nobody else saves or labels meanwhile.

    Raises:
        InvalidInput: this can be no agent's key.
    """
    if not 0 < len(agent) <= LONGEST_AGENT or agent != agent.strip() or not _is_storable(agent):
        raise InvalidInput(
            f"An agent's key has 1 to {LONGEST_AGENT} characters, without spaces around it.", field="agent"
        )
    register_agents(session, {agent})
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"prompts of {agent}"}
    )
    row = session.execute(text("SELECT id, inputs FROM agents WHERE key = :agent"), {"agent": agent}).one()
    return row.id, row.inputs


def checked(draft: Draft) -> Draft:
    """Return a draft in its stored form.

    Raises:
        InvalidInput: the prompt, the reason or the key is no good.
    """
    prompt, reason = Prompt.parse(draft.prompt.told()), draft.reason.strip()
    if not 0 < len(reason) <= LONGEST_REASON or not _is_storable(reason):
        raise InvalidInput(
            f"Say in up to {LONGEST_REASON} characters why this version is made.", field="reason"
        )
    key = draft.key and draft.key.strip()
    if key is not None and (not 0 < len(key) <= LONGEST_KEY or not _is_storable(key)):
        raise InvalidInput(f"A version's key has 1 to {LONGEST_KEY} characters.", field="key")
    return draft._replace(prompt=prompt, reason=reason, key=key)


def _is_storable(words: str) -> bool:
    return not re.search(r"[\x00\ud800-\udfff]", words)


def _refuse_taken(session: Session, agent_id: UUID, draft: Draft) -> None:
    taken = session.execute(TAKEN, {"agent": agent_id, "key": draft.key, "parent": draft.parent_id}).one()
    if taken.by_version:
        raise Conflict(f"There is a version {draft.key!r} with another content.", field="key")
    if taken.by_label:
        raise Conflict(f"{draft.key!r} is a label; it cannot be a version's key too.", field="key")
    if draft.parent_id and not taken.has_parent:
        raise InvalidInput("The parent is no version of this agent.", field="parent")


def _row(agent_id: UUID, draft: Draft) -> dict[str, Any]:
    return {
        "agent": agent_id,
        "key": draft.key,
        "messages": json.dumps(draft.prompt.told(), ensure_ascii=False),
        "hash": draft.prompt.content_hash,
        "author": draft.author,
        "parent": draft.parent_id,
        "reason": draft.reason,
        "at": draft.created_at,
    }


# ---------------------------------------------------------------- statements

TAKEN = text("""
SELECT EXISTS (SELECT FROM prompt_versions WHERE agent_id = :agent AND key = :key) AS by_version,
       EXISTS (SELECT FROM prompt_labels WHERE agent_id = :agent AND label = :key) AS by_label,
       EXISTS (SELECT FROM prompt_versions
               WHERE agent_id = :agent AND id = CAST(:parent AS uuid)) AS has_parent
""")

STORE = text("""
WITH next AS (
    SELECT coalesce(max(number), 0) + 1 AS number FROM prompt_versions WHERE agent_id = :agent
),
taken AS (
    SELECT key FROM prompt_versions WHERE agent_id = :agent
    UNION
    SELECT label FROM prompt_labels WHERE agent_id = :agent
    UNION
    SELECT prompt_version FROM executions_daily WHERE agent_id = :agent AND prompt_version ~ '^v[0-9]+$'
)
INSERT INTO prompt_versions (
    agent_id, number, key, messages, content_hash, author, parent_id, reason, created_at
)
SELECT CAST(:agent AS uuid), number,
       coalesce(CAST(:key AS text), (
           SELECT 'v' || place FROM generate_series(number, number + (SELECT count(*) FROM taken)) AS place
           WHERE 'v' || place <> ALL (ARRAY(SELECT key FROM taken)) ORDER BY place LIMIT 1
       )),
       CAST(:messages AS jsonb), :hash, :author, CAST(:parent AS uuid), :reason,
       coalesce(CAST(:at AS timestamptz), now())
FROM next
RETURNING id, key
""")

KEYED = text("""
SELECT id FROM prompt_versions WHERE agent_id = (SELECT id FROM agents WHERE key = :agent) AND key = :key
""")

SET_LABEL = text("""
WITH moved AS (
    INSERT INTO prompt_labels AS known (agent_id, label, version_id, set_by)
    SELECT agent_id, :label, id, :by FROM prompt_versions WHERE id = :version
    ON CONFLICT (organization_id, agent_id, label)
        DO UPDATE SET version_id = excluded.version_id, set_by = excluded.set_by, set_at = now()
        WHERE known.version_id <> excluded.version_id
    RETURNING old.version_id AS before_id
)
SELECT before.key AS before FROM moved LEFT JOIN prompt_versions AS before ON before.id = before_id
""")

UNLABEL = text("""
WITH removed AS (
    DELETE FROM prompt_labels
    WHERE agent_id = (SELECT id FROM agents WHERE key = :agent) AND label = :label
    RETURNING version_id
)
SELECT key FROM removed JOIN prompt_versions ON id = version_id
""")
