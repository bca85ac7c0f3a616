import re
from collections.abc import Callable
from datetime import date

import pytest
from streamlit.testing.v1 import AppTest

from learning_core.feedback import queries
from learning_core.feedback.entries import ExecutionEntry, FeedbackEntry
from pages.components import charts, tables, texts
from tests.factories import execution, feedback
from tests.pages.conftest import as_html, marked_up

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](http://evil.example/x.png)",
    "[click](javascript:alert(1)) **bold** :red[x] $x^2$ :material/home:",
    "\u202eright to left مرحبا",
    "👩\u200d👩\u200d👧 🎉",
    "a" * 20_000,
    "line\n\n# heading\n\n- list",
]


def reaction(text: str) -> FeedbackEntry:
    return feedback(
        execution_id=text[:200],
        agent_id=text[:200],
        feedback_type="correction",
        rating=1,
        user_id=text[:200],
        feedback_text=text,
        correction_text=text + " better",
        issue_categories=["tone"],
    )


def answer(text: str) -> ExecutionEntry:
    return execution(
        execution_id=text[:200],
        agent_id=text[:200],
        input_text=text,
        output_text=text,
        prompt_version=text[:80],
        error=text,
    )


def assert_inert(app: AppTest) -> None:
    active = r"(?<!\\)(<(script|img)|!\[x|\[click|\*\*bold|:red\[|:material|\$x)"
    assert not re.search(active, marked_up(app))
    assert not re.search(r"<(script|img)", as_html(app))
    assert "\u202e" not in marked_up(app)


@pytest.mark.parametrize("page", ["overview", "feedback", "issues"])
def test_pages_show_hostile_text_as_text(
    visit: Callable[..., AppTest], give: Callable[..., None], page: str
) -> None:
    give(*map(reaction, HOSTILE), given=tuple(map(answer, HOSTILE)))
    assert_inert(visit(page))


@pytest.mark.parametrize("text", HOSTILE)
def test_an_execution_shows_hostile_text_as_text(
    visit: Callable[..., AppTest], give: Callable[..., None], text: str
) -> None:
    give(reaction(text), given=(answer(text),))
    app = visit("feedback", execution=text[:200], agent=text[:200])
    assert app.title[0].value == "Execution"
    assert_inert(app)


@pytest.mark.parametrize("text", ["http://evil.example", "www.evil.example", "me@evil.example"])
def test_labels_turn_no_address_into_a_link(text: str) -> None:
    assert text.replace(".", "\\.") not in texts.plain(text)


def test_labels_keep_letters_of_all_scripts() -> None:
    assert texts.plain("Größe مرحبا 税") == "Größe مرحبا 税"


def test_chart_labels_hold_no_tags() -> None:
    assert charts.label('<a href="http://evil">x</a>') == '&lt;a href="http://evil"&gt;x&lt;/a&gt;'


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_downloads_start_no_formula(
    give: Callable[..., None], transaction: Callable[..., object], start: str
) -> None:
    give(feedback(feedback_text=f"{start}HYPERLINK(1)", created_at="2026-01-10T10:00:00Z"))
    with transaction() as session:
        rows = queries.latest(session, None, queries.Window(date(2026, 1, 1), date(2026, 1, 31)))
    text = tables.csv(rows).decode("utf-8-sig")
    assert f"'{start}HYPERLINK(1)" in text
    assert "2026-01-10 10:00:00+00:00" in text
