from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from learning_core.prompts import versions
from tests.experiments.crowd import AGENT, START, Crowd, Manner, fix_salt, settle


@pytest.fixture
def bench(organization, monkeypatch):
    fix_salt(monkeypatch)
    return settle(organization)


@pytest.fixture
def post(sender, bench):
    """Write an experiment down: `post(start=True)`."""

    def ask(**more):
        body = {"agent_id": AGENT, "name": "Shorter", "treatments": ["v2"]} | more
        return sender.post(
            "experiments", json={name: value for name, value in body.items() if value is not None}
        )

    return ask


def test_an_experiment_is_written_down_with_what_is_usual(post):
    answer = post(hypothesis="Less is more.")
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["agent_id"], told["status"], told["says"]) == (AGENT, "draft", "Not started.")
    assert told["variants"] == [
        {"variant": "treatment", "version": "v2", "share": 0.5},
        {"variant": "control", "version": "v1", "share": 0.5},
    ]
    assert (told["primary_metric"], told["method"], told["planned_days"]) == (
        "satisfaction",
        "always_valid",
        None,
    )
    assert (told["hypothesis"], told["look"], told["guardrails"]) == ("Less is more.", None, [])


def test_wishes_are_kept(post):
    told = post(
        treatments=["v2", "production-candidate", "3"][::2],
        shares=[0.1, 0.2],
        primary_metric="thumbs_up_share",
        secondary_metrics=["cost_usd"],
        guardrails=[{"metric": "cost_usd", "limit": 0.5}],
        smallest_effect=0.03,
        planned_days=21,
        traffic=0.8,
        ramp=0.5,
    ).json()
    assert [each["share"] for each in told["variants"]] == pytest.approx([0.1, 0.2, 0.7])
    assert (told["primary_metric"], told["secondary_metrics"]) == ("thumbs_up_share", ["cost_usd"])
    assert (told["method"], told["planned_days"], told["smallest_effect"]) == ("planned_end", 21, 0.03)
    assert told["traffic"] == 0.8


def test_it_is_started_looked_at_and_decided(post, sender, bench):
    told = post(start=True, primary_metric="thumbs_up_share").json()
    path = f"experiments/{told['experiment_id']}"
    assert told["status"] == "running"
    with bench.session() as session:  # as if it had been started when the crowd came
        for table in ("allocations", "allocation_phases"):
            session.execute(text(f"UPDATE {table} SET started_at = :at"), {"at": START})
    Crowd(bench, size=80).live(told["experiment_id"], 0, Manner())
    bench.look(told["experiment_id"], 1)
    told = sender.get(path).json()
    assert told["says"].startswith("Too early to say")
    assert (told["look"]["number"], told["look"]["too_early"], told["look"]["decided"]) == (1, True, False)
    compared = told["look"]["comparisons"][0]
    assert (compared["variant"], compared["metric"], compared["role"]) == (
        "treatment",
        "thumbs_up_share",
        "primary",
    )
    assert 0 < compared["control"] < 1
    assert compared["low"] is None
    assert sum(told["look"]["users"].values()) == compared["users"]
    assert {each["metric"] for each in told["guardrails"]} == {"error_rate", "latency_ms", "satisfaction"}
    assert sender.get(f"{path}/looks").json()["looks"] == [told["look"]]
    decided = sender.post(f"{path}/complete", json={"decision": "keep_control", "reason": "No gain."}).json()
    assert (decided["status"], decided["decision"], decided["decision_reason"]) == (
        "completed",
        "keep_control",
        "No gain.",
    )
    assert decided["decision_by"] == "key engineer key"


def test_it_is_paused_resumed_and_cancelled(post, sender):
    path = f"experiments/{post().json()['experiment_id']}"
    told = [sender.post(f"{path}/{verb}").json()["status"] for verb in ("start", "pause", "resume")]
    told.append(sender.post(f"{path}/cancel", json={"reason": "Off."}).json()["status"])
    assert told == ["running", "paused", "running", "cancelled"]
    again = sender.post(f"{path}/start")
    assert again.status_code == 409
    assert "cancelled cannot be started" in again.json()["detail"]


def test_experiments_are_listed_of_an_agent_or_of_all(post, sender):
    first, second = post().json(), post(name="Again").json()
    assert sender.get("experiments").json()["experiments"] == [second, first]
    assert sender.get(f"experiments?agent_id={AGENT}&limit=1").json()["experiments"] == [second]
    assert sender.get("experiments?agent_id=nobody").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "status", "field"),
    [
        ({"treatments": ["v9"]}, 404, None),
        ({"treatments": ["v1"]}, 422, "variants"),
        ({"treatments": []}, 422, ""),
        ({"name": None}, 422, ""),
        ({"run_id": str(uuid4())}, 422, ""),
        ({"run_id": str(uuid4()), "candidate": 1}, 422, ""),
        ({"run_id": str(uuid4()), "candidate": 1, "treatments": None}, 404, None),
        ({"agent_id": "nobody"}, 404, None),
        ({"primary_metric": "beauty"}, 422, "primary"),
        ({"primary_metric": "cost_usd"}, 422, "smallest_effect"),
        ({"planned_days": 3}, 422, "planned_days"),
        ({"minimum_hours": 24}, 422, "minimum_hours"),
        ({"shares": [1.5]}, 422, "shares.0"),
        ({"shares": [0.2, 0.2]}, 422, "shares"),
        ({"traffic": 0}, 422, "traffic"),
        ({"guardrails": [{"metric": "error_rate", "limit": 2, "relative": False}]}, 422, "guardrails"),
        ({"decide": "now"}, 422, "decide"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_field(post, sender, wrong, status, field):
    answer = post(**wrong)
    assert answer.status_code == status, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == ([] if field is None else [field])
    assert sender.get("experiments").json()["experiments"] == []


def test_what_cannot_be_started_is_not_written_down_either(post, sender):
    assert post(start=True).status_code == 201
    refused = post(start=True, treatments=["v3"])
    assert refused.status_code == 409
    assert "0 % are free" in refused.json()["detail"]
    assert len(sender.get("experiments").json()["experiments"]) == 1


def test_a_decision_is_one_of_four_and_has_a_reason(post, sender):
    path = f"experiments/{post(start=True).json()['experiment_id']}/complete"
    for body in ({"decision": "ship", "reason": "So."}, {"decision": "rollback", "reason": " "}):
        assert sender.post(path, json=body).status_code == 422


@pytest.mark.parametrize("role", ["viewer", "expert"])
def test_only_engineers_and_administrators_experiment(as_role, post, role):
    path = f"experiments/{post().json()['experiment_id']}"
    asking = as_role(role)
    assert asking.get(path).status_code == asking.get(f"{path}/looks").status_code == 200
    body = {"agent_id": AGENT, "name": "Shorter", "treatments": ["v2"]}
    assert asking.post("experiments", json=body).status_code == 403
    for verb in ("start", "pause", "resume"):
        assert asking.post(f"{path}/{verb}").status_code == 403
    assert asking.post(f"{path}/complete", json={"decision": "rollback", "reason": "So."}).status_code == 403
    assert asking.post(f"{path}/cancel", json={"reason": "So."}).status_code == 403


def test_an_unknown_experiment_is_not_found(sender, bench):
    for path in ("", "/looks"):
        assert sender.get(f"experiments/{uuid4()}{path}").status_code == 404


def test_when_production_moves_on_a_draft_says_what_to_compare_with(post, sender, bench):
    path = f"experiments/{post().json()['experiment_id']}"
    with bench.session() as session:
        versions.label(session, bench.caller, AGENT, "production", "v3")
    refused = sender.post(f"{path}/start")
    assert refused.status_code == 422
    assert "users meet v3: compare with that" in refused.json()["detail"]
