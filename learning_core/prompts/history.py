"""Which versions an agent's prompt has had, what they say, and which labels point at them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core.errors import NotFound
from learning_core.feedback.queries import agent_exists
from learning_core.llm.templates import Prompt

PRODUCTION = "production"
"""The label that answers an agent which names none; an agent's first version gets it by itself."""


class Version(NamedTuple):
    """One version of an agent's prompt.

    Attributes:
        number: Counts up from 1 within the agent.
        key: What executions report as their prompt version.
        parent: Key of the version it was made from.
        labels: What points at it now, by name.
    """

    id: UUID
    agent: str
    number: int
    key: str
    prompt: Prompt
    content_hash: str
    author: str
    parent: str | None
    reason: str
    labels: tuple[str, ...]
    created_at: datetime


class Label(NamedTuple):
    """A name, the key and number of the version it points at, and who set it when."""

    name: str
    key: str
    number: int
    set_by: str
    set_at: datetime


def find(session: Session, agent: str, reference: int | str) -> Version:
    """Return an agent's version by number, key or label; a key goes before a label or a number written out.

    Raises:
        NotFound: there is none.
    """
    wanted = str(reference)
    number = int(wanted) if re.fullmatch(r"[0-9]{1,9}", wanted) else None
    name = None if isinstance(reference, int) else wanted
    row = session.execute(FIND, {"agent": agent, "name": name, "number": number}).one_or_none()
    if row is None:
        raise _not_found(session, agent, f"version {reference!r}")
    return _version(row)


def labelled(session: Session, agent: str, name: str = PRODUCTION) -> Version:
    """Return the version that a label of an agent points at.

    Raises:
        NotFound: there is none.
    """
    row = session.execute(LABELLED, {"agent": agent, "label": name}).one_or_none()
    if row is None:
        raise _not_found(session, agent, f"version labelled {name!r}")
    return _version(row)


def by_id(session: Session, version_id: UUID) -> Version:
    """Return a version by the id of its row.

    Raises:
        NotFound: there is none.
    """
    row = session.execute(BY_ID, {"id": version_id}).one_or_none()
    if row is None:
        raise NotFound("There is no such prompt version.")
    return _version(row)


def with_content(session: Session, agent: str, content_hash: str) -> Version | None:
    """Return the version of an agent that has a content, None where there is none."""
    row = session.execute(WITH_CONTENT, {"agent": agent, "hash": content_hash}).one_or_none()
    return _version(row) if row else None


def all_of(session: Session, agent: str) -> Iterator[Version]:
    """Yield all versions of an agent, oldest first."""
    rows = session.execute(ALL.execution_options(yield_per=100), {"agent": agent})
    return map(_version, rows)


def entries(session: Session, agent: str, limit: int = 200) -> list[Row[Any]]:
    """Return an agent's versions without their texts: id, number, key, content_hash, author, parent (key),
    reason, labels (list of str), characters (int), created_at (UTC); newest first.
    """
    return list(session.execute(HISTORY, {"agent": agent, "limit": limit}))


def reported_keys(session: Session, agent: str) -> list[str]:
    """Return the keys that an agent reported and no version has, the one reported last first."""
    return list(session.execute(REPORTED, {"agent": agent}).scalars())


def labels(session: Session, agent: str) -> list[Label]:
    """Return an agent's labels: production first, then by name."""
    return [Label(*row) for row in session.execute(LABELS, {"agent": agent, "first": PRODUCTION})]


def in_use(session: Session, agent: str) -> list[Version]:
    """Return the versions of an agent that a label points at, newest first."""
    return [_version(row) for row in session.execute(IN_USE, {"agent": agent})]


def _version(row: Row[Any]) -> Version:
    fields = dict(row._mapping)
    prompt, labels = Prompt.parse(fields.pop("messages")), tuple(fields.pop("labels"))
    return Version(**fields, prompt=prompt, labels=labels)


def _not_found(session: Session, agent: str, wanted: str) -> NotFound:
    newest = session.execute(HISTORY, {"agent": agent, "limit": 1}).one_or_none()
    if newest is None and not agent_exists(session, agent):
        return NotFound(f"There is no agent {agent!r}; it appears with its first execution or prompt.")
    if newest is None:
        return NotFound(f"The agent {agent!r} has no prompt yet; save a first version of it.")
    return NotFound(f"The agent {agent!r} has no {wanted}; its newest is {newest.key!r}.")


VERSION = """
SELECT version.id, agents.key AS agent, version.number, version.key, version.messages, version.content_hash,
       version.author, parent.key AS parent, version.reason,
       ARRAY(SELECT label FROM prompt_labels AS pointing
             WHERE pointing.agent_id = version.agent_id AND version_id = version.id ORDER BY label) AS labels,
       version.created_at
FROM prompt_versions AS version
JOIN agents ON agents.id = version.agent_id
LEFT JOIN prompt_versions AS parent ON parent.id = version.parent_id
"""

BY_ID = text(f"{VERSION} WHERE version.id = :id")

FIND = text(f"""{VERSION}
LEFT JOIN prompt_labels AS called
       ON called.agent_id = agents.id AND called.version_id = version.id
          AND called.label = CAST(:name AS text)
WHERE agents.key = :agent
  AND (version.key = CAST(:name AS text) OR version.number = CAST(:number AS int)
       OR called.label IS NOT NULL)
ORDER BY version.key = CAST(:name AS text) DESC NULLS LAST, called.label IS NOT NULL DESC
LIMIT 1
""")

WITH_CONTENT = text(f"{VERSION} WHERE agents.key = :agent AND version.content_hash = :hash")

ALL = text(f"{VERSION} WHERE agents.key = :agent ORDER BY version.number")

LABELLED = text(f"""{VERSION}
JOIN prompt_labels AS called ON called.agent_id = agents.id AND called.version_id = version.id
WHERE agents.key = :agent AND called.label = :label
""")

HISTORY = text("""
SELECT version.id, version.number, version.key, version.content_hash, version.author, parent.key AS parent,
       version.reason,
       ARRAY(SELECT label FROM prompt_labels AS pointing
             WHERE pointing.agent_id = version.agent_id AND version_id = version.id ORDER BY label) AS labels,
       (SELECT sum(length(message ->> 'text')) FROM jsonb_array_elements(version.messages) AS message)
           AS characters,
       version.created_at
FROM prompt_versions AS version
LEFT JOIN prompt_versions AS parent ON parent.id = version.parent_id
WHERE version.agent_id = (SELECT id FROM agents WHERE key = :agent)
ORDER BY version.number DESC LIMIT :limit
""")

IN_USE = text(f"""{VERSION}
WHERE agents.key = :agent
  AND version.id IN (SELECT version_id FROM prompt_labels WHERE agent_id = agents.id)
ORDER BY version.number DESC
""")  # noqa: S608 - the columns are a constant

REPORTED = text("""
SELECT prompt_version FROM executions_daily AS daily
WHERE agent_id = (SELECT id FROM agents WHERE key = :agent) AND prompt_version <> ''
  AND NOT EXISTS (SELECT FROM prompt_versions AS version
                  WHERE version.agent_id = daily.agent_id AND version.key = prompt_version)
GROUP BY prompt_version
HAVING sum(execution_count) > 0
ORDER BY max(day) DESC, min(day) DESC, prompt_version
""")

LABELS = text("""
SELECT label, key, number, set_by, set_at
FROM prompt_labels JOIN prompt_versions AS version ON version.id = version_id
WHERE version.agent_id = (SELECT id FROM agents WHERE key = :agent)
ORDER BY label = :first DESC, label
""")
