"""The start of a release: what has to be true before, and what it comes after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.errors import Conflict, InvalidInput, NotFound
from learning_core.experiments.guardrails import Limits
from learning_core.prompts import history, versions
from learning_core.prompts.history import PRODUCTION, Version
from learning_core.releases import moves
from learning_core.releases.stages import POLICY, Policy
from learning_core.schema import ExperimentDecision
from learning_core.settings import settings

LONGEST_REASON = 500

HABIT = timedelta(days=28)
"""How far back one looks for what users give."""


@dataclass(frozen=True)
class Start:
    """A release to be.

    Attributes:
        agent: The agent's key.
        version: Number, key or label of the prompt version.
        reason: Why.
        experiment_id: The experiment that it follows from.
        run_id: The optimization; without, the experiment's.
        policy: How to go about it; without, `usual_policy`.
        approved: Whether the caller approves it too.
        approval_reason: Why.
    """

    agent: str
    version: int | str
    reason: str
    experiment_id: UUID | None = None
    run_id: UUID | None = None
    policy: Policy | None = None
    approved: bool = False
    approval_reason: str | None = None


def start(session: Session, caller: Caller, wish: Start, at: datetime) -> UUID:
    """Send a prompt version on its way to all users, and return the release's id.

    A release whose experiment proved nothing waits for approval before anybody meets it. One that is still
    watched gives way.

    Raises:
        NotPermitted: the caller's role may not release.
        NotFound: there is no such agent, version or experiment, or nothing in production to go back to.
        InvalidInput: there is no reason; or the experiment was about something else.
        Conflict: it is in production already; an experiment runs, or another release is on its way; or the
            policy wants somebody else's approval.
    """
    access.require(caller, "release")
    require_reason(wish.reason)
    version = history.find(session, wish.agent, wish.version)
    watched = session.execute(HOLD_WATCHED, {"agent": wish.agent}).scalar_one_or_none()
    agent_id, _ = versions.hold(session, wish.agent)  # after the release, as its own steps do
    production = history.labelled(session, wish.agent)
    if version.id == production.id:
        raise Conflict(f"{version.key} is in production already.")
    _refuse_beside_others(session, agent_id)
    experiment = _experiment(session, agent_id, version, wish.experiment_id)
    policy = wish.policy or usual_policy(session, wish.agent, at)
    if wish.approved and policy.two_person:
        raise Conflict("This policy wants the approval of somebody else than who starts it.")
    waits_for = None if wish.approved else _waits_for(experiment)
    previous = _before(session, caller, watched, agent_id, production, at)
    release_id = _insert(session, caller, wish, agent_id, version, previous, policy, experiment, at)
    held = moves.hold_row(session, release_id)
    if wish.approved:
        moves.note_approval(session, caller, held, wish.approval_reason or wish.reason, at)
    if waits_for:
        moves.note_hold(session, held, None, waits_for)
        moves.tell(session, caller, held, "proposed", at, waits_for)
    else:
        moves.begin(session, caller, held, at)
    return release_id


def usual_policy(session: Session, agent: str, at: datetime) -> Policy:
    """Return the policy with the usual stages, and bounds on what can be watched.

    Where the agent's users give thumbs rather than stars, their share stands for satisfaction. An agent in
    use that reported no answer time for weeks, or whose users rated nothing, has no bound on that: a release
    would wait for it for ever.
    """
    row = session.execute(HABITS, {"agent": agent, "since": (at - HABIT).date()}).one()
    usual = settings()
    is_rated = row.ratings or row.thumbs or not row.answers
    limits = Limits(
        error_rate=usual.release_error_rate,
        satisfaction_drop=usual.release_satisfaction_drop if is_rated else None,
        latency_rise=usual.release_latency_rise if row.timed or not row.answers else None,
        satisfaction="thumbs_up_share" if row.thumbs > row.ratings else "satisfaction",
    )
    return Policy(limits=limits, two_person=usual.release_two_person)


def require_reason(reason: str) -> None:
    """Refuse a reason that says nothing, or too much to be read.

    Raises:
        InvalidInput: naming the field.
    """
    if not reason.strip() or len(reason) > LONGEST_REASON or "\x00" in reason:
        raise InvalidInput(f"Say why, in up to {LONGEST_REASON} characters.", field="reason")


def _refuse_beside_others(session: Session, agent_id: UUID) -> None:
    other = session.execute(UNDER_WAY, {"agent": agent_id}).first()
    if other is not None:
        raise Conflict(
            f"{other.what} is under way with this agent's users; a release can start when it has ended."
        )


def _experiment(
    session: Session, agent_id: UUID, version: Version, experiment_id: UUID | None
) -> Row[Any] | None:
    """Return the experiment that a release follows from, if it is one that led to it."""
    if experiment_id is None:
        return None
    row = session.execute(EXPERIMENT, {"id": experiment_id, "agent": agent_id}).one_or_none()
    if row is None:
        raise NotFound("The agent has no such experiment.")
    treatments = {each["version_id"] for each in row.design["variants"] if each["name"] != "control"}
    if str(version.id) not in treatments:
        raise InvalidInput(f"{version.key} is no treatment of {row.name!r}.", field="experiment_id")
    if row.decision != ExperimentDecision.ADOPT_TREATMENT:
        ended = f"was decided otherwise: {row.decision}" if row.decision else "is not decided"
        raise Conflict(f"The experiment {row.name!r} {ended}; release without it, or decide it first.")
    return row


def _waits_for(experiment: Row[Any] | None) -> str | None:
    """Say why a release that follows from an experiment has to be approved before its first user."""
    if experiment is None or (experiment.verdict or {}).get("direction") == "better":
        return None
    found = experiment.verdict["direction"].replace("_", " ") if experiment.verdict else "nothing yet"
    return (
        f"The experiment {experiment.name!r} did not show it to be better (it showed: {found}), so a person"
        " has to approve before anybody meets it."
    )


def _before(
    session: Session,
    caller: Caller,
    watched: UUID | None,
    agent_id: UUID,
    production: Version,
    at: datetime,
) -> UUID:
    """Return the release in force; where production was set by hand, make one that stands for it."""
    if watched is not None:
        reason = "A newer release takes its place."
        moves.give_way(session, caller, moves.hold_row(session, watched), reason, at)
    in_force = {"agent": agent_id, "version": production.id}
    found: UUID | None = session.execute(IN_FORCE, in_force).scalar_one_or_none()
    return found or session.execute(STAND_FOR, in_force | {"label": PRODUCTION, "at": at}).scalar_one()


def _insert(
    session: Session,
    caller: Caller,
    wish: Start,
    agent_id: UUID,
    version: Version,
    previous: UUID,
    policy: Policy,
    experiment: Row[Any] | None,
    at: datetime,
) -> UUID:
    row = {
        "agent": agent_id,
        "version": version.id,
        "previous": previous,
        "experiment": wish.experiment_id,
        "run": wish.run_id or (experiment.run_id if experiment else None),
        "policy": POLICY.dump_json(policy).decode(),
        "reason": wish.reason.strip(),
        "by": caller.name,
        "at": at,
    }
    release: UUID = session.execute(INSERT, row).scalar_one()
    return release


HABITS = text("""
WITH said AS (
    SELECT coalesce(sum(rating_count), 0) AS ratings,
           coalesce(sum(type_thumbs_up + type_thumbs_down), 0) AS thumbs
    FROM feedback_daily
    WHERE agent_id = (SELECT id FROM agents WHERE key = :agent) AND day >= :since
),
served AS (
    SELECT coalesce(sum(execution_count), 0) AS answers, coalesce(sum(latency_count), 0) AS timed
    FROM executions_daily
    WHERE agent_id = (SELECT id FROM agents WHERE key = :agent) AND day >= :since
)
SELECT ratings, thumbs, answers, timed FROM said, served
""")

UNDER_WAY = text("""
SELECT 'The experiment "' || name || '"' AS what FROM learning_experiments
WHERE agent_id = :agent AND status IN ('running', 'paused')
UNION ALL
SELECT 'Release ' || number FROM releases WHERE agent_id = :agent AND status IN ('waiting', 'rolling_out')
LIMIT 1
""")

EXPERIMENT = text("""
SELECT id, name, design, verdict, decision, run_id FROM learning_experiments
WHERE id = :id AND agent_id = :agent
""")

HOLD_WATCHED = text("""
SELECT id FROM releases
WHERE agent_id = (SELECT id FROM agents WHERE key = :agent) AND status = 'watching' FOR UPDATE
""")

IN_FORCE = text("""
SELECT id FROM releases
WHERE agent_id = :agent AND version_id = :version AND status IN ('completed', 'superseded')
ORDER BY number DESC LIMIT 1
""")

STAND_FOR = text("""
WITH label AS (
    SELECT set_by, set_at FROM prompt_labels WHERE agent_id = :agent AND label = :label
),
last AS (
    SELECT id, number FROM releases WHERE agent_id = :agent ORDER BY number DESC LIMIT 1
)
INSERT INTO releases (
    agent_id, number, version_id, previous_id, status, policy, reason, created_by, created_at, full_at,
    finished_at
)
SELECT :agent, coalesce(last.number + 1, 0), :version, last.id, 'completed', '{}',
       'Put into production by ' || label.set_by || ', without a release.', 'setup',
       least(label.set_at, :at), least(label.set_at, :at), least(label.set_at, :at)
FROM label LEFT JOIN last ON true
RETURNING id
""")

INSERT = text("""
INSERT INTO releases (
    agent_id, number, version_id, previous_id, experiment_id, run_id, status, policy, reason, created_by,
    created_at
)
SELECT CAST(:agent AS uuid), max(number) + 1, :version, :previous, CAST(:experiment AS uuid),
       CAST(:run AS uuid), 'waiting', CAST(:policy AS jsonb), :reason, :by, :at
FROM releases WHERE agent_id = :agent
RETURNING id
""")
