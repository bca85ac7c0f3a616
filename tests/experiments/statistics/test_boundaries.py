"""Second derivations: paths that are drawn, and the multivariate normal distribution of all looks at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from learning_core.experiments.statistics import boundaries

DAILY = np.arange(7, 29) / 28


def test_the_first_look_is_an_ordinary_test_of_what_it_spends() -> None:
    assert boundaries.critical_values([5.0], [0.05]) == pytest.approx([norm.isf(0.025)], rel=1e-10)


def test_three_looks_agree_with_their_joint_distribution() -> None:
    information, spent = np.array([0.3, 0.55, 1.0]), np.array([0.01, 0.03, 0.05])
    critical = boundaries.critical_values(information, spent)
    covariance = np.sqrt(
        np.minimum.outer(information, information) / np.maximum.outer(information, information)
    )
    for looks in (2, 3):
        part = multivariate_normal(np.zeros(looks), covariance[:looks, :looks], seed=1)
        below = part.cdf(critical[:looks])
        assert 1 - below == pytest.approx(spent[looks - 1] / 2, abs=2e-6)


def test_paths_cross_as_often_as_was_permitted() -> None:
    spent = boundaries.pocock(DAILY, 0.05)
    critical = boundaries.critical_values(DAILY, spent)
    steps = np.random.default_rng(3).normal(0, np.sqrt(np.diff(DAILY, prepend=0)), (40_000, len(DAILY)))
    crossed = np.abs(steps.cumsum(axis=1) / np.sqrt(DAILY)) > critical
    by_look = np.maximum.accumulate(crossed, axis=1).mean(axis=0)
    np.testing.assert_allclose(by_look, spent, atol=0.0035)


def test_spending_ends_with_everything_and_starts_with_nothing() -> None:
    for spending in (boundaries.pocock, boundaries.spent_by, boundaries.obrien_fleming):
        spent = spending(np.linspace(0, 1, 30), 0.05)
        assert spent[0] == 0
        assert spent[-1] == pytest.approx(0.05, rel=1e-12)
        assert (np.diff(spent) >= 0).all()
        assert spending(1.7, 0.05) == spending(1.0, 0.05)
    assert boundaries.obrien_fleming(0.25, 0.05) < boundaries.pocock(0.25, 0.05) / 100


def test_looks_that_know_nothing_new_spend_nothing() -> None:
    information = np.array([np.nan, 0.3, 0.3, 0.29, 0.6, 0.6001, 1.0])
    spent = boundaries.pocock([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0], 0.05)
    critical = boundaries.critical_values(information, spent)
    counting = np.array([1, 4, 6])
    assert np.isinf(np.delete(critical, counting)).all()
    np.testing.assert_array_equal(
        critical[counting], boundaries.critical_values(information[counting], spent[counting])
    )


def test_looks_before_anything_may_be_spent_bound_nothing() -> None:
    spent = np.array([0.0, 0.0, 0.02, 0.02, 0.05])
    critical = boundaries.critical_values([1, 2, 3, 4, 5], spent)
    assert np.isinf(critical[[0, 1, 3]]).all()
    np.testing.assert_allclose(critical[[2, 4]], boundaries.critical_values([3, 5], [0.02, 0.05]), rtol=1e-9)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.floats(1.002, 3), min_size=1, max_size=6),
    st.lists(st.floats(0.001, 1), min_size=7, max_size=7),
    st.floats(1e-12, 0.98),
)
def test_there_is_a_boundary_however_looks_fall_and_whatever_is_spent(growth, parts, alpha: float) -> None:
    information = np.cumprod([1.0, *growth])
    spent = alpha * np.cumsum(parts[: len(information)]) / sum(parts)
    critical = boundaries.critical_values(information, spent)
    assert np.isfinite(critical).all()
    crossed = 0.0
    for look in range(len(information)):
        alone = norm.isf((spent[look] - crossed) / 2)
        assert critical[look] <= alone + 1e-9
        crossed = spent[look]


def test_experiments_side_by_side_are_what_they_are_alone() -> None:
    rng = np.random.default_rng(4)
    information = np.cumsum(rng.uniform(0.5, 1.5, (450, 12)), axis=1)
    information[rng.random(information.shape) < 0.1] = np.nan
    spent = boundaries.pocock(np.arange(1, 13) / 12, 0.05)
    together = boundaries.critical_values(information, spent)
    assert together.shape == (450, 12)
    for row in (0, 7, 199, 200, 449):
        np.testing.assert_allclose(
            together[row], boundaries.critical_values(information[row], spent), rtol=1e-8
        )


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-6, 1e6), st.floats(0.002, 0.3))
def test_the_unit_of_information_does_not_matter(unit: float, alpha: float) -> None:
    spent = boundaries.pocock(DAILY[::4], alpha)
    np.testing.assert_allclose(
        boundaries.critical_values(DAILY[::4] * unit, spent),
        boundaries.critical_values(DAILY[::4], spent),
        rtol=1e-8,
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-4, 4), min_size=1, max_size=5), st.sampled_from([0.01, 0.05, 0.1]))
def test_the_sequential_p_value_reaches_alpha_where_the_boundaries_do(zs: list[float], alpha: float) -> None:
    share = np.linspace(0.3, 1, len(zs)) if len(zs) > 1 else np.array([1.0])
    p, lowest = 1.0, 1.0
    for look in range(1, len(zs) + 1):
        p = boundaries.sequential_p(share[:look], share[:look], zs[:look], p)
        assert 0 < p <= lowest
        lowest = p
    critical = boundaries.critical_values(share, boundaries.spent_by(share, alpha))
    margin = np.max(np.abs(zs) - critical)
    if abs(margin) > 1e-6:
        assert (p <= alpha) == (margin >= 0)


def test_one_look_with_everything_to_spend_is_an_ordinary_test() -> None:
    assert boundaries.sequential_p([2.0], [1.0], [2.5]) == pytest.approx(2 * norm.sf(2.5), rel=1e-6)
    assert boundaries.sequential_p([2.0], [1.0], [40.0]) > 0
