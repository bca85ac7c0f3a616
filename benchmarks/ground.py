"""The ground a benchmark stands on: its folder, its database, its processes, and what machine this is."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psutil
from sqlalchemy import text

from benchmarks.writers import AGENT, KNOWN_EXECUTIONS, execution_key
from learning_core import access, db, embedded
from learning_core.access import Caller
from learning_core.feedback import rollup
from learning_core.feedback.entries import ExecutionEntry
from learning_core.feedback.executions import record
from learning_core.schema import Role
from learning_core.settings import settings

ROOT = Path(__file__).parent.parent
UNLIMITED = "1000000000"


class Options(NamedTuple):
    """What the person at the command line chose."""

    quick: bool
    clients: int = 64
    base_url: str = ""
    """Of the model that optimizations use; without, the stand-in is served."""
    model: str = ""
    writer: str = ""
    """The model that writes prompts; without, the same one."""
    key_name: str = ""
    """Environment variable that holds the key to the base URL."""
    slots: int = 4
    """How many requests the model takes at a time."""
    seeds: int = 5
    task: str = ""
    """JSONL file of a task of one's own; without, the two generated ones."""
    test: str = ""
    prompt: str = ""
    rows: int = 10_000_000
    """How many executions the large experiment of `exposures` has."""


# ---------------------------------------------------------------- folder and machine


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Lend a folder for a database; afterwards stop what still runs there and delete it."""
    home = Path(tempfile.mkdtemp(prefix="afterglow-bench-", dir="/tmp" if os.name == "posix" else None))
    home.chmod(0o755)  # run by root, PostgreSQL is another user and must find its way in
    try:
        yield home
    finally:
        kill_database(home / embedded.data_folder().name)
        shutil.rmtree(home, ignore_errors=True)


def environment(home: Path | None = None, **more: str) -> dict[str, str]:
    """Return the environment of a process that belongs to the benchmark: this one's, with nothing of the
    machine's own installation, and no limit on how much a key may send.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in OF_AN_INSTALLATION and (not name.startswith("AFTERGLOW_") or name == "AFTERGLOW_HOME")
    }
    kept["AFTERGLOW_FEEDBACK_PER_KEY_PER_MINUTE"] = UNLIMITED
    if home:
        kept["AFTERGLOW_HOME"] = str(home)
    return kept | more


OF_AN_INSTALLATION = ("DATABASE_URL", "DATABASE_APP_URL", "DATABASE_REPLICA_URL", "HOST", "PORT")


def machine() -> str:
    """Say what this runs on: cores, memory, system, Python and PostgreSQL."""
    postgres = subprocess.run(
        [embedded.bin_folder() / "postgres", "--version"], capture_output=True, text=True, check=True
    )
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.machine()},"
        f" Python {platform.python_version()}, {postgres.stdout.strip().removeprefix('postgres ')};"
        f" load {os.getloadavg()[0]:.1f}"
    )


# ---------------------------------------------------------------- database


def postmaster(data_folder: Path | None = None) -> psutil.Process | None:
    """Return the database server's first process, None where it does not run."""
    note = (data_folder or embedded.data_folder()) / "postmaster.pid"
    with contextlib.suppress(OSError, ValueError, IndexError, psutil.NoSuchProcess):
        process = psutil.Process(int(note.read_text().splitlines()[0]))
        if process.name() == "postgres":
            return process
    return None


def kill_database(data_folder: Path | None = None) -> bool:
    """Kill the database server with all its processes, as a power cut would; return whether it ran."""
    first = postmaster(data_folder)
    if first is None:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [first, *first.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=10)
    return True


def maintain(command: str) -> None:
    """Run a command of maintenance (CHECKPOINT, VACUUM ANALYZE) as the owner."""
    with db.owner_engine().connect().execution_options(isolation_level="AUTOCOMMIT") as owner:
        owner.execute(text(command))


def durability() -> str:
    """Say what the application's connections wait for at a commit."""
    with db.shared_session() as session:
        values = {name: session.execute(text(f"SHOW {name}")).scalar() for name in WAITING}
    return ", ".join(f"{name} {value}" for name, value in values.items())


WAITING = ("synchronous_commit", "fsync", "full_page_writes")


def new_organization(name: str) -> UUID:
    """Create an empty organisation."""
    with db.shared_session() as session:
        return access.create_organization(session, name).id


def new_key(organization_id: UUID) -> str:
    """Create an API key that may report."""
    return new_keys(organization_id, ["benchmark"], Role.ENGINEER)[0]


def new_keys(organization_id: UUID, names: Sequence[str], role: Role) -> list[str]:
    """Create an API key of a role for each name."""
    operator = Caller(organization_id, "benchmark", Role.ADMIN)
    with db.organization_session(organization_id) as session:
        return [access.create_key(session, operator, name, role) for name in names]


def report_executions(organization_id: UUID, agent: str = AGENT, count: int = KNOWN_EXECUTIONS) -> None:
    """Report answered executions, `<agent>-0000` and on: an answer comes before what users say about it."""
    entries = [
        ExecutionEntry(
            execution_id=execution_key(agent, number),
            agent_id=agent,
            input_text="When is the VAT return for the third quarter due?",
            output_text="On the tenth of the month that follows the quarter." * 4,
            prompt_version="v1",
            latency_ms=900.0 + number,
        )
        for number in range(count)
    ]
    with db.organization_session(organization_id) as session:
        record(session, entries)


def rows_of(organization_id: UUID) -> int:
    """Count the feedback of an organisation."""
    with db.organization_session(organization_id) as session:
        return int(session.execute(text("SELECT count(*) FROM agent_feedback")).scalar_one())


def wrong_counts(organization_id: UUID) -> int:
    """Count the rows of an organisation's roll-ups that differ from a recount."""
    with db.organization_session(organization_id) as session:
        return sum(rollup.differences(session, roll_up) for roll_up in (rollup.FEEDBACK, rollup.EXECUTIONS))


def as_application(organization_id: UUID) -> dict[str, str]:
    """Return the environment in which PostgreSQL's own programs are the application in an organisation."""
    return environment(
        PGHOST=str(db.application_url().query["host"]),
        PGUSER=db.APPLICATION_ROLE,
        PGDATABASE="postgres",
        PGOPTIONS=f"-c app.organization_id={organization_id}",
    )


# ---------------------------------------------------------------- processes


def free_port() -> int:
    """Return a port on which nothing listens at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str], env: dict[str, str], **options: Any) -> Iterator[psutil.Popen]:
    """Run a program in the repository's root; afterwards stop it with all that it started.

    What it says goes to a file and is shown only where it failed.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = psutil.Popen(
            command,
            **{"cwd": ROOT, "env": env, "stdout": said, "stderr": subprocess.STDOUT} | options,
            start_new_session=True,
        )
        try:
            yield process
        except BaseException:
            said.seek(0)
            print(f"--- {' '.join(command)} said:\n{said.read()[-4000:]}\n---", file=sys.stderr)
            raise
        finally:
            stop(process)


def stop(process: psutil.Popen, patience_s: float = 20) -> None:
    """Ask a process to end, and kill it and its children if it does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGINT)
        try:
            process.wait(patience_s)
        except psutil.TimeoutExpired:
            print(f"{process.pid} does not stop and is killed.", file=sys.stderr)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


@contextmanager
def api_server(
    workers: int = 2, application: str = "learning_core.api:api", **more: str
) -> Iterator[tuple[psutil.Popen, int]]:
    """Run the API alone, as an operator would for agents only, with more set in its environment where given;
    yield its first process and its port.
    """
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", application, "--port", str(port)]
    command += ["--workers", str(workers), "--no-access-log", "--log-level", "warning"]
    with running(command, environment(**more)) as process:
        await_answer(f"http://127.0.0.1:{port}/api/health", process)
        yield process, port


def await_answer(url: str, process: psutil.Popen, patience_s: float = 120) -> float:
    """Wait until an address answers without error and return at what time (time.perf_counter) it did.

    Raises:
        RuntimeError: the process ended, or patience did.
    """
    deadline = time.perf_counter() + patience_s
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The server ended with code {process.returncode} before {url} answered.")
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            answer.read()
            return time.perf_counter()
        time.sleep(0.02)
    raise RuntimeError(f"{url} did not answer within {patience_s:.0f} s.")


class Memory:
    """Samples the resident memory of a process and its children, once a second, until told to stop."""

    def __init__(self, process: psutil.Popen, interval_s: float = 1.0) -> None:
        self.samples: list[float] = []
        self._process, self._interval_s = process, interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.samples.append(resident_mb(self._process))


def resident_mb(process: psutil.Process) -> float:
    """Return the resident memory (MB) of a process and its children."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += member.memory_info().rss
    return total / 2**20


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work took."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def megabytes_of_home() -> float:
    """Return the size of the database's folder."""
    return sum(path.stat().st_size for path in settings().home.rglob("*") if path.is_file()) / 2**20
