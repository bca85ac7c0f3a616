from __future__ import annotations

from datetime import date, datetime, timedelta
from statistics import mean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from learning_core.feedback import executions
from learning_core.feedback.collect import collect
from learning_core.feedback.queries import Window
from learning_core.prompts import figures
from learning_core.prompts.figures import mean_of_days
from tests.factories import execution, feedback

TODAY = date(2026, 6, 30)
WINDOW = Window.last(30, TODAY)


def at(days_ago: int) -> datetime:
    return datetime(2026, 6, 30, 12) - timedelta(days=days_ago)


@pytest.fixture
def report(transaction):
    def one(version, days_ago=0, **more):
        with transaction() as session:
            entry = execution(prompt_version=version, created_at=at(days_ago), **more)
            executions.record(session, [entry])
            return entry.execution_id

    return one


def test_days_of_equal_counts_give_the_interval_of_their_means():
    means = [100.0, 120.0, 95.0, 130.0]
    found = mean_of_days([(7, 7 * value) for value in means])
    low, high = stats.t.interval(0.95, 3, mean(means), stdev(means) / 2)
    assert (found.value, found.low, found.high) == pytest.approx((mean(means), low, high), rel=2e-3)
    assert found.n == 28


def test_unequal_days_weigh_by_their_answers():
    # Cochran's variance of a ratio by hand: R = 90 / 9 = 10, residuals 10 - 10 and 80 - 80 and 0 - 0
    assert mean_of_days([(1, 10.0), (8, 80.0)])[:3] == pytest.approx((10, 10, 10))
    # R = 12 / 4 = 3; residuals 3 and -3; variance 2 / 1 * 18 / 16; t with one degree of freedom 12.7062
    assert mean_of_days([(1, 6.0), (3, 6.0)])[:3] == pytest.approx((3, 0, 3 + 12.7062 * 1.5), rel=1e-4)


def test_one_day_has_a_mean_and_no_interval():
    assert mean_of_days([(0, 0.0), (4, 10.0)]) == (2.5, None, None, 4)
    assert mean_of_days([(0, 0.0)]) is None
    assert mean_of_days([]) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1e6)), min_size=2, max_size=40))
def test_the_interval_holds_the_mean_and_more_confidence_makes_it_wider(days):
    narrow, wide = mean_of_days(days, 0.8), mean_of_days(days, 0.99)
    assert 0 <= wide.low <= narrow.low <= narrow.value <= narrow.high <= wide.high


def test_figures_are_of_one_version_or_of_all(report, transaction):
    for days_ago in range(4):
        report("v1", days_ago, latency_ms=100.0, cost_usd="0.01")
        report("v2", days_ago, latency_ms=300.0, cost_usd="0.03")
    failed = report("v2", error="timeout", latency_ms=None, cost_usd=None)
    report("v2", 31, latency_ms=10_000.0)
    said = feedback(
        execution_id=failed,
        rating=1,
        feedback_type="report_issue",
        issue_categories=["other"],
        created_at=at(0),
    )
    with transaction() as session:
        collect(session, [said], "api")
        all_of_it = figures.overall(session, "tax-advisor", WINDOW)
        first, second = (figures.of_version(session, "tax-advisor", key, WINDOW) for key in ("v1", "v2"))
        none = figures.of_version(session, "tax-advisor", "v9", WINDOW)
    assert all_of_it.latency_ms[:3] == pytest.approx((200, 200, 200))
    assert (first.latency_ms.value, second.latency_ms.value) == (100, 300)
    assert second.cost_usd.value == pytest.approx(0.03)
    assert (first.error_rate.value, second.error_rate) == (0, second.error_rate)
    assert (second.error_rate.value, second.error_rate.n) == (0.2, 5)
    assert (first.feedback_count, second.feedback_count, all_of_it.feedback_count) == (0, 1, 1)
    assert (second.satisfaction.value, second.issue_rate.value, first.satisfaction) == (1, 1, None)
    assert (none.execution_count, none.latency_ms, none.error_rate) == (0, None, None)
    told = second.told()
    assert told["latency_ms"] == {"value": 300, "low": 300, "high": 300, "n": 4}
    assert told["thumbs_up_share"] is None


def test_the_version_reported_last_is_the_newest_one_in_use(report, transaction):
    def newest():
        with transaction() as session:
            return figures.newest_reported(session, "tax-advisor", WINDOW)

    assert newest() is None
    report(None)
    assert newest() is None
    report("v1", 20)
    report("v2", 5)
    assert newest() == "v2"
    report("v1", 4)
    assert newest() == "v1"
    report("v2", 4)
    assert newest() == "v2"
