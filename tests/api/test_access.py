from __future__ import annotations

import re
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from learning_core import access
from learning_core.access import Caller
from learning_core.api import api, callers
from learning_core.schema import Role

THUMBS_UP = {"execution_id": "e1", "agent_id": "a", "feedback_type": "thumbs_up"}
WRITING = [
    ("POST", "feedback", THUMBS_UP),
    ("POST", "feedback/batch", [THUMBS_UP]),
    ("POST", "executions", {"execution_id": "e1", "agent_id": "a"}),
    ("POST", "widget/tokens", {"execution_id": "e1", "agent_id": "a"}),
    ("DELETE", "feedback/f1", None),
]
READING = ["stats", "feedback/stats/a", "feedback/issues/a"]
EVERYTHING = [*WRITING, *(("GET", path, None) for path in READING)]


def problem_of(answer, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["title"]
    return answer.json()


# ---------------------------------------------------------------- roles


@pytest.mark.parametrize(("method", "path", "body"), WRITING)
def test_a_viewer_may_not_write(as_role, method, path, body):
    answer = as_role("viewer").request(method, path, json=body)
    assert "viewer" in problem_of(answer, 403)["detail"]


@pytest.mark.parametrize("role", ["expert", "engineer", "admin"])
def test_every_other_role_may_write(as_role, role):
    someone = as_role(role)
    assert someone.post("feedback", json=THUMBS_UP | {"id": "f1"}).status_code == 201
    statuses = [someone.request(method, path, json=body).status_code for method, path, body in WRITING]
    assert statuses == [201, 201, 201, 201, 204]


@pytest.mark.parametrize("role", list(Role))
def test_every_role_may_read(as_role, sender, role):
    sender.post("feedback", json=THUMBS_UP)
    reader = as_role(role)
    assert [reader.get(path).status_code for path in READING] == [200, 200, 200]


# ---------------------------------------------------------------- keys

NO_KEYS = {
    "nothing": None,
    "an empty header": b"",
    "another scheme": b"Basic dXNlcjpwYXNz",
    "a scheme alone": b"Bearer",
    "a blank key": b"Bearer  ",
    "no Afterglow key": b"Bearer sk-something",
    "half a key": b"Bearer afg_0123",
    "an unknown key": b"Bearer afg_" + b"0" * 32 + b"_" + b"x" * 43,
    "letters beyond ASCII": "Bearer afg_é".encode(),
    "a key with a line of its own": b"Bearer afg_" + b"0" * 32 + b"_" + b"x" * 42 + b"\t",
    "two keys": b"Bearer afg_x afg_y",
    "a very long key": b"Bearer " + b"x" * 50_000,
}


@pytest.mark.parametrize("header", NO_KEYS.values(), ids=NO_KEYS)
@pytest.mark.parametrize(("method", "path", "body"), [WRITING[0], WRITING[2], ("GET", "stats", None)])
def test_without_a_good_key_the_answer_says_how_to_sign_in(client, header, method, path, body):
    headers = {} if header is None else {"Authorization": header}
    answer = client.request(method, f"/api/learning/{path}", headers=headers, json=body)
    assert problem_of(answer, 401)["title"] == "Not signed in"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path", "body"), EVERYTHING)
def test_no_route_answers_without_a_key(client, method, path, body):
    problem_of(client.request(method, f"/api/learning/{path}", json=body), 401)


def test_who_may_not_come_in_learns_nothing_about_their_body(client):
    problem_of(client.post("/api/learning/feedback", content=b"{"), 401)


def test_a_revoked_key_opens_nothing_once_it_is_forgotten(organization, transaction, sender, monkeypatch):
    assert sender.get("stats").status_code == 200
    with transaction() as session:
        access.revoke_key(session, Caller(organization.id, "admin", Role.ADMIN), "engineer key")
    monkeypatch.setattr(callers, "_remembered", {})
    assert "revoked" in problem_of(sender.get("stats"), 401)["detail"]


def test_a_key_is_believed_for_a_moment_only(organization, transaction, sender, monkeypatch):
    monkeypatch.setattr(callers, "REMEMBERED_S", 0.0)
    assert sender.get("stats").status_code == 200
    with transaction() as session:
        access.revoke_key(session, Caller(organization.id, "admin", Role.ADMIN), "engineer key")
    problem_of(sender.get("stats"), 401)


def test_an_expired_key_opens_nothing(transaction, sender):
    with transaction() as session:
        session.execute(
            text("UPDATE api_keys SET expires_at = now() - :moment"), {"moment": timedelta(seconds=1)}
        )
    problem_of(sender.get("stats"), 401)


def test_a_key_that_will_expire_opens_until_then(transaction, sender):
    with transaction() as session:
        session.execute(
            text("UPDATE api_keys SET expires_at = now() + :moment"), {"moment": timedelta(hours=1)}
        )
    assert sender.get("stats").status_code == 200


# ---------------------------------------------------------------- rate limits


def test_an_end_user_has_a_limit_that_others_do_not_feel(configure, sender):
    configure(AFTERGLOW_FEEDBACK_PER_USER_PER_MINUTE=2)
    for_user = THUMBS_UP | {"user_id": "u1"}
    answers = [sender.post("feedback", json=for_user) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert "At most 2 a minute" in problem_of(answers[2], 429)["detail"]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 61
    assert sender.post("feedback", json=THUMBS_UP | {"user_id": "u2"}).status_code == 201
    assert sender.post("feedback", json=THUMBS_UP).status_code == 201


def test_the_same_user_id_in_two_organisations_is_two_people(configure, sender, other_sender):
    configure(AFTERGLOW_FEEDBACK_PER_USER_PER_MINUTE=1)
    for someone in (sender, other_sender):
        assert someone.post("feedback", json=THUMBS_UP | {"user_id": "u1"}).status_code == 201


def test_a_key_has_a_limit_of_its_own(configure, sender, as_role):
    configure(AFTERGLOW_FEEDBACK_PER_KEY_PER_MINUTE=2)
    answers = [sender.post("feedback", json=THUMBS_UP) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert int(answers[2].headers["retry-after"]) >= 1
    assert as_role("expert").post("feedback", json=THUMBS_UP).status_code == 201


@pytest.mark.parametrize(("path", "row"), [("feedback/batch", THUMBS_UP), ("executions", WRITING[2][2])])
def test_each_row_of_a_batch_counts_against_the_keys_limit(configure, sender, path, row):
    configure(AFTERGLOW_FEEDBACK_PER_KEY_PER_MINUTE=5)
    answers = [sender.post(path, json=[row | {"execution_id": f"e{n}"} for n in range(3)]) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 429]
    assert int(answers[1].headers["retry-after"]) >= 1


# ---------------------------------------------------------------- the perimeter


@pytest.fixture
def knock(client):
    """Ask for the API's health with other headers or from another address."""

    def ask(address: str = "127.0.0.1", path: str = "/api/health", **headers: str):
        visitor = TestClient(api, base_url="http://localhost", client=(address, 50_000))
        return visitor.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return ask


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8501", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:8501"]
)
def test_the_server_answers_to_its_own_names(knock, host):
    assert knock(host=host).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evil.example:8501", "127.0.0.1.evil.example", ""]
)
def test_the_server_does_not_answer_to_other_names(knock, host):
    assert problem_of(knock(host=host), 400)["title"] == "Unknown host"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1"])
def test_this_machine_may_come_in(knock, address):
    assert knock(address).status_code == 200


@pytest.mark.parametrize(
    "address", ["10.0.0.5", "192.168.1.2", "8.8.8.8", "::ffff:8.8.8.8", "fe80::1", "testclient"]
)
def test_no_other_machine_may_come_in(knock, address):
    assert "Sign-in is not configured" in problem_of(knock(address), 403)["detail"]


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded", "x_real_ip"])
def test_what_a_proxy_passed_on_may_not_come_in(knock, header):
    problem_of(knock(**{header: "127.0.0.1"}), 403)


SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


@pytest.mark.parametrize(
    "path", ["/api/health", "/api/docs", "/api/learning/stats", "/api/nothing", "/api/widget.js"]
)
def test_every_answer_carries_the_security_headers(knock, path):
    for answer in (knock(path=path), knock("8.8.8.8", path=path), knock(path=path, host="evil.example")):
        assert SECURITY_HEADERS.items() <= dict(answer.headers).items()
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'self'" in policy
        assert "object-src 'none'" in policy
        scripts = re.search(r"script-src ([^;]*)", policy).group(1)
        assert "unsafe" not in scripts
        assert "http" not in policy


# ---------------------------------------------------------------- health and description


def test_health_needs_no_key(client):
    answer = client.get("/api/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"


def test_the_description_page_fetches_nothing_from_elsewhere(client):
    page = client.get("/api/docs")
    assert page.status_code == 200
    fetched = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(fetched) == 3
    assert "//" not in page.text.replace("<!doctype", "")
    assert "<script>" not in page.text
    for address in fetched:
        assert client.get(f"/api/{address}").status_code == 200
    assert client.get("/api/docs/secret.txt").status_code == 404
    assert client.get("/api/docs/..%2fdocs.py").status_code == 404


def test_the_description_knows_the_key_and_its_own_address(client):
    described = client.get("/api/openapi.json").json()
    assert described["servers"] == [{"url": "/api"}]
    assert described["components"]["securitySchemes"]["API key"]["scheme"] == "bearer"
    for path, methods in described["paths"].items():
        for description in methods.values():
            assert path == "/health" or description["security"] == [{"API key": []}], path
