"""The result page of an experiment with ten million executions, against ten thousand of as many users.

Measured: the page itself with nothing cached, all that it can ask of the database (the experiment, its looks,
its traffic, its segments), and one more look (the sums over its users, then the analysis). Against (1) the
same in another organisation of the same database, where each user came once; against (2) the same sums from
the rows of executions and feedback, which is what a look would cost if the write path kept no counts for each
user.

Each user's first execution, and what comes after the bulk, goes through the write path. The bulk is written
by SQL for the users who are there, and their counts are derived from it.

Proved: the counts of no user differ from a full recount, as the write path left them before the bulk, and
after it when more is reported, changed and withdrawn on top; and both ways of adding up agree in every sum.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from math import isclose
from random import Random
from typing import NamedTuple
from unittest.mock import PropertyMock, patch
from uuid import UUID

import streamlit as st
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from benchmarks import figures, ground
from benchmarks.figures import Finding
from benchmarks.ground import Options
from benchmarks.statistics import milliseconds
from learning_core import db
from learning_core.access import Caller
from learning_core.db import organization_session, reading_session
from learning_core.experiments import allocations, analysis, designs, looks, observation, queries
from learning_core.experiments.analysis import Design, DesignVariant
from learning_core.experiments.observation import OBSERVE
from learning_core.feedback import exposures, rollup
from learning_core.feedback.collect import collect, withdraw
from learning_core.feedback.entries import ExecutionEntry, FeedbackEntry
from learning_core.feedback.executions import record
from learning_core.llm.templates import Prompt
from learning_core.prompts import versions
from learning_core.releases import routing
from learning_core.schema import Role

PAGES = ground.ROOT / "pages"
AGENT = "tax-advisor"
NAME = "Shorter answers"
DAYS = 28
ROWS_AT_ONCE = 50_000
REPORTED_AT_ONCE = 1_000
REACTIONS = 0.2
"""Share (0-1) of executions that somebody reacts to."""


class Size(NamedTuple):
    """How much of everything."""

    users: int
    calls: int
    scans: int
    later: int
    """Executions after the bulk, through the write path."""


FULL = Size(users=10_000, calls=31, scans=5, later=2_000)
QUICK = Size(users=1_000, calls=5, scans=2, later=200)
QUICK_ROWS = 50_000


class Trial(NamedTuple):
    """An experiment under way, and whose it is."""

    organization: UUID
    name: str
    """The organisation's."""
    experiment: UUID
    allocation: UUID
    started: datetime
    now: datetime


def run(options: Options) -> list[Finding]:
    """Fill, measure, prove."""
    size, rows = (QUICK, QUICK_ROWS) if options.quick else (FULL, options.rows)
    logging.disable(logging.WARNING)  # pages speak of the server that they do not have here
    db.migrate()
    now = datetime.now(UTC)
    few, many = begin("Few", now), begin("Many", now)
    for trial in (few, many):
        report(trial, size.users, "first")
    kept = sum(wrong_users(trial) for trial in (few, many))
    took = ground.seconds(partial(fill, many, size.users, rows))
    print(
        f"{rows:,} executions of {size.users:,} users in {took:.0f} s, {ground.megabytes_of_home():,.0f} MB"
    )
    for trial in (few, many):
        look_daily(trial)
    findings = [*against_few(few, many, size, rows), against_scan(many, size, rows)]
    report(many, size.later, "later")
    change(many, size.later)
    return [
        *findings,
        figures.proof("exposures: users whose counts a recount contradicts", kept),
        figures.proof("exposures: the same after the bulk, more reports and changes", wrong_users(many)),
        figures.proof("exposures: sums that the rows contradict", contradicted(many)),
    ]


# ---------------------------------------------------------------- the experiment


def begin(name: str, now: datetime) -> Trial:
    """Start an experiment four weeks ago, in an organisation of its own."""
    caller = Caller(ground.new_organization(name), "benchmark", Role.ADMIN)
    started = now - timedelta(days=DAYS)
    with organization_session(caller.organization_id) as session:
        saved = [
            versions.save(session, caller, AGENT, Prompt.from_text(words), reason="to compare")
            for words in ("Answer the question.", "Answer the question in one sentence.")
        ]
        control, treatment = (
            DesignVariant(variant, str(version.id), version.key, 0.5)
            for variant, version in zip(("control", "treatment"), saved, strict=True)
        )
        design = Design(
            variants=(treatment, control),
            primary="thumbs_up_share",
            smallest_effect=0.05,
            secondary=("satisfaction", "correction_rate", "error_rate", "latency_ms", "cost_usd"),
            minimum_samples=100,  # so that the few are enough for all that a look says
        )
        new = designs.New(agent=AGENT, name=NAME, hypothesis="Short is liked.", design=design)
        experiment = designs.create(session, caller, new)
        designs.start(session, caller, experiment, started)
        allocated = allocations.of_experiment(session, experiment)
    assert allocated is not None
    return Trial(caller.organization_id, name, experiment, allocated.id, started, now)


def report(trial: Trial, executions: int, name: str) -> None:
    """Report executions of one user after the other, and what some say, as agents do it."""
    rng = Random(name)
    with reading_session(trial.organization) as session:
        routes = routing.routing_table(session, AGENT)
    for first in range(0, executions, REPORTED_AT_ONCE):
        reported, said = [], []
        for number in range(first, min(first + REPORTED_AT_ONCE, executions)):
            user = f"user-{number:06d}"
            met = routes.route(user)
            at = trial.started + (trial.now - trial.started) * rng.random()
            key = f"{name}-{number:07d}"
            reported.append(
                ExecutionEntry(
                    execution_id=key,
                    agent_id=AGENT,
                    input_text="When is the VAT return due?",
                    output_text="On the tenth of the month that follows.",
                    prompt_version=met.version,
                    assignment=met.assignment,
                    user_id=user,
                    latency_ms=round(rng.lognormvariate(7, 0.5), 1),
                    cost_usd="0.002",
                    error="timeout" if rng.random() < 0.02 else None,
                    created_at=at,
                )
            )
            if rng.random() < REACTIONS:
                said.append(_reaction(rng, key, at))
        with organization_session(trial.organization) as session:
            record(session, reported)
            collect(session, said, "api")


def _reaction(rng: Random, execution: str, at: datetime) -> FeedbackEntry:
    given = {"id": f"on-{execution}", "execution_id": execution, "agent_id": AGENT, "created_at": at}
    if rng.random() < 0.3:
        return FeedbackEntry(**given, feedback_type="star_rating", rating=rng.randint(1, 5))
    return FeedbackEntry(
        **given,
        feedback_type="thumbs_up" if rng.random() < 0.7 else "thumbs_down",
        issue_categories=("unclear",) if rng.random() < 0.1 else (),
    )


def change(trial: Trial, executions: int) -> None:
    """Let some say something else about what was reported first, and others nothing after all."""
    rng = Random("changes")
    with organization_session(trial.organization) as session:
        said = session.execute(SAID, {"n": executions}).all()
        changed = [_reaction(rng, row.execution, row.created_at) for row in said[::2]]
        collect(session, changed, "api")
        for row in said[1::2]:
            withdraw(session, row.key)


SAID = text("""
SELECT agent_feedback.key, executions.key AS execution, agent_feedback.created_at
FROM agent_feedback JOIN executions ON executions.id = execution_id
WHERE executions.key LIKE 'first-%' ORDER BY executions.key LIMIT :n
""")


def fill(trial: Trial, users: int, rows: int) -> None:
    """Write the rest of the executions by SQL, for users who are there, and derive the counts from them."""
    parts = [(first, min(first + ROWS_AT_ONCE, rows)) for first in range(users, rows, ROWS_AT_ONCE)]
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(_fill_part, trial, *part) for part in parts]:
            done.result()
    with organization_session(trial.organization) as session:
        for roll_up in (rollup.EXECUTIONS, rollup.FEEDBACK):
            rollup.mend(session, roll_up)
        exposures.mend(session)
    ground.maintain("VACUUM ANALYZE")


def _fill_part(trial: Trial, first: int, end: int) -> None:
    with organization_session(trial.organization) as session:
        wish = {"allocation": trial.allocation, "first": first, "end": end, "now": trial.now}
        session.execute(FILL, wish | {"reactions": REACTIONS})


FILL = text("""
WITH came AS MATERIALIZED (
    SELECT exposures.id, allocations.agent_id, user_id, first_at, version.key AS version,
           row_number() OVER (ORDER BY user_id) - 1 AS place, count(*) OVER () AS users
    FROM exposures
    JOIN allocations ON allocations.id = allocation_id
    JOIN allocation_variants AS met
         ON met.allocation_id = allocations.id AND met.variant = exposures.variant
    JOIN prompt_versions AS version ON version.id = met.version_id
    WHERE exposures.allocation_id = :allocation
),
drawn AS MATERIALIZED (
    SELECT n, CAST(floor((SELECT max(users) FROM came) * random() * random()) AS int) AS place,
           random() AS later, random() AS failed, random() AS pace
    FROM generate_series(CAST(:first AS int), CAST(:end AS int) - 1) AS n
),
served AS (
    INSERT INTO executions (
        key, agent_id, prompt_version, user_id, input_text, output_text, error, latency_ms, cost_usd,
        created_at, reported_at, exposure_id
    )
    SELECT 'bulk-' || n, agent_id, version, user_id, 'When is the VAT return due?',
           'On the tenth of the month that follows.', CASE WHEN failed < 0.02 THEN 'timeout' END,
           round(CAST(600 + 1400 * pace * pace AS numeric), 1), 0.002,
           first_at + later * (CAST(:now AS timestamptz) - first_at), CAST(:now AS timestamptz), came.id
    FROM drawn JOIN came USING (place)
    RETURNING id, agent_id, prompt_version, user_id, created_at, exposure_id, key
),
reacted AS (
    SELECT served.*, random() AS kind, random() AS level FROM served WHERE random() < :reactions
)
INSERT INTO agent_feedback (
    key, agent_id, execution_id, prompt_version, user_id, feedback_type, rating, issue_categories,
    correction_text, source, created_at, exposure_id
)
SELECT 'on-' || key, agent_id, id, prompt_version, user_id,
       CASE WHEN kind < 0.50 THEN 'thumbs_up' WHEN kind < 0.70 THEN 'thumbs_down'
            WHEN kind < 0.95 THEN 'star_rating' ELSE 'correction' END,
       CASE WHEN kind BETWEEN 0.70 AND 0.95 THEN 1 + CAST(floor(5 * sqrt(level)) AS int) END,
       CASE WHEN level < 0.1 THEN ARRAY['unclear'] ELSE '{}' END,
       CASE WHEN kind >= 0.95 THEN 'On the twelfth.' END,
       'api', created_at, exposure_id
FROM reacted
""")


def look_daily(trial: Trial) -> None:
    """Take a look for each day that the experiment has run."""
    for day in range(1, DAYS + 1):
        with organization_session(trial.organization) as session:
            looks.take(session, trial.experiment, trial.started + timedelta(days=day))


# ---------------------------------------------------------------- measured


def against_few(few: Trial, many: Trial, size: Size, rows: int) -> list[Finding]:
    """Take turns with the same question where each user came once."""
    findings = []
    for name, ask in QUESTIONS.items():
        asked = [partial(milliseconds, partial(ask, trial)) for trial in (many, few)]
        figures.take_turns(2, *asked)  # to warm up
        taken = figures.take_turns(size.calls, *asked)
        what, against = f"exposures: {name}, {rows:,} executions", f"{size.users:,} executions"
        findings.append(figures.multiple(what, *taken, against=against, unit="ms", target=2))
    return findings


def against_scan(many: Trial, size: Size, rows: int) -> Finding:
    """Take turns with the same sums from the rows."""
    ours, scan = (partial(milliseconds, partial(ask, many)) for ask in (add_up, add_up_rows))
    figures.take_turns(1, ours, scan)  # to warm up
    taken = figures.take_turns(size.scans, ours, scan)
    what = f"exposures: the sums of a look, {rows:,} executions"
    return figures.speedup(what, *taken, against="sums from the rows", unit="ms", target=50)


def open_page(trial: Trial) -> None:
    """Open the result page as somebody at this machine, with nothing cached."""
    at_this_machine = {"new_callable": PropertyMock, "return_value": {"Host": "localhost:8501"}}
    with patch.object(type(st.context), "headers", **at_this_machine):
        st.cache_data.clear()
        page = AppTest.from_file(PAGES / "index.py", default_timeout=300)
        page.query_params["organization"] = trial.name
        page.query_params["experiment"] = str(trial.experiment)
        page.switch_page(str(PAGES / "experiments.py"))
        page.run()
    assert not page.exception, page.exception
    assert page.title[0].value == NAME, page.title


def ask_all(trial: Trial) -> None:
    """Ask all that the page can ask."""
    with reading_session(trial.organization) as session:
        queries.find(session, trial.experiment)
        queries.looks(session, trial.experiment)
        queries.traffic(session, trial.experiment)
        queries.segments(session, trial.experiment)


def look(trial: Trial) -> None:
    """Look once more, without putting it on record."""
    with reading_session(trial.organization) as session:
        found = queries.find(session, trial.experiment)
        observations, traffic = observation.observe(session, trial.allocation, prior=found.design.prior)
    analysis.look(found.design, observations, traffic, found.look, trial.now)


QUESTIONS: dict[str, Callable[[Trial], None]] = {
    "the page": open_page,
    "all that it asks": ask_all,
    "one more look": look,
}


# ---------------------------------------------------------------- proved

Sums = dict[tuple[int, str, str, str], float]
"""Phase, variant, metric and name of a sum -> the sum."""


def wrong_users(trial: Trial) -> int:
    """Count the users whose counts differ from a recount of all rows."""
    with reading_session(trial.organization) as session:
        return exposures.differences(session)


def contradicted(trial: Trial) -> int:
    """Count the sums in which the kept counts and the rows do not agree."""
    mine, theirs = add_up(trial), add_up_rows(trial)
    assert mine
    return sum(
        not isclose(mine.get(name, 0.0), theirs.get(name, 0.0), rel_tol=1e-9) for name in mine | theirs
    )


def add_up(trial: Trial) -> Sums:
    """Return the sums over users from the counts that are kept."""
    return _sums(trial, OBSERVE.text)


def add_up_rows(trial: Trial) -> Sums:
    """Return the same sums with each user's counts taken from the rows."""
    return _sums(trial, FROM_ROWS)


def _sums(trial: Trial, statement: str) -> Sums:
    wish = {"allocation": trial.allocation, "weight_icc": 0.0, "shrinkage": None}
    with reading_session(trial.organization) as session:
        return {
            (row.phase, row.variant, row.metric, name): float(getattr(row, name))
            for row in session.execute(text(statement), wish)
            for name in ("users", "n", "s", "nn", "ns", "ss", "observations")
        }


UNCOUNTED = """allocation_id, user_id, variant, phase, crossed, first_at, prior_feedback_count,
prior_rating_count, prior_rating_sum, prior_thumbs_count, prior_thumbs_up_count, prior_correction_count,
prior_any_issue_count"""

FROM_ROWS = f"""{exposures.RECOUNT},
exposures AS MATERIALIZED (  -- from here on the name stands for this
    SELECT recounted.*, {UNCOUNTED} FROM recounted JOIN exposures USING (id)
), {OBSERVE.text.strip().removeprefix("WITH ")}"""
