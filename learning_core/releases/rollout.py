"""The course of a release: started, approved, held, let go on, and taken back, by people or by itself.

Every step is one transaction in which the release is held: whoever is killed in the middle of one has done
nothing, and the next step begins where the last one ended. Taking back is the same function for a person and
for a guardrail.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.errors import Conflict
from learning_core.releases import checks, moves
from learning_core.releases.moves import Held
from learning_core.releases.stages import Action, Cause, Decision, decide
from learning_core.releases.starting import Start as Start
from learning_core.releases.starting import require_reason
from learning_core.releases.starting import start as start
from learning_core.releases.starting import usual_policy as usual_policy
from learning_core.schema import ReleaseStatus, Role

UNDER_WAY = (ReleaseStatus.ROLLING_OUT, ReleaseStatus.WATCHING)

# ---------------------------------------------------------------- by people


def approve(session: Session, caller: Caller, release_id: UUID, reason: str, at: datetime) -> None:
    """Approve a release: a waiting one begins, another one may go beyond the share that needs approval.

    Raises:
        NotPermitted: the caller's role may not release.
        InvalidInput: there is no reason.
        Conflict: it is approved already, it is over, or its policy wants somebody else's approval.
    """
    held = _hold(session, caller, release_id, "approved", ReleaseStatus.WAITING, ReleaseStatus.ROLLING_OUT)
    require_reason(reason)
    if held.approved_by is not None:
        raise Conflict(f"{held.approved_by} has approved it already.")
    _approve(session, caller, held, reason, at)
    if held.status is ReleaseStatus.WAITING:
        moves.begin(session, caller, held, at)


def hold(session: Session, caller: Caller, release_id: UUID, reason: str, at: datetime) -> None:
    """Keep a release at its stage until somebody lets it go on. Its guardrails still take it back.

    Raises:
        NotPermitted: the caller's role may not release.
        InvalidInput: there is no reason.
        Conflict: it is not under way, or held already.
    """
    held = _hold(session, caller, release_id, "held", *UNDER_WAY)
    require_reason(reason)
    if held.held_by is not None:
        raise Conflict(f"{held.held_by} holds it already: {held.hold_reason}")
    moves.note_hold(session, held, caller.name, reason.strip())
    moves.tell(session, caller, held, "held", at, reason.strip(), cause=Cause.PERSON)


def go_on(session: Session, caller: Caller, release_id: UUID, at: datetime) -> None:
    """Let go of a release that somebody holds.

    Raises:
        NotPermitted: the caller's role may not release.
        Conflict: nobody holds it.
    """
    held = _hold(session, caller, release_id, "let go on", *UNDER_WAY)
    if held.held_by is None:
        raise Conflict("Nobody holds this release; what is missing stands in its report.")
    moves.note_hold(session, held, None, None)
    moves.tell(session, caller, held, "resumed", at, f"{caller.name} let it go on.")


def promote(session: Session, caller: Caller, release_id: UUID, reason: str, at: datetime) -> None:
    """Send a release to its next stage at once, whatever is shown by then; that is approval, too.

    Raises:
        NotPermitted: the caller's role may not release.
        InvalidInput: there is no reason.
        Conflict: it is not rolling out; somebody holds it, or moved the production label; or the step needs
            the approval of somebody else than who started it.
    """
    held = _hold(session, caller, release_id, "promoted", ReleaseStatus.ROLLING_OUT)
    require_reason(reason)
    if held.held_by is not None:
        raise Conflict(f"{held.held_by} holds it: {held.hold_reason}")
    if held.moved_by_hand:
        raise Conflict(f"Somebody put {held.moved_by_hand} into production by hand meanwhile.")
    if held.standing().needs_approval and held.approved_by is None:
        _approve(session, caller, held, reason, at)
    moves.next_stage(session, caller, held, reason.strip(), at)


def roll_back(session: Session, caller: Caller, release_id: UUID, reason: str, at: datetime) -> None:
    """Take a release back: all users get the version before, from their next request on.

    The last release can still be taken back when it is completed.

    Raises:
        NotPermitted: the caller's role may not release.
        InvalidInput: there is no reason.
        Conflict: nobody gets it, or a newer one is on its way.
    """
    held = _hold(session, caller, release_id, "rolled back", *UNDER_WAY, ReleaseStatus.COMPLETED)
    require_reason(reason)
    if held.status is ReleaseStatus.COMPLETED:
        moves.require_last(session, held)
    moves.take_back(session, caller, held, reason.strip(), at)


def cancel(session: Session, caller: Caller, release_id: UUID, reason: str, at: datetime) -> None:
    """Drop a release that nobody has met yet.

    Raises:
        NotPermitted: the caller's role may not release.
        InvalidInput: there is no reason.
        Conflict: users have met it; it can be rolled back.
    """
    held = _hold(session, caller, release_id, "cancelled", ReleaseStatus.WAITING)
    require_reason(reason)
    moves.cancel(session, caller, held, reason.strip(), at)


# ---------------------------------------------------------------- by itself


def advance(session: Session, release_id: UUID, at: datetime) -> Decision:
    """Check a release and do what follows: keep it, send it on, complete it, or take it back.

    Raises:
        NotFound: there is none of that id.
    """
    held = moves.hold_row(session, release_id)
    allocated = moves.in_force(session, held) if held.status in UNDER_WAY else None
    if allocated is None:
        return decide(held.standing(), None, at)
    at = max(at, held.last.at) if held.last else at  # checks may come late, and out of order
    checked = checks.check(session, held.policy, allocated, held.last, at)
    decision = decide(held.standing(checked), checked.report, at)
    moves.keep(session, held, replace(checked, decision=decision))
    _carry_out(session, held, decision, at)
    return decision


def _carry_out(session: Session, held: Held, decision: Decision, at: datetime) -> None:
    guard = Caller(held.organization_id, "guardrail", Role.ADMIN)
    schedule = Caller(held.organization_id, "schedule", Role.ADMIN)
    match decision.action:
        case Action.ROLL_BACK:
            moves.take_back(session, guard, held, decision.reason, at)
        case Action.PROMOTE:
            moves.next_stage(session, schedule, held, decision.reason, at)
        case Action.COMPLETE:
            moves.complete(session, schedule, held, decision.reason, at)
        case Action.GIVE_WAY:
            moves.give_way(session, schedule, held, decision.reason, at)
        case Action.HOLD | Action.WAIT:
            _note(session, schedule, held, decision, at)


def _note(session: Session, schedule: Caller, held: Held, decision: Decision, at: datetime) -> None:
    """Keep what holds a release, and tell it once: the figures in the reason change with every check."""
    if held.held_by is not None:
        return
    before = held.last.decision if held.last else None
    is_new = before is None or (before.action, before.cause) != (decision.action, decision.cause)
    if decision.action is Action.HOLD:
        moves.note_hold(session, held, None, decision.reason)
        if is_new:
            moves.tell(session, schedule, held, "held", at, decision.reason, cause=decision.cause)
    elif held.hold_reason is not None:
        moves.note_hold(session, held, None, None)


# ---------------------------------------------------------------- who may


def _hold(session: Session, caller: Caller, release_id: UUID, wish: str, *allowed: ReleaseStatus) -> Held:
    access.require(caller, "release")
    held = moves.hold_row(session, release_id)
    if held.status not in allowed:
        raise Conflict(f"A release that is {STANDING[held.status]} cannot be {wish}.")
    return held


STANDING = {
    ReleaseStatus.WAITING: "waiting for approval",
    ReleaseStatus.ROLLING_OUT: "rolling out",
    ReleaseStatus.WATCHING: "watched at 100 %",
    ReleaseStatus.COMPLETED: "completed",
    ReleaseStatus.ROLLED_BACK: "rolled back",
    ReleaseStatus.CANCELLED: "cancelled",
    ReleaseStatus.SUPERSEDED: "superseded by a newer one",
}


def _approve(session: Session, caller: Caller, held: Held, reason: str, at: datetime) -> None:
    if held.policy.two_person and caller.name == held.created_by:
        raise Conflict("This policy wants the approval of somebody else than who started it.")
    moves.note_approval(session, caller, held, reason.strip(), at)
