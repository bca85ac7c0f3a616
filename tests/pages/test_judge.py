"""The deck on the Review page: what it holds, what it stores, and what it gives back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from learning_core import db
from learning_core.errors import Unavailable
from learning_core.feedback.executions import register_agents
from learning_core.review import decisions
from learning_core.review.guidelines import write_guidelines
from learning_core.review.queue import claim, give_back
from pages.components import frames
from tests.pages.conftest import PAGES, marked_up, shown

ME = "Local developer"

pytestmark = pytest.mark.usefixtures("one_each")


@pytest.fixture
def examples(new_example: Any) -> list[UUID]:
    """Fourteen examples that wait, the first to come first: more than a deck holds."""
    return [new_example(priority=0.9 - number / 100) for number in range(14)]


@pytest.fixture
def open_deck(visit: Callable[..., AppTest]) -> Callable[..., AppTest]:
    """Open Review afresh: `open_deck(view="Expert", domain="tax")`."""

    def go(**query: str) -> AppTest:
        frames.forget()
        return visit("review", **query)

    return go


@pytest.fixture
def held(leases: Any) -> Callable[[], set[UUID]]:
    """Return the examples that the person at this machine holds."""
    return lambda: {example for example, reviewer in leases() if reviewer == ME}


@pytest.fixture
def stored(transaction: Any) -> Callable[[], list[tuple[UUID, str, bool]]]:
    """Return all judgements: example, decision or preference, and whether it was undone."""

    def read() -> list[tuple[UUID, str, bool]]:
        with transaction() as session:
            rows = session.execute(
                text("""
                SELECT example_id, coalesce(preference, decision), undone_at IS NOT NULL
                FROM expert_annotations WHERE annotator = :me ORDER BY created_at
                """),
                {"me": ME},
            )
            return [tuple(row) for row in rows]

    return read


def decks(app: AppTest) -> list[dict[str, Any]]:
    """Return what the browser was given for each deck on the page."""
    assert not app.exception, app.exception
    return [json.loads(element.proto.json) for element in app.get("bidi_component")]


def deck_of(app: AppTest) -> dict[str, Any]:
    [given] = decks(app)
    return given


def ids(deck: dict[str, Any]) -> list[UUID]:
    return [UUID(item["id"]) for item in deck["items"]]


def entry(deck: dict[str, Any], seq: int, example: UUID, action: str, **more: Any) -> dict[str, Any]:
    return {"seq": seq, "deck": deck["deck"], "id": str(example), "action": action} | more


def send(app: AppTest, *log: dict[str, Any], mode: str = "review") -> AppTest:
    """Let the browser hand over its log with the next run."""
    app.session_state[f"deck_{mode}"] = {"log": list(log)}
    return app


def go_to(app: AppTest, page: str) -> AppTest:
    return app.switch_page(str(PAGES / f"{page}.py")).run()


def view(app: AppTest, name: str) -> AppTest:
    return app.segmented_control(key="view_of_review").set_value(name).run()


def put_into_other(organization: Any) -> UUID:
    """Put an example into the queue of another organisation."""
    with db.organization_session(organization.id) as session:
        register_agents(session, {"law"})
        return session.execute(
            text("""
            INSERT INTO learning_examples (agent_id, example_type, source, input_text, expected_output)
            SELECT id, 'positive', 'api', 'Theirs?', 'Theirs.' FROM agents WHERE key = 'law' RETURNING id
            """)
        ).scalar_one()


def leases_of(organization: Any) -> int:
    with db.organization_session(organization.id) as session:
        return int(session.execute(text("SELECT count(*) FROM review_leases")).scalar_one())


# ---------------------------------------------------------------- what a deck holds


@pytest.mark.parametrize("role", ["Expert", "Administrator"])
def test_opening_the_deck_holds_the_twelve_most_valuable(
    open_deck: Any, examples: Any, held: Any, role: str
) -> None:
    deck = deck_of(open_deck(view=role))
    assert ids(deck) == examples[:12]
    assert held() == set(examples[:12])
    assert deck["progress"] == {"done_today": 0, "waiting": 14, "mine": 12}


def test_a_deck_holds_what_there_is(open_deck: Any, new_example: Any, held: Any) -> None:
    example = new_example()
    assert ids(deck_of(open_deck(view="Expert"))) == [example]
    assert held() == {example}


def test_without_examples_the_deck_is_there_and_holds_nothing(open_deck: Any, held: Any) -> None:
    assert deck_of(open_deck(view="Expert"))["items"] == []
    assert held() == set()


@pytest.mark.usefixtures("examples")
@pytest.mark.parametrize("view_of_review", ["Judge", "Compare"])
@pytest.mark.parametrize("role", ["Product manager", "ML engineer"])
def test_who_may_not_review_holds_nothing_and_is_told_why(
    open_deck: Any,
    leases: Any,
    role: str,
    view_of_review: str,
) -> None:
    app = open_deck(view=role, view_of_review=view_of_review)
    assert "Experts judge here" in shown(app)
    assert "Your role reads" in shown(app)
    assert decks(app) == []
    assert leases() == []


@pytest.mark.usefixtures("examples")
def test_who_may_not_review_comes_to_the_examples_first(open_deck: Any, leases: Any) -> None:
    app = open_deck(view="ML engineer")
    assert app.segmented_control(key="view_of_review").value == "Examples"
    assert leases() == []


def test_running_again_holds_no_more(open_deck: Any, examples: Any, held: Any) -> None:
    deck = deck_of(open_deck().run().run())
    assert ids(deck) == examples[:12]
    assert held() == set(examples[:12])


def test_the_compare_view_shows_only_preferences(open_deck: Any, new_example: Any, held: Any) -> None:
    single = new_example(priority=0.9)
    pair = new_example(
        example_type="preference", original_output="Short.", alternative_output="Long.", expected_output=None
    )
    [item] = deck_of(open_deck(view_of_review="Compare"))["items"]
    assert (item["id"], item["option_a"], item["option_b"]) == (str(pair), "Short.", "Long.")
    assert held() == {pair}
    frames.forget()
    assert ids(deck_of(open_deck(view_of_review="Judge"))) == [single]


def test_a_deck_comes_with_the_guidelines_of_its_agents_alone(
    open_deck: Any, new_example: Any, act: Any, person: Any
) -> None:
    new_example(agent="law")
    new_example(agent="tax", example_type="preference")
    for agent in ("law", "tax"):
        act(write_guidelines, person("ada"), agent, f"About {agent}.")
    assert deck_of(open_deck())["guidelines"] == {"law": "About law."}


# ---------------------------------------------------------------- what a log does


def test_a_log_is_applied_once(
    open_deck: Any,
    examples: Any,
    held: Any,
    stored: Any,
    look: Any,
) -> None:
    app = open_deck(view="Expert")
    deck = deck_of(app)
    approved, rejected, skipped, flagged, undone, revised = examples[:6]
    log = [
        entry(deck, 1, approved, "approve", scores={"clarity": 0.75}, notes="Clear.", duration_ms=900.5),
        entry(deck, 2, rejected, "reject"),
        entry(deck, 3, skipped, "skip"),
        entry(deck, 4, flagged, "flag", reason="Holds a name."),
        entry(deck, 5, undone, "reject"),
        entry(deck, 6, undone, "undo", undoes="reject"),
        entry(deck, 7, revised, "approve", corrected_output="On the 12th."),
    ]
    after = deck_of(send(app, *log).run())
    judged = [
        (approved, "approve", False),
        (rejected, "reject", False),
        (undone, "reject", True),
        (revised, "approve", False),
    ]
    assert stored() == judged
    assert (look(approved).status, look(approved).quality_score) == ("approved", 0.75)
    assert look(rejected).status == "rejected"
    assert (look(flagged).status, look(flagged).flag_reason) == ("flagged", "Holds a name.")
    assert (look(skipped).status, look(undone).status) == ("pending", "pending")
    assert (after["acked"], after["refused"], after["progress"]["done_today"]) == (7, [], 3)
    assert set(ids(after)) == held() == {undone, *examples[6:]}
    assert "Bring back 1 skipped" in marked_up(app)

    for again in (log, log[3:], [*log, entry(deck, 8, examples[6], "reject")]):
        after = deck_of(send(app, *again).run())
    assert stored() == [*judged, (examples[6], "reject", False)]
    assert (after["acked"], after["refused"]) == (8, [])


def test_a_choice_between_two_answers_is_stored(open_deck: Any, new_example: Any, stored: Any) -> None:
    pair = new_example(
        example_type="preference", original_output="Short.", alternative_output="Long.", expected_output=None
    )
    app = open_deck(view_of_review="Compare")
    after = deck_of(send(app, entry(deck_of(app), 1, pair, "b", strength=4), mode="compare").run())
    assert stored() == [(pair, "b", False)]
    assert (after["acked"], after["items"]) == (1, [])


def test_skipped_examples_are_brought_back(open_deck: Any, new_example: Any, held: Any) -> None:
    example = new_example()
    app = open_deck()
    send(app, entry(deck_of(app), 1, example, "skip")).run()
    assert held() == set()
    app.button(key="bring_back_skipped").click().run()
    assert held() == {example}
    assert ids(deck_of(app)) == [example]
    assert "Bring back" not in marked_up(app)


@pytest.mark.parametrize(
    "unreadable",
    [{"scores": {"clarity": 7}}, {"id": "no example"}, {"notes": "a\0b"}, {"strength": "much"}],
    ids=str,
)
def test_an_unreadable_entry_is_acknowledged_and_refused_in_words(
    open_deck: Any, examples: Any, stored: Any, unreadable: dict[str, Any]
) -> None:
    app = open_deck()
    deck = deck_of(app)
    wrong = entry(deck, 2, examples[1], "approve") | unreadable
    log = [entry(deck, 1, examples[0], "approve"), wrong, entry(deck, 3, examples[2], "reject")]
    after = deck_of(send(app, *log).run())
    assert after["acked"] == 3
    assert after["refused"] == [{"seq": 2, "id": wrong["id"], "why": "This decision could not be read."}]
    assert [example for example, *_ in stored()] == [examples[0], examples[2]]


def test_an_unreadable_entry_alone_is_acknowledged(open_deck: Any, examples: Any, stored: Any) -> None:
    app = open_deck()
    wrong = entry(deck_of(app), 4, examples[0], "approve", strength=9)
    after = deck_of(send(app, wrong).run())
    assert (after["acked"], len(after["refused"]), stored()) == (4, 1, [])
    assert len(deck_of(send(app, wrong).run())["refused"]) == 1


def test_a_decision_that_came_too_late_is_refused_in_words(
    open_deck: Any, new_example: Any, judge: Any, act: Any, person: Any, stored: Any
) -> None:
    example = new_example()
    app = open_deck()
    act(give_back, person(ME))  # in another window
    judge(person("ada"), example, "reject")
    after = deck_of(send(app, entry(deck_of(app), 1, example, "approve")).run())
    [refusal] = after["refused"]
    assert (refusal["seq"], refusal["id"], after["acked"]) == (1, str(example), 1)
    assert refusal["why"].endswith(".")
    assert stored() == []


def test_the_log_of_a_deck_that_is_gone_is_passed_over(open_deck: Any, examples: Any, stored: Any) -> None:
    app = open_deck()
    after = deck_of(send(app, entry({"deck": "gone"}, 1, examples[0], "approve")).run())
    assert (after["acked"], after["refused"], stored()) == (0, [], [])


# ---------------------------------------------------------------- going elsewhere


def test_another_page_stores_what_was_decided_last_and_gives_everything_back(
    open_deck: Any, examples: Any, held: Any, stored: Any
) -> None:
    app = open_deck()
    send(app, entry(deck_of(app), 1, examples[0], "approve"))
    go_to(app, "overview")
    assert "Overview" in marked_up(app)
    assert stored() == [(examples[0], "approve", False)]
    assert held() == set()


@pytest.mark.parametrize("name", ["Compare", "Examples", "Agreement", "Guidelines", "Team"])
def test_another_view_stores_what_was_decided_last_and_gives_everything_back(
    open_deck: Any, examples: Any, held: Any, stored: Any, name: str
) -> None:
    app = open_deck()
    send(app, entry(deck_of(app), 1, examples[0], "approve"))
    view(app, name)
    assert stored() == [(examples[0], "approve", False)]
    assert held() == set()


def test_coming_back_goes_on_where_it_was_left(open_deck: Any, examples: Any, stored: Any) -> None:
    app = open_deck()
    before = deck_of(app)
    first = entry(before, 1, examples[0], "approve")
    send(app, first).run()
    deck = deck_of(go_to(go_to(app, "feedback"), "review"))
    assert (deck["deck"], deck["acked"], ids(deck)) == (before["deck"], 1, examples[1:13])
    send(app, first, entry(deck, 2, examples[1], "reject")).run()
    assert stored() == [(examples[0], "approve", False), (examples[1], "reject", False)]


def test_another_filter_gives_back_and_claims_others(
    open_deck: Any, new_example: Any, held: Any, stored: Any
) -> None:
    tax = [new_example(domain="tax", priority=0.9) for _ in range(12)]
    law = [new_example(domain="law", agent="law-advisor") for _ in range(2)]
    app = open_deck()
    assert held() == set(tax)
    send(app, entry(deck_of(app), 1, tax[0], "approve"))
    app.selectbox(key="domain").set_value("law").run()
    assert held() == set(ids(deck_of(app))) == set(law)
    assert stored() == [(tax[0], "approve", False)]
    app.selectbox(key="domain").set_value(None).run()
    assert held() == set(ids(deck_of(app))) == {*tax[1:], law[0]}


def test_a_role_that_may_not_review_gives_back_what_another_held(
    open_deck: Any, examples: Any, held: Any, stored: Any
) -> None:
    app = open_deck(view="Expert")
    send(app, entry(deck_of(app), 1, examples[0], "approve"))
    app.selectbox(key="view").set_value("Product manager").run()
    assert "Experts judge here" in shown(app)
    assert (held(), stored()) == (set(), [])


def test_other_reviewers_keep_what_they_hold(
    open_deck: Any,
    examples: Any,
    act: Any,
    person: Any,
    leases: Any,
) -> None:
    app = open_deck()
    hers = set(act(claim, person("ada"), limit=2))
    assert hers == set(examples[12:])
    go_to(app, "overview")
    assert {example for example, _ in leases()} == hers


# ---------------------------------------------------------------- another organisation


def test_a_log_of_one_organisation_never_reaches_another(
    open_deck: Any, examples: Any, held: Any, stored: Any, other_organization: Any
) -> None:
    theirs = put_into_other(other_organization)
    app = open_deck()
    ours = deck_of(app)
    log = [entry(ours, 1, examples[0], "approve"), entry(ours, 2, theirs, "approve")]
    send(app, *log)
    app.selectbox(key="organization").set_value(other_organization.name).run()
    deck = deck_of(app)
    assert deck["deck"] != ours["deck"]
    assert deck["owner"] != ours["owner"]
    assert (deck["acked"], ids(deck), stored()) == (0, [theirs], [])
    assert held() == set()
    with db.organization_session(other_organization.id) as session:
        assert session.execute(text("SELECT count(*) FROM expert_annotations")).scalar_one() == 0


def test_an_example_of_another_organisation_is_refused(
    open_deck: Any, examples: Any, stored: Any, other_organization: Any
) -> None:
    theirs = put_into_other(other_organization)
    app = open_deck()
    after = deck_of(send(app, entry(deck_of(app), 1, theirs, "approve")).run())
    assert [refusal["id"] for refusal in after["refused"]] == [str(theirs)]
    assert stored() == []
    assert leases_of(other_organization) == 0


def test_back_in_the_first_organisation_its_deck_goes_on(
    open_deck: Any, organization: Any, examples: Any, stored: Any, other_organization: Any
) -> None:
    app = open_deck()
    ours = deck_of(app)
    log = [entry(ours, 1, examples[0], "approve")]
    send(app, *log)
    app.selectbox(key="organization").set_value(other_organization.name).run()
    app.selectbox(key="organization").set_value(organization.name).run()
    assert deck_of(app)["deck"] == ours["deck"]
    assert deck_of(send(app, *log).run())["acked"] == 1
    assert stored() == [(examples[0], "approve", False)]


# ---------------------------------------------------------------- without a database


def unreachable(*_: object) -> None:
    raise Unavailable


@pytest.mark.parametrize("module", [decisions, db], ids=["storing", "claiming"])
def test_without_a_database_the_deck_says_so_and_loses_nothing(
    open_deck: Any, examples: Any, stored: Any, monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    app = open_deck()
    log = [entry(deck_of(app), number + 1, examples[number], "approve") for number in range(2)]
    with monkeypatch.context() as patched:
        patched.setattr(module, "in_transaction", unreachable)
        send(app, *log).run()
    assert "The database does not answer" in shown(app)
    assert deck_of(send(app, *log).run())["acked"] == 2
    assert stored() == [(examples[0], "approve", False), (examples[1], "approve", False)]


def test_leaving_without_a_database_is_made_up_for(
    open_deck: Any, examples: Any, held: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_deck()
    with monkeypatch.context() as patched:
        patched.setattr(db, "in_transaction", unreachable)
        go_to(app, "overview")
    assert "The database does not answer" in shown(app)
    assert held() == set(examples[:12])
    app.run()
    assert "Overview" in marked_up(app)
    assert held() == set()
