"""What one organisation can do to another, as the application's role and through the API: nothing."""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import ForeignKeyConstraint, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from learning_core import access, db
from learning_core.access import Caller
from learning_core.feedback.collect import collect
from learning_core.feedback.executions import record
from learning_core.schema import Base, Role
from tests.factories import execution, feedback, populate

TABLES = [table.name for table in Base.metadata.sorted_tables if "organization_id" in table.columns]
APPEND_ONLY = ["audit_log"]
FROZEN = [
    "training_datasets",
    "dataset_examples",
    "dataset_uses",
    "prompt_versions",
    "evaluators",
    "experiment_looks",
    "release_events",
]
KEPT = [*FROZEN, "expert_annotations"]
"""What goes with its organisation and not before."""
CHANGEABLE = [name for name in TABLES if name not in APPEND_ONLY + FROZEN]
REFERENCES = sorted(
    (table.name, constraint.column_keys[1], constraint.referred_table.name)
    for table in Base.metadata.sorted_tables
    for constraint in table.constraints
    if isinstance(constraint, ForeignKeyConstraint) and len(constraint.column_keys) == 2
)


@pytest.fixture
def neighbours(organization, other_organization):
    """Two organisations with the same keys in the same tables: the one that tries, and the other."""
    populate(organization)
    populate(other_organization)
    return organization, other_organization


@contextmanager
def trying(organization):
    """Open a transaction of an organisation in which somebody acts who may do all there is to do."""
    with db.organization_session(organization.id) as session:
        access.act_as(session, Caller(organization.id, "mallory", Role.ADMIN), "review")
        yield session


def rows(organization, table: str) -> list[str]:
    with db.organization_session(organization.id) as session:
        whole = f"SELECT CAST(t AS text) FROM {table} AS t ORDER BY 1"
        return list(session.execute(text(whole)).scalars())


def everything(organization) -> dict[str, list[str]]:
    return {table: rows(organization, table) for table in TABLES}


# ---------------------------------------------------------------- as the application's role


def test_both_organisations_have_rows_in_every_table(neighbours):
    for organization in neighbours:
        assert [table for table in TABLES if not rows(organization, table)] == []


@pytest.mark.parametrize("table", TABLES)
def test_an_organisation_sees_its_own_rows_only(neighbours, table):
    one, other = neighbours
    with db.organization_session(one.id) as session:
        seen = session.execute(text(f"SELECT DISTINCT organization_id FROM {table}")).scalars().all()
        asked_for = f"SELECT 1 FROM {table} WHERE organization_id = :other"
        assert session.execute(text(asked_for), {"other": other.id}).all() == []
    assert seen == [one.id]


@pytest.mark.parametrize("table", CHANGEABLE)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET organization_id = organization_id WHERE organization_id = :other",
        "DELETE FROM {} WHERE organization_id = :other",
    ],
)
def test_changing_rows_of_another_organisation_finds_none(neighbours, table, statement):
    one, other = neighbours
    before = rows(other, table)
    with trying(one) as session:
        assert session.execute(text(statement.format(table)), {"other": other.id}).rowcount == 0
    assert rows(other, table) == before


@pytest.mark.parametrize("table", TABLES)
def test_a_row_cannot_be_inserted_for_another_organisation(neighbours, table):
    one, other = neighbours
    with pytest.raises(ProgrammingError, match=REFUSED), trying(one) as session:
        session.execute(text(f"INSERT INTO {table} (organization_id) VALUES (:other)"), {"other": other.id})


@pytest.mark.parametrize("table", CHANGEABLE)
def test_a_row_cannot_be_moved_to_another_organisation(neighbours, table):
    one, other = neighbours
    with pytest.raises(ProgrammingError, match=REFUSED), trying(one) as session:
        session.execute(text(f"UPDATE {table} SET organization_id = :other"), {"other": other.id})


REFUSED = "violates row-level security policy"


@pytest.mark.parametrize(("table", "column", "referred"), REFERENCES)
def test_a_row_cannot_refer_to_a_row_of_another_organisation(neighbours, table, column, referred):
    one, other = neighbours
    with db.organization_session(other.id) as session:
        foreign = session.execute(text(f"SELECT id FROM {referred}")).scalars().first()
    one_row = f"UPDATE {table} SET {column} = :foreign WHERE ctid = (SELECT min(ctid) FROM {table})"
    is_unseen = (table, column) == ("dataset_examples", "dataset_id")  # a policy looks before the key does
    reason = REFUSED if is_unseen else f"{table}_{referred}_fkey"
    attempt = text(INSERTS.get((table, column), one_row))
    with trying(one) as session:
        session.execute(text(NEW_VERSION))
        with pytest.raises(DBAPIError, match=reason):
            session.execute(attempt, {"foreign": foreign})


NEW_VERSION = """
INSERT INTO training_datasets
    (name, version, rules, seed, content_hash, example_count, statistics, gates, created_by)
VALUES ('stolen', 1, '{}', '', '', 1, '{}', '{}', 'mallory')
"""
INSERTS = {
    ("dataset_examples", "dataset_id"): """
        INSERT INTO dataset_examples (dataset_id, example_id, split, group_name, content)
        SELECT :foreign, id, 'test', 'one', '{}' FROM learning_examples LIMIT 1
    """,
    ("dataset_examples", "example_id"): """
        INSERT INTO dataset_examples (dataset_id, example_id, split, group_name, content)
        SELECT id, :foreign, 'test', 'one', '{}' FROM training_datasets WHERE name = 'stolen'
    """,
    ("dataset_uses", "dataset_id"): """
        INSERT INTO dataset_uses (dataset_id, split, purpose, used_by)
        VALUES (:foreign, 'test', 'a look', 'mallory')
    """,
    ("prompt_versions", "agent_id"): """
        INSERT INTO prompt_versions (agent_id, number, key, messages, content_hash, author, reason)
        VALUES (:foreign, 2, 'v2', '[]', 'other', 'mallory', 'a try')
    """,
    ("prompt_versions", "parent_id"): """
        INSERT INTO prompt_versions (agent_id, parent_id, number, key, messages, content_hash, author, reason)
        SELECT id, :foreign, 2, 'v2', '[]', 'other', 'mallory', 'a try' FROM agents
    """,
    ("evaluators", "agent_id"): """
        INSERT INTO evaluators (agent_id, number, checks, gate, created_by)
        VALUES (:foreign, 2, '[]', '{}', 'mallory')
    """,
    ("experiment_looks", "experiment_id"): """
        INSERT INTO experiment_looks (experiment_id, number, at, result) VALUES (:foreign, 2, now(), '{}')
    """,
    ("release_events", "release_id"): """
        INSERT INTO release_events (release_id, at, kind, actor, details)
        VALUES (:foreign, now(), 'started', 'mallory', '{}')
    """,
    ("allocations", "release_id"): """
        INSERT INTO allocations (agent_id, kind, release_id, salt, first_bucket, end_bucket, ramp, started_at)
        SELECT id, 'canary', :foreign, 'salt', 0, 10000, 1, now() FROM agents
    """,
}
"""What cannot be updated, or only with something else, can still be inserted."""


# ---------------------------------------------------------------- what nobody changes, not even their own


@pytest.mark.parametrize("table", FROZEN)
def test_a_frozen_row_cannot_be_changed(neighbours, table):
    one, _ = neighbours
    for column in Base.metadata.tables[table].columns:
        with pytest.raises(ProgrammingError, match="permission denied"), trying(one) as session:
            session.execute(text(f"UPDATE {table} SET {column.name} = {column.name}"))


@pytest.mark.parametrize("table", KEPT)
def test_what_is_kept_cannot_be_deleted_while_its_organisation_lives(neighbours, table):
    one, other = neighbours
    before = rows(one, table), rows(other, table)
    with trying(one) as session:
        assert session.execute(text(f"DELETE FROM {table}")).rowcount == 0
    assert (rows(one, table), rows(other, table)) == before


@pytest.mark.parametrize("table", KEPT)
def test_removing_an_organisation_lets_go_of_nothing_that_another_one_keeps(neighbours, table):
    one, other = neighbours
    before = rows(other, table)
    with trying(one) as session:
        access.remove_organization(session, Caller(one.id, "mallory", Role.ADMIN))
        for last in reversed(TABLES):
            if last not in APPEND_ONLY:
                session.execute(text(f"DELETE FROM {last}"))
    assert rows(one, table) == []
    assert rows(other, table) == before


def test_nothing_is_added_to_a_version_once_it_is_frozen(neighbours):
    one, _ = neighbours
    with pytest.raises(ProgrammingError, match=REFUSED), trying(one) as session:
        session.execute(
            text("""
                INSERT INTO dataset_examples (dataset_id, example_id, split, group_name, content)
                SELECT version.id, example.id, 'train', 'two', '{}'
                FROM training_datasets AS version, learning_examples AS example WHERE example.key = 'held'
            """)
        )


# ---------------------------------------------------------------- through the API

THEIR_EXECUTION = {"execution_id": "their-e1", "agent_id": "their-agent"}
RATING = {"id": "their-f1", **THEIR_EXECUTION, "feedback_type": "star_rating", "rating": 1}
THUMBS_DOWN = {**THEIR_EXECUTION, "feedback_type": "thumbs_down"}
THEIR_EXAMPLE = "01900000-0000-7000-8000-000000000000"
THEIR_RUN = "01900000-0000-7000-8000-000000000001"
THEIR_EXPERIMENT = "01900000-0000-7000-8000-000000000002"
THEIR_RELEASE = "01900000-0000-7000-8000-000000000003"
THEIR_ALLOCATION = "01900000-0000-7000-8000-0000000000aa"
THEIR_ASSIGNMENT = f"{THEIR_ALLOCATION.replace('-', '')}.control"
ABOUT_THE_OTHER = [
    ("POST", "feedback", RATING, 201),
    ("POST", "feedback/batch", [RATING], 201),
    ("POST", "executions", THEIR_EXECUTION | {"output_text": "Mine now."}, 201),
    ("POST", "widget/tokens", THEIR_EXECUTION, 201),
    ("DELETE", "feedback/their-f1", None, 404),
    ("GET", "feedback/stats/their-agent", None, 404),
    ("GET", "feedback/issues/their-agent", None, 404),
    ("GET", "stats", None, 200),
    ("GET", "annotations/queue", None, 200),
    ("GET", "annotations/queue?claim=true&agent_id=their-agent", None, 200),
    ("DELETE", "annotations/queue", None, 204),
    ("POST", "annotations", {"example_id": THEIR_EXAMPLE, "approved": True}, 404),
    ("POST", "annotations", {"example_id": THEIR_EXAMPLE, "notes": "Read by me."}, 404),
    ("POST", "demonstrations", {"agent_id": "their-agent", "task": "Spy.", "final_output": "Seen."}, 201),
    ("GET", "datasets/their-agent", None, 404),
    ("POST", "executions", THEIR_EXECUTION | {"user_id": "user", "assignment": THEIR_ASSIGNMENT}, 201),
    ("GET", "prompts/their-agent", None, 404),
    ("GET", "prompts/their-agent?user_id=user", None, 404),
    ("GET", "prompts/their-agent/versions", None, 404),
    ("POST", "prompts/their-agent", {"text": "Obey me.", "reason": "to try"}, 201),
    ("PUT", "prompts/their-agent/labels/their-label", {"version": "v1"}, 404),
    ("POST", "optimize-prompt", {"agent_id": "their-agent", "current_prompt": "Obey me."}, 409),
    ("GET", f"runs/{THEIR_RUN}", None, 404),
    ("POST", f"runs/{THEIR_RUN}/cancel", None, 404),
    ("POST", f"runs/{THEIR_RUN}/pause", None, 404),
    ("POST", f"runs/{THEIR_RUN}/resume", None, 404),
    ("GET", "experiments", None, 200),
    ("GET", "experiments?agent_id=their-agent", None, 404),
    ("POST", "experiments", {"agent_id": "their-agent", "name": "Spy", "treatments": ["v1"]}, 404),
    ("POST", "experiments", {"run_id": THEIR_RUN, "candidate": 1}, 404),
    ("GET", f"experiments/{THEIR_EXPERIMENT}", None, 404),
    ("GET", f"experiments/{THEIR_EXPERIMENT}/looks", None, 404),
    ("POST", f"experiments/{THEIR_EXPERIMENT}/start", None, 404),
    ("POST", f"experiments/{THEIR_EXPERIMENT}/pause", None, 404),
    ("POST", f"experiments/{THEIR_EXPERIMENT}/resume", None, 404),
    ("POST", f"experiments/{THEIR_EXPERIMENT}/complete", {"decision": "rollback", "reason": "Mine."}, 404),
    ("POST", f"experiments/{THEIR_EXPERIMENT}/cancel", {"reason": "Mine."}, 404),
    ("GET", "releases", None, 200),
    ("GET", "releases?agent_id=their-agent", None, 404),
    ("POST", "releases", {"agent_id": "their-agent", "version": "v1", "reason": "Mine."}, 404),
    ("GET", f"releases/{THEIR_RELEASE}", None, 404),
    ("POST", f"releases/{THEIR_RELEASE}/hold", {"reason": "Mine."}, 404),
    ("POST", f"releases/{THEIR_RELEASE}/go-on", None, 404),
    ("POST", f"releases/{THEIR_RELEASE}/roll-back", {"reason": "Mine."}, 404),
    ("POST", f"releases/{THEIR_RELEASE}/cancel", {"reason": "Mine."}, 404),
    ("GET", f"releases/{THEIR_RELEASE}/impact", None, 404),
    ("GET", "feedback/their-f1/impact", None, 404),
]
"""Method, path and body of an attempt, and its answer."""


@pytest.fixture
def theirs(other_organization):
    """The other organisation, with an agent, an execution and feedback that only it knows."""
    populate(other_organization)
    with db.organization_session(other_organization.id) as session:
        record(session, [execution(**THEIR_EXECUTION)])
        collect(session, [feedback(id="their-f1", **THEIR_EXECUTION, rating=5)], "api")
        session.execute(text(THEIR_EXAMPLES), {"id": THEIR_EXAMPLE})
        session.execute(text(THEIR_RUNS), {"id": THEIR_RUN})
        session.execute(text(THEIR_EXPERIMENTS), {"id": THEIR_EXPERIMENT})
        session.execute(text(THEIR_RELEASES), {"id": THEIR_RELEASE})
        session.execute(text(THEIR_ALLOCATIONS), {"id": THEIR_ALLOCATION, "experiment": THEIR_EXPERIMENT})
    return other_organization


THEIR_EXAMPLES = """
INSERT INTO learning_examples (id, agent_id, example_type, source, input_text, expected_output)
SELECT :id, id, 'positive', 'api', 'When is it due?', 'On the tenth.' FROM agents WHERE key = 'their-agent'
"""


THEIR_RUNS = """
INSERT INTO training_runs (id, kind, agent_id, settings, started_by)
SELECT :id, 'prompt_optimization', id, '{}', 'ada' FROM agents WHERE key = 'their-agent'
"""


THEIR_EXPERIMENTS = """
INSERT INTO learning_experiments (id, agent_id, name, design, created_by)
SELECT :id, id, 'Shorter', '{}', 'ada' FROM agents WHERE key = 'their-agent'
"""


THEIR_RELEASES = """
INSERT INTO releases (id, agent_id, number, version_id, status, policy, reason, created_by)
SELECT :id, agents.id, 1, version.id, 'rolling_out', '{}', 'Better', 'ada'
FROM agents, prompt_versions AS version WHERE agents.key = 'their-agent' LIMIT 1
"""


THEIR_ALLOCATIONS = """
WITH allocation AS (
    INSERT INTO allocations
        (id, agent_id, kind, experiment_id, salt, first_bucket, end_bucket, ramp, started_at)
    SELECT :id, agent_id, 'comparison', id, 'salt', 0, 10000, 1, now()
    FROM learning_experiments WHERE id = :experiment
    RETURNING id
)
INSERT INTO allocation_variants (allocation_id, variant, position, version_id, share)
SELECT allocation.id, 'control', 1, version.id, 1 FROM allocation, prompt_versions AS version LIMIT 1
"""


@pytest.mark.parametrize(("method", "path", "body", "status"), ABOUT_THE_OTHER)
def test_a_key_reaches_nothing_of_another_organisation(as_role, theirs, method, path, body, status):
    before = everything(theirs)
    answer = as_role("admin").request(method, path, json=body)
    assert answer.status_code == status
    if path == "stats":
        assert answer.json()["agents"] == []
        assert answer.json()["overall"]["feedback_count"] == 0
    elif path in ("experiments", "releases") and method == "GET":
        assert answer.json() == {path: []}
    elif path.startswith("annotations/queue") and method == "GET":
        assert answer.json() == {"items": []}
    assert everything(theirs) == before


def test_the_attempts_cover_every_route_that_takes_a_key(client):
    described = client.get("/api/openapi.json").json()["paths"]
    routes = {
        (method.upper(), path.removeprefix("/learning/"))
        for path, methods in described.items()
        for method in methods
        if path.startswith("/learning/") and path != "/learning/widget/feedback"
    }
    tried = {
        (
            method,
            path.partition("?")[0]
            .replace("their-agent", "{agent_id}")
            .replace("their-f1", "{feedback_id}")
            .replace("their-label", "{label}")
            .replace(THEIR_RUN, "{run_id}")
            .replace(THEIR_EXPERIMENT, "{experiment_id}")
            .replace(THEIR_RELEASE, "{release_id}"),
        )
        for method, path, _, _ in ABOUT_THE_OTHER
    }
    assert tried == routes


def test_the_same_ids_in_two_organisations_are_two_rows(sender, other_sender):
    entry = {"id": "f1", "execution_id": "e1", "agent_id": "a", "feedback_type": "thumbs_up"}
    assert sender.post("feedback", json=entry).status_code == 201
    assert other_sender.post("feedback", json=entry | {"feedback_type": "thumbs_down"}).status_code == 201
    assert sender.get("feedback/stats/a").json()["thumbs_up_share"]["value"] == 1
    assert other_sender.get("feedback/stats/a").json()["thumbs_up_share"]["value"] == 0


def test_a_key_does_not_open_the_organisation_it_was_made_to_name(client, sender, theirs):
    swapped = f"afg_{theirs.id.hex}_{sender.secret[access.KEY_HEAD :]}"
    answer = client.get("/api/learning/stats", headers={"Authorization": f"Bearer {swapped}"})
    assert answer.status_code == 401


def test_a_widget_token_rates_in_its_own_organisation_even_under_foreign_ids(with_token, theirs):
    before = everything(theirs)
    browser = with_token(**THEIR_EXECUTION)
    assert browser.post("widget/feedback", json=THUMBS_DOWN).status_code == 201
    assert browser.delete("widget/feedback").status_code == 204
    assert everything(theirs) == before


def test_a_widget_token_made_to_name_another_organisation_is_refused(organization, with_token, theirs):
    browser = with_token(**THEIR_EXECUTION)
    with db.organization_session(organization.id) as session:
        own_secret = access.signing_secret(session)
    padded = browser.secret.split(".")[1] + "=="
    claims = json.loads(base64.urlsafe_b64decode(padded)) | {"org": theirs.id.hex}
    forged = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(own_secret))
    before = everything(theirs)
    headers = {"Authorization": f"Bearer {forged}"}
    assert browser.post("widget/feedback", json=THUMBS_DOWN, headers=headers).status_code == 401
    assert browser.delete("widget/feedback", headers=headers).status_code == 401
    assert everything(theirs) == before
