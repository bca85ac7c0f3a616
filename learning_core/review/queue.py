"""Who judges what next: claiming examples, holding them for a while, giving them back.

A reviewer holds an example by a lease. However many claim at the same moment, an example is held by no more
people than it still needs, and by nobody who has judged, written or skipped it. Whoever changes a lease holds
the lock of its example.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.errors import NotFound
from learning_core.schema import OPEN
from learning_core.settings import settings


@dataclass(frozen=True)
class Filters:
    """Which examples somebody wants to judge; None means any."""

    agent: str | None = None
    domain: str | None = None
    source: str | None = None
    issue: str | None = None
    is_preference: bool | None = None


ANY = Filters()


def claim(
    session: Session,
    caller: Caller,
    filters: Filters = ANY,
    limit: int = 1,
    *,
    rng: Random | None = None,
) -> list[UUID]:
    """Hold the most valuable examples for the caller, who may then judge them, and return all they hold.

    What the caller holds already comes back first, with a new term, and counts towards the limit. A share of
    what is added are gold items, whose right decision is known, where there are any.

    Raises:
        NotPermitted: the caller's role may not review.
    """
    access.act_as(session, caller, "review")
    return_lapsed(session)
    parameters = _parameters(caller, filters)
    held = list(session.execute(EXTEND, parameters).scalars())[:limit]
    if room := limit - len(held):
        held += _add(session, parameters, room, rng or Random())
    return held


def _add(session: Session, parameters: dict[str, object], room: int, chance: Random) -> list[UUID]:
    """Hold that many more examples, gold items among them, the most valuable first."""
    golds = sum(chance.random() < settings().review_gold_share for _ in range(room))
    added = list(session.execute(CLAIM_GOLD, parameters | {"limit": golds})) if golds else []
    added += session.execute(
        CLAIM[parameters["agent"] is not None], parameters | {"limit": room - len(added)}
    )
    return [row.id for row in sorted(added, key=lambda row: (-row.priority, row.id))]


def look_ahead(session: Session, caller: Caller, filters: Filters = ANY, limit: int = 20) -> list[UUID]:
    """Return what the caller would be given next, without holding it."""
    access.require(caller, "review")
    return_lapsed(session)
    return list(
        session.execute(
            LOOK_AHEAD[filters.agent is not None], _parameters(caller, filters) | {"limit": limit}
        ).scalars()
    )


def give_back(session: Session, caller: Caller) -> int:
    """End all leases of the caller; return how many there were."""
    ended: int = session.execute(GIVE_BACK, {"me": caller.name}).scalar_one()
    return ended


def skip(session: Session, caller: Caller, example_id: UUID) -> None:
    """Give one example back and not offer it to the caller again, until they ask for what they skipped."""
    access.require(caller, "review")
    lock(session, example_id)
    release(session, caller, example_id)
    session.execute(SKIP, {"example": example_id, "me": caller.name})


def bring_back_skipped(session: Session, caller: Caller, example_id: UUID | None = None) -> int:
    """Offer the caller again what they skipped, or one example of it; return how many these are."""
    access.require(caller, "review")
    return len(session.execute(BRING_BACK, {"example": example_id, "me": caller.name}).all())


def release(session: Session, caller: Caller, example_id: UUID) -> None:
    """End the caller's lease of an example that is locked, and those whose term is over."""
    session.execute(RELEASE, {"example": example_id, "me": caller.name})


def release_all(session: Session, example_id: UUID) -> None:
    """End everybody's lease of an example that is locked."""
    session.execute(RELEASE, {"example": example_id, "me": None})


def hold(session: Session, caller: Caller, example_id: UUID) -> None:
    """Hold an example whose decision the caller took back, if it still has room for them."""
    lock(session, example_id)
    release(session, caller, example_id)
    minutes = settings().review_lease_minutes
    session.execute(HOLD_AGAIN, {"example": example_id, "me": caller.name, "minutes": minutes})


def return_lapsed(session: Session) -> None:
    """End leases whose term is over; examples that somebody is changing right now keep theirs."""
    session.execute(RETURN_LAPSED)


def lock(session: Session, example_id: UUID) -> None:
    """Keep others from changing an example and its leases until the transaction ends.

    Raises:
        NotFound: there is no such example.
    """
    if session.execute(LOCK, {"example": example_id}).scalar() is None:
        raise NotFound(f"There is no example {example_id}.")


def _parameters(caller: Caller, filters: Filters) -> dict[str, object]:
    return {
        "me": caller.name,
        "minutes": settings().review_lease_minutes,
        "overlap_share": settings().review_overlap_share,
        "overlap": settings().review_overlap,
        "agent": filters.agent,
        "domain": filters.domain,
        "source": filters.source,
        "issue": filters.issue,
        "is_preference": filters.is_preference,
    }


LOCK = text("SELECT id FROM learning_examples WHERE id = :example FOR NO KEY UPDATE")

ASKED_FOR = """
    (CAST(:agent AS text) IS NULL OR agent_id = (SELECT id FROM agents WHERE key = :agent))
    AND (CAST(:domain AS text) IS NULL OR domain = :domain)
    AND (CAST(:source AS text) IS NULL OR source = :source)
    AND (CAST(:issue AS text) IS NULL OR :issue = ANY (issue_categories))
    AND (CAST(:is_preference AS bool) IS NULL OR (example_type = 'preference') = :is_preference)
"""

NOT_MINE = """
    (author IS NULL OR author <> :me)
    AND NOT EXISTS (
        SELECT FROM expert_annotations AS mine
        WHERE mine.example_id = example.id AND mine.annotator = :me
          AND mine.decision IS NOT NULL AND mine.undone_at IS NULL
        OFFSET 0
    )
    AND NOT EXISTS (
        SELECT FROM review_leases AS mine WHERE mine.example_id = example.id AND mine.reviewer = :me
        OFFSET 0
    )
"""
"""What keeps an example from somebody who wrote, judged, holds or skipped it.

OFFSET 0 keeps both look-ups by key. As joins, planned before the tables are first analysed, they would read
all that the reviewer ever judged for each example on the way to one that is new to the reviewer.
"""

LEASED = """
leased AS (
    INSERT INTO review_leases (example_id, reviewer, leased_until)
    SELECT id, :me, now() + make_interval(mins => :minutes) FROM candidate
    ON CONFLICT (organization_id, example_id, reviewer) DO NOTHING
    RETURNING example_id
)
"""
"""The lease comes before the example: its key is what two windows of one person collide at."""

HOLD = """
UPDATE learning_examples AS example
SET held = held + 1,
    overlap = CASE WHEN reviews_done + held = 0 THEN chosen.reviewers ELSE overlap END,
    reviews_wanted = CASE WHEN reviews_done + held = 0 THEN chosen.reviewers ELSE reviews_wanted END
FROM leased
CROSS JOIN LATERAL (
    SELECT CAST(CASE WHEN abs(hashtextextended(CAST(example_id AS text), 0) % 10000) < 10000 * :overlap_share
                     THEN :overlap ELSE 1 END AS int2) AS reviewers
) AS chosen
WHERE example.id = leased.example_id
RETURNING example.id, example.priority
"""
"""Whether several people judge an example is settled, by a hash of its id, while nobody has judged or holds
it."""


def _next(of_agent: str) -> str:
    return f"""
SELECT id FROM learning_examples AS example
WHERE {OPEN} {of_agent} AND {ASKED_FOR} AND {NOT_MINE}
ORDER BY priority DESC, id
LIMIT :limit
"""  # noqa: S608 - made of constants


NEXT = {False: _next(""), True: _next("AND agent_id = (SELECT id FROM agents WHERE key = :agent)")}
"""What comes next, of all agents and of one: a rare agent's examples have an index of their own."""

CLAIM = {
    of_one_agent: text(f"WITH candidate AS ({following} FOR NO KEY UPDATE SKIP LOCKED), {LEASED} {HOLD}")
    for of_one_agent, following in NEXT.items()
}

CLAIM_GOLD = text(f"""
WITH candidate AS (
    SELECT id FROM learning_examples AS example
    WHERE gold_decision IS NOT NULL AND {ASKED_FOR} AND {NOT_MINE}
    ORDER BY hashtextextended(CAST(id AS text) || :me, 0)
    LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
),
{LEASED}
UPDATE learning_examples AS example SET held = held + 1
FROM leased WHERE example.id = leased.example_id
RETURNING example.id, example.priority
""")  # noqa: S608 - made of constants

LOOK_AHEAD = {of_one_agent: text(following) for of_one_agent, following in NEXT.items()}

EXTEND = text(f"""
WITH extended AS (
    UPDATE review_leases SET leased_until = now() + make_interval(mins => :minutes)
    WHERE reviewer = :me AND leased_until IS NOT NULL
    RETURNING example_id
)
SELECT example.id FROM extended JOIN learning_examples AS example ON example.id = example_id
WHERE {ASKED_FOR}
ORDER BY priority DESC, example.id
""")  # noqa: S608 - made of constants

RELEASE = text("""
WITH ended AS (
    DELETE FROM review_leases
    WHERE example_id = :example
      AND CASE WHEN CAST(:me AS text) IS NULL OR reviewer = :me THEN leased_until IS NOT NULL
               ELSE leased_until < now() END
    RETURNING example_id
)
UPDATE learning_examples SET held = held - (SELECT CAST(count(*) AS int2) FROM ended)
WHERE id = :example AND EXISTS (SELECT FROM ended)
""")

SKIP = text("""
INSERT INTO review_leases (example_id, reviewer, leased_until) VALUES (:example, :me, NULL)
ON CONFLICT (organization_id, example_id, reviewer) DO NOTHING
""")

BRING_BACK = text("""
DELETE FROM review_leases
WHERE reviewer = :me AND leased_until IS NULL
  AND (CAST(:example AS uuid) IS NULL OR example_id = :example)
RETURNING example_id
""")

GIVE_BACK = text("""
WITH due AS (
    SELECT example.id FROM learning_examples AS example
    JOIN review_leases ON example_id = example.id
    WHERE reviewer = :me AND leased_until IS NOT NULL
    ORDER BY example.id
    FOR NO KEY UPDATE OF example
),
ended AS (
    DELETE FROM review_leases USING due
    WHERE example_id = due.id AND reviewer = :me AND leased_until IS NOT NULL
    RETURNING example_id
),
freed AS (
    UPDATE learning_examples SET held = held - 1 FROM ended WHERE id = ended.example_id
)
SELECT count(*) FROM ended
""")

RETURN_LAPSED = text("""
WITH due AS (
    SELECT example.id FROM learning_examples AS example
    JOIN review_leases ON example_id = example.id
    WHERE leased_until < now()
    LIMIT 500
    FOR NO KEY UPDATE OF example SKIP LOCKED
),
ended AS (
    DELETE FROM review_leases USING due
    WHERE example_id = due.id AND leased_until < now()
    RETURNING example_id
)
UPDATE learning_examples SET held = held - ended.leases
FROM (SELECT example_id, CAST(count(*) AS int2) AS leases FROM ended GROUP BY example_id) AS ended
WHERE id = ended.example_id
""")

HOLD_AGAIN = text(f"""
WITH candidate AS (
    SELECT id FROM learning_examples AS example
    WHERE id = :example AND ({OPEN} OR gold_decision IS NOT NULL) AND {NOT_MINE}
),
{LEASED}
UPDATE learning_examples SET held = held + 1 FROM leased WHERE id = leased.example_id
""")  # noqa: S608 - made of constants
