from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from learning_core.errors import NotFound
from learning_core.experiments import habits
from learning_core.experiments.habits import Habits
from learning_core.experiments.statistics.planning import Raters
from learning_core.feedback import executions
from learning_core.feedback.collect import collect
from tests.factories import execution, feedback

NOW = datetime(2026, 3, 1, tzinfo=UTC)
AGENT = "tax-advisor"


@pytest.fixture
def seen(transaction: Callable[..., Any]) -> Callable[[str], Habits]:
    """Let three users rate: one twice, one long ago, one without a name; and return what is counted of it."""
    with transaction() as session:
        for number, (user, rating, days, error) in enumerate(
            [
                ("ada", 5, 1, None),
                ("ada", 4, 2, None),
                ("bo", 2, 3, "down"),
                ("bo", 1, 40, None),
                (None, 1, 1, None),
            ]
        ):
            at = NOW - timedelta(days=days)
            given = {"execution_id": f"e{number}", "created_at": at, "user_id": user}
            executions.record(session, [execution(**given, error=error, latency_ms=100.0 * (number + 1))])
            collect(session, [feedback(**given, feedback_type="star_rating", rating=rating)], "import")

    def count(metric: str) -> Habits:
        with transaction() as session:
            return habits.habits_of(session, AGENT, metric, NOW)

    return count


def test_ratings_of_the_last_weeks_are_counted_by_user(seen: Callable[[str], Habits]) -> None:
    found = seen("satisfaction")
    assert (found.days, found.users, found.observations) == (28, 2, 3)
    assert found.raters is not None
    assert (found.raters.raters, found.raters.ratings_per_rater) == (2, 1.5)
    assert found.raters.mean == pytest.approx(11 / 3)
    assert found.raters.sd == pytest.approx(1.5275, abs=1e-4)


def test_answers_are_counted_like_ratings(seen: Callable[[str], Habits]) -> None:
    found = seen("error_rate")
    assert found.observations == 3
    assert found.raters is not None
    assert found.raters.mean == pytest.approx(1 / 3)
    latency = seen("latency_ms")
    assert latency.raters is not None
    assert latency.raters.mean == pytest.approx(200)


def test_what_nobody_gave_leaves_the_raters_unknown(seen: Callable[[str], Habits]) -> None:
    assert seen("thumbs_up_share") == Habits(28, 2, 0, None)
    assert seen("slow_share").raters is None


def test_an_agent_nobody_has_heard_of_is_not_found(transaction: Callable[..., Any]) -> None:
    with transaction() as session, pytest.raises(NotFound):
        habits.habits_of(session, "nobody", "satisfaction", NOW)


def test_a_plan_starts_from_the_traffic_and_from_the_share_that_takes_part() -> None:
    found = Habits(28, 3000, 17_000, Raters(2400, 7.1, 1.2, 0.7, 0.45, -0.01))
    plan = habits.plan_of(found, 0.05, treatment_share=0.1, traffic=0.5, is_share=True)
    assert plan is not None
    assert plan.traffic.ratings_per_day == pytest.approx(17_000 / 28 / 2)
    assert plan.traffic.raters_per_day == pytest.approx(2400 / 28 / 2)
    assert (plan.traffic.treatment_share, plan.traffic.icc, plan.sd) == (0.1, 0.0, None)
    assert habits.plan_of(Habits(28, 5, 0, None), 0.05) is None
