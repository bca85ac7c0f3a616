"""The daily roll-ups: how a change of a row changes the counts, and how to prove that they are right.

The write paths return each touched row before and after; `folded` turns the difference into one sorted
upsert, so the counts follow edits and withdrawals in the transaction that makes them. Sorting keeps two
writers from waiting for each other in a circle.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.schema import EXECUTION_COUNTERS, FEEDBACK_COUNTERS


class RollUp(NamedTuple):
    """A table of counts, the rows it counts, and which of them count."""

    table: str
    rows: str
    counted: str
    counters: dict[str, str]


FEEDBACK = RollUp("feedback_daily", "agent_feedback", "withdrawn_at IS NULL", FEEDBACK_COUNTERS)
EXECUTIONS = RollUp("executions_daily", "executions", "reported_at IS NOT NULL", EXECUTION_COUNTERS)


def folded(roll_up: RollUp) -> str:
    """Return the CTEs `changes` and `folded`, which add the difference of `written.before` and
    `written.after` (whole rows; all NULL where there was none) to the roll-up.
    """
    names = ", ".join(roll_up.counters)
    sums = ", ".join(f"sum(sign * {expression})" for expression in roll_up.counters.values())
    added = ", ".join(f"{name} = daily.{name} + excluded.{name}" for name in roll_up.counters)
    return f"""
    changes AS (
        SELECT -1 AS sign, (before).* FROM written WHERE before IS DISTINCT FROM after
        UNION ALL
        SELECT 1 AS sign, (after).* FROM written WHERE before IS DISTINCT FROM after
    ),
    folded AS (
        INSERT INTO {roll_up.table} AS daily (agent_id, day, prompt_version, {names})
        SELECT agent_id, CAST(created_at AT TIME ZONE 'UTC' AS date) AS day,
               coalesce(prompt_version, '') AS prompt_version, {sums}
        FROM changes
        WHERE id IS NOT NULL AND {roll_up.counted}
        GROUP BY 1, 2, 3
        ORDER BY 1, 2, 3
        ON CONFLICT (organization_id, agent_id, day, prompt_version) DO UPDATE SET {added}
    )"""  # noqa: S608 - names and expressions are this module's constants


def differences(session: Session, roll_up: RollUp) -> int:
    """Count the rows of a roll-up that differ from a recount of the rows; 0 means exact."""
    names = ", ".join(roll_up.counters)
    kept = _kept(roll_up)
    statement = f"""
        WITH kept AS ({kept}), recounted AS ({_recounted(roll_up)})
        SELECT count(*) FROM (
            (SELECT agent_id, day, prompt_version, {names} FROM kept
             EXCEPT ALL SELECT agent_id, day, prompt_version, {names} FROM recounted)
            UNION ALL
            (SELECT agent_id, day, prompt_version, {names} FROM recounted
             EXCEPT ALL SELECT agent_id, day, prompt_version, {names} FROM kept)
        ) AS difference
    """  # noqa: S608 - names and expressions are this module's constants
    return int(session.execute(text(statement)).scalar_one())


def mend(session: Session, roll_up: RollUp) -> int:
    """Derive a roll-up anew if it differs from its rows, while writers wait; return how many rows did."""
    if not differences(session, roll_up):
        return 0
    session.execute(text(f"LOCK TABLE {roll_up.table} IN SHARE ROW EXCLUSIVE MODE"))
    wrong = differences(session, roll_up)
    names = ", ".join(roll_up.counters)
    session.execute(text(f"DELETE FROM {roll_up.table}"))  # noqa: S608 - a constant
    derive = f"INSERT INTO {roll_up.table} (agent_id, day, prompt_version, {names}) {_recounted(roll_up)}"
    session.execute(text(derive))
    return wrong


def _kept(roll_up: RollUp) -> str:
    some = " OR ".join(f"{name} <> 0" for name in roll_up.counters)
    return f"SELECT * FROM {roll_up.table} WHERE {some}"  # noqa: S608


def _recounted(roll_up: RollUp) -> str:
    sums = ", ".join(f"sum({expression}) AS {name}" for name, expression in roll_up.counters.items())
    return f"""
        SELECT agent_id, CAST(created_at AT TIME ZONE 'UTC' AS date) AS day,
               coalesce(prompt_version, '') AS prompt_version, {sums}
        FROM {roll_up.rows} WHERE {roll_up.counted} GROUP BY 1, 2, 3
    """  # noqa: S608 - names and expressions are this module's constants
