"""Pieces of feedback accepted per second over HTTP, one by one and in batches of a thousand.

Against `pgbench`, PostgreSQL's own program, which inserts the same row into the same table as the same role
under the same policy, with as many clients: no HTTP, no validation, no counts, no examples. Its ids ascend
and its rows know their execution without looking it up; a thousand rows are one statement that it sends. The
two take turns on one database with one durability.

Proved: nothing fails, every acknowledged row is there and no other, and the roll-ups equal the rows.
"""

from __future__ import annotations

import re
import subprocess
from functools import partial
from statistics import median
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from benchmarks import figures, ground, writers
from benchmarks.figures import AT_LEAST, Finding
from benchmarks.ground import Options
from benchmarks.writers import AGENT, KNOWN_EXECUTIONS, Orders, Tally
from learning_core import db, embedded
from learning_core.db import organization_session

BATCH = 1_000


class Size(NamedTuple):
    """How long, how often."""

    seconds: float
    repetitions: int


FULL = Size(seconds=10, repetitions=7)
QUICK = Size(seconds=1, repetitions=1)


def run(options: Options) -> list[Finding]:
    """Let agents and pgbench take turns, then count what is there."""
    size = QUICK if options.quick else FULL
    db.migrate()
    organization, baseline = ground.new_organization("Agents"), ground.new_organization("Baseline")
    ground.report_executions(organization)
    agent = prepare_baseline(baseline)
    key = ground.new_key(organization)
    clients = min(options.clients, 8) if options.quick else options.clients
    tallies: list[Tally] = []
    with ground.api_server() as (server, port):

        def agents(rows: int) -> float:
            ground.maintain("CHECKPOINT")  # so that none pays for what another left to write
            name = f"{rows}-{len(tallies)}"
            tallies.append(writers.drive(Orders(port, key, clients, size.seconds, name, rows)))
            return tallies[-1].rate

        def pgbench(rows: int) -> float:
            ground.maintain("CHECKPOINT")
            script = WRITE_ONE if rows == 1 else WRITE_BATCH
            return rows * transactions_per_second(baseline, agent, script, clients, size)

        print(f"{clients} clients each. Ours: {ground.durability()}.")
        print(f"pgbench: {durability_of_baseline(baseline)}.")
        measures = [partial(way, rows) for rows in (1, BATCH) for way in (agents, pgbench)]
        fresh = figures.take_turns(1, *measures)  # to warm up
        print(f"On a database filled a moment ago, not analysed yet: {fresh[0][0]:,.0f} /s, one by one.")
        ground.maintain("VACUUM ANALYZE")  # as autovacuum does within a minute
        with ground.Memory(server) as memory:
            taken = figures.take_turns(size.repetitions, *measures)
    load = sum(tally.cpu_s for tally in tallies) / sum(tally.seconds for tally in tallies)
    print(f"The clients' process took {load:.0%} of a core.")
    acknowledged = sum(tally.acknowledged for tally in tallies)
    return [
        compare("one by one", taken[:2], target=1 / 3),
        compare(f"in batches of {BATCH:,}", taken[2:], target=1 / 2),
        memory_growth(memory.samples),
        figures.proof("throughput: requests that failed", sum(tally.failures for tally in tallies)),
        figures.proof(
            "throughput: rows missing or too many", abs(acknowledged - ground.rows_of(organization))
        ),
        figures.proof("throughput: wrong rows of the roll-ups", ground.wrong_counts(organization)),
    ]


def compare(how: str, taken: list[list[float]], target: float) -> Finding:
    """Put ours beside the baseline."""
    what = f"throughput: feedback per second, {how}"
    return figures.multiple(what, *taken, against="pgbench", unit="/s", bound=AT_LEAST, target=target)


def memory_growth(samples: list[float]) -> Finding:
    """Compare the server's memory in the last quarter of the run with the first."""
    quarter = max(1, len(samples) // 4)
    first, last = median(samples[:quarter]), median(samples[-quarter:])
    what = "throughput: memory of the server, last quarter"
    return figures.multiple(what, [last], [first], against="first quarter", unit="MB", target=1.1)


# ---------------------------------------------------------------- baseline


def prepare_baseline(organization: UUID) -> UUID:
    """Store an agent and its executions, with ids that follow from their numbers; return the agent's."""
    with organization_session(organization) as session:
        agent: UUID = session.execute(
            text("INSERT INTO agents (key) VALUES (:key) RETURNING id"), {"key": AGENT}
        ).scalar_one()
        session.execute(EXECUTIONS, {"agent": agent, "n": KNOWN_EXECUTIONS})
    return agent


EXECUTIONS = text("""
INSERT INTO executions (id, key, agent_id, prompt_version, input_text, output_text, reported_at)
SELECT CAST(lpad(to_hex(n), 32, '0') AS uuid), 'execution-' || n, :agent, 'v1', 'When is it due?',
       'On the tenth.', now()
FROM generate_series(1, :n) AS n
""")

WRITE_ONE = f"""
\\set n random(1, {KNOWN_EXECUTIONS})
INSERT INTO agent_feedback (
    key, agent_id, execution_id, prompt_version, user_id, feedback_type, rating, accuracy, issue_categories,
    feedback_text, source
) VALUES (
    CAST(uuidv7() AS text), '{{agent}}', CAST(lpad(to_hex(CAST(:n AS int)), 32, '0') AS uuid), 'v1',
    'user-' || CAST(:n AS int), 'star_rating', 4, 5, ARRAY['incomplete'],
    'Correct, but it leaves out the deadline for the annual return.', 'api'
);
"""

COLUMNS = """
    key, agent_id, execution_id, prompt_version, user_id, feedback_type, rating, accuracy, issue_categories,
    feedback_text, source
"""

WRITE_BATCH = f"INSERT INTO agent_feedback ({COLUMNS}) VALUES " + ", ".join(
    f"""(CAST(uuidv7() AS text), '{{agent}}', '{number:032x}', 'v1', 'user-{number}', 'star_rating', 4, 5,
    ARRAY['incomplete'], 'Correct, but it leaves out the deadline for the annual return.', 'api')"""
    for number in range(1, BATCH + 1)
)


def transactions_per_second(organization: UUID, agent: UUID, script: str, clients: int, size: Size) -> float:
    """Run pgbench as the application in an organisation and return its figure."""
    command = [embedded.bin_folder() / "pgbench", "--no-vacuum"]
    command += [f"--client={clients}", "--jobs=2", f"--time={size.seconds:.0f}", "--file=/dev/stdin"]
    done = subprocess.run(
        command,
        input=script.format(agent=agent),
        env=ground.as_application(organization),
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if done.returncode or not found:
        raise RuntimeError(f"pgbench failed: {done.stderr[-2000:]}")
    return float(found.group(1))


def durability_of_baseline(organization: UUID) -> str:
    """Ask as pgbench connects what a commit waits for."""
    command = [embedded.bin_folder() / "psql", "--no-psqlrc", "--tuples-only", "--no-align"]
    command += [part for name in ground.WAITING for part in ("--command", f"SHOW {name}")]
    done = subprocess.run(
        command, env=ground.as_application(organization), capture_output=True, text=True, check=True
    )
    values = done.stdout.split()
    return ", ".join(f"{name} {value}" for name, value in zip(ground.WAITING, values, strict=True))
