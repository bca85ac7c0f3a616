from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from learning_core.access import Caller
from learning_core.errors import NotPermitted
from learning_core.review.importing import import_annotations, import_examples
from learning_core.rowfiles import rejects_of
from learning_core.schema import Role

QUESTION = {"agent_id": "tax-advisor", "input_text": "When is the VAT return due?"}


@pytest.fixture
def bring_in(organization, tmp_path):
    """Import rows as an administrator and return the last progress and the rejects."""

    def bring(kind, *rows: dict, role: Role = Role.ADMIN):
        file = tmp_path / f"{kind.__name__}.jsonl"
        file.write_text("\n".join(json.dumps(row) for row in rows))
        *_, progress = kind(Caller(organization.id, "importer", role), file)
        rejects = rejects_of(file)
        refused = [json.loads(line) for line in rejects.read_text().splitlines()] if rejects.exists() else []
        return progress, refused

    return bring


@pytest.fixture
def stored(transaction):
    def read(statement: str):
        with transaction() as session:
            return session.execute(text(statement)).all()

    return read


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EXPERT, Role.ENGINEER])
@pytest.mark.parametrize("kind", [import_examples, import_annotations])
def test_only_administrators_may_import(bring_in, kind, role):
    with pytest.raises(NotPermitted, match="administer"):
        bring_in(kind, QUESTION | {"id": "e1"}, role=role)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"original_output": "On the 10th.", "expected_output": "On the 15th."}, "correction"),
        ({"original_output": "On the 10th.", "expected_output": "On the 10th. "}, "positive"),
        ({"expected_output": "On the 10th."}, "positive"),
        ({"original_output": "On the 10th."}, "failure"),
        ({"original_output": "A.", "alternative_output": "B."}, "preference"),
        ({"expected_output": "Done.", "demonstration": {"task": "t", "actions": []}}, "demonstration"),
        ({"expected_output": "On the 10th.", "example_type": "edge_case"}, "edge_case"),
    ],
)
def test_the_type_of_an_example_follows_from_what_is_there(bring_in, stored, fields, expected):
    bring_in(import_examples, QUESTION | {"id": "e1"} | fields)
    assert stored("SELECT example_type, status FROM learning_examples") == [(expected, "pending")]


def test_one_of_two_outputs_may_be_empty(bring_in, stored):
    bring_in(
        import_examples,
        QUESTION
        | {"id": "e1", "example_type": "preference", "original_output": "A.", "alternative_output": ""},
    )
    bring_in(import_annotations, {"example_id": "e1", "annotator_id": "ada", "preference": "B"})
    assert stored("SELECT status, approved_output FROM learning_examples") == [("approved", "")]


def test_a_quality_score_makes_an_example_approved(bring_in, stored):
    bring_in(
        import_examples,
        QUESTION
        | {"id": "e1", "expected_output": "On the 10th.", "quality_score": 0.9, "human_verified": True},
    )
    assert stored(
        "SELECT status, approved_output, quality_score, human_verified, reviews_wanted FROM learning_examples"
    ) == [("approved", "On the 10th.", 0.9, True, 0)]


def test_importing_the_same_rows_again_changes_nothing(bring_in, stored):
    rows = [QUESTION | {"id": f"e{number}", "expected_output": f"{number}."} for number in range(3)]
    judged = [{"example_id": "e1", "annotator_id": name, "approved": True, "clarity": 1} for name in "ab"]
    for _ in range(2):
        bring_in(import_examples, *rows)
        bring_in(import_annotations, *judged)
        assert stored("SELECT count(*) FROM learning_examples") == [(3,)]
        assert stored("SELECT annotator FROM expert_annotations ORDER BY 1") == [("a",), ("b",)]


def test_an_example_that_was_judged_stays_as_it_is(bring_in, stored):
    bring_in(import_examples, QUESTION | {"id": "e1", "expected_output": "First."})
    bring_in(import_annotations, {"example_id": "e1", "annotator_id": "ada", "approved": True})
    bring_in(import_examples, QUESTION | {"id": "e1", "expected_output": "Second."})
    assert stored("SELECT expected_output FROM learning_examples") == [("First.",)]


def test_imported_judgements_of_one_example_count_as_independent(bring_in, stored):
    bring_in(import_examples, QUESTION | {"id": "e1", "expected_output": "On the 10th."})
    progress, _ = bring_in(
        import_annotations,
        {"example_id": "e1", "annotator_id": "ada", "approved": True},
        {"example_id": "e1", "annotator_id": "ben", "approved": False},
        {"example_id": "e1", "annotator_id": "cleo", "decision": "approve"},
    )
    assert progress.stored == 3
    # three who were asked at once differ, so one more is asked
    assert stored("SELECT status, overlap, reviews_done, reviews_wanted FROM learning_examples") == [
        ("pending", 3, 3, 4)
    ]


def test_an_annotation_finds_the_example_of_a_piece_of_feedback(bring_in, stored, give_feedback):
    give_feedback(id="f1", feedback_type="correction", correction_text="On the 15th.")
    progress, refused = bring_in(
        import_annotations, {"example_id": "f1", "annotator_id": "ada", "approved": True}
    )
    assert (progress.stored, refused) == (1, [])
    assert stored("SELECT status FROM learning_examples") == [("approved",)]


@pytest.fixture
def give_feedback(transaction):
    from learning_core.feedback.collect import collect
    from tests.factories import feedback

    def give(**fields):
        with transaction() as session:
            collect(session, [feedback(**fields)], "api")

    return give


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"example_id": "nobody", "annotator_id": "ada", "approved": True}, "there is no example 'nobody'"),
        ({"example_id": "e1", "approved": True}, "annotator_id"),
        ({"example_id": "e1", "annotator_id": "ada"}, "give a decision, or say something"),
        ({"example_id": "e1", "annotator_id": "ada", "clarity": 1.5}, "clarity"),
        ({"example_id": "e1", "annotator_id": "ada", "approved": True, "decision": "reject"}, "contradict"),
    ],
)
def test_a_judgement_that_cannot_be_taken_says_why(bring_in, row, reason):
    bring_in(import_examples, QUESTION | {"id": "e1", "expected_output": "On the 10th."})
    progress, [refused] = bring_in(import_annotations, row)
    assert (progress.stored, progress.rejected) == (0, 1)
    assert reason in refused["reason"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": None}, "id"),
        ({"input_text": None}, "input_text"),
        ({"rating": 6}, "rating"),
        ({"quality_score": 0.9}, "needs an expected_output"),
        ({"issue_categories": ["wrong"]}, "issue_categories"),
        ({"input_text": "a\x00b"}, "input_text"),
    ],
)
def test_an_example_that_cannot_be_taken_says_why(bring_in, stored, fields, reason):
    _, [refused] = bring_in(import_examples, QUESTION | {"id": "e1"} | fields)
    assert reason in refused["reason"]
    assert stored("SELECT count(*) FROM learning_examples") == [(0,)]
