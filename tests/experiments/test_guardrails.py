from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from benchmarks import guardrails as benchmark
from benchmarks.guardrails import Size
from learning_core.experiments import bounds, guardrails, sides
from learning_core.experiments.analysis import Observation
from learning_core.experiments.guardrails import REPORT, Guardrail, Limits, State, judge
from learning_core.experiments.statistics import moments, rates, sequential
from learning_core.experiments.statistics.moments import Arm, Moments, summed

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ERRORS = Guardrail("error_rate", 0.05, relative=False)
SATISFACTION = Guardrail("satisfaction", 0.1, relative=True)
LATENCY = Guardrail("latency_ms", 0.5, relative=True)

# Computed twice independently: closed forms with SciPy, and R's dbinom, integrate and uniroot.
COUNTS = {
    (200, 18): {
        "log_e": -0.18553205595087974,
        "posterior": 0.9938631477440544,
        "sequence": (0.03607769638036983, 0.17584523536998042),
    },
    (40, 8): {
        "log_e": 3.7867287898510007,
        "posterior": 0.9998413218220303,
        "sequence": (0.05633150330582228, 0.4333835350591769),
    },
}


# ---------------------------------------------------------------- rates


@pytest.mark.parametrize(("n", "x"), COUNTS)
def test_the_evidence_of_counts_is_what_two_programs_compute(n, x):
    known = COUNTS[n, x]
    assert rates.log_e_above(n, x, 0.05, (1, 1)) == pytest.approx(known["log_e"], rel=1e-6)
    assert rates.probability_above(n, x, 0.05, (1, 1)) == pytest.approx(known["posterior"], rel=1e-6)


@pytest.mark.parametrize(("n", "x"), COUNTS)
def test_all_limits_that_a_mixture_over_every_rate_allows_are_the_known_confidence_sequence(n, x):
    def log_e(limit):  # above and below the limit together: the mixture is over all rates
        above = rates.log_e_above(n, x, limit, (1, 1)) + log(1 - limit)
        below = rates.log_e_below(n, x, limit, (1, 1)) + log(limit)
        return float(np.logaddexp(above, below)) - log(20)

    ends = optimize.brentq(log_e, 1e-6, x / n), optimize.brentq(log_e, x / n, 1 - 1e-6)
    assert ends == pytest.approx(COUNTS[n, x]["sequence"], rel=1e-6)


@pytest.mark.parametrize(("n", "x", "limit"), [(30, 4, 0.05), (200, 18, 0.05), (500, 9, 0.05), (60, 20, 0.4)])
def test_e_values_are_the_likelihood_mixed_over_the_rates_on_one_side(n, x, limit):
    mixture = stats.beta(*rates.MIXTURE)

    def mixed(low, high):
        weight = mixture.cdf(high) - mixture.cdf(low)
        inside = integrate.quad(
            lambda p: mixture.pdf(p) * stats.binom.pmf(x, n, p), low, high, epsabs=0, limit=200
        )
        return inside[0] / weight / stats.binom.pmf(x, n, limit)

    assert exp(rates.log_e_above(n, x, limit)) == pytest.approx(mixed(limit, 1), rel=1e-6)
    assert exp(rates.log_e_below(n, x, limit)) == pytest.approx(mixed(0, limit), rel=1e-6)


@pytest.mark.parametrize("n", [1, 7, 40])
def test_e_values_are_one_on_average_where_the_rate_is_at_its_limit(n):
    x = np.arange(n + 1)
    probability = stats.binom.pmf(x, n, 0.05)
    assert probability @ np.exp(rates.log_e_above(n, x, 0.05)) == pytest.approx(1)
    assert probability @ np.exp(rates.log_e_below(n, x, 0.05)) == pytest.approx(1)


@given(st.integers(1, 3000), st.floats(0, 1))
def test_the_highest_rate_is_where_the_proof_of_a_lower_one_begins(n, share):
    x = round(share * n)
    highest = rates.highest(n, x)
    assert x / n <= highest <= 1
    assert rates.is_below(n, x, min(highest + 1e-9, 1.0)) or highest > 1 - 1e-6
    assert not rates.is_below(n, x, highest - 1e-6)


def test_nothing_is_known_of_a_rate_without_answers():
    assert rates.highest(0, 0) == 1
    assert not rates.is_above(0, 0, 0.05)
    assert not rates.is_below(0, 0, 0.05)


def test_the_failures_of_one_user_count_for_little_more_than_one():
    quiet, spread = [0] * 99, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0] * 10
    flooding = summed([1] * 99 + [20], [*quiet, 20])
    assert rates.is_above(flooding.n, flooding.s, 0.05)
    assert not rates.is_above(*rates.effective(flooding), 0.05)
    assert rates.effective(summed([3], [3])) == (1, 1)
    independent = rates.effective(summed([1] * 100, spread))
    assert independent == (pytest.approx(100 * 99 / 100), pytest.approx(10 * 99 / 100))


def test_nobody_failing_counts_every_answer():
    assert rates.effective(summed([4] * 25, [0] * 25)) == (100, 0)


def test_a_bad_day_shows_behind_a_long_good_record():
    n, x = 20_000 + 400, 200 + 60
    assert not rates.is_above(n, x, 0.05)
    assert not rates.drifts([n], [x], 0.05, 0.01)
    assert rates.drifts([n, 15_000, 400], [x, 200, 60], 0.05, 0.01)
    assert not rates.drifts([], [], 0.05, 0.01)


def test_looking_since_many_moments_is_still_one_e_value():
    n, x = np.array([60.0, 40.0, 20.0]), np.array([9.0, 8.0, 6.0])
    averaged = np.exp(rates.log_e_above(n, x, 0.05)) @ np.array([1 / 2, 1 / 6, 1 / 12])
    assert rates.drifts(n, x, 0.05, 1 / averaged * 1.001)
    assert not rates.drifts(n, x, 0.05, 1 / averaged * 0.999)


# ---------------------------------------------------------------- two groups


def arm_of(mean: float, sd: float, n: int) -> Arm:
    return Arm(mean, sd**2 / n, n, n)


# Computed twice independently: closed forms with SciPy, and R's pnorm with the tail integrated numerically.
MARGINS = [
    (
        arm_of(4.1, 1.05, 3000),
        arm_of(4.02, 1.1, 600),
        {
            "contrast": 0.33,
            "se": 0.048107605081386735,
            "ok": (1.6920966333801e-10, 2.897766335653398e-10),
            "breach": (0.9999999999999346, 1.0),
        },
    ),
    (
        Arm(0.7, 0.7 * 0.3 / 4000, 4000, 4000),
        Arm(0.59, 0.59 * 0.41 / 400, 400, 400),
        {
            "contrast": -0.04,
            "se": 0.025441599792465883,
            "ok": (0.9916735629863822, 0.9999546685706646),
            "breach": (0.2544583188686445, 0.38271648359057825),
        },
    ),
]


@pytest.mark.parametrize(("control", "treatment", "known"), MARGINS)
def test_a_margin_is_judged_as_two_programs_compute(control, treatment, known):
    distance = moments.contrast(control, treatment, -0.1)
    assert distance.value == pytest.approx(known["contrast"], rel=1e-6)
    assert distance.se == pytest.approx(known["se"], rel=1e-6)
    for ratio, ok, breach in zip((1, 3), known["ok"], known["breach"], strict=True):
        assert sequential.one_sided_p(distance.z, ratio) == pytest.approx(ok, rel=1e-6)
        assert sequential.one_sided_p(-distance.z, ratio) == pytest.approx(breach, rel=1e-6)


def test_within_a_bound_is_what_the_sequential_interval_leaves_no_doubt_of():
    control, treatment, _ = MARGINS[0]
    found = bounds.compare(SATISFACTION, control, treatment)
    assert found.ok
    assert not found.breach
    assert found.limit == pytest.approx(0.9 * 4.1)
    reach = stats.t.ppf(stats.norm.cdf(float(sequential.one_sided_radius(1, 0.05))), 599)
    assert found.bound == pytest.approx(4.02 - reach * 0.048107605081386735, rel=1e-6)


def test_proof_takes_more_where_there_are_few_users():
    def ok(users: int) -> bool:
        return bool(bounds.compare(SATISFACTION, Arm(4.0, 0.01, users, 99), Arm(3.99, 0.01, users, 99)).ok)

    assert [ok(29), ok(30), ok(3000)] == [False, True, True]
    close = Arm(4.0, 0.01, 30, 99), Arm(3.945, 0.01, 30, 99)
    assert not bounds.compare(SATISFACTION, *close).ok
    assert bounds.compare(SATISFACTION, *(arm._replace(users=3000) for arm in close)).ok


def test_what_was_known_at_most_widens_the_interval_and_is_never_forgotten():
    control, treatment, _ = MARGINS[0]
    first = bounds.compare(SATISFACTION, control, treatment)
    less = [arm._replace(variance=arm.variance * 2) for arm in (control, treatment)]
    more = [arm._replace(variance=arm.variance / 2) for arm in (control, treatment)]
    second = bounds.compare(SATISFACTION, *more, first.margin, first.harm)
    third = bounds.compare(SATISFACTION, *less, second.margin, second.harm)
    assert second.margin.first == third.margin.first == first.margin.first
    assert second.margin.most == third.margin.most == pytest.approx(2 * float(first.margin.most))
    alone = bounds.compare(SATISFACTION, *less)
    assert third.bound < alone.bound


def test_looks_with_too_few_users_leave_no_trace():
    few = bounds.compare(SATISFACTION, arm_of(4.1, 1, 20), arm_of(1.5, 1, 20))
    assert not few.breach
    assert np.isnan(few.margin.first)
    assert np.isnan(few.bound)


@pytest.mark.parametrize(
    ("treated", "breach"),
    [
        (arm_of(3.60, 1.0, 400), True),
        (arm_of(3.60, 1.5, 40), False),  # may be chance
        (arm_of(3.80, 1.0, 400), False),  # surely less, and within the bound
    ],
)
def test_reactions_break_a_bound_by_their_mean_and_a_sure_harm(treated, breach):
    found = bounds.compare(SATISFACTION, arm_of(4.1, 1.0, 400), treated)
    assert found.breach == breach
    margin = sequential.one_sided_p(-moments.contrast(arm_of(4.1, 1.0, 400), treated, -0.1).z, 1)
    assert margin > 0.05  # proof of more than the bound itself would come much later


@pytest.mark.parametrize(
    ("slower", "breach", "ok"),
    [(1.4, False, False), (1.55, False, False), (2.0, True, False), (1.1, False, True)],
)
def test_answer_times_break_a_bound_when_they_are_surely_beyond_it(slower, breach, ok):
    control, treatment = arm_of(900, 600, 200), arm_of(900 * slower, 900, 200)
    found = bounds.compare(LATENCY, control, treatment)
    assert (bool(found.breach), bool(found.ok)) == (breach, ok)


def test_a_plain_figure_is_enough_only_where_that_was_asked_for():
    control, treatment = arm_of(4.1, 1.0, 40), arm_of(3.60, 1.0, 40)
    assert not bounds.compare(SATISFACTION, control, treatment, literal_min_n=41).breach
    assert bounds.compare(SATISFACTION, control, treatment, literal_min_n=40).breach


def test_users_who_are_all_alike_prove_no_more_than_one_unlike_them_would_allow():
    found = bounds.compare(SATISFACTION, Arm(5.0, 0.0, 40, 40), Arm(5.0, 0.0, 40, 40))
    assert found.ok
    assert found.bound < 4.8
    few = bounds.compare(Guardrail("thumbs_up_share", 0.02, True), *[Arm(1.0, 0.0, 40, 40)] * 2)
    assert not few.ok


def test_an_absolute_bound_is_compared_with_itself():
    guardrail = Guardrail("cost_usd", 0.01, relative=False)
    cheap, dear = arm_of(0.005, 0.005, 100), arm_of(0.02, 0.01, 100)
    assert bounds.compare(guardrail, bounds.itself(guardrail), cheap).ok
    assert bounds.compare(guardrail, bounds.itself(guardrail), dear).breach


def test_many_experiments_are_judged_as_each_alone():
    means = np.array([4.1, 3.6, 3.9])
    together = bounds.compare(
        SATISFACTION,
        Arm(np.full(3, 4.1), np.full(3, 0.0025), np.full(3, 400.0), np.full(3, 400.0)),
        Arm(means, np.full(3, 0.0025), np.full(3, 400.0), np.full(3, 400.0)),
    )
    for place, mean in enumerate(means):
        alone = bounds.compare(SATISFACTION, Arm(4.1, 0.0025, 400, 400), Arm(mean, 0.0025, 400, 400))
        assert together.breach[place] == alone.breach
        assert together.ok[place] == alone.ok
        assert together.bound[place] == pytest.approx(float(alone.bound))


# ---------------------------------------------------------------- judgements


def seen(metric: str, variant: str, n, s, phase: int = 1) -> Observation:
    return Observation(phase, variant, metric, Moments(*(float(each) for each in summed(n, s))))


def rated(variant: str, mean: float, users: int = 60, phase: int = 1) -> Observation:
    stars = [mean - 1, mean, mean + 1] * (users // 3)
    return seen("satisfaction", variant, [1] * users, stars, phase)


def only(report):
    [item] = report.items
    return item


def test_silence_is_never_ok():
    report = judge(Limits().guardrails, [], "treatment", at=NOW)
    assert [item.state for item in report.items] == [State.NO_DATA] * 3
    assert [item.reason for item in report.items] == [
        "Failed answers: no answers to go by yet.",
        "Satisfaction: no ratings to go by yet.",
        "Answer time: no timed answers to go by yet.",
    ]
    assert report.open == report.items


def test_without_ratings_in_the_control_group_there_is_nothing_to_go_by():
    item = only(judge([SATISFACTION], [rated("treatment", 4.0)], "treatment", at=NOW))
    assert item.state is State.NO_DATA
    assert "in the control group" in item.reason


@pytest.mark.parametrize(
    ("answers", "failed", "state", "says"),
    [
        (
            1000,
            10,
            State.OK,
            "1.0 % in 1,000 answers. Allowed is at most 5.0 %; surely within that (2.2 % at worst).",
        ),
        (200, 7, State.UNPROVEN, "it looks fine, but may still be as bad as 8.4 %."),
        (
            40,
            3,
            State.UNPROVEN,
            "7.5 % in 40 answers. Allowed is at most 5.0 %; this is worse, but may be chance.",
        ),
        (100, 12, State.BREACH, "12.0 % in 100 answers. Allowed is at most 5.0 %; this is worse."),
    ],
)
def test_failing_answers_are_judged_by_themselves(answers, failed, state, says):
    found = seen("error_rate", "treatment", [1] * answers, [1] * failed + [0] * (answers - failed))
    item = only(judge([ERRORS], [found], "treatment", at=NOW))
    assert item.state is state
    assert says in item.reason
    assert (item.n, item.users, item.limit, item.baseline) == (answers, answers, 0.05, None)


def test_failing_answers_are_shown_beside_those_of_the_control():
    found = [
        seen("error_rate", name, [1] * 50, [1] * failed + [0] * (50 - failed))
        for name, failed in (("treatment", 1), ("control", 2))
    ]
    item = only(judge([ERRORS], found, "treatment", at=NOW))
    assert (item.value, item.baseline) == (0.02, 0.04)
    assert "2.0 % in 50 answers against 4.0 % in the control group" in item.reason


@pytest.mark.parametrize(
    ("mean", "users", "state", "says"),
    [
        (
            4.2,
            60,
            State.OK,
            "4.20 stars in 60 ratings against 4.10 stars in the control group."
            " Allowed is at least 3.69 stars; surely within that",
        ),
        (3.0, 60, State.BREACH, "this is worse."),
        (3.8, 60, State.UNPROVEN, "it looks fine, but may still be as bad as"),
        (3.65, 30, State.UNPROVEN, "this is worse, but may be chance."),
        (2.0, 27, State.UNPROVEN, "too early to say: one group has 27 people, and it takes 30."),
    ],
)
def test_satisfaction_is_judged_beside_the_control(mean, users, state, says):
    found = [rated("control", 4.1), rated("treatment", mean, users)]
    item = only(judge([SATISFACTION], found, "treatment", at=NOW))
    assert item.state is state
    assert says in item.reason
    assert item.baseline == pytest.approx(4.1)
    assert item.limit == pytest.approx(3.69)


def test_phases_are_compared_each_with_itself():
    """Everybody is happier in the second phase, where most of the treatment's users are: that is no gain."""
    found = [
        rated("control", 3.0, 300, 1),
        rated("treatment", 3.0, 60, 1),
        rated("control", 4.6, 60, 2),
        rated("treatment", 4.6, 300, 2),
    ]
    item = only(judge([SATISFACTION], found, "treatment", at=NOW))
    assert item.value == pytest.approx(item.baseline)
    swapped = [
        Observation(o.phase, {"control": "treatment", "treatment": "control"}[o.variant], o.metric, o.moments)
        for o in found
    ]
    assert only(judge([SATISFACTION], swapped, "treatment", at=NOW)).state is State.OK


def test_a_baseline_stands_for_the_control_where_nobody_meets_it():
    before = sides.baseline_of([rated("control", 4.1, 90), rated("treatment", 2.0, 90)])
    assert before["satisfaction"].value == pytest.approx(4.1)
    item = only(judge([SATISFACTION], [rated("treatment", 3.0)], "treatment", at=NOW, baseline=before))
    assert item.state is State.BREACH
    assert "4.10 stars in the control group before" in item.reason
    missing = only(judge([SATISFACTION], [rated("treatment", 3.0)], "treatment", at=NOW, baseline={}))
    assert missing.state is State.NO_DATA


def test_a_report_remembers_what_the_next_look_needs():
    small = [rated("control", 4.1, 30), rated("treatment", 4.0, 30)]
    large = [rated("control", 4.1, 120), rated("treatment", 4.0, 120)]
    first = judge([SATISFACTION], small, "treatment", at=NOW)
    told = REPORT.validate_json(REPORT.dump_json(first))
    assert told == first
    second = judge([SATISFACTION], large, "treatment", at=NOW, previous=told)
    fresh = judge([SATISFACTION], large, "treatment", at=NOW)
    assert only(second).margin.first == only(first).margin.first
    assert only(second).bound < only(fresh).bound


def test_answers_that_begin_to_fail_late_are_found():
    def look(day, n, x, before=None):
        users = n // 2
        answers = seen(
            "error_rate", "treatment", [2] * users, [min(2, max(0, x - 2 * i)) for i in range(users)]
        )
        spread = answers.moments._replace(ss=float(x), ns=float(2 * x), nn=float(4 * users))
        found = Observation(1, "treatment", "error_rate", spread)
        return judge([ERRORS], [found], "treatment", at=NOW + timedelta(days=day), previous=before)

    report = None
    for day in range(8):
        report = look(day, 2_000 * (day + 1), 20 * (day + 1), report)
        assert only(report).state is State.OK
    assert len(only(report).moments) == 8
    report = look(8, 16_000 + 600, 160 + 90, report)
    assert only(report).state is State.BREACH
    assert "lately it was surely worse" in only(report).reason
    assert only(look(8, 16_000 + 600, 160 + 90)).state is State.OK


def test_a_share_that_should_be_high_is_judged_by_what_is_missing():
    guardrail = Guardrail("thumbs_up_share", 0.6, relative=False)
    poor = seen("thumbs_up_share", "treatment", [1] * 200, [1] * 80 + [0] * 120)
    good = seen("thumbs_up_share", "treatment", [1] * 200, [1] * 180 + [0] * 20)
    assert only(judge([guardrail], [poor], "treatment", at=NOW)).state is State.BREACH
    fine = only(judge([guardrail], [good], "treatment", at=NOW))
    assert (fine.state, fine.value, fine.limit) == (State.OK, 0.9, 0.6)
    assert 0.6 < fine.bound < 0.9


def test_a_bound_that_is_not_set_is_not_watched():
    assert [each.metric for each in Limits(satisfaction_drop=None).guardrails] == ["error_rate", "latency_ms"]
    assert Limits(satisfaction="thumbs_up_share").guardrails[1].metric == "thumbs_up_share"
    assert Limits().literal_min_n is None


@pytest.mark.parametrize("n", [199, 200])
def test_the_literal_rule_takes_the_figure_for_granted_from_so_many_answers_on(n):
    found = seen("error_rate", "treatment", [1] * n, [1] * 11 + [0] * (n - 11))
    item = only(judge([ERRORS], [found], "treatment", at=NOW, literal_min_n=200))
    assert item.state is (State.BREACH if n == 200 else State.UNPROVEN)


# ---------------------------------------------------------------- what the rules come to

SMALL = Size(canaries=600, answers=1000, comparisons=0)


def test_a_healthy_canary_stays_and_a_failing_one_is_caught_soon():
    healthy, bad, worse = (benchmark.fail(rate, SMALL) for rate in (0.03, 0.10, 0.25))
    assert healthy.share() <= 0.01
    assert (np.median(bad.taken_back) + 1) * 10 <= 100
    assert (np.median(worse.taken_back) + 1) * 10 <= 50
    assert worse.share() == bad.share() == 1


def test_the_literal_rule_takes_back_what_the_page_says_it_does():
    literal = benchmark.fail(0.03, Size(canaries=600, answers=2000, comparisons=0), literal_min_n=200)
    margin = 3 * (0.083 * 0.917 / 600) ** 0.5
    assert literal.share() == pytest.approx(guardrails.LITERAL_FALSE_ALARMS[200], abs=margin)


def test_what_fails_too_often_is_hardly_ever_shown_to_be_fine():
    at_the_limit = benchmark.fail(0.05, SMALL)
    assert np.mean(at_the_limit.shown < at_the_limit.looks) <= 0.05
    assert np.mean(benchmark.fail(0.01, SMALL).shown < at_the_limit.looks) == 1


def test_users_who_are_as_satisfied_keep_a_canary_and_those_who_are_not_take_it_back():
    calm, upset = (benchmark.annoy(drop, 50) for drop in (0.0, 0.21))
    assert calm.share() <= 0.06  # with a true share of 0.02, one in 100 such groups of 50 is above
    assert upset.share(14) >= 0.95
    assert np.mean(upset.shown < upset.looks) == 0


def test_what_is_exactly_at_the_limit_is_hardly_ever_shown_to_be_within():
    at_the_limit = benchmark.annoy(0.10, 50)
    assert np.mean(at_the_limit.shown < at_the_limit.looks) <= 0.12
