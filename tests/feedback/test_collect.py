from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from learning_core.db import in_transaction
from learning_core.errors import NotFound
from learning_core.feedback import rollup
from learning_core.feedback.collect import collect, withdraw
from learning_core.feedback.entries import FeedbackEntry, FeedbackType, IssueCategory
from learning_core.feedback.executions import Outcome, record
from tests.factories import execution, feedback

CREATED, UPDATED, CONFLICT = "created", "updated", "conflict"


def counts(session, columns: str) -> list:
    return session.execute(
        text(f"SELECT {columns} FROM feedback_daily WHERE feedback_count > 0 ORDER BY day, prompt_version")
    ).all()


def is_exact(session) -> bool:
    return not (
        rollup.differences(session, rollup.FEEDBACK) or rollup.differences(session, rollup.EXECUTIONS)
    )


def test_collect_stores_feedback_and_counts_it(transaction):
    entry = feedback(id="f1", rating=4, issue_categories=["tone"], feedback_text="Too harsh.")
    with transaction() as session:
        assert collect(session, [entry], "api") == [Outcome("f1", CREATED)]
    with transaction() as session:
        assert counts(session, "feedback_count, rating_4, issue_tone, comment_count") == [(1, 1, 1, 1)]
        assert is_exact(session)


def test_the_same_id_again_changes_the_row_and_the_counts_follow(transaction):
    first = feedback(id="f1", rating=1, issue_categories=["tone"])
    with transaction() as session:
        collect(session, [first], "api")
        changed = feedback(id="f1", execution_id=first.execution_id, rating=5)
        assert collect(session, [changed], "api") == [Outcome("f1", UPDATED)]
        assert counts(session, "feedback_count, rating_1, rating_5, issue_tone") == [(1, 0, 1, 0)]
        assert is_exact(session)


def test_an_id_that_occurs_twice_in_one_batch_ends_as_its_last_entry(transaction):
    one = feedback(id="f1", rating=1)
    two = feedback(id="f1", execution_id=one.execution_id, rating=2)
    with transaction() as session:
        collect(session, [one, two, one, two], "api")
        assert counts(session, "feedback_count, rating_1, rating_2") == [(1, 0, 1)]


def test_moving_feedback_to_another_day_moves_its_counts(transaction):
    now = datetime.now(UTC)
    entry = feedback(id="f1", created_at=now - timedelta(days=40))
    with transaction() as session:
        collect(session, [entry], "api")
        moved = entry.model_copy(update={"created_at": now - timedelta(days=2)})
        collect(session, [moved], "api")
        assert counts(session, "day, feedback_count") == [((now - timedelta(days=2)).date(), 1)]
        assert is_exact(session)


def test_a_change_without_a_time_keeps_the_time_of_the_first_reaction(transaction):
    then = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with transaction() as session:
        collect(session, [feedback(id="f1", execution_id="e1", created_at=then)], "api")
    with transaction() as session:
        collect(session, [feedback(id="f1", execution_id="e1", rating=2)], "api")
        assert session.execute(text("SELECT created_at FROM agent_feedback")).scalar() == then


def test_an_id_used_for_another_execution_is_a_conflict_and_changes_nothing(transaction):
    with transaction() as session:
        collect(session, [feedback(id="f1", rating=3)], "api")
        assert collect(session, [feedback(id="f1", rating=1)], "api") == [Outcome("f1", CONFLICT)]
        assert counts(session, "feedback_count, rating_3, rating_1") == [(1, 1, 0)]


def test_an_execution_of_another_agent_is_a_conflict(transaction):
    with transaction() as session:
        record(session, [execution(execution_id="e1", agent_id="a")])
        outcome = collect(session, [feedback(id="f1", execution_id="e1", agent_id="b")], "api")
        assert outcome == [Outcome("f1", CONFLICT)]
        assert record(session, [execution(execution_id="e1", agent_id="b")]) == [Outcome("e1", CONFLICT)]


def test_withdrawn_feedback_counts_nowhere_and_counts_again_when_given_again(transaction):
    entry = feedback(id="f1", rating=3)
    with transaction() as session:
        collect(session, [entry], "api")
        withdraw(session, "f1")
        assert counts(session, "feedback_count") == []
        collect(session, [entry], "api")
        assert counts(session, "feedback_count, rating_3") == [(1, 1)]
        assert is_exact(session)


def test_withdrawing_twice_says_that_there_is_nothing(transaction):
    with transaction() as session:
        collect(session, [feedback(id="f1")], "api")
        withdraw(session, "f1")
        with pytest.raises(NotFound, match="f1"):
            withdraw(session, "f1")


def test_feedback_that_comes_before_its_execution_takes_its_prompt_version_later(transaction):
    with transaction() as session:
        collect(session, [feedback(id="f1", execution_id="e1", rating=5)], "api")
        assert counts(session, "prompt_version, feedback_count") == [("", 1)]
    with transaction() as session:
        record(session, [execution(execution_id="e1", prompt_version="v7")])
        assert counts(session, "prompt_version, feedback_count") == [("v7", 1)]
        assert is_exact(session)


def test_feedback_and_its_execution_at_the_same_moment_find_each_other(organization, transaction):
    keys = [f"e{n}" for n in range(60)]

    def give(key: str) -> None:
        entry = feedback(id=f"f-{key}", execution_id=key, feedback_type="report_issue")
        in_transaction(organization.id, lambda session: collect(session, [entry], "api"))

    def report(key: str) -> None:
        in_transaction(organization.id, lambda session: record(session, [execution(execution_id=key)]))

    with ThreadPoolExecutor(8) as pool:
        for key in keys:
            done = [pool.submit(give, key), pool.submit(report, key)]
            for future in done:
                future.result()
    with transaction() as session:
        assert counts(session, "prompt_version, feedback_count") == [("v1", 60)]
        assert (
            session.execute(text("SELECT count(*) FROM learning_examples WHERE input_text <> ''")).scalar()
            == 60
        )
        assert is_exact(session)


def test_writers_of_the_same_rows_at_once_leave_exact_counts(organization, transaction):
    def change(n: int) -> None:
        entries = [
            feedback(id=f"f{i}", execution_id=f"e{i}", rating=1 + (n + i) % 5)
            for i in range(n % 7, n % 7 + 20)
        ]
        in_transaction(
            organization.id, lambda session: collect(session, entries[:: 1 if n % 2 else -1], "api")
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(64)))
    with transaction() as session:
        assert counts(session, "feedback_count") == [(26,)]
        assert is_exact(session)


REACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["f1", "f2", "f3"]),
        st.sampled_from([None, *FeedbackType]),
        st.none() | st.integers(1, 5),
        st.sets(st.sampled_from(list(IssueCategory)), max_size=3),
        st.integers(0, 3),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REACTIONS)
def test_the_roll_up_equals_the_rows_after_any_sequence_of_changes(transaction, reactions):
    with transaction() as session:
        for key, kind, rating, issues, days_ago in reactions:
            if kind is None:
                session.execute(text("SAVEPOINT before"))
                try:
                    withdraw(session, key)
                except NotFound:
                    session.execute(text("ROLLBACK TO before"))
                continue
            entry = FeedbackEntry(
                id=key,
                execution_id=f"execution of {key}",
                agent_id="a",
                feedback_type=kind,
                rating=rating or (3 if kind == "star_rating" else None),
                correction_text="Better." if kind == "correction" else None,
                issue_categories=tuple(issues),
                created_at=datetime.now(UTC) - timedelta(days=days_ago),
            )
            collect(session, [entry], "api")
        assert is_exact(session)
