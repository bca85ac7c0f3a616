"""What the demo tries out and ships goes the way it always goes, and ends where its story wants it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from learning_core import db
from learning_core.demo import cast
from learning_core.demo.releasing import release, tell_of_letters, tell_of_portal
from learning_core.demo.wordings import entries
from learning_core.experiments import queries
from learning_core.experiments.analysis import Direction, MismatchState, State
from learning_core.feedback import exposures, rollup
from learning_core.prompts import history
from learning_core.releases import ledger
from learning_core.releases import queries as releases
from learning_core.schema import ExperimentDecision, ExperimentStatus, ReleaseStatus
from tests import factories

NOW = datetime(2026, 3, 18, 10, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def told(database):
    """An organisation of which both agents' stories were told."""
    organization = factories.organization()
    for tell in (tell_of_portal, tell_of_letters):
        with db.organization_session(organization.id) as session:
            tell(session, organization.id, NOW, "7")
    return organization


@pytest.fixture
def session(told):
    with db.organization_session(told.id) as session:
        yield session


def release_of(session, agent):
    """Return the agent's first release, as it stands, with all that happened to it."""
    statement = text(
        "SELECT releases.id FROM releases JOIN agents ON agents.id = agent_id"
        " WHERE agents.key = :agent AND number = 1"
    )
    found = releases.find(session, session.execute(statement, {"agent": agent}).scalar_one())
    return found, session.execute(EVENTS, {"id": found.id}).all()


EVENTS = text("SELECT at, kind, actor, details FROM release_events WHERE release_id = :id ORDER BY at, id")


def test_the_portal_experiment_is_won_then_decided_by_a_person(session):
    [won] = queries.experiments(session, "client-portal")
    assert (won.status, won.decision) == (
        ExperimentStatus.COMPLETED,
        ExperimentDecision.ADOPT_TREATMENT,
    )
    assert won.verdict.direction is Direction.BETTER
    assert won.verdict.low > 0.03
    assert won.created_at < won.started_at < won.decided_at < won.ended_at
    assert won.look.gate.passed
    assert won.look.mismatch.state is MismatchState.OK
    assert won.look.crossed == 0
    assert len(queries.looks(session, won.id)) >= 7


def test_its_version_goes_to_all_users_in_three_stages_and_is_watched(session):
    found, events = release_of(session, "client-portal")
    assert found.status is ReleaseStatus.WATCHING
    assert found.experiment == "Answer first"
    assert [event.details["share"] for event in events if "share" in event.details] == [0.05, 0.25, 1.0]
    assert history.labelled(session, "client-portal").key == found.version == "v2"
    assert all(item.n for item in found.check.report.items)
    assert NOW - timedelta(days=13) < found.full_at < NOW - timedelta(days=2)


def test_the_ledger_shows_the_gain_side_by_side_and_by_calendar(session):
    found, _ = release_of(session, "client-portal")
    impact = ledger.entry(session, found.id).impact
    for comparison in (impact.side_by_side, impact.by_calendar):
        change = next(one for one in comparison.changes if one.metric == "thumbs_up_share")
        assert change.difference.low > 0


def test_the_letter_writers_release_is_taken_back_by_its_guardrail(session):
    found, events = release_of(session, "letter-writer")
    assert found.status is ReleaseStatus.ROLLED_BACK
    assert (events[-1].kind, events[-1].actor) == ("rolled_back", "guardrail")
    assert events[-1].details["share"] == 0.25
    assert [item.key for item in found.check.report.breaches] == ["error_rate"]
    assert history.labelled(session, "letter-writer").key == "v1"


def test_the_letter_writers_experiment_is_still_too_early_to_call(session):
    [running] = queries.experiments(session, "letter-writer")
    assert running.status is ExperimentStatus.RUNNING
    assert {one.state for one in running.look.comparisons} == {State.TOO_EARLY}
    assert running.verdict is None


def test_nothing_lies_in_the_future(session):
    latest = text("""
        SELECT greatest(
            (SELECT max(created_at) FROM executions), (SELECT max(created_at) FROM agent_feedback),
            (SELECT max(at) FROM experiment_looks), (SELECT max(at) FROM release_events),
            (SELECT max(started_at) FROM allocations), (SELECT max(set_at) FROM prompt_labels)
        )
    """)
    assert session.execute(latest).scalar_one() <= NOW


def test_whoever_did_something_is_marked_as_simulated(session):
    actors = session.execute(text("SELECT DISTINCT actor FROM audit_log")).scalars().all()
    by_people = set(actors) - {"guardrail", "schedule", "setup"}
    assert by_people
    assert [name for name in by_people if not name.endswith("(simulated)")] == []


def test_every_count_equals_a_recount(session):
    assert exposures.differences(session) == 0
    assert [rollup.differences(session, each) for each in (rollup.FEEDBACK, rollup.EXECUTIONS)] == [0, 0]
    assert session.execute(text("SELECT sum(execution_count) FROM exposures")).scalar_one() > 2_000


def test_users_meet_what_their_assignment_says(session):
    strange = text("""
        SELECT count(*) FROM executions JOIN exposures ON exposures.id = exposure_id
        JOIN allocation_variants AS met
             ON met.allocation_id = exposures.allocation_id AND met.variant = exposures.variant
        JOIN prompt_versions AS version ON version.id = met.version_id
        WHERE version.key <> executions.prompt_version
    """)
    assert session.execute(strange).scalar_one() == 0


def test_told_again_it_adds_nothing(told, session):
    counted = text("SELECT (SELECT count(*) FROM executions), (SELECT count(*) FROM release_events)")
    before = session.execute(counted).one()
    release(str(told.id), "7")
    assert session.execute(counted).one() == before


def test_the_same_seed_and_time_tell_the_same(told, organization):
    outcomes = []
    for known in (told, organization):
        with db.organization_session(known.id) as session:
            tell_of_letters(session, known.id, NOW, "7")
            _, events = release_of(session, "letter-writer")
            [running] = queries.experiments(session, "letter-writer")
            outcomes.append(([tuple(event) for event in events], running.look))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("agent", [cast.CLIENT_PORTAL, cast.LETTER_WRITER], ids=lambda agent: agent.agent_id)
def test_every_version_has_a_prompt_saved_before_it_serves(agent):
    told = entries(agent, NOW)
    assert [entry.key for entry in told] == [version.name for version in agent.versions]
    assert all(entry.author.endswith("(simulated)") for entry in told)
