from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import event, text

from learning_core import db
from learning_core.access import Caller
from learning_core.errors import NotFound
from learning_core.experiments import allocations
from learning_core.experiments.allocations import Variant
from learning_core.feedback.executions import record
from learning_core.llm.templates import Prompt
from learning_core.prompts import history, versions
from learning_core.releases.routing import route
from learning_core.schema import AllocationKind, Role
from tests.factories import allocation, execution

AGENT = "tax-advisor"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
USERS = [f"user-{number}" for number in range(300)]


@pytest.fixture
def admin(organization):
    return Caller(organization.id, "ada", Role.ADMIN)


@pytest.fixture
def opened(transaction, admin):
    def open_one(**wishes):
        with transaction() as session:
            return allocation(session, admin, **{"at": NOW} | wishes)

    return open_one


@pytest.fixture
def routes(transaction):
    """What each user gets now."""

    def look(users=USERS):
        with transaction() as session:
            return {user: route(session, AGENT, user) for user in users}

    return look


def by_variant(found) -> dict:
    return {variant: {user for user in found if found[user].variant == variant} for variant in VARIANTS}


VARIANTS = ("treatment", "control", None)


def test_a_user_in_an_experiment_gets_the_version_of_their_variant_and_says_so(opened, routes):
    running = opened()
    found = routes()
    assert {each.variant for each in found.values()} == {"treatment", "control"}
    keys = {"treatment": "v2", "control": "v1"}
    for each in found.values():
        assert each.version == keys[each.variant]
        assert each.assignment == f"{running.id.hex}.{each.variant}"
        assert (each.experiment_id, each.release_id) == (running.experiment_id, None)
    versions = {each.variant: each.version_id for each in running.variants}
    assert all(each.version_id == versions[each.variant] for each in found.values())


def test_what_is_answered_counts_when_it_is_reported(opened, routes, transaction):
    opened()
    with transaction() as session:
        for user, each in routes(USERS[:20]).items():
            record(session, [execution(user_id=user, assignment=each.assignment)])
        counted = dict(session.execute(text("SELECT user_id, variant FROM exposures")).all())
    assert counted == {user: each.variant for user, each in routes(USERS[:20]).items()}


def test_without_a_user_production_is_answered(opened, transaction):
    opened()
    with transaction() as session:
        found = route(session, AGENT, None)
    assert (found.version, found.variant, found.assignment) == ("v1", None, None)
    assert (found.experiment_id, found.release_id) == (None, None)


def test_the_control_is_the_version_it_was_and_others_follow_production(opened, routes, transaction, admin):
    opened(traffic=0.5)
    before = routes()
    with transaction() as session:
        versions.save(session, admin, AGENT, Prompt.from_text("A third."), reason="newer")
        versions.label(session, admin, AGENT, history.PRODUCTION, "v3")
    after = routes()
    assert {each.version for each in after.values() if each.variant == "control"} == {"v1"}
    assert {each.version for each in after.values() if each.variant is None} == {"v3"}
    assert by_variant(before) == by_variant(after)
    assert all(by_variant(after).values())


def test_paused_everybody_gets_production_and_resumed_what_they_had(opened, routes, transaction):
    running = opened()
    before = routes()
    with transaction() as session:
        allocations.pause(session, running.id)
    assert {each.version for each in routes().values()} == {"v1"}
    assert {each.assignment for each in routes().values()} == {None}
    with transaction() as session:
        allocations.resume(session, running.id)
    assert routes() == before
    with transaction() as session:
        allocations.end(session, running.id, NOW)
    assert {each.variant for each in routes().values()} == {None}


def test_ramping_up_lets_more_in_and_nobody_out(opened, routes, transaction):
    running = opened(ramp=0.2)
    before = by_variant(routes())
    with transaction() as session:
        allocations.ramp_up(session, running.id, 0.6, NOW)
    after = by_variant(routes())
    for variant in ("treatment", "control"):
        assert before[variant] < after[variant]
    assert after[None]


def test_experiments_of_one_agent_share_no_user(opened, routes):
    one, other = opened(traffic=0.5), opened(traffic=0.3)
    found = routes()
    both = {one.experiment_id, other.experiment_id, None}
    assert {each.experiment_id for each in found.values()} == both


def test_a_release_assigns_as_an_experiment_does(opened, routes, transaction):
    first = opened(traffic=0.1)
    versions = {each.variant: each.version_id for each in first.variants}
    with transaction() as session:
        allocations.end(session, first.id, NOW)
        release = session.execute(text(A_RELEASE), {"version": versions["treatment"]}).one()
        canary = allocations.open_allocation(
            session,
            agent_id=release.agent_id,
            kind=AllocationKind.CANARY,
            variants=[Variant(name, versions[name], 0.5) for name in ("treatment", "control")],
            traffic=1,
            ramp=0.1,
            at=NOW,
            release_id=release.id,
        )
    found = routes([f"user-{number}" for number in range(2_000)])
    met = by_variant(found)
    assert 60 < len(met["treatment"]) < 140
    assert 60 < len(met["control"]) < 140
    one = found[next(iter(met["treatment"]))]
    assert (one.version, one.assignment) == ("v2", f"{canary.hex}.treatment")
    assert (one.experiment_id, one.release_id) == (None, release.id)


A_RELEASE = """
INSERT INTO releases (agent_id, number, version_id, status, policy, reason, created_by)
SELECT agent_id, 1, id, 'rolling_out', '{}', 'Better', 'ada' FROM prompt_versions WHERE id = :version
RETURNING id, agent_id
"""


@pytest.fixture
def watched(opened, transaction):
    """A watch of what is in production, as a release has at its last stage."""
    first = opened(traffic=0.1)
    production = next(each.version_id for each in first.variants if each.variant == "control")
    with transaction() as session:
        allocations.end(session, first.id, NOW)
        release = session.execute(text(A_RELEASE), {"version": production}).one()
        watch = allocations.open_allocation(
            session,
            agent_id=release.agent_id,
            kind=AllocationKind.WATCH,
            variants=[Variant("treatment", production, 1)],
            traffic=1,
            ramp=1,
            at=NOW,
            release_id=release.id,
        )
        return allocations.by_id(session, watch)


def test_a_watch_looks_at_all_users_that_nothing_else_has(opened, watched, routes):
    running = opened(traffic=0.3)
    found = routes().values()
    assert {each.experiment_id for each in found if each.variant == "control"} == {running.experiment_id}
    others = [each for each in found if each.experiment_id is None]
    assert {(each.version, each.variant, each.release_id) for each in others} == {
        ("v1", "treatment", watched.release_id)
    }
    assert 0.5 < len(others) / len(found) < 0.9


def test_a_watch_never_keeps_users_from_what_somebody_put_into_production(
    watched, routes, transaction, admin
):
    with transaction() as session:
        versions.label(session, admin, AGENT, history.PRODUCTION, "v2")
    assert {(each.version, each.variant) for each in routes().values()} == {("v2", None)}


def test_one_statement_reads_all_that_decides(opened, transaction):
    opened(traffic=0.5)
    opened(traffic=0.5)
    statements: list[str] = []
    with transaction() as session:
        listen = lambda *found: statements.append(found[2])  # noqa: E731 - to take it off again
        event.listen(db.engine(), "before_cursor_execute", listen)
        route(session, AGENT, "user-1")
        event.remove(db.engine(), "before_cursor_execute", listen)
    assert len(statements) == 1


def test_another_organisation_s_experiment_assigns_nobody_here(opened, other_organization, routes):
    opened()
    neighbour = Caller(other_organization.id, "eve", Role.ADMIN)
    with db.organization_session(other_organization.id) as session:
        versions.save(session, neighbour, AGENT, Prompt.from_text("Theirs."), reason="to begin with")
        assert route(session, AGENT, USERS[0]).assignment is None
    assert isinstance(routes()[USERS[0]].experiment_id, UUID)


def test_without_a_version_in_production_it_says_what_is_missing(transaction):
    with transaction() as session:
        with pytest.raises(NotFound, match="no agent 'tax-advisor'"):
            route(session, AGENT, "user-1")
        record(session, [execution()])
        with pytest.raises(NotFound, match="has no prompt yet"):
            route(session, AGENT, "user-1")
