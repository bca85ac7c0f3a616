from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.releases.rollouts import AGENT, Manner, fix_salt, settle

FAILING = {"v1": Manner(4.0), "v2": Manner(4.0, failed=0.3)}


@pytest.fixture
def bench(organization, monkeypatch):
    fix_salt(monkeypatch)
    return settle(organization)


@pytest.fixture
def post(sender, bench):
    """Start a release: `post(version="v3")`."""

    def ask(**more):
        return sender.post("releases", json={"agent_id": AGENT, "version": "v2", "reason": "Better."} | more)

    return ask


@pytest.fixture
def started(post):
    """The path of a release that has just begun."""
    return f"releases/{post().json()['release_id']}"


def gets(sender, user="somebody") -> str:
    return sender.get(f"prompts/{AGENT}", params={"user_id": user}).json()["version"]


def test_a_release_is_started_with_what_is_usual(post):
    answer = post()
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["agent_id"], told["number"], told["version"], told["previous_version"]) == (
        AGENT,
        1,
        "v2",
        "v1",
    )
    assert (told["status"], told["share"], told["stage"], told["check"]) == ("rolling_out", 0.05, 0, None)
    assert told["stages"] == [
        {"share": 0.05, "hours": 24},
        {"share": 0.25, "hours": 48},
        {"share": 1.0, "hours": 336},
    ]
    assert (told["approved_by"], told["held_by"], told["created_by"]) == (None, None, "key engineer key")


def test_wishes_are_kept(post, bench):
    stages = [{"share": 0.1, "hours": 6}, {"share": 1, "hours": 48}]
    limits = {"error_rate": 0.02, "latency_rise": None, "literal_min_n": 300}
    told = post(stages=stages, limits=limits, two_person=True).json()
    assert (told["stages"], told["share"]) == (stages, 0.1)
    with bench.session() as session:
        policy = session.execute(text("SELECT policy FROM releases WHERE number = 1")).scalar_one()
    assert policy["limits"] == {
        "error_rate": 0.02,
        "satisfaction_drop": 0.10,
        "latency_rise": None,
        "satisfaction": "satisfaction",
        "literal_min_n": 300,
    }
    assert policy["two_person"] is True


@pytest.mark.parametrize(
    ("wish", "status", "field"),
    [
        ({"version": "v1"}, 409, None),
        ({"version": "v9"}, 404, None),
        ({"agent_id": "nobody"}, 404, None),
        ({"reason": " "}, 422, "reason"),
        ({"stages": [{"share": 1, "hours": 1}]}, 422, "stages"),
        ({"stages": [{"share": 0.2, "hours": 1}, {"share": 0.1, "hours": 1}]}, 422, "stages"),
        ({"limits": {"error_rate": 1.5}}, 422, "limits.error_rate"),
        ({"experiment_id": str(uuid4())}, 404, None),
        ({"approved": True}, 422, "approved"),
    ],
)
def test_what_cannot_be_is_refused(post, wish, status, field):
    answer = post(**wish)
    assert answer.status_code == status, answer.text
    assert field is None or field in [error["field"] for error in answer.json()["errors"]]


def test_a_release_tells_its_guardrails_and_what_happened(sender, bench, started):
    bench.live(0.1, {"v1": Manner(), "v2": Manner()}, users=1000)
    with bench.session() as session:
        session.execute(text("UPDATE allocations SET started_at = now() - interval '1 day'"))
    bench.advance(started.removeprefix("releases/"), 1)
    told = sender.get(started).json()
    assert {bound["metric"]: bound["state"] for bound in told["check"]["guardrails"]} == {
        "error_rate": "ok",
        "satisfaction": "ok",
        "latency_ms": "ok",
    }
    assert told["check"]["says"].startswith("At 5 % for about")
    assert set(told["check"]["users"]) == {"treatment", "control"}
    assert [(event["kind"], event["actor"]) for event in told["events"]] == [("started", "key engineer key")]


def test_releases_are_listed_newest_first(sender, as_role, started):
    told = as_role("viewer").get("releases", params={"agent_id": AGENT}).json()["releases"]
    assert [(one["number"], one["status"]) for one in told] == [(1, "rolling_out"), (0, "completed")]
    assert len(sender.get("releases", params={"limit": 1}).json()["releases"]) == 1
    assert sender.get("releases", params={"agent_id": "nobody"}).status_code == 404


def test_a_release_is_held_and_let_go_on(sender, started):
    told = sender.post(f"{started}/hold", json={"reason": "Holidays."}).json()
    assert (told["held_by"], told["hold_reason"]) == ("key engineer key", "Holidays.")
    assert sender.post(f"{started}/hold", json={"reason": "Again."}).status_code == 409
    assert sender.post(f"{started}/go-on").json()["held_by"] is None
    assert sender.post(f"{started}/go-on").status_code == 409


def test_rolling_back_takes_effect_on_the_next_request(sender, bench, started):
    given = {user: gets(sender, user) for user in (f"user-{number}" for number in range(60))}
    assert set(given.values()) == {"v1", "v2"}
    told = sender.post(f"{started}/roll-back", json={"reason": "Complaints."}).json()
    assert (told["status"], told["end_reason"], told["share"]) == ("rolled_back", "Complaints.", 0)
    assert {gets(sender, user) for user in given} == {"v1"}
    assert sender.post(f"{started}/roll-back", json={"reason": "Again."}).status_code == 409


def test_a_release_that_waits_can_be_cancelled(sender, bench, started):
    assert sender.post(f"{started}/cancel", json={"reason": "Not now."}).status_code == 409
    with bench.session() as session:
        session.execute(text("UPDATE releases SET status = 'waiting' WHERE number = 1"))
    told = sender.post(f"{started}/cancel", json={"reason": "Not now."}).json()
    assert (told["status"], told["end_reason"]) == ("cancelled", "Not now.")


@pytest.mark.parametrize("verb", ["approve", "promote"])
def test_what_is_for_people_has_no_route(sender, started, verb):
    assert sender.post(f"{started}/{verb}", json={"reason": "I am a machine."}).status_code == 404


@pytest.mark.parametrize("role", ["viewer", "expert"])
def test_only_engineers_and_admins_may_change_anything(as_role, started, role):
    other = as_role(role)
    wish = {"agent_id": AGENT, "version": "v3", "reason": "Better."}
    assert other.post("releases", json=wish).status_code == 403
    for verb in ("hold", "roll-back", "cancel"):
        assert other.post(f"{started}/{verb}", json={"reason": "Mine."}).status_code == 403
    assert other.post(f"{started}/go-on").status_code == 403
    assert other.get(started).status_code == 200
