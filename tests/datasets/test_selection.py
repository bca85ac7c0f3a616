from datetime import date

import pytest

from learning_core.datasets import selection
from learning_core.datasets.curation import Rules
from learning_core.errors import NotEnoughData
from learning_core.feedback.intervals import share

OF_TWO_DAYS = {"created_at": "2026-03-02T00:00:00Z"}, {"created_at": "2026-03-01T23:59:59Z"}


@pytest.mark.parametrize(
    ("fields", "rules"),
    [
        ({"agent_id": "other"}, {"agents": ("other",)}),
        ({"domain": "vat"}, {"domains": ("vat", "payroll")}),
        ({"example_type": "edge_case"}, {"example_types": ("edge_case",)}),
        ({"issue_categories": ["tone", "other"]}, {"issues": ("tone", "unclear")}),
        ({"quality_score": 0.95}, {"minimum_quality": 0.95}),
    ],
)
def test_each_rule_takes_what_fits_and_nothing_else(approve, select, fields, rules):
    approve(3, **{"quality_score": 0.8})
    (wanted,) = approve(1, **fields)
    assert [member.example_id for member in select(**rules).members] == [wanted]


def test_only_human_verified_examples_can_be_asked_for(approve, select):
    approve(2, human_verified=False)
    (verified,) = approve(1)
    assert len(select().members) == 3
    assert [member.example_id for member in select(verified_only=True).members] == [verified]


def test_dates_are_whole_days_in_utc(approve, select, transaction):
    second, first = (approve(1, **fields)[0] for fields in OF_TWO_DAYS)
    assert [m.example_id for m in select(since=date(2026, 3, 2)).members] == [second]
    assert [m.example_id for m in select(until=date(2026, 3, 1)).members] == [first]
    with transaction() as session:
        session.connection().exec_driver_sql("SET LOCAL TIME ZONE 'Asia/Tokyo'")
        there = selection.select(session, Rules(until=date(2026, 3, 1)))
    assert [member.example_id for member in there.members] == [first]


@pytest.mark.parametrize("missing", ["input_text", "expected_output"])
def test_examples_without_question_or_answer_teach_nothing(approve, select, transaction, missing):
    approve(2)
    (empty,) = approve(1)
    column = {"input_text": "input_text", "expected_output": "approved_output"}[missing]
    with transaction() as session:
        session.connection().exec_driver_sql(
            f"UPDATE learning_examples SET {column} = '' WHERE id = '{empty}'"
        )
    assert empty not in {member.example_id for member in select().members}


def test_what_reviewers_are_measured_by_is_not_learned_from(approve, select, transaction):
    approve(2)
    (gold,) = approve(1)
    with transaction() as session:
        session.connection().exec_driver_sql(
            f"UPDATE learning_examples SET gold_decision = 'approve' WHERE id = '{gold}'"
        )
    assert len(select().members) == 2


def test_nothing_that_fits_is_said_to_be_so(approve, select):
    approve(1)
    with pytest.raises(NotEnoughData, match="No approved example fits"):
        select(agents=("nobody",))


def test_the_worse_output_of_a_preference_comes_along(approve, select):
    approve(1, original_output="A", alternative_output="B", expected_output="B")
    (member,) = select().members
    assert (member.content.expected_output, member.content.rejected_output) == ("B", "A")


def test_statistics_equal_a_recount(approve, select):
    approve(6, quality_score=0.9)
    approve(3, quality_score=0.75, human_verified=False, example_type="edge_case")
    approve(2, quality_score=0.8, conversation="c1", agent_id="other")
    chosen = select()
    contents = [member.content for member in chosen.members]
    figures = chosen.statistics
    assert figures.example_count == len(contents) == 11
    assert figures.group_count == len({content.group for content in contents}) == 10
    assert figures.by_type == {"positive": 8, "edge_case": 3}
    assert figures.by_agent == {"tax-advisor": 9, "other": 2}
    assert figures.by_split == {
        split: sum(content.split == split for content in contents)
        for split in ("train", "validation", "test")
    }
    assert figures.quality == round(sum(content.quality_score for content in contents) / 11, 4)
    assert figures.verified == share(8, 11)
    assert figures.alike_count == 0


@pytest.mark.parametrize(("alike", "outcome"), [(9, "passed"), (7, "failed")])
def test_the_agreement_gate_counts_rejected_and_disputed_examples_too(judge_twice, select, alike, outcome):
    for _ in range(alike):
        judge_twice("approve", "approve")
    for _ in range(10 - alike):
        judge_twice("approve", "reject")
    judge_twice("approve", "reject", agent="somebody else's")
    chosen = select(agents=("tax-advisor",))
    assert len(chosen.members) == alike
    gate = chosen.statistics.gates()[2]
    assert (gate.outcome, gate.found, gate.n) == (outcome, alike / 10, 10)


def test_a_third_opinion_that_was_asked_for_is_not_counted_as_blind(judge_twice, select):
    for _ in range(10):
        judge_twice("approve", "reject", "approve")
    figures = select().statistics
    assert figures.example_count == 10
    assert figures.agreement.value == 0


def test_the_same_data_tell_the_same_interval(judge_twice, select):
    for number in range(12):
        judge_twice("approve", "approve" if number % 3 else "reject")
    assert select().statistics == select().statistics
