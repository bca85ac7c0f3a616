from __future__ import annotations

import pytest
from sqlalchemy import text

from learning_core.access import Caller
from learning_core.evaluation import evaluators
from learning_core.evaluation.checks import Check, Evaluator
from learning_core.experiments import scoring
from learning_core.experiments.scoring import score_latest
from learning_core.feedback.executions import record
from learning_core.schema import Role
from tests.factories import allocation, execution

REFUSAL = "I'm sorry, but I cannot help with that."


@pytest.fixture
def served(organization, transaction):
    """Answers to one user of an experiment, and one outside of it."""
    admin = Caller(organization.id, "ada", Role.ADMIN)
    with transaction() as session:
        running = allocation(session, admin)
        met = {"user_id": "user-1", "assignment": f"{running.id.hex}.treatment"}
        record(
            session,
            [
                execution(execution_id="good", output_text="See § 18.", **met),
                execution(execution_id="vague", output_text="On the tenth.", **met),
                execution(execution_id="refused", output_text=REFUSAL, **met),
                execution(execution_id="told", output_text=REFUSAL, score=0.7, **met),
                execution(execution_id="empty", output_text=None, **met),
                execution(execution_id="outside", output_text="See § 18."),
            ],
        )
        pattern = Check("pattern", 1.0, {"pattern": r"§ \d+"})
        evaluators.save(session, admin, "tax-advisor", Evaluator((pattern,)))
    return organization


def scores(transaction) -> dict[str, float | None]:
    with transaction() as session:
        return {row.key: row.score for row in session.execute(text("SELECT key, score FROM executions"))}


def test_answers_of_an_experiment_are_scored_and_those_with_a_score_are_left(served, transaction):
    score_latest(str(served.id))
    found = {"good": 1.0, "vague": 0.0, "refused": 0.0, "told": 0.7, "empty": None, "outside": None}
    assert scores(transaction) == found
    with transaction() as session:
        counted = session.execute(text("SELECT score_count, score_sum FROM exposures")).one()
    assert (counted.score_count, float(counted.score_sum)) == (4, 1.7)


def test_scoring_again_changes_nothing(served, transaction):
    score_latest(str(served.id))
    before = scores(transaction)
    score_latest(str(served.id))
    assert scores(transaction) == before


def test_the_oldest_answers_come_first_whatever_variant_they_are_of(served, transaction, monkeypatch):
    with transaction() as session:
        allocated = session.execute(
            text("SELECT replace(CAST(id AS text), '-', '') FROM allocations")
        ).scalar_one()
        for number in range(4):
            variant = ("control", "treatment")[number % 2]
            met = {"user_id": f"user of {variant}", "assignment": f"{allocated}.{variant}"}
            record(session, [execution(execution_id=f"later {number}", **met)])
    monkeypatch.setattr(scoring, "AT_ONCE", 5)
    monkeypatch.setattr(scoring, "MOST_AN_HOUR", 5)
    score_latest(str(served.id))
    found = scores(transaction)
    assert {key for key, score in found.items() if score is not None} == {
        "good", "vague", "refused", "told", "later 0", "later 1",
    }  # fmt: skip


def test_without_an_evaluator_nothing_is_scored(organization, transaction):
    admin = Caller(organization.id, "ada", Role.ADMIN)
    with transaction() as session:
        running = allocation(session, admin)
        record(session, [execution(user_id="user-1", assignment=f"{running.id.hex}.treatment")])
    score_latest(str(organization.id))
    assert set(scores(transaction).values()) == {None}
