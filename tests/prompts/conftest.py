"""An engineer, and prompt versions saved in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from learning_core.access import Caller
from learning_core.llm.templates import Prompt
from learning_core.prompts import versions
from learning_core.schema import Role


@pytest.fixture
def engineer(organization: object) -> Caller:
    return Caller(organization.id, "Edda", Role.ENGINEER)


@pytest.fixture
def save(transaction: Callable[..., Any], engineer: Caller) -> Callable[..., versions.Version]:
    """Save a version of "tax-advisor": `save("Be brief.", reason="too long")`."""

    def make(words: str, agent: str = "tax-advisor", **more: Any) -> versions.Version:
        given = {"reason": "a try"} | more
        with transaction() as session:
            return versions.save(session, engineer, agent, Prompt.from_text(words), **given)

    return make
