from __future__ import annotations

import asyncio
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError
from uuid import uuid4

import pytest
from sqlalchemy import text

from learning_core import db
from learning_core.access import Caller
from learning_core.api import recent
from learning_core.errors import NotFound, Unavailable
from learning_core.experiments import allocations
from learning_core.feedback.executions import record
from learning_core.llm.templates import Prompt
from learning_core.prompts import versions
from learning_core.releases.routing import RoutingTable, Target
from learning_core.schema import Role
from tests.conftest import HOME, serving
from tests.factories import allocation, execution


@pytest.fixture
def running(organization, transaction):
    """An experiment on all users of "tax-advisor"."""
    with transaction() as session:
        return allocation(session, Caller(organization.id, "ada", Role.ADMIN))


@pytest.fixture
def users(sender, running):
    """A user who meets the treatment, and one who meets the control."""
    found = {sender.get(f"prompts/tax-advisor?user_id=u{n}").json()["variant"]: f"u{n}" for n in range(40)}
    return found["treatment"], found["control"]


def answer_of(sender, user: str, **more):
    return sender.get("prompts/tax-advisor", params={"user_id": user}, **more)


def test_a_user_in_an_experiment_is_answered_with_their_variant(as_role, running, users):
    told = answer_of(as_role("viewer"), users[0]).json()
    assert (told["version"], told["text"], told["number"]) == ("v2", "Answer as treatment.", 2)
    assert told["messages"][0] == {"role": "system", "content": "Answer as treatment.", "literal": False}
    assert (told["variant"], told["assignment"]) == ("treatment", f"{running.id.hex}.treatment")
    assert (told["experiment_id"], told["release_id"]) == (str(running.experiment_id), None)
    assert told["label"] is None
    told = answer_of(as_role("viewer"), users[1]).json()
    assert (told["version"], told["variant"]) == ("v1", "control")


def test_what_it_says_of_a_version_is_the_same_with_and_without_a_user(sender, users):
    alone = sender.get("prompts/tax-advisor").json()
    for_control = answer_of(sender, users[1]).json()
    differs = {"label", "variant", "assignment", "experiment_id"}
    assert {name for name in alone if alone[name] != for_control[name]} == differs
    assert alone.keys() == for_control.keys()


def test_a_user_outside_gets_what_is_in_production(sender, running, transaction):
    with transaction() as session:
        allocations.end(session, running.id, datetime.now(UTC))
    told = answer_of(sender, "u1").json()
    assert (told["version"], told["label"], told["variant"]) == ("v1", "production", None)
    assert sender.get("prompts/tax-advisor?user_id=u1&label=production").json() == told


def test_the_tag_covers_content_and_assignment(organization, sender, users, transaction, running):
    tag = answer_of(sender, users[1]).headers["etag"]
    again = answer_of(sender, users[1], headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    alone = sender.get("prompts/tax-advisor")
    assert alone.headers["etag"] != tag  # the same text, but it counts for nothing
    assert answer_of(sender, users[1], headers={"If-None-Match": alone.headers["etag"]}).status_code == 200
    assert answer_of(sender, users[0]).headers["etag"] != tag
    with transaction() as session:
        allocations.end(session, running.id, datetime.now(UTC))
    recent.forget_routes(organization.id, "tax-advisor")
    assert answer_of(sender, users[1], headers={"If-None-Match": tag}).json()["assignment"] is None


@pytest.mark.parametrize("query", ["label=staging", "version=v1"])
def test_a_user_gets_what_is_assigned_and_no_other_version(sender, running, query):
    answer = sender.get(f"prompts/tax-advisor?user_id=u1&{query}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "user_id")


@pytest.mark.parametrize("user", ["", " ", "%00", "u" * 201])
def test_a_user_is_named_as_in_executions(sender, running, user):
    assert sender.get(f"prompts/tax-advisor?user_id={user}").status_code == 422


def test_spaces_around_a_user_do_not_make_another_one(sender, users):
    assert answer_of(sender, f" {users[0]} ").json() == answer_of(sender, users[0]).json()


def test_an_agent_without_a_prompt_is_not_found_for_a_user_either(sender):
    answer = sender.get("prompts/nobody?user_id=u1")
    assert answer.status_code == 404
    assert "no agent 'nobody'" in answer.json()["detail"]


def test_the_same_user_of_two_organisations_gets_each_one_s_prompt(sender, other_sender, running):
    other_sender.post("prompts/tax-advisor", json={"text": "Theirs.", "reason": "to begin with"})
    for _ in range(2):  # also from what is remembered
        told = answer_of(other_sender, "u1").json()
        assert (told["text"], told["assignment"]) == ("Theirs.", None)
        assert answer_of(sender, "u1").json()["assignment"].startswith(running.id.hex)


def test_a_moved_label_holds_for_users_from_the_next_request_on(sender):
    for words in ("One.", "Two."):
        sender.post("prompts/tax", json={"text": words, "reason": "to try"})
    assert sender.get("prompts/tax?user_id=u1").json()["version"] == "v1"
    sender.request("PUT", "prompts/tax/labels/production", json={"version": "v2"})
    assert sender.get("prompts/tax?user_id=u1").json()["version"] == "v2"


def test_an_end_reaches_assignments_within_a_second(sender, users, running, transaction):
    assert answer_of(sender, users[0]).json()["variant"] == "treatment"
    with transaction() as session:
        allocations.end(session, running.id, datetime.now(UTC))
    time.sleep(recent.KEPT_S)
    assert answer_of(sender, users[0]).json()["variant"] is None


# ---------------------------------------------------------------- what is remembered


@pytest.fixture
def reads(monkeypatch):
    """What is remembered, emptied, with a clock to turn and a count of reads: `reads.now += 1`."""

    class Reads:
        now = 100.0
        count = 0
        broken = False

        def read(self, *_):
            self.count += 1
            if self.broken:
                raise Unavailable
            return RoutingTable(Target(uuid4(), "v1"), ())

    kept = Reads()
    monkeypatch.setattr(recent, "_tables", {})
    monkeypatch.setattr(recent, "_read_table", kept.read)
    monkeypatch.setattr(recent, "time", SimpleNamespace(monotonic=lambda: kept.now))
    return kept


ORGANIZATION = uuid4()


def table():
    return asyncio.run(recent.routing_table(ORGANIZATION, "tax"))


def test_a_routing_table_is_read_once_in_a_while(reads):
    first = table()
    reads.now += recent.RENEWED_S * 0.9
    assert table() is first
    reads.now += recent.RENEWED_S * 0.2
    assert table() is not first
    assert reads.count == 2


def test_nobody_gets_a_table_older_than_half_a_second(reads):
    first = table()
    reads.broken = True
    reads.now += recent.RENEWED_S
    with pytest.raises(Unavailable):
        table()
    assert table() is first  # somebody else tries; this one is young enough
    reads.now = 100.0 + recent.KEPT_S
    with pytest.raises(Unavailable):
        table()
    assert recent.KEPT_S <= 0.5


def test_tables_are_kept_per_organisation_and_agent_and_not_without_end(reads, monkeypatch):
    monkeypatch.setattr(recent, "MOST_TABLES", 3)

    async def ask_all():
        for organization in (ORGANIZATION, uuid4()):
            for agent in ("a", "b", "c"):
                await recent.routing_table(organization, agent)
                assert len(recent._tables) <= 3

    asyncio.run(ask_all())
    assert reads.count == 6


def test_versions_are_kept_per_organisation_and_not_without_end(
    organization, other_organization, monkeypatch
):
    monkeypatch.setattr(recent, "_versions", {})
    monkeypatch.setattr(recent, "MOST_VERSIONS", 1)
    with db.organization_session(organization.id) as session:
        admin = Caller(organization.id, "ada", Role.ADMIN)
        one, two = (
            versions.save(session, admin, "tax", Prompt.from_text(words), reason="to try")
            for words in ("One.", "Two.")
        )

    async def ask():
        for version in (one, two, one):
            assert (await recent.version(organization.id, version.id)).key == version.key
            assert len(recent._versions) == 1
        with pytest.raises(NotFound):
            await recent.version(other_organization.id, one.id)

    asyncio.run(ask())


# ---------------------------------------------------------------- the agent's side


def test_the_documented_agent_goes_on_with_what_it_knows_when_the_server_is_gone(
    organization, sender, users, transaction, monkeypatch
):
    [code] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S)
    monkeypatch.setenv("KEY", sender.secret)
    with serving(Path(os.environ[HOME])) as origin:
        agent: dict = {}
        exec(code.replace("http://127.0.0.1:8501/api", origin), agent)
        prompts = agent["prompts"]
        in_time = {user: prompts.of(user) for user in users}
        assert [each["variant"] for each in in_time.values()] == ["treatment", "control"]
        agent["MOST_USERS"] = 3
        prompts.of("one more")
        assert set(prompts.known) == {*users, "one more"}  # the first user was the oldest
    for user in users:  # nobody answers any more
        assert prompts.of(user) == in_time[user]
    unknown = prompts.of("somebody new")
    assert (unknown["version"], unknown["assignment"], unknown["variant"]) == ("v1", None, None)
    with transaction() as session:
        for user, told in {**in_time, "somebody new": unknown}.items():
            entry = execution(user_id=user, assignment=told["assignment"], prompt_version=told["version"])
            record(session, [entry])
        counted = dict(session.execute(text("SELECT user_id, variant FROM exposures")).all())
    assert counted == dict(zip(users, ("treatment", "control"), strict=True))


def test_the_documented_agent_follows_the_server_and_hears_of_its_own_mistakes(
    sender, running, origin, monkeypatch, transaction
):
    [code] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S)
    monkeypatch.setenv("KEY", sender.secret)
    agent: dict = {}
    exec(code.replace("http://127.0.0.1:8501/api", origin), agent)
    with transaction() as session:
        allocations.end(session, running.id, datetime.now(UTC))
    sender.request("PUT", "prompts/tax-advisor/labels/production", json={"version": "v2"})
    time.sleep(recent.KEPT_S)
    assert agent["prompts"].of("u-42")["version"] == "v2"
    assert agent["prompts"].production["version"] == "v2"
    monkeypatch.setenv("KEY", "afg_wrong")
    with pytest.raises(HTTPError, match="401"):
        agent["prompts"].of("u-42")


DOCUMENT = Path(__file__).parents[2] / "docs" / "integration.md"
