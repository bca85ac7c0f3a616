from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from learning_core import access, db
from learning_core.feedback import queries
from tests.factories import execution, feedback
from tests.pages.conftest import shown


def test_an_organisation_nobody_reported_to_is_told_how_to_begin(visit: Callable[..., AppTest]) -> None:
    assert "afterglow key create --organization" in shown(visit("feedback"))


def test_a_window_without_feedback_suggests_a_longer_one(
    visit: Callable[..., AppTest], give: Callable[..., None]
) -> None:
    give(feedback(created_at="2020-05-05"))
    assert "Choose a longer window or another agent." in shown(visit("feedback"))


def test_the_agent_in_the_address_is_the_one_shown(
    visit: Callable[..., AppTest], give: Callable[..., None]
) -> None:
    give(feedback(agent_id="one"), feedback(agent_id="two"), feedback(agent_id="two"))
    app = visit("feedback", agent="two")
    assert app.selectbox(key="agent").value == "two"
    assert "2 pieces of feedback" in shown(app)


def test_a_day_in_the_address_shows_only_its_rows(
    visit: Callable[..., AppTest], give: Callable[..., None]
) -> None:
    for day, text in (("2026-01-10", "on the tenth"), ("2026-01-11", "on the eleventh")):
        give(feedback(feedback_text=text, created_at=f"{day}T12:00:00Z"))
    app = visit("feedback", period="2026-01-10..2026-01-10")
    assert app.dataframe[0].value["Comment"].tolist() == ["on the tenth"]


@pytest.mark.parametrize(
    "period",
    [
        "",
        "..",
        "yesterday",
        "2026-13-01..2026-14-01",
        "2026-01-01",
        "2026-02-02..2026-01-01",
        "0001-01-01..2026-01-01",
        "2026-01-01..9999-12-31",
    ],
)
def test_a_day_that_is_none_is_ignored(
    visit: Callable[..., AppTest], give: Callable[..., None], period: str
) -> None:
    give(feedback())
    assert "1 piece of feedback" in shown(visit("feedback", period=period))


def test_types_narrow_the_rows(visit: Callable[..., AppTest], give: Callable[..., None]) -> None:
    give(feedback(feedback_type="thumbs_up"), feedback(feedback_type="thumbs_down"))
    app = visit("feedback", type="Thumbs down")
    assert app.dataframe[0].value["Type"].tolist() == ["Thumbs down"]


def test_an_execution_shows_question_answer_and_correction(
    visit: Callable[..., AppTest], give: Callable[..., None]
) -> None:
    give(
        feedback(execution_id="e1", feedback_type="correction", correction_text="On the twelfth, always."),
        given=[execution(execution_id="e1", input_text="When?", output_text="On the tenth, always.")],
    )
    words = shown(visit("feedback", execution="e1"))
    assert "When?" in words
    assert ">tenth</del>" in words
    assert ">twelfth</ins>" in words
    assert "Became an example" in words


def test_an_execution_of_nobody_is_said_to_be_missing(visit: Callable[..., AppTest]) -> None:
    assert "No such execution" in shown(visit("feedback", execution="nothing"))


def test_withdrawn_feedback_counts_nowhere_and_is_audited(
    visit: Callable[..., AppTest], give: Callable[..., None], organization: object
) -> None:
    give(feedback(id="f1", execution_id="e1"))
    app = visit("feedback", execution="e1")
    app.button(key="withdraw_f1").click().run()
    assert "Withdrawn, counted nowhere" in shown(app)
    with db.reading_session(organization.id) as session:
        assert queries.feedback_of_execution(session, "e1")["withdrawn"].tolist() == [True]
        assert access.audit_log(session)["action"].tolist()[0] == "feedback.withdrawn"


def test_feedback_can_be_added(
    visit: Callable[..., AppTest], give: Callable[..., None], organization: object
) -> None:
    give(feedback(execution_id="e1"))
    app = visit("feedback", execution="e1", view="Expert")
    app.text_area(key="new_comment").set_value("Too short.")
    app.feedback(key="new_stars").set_value(1)
    app.button[-1].click().run()
    assert not app.exception
    with db.reading_session(organization.id) as session:
        added = queries.feedback_of_execution(session, "e1").iloc[-1]
    assert (added.rating, added.feedback_text, added.source) == (2, "Too short.", "page")


def test_an_answer_left_as_it_is_is_no_correction(
    visit: Callable[..., AppTest], give: Callable[..., None], organization: object
) -> None:
    give(feedback(execution_id="e1"), given=[execution(execution_id="e1", output_text="On the tenth.")])
    app = visit("feedback", execution="e1")
    assert app.text_area(key="new_correction").value == "On the tenth."
    app.button[-1].click().run()
    assert app.error[0].value == "Choose or write something first."
    app.text_area(key="new_correction").set_value("On the twelfth.")
    app.button[-1].click().run()
    with db.reading_session(organization.id) as session:
        added = queries.feedback_of_execution(session, "e1").iloc[-1]
    assert (added.feedback_type, added.correction_text) == ("correction", "On the twelfth.")


def test_a_viewer_can_neither_add_nor_withdraw(
    visit: Callable[..., AppTest], give: Callable[..., None]
) -> None:
    give(feedback(execution_id="e1"))
    app = visit("feedback", execution="e1", view="Product manager")
    assert not app.text_area
    assert [button.label for button in app.button] == ["← Back to all feedback"]
