from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import db
from learning_core.prompts import queries, rules
from learning_core.prompts.queries import Outcomes, Standing
from learning_core.schema import CandidateState, RunKind
from tests.pages import prompt_story
from tests.pages.prompt_story import AGENT, Story

Transaction = Callable[[], AbstractContextManager[Session]]


@pytest.fixture
def tell(organization: object) -> Callable[..., Story]:
    """Make up prompts and runs: `tell(states=["improved"])`."""
    return lambda **how: prompt_story.tell(organization.id, **how)


def standings(session: Session, story: Story, state: str = "improved") -> dict[int, Standing]:
    return {one.number: one for one in queries.leaderboard(session, story.runs[state])}


def test_an_agent_is_listed_with_its_prompts_and_its_newest_run(
    tell: Callable[..., Story], transaction: Transaction
) -> None:
    tell(states=["improved", "queued", "evaluated"], version_count=3)
    with transaction() as session:
        [found] = queries.agents(session)
    assert (found.agent, found.version_count, found.production, found.run_count) == (AGENT, 3, 3, 2)
    assert found.weekly is False
    assert found.run_status == "queued"


def test_an_agent_without_prompts_is_listed_all_the_same(
    transaction: Transaction, give_agent: Callable[[str], None]
) -> None:
    give_agent("silent")
    with transaction() as session:
        [found] = queries.agents(session)
        assert not queries.weekly(session, "silent")
        assert queries.runs(session, "silent") == []
    assert (found.agent, found.version_count, found.production, found.run_status) == ("silent", 0, None, None)


@pytest.fixture
def give_agent(transaction: Transaction) -> Callable[[str], None]:
    def make(name: str) -> None:
        with transaction() as session:
            session.execute(text("INSERT INTO agents (key) VALUES (:name)"), {"name": name})

    return make


def test_a_dataset_says_how_many_examples_of_an_agent_each_split_holds(
    tell: Callable[..., Story], transaction: Transaction
) -> None:
    story = tell(states=["queued"], example_count=40)
    with transaction() as session:
        held = queries.split_sizes(session, story.dataset.id, AGENT)
        none = queries.split_sizes(session, story.dataset.id, "another")
    assert sum(held.values()) == 40
    assert held["validation"] == held["test"] == 16
    assert none == {"train": 0, "validation": 0, "test": 0}


def test_runs_come_newest_first_with_what_they_began_with(
    tell: Callable[..., Story], transaction: Transaction
) -> None:
    story = tell(states=["failed", "evaluated", "improved"], candidate_count=4)
    with transaction() as session:
        found = queries.runs(session, AGENT)
        [evaluation] = queries.runs(session, AGENT, RunKind.EVALUATION)
    assert [run.id for run in found] == [story.runs[name] for name in ("improved", "evaluated", "failed")]
    assert (found[0].version, found[0].dataset, found[0].dataset_version) == (3, "Topics of messages", 1)
    assert [run.candidate_count for run in found] == [4, 0, 4]
    assert found[2].error.startswith("The model at")
    assert len(evaluation.values) == 16
    assert 0 < sum(evaluation.values) < 16
    assert found[0].values is None


def test_the_leaderboard_puts_the_winner_first_and_the_dropped_last(
    tell: Callable[..., Story], transaction: Transaction
) -> None:
    story = tell(states=["improved"], candidate_count=6)
    with transaction() as session:
        board = queries.leaderboard(session, story.runs["improved"])
    assert board[0].state == CandidateState.WINNER
    assert [one.number for one in board if one.state == CandidateState.DROPPED] == [
        one.number for one in board[-2:]
    ]
    compared = [one.selection.value for one in board[1:-2]]
    assert compared == sorted(compared, reverse=True)
    assert all(one.selection.low <= one.selection.value <= one.selection.high for one in board)
    assert {one.number for one in board if one.proof} == {0, board[0].number}
    assert next(one for one in board if one.number == 0).version == 3


def test_a_standing_counts_what_its_answers_took(
    tell: Callable[..., Story], transaction: Transaction
) -> None:
    story = tell(states=["improved"])
    with transaction() as session:
        winner = queries.leaderboard(session, story.runs["improved"])[0]
        found = session.execute(
            text("""
                SELECT count(*) FILTER (WHERE split = 'validation') AS n,
                       avg(value) FILTER (WHERE split = 'validation') AS mean,
                       avg(value) FILTER (WHERE split = 'test') AS proof,
                       avg(prompt_tokens) FILTER (WHERE error IS NULL) AS tokens,
                       count(error) AS failed
                FROM scores WHERE candidate_id = :id
            """),
            {"id": winner.id},
        ).one()
    assert winner.selection.n == found.n
    assert winner.selection.value == pytest.approx(found.mean)
    assert winner.proof.value == pytest.approx(found.proof)
    assert winner.prompt_tokens == pytest.approx(float(found.tokens))
    assert winner.failed == found.failed
    assert winner.cost_usd == pytest.approx(0.0018)
    assert 250 < winner.latency_ms < 900
    assert winner.characters == sum(len(message["text"]) for message in winner.messages)


def test_a_candidate_that_nobody_scored_yet_has_no_figures(
    tell: Callable[..., Story], transaction: Transaction
) -> None:
    story = tell(states=["running"])
    with transaction() as session:
        newest = standings(session, story, "running")[6]
    assert (newest.selection, newest.proof, newest.latency_ms, newest.cost_usd) == (None, None, None, None)
    assert newest.failed == 0


def test_the_best_score_is_told_in_the_order_of_time(
    tell: Callable[..., Story], transaction: Transaction
) -> None:
    story = tell(states=["improved", "queued"])
    with transaction() as session:
        found = queries.score_over_spend(session, story.runs["improved"])
        nothing = queries.score_over_spend(session, story.runs["queued"])
    assert (
        found.columns.tolist()
        == nothing.columns.tolist()
        == ["calls", "usd", "tokens", "number", "mean", "n"]
    )
    assert len(found) == 6
    assert found["calls"].is_monotonic_increasing
    assert found["mean"].is_monotonic_increasing
    assert nothing.empty


def test_outcomes_count_wins_and_losses_of_the_same_examples(
    tell: Callable[..., Story], transaction: Transaction
) -> None:
    story = tell(states=["improved"])
    with transaction() as session:
        board = standings(session, story)
        winner = next(one for one in board.values() if one.state == CandidateState.WINNER)
        dropped = next(one for one in board.values() if one.state == CandidateState.DROPPED)
        told = queries.outcomes(session, board[0].id, winner.id, sealed=True)
        back = queries.outcomes(session, winner.id, board[0].id, sealed=True)
        part = queries.outcomes(session, board[0].id, dropped.id, sealed=False)
        none = queries.outcomes(session, board[0].id, dropped.id, sealed=True)
    assert told.n == winner.proof.n
    assert (told.won - told.lost) / told.n == pytest.approx(winner.proof.value - board[0].proof.value)
    assert back == Outcomes(told.lost, told.won, told.tied)
    assert part.n == dropped.selection.n < board[0].selection.n
    assert none == Outcomes(0, 0, 0)


@pytest.mark.parametrize("outcome", ["won", "lost", "tied"])
def test_examples_are_told_with_both_answers_and_can_be_filtered(
    tell: Callable[..., Story], transaction: Transaction, outcome: str
) -> None:
    story = tell(states=["improved"])
    with transaction() as session:
        board = standings(session, story)
        winner = next(one for one in board.values() if one.state == CandidateState.WINNER)
        told = queries.outcomes(session, board[0].id, winner.id, sealed=False)
        found = queries.per_example(session, board[0].id, winner.id, sealed=False, outcome=outcome, limit=100)
        other_one = next(one for one in board.values() if one.proof is None)
        everything = queries.per_example(session, board[0].id, winner.id, sealed=False, limit=5, offset=2)
        empty = queries.per_example(session, board[0].id, other_one.id, sealed=True)
    assert len(found) == getattr(told, outcome)
    for row in found:
        change = row.after_value - row.before_value
        assert {"won": change > 0, "lost": change < 0, "tied": change == 0}[outcome]
        assert row.expected_output in prompt_story.TOPICS
        assert row.context is None
        assert (row.after_output is None) is (row.after_error is not None)
    assert len(everything) == 5
    assert empty == []


def test_two_evaluations_on_the_same_dataset_are_compared_example_by_example(
    tell: Callable[..., Story], transaction: Transaction
) -> None:
    story = tell(states=["evaluated", "evaluated again"])
    with transaction() as session:
        first, second = (standings(session, story, name)[0] for name in story.runs)
        told = queries.outcomes(session, first.id, second.id, sealed=False)
        rows = queries.per_example(session, first.id, second.id, sealed=False)
    assert told.n == first.selection.n == len(rows)


def test_what_a_candidate_was_made_from_is_found_by_id_or_key(
    tell: Callable[..., Story], transaction: Transaction
) -> None:
    story = tell(states=["improved"])
    with transaction() as session:
        learnt = standings(session, story)[1].learnt_from
        rules.propose(session, AGENT, [rules.Statement("Answer in one word.")], by="Cora")
        known = [str(rule.id) for rule in rules.of_agent(session, AGENT)]
        found = queries.sources(session, learnt["feedback"], learnt["examples"], known)
        by_key = queries.sources(session, ["said-ticket-router-0"], [f"{AGENT}-example-0000", "gone"], ["x"])
        by_id = queries.sources(session, examples=[row.id for row in found.examples])
    assert {row.id for row in found.feedback} == set(learnt["feedback"])
    assert len(found.examples) == len(learnt["examples"]) == 3
    assert by_id.examples == found.examples
    assert found.rules == ["Answer in one word."]
    assert by_key.rules == []
    assert all(row.execution.startswith(AGENT) and row.text for row in found.feedback)
    assert [row.execution for row in by_key.feedback] == ["ticket-router-0"]
    assert [row.expected_output for row in by_key.examples] == ["refund"]


def test_another_organisation_sees_none_of_it(tell: Callable[..., Story], other_organization: object) -> None:

    story = tell(states=["improved"])
    with db.reading_session(other_organization.id) as session:
        assert queries.agents(session) == []
        assert queries.runs(session, AGENT) == []
        assert queries.leaderboard(session, story.runs["improved"]) == []
        assert queries.score_over_spend(session, story.runs["improved"]).empty
