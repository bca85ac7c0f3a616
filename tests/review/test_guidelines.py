from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from learning_core import access
from learning_core.access import Caller
from learning_core.errors import InvalidInput, NotFound, NotPermitted
from learning_core.review import queries
from learning_core.review.guidelines import LONGEST, write_guidelines
from learning_core.schema import Role
from tests.review.conftest import AGENT


@pytest.fixture
def written(
    new_example: Callable[..., UUID], transaction: Callable[..., Any]
) -> Callable[[], dict[str, str]]:
    """Return the guidelines there are; there is one agent."""
    new_example()

    def read() -> dict[str, str]:
        with transaction() as session:
            return queries.guidelines(session)

    return read


def test_guidelines_are_replaced_and_taken_away(
    act: Callable[..., Any], ada: Caller, written: Callable[[], dict[str, str]]
) -> None:
    act(write_guidelines, ada, AGENT, "  Approve what is right.\n")
    assert written() == {AGENT: "Approve what is right."}
    act(write_guidelines, ada, AGENT, "<b>Reject</b> what is wrong.")
    assert written() == {AGENT: "<b>Reject</b> what is wrong."}
    act(write_guidelines, ada, AGENT, "  ")
    assert written() == {}


def test_who_wrote_guidelines_is_on_record(
    act: Callable[..., Any], ada: Caller, written: object, transaction: Callable[..., Any]
) -> None:
    act(write_guidelines, ada, AGENT, "Be kind.")
    with transaction() as session:
        entry = access.audit_log(session).iloc[0]
    assert (entry.actor, entry.action, entry.subject) == ("ada", "guidelines.written", AGENT)
    assert "8" in entry.details


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER])
def test_only_those_who_review_write_guidelines(
    act: Callable[..., Any],
    person: Callable[..., Caller],
    written: Callable[[], dict[str, str]],
    role: Role,
) -> None:
    with pytest.raises(NotPermitted):
        act(write_guidelines, person("vera", role), AGENT, "Approve everything.")
    assert written() == {}


@pytest.mark.parametrize("text", ["x" * (LONGEST + 1), "Approve\0"])
def test_what_cannot_be_stored_is_refused(
    act: Callable[..., Any], ada: Caller, written: Callable[[], dict[str, str]], text: str
) -> None:
    with pytest.raises(InvalidInput):
        act(write_guidelines, ada, AGENT, text)
    assert written() == {}


def test_the_longest_guidelines_are_stored(
    act: Callable[..., Any], ada: Caller, written: Callable[[], dict[str, str]]
) -> None:
    act(write_guidelines, ada, AGENT, "x" * LONGEST)
    assert len(written()[AGENT]) == LONGEST


def test_an_agent_nobody_knows_has_no_guidelines(
    act: Callable[..., Any], ada: Caller, written: object
) -> None:
    with pytest.raises(NotFound, match="nobody"):
        act(write_guidelines, ada, "nobody", "Approve.")


def test_another_organisations_agent_is_not_found(
    act: Callable[..., Any], other_organization: Any, written: Callable[[], dict[str, str]]
) -> None:
    stranger = Caller(other_organization.id, "eve", Role.ADMIN)
    with pytest.raises(NotFound):
        act(write_guidelines, stranger, AGENT, "Approve.")
    assert written() == {}
