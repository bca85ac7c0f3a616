from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from learning_core.feedback import intervals, metrics
from learning_core.feedback.collect import collect
from learning_core.feedback.executions import record
from learning_core.feedback.metrics import ESTIMATES, Metrics
from learning_core.feedback.queries import Window
from tests.factories import execution, feedback

TODAY = datetime(2026, 3, 10, 12, tzinfo=UTC)
WEEK = Window.last(7, TODAY.date())
BEFORE = TODAY - timedelta(days=8)


def served(n: int, **overrides) -> list:
    return [execution(execution_id=f"e{i}", created_at=TODAY, **overrides) for i in range(n)]


def said(*reactions: dict, at: datetime = TODAY, agent: str = "tax-advisor") -> list:
    return [
        feedback(execution_id=f"{at:%d}-{agent}-{n}", agent_id=agent, created_at=at, **reaction)
        for n, reaction in enumerate(reactions)
    ]


def test_nothing_counted_is_no_figure_and_not_zero(transaction):
    with transaction() as session:
        measured = metrics.measure(session, None, WEEK)
    assert measured == Metrics(0, 0, None, None, None, None, None, None, None, None)


def test_each_metric_is_its_share_of_what_was_counted(transaction):
    reactions = said(
        {"feedback_type": "thumbs_up"},
        {"feedback_type": "thumbs_down", "issue_categories": ["tone", "other"]},
        {"feedback_type": "star_rating", "rating": 5},
        {"feedback_type": "star_rating", "rating": 2, "correction_text": "No."},
    )
    answers = [execution(created_at=TODAY, latency_ms=100.0 * (n + 1), cost_usd="0.25") for n in range(9)]
    answers.append(execution(created_at=TODAY, error="It broke.", latency_ms=None, cost_usd=None))
    with transaction() as session:
        record(session, answers)
        collect(session, reactions, "api")
        measured = metrics.measure(session, "tax-advisor", WEEK)
    assert measured == Metrics(
        feedback_count=4,
        execution_count=10,
        feedback_rate=intervals.share(4, 10),
        satisfaction=intervals.mean_of_levels([0, 1, 0, 0, 1]),
        thumbs_up_share=intervals.share(1, 2),
        correction_rate=intervals.share(1, 4),
        issue_rate=intervals.share(1, 4),
        error_rate=intervals.share(1, 10),
        latency_ms=pytest.approx(500),
        cost_usd=pytest.approx(0.25),
    )


def test_more_feedback_than_answers_gives_no_rate(transaction):
    with transaction() as session:
        record(session, served(1))
        collect(session, said({}, {}), "api")
        assert metrics.measure(session, None, WEEK).feedback_rate is None


def test_agents_and_days_outside_are_not_counted(transaction):
    with transaction() as session:
        collect(session, said({}), "api")
        collect(session, said({}, {}, at=BEFORE), "api")
        collect(session, said({}, {}, {}, agent="other"), "api")
        assert metrics.measure(session, "tax-advisor", WEEK).feedback_count == 1
        assert metrics.measure(session, "tax-advisor", WEEK.before()).feedback_count == 2
        assert metrics.measure(session, None, WEEK).feedback_count == 4


def test_a_change_is_the_difference_of_both_windows_where_both_counted(transaction):
    with transaction() as session:
        collect(session, said({"rating": 5}, {"rating": 4}), "api")
        collect(session, said({"rating": 2}, {"rating": 1}, {"rating": 3}, at=BEFORE), "api")
        now, before = (metrics.measure(session, None, when) for when in (WEEK, WEEK.before()))
    changed = metrics.changes(now, before)
    assert set(changed) == set(ESTIMATES)
    assert changed["satisfaction"] == intervals.difference(now.satisfaction, before.satisfaction)
    assert changed["satisfaction"].value == pytest.approx(2.5)
    assert changed["error_rate"] is None


def test_each_prompt_version_has_figures_of_its_own(transaction):
    entries = [
        feedback(execution_id=f"{version}-{n}", rating=rating, created_at=TODAY - timedelta(days=days_ago))
        for version, ratings, days_ago in (("v2", (5, 4), 0), ("v1", (1,), 3))
        for n, rating in enumerate(ratings)
    ]
    with transaction() as session:
        record(
            session,
            [
                execution(execution_id=entry.execution_id, prompt_version=entry.execution_id[:2])
                for entry in entries
            ],
        )
        collect(session, entries, "api")
        found = metrics.by_version(session, "tax-advisor", WEEK)
    assert list(found) == ["v1", "v2"]
    assert found["v2"]["satisfaction"] == intervals.mean_of_levels([0, 0, 0, 1, 1])
    assert found["v1"]["thumbs_up_share"] == intervals.share(1, 1)
    assert set(found["v1"]) == {"satisfaction", "thumbs_up_share", "correction_rate", "issue_rate"}


def test_issues_are_those_that_occurred_with_their_share_and_its_change(transaction):
    with transaction() as session:
        collect(
            session,
            said({"issue_categories": ["tone", "unclear"]}, {"issue_categories": ["tone"]}, {}, {}),
            "api",
        )
        collect(session, said({"issue_categories": ["tone"]}, {}, at=BEFORE), "api")
        tone, unclear = metrics.issues(session, "tax-advisor", WEEK)
    assert (tone.category, tone.count, tone.share) == ("tone", 2, intervals.share(2, 4))
    assert tone.change == intervals.difference(intervals.share(2, 4), intervals.share(1, 2))
    assert (unclear.category, unclear.count, unclear.change.value) == ("unclear", 1, 0.25)


def test_issues_without_a_window_before_have_no_change(transaction):
    with transaction() as session:
        collect(session, said({"issue_categories": ["tone"]}), "api")
        assert [issue.change for issue in metrics.issues(session, None, WEEK)] == [None]


def test_no_feedback_is_no_issues(transaction):
    with transaction() as session:
        assert metrics.issues(session, None, WEEK) == []
