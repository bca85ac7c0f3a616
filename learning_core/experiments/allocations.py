"""Allocations: which users of an agent meet which variant from when on, and who has reserved how many."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import isclose
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core.errors import Conflict, InvalidInput, NotFound
from learning_core.experiments.assignment import BUCKETS
from learning_core.experiments.terms import CONTROL
from learning_core.feedback.entries import CLOCK_SKEW
from learning_core.schema import AllocationKind, AllocationStatus

BEFORE = timedelta(days=28)
"""How far back the latency reaches by which an answer counts as slow."""
MOST_LATENCIES = 100_000


class Variant(NamedTuple):
    """What users of an allocation may meet: its name, its prompt version, its share (0-1) of them."""

    variant: str
    version_id: UUID
    share: float


class Allocated(NamedTuple):
    """An allocation as it stands.

    Attributes:
        ramp: The part (0-1] of the shares that is open.
        phase: Counts up from 1 with each change of the ramp.
        slow_ms: The latency that one answer in twenty exceeded before the start, where any was known.
        variants: In order, the control last.
    """

    id: UUID
    agent_id: UUID
    kind: AllocationKind
    experiment_id: UUID | None
    release_id: UUID | None
    salt: str
    first_bucket: int
    end_bucket: int
    ramp: float
    phase: int
    slow_ms: float | None
    status: AllocationStatus
    started_at: datetime
    ended_at: datetime | None
    variants: tuple[Variant, ...]

    @property
    def traffic(self) -> float:
        """Return the share (0-1) of the agent's users that it reserves."""
        return (self.end_bucket - self.first_bucket) / BUCKETS


def open_allocation(
    session: Session,
    *,
    agent_id: UUID,
    kind: AllocationKind,
    variants: Sequence[Variant],
    traffic: float,
    ramp: float,
    at: datetime,
    experiment_id: UUID | None = None,
    release_id: UUID | None = None,
) -> UUID:
    """Reserve a share of an agent's users and assign them to variants from now on.

    Args:
        session: Of the agent's organisation.
        agent_id: Whose users they are.
        kind: What for.
        variants: Shares sum to 1; the control comes last.
        traffic: The share (0-1] of the agent's users to reserve.
        ramp: The part (0-1] of each variant's share that is open at first.
        at: The moment of the start.
        experiment_id: The experiment that it belongs to,
        release_id: or the release.

    Raises:
        InvalidInput: shares, traffic or ramp are no good.
        Conflict: too few of the agent's users are free; it says who holds them.
    """
    _check(variants, traffic, ramp)
    session.execute(HOLD, {"name": f"allocations of {agent_id}"})
    first, end = _range(session, agent_id, kind, max(1, round(traffic * BUCKETS)))
    allocation: UUID = session.execute(
        OPEN,
        {
            "agent": agent_id,
            "kind": kind,
            "experiment": experiment_id,
            "release": release_id,
            "salt": secrets.token_hex(8),
            "first": first,
            "end": end,
            "ramp": ramp,
            "slow_ms": _slow_ms(session, agent_id, at),
            "at": at,
            "variants": [variant.variant for variant in variants],
            "versions": [variant.version_id for variant in variants],
            "shares": [variant.share for variant in variants],
        },
    ).scalar_one()
    return allocation


def ramp_up(session: Session, allocation_id: UUID, ramp: float, at: datetime) -> None:
    """Open more of each variant's share: a new phase begins. Those who are assigned stay where they are.

    Raises:
        InvalidInput: the ramp is not above 0 and at most 1.
        Conflict: the allocation has ended, or as much is open already.
    """
    _check_part("ramp", ramp)
    if session.execute(RAMP_UP, {"id": allocation_id, "ramp": ramp, "at": at}).one_or_none() is None:
        raise Conflict("This allocation has ended, or as much of it is open already.")


def pause(session: Session, allocation_id: UUID) -> None:
    """Give all its users what is in production, for the time being; their places stay reserved.

    Raises:
        Conflict: it is not open.
    """
    _move(session, allocation_id, AllocationStatus.OPEN, AllocationStatus.PAUSED)


def resume(session: Session, allocation_id: UUID) -> None:
    """Assign its users again, each to the variant they had.

    Raises:
        Conflict: it is not paused.
    """
    _move(session, allocation_id, AllocationStatus.PAUSED, AllocationStatus.OPEN)


def end(session: Session, allocation_id: UUID, at: datetime) -> None:
    """Give all its users what is in production, for good, and let go of them. What follows counts no more.

    Raises:
        Conflict: it has ended already.
    """
    if session.execute(END, {"id": allocation_id, "at": at}).one_or_none() is None:
        raise Conflict("This allocation has ended already.")


def of_experiment(session: Session, experiment_id: UUID) -> Allocated | None:
    """Return an experiment's allocation, None before its start."""
    return _found(session.execute(OF_EXPERIMENT, {"experiment": experiment_id}).all())


def of_release(session: Session, release_id: UUID, kind: AllocationKind) -> Allocated | None:
    """Return a release's allocation of a kind, None where it has none."""
    return _found(session.execute(OF_RELEASE, {"release": release_id, "kind": kind}).all())


def by_id(session: Session, allocation_id: UUID) -> Allocated:
    """Return an allocation.

    Raises:
        NotFound: there is none.
    """
    found = _found(session.execute(BY_ID, {"id": allocation_id}).all())
    if found is None:
        raise NotFound("There is no such allocation.")
    return found


def _found(rows: Sequence[Row[Any]]) -> Allocated | None:
    if not rows:
        return None
    fields = {name: getattr(rows[0], name) for name in Allocated._fields if name != "variants"}
    fields["kind"], fields["status"] = AllocationKind(fields["kind"]), AllocationStatus(fields["status"])
    variants = tuple(Variant(row.variant, row.version_id, row.share) for row in rows)
    return Allocated(**fields, variants=variants)


def _check(variants: Sequence[Variant], traffic: float, ramp: float) -> None:
    _check_part("traffic", traffic)
    _check_part("ramp", ramp)
    names = [variant.variant for variant in variants]
    if not names or len(set(names)) < len(names) or CONTROL in names[:-1]:
        raise InvalidInput(
            "Each variant has a name of its own, and the control comes last.", field="variants"
        )
    shares = [variant.share for variant in variants]
    if min(shares) <= 0 or not isclose(sum(shares), 1, abs_tol=1e-6):
        raise InvalidInput("The shares of the variants are above 0 and add up to 1.", field="variants")


def _check_part(name: str, part: float) -> None:
    if not 0 < part <= 1:
        raise InvalidInput(f"The {name} is above 0 and at most 1.", field=name)


def _move(session: Session, allocation_id: UUID, before: AllocationStatus, after: AllocationStatus) -> None:
    wish = {"id": allocation_id, "before": before, "after": after}
    if session.execute(MOVE, wish).one_or_none() is None:
        raise Conflict(f"This allocation is not {before}.")


def _range(session: Session, agent_id: UUID, kind: AllocationKind, wanted: int) -> tuple[int, int]:
    """Return the first range of free buckets that is wide enough; a watch reserves none and looks at all."""
    if kind is AllocationKind.WATCH:
        return 0, BUCKETS
    held = session.execute(HELD, {"agent": agent_id}).all()
    first, widest = 0, 0
    for begin, end in [*((row.first_bucket, row.end_bucket) for row in held), (BUCKETS, BUCKETS)]:
        if begin - first >= wanted:
            return first, first + wanted
        widest, first = max(widest, begin - first), end
    holders = ", ".join(f"{row.holder} holds {_percent(row.buckets)}" for row in held)
    raise Conflict(
        f"This takes {_percent(wanted)} of the agent's users, and {_percent(widest)} are free: {holders}."
    )


def _percent(buckets: int) -> str:
    return f"{100 * buckets / BUCKETS:g} %"


def _slow_ms(session: Session, agent_id: UUID, at: datetime) -> float | None:
    """Return the 95th percentile of latency in the weeks before, from the executions reported last."""
    since = at - BEFORE
    wish = {"agent": agent_id, "since": since, "until": at, "most": MOST_LATENCIES}
    wish["first_id"] = UUID(int=int((since - CLOCK_SKEW).timestamp() * 1000) << 80)
    slow_ms: float | None = session.execute(SLOW_MS, wish).scalar_one()
    return slow_ms


HOLD = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")

HELD = text("""
SELECT first_bucket, end_bucket, end_bucket - first_bucket AS buckets,
       coalesce('the experiment "' || experiment.name || '"',
                'release ' || release.number) AS holder
FROM allocations AS allocation
LEFT JOIN learning_experiments AS experiment ON experiment.id = allocation.experiment_id
LEFT JOIN releases AS release ON release.id = allocation.release_id
WHERE allocation.agent_id = :agent AND allocation.status <> 'ended' AND allocation.kind <> 'watch'
ORDER BY first_bucket
""")

SLOW_MS = text("""
SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms)
FROM (
    SELECT latency_ms FROM executions
    WHERE id >= :first_id  -- ids ascend with the time of arrival
      AND agent_id = :agent AND latency_ms IS NOT NULL AND created_at >= :since AND created_at < :until
    ORDER BY id DESC LIMIT :most
) AS latest
""")

OPEN = text("""
WITH opened AS (
    INSERT INTO allocations (
        agent_id, kind, experiment_id, release_id, salt, first_bucket, end_bucket, ramp, slow_ms, started_at
    )
    VALUES (
        :agent, :kind, CAST(:experiment AS uuid), CAST(:release AS uuid), :salt, :first, :end, :ramp,
        CAST(:slow_ms AS float8), :at
    )
    RETURNING id, ramp, started_at
),
divided AS (
    INSERT INTO allocation_variants (allocation_id, variant, position, version_id, share)
    SELECT opened.id, given.variant, given.position, given.version_id, given.share
    FROM opened, unnest(CAST(:variants AS text[]), CAST(:versions AS uuid[]), CAST(:shares AS float8[]))
        WITH ORDINALITY AS given (variant, version_id, share, position)
),
begun AS (
    INSERT INTO allocation_phases (allocation_id, number, ramp, started_at)
    SELECT id, 1, ramp, started_at FROM opened
)
SELECT id FROM opened
""")

RAMP_UP = text("""
WITH ramped AS (
    UPDATE allocations SET ramp = :ramp, phase = phase + 1
    WHERE id = :id AND status <> 'ended' AND ramp < :ramp
    RETURNING id, phase, ramp
)
INSERT INTO allocation_phases (allocation_id, number, ramp, started_at)
SELECT id, phase, ramp, :at FROM ramped
RETURNING number
""")

MOVE = text("UPDATE allocations SET status = :after WHERE id = :id AND status = :before RETURNING id")

END = text("""
UPDATE allocations SET status = 'ended', ended_at = :at WHERE id = :id AND status <> 'ended' RETURNING id
""")

ALLOCATED = """
SELECT allocation.*, met.variant, met.version_id, met.share
FROM allocations AS allocation JOIN allocation_variants AS met ON met.allocation_id = allocation.id
"""

BY_ID = text(f"{ALLOCATED} WHERE allocation.id = :id ORDER BY position")

OF_EXPERIMENT = text(f"{ALLOCATED} WHERE experiment_id = :experiment ORDER BY position")

OF_RELEASE = text(f"{ALLOCATED} WHERE release_id = :release AND kind = :kind ORDER BY position")
