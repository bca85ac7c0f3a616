"""Exposures: which users met which variant, and the counts of what followed, kept exact by the write path.

An execution that names its assignment counts for its user; feedback counts for the user of its execution,
whoever gave it. As with the daily roll-ups, `folded` turns the difference of touched rows into one sorted
upsert. In a statement it stands behind the roll-up's part: PostgreSQL carries out the last one first, so that
the counts of a day, which everybody waits for, are held the shortest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.feedback import rollup
from learning_core.feedback.entries import ExecutionEntry
from learning_core.schema import EXPOSURE_EXECUTION_COUNTERS, EXPOSURE_FEEDBACK_COUNTERS


class Counts(NamedTuple):
    """Counters of exposures, the rows they count, which of them count, and what a row is told besides."""

    rows: str
    counted: str
    counters: dict[str, str]
    told: str = ""
    """Columns for the expressions; {exposure} stands for the row's exposure."""


EXECUTIONS = Counts(
    rollup.EXECUTIONS.rows,
    rollup.EXECUTIONS.counted,
    EXPOSURE_EXECUTION_COUNTERS,
    """, (SELECT slow_ms FROM allocations
          WHERE id = (SELECT allocation_id FROM exposures WHERE id = {exposure})) AS slow_ms""",
)
FEEDBACK = Counts(rollup.FEEDBACK.rows, rollup.FEEDBACK.counted, EXPOSURE_FEEDBACK_COUNTERS)

NAMES = (*EXPOSURE_EXECUTION_COUNTERS, *EXPOSURE_FEEDBACK_COUNTERS)

# ---------------------------------------------------------------- in the write path


def assigned(entries: Iterable[ExecutionEntry]) -> list[ExecutionEntry]:
    """Return the entries that say which of their users was assigned what."""
    return [entry for entry in entries if entry.assignment and entry.user_id]


def place(session: Session, entries: Sequence[ExecutionEntry]) -> bool:
    """Give each user whose execution names an assignment an exposure, unless there is one.

    Only allocations of the execution's agent that have not ended count, and variants that they have.

    Returns:
        Whether one of them may have been seen in another variant before: `cross` finds out.
    """
    return bool(session.execute(PLACE, _met(entries)).scalar_one())


def cross(session: Session, entries: Sequence[ExecutionEntry]) -> None:
    """Mark who is seen in a second variant as crossed; they stay with the first.

    This comes after the executions: who counts holds executions first, then exposures.
    """
    session.execute(CROSS, _met(entries))


def _met(entries: Sequence[ExecutionEntry]) -> dict[str, list[Any]]:
    told = [str(entry.assignment).split(".") for entry in entries]
    return {
        "allocations": [allocation for allocation, _ in told],
        "variants": [variant for _, variant in told],
        "users": [entry.user_id for entry in entries],
        "agents": [entry.agent_id for entry in entries],
        "moments": [entry.created_at for entry in entries],
    }


FIRST_MET = """
WITH met AS (
    SELECT given.*, allocation.phase
    FROM unnest(
        CAST(:allocations AS uuid[]), CAST(:variants AS text[]), CAST(:users AS text[]),
        CAST(:agents AS text[]), CAST(:moments AS timestamptz[])
    ) WITH ORDINALITY AS given (allocation_id, variant, user_id, agent, created_at, position)
    JOIN agents ON agents.key = given.agent
    JOIN allocations AS allocation ON allocation.id = given.allocation_id
        AND allocation.agent_id = agents.id AND allocation.status <> 'ended'
    JOIN allocation_variants AS possible ON possible.allocation_id = allocation.id
        AND possible.variant = given.variant
),
first_met AS (
    SELECT allocation_id, user_id, min(phase) AS phase, count(DISTINCT variant) > 1 AS crossed,
           (array_agg(variant ORDER BY coalesce(created_at, now()), position))[1] AS variant,
           min(coalesce(created_at, now())) AS first_at
    FROM met
    GROUP BY allocation_id, user_id
)
"""

CROSSES = "NOT seen.crossed AND (first_met.crossed OR first_met.variant <> seen.variant)"

PLACE = text(f"""{FIRST_MET},
compared AS (
    SELECT first_met.*, seen.id AS seen_id, {CROSSES} AS crosses
    FROM first_met LEFT JOIN exposures AS seen USING (allocation_id, user_id)
),
placed AS (
    INSERT INTO exposures (allocation_id, user_id, variant, phase, crossed, first_at)
    SELECT allocation_id, user_id, variant, phase, crossed, first_at
    FROM compared
    WHERE seen_id IS NULL
    ORDER BY allocation_id, user_id
    ON CONFLICT (organization_id, allocation_id, user_id) DO NOTHING
    RETURNING id
)
SELECT (SELECT count(*) FROM placed) < (SELECT count(*) FROM compared WHERE seen_id IS NULL OR crosses)
""")  # noqa: S608 - conditions are constants

CROSS = text(f"""{FIRST_MET}
UPDATE exposures AS seen SET crossed = true
FROM first_met
WHERE seen.allocation_id = first_met.allocation_id AND seen.user_id = first_met.user_id AND {CROSSES}
""")  # noqa: S608 - conditions are constants

OF_ENTRY = """
CASE WHEN entry.assignment IS NOT NULL AND entry.user_id IS NOT NULL THEN (
    SELECT exposure.id
    FROM exposures AS exposure
    JOIN allocations AS allocation ON allocation.id = exposure.allocation_id
    JOIN allocation_variants AS possible ON possible.allocation_id = allocation.id
    WHERE exposure.allocation_id = CAST(split_part(entry.assignment, '.', 1) AS uuid)
      AND exposure.user_id = entry.user_id
      AND allocation.agent_id = agents.id AND allocation.status <> 'ended'
      AND possible.variant = split_part(entry.assignment, '.', 2)
) END
"""
"""The exposure of an `entry` of one of the `agents`, once it is placed."""


def folded(counts: Counts) -> str:
    """Return the CTEs `exposed_changes` and `exposed`, which add the difference of `written.before` and
    `written.after` (whole rows; all NULL where there was none) to the exposures of both.
    """
    names = ", ".join(counts.counters)
    sums = ", ".join(f"sum(sign * {expression})" for expression in counts.counters.values())
    added = ", ".join(f"{name} = known.{name} + excluded.{name}" for name in counts.counters)
    before, after = (counts.told.format(exposure=f"({row}).exposure_id") for row in ("before", "after"))
    return f"""
    exposed_changes AS (
        SELECT -1 AS sign, (before).*{before}
        FROM written WHERE (before).exposure_id IS NOT NULL AND before IS DISTINCT FROM after
        UNION ALL
        SELECT 1 AS sign, (after).*{after}
        FROM written WHERE (after).exposure_id IS NOT NULL AND before IS DISTINCT FROM after
    ),
    exposed AS (  -- always an update, as whoever refers to an exposure has found it there
        INSERT INTO exposures AS known (id, allocation_id, user_id, variant, phase, first_at, {names})
        SELECT exposure_id, exposure_id, '', '', 0, now(), {sums}
        FROM exposed_changes
        WHERE {counts.counted}
        GROUP BY exposure_id
        ORDER BY exposure_id
        ON CONFLICT (organization_id, id) DO UPDATE SET {added}
    )"""  # noqa: S608 - names and expressions are constants


# ---------------------------------------------------------------- the proof


def differences(session: Session) -> int:
    """Count the exposures whose counts differ from a recount of the rows; 0 means exact."""
    return int(session.execute(DIFFERENCES).scalar_one())


def mend(session: Session) -> int:
    """Count anew what differs from its rows, while writers wait; return how many exposures did."""
    if not differences(session):
        return 0
    session.execute(text("LOCK TABLE exposures IN SHARE ROW EXCLUSIVE MODE"))
    return len(session.execute(MEND).all())


def link(session: Session) -> int:
    """Let feedback follow its execution where the two name different exposures; return how often they did.

    That takes an execution that was reported in full, then reported again with its assignment at the very
    moment somebody reacted to it.
    """
    return int(session.execute(LINK).scalar_one())


def _recounted(counts: Counts) -> str:
    sums = ", ".join(f"sum({expression}) AS {name}" for name, expression in counts.counters.items())
    return f"""
        SELECT exposure_id, {sums}
        FROM {counts.rows}
        JOIN (
            SELECT exposures.id AS exposure_id, slow_ms
            FROM exposures JOIN allocations ON allocations.id = allocation_id
        ) AS exposure USING (exposure_id)
        WHERE {counts.counted}
        GROUP BY exposure_id
    """  # noqa: S608 - names and expressions are constants


RECOUNT = f"""
WITH recounted AS (
    SELECT exposures.id, {", ".join(f"coalesce(counted.{name}, 0) AS {name}" for name in NAMES)}
    FROM exposures LEFT JOIN (
        ({_recounted(EXECUTIONS)}) AS answers FULL JOIN ({_recounted(FEEDBACK)}) AS reactions
        USING (exposure_id)
    ) AS counted ON counted.exposure_id = exposures.id
)
"""  # noqa: S608 - names and expressions are constants

DIFFERENT = f"""
exposures.id = recounted.id
AND ({", ".join(f"exposures.{name}" for name in NAMES)})
    IS DISTINCT FROM ({", ".join(f"recounted.{name}" for name in NAMES)})
"""

DIFFERENCES = text(f"""{RECOUNT}
SELECT count(*) FROM exposures, recounted WHERE {DIFFERENT}
""")  # noqa: S608 - names and expressions are constants

MEND = text(f"""{RECOUNT}
UPDATE exposures SET {", ".join(f"{name} = recounted.{name}" for name in NAMES)}
FROM recounted WHERE {DIFFERENT}
RETURNING exposures.id
""")  # noqa: S608 - names and expressions are constants

LINK = text(f"""
WITH written AS (
    UPDATE agent_feedback SET exposure_id = executions.exposure_id
    FROM executions
    WHERE executions.exposure_id IS NOT NULL AND agent_feedback.execution_id = executions.id
      AND agent_feedback.exposure_id IS DISTINCT FROM executions.exposure_id
    RETURNING old AS before, new AS after
),
{folded(FEEDBACK)}
SELECT count(*) FROM written
""")  # noqa: S608 - names and expressions are constants
