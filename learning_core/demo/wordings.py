"""What the agents of the demo story are told: the prompt versions that their executions name.

The texts stand in ``wordings/``, one file per agent. The first version of the tax advisor still holds last
year's figures, and the first one of the audit assistant asks for length: that is what people complain about.
"""

from __future__ import annotations

import tomllib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.access import Caller
from learning_core.demo.cast import AGENTS, Agent
from learning_core.llm.templates import Prompt
from learning_core.prompts.transfer import VersionEntry, take_in

_FOLDER = Path(__file__).with_name("wordings")

SAVED_BEFORE = timedelta(hours=3)
"""How long before it serves its first answer a version is saved."""


def save_prompts(session: Session, caller: Caller, start: datetime) -> None:
    """Save the agents' prompt versions as they came about in the story that began at `start`."""
    for agent in AGENTS:
        take_in(session, caller, agent.agent_id, entries(agent, start))
        session.execute(DATE_LABELS, {"agent": agent.agent_id})


def entries(agent: Agent, start: datetime) -> list[VersionEntry]:
    """Return the versions of an agent's prompt, the oldest first."""
    since = {version.name: start + timedelta(days=version.since) for version in agent.versions}
    return [_entry(told, since[told["key"]] - SAVED_BEFORE) for told in _read(agent.agent_id)]


def _read(name: str) -> list[dict[str, Any]]:
    versions: list[dict[str, Any]] = tomllib.loads((_FOLDER / f"{name}.toml").read_text("utf-8"))["version"]
    return versions


def _entry(told: dict[str, Any], at: datetime) -> VersionEntry:
    messages = Prompt.from_text(told["text"].strip()).told()
    rest = {name: value for name, value in told.items() if name != "text"}
    return VersionEntry(messages=messages, created_at=at, **rest)


DATE_LABELS = text("""
UPDATE prompt_labels SET set_at = version.created_at
FROM prompt_versions AS version JOIN agents ON agents.id = version.agent_id
WHERE version.id = version_id AND agents.key = :agent
""")
"""Lets an agent's labels have been where they are since their versions were saved."""
