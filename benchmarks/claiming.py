"""How long one claim takes, against a plain SELECT of one pending row, which holds nothing for anybody.

Over HTTP, both routes are served by the same processes to the same fifty people, who think between requests
or do not; they claim and give back, or read. Then in one process without HTTP, by one thread and by eight;
and on a million pending examples, before the tables were ever analysed and afterwards, for a reviewer who
wants any of them and for one who wants those of a rare agent.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks import figures, ground, reviewers
from benchmarks.figures import Finding
from benchmarks.plain_read import read_one
from benchmarks.reviewers import CLAIM, READ, Orders, Tally
from benchmarks.writers import AGENT
from learning_core.access import Caller
from learning_core.db import in_transaction, organization_session
from learning_core.review import queue
from learning_core.review.items import Item, items
from learning_core.review.queue import ANY, Filters
from learning_core.schema import Role

REVIEWERS = 50
THREADS = 8
TARGET = 5
RARE = "rare-advisor"
PLAIN = "SELECT of one pending row"


class Size(NamedTuple):
    """How long, how often, how many."""

    seconds: float
    rounds: int
    claims: int
    """Per round and thread, without HTTP."""
    pending: int
    """In the large organisation."""


FULL = Size(seconds=5, rounds=7, claims=200, pending=1_000_000)
QUICK = Size(seconds=0.8, rounds=1, claims=10, pending=5_000)


class Spread(NamedTuple):
    """The median and the 95th percentile of waits, in ms."""

    p50: float
    p95: float


Pair = tuple[Spread, Spread]
"""Claims, and the plain SELECT beside them."""


def compare(organization: UUID, size: Size) -> list[Finding]:
    """Measure claims in an organisation of ordinary size, over HTTP and without, then in a large one."""
    names = [f"reviewer-{number:02d}" for number in range(REVIEWERS)]
    keys = ground.new_keys(organization, names, Role.EXPERT)
    findings: list[Finding] = []
    with ground.api_server(application="benchmarks.plain_read:api") as (_, port):
        for words, think_s in ((f"{REVIEWERS} who think for 1 s", 1.0), (f"{REVIEWERS} without pause", 0.0)):
            orders = Orders(port, names, keys, CLAIM, size.seconds, think_s)
            taken, refused = over_http(orders, size)
            findings += put(f"claim over HTTP, {words}", taken, TARGET)
            findings.append(figures.proof(f"review: claims refused or empty, {words}", refused))
    findings += put("claim, 1 thread", alternate(organization, size))
    findings += put(f"claim, {THREADS} threads", side_by_side(organization, size))
    return [*findings, *in_a_large_organization(size)]


def put(what: str, taken: list[Pair], target: float | None = None) -> list[Finding]:
    """Put claims beside the plain SELECT."""
    return [
        figures.multiple(
            f"review: {what}, {name}",
            [getattr(claims, name) for claims, _ in taken],
            [getattr(plain, name) for _, plain in taken],
            against=PLAIN,
            unit="ms",
            target=target,
        )
        for name in Spread._fields
    ]


def spread(waits_s: list[float]) -> Spread:
    """Summarise waits."""
    return Spread(*(1000 * figures.percentile(waits_s, share) for share in (0.50, 0.95)))


# ---------------------------------------------------------------- over HTTP


def over_http(orders: Orders, size: Size) -> tuple[list[Pair], int]:
    """Let the same people claim and read in turn; return what they waited and how many were refused."""
    tallies: list[Tally] = []

    def turn(task: str) -> Spread:
        tallies.append(reviewers.drive(replace(orders, task=task)))
        return spread(tallies[-1].waits_s[task])

    for task in (CLAIM, READ):  # to warm up, without pause, so that all connections are open
        reviewers.drive(replace(orders, task=task, seconds=size.seconds / 2, think_s=0))
    taken = [(turn(CLAIM), turn(READ)) for _ in range(size.rounds)]
    show(orders.think_s, tallies)
    return taken, sum(sum(tally.refused.values()) for tally in tallies)


def show(think_s: float, tallies: list[Tally]) -> None:
    """Print how many requests were made in a second."""
    seconds = sum(tally.seconds for tally in tallies) / 2
    rates = {
        request: sum(len(tally.waits_s.get(request, [])) for tally in tallies) / seconds
        for request in ("claim", "give_back", "read")
    }
    told = ", ".join(f"{rate:,.0f} {request}" for request, rate in rates.items())
    print(f"{REVIEWERS} people, pause {think_s:.0f} s: {told} /s, each in its turn", flush=True)


# ---------------------------------------------------------------- without HTTP


def claim_one(organization: UUID, reviewer: Caller, filters: Filters = ANY) -> list[Item]:
    """Claim an example and read it, as the route does."""

    def work(session: Session) -> list[Item]:
        claimed = queue.claim(session, reviewer, filters, 1)
        return items(session, reviewer, claimed, datetime.now(UTC))

    return in_transaction(organization, work)


def give_back(organization: UUID, reviewer: Caller) -> None:
    """End what was claimed."""
    in_transaction(organization, lambda session: queue.give_back(session, reviewer))


def read(organization: UUID) -> None:
    """Read the pending row that comes first."""
    with organization_session(organization) as session:
        read_one(session)


def alternate(organization: UUID, size: Size, filters: Filters = ANY) -> list[Pair]:
    """Claim and read in turn on one thread."""
    reviewer = Caller(organization, "thread-0", Role.EXPERT)

    def one_round() -> Pair:
        claims_s, reads_s = [], []
        for _ in range(size.claims):
            claims_s.append(ground.seconds(lambda: claim_one(organization, reviewer, filters)))
            give_back(organization, reviewer)
            reads_s.append(ground.seconds(lambda: read(organization)))
        return spread(claims_s), spread(reads_s)

    one_round()  # to warm up
    return [one_round() for _ in range(size.rounds)]


def side_by_side(organization: UUID, size: Size) -> list[Pair]:
    """Let all threads claim, then all read, in turn."""
    callers = [Caller(organization, f"thread-{number}", Role.EXPERT) for number in range(THREADS)]

    def claim_often(reviewer: Caller) -> list[float]:
        waits_s = []
        for _ in range(size.claims):
            waits_s.append(ground.seconds(lambda: claim_one(organization, reviewer)))
            give_back(organization, reviewer)
        return waits_s

    def read_often(_: Caller) -> list[float]:
        return [ground.seconds(lambda: read(organization)) for _ in range(size.claims)]

    with ThreadPoolExecutor(THREADS) as pool:

        def all_at(work: Callable[[Caller], list[float]]) -> Spread:
            return spread([wait for waits_s in pool.map(work, callers) for wait in waits_s])

        all_at(claim_often)  # to warm up
        return [(all_at(claim_often), all_at(read_often)) for _ in range(size.rounds)]


# ---------------------------------------------------------------- a large organisation


def in_a_large_organization(size: Size) -> list[Finding]:
    """Measure claims where very many examples wait."""
    ground.maintain("ALTER TABLE learning_examples SET (autovacuum_enabled = off)")
    organization = ground.new_organization("Large")
    took = ground.seconds(partial(fill, organization, size.pending))
    print(f"{size.pending:,} pending examples took {took:.0f} s to insert.", flush=True)
    findings = put(f"claim, {size.pending:,} pending, never analysed", alternate(organization, size))
    ground.maintain("VACUUM ANALYZE")
    findings += put(f"claim, {size.pending:,} pending", alternate(organization, size))
    few = size._replace(claims=min(size.claims, 3), rounds=min(size.rounds, 3))
    rare = alternate(organization, few, Filters(agent=RARE))
    return [*findings, *put(f"claim of a rare agent's, {size.pending:,} pending", rare)]


def fill(organization: UUID, pending: int) -> None:
    """Insert examples of one agent, and three of another that come last."""
    with organization_session(organization) as session:
        for begin in range(0, pending, 100_000):
            numbers = {"from": begin, "to": min(begin + 100_000, pending) - 1}
            session.execute(EXAMPLES, numbers | {"agent": agent_of(session, AGENT), "least": 0.2})
        session.execute(EXAMPLES, {"from": 0, "to": 2, "agent": agent_of(session, RARE), "least": 0.0})


def agent_of(session: Session, key: str) -> UUID:
    """Return the id of an agent, which is registered at first sight."""
    found: UUID = session.execute(AGENT_OF, {"key": key}).scalar_one()
    return found


AGENT_OF = text("""
INSERT INTO agents (key) VALUES (:key)
ON CONFLICT (organization_id, key) DO UPDATE SET key = excluded.key
RETURNING id
""")

EXAMPLES = text("""
INSERT INTO learning_examples (
    agent_id, example_type, source, input_text, original_output, expected_output, priority, evidence,
    ranked_at
)
SELECT :agent, 'correction', 'import', 'When is the VAT return for the third quarter due?',
       repeat('On the tenth of the month that follows the quarter.', 4),
       repeat('On the last day of the month that follows the quarter.', 4),
       :least + (n * CAST(7919 AS int8) % 1000003) / 1000003.0 * 0.1,
       '{"type": "correction", "severity": 0.6}', now()
FROM generate_series(CAST(:from AS int8), :to) AS n
""")
