from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from learning_core.feedback import executions, intervals, queries, trends
from learning_core.feedback.collect import collect
from learning_core.feedback.intervals import Estimate
from learning_core.feedback.queries import Window
from tests.factories import execution, feedback

Transaction = Callable[[], AbstractContextManager[Session]]

MONTH = Window(date(2026, 1, 1), date(2026, 1, 30))
QUARTER = Window(date(2026, 1, 1), date(2026, 3, 31))


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def rate(session: Session, agent: str, day: date, *ratings: int, **more: object) -> None:
    entries = [
        feedback(agent_id=agent, feedback_type="star_rating", rating=rating, created_at=noon(day), **more)
        for rating in ratings
    ]
    collect(session, entries, "import")


def test_short_windows_have_a_row_per_day_and_agent(transaction: Transaction) -> None:
    with transaction() as session:
        rate(session, "quiet", date(2026, 1, 10), 2)
        rate(session, "loud", date(2026, 1, 10), 4, 4)
        rate(session, "loud", date(2026, 1, 12), 5)
        found = trends.by_period(session, None, MONTH)
    assert found[["agent", "last_day", "satisfaction", "rating_count"]].values.tolist() == [
        ["loud", date(2026, 1, 10), 4.0, 2],
        ["loud", date(2026, 1, 12), 5.0, 1],
        ["quiet", date(2026, 1, 10), 2.0, 1],
    ]


def test_the_week_sums_up_seven_days_also_before_the_window(transaction: Transaction) -> None:
    with transaction() as session:
        rate(session, "one", date(2025, 12, 26), 1)
        rate(session, "one", date(2025, 12, 27), 2)
        rate(session, "one", date(2026, 1, 2), 4)
        found = trends.by_period(session, "one", MONTH)
    assert found[["last_day", "week_satisfaction", "week_count"]].values.tolist() == [
        [date(2026, 1, 2), 3.0, 2]
    ]


def test_long_windows_have_a_row_per_week_counted_back_from_their_end(transaction: Transaction) -> None:
    with transaction() as session:
        rate(session, "one", date(2026, 3, 31), 5)
        rate(session, "one", date(2026, 3, 25), 3)
        rate(session, "one", date(2026, 3, 24), 1)
        found = trends.by_period(session, "one", QUARTER)
    assert found[["first_day", "last_day", "satisfaction", "week_satisfaction"]].values.tolist() == [
        [date(2026, 3, 18), date(2026, 3, 24), 1.0, 1.0],
        [date(2026, 3, 25), date(2026, 3, 31), 4.0, 4.0],
    ]


def test_agents_beyond_the_first_eight_are_taken_together(transaction: Transaction) -> None:
    with transaction() as session:
        for number in range(10):
            rate(session, f"agent-{number}", date(2026, 1, 10), *[3] * (20 - number))
        found = trends.by_period(session, None, MONTH)
        together = trends.all_agents_by_period(session, MONTH)
    assert found["agent"].isna().tolist() == [False] * 8 + [True]
    assert found["feedback_count"].iloc[-1] == 12 + 11
    assert together["feedback_count"].tolist() == [sum(range(11, 21))]


def test_nothing_rated_leaves_satisfaction_missing(transaction: Transaction) -> None:
    with transaction() as session:
        collect(session, [feedback(created_at=noon(date(2026, 1, 10)))], "import")
        found = trends.by_period(session, None, MONTH)
    assert found["satisfaction"].isna().all()
    assert found["week_count"].tolist() == [0]


def test_empty_windows_have_the_same_columns(transaction: Transaction) -> None:
    with transaction() as session:
        empty = trends.by_period(session, None, MONTH)
        rate(session, "one", date(2026, 1, 10), 4)
        full = trends.by_period(session, None, MONTH)
        assert trends.by_agent(session, Window(date(2020, 1, 1), date(2020, 1, 2))).empty
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_agents_are_ranked_by_feedback_and_know_their_top_issue(transaction: Transaction) -> None:
    with transaction() as session:
        rate(session, "one", date(2026, 1, 10), 4)
        rate(session, "two", date(2026, 1, 2), 2, 3, issue_categories=["tone"])
        rate(session, "two", date(2026, 1, 20), 5)
        found = trends.by_agent(session, MONTH)
    assert found[["rank", "agent", "feedback_count", "trend"]].values.tolist() == [
        [1, "two", 3, [2.5, 5.0]],
        [2, "one", 1, [4.0]],
    ]
    assert found["top_issue"].tolist()[0] == "tone"
    assert found["top_issue"].isna().tolist() == [False, True]


def test_improvement_compares_the_two_newest_rated_versions(transaction: Transaction) -> None:
    with transaction() as session:
        for version, day, rating in (("v1", 1, 1), ("v2", 5, 2), ("v3", 9, 3)):
            keys = [f"{version}-{number}" for number in range(10)]
            given = [execution(execution_id=key, prompt_version=version, agent_id="one") for key in keys]
            executions.record(session, given)
            for key in keys:
                rate(session, "one", date(2026, 1, day), rating, execution_id=key)
        (found,) = trends.prompt_improvements(session, MONTH)
    assert (found.agent, found.version_before, found.version) == ("one", "v2", "v3")
    assert found.change.value == pytest.approx(0.5)
    after, before = (intervals.mean_of_levels(counts) for counts in ([0, 0, 10, 0, 0], [0, 10, 0, 0, 0]))
    assert found.change.low == pytest.approx(intervals.difference(after, before).low / 2)


def test_one_version_is_no_improvement(transaction: Transaction) -> None:
    with transaction() as session:
        rate(session, "one", date(2026, 1, 10), 4)
        assert trends.prompt_improvements(session, MONTH) == []


def test_a_bad_day_stands_out_and_a_good_one_does_not(transaction: Transaction) -> None:
    with transaction() as session:
        for offset in range(20):
            rate(session, "one", date(2026, 1, 1) + timedelta(days=offset), *[4, 5] * 5)
        rate(session, "one", date(2026, 1, 25), *[1, 2] * 10)
        rate(session, "one", date(2026, 1, 26), *[5] * 20)
        found = trends.standouts(session, None, MONTH)
    assert [(day.day, day.agent, day.measure) for day in found] == [
        (date(2026, 1, 25), "one", "satisfaction")
    ]
    assert found[0].value.n == 20
    assert found[0].usual == pytest.approx((20 * 45 + 30 + 100) / 240)


def test_a_day_of_errors_stands_out(transaction: Transaction) -> None:
    with transaction() as session:
        for offset in range(20):
            at = noon(date(2026, 1, 1) + timedelta(days=offset))
            fails = offset == 12
            executions.record(
                session, [execution(created_at=at, error="down" if fails else None) for _ in range(20)]
            )
        found = trends.standouts(session, None, MONTH)
    assert [(day.day, day.measure) for day in found] == [(date(2026, 1, 13), "error_rate")]


@pytest.mark.parametrize(
    ("low", "high", "standing"), [(0.21, 0.3, "met"), (0.1, 0.19, "missed"), (0.1, 0.3, "open")]
)
def test_a_target_inside_the_interval_is_open(low: float, high: float, standing: str) -> None:
    assert trends.standing(Estimate((low + high) / 2, low, high, 9), 0.2) == standing


def test_a_change_counts_once_its_interval_leaves_zero_out() -> None:
    assert trends.is_beyond_chance(Estimate(0.2, 0.1, 0.3, 50))
    assert not trends.is_beyond_chance(Estimate(0.2, -0.1, 0.5, 50))


def test_comments_know_whether_they_complain(transaction: Transaction) -> None:
    at = noon(date(2026, 1, 10))
    with transaction() as session:
        collect(
            session,
            [
                feedback(id="praise", feedback_text="fine", created_at=at),
                feedback(id="down", feedback_text="no", feedback_type="thumbs_down", created_at=at),
                feedback(id="low", feedback_text="meh", rating=2, created_at=at),
                feedback(id="issue", feedback_text="rude", issue_categories=["tone"], created_at=at),
                feedback(id="silent", rating=1, created_at=at),
            ],
            "import",
        )
        found = queries.comments(session, None, MONTH).set_index("id")["is_complaint"].to_dict()
    assert found == {"praise": False, "down": True, "low": True, "issue": True}


def test_a_change_needs_ten_observations_before_to_mean_something() -> None:
    now = Estimate(0.5, 0.4, 0.6, 100)
    assert trends.is_comparable(Estimate(0.1, 0.0, 0.2, 110), now)
    assert not trends.is_comparable(Estimate(0.1, 0.0, 0.2, 109), now)
