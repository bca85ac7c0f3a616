import json
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from learning_core.access import Caller, audit_log
from learning_core.datasets import queries, versions
from learning_core.datasets.content import content_hash
from learning_core.datasets.curation import Rules, Statistics
from learning_core.datasets.download import prepare
from learning_core.errors import Conflict, InvalidInput, NotEnoughData, NotFound, NotPermitted
from learning_core.review.importing import import_examples
from learning_core.schema import Role
from tests.factories import approved_example


def test_the_same_rules_on_the_same_data_give_the_same_hash(approve, freeze):
    approve(30)
    one, other = freeze("one"), freeze("other")
    assert (one.content_hash, one.example_count) == (other.content_hash, 30)
    assert freeze("third", seed="2").content_hash != one.content_hash


def test_the_hash_is_that_of_what_is_loaded(approve, freeze, load):
    approve(12, original_output="Before.", context="France", issue_categories=["tone"])
    version = freeze()
    assert content_hash(load(version)) == version.content_hash


def test_near_duplicates_never_stand_on_two_sides(approve, freeze, load):
    question = "When is the VAT return of a company with monthly reporting due in the year {}?"
    planted = [question.format(year) for year in range(2000, 2030)]
    for asked in planted:
        approve(1, input_text=asked)
    approve(60)
    for seed in "abc":
        examples = load(freeze(f"seed {seed}", seed=seed))
        assert len({one.split for one in examples if one.input_text in planted}) == 1
        assert {one.split for one in examples} == {"train", "validation", "test"}


@pytest.mark.parametrize("bond", ["conversation", "user_id"])
def test_what_belongs_together_stays_in_one_split(approve, freeze, load, bond):
    for number in range(8):
        approve(5, **{bond: f"bond {number}"})
    examples = load(freeze())
    for number in range(8):
        assert len({one.split for one in examples if getattr(one, bond) == f"bond {number}"}) == 1


def test_versions_count_up_and_nothing_new_is_a_conflict(approve, freeze, transaction):
    approve(5)
    with transaction() as session:
        assert versions.next_number(session, " vat ") == 1
    assert freeze().version == 1
    with pytest.raises(Conflict, match="Nothing has changed since version 1"):
        freeze(" vat  ")
    approve(1)
    assert freeze().version == 2
    with transaction() as session:
        assert versions.next_number(session, "vat") == 3


def test_a_version_needs_a_name_examples_and_the_right(approve, freeze, transaction, organization):
    with pytest.raises(NotEnoughData):
        freeze()
    approve(1)
    with pytest.raises(InvalidInput, match="needs a name"):
        freeze("  ")
    viewer = Caller(organization.id, "Vera", Role.VIEWER)
    with transaction() as session, pytest.raises(NotPermitted, match="may not curate"):
        versions.freeze(session, viewer, "vat", Rules())
    with transaction() as session:
        assert queries.versions(session) == []


def test_freezing_is_put_on_record(approve, freeze, transaction):
    approve(3)
    version = freeze()
    with transaction() as session:
        entry = audit_log(session).iloc[0]
    assert (entry["actor"], entry["action"], entry["subject"]) == ("Cora", "dataset.frozen", "vat v1")
    assert json.loads(entry["details"])["hash"] == version.content_hash


CHANGES = [
    "UPDATE training_datasets SET name = 'other'",
    "UPDATE dataset_examples SET split = 'train'",
    "UPDATE dataset_examples SET content = '{}'",
    "UPDATE dataset_uses SET used_by = 'nobody'",
    "DELETE FROM dataset_examples",
    "DELETE FROM training_datasets",
    "DELETE FROM dataset_uses",
    "INSERT INTO dataset_examples (dataset_id, example_id, split, group_name, content)"
    " SELECT id, :example, 'test', 'g', '{}' FROM training_datasets",
]


@pytest.mark.parametrize("statement", CHANGES)
def test_the_application_cannot_change_a_frozen_version(approve, freeze, transaction, curator, statement):
    approve(8)
    version = freeze()
    with transaction() as session:
        versions.record_use(session, curator, version.id, "test", "a look")
        (late,) = [approved_example(session)]
    before = everything(transaction)
    try:
        with transaction() as session:
            given = {"example": late} if ":example" in statement else {}
            assert session.execute(text(statement), given).rowcount == 0
    except ProgrammingError as error:
        assert error.orig.sqlstate == "42501"  # noqa: PT017 - no right, or against the policy
    assert everything(transaction) == before


def everything(transaction):
    tables = ("training_datasets", "dataset_examples", "dataset_uses")
    with transaction() as session:
        return [session.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2, 3")).all() for table in tables]


def test_a_version_stays_when_its_examples_change(approve, freeze, load, transaction):
    approve(6)
    version = freeze()
    before = load(version)
    with transaction() as session:
        session.execute(text("UPDATE learning_examples SET approved_output = 'New.', status = 'rejected'"))
    assert load(version) == before


def test_members_name_the_feedback_and_annotations_they_rest_on(judge_twice, freeze, transaction):
    examples = [judge_twice("approve", "approve") for _ in range(3)]
    version = freeze()
    with transaction() as session:
        for example in examples:
            held = session.execute(
                text("SELECT annotation_ids FROM dataset_examples WHERE example_id = :e"), {"e": example}
            ).scalar_one()
            given = session.execute(
                text("SELECT id FROM expert_annotations WHERE example_id = :e ORDER BY created_at, id"),
                {"e": example},
            ).scalars()
            assert held == list(given)
            assert len(held) == 2
        assert queries.versions_of_example(session, examples[0])[0].dataset_id == version.id


def test_stored_statistics_tell_estimates_by_name(approve, freeze, transaction):
    approve(4)
    version = freeze()
    with transaction() as session:
        row = queries.version(session, version.id)
    assert row.statistics["verified"].keys() == {"value", "low", "high", "n"}
    assert row.statistics["agreement"].keys() == {"reason", "n"}
    assert [gate["name"] for gate in row.gates] == ["quality", "human-verified", "agreement"]
    assert Statistics.read(row.statistics).example_count == 4


def test_versions_are_compared_example_by_example(approve, freeze, transaction):
    kept, gone, changed = (approve(1)[0] for _ in range(3))
    approve(40)
    one = freeze()
    with transaction() as session:
        session.execute(text("UPDATE learning_examples SET status = 'rejected' WHERE id = :id"), {"id": gone})
        session.execute(
            text("UPDATE learning_examples SET approved_output = 'Better.' WHERE id = :id"), {"id": changed}
        )
        added = approved_example(session)
    two = freeze()
    with transaction() as session:
        found = versions.difference(session, one.id, two.id)
        changes = {change.example_id: change for change in versions.compare(session, one.id, two.id)}
    assert (found.added, found.removed, found.changed) == (1, 1, 1)
    assert changes[added].before is None
    assert changes[gone].after is None
    assert changes[changed].before.expected_output == "Because it is due."
    assert changes[changed].after.expected_output == "Better."
    assert kept not in changes or changes[kept].before.split != changes[kept].after.split
    same = sum(change.before is None or change.after is None for change in changes.values())
    assert found.same == 43 - len(changes) + same - 1
    assert len(changes) <= 3 + found.moved


def test_what_went_from_training_to_test_is_counted(approve, freeze, transaction):
    approve(20)
    one = freeze(train_share=1, validation_share=0, test_share=0)
    two = freeze(train_share=0.5, validation_share=0, test_share=0.5)
    with transaction() as session:
        found = versions.difference(session, one.id, two.id)
        changes = versions.compare(session, one.id, two.id)
    assert found == (0, 0, 0, 10, 10, 10)
    assert all(change.is_sealed for change in changes)


def test_versions_are_found_by_name(approve, freeze, transaction):
    approve(2)
    one = freeze()
    approve(1)
    two = freeze()
    with transaction() as session:
        assert versions.find(session, "vat") == two
        assert versions.find(session, "vat", 1) == one
        with pytest.raises(NotFound, match="no version 7 of dataset 'vat'"):
            versions.find(session, "vat", 7)
        with pytest.raises(NotFound, match="no dataset 'x'"):
            versions.find(session, "x")


def test_another_organisation_sees_nothing_of_a_version(approve, freeze, other_organization):
    approve(2)
    version = freeze()
    stranger = Caller(other_organization.id, "Sam", Role.ADMIN)
    with pytest.raises(NotFound):
        prepare(stranger, "vat", None, None, "jsonl")
    from learning_core.db import organization_session

    with organization_session(other_organization.id) as session:
        assert queries.version(session, version.id) is None
        assert list(versions.load(session, version.id)) == []


EVERY_KIND = [
    {},
    {"quality_score": 0.73219, "human_verified": False},
    {"context": "France", "domain": "vat", "source": "widget", "conversation": "c1", "user_id": "u1"},
    {"original_output": "On the 10th.", "issue_categories": ["tone", "incorrect"], "rating": 1},
    {"original_output": "A", "alternative_output": "B", "expected_output": "B"},
    {"original_output": "A", "alternative_output": "B", "expected_output": "A", "conversation": "c1"},
    {"demonstration": {"task": " t ", "actions": ["one", "two "], "reasoning": ""}},
    {"demonstration": {"task": "t", "actions": [], "input_state": None}, "context": ""},
    {"example_type": "edge_case", "expected_output": " spaces \n\n", "input_text": "  =1+1 \u2028 é"},
    {"example_type": "failure", "rating": 5, "author": "Ada"},
]


def test_an_exported_version_imported_elsewhere_freezes_to_the_same_hash(
    approve, freeze, curator, other_organization, tmp_path
):
    for number in range(40):
        approve(1, **EVERY_KIND[number % len(EVERY_KIND)])
    approve(6, input_text="The same question again and again, asked by many people?")
    here = freeze()
    file = tmp_path / "vat.jsonl"
    file.write_bytes(prepare(curator, "vat", None, None, "jsonl").content())
    there = Caller(other_organization.id, "Olga", Role.ADMIN)
    *_, progress = import_examples(there, file)
    assert (progress.stored, progress.rejected) == (46, 0)
    from learning_core.db import organization_session

    with organization_session(other_organization.id) as session:
        again = versions.freeze(session, there, f"again {uuid4()}", Rules())
    assert (again.content_hash, again.example_count) == (here.content_hash, here.example_count)


@pytest.mark.parametrize(
    "demonstration", [{"task": "t"}, {"task": "t", "actions": ["\0"]}, {"task": "t", "actions": [], "x": 1}]
)
def test_a_demonstration_that_no_version_could_hold_is_not_imported(organization, tmp_path, demonstration):
    file = tmp_path / "examples.jsonl"
    row = {"id": "e1", "agent_id": "a", "input_text": "?", "expected_output": "!", "quality_score": 1}
    file.write_text(json.dumps(row | {"demonstration": demonstration}))
    *_, progress = import_examples(Caller(organization.id, "Olga", Role.ADMIN), file)
    assert (progress.stored, progress.rejected) == (0, 1)
