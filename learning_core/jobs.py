"""Background work: the queue in PostgreSQL and the process that empties it. Mechanism only.

What is to be done stands in each step's `runs` module. A job gets ids, never objects or secrets.
"""

from __future__ import annotations

from typing import Any

from procrastinate import App, JobContext, PsycopgConnector, SyncPsycopgConnector
from procrastinate.manager import JobManager
from sqlalchemy.orm import Session

from learning_core.db import application_url

STEPS = [
    "learning_core.feedback.runs",
    "learning_core.review.runs",
    "learning_core.datasets.runs",
    "learning_core.demo.reviewing",
]
"""The modules that hold tasks."""

queue = App(connector=PsycopgConnector(), import_paths=STEPS)


def defer(session: Session, task: Any, **arguments: str) -> int:
    """Put a task into the queue in the session's own transaction: both commit, or neither; return its id."""
    deferrer = task.configure(connection=session.connection().connection.driver_connection)
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
    connector = PsycopgConnector(conninfo=dsn)
    with queue.replace_connector(connector):  # periodic tasks are deferred through the queue itself
        queue.run_worker(name="afterglow", concurrency=4)
