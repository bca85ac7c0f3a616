"""Routes of prompts: which one an agent uses, which there were, a new version, and where a label points."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import to_json
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from learning_core.access import Caller
from learning_core.api import problems, recent
from learning_core.api.callers import Engineer, Reader
from learning_core.api.feedback import AgentKey, require_agent
from learning_core.db import in_transaction, reading_session
from learning_core.errors import InvalidInput
from learning_core.feedback.entries import WITHOUT_NUL, Key
from learning_core.llm.templates import LONGEST, Prompt, Speaker
from learning_core.prompts import history, versions
from learning_core.prompts.history import PRODUCTION, Version
from learning_core.prompts.versions import LONGEST_KEY, LONGEST_REASON
from learning_core.releases.routing import Route

router = APIRouter(prefix="/learning", tags=["prompts"])

Words = Annotated[str, StringConstraints(max_length=LONGEST, pattern=WITHOUT_NUL)]
SAVING = problems.responses(401, 403, 404, 409, 413, 422, 503)

# ---------------------------------------------------------------- in


class MessageEntry(BaseModel):
    """One message of a new version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Speaker
    content: Words
    literal: bool = Field(default=False, description="Holds no variables, such as an example's question.")


class PromptEntry(BaseModel):
    """A new version: a plain instruction as `text`, or `messages` with variables such as {{input}}."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Words | None = Field(default=None, description="Without variables, the input follows it.")
    messages: Annotated[list[MessageEntry], Field(min_length=1, max_length=1_000)] | None = None
    reason: Annotated[
        str,
        StringConstraints(
            strip_whitespace=True, min_length=1, max_length=LONGEST_REASON, pattern=WITHOUT_NUL
        ),
    ] = Field(description="Why it is made.")
    parent: Key | None = Field(
        default=None, description="The version it was made from: key, number or label."
    )
    key: Annotated[Key, Field(max_length=LONGEST_KEY)] | None = Field(
        default=None, description="What executions will report as prompt_version; without, one is chosen."
    )

    @model_validator(mode="after")
    def _says_one_thing(self) -> PromptEntry:
        if (self.text is None) == (self.messages is None):
            raise ValueError("give either text or messages")
        return self

    def prompt(self) -> Prompt:
        """Return the prompt that it stands for."""
        if self.text is not None:
            return Prompt.from_text(self.text)
        return Prompt.parse([message.model_dump() for message in self.messages or ()])


class LabelEntry(BaseModel):
    """The version that a label is to point at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Key = Field(description="Its key, its number, or another label that points at it.")


# ---------------------------------------------------------------- out


class MessageOut(BaseModel):
    """One message; fill in the variables of those that are not literal."""

    role: Speaker
    content: str
    literal: bool


class PromptOut(BaseModel):
    """A version of a prompt, to be filled in and sent; report `version` with each execution."""

    agent_id: str
    version: str = Field(description="Its key")
    number: int
    label: str | None = Field(description="The label it was asked for by")
    messages: list[MessageOut]
    text: str = Field(description="The whole prompt as one text, to read")
    variables: list[str] = Field(description="What to fill in, such as input for {{input}}")
    content_hash: str
    created_at: datetime
    variant: str | None = Field(
        default=None, description="What the user meets, where an experiment or a release assigns it"
    )
    assignment: str | None = Field(
        default=None, description="Report it with user_id and each execution, or they count for no variant"
    )
    experiment_id: UUID | None = None
    release_id: UUID | None = None


class VersionOut(BaseModel):
    """One version, without its text."""

    version: str
    number: int
    content_hash: str
    author: str
    reason: str
    parent: str | None
    labels: list[str]
    characters: int
    created_at: datetime


class VersionsOut(BaseModel):
    """The versions of an agent's prompt, newest first."""

    agent_id: str
    versions: list[VersionOut]


class LabelOut(BaseModel):
    """Where a label points now."""

    agent_id: str
    label: str
    version: str
    number: int


# ---------------------------------------------------------------- routes; the most particular path first


@router.get("/prompts/{agent_id:path}/versions", responses=problems.responses(401, 404, 422, 503))
def prompt_versions(
    agent_id: AgentKey, caller: Reader, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> VersionsOut:
    """Return the versions of an agent's prompt, without their texts."""
    with reading_session(caller.organization_id) as session:
        require_agent(session, agent_id)
        found = history.entries(session, agent_id, limit)
    return VersionsOut(agent_id=agent_id, versions=[_listed(row) for row in found])


@router.put("/prompts/{agent_id:path}/labels/{label}", responses=SAVING)
def label_prompt(
    agent_id: AgentKey,
    label: Annotated[str, Path(pattern=WITHOUT_NUL, examples=[PRODUCTION])],
    entry: LabelEntry,
    caller: Engineer,
) -> LabelOut:
    """Let a label point at a version; agents that ask for the label get it from their next request on."""
    version = in_transaction(
        caller.organization_id,
        lambda session: versions.label(session, caller, agent_id, label, entry.version),
    )
    recent.forget_routes(caller.organization_id, agent_id)
    return LabelOut(agent_id=agent_id, label=label, version=version.key, number=version.number)


@router.get(
    "/prompts/{agent_id:path}",
    response_model=PromptOut,
    responses={
        304: {"description": "What you have is what there is"},
        **problems.responses(401, 404, 422, 503),
    },
)
async def prompt(
    agent_id: AgentKey,
    caller: Reader,
    label: Annotated[Key | None, Query(description="Without it and version: production.")] = None,
    version: Annotated[Key | None, Query(description="A version's key, or its number.")] = None,
    user_id: Annotated[
        Key | None, Query(description="Who will read the answer: they may be in an experiment or a release.")
    ] = None,
    if_none_match: Annotated[str | None, Header(description="The ETag of the answer you have.")] = None,
) -> Response:
    """Return the prompt that an agent uses: for a user, behind a label, or a certain version.

    Keep the answer and its ETag: as long as nothing changes, a request with If-None-Match gets a 304, and
    when there is no answer at all the one you have is still good. What a user gets is decided from what was
    in force at most half a second ago.
    """
    if label and version:
        raise InvalidInput("Ask for a label or for a version, not for both.", field="label")
    name = None if version else label or PRODUCTION
    if user_id is None:
        found = await run_in_threadpool(_asked_for, caller, agent_id, name, version)
        return _answer(found, Route(found.id, found.key), name, if_none_match)
    if name != PRODUCTION:
        raise InvalidInput("What a user gets is assigned: ask without label and version.", field="user_id")
    route = (await recent.routing_table(caller.organization_id, agent_id)).route(user_id)
    found = await recent.version(caller.organization_id, route.version_id)
    return _answer(found, route, None if route.assignment else name, if_none_match)


@router.post(
    "/prompts/{agent_id:path}",
    status_code=201,
    responses={200: {"description": "There was a version with this content", "model": PromptOut}, **SAVING},
)
def save_prompt(agent_id: AgentKey, entry: PromptEntry, caller: Engineer, response: Response) -> PromptOut:
    """Save the next version of an agent's prompt; the first one goes into production, a later one does not.

    Sending the same content again answers with the version that has it.
    """

    def save(session: Session) -> tuple[Version, bool]:
        parent = versions.find(session, agent_id, entry.parent) if entry.parent else None
        return versions.save_or_find(
            session,
            caller,
            agent_id,
            entry.prompt(),
            reason=entry.reason,
            parent=parent.id if parent else None,
            key=entry.key,
        )

    version, is_new = in_transaction(caller.organization_id, save)
    response.status_code = 201 if is_new else 200
    return _shown(version, None)


def _asked_for(caller: Caller, agent: str, label: str | None, version: str | None) -> Version:
    with reading_session(caller.organization_id) as session:
        if label:
            return history.labelled(session, agent, label)
        return history.find(session, agent, version or "")


def _answer(version: Version, route: Route, label: str | None, if_none_match: str | None) -> Response:
    tag = f"{version.content_hash}.{route.assignment}" if route.assignment else version.content_hash
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    if _has(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    told = {"label": label} | {name: getattr(route, name) for name in ASSIGNED}
    body = b"%b,%b" % (_begun(version), to_json(told)[1:])
    return Response(body, media_type="application/json", headers=headers)


ASSIGNED = ("variant", "assignment", "experiment_id", "release_id")


@lru_cache(maxsize=200)
def _begun(version: Version) -> bytes:
    """Return what an answer says of a version to everybody, as JSON that is to be continued."""
    return _shown(version, None).model_dump_json(exclude={"label", *ASSIGNED})[:-1].encode()


def _has(if_none_match: str | None, tag: str) -> bool:
    held = [known.strip().removeprefix("W/").strip('"') for known in (if_none_match or "").split(",")]
    return tag in held or held == ["*"]


def _shown(version: Version, label: str | None) -> PromptOut:
    return PromptOut(
        agent_id=version.agent,
        version=version.key,
        number=version.number,
        label=label,
        messages=[
            MessageOut(role=message.role, content=message.text, literal=message.literal)
            for message in version.prompt.messages
        ],
        text=version.prompt.text,
        variables=list(version.prompt.variables),
        content_hash=version.content_hash,
        created_at=version.created_at,
    )


def _listed(row: Any) -> VersionOut:
    same = {name: getattr(row, name) for name in SAME_IN_BOTH}
    return VersionOut(version=row.key, **same)


SAME_IN_BOTH = VersionOut.model_fields.keys() - {"version"}
