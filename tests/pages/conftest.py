"""Pages as someone at this machine sees them, from the entry script on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from learning_core import db
from learning_core.feedback import executions
from learning_core.feedback.collect import collect
from tests.review.conftest import (  # noqa: F401 - fixtures
    act,
    judge,
    leases,
    look,
    new_example,
    one_each,
    person,
)

PAGES = Path(__file__).parents[2] / "pages"

HOST = {"Host": "localhost:8501"}


@pytest.fixture
def request_headers(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Headers of the browser's request; a test may change them."""
    headers = dict(HOST)
    monkeypatch.setattr(type(st.context), "headers", property(lambda _: headers))
    return headers


@pytest.fixture
def visit(request_headers: dict[str, str], organization: object) -> Callable[..., AppTest]:
    """Open a page of the test's organisation: `visit("feedback", view="Expert", agent="tax-advisor")`."""

    def open_page(page: str = "overview", **query: str) -> AppTest:
        app = AppTest.from_file(PAGES / "index.py", default_timeout=60)
        for name, value in ({"organization": organization.name} | query).items():
            app.query_params[name] = value
        if page != "overview":
            app.switch_page(str(PAGES / f"{page}.py"))
        return app.run()

    return open_page


@pytest.fixture
def give(organization: object) -> Callable[..., None]:
    """Store feedback, and executions before it: `give(feedback(...), given=[execution(...)])`."""

    def store(*entries: object, given: tuple = ()) -> None:
        with db.organization_session(organization.id) as session:
            executions.record(session, list(given))
            collect(session, list(entries), "import")

    return store


def shown(app: AppTest) -> str:
    """Return all words on a page, one element per line."""
    figures = [f"{metric.label} {metric.value}" for metric in app.metric]
    texts = [element.value for kind in ("text", "code") for element in app.get(kind)]
    return "\n".join([*figures, *texts, marked_up(app), as_html(app)])


def marked_up(app: AppTest) -> str:
    """Return what Streamlit renders as Markdown."""
    assert not app.exception, app.exception
    kinds = ("title", "header", "subheader", "caption", "markdown", "error")
    words = [str(element.value) for kind in kinds for element in app.get(kind)]
    words += [metric.label for metric in app.metric] + [button.label for button in app.button]
    return "\n".join(words)


def as_html(app: AppTest) -> str:
    """Return what pages hand to the browser as HTML."""
    return "\n".join(str(element.proto.body) for element in app.get("html"))
