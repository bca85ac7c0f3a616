"""The verdict tells what judgements come to, whoever gives them and in whatever order they come."""

from __future__ import annotations

import doctest
from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from learning_core.review import verdicts
from learning_core.review.verdicts import APPROVED_AS_IS, WEIGHTS, Case, Judgement, judge, quality
from learning_core.schema import Decision, ExampleStatus, Preference

PROPOSED, BETTER, BEST = "On the tenth.", "On the fifteenth.", "On the fifteenth, or the next working day."
CASE = Case(PROPOSED)
TWICE = Case(PROPOSED, overlap=2)
CHOICE = Case(None, alternatives=("Answer A", "Answer B"))
BOUND = 0.3


def said(annotator: str, decision: str, text: str | None = None, **scores: float) -> Judgement:
    return Judgement(uuid4(), annotator, Decision(decision), text, scores=scores)


def chose(annotator: str, preference: str) -> Judgement:
    return Judgement(uuid4(), annotator, Decision.APPROVE, preference=Preference(preference))


def verdict(case: Case, *judgements: Judgement) -> verdicts.Verdict:
    return judge(case, judgements, BOUND)


# ---------------------------------------------------------------- quality


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(verdicts).failed == 0


def test_the_weights_of_the_scores_add_up_to_one():
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_quality_is_the_weighted_mean_of_the_four_scores():
    scores = {"technical_accuracy": 1.0, "completeness": 0.8, "professional_quality": 0.5, "clarity": 0.2}
    assert quality(scores) == pytest.approx(0.4 * 1.0 + 0.25 * 0.8 + 0.2 * 0.5 + 0.15 * 0.2)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("score", [0.0, 0.37, 1.0])
def test_a_single_score_is_the_quality(name, score):
    assert quality({name: score}) == pytest.approx(score)


def test_the_weight_of_a_missing_score_goes_to_the_others_in_proportion():
    assert quality({"completeness": 1.0, "clarity": 0.0}) == pytest.approx(0.25 / (0.25 + 0.15))


@pytest.mark.parametrize("scores", [{}, {"difficulty": 0.1}])
def test_an_approval_without_scores_is_good_enough_to_learn_from(scores):
    assert quality(scores) == APPROVED_AS_IS


# ---------------------------------------------------------------- one person judges


def test_nothing_judged_is_pending_and_wants_as_many_as_the_overlap_says():
    for case in (CASE, TWICE, Case(None, overlap=3)):
        nothing = verdict(case)
        assert (nothing.status, nothing.reviews_wanted) == (ExampleStatus.PENDING, case.overlap)
        assert (nothing.output, nothing.quality, nothing.is_verified) == (None, None, False)


def test_an_approval_settles_on_the_proposed_text_and_verifies_it():
    approved = verdict(CASE, said("ada", "approve", clarity=0.9))
    assert (approved.status, approved.reviews_wanted) == (ExampleStatus.APPROVED, 1)
    assert (approved.output, approved.quality, approved.is_verified) == (PROPOSED, 0.9, True)


def test_a_rejection_settles_without_output_or_quality():
    rejected = verdict(CASE, said("ada", "reject", clarity=0.9))
    assert (rejected.status, rejected.reviews_wanted) == (ExampleStatus.REJECTED, 1)
    assert (rejected.output, rejected.quality, rejected.is_verified) == (None, None, False)


def test_a_text_that_differs_in_white_space_only_is_no_new_text():
    approved = verdict(CASE, said("ada", "approve", " On  the\ntenth. "))
    assert (approved.output, approved.is_verified, approved.reviews_wanted) == (PROPOSED, True, 1)


def test_a_needed_revision_waits_for_one_more_whose_word_holds():
    asked = said("ada", "needs_revision")
    waiting = verdict(CASE, asked)
    assert (waiting.status, waiting.reviews_wanted) == (ExampleStatus.NEEDS_REVISION, 2)
    assert (waiting.output, waiting.quality) == (None, None)
    assert verdict(CASE, asked, said("ben", "approve")).status is ExampleStatus.APPROVED
    assert verdict(CASE, asked, said("ben", "reject")).status is ExampleStatus.REJECTED
    again = verdict(CASE, asked, said("ben", "needs_revision"))
    assert (again.status, again.reviews_wanted) == (ExampleStatus.NEEDS_REVISION, 3)


def test_a_revision_that_two_ask_for_waits_for_one_person():
    asked = verdict(TWICE, said("ada", "needs_revision"), said("ben", "needs_revision"))
    assert (asked.status, asked.reviews_wanted) == (ExampleStatus.NEEDS_REVISION, 3)


# ---------------------------------------------------------------- a new text is confirmed


def test_a_rewritten_approval_waits_for_somebody_to_confirm_it():
    written = verdict(CASE, said("ada", "approve", BETTER))
    assert (written.status, written.reviews_wanted) == (ExampleStatus.APPROVED, 2)
    assert (written.output, written.is_verified, written.confirmed) == (BETTER, False, {})


@pytest.mark.parametrize("text", [None, BETTER, f"  {BETTER}\n"])
def test_confirming_verifies_the_text_and_says_who_did(text):
    wrote = said("ada", "approve", BETTER, clarity=0.8)
    confirmed = verdict(CASE, wrote, said("ben", "approve", text, clarity=0.9))
    assert (confirmed.status, confirmed.reviews_wanted) == (ExampleStatus.APPROVED, 2)
    assert (confirmed.output, confirmed.is_verified) == (BETTER, True)
    assert confirmed.confirmed == {wrote.id: "ben"}
    assert confirmed.quality == pytest.approx(0.85)


@pytest.mark.parametrize("decision", ["reject", "needs_revision"])
def test_whoever_does_not_confirm_makes_a_dispute(decision):
    disputed = verdict(CASE, said("ada", "approve", BETTER), said("ben", decision))
    assert (disputed.status, disputed.reviews_wanted) == (ExampleStatus.DISPUTED, 2)
    assert (disputed.output, disputed.quality, disputed.is_verified) == (None, None, False)
    assert disputed.confirmed == {}


def test_whoever_rewrites_again_waits_to_be_confirmed_in_turn():
    first, second = said("ada", "approve", BETTER), said("ben", "approve", BEST, clarity=0.4)
    again = verdict(CASE, first, second)
    assert (again.status, again.reviews_wanted, again.output) == (ExampleStatus.APPROVED, 3, BEST)
    assert (again.is_verified, again.quality) == (False, 0.4)
    confirmed = verdict(CASE, first, second, said("cyd", "approve"))
    assert (confirmed.is_verified, confirmed.confirmed) == (True, {second.id: "cyd"})


def test_writing_the_proposed_text_anew_is_a_new_text_once_it_was_rewritten():
    back = verdict(CASE, said("ada", "approve", BETTER), said("ben", "approve", PROPOSED))
    assert (back.output, back.is_verified, back.reviews_wanted) == (PROPOSED, False, 3)


def test_two_who_write_the_same_text_blind_confirm_each_other():
    first = said("ada", "approve", BETTER)
    both = verdict(TWICE, first, said("ben", "approve", BETTER + "\n"))
    assert (both.status, both.reviews_wanted, both.is_verified) == (ExampleStatus.APPROVED, 2, True)
    assert both.confirmed == {first.id: "ben"}


def test_a_revision_that_somebody_writes_is_confirmed_by_a_third():
    asked, wrote = said("ada", "needs_revision"), said("ben", "approve", BETTER)
    assert verdict(CASE, asked, wrote).reviews_wanted == 3
    assert verdict(CASE, asked, wrote, said("cyd", "approve")).confirmed == {wrote.id: "cyd"}


# ---------------------------------------------------------------- several judge


def test_two_who_agree_settle():
    agreed = verdict(TWICE, said("ada", "approve", clarity=0.6), said("ben", "approve", clarity=0.8))
    assert (agreed.status, agreed.reviews_wanted) == (ExampleStatus.APPROVED, 2)
    assert (agreed.quality, agreed.is_verified) == (pytest.approx(0.7), True)


def test_the_first_of_two_settles_nothing():
    for first in (said("ada", "approve", BETTER), said("ada", "reject"), said("ada", "needs_revision")):
        waiting = verdict(TWICE, first)
        assert (waiting.status, waiting.reviews_wanted) == (ExampleStatus.PENDING, 2)
        assert (waiting.output, waiting.quality) == (None, None)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (said("ada", "approve"), said("ben", "reject")),
        (said("ada", "needs_revision"), said("ben", "reject")),
        (said("ada", "approve"), said("ben", "approve", BETTER)),
        (said("ada", "approve", BEST), said("ben", "approve", BETTER)),
        (said("ada", "approve", clarity=0.3), said("ben", "approve", clarity=0.7)),
    ],
    ids=["decision", "decision without approval", "text", "both texts", "quality"],
)
def test_where_two_differ_one_more_is_asked(one, other):
    for judgements in ((one, other), (other, one)):
        differing = verdict(TWICE, *judgements)
        assert (differing.status, differing.reviews_wanted) == (ExampleStatus.PENDING, 3)
        assert differing.output is None


@pytest.mark.parametrize(("low", "high"), [(0.6, 0.9), (0.5, 0.8), (0.1, 0.4), (0.7, 1.0), (0.0, 0.3)])
def test_a_difference_of_exactly_the_bound_is_no_disagreement(low, high):
    agreed = verdict(
        TWICE, said("ada", "approve", technical_accuracy=low), said("ben", "approve", technical_accuracy=high)
    )
    assert agreed.status is ExampleStatus.APPROVED
    over = verdict(TWICE, said("ada", "approve", clarity=low), said("ben", "approve", clarity=high + 1e-6))
    assert over.status is ExampleStatus.PENDING


def test_an_approval_without_scores_differs_from_nobody_in_quality():
    agreed = verdict(TWICE, said("ada", "approve", clarity=0.1), said("ben", "approve"))
    assert agreed.status is ExampleStatus.APPROVED


@pytest.mark.parametrize("place", [0, 1])
def test_two_of_three_hold_and_the_third_does_not_count(place):
    judgements = [said("ada", "approve", clarity=0.9), said("ben", "approve", clarity=0.7)]
    judgements.insert(place, said("cyd", "reject", clarity=0.1))
    settled = verdict(TWICE, *judgements)
    assert (settled.status, settled.output) == (ExampleStatus.APPROVED, PROPOSED)
    assert settled.quality == pytest.approx(0.8)


def test_two_of_three_with_the_same_new_text_hold_and_confirm_each_other():
    first = said("ada", "approve", BETTER)
    settled = verdict(TWICE, first, said("ben", "approve"), said("cyd", "approve", BETTER))
    assert (settled.output, settled.is_verified, settled.reviews_wanted) == (BETTER, True, 3)
    assert settled.confirmed == {first.id: "cyd"}


SPLIT = (said("ada", "approve"), said("ben", "reject"), said("cyd", "needs_revision"))
THREE_TEXTS = (said("ada", "approve"), said("ben", "approve", BETTER), said("cyd", "approve", BEST))


@pytest.mark.parametrize("three", [SPLIT, THREE_TEXTS], ids=["three decisions", "three texts"])
def test_a_three_way_split_is_disputed_and_waits_for_nobody_in_the_queue(three):
    disputed = verdict(TWICE, *three)
    assert (disputed.status, disputed.reviews_wanted) == (ExampleStatus.DISPUTED, 3)
    assert (disputed.output, disputed.is_verified) == (None, False)


@pytest.mark.parametrize(
    ("decision", "status"),
    [
        ("approve", ExampleStatus.APPROVED),
        ("reject", ExampleStatus.REJECTED),
        ("needs_revision", ExampleStatus.NEEDS_REVISION),
    ],
)
def test_whoever_settles_a_dispute_has_the_last_word(decision, status):
    settled = verdict(TWICE, *SPLIT, said("dan", decision, clarity=0.9))
    assert settled.status is status
    both_approvals = pytest.approx((APPROVED_AS_IS + 0.9) / 2)
    assert settled.quality == (both_approvals if decision == "approve" else None)


def test_a_dispute_settled_with_a_new_text_waits_for_its_confirmation():
    wrote = said("dan", "approve", BETTER)
    settled = verdict(TWICE, *SPLIT, wrote)
    assert (settled.output, settled.is_verified, settled.reviews_wanted) == (BETTER, False, 5)
    assert verdict(TWICE, *SPLIT, wrote, said("eve", "approve")).confirmed == {wrote.id: "eve"}


def test_whoever_settles_a_dispute_on_a_text_that_somebody_wrote_confirms_it():
    ada = said("ada", "approve", BETTER, clarity=1.0)
    dispute = (ada, said("ben", "reject"))
    settled = verdict(CASE, *dispute, said("cyd", "approve", BETTER, clarity=0.5))
    assert (settled.status, settled.output, settled.is_verified) == (ExampleStatus.APPROVED, BETTER, True)
    assert settled.confirmed == {ada.id: "cyd"}
    assert settled.quality == pytest.approx(0.75)
    assert settled.reviews_wanted == 3


def test_a_dispute_about_a_new_text_is_settled_on_the_proposed_one_unless_somebody_writes():
    disputed = (said("ada", "approve", BETTER), said("ben", "reject"))
    settled = verdict(CASE, *disputed, said("cyd", "approve"))
    assert (settled.output, settled.is_verified, settled.confirmed) == (PROPOSED, True, {})


def test_of_three_who_judge_blind_all_have_to_agree_or_a_fourth_is_asked():
    thrice = Case(PROPOSED, overlap=3)
    two, other = [said(name, "approve") for name in ("ada", "ben")], said("cyd", "reject")
    assert verdict(thrice, *two, said("cyd", "approve")).status is ExampleStatus.APPROVED
    assert verdict(thrice, *two, other).reviews_wanted == 4
    assert verdict(thrice, *two, other, said("dan", "approve")).status is ExampleStatus.APPROVED
    assert verdict(thrice, *two, other, said("dan", "reject")).status is ExampleStatus.DISPUTED


# ---------------------------------------------------------------- preferences


@pytest.mark.parametrize(("choice", "output"), [("a", "Answer A"), ("b", "Answer B")])
def test_a_choice_settles_on_that_output(choice, output):
    chosen = verdict(CHOICE, chose("ada", choice))
    assert (chosen.status, chosen.output, chosen.is_verified) == (ExampleStatus.APPROVED, output, True)


def test_a_tie_teaches_nothing():
    tie = verdict(CHOICE, chose("ada", "tie"))
    assert (tie.status, tie.output, tie.quality) == (ExampleStatus.REJECTED, None, None)


def test_two_who_choose_differently_ask_a_third():
    case = Case(None, overlap=2, alternatives=("Answer A", "Answer B"))
    a, b = chose("ada", "a"), chose("ben", "b")
    assert verdict(case, a, b).reviews_wanted == 3
    assert verdict(case, a, b, chose("cyd", "b")).output == "Answer B"
    assert verdict(case, a, b, chose("cyd", "tie")).status is ExampleStatus.DISPUTED
    assert verdict(case, a, b, chose("cyd", "tie"), chose("dan", "a")).output == "Answer A"


def test_whoever_should_confirm_a_better_text_and_chooses_otherwise_makes_a_dispute():
    wrote = Judgement(uuid4(), "ada", Decision.APPROVE, BETTER, Preference.A)
    assert verdict(CHOICE, wrote, chose("ben", "a")).confirmed == {wrote.id: "ben"}
    assert verdict(CHOICE, wrote, chose("ben", "b")).status is ExampleStatus.DISPUTED
    assert verdict(CHOICE, wrote, chose("ben", "tie")).status is ExampleStatus.DISPUTED


# ---------------------------------------------------------------- whatever comes

texts = st.sampled_from([None, PROPOSED, BETTER, BEST])
share = st.floats(0, 1)
scores = st.dictionaries(st.sampled_from(sorted(WEIGHTS)), share)
choices = st.none() | st.sampled_from(Preference)
cases = st.builds(
    Case,
    proposed=st.none() | st.just(PROPOSED),
    overlap=st.integers(1, 4),
    alternatives=st.none() | st.just(("A", "B")),
)


@st.composite
def sequences(draw) -> list[Judgement]:
    people = [f"person {n}" for n in range(draw(st.integers(0, 9)))]
    decisions = st.sampled_from(Decision)
    return [
        Judgement(uuid4(), name, draw(decisions), draw(texts), draw(choices), draw(scores)) for name in people
    ]


@given(scores)
@example(dict.fromkeys(WEIGHTS, 1.0))
@example(dict.fromkeys(WEIGHTS, 0.7))
def test_quality_lies_between_the_lowest_and_the_highest_score(scores):
    if scores:
        assert min(scores.values()) - 1e-12 <= quality(scores) <= max(scores.values()) + 1e-12


@given(cases, sequences(), share)
def test_a_verdict_never_wants_fewer_judgements_than_there_are(case, judgements, bound):
    assert judge(case, judgements, bound).reviews_wanted >= len(judgements)


@given(cases, sequences(), share)
def test_quality_and_output_are_there_with_an_approval_only(case, judgements, bound):
    found = judge(case, judgements, bound)
    is_approved = found.status is ExampleStatus.APPROVED
    assert (found.quality is not None) == is_approved
    assert found.quality is None or 0 <= found.quality <= 1
    assert is_approved or (found.output is None and not found.is_verified)


@given(cases, sequences(), share)
def test_what_nobody_waits_for_is_settled_or_disputed_and_the_reverse(case, judgements, bound):
    found = judge(case, judgements, bound)
    waits = found.reviews_wanted > len(judgements)
    if found.status in (ExampleStatus.PENDING, ExampleStatus.NEEDS_REVISION):
        assert waits
    elif found.status in (ExampleStatus.REJECTED, ExampleStatus.DISPUTED):
        assert not waits
    else:
        assert waits == (not found.is_verified)


@given(cases, sequences(), share)
def test_nobody_confirms_their_own_text(case, judgements, bound):
    by_id = {judgement.id: judgement.annotator for judgement in judgements}
    confirmed = judge(case, judgements, bound).confirmed
    assert all(by_id[written] != confirmer for written, confirmer in confirmed.items())
    assert set(confirmed.values()) <= set(by_id.values())


@given(cases, sequences(), share)
def test_undoing_the_last_judgement_leads_back_to_the_verdict_before(case, judgements, bound):
    told = [judge(case, judgements[:n], bound) for n in range(len(judgements) + 1)]
    while judgements:
        judgements.pop()
        told.pop()
        assert judge(case, judgements, bound) == told[-1]
