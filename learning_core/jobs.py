"""Background work: the queue in PostgreSQL and the process that empties it. Mechanism only.

What is to be done stands in each step's `runs` module. A job gets ids, never objects or secrets.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import suppress
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
    "learning_core.demo.reviewing",
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


IN_SESSION = JobManager(SyncPsycopgConnector())
"""Defers through a session's connection. A worker's own connector is asynchronous, and could not use one."""


@queue.periodic(cron="* * * * *")
@queue.task(name="jobs.resume", queueing_lock="jobs.resume", pass_context=True)
async def resume(context: JobContext, timestamp: int) -> None:
    """Put jobs back into the queue whose worker died in the middle."""
    known = context.app.job_manager
    for job in await known.get_stalled_jobs():
        await known.retry_job(job)


def work() -> None:
    """Run jobs until stopped; one that was cut off is run again."""
    dsn = application_url().set(drivername="postgresql").render_as_string(hide_password=False)
    with queue.replace_connector(PsycopgConnector(conninfo=dsn)):  # periodic tasks are deferred through it
        asyncio.run(_work())


async def _work() -> None:
    async with queue.open_async():
        workers = [
            asyncio.create_task(
                queue.run_worker_async(
                    name=f"afterglow {name}",
                    queues=[name],
                    concurrency=at_once,
                    shutdown_graceful_timeout=GRACE_S,
                    install_signal_handlers=False,
                )
            )
            for name, at_once in AT_ONCE.items()
        ]
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):  # Windows has no such handlers
                asyncio.get_running_loop().add_signal_handler(number, _stop, workers)
        for done in await asyncio.gather(*workers, return_exceptions=True):
            if isinstance(done, Exception):
                raise done


GRACE_S = 10
"""How long running tasks have to come to an end when the process is told to."""


def _stop(workers: list[asyncio.Task[None]]) -> None:
    stopping.set()
    for worker in workers:
        worker.cancel()
