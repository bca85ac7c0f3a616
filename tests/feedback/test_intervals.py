"""Intervals agree with independent implementations and published tables, and keep their promises."""

import doctest
import math
import statistics
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from learning_core.feedback import intervals
from learning_core.feedback.intervals import LEVELS, SPREAD_PRIOR, difference, mean_of_levels, share

CONFIDENCES = st.sampled_from([0.8, 0.9, 0.95, 0.99])
COUNTS = st.lists(st.integers(0, 400), min_size=5, max_size=5).filter(any)


@st.composite
def shares(draw):
    n = draw(st.integers(1, 5000))
    return share(draw(st.integers(0, n)), n)


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(intervals).failed == 0


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 20), (3, 7), (27, 100), (4999, 5000)])
def test_share_agrees_with_scipy(successes, n, confidence):
    expected = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    estimate = share(successes, n, confidence)
    assert (estimate.value, estimate.n) == (successes / n, n)
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_share_of_nothing_is_not_a_share():
    assert share(0, 0) is None


@pytest.mark.parametrize(("successes", "n"), [(-1, 3), (4, 3), (0, -1)])
def test_share_refuses_impossible_counts(successes, n):
    with pytest.raises(ValueError, match="is no share"):
        share(successes, n)


@pytest.mark.parametrize("confidence", [0, 1, 1.5, -0.2])
def test_a_confidence_lies_between_0_and_1(confidence):
    with pytest.raises(ValueError, match="between 0 and 1"):
        share(1, 2, confidence)


@given(st.integers(0, 400), st.integers(0, 400), CONFIDENCES)
def test_a_share_lies_within_its_interval_and_the_interval_between_0_and_1(successes, others, confidence):
    estimate = share(successes, successes + others, confidence)
    if estimate is not None:
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert estimate.low < estimate.high


@given(st.integers(0, 50), st.integers(0, 50).filter(bool), st.integers(2, 20))
def test_the_same_share_of_more_is_known_better(successes, others, times):
    few, many = share(successes, successes + others), share(successes * times, (successes + others) * times)
    assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize(
    ("confidence", "worst"), [(0.8, 0.0003), (0.9, 0.0005), (0.95, 0.0013), (0.99, 0.008)]
)
def test_the_quantiles_are_students(confidence, worst):
    for degrees in (*range(1, 40), 100, 1000, 100_000):
        exact = stats.t.ppf((1 + confidence) / 2, degrees)
        assert intervals.student_quantile(confidence, degrees) == pytest.approx(exact, rel=worst)


@pytest.mark.parametrize(
    "counts", [[3, 2, 4, 9, 12], [0, 0, 1, 7, 25], [1, 0, 0, 0, 1], [40, 31, 52, 130, 310]]
)
def test_the_interval_of_a_mean_is_students_with_one_rating_more_in_the_spread(counts):
    n, weights = sum(counts), np.array(counts) + SPREAD_PRIOR
    mean = np.average(LEVELS, weights=counts)
    error = np.sqrt(np.cov(LEVELS, aweights=weights / weights.sum(), ddof=0) * (n + 1) / n / n)
    low, high = stats.t.interval(0.95, n - 1, loc=mean, scale=error)
    estimate = mean_of_levels(counts)
    assert (estimate.value, estimate.n) == (pytest.approx(mean), n)
    assert (estimate.low, estimate.high) == pytest.approx((max(low, 1), min(high, 5)), rel=1e-3)


def test_with_many_ratings_the_extra_rating_does_not_matter():
    counts = [40, 31, 52, 130, 310]
    ratings = np.repeat(LEVELS, counts)
    expected = stats.t.interval(0.95, len(ratings) - 1, loc=ratings.mean(), scale=stats.sem(ratings))
    estimate = mean_of_levels(counts)
    assert (estimate.low, estimate.high) == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("chances", [[0.05, 0.05, 0.1, 0.3, 0.5], [0.02, 0.02, 0.05, 0.2, 0.71], [0.2] * 5])
@pytest.mark.parametrize("n", [2, 5, 20, 100])
def test_intervals_hold_the_true_mean_about_as_often_as_they_say(chances, n):
    samples = np.random.default_rng(20).multinomial(n, chances, size=1500)
    truth = np.dot(chances, LEVELS)
    estimates = [mean_of_levels([int(count) for count in counts]) for counts in samples]
    held = np.mean([estimate.low <= truth <= estimate.high for estimate in estimates])
    assert held >= 0.93


def test_equal_ratings_still_leave_doubt():
    few, many = mean_of_levels([0, 0, 0, 0, 3]), mean_of_levels([0, 0, 0, 0, 300])
    assert few.value == many.value == few.high == many.high == 5
    assert few.low < 4 < 4.9 < many.low < 5


def test_one_rating_says_nothing_about_the_mean():
    assert mean_of_levels([0, 0, 0, 1, 0]) == (4, 1, 5, 1)


def test_no_ratings_have_no_mean():
    assert mean_of_levels([0] * 5) is None


@pytest.mark.parametrize("counts", [[], [1, 2, 3, 4], [0, 0, -1, 0, 2], [1] * 6])
def test_a_mean_needs_five_counts(counts):
    with pytest.raises(ValueError, match="five counts"):
        mean_of_levels(counts)


@given(COUNTS, CONFIDENCES)
def test_a_mean_lies_within_its_interval_and_the_interval_on_the_scale(counts, confidence):
    estimate = mean_of_levels(counts, confidence)
    assert 1 <= estimate.low <= estimate.value <= estimate.high <= 5
    assert estimate.low < estimate.high


@given(COUNTS)
def test_the_more_ratings_of_the_same_mix_the_narrower(counts):
    widths = [
        estimate.high - estimate.low
        for estimate in (mean_of_levels([count * times for count in counts]) for times in (1, 2, 8, 50))
    ]
    assert all(narrow <= wide for wide, narrow in pairwise(widths))


@pytest.mark.parametrize(
    ("after", "before", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_differences_are_those_newcombe_published(after, before, low, high):
    """Newcombe (1998), table II, method 10, examples (a) to (h)."""
    change = difference(share(*after), share(*before))
    assert (round(change.low, 4), round(change.high, 4)) == (low, high)
    assert change.n == after[1] + before[1]


def test_a_change_of_means_is_close_to_welchs_interval():
    before, after = [60, 45, 90, 200, 180], [20, 25, 60, 210, 310]
    ratings = [np.repeat(LEVELS, counts) for counts in (after, before)]
    expected = stats.ttest_ind(*ratings, equal_var=False).confidence_interval()
    change = difference(mean_of_levels(after), mean_of_levels(before))
    assert (change.low, change.high) == pytest.approx((expected.low, expected.high), abs=0.003)


@given(shares(), shares())
def test_a_change_mirrors_when_its_sides_are_swapped(one, other):
    there, back = difference(one, other), difference(other, one)
    assert -1 <= there.low <= there.value <= there.high <= 1
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


# ---------------------------------------------------------------- means of scores


@pytest.mark.parametrize("scores", [[0.5, 0.75], [1.0] * 30, [0.0, 0.25, 0.5, 0.75, 1.0] * 40])
def test_a_mean_of_scores_is_the_students_interval_with_one_uniform_score_more(scores):
    n, mean = len(scores), statistics.fmean(scores)
    estimate = intervals.mean_of_scores(n, sum(scores), sum(score * score for score in scores))
    spread = math.sqrt((sum((score - mean) ** 2 for score in scores) + 1 / 12) / n)
    half = stats.t.ppf(0.975, n - 1) * spread / math.sqrt(n)
    assert estimate.value == pytest.approx(mean)
    assert estimate.low == pytest.approx(max(mean - half, 0), rel=2e-3)
    assert estimate.high == pytest.approx(min(mean + half, 1), rel=2e-3)


def test_one_score_says_nothing_about_the_spread_and_none_says_nothing():
    assert intervals.mean_of_scores(1, 0.5, 0.25) == (0.5, 0.0, 1.0, 1)
    assert intervals.mean_of_scores(0, 0, 0) is None
