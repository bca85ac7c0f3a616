import inspect
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from uuid import UUID

import pytest

from learning_core import db
from learning_core.feedback.collect import collect
from learning_core.feedback.queries import Window
from pages.components import frames, frames_experiments, frames_releases
from tests.factories import feedback

PAGES = Path(__file__).parents[2] / "pages"


def test_only_frames_keep_anything() -> None:
    keeping = {
        path.name for path in PAGES.rglob("*.py") if re.search(r"cache_(data|resource)", path.read_text())
    }
    assert keeping == {"frames.py"}


@pytest.mark.parametrize("module", [frames, frames_experiments, frames_releases])
def test_every_cached_question_is_kept_apart_by_organisation(module: ModuleType) -> None:
    cached = [
        question for question in vars(module).values() if hasattr(question, "clear") and callable(question)
    ]
    assert len(cached) > 5
    for question in cached:
        first, *rest = inspect.signature(question).parameters.values()
        assert first.name == "organization_id"
        assert first.annotation in (UUID, "UUID")
        assert not any(parameter.name.startswith("_") for parameter in rest)


def test_one_organisation_is_never_served_anothers_rows(
    organization: object, other_organization: object, give: Callable[..., None]
) -> None:
    window = Window.last(30, datetime.now(UTC).date())
    give(feedback(agent_id="ours"))
    with db.organization_session(other_organization.id) as session:
        collect(session, [feedback(agent_id="theirs"), feedback(agent_id="theirs")], "import")
    assert frames.agents(organization.id, window) == ["ours"]
    assert frames.agents(other_organization.id, window) == ["theirs"]
    assert frames.measured(organization.id, None, window)[0].feedback_count == 1
    assert frames.measured(other_organization.id, None, window)[0].feedback_count == 2
    assert frames.latest(organization.id, None, window)["agent"].tolist() == ["ours"]
    assert frames.latest(other_organization.id, None, window)["agent"].tolist() == ["theirs", "theirs"]
