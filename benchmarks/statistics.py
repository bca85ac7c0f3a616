"""Statistics and issues of one agent over 30 days, with ten million pieces of feedback in the database.

Measured: `metrics.measure` and `metrics.issues` for the agent with the most feedback, as the application's
role under its policy. Against (1) the same figures counted from the agent's rows by one statement, which may
use every index there is; executions, which ours counts too, are left out of it. Against (2) ours in another
organisation of the same database with the same agents and days, and ten thousand rows.

Proved: both ways agree in every figure for every agent, before and after edits and withdrawals, and in one
snapshot each while four threads write; and no roll-up differs from a recount.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from benchmarks import figures, ground
from benchmarks.archive import AGENT_ID, AGENTS, BUSIEST, agent_id, fill
from benchmarks.figures import Finding
from benchmarks.ground import Options
from benchmarks.writers import execution_key
from learning_core import db
from learning_core.db import enter, in_transaction, organization_session, reading_session
from learning_core.feedback import intervals, metrics
from learning_core.feedback.collect import collect, withdraw
from learning_core.feedback.entries import FeedbackEntry, IssueCategory
from learning_core.feedback.intervals import Estimate
from learning_core.feedback.queries import Window

WINDOW_DAYS = 30


class Size(NamedTuple):
    """How much of everything."""

    rows: int
    few_rows: int
    scans: int
    calls: int
    edits: int
    writing_s: float


FULL = Size(rows=10_000_000, few_rows=10_000, scans=11, calls=51, edits=200, writing_s=20)
QUICK = Size(rows=100_000, few_rows=10_000, scans=3, calls=7, edits=200, writing_s=2)

Answers = dict[str, Any]
"""What both ways have to agree on: a figure by its name."""


def run(options: Options) -> list[Finding]:
    """Fill, measure, prove."""
    size = QUICK if options.quick else FULL
    today = datetime.now(UTC).date()
    window = Window.last(WINDOW_DAYS, today)
    db.migrate()
    large, small = ground.new_organization("Large"), ground.new_organization("Small")
    took = ground.seconds(lambda: (fill(large, size.rows, today), fill(small, size.few_rows, today)))
    print(f"{size.rows:,} + {size.few_rows:,} rows in {took:.0f} s, {ground.megabytes_of_home():,.0f} MB")
    findings = [*against_scan(large, window, size), *against_few(large, small, window, size)]
    findings += [figures.proof("statistics: agents that a scan contradicts", contradicted(large, window))]
    edit_and_withdraw(large, size.edits)
    findings += [
        figures.proof(f"statistics: the same after {size.edits} edits", contradicted(large, window)),
        figures.proof("statistics: the same while four threads write", while_writing(large, window, size)),
        figures.proof("statistics: wrong rows of the roll-ups at the end", ground.wrong_counts(large)),
    ]
    return findings


# ---------------------------------------------------------------- measured


def against_scan(organization: UUID, window: Window, size: Size) -> list[Finding]:
    """Take turns with a scan of the agent's rows."""
    agent = agent_id(organization, BUSIEST)

    ours = partial(milliseconds, partial(ask, organization, BUSIEST, window))
    scan = partial(milliseconds, partial(scan_apart, organization, agent, window))
    figures.take_turns(2, ours, scan)  # to warm up
    taken = figures.take_turns(size.scans, ours, scan)
    what = f"statistics: 30 days of one agent, {size.rows:,} rows"
    return [figures.speedup(what, *taken, against="scan of the agent's rows", unit="ms", target=50)]


def against_few(large: UUID, small: UUID, window: Window, size: Size) -> list[Finding]:
    """Take turns with the same question where there are few rows."""
    many, few = (partial(milliseconds, partial(ask, where, BUSIEST, window)) for where in (large, small))
    figures.take_turns(2, many, few)  # to warm up
    taken = figures.take_turns(size.calls, many, few)
    what = f"statistics: the same, {size.rows:,} rows"
    return [figures.multiple(what, *taken, against=f"{size.few_rows:,} rows", unit="ms", target=2)]


def milliseconds(work: Callable[[], object]) -> float:
    """Return how long some work took."""
    return 1000 * ground.seconds(work)


def ask(organization: UUID, agent: str, window: Window) -> Answers:
    """Ask the product, in a transaction of its own."""
    with reading_session(organization) as session:
        return answers(session, agent, window)


def scan_apart(organization: UUID, agent: UUID, window: Window) -> Answers:
    """Count the rows, in a transaction of its own."""
    with reading_session(organization) as session:
        return scanned_answers(session, agent, window)


def answers(session: Session, agent: str, window: Window) -> Answers:
    """Return the product's statistics and issues of an agent, as far as they rest on feedback."""
    measured = metrics.measure(session, agent, window)
    found: Answers = {"feedback_count": measured.feedback_count}
    found |= {name: getattr(measured, name) for name in FROM_FEEDBACK}
    for issue in metrics.issues(session, agent, window):
        found |= {issue.category: issue.count, f"{issue.category} share": issue.share}
        found[f"{issue.category} change"] = issue.change
    return found


FROM_FEEDBACK = ("satisfaction", "thumbs_up_share", "correction_rate", "issue_rate")


def scanned_answers(session: Session, agent: UUID, window: Window) -> Answers:
    """Return the same from the agent's rows."""
    before = window.before()
    counted = session.execute(
        SCAN, {"agent": agent, "earliest": before.since, "since": window.since, "until": window.until}
    ).all()
    by_period = {row.is_current: row for row in counted}
    now, then = by_period.get(True), by_period.get(False)
    if now is None:
        return {"feedback_count": 0} | dict.fromkeys(FROM_FEEDBACK)
    return _reactions(now) | _issues(now, then)


def _reactions(now: Row[Any]) -> Answers:
    return {
        "feedback_count": now.feedback_count,
        "satisfaction": intervals.mean_of_levels([getattr(now, f"rating_{star}") for star in range(1, 6)]),
        "thumbs_up_share": intervals.share(now.thumbs_up, now.thumbs_up + now.thumbs_down),
        "correction_rate": intervals.share(now.correction_count, now.feedback_count),
        "issue_rate": intervals.share(now.any_issue_count, now.feedback_count),
    }


def _issues(now: Row[Any], then: Row[Any] | None) -> Answers:
    found: Answers = {}
    for category in IssueCategory:
        if named := getattr(now, f"issue_{category}"):
            share = intervals.share(named, now.feedback_count)
            named_before = getattr(then, f"issue_{category}") if then else 0
            before = intervals.share(named_before, then.feedback_count if then else 0)
            found |= {str(category): named, f"{category} share": share}
            found[f"{category} change"] = _change(share, before)
    return found


def _change(share: Estimate | None, before: Estimate | None) -> Estimate | None:
    return intervals.difference(share, before) if share and before else None


SCAN = text("""
SELECT created_at >= CAST(CAST(:since AS date) AS timestamp) AT TIME ZONE 'UTC' AS is_current,
       count(*) AS feedback_count,
       count(*) FILTER (WHERE feedback_type = 'thumbs_up') AS thumbs_up,
       count(*) FILTER (WHERE feedback_type = 'thumbs_down') AS thumbs_down,
       count(*) FILTER (WHERE rating = 1) AS rating_1,
       count(*) FILTER (WHERE rating = 2) AS rating_2,
       count(*) FILTER (WHERE rating = 3) AS rating_3,
       count(*) FILTER (WHERE rating = 4) AS rating_4,
       count(*) FILTER (WHERE rating = 5) AS rating_5,
       count(correction_text) AS correction_count,
       count(*) FILTER (WHERE issue_categories <> '{}') AS any_issue_count,
       count(*) FILTER (WHERE 'incorrect' = ANY (issue_categories)) AS issue_incorrect,
       count(*) FILTER (WHERE 'incomplete' = ANY (issue_categories)) AS issue_incomplete,
       count(*) FILTER (WHERE 'unclear' = ANY (issue_categories)) AS issue_unclear,
       count(*) FILTER (WHERE 'hallucination' = ANY (issue_categories)) AS issue_hallucination,
       count(*) FILTER (WHERE 'outdated' = ANY (issue_categories)) AS issue_outdated,
       count(*) FILTER (WHERE 'formatting' = ANY (issue_categories)) AS issue_formatting,
       count(*) FILTER (WHERE 'tone' = ANY (issue_categories)) AS issue_tone,
       count(*) FILTER (WHERE 'other' = ANY (issue_categories)) AS issue_other
FROM agent_feedback
WHERE agent_id = :agent AND withdrawn_at IS NULL
  AND created_at >= CAST(CAST(:earliest AS date) AS timestamp) AT TIME ZONE 'UTC'
  AND created_at < CAST(CAST(:until AS date) + 1 AS timestamp) AT TIME ZONE 'UTC'
GROUP BY is_current
""")


# ---------------------------------------------------------------- proved


@contextmanager
def snapshot(organization: UUID) -> Iterator[Session]:
    """Open a transaction in which nothing changes, whoever writes beside it."""
    with Session(db.engine().execution_options(isolation_level="REPEATABLE READ")) as session:
        enter(session, organization)
        yield session


def contradicted(organization: UUID, window: Window) -> int:
    """Count the agents for which a scan of their rows contradicts the product in any figure."""
    return sum(contradicts(organization, agent, window) for agent in AGENTS)


def contradicts(organization: UUID, agent: str, window: Window) -> bool:
    """Return whether a scan of an agent's rows contradicts the product in any figure, and print which."""
    with snapshot(organization) as session:
        mine = answers(session, agent, window)
        id_ = session.execute(AGENT_ID, {"key": agent}).scalar_one()
        theirs = scanned_answers(session, id_, window)
    if mine != theirs:
        wrong = [name for name in mine | theirs if mine.get(name) != theirs.get(name)]
        print(f"{agent}: {[(name, mine.get(name), theirs.get(name)) for name in wrong]}")
    return mine != theirs


def edit_and_withdraw(organization: UUID, edits: int) -> None:
    """Change the figures of half as many rows of all agents, and withdraw as many others."""
    with organization_session(organization) as session:
        some = session.execute(SOME_ROWS, {"n": edits}).all()
        changed = [
            FeedbackEntry(
                id=row.key,
                execution_id=row.execution,
                agent_id=row.agent,
                feedback_type="report_issue",
                rating=1,
                issue_categories=("tone", "outdated"),
                correction_text="The tenth.",
            )
            for row in some[::2]
        ]
        collect(session, changed, "api")
        for row in some[1::2]:
            withdraw(session, row.key)


SOME_ROWS = text("""
SELECT agent_feedback.key, agents.key AS agent, executions.key AS execution
FROM agent_feedback TABLESAMPLE SYSTEM (20)
JOIN agents ON agents.id = agent_feedback.agent_id
JOIN executions ON executions.id = agent_feedback.execution_id
WHERE withdrawn_at IS NULL
ORDER BY hashtextextended(agent_feedback.key, 7)
LIMIT :n
""")


def while_writing(organization: UUID, window: Window, size: Size) -> int:
    """Count the checks that fail, agent after agent, while four threads store and change feedback."""
    done = threading.Event()
    wrong, checks = 0, 0
    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write_until, done, organization, writer) for writer in range(4)]
        try:
            ends = time.monotonic() + size.writing_s
            while time.monotonic() < ends:
                wrong += contradicts(organization, AGENTS[-1 - checks % len(AGENTS)], window)
                checks += 1
        finally:
            done.set()
        written = sum(writer.result() for writer in writers)
    print(f"{written:,} rows written in {size.writing_s:.0f} s by four threads, beside {checks} checks")
    return wrong


def write_until(done: threading.Event, organization: UUID, writer: int) -> int:
    """Store feedback in small transactions, some of it again with other figures; return how many rows."""
    written = 0
    for number in count():
        if done.is_set():
            break
        entries = [
            FeedbackEntry(
                id=f"while-{writer}-{number // 2}-{row}",  # every second transaction changes the one before
                execution_id=execution_key(agent, row),
                agent_id=agent,
                feedback_type="star_rating",
                rating=1 + (writer + number) % 5,
                issue_categories=("unclear",) if number % 2 else (),
            )
            for row, agent in enumerate(AGENTS)
        ]
        in_transaction(organization, partial(collect, entries=entries, source="api"))
        written += len(entries)
    return written
