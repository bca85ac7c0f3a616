"""Power agrees with multivariate normal probabilities, with closed forms and with known inflation factors."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from learning_core.errors import InvalidInput
from learning_core.experiments.statistics import power
from learning_core.experiments.statistics.planning import sample_size
from learning_core.experiments.statistics.power import Plan, Traffic, crossing, decided, mean_day
from learning_core.experiments.terms import Method

ONE_RATING_EACH = Traffic(140, 140, 1, 0, 0)
CLUSTERED = Traffic(600, 85, 7, 1.2, 0.2)
FIXED = (stats.norm.isf(0.025) + stats.norm.isf(0.2)) ** 2
"""Information at which one look sees an effect of 1 with a power of 0.8."""


@pytest.mark.parametrize("effect", [0.0, 1.0, -0.7])
def test_crossing_agrees_with_the_multivariate_normal_distribution(effect):
    information, critical = np.array([1.0, 2.5, 3.0, 7.0]), np.array([2.4, 2.1, 2.6, 1.9])
    covariance = np.sqrt(
        np.minimum.outer(information, information) / np.maximum.outer(information, information)
    )
    for looks in (1, 2, 3, 4):
        z = stats.multivariate_normal(
            effect * np.sqrt(information[:looks]),
            covariance[:looks, :looks],
            abseps=1e-7,
            releps=1e-7,
            seed=1,
        )
        stays = z.cdf(critical[:looks], lower_limit=-critical[:looks])
        assert crossing(information, critical, effect)[looks - 1] == pytest.approx(1 - stays, abs=2e-5)


def test_a_look_that_may_not_decide_changes_nothing():
    some = crossing(np.array([1.0, 2.0, 3.0]), np.array([2.5, np.inf, 2.5]), 1.0)
    assert some[1] == some[0]
    assert some[2] == pytest.approx(crossing(np.array([1.0, 3.0]), np.array([2.5, 2.5]), 1.0)[1], abs=1e-9)


def by_day(method, last, times_fixed, effect=1.0):
    information = np.arange(1.0, last + 1) / last * FIXED * times_fixed
    return decided(information, 7, effect, method)


@pytest.mark.parametrize(
    ("method", "last", "largest", "expected"),
    [  # found by simulating Brownian motions with daily looks from day 7 on
        (Method.ALWAYS_VALID, 28, 1.68, 1.02),
        (Method.ALWAYS_VALID, 56, 1.75, None),
        (Method.PLANNED_END, 28, 1.22, 0.76),
        (Method.PLANNED_END, 56, 1.23, None),
    ],
)
def test_looking_every_day_costs_as_much_as_it_is_known_to(method, last, largest, expected):
    likely = by_day(method, last, largest)
    assert likely[-1] == pytest.approx(0.8, abs=0.004)
    assert not likely[:6].any()
    if expected is not None:
        assert mean_day(likely) / last * largest == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("last", "expected"), [(28, 0.019), (180, 0.029)])
def test_without_a_difference_hardly_anything_is_ever_decided(last, expected):
    likely = by_day(Method.ALWAYS_VALID, last, 1.0, effect=0.0)
    assert likely[-1] == pytest.approx(expected, abs=0.0006)


def test_a_planned_end_spends_all_that_may_be_spent():
    assert by_day(Method.PLANNED_END, 28, 1.0, effect=0.0)[-1] == pytest.approx(0.05, abs=1e-5)


# ---------------------------------------------------------------- plans


def test_a_single_look_needs_the_sample_size():
    plan = Plan(ONE_RATING_EACH, 0.70, 0.05, minimum_samples=1)
    day = sample_size(0.70, 0.05).both / ONE_RATING_EACH.ratings_per_day
    looks = power.by_day(plan, 28)["single_look"]
    assert np.interp(day, np.arange(1, 29), looks) == pytest.approx(0.8, abs=1e-3)


def test_users_who_rate_more_than_once_make_it_longer():
    spread = replace(CLUSTERED, icc=0.0)
    alike = Plan(CLUSTERED, 0.70, 0.05).information(28)
    assert Plan(spread, 0.70, 0.05).information(28) == pytest.approx(alike * CLUSTERED.design_effect)


@pytest.mark.parametrize(
    ("traffic", "changed", "first_day"),
    [
        (CLUSTERED, {}, 7),
        (CLUSTERED, {"minimum_hours": 24, "minimum_samples": 6001}, 11),
        (replace(CLUSTERED, treatment_share=0.05), {}, 8),
        (replace(CLUSTERED, treatment_share=0.98), {}, 18),
    ],
)
def test_the_first_look_waits_for_time_ratings_and_raters(traffic, changed, first_day):
    plan = Plan(traffic, 0.70, 0.05, **changed)
    assert plan.first_day == first_day
    assert np.flatnonzero(power.decided_by_day(plan, 28))[0] == first_day - 1


@pytest.mark.parametrize("method", list(Method))
def test_days_needed_and_smallest_effect_ask_the_same_question_both_ways(method):
    plan = Plan(ONE_RATING_EACH, 0.70, 0.05)
    days = power.days_needed(plan, method)
    assert power.smallest_effect(plan, days, method) <= 0.05
    assert power.smallest_effect(plan, days - 1, method) > 0.05
    least = power.smallest_effect(plan, 21, method)
    assert power.decided_by_day(replace(plan, effect=least), 21, method)[-1] == pytest.approx(0.8)


def test_a_loss_is_seen_as_a_gain_is():
    stars = Plan(CLUSTERED, 4.0, 0.1, sd=1.1)
    down = replace(stars, effect=-0.1)
    assert power.days_needed(stars) == power.days_needed(down)
    assert power.smallest_effect(down, 28) == pytest.approx(-power.smallest_effect(stars, 28))


def test_what_cannot_be_seen_in_time_is_not_promised():
    plan = Plan(ONE_RATING_EACH, 0.70, 0.002)
    for method in Method:
        assert power.days_needed(plan, method, longest=40) is None
        assert power.days_needed(replace(plan, effect=0.2), method, longest=6) is None
    assert power.smallest_effect(plan, 6) is None
    assert power.smallest_effect(replace(plan, base=0.9999, minimum_samples=1), 7) is None


@pytest.mark.parametrize(
    "refused",
    [
        lambda: power.days_needed(Plan(CLUSTERED, 0.7, 0.0)),
        lambda: replace(CLUSTERED, ratings_per_day=0),
        lambda: replace(CLUSTERED, treatment_share=1.0),
        lambda: Plan(CLUSTERED, 0.98, 0.05).information(7),
    ],
)
def test_what_cannot_be_is_refused(refused):
    with pytest.raises(InvalidInput):
        refused()


def test_the_frame_by_day_puts_waiting_above_planning_above_looking():
    frame = power.by_day(Plan(CLUSTERED, 0.70, 0.05), 28)
    assert list(frame) == ["day", "ratings", "always_valid", "planned_end", "single_look"]
    assert frame["day"].tolist() == list(range(1, 29))
    assert frame["ratings"].iloc[-1] == 28 * 600
    last = frame.iloc[-1]
    assert last["always_valid"] < last["planned_end"] < last["single_look"] < 1
    assert not frame.loc[frame["day"] < 7, ["always_valid", "planned_end", "single_look"]].to_numpy().any()
    assert frame["always_valid"].is_monotonic_increasing
