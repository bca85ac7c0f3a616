"""Questions about releases: one function, one question, one literal SQL statement."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core.db import frame
from learning_core.errors import NotFound
from learning_core.releases.checks import CHECK, Check
from learning_core.releases.stages import POLICY, Policy, Standing
from learning_core.schema import ReleaseStatus

if TYPE_CHECKING:
    import pandas as pd


class Found(NamedTuple):
    """A release as it stands; times are UTC.

    Attributes:
        agent: The agent's key.
        version: Key of its prompt version,
        version_number: and its number.
        previous_id: The release that a rollback returns to; None for what was there before the first.
        previous_version: Key of that one's version,
        previous_number: and its number.
        production: Key of the version in production now.
        experiment: Name of the experiment that it followed from.
        hold_reason: What keeps it at its stage: with `held_by` a person, else something that is missing.
        check: What was known of it last; None before the first user.
        full_at: When all users got it.
        end_reason: Why it is over.
        canary_id: The allocation that compared it with the version before,
        watch_id: and the one that watched all users.
    """

    id: UUID
    agent: str
    number: int
    version_id: UUID
    version: str
    version_number: int
    previous_id: UUID | None
    previous_version: str | None
    previous_number: int | None
    production: str | None
    experiment_id: UUID | None
    experiment: str | None
    run_id: UUID | None
    status: ReleaseStatus
    stage: int
    stage_since: datetime | None
    policy: Policy
    reason: str
    held_by: str | None
    hold_reason: str | None
    approved_by: str | None
    approved_at: datetime | None
    approval_reason: str | None
    check: Check | None
    checked_at: datetime | None
    created_by: str
    created_at: datetime
    full_at: datetime | None
    finished_at: datetime | None
    end_reason: str | None
    canary_id: UUID | None
    watch_id: UUID | None

    @property
    def is_standing_in(self) -> bool:
        """Whether it only stands for a version that was put into production without a release."""
        return self.created_by == "setup" and self.stage_since is None

    @property
    def share(self) -> float:
        """Share (0-1) of the users who get its version by its doing."""
        if self.status is ReleaseStatus.ROLLING_OUT:
            return self.policy.stages[self.stage].share
        serves_all = self.status not in NOBODY_MEETS and self.production == self.version
        return 1.0 if serves_all else 0.0

    @property
    def standing(self) -> Standing:
        """What the next decision is made on, as far as it stands in the row."""
        return Standing(
            policy=self.policy,
            status=self.status,
            stage=self.stage,
            stage_since=self.stage_since,
            is_approved=self.approved_by is not None,
            held_by=self.held_by,
            hold_reason=self.hold_reason,
        )


NOBODY_MEETS = (ReleaseStatus.WAITING, ReleaseStatus.CANCELLED, ReleaseStatus.ROLLED_BACK)


def releases(session: Session, agent: str | None = None, limit: int = 200) -> list[Found]:
    """Return releases, of one agent or of all, the newest first."""
    return [_found(row) for row in session.execute(FOUND, {"agent": agent, "id": None, "limit": limit})]


def find(session: Session, release_id: UUID) -> Found:
    """Return a release.

    Raises:
        NotFound: there is none of that id.
    """
    row = session.execute(FOUND, {"agent": None, "id": release_id, "limit": 1}).one_or_none()
    if row is None:
        raise NotFound("There is no such release.")
    return _found(row)


def events(session: Session, release_id: UUID) -> pd.DataFrame:
    """Return what happened to a release, in the order of time: at (UTC), kind (proposed, started, approved,
    held, resumed, promoted, completed, superseded, rolled_back, cancelled), actor, details (JSON with reason,
    and share (0-1) where that changed).
    """
    return frame(
        session,
        "SELECT at, kind, actor, details FROM release_events WHERE release_id = :release ORDER BY at, id",
        release=release_id,
    )


def history(session: Session, release_id: UUID) -> list[Row[Any]]:
    """Return the same without a frame: at, kind, actor, reason."""
    return list(session.execute(HISTORY, {"release": release_id}))


def current(session: Session) -> list[Row[Any]]:
    """Return what each agent has in production, by agent: agent (key), version (number), version_key, since
    (UTC, when it was put there), by (who did); release_id, release (number) and experiment (name) of the
    release that brought it, None where none did; next_id, next_release (number), next_version (number),
    next_status and next_share (0-1, of the users) of the one on its way, None where none is.
    """
    return list(session.execute(CURRENT))


def under_way(session: Session) -> list[Row[Any]]:
    """Return the releases that check themselves, the one checked longest ago first: id, checked_at (UTC, or
    None) and users (int, whom the last check counted).
    """
    return list(session.execute(UNDER_WAY))


def _found(row: Row[Any]) -> Found:
    fields = dict(row._mapping)
    fields["status"] = ReleaseStatus(fields["status"])
    fields["policy"] = POLICY.validate_python(fields["policy"])
    fields["check"] = CHECK.validate_python(fields["check"]) if fields["check"] else None
    return Found(**fields)


FOUND = text("""
SELECT release.id, agents.key AS agent, release.number, release.version_id, version.key AS version,
       version.number AS version_number, release.previous_id, before.key AS previous_version,
       before.number AS previous_number, production.key AS production,
       release.experiment_id, experiment.name AS experiment, release.run_id, release.status, release.stage,
       release.stage_since, release.policy, release.reason, release.held_by, release.hold_reason,
       release.approved_by, release.approved_at, release.approval_reason, release.report AS "check",
       release.checked_at, release.created_by, release.created_at, release.full_at, release.finished_at,
       CASE WHEN release.finished_at IS NOT NULL THEN (
           SELECT details ->> 'reason' FROM release_events
           WHERE release_id = release.id ORDER BY at DESC, id DESC LIMIT 1
       ) END AS end_reason,
       canary.id AS canary_id, watch.id AS watch_id
FROM releases AS release
JOIN agents ON agents.id = release.agent_id
JOIN prompt_versions AS version ON version.id = release.version_id
LEFT JOIN releases AS previous ON previous.id = release.previous_id
LEFT JOIN prompt_versions AS before ON before.id = previous.version_id
LEFT JOIN prompt_labels AS label ON label.agent_id = release.agent_id AND label = 'production'
LEFT JOIN prompt_versions AS production ON production.id = label.version_id
LEFT JOIN learning_experiments AS experiment ON experiment.id = release.experiment_id
LEFT JOIN allocations AS canary ON canary.release_id = release.id AND canary.kind = 'canary'
LEFT JOIN allocations AS watch ON watch.release_id = release.id AND watch.kind = 'watch'
WHERE (CAST(:agent AS text) IS NULL OR agents.key = :agent)
  AND (CAST(:id AS uuid) IS NULL OR release.id = :id)
ORDER BY release.created_at DESC, release.number DESC
LIMIT :limit
""")

HISTORY = text("""
SELECT at, kind, actor, details ->> 'reason' AS reason
FROM release_events WHERE release_id = :release ORDER BY at, id
""")

CURRENT = text("""
SELECT agents.key AS agent, version.number AS version, version.key AS version_key, label.set_at AS since,
       label.set_by AS by, came.id AS release_id, came.number AS release, experiment.name AS experiment,
       next.id AS next_id, next.number AS next_release, next_version.number AS next_version,
       next.status AS next_status,
       CASE next.status
           WHEN 'rolling_out' THEN CAST(next.policy -> 'stages' -> next.stage ->> 0 AS float8)
           WHEN 'waiting' THEN 0.0 END AS next_share
FROM prompt_labels AS label
JOIN agents ON agents.id = label.agent_id
JOIN prompt_versions AS version ON version.id = label.version_id
LEFT JOIN LATERAL (
    SELECT id, number, experiment_id FROM releases
    WHERE agent_id = label.agent_id AND version_id = label.version_id AND created_by <> 'setup'
      AND status IN ('watching', 'completed', 'superseded')
    ORDER BY releases.number DESC LIMIT 1
) AS came ON true
LEFT JOIN learning_experiments AS experiment ON experiment.id = came.experiment_id
LEFT JOIN releases AS next ON next.agent_id = label.agent_id AND next.status IN ('waiting', 'rolling_out')
LEFT JOIN prompt_versions AS next_version ON next_version.id = next.version_id
WHERE label.label = 'production'
ORDER BY agents.key
""")

UNDER_WAY = text("""
SELECT id, checked_at,
       coalesce((SELECT sum(CAST(value AS bigint)) FROM jsonb_each_text(report -> 'users')), 0) AS users
FROM releases WHERE status IN ('rolling_out', 'watching')
ORDER BY checked_at NULLS FIRST, id
""")
