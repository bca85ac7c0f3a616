from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest
from procrastinate import PsycopgConnector
from sqlalchemy import text

from learning_core import access, db, jobs
from learning_core.feedback import rollup
from learning_core.feedback.collect import collect
from learning_core.feedback.executions import record
from learning_core.feedback.runs import verify, verify_all
from learning_core.jobs import defer
from tests.factories import execution, feedback


@pytest.fixture
def tampered(organization, transaction):
    """The organisation with counts that no longer equal its rows."""
    with transaction() as session:
        record(session, [execution(execution_id="e1")])
        collect(session, [feedback(id="f1", execution_id="e1"), feedback(id="f2")], "api")
    with transaction() as session:
        session.execute(text("UPDATE feedback_daily SET feedback_count = feedback_count + 5"))
        session.execute(text("DELETE FROM executions_daily"))
    return organization


def wrong(transaction) -> int:
    with transaction() as session:
        return sum(rollup.differences(session, each) for each in (rollup.FEEDBACK, rollup.EXECUTIONS))


def repairs(transaction) -> list:
    with transaction() as session:
        log = access.audit_log(session)
    return sorted(log[log.action == "rollup.rebuilt"].subject)


def jobs_of(organization) -> list:
    with db.shared_session() as session:
        mine = "SELECT status FROM procrastinate_jobs WHERE args ->> 'organization_id' = :id"
        return list(session.execute(text(mine), {"id": str(organization.id)}).scalars())


def test_verifying_mends_counts_that_differ_from_the_rows_and_puts_it_on_record(
    tampered, transaction, caplog
):
    assert wrong(transaction) > 0
    verify(organization_id=str(tampered.id))
    assert wrong(transaction) == 0
    assert repairs(transaction) == ["executions_daily", "feedback_daily"]
    assert "feedback_daily were wrong" in caplog.text


def test_verifying_exact_counts_changes_and_records_nothing(organization, transaction):
    with transaction() as session:
        collect(session, [feedback()], "api")
    verify(organization_id=str(organization.id))
    assert repairs(transaction) == []


def test_verifying_one_organisation_leaves_another_alone(tampered, other_organization, transaction):
    verify(organization_id=str(other_organization.id))
    assert wrong(transaction) > 0


def test_a_job_deferred_in_a_transaction_that_rolls_back_does_not_exist(organization, transaction):
    with suppress(KeyboardInterrupt), transaction() as session:
        defer(session, verify, organization_id=str(organization.id))
        raise KeyboardInterrupt
    assert jobs_of(organization) == []


def test_a_job_deferred_in_a_transaction_that_commits_waits_for_a_worker(organization, transaction):
    with transaction() as session:
        job = defer(session, verify, organization_id=str(organization.id))
        assert isinstance(job, int)
    assert len(jobs_of(organization)) == 1


def test_the_nightly_run_queues_every_organisation_that_was_not_removed(organization, other_organization):
    with db.organization_session(other_organization.id) as session:
        admin = access.Caller(other_organization.id, "admin", access.Role.ADMIN)
        access.remove_organization(session, admin)
    verify_all(timestamp=0)
    assert len(jobs_of(organization)) == 1
    assert jobs_of(other_organization) == []


def test_a_job_whose_worker_died_goes_back_into_the_queue(organization, transaction):
    with transaction() as session:
        cut_off = defer(session, verify, organization_id=str(organization.id))
        defer(session, verify, organization_id=str(organization.id))
        started = "UPDATE procrastinate_jobs SET status = 'doing' WHERE id = :id"
        session.execute(text(started), {"id": cut_off})

    do_once(jobs.resume)
    assert jobs_of(organization) == ["todo", "todo"]


def do_once(periodic) -> None:
    async def do() -> None:
        dsn = db.application_url().set(drivername="postgresql").render_as_string(hide_password=False)
        with jobs.queue.replace_connector(PsycopgConnector(conninfo=dsn)) as app:
            async with app.open_async():
                await periodic(SimpleNamespace(app=app), timestamp=0)

    asyncio.run(do())


def test_jobs_that_were_done_long_ago_are_forgotten_and_failed_ones_stay(organization, transaction):
    with transaction() as session:
        for status in ("succeeded", "failed", "todo"):
            job = defer(session, verify, organization_id=str(organization.id))
            session.execute(text(FINISHED), {"id": job, "status": status})
            session.execute(text(LONG_AGO), {"id": job})
    do_once(jobs.forget)
    assert sorted(jobs_of(organization)) == ["failed", "todo"]


FINISHED = "UPDATE procrastinate_jobs SET status = CAST(:status AS procrastinate_job_status) WHERE id = :id"
LONG_AGO = "UPDATE procrastinate_events SET at = now() - interval '9 days' WHERE job_id = :id"


def test_a_worker_process_runs_what_was_deferred_and_what_is_due(home):
    environment = {**os.environ, "AFTERGLOW_HOME": str(home)}
    command = [sys.executable, "-c", DEFER_AND_WORK]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "[('succeeded', 0)]\n"), done.stderr


DEFER_AND_WORK = """
import subprocess, sys, time
from sqlalchemy import text
from learning_core import db
from learning_core.feedback import rollup
from learning_core.feedback.collect import collect
from learning_core.feedback.runs import verify_all
from learning_core.jobs import defer
from tests import factories

db.migrate()
organization = factories.organization()
with db.organization_session(organization.id) as session:
    collect(session, [factories.feedback()], "api")
    session.execute(text("UPDATE feedback_daily SET feedback_count = 5"))
    defer(session, verify_all, timestamp=0)  # within the worker it defers the verification

def jobs():
    with db.organization_session(organization.id) as session:
        wrong = rollup.differences(session, rollup.FEEDBACK)
        found = session.execute(
            text("SELECT status FROM procrastinate_jobs WHERE task_name = 'feedback.verify'")
        ).scalars()
        return [(status, wrong) for status in found]

def periodic():
    with db.shared_session() as session:
        found = text("SELECT status FROM procrastinate_jobs WHERE task_name = 'jobs.resume'")
        return list(session.execute(found).scalars())

worker = subprocess.Popen([sys.executable, "-m", "learning_core", "worker"])
while not jobs() or jobs()[0][0] in ("todo", "doing"):
    assert worker.poll() is None
    time.sleep(0.1)
print(jobs())
while "succeeded" not in periodic():
    assert worker.poll() is None
    time.sleep(0.1)
worker.terminate()
worker.wait(timeout=30)
"""
