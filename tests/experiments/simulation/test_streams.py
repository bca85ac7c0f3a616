"""The sums that grow day by day are those of the users as they are on that day."""

import numpy as np
import pytest

from learning_core.experiments.simulation.repetition import design_for
from learning_core.experiments.simulation.scenarios import Measure, Scenario
from learning_core.experiments.simulation.streams import sums
from learning_core.experiments.statistics import moments


def users_on(streams, experiment, treated, day):
    """Return n, s, prior_n, prior_s of the users of a variant who had come by a day, one rating at a time."""
    who = np.flatnonzero(
        (streams.experiment == experiment) & (streams.treated == treated) & (streams.arrived <= day)
    )
    n, s = np.zeros(len(who)), np.zeros(len(who))
    for place, user in enumerate(who):
        for row in np.flatnonzero((streams.user == user) & (streams.day <= day)):
            n[place] += streams.n[row]
            s[place] += streams.s[row]
    return n, s, streams.prior_n[who], streams.prior_s[who]


@pytest.mark.parametrize("measure", list(Measure))
@pytest.mark.parametrize(("weighted", "prior"), [(False, False), (True, False), (False, True), (True, True)])
def test_sums_are_those_over_the_users_of_the_day(measure, weighted, prior):
    base = {Measure.THUMBS: 0.7, Measure.STARS: 4.0, Measure.LATENCY: 900.0}[measure]
    scenario = Scenario(measure=measure, base=base, users_per_day=6, returning=0.5, days=5, present=8)
    design = design_for(scenario, weighted=weighted, prior=prior, icc=0.3)
    streams = scenario.draw(2, np.random.default_rng(5))
    found = sums(streams, design)
    for experiment, day in [(0, 0), (0, 4), (1, 2)]:
        both = [users_on(streams, experiment, treated, day) for treated in (False, True)]
        prior_n, prior_s = (sum(side[place].sum() for side in both) for place in (2, 3))
        for side, grown in zip(both, found, strict=True):
            expected = moments.summed(
                side[0],
                side[1],
                history(*side[2:], prior_s / prior_n, 0.3) if prior else 0.0,
                moments.user_weight(side[0], 0.3) if weighted else 1.0,
            )
            assert [of[experiment, day] for of in grown] == pytest.approx(list(expected))


def history(prior_n, prior_s, mean, icc):
    """The best linear predictor of a user's deviation, where there is a history."""
    return (prior_s - mean * prior_n) / (prior_n + (1 - icc) / icc)


def test_arrivals_are_counted_by_variant_and_day():
    streams = Scenario(users_per_day=9, days=4).draw(3, np.random.default_rng(1))
    arrivals = streams.arrivals()
    assert arrivals.shape == (3, 4, 2)
    assert arrivals[:, -1].sum() == len(streams.experiment)
    seen = (streams.experiment == 1) & (streams.arrived <= 2) & streams.treated
    assert arrivals[1, 2, 1] == seen.sum()


def test_the_first_experiments_are_cut_out_with_all_that_is_theirs():
    design = design_for(Scenario())
    streams = Scenario(users_per_day=9, days=4, returning=0.4).draw(5, np.random.default_rng(1))
    few = streams.first(2)
    assert streams.first(5) is streams
    for cut, whole in zip(sums(few, design), sums(streams, design), strict=True):
        for column, all_of_it in zip(cut, whole, strict=True):
            assert column == pytest.approx(all_of_it[:2])
    assert few.arrivals() == pytest.approx(streams.arrivals()[:2])
