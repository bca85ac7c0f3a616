from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from tests.factories import feedback
from tests.pages.conftest import shown


def test_an_organisation_nobody_reported_to_is_told_how_to_begin(visit: Callable[..., AppTest]) -> None:
    assert "afterglow key create --organization" in shown(visit("issues"))


def test_a_window_without_feedback_suggests_a_longer_one(
    visit: Callable[..., AppTest], give: Callable[..., None]
) -> None:
    give(feedback(created_at="2020-05-05"))
    assert "Choose a longer window or another agent." in shown(visit("issues"))


def test_issues_are_ranked_and_quoted(visit: Callable[..., AppTest], give: Callable[..., None]) -> None:
    give(
        feedback(),
        feedback(issue_categories=["tone"], feedback_text="Rude."),
        feedback(issue_categories=["incorrect"], feedback_text="Wrong rate."),
        feedback(issue_categories=["incorrect"], feedback_text="Wrong year."),
    )
    app = visit("issues")
    assert [heading.value for heading in app.subheader][:2] == ["Incorrect", "Tone"]
    words = shown(app)
    assert "2 of 4 (50.0 %)" in words
    assert "Rude." in words


def test_themes_come_with_their_method(visit: Callable[..., AppTest], give: Callable[..., None]) -> None:
    give(*[feedback(feedback_type="thumbs_down", feedback_text="no source given") for _ in range(4)])
    words = shown(visit("issues"))
    assert "no source" in words
    assert "Read from the latest 4 comments." in words
