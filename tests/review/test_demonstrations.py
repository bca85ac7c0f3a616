"""What an expert shows becomes an example that somebody else judges."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from learning_core.errors import NotPermitted
from learning_core.review import queue
from learning_core.review.demonstrations import DemonstrationEntry, add_demonstration
from learning_core.schema import Role

pytestmark = pytest.mark.usefixtures("one_each")

SHOWN = {
    "agent_id": "bookkeeper",
    "task": "Book the invoice.",
    "input_state": "Invoice 17 of 1,000.00 net, 19 % VAT.",
    "actions": ["Check the supplier.", "Debit 1,000.00 to costs.", "Debit 190.00 to input tax."],
    "final_output": "Booked as 1,190.00 payable.",
    "reasoning": "Input tax is deductible.",
    "domain": "vat",
}


def entry(**changes) -> DemonstrationEntry:
    return DemonstrationEntry.model_validate(SHOWN | changes)


def test_a_demonstration_becomes_an_example_with_all_that_was_shown(act, ada, look):
    row = look(act(add_demonstration, ada, entry()))
    assert (row.example_type, row.status, row.source, row.author) == (
        "demonstration",
        "pending",
        "page",
        "ada",
    )
    assert row.input_text == f"{SHOWN['task']}\n\n{SHOWN['input_state']}"
    assert (row.expected_output, row.domain) == (SHOWN["final_output"], "vat")
    assert row.demonstration == {
        name: SHOWN[name] for name in ("task", "input_state", "actions", "reasoning")
    }


@pytest.mark.parametrize("state", ["", "  \n"])
def test_without_a_state_the_task_is_the_question(act, ada, look, state):
    least = {"agent_id": "a", "task": "Close the year.", "final_output": "Closed.", "input_state": state}
    row = look(act(add_demonstration, ada, DemonstrationEntry.model_validate(least)))
    assert (row.input_text, row.domain) == ("Close the year.", None)
    assert row.demonstration["actions"] == []


def test_somebody_else_judges_what_was_shown(act, judge, ada, ben, look):
    example = act(add_demonstration, ada, entry())
    assert act(queue.claim, ada) == []
    assert act(queue.claim, ben) == [example]
    with pytest.raises(NotPermitted, match="You wrote"):
        judge(ada, example)
    judge(ben, example)
    assert (look(example).status, look(example).approved_output) == ("approved", SHOWN["final_output"])


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER])
def test_only_those_who_may_review_may_show(act, person, role):
    with pytest.raises(NotPermitted, match=role):
        act(add_demonstration, person("vera", role), entry())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("agent_id", ""),
        ("agent_id", "x" * 201),
        ("task", " \n"),
        ("task", "x" * 100_001),
        ("task", "a\0b"),
        ("input_state", "x" * 500_001),
        ("actions", [""]),
        ("actions", ["a\0b"]),
        ("actions", ["x" * 4_001]),
        ("actions", ["One step."] * 101),
        ("actions", "One step."),
        ("final_output", ""),
        ("reasoning", "x" * 20_001),
        ("domain", ""),
        ("author", "somebody else"),
        ("status", "approved"),
    ],
    ids=lambda given: str(given)[:20].encode("unicode_escape"),
)
def test_what_shows_nothing_or_too_much_is_refused(field, value):
    with pytest.raises(ValidationError, match=field):
        entry(**{field: value})


def test_hostile_text_is_stored_as_it_was_written(act, ada, look):
    hostile = "<script>alert(1)</script> '; DROP TABLE agents; -- {} %s \u202e 👩\u200d💻"
    row = look(act(add_demonstration, ada, entry(task=hostile, actions=[hostile], final_output=hostile)))
    assert row.expected_output == hostile
    assert (row.demonstration["task"], row.demonstration["actions"]) == (hostile, [hostile])
