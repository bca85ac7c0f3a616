"""The sums that an analysis starts from, against a count of every row, user by user, in Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import text

from learning_core.experiments import allocations, prior
from learning_core.experiments.metrics import METRICS
from learning_core.experiments.observation import Segment, observe, observe_segments
from learning_core.experiments.statistics.moments import Moments, summed
from learning_core.feedback.collect import collect, withdraw
from learning_core.feedback.executions import record
from tests import factories
from tests.experiments.crowd import START, fix_salt, on, settle

USERS = [f"user-{number}" for number in range(40)]
RAMPED_AT = 4


@pytest.fixture
def bench(organization, monkeypatch):
    fix_salt(monkeypatch)
    return settle(organization)


@pytest.fixture
def allocated(bench):
    """An experiment with a month before it, two phases, all kinds of reactions, and users who crossed."""
    rng = Random(5)
    with bench.session() as session:
        before = [one(rng, user, rng.uniform(-40, 0)) for user in USERS for _ in range(rng.randrange(4))]
        store(session, before)
    experiment_id = bench.start(ramp=0.5)
    with bench.session() as session:
        found = allocations.of_experiment(session, experiment_id)
        live(session, rng, found.id, USERS[:20], 0)
        allocations.ramp_up(session, found.id, 1.0, on(RAMPED_AT))
        live(session, rng, found.id, USERS, RAMPED_AT)
        crossing = [one(rng, user, 8, f"{found.id.hex}.{variant}") for user, variant in CROSSING]
        store(session, crossing)
        reacted = session.execute(text("SELECT key FROM agent_feedback ORDER BY key")).scalars().all()
        for key in reacted[::9]:
            withdraw(session, key)
    with bench.session() as session:
        prior.fill(session, found.id, on(9))
    return found


CROSSING = [(user, variant) for user in USERS[:2] for variant in ("control", "treatment")]


def live(session, rng, allocation_id, users, day) -> None:
    variants = {user: rng.choice(["control", "treatment"]) for user in users}
    taken = [user for user in users for _ in range(rng.randrange(5))]
    known = {
        row.user_id: row.variant for row in session.execute(text("SELECT user_id, variant FROM exposures"))
    }
    variants |= {user: variant for user, variant in known.items() if user in variants}
    store(
        session,
        [one(rng, user, day + rng.uniform(0, 3), f"{allocation_id.hex}.{variants[user]}") for user in taken],
    )


def one(rng, user, day, assignment=None):
    """One answer and perhaps a reaction to it, as different as they come."""
    answer = factories.execution(
        user_id=user,
        created_at=on(day),
        assignment=assignment,
        error="Timed out." if rng.random() < 0.2 else None,
        latency_ms=rng.choice([None, float(rng.randrange(100, 3_000))]),
        cost_usd=rng.choice([None, "0.25", "0.5"]),
        score=rng.choice([None, 0.25, 0.75]),
    )
    if rng.random() < 0.2:
        return answer, None
    kind = rng.choice(["thumbs_up", "thumbs_down", "star_rating", "correction", "report_issue"])
    said = factories.feedback(
        id=f"about {answer.execution_id}",
        execution_id=answer.execution_id,
        feedback_type=kind,
        rating=rng.randrange(1, 6) if kind == "star_rating" else None,
        correction_text="So." if kind == "correction" else None,
        issue_categories=("tone", "other") if kind == "report_issue" else (),
        created_at=on(day) + timedelta(hours=1),
    )
    return answer, said


def store(session, pairs) -> None:
    record(session, [answer for answer, _ in pairs])
    collect(session, [said for _, said in pairs if said], "api")


# ---------------------------------------------------------------- the recount


def of_execution(row, slow_ms) -> dict[str, tuple[float, float] | None]:
    return {
        "error_rate": (1, row.error is not None),
        "latency_ms": None if row.latency_ms is None else (1, row.latency_ms),
        "slow_share": None
        if row.latency_ms is None
        else (1, slow_ms is not None and row.latency_ms > slow_ms),
        "cost_usd": None if row.cost_usd is None else (1, float(row.cost_usd)),
        "quality_score": None if row.score is None else (1, row.score),
    }


def of_feedback(row) -> dict[str, tuple[float, float] | None]:
    is_thumb = row.feedback_type in ("thumbs_up", "thumbs_down")
    return {
        "satisfaction": None if row.rating is None else (1, row.rating),
        "thumbs_up_share": (1, row.feedback_type == "thumbs_up") if is_thumb else None,
        "correction_rate": (1, row.correction_text is not None),
        "issue_rate": (1, bool(row.issue_categories)),
    }


Sums = dict[str, dict[str, tuple[float, float]]]
"""Metric -> user -> n and s."""


def counted(rows, measure: Callable) -> Sums:
    sums: Sums = defaultdict(lambda: defaultdict(lambda: (0.0, 0.0)))
    for row in rows:
        for metric, found in measure(row).items():
            if found is not None:
                n, s = sums[metric][row.user_id]
                sums[metric][row.user_id] = (n + found[0], s + float(found[1]))
    return sums


class Recount:
    """Every user of an allocation, from the rows themselves."""

    def __init__(self, session, allocated) -> None:
        self.exposures = {row.user_id: row for row in session.execute(text("SELECT * FROM exposures"))}
        served = session.execute(text("SELECT * FROM executions WHERE exposure_id IS NOT NULL")).all()
        said = session.execute(text(SAID)).all()
        during = [row for row in said if row.served_to is not None]
        before = [row for row in said if START - timedelta(days=28) <= row.created_at < START]
        self.sums = counted(served, lambda row: of_execution(row, allocated.slow_ms)) | counted(
            during, of_feedback
        )
        self.before = counted(before, of_feedback)

    def moments(
        self, metric, variant, phase, *, icc=0.15, weighted=False, known=False, among=None
    ) -> Moments:
        sums, before = self.sums[metric], self.before[metric] if known else {}
        counting = {user: row for user, row in self.exposures.items() if not row.crossed}
        seen = [before[user] for user in counting if user in before]
        mean = sum(s for _, s in seen) / sum(n for n, _ in seen) if seen else 0.0
        users = [
            user
            for user, row in counting.items()
            if (row.variant, row.phase) == (variant, phase)
            and user in sums
            and (among is None or user in among)
        ]
        history = [
            (before[user][1] - mean * before[user][0]) / (before[user][0] + (1 - icc) / icc)
            if user in before
            else 0.0
            for user in users
        ]
        weights = [1 / (1 + (sums[user][0] - 1) * icc) if weighted else 1.0 for user in users]
        return summed([sums[user][0] for user in users], [sums[user][1] for user in users], history, weights)


SAID = """
SELECT agent_feedback.*, executions.user_id, executions.exposure_id AS served_to
FROM (SELECT id, execution_id, feedback_type, rating, correction_text, issue_categories, created_at
      FROM agent_feedback WHERE withdrawn_at IS NULL) AS agent_feedback
JOIN executions ON executions.id = execution_id
"""


@pytest.mark.parametrize(
    "how", [{}, {"weighted": True}, {"known": True}, {"weighted": True, "known": True, "icc": 0.4}]
)
def test_the_sums_are_those_of_a_count_of_every_row(bench, allocated, how):
    asked = {name: value for name, value in how.items() if name != "known"}
    with bench.session() as session:
        observations, _ = observe(session, allocated.id, prior="known" in how, **asked)
        recount = Recount(session, allocated)
    assert len({(each.metric, each.variant, each.phase) for each in observations}) == len(observations)
    assert {each.metric for each in observations} == set(METRICS)
    assert {each.phase for each in observations} == {1, 2}
    for each in observations:
        expected = recount.moments(each.metric, each.variant, each.phase, **how)
        if how:
            assert each.moments == pytest.approx(expected, rel=1e-12, abs=1e-9)
        else:
            assert each.moments == expected


def test_what_was_known_before_enters_and_without_asking_does_not(bench, allocated):
    with bench.session() as session:
        with_prior, _ = observe(session, allocated.id, prior=True)
        without, _ = observe(session, allocated.id)
    assert any(each.moments.cc > 0 for each in with_prior if each.metric == "thumbs_up_share")
    assert all(each.moments.cc == 0 for each in with_prior if METRICS[each.metric].prior_n is None)
    assert all(each.moments.c == each.moments.cc == 0 for each in without)


def test_users_are_told_by_phase_and_variant_and_those_who_crossed_apart(bench, allocated):
    with bench.session() as session:
        _, traffic = observe(session, allocated.id)
        rows = session.execute(text("SELECT variant, phase, crossed, first_at FROM exposures")).all()
    assert traffic.crossed == sum(row.crossed for row in rows) == 2
    assert traffic.ramps == {1: 0.5, 2: 1.0}
    assert traffic.first_at == min(row.first_at for row in rows)
    for phase in (1, 2):
        for variant in ("control", "treatment"):
            here = [row for row in rows if (row.phase, row.variant, row.crossed) == (phase, variant, False)]
            assert traffic.users[phase][variant] == len(here)


def test_before_the_first_user_there_is_nothing_to_add_up(bench):
    experiment_id = bench.start()
    with bench.session() as session:
        observations, traffic = observe(session, allocations.of_experiment(session, experiment_id).id)
    assert observations == []
    assert (traffic.users, traffic.crossed, traffic.first_at) == ({1: {}}, 0, None)


def test_users_who_are_all_alike_in_likeness_of_one_are_no_division_by_nothing(bench, allocated):
    with bench.session() as session:
        for icc in (0.0, 1.0):
            observations, _ = observe(session, allocated.id, icc=icc, weighted=True, prior=True)
            assert all(each.moments.users > 0 for each in observations)


def test_segments_are_the_same_sums_among_some_of_the_users(bench, allocated):
    with bench.session() as session:
        recount = Recount(session, allocated)
        by_history = observe_segments(session, allocated.id, Segment.HISTORY)
        by_week = observe_segments(session, allocated.id, Segment.WEEK)
    kinds = {
        "returning": {user for user, row in recount.exposures.items() if row.prior_feedback_count},
        "1": {user for user, row in recount.exposures.items() if row.first_at < on(7)},
        "2": {user for user, row in recount.exposures.items() if on(7) <= row.first_at < on(14)},
    }
    kinds["new"] = recount.exposures.keys() - kinds["returning"]
    assert set(by_history) == {"new", "returning"}
    for kind, observations in {**by_history, **by_week}.items():
        for each in observations:
            expected = recount.moments(each.metric, each.variant, each.phase, among=kinds[kind])
            assert each.moments == expected


# ---------------------------------------------------------------- the weeks before


def test_each_user_is_counted_once_for_the_weeks_before_the_start(bench, allocated):
    with bench.session() as session:
        recount = Recount(session, allocated)
        assert prior.fill(session, allocated.id, on(10)) == 0
    assert {row.history_at for row in recount.exposures.values()} == {on(9)}
    assert any(row.prior_feedback_count == 0 for row in recount.exposures.values())
    for user, row in recount.exposures.items():
        told = {
            metric.key: (getattr(row, metric.prior_n), getattr(row, metric.prior_s))
            for metric in METRICS.values()
            if metric.prior_n
        }
        expected = {metric: recount.before[metric][user] for metric in told}
        assert told == expected


def test_a_user_who_comes_later_is_counted_at_the_next_time(bench, allocated):
    rng = Random(1)
    with bench.session() as session:
        store(session, [one(rng, "late", 8.5, f"{allocated.id.hex}.control")])
    with bench.session() as session:
        assert prior.fill(session, allocated.id, on(10)) == 1
        assert prior.fill(session, allocated.id, on(10)) == 0


def test_an_exposure_that_is_being_written_waits_for_the_next_time(bench, allocated):
    with bench.session() as session:
        session.execute(text("UPDATE exposures SET history_at = NULL"))
        everybody = session.execute(text("SELECT count(*) FROM exposures")).scalar_one()
    with bench.session() as writing:
        writing.execute(text("SELECT FROM exposures WHERE user_id = 'user-0' FOR UPDATE"))
        with bench.session() as session:
            assert prior.fill(session, allocated.id, on(10)) == everybody - 1
    with bench.session() as session:
        assert prior.fill(session, allocated.id, on(10)) == 1
