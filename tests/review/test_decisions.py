"""The log of a reviewer's deck: applied in order, once, however often and however broken it arrives."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from learning_core.access import Caller
from learning_core.errors import NotPermitted, Unavailable
from learning_core.review import flags, queue
from learning_core.review.decisions import DeckDecision, apply
from learning_core.schema import Role

pytestmark = pytest.mark.usefixtures("one_each")


def log(*lines: tuple) -> list[DeckDecision]:
    """Number lines of (example, action, what was said with it) from one on."""
    return [
        DeckDecision.model_validate({"seq": seq, "id": example, "action": action} | dict(*said))
        for seq, (example, action, *said) in enumerate(lines, 1)
    ]


@pytest.fixture
def hand(act, ada, new_example) -> list[UUID]:
    """Three examples in ada's hands."""
    for _ in range(3):
        new_example()
    return act(queue.claim, ada, limit=3)


@pytest.fixture
def statuses(transaction):
    def read() -> list[str]:
        with transaction() as session:
            return list(session.execute(text("SELECT status FROM learning_examples ORDER BY id")).scalars())

    return read


@pytest.fixture
def everything(transaction):
    """Return what the examples, annotations and leases say, moments and what was undone left out."""

    def read() -> list:
        with transaction() as session:
            return [session.execute(text(statement)).all() for statement in STATE]

    return read


STATE = [
    """
    SELECT id, status, reviews_done, reviews_wanted, held, approved_output FROM learning_examples ORDER BY id
    """,
    """
    SELECT example_id, annotator, decision, corrected_output FROM expert_annotations
    WHERE undone_at IS NULL ORDER BY example_id, annotator
    """,
    "SELECT example_id, reviewer, leased_until IS NULL FROM review_leases ORDER BY example_id, reviewer",
]


def test_a_log_is_applied_line_by_line(ada, hand, statuses, leases):
    lines = log((hand[0], "approve"), (hand[1], "reject"), (hand[2], "needs_revision"))
    assert apply(ada, lines, 0) == (3, [])
    assert statuses() == ["approved", "rejected", "needs_revision"]
    assert leases() == []


def test_everything_said_in_a_decision_is_stored(ada, hand, transaction):
    said = {
        "scores": {"clarity": 0.5, "technical_accuracy": 1.0},
        "corrected_output": "On the 15th.",
        "notes": "Wrong day.",
        "improvement_suggestions": "Name the law.",
        "duration_ms": 1500.5,
    }
    assert apply(ada, log((hand[0], "approve", said)), 0) == (1, [])
    with transaction() as session:
        row = session.execute(text("SELECT * FROM expert_annotations")).one()
    assert (row.clarity, row.technical_accuracy, row.completeness) == (0.5, 1.0, None)
    assert (row.corrected_output, row.notes, row.improvement_suggestions) == (
        "On the 15th.",
        "Wrong day.",
        "Name the law.",
    )
    assert (row.duration_ms, row.annotator, row.source) == (1500.5, "ada", "page")


@pytest.mark.parametrize(("choice", "output"), [("a", "A!"), ("b", "B!"), ("tie", None)])
def test_a_choice_between_two_outputs_is_a_decision(ada, new_example, look, choice, output):
    example = new_example(example_type="preference", original_output="A!", alternative_output="B!")
    assert apply(ada, log((example, choice, {"strength": 5})), 0) == (1, [])
    assert look(example).approved_output == output
    assert apply(ada, log((example, choice, {"strength": 5})), 0) == (1, [])


def test_lines_out_of_order_are_applied_in_the_order_of_their_numbers(ada, hand, statuses):
    lines = log((hand[0], "approve"), (hand[0], "undo"), (hand[0], "reject"))
    assert apply(ada, lines[::-1], 0) == (3, [])
    assert statuses() == ["rejected", "pending", "pending"]


def test_lines_applied_before_are_passed_over(ada, hand, statuses):
    lines = log((hand[0], "approve"), (hand[1], "approve"), (hand[2], "approve"))
    assert apply(ada, lines, 2) == (3, [])
    assert statuses() == ["pending", "pending", "approved"]
    assert apply(ada, lines, 7) == (7, [])
    assert apply(ada, [], 4) == (4, [])


@pytest.mark.parametrize(
    "lines",
    [
        [(0, "approve"), (1, "reject"), (2, "needs_revision")],
        [(0, "approve", {"corrected_output": " On the 15th. "}), (1, "skip"), (2, "flag", {"reason": "No."})],
        [(0, "skip"), (0, "undo"), (0, "approve")],
        [(0, "flag", {"reason": "No."}), (0, "undo"), (0, "reject")],
        [(0, "approve"), (0, "undo")],
        [(0, "flag", {"reason": "No."}), (0, "undo"), (1, "skip"), (1, "undo")],
    ],
    ids=lambda lines: " ".join(line[1] for line in lines),
)
def test_a_log_told_again_from_the_start_ends_where_it_ended(ada, hand, everything, lines):
    told = log(*((hand[place], *rest) for place, *rest in lines))
    assert apply(ada, told, 0) == (len(lines), [])
    before = everything()
    for _ in range(2):
        apply(ada, told, 0)
        assert everything() == before


@pytest.mark.parametrize(
    "line", [("approve",), ("reject",), ("skip",), ("flag", {"reason": "No."})], ids=lambda line: line[0]
)
def test_a_decision_in_force_already_is_taken_for_done(ada, hand, everything, line):
    told = log((hand[0], *line))
    assert apply(ada, told, 0) == (1, [])
    before = everything()
    assert apply(ada, told, 0) == (1, [])
    assert everything() == before


def test_another_text_for_what_was_judged_already_is_refused_and_not_swallowed(ada, hand):
    apply(ada, log((hand[0], "approve")), 0)
    corrected = log((hand[0], "approve", {"corrected_output": "On the 15th."}))
    applied, refused = apply(ada, corrected, 0)
    assert (applied, [refusal.why for refusal in refused]) == (1, ["You have judged this example already."])


def test_what_cannot_be_applied_is_refused_with_its_reason_and_the_rest_goes_on(
    act, judge, ada, ben, hand, new_example, statuses
):
    own, empty = new_example(author="ada"), new_example(expected_output=None)
    act(queue.give_back, ada)
    act(queue.claim, ben)
    unknown = uuid4()
    lines = log(
        (hand[0], "approve"),
        (unknown, "approve"),
        (unknown, "undo"),
        (unknown, "skip"),
        (unknown, "flag", {"reason": "No."}),
        (own, "approve"),
        (empty, "approve"),
        (hand[1], "flag"),
        (hand[1], "a"),
        (hand[2], "approve"),
    )
    applied, refused = apply(ada, lines, 0)
    assert applied == len(lines)
    assert [refusal.seq for refusal in refused] == list(range(1, 10))
    assert [refusal.example_id for refusal in refused] == [line.id for line in lines[:9]]
    words = ["Somebody else holds", "no example", "no such example", "no example", "no example", "You wrote"]
    words += ["Write the answer", "what is wrong", "no two outputs"]
    for refusal, word in zip(refused, words, strict=True):
        assert word in refusal.why
    assert statuses() == ["pending", "pending", "approved", "pending", "pending"]


def test_examples_of_another_organisation_are_not_there(hand, other_organization):
    stranger = Caller(other_organization.id, "zoe", Role.EXPERT)
    actions = ["approve", "reject", "skip", "undo"]
    _, refused = apply(stranger, log(*((hand[0], action) for action in actions)), 0)
    assert [refusal.seq for refusal in refused] == [1, 2, 3, 4]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER])
@pytest.mark.parametrize("action", ["approve", "skip", "flag", "undo"])
def test_whoever_may_not_review_applies_nothing(person, hand, everything, role, action):
    before = everything()
    with pytest.raises(NotPermitted, match=role):
        apply(person("vera", role), log((hand[0], action, {"reason": "No."})), 0)
    assert everything() == before


# ---------------------------------------------------------------- undoing


@pytest.mark.parametrize(
    "line",
    [("approve",), ("needs_revision",), ("skip",), ("flag", {"reason": "No."})],
    ids=lambda line: line[0],
)
def test_whatever_was_done_last_is_undone_and_the_example_is_back_in_hand(ada, hand, leases, statuses, line):
    held = leases()
    assert apply(ada, log((hand[0], *line), (hand[0], "undo")), 0) == (2, [])
    assert statuses() == ["pending"] * 3
    assert leases() == held


def test_undoing_nothing_holds_what_is_free_and_nothing_else(act, judge, ada, ben, new_example, leases):
    free, own, settled = new_example(), new_example(author="ada"), new_example()
    judge(ben, settled)
    assert apply(ada, log((free, "undo"), (own, "undo"), (settled, "undo")), 0) == (3, [])
    assert leases() == [(free, "ada")]


def test_undoing_comes_too_late_once_somebody_else_took_it_up(act, judge, ada, ben, hand):
    apply(ada, log((hand[0], "needs_revision")), 0)
    assert act(queue.claim, ben) == [hand[0]]
    _, refused = apply(ada, log((hand[0], "needs_revision"), (hand[0], "undo")), 1)
    assert "too late" in refused[0].why
    assert judge(ben, hand[0]).example_status == "approved"


def test_the_flag_of_somebody_else_is_not_undone(act, ada, ben, hand, look):
    act(flags.flag, ben, hand[0], "Not ours.")
    apply(ada, log((hand[0], "undo")), 0)
    assert (look(hand[0]).status, look(hand[0]).held) == ("flagged", 0)


def test_undoing_a_flag_gives_nobody_what_they_judged(act, judge, ada, new_example, look):
    example = new_example(overlap=2)
    judge(ada, example)
    assert apply(ada, log((example, "flag", {"reason": "No."}), (example, "undo")), 0) == (2, [])
    assert (look(example).status, look(example).held) == ("pending", 0)
    assert apply(ada, log((example, "undo")), 0) == (1, [])
    assert look(example).reviews_done == 0


# ---------------------------------------------------------------- hostile and incomplete


@pytest.mark.parametrize(
    "said",
    [
        {"scores": {"colour": 0.5}},
        {"scores": {"approved": 0.0}},
        {"scores": {"annotation_type": 0.5}},
        {"duration_ms": -5},
        {"duration_ms": float("nan")},
    ],
    ids=str,
)
def test_what_makes_no_judgement_is_refused_and_the_rest_goes_on(ada, hand, statuses, said):
    lines = log((hand[0], "approve", said), (hand[1], "approve"))
    applied, refused = apply(ada, lines, 0)
    assert (applied, [refusal.seq for refusal in refused]) == (2, [1])
    assert refused[0].why
    assert statuses() == ["pending", "approved", "pending"]


def test_a_line_names_its_example_and_decision_whatever_its_scores_say(ada, hand, statuses):
    scores = {"example_id": 1.0, "decision": 1.0, "preference": 1.0, "notes": 0.1}
    assert apply(ada, log((hand[0], "reject", {"scores": scores})), 0) == (1, [])
    assert statuses() == ["rejected", "pending", "pending"]


def test_a_line_that_took_longer_than_a_day_took_a_day(ada, hand, transaction):
    apply(ada, log((hand[0], "reject", {"duration_ms": 1e12}), (hand[1], "reject", {"duration_ms": None})), 0)
    with transaction() as session:
        spent = session.execute(text("SELECT duration_ms FROM expert_annotations ORDER BY id")).scalars()
        assert list(spent) == [86_400_000, 0]


LINE = {"seq": 1, "id": "01a204bb-ad58-762c-9d01-e3ba6a57291e", "action": "approve"}


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": None},
        {"seq": "one"},
        {"seq": 1.5},
        {"id": None},
        {"id": "1"},
        {"action": None},
        {"action": "promote"},
        {"scores": {"clarity": 1.2}},
        {"scores": {"clarity": float("nan")}},
        {"scores": [1]},
        {"corrected_output": "a\0b"},
        {"notes": 7},
        {"reason": None},
        {"reason": "x" * 20_001},
        {"strength": 9},
        {"duration_ms": "long"},
    ],
    ids=str,
)
def test_an_incomplete_or_impossible_line_is_no_decision(changes):
    with pytest.raises(ValidationError):
        DeckDecision.model_validate(LINE | changes)


@pytest.mark.parametrize("missing", LINE)
def test_a_line_has_a_number_an_example_and_an_action(missing):
    with pytest.raises(ValidationError, match=missing):
        DeckDecision.model_validate({name: value for name, value in LINE.items() if name != missing})


def test_what_a_deck_says_beyond_that_is_passed_over():
    line = LINE | {"deck": "d1", "undoes": "skip", "annotator": "eve"}
    assert not hasattr(DeckDecision.model_validate(line), "annotator")


def test_without_a_database_nothing_is_acknowledged(ada, hand, monkeypatch, statuses):
    def unreachable(*_: object) -> None:
        raise Unavailable

    lines = log((hand[0], "approve"), (hand[1], "approve"))
    with monkeypatch.context() as patched:
        patched.setattr("learning_core.review.decisions.in_transaction", unreachable)
        with pytest.raises(Unavailable):
            apply(ada, lines, 0)
    assert statuses() == ["pending"] * 3
    assert apply(ada, lines, 0) == (2, [])
