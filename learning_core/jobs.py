"""Background work: the queue in PostgreSQL and the process that empties it. Mechanism only.

What is to be done stands in each step's `runs` module. A job gets ids, never objects or secrets.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from procrastinate import App, JobContext, PsycopgConnector, SyncPsycopgConnector
from procrastinate.manager import JobManager
from sqlalchemy.orm import Session

from learning_core.db import application_url

STEPS = [
    "learning_core.feedback.runs",
    "learning_core.review.runs",
    "learning_core.datasets.runs",
    "learning_core.evaluation.runs",
    "learning_core.prompts.runs",
    "learning_core.experiments.runs",
    "learning_core.experiments.scoring",
    "learning_core.releases.runs",
    "learning_core.releases.measuring",
    "learning_core.demo.reviewing",
    "learning_core.demo.releasing",
]
"""The modules that hold tasks."""

queue = App(connector=PsycopgConnector(), import_paths=STEPS)


LONG = "runs"
"""The queue of tasks that may take hours; the others never wait behind them."""

AT_ONCE = {"default": 4, LONG: 8}
"""Queue -> how many of its tasks a worker process runs at a time."""

stopping = threading.Event()
"""Set when this process is about to leave: a long task puts itself back into the queue."""


def defer(session: Session, task: Any, *, lock: str | None = None, **arguments: str) -> int:
    """Put a task into the queue in the session's own transaction: both commit, or neither; return its id.

    Tasks of the same lock run one after the other.
    """
    deferrer = task.configure(connection=session.connection().connection.driver_connection, lock=lock)
    deferrer.job_manager = IN_SESSION
    job: int = deferrer.defer(**arguments)
    return job


HEARTBEAT_S, SILENT_S, LOOK_S = 5, 15, 10
"""How often a worker says that it lives, after how long a silence it is dead, how often somebody looks."""

IN_SESSION = JobManager(SyncPsycopgConnector())
"""Defers through a session's connection. A worker's own connector is asynchronous, and could not use one."""


@queue.periodic(cron=f"* * * * * */{LOOK_S}")
@queue.task(name="jobs.resume", queueing_lock="jobs.resume", pass_context=True)
async def resume(context: JobContext, timestamp: int) -> None:
    """Put jobs back into the queue whose worker died in the middle."""
    known = context.app.job_manager
    for job in await known.get_stalled_jobs(seconds_since_heartbeat=SILENT_S):
        await known.retry_job(job)


@queue.periodic(cron="50 2 * * *")
@queue.task(name="jobs.forget", queueing_lock="jobs.forget", pass_context=True)
async def forget(context: JobContext, timestamp: int) -> None:
    """Delete jobs that were done days ago; failed ones stay."""
    await context.app.job_manager.delete_old_jobs(nb_hours=REMEMBERED_H)


REMEMBERED_H = 72


def work() -> None:
    """Run jobs until stopped; one that was cut off is run again."""
    asyncio.run(_work(AT_ONCE, _until_a_signal()))


@contextmanager
def working() -> Iterator[None]:
    """Run long jobs in a thread of this process while the block lasts, for commands that wait for one."""
    leave = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_work({LONG: 1}, _until_set(leave))), name="worker")
    thread.start()
    try:
        yield
    finally:
        leave.set()
        thread.join()


async def _work(at_once: Mapping[str, int], leaving: Coroutine[Any, Any, None]) -> None:
    stopping.clear()
    dsn = application_url().set(drivername="postgresql").render_as_string(hide_password=False)
    with queue.replace_connector(PsycopgConnector(conninfo=dsn)):  # periodic tasks are deferred through it
        async with queue.open_async():
            workers = [asyncio.create_task(_run_worker(name, most)) for name, most in at_once.items()]
            leaver = asyncio.create_task(leaving)
            await asyncio.wait([leaver, *workers], return_when=asyncio.FIRST_COMPLETED)
            stopping.set()
            for task in (leaver, *workers):
                task.cancel()
            for ended in await asyncio.gather(*workers, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended


async def _run_worker(name: str, most: int) -> None:
    await queue.run_worker_async(
        name=f"afterglow {name}",
        queues=[name],
        concurrency=most,
        shutdown_graceful_timeout=GRACE_S,
        update_heartbeat_interval=HEARTBEAT_S,
        stalled_worker_timeout=SILENT_S,
        install_signal_handlers=False,
    )


async def _until_a_signal() -> None:
    signalled = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows has no such handlers
            asyncio.get_running_loop().add_signal_handler(number, signalled.set)
    await signalled.wait()


async def _until_set(leave: threading.Event) -> None:
    while not leave.is_set():
        await asyncio.sleep(0.1)


GRACE_S = 10
"""How long running tasks have to come to an end when the process is told to."""
