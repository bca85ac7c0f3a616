"""Races drop who may go, keep who might win, and cost what they promise."""

import doctest
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from benchmarks.synthetic import stored
from learning_core.prompts import racing
from learning_core.prompts.racing import (
    Mode,
    Rules,
    Why,
    e_value,
    find_drops,
    find_leader,
    run_race,
    sign_flip_p,
)

RIGHT_OR_WRONG = st.sampled_from([0.0, 1.0])
GRADED = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
ONLY_CERTAIN = Rules(n_first=10, alpha=-1.0, slim=1e-15)
NAN = float("nan")


def matrices(values, most=40):
    shapes = st.tuples(st.integers(2, 6), st.integers(10, most))
    return arrays.arrays(np.float64, shapes, elements=values)


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(racing).failed == 0


# ---------------------------------------------------------------- tests


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (4, 0), (5, 1), (9, 3), (30, 18), (0, 7)])
def test_right_or_wrong_scores_get_the_exact_test_of_mcnemar(wins, losses):
    p = sign_flip_p([1.0] * wins + [-1.0] * losses + [0.0] * 5)
    exact = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert p == pytest.approx(exact, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.sampled_from([-1.0, -0.7, -0.25, -0.1, 0.0, 0.1, 0.3, 0.6]), min_size=1, max_size=9))
def test_graded_scores_get_the_share_of_all_choices_of_signs(differences):
    total = abs(sum(differences))
    choices = product([1, -1], repeat=len(differences))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in choices]
    expected = sum(each >= total - 1e-9 for each in sums) / len(sums)
    assert sign_flip_p(differences) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60))
def test_a_p_value_is_a_chance_and_does_not_ask_who_was_first(differences):
    p = sign_flip_p(differences)
    assert 0 < p <= 1
    assert sign_flip_p([-each for each in differences]) == pytest.approx(p, abs=1e-12)


@given(st.floats(0, 0.2), st.floats(0.05, 1), st.floats(0.05, 1))
def test_no_bet_is_favourable_while_the_hypothesis_is_true(epsilon, up, down):
    chance = (down - epsilon) / (up + down) if down > epsilon else 0.0
    expected = chance * e_value([up], epsilon) + (1 - chance) * e_value([-down], epsilon)
    if down > epsilon:  # a difference of up or -down with a mean of just -epsilon
        assert expected == pytest.approx(1, abs=1e-9)


def test_a_bettor_seldom_gets_rich_against_a_true_hypothesis_however_often_one_looks():
    rng = np.random.default_rng(3)
    runs = rng.choice([-1.0, 0.0, 1.0], p=[0.225, 0.6, 0.175], size=(300, 100))  # a mean of -0.05
    rich = sum(any(e_value(run[:n], 0.05) >= 20 for n in range(5, 101, 5)) for run in runs)
    assert rich / 300 <= 0.05


def test_a_bettor_gets_rich_where_the_hypothesis_is_false():
    assert e_value([1.0] * 10 + [0.0] * 20, 0.05) > 100


# ---------------------------------------------------------------- decisions


def test_the_first_of_equal_candidates_leads():
    assert find_leader(np.array([[0.0, 1.0], [1.0, 0.0]]), [1, 0]) == 0


def test_who_has_met_most_examples_leads():
    scores = np.array([[0.0, 1.0], [1.0, NAN]])
    assert find_leader(scores, [0, 1]) == 0


def test_nobody_is_looked_at_before_the_first_look():
    scores = np.full((2, 60), NAN)
    scores[0, :19], scores[1, :19] = 1, 0
    assert find_drops(scores, [0, 1], Rules(n_first=20)) == []


def test_who_is_clearly_behind_is_dropped_and_told_why():
    scores = np.full((3, 60), NAN)
    scores[:, :20] = [[1] * 15 + [0] * 5, [1] * 14 + [0] * 6, [1] * 6 + [0] * 14]
    (drop,) = find_drops(scores, [0, 1, 2], Rules())
    assert (drop.candidate, drop.leader, drop.n, drop.wins, drop.losses) == (2, 0, 20, 0, 9)
    assert drop.why is Why.BEATEN
    assert drop.words == (
        "The baseline does clearly better: 0.75 against its 0.30 on the same 20 examples; "
        "it wins on 9 and loses on 0."
    )
    assert drop._replace(leader=4, why=Why.OUT_OF_REACH).words == (
        "Candidate 4 is out of reach: 0.75 against its 0.30 on the same 20 examples."
    )
    assert drop._replace(why=Why.UNLIKELY).words.startswith("The baseline would hardly be caught up with")


def test_a_small_lead_suffices_towards_the_end():
    def drops(n_examples):
        scores = np.full((2, n_examples), NAN)
        scores[:, :50] = [[1] * 30 + [0] * 20, [1] * 27 + [0] * 22 + [1]]
        return [drop.why for drop in find_drops(scores, [0, 1], Rules())]

    assert drops(55) == [Why.UNLIKELY]
    assert drops(100) == []


def test_who_cannot_catch_up_is_dropped_in_an_always_valid_race_too():
    scores = np.full((2, 30), NAN)
    scores[:, :25] = [[1] * 6 + [0] * 19, [0] * 25]
    (drop,) = find_drops(scores, [0, 1], Rules(Mode.ALWAYS_VALID))
    assert drop.why is Why.OUT_OF_REACH


def test_a_newcomer_is_compared_on_what_both_have_met():
    scores = np.full((2, 60), NAN)
    scores[0] = [0] * 20 + [1] * 40
    scores[1, :20] = [1] * 10 + [0] * 10
    assert find_drops(scores, [0, 1], Rules()) == []
    scores[0, :20], scores[1, :20] = 1, [1] * 10 + [0] * 10
    (drop,) = find_drops(scores, [0, 1], Rules())
    assert (drop.n, drop.mean, drop.leader_mean) == (20, 0.5, 1.0)


def test_nobody_is_dropped_where_everything_is_evaluated():
    scores = np.vstack([np.ones(30), np.zeros(30)])
    assert find_drops(scores, [0, 1], Rules(Mode.EXHAUSTIVE)) == []
    assert run_race(scores, Rules(Mode.EXHAUSTIVE)).calls == 60


# ---------------------------------------------------------------- races


@settings(deadline=None)
@given(st.one_of(matrices(RIGHT_OR_WRONG), matrices(GRADED)))
def test_leaving_out_what_cannot_matter_changes_no_pick(scores):
    sums = scores.sum(axis=1)
    best = int(np.flatnonzero(sums >= sums.max() - 1e-9)[0])
    assert run_race(scores, ONLY_CERTAIN).pick == best


@settings(deadline=None)
@given(
    st.one_of(matrices(RIGHT_OR_WRONG), matrices(GRADED, 25)),
    st.sampled_from(list(Mode)),
    st.integers(10, 25),
)
def test_decisions_need_nothing_but_the_scores_so_far(scores, mode, n_first):
    rules = Rules(mode, n_first=n_first)
    raced = run_race(scores, rules)
    met, racing_, drops, n = np.full(scores.shape, NAN), set(range(len(scores))), [], 0
    while n < scores.shape[1] and (len(racing_) > 1 or not n):
        n = rules.next_look(n, scores.shape[1])
        for number in racing_:
            met[number, :n] = scores[number, :n]
        drops += find_drops(met.copy(), racing_, rules)
        racing_ -= {drop.candidate for drop in drops}
    assert (raced.drops, raced.pick) == (tuple(drops), find_leader(met, racing_))
    assert raced.calls == np.isfinite(met).sum() <= scores.size


@settings(deadline=None)
@given(matrices(RIGHT_OR_WRONG), st.integers(0, 5))
def test_a_copy_of_a_candidate_changes_no_pick(scores, place):
    copied = np.vstack([scores, scores[place % len(scores)]])
    assert run_race(copied, Rules()).pick == run_race(scores, Rules()).pick


@settings(deadline=None)
@given(matrices(GRADED), st.randoms())
def test_the_pick_among_permuted_candidates_is_as_good(scores, rng):
    order = list(range(len(scores)))
    rng.shuffle(order)
    rules = Rules(Mode.EXHAUSTIVE)
    picks = run_race(scores, rules).pick, order[run_race(scores[order], rules).pick]
    assert scores[picks[0]].sum() == pytest.approx(scores[picks[1]].sum())


def test_an_always_valid_race_keeps_the_best_of_many_draws():
    rng = np.random.default_rng(8)
    levels = np.array([0.5, 0.55, 0.6, 0.75])
    lost = 0
    for _ in range(100):
        raced = run_race((rng.random((4, 60)) < levels[:, None]).astype(float), Rules(Mode.ALWAYS_VALID))
        lost += any(drop.candidate == 3 and drop.why is Why.BEATEN for drop in raced.drops)
    assert lost <= 5


@pytest.mark.parametrize(("n", "most"), [(60, 0.6), (100, 0.5)])
@pytest.mark.parametrize("task", sorted(stored()))
def test_races_on_stored_scores_cost_little_and_miss_nothing(task, n, most):
    rng = np.random.default_rng(n)
    costs, missed = [], []
    for scores in stored()[task]:
        truth = scores.mean(axis=1)
        for _ in range(50):
            sample = scores[:, rng.integers(0, scores.shape[1], n)]
            raced = run_race(sample, Rules())
            costs.append(raced.calls / sample.size)
            missed.append(truth[sample.sum(axis=1).argmax()] - truth[raced.pick])
    assert np.mean(costs) <= most
    assert np.mean(missed) <= 0.001
