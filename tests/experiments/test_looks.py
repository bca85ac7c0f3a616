"""Experiments from their first user to their end, on a simulated clock, through the real write path."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from learning_core import access
from learning_core.errors import Conflict, NotFound
from learning_core.experiments import designs, looks, queries
from learning_core.experiments.analysis import Direction, Guardrail, Method, MismatchState
from learning_core.experiments.guardrails import State
from learning_core.feedback.collect import collect, withdraw
from learning_core.schema import AllocationStatus, ExperimentDecision, ExperimentStatus
from tests import factories
from tests.experiments.crowd import AGENT, Crowd, Manner, assigned, fix_salt, on, settle

BETTER = Manner(liked={"control": 0.45, "treatment": 0.75})
FAILING = Manner(failed={"control": 0.01, "treatment": 0.4})
BROKEN = Manner(liked=BETTER.liked, reported={"control": 1.0, "treatment": 0.4})


@pytest.fixture
def bench(organization, monkeypatch):
    fix_salt(monkeypatch)
    return settle(organization)


@pytest.fixture
def lived(bench):
    """Start an experiment and let days pass: `lived(manner, days=10)`; a look ends each day."""

    def live(manner, days=10, crowd=None, **wishes):
        experiment_id = bench.start(**wishes)
        crowd = crowd or Crowd(bench)
        for day in range(days):
            crowd.live(experiment_id, day, manner)
            if bench.find(experiment_id).status is ExperimentStatus.RUNNING:
                bench.look(experiment_id, day + 1)
        return experiment_id

    return live


def test_a_clear_winner_is_decided_once_and_stays_decided_whatever_comes_later(bench, lived):
    experiment_id = lived(BETTER, days=9)
    with bench.session() as session:
        taken = queries.looks(session, experiment_id)
    verdicts = [look.verdict for look in taken]
    decided = next(look for look in taken if look.verdict)
    assert [look.number for look in taken] == list(range(1, 10))
    assert (decided.verdict.direction, decided.verdict.variant) == (Direction.BETTER, "treatment")
    assert decided.hours >= 168
    assert verdicts == [None] * 7 + [decided.verdict] * 2
    found = bench.find(experiment_id)
    assert (found.verdict, found.decided_at) == (decided.verdict, decided.at)
    assert found.status is ExperimentStatus.RUNNING

    withdraw_half_of_the_praise(bench)
    later = bench.look(experiment_id, 10)
    assert later.primary[0].difference < found.look.primary[0].difference - 0.1
    assert later.verdict == decided.verdict
    again = bench.find(experiment_id)
    assert (again.verdict, again.decided_at) == (found.verdict, found.decided_at)


def withdraw_half_of_the_praise(bench) -> None:
    praise = "SELECT key FROM agent_feedback WHERE prompt_version = 'v2' AND feedback_type = 'thumbs_up'"
    with bench.session() as session:
        for key in session.execute(text(praise)).scalars().all()[::2]:
            withdraw(session, key)


def test_two_variants_that_are_the_same_are_not_told_apart_and_keep_their_guardrails(bench, lived):
    found = bench.find(lived(Manner(), days=8, guardrails=(Guardrail("error_rate", 0.05, False),)))
    assert found.look.gate.passed
    assert (found.status, found.verdict) == (ExperimentStatus.RUNNING, None)
    assert found.look.primary[0].low < 0 < found.look.primary[0].high
    assert [result.state for result in found.guardrails] == [State.OK]


def test_a_broken_split_raises_the_alarm_and_nothing_is_decided(bench, lived):
    found = bench.find(lived(BROKEN, days=8, crowd=Crowd(bench, size=440)))
    assert found.look.mismatch.state is MismatchState.ALARM
    assert found.look.gate.passed
    assert found.look.primary[0].low > 0
    assert found.verdict is None


def test_a_treatment_full_of_errors_is_taken_back_at_once_and_for_good(bench, lived):
    experiment_id = lived(FAILING, days=2)
    found = bench.find(experiment_id)
    assert (found.status, found.decision) == (ExperimentStatus.COMPLETED, ExperimentDecision.ROLLBACK)
    assert found.decision_by == "guardrail error_rate"
    assert found.ended_at == found.look.at == on(1)
    assert found.reports["treatment"].of("error_rate").state is State.BREACH
    with bench.session() as session:
        assert assigned(session, experiment_id) is None
        log = access.audit_log(session)
        ended = session.execute(text("SELECT status, ended_at FROM allocations")).one()
    assert ended == (AllocationStatus.ENDED, on(1))
    [entry] = log[log.action == "experiment.decided"].itertuples()
    assert (entry.actor, entry.subject) == ("guardrail error_rate", str(experiment_id))
    with pytest.raises(Conflict):
        bench.look(experiment_id, 3)


def test_bounds_count_answers_also_where_users_are_weighted(bench, lived):
    plain = (Guardrail("error_rate", 0.05, False),)
    found = bench.find(lived(Manner(), days=2, weighted=True, guardrails=plain))
    with bench.session() as session:
        answers = session.execute(text("SELECT count(*) FROM executions WHERE prompt_version = 'v2'"))
        assert found.guardrails[0].n == answers.scalar_one()


def test_an_experiment_with_a_planned_end_says_so_when_it_is_there(bench, lived):
    found = bench.find(lived(Manner(), days=8, method=Method.PLANNED_END, planned_days=7))
    assert found.verdict.direction is Direction.NO_DIFFERENCE
    assert found.verdict.at == found.decided_at


# ---------------------------------------------------------------- kills, races, and what is kept


def test_a_worker_killed_in_the_middle_leaves_nothing_behind_and_the_next_one_comes_to_the_same(bench, lived):
    experiment_id = bench.start()
    Crowd(bench).live(experiment_id, 0, FAILING)

    def everything():
        with bench.session() as session:
            return [
                session.execute(text(f"SELECT CAST(t AS text) FROM {table} AS t ORDER BY 1")).scalars().all()
                for table in (
                    "learning_experiments",
                    "experiment_looks",
                    "allocations",
                    "audit_log",
                    "exposures",
                )
            ]

    def look_and_be_killed():
        with bench.session() as session:
            looks.take(session, experiment_id, on(1))
            raise KeyboardInterrupt

    before = everything()
    with pytest.raises(KeyboardInterrupt):
        look_and_be_killed()
    assert everything() == before
    bench.look(experiment_id, 1)
    assert bench.find(experiment_id).decision is ExperimentDecision.ROLLBACK
    assert bench.find(experiment_id).look.number == 1


def test_two_who_look_at_the_same_moment_take_one_look(bench):
    experiment_id = bench.start()
    Crowd(bench, size=40).live(experiment_id, 0, Manner())
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: bench.look(experiment_id, 1), range(4)))
    assert {look.number for look in taken} == {1}
    with bench.session() as session:
        assert len(queries.looks(session, experiment_id)) == 1


def test_nobody_has_come_yet(bench):
    experiment_id = bench.start()
    look = bench.look(experiment_id, 1)
    assert (look.number, look.hours, look.verdict) == (1, 0, None)
    assert not look.gate.passed
    assert bench.find(experiment_id).status is ExperimentStatus.RUNNING


@pytest.mark.parametrize("state", ["draft", "paused"])
def test_only_a_running_experiment_is_looked_at(bench, state):
    experiment_id = bench.create() if state == "draft" else bench.start()
    if state == "paused":
        with bench.session() as session:
            designs.pause(session, bench.caller, experiment_id)
    with pytest.raises(Conflict, match="running"):
        bench.look(experiment_id, 1)


def test_an_unknown_experiment_is_not_found(bench):
    with pytest.raises(NotFound):
        bench.look(uuid4(), 1)


# ---------------------------------------------------------------- late and withdrawn feedback


def test_late_and_withdrawn_feedback_count_from_the_next_look_on(bench):
    experiment_id = bench.start()
    Crowd(bench, size=60).live(experiment_id, 0, Manner())
    first = bench.look(experiment_id, 1).primary[0]
    with bench.session() as session:
        keys = session.execute(text("SELECT key FROM agent_feedback ORDER BY key LIMIT 3")).scalars().all()
        for key in keys:
            withdraw(session, key)
        quiet = session.execute(text("SELECT key FROM executions ORDER BY key DESC LIMIT 1")).scalar_one()
        late = factories.feedback(id="late", execution_id=quiet, agent_id=AGENT, created_at=on(1.5))
        collect(session, [late], "api")
    second = bench.look(experiment_id, 2).primary[0]
    assert second.control.n + second.treatment.n == first.control.n + first.treatment.n - 3 + 1
    with bench.session() as session:
        kept = queries.looks(session, experiment_id)
    assert kept[0].primary[0] == first
    assert kept[1].at - kept[0].at == timedelta(days=1)
