"""Who meets which variant: a million users by hash, what asking for it costs, and what counting it costs.

Asking for a user's prompt is put beside the least the same server can do for somebody with a key, in turns:
the median wait of an answer, and the server's processor time for it. Reporting executions and feedback is put
beside the same without an assignment, in one process without HTTP.

Proved: shares are as designed, two experiments are independent of each other, a ramp moves nobody from one
variant to another, and the counts of each user equal the rows.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import sqrt
from typing import NamedTuple
from uuid import UUID, uuid4

import psutil

from benchmarks import figures, ground
from benchmarks.figures import Finding
from benchmarks.ground import Options
from benchmarks.writers import AGENT, is_complete
from learning_core import db
from learning_core.access import Caller
from learning_core.db import in_transaction, organization_session
from learning_core.experiments.assignment import BUCKETS, Slots, slots
from learning_core.feedback import exposures
from learning_core.feedback.collect import collect
from learning_core.feedback.entries import ExecutionEntry
from learning_core.feedback.executions import record
from learning_core.releases.routing import RoutingTable, routing_table
from learning_core.schema import Role
from tests import factories

CLIENTS = (1, 8)
BATCH = 1_000
USERS = 1_000
TRIVIAL = "benchmark/trivial"
RULES = " Name the section of the law that the answer rests on, and say what it does not cover." * 30
"""What makes the prompts as long as prompts are: 2,700 characters."""


class Size(NamedTuple):
    """How many users, how long, how often."""

    users: int
    seconds: float
    rounds: int
    writes: int
    """Transactions of one row per round; a twentieth of them of a batch."""


FULL = Size(users=1_000_000, seconds=3, rounds=9, writes=200)
QUICK = Size(users=50_000, seconds=0.5, rounds=1, writes=20)


def run(options: Options) -> list[Finding]:
    """Assign users, then ask and report."""
    size = QUICK if options.quick else FULL
    return [*assign(size.users), *ask(size), *count(size)]


# ---------------------------------------------------------------- by hash


def assign(users: int) -> list[Finding]:
    """Assign many users and count what is not as it should be."""
    agent, shares = uuid4(), [("treatment", 0.3), ("treatment_2", 0.2), ("control", 0.5)]
    whole = slots(agent, "one salt", (0, BUCKETS), 1.0, shares)
    ramps = [slots(agent, "one salt", (0, BUCKETS), ramp, shares) for ramp in (0.1, 0.5)]
    other = slots(agent, "another salt", (0, BUCKETS), 1.0, [("treatment", 0.5), ("control", 0.5)])
    begun = time.perf_counter()
    met = [whole.assign(f"user-{number}") for number in range(users)]
    took = time.perf_counter() - begun
    met_elsewhere = [other.assign(f"user-{number}") for number in range(users)]
    print(f"{users:,} users assigned in {took:.1f} s.", flush=True)
    found = Counter(met)
    off = sum(
        abs(found[variant] - users * share) > 3 * sqrt(users * share * (1 - share))
        for variant, share in shares
    )
    p = independence(Counter(zip(met, met_elsewhere, strict=True)))
    print(
        f"Shares {[found[variant] / users for variant, _ in shares]}; independence p = {p:.2f}.", flush=True
    )
    return [
        figures.absolute("assignment: one user", [1e6 * took / users], unit="us"),
        figures.proof("assignment: shares off by more than 3 standard errors", off),
        figures.proof("assignment: two experiments that depend on each other (p < 0.001)", int(p < 0.001)),
        figures.proof("assignment: users moved by ramping up", moved([*ramps, whole], users)),
    ]


def independence(table: Counter[tuple[str | None, str | None]]) -> float:
    """Return how probable a chi-square at least as large is if two experiments are independent."""
    from scipy.stats import chi2_contingency

    rows, columns = (sorted({pair[axis] or "" for pair in table}) for axis in (0, 1))
    counts = [[table[row, column] for column in columns] for row in rows]
    return float(chi2_contingency(counts, correction=False).pvalue)


def moved(ramps: list[Slots], users: int) -> int:
    """Count the users who leave a variant at a later ramp."""
    lost = 0
    for number in range(users):
        seen = [each.assign(f"user-{number}") for each in ramps]
        lost += any(before and before != after for before, after in pairwise(seen))
    return lost


# ---------------------------------------------------------------- asking


class Cost(NamedTuple):
    """What one answer takes: the median wait and the server's processor time, both in ms."""

    p50: float
    cpu: float


def ask(size: Size) -> list[Finding]:
    """Ask for users' prompts and for the trivial answer in turn."""
    db.migrate()
    organization = ground.new_organization("Agents")
    open_experiment(organization)
    key = ground.new_key(organization)
    findings: list[Finding] = []
    paths = [[f"prompts/{AGENT}?user_id=user-{number}" for number in range(USERS)], [TRIVIAL]]
    with ground.api_server(1, "benchmarks.trivial:api") as (server, port):
        for clients in CLIENTS:
            ways = [partial(measure, server, port, key, clients, size.seconds, path) for path in paths]
            turns: list[list[Cost]] = [[], []]
            for way in ways:
                way()  # to warm up
            for _ in range(size.rounds):
                for way, taken in zip(ways, turns, strict=True):
                    taken.append(way())
            findings += [
                figures.multiple(
                    f"assignment: asking for a user's prompt, {clients} clients, {name}",
                    *([getattr(cost, name) for cost in taken] for taken in turns),
                    against="trivial route",
                    unit="ms",
                    target=2,
                )
                for name in Cost._fields
            ]
    return findings


def open_experiment(organization: UUID) -> None:
    """Compare two prompts on all users of the agent."""
    with organization_session(organization) as session:
        record(session, [ExecutionEntry(execution_id="first", agent_id=AGENT)])
        factories.allocation(session, Caller(organization, "benchmark", Role.ADMIN), AGENT, more=RULES)


def measure(
    server: psutil.Process, port: int, key: str, clients: int, seconds: float, paths: list[str]
) -> Cost:
    """Let clients ask for a while, each one thing after the other."""
    requests = [
        f"GET /api/learning/{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {key}\r\n\r\n".encode()
        for path in paths
    ]
    before = server.cpu_times()
    waits_s = asyncio.run(_crowd(port, requests, clients, seconds))
    after = server.cpu_times()
    used_s = after.user + after.system - before.user - before.system
    return Cost(1000 * figures.percentile(waits_s, 0.5), 1000 * used_s / len(waits_s))


async def _crowd(port: int, requests: list[bytes], clients: int, seconds: float) -> list[float]:
    ends = time.perf_counter() + seconds
    asked = [_client(port, requests[number::clients] or requests, ends) for number in range(clients)]
    return [wait for waits_s in await asyncio.gather(*asked) for wait in waits_s]


async def _client(port: int, requests: list[bytes], ends: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    waits_s: list[float] = []
    while (begun := time.perf_counter()) < ends:
        writer.write(requests[len(waits_s) % len(requests)])
        answer = b""
        while not is_complete(answer) and (part := await reader.read(65_536)):
            answer += part
        waits_s.append(time.perf_counter() - begun)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer[:500].decode())
    writer.close()
    return waits_s


# ---------------------------------------------------------------- counting


def count(size: Size) -> list[Finding]:
    """Report executions and feedback with an assignment and without, in turn."""
    organization = ground.new_organization("Counting")
    open_experiment(organization)
    with organization_session(organization) as session:
        table = routing_table(session, AGENT)
    findings: list[Finding] = []
    for what, write in (("executions", write_executions), ("feedback", write_feedback)):
        for rows, times in ((1, size.writes), (BATCH, max(1, size.writes // 20))):
            ways = [
                partial(seconds_per_row, partial(write, organization, table, rows, kind), rows, times)
                for kind in (True, False)
            ]
            for way in ways:
                way()  # to warm up
            taken = figures.take_turns(size.rounds, *ways)
            how = "one by one" if rows == 1 else f"in batches of {rows:,}"
            findings.append(
                figures.multiple(
                    f"assignment: {what} that count for their user, {how}",
                    *taken,
                    against="without assignment",
                    unit="ms/row",
                )
            )
    with organization_session(organization) as session:
        wrong = exposures.differences(session)
    return [*findings, figures.proof("assignment: users whose counts differ from a recount", wrong)]


def seconds_per_row(write: Callable[[], Callable[[], object]], rows: int, times: int) -> float:
    """Return the milliseconds that a row takes; what is written is prepared beforehand."""
    spent = sum(ground.seconds(write()) for _ in range(times))
    return 1000 * spent / (rows * times)


def write_executions(
    organization: UUID, table: RoutingTable, rows: int, is_assigned: bool
) -> Callable[[], object]:
    """Prepare to report executions of as many users."""
    entries = [_execution(table, number, is_assigned) for number in range(rows)]
    return lambda: in_transaction(organization, lambda session: record(session, entries))


def write_feedback(
    organization: UUID, table: RoutingTable, rows: int, is_assigned: bool
) -> Callable[[], object]:
    """Prepare to give feedback on executions, which are reported now."""
    executions = [_execution(table, number, is_assigned) for number in range(rows)]
    in_transaction(organization, lambda session: record(session, executions))
    entries = [
        factories.feedback(execution_id=each.execution_id, agent_id=AGENT, rating=4) for each in executions
    ]
    return lambda: in_transaction(organization, lambda session: collect(session, entries, "api"))


def _execution(table: RoutingTable, number: int, is_assigned: bool) -> ExecutionEntry:
    user = f"user-{number if number else uuid4().int % USERS}"
    return ExecutionEntry(
        execution_id=uuid4().hex,
        agent_id=AGENT,
        user_id=user,
        input_text="When is the VAT return for the third quarter due?",
        output_text="On the tenth of the month that follows the quarter." * 4,
        prompt_version="v1",
        latency_ms=900.0,
        assignment=table.route(user).assignment if is_assigned else None,
    )
