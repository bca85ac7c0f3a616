from datetime import date

import pytest
from pydantic import ValidationError

from learning_core.datasets.curation import Rules, Statistics, outlook
from learning_core.datasets.queries import preview
from learning_core.feedback.intervals import Estimate
from learning_core.review.bootstrap import TooLittle


def test_gates_compare_with_what_training_takes(approve, select, configure):
    approve(4, quality_score=0.8)
    approve(6, quality_score=0.8, human_verified=False)
    quality, verified, agreement = select().statistics.gates()
    assert (quality.outcome, quality.required, quality.found, quality.n) == ("passed", 0.7, 0.8, 10)
    assert (verified.outcome, verified.required, verified.found) == ("passed", 0.3, 0.4)
    assert (agreement.outcome, agreement.required, agreement.found) == ("not enough data", 0.8, None)
    configure(AFTERGLOW_TRAINING_QUALITY=0.81, AFTERGLOW_TRAINING_VERIFIED_SHARE=0.41)
    assert [gate.outcome for gate in select(minimum_quality=0.5).statistics.gates()[:2]] == ["failed"] * 2


@pytest.mark.parametrize(
    "agreement", [Estimate(0.9, 0.8, 0.95, 40), TooLittle("Items judged by two: 3 of the 10 needed.", 3)]
)
@pytest.mark.parametrize("verified", [Estimate(0.5, 0.4, 0.6, 12), None])
def test_statistics_told_are_read_back(agreement, verified):
    figures = Statistics(12, 10, 2, {"positive": 12}, {"train": 12}, {"a": 12}, 0.8, verified, agreement)
    told = figures.told()
    assert Statistics.read(told) == figures
    assert "value" in told["agreement"] or "reason" in told["agreement"]


def test_the_outlook_says_what_freezing_will(approve, transaction, select):
    approve(5, quality_score=0.9)
    approve(2, quality_score=0.72, human_verified=False, example_type="edge_case")
    with transaction() as session:
        ahead = outlook(preview(session, Rules()))
        nothing = outlook(preview(session, Rules(agents=("nobody",))))
    figures = select().statistics
    assert ahead == (figures.example_count, figures.quality, figures.verified, figures.gates()[:2])
    assert (nothing.example_count, nothing.quality, nothing.verified) == (0, None, None)
    assert {gate.outcome for gate in nothing.gates} == {"not enough data"}


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"since": date(2026, 2, 1), "until": date(2026, 1, 1)}, "the first day lies after the last"),
        ({"train_share": 0.5}, "must add up to 1"),
        ({"minimum_quality": 1.1}, "less than or equal to 1"),
        ({"agent": "typo"}, "Extra inputs"),
    ],
)
def test_rules_that_contradict_are_refused(fields, complaint):
    with pytest.raises(ValidationError, match=complaint):
        Rules(**fields)
