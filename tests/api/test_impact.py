from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from learning_core.feedback.collect import collect
from learning_core.releases import measurement
from tests.factories import feedback
from tests.releases import ledger_story
from tests.releases.ledger_story import AGENT, FULL, START, react

DAY = timedelta(days=1)


@pytest.fixture
def world(organization, transaction):
    """A correction, of which 40 % of the answers had one; under the version that learnt from it, 6 %."""
    said = {"issue_categories": ["incorrect"], "correction_text": "On the 15th."}
    with transaction() as session:
        collect(session, [feedback(id="desk/7", feedback_type="correction", **said)], "api")
        example = text("SELECT id FROM learning_examples WHERE feedback_id IS NOT NULL")
        example_id = session.execute(example).scalar_one()
    with transaction() as session:
        world = ledger_story.tell(session, organization.id, {"examples": [str(example_id)]}, example_id)
        old, new = (version.key for version in world.versions)
        for person in range(50):
            issues = ["incorrect"] if person < 20 else []
            react(session, old, START - 5 * DAY, f"u{person}", 1, issue_categories=issues)
            react(session, new, FULL + DAY, f"u{person}", 1, issue_categories=issues[: person < 3])
        measurement.measure(session, world.release_id, FULL + 2 * DAY)
    return world


def test_who_corrected_is_told_what_it_changed(world, as_role):
    told = as_role("viewer").get("feedback/desk/7/impact").json()
    assert (told["feedback_id"], told["agent_id"]) == ("desk/7", AGENT)
    [shipped] = told["shipped"]
    assert (shipped["release_id"], shipped["number"], shipped["version"]) == (str(world.release_id), 1, "v2")
    assert shipped["taught_directly"] is True
    assert shipped["way"] == "by_calendar"
    change = shipped["changes"][0]
    assert (change["metric"], change["direction"], change["unit"]) == ("issue_incorrect", "better", "share")
    assert (change["before"]["value"], change["after"]["value"], change["after"]["users"]) == (0.4, 0.06, 50)
    assert change["after"]["low"] < 0.06 < change["after"]["high"]
    assert told["words"] == shipped["words"]
    assert told["words"].startswith(
        "This correction shipped in v2 (release 1): "
        "reported as incorrect: 40 % before, 6 % since (2 % to 17 %)"
    )


def test_before_it_ships_one_is_told_where_it_stands(sender, transaction):
    with transaction() as session:
        said = {"feedback_type": "correction", "correction_text": "On the 15th."}
        collect(session, [feedback(id="c1", **said), feedback(id="thanks")], "api")
    told = sender.get("feedback/c1/impact").json()
    assert (told["shipped"], told["example_status"]) == ([], "pending")
    assert told["words"] == "This correction waits for review."
    told = sender.get("feedback/thanks/impact").json()
    assert told["words"] == "This feedback was counted; it became no example to learn from."


def test_a_release_tells_what_it_was_made_from_and_what_it_did(world, as_role):
    told = as_role("viewer").get(f"releases/{world.release_id}/impact").json()
    assert (told["agent_id"], told["number"], told["status"]) == (AGENT, 1, "watching")
    assert (told["run_id"], told["dataset"]) == (str(world.run_id), "Questions about tax")
    assert (told["feedback_count"], told["side_by_side"]) == (1, None)
    assert told["example_count"] > 1
    calendar = told["by_calendar"]
    assert calendar["way"] == "by_calendar"
    assert [calendar[side]["version"] for side in ("before", "after")] == ["v1", "v2"]
    changes = {change["metric"]: change for change in calendar["changes"]}
    assert (
        changes["issue_incorrect"]["words"] == "reported as incorrect: 40 % before, 6 % since (2 % to 17 %)"
    )
    assert changes["thumbs_up_share"]["difference"] is None


def test_what_nobody_knows_is_not_found(world, sender, other_sender):
    assert sender.get("feedback/unheard-of/impact").status_code == 404
    assert sender.get(f"releases/{uuid4()}/impact").status_code == 404
    assert other_sender.get("feedback/desk/7/impact").status_code == 404
    assert other_sender.get(f"releases/{world.release_id}/impact").status_code == 404
    assert sender.get("releases/first/impact").status_code == 422


def test_without_a_key_nothing_is_told(world, client):
    assert client.get("/api/learning/feedback/desk/7/impact").status_code == 401
    assert client.get(f"/api/learning/releases/{world.release_id}/impact").status_code == 401
