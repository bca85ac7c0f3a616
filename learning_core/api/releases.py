"""Routes of releases: what is on its way to users, why it stays where it is, and the way back.

To approve a release, and to send it on without proof, is for people: there is no route for either.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.orm import Session

from learning_core.access import Caller
from learning_core.api import problems, recent
from learning_core.api.callers import Reader, Releaser
from learning_core.api.feedback import require_agent
from learning_core.db import in_transaction, reading_session
from learning_core.experiments.guardrails import GuardrailResult, Limits
from learning_core.experiments.guardrails import State as GuardrailState
from learning_core.feedback.entries import WITHOUT_NUL, Key
from learning_core.releases import queries, rollout
from learning_core.releases.checks import Check
from learning_core.releases.queries import Found
from learning_core.releases.rollout import Start
from learning_core.releases.stages import Policy, Stage
from learning_core.releases.starting import LONGEST_REASON
from learning_core.schema import ReleaseStatus

router = APIRouter(prefix="/learning", tags=["releases"])

READING = problems.responses(401, 404, 422, 503)
CHANGING = problems.responses(401, 403, 404, 409, 413, 422, 503)

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_REASON, pattern=WITHOUT_NUL),
]

# ---------------------------------------------------------------- in


class StageEntry(BaseModel):
    """A share of the users, and for how many hours at least."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: Share
    hours: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]


class LimitsEntry(BaseModel):
    """Bounds that take the release back; null: not watched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    error_rate: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] | None = 0.05
    satisfaction_drop: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] | None = 0.10
    latency_rise: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] | None = 0.50
    literal_min_n: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="From so many answers on the figure alone is enough. From 200 on it takes back 8 in 100"
        " releases with 3 % errors, where 5 % are allowed; evidence alone takes back fewer than 1.",
    )


class ReleaseEntry(BaseModel):
    """The prompt version that is to go to all users. What is left out is usual."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agent_id: Key
    version: Key = Field(description="Its key, its number, or a label that points at it.")
    reason: Reason
    experiment_id: UUID | None = Field(default=None, description="The experiment that it follows from.")
    run_id: UUID | None = Field(default=None, description="The optimization; without, the experiment's.")
    stages: Annotated[list[StageEntry], Field(min_length=2, max_length=20)] | None = None
    limits: LimitsEntry | None = None
    two_person: bool = Field(default=False, description="Somebody else than who starts it has to approve.")


class ReasonEntry(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Reason


# ---------------------------------------------------------------- out


class StageOut(BaseModel):
    """A share of the users, and for how many hours at least."""

    share: float
    hours: float


class BoundOut(BaseModel):
    """What may be said of a bound: ok means shown to hold, breach means shown to be broken."""

    metric: str
    state: GuardrailState
    value: float | None
    baseline: float | None
    limit: float | None = Field(description="The worst value allowed")
    bound: float | None = Field(description="How bad it may really be, at worst")
    n: float
    users: float
    reason: str


class CheckOut(BaseModel):
    """What was known at the last check."""

    at: datetime
    says: str = Field(description="What follows from it, in a sentence")
    users: dict[str, int] = Field(description="By variant")
    crossed: int = Field(description="Users seen in two variants, who are left out")
    guardrails: list[BoundOut]


class EventOut(BaseModel):
    """Something that happened to a release."""

    at: datetime
    kind: str
    actor: str
    reason: str


class ReleaseOut(BaseModel):
    """A release: where it stands, what holds it, what its guardrails say."""

    release_id: UUID
    agent_id: str
    number: int
    version: str = Field(description="The prompt version's key")
    previous_version: str | None = Field(description="Where a rollback returns to")
    status: ReleaseStatus
    share: float = Field(description="Share (0-1) of the users who get it in this stage")
    stage: int
    stage_since: datetime | None
    stages: list[StageOut]
    reason: str
    experiment_id: UUID | None
    run_id: UUID | None
    held_by: str | None
    hold_reason: str | None = Field(description="What keeps it at its stage: a person, or what is missing")
    approved_by: str | None
    approval_reason: str | None
    created_by: str
    created_at: datetime
    full_at: datetime | None = Field(description="When all users got it")
    finished_at: datetime | None
    end_reason: str | None
    check: CheckOut | None


class ReleaseWithEventsOut(ReleaseOut):
    """A release with all that happened to it, the first thing first."""

    events: list[EventOut]


class ReleasesOut(BaseModel):
    """Releases, the newest first."""

    releases: list[ReleaseOut]


# ---------------------------------------------------------------- routes


@router.get("/releases", responses=READING)
def releases(
    caller: Reader,
    agent_id: Annotated[Key | None, Query(description="Without it, those of all agents.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> ReleasesOut:
    """Return releases as they stand."""
    with reading_session(caller.organization_id) as session:
        if agent_id is not None:
            require_agent(session, agent_id)
        found = queries.releases(session, agent_id, limit)
    return ReleasesOut(releases=[ReleaseOut(**_told(each)) for each in found])


@router.post("/releases", status_code=201, responses=CHANGING)
def start(entry: ReleaseEntry, caller: Releaser) -> ReleaseOut:
    """Send a prompt version on its way: few users first, as many beside them to compare with.

    It goes on when it is shown to do no harm, and is taken back by itself when it does. Before more than half
    of the users get it, a person approves it on the page or at the command line; the same before its first
    user where its experiment proved nothing.
    """
    now = datetime.now(UTC)

    def begin(session: Session) -> Found:
        wish = Start(
            entry.agent_id,
            entry.version,
            entry.reason,
            experiment_id=entry.experiment_id,
            run_id=entry.run_id,
            policy=_policy(entry, rollout.usual_policy(session, entry.agent_id, now)),
        )
        return queries.find(session, rollout.start(session, caller, wish, now))

    return _changed(caller, in_transaction(caller.organization_id, begin))


@router.get("/releases/{release_id}", responses=READING)
def release(release_id: UUID, caller: Reader) -> ReleaseWithEventsOut:
    """Return where a release stands, what its guardrails say, and all that happened to it."""
    with reading_session(caller.organization_id) as session:
        found = queries.find(session, release_id)
        happened = queries.history(session, release_id)
    events = [EventOut(at=one.at, kind=one.kind, actor=one.actor, reason=one.reason) for one in happened]
    return ReleaseWithEventsOut(**_told(found), events=events)


@router.post("/releases/{release_id}/hold", responses=CHANGING)
def hold(release_id: UUID, entry: ReasonEntry, caller: Releaser) -> ReleaseOut:
    """Keep a release at its stage until it is let go on; its guardrails still take it back."""
    now = datetime.now(UTC)
    return _do(
        caller, release_id, lambda session: rollout.hold(session, caller, release_id, entry.reason, now)
    )


@router.post("/releases/{release_id}/go-on", responses=CHANGING)
def go_on(release_id: UUID, caller: Releaser) -> ReleaseOut:
    """Let go of a release that somebody holds."""
    now = datetime.now(UTC)
    return _do(caller, release_id, lambda session: rollout.go_on(session, caller, release_id, now))


@router.post("/releases/{release_id}/roll-back", responses=CHANGING)
def roll_back(release_id: UUID, entry: ReasonEntry, caller: Releaser) -> ReleaseOut:
    """Take a release back: all users get the version before, from their next request on."""
    now = datetime.now(UTC)
    return _do(
        caller, release_id, lambda session: rollout.roll_back(session, caller, release_id, entry.reason, now)
    )


@router.post("/releases/{release_id}/cancel", responses=CHANGING)
def cancel(release_id: UUID, entry: ReasonEntry, caller: Releaser) -> ReleaseOut:
    """Drop a release that waits for approval, so that nobody has met it."""
    now = datetime.now(UTC)
    return _do(
        caller, release_id, lambda session: rollout.cancel(session, caller, release_id, entry.reason, now)
    )


# ---------------------------------------------------------------- done and shown


def _do(caller: Caller, release_id: UUID, verb: Callable[[Session], None]) -> ReleaseOut:
    def work(session: Session) -> Found:
        verb(session)
        return queries.find(session, release_id)

    return _changed(caller, in_transaction(caller.organization_id, work))


def _changed(caller: Caller, found: Found) -> ReleaseOut:
    recent.forget_routes(caller.organization_id, found.agent)
    return ReleaseOut(**_told(found))


def _policy(entry: ReleaseEntry, usual: Policy) -> Policy:
    stages = usual.stages
    if entry.stages is not None:
        stages = tuple(Stage(each.share, each.hours) for each in entry.stages)
    limits = usual.limits
    if entry.limits is not None:
        limits = Limits(**entry.limits.model_dump(), satisfaction=limits.satisfaction)
    return Policy(stages, limits, usual.approval_above, entry.two_person)


def _told(found: Found) -> dict[str, Any]:
    return {
        "release_id": found.id,
        "agent_id": found.agent,
        "share": found.share,
        "stages": [StageOut(share=stage.share, hours=stage.hours) for stage in found.policy.stages],
        "check": _check(found.check) if found.check else None,
        **{name: getattr(found, name) for name in PLAIN},
    }


PLAIN = (
    "number",
    "version",
    "previous_version",
    "status",
    "stage",
    "stage_since",
    "reason",
    "experiment_id",
    "run_id",
    "held_by",
    "hold_reason",
    "approved_by",
    "approval_reason",
    "created_by",
    "created_at",
    "full_at",
    "finished_at",
    "end_reason",
)


def _check(check: Check) -> CheckOut:
    return CheckOut(
        at=check.at,
        says=check.decision.reason if check.decision else "",
        users=check.users,
        crossed=check.crossed,
        guardrails=[_bound(item) for item in check.report.items],
    )


def _bound(item: GuardrailResult) -> BoundOut:
    shown = ("state", "value", "baseline", "limit", "bound", "n", "users", "reason")
    return BoundOut(metric=item.key, **{name: getattr(item, name) for name in shown})
