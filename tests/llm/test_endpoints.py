from __future__ import annotations

import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import text

from learning_core.access import Caller
from learning_core.errors import InvalidInput, NotFound, NotPermitted
from learning_core.llm import endpoints
from learning_core.llm.endpoints import Found, Source
from learning_core.llm.requests import Model
from learning_core.schema import ModelRole, Role
from tests.fakes import ModelServer, Reply

LOCAL = {
    "name": "small",
    "provider": "Ollama",
    "base_url": "http://127.0.0.1:11434/v1",
    "model": "qwen2.5:0.5b",
}
REMOTE = LOCAL | {"base_url": "https://models.example/v1"}
TASK, PROPOSER, JUDGE, EMBEDDING = ModelRole


@pytest.fixture
def admin(organization):
    return Caller(organization.id, "ada", Role.ADMIN)


@pytest.fixture
def save(transaction, admin):
    def store(**fields):
        with transaction() as session:
            return endpoints.save_model(session, admin, **(LOCAL | fields))

    return store


@pytest.fixture
def assign(transaction, admin):
    def use(role, model_id):
        with transaction() as session:
            endpoints.assign(session, admin, role, model_id)

    return use


@pytest.fixture
def assigned(transaction):
    def read():
        with transaction() as session:
            return {role: model.name for role, model in endpoints.assigned(session).items()}

    return read


@pytest.fixture
def models(transaction):
    def read():
        with transaction() as session:
            return endpoints.models(session)

    return read


@pytest.fixture
def audited(transaction):
    def read():
        with transaction() as session:
            found = session.execute(text("SELECT action, subject FROM audit_log ORDER BY id"))
            return [tuple(row) for row in found if row.action.startswith("model")]

    return read


# ---------------------------------------------------------------- models


def test_a_saved_model_is_listed_as_it_was_given(save, models):
    prices = {"input_usd_per_million": Decimal("0.15"), "output_usd_per_million": Decimal("0.6")}
    more = {"max_concurrency": 32, "timeout_s": 30, "structured_output": False}
    saved = save(**REMOTE, **prices, **more)
    [listed] = models()
    assert (listed.id, listed.created_by) == (saved, "ada")
    assert listed.model == Model(**REMOTE, **prices, **more)


def test_saving_under_the_same_name_changes_the_model(save, models, audited):
    assert save() == save(model="larger")
    assert [listed.model.model for listed in models()] == ["larger"]
    assert audited() == [("model.saved", "small")] * 2


def test_a_local_model_costs_nothing_and_anothers_price_is_unknown(save, models):
    save()
    save(**REMOTE | {"name": "remote"})
    assert [(m.model.name, m.model.input_usd_per_million) for m in models()] == [
        ("remote", None),
        ("small", 0),
    ]


def test_an_address_is_kept_without_a_slash_at_its_end(save, models):
    save(base_url=" http://127.0.0.1:11434/v1/ ")
    assert models()[0].model.base_url == LOCAL["base_url"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("name", "x" * 81),
        ("model", ""),
        ("provider", ""),
        ("base_url", "ftp://host/v1"),
        ("base_url", "http://user:secret@host/v1"),
        ("input_usd_per_million", Decimal(-1)),
        ("output_usd_per_million", Decimal("NaN")),
        ("output_usd_per_million", Decimal(10**9)),
        ("max_concurrency", 0),
        ("max_concurrency", 513),
        ("timeout_s", 0),
        ("timeout_s", 3601),
    ],
)
def test_a_field_out_of_its_bounds_is_refused(save, models, field, value):
    with pytest.raises(InvalidInput) as refused:
        save(**{field: value})
    assert refused.value.field == field
    assert models() == []


def test_a_key_for_another_address_is_refused(save, models, monkeypatch):
    monkeypatch.setenv("AFTERGLOW_MODEL_KEY_ACME", "https://models.example/v1 s3cret")
    with pytest.raises(NotPermitted, match="not sent to"):
        save(key_name="acme")
    save(**REMOTE, key_name="acme")
    assert models()[0].model.key_name == "acme"


def test_a_host_that_the_operator_leaves_out_is_refused(save, configure):
    configure(AFTERGLOW_MODEL_HOSTS="models.example")
    with pytest.raises(NotPermitted):
        save()
    save(**REMOTE)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EXPERT, Role.ENGINEER])
def test_only_an_admin_changes_models(save, models, transaction, organization, role):
    saved = save()
    caller = Caller(organization.id, "eve", role)
    with transaction() as session:
        for change in (
            lambda: endpoints.save_model(session, caller, **LOCAL),
            lambda: endpoints.retire_model(session, caller, saved),
            lambda: endpoints.assign(session, caller, TASK, saved),
            lambda: endpoints.try_model(caller, Model(**LOCAL)),
        ):
            with pytest.raises(NotPermitted):
                change()


def test_a_retired_model_is_out_of_use_and_its_name_is_free(
    save, assign, assigned, models, transaction, admin
):
    saved = save()
    assign(TASK, saved)
    with transaction() as session:
        endpoints.retire_model(session, admin, saved)
    assert (models(), assigned()) == ([], {})
    assert save() != saved
    with transaction() as session, pytest.raises(NotFound):
        endpoints.retire_model(session, admin, saved)


# ---------------------------------------------------------------- roles


def test_without_models_no_role_has_one(assigned):
    assert assigned() == {}


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ([TASK], {TASK: "task", PROPOSER: "task", JUDGE: "task"}),
        ([PROPOSER], {PROPOSER: "proposer", JUDGE: "proposer"}),
        ([TASK, PROPOSER], {TASK: "task", PROPOSER: "proposer", JUDGE: "proposer"}),
        ([JUDGE], {JUDGE: "judge"}),
        ([EMBEDDING], {EMBEDDING: "embedding"}),
        ([TASK, JUDGE], {TASK: "task", PROPOSER: "task", JUDGE: "judge"}),
    ],
)
def test_a_role_without_its_own_model_borrows_one(save, assign, assigned, own, expected):
    for role in own:
        assign(role, save(name=role.value))
    assert assigned() == expected


def test_an_assignment_is_replaced_and_taken_back(save, assign, assigned, audited):
    one, other = save(name="one"), save(name="other")
    assign(TASK, one)
    assign(TASK, other)
    assert assigned()[TASK] == "other"
    assign(TASK, None)
    assert assigned() == {}
    assert audited()[2:] == [("model.assigned", "task")] * 3


def test_a_model_that_there_is_not_cannot_be_assigned(assign, assigned, organization, save):
    saved = save()
    assign(TASK, saved)
    with pytest.raises(NotFound):
        assign(TASK, organization.id)
    assert assigned()[TASK] == "small"


def test_the_operators_model_serves_every_role_without_one_but_embedding(
    save, assign, transaction, configure
):
    configure(
        AFTERGLOW_MODEL_URL="http://127.0.0.1:1/v1/", AFTERGLOW_MODEL_NAME="tiny", AFTERGLOW_MODEL_KEY="k"
    )
    assign(PROPOSER, save())
    with transaction() as session:
        sources = endpoints.sources(session)
    settled = sources[TASK].model
    assert (settled.base_url, settled.model, settled.key_name) == ("http://127.0.0.1:1/v1", "tiny", "k")
    assert settled.price(1000, 1000) == 0
    assert sources[TASK] == Source(settled, None)
    assert {role: source.through for role, source in sources.items()} == {
        TASK: None,
        PROPOSER: PROPOSER,
        JUDGE: PROPOSER,
    }


# ---------------------------------------------------------------- is there anybody


def test_a_model_that_answers_is_tried_each_time(courier, admin, model_server):
    model_server.answer = lambda body: "ok"
    for _ in range(2):
        answer = endpoints.try_model(admin, model_server.model())
        assert (answer.text, answer.error, answer.reused) == ("ok", None, False)
    assert model_server.answers == 2


def test_an_embedding_model_is_tried_with_a_text(courier, admin, model_server):
    assert endpoints.try_model(admin, model_server.model(), EMBEDDING).embedding


def test_a_model_that_does_not_answer_says_why_at_once(courier, admin, model_server):
    model_server.answer = lambda body: Reply(status=500, error="out of memory")
    answer = endpoints.try_model(admin, model_server.model())
    assert answer.error == "The model's server answered 500: out of memory"
    assert len(model_server.log) == 1


def test_servers_on_this_machine_are_found_with_their_models():
    with ModelServer(models=("a", "b")) as one, ModelServer(models=("c",)) as other:
        ports = {"Ollama": port(one), "vLLM": port(other), "nobody": 1}
        assert endpoints.discover(ports) == [
            Found("Ollama", one.base_url, ("a", "b")),
            Found("vLLM", other.base_url, ("c",)),
        ]


def port(server: ModelServer) -> int:
    return int(server.base_url.removesuffix("/v1").rpartition(":")[2])


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: {other}/models\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"data":[1,2]}',
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"not HTTP at all\r\n\r\n",
    ],
)
def test_what_is_no_server_of_models_is_passed_over(answer):
    with ModelServer() as other:
        said = answer.replace(b"{other}", other.base_url.encode())

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            assert endpoints.discover({"strange": server.server_address[1]}) == []
            server.shutdown()
