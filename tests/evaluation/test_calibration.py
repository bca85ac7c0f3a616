"""A judge is held against experts by figures that others compute the same."""

import doctest
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sqlalchemy import text

from learning_core.access import Caller
from learning_core.errors import NotEnoughData
from learning_core.evaluation import calibration
from learning_core.evaluation.calibration import (
    Annotated,
    Pair,
    annotated,
    calibrate,
    calibrate_judge,
    examine,
    spearman,
)
from learning_core.evaluation.checks import Check, Evaluator
from learning_core.evaluation.questions import Questions
from learning_core.feedback.executions import register_agents
from learning_core.feedback.intervals import Estimate
from learning_core.review.annotations import AnnotationEntry, annotate
from learning_core.review.bootstrap import TooLittle
from learning_core.schema import Role
from tests.evaluation.conftest import MODEL, MODELS, ScriptedExchange

NUMBERS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30)


def pairs(judged, quality, approved=None):
    decided = approved or [None] * len(judged)
    return [Pair(str(at), *one) for at, one in enumerate(zip(judged, quality, decided, strict=True))]


def rng():
    return np.random.default_rng(7)


@settings(deadline=None)
@given(NUMBERS)
@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_spearman_is_scipys(rows):
    first, second = (np.array(side, dtype=float) for side in zip(*rows, strict=True))
    assert spearman(first, second) == pytest.approx(
        float(stats.spearmanr(first, second).statistic), nan_ok=True
    )


def test_kappa_is_that_of_the_textbook():
    # Two readers of 50 proposals: both yes 20, both no 15, one yes 5, the other yes 10; kappa is 0.4.
    table = [(0.9, True)] * 20 + [(0.9, False)] * 5 + [(0.1, True)] * 10 + [(0.1, False)] * 15
    judged, approved = zip(*table, strict=True)
    found = calibrate(pairs(judged, [None] * 50, approved), rng())
    assert found.kappa.value == pytest.approx(0.4)
    assert found.kappa.n == 50
    assert isinstance(found.rho, TooLittle)


def test_a_judge_that_agrees_is_trusted():
    values = [at / 20 for at in range(21)]
    found = calibrate(pairs(values, values, [value >= 0.5 for value in values]), rng())
    assert found.is_trusted
    assert found.rho.value == 1
    assert found.words == "It agrees with the experts: rank correlation 1.00, kappa 1.00 on 21 answers."


def test_a_judge_that_guesses_is_not_trusted_yet():
    drawn = np.random.default_rng(1)
    judged, quality = drawn.random(60).tolist(), drawn.random(60).tolist()
    found = calibrate(pairs(judged, quality, [value > 0.5 for value in quality]), rng())
    assert not found.is_trusted
    assert found.words.startswith("Do not trust it yet: it hardly agrees")
    assert found.rho.low < found.rho.value < found.rho.high


def test_one_bad_figure_is_enough_to_distrust():
    good, bad = Estimate(0.9, 0.8, 1.0, 20), Estimate(0.39, 0.1, 0.6, 20)
    assert not calibration.Calibration(good, bad, 20).is_trusted
    assert calibration.Calibration(good, TooLittle("few", 3), 20).is_trusted
    assert not calibration.Calibration(TooLittle("few", 3), TooLittle("few", 3), 20).is_trusted


def test_the_same_seed_gives_the_same_interval():
    values = [at % 7 / 7 for at in range(30)]
    other = [at % 5 / 5 for at in range(30)]
    assert calibrate(pairs(values, other), rng()) == calibrate(pairs(values, other), rng())


def test_fewer_than_ten_answers_say_nothing():
    with pytest.raises(NotEnoughData, match="9 of the 10"):
        calibrate(pairs([0.5] * 9, [0.5] * 9), rng())


def test_scores_that_are_all_the_same_cannot_be_correlated():
    found = calibrate(pairs([0.5] * 12, [at / 12 for at in range(12)]), rng())
    assert "the same" in found.rho.reason
    assert found.words == "Do not trust it yet: its agreement with the experts cannot be told."


def test_a_judge_is_asked_without_the_expected_answer_and_its_failures_are_counted():
    answers = [Annotated(None, "Why?", f"answer {at}", at / 12, at > 6) for at in range(12)]
    answers = [one._replace(example_id=at) for at, one in enumerate(answers)]

    def say(request):
        data = json.loads(request.messages[1][1].split("\n")[1])
        assert data["expected_answer"] is None
        number = int(data["answer_to_judge"].split()[1])
        return "no idea" if number == 0 else json.dumps({"reason": "", "criterion_1": number // 3})

    found = calibrate_judge(ScriptedExchange(say), MODEL, ["It is right."], answers, rng())
    assert (found.n, found.error_count) == (11, 1)
    assert found.rho.value > 0.9


RUBRIC = Evaluator((Check("rubric", 1.0, {"criteria": ["It is right."]}),))


def test_a_run_says_of_its_judge_how_far_it_agrees_with_the_experts(judged_by, organization):
    for number in range(12):
        decision = "approve" if number % 3 else "reject"
        scores = {"technical_accuracy": 0.9 if number % 3 else 0.1}
        judged_by(**{f"Ann {number}": {"decision": decision, **scores}})
    exchange = ScriptedExchange(lambda request: json.dumps({"reason": "", "criterion_1": 4}))
    told = examine(organization.id, "tax-advisor", Questions(MODELS, RUBRIC, 100), exchange)
    assert (told["n"], told["trusted"]) == (12, False)
    assert "Do not trust it yet" in told["words"]
    assert "rho" not in told


def test_a_run_whose_experts_judged_too_little_says_so(organization):
    told = examine(organization.id, "tax-advisor", Questions(MODELS, RUBRIC, 100), ScriptedExchange(str))
    assert (told["n"], told["trusted"]) == (0, False)
    assert told["words"].startswith("Do not trust it yet: ")


def test_where_no_judge_is_asked_nothing_is_said_of_one(organization):
    exact = Questions(MODELS, Evaluator((Check("exact"),)), 100)
    assert examine(organization.id, "tax-advisor", exact, ScriptedExchange(str)) is None


@pytest.fixture
def judged_by(transaction, organization):
    """Store an answer and what people say of it: `judged_by(Ann={"decision": "approve"})`."""

    def store(example_type="positive", **said):
        with transaction() as session:
            register_agents(session, {"tax-advisor"})
            example = session.execute(text(EXAMPLE), {"type": example_type}).scalar_one()
            for name, entry in said.items():
                told = {"example_id": example, "annotation_type": "quality_assessment"} | entry
                annotate(
                    session, Caller(organization.id, name, Role.EXPERT), AnnotationEntry.model_validate(told)
                )
        return example

    return store


EXAMPLE = """
INSERT INTO learning_examples (agent_id, example_type, source, input_text, original_output, expected_output,
                               overlap, reviews_wanted)
SELECT id, :type, 'api', 'When is it due?', 'Soon.', 'On the tenth.', 3, 3 FROM agents RETURNING id
"""


def test_what_experts_said_of_an_answer_is_gathered(judged_by, transaction):
    both = judged_by(
        Ann={"decision": "approve", "technical_accuracy": 1.0, "clarity": 0.5},
        Ben={"decision": "approve", "technical_accuracy": 0.25},
    )
    split = judged_by(Ann={"decision": "approve"}, Ben={"decision": "reject", "notes": "It is wrong."})
    rewritten = judged_by(Ann={"decision": "approve", "corrected_output": "On the 10th.", "clarity": 1.0})
    with transaction() as session:
        found = {one.example_id: one for one in annotated(session, "tax-advisor")}
        assert annotated(session, "another") == []
    assert found[both] == Annotated(both, "When is it due?", "On the tenth.", 0.5, True)
    assert found[split].approved is None
    assert (found[rewritten].quality, found[rewritten].approved) == (1.0, None)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(calibration).failed == 0
