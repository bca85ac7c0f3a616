from __future__ import annotations

import doctest

import numpy as np
import pytest

from benchmarks import experiments
from benchmarks.experiments import OURS, PLANNED, THEIRS
from learning_core.experiments.simulation.repetition import Days, design_for
from learning_core.experiments.simulation.scenarios import Scenario
from learning_core.experiments.statistics.moments import arm, summed

# What gbstats 0.8.0 (GrowthBook's own statistics) says of 700 of 1,000 users against 750 of 1,000, and of
# the users of two variants who rated several times: the sequential interval of the relative lift, N* = 5,000.
ONE_EACH = ([1] * 1000, [1] * 700 + [0] * 300), ([1] * 1000, [1] * 750 + [0] * 250)
ONE_EACH_INTERVAL = (-0.020954815692505943, 0.16381195854964892)
SEVERAL_INTERVAL = (-0.5604298881656093, 0.9058064000657264)


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(experiments).failed == 0


def interval(control, treatment):
    users = np.array([[[control.users, treatment.users]]])
    days = Days(_shaped(control), _shaped(treatment), users, np.ones((1, 1), bool))
    looks = experiments.growthbook(days, design_for(Scenario()))
    lift, half = looks.difference.value[0, 0], (looks.radius * looks.difference.se)[0, 0]
    return lift - half, lift + half


def test_growthbooks_formula_gives_growthbooks_interval():
    control, treatment = (arm(summed(n, s)) for n, s in SEVERAL)
    assert interval(control, treatment) == pytest.approx(SEVERAL_INTERVAL, rel=1e-9)
    # Of shares it takes the variance p (1 - p) / n, not that over n - 1.
    control, treatment = (
        one._replace(variance=one.variance * 0.999) for one in (arm(summed(n, s)) for n, s in ONE_EACH)
    )
    assert interval(control, treatment) == pytest.approx(ONE_EACH_INTERVAL, rel=1e-9)


def _shaped(one):
    return type(one)(*(np.reshape(figure, (1, 1)) for figure in one))


def test_the_same_streams_are_judged_in_every_way():
    source = Scenario(effect=0.12, days=14)
    found = experiments.contest("x", source, 60, {OURS: {}, "planned end": PLANNED}).ways
    assert list(found) == [OURS, "planned end", THEIRS]
    assert len({outcome.experiments for outcome in found.values()}) == 1
    assert found[OURS].fates.last.tolist() == found["planned end"].fates.last.tolist()
    assert (
        found["planned end"].decided().value >= found[OURS].decided().value >= found[THEIRS].decided().value
    )
    assert found[OURS].mean_day < found[THEIRS].mean_day
    assert found[THEIRS].covered.value >= 0.95


def test_a_mismatch_is_seen_where_there_is_one_and_not_for_a_ramp():
    findings = {one.what: one for one in experiments.broken_traffic(300)}
    assert [one.verdict for one in findings.values()] == ["PASS"] * 3


def test_a_ramp_brings_users_phase_by_phase():
    phases = experiments.arrivals(0.5, experiments.RAMP, 50, np.random.default_rng(1))
    assert len(phases) == 3
    assert (phases[1][:, 0] == 0).all()
    assert (phases[0][:, 5] == phases[0][:, 0]).all()
    assert phases[1][:, -1].sum(axis=-1).mean() == pytest.approx(2 * 120 * 0.25, rel=0.1)


SEVERAL = (
    (
        [5, 6, 1, 27, 7, 5, 2, 34, 8, 1, 4, 13, 1, 2, 12, 11, 16, 2, 2, 1, 6, 7, 1, 21, 5, 2, 12, 1, 5, 1],
        [5, 0, 0, 19, 5, 3, 0, 29, 7, 1, 4, 12, 1, 2, 11, 9, 13, 2, 2, 1, 6, 3, 1, 20, 0, 1, 6, 0, 1, 1],
    ),
    (
        [
            3,
            1,
            9,
            2,
            17,
            23,
            4,
            2,
            2,
            2,
            2,
            2,
            9,
            9,
            10,
            1,
            3,
            9,
            9,
            17,
            5,
            10,
            6,
            3,
            3,
            1,
            5,
            2,
            46,
            9,
            3,
            4,
        ],
        [3, 0, 9, 1, 17, 23, 4, 2, 2, 2, 2, 2, 8, 8, 6, 0, 3, 8, 8, 13, 5, 8, 6, 2, 1, 1, 5, 2, 44, 5, 0, 4],
    ),
)
