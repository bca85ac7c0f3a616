"""Streams come out as the scenario says."""

from dataclasses import replace

import numpy as np
import pytest

from learning_core.errors import InvalidInput
from learning_core.experiments.simulation.scenarios import Measure, Scenario
from learning_core.experiments.statistics.planning import raters

THUMBS = Scenario()
STARS = Scenario(measure=Measure.STARS, base=4.0)
LATENCY = Scenario(measure=Measure.LATENCY, base=2000.0)
EFFECTS = [(THUMBS, 0.05), (STARS, 0.2), (LATENCY, -300.0)]
NAMES = ["thumbs", "stars", "latency"]


def drawn(scenario, experiments=40, seed=3):
    return scenario.draw(experiments, np.random.default_rng(seed))


@pytest.mark.parametrize(("scenario", "effect"), EFFECTS, ids=NAMES)
def test_means_and_their_difference_are_those_asked_for(scenario, effect):
    streams = drawn(replace(scenario, effect=effect, icc=0.05))
    treated = streams.treated[streams.user]
    means = streams.s[~treated].mean(), streams.s[treated].mean()
    error = 4 * streams.s.std() / np.sqrt(len(streams.s) / 10)
    assert means[0] == pytest.approx(scenario.base, abs=error)
    assert means[1] - means[0] == pytest.approx(effect, abs=error)
    assert error < abs(effect) / 2


@pytest.mark.parametrize("scenario", [THUMBS, STARS], ids=NAMES[:2])
@pytest.mark.parametrize("icc", [0.0, 0.2, 0.5])
def test_ratings_of_one_user_are_as_much_alike_as_asked_for(scenario, icc):
    streams = drawn(replace(scenario, icc=icc))
    count = len(streams.experiment)
    found = raters(
        np.bincount(streams.user, minlength=count),
        np.bincount(streams.user, streams.s, count),
        np.bincount(streams.user, streams.s**2, count),
    )
    assert found.icc == pytest.approx(icc, abs=0.01)


@pytest.mark.parametrize("treatment_share", [0.5, 0.05])
def test_users_come_and_rate_as_often_as_asked_for(treatment_share):
    scenario = replace(THUMBS, treatment_share=treatment_share, present=300)
    streams = drawn(scenario)
    assert len(streams.experiment) / 40 == pytest.approx(scenario.expected_users, rel=0.02)
    assert len(streams.s) / 40 == pytest.approx(scenario.expected_ratings, rel=0.03)
    assert streams.treated.mean() == pytest.approx(treatment_share, abs=0.01)
    assert (streams.arrived == 0).sum() / 40 == pytest.approx(420, rel=0.02)


def test_nobody_rates_before_coming_and_ratings_are_in_order():
    streams = drawn(THUMBS, 5)
    assert (streams.day >= streams.arrived[streams.user]).all()
    assert streams.day.max() == 27
    assert (np.diff(streams.user) >= 0).all()
    assert (np.diff(streams.day)[np.diff(streams.user) == 0] >= 0).all()


def test_who_rates_once_rates_on_the_day_of_coming():
    streams = drawn(Scenario(ratings_per_day=None), 5)
    assert streams.day.tolist() == streams.arrived.tolist()
    assert len(np.unique(streams.user)) == len(streams.user)
    assert Scenario(ratings_per_day=None).expected_ratings == 120 * 28


def test_history_is_that_of_the_same_users_and_knows_no_effect():
    streams = drawn(replace(THUMBS, returning=0.5, effect=0.2))
    assert (streams.prior_n > 0).mean() == pytest.approx(0.5 * (1 - (1 + 0.5 * 28) ** -0.7), abs=0.01)
    assert streams.prior_s.sum() / streams.prior_n.sum() == pytest.approx(0.7, abs=0.01)
    n = np.bincount(streams.user, minlength=len(streams.experiment))
    s = np.bincount(streams.user, streams.s, len(streams.experiment))
    both = (streams.prior_n >= 5) & (n >= 5) & ~streams.treated
    before = streams.prior_s[both] / streams.prior_n[both]
    assert np.corrcoef(before, s[both] / n[both])[0, 1] > 0.5
    assert not drawn(THUMBS, 3).prior_n.any()


def test_the_same_seed_draws_the_same():
    one, other, another = drawn(THUMBS, 2), drawn(THUMBS, 2), drawn(THUMBS, 2, seed=4)
    assert one.s.tolist() == other.s.tolist()
    assert one.s.tolist() != another.s.tolist()


@pytest.mark.parametrize(
    "changed",
    [
        {"base": 1.2},
        {"effect": 0.3},
        {"icc": 1.0},
        {"treatment_share": 0.0},
        {"returning": 1.5},
        {"days": 0},
        {"measure": Measure.STARS},
        {"users_per_day": -1},
    ],
)
def test_what_cannot_be_is_refused(changed):
    with pytest.raises(InvalidInput):
        replace(THUMBS, **changed)
