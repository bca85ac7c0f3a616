"""An agent's own users, split by chance again and again."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from learning_core import db
from learning_core.errors import InvalidInput, NotEnoughData
from learning_core.experiments.simulation import daily
from learning_core.experiments.simulation.repetition import simulate
from learning_core.experiments.simulation.replay import Replay
from learning_core.experiments.simulation.scenarios import Scenario
from learning_core.feedback.collect import collect, withdraw
from learning_core.feedback.entries import ExecutionEntry, FeedbackEntry
from learning_core.feedback.executions import record


def recorded(metric="thumbs_up_share", **changed):
    """What the users of one made-up experiment left, day by day."""
    streams = Scenario(days=28).draw(1, np.random.default_rng(12))
    cell, row = np.unique(streams.user * 28 + streams.day, return_inverse=True)
    user, day = np.divmod(cell, 28)
    user = np.unique(user, return_inverse=True)[1]
    n, s = np.bincount(row).astype(float), np.bincount(row, streams.s)
    return Replay(metric, user, day, n, s, 28, **changed)


def test_every_experiment_has_as_many_users_each_with_all_they_left():
    source = recorded(treatment_share=0.3)
    streams = source.draw(4, np.random.default_rng(1))
    assert np.bincount(streams.experiment).tolist() == [source.users] * 4
    assert streams.treated.mean() == pytest.approx(0.3, abs=0.02)
    theirs = {
        tuple(zip(source.day[of], source.n[of], source.s[of], strict=True))
        for of in (source.user == user for user in range(source.users))
    }
    for user in range(0, len(streams.experiment), 97):
        of = streams.user == user
        assert tuple(zip(streams.day[of], streams.n[of], streams.s[of], strict=True)) in theirs
        assert streams.arrived[user] == streams.day[of].min()


@pytest.mark.parametrize("effect", [0.08, -0.2])
def test_an_effect_on_a_share_turns_thumbs_of_the_treated_only(effect):
    streams = recorded(effect=effect).draw(30, np.random.default_rng(1))
    treated = streams.treated[streams.user]
    means = [streams.s[of].sum() / streams.n[of].sum() for of in (~treated, treated)]
    assert means[0] == pytest.approx(recorded().base, abs=0.01)
    assert means[1] - means[0] == pytest.approx(effect, abs=0.015)
    assert (streams.s <= streams.n).all()
    assert (streams.s >= 0).all()


def test_an_effect_on_a_mean_is_added_to_each_rating():
    streams = recorded("satisfaction", effect=0.25).draw(2, np.random.default_rng(1))
    plain = recorded("satisfaction").draw(2, np.random.default_rng(1))
    added = np.where(streams.treated[streams.user], 0.25 * streams.n, 0.0)
    assert streams.s == pytest.approx(plain.s + added)


def test_without_a_difference_few_are_decided():
    outcome = simulate(recorded(), experiments=150, seed=3)
    assert outcome.decided().value <= 0.07
    assert simulate(recorded(effect=0.12), experiments=50, seed=3).decided().value > 0.9


@pytest.mark.parametrize("changed", [{"effect": 0.5}, {"treatment_share": 1.0}])
def test_what_cannot_be_is_refused(changed):
    with pytest.raises(InvalidInput):
        recorded(**changed)


# ---------------------------------------------------------------- from the database

NOW = datetime(2026, 5, 29, 12, tzinfo=UTC)


def left(user, days_ago, kind="thumbs_up", number=0, agent="tax"):
    key = f"{agent}-{user}-{days_ago}-{number}"
    return FeedbackEntry(
        id=key,
        execution_id=f"e-{key}",
        agent_id=agent,
        feedback_type=kind,
        rating=4 if kind == "star_rating" else None,
        user_id=user,
        created_at=NOW - timedelta(days=days_ago),
    )


@pytest.fixture
def rated(organization):
    """An agent with 120 users, each with a thumb three and a half days ago; some have done more."""
    entries = [left(f"u{user:03}", 3.5) for user in range(120)]
    entries += [
        left("u007", 0.5, "thumbs_down", 1),
        left("u007", 0.6, "thumbs_up", 2),
        left("u007", 0.7, "star_rating", 3),
        left("u008", 2.5, "thumbs_down", 1),
        left("u009", 30, "thumbs_down", 1),
        left("u010", 2.5, "thumbs_down", 1, agent="other"),
    ]
    with db.organization_session(organization.id) as session:
        collect(session, entries, "api")
        withdraw(session, entries[-3].id)
    return organization


def test_what_users_left_is_read_by_user_and_day(rated):
    with db.reading_session(rated.id) as session:
        found = daily.replay(session, "tax", "thumbs_up_share", NOW, days=7, effect=-0.1, treatment_share=0.4)
    assert (found.users, found.days, found.effect, found.treatment_share) == (120, 7, -0.1, 0.4)
    assert len(found.n) == 121
    rows = list(zip(found.user, found.day, found.n, found.s, strict=True))
    assert [row for row in rows if row[0] == 7] == [(7, 3, 1, 1), (7, 6, 2, 1)]
    assert [row for row in rows if row[0] in (8, 9, 10)] == [(8, 3, 1, 1), (9, 3, 1, 1), (10, 3, 1, 1)]


def test_answers_are_read_where_the_metric_is_theirs(organization):
    entries = [
        ExecutionEntry(
            execution_id=f"e{number}",
            agent_id="tax",
            user_id=f"u{number % 110:03}",
            latency_ms=100.0 + number,
            created_at=NOW - timedelta(days=1, hours=number % 3),
        )
        for number in range(220)
    ]
    with db.organization_session(organization.id) as session:
        record(session, entries)
    with db.reading_session(organization.id) as session:
        found = daily.replay(session, "tax", "latency_ms", NOW, days=2)
    assert found.users == 110
    assert found.n.sum() == 220
    assert found.base == pytest.approx(100 + 219 / 2)


def test_too_few_users_and_unknown_metrics_are_said(rated):
    with db.reading_session(rated.id) as session:
        with pytest.raises(NotEnoughData, match="1 users"):
            daily.replay(session, "tax", "satisfaction", NOW)
        with pytest.raises(NotEnoughData, match="0 users"):
            daily.replay(session, "nobody", "thumbs_up_share", NOW)
        with pytest.raises(InvalidInput):
            daily.replay(session, "tax", "charm", NOW)
