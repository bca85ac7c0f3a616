"""What happens to a release's row, its users and the production label: one function for each move.

Every move works on a release that is held for its transaction, and leaves an event and an entry in the audit
log. Who may make it, and when it is due, is decided elsewhere.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.errors import Conflict, NotFound
from learning_core.experiments import allocations
from learning_core.experiments.allocations import Allocated, Variant
from learning_core.experiments.terms import CONTROL
from learning_core.prompts import history, versions
from learning_core.prompts.history import PRODUCTION
from learning_core.releases import checks, measuring
from learning_core.releases.checks import CHECK, TREATMENT, Check
from learning_core.releases.stages import MOST_BESIDE_A_CONTROL, POLICY, Policy, Standing, percent
from learning_core.schema import AllocationKind, AllocationStatus, ReleaseStatus


class Held(NamedTuple):
    """A release's row, held till the end of the transaction; times are UTC.

    Attributes:
        agent: The agent's key.
        version: Key of its prompt version.
        previous_version_id: The version that a rollback returns to,
        previous_version: its key.
        production_id: The version in production now,
        production: its key.
    """

    id: UUID
    organization_id: UUID
    agent_id: UUID
    agent: str
    number: int
    version_id: UUID
    version: str
    previous_version_id: UUID
    previous_version: str
    production_id: UUID
    production: str
    status: ReleaseStatus
    stage: int
    stage_since: datetime | None
    policy: Policy
    held_by: str | None
    hold_reason: str | None
    approved_by: str | None
    created_by: str
    last: Check | None

    @property
    def moved_by_hand(self) -> str | None:
        """What somebody put into production by hand meanwhile; None where nobody did."""
        expected = self.version_id if self.status is ReleaseStatus.WATCHING else self.previous_version_id
        return None if self.production_id == expected else self.production

    def standing(self, check: Check | None = None) -> Standing:
        """Return what a decision is made on, with what a check found."""
        return Standing(
            policy=self.policy,
            status=self.status,
            stage=self.stage,
            stage_since=self.stage_since,
            is_approved=self.approved_by is not None,
            held_by=self.held_by,
            hold_reason=self.hold_reason,
            production=self.moved_by_hand,
            mismatch_p=check.mismatch_p if check else 1.0,
            newcomers=check.newcomers if check else 0,
        )


def hold_row(session: Session, release_id: UUID) -> Held:
    """Return a release, and keep it from others till the end of the transaction.

    Raises:
        NotFound: there is none of that id.
    """
    if session.execute(HOLD, {"id": release_id}).one_or_none() is None:
        raise NotFound("There is no such release.")
    # a statement of its own: one that waits for a row still reads all others as they were before
    row = session.execute(READ, {"id": release_id, "label": PRODUCTION}).one()
    fields = dict(row._mapping)
    fields["status"] = ReleaseStatus(fields["status"])
    fields["policy"] = POLICY.validate_python(fields["policy"])
    fields["last"] = CHECK.validate_python(fields["last"]) if fields["last"] else None
    return Held(**fields)


def require_last(session: Session, held: Held) -> None:
    """Refuse to take back what is not in production any more, or what a newer release follows.

    Raises:
        Conflict: it names what came after.
    """
    if held.production_id != held.version_id:
        raise Conflict(f"{held.production} is in production now, so there is nothing to take back.")
    newer = session.execute(NEWER, {"agent": held.agent_id, "number": held.number}).scalar()
    if newer is not None:
        raise Conflict(f"Release {newer} is on its way; take that one back.")


# ---------------------------------------------------------------- on the way


def begin(session: Session, caller: Caller, held: Held, at: datetime) -> None:
    """Let the first stage's users meet the new version, and as many the one before, to compare with."""
    share = held.policy.stages[0].share
    allocations.open_allocation(
        session,
        agent_id=held.agent_id,
        kind=AllocationKind.CANARY,
        variants=[Variant(TREATMENT, held.version_id, 0.5), Variant(CONTROL, held.previous_version_id, 0.5)],
        traffic=1.0,
        ramp=share / MOST_BESIDE_A_CONTROL,
        at=at,
        release_id=held.id,
    )
    _update(session, held, status=ReleaseStatus.ROLLING_OUT, stage=0, stage_since=at)
    tell(
        session,
        caller,
        held,
        "started",
        at,
        f"{percent(share)} of the users meet {held.version}.",
        share=share,
    )


def next_stage(session: Session, caller: Caller, held: Held, reason: str, at: datetime) -> None:
    """Let the next stage's users meet the new version; at the last one it goes into production."""
    number = held.stage + 1
    share = held.policy.stages[number].share
    canary = _allocation(session, held)
    if share < 1:
        allocations.ramp_up(session, canary.id, share / MOST_BESIDE_A_CONTROL, at)
        _update(session, held, stage=number, stage_since=at)
    else:
        _arrive(session, caller, held, canary, at)
    tell(session, caller, held, "promoted", at, reason, share=share, stage=number)


def _arrive(session: Session, caller: Caller, held: Held, canary: Allocated, at: datetime) -> None:
    """Put the new version into production and watch all users, beside the control as it was at last."""
    if _hold_production(session, held) != held.previous_version_id:
        raise Conflict("Somebody moved the production label at this moment.")
    observations, _ = checks.read(session, held.policy, canary.id)
    allocations.end(session, canary.id, at)
    versions.label(session, caller, held.agent, PRODUCTION, held.version)
    watch = allocations.open_allocation(
        session,
        agent_id=held.agent_id,
        kind=AllocationKind.WATCH,
        variants=[Variant(TREATMENT, held.version_id, 1.0)],
        traffic=1.0,
        ramp=1.0,
        at=at,
        release_id=held.id,
    )
    keep(session, held, checks.anew(watch, checks.baseline_of(observations), at))
    _update(
        session,
        held,
        status=ReleaseStatus.WATCHING,
        stage=held.stage + 1,
        stage_since=at,
        full_at=at,
    )


def complete(session: Session, caller: Caller, held: Held, reason: str, at: datetime) -> None:
    """End the watch: the release has arrived."""
    _end(session, held, ReleaseStatus.COMPLETED, at)
    tell(session, caller, held, "completed", at, reason)


def give_way(session: Session, caller: Caller, held: Held, reason: str, at: datetime) -> None:
    """End the watch of a release that something newer takes the place of."""
    _end(session, held, ReleaseStatus.SUPERSEDED, at)
    tell(session, caller, held, "superseded", at, reason)


def take_back(session: Session, caller: Caller, held: Held, reason: str, at: datetime) -> None:
    """Let all users get the version before, from the next assignment on.

    The label moves back only from this release's version: what somebody put there by hand stays.
    """
    _end(session, held, ReleaseStatus.ROLLED_BACK, at)
    if _hold_production(session, held) == held.version_id:
        versions.label(session, caller, held.agent, PRODUCTION, held.previous_version)
    share = held.policy.stages[held.stage].share
    tell(session, caller, held, "rolled_back", at, reason, share=share, to=held.previous_version)


def cancel(session: Session, caller: Caller, held: Held, reason: str, at: datetime) -> None:
    """Drop a release that nobody has met yet."""
    _end(session, held, ReleaseStatus.CANCELLED, at)
    tell(session, caller, held, "cancelled", at, reason)


def note_hold(session: Session, held: Held, by: str | None, reason: str | None) -> None:
    """Write down who or what holds a release: a person by name; nobody where something is missing."""
    session.execute(NOTE_HOLD, {"id": held.id, "by": by, "reason": reason})


def note_approval(session: Session, caller: Caller, held: Held, reason: str, at: datetime) -> None:
    """Write down who approved a release."""
    session.execute(NOTE_APPROVAL, {"id": held.id, "by": caller.name, "reason": reason, "at": at})
    tell(session, caller, held, "approved", at, reason)


def keep(session: Session, held: Held, check: Check) -> None:
    """Keep the last check of a release."""
    told = to_json(CHECK.dump_python(check, mode="json")).decode()
    session.execute(KEEP, {"id": held.id, "check": told, "at": check.at})


def tell(
    session: Session, caller: Caller, held: Held, kind: str, at: datetime, reason: str, **details: Any
) -> None:
    """Put on record what happened to a release, and who did it why."""
    told = {"reason": reason, **details}
    session.execute(
        TELL, {"id": held.id, "at": at, "kind": kind, "by": caller.name, "details": to_json(told).decode()}
    )
    audited = {"agent": held.agent, "number": held.number, "version": held.version, **told}
    access.audit(session, caller, f"release.{kind}", str(held.id), **audited)


def _hold_production(session: Session, held: Held) -> UUID:
    """Return the version in production, which nobody else moves till the end of the transaction."""
    versions.hold(session, held.agent)
    return history.labelled(session, held.agent).id


def _allocation(session: Session, held: Held) -> Allocated:
    found = in_force(session, held)
    if found is None:
        raise Conflict("This release has no users.")
    return found


def in_force(session: Session, held: Held) -> Allocated | None:
    """Return the allocation that assigns a release's users now, None where none does."""
    kind = AllocationKind.WATCH if held.status is ReleaseStatus.WATCHING else AllocationKind.CANARY
    found = allocations.of_release(session, held.id, kind)
    return found if found and found.status is not AllocationStatus.ENDED else None


def _end(session: Session, held: Held, status: ReleaseStatus, at: datetime) -> None:
    if allocated := in_force(session, held):
        allocations.end(session, allocated.id, at)
    _update(session, held, status=status, finished_at=at)


def _update(session: Session, held: Held, **changes: Any) -> None:
    session.execute(UPDATE, UNCHANGED | changes | {"id": held.id})
    measuring.measure_soon(session, held.organization_id, held.id)


UNCHANGED = dict.fromkeys(("status", "stage", "stage_since", "full_at", "finished_at"))

HOLD = text("SELECT id FROM releases WHERE id = :id FOR UPDATE")

READ = text("""
SELECT release.id, release.organization_id, release.agent_id, agents.key AS agent, release.number,
       release.version_id, version.key AS version, before.id AS previous_version_id,
       before.key AS previous_version, production.id AS production_id, production.key AS production,
       release.status, release.stage, release.stage_since, release.policy, release.held_by,
       release.hold_reason, release.approved_by, release.created_by, release.report AS last
FROM releases AS release
JOIN agents ON agents.id = release.agent_id
JOIN prompt_versions AS version ON version.id = release.version_id
JOIN prompt_labels ON prompt_labels.agent_id = release.agent_id AND label = :label
JOIN prompt_versions AS production ON production.id = prompt_labels.version_id
LEFT JOIN releases AS previous ON previous.id = release.previous_id
LEFT JOIN prompt_versions AS before ON before.id = coalesce(previous.version_id, release.version_id)
WHERE release.id = :id
""")

NEWER = text("""
SELECT number FROM releases
WHERE agent_id = :agent AND number > :number AND status IN ('waiting', 'rolling_out')
""")

UPDATE = text("""
UPDATE releases
SET status = coalesce(CAST(:status AS text), status), stage = coalesce(CAST(:stage AS smallint), stage),
    stage_since = coalesce(CAST(:stage_since AS timestamptz), stage_since),
    full_at = coalesce(CAST(:full_at AS timestamptz), full_at),
    finished_at = coalesce(CAST(:finished_at AS timestamptz), finished_at),
    held_by = NULL, hold_reason = NULL
WHERE id = :id
""")

NOTE_HOLD = text("""
UPDATE releases SET held_by = CAST(:by AS text), hold_reason = CAST(:reason AS text) WHERE id = :id
""")

NOTE_APPROVAL = text("""
UPDATE releases SET approved_by = :by, approved_at = :at, approval_reason = :reason WHERE id = :id
""")

KEEP = text("UPDATE releases SET report = CAST(:check AS jsonb), checked_at = :at WHERE id = :id")

TELL = text("""
INSERT INTO release_events (release_id, at, kind, actor, details)
VALUES (:id, :at, :kind, :by, CAST(:details AS jsonb))
""")
