from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from learning_core.experiments.statistics import moments
from learning_core.experiments.statistics.moments import Arm
from learning_core.feedback import intervals
from learning_core.feedback.intervals import Estimate
from learning_core.releases import impact
from learning_core.releases.impact import IMPACT, Change, Comparison, Direction, Figure, Impact, Period, Way
from learning_core.schema import IssueCategory


def arm(n: list[int], s: list[float]) -> Arm:
    return moments.arm(moments.summed(n, s))


def test_every_issue_category_is_followed() -> None:
    assert set(impact.ISSUES) == {issue.value for issue in IssueCategory}


def test_a_share_of_users_who_react_once_has_wilsons_interval() -> None:
    found = impact.figure("issue_rate", arm([1] * 400, [1] * 40 + [0] * 360))
    wilson = intervals.share(40, 400)
    assert found
    assert wilson
    # The clustered variance has G/(G-1), and Student's quantile stands in for the normal one.
    assert (found.value, found.n, found.users) == (0.1, 400, 400)
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=5e-4)


def test_many_reactions_of_the_same_users_make_an_interval_wider() -> None:
    alike = impact.figure("issue_rate", arm([10] * 40, [10] * 4 + [0] * 36))
    mixed = impact.figure("issue_rate", arm([10] * 40, [0, 1, 2, 1] * 10))
    assert alike
    assert mixed
    assert alike.value == mixed.value == 0.1
    assert alike.high - alike.low > 2 * (mixed.high - mixed.low)
    independent = intervals.share(40, 400)  # users who differ less than by chance make it no narrower
    assert independent
    assert mixed.high - mixed.low >= independent.high - independent.low


def test_what_nobody_reported_is_not_known_to_never_happen() -> None:
    found = impact.figure("issue_tone", arm([5] * 30, [0] * 30))
    assert found
    assert found.low == 0.0
    assert found.high == pytest.approx(0.122, abs=0.002)  # rests on 30 people, not on 150 reactions


def test_equal_ratings_of_a_few_people_leave_room() -> None:
    found = impact.figure("satisfaction", arm([1] * 5, [5] * 5))
    assert found
    assert found.high == 5.0
    assert found.low < 4.5


def test_one_user_says_nothing_of_others() -> None:
    assert impact.figure("satisfaction", arm([50], [200])) is None
    assert impact.figure("satisfaction", arm([], [])) is None


def test_intervals_of_clustered_shares_hold_the_truth() -> None:
    """At least 93 of 100 for 95 %, in 600 simulated A/A releases with an intra-class correlation of 0.2."""
    rng = np.random.default_rng(4)
    level, change = [], []
    for _ in range(600):
        sides = []
        for _ in range(2):
            share, n = rng.beta(0.4, 3.6, 60), 1 + rng.poisson(2, 60)
            sides.append(moments.arm(moments.summed(n, rng.binomial(n, share))))
        found = impact.change("issue_rate", *sides)
        assert found.before
        assert found.difference
        level.append(found.before.low <= 0.1 <= found.before.high)
        change.append(found.difference.low <= 0 <= found.difference.high)
    assert 0.93 <= np.mean(level) <= 0.99
    assert 0.93 <= np.mean(change) <= 0.99


def test_phases_are_compared_with_themselves_alone() -> None:
    """In both phases the new version does as well as the old; the crowd of the second phase is happier."""
    phases = [
        (moments.summed([1] * 100, [0] * 80 + [1] * 20), moments.summed([1] * 50, [0] * 40 + [1] * 10)),
        (moments.summed([1] * 100, [0] * 20 + [1] * 80), moments.summed([1] * 400, [0] * 80 + [1] * 320)),
    ]
    found = impact.change("thumbs_up_share", *impact.stratified(phases))
    assert found.difference
    assert found.difference.value == pytest.approx(0)
    assert found.before
    assert found.before.n == 200


def test_a_phase_that_only_one_side_knows_counts_for_nothing() -> None:
    nobody = moments.summed([], [])
    phases = [
        (moments.summed([1] * 20, [1] * 10 + [0] * 10), moments.summed([1] * 20, [1] * 10 + [0] * 10)),
        (moments.summed([1] * 20, [1] * 20), nobody),
    ]
    found = impact.change("thumbs_up_share", *impact.stratified(phases))
    assert found.before
    assert found.before.value == 0.5


def change(metric: str, before: float, after: float, low: float, high: float) -> Change:
    sides = [Figure(value, value - 0.02, value + 0.02, 500, 200) for value in (before, after)]
    return Change(metric, *sides, Estimate(after - before, low, high, 1000))


@pytest.mark.parametrize(
    ("metric", "low", "high", "direction"),
    [
        ("issue_rate", -0.08, -0.02, Direction.BETTER),
        ("issue_rate", 0.02, 0.08, Direction.WORSE),
        ("thumbs_up_share", 0.02, 0.08, Direction.BETTER),
        ("satisfaction", -0.3, -0.1, Direction.WORSE),
        ("satisfaction", -0.3, 0.1, Direction.UNCLEAR),
    ],
)
def test_a_change_counts_once_chance_is_ruled_out(
    metric: str, low: float, high: float, direction: Direction
) -> None:
    assert change(metric, 0.5, 0.5, low, high).direction is direction


def test_what_was_measured_side_by_side_goes_before_the_calendar() -> None:
    at = datetime(2026, 5, 1, tzinfo=UTC)
    period = Period("v1", at, at)
    proof = Comparison(Way.SIDE_BY_SIDE, period, period, (change("issue_rate", 0.12, 0.07, -0.08, -0.02),))
    calendar = Comparison(
        Way.BY_CALENDAR,
        period,
        period,
        (change("issue_rate", 0.2, 0.1, -0.2, 0.0), change("satisfaction", 4.0, 4.2, 0.1, 0.3)),
    )
    found = Impact(proof, calendar)
    best = found.best("issue_rate")
    assert best
    assert best[0].way is Way.SIDE_BY_SIDE
    best = found.best("satisfaction")
    assert best
    assert best[0].way is Way.BY_CALENDAR
    assert found.best("issue_tone") is None
    assert IMPACT.validate_json(IMPACT.dump_json(found)) == found


def test_a_sentence_says_what_it_was_what_it_is_and_how_sure() -> None:
    told = impact.sentence(change("issue_incorrect", 0.12, 0.07, -0.08, -0.02))
    assert told == "reported as incorrect: 12 % before, 7 % since (5 % to 9 %)"
    empty = Change("issue_incorrect", None, None, None)
    assert impact.sentence(empty) == "reported as incorrect: too little feedback to compare"


def test_a_basis_tells_proof_from_a_comparison_of_two_times() -> None:
    found = change("issue_incorrect", 0.12, 0.07, -0.08, -0.02)
    began, start, end = (datetime(2026, month, 3, tzinfo=UTC) for month in (4, 5, 6))
    before, after = Period("v1", began, start), Period("v2", start, end)
    assert impact.basis(Comparison(Way.SIDE_BY_SIDE, after, after, (found,)), found) == (
        "Measured side by side, 03 May to 03 Jun 2026: 500 reactions of 200 people with the version before, "
        "500 reactions of 200 people with this one, at the same time and chosen by lot."
    )
    assert impact.basis(Comparison(Way.BY_CALENDAR, before, after, (found,)), found) == (
        "The time before, from 03 Apr 2026 on, compared with 03 May to 03 Jun 2026: 500 reactions of 200"
        " people, then 500 reactions of 200 people. Other things may have changed too."
    )
