from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from learning_core import db
from learning_core.access import Caller
from learning_core.review import queries
from learning_core.review.demonstrations import DemonstrationEntry, add_demonstration
from learning_core.schema import Role
from tests.factories import feedback
from tests.pages.conftest import shown
from tests.pages.test_hostile import HOSTILE, assert_inert


def fill(app: AppTest, **fields: str) -> AppTest:
    for name, value in fields.items():
        key = f"demonstration_0_{name}"
        kind = "text_input" if name.startswith(("step", "domain")) else "text_area"
        next(field for field in getattr(app, kind) if field.key == key).set_value(value)
    return app


def save(app: AppTest) -> AppTest:
    return app.button(key="demonstration_0_save").click().run()


def test_what_an_expert_shows_is_saved_and_listed(
    visit: Callable[..., AppTest], give: Callable[..., None], organization: object
) -> None:
    give(feedback(agent_id="bookkeeper"))
    app = visit("demonstrations", view="Expert")
    assert "No demonstration yet" in shown(app)
    assert "Somebody else reviews it" in shown(app)
    app.selectbox(key="demonstration_0_agent").select("bookkeeper")
    fill(app, task="Book it.", given="Invoice 17", step_0="Check", step_2="Post", output="Done.", why="Law.")
    app = save(fill(app, domain="vat"))
    assert not app.error
    assert "somebody else" in app.toast[0].value
    assert app.dataframe[0].value[["Task", "Agent", "Steps", "Status", "Author"]].values.tolist() == [
        ["Book it.", "bookkeeper", 2, "Waiting", "Local developer"]
    ]
    with db.reading_session(organization.id) as session:
        stored = queries.example(session, queries.demonstrations(session)["id"].iloc[0])
    assert stored.demonstration == {
        "task": "Book it.",
        "input_state": "Invoice 17",
        "actions": ["Check", "Post"],
        "reasoning": "Law.",
    }
    assert (stored.expected_output, stored.domain, stored.source) == ("Done.", "vat", "page")
    assert {area.value for area in app.text_area} == {""}
    assert not app.run().toast


def test_missing_fields_are_explained_beside_them(
    visit: Callable[..., AppTest], organization: object
) -> None:
    app = save(fill(visit("demonstrations", view="Expert"), task="Book it."))
    assert "Nothing is saved yet" in app.error[0].value
    said = shown(app).replace("\\", "")
    assert "Say which agent shall learn from it." in said
    assert "Say what comes out in the end." in said
    assert "Say what is to be done." not in said
    assert app.text_area(key="demonstration_0_task").value == "Book it."
    with db.reading_session(organization.id) as session:
        assert queries.demonstrations(session).empty


def test_steps_can_be_added_and_keep_what_was_written(visit: Callable[..., AppTest]) -> None:
    app = fill(visit("demonstrations", view="Expert"), step_0="First")
    app = app.button(key="demonstration_0_add").click().run()
    steps = [field for field in app.text_input if "_step_" in (field.key or "")]
    assert [field.value for field in steps] == ["First", "", "", ""]
    assert not app.error


@pytest.mark.parametrize(
    ("view", "may"), [("Product manager", False), ("ML engineer", False), ("Expert", True)]
)
def test_only_reviewers_see_the_form(visit: Callable[..., AppTest], view: str, may: bool) -> None:
    app = visit("demonstrations", view=view)
    assert bool(app.text_area) is may
    assert ("your role reads" in shown(app)) is not may


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text(
    visit: Callable[..., AppTest], organization: object, text: str
) -> None:
    expert = Caller(organization.id, text[:100], Role.EXPERT)
    entry = DemonstrationEntry(
        agent_id=text[:200], task=text, actions=[text[:4_000]], final_output=text, reasoning=text
    )
    with db.organization_session(organization.id) as session:
        add_demonstration(session, expert, entry)
    app = visit("demonstrations")
    assert len(app.dataframe[0].value) == 1
    assert_inert(app)
