from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from learning_core import access, db
from learning_core.experiments import designs, queries, runs
from learning_core.schema import ExperimentStatus
from tests.experiments.crowd import Crowd, Manner, fix_salt, on, settle


@pytest.fixture
def bench(organization, monkeypatch):
    fix_salt(monkeypatch)
    return settle(organization)


def deferred(organization, task: str) -> list[dict]:
    mine = "SELECT args FROM procrastinate_jobs WHERE args ->> 'organization_id' = :id AND task_name = :task"
    with db.shared_session() as session:
        found = session.execute(text(mine), {"id": str(organization.id), "task": task})
        return list(found.scalars())


def test_the_hourly_run_queues_a_look_at_each_running_experiment_of_each_organisation(
    bench, organization, other_organization
):
    first, second = bench.start("v2", traffic=0.5), bench.start("v3", traffic=0.5)
    bench.create()
    with db.organization_session(other_organization.id) as session:
        access.remove_organization(session, access.Caller(other_organization.id, "admin", access.Role.ADMIN))
    runs.look_all(timestamp=int(on(1).timestamp()))
    assert deferred(other_organization, "experiments.look_organization") == []
    [job] = deferred(organization, "experiments.look_organization")
    assert datetime.fromisoformat(job["at"]) == on(1)
    runs.look_organization(**job)
    looking = deferred(organization, "experiments.look")
    assert [job["experiment_id"] for job in looking] == [str(first), str(second)]
    for job in looking:
        runs.look(**job)
    assert [bench.find(each).look.at for each in (first, second)] == [on(1), on(1)]


def test_a_look_that_fails_is_no_matter_of_the_others(bench, organization):
    first, second = bench.start("v2", traffic=0.5), bench.start("v3", traffic=0.5)
    runs.look_organization(str(organization.id), on(1).isoformat())
    one, other = deferred(organization, "experiments.look")
    with bench.session() as session:
        session.execute(text("UPDATE learning_experiments SET design = '{}' WHERE id = :id"), {"id": first})
    with pytest.raises(ValidationError):
        runs.look(**one)
    runs.look(**other)
    with bench.session() as session:
        assert queries.looks(session, first) == []
        assert len(queries.looks(session, second)) == 1


def test_a_job_that_is_done_twice_looks_once(bench, organization):
    experiment_id = bench.start()
    for _ in range(2):
        runs.look(str(organization.id), str(experiment_id), on(1).isoformat())
    with bench.session() as session:
        assert len(queries.looks(session, experiment_id)) == 1


def test_what_users_had_said_before_is_counted_before_the_look(bench, organization):
    idle = bench.create()
    crowd = Crowd(bench, size=30, active=0.9)
    crowd.live(idle, -2, Manner())
    experiment_id = bench.start()
    crowd.live(experiment_id, 0, Manner())
    runs.look(str(organization.id), str(experiment_id), on(1).isoformat())
    with bench.session() as session:
        assert session.execute(text("SELECT sum(prior_thumbs_count) FROM exposures")).scalar_one() > 20


def test_an_experiment_that_ended_or_paused_meanwhile_is_left_alone(bench, organization):
    ended, paused, draft = bench.start("v2", traffic=0.4), bench.start("v3", traffic=0.4), bench.create()
    with bench.session() as session:
        designs.cancel(session, bench.caller, ended, "Off.", on(1))
        designs.pause(session, bench.caller, paused)
    for each in (ended, paused, draft):
        runs.look(str(organization.id), str(each), on(2).isoformat())
    assert [bench.find(each).look for each in (ended, paused, draft)] == [None] * 3
    assert bench.find(ended).status is ExperimentStatus.CANCELLED


def test_the_look_of_an_hour_is_due_at_the_hour_in_utc(bench, organization):
    runs.look_all(timestamp=1_790_000_000)
    [job] = deferred(organization, "experiments.look_organization")
    assert job["at"] == datetime.fromtimestamp(1_790_000_000, UTC).isoformat()
