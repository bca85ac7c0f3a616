from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from learning_core import db
from learning_core.access import Caller
from learning_core.demo.load import create_demo
from learning_core.demo.reviewing import EXPERTS, review
from learning_core.evaluation import evaluators
from learning_core.review.queue import claim
from learning_core.schema import Role


@pytest.fixture(scope="module")
def reviewed(database):
    organization = create_demo(f"Demo {uuid4().hex[:8]}")
    review(str(organization.id), "7")
    return organization


@pytest.fixture
def ask(reviewed):
    def rows(statement: str) -> list:
        with db.organization_session(reviewed.id) as session:
            return session.execute(text(statement)).all()

    return rows


def test_some_examples_are_settled_and_some_still_wait(ask):
    statuses = dict(tuple(row) for row in ask("SELECT status, count(*) FROM learning_examples GROUP BY 1"))
    assert statuses["approved"] > 40
    assert statuses["pending"] > 40
    assert {"rejected", "needs_revision"} <= statuses.keys()


def test_every_expert_judged_and_none_judged_twice(ask):
    names = {row.annotator for row in ask("SELECT DISTINCT annotator FROM expert_annotations")}
    assert names == {expert.name for expert in EXPERTS}
    assert ask("SELECT 1 FROM expert_annotations GROUP BY example_id, annotator HAVING count(*) > 1") == []


def test_judgements_come_after_the_feedback_and_not_from_the_future(ask):
    assert (
        ask("""
            SELECT 1 FROM expert_annotations AS annotation
            JOIN learning_examples AS example ON example.id = example_id
            WHERE annotation.created_at < example.created_at OR annotation.created_at > now()
        """)
        == []
    )


def test_a_first_dataset_is_frozen_and_learns_from_no_gold_item(ask):
    [version] = ask("SELECT example_count FROM training_datasets WHERE version = 1")
    assert version.example_count > 20
    assert len(ask("SELECT id FROM learning_examples WHERE gold_decision IS NOT NULL")) == 4
    frozen = "SELECT 1 FROM dataset_examples JOIN learning_examples AS example ON example.id = example_id"
    assert ask(f"{frozen} WHERE gold_decision IS NOT NULL") == []


def test_answers_are_scored_without_a_model(reviewed, ask):
    agents = "SELECT agents.key FROM evaluators JOIN agents ON agents.id = agent_id ORDER BY 1"
    with db.organization_session(reviewed.id) as session:
        found = [evaluators.newest(session, row.key) for row in ask(agents)]
    assert len(found) == 3
    assert not any(version.evaluator.needs for version in found)


def test_what_somebody_holds_already_is_left_to_them(database):
    organization = create_demo(f"Demo {uuid4().hex[:8]}")
    visitor = Caller(organization.id, "visitor", Role.EXPERT)
    held = db.in_transaction(organization.id, lambda session: claim(session, visitor, limit=12))
    with db.organization_session(organization.id) as session:
        two = text("UPDATE learning_examples SET overlap = 2, reviews_wanted = 2 WHERE id = ANY(:held)")
        session.execute(two, {"held": held})
    review(str(organization.id), "7")
    with db.organization_session(organization.id) as session:
        judged = session.execute(text("SELECT DISTINCT example_id FROM expert_annotations")).scalars().all()
    assert len(judged) > 40
    assert not set(held) & set(judged)


def test_a_review_that_is_run_again_goes_on_where_it_was(reviewed, ask):
    counted = "SELECT (SELECT count(*) FROM expert_annotations), (SELECT count(*) FROM training_datasets)"
    before = ask(counted)[0]
    review(str(reviewed.id), "7")
    after = ask(counted)[0]
    assert after[0] >= before[0]
    twice = "SELECT 1 FROM expert_annotations GROUP BY example_id, annotator HAVING count(*) > 1"
    assert ask(twice) == []
    assert 1 <= after[1] <= 2
