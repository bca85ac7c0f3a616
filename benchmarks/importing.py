r"""Rows per second and peak memory of `afterglow import feedback`, for a file of a million rows.

Against `\copy` of PostgreSQL's own psql, which puts the same rows straight into the table: no validation, no
counts, no examples, and as owner, because COPY refuses a table whose policy binds its user. Each import is a
process of its own and goes to an organisation of its own, in which the executions are known already. Its
memory is compared with that for a file of ten thousand rows.

Proved: each import stores every row, and the roll-ups equal the rows.
"""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from benchmarks import figures, ground
from benchmarks.figures import Finding
from benchmarks.ground import Options
from benchmarks.writers import AGENT, KNOWN_EXECUTIONS, execution_key
from learning_core import access, db, embedded
from learning_core.db import organization_session
from learning_core.settings import settings


class Size(NamedTuple):
    """How many rows, how often."""

    rows: int
    few_rows: int
    repetitions: int


FULL = Size(rows=1_000_000, few_rows=10_000, repetitions=3)
QUICK = Size(rows=10_000, few_rows=2_000, repetitions=1)

COLUMNS = (
    "organization_id, key, agent_id, execution_id, prompt_version, user_id, feedback_type, rating, accuracy,"
    " issue_categories, feedback_text, correction_text, source, created_at"
)


class Imported(NamedTuple):
    """What one run of the command came to."""

    rows_per_second: float
    peak_mb: float
    wrong: int


def run(options: Options) -> list[Finding]:
    """Import and copy in turn."""
    size = QUICK if options.quick else FULL
    db.migrate()
    folder = settings().home
    many, few = folder / "many.jsonl", folder / "few.jsonl"
    write_jsonl(many, size.rows)
    write_jsonl(few, size.few_rows)
    print(f"{size.rows:,} rows, {many.stat().st_size / 2**20:,.0f} MB of JSONL")
    numbers = count()
    imports, copies, small = [], [], []
    for _ in range(size.repetitions):
        small.append(import_file(few, size.few_rows, next(numbers)))
        imports.append(import_file(many, size.rows, next(numbers)))
        copies.append(copy(many, size.rows, next(numbers)))
    rates = [done.rows_per_second for done in imports]
    peaks = [done.peak_mb for done in imports]
    peaks_of_few = [done.peak_mb for done in small]
    return [
        figures.multiple("importing: rows per second", rates, copies, against="psql \\copy", unit="/s"),
        figures.multiple(
            f"importing: peak memory, {size.rows:,} rows",
            peaks,
            peaks_of_few,
            against=f"{size.few_rows:,} rows",
            unit="MB",
            target=1.1,
        ),
        figures.proof(
            "importing: rows and counts that are missing", sum(done.wrong for done in imports + small)
        ),
    ]


def import_file(path: Path, rows: int, number: int) -> Imported:
    """Import a file by the command line into an organisation of its own."""
    organization = ground.new_organization(f"Import {number}")
    ground.report_executions(organization)
    with db.shared_session() as session:
        slug = {known.id: known.slug for known in access.organizations(session)}[organization]
    command = [sys.executable, "-m", "learning_core", "import", "feedback", str(path), "--organization", slug]
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=ground.ROOT, env=ground.environment(), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"The import ended with code {process.returncode}.")
    missing = rows - ground.rows_of(organization)
    return Imported(rows / took, used.ru_maxrss / 1024, abs(missing) + ground.wrong_counts(organization))


def copy(path: Path, rows: int, number: int) -> float:
    """Copy the same rows into the table, in an organisation of their own; return rows per second."""
    organization = ground.new_organization(f"Copy {number}")
    ground.report_executions(organization)
    table = path.with_suffix(".csv")
    write_csv(path, table, organization)
    command = [embedded.bin_folder() / "psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"]
    command += ["--command", f"\\copy agent_feedback ({COLUMNS}) FROM '{table}' (FORMAT csv)"]
    as_owner = ground.as_application(organization) | {"PGUSER": embedded.OWNER}
    begun = time.perf_counter()
    subprocess.run(command, env=as_owner, check=True)
    took = time.perf_counter() - begun
    table.unlink()
    return rows / took


# ---------------------------------------------------------------- files


def write_jsonl(path: Path, rows: int) -> None:
    """Write feedback as another system would have exported it: mixed, over ninety days."""
    rng = random.Random(7)
    now = datetime.now(UTC)
    with path.open("w") as file:
        for number in range(rows):
            file.write(json.dumps(invent(rng, number, now)) + "\n")


def invent(rng: random.Random, number: int, now: datetime) -> dict[str, Any]:
    """Invent one piece of feedback."""
    row: dict[str, Any] = {
        "id": f"ticket-{number:08d}",
        "execution_id": execution_key(AGENT, number % KNOWN_EXECUTIONS),
        "agent_id": AGENT,
        "user_id": f"user-{rng.randrange(5_000)}",
        "created_at": (now - timedelta(seconds=rng.randrange(90 * 86_400))).isoformat(),
    }
    kind = rng.random()
    if kind < 0.6:
        return row | {"feedback_type": "thumbs_up" if kind < 0.45 else "thumbs_down"}
    if kind < 0.9:
        remark = "Correct, but it leaves out the deadline for the annual return."
        more = {"issue_categories": ["incomplete"], "feedback_text": remark} if kind > 0.75 else {}
        rating, accuracy = rng.randint(1, 5), rng.randint(1, 5)
        return row | {"feedback_type": "star_rating", "rating": rating, "accuracy": accuracy} | more
    if kind < 0.95:
        return row | {"feedback_type": "correction", "correction_text": "The threshold is 50,000 a year."}
    return row | {"feedback_type": "report_issue", "issue_categories": ["outdated", "incorrect"]}


def write_csv(path: Path, table: Path, organization: UUID) -> None:
    """Write the rows of a file of feedback as the table will hold them."""
    with organization_session(organization) as session:
        agent = session.execute(text("SELECT id FROM agents")).scalar_one()
        executions = dict(session.execute(text("SELECT key, id FROM executions")).tuples().all())
    with path.open() as source, table.open("w", newline="") as sink:
        writer = csv.writer(sink)
        for line in source:
            row = json.loads(line)
            writer.writerow(
                (
                    organization,
                    row["id"],
                    agent,
                    executions[row["execution_id"]],
                    "v1",
                    row["user_id"],
                    row["feedback_type"],
                    row.get("rating"),
                    row.get("accuracy"),
                    f"{{{','.join(row.get('issue_categories', ()))}}}",
                    row.get("feedback_text"),
                    row.get("correction_text"),
                    "import",
                    row["created_at"],
                )
            )
