"""A key goes to its own address and nowhere else: no other server, process list, table, log or error text."""

from __future__ import annotations

import os

import psutil
import pytest
from sqlalchemy import text

from learning_core import db
from learning_core.access import Caller
from learning_core.llm import dispatch, endpoints
from learning_core.llm.exchange import Exchange
from learning_core.schema import Base, Role
from tests.fakes import ModelServer, Reply, echo
from tests.llm.conftest import questions

SECRET = "sk-4f9a-never-shown"


@pytest.fixture(scope="module")
def served(courier):
    """A server with a key that is for it, and a courier that knows the key."""
    with ModelServer() as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AFTERGLOW_MODEL_KEY_ACME", f"{server.base_url} {SECRET}")
        environment.setenv("OPENAI_API_KEY", "sk-openai-never-sent")
        environment.setenv("OPENAI_ORG_ID", "org-never-sent")
        environment.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/never")
        dispatch.close()
        yield server
        dispatch.close()


@pytest.fixture
def acme(served):
    served.answer = echo
    served.log.clear()
    served.headers.clear()
    return served


def test_a_key_is_sent_to_its_own_address(acme, organization):
    assert Exchange(organization.id).ask(questions(acme.model(key_name="acme"), 1))[0].error is None
    assert acme.headers[0]["authorization"] == f"Bearer {SECRET}"


def test_a_key_is_sent_to_no_other_address(acme, organization):
    with ModelServer() as other:
        answer = Exchange(organization.id).ask(questions(other.model(key_name="acme"), 1))[0]
        assert answer.error == f"The key 'acme' is for {acme.base_url} and is not sent to {other.base_url}."
        assert other.log == []


def test_a_server_without_key_is_sent_none(acme, organization):
    Exchange(organization.id).ask(questions(acme.model(), 1))
    assert "authorization" not in acme.headers[0]
    assert "never-sent" not in str(acme.headers)


def test_a_redirect_is_not_followed(acme, organization):
    with ModelServer() as other:
        address = f"{other.base_url}/chat/completions"
        acme.answer = lambda body: Reply(status=307, headers={"Location": address}, error="over there")
        answer = Exchange(organization.id).ask(questions(acme.model(key_name="acme"), 1))[0]
        assert answer.error == "The model's server answered 307: over there"
        assert other.log == []


def test_a_secret_that_a_server_repeats_is_not_told(acme, organization):
    acme.answer = lambda body: Reply(status=401, error=f"Incorrect API key provided: {SECRET}.")
    answer = Exchange(organization.id).ask(questions(acme.model(key_name="acme"), 1))[0]
    assert answer.error == "The model's server answered 401: Incorrect API key provided: ….."[:-1]


def test_a_secret_stands_in_no_process_list_table_or_log(acme, organization, capfd):
    admin = Caller(organization.id, "ada", Role.ADMIN)
    with db.organization_session(organization.id) as session:
        endpoints.save_model(session, admin, **vars(acme.model(key_name="acme")))
    acme.answer = lambda body: Reply(status=401, error=SECRET) if "1" in str(body["messages"]) else "Yes."
    Exchange(organization.id).ask(questions(acme.model(key_name="acme"), 3))
    assert SECRET not in str([process.cmdline() for process in psutil.Process().children(recursive=True)])
    tables = [table.name for table in Base.metadata.sorted_tables if "organization_id" in table.columns]
    with db.organization_session(organization.id) as session:
        for table in tables:
            rows = session.execute(text(f"SELECT CAST(t AS text) FROM {table} AS t")).scalars().all()
            assert SECRET not in str(rows)
    written = capfd.readouterr()
    assert SECRET not in written.out + written.err
    assert "question" not in written.out + written.err


def test_a_host_that_the_operator_leaves_out_is_sent_nothing(new_courier, organization, model_server):
    new_courier(AFTERGLOW_MODEL_HOSTS="models.example")
    answer = Exchange(organization.id).ask(questions(model_server.model(), 1))[0]
    assert answer.error == "The operator allows models on models.example only, not 127.0.0.1."
    assert model_server.log == []


def test_the_worker_keeps_its_environment(acme):
    assert os.environ["OPENAI_API_KEY"] == "sk-openai-never-sent"
