from decimal import Decimal

import pytest
from sqlalchemy import text

from learning_core import background
from learning_core.errors import Conflict
from learning_core.evaluation import evaluators, queries, scores
from learning_core.evaluation.checks import Check, Evaluator
from learning_core.evaluation.metrics import compare
from learning_core.evaluation.scoring import Trial
from learning_core.llm.templates import Prompt
from learning_core.schema import RunKind, RunStatus

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


def test_the_evaluations_of_an_agent_are_told_with_their_results(stored, transaction):
    waiting, _ = stored()
    done, _ = stored(1.0, 0.5, 0.0)
    with transaction() as session:
        result = RESULT | {"gate": {"passed": True}}
        background.finish(session, done, RunStatus.SUCCEEDED, stop_reason="all 3", result=result)
        session.execute(
            text("UPDATE training_runs SET created_at = created_at + interval '1 s' WHERE id = :id"),
            {"id": done},
        )
        found = queries.evaluations(session, "tax-advisor")
        assert queries.evaluations(session, "another").empty
    assert found["id"].tolist() == [str(done), str(waiting)]
    assert found["passed"].tolist() == ["yes", ""]
    assert found["n"].tolist() == [3, 0]
    newest = found.iloc[0]
    assert (newest["prompt"], newest["dataset"], newest["split"]) == ("v1", "vat", "validation")
    assert (newest["dataset_version"], newest["prompt_number"], newest["evaluator_number"]) == (1, 1, 1)
    assert (newest["mean"], newest["low"], newest["high"], newest["cost_usd"]) == (0.5, 0.2, 0.8, 0.01)
    assert dict(found.dtypes.astype(str)) == {
        "id": "str",
        "prompt": "str",
        "prompt_number": "int64",
        "dataset": "str",
        "dataset_version": "int64",
        "split": "str",
        "evaluator_number": "int64",
        "status": "str",
        "stop_reason": "str",
        "error": "str",
        "started_by": "str",
        "mean": "float64",
        "low": "float64",
        "high": "float64",
        "n": "int64",
        "cost_usd": "float64",
        "latency_median_ms": "float64",
        "passed": "str",
        "created_at": "datetime64[us, UTC]",
        "finished_at": "datetime64[us, UTC]",
    }


def test_the_scores_of_a_candidate_are_told_the_worst_first(stored, transaction):
    _, candidate = stored(1.0, 0.5, 0.0)
    with transaction() as session:
        found = queries.scores(session, candidate)
    assert found["input_text"].tolist() == ["Q3?", "Q2?", "Q1?"]
    assert found["expected_output"].tolist() == ["A3", "A2", "A1"]
    assert found["value"].tolist() == [0, 0.5, 1]
    assert found["parts"].tolist()[1] == '{"exact": 0.5}'
    assert list(found.columns) == [
        *("id", "name", "split", "input_text", "expected_output", "output", "error", "value", "latency_ms"),
        *("cost_usd", "parts"),
    ]


def test_two_candidates_stand_side_by_side_on_what_both_answered(stored, transaction):
    _, before = stored(1.0, 0.5, 0.0)
    _, after = stored(0.0, 1.0)
    with transaction() as session:
        found = queries.side_by_side(session, before, after)
        lost = queries.regressions(session, before, after)
        values = [queries.values(session, candidate) for candidate in (before, after)]
    assert found["input_text"].tolist() == ["Q1?", "Q2?"]
    assert found["difference"].tolist() == [-1, 0.5]
    assert lost["input_text"].tolist() == ["Q1?"]
    assert list(found.columns) == [
        *("id", "name", "split", "input_text", "expected_output", "before_output", "after_output"),
        *("before_error", "after_error", "before_value", "after_value", "difference"),
    ]
    assert [change.example_id for change in compare(*values).losses] == lost["id"].tolist()


@pytest.mark.parametrize(("after", "lost"), [(0.95, 1), (0.96, 0)])
def test_what_is_hardly_less_is_no_regression(stored, transaction, after, lost):
    candidates = [stored(value)[1] for value in (1.0, after)]
    with transaction() as session:
        assert len(queries.regressions(session, *candidates)) == lost


def test_a_score_once_stored_stays(stored, transaction):
    run, candidate = stored(1.0)
    with transaction() as session:
        items = scores.items(session, background.find(session, run).dataset_id, None, "tax-advisor")
        scores.store_scores(session, candidate, [(item, trial(0.25)) for item in items])
        assert sorted(queries.values(session, candidate).values()) == [0.25, 0.25, 1]


def test_a_candidate_stored_again_is_the_same_one_and_no_other(stored, transaction):
    run, candidate = stored()
    with transaction() as session:
        assert scores.store_candidate(session, run, 0, PROMPT, strategy="x", reason="x") == candidate
        assert queries.candidate(session, run) == candidate
        assert queries.candidate(session, run, 1) is None
        with pytest.raises(Conflict):
            scores.store_candidate(session, run, 0, Prompt.from_text("Other."), strategy="x", reason="x")


def test_how_far_a_candidate_is(stored, transaction):
    _, candidate = stored(1.0, 0.5)
    with transaction() as session:
        assert scores.tally(session, candidate) == (2, 0.75, 0, None)
