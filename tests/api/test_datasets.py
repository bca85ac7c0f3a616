from uuid import UUID

import pytest

from learning_core.access import Caller
from learning_core.datasets import versions
from learning_core.datasets.curation import Rules
from learning_core.schema import Role
from tests.factories import approved_example


@pytest.fixture
def freeze(organization, transaction):
    def make(name, **overrides):
        caller = Caller(organization.id, "Cora", Role.ENGINEER)
        with transaction() as session:
            for _ in range(4):
                approved_example(session, **overrides)
            return versions.freeze(session, caller, name, Rules())

    return make


def test_the_versions_of_an_agent_are_told_newest_first(as_role, freeze, transaction, organization):
    one, two = freeze("one"), freeze("two", agent_id="other/agent")
    with transaction() as session:
        caller = Caller(organization.id, "Cora", Role.ENGINEER)
        versions.record_use(session, caller, one.id, "test", "a look")
    answer = as_role("viewer").get("datasets/tax-advisor")
    assert answer.status_code == 200
    told = answer.json()
    assert told["agent_id"] == "tax-advisor"
    assert [row["name"] for row in told["versions"]] == ["two", "one"]
    newest, oldest = told["versions"]
    assert UUID(oldest["dataset_id"]) == one.id
    assert (newest["content_hash"], newest["example_count"]) == (two.content_hash, 8)
    assert (newest["test_uses"], oldest["test_uses"]) == (0, 1)
    assert oldest["statistics"]["verified"]["n"] == 4
    assert [gate["outcome"] for gate in oldest["gates"]] == ["passed", "passed", "not enough data"]
    assert [row["name"] for row in as_role("viewer").get("datasets/other/agent").json()["versions"]] == [
        "two"
    ]


def test_an_agent_without_datasets_has_none(sender):
    sender.post("feedback", json={"execution_id": "e", "agent_id": "new", "feedback_type": "thumbs_up"})
    assert sender.get("datasets/new").json() == {"agent_id": "new", "versions": []}


def test_an_unknown_agent_is_not_found(sender):
    answer = sender.get("datasets/nobody")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_another_organisation_learns_nothing(freeze, other_sender):
    freeze("one")
    assert other_sender.get("datasets/tax-advisor").status_code == 404


def test_nobody_reads_without_a_key(client, organization):
    assert client.get("/api/learning/datasets/tax-advisor").status_code == 401
