"""Means, differences and quantiles are what textbooks and independent implementations say."""

import doctest
from decimal import Decimal
from math import sqrt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning_core.evaluation import metrics, scoring
from learning_core.evaluation.metrics import compare, mean, quantile, regressions, summarize
from learning_core.evaluation.scoring import Trial

VALUES = st.floats(0, 1)
SCORES = st.dictionaries(st.sampled_from("abcdefgh"), VALUES)


def trial(value, output="answer", error=None, latency_ms=100.0, cost="0.01"):
    return Trial(value, {}, None if error else output, error, latency_ms, Decimal(cost), 10, 2, ())


def wilson(successes, n):
    z = NormalDist().inv_cdf(0.975)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return middle - half, middle + half


@pytest.mark.parametrize(("right", "n"), [(9, 10), (1, 3), (30, 60), (199, 200)])
def test_the_mean_of_right_and_wrong_has_wilsons_interval(right, n):
    value, low, high, count = mean([1.0] * right + [0.0] * (n - right))
    assert (value, count) == (right / n, n)
    assert (low, high) == pytest.approx(wilson(right, n))


def test_the_mean_of_partly_right_answers_has_students_interval():
    value, low, high, n = mean([0.0, 0.5, 1.0, 0.5] * 4)
    assert (value, n) == (0.5, 16)
    spread = sqrt((2 + 1 / 12) / 16)  # squares about the mean, and one observation more of variance 1/12
    assert high - value == pytest.approx(2.1314 * spread / 4, rel=0.01)  # t of fifteen degrees of freedom
    assert low == pytest.approx(1 - high)


def test_without_answers_there_is_no_mean():
    assert mean([]) is None
    assert compare({}, {"a": 1.0}).difference is None
    assert quantile([], 0.5) is None


def test_two_prompts_are_compared_on_the_examples_they_share():
    before = {"a": 1.0, "b": 0.0, "c": 0.5, "d": 1.0, "only before": 1.0}
    after = {"a": 0.0, "b": 1.0, "c": 0.52, "d": 0.4, "only after": 0.0}
    found = compare(before, after)
    assert found.difference.value == pytest.approx((-1 + 1 + 0.02 - 0.6) / 4)
    assert found.difference.n == 4
    assert [change.example_id for change in found.wins] == ["b"]
    assert [change.example_id for change in found.losses] == ["a", "d"]
    assert [change.example_id for change in found.ties] == ["c"]


def test_a_difference_of_just_what_counts_is_no_tie():
    found = compare({"a": 0.1, "b": 0.15}, {"a": 0.15, "b": 0.1})  # 0.15 - 0.1 is a hair below 0.05
    assert (len(found.wins), len(found.losses), found.ties) == (1, 1, [])


def test_a_regression_is_what_was_right_and_is_lost():
    before = {"a": 1.0, "b": 0.4, "c": 0.6, "d": 1.0}
    after = {"a": 0.8, "b": 0.0, "c": 0.0, "d": 0.96}
    assert [change.example_id for change in regressions(before, after)] == ["c", "a"]
    assert [change.example_id for change in regressions(before, after, right=1.0)] == ["a"]


def test_the_interval_of_a_difference_is_that_of_students_t():
    differences = [0.5, -0.25, 0.0, 0.25, 0.5, -0.5]
    before = {str(at): 0.5 for at in range(6)}
    after = {str(at): 0.5 + difference for at, difference in enumerate(differences)}
    found = compare(before, after).difference
    squares = sum((one - np.mean(differences)) ** 2 for one in differences)
    half = 2.5706 * sqrt((squares + 1 / 3) / 6) / sqrt(6)  # one more of variance 1/3; t of five degrees
    assert found.high - found.value == pytest.approx(half, rel=0.01)


def test_a_failed_call_is_wrong_and_has_no_time():
    found = summarize([trial(1.0, "four", latency_ms=100.0), trial(0.0, error="gone", latency_ms=9_000.0)])
    assert (found.mean.value, found.mean.n, found.error_count) == (0.5, 2, 1)
    assert (found.latency_median_ms, found.latency_p95_ms, found.length_median) == (100.0, 100.0, 4.0)
    assert found.cost_usd == Decimal("0.01")
    assert found.told()["n"] == 2


def test_of_no_answers_nothing_is_told():
    assert summarize([]).told() == {
        "mean": None,
        "low": None,
        "high": None,
        "n": 0,
        "error_count": 0,
        "cost_usd": None,
        "latency_median_ms": None,
        "latency_p95_ms": None,
        "length_median": None,
    }


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), VALUES)
def test_a_quantile_is_numpys(values, share):
    assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)), abs=1e-6)


@given(SCORES, SCORES)
def test_a_comparison_turned_round_is_its_mirror(before, after):
    one, other = compare(before, after), compare(after, before)
    assert len(one.wins) == len(other.losses)
    assert len(one.losses) == len(other.wins)
    assert len(one.wins) + len(one.losses) + len(one.ties) == len(before.keys() & after.keys())
    if one.difference:
        assert one.difference.value == pytest.approx(-other.difference.value)
        assert -1 <= one.difference.low <= one.difference.value <= one.difference.high <= 1


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_the_interval_of_a_mean_holds_its_mean(seed):
    rng = np.random.default_rng(seed)
    value, low, high, _ = mean(rng.random(30).tolist())
    assert 0 <= low <= value <= high <= 1


@pytest.mark.parametrize("module", [metrics, scoring])
def test_the_examples_in_the_docstrings_run(module):
    assert doctest.testmod(module).failed == 0
