from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from learning_core import access, db
from learning_core.access import Caller
from learning_core.errors import NotFound
from learning_core.experiments import allocations
from learning_core.feedback import exposures
from learning_core.feedback.collect import collect, withdraw
from learning_core.feedback.entries import ExecutionEntry
from learning_core.feedback.executions import Status, record
from learning_core.feedback.runs import verify
from learning_core.schema import EXPOSURE_EXECUTION_COUNTERS, EXPOSURE_FEEDBACK_COUNTERS, Role
from tests.factories import allocation, execution, feedback

NOTHING = dict.fromkeys([*EXPOSURE_EXECUTION_COUNTERS, *EXPOSURE_FEEDBACK_COUNTERS], 0)
NOBODY = UUID("01900000-0000-7000-8000-000000000000")
YESTERDAY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)


@pytest.fixture
def admin(organization):
    return Caller(organization.id, "ada", Role.ADMIN)


@pytest.fixture
def running(transaction, admin):
    """An experiment on all users; slower than 1,000 ms counts as slow."""
    with transaction() as session:
        record(session, [execution(latency_ms=1_000.0, created_at=YESTERDAY)])
        return allocation(session, admin, at=datetime.now(UTC))


@pytest.fixture
def report(transaction, running):
    """Report an execution by "ann", who met the treatment: `report("e1", user_id="bob")`."""

    def report_one(key, variant="treatment", **overrides):
        given = {"user_id": "ann", "assignment": f"{running.id.hex}.{variant}"}
        with transaction() as session:
            return record(session, [execution(execution_id=key, **given | overrides)])[0].status

    return report_one


@pytest.fixture
def react(transaction):
    def react_once(key, execution_id, **overrides):
        with transaction() as session:
            entry = feedback(id=key, execution_id=execution_id, **overrides)
            return collect(session, [entry], "api")[0].status

    return react_once


@pytest.fixture
def seen(transaction):
    """All exposures by user, and that their counts are exact: `seen()["ann"].variant`."""

    def look():
        with transaction() as session:
            assert exposures.differences(session) == 0
            return {row.user_id: row for row in session.execute(text("SELECT * FROM exposures"))}

    return look


def counts(exposure) -> dict:
    """What of an exposure is not zero."""
    return {name: value for name in NOTHING if (value := getattr(exposure, name))}


# ---------------------------------------------------------------- who met what


def test_the_first_answer_of_a_user_is_an_exposure(report, seen, running):
    report("e1", created_at=YESTERDAY)
    report("e2", "control", user_id="bob")
    found = seen()
    assert found.keys() == {"ann", "bob"}
    ann, bob = found["ann"], found["bob"]
    assert (ann.allocation_id, ann.variant, ann.phase, ann.crossed) == (running.id, "treatment", 1, False)
    assert ann.first_at == YESTERDAY
    assert abs(bob.first_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert bob.variant == "control"


def test_later_answers_change_neither_the_moment_nor_the_phase(report, seen, running, transaction):
    report("e1", created_at=YESTERDAY)
    with transaction() as session:
        session.execute(text("UPDATE allocations SET ramp = 0.5"))
        allocations.ramp_up(session, running.id, 1, datetime.now(UTC))
    report("e2")
    report("e3", user_id="bob")
    found = seen()
    assert (found["ann"].phase, found["ann"].first_at, found["ann"].execution_count) == (1, YESTERDAY, 2)
    assert (found["bob"].phase, found["bob"].execution_count) == (2, 1)


def test_a_user_who_is_seen_in_a_second_variant_has_crossed_and_stays_with_the_first(report, seen):
    report("e1")
    report("e2", "control")
    report("e3")
    ann = seen()["ann"]
    assert (ann.variant, ann.crossed, ann.execution_count) == ("treatment", True, 3)


def test_in_one_batch_the_earliest_answer_says_which_variant_was_first(transaction, running, seen):
    hours = [("control", 3), ("treatment", 1), ("treatment", 2)]
    entries = [
        execution(
            user_id="ann",
            assignment=f"{running.id.hex}.{variant}",
            created_at=YESTERDAY + timedelta(hours=hour),
        )
        for variant, hour in hours
    ]
    same = execution(user_id="bob", assignment=f"{running.id.hex}.control")
    with transaction() as session:
        record(session, [*entries, same, same.model_copy(update={"execution_id": "another"})])
    found = seen()
    assert (found["ann"].variant, found["ann"].crossed) == ("treatment", True)
    assert found["ann"].first_at == YESTERDAY + timedelta(hours=1)
    assert (found["bob"].crossed, found["bob"].execution_count) == (False, 2)


@pytest.mark.parametrize(
    "overrides",
    [
        {"user_id": None},
        {"assignment": None},
        {"assignment": f"{NOBODY.hex}.treatment"},
        {"variant": "treatment_7"},
        {"agent_id": "audit-assistant"},
    ],
)
def test_what_belongs_to_no_user_s_variant_is_stored_and_counts_nowhere(report, seen, transaction, overrides):
    assert report("e1", **overrides) is Status.CREATED
    assert seen() == {}
    with transaction() as session:
        assert session.execute(text("SELECT exposure_id FROM executions WHERE key = 'e1'")).scalar() is None


def test_a_known_user_s_answer_with_a_variant_that_is_not_there_counts_nowhere(report, seen):
    report("e1")
    report("e2", variant="treatment_7")
    report("e3", agent_id="audit-assistant")
    assert (seen()["ann"].execution_count, seen()["ann"].crossed) == (1, False)


def test_after_the_end_nothing_more_is_counted_but_what_is_said_of_earlier_answers(
    report, react, seen, running, transaction
):
    report("e1")
    with transaction() as session:
        allocations.end(session, running.id, datetime.now(UTC))
    report("e2")
    report("e3", user_id="bob")
    react("f1", "e1")
    react("f2", "e2")
    assert seen().keys() == {"ann"}
    assert (seen()["ann"].execution_count, seen()["ann"].feedback_count) == (1, 1)


def test_a_paused_allocation_still_counts_what_was_assigned_before(report, seen, running, transaction):
    with transaction() as session:
        allocations.pause(session, running.id)
    report("e1")
    assert seen()["ann"].execution_count == 1


@pytest.mark.parametrize("wrong", ["treatment", NOBODY.hex, f"{NOBODY}.control", f"{NOBODY.hex}.A b"])
def test_an_assignment_that_nobody_answered_is_refused_in_words(sender, wrong):
    body = execution(user_id="ann").model_dump(mode="json") | {"assignment": wrong}
    answer = sender.post("executions", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].endswith("assignment")
    assert "is not what was answered with the prompt" in answer.json()["detail"]


@pytest.mark.parametrize("wrong", [-0.1, 1.1, "nan"])
def test_a_score_lies_between_0_and_1(wrong):
    with pytest.raises(ValueError, match="score"):
        ExecutionEntry(execution_id="e", agent_id="a", score=wrong)


# ---------------------------------------------------------------- what followed


def test_answers_are_counted_with_latency_errors_cost_and_score(report, seen):
    report("e1", latency_ms=1_000.0, cost_usd="0.25", score=0.5)
    report("e2", latency_ms=1_000.5, cost_usd=None, score=1.0)
    report("e3", latency_ms=None, cost_usd=None, error="Timed out.")
    assert counts(seen()["ann"]) == {
        "execution_count": 3,
        "error_count": 1,
        "latency_count": 2,
        "latency_ms_sum": 2_000.5,
        "slow_count": 1,
        "cost_count": 1,
        "cost_usd_sum": 0.25,
        "score_count": 2,
        "score_sum": 1.5,
    }


def test_where_nothing_was_known_before_the_start_nothing_is_slow(transaction, admin, seen):
    with transaction() as session:
        found = allocation(session, admin, "audit-assistant")
        assignment = f"{found.id.hex}.control"
        entry = execution(agent_id="audit-assistant", user_id="ann", assignment=assignment, latency_ms=9e6)
        record(session, [entry])
    assert (seen()["ann"].latency_count, seen()["ann"].slow_count) == (1, 0)


def test_a_late_or_corrected_report_changes_the_counts_by_what_it_changes(report, seen):
    report("e1", latency_ms=5_000.0, output_text=None)
    assert counts(seen()["ann"])["slow_count"] == 1
    report("e1", latency_ms=100.0, score=0.75, assignment=None, user_id=None)
    report("e1", latency_ms=None, error="Cut off.")
    found = seen()["ann"]
    assert (found.execution_count, found.slow_count, found.latency_ms_sum) == (1, 0, 100)
    assert (found.error_count, found.score_sum) == (1, 0.75)


def test_an_answer_stays_with_the_exposure_it_was_first_reported_with(report, seen):
    report("e1")
    report("e1", user_id="bob")
    assert seen()["ann"].execution_count == 1
    assert seen()["bob"].execution_count == 0


def test_a_report_may_bring_the_assignment_later(report, react, seen):
    report("e1", assignment=None)
    react("f1", "e1", rating=4)
    report("e1")
    assert counts(seen()["ann"]).items() >= {"execution_count": 1, "rating_sum": 4}.items()


def test_reactions_are_counted_for_the_user_of_the_answer_whoever_gave_them(report, react, seen):
    report("e1")
    report("e2", "control", user_id="bob")
    react("f1", "e1", user_id="bob", rating=5)
    react("f2", "e1", feedback_type="thumbs_down", issue_categories=["tone", "other"])
    react("f3", "e1", feedback_type="correction", correction_text="On the 15th.", rating=2)
    assert {name: value for name, value in counts(seen()["ann"]).items() if name in FEEDBACK_NAMES} == {
        "feedback_count": 3,
        "rating_count": 2,
        "rating_sum": 7,
        "thumbs_count": 2,
        "thumbs_up_count": 1,
        "correction_count": 1,
        "any_issue_count": 1,
        "issue_tone": 1,
        "issue_other": 1,
    }
    assert seen()["bob"].feedback_count == 0


FEEDBACK_NAMES = set(EXPOSURE_FEEDBACK_COUNTERS)


def test_edits_withdrawals_and_second_thoughts_are_followed(report, react, seen, transaction):
    report("e1")
    react("f1", "e1", rating=1, feedback_type="thumbs_down", issue_categories=["tone"])
    react("f1", "e1", rating=4)
    found = counts(seen()["ann"])
    assert (found["feedback_count"], found["rating_sum"], found["thumbs_up_count"]) == (1, 4, 1)
    assert "any_issue_count" not in found
    with transaction() as session:
        withdraw(session, "f1")
    assert counts(seen()["ann"]).keys().isdisjoint(FEEDBACK_NAMES)
    react("f1", "e1", rating=2)
    assert counts(seen()["ann"])["rating_sum"] == 2


@pytest.mark.parametrize("version", ["v1", None])
def test_feedback_that_came_before_its_execution_is_counted_when_it_is_reported(report, react, seen, version):
    react("f1", "e1", rating=3)
    assert seen() == {}
    report("e1", prompt_version=version)
    assert counts(seen()["ann"])["rating_sum"] == 3
    react("f1", "e1", rating=5)
    assert counts(seen()["ann"])["rating_sum"] == 5


def test_feedback_taken_back_over_the_api_is_taken_out(report, react, seen, sender):
    report("e1")
    react("f1", "e1")
    assert sender.delete("feedback/f1").status_code == 204
    assert "feedback_count" not in counts(seen()["ann"])


# ---------------------------------------------------------------- many at once


def test_writers_on_the_same_users_at_the_same_time_leave_exact_counts(organization, running, seen):
    """Four threads report, report again, react, edit and withdraw, in batches that overlap."""

    def hammer(seed: int) -> None:
        rng = random.Random(seed)
        for turn in range(12):
            keys = rng.sample([f"e{number}" for number in range(30)], 10)
            reported = [
                execution(
                    execution_id=key,
                    user_id=f"user-{int(key[1:]) % 6}",
                    output_text=rng.choice(["On the tenth.", None]),
                    latency_ms=rng.choice([100.0, 2_000.0]),
                    assignment=f"{running.id.hex}.{rng.choice(['treatment', 'control'])}",
                )
                for key in keys
            ]
            reactions = [
                feedback(id=f"f-{key}-{rng.randrange(2)}", execution_id=key, rating=rng.randint(1, 5))
                for key in rng.sample([f"e{number}" for number in range(30)], 10)
            ]
            steps = [
                lambda session, entries=reported: record(session, entries),
                lambda session, entries=reactions: collect(session, entries, "api"),
            ]
            for step in rng.sample(steps, 2):
                db.in_transaction(organization.id, step)
            if turn % 3 == 0:
                with suppress(NotFound):
                    db.in_transaction(organization.id, lambda session: withdraw(session, "f-e1-0"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hammer, range(4)))
    found = seen()
    assert len(found) == 6
    assert all(exposure.crossed for exposure in found.values())
    assert sum(exposure.execution_count for exposure in found.values()) == 30
    assert sum(exposure.feedback_count for exposure in found.values()) > 0


# ---------------------------------------------------------------- the proof


def test_a_recount_finds_and_mends_what_is_wrong_and_puts_it_on_record(
    organization, transaction, report, react, seen, caplog
):
    report("e1")
    report("e2", user_id="bob")
    react("f1", "e1", rating=4)
    before = seen()
    with transaction() as session:
        tamper = "UPDATE exposures SET slow_count = 7, rating_sum = rating_sum + 1 WHERE user_id = 'ann'"
        session.execute(text(tamper))
    with transaction() as session:
        assert exposures.differences(session) == 1
    verify(organization_id=str(organization.id))
    assert seen() == before
    with transaction() as session:
        log = access.audit_log(session)
    assert list(log[log.action == "rollup.rebuilt"].subject) == ["exposures"]
    assert "1 rows of exposures were wrong" in caplog.text


def test_verifying_exact_exposures_records_nothing(organization, transaction, report, react):
    report("e1")
    react("f1", "e1")
    verify(organization_id=str(organization.id))
    with transaction() as session:
        assert "rollup.rebuilt" not in set(access.audit_log(session).action)


def test_feedback_that_lost_its_exposure_finds_it_again(organization, transaction, report, react, seen):
    report("e1")
    react("f1", "e1", rating=4)
    with transaction() as session:
        session.execute(text("UPDATE agent_feedback SET exposure_id = NULL"))
        session.execute(text("UPDATE exposures SET feedback_count = 0, rating_count = 0, rating_sum = 0"))
        session.execute(text("UPDATE exposures SET thumbs_count = 0, thumbs_up_count = 0"))
    assert seen()["ann"].feedback_count == 0
    verify(organization_id=str(organization.id))
    assert counts(seen()["ann"])["rating_sum"] == 4
