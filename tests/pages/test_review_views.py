"""The views of the Review page beside the deck."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest

from learning_core.review import flags, gold, guidelines, queries
from learning_core.schema import Role
from pages.components import frames
from tests.pages.conftest import as_html, marked_up, shown
from tests.pages.test_hostile import HOSTILE, assert_inert
from tests.review.conftest import AGENT

ME = "Local developer"
VIEWER = {"view": "Product manager"}

pytestmark = pytest.mark.usefixtures("one_each")


@pytest.fixture
def open_view(visit: Callable[..., AppTest]) -> Callable[..., AppTest]:
    """Open a view afresh: `open_view("Disputed", view="Expert")`."""

    def go(name: str, **query: str) -> AppTest:
        frames.forget()
        return visit("review", view_of_review=name, **query)

    return go


@pytest.fixture
def dispute(new_example: Any, judge: Any, person: Any) -> Callable[..., tuple[UUID, dict[str, UUID]]]:
    """Let three people differ: the example, and who gave which judgement."""

    def differ(who: tuple[str, str, str] = ("ada", "ben", "cyd"), **columns: Any) -> Any:
        example = new_example(overlap=2, **columns)
        ada, ben, cyd = (person(name) for name in who)
        judged = [
            judge(ada, example, "approve", corrected_output="On the 11th.", clarity=0.9, notes="A day late."),
            judge(ben, example, "reject", improvement_suggestions="Ask for a source."),
            judge(cyd, example, "needs_revision"),
        ]
        assert judged[-1].example_status == "disputed"
        return example, dict(zip(who, (one.annotation_id for one in judged), strict=True))

    return differ


def status(transaction: Any, example: UUID) -> Any:
    with transaction() as session:
        return queries.example(session, example)


def pressable(app: AppTest) -> set[str]:
    return {button.label for button in app.button}


# ---------------------------------------------------------------- disputed


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ("Disputed", "Nothing is disputed"),
        ("Flagged", "Nothing is flagged"),
        ("Agreement", "Nothing was judged by several yet"),
        ("Team", "You have judged no gold item."),
        ("Guidelines", "No agent yet"),
        ("Examples", "No such examples"),
    ],
)
def test_an_empty_view_says_what_comes_there(open_view: Any, view: str, says: str) -> None:
    assert says in shown(open_view(view))


def test_a_dispute_shows_the_judgements_side_by_side(open_view: Any, dispute: Any) -> None:
    example, _ = dispute()
    app = open_view("Disputed")
    words = shown(app)
    assert "1 of 1 disputed" in words
    for said in ("ada, ", "ben, ", "cyd, ", "A day late.", "Ask for a source.", "4.6 of 5", ">11th"):
        assert said in words
    assert str(example) not in words
    assert "Next →" not in pressable(app)
    assert {"Settle: approve this text", "Settle: reject", "Settle: needs revision"} <= pressable(app)


def test_taking_a_reviewers_text_settles_the_dispute(open_view: Any, dispute: Any, transaction: Any) -> None:
    example, given = dispute()
    app = open_view("Disputed").button(key=f"take_{given['ada']}").click().run()
    found = status(transaction, example)
    assert (found.status, found.approved_output, found.quality_score) == ("approved", "On the 11th.", 0.9)
    assert "Nothing is disputed" in shown(app)


def test_taking_a_rejection_settles_the_dispute(open_view: Any, dispute: Any, transaction: Any) -> None:
    example, given = dispute()
    open_view("Disputed").button(key=f"take_{given['ben']}").click().run()
    assert status(transaction, example).status == "rejected"


def test_a_decision_of_ones_own_settles_the_dispute(open_view: Any, dispute: Any, transaction: Any) -> None:
    example, _ = dispute()
    app = open_view("Disputed")
    app.segmented_control(key=f"decision_{example}").set_value("approve")
    app.segmented_control(key=f"clarity_{example}").set_value(0.5)
    app.text_area(key=f"text_{example}").input("On the 12th.")
    settle(app)
    found = status(transaction, example)
    assert (found.status, found.approved_output, found.quality_score) == ("approved", "On the 12th.", 0.5)


def settle(app: AppTest) -> AppTest:
    return next(button for button in app.button if button.label == "Settle it").click().run()


def test_approving_the_proposal_as_it_is_writes_no_new_text(
    open_view: Any, dispute: Any, transaction: Any
) -> None:
    example, _ = dispute()
    app = open_view("Disputed")
    app.segmented_control(key=f"decision_{example}").set_value("approve")
    settle(app)
    found = status(transaction, example)
    assert (found.status, found.human_verified) == ("approved", True)
    with transaction() as session:
        assert queries.annotations_of(session, example)[-1].corrected_output is None


def test_a_decision_must_be_chosen(open_view: Any, dispute: Any, transaction: Any) -> None:
    example, _ = dispute()
    assert "Choose a decision first." in shown(settle(open_view("Disputed")))
    assert status(transaction, example).status == "disputed"


def test_what_another_settled_meanwhile_is_refused_in_words(
    open_view: Any, dispute: Any, judge: Any, person: Any
) -> None:
    example, given = dispute()
    app = open_view("Disputed")
    judge(person("dora"), example, "reject")
    app.button(key=f"take_{given['ben']}").click().run()
    assert "Nothing is disputed" in shown(app)


def test_a_dispute_between_two_answers_is_settled_by_a_choice(
    open_view: Any, new_example: Any, judge: Any, person: Any, transaction: Any
) -> None:
    example = new_example(
        example_type="preference",
        original_output="Short.",
        alternative_output="Long.",
        expected_output=None,
        overlap=2,
    )
    for name, preference in (("ada", "a"), ("ben", "b"), ("cyd", "tie")):
        judge(person(name), example, "approve", preference=preference)
    app = open_view("Disputed")
    assert {"Settle: A is better", "Settle: Tie"} <= pressable(app)
    app.segmented_control(key=f"decision_{example}").set_value("b")
    settle(app)
    assert status(transaction, example).approved_output == "Long."


def test_who_judged_before_is_told_why_they_may_not_decide(open_view: Any, dispute: Any) -> None:
    dispute((ME, "ben", "cyd"))
    app = open_view("Disputed")
    assert "You judged this example yourself" in shown(app)
    assert not {"Settle it", "Settle: reject"} & pressable(app)


def test_who_wrote_the_proposal_does_not_decide(open_view: Any, dispute: Any) -> None:
    dispute(author=ME)
    app = open_view("Disputed")
    assert "You wrote the answer proposed here" in shown(app)
    assert "Settle it" not in pressable(app)


@pytest.mark.parametrize("view", ["Product manager", "ML engineer"])
def test_who_may_not_review_reads_disputes(open_view: Any, dispute: Any, view: str) -> None:
    dispute()
    app = open_view("Disputed", view=view)
    assert "your role reads" in shown(app)
    assert not {"Settle it", "Settle: reject"} & pressable(app)


def test_disputes_are_paged_through_by_the_url(open_view: Any, dispute: Any) -> None:
    dispute(input_text="First?")
    second, _ = dispute(input_text="Second?")
    app = open_view("Disputed")
    assert "First?" in as_html(app)
    next(button for button in app.button if button.label == "Next →").click().run()
    assert "2 of 2 disputed" in marked_up(app)
    assert str(second) in app.query_params["dispute"]
    assert "First?" in as_html(open_view("Disputed", dispute="nonsense"))
    assert "Second?" in as_html(open_view("Disputed", dispute=str(second)))


# ---------------------------------------------------------------- flagged


@pytest.fixture
def flagged(new_example: Any, act: Any, person: Any) -> UUID:
    example = new_example()
    act(flags.flag, person("ada"), example, "Holds a name.")
    return example


def test_a_flagged_example_is_put_back(open_view: Any, flagged: UUID, transaction: Any) -> None:
    app = open_view("Flagged")
    assert "Holds a name." in shown(app)
    assert "1 flagged example." in marked_up(app)
    app.button(key=f"unflag_{flagged}").click().run()
    assert status(transaction, flagged).status == "pending"
    assert "Nothing is flagged" in shown(app)


def test_a_flagged_example_is_rejected_for_good(open_view: Any, flagged: UUID, transaction: Any) -> None:
    open_view("Flagged").button(key=f"drop_{flagged}").click().run()
    assert status(transaction, flagged).status == "rejected"


def test_who_may_not_review_reads_flags(open_view: Any, flagged: UUID) -> None:
    app = open_view("Flagged", **VIEWER)
    assert "Holds a name." in shown(app)
    assert not {"Put it back", "Reject it"} & pressable(app)


# ---------------------------------------------------------------- agreement


def test_agreement_comes_with_its_gate_intervals_and_counts(
    open_view: Any, new_example: Any, judge: Any, person: Any
) -> None:
    for number in range(12):
        example = new_example(agent="law" if number == 11 else AGENT, overlap=2)
        for name in ("ada", "ben"):
            differs = number == 0 and name == "ben"
            judge(person(name), example, "reject" if differs or number > 8 else "approve", clarity=0.5)
    app = open_view("Agreement")
    words = shown(app)
    assert "Required for training: 80 % agree on the decision" in words
    assert "91.7 % (95 % interval" in words
    assert "12 examples judged by several" in words
    measured, agents, pairs = (table.value for table in app.dataframe)
    assert measured.set_index("Judged").loc["Decision", "Examples"] == 12
    assert "Completeness" not in measured["Judged"].tolist()
    assert measured.set_index("Judged").loc["Clarity", "Alpha"] == "Nearly all say the same"
    assert agents[["Agent", "Examples"]].to_numpy().tolist() == [["law", 1], [AGENT, 11]]
    assert pairs[["One", "Other"]].to_numpy().tolist() == [["ada", "ben"]]
    app.segmented_control(key="agreement_about").set_value("clarity").run()
    assert "Krippendorff's alpha, ordinal" in shown(app)


def test_too_little_agreement_says_what_is_missing(
    open_view: Any, new_example: Any, judge: Any, person: Any
) -> None:
    example = new_example(overlap=2)
    for name in ("ada", "ben"):
        judge(person(name), example)
    words = shown(open_view("Agreement", **VIEWER))
    assert "1 of 10 examples needed, each judged by several reviewers." in words
    assert "A month needs 10 examples" in words


# ---------------------------------------------------------------- team


def test_gold_is_measured_and_removed(
    open_view: Any, new_example: Any, judge: Any, act: Any, person: Any
) -> None:
    example = new_example(input_text="Is it gold?")
    judge(person("ada"), example)
    boss = person("boss", Role.ADMIN)
    act(gold.make_gold, boss, example)
    judge(person("ben"), example, "reject")
    judge(person(ME), example)
    app = open_view("Team")
    words = shown(app)
    assert "Your accuracy 100.0 %" in words
    assert "1 gold items you judged" in words
    assert "Is it gold?" in words
    everybody = app.dataframe[1].value
    assert everybody["Reviewer"].tolist() == [ME, "ben"]
    assert everybody["Accuracy"].tolist()[1].startswith("0.0 % (0.0 % to ")
    app.button(key=f"unmake_{example}").click().run()
    assert "None yet." in shown(app)


def test_an_expert_sees_their_own_accuracy_alone(open_view: Any) -> None:
    words = shown(open_view("Team", view="Expert"))
    assert "Your accuracy" in words
    assert "Everybody's accuracy" not in words
    assert "Gold items" not in words


def test_activity_is_told_by_reviewer(open_view: Any, new_example: Any, judge: Any, person: Any) -> None:
    judge(person("ada"), new_example(), corrected_output="On the 12th.", duration_ms=30_000)
    judge(person("ada"), new_example(), "reject", duration_ms=50_000)
    row = open_view("Team", **VIEWER).dataframe[0].value.iloc[0]
    assert (row["Reviewer"], row["Decisions"], row["Approved"], row["Corrected"]) == ("ada", 2, 50, 50)
    assert row["Seconds"] == 40


# ---------------------------------------------------------------- guidelines, examples


def test_guidelines_are_written(open_view: Any, new_example: Any) -> None:
    new_example()
    app = open_view("Guidelines", view="Expert")
    assert "Nobody has written guidelines" in shown(app)
    app.text_area(key=f"guidelines_{AGENT}").input("Approve what is <b>right</b>.")
    next(button for button in app.button if button.label == "Save").click().run()
    assert "Approve what is &lt;b&gt;right&lt;/b&gt;." in as_html(app)


def test_who_may_not_review_reads_guidelines(open_view: Any, new_example: Any, act: Any, person: Any) -> None:
    new_example()
    act(guidelines.write_guidelines, person("ada"), AGENT, "Be kind.")
    app = open_view("Guidelines", **VIEWER)
    assert "Be kind." in shown(app)
    assert "Save" not in pressable(app)


def test_examples_are_listed_by_status(open_view: Any, new_example: Any, judge: Any, person: Any) -> None:
    judge(person("ada"), new_example(input_text="Approved?"))
    new_example(input_text="Waiting?")
    app = open_view("Examples")
    approved = app.dataframe[0].value.iloc[0]
    assert (approved["Question"], approved["Quality"], approved["Verified"]) == ("Approved?", 0.8, "yes")
    waiting = open_view("Examples", status="Waiting").dataframe[0].value
    assert waiting["Question"].tolist() == ["Waiting?"]
    assert "Quality" not in waiting


@pytest.mark.parametrize("text", HOSTILE[:6])
@pytest.mark.parametrize("view", ["Disputed", "Flagged", "Examples", "Guidelines", "Team"])
def test_views_show_hostile_text_as_text(
    open_view: Any, new_example: Any, judge: Any, act: Any, person: Any, view: str, text: str
) -> None:
    strangers = [person(f"{text[:150]}{number}") for number in range(3)]
    columns = {"agent": text[:200], "input_text": text, "context": text, "original_output": text}
    disputed = new_example(**columns, overlap=2)
    judge(strangers[0], disputed, corrected_output=text + " better", notes=text)
    judge(strangers[1], disputed, "reject", improvement_suggestions=text)
    judge(strangers[2], disputed, "needs_revision")
    act(flags.flag, strangers[0], new_example(**columns), text)
    judge(strangers[0], settled := new_example(**columns))
    act(gold.make_gold, person(text[:150], Role.ADMIN), settled)
    judge(strangers[1], settled)
    act(guidelines.write_guidelines, strangers[0], text[:200].strip() or text, text)
    assert_inert(open_view(view))
