from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from learning_core import background
from learning_core.access import Caller
from learning_core.background import Cap
from learning_core.errors import Conflict, InvalidInput, NotFound, NotPermitted
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
        background.raise_cap(session, engineer, run_id, Cap(calls=9))
        assert background.find(session, run_id).cap == Cap(calls=9)
    with pytest.raises(Conflict, match="spent more"), transaction() as session:
        background.raise_cap(session, engineer, run_id, Cap(calls=8))


def test_the_database_itself_refuses_more_calls_than_the_cap(new_run, transaction):
    new_run(cap=Cap(calls=10))
    with pytest.raises(IntegrityError, match="cap"), transaction() as session:
        session.execute(text("UPDATE training_runs SET spent_calls = 8, reserved_calls = 3"))


def test_an_unknown_run_is_not_found(transaction):
    with pytest.raises(NotFound), transaction() as session:
        background.find(session, uuid4())
