"""What orders the queue, and the reasons for it in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from learning_core.feedback.collect import collect, withdraw
from learning_core.feedback.executions import record
from learning_core.review import priority, queue
from learning_core.review.priority import WEIGHTS, Ranked, reasons
from tests.factories import execution, feedback

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
UNKNOWN = {"nearness": 1.0}
"""Evidence that weighs nothing."""

pytestmark = pytest.mark.usefixtures("one_each")


def said(evidence: dict, days: float = 0) -> list[str]:
    return reasons(UNKNOWN | evidence, NOW - timedelta(days=days), NOW)


@pytest.fixture
def rank(transaction):
    def run(verb=priority.rank_new, **more) -> int:
        with transaction() as session:
            ranked = verb(session, **more)
        return ranked.written if isinstance(ranked, Ranked) else ranked

    return run


# ---------------------------------------------------------------- reasons in words


def test_the_weights_add_up_to_one():
    assert sum(WEIGHTS.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("evidence", "days", "words"),
    [
        (
            {"issue": "tone", "issue_share": 0.124, "issue_count": 1234},
            0,
            "“Tone” is in 12 % of the agent's feedback (1,234 reports in 30 days)",
        ),
        (
            {"issue": "incorrect", "issue_share": 0.5, "issue_count": 1},
            0,
            "“Incorrect” is in 50 % of the agent's feedback (1 report in 30 days)",
        ),
        ({"severity": 1.0, "rating": 1}, 0, "Rated 1 of 5"),
        ({"severity": 0.75, "type": "failure"}, 0, "Reported as an issue"),
        ({"severity": 0.6, "type": "correction"}, 0, "A user corrected the answer"),
        ({"severity": 0.25, "rating": 4, "type": "correction"}, 0, "A user corrected the answer"),
        ({"dispute": 1}, 0, "Users disagree about this answer"),
        ({"dispute": 1, "reviewers_differ": True}, 0, "Reviewers disagree"),
        ({"nearness": 0.1}, 0, "Unlike anything approved so far"),
        ({}, 2, "Waiting for 2 days"),
        ({}, 400, "Waiting for 400 days"),
    ],
)
def test_each_reason_has_its_words(evidence, days, words):
    assert said(evidence, days) == [words]


@pytest.mark.parametrize(
    ("evidence", "days"),
    [
        ({}, 0),
        ({}, 1.9),
        ({"issue": "tone", "issue_share": 0.0, "issue_count": 0}, 0),
        ({"severity": 0.0, "rating": 5, "type": "correction"}, 0),
        ({"severity": 0.25, "rating": 4, "type": "positive"}, 0),
        ({"severity": 0.5, "type": "preference"}, 0),
        ({"dispute": 0, "reviewers_differ": False}, 0),
        ({"nearness": 0.9}, 0),
        ({"nearness": 0.3}, 0),
    ],
)
def test_what_weighs_nothing_is_no_reason(evidence, days):
    assert said(evidence, days) == []


def test_without_evidence_there_is_no_reason():
    assert reasons({}, NOW, NOW) == []


def test_the_weightiest_reason_comes_first():
    evidence = {
        "issue": "tone",
        "issue_share": 0.05,
        "issue_count": 3,
        "severity": 1.0,
        "rating": 1,
        "dispute": 1,
        "nearness": 0.1,
    }
    order = ["Rated 1", "Users disagree", "Unlike", "“Tone”", "Waiting"]
    for words, start in zip(said(evidence, days=20), order, strict=True):
        assert words.startswith(start)
    often = said(evidence | {"issue_share": 0.2}, days=30)
    assert often[0].startswith("“Tone”")


# ---------------------------------------------------------------- ranking


def test_new_examples_are_ranked_once(rank, new_example):
    for _ in range(3):
        new_example()
    assert rank() == 3
    assert rank() == 0
    new_example()
    assert rank() == 1


def test_a_run_ranks_as_many_as_it_is_told(rank, new_example):
    for _ in range(5):
        new_example()
    assert [rank(limit=2) for _ in range(4)] == [2, 2, 1, 0]


@pytest.mark.parametrize("status", ["approved", "rejected", "flagged", "disputed", "withdrawn"])
@pytest.mark.parametrize("verb", [priority.rank_new, priority.rank_anew])
def test_what_does_not_wait_is_not_ranked(rank, new_example, status, verb):
    new_example(status=status, reviews_wanted=0)
    assert rank(verb) == 0


def test_the_priority_is_the_weighted_sum_of_what_is_known(rank, new_example, look):
    example = new_example(
        example_type="correction",
        rating=1,
        nearness=0.25,
        created_at=datetime.now(UTC) - timedelta(days=15),
    )
    rank()
    row = look(example)
    expected = WEIGHTS["severity"] * 1.0 + WEIGHTS["novelty"] * 0.75 + WEIGHTS["age"] * 0.5
    assert row.priority == pytest.approx(expected, abs=1e-4)
    assert row.evidence == {
        "type": "correction",
        "rating": 1,
        "issue_count": 0,
        "issue_share": 0,
        "severity": 1,
        "dispute": 0,
        "reviewers_differ": False,
        "nearness": 0.25,
    }


def test_the_worse_rated_the_older_and_the_stranger_comes_first(rank, act, ada, new_example):
    ago = {days: datetime.now(UTC) - timedelta(days=days) for days in (0, 25)}
    names = {
        new_example(rating=4, nearness=0.9, created_at=ago[0]): "praised",
        new_example(rating=4, nearness=0.9, created_at=ago[25]): "praised long ago",
        new_example(example_type="correction", nearness=0.9, created_at=ago[0]): "corrected",
        new_example(example_type="failure", expected_output=None, nearness=0.9, created_at=ago[0]): "failed",
        new_example(rating=1, nearness=0.9, created_at=ago[0]): "hated",
        new_example(rating=1, nearness=0.0, created_at=ago[0]): "hated and strange",
    }
    rank()
    given = act(queue.claim, ada, limit=6)
    assert [names[example] for example in given] == [
        "hated and strange",
        "hated",
        "failed",
        "corrected",
        "praised long ago",
        "praised",
    ]


@pytest.fixture
def issue_shares(transaction, rank):
    """Collect feedback with issues; return what the ranking makes of each correction among it."""

    def collected(rows: list[dict]) -> list[dict]:
        with transaction() as session:
            record(session, [execution(execution_id=f"e{n}") for n in range(len(rows))])
            collect(session, [feedback(execution_id=f"e{n}", **row) for n, row in enumerate(rows)], "api")
        rank()
        with transaction() as session:
            found = session.execute(
                text("SELECT evidence FROM learning_examples WHERE example_type = 'correction' ORDER BY id")
            )
            return list(found.scalars())

    return collected


CORRECTION = {"feedback_type": "correction", "correction_text": "On the 15th.", "rating": 3}


def test_an_issue_weighs_by_its_share_of_the_agents_feedback_of_thirty_days(issue_shares):
    long_ago = datetime.now(UTC) - timedelta(days=40)
    rows = [{"issue_categories": ["tone"]}] * 3 + [{"issue_categories": ["incorrect"]}] + [{}] * 4
    rows += [{"issue_categories": ["incorrect"], "created_at": long_ago}] * 10
    rows += [CORRECTION | {"issue_categories": ["incorrect", "tone"]}, CORRECTION]
    both, none = issue_shares(rows)
    assert (both["issue"], both["issue_count"], both["issue_share"]) == ("tone", 4, 0.4)
    assert "issue" not in none
    assert (none["issue_count"], none["issue_share"]) == (0, 0)


def test_the_feedback_of_another_agent_counts_for_nothing(issue_shares, transaction):
    rows = [CORRECTION | {"issue_categories": ["tone"]}]
    with transaction() as session:
        collect(session, [feedback(agent_id="another", issue_categories=["tone"]) for _ in range(9)], "api")
    (evidence,) = issue_shares(rows)
    assert (evidence["issue_count"], evidence["issue_share"]) == (1, 1)


@pytest.mark.parametrize(
    ("others", "is_disputed"),
    [
        ([], False),
        ([{"rating": 5, "feedback_type": "star_rating"}], True),
        ([{"feedback_type": "thumbs_up"}], True),
        ([{"rating": 3, "feedback_type": "star_rating"}], False),
        ([{"rating": 1, "feedback_type": "star_rating"}], False),
        ([{"feedback_type": "thumbs_down"}], False),
    ],
    ids=str,
)
def test_people_who_differ_about_an_answer_make_it_disputed(transaction, rank, others, is_disputed):
    correction = CORRECTION | {"rating": 2}
    with transaction() as session:
        record(session, [execution(execution_id="e1")])
        collect(session, [feedback(execution_id="e1", **row) for row in [correction, *others]], "api")
        collect(session, [feedback(execution_id="e2", feedback_type="thumbs_up")], "api")
    rank()
    with transaction() as session:
        found = session.execute(
            text("SELECT evidence FROM learning_examples WHERE example_type = 'correction'")
        )
        evidence = found.scalar_one()
    assert evidence["dispute"] == int(is_disputed)
    words = reasons(evidence, NOW, NOW)
    assert ("Users disagree about this answer" in words) == is_disputed


def test_withdrawn_feedback_disputes_nothing(transaction, rank):
    with transaction() as session:
        record(session, [execution(execution_id="e1")])
        praise = feedback(id="f2", execution_id="e1", feedback_type="thumbs_up")
        collect(session, [feedback(execution_id="e1", **CORRECTION | {"rating": 1}), praise], "api")
        withdraw(session, "f2")
    rank()
    with transaction() as session:
        assert session.execute(text("SELECT evidence->>'dispute' FROM learning_examples")).scalar() == "0"


def test_ranking_anew_writes_what_changed_and_nothing_else(rank, new_example, transaction, look):
    examples = [new_example(rating=1) for _ in range(3)]
    rank()
    ranked = [look(example).ranked_at for example in examples]
    assert rank(priority.rank_anew) == 0
    assert [look(example).ranked_at for example in examples] == ranked
    with transaction() as session:
        session.execute(
            text("UPDATE learning_examples SET created_at = now() - interval '20 days' WHERE id = :id"),
            {"id": examples[1]},
        )
    before = look(examples[1]).priority
    assert rank(priority.rank_anew) == 1
    assert look(examples[1]).priority == pytest.approx(before + WEIGHTS["age"] * 20 / 30, abs=1e-4)
    assert rank(priority.rank_anew) == 0


def test_reviewers_who_differ_move_an_example_up_in_the_next_ranking(
    judge, ada, ben, rank, new_example, look
):
    example = new_example(overlap=2)
    rank()
    before = look(example).priority
    judge(ada, example)
    judge(ben, example, "reject")
    assert rank(priority.rank_anew) == 1
    row = look(example)
    assert row.priority == pytest.approx(before + WEIGHTS["dispute"], abs=1e-4)
    assert "Reviewers disagree" in reasons(row.evidence, row.created_at, row.created_at)


def test_what_waits_to_be_confirmed_or_revised_is_ranked_anew_too(judge, ada, rank, new_example):
    old = datetime.now(UTC) - timedelta(days=30)
    judge(ada, new_example(created_at=old), corrected_output="On the 15th.")
    judge(ada, new_example(created_at=old), "needs_revision")
    judge(ada, new_example(created_at=old))
    assert rank(priority.rank_anew) == 2


def test_ranking_anew_goes_on_where_a_batch_ended(new_example, transaction):
    examples = sorted(new_example() for _ in range(3))
    with transaction() as session:
        first = priority.rank_anew(session, limit=2)
        second = priority.rank_anew(session, first.last, limit=2)
        assert (first, second) == (Ranked(2, examples[1]), Ranked(1, examples[2]))
        assert priority.rank_anew(session, second.last, limit=2) == Ranked(0, None)


def test_reasons_that_changed_are_written_though_the_rank_did_not(new_example, rank, transaction, look):
    example = new_example(rating=1)
    rank()
    with transaction() as session:
        session.execute(text("UPDATE learning_examples SET evidence = evidence || '{\"rating\": 2}'"))
    assert rank(priority.rank_anew) == 1
    assert look(example).evidence["rating"] == 1


def test_what_somebody_is_changing_is_left_to_the_next_ranking(new_example, rank, transaction):
    taken = new_example()
    new_example()
    with transaction() as somebody:
        queue.lock(somebody, taken)
        assert rank() == 1
        assert rank() == 0
    assert rank() == 1
    assert rank(priority.rank_anew) == 0
