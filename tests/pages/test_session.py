from collections.abc import Callable

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import PAGES, shown

GATE = "Sign-in is not configured"


def test_a_person_at_this_machine_gets_in(visit: Callable[..., AppTest]) -> None:
    assert visit().title[0].value == "Overview"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "afterglow.example.org"},
        {"Host": ""},
        {"Host": "localhost.evil.example:8501"},
        {"x-forwarded-for": "203.0.113.7"},
        {"forwarded": "for=203.0.113.7"},
    ],
)
def test_nobody_else_gets_past_the_gate(
    visit: Callable[..., AppTest], request_headers: dict[str, str], headers: dict[str, str]
) -> None:
    request_headers |= headers
    app = visit()
    assert [title.value for title in app.title] == [GATE]
    assert not app.metric
    assert not app.selectbox


def test_the_gate_is_shut_when_the_server_listens_to_the_network(
    visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "get_option", lambda name: "0.0.0.0")
    assert [title.value for title in visit().title] == [GATE]


@pytest.mark.parametrize("page", ["overview", "feedback", "issues", "admin"])
def test_a_page_that_runs_without_the_entry_script_shows_nothing(
    request_headers: dict[str, str], database: None, page: str
) -> None:
    app = AppTest.from_file(PAGES / f"{page}.py", default_timeout=60).run()
    assert not app.exception
    assert len(app.main.children) == 0


@pytest.mark.parametrize("role", ["Product manager", "Expert", "ML engineer"])
def test_administration_is_not_there_for_other_roles(visit: Callable[..., AppTest], role: str) -> None:
    with pytest.raises(ValueError, match="admin"):
        visit(view=role).switch_page(str(PAGES / "admin.py")).run()


def test_a_page_refuses_a_role_without_its_right(request_headers: dict[str, str], database: None) -> None:
    def script() -> None:
        import uuid

        import streamlit as st

        from learning_core.schema import Role
        from pages.components import session

        viewer = session.User(uuid.uuid4(), "x", "X", False, "someone", Role.VIEWER)
        st.session_state["user"] = viewer
        session.require_user("administer")
        st.text("secret")

    app = AppTest.from_function(script, default_timeout=60).run()
    assert "secret" not in shown(app)
    assert app.error[0].value == "Your role does not allow this page."


def test_unknown_organisation_and_role_in_the_address_fall_back(visit: Callable[..., AppTest]) -> None:
    app = visit(organization="No such thing", view="Emperor")
    assert not app.exception
    assert app.selectbox(key="view").value == "Administrator"


def test_simulated_organisations_say_so_on_every_page(
    request_headers: dict[str, str], database: None
) -> None:
    from uuid import uuid4

    from learning_core import access, db

    with db.shared_session() as session:
        demo = access.create_organization(session, f"Demo {uuid4().hex}", simulated=True)
    for page in ("overview", "feedback", "issues", "admin"):
        app = AppTest.from_file(PAGES / "index.py", default_timeout=60)
        app.query_params["organization"] = demo.name
        if page != "overview":
            app.switch_page(str(PAGES / f"{page}.py"))
        assert "Simulated data" in shown(app.run())
