from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from learning_core import db
from learning_core.errors import NotFound
from learning_core.feedback.collect import collect
from learning_core.releases import ledger, measurement, measuring
from learning_core.releases.impact import Direction, Way
from tests.factories import feedback
from tests.releases import ledger_story
from tests.releases.ledger_story import AGENT, FULL, START, World, expose, react

DAY = timedelta(days=1)


@pytest.fixture
def tell(organization: object, transaction: Callable) -> Callable[..., World]:
    def make_up(*what: object, **how: object) -> World:
        with transaction() as session:
            return ledger_story.tell(session, organization.id, *what, **how)

    return make_up


def members(session, dataset_id: UUID, split: str) -> list[UUID]:
    statement = text("SELECT example_id FROM dataset_examples WHERE dataset_id = :dataset AND split = :split")
    return list(session.execute(statement, {"dataset": dataset_id, "split": split}).scalars())


# ---------------------------------------------------------------- what it was made from


def test_the_chain_leads_from_the_release_back_to_the_feedback(tell, transaction):
    world = tell()
    with transaction() as session:
        found = ledger.chain(session, world.release_id)
        in_training = len(members(session, world.dataset_id, "train"))
    assert (found.run_id, found.dataset_id, found.candidate) == (world.run_id, world.dataset_id, 1)
    assert (found.dataset, found.dataset_version, found.strategy) == ("Questions about tax", 1, "corrections")
    assert found.example_count == in_training > 0
    assert found.example_count + found.choosing_count + found.proving_count == 20
    assert found.feedback_count == 0  # these examples were imported
    assert found.experiment is None


def test_a_release_by_hand_still_finds_the_optimization_its_prompt_came_from(tell, transaction):
    world = tell(run_id=None)
    with transaction() as session:
        assert ledger.chain(session, world.release_id).run_id == world.run_id
        first = ledger.chain(session, world.setup_id)
    assert first.run_id is None  # the baseline of a run did not come from it
    assert first.example_count == 0


def test_a_release_nobody_knows_has_no_chain(transaction):
    with transaction() as session, pytest.raises(NotFound):
        ledger.chain(session, uuid4())


# ---------------------------------------------------------------- what became of it


def test_by_calendar_the_version_before_is_compared_with_the_new_one(tell, transaction):
    world = tell()
    old, new = (version.key for version in world.versions)
    with transaction() as session:
        for person in range(8):
            react(session, old, START - 5 * DAY, f"u{person}", 2, rating=3, issue_categories=["incorrect"])
            react(session, new, FULL + DAY, f"u{person}", 3, rating=5)
        react(session, old, START - 5 * DAY, "u0", 1, rating=5)
        # none of these counts: too early, too late, and the other version's time
        react(session, old, START - 29 * DAY, "u1", 5, rating=1)
        react(session, new, FULL + 29 * DAY, "u1", 5, rating=1)
        react(session, new, START + DAY, "u1", 5, rating=1)
        react(session, old, FULL + DAY, "u1", 5, rating=1)
        measurement.measure(session, world.release_id, FULL + 40 * DAY)
        found = ledger.entry(session, world.release_id)
    calendar = found.impact.by_calendar
    assert found.measured_at == FULL + 40 * DAY
    assert (calendar.before.version, calendar.before.since, calendar.before.until) == (
        old,
        START - 28 * DAY,
        START,
    )
    assert (calendar.after.version, calendar.after.since, calendar.after.until) == (
        new,
        FULL,
        FULL + 28 * DAY,
    )
    stars = calendar.of("satisfaction")
    assert (stars.before.n, stars.before.users) == (17, 8)
    assert stars.before.value == pytest.approx((16 * 3 + 5) / 17)
    assert (stars.after.value, stars.after.n, stars.after.users) == (5.0, 24, 8)
    assert stars.direction is Direction.BETTER
    issue = calendar.of("issue_incorrect")
    assert (issue.before.value, issue.after.value) == (pytest.approx(16 / 17), 0.0)
    assert calendar.of("thumbs_up_share") is None


def test_withdrawn_feedback_does_not_count_and_anonymous_does(tell, transaction):
    world = tell()
    old = world.versions[0].key
    with transaction() as session:
        for _ in range(3):
            react(session, old, START - DAY, None, 1)
        react(session, old, START - DAY, "gone", 1, rating=1)
        session.execute(text("UPDATE agent_feedback SET withdrawn_at = now() WHERE user_id = 'gone'"))
        found = measurement.measure(session, world.release_id, FULL + DAY)
    rated = next(one for one in found.by_calendar.changes if one.metric == "satisfaction")
    assert (rated.before.n, rated.before.users) == (3, 3)
    assert rated.after is None


def test_on_its_way_the_new_version_counts_from_its_first_user_on(tell, transaction):
    world = tell(status="rolling_out", full_at=None)
    new = world.versions[1].key
    with transaction() as session:
        for person in range(3):
            react(session, new, START + DAY, f"u{person}", 1)
        found = measurement.measure(session, world.release_id, START + 2 * DAY)
    assert (found.by_calendar.after.since, found.by_calendar.after.until) == (START, START + 2 * DAY)
    assert next(one for one in found.by_calendar.changes if one.metric == "satisfaction").after.n == 3


def test_a_release_taken_back_is_followed_until_then(tell, transaction):
    world = tell(status="rolled_back", finished_at=FULL + 2 * DAY)
    with transaction() as session:
        found = measurement.measure(session, world.release_id, FULL + 20 * DAY)
    assert found.by_calendar.after.until == FULL + 2 * DAY


def test_side_by_side_the_canary_is_compared_with_its_control_phase_by_phase(tell, transaction):
    world = tell()
    with transaction() as session:
        for person in range(10):
            told = {"feedback_count": 2, "rating_count": 2, "issue_incorrect": 1, "any_issue_count": 1}
            expose(session, world, f"c{person}", "control", rating_sum=6 + person % 2, **told)
            told = {"feedback_count": 2, "rating_count": 2}
            expose(session, world, f"t{person}", "treatment", rating_sum=8 + person % 2, **told)
        # a phase that only the control has reached, and a user who was seen in both variants
        expose(session, world, "late", "control", 2, feedback_count=9, rating_count=9, rating_sum=9)
        expose(
            session, world, "both", "control", crossed=True, feedback_count=9, rating_count=9, rating_sum=9
        )
        found = measurement.measure(session, world.release_id, FULL + DAY).side_by_side
    assert found.way is Way.SIDE_BY_SIDE
    assert (found.before.since, found.before.until) == (START, FULL)
    stars = found.of("satisfaction")
    assert (stars.before.value, stars.after.value) == (pytest.approx(3.25), pytest.approx(4.25))
    assert stars.after.users == 10
    assert found.of("issue_incorrect").direction is Direction.BETTER


def test_a_canary_without_users_compares_nothing(tell, transaction):
    world = tell()
    with transaction() as session:
        assert measurement.measure(session, world.release_id, FULL).side_by_side is None


def test_what_came_first_has_nothing_to_be_compared_with(tell, transaction):
    world = tell()
    with transaction() as session:
        found = measurement.measure(session, world.setup_id, FULL)
        assert (found.side_by_side, found.by_calendar) == (None, None)
        with pytest.raises(NotFound):
            measurement.measure(session, uuid4(), FULL)


def test_a_second_measurement_takes_the_place_of_the_first(tell, transaction):
    world = tell()
    with transaction() as session:
        measurement.measure(session, world.release_id, FULL + DAY)
        measurement.measure(session, world.release_id, FULL + 2 * DAY)
        assert ledger.entry(session, world.release_id).measured_at == FULL + 2 * DAY


def test_releases_are_measured_until_their_time_is_over(tell, transaction):
    world = tell()
    with transaction() as session:
        assert measurement.worth_measuring(session, FULL) == [world.release_id]  # not what came first
        for day, again in ((1, True), (27, True), (28, False)):
            measurement.measure(session, world.release_id, FULL + day * DAY)
            assert (measurement.worth_measuring(session, FULL + 60 * DAY) == [world.release_id]) is again


def test_the_daily_look_measures_what_is_worth_it(tell, transaction, organization):
    world = tell()
    measuring.measure_organization(organization_id=str(organization.id))
    with transaction() as session:
        waiting = text("SELECT args ->> 'release_id' FROM procrastinate_jobs WHERE lock = :lock")
        [queued] = session.execute(waiting, {"lock": f"impact of {world.release_id}"}).scalars()
    assert queued == str(world.release_id)
    measuring.measure(organization_id=str(organization.id), release_id=queued)
    with transaction() as session:
        assert ledger.entry(session, world.release_id).impact.by_calendar


def test_entries_are_those_that_reached_users_newest_first(tell, transaction, other_organization):
    world = tell()
    with transaction() as session:
        [found] = ledger.entries(session)
        assert (found.release.id, found.release.agent, found.release.previous) == (
            world.release_id,
            AGENT,
            "v1",
        )
        assert found.impact is None
        assert ledger.entries(session, "nobody") == []
        session.execute(text("UPDATE releases SET status = 'cancelled' WHERE number = 1"))
        assert ledger.entries(session) == []
        with pytest.raises(NotFound):
            ledger.entry(session, world.release_id)
    with db.organization_session(other_organization.id) as session:
        assert ledger.entries(session) == []


# ---------------------------------------------------------------- where a piece of feedback went


def test_an_example_ships_with_what_learnt_from_it(tell, transaction):
    world = tell()
    with transaction() as session:
        taught = members(session, world.dataset_id, "train")[0]
        kept_back = members(session, world.dataset_id, "test")[0]
        [shipped] = ledger.of_example(session, taught)
        assert (shipped.entry.release.id, shipped.directly) == (world.release_id, False)
        assert ledger.of_example(session, kept_back) == []  # it only proved the gain
        session.execute(text("UPDATE releases SET status = 'waiting' WHERE number = 1"))
        assert ledger.of_example(session, taught) == []


@pytest.mark.parametrize("named", ["example", "rule"])
def test_an_example_the_prompt_names_taught_it_directly(tell, transaction, named):
    world = tell()
    with transaction() as session:
        taught, other = members(session, world.dataset_id, "train")[:2]
        rule = session.execute(RULE, {"agent": AGENT, "examples": [taught]}).scalar_one()
        learnt = {"example": f'{{"examples": ["{taught}"]}}', "rule": f'{{"rules": ["{rule}"]}}'}[named]
        session.execute(LEARN, {"run": world.run_id, "learnt": learnt})
        assert [one.directly for one in ledger.of_example(session, taught)] == [True]
        assert [one.directly for one in ledger.of_example(session, other)] == [False]
        assert ledger.chain(session, world.release_id).taught_count == 1


def test_a_correction_is_followed_to_its_release(tell, transaction):
    said = {"issue_categories": ["incorrect"], "rating": 2, "correction_text": "On the 15th."}
    with transaction() as session:
        collect(session, [feedback(id="f1", feedback_type="correction", **said)], "api")
        heard = ledger.of_feedback(session, "f1").feedback
    world = tell({"feedback": [str(heard.id)]}, heard.example_id)
    with transaction() as session:
        found = ledger.of_feedback(session, "f1")
        assert ledger.chain(session, world.release_id).feedback_count == 1
    [shipped] = found.shipped
    assert shipped.directly
    assert found.measures == ["issue_incorrect", "correction_rate", "satisfaction"]
    assert ledger.told(shipped.entry, found.measures, "This correction") == (
        "This correction shipped in v2 (release 1). Its effect is not known yet."
    )


def test_feedback_that_became_no_example_shipped_nowhere(transaction):
    with transaction() as session:
        collect(session, [feedback(id="thanks")], "api")
        heard = ledger.of_feedback(session, "thanks")
        assert (heard.feedback.example_id, heard.shipped, heard.measures) == (None, [], ["issue_rate"])
        with pytest.raises(NotFound):
            ledger.of_feedback(session, "unheard-of")


def test_what_is_told_names_the_effect_on_what_was_said(tell, transaction):
    world = tell()
    old, new = (version.key for version in world.versions)
    with transaction() as session:
        for person in range(50):
            issues = ["incorrect"] if person < 20 else []
            react(session, old, START - 5 * DAY, f"u{person}", 1, issue_categories=issues)
            react(session, new, FULL + DAY, f"u{person}", 1, issue_categories=issues[: person < 3])
        measurement.measure(session, world.release_id, FULL + 2 * DAY)
        told = ledger.told(ledger.entry(session, world.release_id), ["issue_incorrect"], "This correction")
    assert told.startswith(
        "This correction shipped in v2 (release 1): reported as incorrect: 40 % before, 6 % since ("
    )


RULE = text("""
INSERT INTO correction_rules (agent_id, statement, example_ids, proposed_by)
SELECT id, 'Name the day.', CAST(:examples AS uuid[]), 'Cora' FROM agents WHERE key = :agent RETURNING id
""")

LEARN = text("""
UPDATE candidates SET learnt_from = CAST(:learnt AS jsonb) WHERE run_id = :run AND state = 'winner'
""")
