"""Background work: the queue in PostgreSQL and the process that empties it. Mechanism only.

What is to be done stands in each step's `runs` module. A job gets ids, never objects or secrets.
"""

from __future__ import annotations

from typing import Any

from procrastinate import App, PsycopgConnector
from sqlalchemy.orm import Session

from learning_core.db import application_url

STEPS = ["learning_core.feedback.runs"]
"""The modules that hold tasks."""

queue = App(connector=PsycopgConnector(), import_paths=STEPS)


def defer(session: Session, task: Any, **arguments: str) -> int:
    """Put a task into the queue in the session's own transaction: both commit, or neither; return its id."""
    connection = session.connection().connection.driver_connection
    job: int = task.configure(connection=connection).defer(**arguments)
    return job


def work() -> None:
    """Run jobs until stopped; one that was cut off is run again."""
    dsn = application_url().set(drivername="postgresql").render_as_string(hide_password=False)
    connector = PsycopgConnector(conninfo=dsn)
    queue.with_connector(connector).run_worker(name="afterglow", concurrency=4)
