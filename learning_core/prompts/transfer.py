"""Prompt versions as files: out of one installation, into another, or in from where prompts lived so far.

A file holds the versions of one agent, as JSON lines (one version a line) or as one JSON document; a plain
text is one prompt. Taking the same file in again adds nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.errors import Conflict, InvalidInput, NotFound
from learning_core.feedback.entries import Key, Moment, describe_first_error
from learning_core.llm.templates import Prompt, require_known
from learning_core.prompts import history, inputs, versions
from learning_core.prompts.history import PRODUCTION, Version
from learning_core.prompts.versions import LONGEST_KEY, LONGEST_REASON, Draft

FORMS = ("jsonl", "json")
LARGEST_FILE = 64 * 1024 * 1024


class VersionEntry(BaseModel):
    """One version as a file tells it; without a key it gets one, without an author it is the importer's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agent_id: Key | None = None
    number: Annotated[int, Field(ge=1)] | None = None
    key: Annotated[Key, Field(max_length=LONGEST_KEY)] | None = None
    messages: list[dict[str, JsonValue]]
    author: Key | None = None
    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_REASON)] = ""
    parent: Annotated[Key, Field(max_length=LONGEST_KEY)] | None = None
    labels: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    content_hash: str | None = None
    created_at: Moment | None = None


class Taken(NamedTuple):
    """What became of a file.

    Attributes:
        added: Keys of the versions that are new, in the order of their numbers.
        known: Keys of the versions whose content was there already.
        labelled: Label -> key of the version, for each label that was set.
        kept: Labels of the file that point at another version here, and stayed as they are.
    """

    agent: str
    added: tuple[str, ...]
    known: tuple[str, ...]
    labelled: dict[str, str]
    kept: tuple[str, ...]


# ---------------------------------------------------------------- out


def write(session: Session, agent: str, form: str = "jsonl") -> Iterator[str]:
    """Yield the file that holds all versions of an agent, oldest first: as "jsonl", or as one "json".

    Raises:
        NotFound: the agent has no prompt.
        InvalidInput: there is no such form.
    """
    if form not in FORMS:
        raise InvalidInput(f"A file of prompts is {' or '.join(FORMS)}.", field="form")
    known = inputs.known(session, agent)
    told = (_told(version, known) for version in history.all_of(session, agent))
    if (first := next(told, None)) is None:
        raise NotFound(f"The agent {agent!r} has no prompt yet.")
    if form == "json":
        whole = {"agent_id": agent, "versions": [first, *told]}
        yield json.dumps(whole, ensure_ascii=False, indent=2) + "\n"
        return
    for one in chain([first], told):
        yield json.dumps(one, ensure_ascii=False) + "\n"


def _told(version: Version, known: Sequence[str]) -> dict[str, Any]:
    return {
        "agent_id": version.agent,
        "number": version.number,
        "key": version.key,
        "messages": version.prompt.told(),
        "author": version.author,
        "reason": version.reason,
        "parent": version.parent,
        "labels": list(version.labels),
        "inputs": list(known),
        "content_hash": version.content_hash,
        "created_at": version.created_at.isoformat(),
    }


# ---------------------------------------------------------------- in


def read(path: Path) -> list[VersionEntry]:
    """Return the versions that a file holds: .jsonl, .json, or one prompt as .txt or .md.

    Raises:
        InvalidInput: it cannot be read, is no such file, or a version in it is not as it should be.
    """
    try:
        with path.open("rb") as file:
            return parse(path.name, file.read(LARGEST_FILE + 1))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error


def parse(name: str, content: bytes) -> list[VersionEntry]:
    """Return the versions that a file of this name with this content holds.

    Raises:
        InvalidInput: it is no such file, or a version in it is not as it should be.
    """
    if len(content) > LARGEST_FILE:
        raise InvalidInput(f"{name} is larger than {LARGEST_FILE // 2**20} MB.")
    try:
        words = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is not UTF-8 text.") from error
    return [_entry(one, place) for place, one in enumerate(_versions(name, words), 1)]


def _versions(name: str, words: str) -> list[Any]:
    match Path(name).suffix.lower():
        case ".jsonl" | ".ndjson":
            lines = enumerate(words.split("\n"), 1)
            return [_json(line, f"line {number}") for number, line in lines if line.strip()]
        case ".json":
            return _of_document(_json(words, name))
        case ".txt" | ".md" if words.strip():
            prompt = Prompt.from_text(words.strip())
            return [{"messages": prompt.told(), "reason": f"From {name[:400]}."}]
        case ".txt" | ".md":
            return []
    raise InvalidInput(f"{name}: expected a name that ends in .jsonl, .json, .txt or .md.")


def _of_document(document: Any) -> list[Any]:
    """Return the versions of a JSON document: an export, a list of versions, one version, or its messages."""
    if isinstance(document, dict):
        versions = document.get("versions", [document])
        return versions if isinstance(versions, list) else [versions]
    if isinstance(document, list) and all(isinstance(one, dict) and "role" in one for one in document):
        return [{"messages": document}] if document else []
    return document if isinstance(document, list) else [document]


def _json(content: str, where: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{where}: not JSON: {error}") from error


def _entry(told: Any, place: int) -> VersionEntry:
    try:
        return VersionEntry.model_validate(told)
    except ValidationError as error:
        raise InvalidInput(f"Version {place} of the file: {describe_first_error(error)}") from error


def take_in(session: Session, caller: Caller, agent: str, entries: Sequence[VersionEntry]) -> Taken:
    """Store the versions of a file that are not there yet, in the order of their numbers: all, or none.

    Labels are set where there is none of that name yet: moving one that agents ask for is for a person to
    do. If the agent has no production label after that, the newest version of the file gets it. An agent
    without versions takes over the inputs that the file tells.

    Raises:
        NotPermitted: the caller's role may not optimize.
        InvalidInput: a version is not as it should be; the error says which.
        Conflict: a key belongs to another content here, or to a label.
    """
    access.require(caller, "optimize")
    ordered = _ordered(entries)
    _prepare(session, caller, agent, ordered[-1])
    stored: dict[str, Version] = {}
    added: list[str] = []
    for place, entry in enumerate(ordered, 1):
        with _named(entry.key or f"number {place}"):
            version, is_new = _store(session, caller, agent, entry, stored)
        stored[entry.key or version.key] = version
        if is_new:
            added.append(version.key)
    labelled, kept = _label(session, caller, agent, ordered, list(stored.values()))
    access.audit(session, caller, "prompt.imported", agent, added=added, labelled=labelled)
    known = tuple(version.key for version in stored.values() if version.key not in added)
    return Taken(agent, tuple(added), known, labelled, kept)


def _ordered(entries: Sequence[VersionEntry]) -> list[VersionEntry]:
    if not entries:
        raise InvalidInput("There is no prompt in the file.")
    if len({entry.agent_id for entry in entries if entry.agent_id}) > 1:
        raise InvalidInput("The file holds prompts of several agents; take them in one by one.")
    keys = [entry.key for entry in entries if entry.key]
    named = [name for entry in entries for name in entry.labels]
    if twice := next((name for names in (keys, named) for name in names if names.count(name) > 1), None):
        raise InvalidInput(f"{twice!r} stands twice in the file.")
    return sorted(entries, key=lambda entry: (entry.number is None, entry.number or 0))


def _prepare(session: Session, caller: Caller, agent: str, newest: VersionEntry) -> None:
    """Let an agent without versions fill in what the file's newest one asks for."""
    _, inputs_here = versions.hold(session, agent)
    if newest.inputs and newest.inputs != tuple(inputs_here) and not history.entries(session, agent, limit=1):
        inputs.declare(session, caller, agent, newest.inputs)
        inputs_here = list(newest.inputs)
    require_known(Prompt.parse(newest.messages), inputs_here)


def _store(
    session: Session, caller: Caller, agent: str, entry: VersionEntry, stored: Mapping[str, Version]
) -> tuple[Version, bool]:
    prompt = Prompt.parse(entry.messages)
    if entry.content_hash not in (None, prompt.content_hash):
        raise InvalidInput("its text is not the one of its content_hash; leave that out if you changed it.")
    if same := history.with_content(session, agent, prompt.content_hash):
        return same, False
    parent = entry.parent and (stored.get(entry.parent) or history.find(session, agent, entry.parent))
    draft = Draft(
        prompt=prompt,
        reason=entry.reason or "Imported.",
        author=entry.author or caller.name,
        parent_id=parent.id if parent else None,
        key=entry.key,
        created_at=entry.created_at,
    )
    return versions.store(session, caller, agent, versions.checked(draft)), True


@contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except (InvalidInput, Conflict, NotFound) as error:
        raise type(error)(f"Version {name} of the file: {error.message}", field=error.field) from error


def _label(
    session: Session, caller: Caller, agent: str, entries: Sequence[VersionEntry], stored: Sequence[Version]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Set the labels that are not there yet, and return them and those that point elsewhere."""
    here = {one.name: one.key for one in history.labels(session, agent)}
    told = {
        name: version.key for entry, version in zip(entries, stored, strict=True) for name in entry.labels
    }
    wanted = {name: key for name, key in told.items() if name not in here}
    if PRODUCTION not in here | wanted:
        wanted[PRODUCTION] = stored[-1].key
    for name, key in wanted.items():
        versions.label(session, caller, agent, name, key)
    return wanted, tuple(name for name, key in told.items() if here.get(name, key) != key)
