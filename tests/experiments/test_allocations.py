from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from learning_core import db
from learning_core.access import Caller
from learning_core.errors import Conflict, InvalidInput, NotFound
from learning_core.experiments import allocations
from learning_core.experiments.allocations import Variant
from learning_core.feedback.executions import record
from learning_core.schema import AllocationKind, AllocationStatus, Role
from tests.factories import allocation, execution

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def admin(organization):
    return Caller(organization.id, "ada", Role.ADMIN)


@pytest.fixture
def opened(organization, transaction, admin):
    """Open an allocation in a transaction of its own: `opened(traffic=0.5)`."""

    def open_one(**wishes):
        with transaction() as session:
            return allocation(session, admin, **{"at": NOW} | wishes)

    return open_one


def phases(transaction, allocation_id) -> list:
    with transaction() as session:
        rows = session.execute(
            text(
                "SELECT number, ramp, started_at FROM allocation_phases WHERE allocation_id = :id ORDER BY 1"
            ),
            {"id": allocation_id},
        )
        return [tuple(row) for row in rows]


# ---------------------------------------------------------------- opening


def test_an_allocation_reserves_its_share_and_begins_its_first_phase(opened, transaction):
    found = opened(traffic=0.3, ramp=0.1, shares=(0.2, 0.3, 0.5))
    assert (found.first_bucket, found.end_bucket, found.traffic) == (0, 3_000, 0.3)
    assert [(each.variant, each.share) for each in found.variants] == [
        ("treatment", 0.2),
        ("treatment_2", 0.3),
        ("control", 0.5),
    ]
    assert (found.kind, found.status) == (AllocationKind.COMPARISON, AllocationStatus.OPEN)
    assert (found.ramp, found.phase, found.started_at, found.ended_at) == (0.1, 1, NOW, None)
    assert phases(transaction, found.id) == [(1, 0.1, NOW)]
    with transaction() as session:
        assert allocations.of_experiment(session, found.experiment_id) == found
        assert allocations.of_experiment(session, uuid4()) is None
        with pytest.raises(NotFound):
            allocations.by_id(session, uuid4())


def test_allocations_at_the_same_time_share_no_bucket_and_no_salt(opened):
    found = [opened(traffic=traffic) for traffic in (0.2, 0.5, 0.3)]
    assert [(each.first_bucket, each.end_bucket) for each in found] == [
        (0, 2_000),
        (2_000, 7_000),
        (7_000, 10_000),
    ]
    assert len({each.salt for each in found}) == 3


def test_who_finds_too_few_users_free_hears_who_holds_them(opened, transaction, admin):
    held = opened(traffic=0.625)
    with pytest.raises(Conflict) as refused:
        opened(traffic=0.5)
    assert "takes 50 % of the agent's users, and 37.5 % are free" in refused.value.message
    assert 'the experiment "Experiment ' in refused.value.message
    assert refused.value.message.endswith("holds 62.5 %.")
    with transaction() as session:
        allocations.pause(session, held.id)
    with pytest.raises(Conflict):
        opened(traffic=0.5)


def test_what_an_ended_allocation_held_is_free_again(opened, transaction):
    first, second = opened(traffic=0.4), opened(traffic=0.6)
    with transaction() as session:
        allocations.end(session, first.id, NOW)
    third = opened(traffic=0.3)
    assert (third.first_bucket, third.end_bucket) == (0, 3_000)
    with transaction() as session:
        allocations.end(session, second.id, NOW)
    assert opened(traffic=0.7).first_bucket == 3_000


def test_agents_do_not_compete_for_users(opened):
    assert opened(traffic=1.0).first_bucket == opened(traffic=1.0, agent="audit-assistant").first_bucket == 0


def test_two_who_open_at_the_same_moment_do_not_both_get_the_users(organization, opened, admin):
    opened(traffic=0.1)

    def try_it(_) -> bool:
        try:
            db.in_transaction(organization.id, lambda session: allocation(session, admin, traffic=0.6))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(try_it, range(4))) == 1


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"traffic": 0}, "traffic"),
        ({"traffic": 1.1}, "traffic"),
        ({"ramp": 0}, "ramp"),
        ({"ramp": 2}, "ramp"),
        ({"shares": (0.5, 0.4)}, "variants"),
        ({"shares": (1.5, -0.5)}, "variants"),
        ({"shares": (float("nan"), 0.5)}, "variants"),
    ],
)
def test_shares_traffic_and_ramp_have_to_be_parts(opened, wish, field):
    with pytest.raises(InvalidInput) as refused:
        opened(**wish)
    assert refused.value.field == field


@pytest.mark.parametrize("names", [[], ["control", "treatment"], ["treatment", "treatment"]])
def test_variants_have_names_of_their_own_and_the_control_comes_last(transaction, names):
    with transaction() as session, pytest.raises(InvalidInput):
        allocations.open_allocation(
            session,
            agent_id=uuid4(),
            kind=AllocationKind.WATCH,
            variants=[Variant(name, uuid4(), 1 / len(names)) for name in names],
            traffic=1,
            ramp=1,
            at=NOW,
        )


# ---------------------------------------------------------------- slow answers


def test_slow_is_what_one_answer_in_twenty_exceeded_in_the_weeks_before(opened, transaction):
    def report(latency_ms, at, agent="tax-advisor"):
        return execution(agent_id=agent, latency_ms=latency_ms, created_at=at)

    with transaction() as session:
        week_before = NOW - timedelta(days=7)
        record(session, [report(float(ms), week_before) for ms in range(1, 101)])
        record(session, [report(None, week_before), report(9e6, week_before, "audit-assistant")])
        record(session, [report(9e6, NOW - timedelta(days=29)), report(9e6, NOW)])
    assert opened().slow_ms == pytest.approx(95.05)


def test_without_earlier_answers_nothing_is_slow(opened):
    assert opened().slow_ms is None


# ---------------------------------------------------------------- what becomes of it


def test_ramping_up_begins_a_phase(opened, transaction):
    found, later = opened(ramp=0.1), NOW + timedelta(days=1)
    with transaction() as session:
        allocations.ramp_up(session, found.id, 0.5, later)
    assert phases(transaction, found.id) == [(1, 0.1, NOW), (2, 0.5, later)]
    with transaction() as session:
        now = allocations.by_id(session, found.id)
    assert (now.ramp, now.phase) == (0.5, 2)


def test_a_ramp_goes_up_only_and_not_after_the_end(opened, transaction):
    found = opened(ramp=0.5)
    for ramp in (0.5, 0.1):
        with transaction() as session, pytest.raises(Conflict):
            allocations.ramp_up(session, found.id, ramp, NOW)
    with transaction() as session, pytest.raises(InvalidInput):
        allocations.ramp_up(session, found.id, 1.5, NOW)
    with transaction() as session:
        allocations.end(session, found.id, NOW)
    with transaction() as session, pytest.raises(Conflict):
        allocations.ramp_up(session, found.id, 1, NOW)
    assert phases(transaction, found.id) == [(1, 0.5, NOW)]


def test_an_allocation_is_paused_resumed_and_ended_once(opened, transaction):
    found, later = opened(), NOW + timedelta(days=1)
    steps = [
        (lambda session: allocations.resume(session, found.id), AllocationStatus.OPEN, "not paused"),
        (lambda session: allocations.pause(session, found.id), AllocationStatus.PAUSED, None),
        (lambda session: allocations.pause(session, found.id), AllocationStatus.PAUSED, "not open"),
        (lambda session: allocations.resume(session, found.id), AllocationStatus.OPEN, None),
        (lambda session: allocations.end(session, found.id, later), AllocationStatus.ENDED, None),
        (lambda session: allocations.end(session, found.id, NOW), AllocationStatus.ENDED, "ended already"),
        (lambda session: allocations.resume(session, found.id), AllocationStatus.ENDED, "not paused"),
    ]
    for step, status, refusal in steps:
        with transaction() as session:
            if refusal:
                with pytest.raises(Conflict, match=refusal):
                    step(session)
            else:
                step(session)
        with transaction() as session:
            now = allocations.by_id(session, found.id)
            assert now.status == status
    assert now.ended_at == later


def test_a_release_s_allocations_are_found_by_kind(organization, transaction, opened, admin):
    version_id = opened(traffic=0.1).variants[0].version_id
    with transaction() as session:
        release = session.execute(text(A_RELEASE), {"version": version_id}).one()
        for kind, names in (
            (AllocationKind.CANARY, ["treatment", "control"]),
            (AllocationKind.WATCH, ["treatment"]),
        ):
            allocations.open_allocation(
                session,
                agent_id=release.agent_id,
                kind=kind,
                variants=[Variant(name, version_id, 1 / len(names)) for name in names],
                traffic=0.4,
                ramp=1,
                at=NOW,
                release_id=release.id,
            )
        canary = allocations.of_release(session, release.id, AllocationKind.CANARY)
        watch = allocations.of_release(session, release.id, AllocationKind.WATCH)
        assert allocations.of_release(session, uuid4(), AllocationKind.WATCH) is None
    assert [each.variant for each in canary.variants] == ["treatment", "control"]
    assert [each.variant for each in watch.variants] == ["treatment"]
    assert watch.traffic == 1
    with pytest.raises(Conflict, match=r"50 % are free: .*, release 7 holds 40 %"):
        opened(traffic=0.7)
    assert opened(traffic=0.5).traffic == 0.5


A_RELEASE = """
INSERT INTO releases (agent_id, number, version_id, status, policy, reason, created_by)
SELECT agent_id, 7, id, 'watching', '{}', 'Better', 'ada' FROM prompt_versions WHERE id = :version
RETURNING id, agent_id
"""
