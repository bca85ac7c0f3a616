"""Who may judge, what is stored of it, and what becomes of the example: the one write path of judgements."""

from __future__ import annotations

from contextlib import contextmanager
from uuid import uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from learning_core import access
from learning_core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from learning_core.review import annotations, flags, gold, queue
from learning_core.review.annotations import AnnotationEntry, Effect
from learning_core.schema import QUALITY_SCALES, Role

pytestmark = pytest.mark.usefixtures("one_each")

BETTER = "On the fifteenth."


def all_scores(value: float) -> dict[str, float]:
    return dict.fromkeys(QUALITY_SCALES, value)


@pytest.fixture
def stored(transaction):
    """Return all annotations, oldest first."""

    def read() -> list:
        with transaction() as session:
            return session.execute(text("SELECT * FROM expert_annotations ORDER BY created_at, id")).all()

    return read


# ---------------------------------------------------------------- what an entry says


@pytest.mark.parametrize(
    ("said", "decision", "kind"),
    [
        ({"approved": True}, "approve", "quality_assessment"),
        ({"approved": False}, "reject", "quality_assessment"),
        ({"approved": True, "decision": "approve"}, "approve", "quality_assessment"),
        ({"decision": "needs_revision"}, "needs_revision", "quality_assessment"),
        ({"decision": "approve", "corrected_output": BETTER}, "approve", "correction"),
        ({"preference": "a"}, "approve", "quality_assessment"),
        ({"notes": "See the code."}, None, "explanation"),
        ({"improvement_suggestions": "Name the law."}, None, "explanation"),
        ({"difficulty": 0.0}, None, "difficulty_rating"),
        ({"issue_categories": ["tone"]}, None, "categorization"),
        ({"clarity": 0.0}, None, "quality_assessment"),
        ({"corrected_output": BETTER}, None, "correction"),
        ({"decision": "reject", "annotation_type": "explanation"}, "reject", "explanation"),
    ],
    ids=str,
)
def test_decision_and_type_follow_from_what_is_said(said, decision, kind):
    entry = AnnotationEntry.model_validate({"example_id": uuid4()} | said)
    assert (entry.decision, entry.annotation_type) == (decision, kind)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"notes": "  "},
        {"corrected_output": " \n"},
        {"issue_categories": []},
        {"approved": True, "decision": "reject"},
        {"approved": False, "decision": "approve"},
        {"approved": False, "decision": "needs_revision"},
        {"approved": False, "preference": "a", "decision": "approve"},
        {"decision": "maybe"},
        {"decision": "approve", "preference": "c"},
        {"decision": "approve", "preference": "a", "preference_strength": 6},
        {"decision": "approve", "clarity": 1.01},
        {"decision": "approve", "technical_accuracy": -0.01},
        {"decision": "approve", "completeness": float("nan")},
        {"decision": "approve", "difficulty": float("inf")},
        {"decision": "approve", "duration_ms": -1},
        {"decision": "approve", "duration_ms": float("nan")},
        {"decision": "approve", "issue_categories": ["colour"]},
        {"decision": "approve", "notes": "a\0b"},
        {"decision": "approve", "corrected_output": "a\0b"},
        {"decision": "approve", "notes": "x" * 20_001},
        {"decision": "approve", "annotation_type": "guess"},
        {"decision": "approve", "on_gold": True},
        {"decision": "approve", "annotator": "somebody else"},
        {"decision": "approve", "verified_by": "somebody else"},
    ],
    ids=lambda said: str(said)[:60],
)
def test_what_says_nothing_or_contradicts_itself_is_refused(said):
    with pytest.raises(ValidationError):
        AnnotationEntry.model_validate({"example_id": uuid4()} | said)


# ---------------------------------------------------------------- what is stored


def test_everything_a_reviewer_says_is_stored(judge, ada, new_example, stored):
    example = new_example()
    said = all_scores(0.9) | {
        "difficulty": 0.25,
        "issue_categories": ["incorrect", "tone"],
        "corrected_output": "  On the 15th. <b>'; DROP TABLE agents; --</b> \n",
        "notes": " Wrong day. ",
        "improvement_suggestions": "Name the law.",
        "duration_ms": 1234.5,
    }
    outcome = judge(ada, example, "approve", **said)
    (row,) = stored()
    assert outcome == Effect(row.id, example, "approved", 0.9)
    assert outcome.is_usable
    kept = {name: getattr(row, name) for name in said}
    assert kept == said | {
        "corrected_output": "On the 15th. <b>'; DROP TABLE agents; --</b>",
        "notes": "Wrong day.",
    }
    assert (row.annotator, row.decision, row.source, row.on_gold) == ("ada", "approve", "page", False)
    assert (row.verified_by, row.undone_at) == (None, None)


def test_an_approval_settles_the_example(judge, ada, new_example, look):
    example = new_example()
    assert judge(ada, example, **all_scores(0.9)).is_usable
    row = look(example)
    assert (row.status, row.approved_output, row.quality_score) == ("approved", "On the tenth.", 0.9)
    assert (row.human_verified, row.reviews_done, row.reviews_wanted) == (True, 1, 1)
    assert row.settled_at is not None


@pytest.mark.parametrize("decision", ["reject", "needs_revision"])
def test_what_is_not_approved_has_neither_output_nor_quality(judge, ada, new_example, look, decision):
    example = new_example()
    outcome = judge(ada, example, decision, **all_scores(1.0))
    assert (outcome.quality_score, outcome.is_usable) == (None, False)
    row = look(example)
    assert (row.approved_output, row.quality_score, row.human_verified) == (None, None, False)
    assert (row.settled_at is not None) == (decision == "reject")


@pytest.mark.parametrize(
    ("scores", "quality", "is_usable"),
    [
        (all_scores(0.7), 0.7, True),
        ({"technical_accuracy": 0.7}, 0.7, True),
        ({"completeness": 0.7, "clarity": 0.7}, 0.7, True),
        (all_scores(0.6999), 0.6999, False),
        (all_scores(0.0), 0.0, False),
        (all_scores(1.0), 1.0, True),
        ({}, 0.8, True),
    ],
    ids=str,
)
def test_quality_of_exactly_the_bound_is_usable(judge, ada, new_example, look, scores, quality, is_usable):
    example = new_example()
    outcome = judge(ada, example, **scores)
    assert (outcome.quality_score, outcome.is_usable) == (quality, is_usable)
    assert look(example).quality_score == quality


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"notes": "See the code."}, "explanation"),
        ({"difficulty": 0.9}, "difficulty_rating"),
        ({"issue_categories": ["tone"]}, "categorization"),
        (all_scores(0.1), "quality_assessment"),
        ({"corrected_output": BETTER}, "correction"),
    ],
)
@pytest.mark.parametrize("status", ["pending", "approved", "flagged", "withdrawn"])
def test_a_remark_changes_nothing_about_the_example(
    judge, ada, new_example, look, stored, said, kind, status
):
    example = new_example(status=status, author="ada")
    before = look(example)
    outcome = judge(ada, example, None, **said)
    assert look(example) == before
    assert (outcome.example_status, outcome.quality_score, outcome.is_usable) == (status, None, False)
    assert [(row.annotation_type, row.decision) for row in stored()] == [(kind, None)]


def test_remarks_are_as_many_as_somebody_likes_and_end_no_lease(act, judge, ada, new_example, leases):
    example = new_example()
    act(queue.claim, ada)
    for _ in range(2):
        judge(ada, example, None, notes="Hm.")
    assert leases() == [(example, "ada")]
    judge(ada, example)
    judge(ada, example, None, notes="And then.")
    assert leases() == []


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER])
@pytest.mark.parametrize("decision", ["approve", None])
def test_only_experts_and_administrators_may_judge_or_remark(
    judge, person, new_example, stored, role, decision
):
    with pytest.raises(NotPermitted, match=role):
        judge(person("vera", role), new_example(), decision, notes="Hm.")
    assert stored() == []


@pytest.mark.parametrize("role", [Role.EXPERT, Role.ADMIN])
def test_experts_and_administrators_may_judge(judge, person, new_example, role):
    assert judge(person("ada", role), new_example()).example_status == "approved"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER])
@pytest.mark.parametrize("verb", [annotations.undo, flags.unflag, flags.drop, queue.skip])
def test_whoever_may_not_judge_may_not_do_the_rest_either(act, person, new_example, role, verb):
    with pytest.raises(NotPermitted, match=role):
        act(verb, person("vera", role), new_example())


@pytest.mark.parametrize("role", [None, "", "viewer", "engineer", "EXPERT", "expert, admin"])
def test_the_database_itself_refuses_an_annotation_of_anybody_else(transaction, new_example, role):
    example = new_example()
    refused = pytest.raises(ProgrammingError, match="row-level security")
    with refused, acting(transaction, role) as session:
        session.execute(INSERT, {"example": example})


@contextmanager
def acting(transaction, role: str | None):
    """Open a transaction in which somebody of a role acts, None for one that never said who does."""
    with transaction() as session:
        if role is not None:
            session.execute(text("SELECT set_config('app.role', :role, true)"), {"role": role})
        yield session


@pytest.mark.parametrize("role", [None, "viewer", "engineer"])
def test_the_database_itself_lets_nobody_else_change_an_annotation(
    judge, ada, new_example, transaction, stored, role
):
    judge(ada, new_example(), "reject")
    before = stored()
    with acting(transaction, role) as session:
        changed = session.execute(text("UPDATE expert_annotations SET decision = 'approve'"))
        assert changed.rowcount == 0
        assert session.execute(text("DELETE FROM expert_annotations")).rowcount == 0
    assert stored() == before


def test_an_annotation_is_never_deleted_while_the_organisation_lives(
    judge, ada, boss, new_example, transaction
):
    judge(ada, new_example())
    with acting(transaction, "admin") as session:
        assert session.execute(text("DELETE FROM expert_annotations")).rowcount == 0


def test_a_connection_forgets_in_which_role_its_last_transaction_acted(judge, ada, new_example, transaction):
    example = new_example()
    for _ in range(3):
        with transaction() as session:
            access.act_as(session, ada, "review")
        with pytest.raises(ProgrammingError, match="row-level security"), transaction() as session:
            session.execute(INSERT, {"example": example})


INSERT = text("""
INSERT INTO expert_annotations (example_id, annotator, annotation_type, decision, source)
VALUES (:example, 'vera', 'quality_assessment', 'approve', 'sql')
""")


def test_nobody_judges_what_they_wrote(judge, ada, ben, new_example, stored):
    example = new_example(author="ada")
    with pytest.raises(NotPermitted, match="You wrote"):
        judge(ada, example)
    assert stored() == []
    assert judge(ben, example).example_status == "approved"


@pytest.mark.parametrize("status", ["disputed", "needs_revision"])
def test_nobody_settles_or_revises_what_they_wrote(judge, ada, new_example, status):
    with pytest.raises(NotPermitted, match="You wrote"):
        judge(ada, new_example(author="ada", status=status), corrected_output=BETTER)


def test_the_database_lets_nobody_verify_their_own(judge, ada, new_example, transaction):
    judge(ada, new_example(), corrected_output=BETTER)
    with pytest.raises(IntegrityError, match="verified_by_check"), acting(transaction, "expert") as session:
        session.execute(text("UPDATE expert_annotations SET verified_by = annotator"))


def test_the_database_takes_one_live_judgement_of_a_person(judge, ada, new_example, transaction):
    example = new_example()
    judge(ada, example)
    again = text(str(INSERT).replace("vera", "ada"))
    with pytest.raises(IntegrityError, match="judgement_key"), acting(transaction, "expert") as session:
        session.execute(again, {"example": example})


# ---------------------------------------------------------------- whose turn it is


def test_what_somebody_else_holds_is_theirs_to_judge(act, judge, ada, ben, new_example):
    example = new_example()
    act(queue.claim, ada)
    with pytest.raises(Conflict, match="Somebody else holds"):
        judge(ben, example)
    judge(ada, example)
    with pytest.raises(Conflict, match="does not wait"):
        judge(ben, example)


def test_what_nobody_holds_may_be_judged_without_a_claim(judge, ada, new_example):
    assert judge(ada, new_example()).example_status == "approved"


def test_nobody_judges_twice(judge, ada, new_example):
    example = new_example(overlap=2)
    judge(ada, example)
    with pytest.raises(Conflict, match="judged this example already"):
        judge(ada, example, "reject")


@pytest.mark.parametrize("status", ["approved", "rejected", "flagged", "withdrawn"])
def test_what_does_not_wait_is_not_judged(judge, ada, new_example, status):
    example = new_example(status=status, reviews_wanted=1 if status in ("flagged", "withdrawn") else 0)
    with pytest.raises(Conflict, match="does not wait"):
        judge(ada, example)


def test_a_lease_gives_no_right_to_judge_what_was_flagged_meanwhile(act, judge, ada, ben, new_example, look):
    example = new_example()
    act(queue.claim, ada)
    act(flags.flag, ben, example, "Contains a client's name.")
    with pytest.raises(Conflict, match="does not wait"):
        judge(ada, example)
    assert (look(example).status, look(example).held) == ("flagged", 0)
    assert act(queue.claim, ada) == []


def test_judging_what_is_not_there_says_so(judge, ada, new_example, other_organization, transaction):
    for example in (uuid4(), other_organization.id):
        with pytest.raises(NotFound, match=str(example)):
            judge(ada, example)


# ---------------------------------------------------------------- what fits


@pytest.mark.parametrize("proposed", [None, ""])
def test_nothing_cannot_be_approved(act, judge, ada, new_example, leases, proposed):
    example = new_example(example_type="failure", expected_output=proposed)
    act(queue.claim, ada)
    with pytest.raises(InvalidInput, match="Write the answer") as refused:
        judge(ada, example)
    assert refused.value.field == "corrected_output"
    assert leases() == [(example, "ada")]
    assert judge(ada, example, corrected_output=BETTER).example_status == "approved"


@pytest.mark.parametrize("decision", ["reject", "needs_revision"])
def test_nothing_can_be_rejected_and_sent_to_revision(judge, ada, new_example, decision):
    assert judge(ada, new_example(example_type="failure", expected_output=None), decision)


def test_a_text_somebody_wrote_can_be_confirmed_where_nothing_was_proposed(
    judge, ada, ben, new_example, look, stored
):
    example = new_example(example_type="failure", expected_output=None)
    judge(ada, example, corrected_output=BETTER)
    assert look(example).human_verified is False
    judge(ben, example)
    assert (look(example).approved_output, look(example).human_verified) == (BETTER, True)
    assert [(row.annotator, row.verified_by) for row in stored()] == [("ada", "ben"), ("ben", None)]


def test_a_confirmation_that_is_undone_leaves_the_text_to_be_confirmed(
    act, judge, ada, ben, new_example, look, stored
):
    example = new_example()
    judge(ada, example, corrected_output=BETTER)
    judge(ben, example)
    act(annotations.undo, ben, example)
    assert (look(example).human_verified, look(example).reviews_wanted) == (False, 2)
    assert [(row.verified_by, row.verified_at) for row in stored()] == [(None, None)] * 2


@pytest.fixture
def choice(new_example):
    return new_example(
        example_type="preference", original_output="A!", alternative_output="B!", expected_output=None
    )


@pytest.mark.parametrize(
    ("chosen", "output", "status"),
    [("a", "A!", "approved"), ("b", "B!", "approved"), ("tie", None, "rejected")],
)
def test_a_preference_settles_on_the_better_output(judge, ada, choice, look, chosen, output, status):
    judge(ada, choice, None, preference=chosen, preference_strength=4)
    assert (look(choice).status, look(choice).approved_output) == (status, output)


def test_an_answer_may_be_empty_and_still_the_better_one(judge, ada, new_example, look):
    example = new_example(
        example_type="preference", original_output="A!", alternative_output="", expected_output=None
    )
    judge(ada, example, preference="b")
    assert look(example).approved_output == ""


def test_a_preference_needs_a_choice(judge, ada, choice):
    with pytest.raises(InvalidInput, match="which output is better") as refused:
        judge(ada, choice)
    assert refused.value.field == "preference"
    assert judge(ada, choice, "reject").example_status == "rejected"


def test_there_is_nothing_to_choose_in_an_ordinary_example(judge, ada, new_example):
    with pytest.raises(InvalidInput, match="no two outputs") as refused:
        judge(ada, new_example(), preference="a")
    assert refused.value.field == "preference"


# ---------------------------------------------------------------- disputes


def test_somebody_new_settles_a_dispute_by_what_they_saw(judge, person, ada, ben, new_example, look):
    example = new_example()
    judge(ada, example, corrected_output=BETTER)
    assert judge(ben, example, "reject").example_status == "disputed"
    assert (look(example).approved_output, look(example).quality_score) == (None, None)
    for caller in (ada, ben):
        with pytest.raises(Conflict, match="judged this example already"):
            judge(caller, example)
    assert judge(person("dan"), example).example_status == "approved"
    assert (look(example).approved_output, look(example).human_verified) == ("On the tenth.", True)


def test_a_dispute_about_what_was_written_from_nothing_is_settled_by_writing(
    judge, ada, ben, cyd, new_example
):
    example = new_example(example_type="failure", expected_output=None)
    judge(ada, example, corrected_output=BETTER)
    judge(ben, example, "reject")
    with pytest.raises(InvalidInput, match="Write the answer"):
        judge(cyd, example)
    assert judge(cyd, example, corrected_output=BETTER).example_status == "approved"


# ---------------------------------------------------------------- undoing


def test_undoing_leaves_the_example_as_it_was_and_in_the_hands_of_the_same_person(
    act, judge, ada, new_example, look, leases, stored
):
    example = new_example()
    act(queue.claim, ada)
    before = look(example)
    judge(ada, example, corrected_output=BETTER)
    act(annotations.undo, ada, example)
    assert look(example) == before
    assert leases() == [(example, "ada")]
    assert stored()[0].undone_at is not None
    with pytest.raises(NotFound, match="no judgement of yours"):
        act(annotations.undo, ada, example)
    assert judge(ada, example, "reject").example_status == "rejected"


def test_undoing_is_on_record(act, judge, ada, new_example, transaction):
    example = new_example()
    judge(ada, example)
    act(annotations.undo, ada, example)
    with transaction() as session:
        log = session.execute(text("SELECT actor, subject FROM audit_log WHERE action = 'annotation.undone'"))
        assert log.all() == [("ada", str(example))]


def test_what_somebody_else_judged_is_not_undone(act, judge, ada, ben, new_example, look):
    example = new_example()
    judge(ada, example)
    with pytest.raises(NotFound, match="no judgement of yours"):
        act(annotations.undo, ben, example)
    with pytest.raises(NotFound):
        act(annotations.undo, ben, uuid4())
    assert look(example).status == "approved"


def test_what_somebody_judged_after_one_cannot_be_undone_and_the_last_can(
    act, judge, ada, ben, new_example, look
):
    example = new_example(overlap=2)
    judge(ada, example)
    judge(ben, example)
    with pytest.raises(Conflict, match="too late"):
        act(annotations.undo, ada, example)
    act(annotations.undo, ben, example)
    assert (look(example).status, look(example).reviews_done, look(example).held) == ("pending", 1, 1)
    act(annotations.undo, ada, example)


@pytest.mark.parametrize("said", [{"corrected_output": BETTER}, {"decision": "needs_revision"}], ids=str)
def test_what_somebody_is_confirming_or_revising_cannot_be_undone(act, judge, ada, ben, new_example, said):
    example = new_example()
    judge(ada, example, **said)
    assert act(queue.claim, ben) == [example]
    with pytest.raises(Conflict, match="too late"):
        act(annotations.undo, ada, example)
    act(queue.give_back, ben)
    act(annotations.undo, ada, example)


def test_a_revision_that_two_asked_for_cannot_be_undone_while_somebody_writes_it(
    act, judge, ada, ben, cyd, new_example
):
    example = new_example(overlap=2)
    for caller in (ada, ben):
        judge(caller, example, "needs_revision")
    act(queue.claim, cyd)
    with pytest.raises(Conflict, match="too late"):
        act(annotations.undo, ben, example)


def test_the_settling_of_a_dispute_cannot_be_undone_while_its_text_is_being_confirmed(
    act, judge, person, new_example, look
):
    example = new_example(overlap=2)
    for name, decision in (("ada", "approve"), ("ben", "reject"), ("cyd", "needs_revision")):
        judge(person(name), example, decision)
    dan, eve = person("dan"), person("eve")
    judge(dan, example, corrected_output=BETTER)
    assert act(queue.claim, eve) == [example]
    with pytest.raises(Conflict, match="too late"):
        act(annotations.undo, dan, example)
    judge(eve, example)
    assert look(example).approved_output == BETTER


def test_whoever_judges_blind_beside_one_keeps_nobody_from_undoing(
    act, judge, ada, ben, new_example, look, leases
):
    example = new_example(overlap=2)
    judge(ada, example)
    act(queue.claim, ben)
    act(annotations.undo, ada, example)
    assert leases() == [(example, "ada"), (example, "ben")]


def test_a_lapsed_lease_keeps_nobody_from_undoing(act, judge, ada, ben, new_example, configure, leases):
    example = new_example()
    judge(ada, example, "needs_revision")
    configure(AFTERGLOW_REVIEW_LEASE_MINUTES=0)
    act(queue.claim, ben)
    configure(AFTERGLOW_REVIEW_LEASE_MINUTES=30)
    act(annotations.undo, ada, example)
    assert leases() == [(example, "ada")]


def test_undoing_leaves_a_flag_and_a_final_rejection_where_they_are(act, judge, ada, ben, new_example, look):
    example = new_example(overlap=2)
    judge(ada, example)
    act(flags.flag, ben, example, "Not ours.")
    act(annotations.undo, ada, example)
    assert (look(example).status, look(example).reviews_done, look(example).held) == ("flagged", 0, 0)
    act(flags.unflag, ben, example)
    judge(ada, example)
    act(flags.flag, ben, example, "Not ours.")
    act(flags.drop, ben, example)
    settled = look(example).settled_at
    act(annotations.undo, ada, example)
    assert (look(example).status, look(example).settled_at) == ("rejected", settled)


def test_what_a_frozen_dataset_rests_on_cannot_be_undone(act, judge, ada, new_example, transaction, look):
    example = new_example()
    judge(ada, example)
    with transaction() as session:
        session.execute(text(FREEZE))
        session.execute(text(FREEZE_MEMBER), {"example": example})
    with pytest.raises(Conflict, match="frozen dataset"):
        act(annotations.undo, ada, example)
    assert look(example).status == "approved"


FREEZE = """
INSERT INTO training_datasets
    (name, version, rules, seed, content_hash, example_count, statistics, gates, created_by)
VALUES ('first', 1, '{}', '', '', 1, '{}', '{}', 'ada')
"""
FREEZE_MEMBER = """
INSERT INTO dataset_examples (dataset_id, example_id, split, group_name, content)
SELECT id, :example, 'test', 'one', '{}' FROM training_datasets
"""


# ---------------------------------------------------------------- gold


@pytest.fixture
def golden(new_example):
    return new_example(
        status="approved", approved_output="On the tenth.", gold_decision="approve", reviews_wanted=0
    )


@pytest.mark.parametrize("decision", ["approve", "reject", "needs_revision"])
def test_judging_a_gold_item_is_measured_and_changes_nothing(act, judge, ada, golden, look, stored, decision):
    before = look(golden)
    outcome = judge(ada, golden, decision, corrected_output=BETTER)
    assert look(golden) == before
    assert (outcome.quality_score, outcome.is_usable) == (None, False)
    assert [(row.on_gold, row.decision) for row in stored()] == [(True, decision)]
    with pytest.raises(Conflict, match="judged this example already"):
        judge(ada, golden)
    act(annotations.undo, ada, golden)
    assert look(golden).held == 1
    judge(ada, golden)


def test_nobody_is_measured_by_what_they_wrote(judge, ada, new_example):
    golden = new_example(status="rejected", gold_decision="reject", author="ada", reviews_wanted=0)
    with pytest.raises(NotPermitted, match="You wrote"):
        judge(ada, golden, "reject")


def test_a_gold_item_without_a_proposal_is_not_approved_as_it_is(judge, ada, new_example):
    golden = new_example(
        status="approved",
        expected_output=None,
        approved_output=BETTER,
        gold_decision="approve",
        reviews_wanted=0,
    )
    with pytest.raises(InvalidInput, match="Write the answer"):
        judge(ada, golden)


def test_what_a_gold_item_rests_on_cannot_be_undone(act, judge, ada, boss, new_example, look):
    example = new_example()
    judge(ada, example)
    act(gold.make_gold, boss, example)
    with pytest.raises(Conflict, match="gold item"):
        act(annotations.undo, ada, example)
    act(gold.unmake_gold, boss, example)
    act(annotations.undo, ada, example)
    assert look(example).status == "pending"


def test_a_reported_answer_may_be_approved_as_it_was_given(new_example, judge, ada, look):
    reported = new_example(example_type="failure", original_output="On the tenth.", expected_output=None)
    assert judge(ada, reported, clarity=1.0).example_status == "approved"
    row = look(reported)
    assert (row.approved_output, row.human_verified) == ("On the tenth.", True)
