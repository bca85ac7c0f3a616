from __future__ import annotations

import re
from pathlib import Path

import pytest

from learning_core.access import Caller
from learning_core.llm.templates import Prompt
from learning_core.prompts import versions
from learning_core.schema import Role
from tests.factories import execution

FIRST = {"text": "Be brief.", "reason": "to begin with"}
SECOND = {"text": "Name the section.", "reason": "no sources", "parent": "v1"}


def problem_of(answer, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


@pytest.fixture
def two(sender):
    """An agent with two versions, the first in production."""
    assert sender.post("prompts/tax", json=FIRST).status_code == 201
    assert sender.post("prompts/tax", json=SECOND).status_code == 201


# ---------------------------------------------------------------- asking


def test_an_agent_is_told_what_is_in_production(as_role, two):
    answer = as_role("viewer").get("prompts/tax")
    assert answer.status_code == 200
    told = answer.json()
    hashed = Prompt.from_text("Be brief.").content_hash
    assert answer.headers["etag"] == f'"{hashed}"'
    assert answer.headers["cache-control"] == "private, no-cache"
    assert told.pop("created_at")
    assert told == {
        "agent_id": "tax",
        "version": "v1",
        "number": 1,
        "label": "production",
        "messages": [
            {"role": "system", "content": "Be brief.", "literal": False},
            {"role": "user", "content": "{{input}}", "literal": False},
        ],
        "text": "Be brief.",
        "variables": ["input"],
        "content_hash": hashed,
        "variant": None,
        "assignment": None,
        "experiment_id": None,
        "release_id": None,
    }


def test_a_moved_label_holds_from_the_next_request_on(sender, two):
    moved = sender.request("PUT", "prompts/tax/labels/production", json={"version": "v2"})
    assert moved.status_code == 200
    assert moved.json() == {"agent_id": "tax", "label": "production", "version": "v2", "number": 2}
    assert sender.get("prompts/tax").json()["version"] == "v2"
    back = sender.request("PUT", "prompts/tax/labels/production", json={"version": "1"})
    assert back.json()["version"] == "v1"
    assert sender.get("prompts/tax").json()["version"] == "v1"


def test_a_version_is_had_by_label_key_or_number(sender, two):
    sender.request("PUT", "prompts/tax/labels/staging", json={"version": "v2"})
    for query in ("label=staging", "version=v2", "version=2"):
        assert sender.get(f"prompts/tax?{query}").json()["number"] == 2
    assert sender.get("prompts/tax?version=v2").json()["label"] is None
    assert sender.get("prompts/tax?label=staging").json()["label"] == "staging"


def test_what_the_agent_has_already_is_not_sent_again(sender, two):
    tag = sender.get("prompts/tax").headers["etag"]
    for held in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = sender.get("prompts/tax", headers={"If-None-Match": held})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert sender.get("prompts/tax", headers={"If-None-Match": '"other"'}).status_code == 200
    sender.request("PUT", "prompts/tax/labels/production", json={"version": "v2"})
    assert sender.get("prompts/tax", headers={"If-None-Match": tag}).json()["version"] == "v2"


def test_what_is_not_there_is_said_in_words(sender, two):
    assert "no agent 'nobody'" in problem_of(sender.get("prompts/nobody"), 404)["detail"]
    sender.post("executions", json=[execution(agent_id="bare").model_dump(mode="json")])
    assert "no prompt yet" in problem_of(sender.get("prompts/bare"), 404)["detail"]
    assert "labelled 'staging'" in problem_of(sender.get("prompts/tax?label=staging"), 404)["detail"]
    assert "its newest is 'v2'" in problem_of(sender.get("prompts/tax?version=v9"), 404)["detail"]
    problem_of(sender.get("prompts/tax?version=v1&label=staging"), 422)
    problem_of(sender.get("prompts/tax?version="), 422)


def test_an_example_in_a_prompt_is_marked_as_literal(sender):
    shown = [
        {"role": "system", "content": "Answer."},
        {"role": "user", "content": "What is {{input}}?", "literal": True},
        {"role": "assistant", "content": "A variable.", "literal": True},
        {"role": "user", "content": "{{input}} {{context}}"},
    ]
    sender.post("prompts/tax", json={"messages": shown, "reason": "with an example"})
    told = sender.get("prompts/tax").json()
    assert [message["literal"] for message in told["messages"]] == [False, True, True, False]
    assert told["variables"] == ["input", "context"]


def test_the_versions_are_listed_newest_first(as_role, two):
    answer = as_role("viewer").get("prompts/tax/versions")
    assert answer.status_code == 200
    newest, oldest = answer.json()["versions"]
    assert (newest["version"], newest["parent"], newest["labels"]) == ("v2", "v1", [])
    assert (oldest["reason"], oldest["labels"]) == ("to begin with", ["production"])
    assert oldest["author"] == "key engineer key"
    assert oldest["characters"] == len("Be brief.{{input}}")
    assert len(as_role("viewer").get("prompts/tax/versions?limit=1").json()["versions"]) == 1
    assert problem_of(as_role("viewer").get("prompts/nobody/versions"), 404)


def test_an_agent_s_key_may_hold_slashes(sender):
    assert sender.post("prompts/team/tax", json=FIRST).json()["agent_id"] == "team/tax"
    assert sender.get("prompts/team/tax").json()["version"] == "v1"
    assert len(sender.get("prompts/team/tax/versions").json()["versions"]) == 1
    moved = sender.request("PUT", "prompts/team/tax/labels/staging", json={"version": "v1"})
    assert moved.json()["agent_id"] == "team/tax"


def test_the_documented_agent_follows_a_label_and_goes_on_when_nobody_answers(
    sender, two, origin, tmp_path, monkeypatch
):
    [code] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEY", sender.secret)
    run = code.replace("http://127.0.0.1:8501/api", origin).replace("tax-advisor", "tax")

    def ask(code):
        names: dict = {}
        exec(code, names)
        return names["found"]["version"], names["messages"]

    asked = {"role": "user", "content": "When is the VAT return due?"}
    assert ask(run) == ("v1", [{"role": "system", "content": "Be brief."}, asked])
    assert ask(run)[0] == "v1"
    sender.request("PUT", "prompts/tax/labels/production", json={"version": "v2"})
    assert ask(run)[0] == "v2"
    assert ask(run.replace(origin, "http://127.0.0.1:1/api"))[0] == "v2"
    (tmp_path / "prompt.json").unlink()
    with pytest.raises(OSError, match="refused"):
        ask(run.replace(origin, "http://127.0.0.1:1/api"))


DOCUMENT = Path(__file__).parents[2] / "docs" / "prompts.md"

# ---------------------------------------------------------------- saving


def test_the_same_content_again_is_the_same_version(sender, two):
    again = sender.post("prompts/tax", json=FIRST | {"reason": "deployed"})
    assert (again.status_code, again.json()["version"]) == (200, "v1")
    assert len(sender.get("prompts/tax/versions").json()["versions"]) == 2


def test_a_version_may_bring_its_key(sender, two):
    assert (
        sender.post("prompts/tax", json=FIRST | {"text": "New.", "key": "rel-7"}).json()["version"] == "rel-7"
    )
    answer = sender.post("prompts/tax", json=FIRST | {"text": "Newer.", "key": "v1"})
    assert "with another content" in problem_of(answer, 409)["detail"]
    assert (
        "says the same" in problem_of(sender.post("prompts/tax", json=FIRST | {"key": "mine"}), 409)["detail"]
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": "x"}, ""),
        (FIRST | {"messages": [{"role": "user", "content": "{{input}}"}]}, ""),
        ({"text": "x"}, "reason"),
        (FIRST | {"reason": " "}, "reason"),
        (FIRST | {"text": "x\0"}, "text"),
        (FIRST | {"text": "x" * 200_001}, "text"),
        (FIRST | {"text": "Use {{pages}}."}, "messages"),
        ({"messages": [], "reason": "x"}, "messages"),
        ({"messages": [{"role": "cook", "content": "x"}], "reason": "x"}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": "Hello."}], "reason": "x"}, "messages"),
        (FIRST | {"key": "x" * 81}, "key"),
        (FIRST | {"labels": ["production"]}, "labels"),
    ],
)
def test_a_version_that_is_not_as_it_should_be_names_the_field(sender, body, field):
    assert problem_of(sender.post("prompts/tax", json=body), 422)["errors"][0]["field"] == field
    assert sender.get("prompts/tax").status_code == 404


def test_a_parent_has_to_be_there(sender, two):
    problem_of(sender.post("prompts/tax", json=FIRST | {"text": "New.", "parent": "v9"}), 404)


def test_a_label_has_to_be_one_and_its_version_there(sender, two):
    def put(label, version):
        return sender.request("PUT", f"prompts/tax/labels/{label}", json={"version": version})

    assert problem_of(put("Staging", "v1"), 422)["errors"][0]["field"] == "label"
    problem_of(put("v2", "v1"), 409)
    problem_of(put("staging", "v9"), 404)
    problem_of(sender.request("PUT", "prompts/nobody/labels/staging", json={"version": "v1"}), 404)


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize("role", ["viewer", "expert"])
def test_who_may_not_optimize_may_only_read(as_role, two, role):
    someone = as_role(role)
    assert role in problem_of(someone.post("prompts/tax", json=FIRST | {"text": "x"}), 403)["detail"]
    moved = someone.request("PUT", "prompts/tax/labels/production", json={"version": "v2"})
    assert role in problem_of(moved, 403)["detail"]
    assert someone.get("prompts/tax").json()["version"] == "v1"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "prompts/tax", None),
        ("GET", "prompts/tax/versions", None),
        ("POST", "prompts/tax", FIRST),
        ("PUT", "prompts/tax/labels/staging", {"version": "v1"}),
    ],
)
def test_no_route_answers_without_a_key(client, method, path, body):
    problem_of(client.request(method, f"/api/learning/{path}", json=body), 401)


def test_another_organisation_has_prompts_of_its_own(two, other_sender, organization, transaction):
    assert problem_of(other_sender.get("prompts/tax"), 404)
    other_sender.post("prompts/tax", json=FIRST | {"text": "Ours."})
    caller = Caller(organization.id, "Edda", Role.ENGINEER)
    with transaction() as session:
        assert versions.label(session, caller, "tax", "production", 1).prompt.text == "Be brief."
    assert other_sender.get("prompts/tax").json()["text"] == "Ours."
