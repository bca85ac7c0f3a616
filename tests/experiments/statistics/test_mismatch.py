from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_core.experiments.statistics import mismatch


def urn(arrivals: list[int], shares: list[float], concentration: float) -> float:
    """The same Bayes factor, user by user: Polya's urn against the shares."""
    balls = [concentration * share for share in shares]
    factor = 0.0
    for variant in arrivals:
        factor += log(balls[variant] / sum(balls)) - log(shares[variant])
        balls[variant] += 1
    return factor


@given(st.lists(st.integers(0, 2), max_size=60), st.randoms(use_true_random=False))
def test_the_factor_is_that_of_an_urn_whatever_the_order(arrivals, random) -> None:
    shares = [0.2, 0.3, 0.5]
    counts = [arrivals.count(variant) for variant in range(3)]
    random.shuffle(arrivals)
    found = float(mismatch.log_bayes_factor(counts, shares, 30))
    assert found == pytest.approx(urn(arrivals, shares, 30), abs=1e-9)


def test_users_as_planned_raise_no_alarm_day_after_day() -> None:
    rng = np.random.default_rng(1)
    days = rng.multinomial(120, [0.5, 0.5], (2000, 28)).cumsum(axis=1)
    p = mismatch.sequential_p(mismatch.log_bayes_factor(days, [0.5, 0.5]))
    assert (p < mismatch.WARNING).any(axis=1).mean() <= 0.01


def test_users_off_by_a_tenth_are_found_within_four_weeks() -> None:
    rng = np.random.default_rng(2)
    days = rng.multinomial(120, [0.55, 0.45], (500, 28)).cumsum(axis=1)
    p = mismatch.sequential_p(mismatch.log_bayes_factor(days, [0.5, 0.5]))
    assert (p < mismatch.WARNING).any(axis=1).mean() > 0.97


def test_phases_are_tested_each_by_itself() -> None:
    phases = [([950, 50], 0.6), ([400, 620], -0.1)]
    together = sum(float(mismatch.log_bayes_factor(counts, [0.5, 0.5])) for counts, _ in phases)
    assert together > float(mismatch.log_bayes_factor([1350, 670], [0.5, 0.5]))
    balanced = [[900, 900], [60, 61]]
    statistic, p = mismatch.chi_square(balanced, [0.5, 0.5])
    assert float(statistic) == pytest.approx(1 / 121)
    assert float(p) == pytest.approx(exp(-1 / 242), rel=1e-12)


def test_shares_need_not_add_up_to_one() -> None:
    assert float(mismatch.log_bayes_factor([30, 10], [3, 1])) == float(
        mismatch.log_bayes_factor([30, 10], [0.75, 0.25])
    )


def test_nobody_is_no_mismatch() -> None:
    assert float(mismatch.sequential_p(mismatch.log_bayes_factor([0, 0], [0.5, 0.5]))) == 1.0
    statistic, p = mismatch.chi_square([[0, 0]], [0.5, 0.5])
    assert (float(statistic), np.isnan(p)) == (0.0, True)
    assert np.isnan(mismatch.chi_square([], [0.5, 0.5])[1])
