"""Questions about review, asked of rows whose answers are known."""

from __future__ import annotations

from datetime import date

import pytest

from learning_core.review import annotations, gold, queries
from learning_core.review.consensus import Said

pytestmark = pytest.mark.usefixtures("one_each")


@pytest.fixture
def said(transaction):
    """Return who said what of a value, by name: `said("decision")`."""

    def read(value, agent=None, **more):
        with transaction() as session:
            return sorted(queries.judgements(session, value, agent, **more))

    return read


def test_independent_judgements_come_with_item_agent_and_month(said, new_example, judge, ada, ben):
    example = new_example(overlap=2)
    judge(ada, example, clarity=0.5)
    judge(ben, example, "reject", clarity=1)
    month = date.today().replace(day=1)
    assert said("decision") == [
        Said("ada", str(example), "approve", "tax-advisor", month),
        Said("ben", str(example), "reject", "tax-advisor", month),
    ]
    assert [one.value for one in said("clarity")] == [0.5, 1.0]
    assert said("completeness") == []


def test_a_preference_is_what_was_decided(said, new_example, judge, ada, ben):
    texts = {"original_output": "Short.", "alternative_output": "Long.", "expected_output": None}
    example = new_example(example_type="preference", overlap=2, **texts)
    judge(ada, example, preference="b")
    judge(ben, example, "reject")
    assert [one.value for one in said("decision")] == ["b", "reject"]


def test_what_one_alone_said_is_left_out(said, new_example, judge, ada, ben):
    judge(ada, example := new_example(overlap=2), clarity=0.5)
    judge(ben, example)
    assert said("clarity") == []


def test_what_was_said_knowing_other_judgements_is_left_out(said, new_example, judge, ada, ben, cyd, person):
    example = new_example(overlap=2)
    for someone, decision in ((ada, "approve"), (ben, "reject"), (cyd, "needs_revision")):
        judge(someone, example, decision)
    judge(person("dora"), example, "reject")  # settles the dispute
    rewritten = new_example()
    judge(ada, rewritten, corrected_output="On the 11th.")
    judge(ben, rewritten)
    assert [(one.annotator, one.item) for one in said("decision")] == [
        ("ada", str(example)),
        ("ben", str(example)),
    ]


def test_undone_judgements_and_gold_are_left_out(said, act, new_example, judge, ada, ben, cyd, boss):
    example = new_example(overlap=2)
    judge(ben, example, "reject")
    judge(ada, example, "reject")
    act(annotations.undo, ada, example)
    settled = new_example(overlap=2)
    judge(ada, settled)
    judge(ben, settled)
    act(gold.make_gold, boss, settled)
    judge(cyd, settled, "reject")
    assert [(one.annotator, one.item) for one in said("decision")] == [
        ("ada", str(settled)),
        ("ben", str(settled)),
    ]


def test_of_a_remark_and_a_judgement_the_later_value_counts(said, new_example, judge, ada, ben):
    example = new_example(overlap=2)
    judge(ben, example, clarity=1)
    judge(ada, example, None, clarity=0.25)
    judge(ada, example, None, clarity=0.5)
    assert [one.value for one in said("clarity")] == [0.5, 1.0]
    judge(ada, example, clarity=0.75)
    assert [one.value for one in said("clarity")] == [0.75, 1.0]


def test_judgements_are_those_of_an_agent_and_of_the_examples_judged_last(
    said, new_example, judge, ada, ben, transaction
):
    examples = {agent: new_example(agent=agent, overlap=2) for agent in ("law", "tax")}
    for someone, agent in ((ada, "law"), (ada, "tax"), (ben, "tax"), (ben, "law")):
        judge(someone, examples[agent])
    assert [one.agent for one in said("decision", "tax")] == ["tax", "tax"]
    assert [one.agent for one in said("decision", limit=2)] == ["law", "law"]
    assert len(said("decision")) == 4


def test_every_value_can_be_asked_for(said):
    assert {value: said(value) for value in queries.VALUES} == {value: [] for value in queries.VALUES}


def test_activity_counts_what_stands(transaction, act, new_example, judge, ada, ben):
    judge(ada, new_example(), corrected_output="On the 12th.", duration_ms=10_000)
    judge(ada, new_example(), "reject", duration_ms=30_000)
    judge(ada, new_example(), None, notes="A remark.")
    judge(ben, example := new_example())
    act(annotations.undo, ben, example)
    with transaction() as session:
        rows = queries.by_reviewer(session)
    assert rows["annotator"].tolist() == ["ada"]
    row = rows.iloc[0]
    assert (row.judgement_count, row.approved_count, row.corrected_count) == (2, 1, 1)
    assert (row.approved_share, row.corrected_share, row.median_s) == (0.5, 0.5, 20.0)
    assert str(rows["last_at"].dtype) == "datetime64[us, UTC]"


def test_newest_examples_are_those_of_a_status(transaction, new_example, judge, ada):
    judge(ada, first := new_example(), technical_accuracy=0.9)
    judge(ada, second := new_example(agent="law"))
    new_example()
    with transaction() as session:
        found = queries.newest(session, "approved", None)
        assert found["id"].tolist() == [str(second), str(first)]
        assert found["quality"].tolist() == [0.8, 0.9]
        assert queries.newest(session, "approved", "law")["id"].tolist() == [str(second)]
        assert len(queries.newest(session, "approved", None, limit=1)) == 1
        assert queries.newest(session, "disputed", None).empty
