from __future__ import annotations

from uuid import UUID

import pytest

from learning_core.errors import NotFound
from learning_core.prompts import versions
from learning_core.releases import queries, rollout
from learning_core.releases.stages import Policy
from learning_core.schema import ReleaseStatus
from tests.releases.rollouts import AGENT, START, Manner, after, fix_salt, settle

SAME = {"v1": Manner(), "v2": Manner(), "v3": Manner()}


@pytest.fixture
def bench(organization, monkeypatch):
    fix_salt(monkeypatch)
    return settle(organization)


def test_a_release_is_found_as_it_stands(bench):
    release_id = bench.start()
    bench.live(0.1, SAME, users=400, answers=1)
    bench.advance(release_id, 1)
    found = bench.find(release_id)
    assert (found.agent, found.number, found.version, found.version_number) == (AGENT, 1, "v2", 2)
    assert (found.previous_version, found.previous_number, found.production) == ("v1", 1, "v1")
    assert (found.status, found.stage, found.stage_since) == (ReleaseStatus.ROLLING_OUT, 0, START)
    assert (found.reason, found.created_by, found.created_at) == ("Better.", "Edda", START)
    assert (found.policy, found.share, found.standing.until) == (Policy(), 0.05, after(24))
    assert (found.full_at, found.finished_at, found.end_reason, found.watch_id) == (None, None, None, None)
    assert isinstance(found.canary_id, UUID)
    assert found.check.at == found.checked_at == after(1)
    assert set(found.check.users) == {"treatment", "control"}
    assert found.check.newcomers == min(found.check.users.values())
    assert [item.key for item in found.check.report.items] == ["error_rate", "satisfaction", "latency_ms"]


def test_nobody_finds_what_is_not_there(bench):
    with pytest.raises(NotFound), bench.session() as session:
        queries.find(session, bench.versions["v1"])


def test_releases_come_newest_first_and_by_agent(bench):
    release_id = bench.start()
    with bench.session() as session:
        assert [one.number for one in queries.releases(session)] == [1, 0]
        assert [one.id for one in queries.releases(session, AGENT, limit=1)] == [release_id]
        assert queries.releases(session, "nobody") == []


def test_what_happened_comes_in_the_order_of_time(bench):
    release_id = bench.start()
    with bench.session() as session:
        rollout.hold(session, bench.engineer, release_id, "Holidays.", after(2))
        frame = queries.events(session, release_id)
        plain = queries.history(session, release_id)
    assert list(frame.columns) == ["at", "kind", "actor", "details"]
    assert list(frame["kind"]) == ["started", "held"]
    assert frame["details"][0]["share"] == 0.05
    assert [(one.at, one.kind, one.actor, one.reason) for one in plain] == [
        (START, "started", "Edda", "5 % of the users meet v2."),
        (after(2), "held", "Edda", "Holidays."),
    ]


def test_each_agent_has_one_version_in_production(bench):
    with bench.session() as session:
        [row] = queries.current(session)
        assert (row.agent, row.version, row.version_key, row.by) == (AGENT, 1, "v1", "Edda")
        assert (row.release, row.release_id, row.experiment, row.next_release) == (None, None, None, None)
    release_id = bench.start()
    with bench.session() as session:
        [row] = queries.current(session)
        assert (row.version, row.release) == (1, None)
        assert (row.next_id, row.next_release, row.next_version, row.next_share) == (release_id, 1, 2, 0.05)
        for _ in range(2):
            rollout.promote(session, bench.engineer, release_id, "Urgent.", after(1))
        [row] = queries.current(session)
        assert (row.version, row.release, row.release_id, row.next_id) == (2, 1, release_id, None)


def test_a_replaced_release_that_is_in_production_again_is_the_current_one(bench):
    first = bench.start()
    with bench.session() as session:
        for _ in range(2):
            rollout.promote(session, bench.engineer, first, "Urgent.", after(1))
    second = bench.start("v3", at=after(2))
    with bench.session() as session:
        rollout.roll_back(session, bench.engineer, second, "Complaints.", after(3))
        [row] = queries.current(session)
    assert (row.version, row.release_id) == (2, first)
    assert bench.find(first).share == 1
    assert bench.find(second).share == 0


def test_what_was_set_by_hand_came_with_no_release(bench):
    first = bench.start()
    with bench.session() as session:
        for _ in range(2):
            rollout.promote(session, bench.engineer, first, "Urgent.", after(1))
        versions.label(session, bench.engineer, AGENT, "production", "v3")
        [row] = queries.current(session)
    assert (row.version, row.release, row.by) == (3, None, "Edda")
    assert bench.find(first).share == 0
