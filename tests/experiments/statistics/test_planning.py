"""Planning agrees with closed forms, R and other packages, and with sums done the long way."""

import doctest
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_core.errors import InvalidInput, NotEnoughData
from learning_core.experiments.statistics import planning
from learning_core.experiments.statistics.planning import (
    design_effect,
    raters,
    sample_size,
    sample_size_arcsine,
    sample_size_pooled,
    sample_size_student,
)

COUNTS = st.lists(st.integers(1, 12), min_size=2, max_size=8)


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(planning).failed == 0


# Computed three times: the closed form, R 4.2.2 (power.prop.test, power.t.test, uniroot) and
# statsmodels 0.15.0 (NormalIndPower, TTestIndPower).


def test_the_sample_sizes_of_a_share_agree_with_r_and_statsmodels():
    size = sample_size(0.70, 0.05)
    assert (size.control, size.treatment) == pytest.approx((1247.9718777615033,) * 2, rel=1e-9)
    assert sample_size_pooled(0.70, 0.05) == pytest.approx(1250.7167334356122, rel=1e-9)
    assert sample_size_arcsine(0.70, 0.05) == pytest.approx(1249.5869254716545, rel=1e-9)


def test_the_sample_sizes_of_a_mean_agree_with_r_and_statsmodels():
    assert sample_size(4.0, 0.15, sd=1.1).treatment == pytest.approx(844.1906203166578, rel=1e-9)
    assert sample_size_student(0.15, 1.1) == pytest.approx(845.1520567793217, rel=1e-9)


def test_a_small_canary_asks_little_of_the_treatment_and_much_of_the_control():
    size = sample_size(0.70, 0.05, treatment_share=0.05)
    assert size.treatment == pytest.approx(623.3662904806714, rel=1e-9)
    assert size.control == pytest.approx(19 * size.treatment)
    assert size.both > 4 * sample_size(0.70, 0.05).both


@pytest.mark.parametrize(("spread", "expected"), [(0.0, 1.8), (1.2, 3.24)])
def test_users_who_rate_more_than_once_cost_ratings(spread, expected):
    assert design_effect(5, spread, 0.2) == pytest.approx(expected, rel=1e-12)


@given(
    st.lists(st.integers(1, 9), min_size=3, max_size=9).filter(lambda counts: sum(counts) > len(counts)),
    st.floats(0, 0.9),
)
def test_the_design_effect_is_what_clustering_does_to_the_variance_of_a_mean(counts, icc):
    n = np.array(counts, float)
    variance = (n * (1 + (n - 1) * icc)).sum() / n.sum() ** 2  # of a mean of ratings with variance 1
    assert design_effect(n.mean(), n.std() / n.mean(), icc) == pytest.approx(variance * n.sum())


@pytest.mark.parametrize("treatment_share", [0.5, 0.2, 0.05])
def test_a_sample_of_that_size_has_the_power_asked_for(treatment_share):
    size = sample_size(0.70, 0.05, treatment_share=treatment_share, power=0.8)
    rng = np.random.default_rng(4)
    treated = rng.binomial(round(size.treatment), 0.75, 20_000) / round(size.treatment)
    control = rng.binomial(round(size.control), 0.70, 20_000) / round(size.control)
    error = np.sqrt(treated * (1 - treated) / size.treatment + control * (1 - control) / size.control)
    assert (np.abs(treated - control) > 1.959964 * error).mean() == pytest.approx(0.8, abs=0.012)


@pytest.mark.parametrize(
    ("base", "effect", "sd"), [(0.98, 0.05, None), (0.0, 0.1, None), (0.7, 0.0, None), (4.0, 0.1, 0.0)]
)
def test_what_cannot_be_is_refused(base, effect, sd):
    with pytest.raises(InvalidInput):
        sample_size(base, effect, sd)


# ---------------------------------------------------------------- likeness of one user's ratings


def test_the_likeness_of_thumbs_agrees_with_the_analysis_of_variance_in_r():
    # Two variants of 30 and 32 users, ratings and thumbs up of each; expected from R's anova(lm(...)).
    assert raters(*zip(*CONTROL, strict=True)).icc == pytest.approx(0.2903942284604972, rel=1e-9)
    assert raters(*zip(*TREATMENT, strict=True)).icc == pytest.approx(0.26019749268307263, rel=1e-9)


@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=6), min_size=2, max_size=8))
def test_the_likeness_of_stars_agrees_with_sums_over_all_pairs(users):
    flat = [star for stars in users for star in stars]
    if len(flat) == len(users) or len(set(flat)) == 1:
        return
    expected = anova_by_pairs(users)
    if expected is None:
        return
    found = raters(map(len, users), map(sum, users), [sum(star**2 for star in stars) for stars in users])
    assert found.icc == pytest.approx(float(expected), abs=1e-9)
    assert (found.mean, found.sd) == pytest.approx((np.mean(flat), np.std(flat, ddof=1)))
    assert found.ratings_per_rater == pytest.approx(len(flat) / len(users))


def anova_by_pairs(users):
    """The same estimator, in exact fractions: a sum of squares is the sum over pairs of squared differences,
    divided by the number of values; within users, and over all ratings.
    """

    def squares(stars):
        return Fraction(sum((one - other) ** 2 for one in stars for other in stars), 2 * len(stars))

    flat = [star for stars in users for star in stars]
    groups, total = len(users), len(flat)
    inside = sum(squares(stars) for stars in users)
    within = inside / (total - groups)
    between = (squares(flat) - inside) / (groups - 1)
    usual = (total - Fraction(sum(len(stars) ** 2 for stars in users), total)) / (groups - 1)
    bottom = between + (usual - 1) * within
    return (between - within) / bottom if bottom > 0 else None


def test_the_likeness_that_ratings_were_drawn_with_is_found():
    rng = np.random.default_rng(8)
    n = rng.poisson(6, 20_000)
    s = rng.binomial(n, rng.beta(0.7 * 4, 0.3 * 4, 20_000))
    found = raters(n, s)
    assert found.icc == pytest.approx(0.2, abs=0.01)
    assert found.mean == pytest.approx(0.7, abs=0.01)
    assert found.raters == (n > 0).sum()


def test_users_without_ratings_change_nothing():
    assert raters([3, 0, 2, 0], [3, 0, 1, 0]) == raters([3, 2], [3, 1])


@pytest.mark.parametrize(("n", "s"), [([4], [2]), ([1, 1, 1], [1, 0, 1]), ([2, 3], [2, 3]), ([0, 0], [0, 0])])
def test_without_repeats_or_differences_no_likeness_is_claimed(n, s):
    with pytest.raises(NotEnoughData):
        raters(n, s)


CONTROL = [
    (5, 5),
    (6, 0),
    (1, 0),
    (27, 19),
    (7, 5),
    (5, 3),
    (2, 0),
    (34, 29),
    (8, 7),
    (1, 1),
    (4, 4),
    (13, 12),
    (1, 1),
    (2, 2),
    (12, 11),
    (11, 9),
    (16, 13),
    (2, 2),
    (2, 2),
    (1, 1),
    (6, 6),
    (7, 3),
    (1, 1),
    (21, 20),
    (5, 0),
    (2, 1),
    (12, 6),
    (1, 0),
    (5, 1),
    (1, 1),
]
TREATMENT = [
    (3, 3),
    (1, 0),
    (9, 9),
    (2, 1),
    (17, 17),
    (23, 23),
    (4, 4),
    (2, 2),
    (2, 2),
    (2, 2),
    (2, 2),
    (2, 2),
    (9, 8),
    (9, 8),
    (10, 6),
    (1, 0),
    (3, 3),
    (9, 8),
    (9, 8),
    (17, 13),
    (5, 5),
    (10, 8),
    (6, 6),
    (3, 2),
    (3, 1),
    (1, 1),
    (5, 5),
    (2, 2),
    (46, 44),
    (9, 5),
    (3, 0),
    (4, 4),
]
