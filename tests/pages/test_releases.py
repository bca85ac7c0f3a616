from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from learning_core.access import Caller
from learning_core.feedback.collect import collect
from learning_core.llm.templates import Prompt
from learning_core.prompts import versions
from learning_core.releases import measurement, queries, rollout, starting
from learning_core.releases.starting import Start
from learning_core.schema import ReleaseStatus, Role
from pages.components import frames
from tests.factories import feedback
from tests.pages.conftest import shown
from tests.pages.test_hostile import HOSTILE, assert_inert
from tests.releases import ledger_story
from tests.releases.ledger_story import FULL, START, World, react

DAY = timedelta(days=1)


@pytest.fixture
def shipped(organization: object, transaction: Callable) -> World:
    """A correction that a release learnt from: answers reported as incorrect went from 40 % to 6 %."""
    said = {"issue_categories": ["incorrect"], "correction_text": "On the 15th."}
    with transaction() as session:
        collect(session, [feedback(id="f1", feedback_type="correction", **said)], "api")
        example = text("SELECT id FROM learning_examples WHERE feedback_id IS NOT NULL")
        example_id = session.execute(example).scalar_one()
    with transaction() as session:
        world = ledger_story.tell(session, organization.id, {"examples": [str(example_id)]}, example_id)
        old, new = (version.key for version in world.versions)
        for person in range(50):
            issues = ["incorrect"] if person < 20 else []
            react(session, old, START - 5 * DAY, f"u{person}", 1, issue_categories=issues)
            react(session, new, FULL + DAY, f"u{person}", 1, issue_categories=issues[: person < 3], rating=5)
        measurement.measure(session, world.release_id, FULL + 2 * DAY)
    frames.forget()
    return world


# ---------------------------------------------------------------- what learning changed


def test_overview_says_what_the_newest_releases_changed(
    visit: Callable[..., AppTest], shipped: World
) -> None:
    words = shown(visit(window="365d"))
    assert "What learning changed" in words
    assert "Satisfaction: 4.00 before, 5.00 since" in words
    assert "): better." in words
    assert (
        "50 ratings of 50 people, then 50 ratings of 50 people. Other things may have changed too." in words
    )


def test_overview_is_silent_where_nothing_was_released(visit: Callable[..., AppTest], give: Callable) -> None:
    give(feedback())
    assert "What learning changed" not in shown(visit())


def test_an_example_says_what_it_changed(
    visit: Callable[..., AppTest], shipped: World, transaction: Callable
) -> None:
    with transaction() as session:
        corrected = text(
            "SELECT CAST(example.id AS text) FROM learning_examples AS example"
            " JOIN agent_feedback AS said ON said.id = example.feedback_id WHERE said.key = 'f1'"
        )
        example_id = session.execute(corrected).scalar_one()
        other = text(
            "SELECT CAST(example_id AS text) FROM dataset_examples"
            " JOIN learning_examples AS example ON example.id = example_id WHERE split = 'test' LIMIT 1"
        )
        kept_back = session.execute(other).scalar_one()
    words = shown(visit("review", example=example_id))
    assert "What it changed" in words
    assert (
        "This correction shipped in v2 (release 1): reported as incorrect: "
        "40 % before, 6 % since (2 % to 17 %)." in words
    )
    assert "The prompt was made from it directly." in words
    assert "No release has learnt from it yet." in shown(visit("review", example=kept_back))


# ---------------------------------------------------------------- releases

NOW = datetime.now(UTC).replace(microsecond=0)
AGENT = "contract-reader"


@pytest.fixture
def cora(organization: object) -> Caller:
    return Caller(organization.id, "Cora", Role.ENGINEER)


@pytest.fixture
def release(transaction: Callable, cora: Caller) -> Callable[..., UUID]:
    """Start a release of a second version, ten hours ago: `release(approved=True)`."""

    def begin(**how: object) -> UUID:
        with transaction() as session:
            versions.save(session, cora, AGENT, Prompt.from_text("Read."), reason="The first.")
            versions.save(session, cora, AGENT, Prompt.from_text("Read all."), reason="Names every date.")
            wish = Start(agent=AGENT, version="v2", **{"reason": "Dates were missed."} | how)
            started = starting.start(session, cora, wish, NOW - timedelta(hours=10))
            rollout.advance(session, started, NOW - timedelta(hours=1))
        frames.forget()
        return started

    return begin


@pytest.fixture
def state(transaction: Callable) -> Callable[[UUID], queries.Found]:
    def read(release_id: UUID) -> queries.Found:
        with transaction() as session:
            return queries.find(session, release_id)

    return read


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def decide(app: AppTest, verb: str, release_id: UUID, reason: str) -> AppTest:
    app.text_input(key=f"{verb}_reason_{release_id}").set_value(reason)
    return app.button(key=f"{verb}_{release_id}").click().run()


def test_without_agents_the_page_says_how_it_begins(visit: Callable[..., AppTest]) -> None:
    app = visit("releases")
    assert "No agent has been heard of yet" in shown(app)
    assert "Start a release" not in [button.label for button in app.button]


def test_without_releases_the_page_says_what_one_is(visit: Callable[..., AppTest], give: Callable) -> None:
    give(feedback())
    words = shown(visit("releases"))
    assert "Nothing was released yet." in words
    assert "No agent has a prompt in production yet." in words


def test_all_releases_stand_with_where_they_are(
    visit: Callable[..., AppTest], shipped: World, release: Callable[..., UUID]
) -> None:
    release()
    app = visit("releases")
    words = shown(app)
    assert "contract\\-reader: v2" in words
    assert "5 % of users get it, until" in words
    current, history = (table.value for table in app.dataframe)
    assert current["Agent"].tolist() == [AGENT, "tax-advisor"]
    assert current["Version"].tolist() == ["v1", "v1"]
    told = dict(zip(history["Agent"], history["Effect"], strict=True))
    assert told["tax-advisor"].startswith("Satisfaction: 4.00 before, 5.00 since (")
    assert history["Version"].tolist() == ["v1 → v2", "v1 → v2"]
    assert history["State"].tolist() == ["Rolling out", "Being watched"]


def test_a_release_says_where_it_is_and_what_watches_it(
    visit: Callable[..., AppTest], release: Callable[..., UUID]
) -> None:
    words = shown(visit("releases", release=str(release())))
    assert "Release 1 of contract\\-reader" in words
    assert "v2 takes over from v1" in words.replace("\\", "")
    assert "Dates were missed." in words
    assert 'aria-current="step"' in words
    assert "at least a day" in words
    assert "watched for two weeks" in words
    assert "Nothing to go by" in words  # nobody has met it yet
    assert "v2 was written by Cora: Names every date." in words
    assert "Before more than 50 % of the users get it, a person approves it." in words.replace("50.0", "50")
    assert "of the users meet v2." in words


def test_a_release_is_rolled_back_with_a_reason(
    visit: Callable[..., AppTest], release: Callable[..., UUID], state: Callable[[UUID], queries.Found]
) -> None:
    release_id = release()
    app = visit("releases", release=str(release_id))
    app = app.button(key=f"roll_back_{release_id}").click().run()
    assert "Say why, in a few words" in shown(app)
    assert state(release_id).status is ReleaseStatus.ROLLING_OUT
    words = shown(decide(app, "roll_back", release_id, "It invents dates."))
    assert state(release_id).status is ReleaseStatus.ROLLED_BACK
    assert "Taken back on" in words
    assert "It invents dates." in words
    assert "Roll back now" not in words


def test_a_release_is_held_approved_and_promoted(
    visit: Callable[..., AppTest], release: Callable[..., UUID], state: Callable[[UUID], queries.Found]
) -> None:
    release_id = release()
    app = decide(visit("releases", release=str(release_id)), "hold", release_id, "Until Monday.")
    assert "Held at 5 % of users by Local developer." in shown(app)
    assert "Until Monday." in shown(app)
    app = press(app, "Go on")
    assert state(release_id).held_by is None
    app = decide(app, "approve", release_id, "Agreed with the desk.")
    assert state(release_id).approval_reason == "Agreed with the desk."
    assert "Approve it" not in [button.label for button in app.button]
    decide(app, "promote", release_id, "Enough is known.")
    assert state(release_id).stage == 1


OFFERED = {"Start a release", "Start the release", "Roll back now", "Hold it here", "Approve it", "Go on"}


def test_who_only_reads_is_offered_nothing(
    visit: Callable[..., AppTest], release: Callable[..., UUID]
) -> None:
    release_id = release()
    for query in ({}, {"release": str(release_id)}, {"make": "release"}):
        app = visit("releases", view="Product manager", **query)
        labels = {button.label for button in app.button}
        assert not labels & {
            "Start a release",
            "Start the release",
            "Roll back now",
            "Hold it here",
            "Approve it",
        }


def test_the_effect_is_told_by_calendar_with_what_it_rests_on(
    visit: Callable[..., AppTest], shipped: World
) -> None:
    words = shown(visit("releases", release=str(shipped.release_id)))
    assert "A comparison of two times, not proof" in words
    assert "Other things may have changed in between." in words
    assert "50 and 50 ratings" in words
    assert "Reported as incorrect" in words
    assert "1 piece of feedback became an example." in words
    assert "Questions about tax, version 1" in words


def test_a_release_is_started_from_a_version(
    visit: Callable[..., AppTest], shipped: World, transaction: Callable
) -> None:
    with transaction() as session:
        session.execute(text("UPDATE releases SET status = 'completed', finished_at = full_at"))
    app = visit("releases", make="release", agent="tax-advisor", version="2")
    words = shown(app)
    assert "v2 is to take over from v1." in words
    assert "5 % of users, chosen by lot, get the new version for at least a day." in words
    assert "more than 5 % of its answers fail" in words
    app = press(app, "Start the release")
    assert "Say why it is released" in shown(app)
    app.text_input(key="release_reason").set_value("Corrections asked for it.")
    app.checkbox(key="release_two_person").check().run()
    assert app.checkbox(key="release_approved").disabled
    app = press(app, "Start the release")
    assert "Corrections asked for it." in shown(app)
    with transaction() as session:
        [started] = [one for one in queries.releases(session) if one.status is ReleaseStatus.ROLLING_OUT]
    assert (started.version, started.policy.two_person, started.approved_by) == ("v2", True, None)
    assert started.policy.limits.literal_min_n is None


def test_the_plain_rule_says_what_it_costs(visit: Callable[..., AppTest], shipped: World) -> None:
    app = visit("releases", make="release", agent="tax-advisor")
    assert "of harmless versions" in shown(app).lower()
    app = app.checkbox(key="release_literal").check().run()
    assert "as soon as the plain figure says so, from 200 answers or ratings on" in shown(app)


def test_a_release_nobody_knows_is_said_to_be_none(visit: Callable[..., AppTest], give: Callable) -> None:
    give(feedback())
    for unknown in (str(uuid4()), "first"):
        assert "No such release" in shown(visit("releases", release=unknown))


def test_what_strangers_wrote_acts_nowhere(
    visit: Callable[..., AppTest], release: Callable[..., UUID]
) -> None:
    release_id = release(reason=" ".join(HOSTILE[:6]))
    for query in ({}, {"release": str(release_id)}):
        assert_inert(visit("releases", **query))
