"""One example in full, and its history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from learning_core.datasets import versions
from learning_core.datasets.curation import Rules
from learning_core.review import annotations, gold, queue
from learning_core.schema import Role
from pages.components import frames
from tests.factories import execution, feedback
from tests.pages.conftest import as_html, marked_up, shown
from tests.pages.test_hostile import HOSTILE, assert_inert

pytestmark = pytest.mark.usefixtures("one_each")

CORRECTION = {"feedback_type": "correction", "rating": 2, "issue_categories": ["incorrect"]}


@pytest.fixture
def open_example(visit: Callable[..., AppTest]) -> Callable[..., AppTest]:
    def go(example: object, **query: str) -> AppTest:
        frames.forget()
        return visit("review", example=str(example), **query)

    return go


@pytest.fixture
def corrected(give: Callable[..., None], transaction: Any) -> UUID:
    """The example of a correction that a user wrote."""
    given = feedback(
        **CORRECTION,
        execution_id="e1",
        user_id="uma",
        feedback_text="Wrong day.",
        correction_text="On the 15th of the following month.",
    )
    give(given, given=(execution(execution_id="e1", prompt_version="v7"),))
    with transaction() as session:
        return session.execute(text("SELECT id FROM learning_examples")).scalar_one()


@pytest.mark.parametrize("example", ["nonsense", uuid4()])
def test_an_unknown_example_is_said_to_be_none(open_example: Any, example: object) -> None:
    assert "No such example" in shown(open_example(example))


def test_another_organisations_example_is_none(
    open_example: Any, corrected: UUID, other_organization: Any
) -> None:
    assert "No such example" in shown(open_example(corrected, organization=other_organization.name))


def test_the_way_of_a_correction_is_told_from_answer_to_dataset(
    open_example: Any, corrected: UUID, judge: Any, act: Any, person: Any
) -> None:
    judge(person("cyd"), corrected, "reject", notes="Hasty.")
    act(annotations.undo, person("cyd"), corrected)
    act(queue.give_back, person("cyd"))
    judge(person("ada"), corrected, corrected_output="On the 15th.", technical_accuracy=1, notes="Shorter.")
    judge(person("ben"), corrected, technical_accuracy=0.8)
    act(versions.freeze, person("boss", Role.ADMIN), "first", Rules())
    app = open_example(corrected)
    words = shown(app)
    told = [element.value for element in app.get("text")]
    steps = [
        "tax-advisor answered a user under prompt v7.",
        "uma gave feedback: correction, 2 of 5 stars, incorrect.",
        "It became an example.",
        "cyd rejected it.",
        "ada approved it with a new text.",
        "ben approved it.",
        "Settled: approved.",
    ]
    assert [line for line in told if line in steps] == steps
    assert told[-1].startswith("It was frozen into first, version 1, in the ")
    for said in ("Wrong day.", "Hasty.", "Shorter.", "it counts no more.", "Later confirmed by ben."):
        assert said in words
    assert "So far: approved; the new text waits for somebody else to confirm it." in words
    assert "Quality 0.90 of 1, human-verified." in words
    assert str(corrected) not in words
    assert {"See the execution", "See the dataset"} <= {button.label for button in app.button}


def test_what_others_said_is_kept_from_who_may_still_judge(
    open_example: Any, new_example: Any, judge: Any, person: Any
) -> None:
    example = new_example(overlap=2)
    judge(person("ada"), example, "reject", notes="Secret so far.")
    words = shown(open_example(example))
    assert "kept back until you have judged it" in words
    assert "Secret so far." not in words
    assert "Secret so far." in shown(open_example(example, view="Product manager"))


def test_an_administrator_makes_and_unmakes_gold(
    open_example: Any, new_example: Any, judge: Any, person: Any, transaction: Any
) -> None:
    example = new_example()
    judge(person("ada"), example)
    app = open_example(example).button(key=f"make_{example}").click().run()
    assert "Remove from gold" in marked_up(app)
    assert not [b for b in open_example(example, view="Expert").button if "gold" in b.label]
    app = open_example(example).button(key=f"unmake_{example}").click().run()
    assert "Make it a gold item" in marked_up(app)


def test_what_cannot_serve_as_gold_is_refused_in_words(
    open_example: Any, corrected: UUID, judge: Any, person: Any
) -> None:
    judge(person("ada"), corrected, corrected_output="Never.")
    app = open_example(corrected).button(key=f"make_{corrected}").click().run()
    assert "approved as it was proposed\\, can serve as a gold item" in marked_up(app)


def test_judgements_on_gold_are_for_administrators(
    open_example: Any, new_example: Any, judge: Any, act: Any, person: Any
) -> None:
    example = new_example()
    judge(person("ada"), example)
    act(gold.make_gold, person("boss", Role.ADMIN), example)
    judge(person("ben"), example, "reject", notes="Caught out.")
    assert "Caught out." in shown(open_example(example))
    assert "Caught out." not in shown(open_example(example, view="Expert"))


def test_two_options_stand_side_by_side(open_example: Any, new_example: Any, judge: Any, person: Any) -> None:
    example = new_example(
        example_type="preference",
        original_output="Short.",
        alternative_output="Long.",
        expected_output=None,
    )
    judge(person("ada"), example, preference="b", preference_strength=4)
    words = shown(open_example(example))
    assert "Answer B, the better one" in words
    assert "ada chose between the two." in words


def test_the_execution_leads_to_its_example(visit: Callable[..., AppTest], corrected: UUID) -> None:
    words = shown(visit("feedback", execution="e1"))
    assert "Became an example (correction), waiting." in words
    assert "See its history" in words


@pytest.mark.parametrize("stranger", HOSTILE)
def test_an_example_shows_hostile_text_as_text(
    open_example: Any, give: Callable[..., None], transaction: Any, judge: Any, person: Any, stranger: str
) -> None:
    given = feedback(
        **CORRECTION,
        execution_id="e1",
        agent_id=stranger[:200],
        user_id=stranger[:200],
        feedback_text=stranger,
        correction_text=stranger + " better",
    )
    answer = execution(
        execution_id="e1",
        agent_id=stranger[:200],
        input_text=stranger,
        output_text=stranger,
        prompt_version=stranger[:80],
    )
    give(given, given=(answer,))
    with transaction() as session:
        example = session.execute(text("SELECT id FROM learning_examples")).scalar_one()
    judge(person(stranger[:200]), example, corrected_output=stranger + " best", notes=stranger)
    app = open_example(example)
    assert app.title[0].value == "Example"
    assert_inert(app)
    assert "\u202e" not in "".join(element.value for element in app.get("text"))
    assert "best" in as_html(app)
