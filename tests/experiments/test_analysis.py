"""Looks at experiments whose sums are made up: where each user gives one observation, all can be reckoned."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning_core.errors import InvalidInput
from learning_core.experiments.analysis import (
    DESIGN,
    LOOK,
    Design,
    DesignVariant,
    Direction,
    Look,
    Method,
    MismatchState,
    Observation,
    Role,
    State,
    Traffic,
    look,
)
from learning_core.experiments.statistics import boundaries, moments, sequential
from learning_core.experiments.statistics.moments import Moments

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
VARIANTS = (DesignVariant("control", "a", "v1", 0.5), DesignVariant("treatment", "b", "v2", 0.5))
THIRDS = (
    DesignVariant("control", "a", "v1", 0.4),
    DesignVariant("treatment", "b", "v2", 0.3),
    DesignVariant("treatment_2", "c", "v3", 0.3),
)
Sums = Mapping[tuple[str, str], Moments]
"""Variant and metric -> sums."""


def design(**terms: Any) -> Design:
    usual: dict[str, Any] = {"variants": VARIANTS, "primary": "satisfaction", "smallest_effect": 0.1}
    return Design(**(usual | terms))


def once(users: float, mean: float, sd: float = 1.0) -> Moments:
    """The sums over users of whom each gave one observation."""
    square = (users - 1) * sd**2 + users * mean**2
    return moments.NOTHING._replace(
        users=users, n=users, s=users * mean, nn=users, ns=users * mean, ss=square, observations=users
    )


def two(users: float, difference: float, sd: float = 1.0, metric: str = "satisfaction") -> Sums:
    """As many users in each arm, treatment above control by the difference."""
    return {
        ("control", metric): once(users, 4.0, sd),
        ("treatment", metric): once(users, 4.0 + difference, sd),
    }


def z_of(users: float, z: float) -> float:
    """The difference between two arms of so many users that is z standard errors."""
    return z * float(np.sqrt(2 / users))


def take(
    terms: Design, sums: Sums, day: float, previous: Look | None = None, arrivals: Sequence[int] | None = None
) -> Look:
    counts = dict(zip((each.name for each in terms.variants), arrivals or (), strict=False))
    observations = [Observation(0, variant, metric, of) for (variant, metric), of in sums.items()]
    traffic = Traffic({0: counts}, {0: 1.0}, 3, START)
    return look(terms, observations, traffic, previous, START + timedelta(days=day))


def course(terms: Design, steps: Sequence[tuple[float, Sums]]) -> list[Look]:
    """Look at all steps, one after the other."""
    looks: list[Look] = []
    for day, sums in steps:
        looks.append(take(terms, sums, day, looks[-1] if looks else None))
    return looks


# ---------------------------------------------------------------- the gate


@pytest.mark.parametrize(
    ("day", "users", "missing"), [(6.9, 600, "hours"), (7.1, 499, "samples"), (7.1, 600, None)]
)
def test_nothing_is_said_before_the_gate_is_passed(day: float, users: int, missing: str | None) -> None:
    found = take(design(), two(users, 0.5), day)
    one = found.primary[0]
    assert [name for name in ("hours", "samples", "raters") if not getattr(found.gate, name).passed] == (
        [missing] if missing else []
    )
    assert found.gate.passed == one.eligible == (missing is None)
    assert (found.verdict is None) == (missing is not None)
    assert one.difference == pytest.approx(0.5)
    assert (one.state is State.TOO_EARLY) == (missing is not None)
    assert all((value is None) == (missing is not None) for value in (one.low, one.p, one.holm_p, one.chance))


def test_the_gate_counts_the_smaller_arm_and_both_arms_samples() -> None:
    sums = {("control", "satisfaction"): once(2000, 4), ("treatment", "satisfaction"): once(29, 4.9)}
    found = take(design(), sums, 10)
    assert (found.gate.samples.have, found.gate.raters.have, found.gate.raters.need) == (2029, 29, 30)
    assert found.verdict is None
    assert found.primary[0].state is State.TOO_EARLY


def test_hours_count_from_the_first_user_who_came() -> None:
    found = look(design(), [], Traffic({}, {}, 0, None), None, START + timedelta(days=30))
    assert (found.hours, found.number, found.gate.passed) == (0.0, 1, False)
    assert take(design(), {}, 2.5).hours == 60.0


def test_users_who_are_all_alike_prove_nothing() -> None:
    for sd_of_control in (0.0, 1.0):
        sums = {
            ("control", "satisfaction"): once(900, 4, sd_of_control),
            ("treatment", "satisfaction"): once(900, 5, 0.0),
        }
        found = take(design(), sums, 10)
        assert not found.gate.passed
        assert found.verdict is None
        assert found.primary[0].state is State.TOO_EARLY
        assert found.primary[0].p is None


def test_an_empty_arm_and_no_observation_at_all_are_kept_as_such() -> None:
    half = {("control", "satisfaction"): once(900, 4)}
    for sums in ({}, half):
        found = take(design(secondary=("error_rate",)), sums, 10)
        assert [one.difference for one in found.comparisons] == [None, None]
        assert LOOK.validate_json(LOOK.dump_json(found)) == found


def test_a_baseline_of_nothing_has_no_relative_difference() -> None:
    sums = {("control", "satisfaction"): once(900, 0.0), ("treatment", "satisfaction"): once(900, 0.1)}
    one = take(design(), sums, 10).primary[0]
    assert (one.relative, one.relative_low) == (None, None)
    assert one.low is not None


# ---------------------------------------------------------------- the verdict


def test_the_first_look_has_the_radius_and_p_value_of_the_delayed_start() -> None:
    one = take(design(), two(800, z_of(800, 2.0)), 8).primary[0]
    radius = float(sequential.as_student(sequential.two_sided_radius(1, 0.05), 2 * 799))
    assert one.p == pytest.approx(p_of(2.0, 1, users=800), rel=1e-9)
    assert one.low == pytest.approx(one.difference - radius * one.se, rel=1e-9)
    assert one.high == pytest.approx(one.difference + radius * one.se, rel=1e-9)
    assert one.information == one.first_information == one.most_information == pytest.approx(400)
    assert one.chance == pytest.approx(0.97725, abs=1e-5)
    assert one.relative == pytest.approx(0.1 / 4)
    assert one.relative_low < 0.1 / 4 < one.relative_high


def test_later_looks_pay_for_what_was_looked_at_before() -> None:
    looks = course(design(), [(8, two(800, 0)), (20, two(3200, z_of(3200, 2.0)))])
    assert looks[1].primary[0].p == pytest.approx(p_of(2.0, 4, users=3200), rel=1e-9)


@pytest.mark.parametrize(
    ("metric", "difference", "direction"),
    [
        ("satisfaction", 0.3, Direction.BETTER),
        ("satisfaction", -0.3, Direction.WORSE),
        ("latency_ms", 0.3, Direction.WORSE),
        ("latency_ms", -0.3, Direction.BETTER),
    ],
)
def test_better_is_what_the_metric_says_is_better(
    metric: str, difference: float, direction: Direction
) -> None:
    found = take(design(primary=metric), two(800, difference, metric=metric), 8)
    assert found.verdict is not None
    assert (found.verdict.direction, found.verdict.variant, found.verdict.number) == (
        direction,
        "treatment",
        1,
    )
    assert found.verdict.at == START + timedelta(days=8)
    assert found.primary[0].state.value == direction.value
    assert found.days_left is None
    assert (found.primary[0].chance > 0.5) == (direction is Direction.BETTER)


def test_decided_is_decided_whatever_comes_later() -> None:
    looks = course(design(), [(8, two(800, 0.3)), (9, two(5000, -0.3)), (10, {})])
    assert looks[0].verdict is not None
    assert looks[0].verdict == looks[1].verdict == looks[2].verdict
    assert looks[1].primary[0].difference == pytest.approx(-0.3)
    assert [each.primary[0].state for each in looks] == [State.BETTER] * 3


def test_daily_looks_at_a_real_course_decide_on_day_twelve_and_stay_so() -> None:
    file = Path(__file__).parent / "reference.json"
    case = json.loads(file.read_text())["cases"]["sequential_binary/S1"]
    terms = design(primary="thumbs_up_share")
    steps = [
        (
            day,
            {
                ("control", "thumbs_up_share"): share(n_c, x_c),
                ("treatment", "thumbs_up_share"): share(n_t, x_t),
            },
        )
        for day, n_c, x_c, n_t, x_t in case["inputs"]["looks"]
    ]
    looks = course(terms, steps)
    assert next(each.number for each in looks if each.verdict) == case["expected"]["first_significant_day"]
    assert looks[-1].verdict.number == 12
    for found, expected in zip(looks, case["expected"]["looks"], strict=True):
        one = found.primary[0]
        if "rs_p" not in expected:
            assert one.state is State.TOO_EARLY
            continue
        assert one.p == pytest.approx(expected["rs_p"], rel=0.03)
        assert one.running_p == pytest.approx(expected["rs_p_running_min"], rel=0.03)
        assert [one.running_low, one.running_high] == pytest.approx(
            expected["rs_ci_running_intersection"], abs=4e-4
        )


def share(n: int, x: int) -> Moments:
    return moments.summed(np.ones(n), np.arange(n) < x)


def test_information_that_is_deleted_buys_nothing() -> None:
    looks = course(design(), [(8, two(800, 0)), (9, two(1600, 0)), (10, two(1000, z_of(1000, 2.5)))])
    one = looks[2].primary[0]
    assert (one.information, one.most_information) == (pytest.approx(500), pytest.approx(800))
    assert one.p == pytest.approx(p_of(2.5, 2, users=1000), rel=1e-9)


def p_of(z: float, ratio: float, *, users: int) -> float:
    """The p-value of a difference between two arms of so many users, whose standard error is estimated."""
    from scipy.stats import norm, t

    return float(sequential.two_sided_p(norm.isf(t.sf(z, 2 * (users - 1))), ratio))


def test_few_users_of_one_arm_widen_the_interval_and_many_do_not() -> None:
    radius = float(sequential.two_sided_radius(1, 0.05))
    widths = []
    for users in (30, 3_000):
        sums = {
            ("control", "satisfaction"): once(5_000, 4.0),
            ("treatment", "satisfaction"): once(users, 4.1),
        }
        one = take(design(), sums, 8).primary[0]
        widths.append((one.high - one.difference) / one.se / radius)
    assert widths[0] == pytest.approx(1.08, abs=0.02)
    assert widths[1] == pytest.approx(1, abs=0.002)


def test_an_experiment_once_past_the_gate_stays_past_it() -> None:
    looks = course(design(), [(8, two(600, 0)), (9, two(400, 0.1))])
    assert looks[1].primary[0].eligible
    assert looks[1].primary[0].p is not None


def test_the_intervals_so_far_narrow_to_what_they_share() -> None:
    looks = course(
        design(), [(8, two(800, 0.05)), (9, two(900, 0.09)), (10, two(1000, -0.05)), (11, two(1e5, 1.5))]
    )
    rows = [each.primary[0] for each in looks]
    assert rows[1].running_low == rows[1].low
    assert rows[1].running_high == rows[0].high
    assert rows[2].running_high == rows[2].high
    assert (rows[3].running_low, rows[3].running_high) == (rows[2].running_low, rows[2].running_high)


# ---------------------------------------------------------------- several treatments, several metrics


def three(first: float, second: float, users: int = 900) -> Sums:
    gaps = {"control": 0.0, "treatment": first, "treatment_2": second}
    return {(name, "satisfaction"): once(users, 4 + z_of(users, z)) for name, z in gaps.items()}


def test_two_treatments_must_show_more_than_one_would() -> None:
    found = take(design(variants=THIRDS), three(2.9, 0.5), 8)
    one, other = found.primary
    assert one.p < 0.05 < one.holm_p
    assert one.holm_p == pytest.approx(2 * one.p)
    assert (one.state, found.verdict) == (State.NO_EVIDENCE, None)
    assert take(design(), two(900, z_of(900, 2.9)), 8).verdict is not None
    assert other.holm_p == pytest.approx(other.p)


def test_the_best_of_the_better_treatments_is_the_verdict() -> None:
    found = take(design(variants=THIRDS), three(4.0, 5.0), 8)
    assert (found.verdict.variant, found.verdict.direction) == ("treatment_2", Direction.BETTER)
    fewer = take(design(variants=THIRDS, primary="satisfaction"), three(-5.0, 4.0), 8)
    assert (fewer.verdict.variant, fewer.verdict.direction) == ("treatment_2", Direction.BETTER)


def test_worse_is_the_verdict_only_when_no_treatment_is_left() -> None:
    assert take(design(variants=THIRDS), three(-5.0, 0.2), 8).verdict is None
    found = take(design(variants=THIRDS), three(-5.0, -4.0), 8).verdict
    assert (found.direction, found.variant) == (Direction.WORSE, "treatment_2")


def test_a_treatment_proven_earlier_lends_its_share_of_the_error_to_the_other() -> None:
    looks = course(design(variants=THIRDS), [(8, three(2.9, 0.5)), (9, three(0.0, 3.6))])
    one, other = looks[1].primary
    assert (one.state, other.state) == (State.BETTER, State.BETTER)
    assert one.p > 0.05 > one.running_p
    assert looks[1].verdict.variant == "treatment_2"


def test_secondary_metrics_are_held_together_among_themselves_and_decide_nothing() -> None:
    terms = design(secondary=("thumbs_up_share", "error_rate"))
    sums = (
        dict(two(900, 0.0))
        | dict(two(900, z_of(900, 3.0), metric="thumbs_up_share"))
        | dict(two(900, z_of(900, 2.9), metric="error_rate"))
    )
    found = take(terms, sums, 8)
    primary, thumbs, errors = found.comparisons
    assert [one.role for one in found.comparisons] == [Role.PRIMARY, Role.SECONDARY, Role.SECONDARY]
    assert found.verdict is None
    assert primary.holm_p == primary.p
    assert thumbs.holm_p == pytest.approx(max(2 * thumbs.p, errors.p))
    assert errors.holm_p == pytest.approx(max(2 * thumbs.p, errors.p))
    assert thumbs.state is State.NO_EVIDENCE if thumbs.holm_p > 0.05 else State.BETTER
    alone = take(design(secondary=("thumbs_up_share",)), sums, 8)
    assert alone.comparisons[1].holm_p == alone.comparisons[1].p


def test_a_metric_that_nobody_gave_yet_counts_among_the_questions() -> None:
    sums = dict(two(900, 0.0)) | dict(two(900, z_of(900, 3.0), metric="thumbs_up_share"))
    found = take(design(secondary=("thumbs_up_share", "error_rate")), sums, 8)
    assert found.comparisons[1].holm_p == pytest.approx(2 * found.comparisons[1].p)
    assert found.comparisons[2].state is State.TOO_EARLY
    assert found.comparisons[2].holm_p is None


# ---------------------------------------------------------------- traffic


def test_users_who_do_not_follow_the_shares_block_a_verdict() -> None:
    found = take(design(), two(800, 0.5), 8, arrivals=(1000, 1200))
    assert found.mismatch.state is MismatchState.ALARM
    assert found.mismatch.counts == {"control": 1000, "treatment": 1200}
    assert found.mismatch.expected == {"control": 1100, "treatment": 1100}
    assert found.verdict is None
    assert found.primary[0].p < 0.05
    mended = take(design(), two(900, 0.5), 9, found, arrivals=(5000, 5000))
    assert mended.mismatch.p > 0.01 > mended.mismatch.running_p
    assert mended.verdict is None


def test_a_verdict_stays_when_traffic_breaks_later() -> None:
    decided = take(design(), two(800, 0.5), 8, arrivals=(1000, 1010))
    broken = take(design(), two(900, 0.5), 9, decided, arrivals=(1000, 1400))
    assert broken.mismatch.state is MismatchState.ALARM
    assert broken.verdict == decided.verdict is not None


def test_unequal_shares_are_no_mismatch_and_phases_are_tested_apart() -> None:
    found = take(design(variants=THIRDS), three(0, 0), 8, arrivals=(4000, 3010, 2990))
    assert found.mismatch.state is MismatchState.OK
    traffic = Traffic(
        {0: {"control": 950, "treatment": 50}, 1: {"control": 50, "treatment": 950}}, {}, 0, START
    )
    hidden = look(design(), [], traffic, None, START)
    assert hidden.mismatch.counts == {"control": 1000, "treatment": 1000}
    assert hidden.mismatch.state is MismatchState.ALARM
    assert hidden.mismatch.fixed_p < 1e-10


def test_a_ramp_alone_makes_no_difference() -> None:
    """Answers got worse from phase to phase for both variants alike; most of the treatment came late."""
    phases = {0: (9500, 500, 0.8), 1: (5000, 5000, 0.7)}
    observations = [
        Observation(phase, variant, "thumbs_up_share", share(n, round(n * rate)))
        for phase, (of_control, of_treatment, rate) in phases.items()
        for variant, n in (("control", of_control), ("treatment", of_treatment))
    ]
    traffic = Traffic({}, {0: 0.1, 1: 1.0}, 0, START)
    found = look(design(primary="thumbs_up_share"), observations, traffic, None, START + timedelta(days=9))
    one = found.primary[0]
    assert one.difference == pytest.approx(0, abs=1e-12)
    assert one.se == pytest.approx(0.010257, rel=1e-3)
    assert one.control.n + one.treatment.n == 20_000
    assert found.verdict is None
    again = look(
        design(primary="thumbs_up_share"), observations[::-1], traffic, None, START + timedelta(days=9)
    )
    assert again == found


def test_history_is_used_unless_the_design_says_no() -> None:
    rng = np.random.default_rng(1)
    known = rng.normal(0, 0.7, (2, 600))
    sums = {
        (name, "satisfaction"): moments.summed(np.ones(600), 4 + x + rng.normal(0, 0.5, 600), x)
        for name, x in zip(("control", "treatment"), known, strict=True)
    }
    floats = {key: Moments(*map(float, of)) for key, of in sums.items()}
    with_history, without = (take(design(prior=prior), floats, 8).primary[0].se for prior in (True, False))
    assert with_history < 0.7 * without


def test_history_alone_is_no_spread() -> None:
    """Nobody in the control reported an issue; what their history explains must not pass for a spread."""
    rng = np.random.default_rng(2)
    known = rng.normal(0, 1, (2, 900))
    treated = (known[1] + rng.normal(0, 1, 900) > 1).astype(float)
    terms = design(primary="issue_rate")
    sums = {
        ("control", "issue_rate"): moments.summed(np.ones(900), np.zeros(900), known[0]),
        ("treatment", "issue_rate"): moments.summed(np.ones(900), treated, known[1]),
    }
    found = take(terms, sums, 8)
    assert found.primary[0].se > 0
    assert not found.gate.passed
    assert found.verdict is None


# ---------------------------------------------------------------- a planned end


def planned(**terms: Any) -> Design:
    return design(method=Method.PLANNED_END, planned_days=28, **terms)


def test_boundaries_follow_the_days_that_have_passed_and_what_is_known() -> None:
    days = [7.5, 9.2, 14.0, 28.0]
    looks = course(planned(), [(day, two(100 * day, 0.0)) for day in days])
    share_passed = np.array(days) / 28
    expected = boundaries.critical_values(np.array(days), boundaries.spent_by(share_passed, 0.05))
    spendings = looks[-1].primary[0].spendings
    assert [each.critical for each in spendings] == pytest.approx(expected.tolist(), rel=1e-9)
    assert [each.share for each in spendings] == pytest.approx(share_passed.tolist())
    for found, critical in zip(looks, expected, strict=True):
        one = found.primary[0]
        assert one.high - one.low == pytest.approx(2 * critical * one.se, rel=1e-9)


def test_only_one_look_a_day_spends() -> None:
    steps = [(day, two(100 * day, 0.0)) for day in (8.0, 8.04, 8.5, 8.99, 9.01)]
    rows = [each.primary[0] for each in course(planned(), steps)]
    assert [len(each.spendings) for each in rows] == [1, 1, 1, 1, 2]
    radii = [(one.high - one.low) / (2 * one.se) for one in rows[:4]]
    assert radii == pytest.approx([radii[0]] * 4)


def test_looks_that_spend_nothing_decide_nothing() -> None:
    looks = course(planned(), [(8.0, two(800, 0.0)), (8.5, two(850, 0.9))])
    assert looks[1].verdict is None
    assert looks[1].primary[0].p == looks[0].primary[0].p
    later = take(planned(), two(900, 0.9), 9.1, looks[1])
    assert later.verdict.direction is Direction.BETTER


def test_the_verdict_comes_exactly_when_the_boundary_is_reached() -> None:
    before = course(planned(), [(8, two(800, 0.0)), (12, two(1200, 0.0))])
    critical = boundaries.critical_values([8, 12, 16], boundaries.spent_by(np.array([8, 12, 16]) / 28, 0.05))[
        -1
    ]
    below, above = (
        take(planned(), two(1600, z_of(1600, critical + e)), 16, before[-1]) for e in (-1e-3, 1e-3)
    )
    assert below.verdict is None
    assert below.primary[0].low < 0
    assert above.verdict.direction is Direction.BETTER
    assert above.primary[0].low > 0
    assert above.primary[0].p == pytest.approx(0.05, rel=0.02)


def test_after_the_planned_end_no_difference_was_shown_and_none_ever_will_be() -> None:
    steps = [(8.0, two(800, 0.0)), (28.0, two(2800, 0.01)), (40.0, two(40_000, 0.9))]
    looks = course(planned(), steps)
    assert [each.verdict is None for each in looks] == [True, False, False]
    assert looks[1].verdict.direction is Direction.NO_DIFFERENCE
    assert looks[2].verdict == looks[1].verdict
    assert looks[2].primary[0].difference == pytest.approx(0.9)
    assert looks[2].primary[0].state is State.NO_EVIDENCE


def test_an_end_that_comes_before_the_gate_waits_for_it_and_looks_once() -> None:
    looks = course(planned(), [(28.5, two(300, 0.5)), (33.0, two(520, z_of(520, 2.0)))])
    assert looks[0].verdict is None
    one = looks[1].primary[0]
    assert [each.critical for each in one.spendings] == pytest.approx([moments.Z_95])
    assert looks[1].verdict.direction is Direction.BETTER


def test_treatments_are_held_together_with_a_planned_end_too() -> None:
    terms = planned(variants=THIRDS)
    found = take(terms, three(2.4, 0.2), 28)
    assert found.primary[0].p == pytest.approx(2 * 0.0081975, rel=1e-3)
    assert found.primary[0].state is State.BETTER
    almost = take(terms, three(2.1, 0.2), 28)
    assert almost.verdict.direction is Direction.NO_DIFFERENCE
    assert almost.primary[0].p < 0.05 < almost.primary[0].holm_p


# ---------------------------------------------------------------- how long still


def test_the_days_left_grow_fewer_and_end_with_the_verdict() -> None:
    looks = course(design(), [(day, two(40 * day, 0.03)) for day in (2, 5, 15, 40, 60)])
    left = [each.days_left for each in looks]
    assert left == sorted(left, reverse=True)
    assert left[2] + 15 == pytest.approx(left[3] + 40, abs=1.5)
    assert take(design(), two(900, 0.5), 8).days_left is None


def test_days_left_see_the_smallest_effect_with_four_chances_in_five() -> None:
    days, users = 8, 100
    found = take(design(), two(users * days, 0.0), days)
    end = days + found.days_left
    t = np.arange(days, round(end) + 1) * users / 2
    drift = np.random.default_rng(2).normal(
        0.1 * np.diff(t, prepend=0), np.sqrt(np.diff(t, prepend=0)), (6000, len(t))
    )
    z = drift.cumsum(axis=1) / np.sqrt(t)
    seen = (np.abs(z) > sequential.two_sided_radius(t / t[0], 0.05)).any(axis=1).mean()
    assert seen == pytest.approx(0.8, abs=0.03)


def test_two_treatments_take_longer_than_one() -> None:
    one = take(design(), two(900, 0.0), 8).days_left
    assert take(design(variants=THIRDS), three(0.0, 0.0), 8).days_left > 1.1 * one > 0


def test_a_planned_end_tells_the_days_to_it() -> None:
    assert take(planned(), two(500, 0.0), 10).days_left == pytest.approx(18)
    assert take(planned(), {}, 30).days_left == 0


@pytest.mark.parametrize("sums", [{}, two(5, 0.0), {("control", "satisfaction"): once(900, 4)}])
def test_what_cannot_be_foreseen_is_not_told(sums: Sums) -> None:
    assert take(design(), sums, 3).days_left is None
    assert look(design(), [], Traffic({}, {}, 0, None), None, START).days_left is None


# ---------------------------------------------------------------- whatever happens


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.3, 3), st.integers(1, 900), st.floats(-0.4, 0.4)), min_size=2, max_size=6),
    st.sampled_from([Method.ALWAYS_VALID, Method.PLANNED_END]),
)
def test_running_figures_only_grow_surer_and_a_verdict_never_changes(steps, method: Method) -> None:
    terms = design(method=method, planned_days=14, minimum_samples=400, secondary=("thumbs_up_share",))
    day, users, previous = 0.0, 10, None
    for pause, more, difference in steps:
        day, users = day + pause * 2, users + more
        sums = dict(two(users, difference)) | dict(two(users, -difference, metric="thumbs_up_share"))
        found = take(terms, sums, day, previous)
        assert take(terms, dict(reversed(sums.items())), day, previous) == found
        assert LOOK.validate_json(LOOK.dump_json(found)) == found
        for one, before in zip(
            found.comparisons, previous.comparisons if previous else (), strict=bool(previous)
        ):
            if before.running_p is not None:
                assert one.running_p <= before.running_p
                assert one.holm_p <= before.holm_p
                assert one.running_low >= before.running_low
                assert one.running_high <= before.running_high
            if before.state in (State.BETTER, State.WORSE):
                assert one.state is before.state
        if previous and previous.verdict:
            assert found.verdict == previous.verdict
        previous = found


# ---------------------------------------------------------------- terms


def test_a_design_goes_through_json_and_back() -> None:
    terms = planned(secondary=("error_rate",), variants=THIRDS)
    assert DESIGN.validate_json(DESIGN.dump_json(terms)) == terms


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"variants": VARIANTS[:1]}, "variants"),
        ({"variants": VARIANTS[1:] * 2}, "variants"),
        ({"variants": (VARIANTS[0], replace(VARIANTS[1], share=0.4))}, "variants"),
        ({"variants": (replace(VARIANTS[0], share=1.0), replace(VARIANTS[1], share=0.0))}, "variants"),
        ({"primary": "joy"}, "primary"),
        ({"secondary": ("satisfaction",)}, "secondary"),
        ({"significance": 0.0}, "significance"),
        ({"minimum_samples": 0}, "minimum_samples"),
        ({"minimum_raters": 1}, "minimum_raters"),
        ({"minimum_hours": 0}, "minimum_hours"),
        ({"smallest_effect": 0.0}, "smallest_effect"),
        ({"icc": 1.0}, "icc"),
        ({"traffic": 0.0}, "traffic"),
        ({"method": Method.PLANNED_END}, "planned_days"),
    ],
)
def test_terms_that_contradict_each_other_are_refused(terms: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        design(**terms)
    assert refused.value.field == field
