"""What one organisation can do to another, as the application's role and through the API: nothing."""

from __future__ import annotations

import base64
import json

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import ForeignKeyConstraint, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from learning_core import access, db
from learning_core.feedback.collect import collect
from learning_core.feedback.executions import record
from learning_core.schema import Base
from tests.factories import execution, feedback, populate

TABLES = [table.name for table in Base.metadata.sorted_tables if "organization_id" in table.columns]
CHANGEABLE = [name for name in TABLES if name != "audit_log"]
REFERENCES = [
    (table.name, constraint.column_keys[1], constraint.referred_table.name)
    for table in Base.metadata.sorted_tables
    for constraint in table.constraints
    if isinstance(constraint, ForeignKeyConstraint) and len(constraint.column_keys) == 2
]


@pytest.fixture
def neighbours(organization, other_organization):
    """Two organisations with the same keys in the same tables: the one that tries, and the other."""
    populate(organization)
    populate(other_organization)
    return organization, other_organization


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
    with db.organization_session(one.id) as session:
        assert session.execute(text(statement.format(table)), {"other": other.id}).rowcount == 0
    assert rows(other, table) == before


@pytest.mark.parametrize("table", TABLES)
def test_a_row_cannot_be_inserted_for_another_organisation(neighbours, table):
    one, other = neighbours
    with pytest.raises(ProgrammingError, match=REFUSED), db.organization_session(one.id) as session:
        session.execute(text(f"INSERT INTO {table} (organization_id) VALUES (:other)"), {"other": other.id})


@pytest.mark.parametrize("table", CHANGEABLE)
def test_a_row_cannot_be_moved_to_another_organisation(neighbours, table):
    one, other = neighbours
    with pytest.raises(ProgrammingError, match=REFUSED), db.organization_session(one.id) as session:
        session.execute(text(f"UPDATE {table} SET organization_id = :other"), {"other": other.id})


REFUSED = "violates row-level security policy"


@pytest.mark.parametrize(("table", "column", "referred"), REFERENCES)
def test_a_row_cannot_refer_to_a_row_of_another_organisation(neighbours, table, column, referred):
    one, other = neighbours
    with db.organization_session(other.id) as session:
        foreign = session.execute(text(f"SELECT id FROM {referred}")).scalars().first()
    refused = pytest.raises(IntegrityError, match=f"{table}_{referred}_fkey")
    with refused, db.organization_session(one.id) as session:
        session.execute(text(f"UPDATE {table} SET {column} = :foreign"), {"foreign": foreign})


# ---------------------------------------------------------------- through the API

THEIR_EXECUTION = {"execution_id": "their-e1", "agent_id": "their-agent"}
RATING = {"id": "their-f1", **THEIR_EXECUTION, "feedback_type": "star_rating", "rating": 1}
THUMBS_DOWN = {**THEIR_EXECUTION, "feedback_type": "thumbs_down"}
ABOUT_THE_OTHER = [
    ("POST", "feedback", RATING),
    ("POST", "feedback/batch", [RATING]),
    ("POST", "executions", THEIR_EXECUTION | {"output_text": "Mine now."}),
    ("POST", "widget/tokens", THEIR_EXECUTION),
    ("DELETE", "feedback/their-f1", None),
    ("GET", "feedback/stats/their-agent", None),
    ("GET", "feedback/issues/their-agent", None),
    ("GET", "stats", None),
]


@pytest.fixture
def theirs(other_organization):
    """The other organisation, with an agent, an execution and feedback that only it knows."""
    populate(other_organization)
    with db.organization_session(other_organization.id) as session:
        record(session, [execution(**THEIR_EXECUTION)])
        collect(session, [feedback(id="their-f1", **THEIR_EXECUTION, rating=5)], "api")
    return other_organization


@pytest.mark.parametrize(("method", "path", "body"), ABOUT_THE_OTHER)
def test_a_key_reaches_nothing_of_another_organisation(sender, theirs, method, path, body):
    before = everything(theirs)
    answer = sender.request(method, path, json=body)
    names_theirs = "/their-" in path
    assert answer.status_code == (404 if names_theirs else 201 if body else 200)
    if path == "stats":
        assert answer.json()["agents"] == []
        assert answer.json()["overall"]["feedback_count"] == 0
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
        (method, path.replace("their-agent", "{agent_id}").replace("their-f1", "{feedback_id}"))
        for method, path, _ in ABOUT_THE_OTHER
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
