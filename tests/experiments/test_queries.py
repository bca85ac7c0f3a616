from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from learning_core.errors import NotFound
from learning_core.experiments import designs, queries
from learning_core.experiments.analysis import CONTROL
from learning_core.schema import ExperimentDecision
from tests.experiments.crowd import AGENT, Crowd, Manner, fix_salt, on, settle


@pytest.fixture
def bench(organization, monkeypatch):
    fix_salt(monkeypatch)
    return settle(organization)


@pytest.fixture
def lived(bench):
    """An experiment of three treatment-and-control days that ramped up on the second, with its looks."""
    experiment_id = bench.start(ramp=0.5, guardrails=(), secondary=("error_rate",))
    crowd = Crowd(bench, size=80, active=0.8)
    for day in range(3):
        if day == 1:
            with bench.session() as session:
                designs.ramp_up(session, bench.caller, experiment_id, 1.0, on(1))
        crowd.live(experiment_id, day, Manner(liked={"control": 0.3, "treatment": 0.8}))
        bench.look(experiment_id, day + 1)
    return experiment_id


def test_experiments_under_way_come_first_then_drafts_then_what_is_over(bench):
    drafts = [bench.create("v2"), bench.create("v3")]
    over = bench.start("v2", traffic=0.3)
    running = bench.start("v2", traffic=0.3)
    with bench.session() as session:
        designs.complete(session, bench.caller, over, ExperimentDecision.KEEP_CONTROL, "No gain.", on(9))
        session.execute(text("INSERT INTO agents (key) VALUES ('another')"))
        listed = [found.id for found in queries.experiments(session)]
        assert [found.id for found in queries.experiments(session, AGENT)] == listed
        assert queries.experiments(session, "another") == []
        assert [found.id for found in queries.experiments(session, limit=2)] == listed[:2]
        assert queries.running(session) == queries.running(session, AGENT) == [running]
        assert queries.running(session, "another") == []
    assert listed == [running, *reversed(drafts), over]


def test_an_experiment_is_found_with_all_that_is_known(bench, lived):
    found = bench.find(lived)
    assert (found.agent, found.name, found.created_by, found.status) == (AGENT, "Shorter", "Edda", "running")
    assert (found.ramp, found.look.number, found.look.at) == (1.0, 3, on(3))
    assert found.design.primary == "thumbs_up_share"
    assert (found.verdict, found.decision, found.run_id) == (None, None, None)
    assert found.guardrails == ()
    assert set(found.reports) == {"treatment"}


def test_an_unknown_experiment_is_not_found(bench):
    with bench.session() as session:
        for ask in (queries.find, queries.segments):
            with pytest.raises(NotFound):
                ask(session, uuid4())
        assert queries.looks(session, uuid4()) == []


def test_traffic_tells_who_came_to_which_variant_in_which_phase(bench, lived):
    with bench.session() as session:
        found = queries.traffic(session, lived)
        users = session.execute(text("SELECT count(*) FROM exposures WHERE phase = 2")).scalar_one()
        answers = session.execute(
            text("SELECT count(*) FROM executions WHERE exposure_id IS NOT NULL")
        ).scalar_one()
    assert found.columns.tolist() == [
        "phase",
        "ramp",
        "since",
        "variant",
        "version",
        "share",
        "users",
        "crossed",
        "execution_count",
        "error_count",
        "feedback_count",
        "rating_count",
        "thumbs_count",
    ]
    assert list(zip(found.phase, found.ramp, found.variant, found.version, strict=True)) == [
        (1, 0.5, "treatment", "v2"),
        (1, 0.5, "control", "v1"),
        (2, 1.0, "treatment", "v2"),
        (2, 1.0, "control", "v1"),
    ]
    assert list(found.since.dt.to_pydatetime()) == [on(0), on(0), on(1), on(1)]
    assert found[found.phase == 2].users.sum() == users > 0
    assert found.execution_count.sum() == found.thumbs_count.sum() == answers
    assert (found.crossed == 0).all()


def test_a_draft_has_no_traffic_and_no_segments(bench):
    draft = bench.create()
    with bench.session() as session:
        assert queries.traffic(session, draft).empty
        assert queries.segments(session, draft) == []


def test_segments_compare_the_primary_metric_within_kinds_of_users(bench, lived):
    with bench.session() as session:
        session.execute(text("UPDATE exposures SET prior_feedback_count = 1 WHERE right(user_id, 1) < '5'"))
        parts = {part.kind: part for part in queries.segments(session, lived)}
        sides = session.execute(text(BY_HISTORY)).all()
    assert [part.words for part in parts.values()] == ["Came in week 1", "New users", "Returning users"]
    assert parts["new"].users + parts["returning"].users == parts["1"].users
    assert parts["new"].n + parts["returning"].n == parts["1"].n
    for part in parts.values():
        assert part.low < part.difference < part.high
        assert 0.2 < part.difference < 0.8
    for side in sides:
        assert parts[side.kind].n == side.n
        assert parts[side.kind].users == side.users


BY_HISTORY = """
SELECT CASE WHEN prior_feedback_count > 0 THEN 'returning' ELSE 'new' END AS kind,
       sum(thumbs_count) AS n, count(*) FILTER (WHERE thumbs_count > 0) AS users
FROM exposures GROUP BY 1
"""


def test_phases_are_not_pooled_within_a_segment(bench, lived):
    with bench.session() as session:
        # in each phase the variants are alike; pooled, the shares of the phases would look like a difference
        session.execute(text(ALIKE_IN_EACH_PHASE))
        [whole] = [part for part in queries.segments(session, lived) if part.kind == "1"]
    assert whole.difference == pytest.approx(0, abs=1e-12)


ALIKE_IN_EACH_PHASE = """
UPDATE exposures SET thumbs_count = CASE WHEN (phase = 1) = (variant = 'control') THEN 10 ELSE 2 END,
                     thumbs_up_count = CASE WHEN (phase = 1) = (variant = 'control') THEN 10 ELSE 2 END
                                       / CASE WHEN phase = 1 THEN 2 ELSE 1 END
"""


def test_with_two_treatments_each_part_names_its_own(bench):
    experiment_id = bench.start("v2", "v3")
    Crowd(bench, size=60).live(experiment_id, 0, Manner())
    with bench.session() as session:
        words = [part.words for part in queries.segments(session, experiment_id) if part.kind == "new"]
    assert words == ["New users, treatment", "New users, treatment 2"]


def test_many_looks_are_thinned_and_the_ones_that_matter_stay(bench):
    experiment_id = bench.start()
    for day in range(23):
        bench.look(experiment_id, day / 2)
    with bench.session() as session:
        session.execute(text("""UPDATE learning_experiments SET verdict = '{"number": 10}'"""))
        all_of_them = [look.number for look in queries.looks(session, experiment_id)]
        some = [look.number for look in queries.looks(session, experiment_id, 6)]
    assert all_of_them == list(range(1, 24))
    assert some == [1, 4, 8, 10, 12, 16, 20, 23]


def test_the_control_is_named_as_everywhere(bench, lived):
    assert CONTROL in bench.find(lived).look.mismatch.counts
