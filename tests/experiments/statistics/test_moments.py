"""The same estimates by other ways: user by user, by leaving one out, by ordinary regression."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning_core.experiments.statistics import moments
from learning_core.experiments.statistics.moments import NOTHING, Arm, Difference, Moments

Users = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def draw(seed: int, users: int = 200, effect: float = 0.0) -> Users:
    """Users with 1 to 9 ratings of 1 to 5 stars each, whose history says something of them."""
    rng = np.random.default_rng(seed)
    known = rng.normal(0, 0.6, users)
    n = rng.integers(1, 10, users).astype(float)
    s = n * np.clip(3.8 + effect + known + rng.normal(0, 0.9, users) / np.sqrt(n), 1, 5)
    return n, s, np.where(rng.random(users) < 0.6, known, 0.0)


def of(users: Users) -> Moments:
    return moments.summed(*users)


def jackknife(estimate: Callable[[Users, Users], float], control: Users, treatment: Users) -> float:
    """The standard error of any estimate from two groups of users, each left out once."""
    variance = 0.0
    for left_out, kept in ((0, treatment), (1, control)):
        group = (control, treatment)[left_out]
        values = []
        for i in range(len(group[0])):
            rest = tuple(np.delete(column, i) for column in group)
            values.append(estimate(rest, kept) if left_out == 0 else estimate(kept, rest))
        variance += (len(values) - 1) * np.var(values)
    return float(np.sqrt(variance))


def test_the_variance_is_the_sandwich_of_a_regression_on_the_mean() -> None:
    n, s, _ = draw(1)
    value = s.sum() / n.sum()
    scores = s - value * n
    meat = sum(score**2 for score in scores) * len(n) / (len(n) - 1)
    found = moments.arm(of(draw(1)))
    assert float(found.value) == pytest.approx(value, rel=1e-12)
    assert float(found.variance) == pytest.approx(meat / n.sum() ** 2, rel=1e-10)
    assert (float(found.users), float(found.n)) == (len(n), n.sum())


def test_leaving_one_user_out_gives_nearly_the_same_standard_error() -> None:
    control, treatment = draw(2), draw(3, effect=0.2)

    def difference(c: Users, t: Users) -> float:
        return float(t[1].sum() / t[0].sum() - c[1].sum() / c[0].sum())

    found = moments.difference(moments.arm(of(control)), moments.arm(of(treatment)))
    assert float(found.se) == pytest.approx(jackknife(difference, control, treatment), rel=0.02)


def test_history_is_taken_out_by_ordinary_regression_of_the_users_deviations() -> None:
    groups = draw(4), draw(5, effect=0.3)
    n, s, known = (np.concatenate(columns) for columns in zip(*groups, strict=True))
    c = n * known
    theta, xi = s.sum() / n.sum(), c.sum() / n.sum()
    beta = np.linalg.lstsq((c - xi * n)[:, np.newaxis], s - theta * n, rcond=None)[0][0]
    assert beta > 0.2
    for (n, s, known), found in zip(groups, moments.adjusted(*map(of, groups)), strict=True):
        left = s - beta * (n * known - xi * n)
        plain = moments.arm(moments.summed(n, left))
        assert float(found.value) == pytest.approx(float(plain.value), rel=1e-10)
        assert float(found.variance) == pytest.approx(float(plain.variance), rel=1e-9)


def test_what_history_gains_is_real() -> None:
    control, treatment = draw(6), draw(7, effect=0.2)

    def adjusted(c: Users, t: Users) -> float:
        return float(moments.difference(*moments.adjusted(of(c), of(t))).value)

    found = moments.difference(*moments.adjusted(of(control), of(treatment)))
    raw = moments.difference(moments.arm(of(control)), moments.arm(of(treatment)))
    assert float(found.se) == pytest.approx(jackknife(adjusted, control, treatment), rel=0.03)
    assert found.se < 0.95 * raw.se


def test_a_history_that_says_nothing_changes_nothing() -> None:
    control, treatment = ((n, s, np.zeros_like(n)) for n, s, _ in (draw(8), draw(9)))
    for found, plain in zip(
        moments.adjusted(of(control), of(treatment)),
        map(moments.arm, (of(control), of(treatment))),
        strict=True,
    ):
        np.testing.assert_allclose(np.array(found), np.array(plain), rtol=1e-12)


def test_weighted_users_are_a_weighted_ratio() -> None:
    n, s, _ = draw(10)
    weight = moments.user_weight(n, 0.2)
    found = moments.arm(moments.summed(n, s, weight=weight))
    value = np.average(s / n, weights=weight * n)
    residuals = weight * n * (s / n - value)
    assert float(found.value) == pytest.approx(value, rel=1e-12)
    variance = len(n) / (len(n) - 1) * (residuals**2).sum() / (weight * n).sum() ** 2
    assert float(found.variance) == pytest.approx(variance, rel=1e-10)
    assert float(found.n) == n.sum()


def test_weights_run_from_each_rating_alike_to_each_user_alike() -> None:
    assert moments.user_weight([1, 4, 10], 0).tolist() == [1, 1, 1]
    assert (moments.user_weight([1, 4, 10], 1) * [1, 4, 10]).tolist() == [1, 1, 1]


def test_the_standard_error_is_what_differences_really_scatter_by() -> None:
    rng = np.random.default_rng(11)
    experiments, users = 4000, 60
    n = rng.integers(1, 8, (experiments, 2, users)).astype(float)
    chance = rng.beta(2.8, 1.2, n.shape)
    s = rng.binomial(n.astype(int), chance).astype(float)
    control, treatment = (moments.arm(moments.summed(n[:, arm], s[:, arm])) for arm in (0, 1))
    found = moments.difference(control, treatment)
    assert np.mean(found.se**2) == pytest.approx(np.var(found.value), rel=0.06)
    naive = 0.7 * 0.3 * (1 / control.n + 1 / treatment.n)
    assert np.mean(naive) < 0.6 * np.var(found.value)


def test_phases_are_compared_each_with_itself() -> None:
    phases = [(draw(20, 150), draw(21, 150)), (draw(22, 60), draw(23, 300)), (draw(24, 200), draw(25, 40))]
    controls, treatments = ([moments.arm(of(phase[i])) for phase in phases] for i in (0, 1))
    weights = moments.phase_weights(controls, treatments)
    sizes = np.array([c[0].sum() + t[0].sum() for c, t in phases])
    shares = sizes / sizes.sum()
    value = variance = 0.0
    for share, phase in zip(shares, phases, strict=True):
        for sign, (n, s, _) in zip((-1, 1), phase, strict=True):
            theta = s.sum() / n.sum()
            value += sign * share * theta
            users = len(n)
            variance += share**2 * users / (users - 1) * ((s - theta * n) ** 2).sum() / n.sum() ** 2
    found = moments.stratified(
        [moments.difference(c, t) for c, t in zip(controls, treatments, strict=True)], weights
    )
    assert float(found.value) == pytest.approx(value, rel=1e-10)
    assert float(found.se) == pytest.approx(np.sqrt(variance), rel=1e-10)
    both = moments.combined(controls, weights), moments.combined(treatments, weights)
    assert float(moments.difference(*both).value) == pytest.approx(value, rel=1e-10)
    assert float(moments.difference(*both).se) == pytest.approx(np.sqrt(variance), rel=1e-10)
    assert float(both[0].n) + float(both[1].n) == sizes.sum()


def test_a_phase_that_one_variant_has_not_reached_weighs_nothing() -> None:
    full = moments.arm(of(draw(26))), moments.arm(of(draw(27)))
    empty = moments.arm(of(draw(28))), moments.arm(NOTHING)
    controls, treatments = zip(full, empty, strict=True)
    weights = moments.phase_weights(controls, treatments)
    differences = [moments.difference(*full), moments.difference(*empty)]
    assert float(moments.stratified(differences, weights).value) == float(differences[0].value)
    assert float(moments.combined(controls, weights).users) == 400


def test_nothing_is_known_without_any_phase_of_both() -> None:
    empty = moments.arm(NOTHING)
    weights = moments.phase_weights([empty], [empty])
    assert np.isnan(moments.stratified([moments.difference(empty, empty)], weights).value)
    assert np.isnan(moments.combined([empty], weights).value)


@pytest.mark.parametrize("users", [[], [(3, 2)]])
def test_below_two_users_there_is_no_variance(users: list[tuple[int, int]]) -> None:
    n, s = np.array(users, dtype=float).reshape(-1, 2).T
    assert np.isnan(moments.arm(moments.summed(n, s)).variance)


@pytest.mark.parametrize("rating", [0.0, 1.0, 4.9, 0.1, 1 / 3])
def test_users_all_alike_have_no_spread_and_no_certainty(rating: float) -> None:
    n = np.array([1.0, 3.0, 7.0, 2.0])
    arm = moments.arm(moments.summed(n, n * rating))
    assert float(arm.variance) == 0.0
    found = moments.difference(arm, Arm(arm.value + 1, arm.variance, arm.users, arm.n))
    assert np.isnan(found.z)
    assert np.isnan(found.information)


def test_users_without_observations_do_not_count() -> None:
    some = moments.summed([2, 0, 1], [1.0, 0.0, 1.0])
    np.testing.assert_array_equal(np.array(some), np.array(moments.summed([2, 1], [1.0, 1.0])))


def test_experiments_side_by_side_are_what_they_are_alone() -> None:
    pairs = [(draw(seed), draw(seed + 50, effect=0.1)) for seed in range(30, 36)]
    stacked = [
        moments.summed(*(np.stack([pair[i][column] for pair in pairs]) for column in range(3)))
        for i in (0, 1)
    ]
    together = moments.difference(*moments.adjusted(*stacked))
    bounds = moments.relative(*moments.adjusted(*stacked), 2.8)
    for number, (control, treatment) in enumerate(pairs):
        arms = moments.adjusted(of(control), of(treatment))
        alone = moments.difference(*arms)
        assert float(together.value[number]) == pytest.approx(float(alone.value), rel=1e-9)
        assert float(together.se[number]) == pytest.approx(float(alone.se), rel=1e-9)
        assert [float(bound[number]) for bound in bounds] == pytest.approx(
            [float(bound) for bound in moments.relative(*arms, 2.8)], rel=1e-9
        )


def test_a_baseline_at_zero_has_no_relative_difference() -> None:
    zero, some = Arm(0.0, 0.001, 50, 50), Arm(0.1, 0.001, 50, 50)
    assert np.isnan(moments.to_relative(zero, some).value)
    assert np.isnan(moments.relative(zero, some)).all()
    near_zero = Arm(0.05, 0.001, 50, 50)
    assert np.isnan(moments.relative(near_zero, some)).all()
    assert np.isfinite(moments.to_relative(near_zero, some).value)


def test_ends_of_the_relative_interval_lie_exactly_the_radius_away() -> None:
    control, treatment = Arm(0.4, 0.0009, 90, 90), Arm(0.5, 0.0016, 80, 80)
    for end in moments.relative(control, treatment, 2.5):
        assert abs(float(moments.contrast(control, treatment, end).z)) == pytest.approx(2.5, rel=1e-9)


# ---------------------------------------------------------------- whatever the users did

SEEDS = st.integers(0, 10_000)
FACTORS = st.floats(0.01, 100)


def same(found: Difference, value: float, se: float) -> None:
    assert float(found.value) == pytest.approx(value, rel=1e-7, abs=1e-9 * max(1.0, se))
    assert float(found.se) == pytest.approx(se, rel=1e-6)


def compared(control: Users, treatment: Users) -> Difference:
    return moments.difference(*moments.adjusted(of(control), of(treatment)))


@settings(max_examples=40, deadline=None)
@given(SEEDS, FACTORS)
def test_another_unit_changes_the_unit_alone(seed: int, factor: float) -> None:
    control, treatment = draw(seed, 40), draw(seed + 1, 40)
    before = compared(control, treatment)
    after = compared(*((n, s * factor, known) for n, s, known in (control, treatment)))
    same(after, float(before.value) * factor, float(before.se) * factor)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.floats(-20, 20))
def test_another_zero_changes_no_difference(seed: int, shift: float) -> None:
    control, treatment = draw(seed, 40), draw(seed + 1, 40)
    before = compared(control, treatment)
    after = compared(*((n, s + shift * n, known) for n, s, known in (control, treatment)))
    same(after, float(before.value), float(before.se))


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_arms_change_places_and_the_sign_with_them(seed: int) -> None:
    control, treatment = draw(seed, 40), draw(seed + 1, 50)
    before = compared(control, treatment)
    same(compared(treatment, control), -float(before.value), float(before.se))


@settings(max_examples=40, deadline=None)
@given(SEEDS, FACTORS, st.floats(-5, 5))
def test_history_counts_by_what_it_tells_not_by_its_scale(seed: int, factor: float, shift: float) -> None:
    control, treatment = draw(seed, 40), draw(seed + 1, 40)
    before = compared(control, treatment)
    after = compared(*((n, s, known * factor + shift) for n, s, known in (control, treatment)))
    same(after, float(before.value), float(before.se))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=2, max_size=40))
def test_one_rating_each_gives_the_usual_standard_error(values: list[float]) -> None:
    arm = moments.arm(moments.summed(np.ones(len(values)), values))
    assert float(arm.value) == pytest.approx(np.mean(values), rel=1e-9, abs=1e-9)
    usual = np.var(values, ddof=1) / len(values)
    assert float(arm.variance) == pytest.approx(usual, rel=1e-6, abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.lists(st.booleans(), min_size=40, max_size=40))
def test_sums_of_parts_are_the_sums_of_all(seed: int, first: list[bool]) -> None:
    users = draw(seed, 40)
    chosen = np.array(first)
    parts = [moments.summed(*(column[mask] for column in users)) for mask in (chosen, ~chosen)]
    for one, other, whole in zip(*parts, of(users), strict=True):
        assert float(one + other) == pytest.approx(float(whole), rel=1e-9, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 6), st.randoms(use_true_random=False))
def test_the_order_of_phases_changes_nothing_and_equal_ones_only_the_width(seed, phases, random) -> None:
    one = moments.arm(of(draw(seed, 40))), moments.arm(of(draw(seed + 1, 40)))
    single = moments.difference(*one)
    weights = moments.phase_weights([one[0]] * phases, [one[1]] * phases)
    same(
        moments.stratified([single] * phases, weights),
        float(single.value),
        float(single.se) / np.sqrt(phases),
    )
    others = [
        (moments.arm(of(draw(seed + k, 30))), moments.arm(of(draw(seed + k + 9, 40)))) for k in range(phases)
    ]
    weights = moments.phase_weights(*zip(*others, strict=True))
    rows = list(zip([moments.difference(*pair) for pair in others], weights, strict=True))
    before = moments.stratified(*zip(*rows, strict=True))
    random.shuffle(rows)
    same(moments.stratified(*zip(*rows, strict=True)), float(before.value), float(before.se))
