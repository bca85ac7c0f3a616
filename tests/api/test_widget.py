from __future__ import annotations

import base64
import json

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import text

from learning_core import access

EXECUTION = {"execution_id": "e1", "agent_id": "a"}
THUMBS_UP = EXECUTION | {"feedback_type": "thumbs_up"}


def problem_of(answer, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


def stored(transaction, columns: str) -> list:
    with transaction() as session:
        return session.execute(text(f"SELECT {columns} FROM agent_feedback ORDER BY id")).all()


def claims_of(token: str) -> dict:
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


@pytest.fixture
def forge(transaction, with_token):
    """Make a token that differs from a good one: `forge(exp=0)`, `forge(secret=b"guessed", alg="HS512")`."""

    def make(*, secret: bytes | None = None, alg: str = "HS256", without: str = "", **changes: object) -> str:
        claims = claims_of(with_token(**EXECUTION).secret) | changes
        claims.pop(without, None)
        with transaction() as session:
            key = OctKey.import_key(secret or access.signing_secret(session))
        return jwt.encode({"alg": alg}, claims, key, algorithms=[alg])

    return make


# ---------------------------------------------------------------- tokens


def test_a_token_lets_a_browser_rate_one_execution(with_token, transaction):
    browser = with_token(**EXECUTION, user_id="u1")
    assert browser.post("widget/feedback", json=THUMBS_UP).status_code == 201
    assert stored(transaction, "feedback_type, user_id, source") == [("thumbs_up", "u1", "widget")]


def test_a_token_lives_an_hour_or_as_long_as_asked_for(sender):
    usual = sender.post("widget/tokens", json=EXECUTION).json()
    short = sender.post("widget/tokens", json=EXECUTION | {"minutes": 1}).json()
    lives = claims_of(usual["token"])["exp"] - claims_of(short["token"])["exp"]
    assert lives == pytest.approx(59 * 60, abs=5)


@pytest.mark.parametrize(
    "wish",
    [{"minutes": 0}, {"minutes": 1_441}, {"execution_id": ""}, {"agent_id": "x" * 201}, {"user_id": "a\0"}],
    ids=str,
)
def test_a_wish_for_a_token_beyond_its_limits_names_the_field(sender, wish):
    body = problem_of(sender.post("widget/tokens", json=EXECUTION | wish), 422)
    assert [error["field"] for error in body["errors"]] == list(wish)


def test_a_token_opens_nothing_but_the_widgets_own_routes(with_token):
    browser = with_token(**EXECUTION)
    assert browser.get("stats").status_code == 401
    assert browser.get("feedback/stats/a").status_code == 401
    assert browser.post("feedback", json=THUMBS_UP).status_code == 401
    assert browser.post("feedback/batch", json=[THUMBS_UP]).status_code == 401
    assert browser.post("executions", json=EXECUTION).status_code == 401
    assert browser.post("widget/tokens", json=EXECUTION).status_code == 401


def test_an_api_key_is_no_widget_token(sender):
    problem_of(sender.post("widget/feedback", json=THUMBS_UP), 401)


@pytest.mark.parametrize("other", [{"execution_id": "e2"}, {"agent_id": "b"}], ids=str)
def test_a_token_is_for_no_other_execution_or_agent(with_token, transaction, other):
    problem_of(with_token(**EXECUTION).post("widget/feedback", json=THUMBS_UP | other), 403)
    assert stored(transaction, "key") == []


FORGERIES = {
    "expired": {"exp": 1},
    "without an expiry": {"without": "exp"},
    "expiry that is no number": {"exp": "never"},
    "of another issuer": {"iss": "someone"},
    "without an issuer": {"without": "iss"},
    "without an organisation": {"without": "org"},
    "of an organisation that is none": {"org": "../../etc"},
    "of an unknown organisation": {"org": "0" * 32},
    "without an execution": {"without": "execution_id"},
    "without a user": {"without": "user_id"},
    "for executions of no kind": {"execution_id": ["e1"]},
    "signed with a guess": {"secret": b"x" * 32},
    "signed by another algorithm": {"alg": "HS512"},
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_forged_token_is_refused(with_token, forge, transaction, forgery, method):
    browser = with_token(**EXECUTION)
    headers = {"Authorization": f"Bearer {forge(**forgery)}"}
    answer = browser.request(method, "widget/feedback", json=THUMBS_UP, headers=headers)
    problem_of(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert stored(transaction, "key") == []


@pytest.mark.parametrize("algorithm", ["none", "None", "RS256", ""])
def test_an_unsigned_token_is_refused(with_token, algorithm):
    browser = with_token(**EXECUTION)
    header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm}).encode()).decode().rstrip("=")
    _, claims, signature = browser.secret.split(".")
    for last in ("", signature):
        headers = {"Authorization": f"Bearer {header}.{claims}.{last}"}
        problem_of(browser.post("widget/feedback", json=THUMBS_UP, headers=headers), 401)


@pytest.mark.parametrize(
    "token", ["x", "a.b", "a.b.c", "..", "bnVsbA.bnVsbA.bnVsbA", "é.é.é", "a." * 9_000, "[[.[[.[["]
)
def test_what_is_no_token_at_all_is_refused(client, token):
    headers = {"Authorization": b"Bearer " + token.encode()}
    problem_of(client.post("/api/learning/widget/feedback", json=THUMBS_UP, headers=headers), 401)


def test_without_a_token_the_answer_says_where_they_come_from(client):
    body = problem_of(client.post("/api/learning/widget/feedback", json=THUMBS_UP), 401)
    assert "/api/learning/widget/tokens" in body["detail"]


# ---------------------------------------------------------------- what a person says


def test_the_same_person_again_replaces_what_they_said(with_token, transaction):
    with_token(**EXECUTION, user_id="u1").post("widget/feedback", json=THUMBS_UP)
    again = with_token(**EXECUTION, user_id="u1").post(
        "widget/feedback", json=THUMBS_UP | {"feedback_type": "thumbs_down"}
    )
    assert (again.status_code, again.json()["status"]) == (200, "updated")
    assert stored(transaction, "feedback_type") == [("thumbs_down",)]


def test_two_people_have_a_say_each(with_token, transaction):
    for person in ("u1", "u2", None):
        answer = with_token(**EXECUTION, user_id=person).post("widget/feedback", json=THUMBS_UP)
        assert answer.status_code == 201
    assert stored(transaction, "user_id") == [("u1",), ("u2",), (None,)]


def test_a_browser_can_neither_choose_the_id_nor_the_person_nor_the_time(with_token, transaction):
    wish = THUMBS_UP | {"id": "mine", "user_id": "someone-else", "created_at": "2020-01-01T00:00:00Z"}
    answer = with_token(**EXECUTION, user_id="u1").post("widget/feedback", json=wish)
    assert answer.json()["id"].startswith("widget-")
    assert stored(transaction, "user_id, created_at = received_at AS now") == [("u1", True)]


def test_what_was_said_can_be_taken_back_and_said_again(with_token, sender, transaction):
    browser = with_token(**EXECUTION, user_id="u1")
    browser.post("widget/feedback", json=THUMBS_UP)
    assert browser.delete("widget/feedback").status_code == 204
    assert sender.get("feedback/stats/a").json()["feedback_count"] == 0
    assert browser.delete("widget/feedback").status_code == 204
    again = browser.post("widget/feedback", json=THUMBS_UP)
    assert (again.status_code, again.json()["status"]) == (200, "updated")
    assert sender.get("feedback/stats/a").json()["feedback_count"] == 1
    with transaction() as session:
        log = session.execute(text("SELECT actor FROM audit_log WHERE action = 'feedback.withdrawn'"))
        assert log.scalars().all() == ["user u1"]


def test_taking_back_what_was_never_said_changes_nothing(with_token):
    assert with_token(**EXECUTION).delete("widget/feedback").status_code == 204


def test_a_person_in_a_hurry_is_told_when_to_try_again(configure, with_token):
    configure(AFTERGLOW_FEEDBACK_PER_USER_PER_MINUTE=2)
    browser = with_token(**EXECUTION, user_id="u1")
    answers = [browser.post("widget/feedback", json=THUMBS_UP) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 200, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 61


# ---------------------------------------------------------------- other origins

ELSEWHERE = {"Origin": "https://shop.example"}
PREFLIGHT = ELSEWHERE | {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_pages_of_any_origin_may_send_feedback(client, method):
    asked = PREFLIGHT | {"Access-Control-Request-Method": method}
    answer = client.options("/api/learning/widget/feedback", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert method in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["feedback", "feedback/batch", "executions", "widget/tokens", "stats"])
def test_pages_of_other_origins_may_do_nothing_else(client, sender, path):
    preflight = client.options(f"/api/learning/{path}", headers=PREFLIGHT)
    assert "access-control-allow-origin" not in preflight.headers
    assert preflight.status_code == 405
    method = "GET" if path == "stats" else "POST"
    answer = sender.request(method, path, headers=ELSEWHERE, json=None if method == "GET" else THUMBS_UP)
    assert "access-control-allow-origin" not in answer.headers


def test_a_page_elsewhere_may_read_the_answer_and_how_long_to_wait(with_token):
    for entry in (THUMBS_UP, THUMBS_UP | {"rating": 9}):
        answer = with_token(**EXECUTION).post("widget/feedback", json=entry, headers=ELSEWHERE)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "retry-after" in answer.headers["access-control-expose-headers"].lower()


def test_the_script_may_be_loaded_by_pages_elsewhere(client):
    answer = client.get("/api/widget.js", headers=ELSEWHERE)
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "customElements.define" in answer.text
