"""What became of an agent's metrics with a release, measured from what users said and kept for the ledger.

At most four weeks on each side are looked at, and each piece of feedback once: this is background work.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core.errors import NotFound
from learning_core.experiments.statistics import moments
from learning_core.experiments.statistics.moments import Moments
from learning_core.releases import impact
from learning_core.releases.impact import MEASURES, Comparison, Impact, Period, Way
from learning_core.schema import EXPOSURE_FEEDBACK_COUNTERS

WINDOW = timedelta(days=28)
"""How far before a release's start and after its arrival the calendar is looked at."""

NOBODY = Moments(*(0.0,) * len(Moments._fields))


def measure(session: Session, release_id: UUID, at: datetime) -> Impact | None:
    """Measure what became of a release, keep it, and return it; None where it has not reached anybody.

    Side by side: its canary, users of the new version against those of the control. By calendar: the version
    before in the four weeks before the first user met the new one, against the new one in the four weeks
    since it serves all of them, or, on its way there, since its first user. Feedback without a user counts as
    from somebody of its own.

    Raises:
        NotFound: there is no such release.
    """
    course = session.execute(COURSE, {"release": release_id}).one_or_none()
    if course is None:
        raise NotFound("There is no such release.")
    if course.started_at is None:
        return None
    found = Impact(_side_by_side(session, course, at), _by_calendar(session, course, at))
    session.execute(KEEP, {"release": release_id, "at": at, "figures": to_json(found).decode()})
    return found


def worth_measuring(session: Session, at: datetime) -> list[UUID]:
    """Return the releases whose effect may have changed since it was measured last, the oldest first."""
    return list(session.execute(WORTH_IT, {"at": at, "window": WINDOW}).scalars())


def _side_by_side(session: Session, course: Row[Any], at: datetime) -> Comparison | None:
    if course.canary_id is None or course.previous is None:
        return None
    rows = session.execute(CANARY, {"allocation": course.canary_id}).all()
    if not rows:
        return None
    sums = {(row.metric, row.phase, row.variant): _moments(row) for row in rows}
    phases = sorted({row.phase for row in rows})
    until = course.canary_ended_at or at
    return Comparison(
        Way.SIDE_BY_SIDE,
        Period(course.previous, course.canary_started_at, until),
        Period(course.version, course.canary_started_at, until),
        tuple(
            impact.change(metric, *impact.stratified([_sides(sums, metric, phase) for phase in phases]))
            for metric in MEASURES
        ),
    )


def _sides(sums: dict[tuple[str, int, str], Moments], metric: str, phase: int) -> tuple[Moments, Moments]:
    return sums.get((metric, phase, "control"), NOBODY), sums.get((metric, phase, "treatment"), NOBODY)


def _by_calendar(session: Session, course: Row[Any], at: datetime) -> Comparison | None:
    if course.previous is None:
        return None
    since = course.full_at or course.started_at
    ends = [at, since + WINDOW, *([course.replaced_at] if course.replaced_at else [])]
    before = Period(course.previous, course.started_at - WINDOW, course.started_at)
    after = Period(course.version, since, min(ends))
    was, now = (_heard(session, course.agent_id, period) for period in (before, after))
    changes = tuple(
        impact.change(metric, moments.arm(was.get(metric, NOBODY)), moments.arm(now.get(metric, NOBODY)))
        for metric in MEASURES
    )
    return Comparison(Way.BY_CALENDAR, before, after, changes)


def _heard(session: Session, agent_id: UUID, period: Period) -> dict[str, Moments]:
    wish = {"agent": agent_id, "version": period.version, "since": period.since, "until": period.until}
    return {row.metric: _moments(row) for row in session.execute(HEARD, wish)}


def _moments(row: Row[Any]) -> Moments:
    known = {"c": 0.0, "cc": 0.0, "cn": 0.0, "cs": 0.0, "observations": row.n}
    return Moments(**{name: getattr(row, name) for name in ("users", "n", "s", "nn", "ns", "ss")}, **known)


# ---------------------------------------------------------------- statements

COURSE = text("""
SELECT release.id, release.agent_id, version.key AS version, before.key AS previous, release.full_at,
       CASE WHEN release.status IN ('rolled_back', 'superseded') THEN release.finished_at END AS replaced_at,
       canary.id AS canary_id, canary.started_at AS canary_started_at, canary.ended_at AS canary_ended_at,
       coalesce(canary.started_at, release.full_at) AS started_at
FROM releases AS release
JOIN prompt_versions AS version ON version.id = release.version_id
LEFT JOIN releases AS previous ON previous.id = release.previous_id
LEFT JOIN prompt_versions AS before ON before.id = previous.version_id
LEFT JOIN allocations AS canary ON canary.release_id = release.id AND canary.kind = 'canary'
WHERE release.id = :release
""")

WORTH_IT = text("""
SELECT release.id
FROM releases AS release LEFT JOIN release_impacts AS impact ON impact.release_id = release.id
WHERE release.status NOT IN ('waiting', 'cancelled') AND release.previous_id IS NOT NULL
  AND (impact.measured_at IS NULL
       OR impact.measured_at < coalesce(
           CASE WHEN release.status IN ('rolled_back', 'superseded') THEN release.finished_at END,
           release.full_at + :window, CAST(:at AS timestamptz)
       ))
ORDER BY release.created_at, release.id
""")

KEEP = text("""
INSERT INTO release_impacts (release_id, measured_at, figures)
VALUES (:release, :at, CAST(:figures AS jsonb))
ON CONFLICT (organization_id, release_id)
    DO UPDATE SET measured_at = excluded.measured_at, figures = excluded.figures
""")

FOLLOWED = ", ".join(f"('{one.key}', {one.n}, {one.s})" for one in MEASURES.values())

SUMS = f"""
count(*) AS users, CAST(sum(n) AS float8) AS n, CAST(sum(s) AS float8) AS s,
CAST(sum(n * n) AS float8) AS nn, CAST(sum(n * s) AS float8) AS ns, CAST(sum(s * s) AS float8) AS ss
FROM people CROSS JOIN LATERAL (VALUES {FOLLOWED}) AS followed (metric, n, s)
WHERE n > 0
"""

CANARY = text(f"""
WITH people AS (SELECT * FROM exposures WHERE allocation_id = :allocation AND NOT crossed)
SELECT metric, phase, variant, {SUMS}
GROUP BY metric, phase, variant
""")  # noqa: S608 - the parts are constants

HEARD = text(f"""
WITH people AS (
    SELECT {", ".join(f"sum({adds}) AS {name}" for name, adds in EXPOSURE_FEEDBACK_COUNTERS.items())}
    FROM agent_feedback
    WHERE agent_id = :agent AND prompt_version = :version AND withdrawn_at IS NULL
      AND created_at >= :since AND created_at < :until
    GROUP BY coalesce(user_id, CAST(execution_id AS text))
)
SELECT metric, {SUMS}
GROUP BY metric
""")  # noqa: S608 - names and counts of columns, all constants
"""As the canary, for what was said of a version in a time, whoever it was served to."""
