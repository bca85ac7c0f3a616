from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from learning_core import background, jobs
from learning_core.access import Caller
from learning_core.background import Cap, Ending
from learning_core.background.carrying import Watch
from learning_core.errors import (
    Conflict,
    Interrupted,
    InvalidInput,
    NotEnoughData,
    NotFound,
    NotPermitted,
    Unavailable,
)
from learning_core.feedback.executions import register_agents
from learning_core.schema import Role, RunKind, RunStatus


@pytest.fixture
def engineer(organization):
    return Caller(organization.id, "erin", Role.ENGINEER)


@pytest.fixture
def new_run(transaction, engineer):
    def create(**more):
        with transaction() as session:
            register_agents(session, {"tax-advisor"})
            return background.create(
                session, engineer, RunKind.EVALUATION, "tax-advisor", {"seed": 3}, **more
            )

    return create


@pytest.fixture
def status_of(transaction):
    def find(run_id):
        with transaction() as session:
            return background.find(session, run_id).status

    return find


def test_a_run_tells_what_it_was_created_with(new_run, transaction):
    run_id = new_run(cap=Cap(Decimal("1.50"), None, 40), estimate={"calls": 30})
    with transaction() as session:
        run = background.find(session, run_id)
    assert (run.kind, run.agent, run.status) == (RunKind.EVALUATION, "tax-advisor", RunStatus.QUEUED)
    assert run.settings == {"seed": 3}
    assert run.cap == Cap(Decimal("1.50"), None, 40)
    assert run.spent == (0, 0, 0)
    assert run.estimate == {"calls": 30}
    assert run.started_by == "erin"


def test_an_expert_cannot_start_a_run(transaction, organization):
    expert = Caller(organization.id, "ada", Role.EXPERT)
    with pytest.raises(NotPermitted), transaction() as session:
        background.create(session, expert, RunKind.EVALUATION, "tax-advisor", {})


def test_a_run_of_an_unknown_agent_is_refused(transaction, engineer):
    with pytest.raises(NotFound, match="nobody"), transaction() as session:
        background.create(session, engineer, RunKind.EVALUATION, "nobody", {})


def test_a_cap_below_zero_is_refused(new_run):
    with pytest.raises(InvalidInput) as refused:
        new_run(cap=Cap(calls=-1))
    assert refused.value.field == "cap_calls"


def test_a_queued_run_begins_and_one_that_was_cut_off_begins_again(new_run, transaction):
    run_id = new_run()
    with transaction() as session:
        first = background.begin(session, run_id)
    with transaction() as session:
        second = background.begin(session, run_id)
    assert first.status == second.status == RunStatus.RUNNING
    assert first.started_at == second.started_at


@pytest.mark.parametrize("ended", [RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED])
def test_a_run_that_is_over_does_not_begin(new_run, transaction, ended):
    run_id = new_run()
    with transaction() as session:
        background.begin(session, run_id)
        background.finish(session, run_id, ended, stop_reason="it was over")
    with transaction() as session:
        assert background.begin(session, run_id) is None
        run = background.find(session, run_id)
    assert (run.status, run.stop_reason) == (ended, "it was over")
    assert run.finished_at is not None
    assert run.status.is_over


def test_a_proposed_run_waits_until_a_person_queues_it(new_run, transaction, engineer, status_of):
    run_id = new_run(proposed=True)
    with transaction() as session:
        assert background.begin(session, run_id) is None
        background.queue_again(session, engineer, run_id)
    assert status_of(run_id) == RunStatus.QUEUED


def test_reports_add_to_what_is_known_and_bring_back_what_a_person_wishes(new_run, transaction, engineer):
    run_id = new_run()
    with transaction() as session:
        background.begin(session, run_id)
        assert background.report(session, run_id, "Scoring", points=[1]) is None
        background.pause(session, engineer, run_id)
        assert background.report(session, run_id, "Proposing", phase="proposing") == "pause"
        run = background.find(session, run_id)
    assert run.progress == {"activity": "Proposing", "phase": "proposing", "points": [1]}
    assert run.status == RunStatus.RUNNING


def test_a_waiting_run_is_paused_and_cancelled_at_once(new_run, transaction, engineer, status_of):
    run_id = new_run()
    with transaction() as session:
        background.pause(session, engineer, run_id)
    assert status_of(run_id) == RunStatus.PAUSED
    with transaction() as session:
        background.cancel(session, engineer, run_id)
        run = background.find(session, run_id)
    assert (run.status, run.stop_reason) == (RunStatus.CANCELLED, "cancelled by erin")
    assert run.finished_at is not None


def test_a_paused_run_goes_on_and_forgets_the_wish(new_run, transaction, engineer):
    run_id = new_run()
    with transaction() as session:
        background.begin(session, run_id)
        background.pause(session, engineer, run_id)
        background.finish(session, run_id, RunStatus.PAUSED, stop_reason="paused by erin")
        paused = background.find(session, run_id)
        background.queue_again(session, engineer, run_id)
        background.begin(session, run_id)
        going = background.find(session, run_id)
    assert (paused.finished_at, paused.wish) == (None, None)
    assert (going.status, going.wish, going.stop_reason) == (RunStatus.RUNNING, None, None)


@pytest.mark.parametrize("deed", [background.pause, background.cancel, background.queue_again])
def test_what_is_over_is_left_alone(new_run, transaction, engineer, deed):
    run_id = new_run()
    with transaction() as session:
        background.finish(session, run_id, RunStatus.SUCCEEDED, stop_reason="done")
    with pytest.raises(Conflict, match="succeeded"), transaction() as session:
        deed(session, engineer, run_id)


def test_each_wish_is_put_on_record(new_run, transaction, engineer):
    run_id = new_run()
    with transaction() as session:
        background.pause(session, engineer, run_id)
        background.queue_again(session, engineer, run_id)
        background.cancel(session, engineer, run_id)
        actions = session.execute(
            text("SELECT action FROM audit_log WHERE subject = :run ORDER BY id"), {"run": str(run_id)}
        ).scalars()
        assert list(actions) == ["run.started", "run.pause", "run.resume", "run.cancel"]


def test_a_cap_can_be_raised_but_not_below_what_is_spent(new_run, transaction, engineer):
    run_id = new_run(cap=Cap(calls=10))
    with transaction() as session:
        session.execute(text("UPDATE training_runs SET spent_calls = 8, reserved_calls = 1"))
        background.raise_cap(session, engineer, run_id, Cap(Decimal("2.50"), None, 9))
        assert background.find(session, run_id).cap == Cap(Decimal("2.50"), None, 9)
    with pytest.raises(Conflict, match="spent more"), transaction() as session:
        background.raise_cap(session, engineer, run_id, Cap(calls=8))


def test_the_database_itself_refuses_more_calls_than_the_cap(new_run, transaction):
    new_run(cap=Cap(calls=10))
    with pytest.raises(IntegrityError, match="cap"), transaction() as session:
        session.execute(text("UPDATE training_runs SET spent_calls = 8, reserved_calls = 3"))


def test_an_unknown_run_is_not_found(transaction):
    with pytest.raises(NotFound), transaction() as session:
        background.find(session, uuid4())


# ---------------------------------------------------------------- carried out


@pytest.fixture
def carry_out(organization, transaction):
    """Carry out a run by a function; return its row, and the runs that were put back into the queue."""

    def carry_out(run_id, work):
        deferred = []
        background.carry_out(organization.id, run_id, work, lambda _, __, run: deferred.append(run))
        with transaction() as session:
            return background.find(session, run_id), deferred

    return carry_out


def raising(error):
    def work(_):
        raise error

    return work


def test_work_that_is_done_ends_as_it_says(new_run, carry_out):
    done = Ending(RunStatus.SUCCEEDED, "all was scored", {"mean": 0.5})
    run, _ = carry_out(new_run(), lambda carried: done)
    assert (run.status, run.stop_reason, run.result) == (RunStatus.SUCCEEDED, "all was scored", {"mean": 0.5})


def test_an_error_of_the_domain_ends_a_run_with_its_message(new_run, carry_out):
    run, _ = carry_out(new_run(), raising(NotEnoughData("There are 3 examples.")))
    assert (run.status, run.error) == (RunStatus.FAILED, "There are 3 examples.")


def test_any_other_error_ends_a_run_and_is_raised(new_run, carry_out, transaction):
    run_id = new_run()
    with pytest.raises(ZeroDivisionError):
        carry_out(run_id, lambda _: 1 / 0)
    with transaction() as session:
        run = background.find(session, run_id)
    assert (run.status, run.stop_reason) == (RunStatus.FAILED, "an error in Afterglow itself")
    assert run.error == "ZeroDivisionError"


def test_a_database_that_is_gone_ends_nothing(new_run, carry_out, status_of):
    run_id = new_run()
    with pytest.raises(Unavailable):
        carry_out(run_id, raising(Unavailable()))
    assert status_of(run_id) == RunStatus.RUNNING


def test_a_process_that_leaves_puts_its_run_back_into_the_queue(new_run, carry_out):
    run_id = new_run()
    run, deferred = carry_out(run_id, raising(Interrupted()))
    assert (run.status, deferred) == (RunStatus.RUNNING, [run_id])


@pytest.mark.parametrize(
    ("wish", "status"), [(background.pause, RunStatus.PAUSED), (background.cancel, RunStatus.CANCELLED)]
)
def test_what_a_person_wishes_is_done_with_what_there_is_so_far(
    new_run, carry_out, transaction, engineer, wish, status
):
    def work(carried):
        carried.so_far, carried.how_far = lambda: {"mean": 0.5}, lambda: "after 3 of 9 examples"
        with transaction() as session:
            wish(session, engineer, carried.run.id)
        raise Interrupted

    run, deferred = carry_out(new_run(), work)
    assert (run.status, deferred) == (status, [])
    assert run.stop_reason.endswith("by erin after 3 of 9 examples")
    assert run.result == ({"mean": 0.5} if status is RunStatus.CANCELLED else None)


def test_a_watch_looks_up_a_wish_once_a_second_at_most(organization, new_run, transaction, engineer):
    run_id = new_run()
    with transaction() as session:
        background.begin(session, run_id)
    clock = iter([0.0, 0.0, 0.9, 1.0, 1.0, 1.0])
    watch = Watch(organization.id, run_id, lambda: next(clock))
    assert not watch()
    with transaction() as session:
        background.cancel(session, engineer, run_id)
    assert not watch()
    assert watch()


def test_a_watch_stops_at_once_when_the_process_leaves(organization, new_run, monkeypatch):
    watch = Watch(organization.id, new_run())
    assert not watch()
    monkeypatch.setattr(jobs.stopping, "_flag", True)
    assert watch()
