"""The demo's prompt versions are those that its executions name."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from sqlalchemy import text

from learning_core import db
from learning_core.demo.cast import AGENTS
from learning_core.demo.load import create_demo
from learning_core.demo.wordings import entries
from learning_core.prompts import analysis, history
from learning_core.prompts.differences import difference

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def demo(database):
    return create_demo(f"Demo {uuid4().hex[:8]}")


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.agent_id)
def test_every_version_that_serves_has_a_prompt_saved_before(agent):
    told = entries(agent, START)
    assert [entry.key for entry in told] == [version.name for version in agent.versions]
    for entry, version in zip(told, agent.versions, strict=True):
        assert START - timedelta(days=1) < entry.created_at < START + timedelta(days=version.since)
        assert entry.author.endswith("(simulated)")
        assert len(entry.reason) > 20


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.agent_id)
def test_the_newest_version_is_in_production_and_knows_what_it_came_from(demo, agent):
    with db.organization_session(demo.id) as session:
        found = list(history.all_of(session, agent.agent_id))
        named = session.execute(text(NAMED), {"agent": agent.agent_id}).scalars().all()
    assert [version.key for version in found] == named
    assert ["production" in version.labels for version in found] == [False] * (len(found) - 1) + [True]
    assert [version.parent for version in found] == [None, *named[:-1]]
    for before, after in pairwise(found):
        assert any(block.kind == "equal" for block in difference(before.prompt, after.prompt).blocks)
        assert before.created_at < after.created_at


NAMED = """
SELECT DISTINCT prompt_version FROM executions JOIN agents ON agents.id = agent_id
WHERE agents.key = :agent ORDER BY prompt_version
"""


def test_there_is_something_to_learn_from_in_the_last_thirty_days(demo):
    with db.organization_session(demo.id) as session:
        looked = analysis.analyse(session, "tax-advisor", datetime.now(UTC).date())
    assert (looked.version, looked.in_production) == ("v2", True)
    assert looked.current.satisfaction.n > 50
    assert looked.current.latency_ms.low < looked.current.latency_ms.value < looked.current.latency_ms.high
    assert any(issue.quotes for issue in looked.evidence().issues)
    assert looked.corrections


def test_a_worker_is_asked_to_tell_the_rest(demo):
    waiting = text("SELECT task_name FROM procrastinate_jobs WHERE args ->> 'organization_id' = :id")
    with db.shared_session() as session:
        asked_for = session.execute(waiting, {"id": str(demo.id)}).scalars().all()
    assert sorted(asked_for) == ["demo.release", "demo.review"]


def test_production_has_been_what_it_is_since_that_was_saved(demo):
    strange = text(
        "SELECT count(*) FROM prompt_labels JOIN prompt_versions AS v ON v.id = version_id"
        " WHERE set_at <> v.created_at"
    )
    with db.organization_session(demo.id) as session:
        assert session.execute(strange).scalar_one() == 0
