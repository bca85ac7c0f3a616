from decimal import Decimal

import pytest

from learning_core import background
from learning_core.errors import Conflict
from learning_core.evaluation import evaluators, scores
from learning_core.evaluation.checks import Check, Evaluator
from learning_core.evaluation.scoring import Trial
from learning_core.llm.templates import Prompt
from learning_core.schema import RunKind

PROMPT = Prompt.from_text("Answer.")
RESULT = {"mean": 0.5, "low": 0.2, "high": 0.8, "n": 3, "cost_usd": "0.01", "latency_median_ms": 5.0}


def trial(value, output="so", error=None):
    return Trial(value, {"exact": value}, output, error, 5.0, Decimal("0.01"), 10, 2, ())


@pytest.fixture
def stored(transaction, engineer, freeze, new_prompt):
    """Store a run of three examples with the scores given: `stored(1.0, 0.5, 0.0)` returns run, candidate."""
    dataset, versions = freeze([("Q1?", "A1"), ("Q2?", "A2"), ("Q3?", "A3")]), []

    def store(*values):
        if not versions:
            versions.append(new_prompt("Answer."))
        with transaction() as session:
            evaluator = evaluators.save(session, engineer, "tax-advisor", Evaluator((Check("exact"),)))
            run = background.create(
                session,
                engineer,
                RunKind.EVALUATION,
                "tax-advisor",
                {"split": "validation"},
                prompt_version_id=versions[0],
                dataset_id=dataset.id,
                evaluator_id=evaluator.id,
            )
            candidate = scores.store_candidate(
                session, run, 0, PROMPT, strategy="baseline", reason="as it is"
            )
            items = sorted(
                scores.items(session, dataset.id, None, "tax-advisor"),
                key=lambda item: item.example.input_text,
            )
            trials = [(item, trial(value)) for item, value in zip(items, values, strict=False)]
            scores.store_scores(session, candidate, trials)
            return run, candidate

    return store


def test_a_score_once_stored_stays(stored, transaction):
    run, candidate = stored(1.0)
    with transaction() as session:
        items = scores.items(session, background.find(session, run).dataset_id, None, "tax-advisor")
        scores.store_scores(session, candidate, [(item, trial(0.25)) for item in items])
        assert sorted(row.value for row in scores.scores_of(session, candidate)) == [0.25, 0.25, 1]


def test_a_candidate_stored_again_is_the_same_one_and_no_other(stored, transaction):
    run, candidate = stored()
    with transaction() as session:
        assert scores.store_candidate(session, run, 0, PROMPT, strategy="x", reason="x") == candidate
        with pytest.raises(Conflict):
            scores.store_candidate(session, run, 0, Prompt.from_text("Other."), strategy="x", reason="x")


def test_how_far_a_candidate_is(stored, transaction):
    _, candidate = stored(1.0, 0.5)
    with transaction() as session:
        assert scores.tally(session, candidate) == (2, 0.75, 0, None)
