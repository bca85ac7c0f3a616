from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from streamlit.testing.v1 import AppTest

from tests.factories import execution, feedback
from tests.pages.conftest import shown


def test_an_empty_organisation_is_told_how_to_begin(
    visit: Callable[..., AppTest], organization: object
) -> None:
    words = shown(visit())
    assert f"afterglow key create --organization {organization.slug} --role engineer" in words
    assert "http://localhost:8501/api/learning/feedback" in words
    assert "afterglow import feedback FILE" in words
    assert not visit().metric


def test_figures_come_with_what_was_counted(visit: Callable[..., AppTest], give: Callable[..., None]) -> None:
    given = [execution(execution_id=f"e{number}") for number in range(10)]
    rated = [
        feedback(execution_id=f"e{number}", rating=rating, feedback_type="star_rating")
        for number, rating in enumerate([5, 4, 3])
    ]
    give(*rated, given=given)
    app = visit()
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Feedback rate"] == "30.0 %"
    assert figures["Satisfaction"] == "4.00"
    assert figures["Correction rate"] == "0.0 %"
    assert "10 answers" in shown(app)
    assert "3 ratings" in shown(app)


def test_what_is_not_measured_yet_says_what_starts_it(
    visit: Callable[..., AppTest], give: Callable[..., None]
) -> None:
    give(feedback())
    words = shown(visit())
    assert words.count("Not measured yet.") == 5
    assert "It starts when an agent has ratings under two prompt versions." in words


def test_the_newest_prompt_version_is_compared_with_the_one_before(
    visit: Callable[..., AppTest], give: Callable[..., None]
) -> None:
    given, rated = [], []
    for version, rating, days_ago in (("v1", 2, 3), ("v2", 4, 1)):
        for number in range(8):
            key, at = f"{version}-{number}", datetime.now(UTC) - timedelta(days=days_ago)
            given.append(execution(execution_id=key, prompt_version=version, created_at=at))
            rated.append(
                feedback(execution_id=key, feedback_type="star_rating", rating=rating, created_at=at)
            )
    give(*rated, given=given)
    assert {metric.label: metric.value for metric in visit().metric}["Prompt improvement"] == "+100.0 %"


def test_examples_that_wait_for_review_are_counted(
    visit: Callable[..., AppTest], give: Callable[..., None]
) -> None:
    give(feedback(feedback_type="correction", correction_text="Better."))
    assert "1 example, collected at any time." in shown(visit())
