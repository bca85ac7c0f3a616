from __future__ import annotations

from uuid import uuid4

import pytest

from benchmarks import standin
from learning_core.datasets.splits import Split
from learning_core.errors import NotFound
from learning_core.evaluation import runs as evaluations
from learning_core.prompts import runs
from tests.fakes import ModelServer
from tests.prompts import routing
from tests.prompts.routing import AGENT

CURRENT = standin.INTENTS.seed_prompt


@pytest.fixture
def server():
    with ModelServer(lambda body: standin.answer(body["messages"])) as running:
        yield running


@pytest.fixture
def world(organization, server):
    return routing.settle(organization, server.base_url)


@pytest.fixture
def ask(sender, world):
    def ask(**more):
        body = {"agent_id": AGENT, "current_prompt": CURRENT, "optimization_goals": ["Be exact."]} | more
        return sender.post("optimize-prompt", json=body)

    return ask


def test_an_optimization_is_accepted_carried_out_and_told(ask, sender, organization):
    accepted = ask(budget={"calls": 400})
    assert accepted.status_code == 202
    run = accepted.json()
    assert (run["status"], run["agent_id"], run["kind"]) == ("queued", AGENT, "prompt_optimization")
    assert run["estimate"]["calls"] <= 400
    assert run["result"] is None
    runs.optimize(organization_id=str(organization.id), run_id=run["run_id"])
    done = sender.get(f"runs/{run['run_id']}").json()
    assert done["status"] == "succeeded"
    assert done["result"]["verdict"]["kind"] == "improved"
    assert done["spent"]["calls"] <= 400


def test_the_text_that_is_in_production_becomes_no_second_version(ask, sender):
    assert ask().status_code == 202
    assert [one["version"] for one in sender.get(f"prompts/{AGENT}/versions").json()["versions"]] == ["v1"]


def test_goals_may_be_one_text(ask):
    assert ask(optimization_goals="Shorter.").status_code == 202


@pytest.mark.parametrize(
    ("wrong", "status", "field"),
    [
        ({"budget": {"calls": 0}}, 422, "budget.calls"),
        ({"budget": {"calls": 20}}, 409, None),
        ({"budget": {"euros": 5}}, 422, "budget.euros"),
        ({"strategies": ["magic"]}, 422, "strategies"),
        ({"dataset": "nowhere"}, 404, None),
        ({"current_prompt": ""}, 422, "current_prompt"),
        ({"current_prompt": "Use {{secret}} and {{input}}."}, 422, "messages"),
        ({"mode": "lucky"}, 422, "mode"),
        ({"agent_id": "newcomer"}, 409, None),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_field(ask, wrong, status, field):
    answer = ask(**wrong)
    assert answer.status_code == status, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == ([field] if field else [])


def test_a_refused_optimization_leaves_no_version_behind(ask, sender):
    assert ask(current_prompt="A new one.", dataset="nowhere").status_code == 404
    assert len(sender.get(f"prompts/{AGENT}/versions").json()["versions"]) == 1


@pytest.mark.parametrize("role", ["viewer", "expert"])
def test_only_engineers_and_administrators_spend_on_models(as_role, world, role):
    body = {"agent_id": AGENT, "current_prompt": CURRENT}
    assert as_role(role).post("optimize-prompt", json=body).status_code == 403


def test_a_run_is_paused_resumed_and_cancelled(ask, sender):
    run_id = ask().json()["run_id"]
    told = [sender.post(f"runs/{run_id}/{wish}").json()["status"] for wish in ("pause", "resume", "cancel")]
    assert told == ["paused", "queued", "cancelled"]
    again = sender.post(f"runs/{run_id}/resume")
    assert again.status_code == 409
    assert "cancelled" in again.json()["detail"]


def test_a_paused_evaluation_goes_on_as_an_evaluation(sender, world, transaction, organization):
    with transaction() as session:
        version, dataset = world.version_id, world.dataset_id
        run_id = evaluations.start(session, world.caller, AGENT, version, dataset, Split.VALIDATION)
    told = [sender.post(f"runs/{run_id}/{wish}").json()["status"] for wish in ("pause", "resume")]
    assert told == ["paused", "queued"]
    evaluations.evaluate(str(organization.id), str(run_id))
    assert sender.get(f"runs/{run_id}").json()["status"] == "succeeded"
    with pytest.raises(NotFound), transaction() as session:
        runs.resume(session, world.caller, run_id)


def test_a_viewer_reads_a_run_and_stops_none(ask, as_role):
    run_id = ask().json()["run_id"]
    viewer = as_role("viewer")
    assert viewer.get(f"runs/{run_id}").status_code == 200
    assert viewer.post(f"runs/{run_id}/cancel").status_code == 403


def test_an_unknown_run_is_not_found(sender, database):
    assert sender.get(f"runs/{uuid4()}").status_code == 404
