from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from learning_core import db
from learning_core.jobs import STEPS, queue
from learning_core.releases import queries, rollout, runs
from tests.releases.rollouts import START, Manner, after, fix_salt, settle


@pytest.fixture
def bench(organization, monkeypatch):
    fix_salt(monkeypatch)
    return settle(organization)


@pytest.fixture
def other(other_organization):
    return settle(other_organization)


def queued(release_id) -> list[dict]:
    waiting = text("""
        SELECT task_name, lock, args FROM procrastinate_jobs
        WHERE task_name = 'releases.advance' AND args ->> 'release_id' = :release
    """)
    with db.shared_session() as session:
        return [row._asdict() for row in session.execute(waiting, {"release": str(release_id)})]


def under_way(checked_at=None, users=0):
    return SimpleNamespace(id="r", checked_at=checked_at, users=users)


def test_the_worker_knows_the_checks():
    assert "learning_core.releases.runs" in STEPS
    queue.import_paths = STEPS
    assert {"releases.advance_all", "releases.advance"} <= set(queue.tasks)


def queued_at(release_id, moment) -> dict:
    """The job of that moment: whoever queues the checks of all organisations queues this one's, too."""
    return next(job for job in queued(release_id) if job["args"]["at"] == moment.isoformat())


def test_every_release_on_its_way_is_checked_each_half_a_minute(bench, other):
    releases = [one.start(at=START) for one in (bench, other)]
    runs.advance_all(int(after(1).timestamp()))
    for one, release_id in zip((bench, other), releases, strict=True):
        job = queued_at(release_id, after(1))
        assert job["lock"] == f"release {release_id}"
        assert job["args"]["organization_id"] == str(one.organization_id)
        runs.advance(**job["args"])
        assert one.find(release_id).checked_at == after(1)


def test_one_that_is_over_or_waits_is_left_alone(bench):
    release_id = bench.start()
    with bench.session() as session:
        rollout.roll_back(session, bench.engineer, release_id, "Complaints.", after(1))
    before = queued(release_id)
    runs.advance_all(int(after(2).timestamp()))
    assert queued(release_id) == before


def test_one_that_fails_does_not_stop_another(bench, other):
    broken, fine = bench.start(), other.start()
    with bench.session() as session:
        session.execute(text("UPDATE releases SET policy = '[]' WHERE id = :id"), {"id": broken})
    runs.advance_all(int(after(1).timestamp()))
    with pytest.raises(ValueError, match="Policy"):
        runs.advance(**queued_at(broken, after(1))["args"])
    runs.advance(**queued_at(fine, after(1))["args"])
    assert other.find(fine).checked_at == after(1)


@pytest.mark.parametrize(
    ("checked_s_ago", "users", "is_due"),
    [(None, 10**7, True), (30, 60_000, True), (30, 70_000, False), (490, 10**6, False), (500, 10**6, True)],
)
def test_the_more_users_the_less_often(checked_s_ago, users, is_due):
    checked_at = None if checked_s_ago is None else START - timedelta(seconds=checked_s_ago)
    assert (runs.due([under_way(checked_at, users)], START) == ["r"]) == is_due


def test_what_is_due_follows_from_the_last_check(bench):
    release_id = bench.start()
    bench.live(0.1, {"v1": Manner(), "v2": Manner()}, users=400, answers=1)
    bench.advance(release_id, 1)
    with bench.session() as session:
        [row] = queries.under_way(session)
    assert (row.id, row.checked_at) == (release_id, after(1))
    assert row.users == sum(bench.find(release_id).check.users.values()) > 0


def test_what_new_users_had_said_before_is_counted_once_an_hour(bench, monkeypatch):
    filled = []
    monkeypatch.setattr(runs.prior, "fill", lambda _, allocation, at: filled.append((allocation, at)))
    release_id = bench.start()
    for minutes in (59.5, 60, 60.5, 90, 120):
        at = START + timedelta(minutes=minutes)
        runs.advance(str(bench.organization_id), str(release_id), at.isoformat())
    assert filled == [(bench.find(release_id).canary_id, after(hours)) for hours in (1, 2)]
