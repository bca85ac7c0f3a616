"""Verdicts agree with published figures and a second derivation, and claim no gain where there is none."""

import doctest
from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from learning_core.errors import NotEnoughData
from learning_core.prompts import verdict
from learning_core.prompts.verdict import Kind, compare, interval, needed, of_counts, promise, provable

Z = stats.norm.ppf(0.975)
GRADES = st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.75, 0.9, 1.0])


@st.composite
def pairs(draw, most=120):
    n = draw(st.integers(1, most))
    wins = draw(st.integers(0, n))
    return wins, draw(st.integers(0, n - wins)), n


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(verdict).failed == 0


# ---------------------------------------------------------------- intervals of counts


def test_uncorrected_intervals_are_those_that_tango_published():
    # Tango (1998), section 6.2: sleeping difficulties, 32 pairs; section 6.1: contact lenses, 44 pairs, 90 %.
    assert of_counts(9, 3, 32, correction=0) == pytest.approx((-0.027, 0.390), abs=5e-4)
    assert of_counts(0, 1, 44, 0.9, correction=0)[0] == pytest.approx(-0.096, abs=5e-4)


def test_uncorrected_intervals_are_those_of_the_r_package_propcis():
    # PropCIs::scoreci.mp(25, 28, 618, conf.level = 0.90)
    assert of_counts(28, 25, 618, 0.9, correction=0) == pytest.approx((-0.0148, 0.0247), abs=5e-5)


def likeliest_loss(wins, losses, n, difference):
    """The chance of a loss that maximises the trinomial likelihood, found by search instead of algebra."""
    ties = n - wins - losses

    def against(q):
        cells = ((wins, q + difference), (losses, q), (ties, 1 - 2 * q - difference))
        return -sum(count * log(max(chance, 1e-300)) for count, chance in cells if count)

    bounds = max(0.0, -difference), (1 - difference) / 2
    return optimize.minimize_scalar(against, bounds=bounds, method="bounded", options={"xatol": 1e-13}).x


def lowest_by_search(wins, losses, n, correction):
    def beyond(difference):
        q = likeliest_loss(wins, losses, n, difference)
        variance = n * max(2 * q + difference - difference**2, 0)
        return wins - losses - n * difference - correction - Z * sqrt(variance)

    if beyond(-1 + 1e-9) < 0:
        return -1.0
    return optimize.brentq(beyond, -1 + 1e-9, (wins - losses) / n - 1e-12, xtol=1e-12)


@pytest.mark.parametrize("correction", [0.0, 1.0])
@pytest.mark.parametrize(
    ("wins", "losses", "n"), [(9, 3, 32), (7, 1, 20), (14, 2, 60), (3, 3, 10), (30, 25, 100), (40, 2, 200)]
)
def test_intervals_are_those_of_a_score_test_inverted_by_search(wins, losses, n, correction):
    low, high = of_counts(wins, losses, n, correction=correction)
    assert low == pytest.approx(lowest_by_search(wins, losses, n, correction), abs=1e-6)
    assert high == pytest.approx(-lowest_by_search(losses, wins, n, correction), abs=1e-6)


@settings(deadline=None)
@given(pairs())
def test_an_interval_holds_the_gain_and_mirrors_where_the_prompts_change_places(counts):
    wins, losses, n = counts
    low, high = of_counts(wins, losses, n)
    assert -1 <= low <= (wins - losses) / n <= high <= 1
    assert low < high
    mirrored = of_counts(losses, wins, n)
    assert (-mirrored[1], -mirrored[0]) == pytest.approx((low, high), abs=1e-12)


@settings(deadline=None)
@given(pairs())
def test_zero_is_excluded_where_the_corrected_test_of_mcnemar_rejects(counts):
    wins, losses, n = counts
    rejects = wins - losses - 1 > Z * sqrt(wins + losses)
    assert (of_counts(wins, losses, n)[0] > 0) == rejects


@settings(deadline=None)
@given(pairs())
def test_the_correction_only_widens(counts):
    (low, high), (low_without, high_without) = of_counts(*counts), of_counts(*counts, correction=0)
    assert low <= low_without + 1e-12
    assert high >= high_without - 1e-12


@pytest.mark.parametrize("counts", [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match="are no pairs"):
        of_counts(*counts)


def chances(n, of_win, of_loss):
    wins, losses = np.indices((n + 1, n + 1))
    possible = wins + losses <= n
    found = np.zeros((n + 1, n + 1))
    cells = np.stack([wins, losses, n - wins - losses], axis=-1)[possible]
    found[possible] = stats.multinomial.pmf(cells, n, [of_win, of_loss, 1 - of_win - of_loss])
    return found


def ends(n):
    found = np.zeros((2, n + 1, n + 1))
    for wins in range(n + 1):
        for losses in range(n + 1 - wins):
            found[:, wins, losses] = of_counts(wins, losses, n)
    return found


@pytest.mark.parametrize("n", [10, 20, 40])
def test_the_exact_chance_of_a_false_claim_is_small_and_of_holding_the_truth_large(n):
    low, high = ends(n)
    for changed in (0.05, 0.1, 0.2, 0.3, 0.5):
        equal = chances(n, changed / 2, changed / 2)
        assert equal[low > 0].sum() <= 0.02
        assert equal[(low > 0) | (high < 0)].sum() <= 0.035
        for share in (0.6, 0.8, 0.95):
            truth = changed * (2 * share - 1)
            unequal = chances(n, changed * share, changed * (1 - share))
            assert unequal[(low <= truth) & (high >= truth)].sum() >= 0.96


# ---------------------------------------------------------------- graded scores


def test_a_graded_interval_is_students_with_one_more_difference_as_far_out_as_can_be():
    differences = np.array([0.5, 0.25, -0.25, 0.0, 0.1, 0.75, 0.0, 0.3])
    n, mean = len(differences), differences.mean()
    spread = sqrt((((differences - mean) ** 2).sum() + 1) / n / n)
    expected = stats.t.interval(0.95, n - 1, loc=mean, scale=spread)
    assert interval(list(differences)) == pytest.approx(expected, abs=1e-9)


def test_one_graded_example_tells_nothing():
    assert interval([0.3]) == (-1, 1)


@settings(deadline=None)
@given(st.lists(st.tuples(GRADES, GRADES), min_size=1, max_size=50))
def test_a_graded_verdict_holds_its_gain_and_mirrors(scores):
    before, after = zip(*scores, strict=True)
    found, mirrored = compare(before, after), compare(after, before)
    assert -1 <= found.low <= found.gain + 1e-12
    assert found.gain - 1e-12 <= found.high <= 1
    assert (mirrored.wins, mirrored.losses) == (found.losses, found.wins)
    assert (-mirrored.high, -mirrored.low) == pytest.approx((found.low, found.high), abs=1e-9)


def test_small_gains_that_hide_rare_failures_are_seldom_called_better():
    rng = np.random.default_rng(4)
    for n in (10, 20, 30, 60):
        chance = rng.random((300, n))
        failures = -rng.choice([0.5, 1.0], size=chance.shape)
        differences = np.where(chance < 0.075, failures, np.where(chance < 0.6375, 0.1, 0.0))  # a mean of 0
        assert sum(interval(list(each))[0] > 0 for each in differences) / 300 <= 0.06


# ---------------------------------------------------------------- verdicts


@settings(deadline=None)
@given(st.lists(st.tuples(GRADES, GRADES), min_size=1, max_size=50))
def test_the_verdict_says_what_its_interval_says(scores):
    before, after = zip(*scores, strict=True)
    found = compare(before, after)
    assert (found.kind is Kind.IMPROVED) == (found.low > 0)
    assert (found.kind is Kind.WORSE) == (found.high < 0)
    assert found.wins + found.losses + found.ties == found.n == len(scores)


def test_words_say_the_gain_how_sure_it_is_and_on_what():
    better = compare([0.0] * 40 + [1.0] * 20, [1.0] * 40 + [1.0] * 20)
    assert (
        better.words
        == "Improved by 67 points (95 % sure it is between 52 and 79), on 60 examples the run never saw."
    )
    worse = compare([1.0] * 60, [0.0] * 40 + [1.0] * 20)
    assert (
        worse.words
        == "Worse by 67 points (95 % sure it is between 52 and 79), on 60 examples the run never saw."
    )
    unclear = compare([0.0, 1.0] * 50, [1.0, 1.0] + [0.0, 1.0] * 49)
    assert unclear.words == (
        "No evidence of a difference: 1 point measured (95 % sure it is between -4 and 7), "
        "on 100 examples the run never saw."
    )


def test_an_interval_above_zero_is_not_rounded_down_to_it():
    assert verdict._points(0.004) == "0.4"
    assert verdict._points(-0.004) == "-0.4"
    assert verdict._points(0.0) == "0"


def test_a_clear_loss_is_counted_and_a_hair_is_a_tie():
    found = compare([0.5, 0.5, 0.5, 0.5], [0.55, 0.45, 0.52, 0.48])
    assert (found.wins, found.losses, found.ties) == (1, 1, 2)


def test_what_is_told_can_be_kept_as_json():
    told = compare([0, 1, 1], [1, 1, 1]).told()
    assert set(told) == {"kind", "gain", "low", "high", "n", "wins", "losses", "ties", "words"}
    assert (told["kind"], told["n"], told["wins"]) == ("no_evidence", 3, 1)


def test_without_examples_there_is_no_verdict():
    with pytest.raises(NotEnoughData):
        compare([], [])


def test_scores_of_different_examples_are_refused():
    with pytest.raises(ValueError, match="zip"):
        compare([1, 0], [1])


def test_over_a_hundred_runs_where_nothing_is_better_hardly_one_is_called_better():
    rng = np.random.default_rng(12)
    claimed = improved = 0
    errors = []
    for _ in range(100):
        chosen, sealed = (rng.random((2, 10, 60)) < 0.7).astype(float)
        best = int(chosen.mean(axis=1).argmax())
        claimed += best != 0
        found = compare(sealed[0], sealed[best])
        improved += found.kind is Kind.IMPROVED
        errors.append(found.gain)
    assert claimed > 60  # what taking the best for better would have claimed
    assert improved <= 5
    assert abs(np.mean(errors)) < 0.02


# ---------------------------------------------------------------- power


@pytest.mark.parametrize("gain", [0.1, 0.2, 0.3, 0.4])
def test_as_many_examples_as_are_needed_prove_a_gain_four_times_in_five(gain):
    n = needed(gain)
    wins, losses = np.indices((n + 1, n + 1))
    proven = wins - losses - 1 > Z * np.sqrt(wins + losses)
    assert chances(n, gain + 0.05, 0.05)[proven].sum() == pytest.approx(0.8, abs=0.08)


@settings(deadline=None)
@given(st.integers(1, 99))
def test_a_smaller_gain_needs_more_examples(points):
    assert needed(points / 100) >= needed((points + 1) / 100)


@settings(deadline=None)
@given(st.integers(1, 400))
def test_what_is_provable_needs_no_more_than_there_is(n):
    gain = provable(n)
    assert gain is None or needed(gain) <= n


def test_a_gain_is_a_share():
    with pytest.raises(ValueError, match="between 0 and 1"):
        needed(0)


def test_a_promise_says_when_nothing_can_be_proven():
    assert promise(1) == "With 1 unseen example, no gain can be proven."
    assert promise(20).startswith(
        "With 20 unseen examples, a gain of 51 points or more would probably be proven"
    )
