"""Dashboard sessions at once, each a real websocket: how long people wait for a page, what a page costs.

One server process shows the demo's pages to 20, 50 and 100 people, who think about 3 seconds between pages.
Against the same app in the same run under Streamlit's defaults (see `untuned`). Both servers run all along on
one database; visitors come to one, then to the other. At last all look at one page, then all at the next:
what each costs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import psutil

from benchmarks import figures, ground, visitors
from benchmarks.figures import Finding
from benchmarks.ground import Options
from benchmarks.visitors import Tour
from learning_core import access, db
from learning_core.demo import reviewing

JUDGED = 50
"""The number of sessions that the targets speak of."""

CPU_AT_MOST_MS = 50


class Size(NamedTuple):
    """How many people, how long, how often."""

    sessions: tuple[int, ...]
    seconds: float
    think_s: float
    repetitions: int
    seconds_a_page: float


FULL = Size(sessions=(20, JUDGED, 100), seconds=40, think_s=3, repetitions=3, seconds_a_page=15)
QUICK = Size(sessions=(5,), seconds=3, think_s=0.5, repetitions=1, seconds_a_page=2)


class Tours(NamedTuple):
    """What people waited (ms) at the median and the 95th percentile, and what a page cost (CPU ms)."""

    p50_ms: float
    p95_ms: float
    cpu_ms: float
    broken: int
    resident_mb: float


class Server(NamedTuple):
    """A server and how it is called."""

    name: str
    process: psutil.Popen
    port: int


def run(options: Options) -> list[Finding]:
    """Send visitors to both servers in turn, in growing numbers."""
    size = QUICK if options.quick else FULL
    findings: list[Finding] = []
    broken = 0
    with ExitStack() as stack:
        tuned = stack.enter_context(served("ours", "learning_core", "serve"))
        untuned = stack.enter_context(served("defaults", "benchmarks.untuned"))
        judge_demo()
        for server in (tuned, untuned):  # warm up
            visitors.visit(Tour(server.port, sessions=3, seconds=2, think_s=0.3, seed=0))
        for sessions in size.sessions:
            taken: dict[str, list[Tours]] = {tuned.name: [], untuned.name: []}
            for repetition in range(size.repetitions):
                for server in (tuned, untuned):
                    taken[server.name].append(tour(server, size, sessions, repetition))
            findings += compare(sessions, taken[tuned.name], taken[untuned.name])
            broken += sum(tours.broken for tours in taken[tuned.name])
        for page in visitors.PAGES:
            tours = tour(tuned, size._replace(seconds=size.seconds_a_page), size.sessions[0], 0, page)
            findings.append(price(page, tours))
            broken += tours.broken
    return [*findings, figures.proof("sessions: pages that show an error or never finish", broken)]


@contextmanager
def served(name: str, *module: str) -> Iterator[Server]:
    """Serve pages in one process, without a worker beside it."""
    port = ground.free_port()
    env = ground.environment(PORT=str(port), AFTERGLOW_WORKER="false")
    with ground.running([sys.executable, "-m", *module], env) as process:
        ground.await_answer(f"http://127.0.0.1:{port}/api/health", process)
        yield Server(name, process, port)


def judge_demo() -> None:
    """Let the demo's experts judge, which a worker would do, so that all pages have something to show."""
    with db.shared_session() as session:
        [demo] = access.organizations(session)
    reviewing.review(str(demo.id), seed="0")


def tour(server: Server, size: Size, sessions: int, seed: int, page: str | None = None) -> Tours:
    """Send visitors to a server, to all pages or to one."""
    pages = visitors.PAGES if page is None else {page: 1.0}
    before = cpu_seconds(server.process)
    visits = visitors.visit(Tour(server.port, sessions, size.seconds, size.think_s, seed, pages))
    spent = cpu_seconds(server.process) - before
    if not visits.waits:
        raise RuntimeError("Nobody got beyond the first page in time.")
    runs = len(visits.waits) + sessions  # each session's first page is not timed, but costs as well
    tours = Tours(
        1000 * figures.percentile(visits.waits, 0.50),
        1000 * figures.percentile(visits.waits, 0.95),
        1000 * spent / runs,
        visits.broken,
        ground.resident_mb(server.process),
    )
    on = "" if page is None else f" on {name_of(page)}"
    print(
        f"{server.name:>8}, {sessions:>3} sessions{on}: {runs:>5} pages, p50 {tours.p50_ms:,.0f} ms,"
        f" p95 {tours.p95_ms:,.0f} ms, {tours.cpu_ms:.0f} ms CPU a page, {tours.resident_mb:.0f} MB,"
        f" {tours.broken} broken",
        flush=True,
    )
    return tours


def cpu_seconds(process: psutil.Process) -> float:
    """Return the processor time that a process has used."""
    used = process.cpu_times()
    return float(used.user + used.system)


def compare(sessions: int, ours: list[Tours], defaults: list[Tours]) -> list[Finding]:
    """Put ours beside the defaults."""
    judged = sessions == JUDGED
    named = f"sessions: {sessions} at once"
    found = [
        figures.speedup(
            f"{named}, {what}",
            [getattr(tours, field) for tours in ours],
            [getattr(tours, field) for tours in defaults],
            against="Streamlit's defaults",
            unit="ms",
            target=10 if judged and field == "p95_ms" else None,
        )
        for field, what in (("p50_ms", "p50"), ("p95_ms", "p95"), ("cpu_ms", "CPU a page"))
    ]
    if judged:
        costs = [tours.cpu_ms for tours in ours]
        found.append(figures.absolute(f"{named}, CPU a page itself", costs, unit="ms", target=CPU_AT_MOST_MS))
    return found


def price(page: str, tours: Tours) -> Finding:
    """Say what one page costs: the deck reads and holds its examples in every run."""
    target = CPU_AT_MOST_MS if page == visitors.JUDGE else None
    return figures.absolute(f"sessions: CPU of {name_of(page)}", [tours.cpu_ms], unit="ms", target=target)


def name_of(page: str) -> str:
    """Return an address in words."""
    return page.replace("?view_of_review=", ", ") or "overview"
