import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from learning_core import db
from learning_core.access import Caller
from learning_core.evaluation import evaluators
from learning_core.evaluation.checks import MOST_CHECKS, Check, Evaluator
from learning_core.evaluation.kinds import KINDS
from learning_core.evaluation.safety import Gate
from learning_core.llm import endpoints
from learning_core.schema import ModelRole, Role
from pages.components import frames
from pages.components.prompts.evaluator_options import field_of
from tests.factories import approved_example, feedback
from tests.pages import prompt_story
from tests.pages.conftest import as_html, shown
from tests.pages.prompt_story import Story
from tests.pages.test_hostile import HOSTILE, assert_inert

AGENT = "tax-advisor"
EXPECTED = "On the tenth."


@pytest.fixture
def cora(organization: object) -> Caller:
    return Caller(organization.id, "Cora", Role.ENGINEER)


@pytest.fixture
def agent(give: Callable[..., None]) -> str:
    give(feedback())
    frames.forget()
    return AGENT


@pytest.fixture
def approve(organization: object) -> Callable[..., None]:
    """Store an approved example: `approve(expected_output="42 kg")`."""

    def store(**overrides: Any) -> None:
        with db.organization_session(organization.id) as session:
            approved_example(session, **{"expected_output": EXPECTED} | overrides)
        frames.forget()

    return store


@pytest.fixture
def save(organization: object, cora: Caller) -> Callable[..., None]:
    """Save an evaluator: `save(Check("exact"), gate=Gate(longest=9))`."""

    def store(*checks: Check, gate: Gate | None = None, agent: str = AGENT) -> None:
        with db.organization_session(organization.id) as session:
            evaluators.save(session, cora, agent, Evaluator(checks, gate or Gate()))
        frames.forget()

    return store


@pytest.fixture
def saved(organization: object) -> Callable[[], list[evaluators.Version]]:
    """Read what is saved, the newest first."""

    def read(agent: str = AGENT) -> list[evaluators.Version]:
        with db.reading_session(organization.id) as session:
            return evaluators.versions(session, agent)

    return read


@pytest.fixture
def opened(visit: Callable[..., AppTest]) -> Callable[..., AppTest]:
    """Open the view of an agent: `opened("change", view="Expert")`."""

    def open_view(view_of: str = "1", **query: str) -> AppTest:
        return visit("prompts", **{"agent": AGENT, "evaluator": view_of} | query)

    return open_view


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def widget(app: AppTest, kind: str, label: str) -> Any:
    return next(one for one in getattr(app, kind) if one.label == label)


def add(app: AppTest, kind: str) -> AppTest:
    widget(app, "selectbox", "Add a check").select(kind).run()
    return press(app, "Add")


def shares(app: AppTest) -> list[str]:
    return re.findall(r"(\d+ %) of the score", "\n".join(str(one.value) for one in app.markdown))


def warned(app: AppTest) -> str:
    return "\n".join(one.value for one in app.warning)


# ---------------------------------------------------------------- reading


def test_without_a_dataset_it_says_what_a_run_would_do(agent: str, opened: Callable[..., AppTest]) -> None:
    app = opened()
    assert "Nobody has set it yet" in shown(app)
    assert "Set it" in labels(app)
    app = press(app, "← Prompts")
    assert app.title[0].value == "Prompts"
    assert "evaluator" not in app.query_params


def test_the_overview_leads_to_it(agent: str, visit: Callable[..., AppTest]) -> None:
    app = press(visit("prompts"), "How answers are scored")
    assert app.title[0].value == "How answers of tax\\-advisor are scored"


def test_checks_and_gate_are_told_in_words(
    agent: str, save: Callable[..., None], opened: Callable[..., AppTest]
) -> None:
    contains = Check("contains", 3, {"phrases": ["VAT", "the tenth"], "mode": "any"})
    save(contains, Check("number", 1, {"unit": "kg"}), gate=Gate(forbidden=("(?i)guarantee",), longest=900))
    app = opened()
    said = shown(app)
    assert "Version 1, set" in said
    assert "by Cora" in said
    assert shares(app) == ["75 %", "25 %"]
    for words in (KINDS["contains"].title, KINDS["number"].words, "• VAT\n• the tenth", "Any", "kg"):
        assert words in said
    for words in ("Refuses although", "up to 2 %", "none, whatever the other does", "(?i)guarantee", "900"):
        assert words in said


def test_older_versions_can_be_read(
    agent: str, save: Callable[..., None], opened: Callable[..., AppTest]
) -> None:
    save(Check("exact"))
    assert not [one for one in opened().selectbox if one.label == "Version"]
    save(Check("token_f1"))
    app = opened()
    assert KINDS["token_f1"].words in shown(app)
    app = widget(app, "selectbox", "Version").select("v1").run()
    assert "Version 1, set" in shown(app)
    assert KINDS["exact"].words in shown(app)
    assert KINDS["token_f1"].words not in shown(app)
    assert app.query_params["evaluator"] == "v1"
    app = press(press(opened("v1"), "Change it"), "Cancel")
    assert "Version 2, set" in shown(app)


def test_what_a_run_would_use_is_shown_where_nothing_was_set(
    visit: Callable[..., AppTest], organization: object
) -> None:
    prompt_story.tell(organization.id, states=["queued"])
    frames.forget()
    app = visit("prompts", agent=prompt_story.AGENT, evaluator="1")
    assert "Nobody has set it yet. A run on Topics of messages, version 1" in shown(app)
    assert KINDS["normalised"].words in shown(app)


@pytest.mark.parametrize(
    ("view", "may"),
    [("Product manager", False), ("Expert", False), ("ML engineer", True), ("Administrator", True)],
)
def test_only_who_may_optimize_changes_it(
    agent: str, save: Callable[..., None], opened: Callable[..., AppTest], view: str, may: bool
) -> None:
    save(Check("exact"))
    assert ("Change it" in labels(opened(view=view))) is may
    app = opened("change", view=view)
    assert ("Save as version 2" in labels(app)) is may
    assert app.title[0].value.startswith("Change" if may else "How answers")


# ---------------------------------------------------------------- the judge


@pytest.fixture
def name_models(organization: object) -> Callable[..., None]:
    """Add models and use them: `name_models(task="small", judge="large")`."""

    def assign(**names: str) -> None:
        ada = Caller(organization.id, "Ada", Role.ADMIN)
        with db.organization_session(organization.id) as session:
            for role, name in names.items():
                url = "http://127.0.0.1:1/v1"
                model = endpoints.save_model(
                    session, ada, name=name, provider="vLLM", base_url=url, model=name
                )
                endpoints.assign(session, ada, ModelRole(role), model)
        frames.forget()

    return assign


def compare_judge(story: Story, told: dict[str, Any]) -> None:
    with db.organization_session(story.organization_id) as session:
        statement = "UPDATE training_runs SET result = result || CAST(:told AS jsonb) WHERE id = :id"
        values = {"told": json.dumps({"judge": told}), "id": story.runs["evaluated"]}
        session.execute(text(statement), values)
    frames.forget()


@pytest.mark.parametrize("trusted", [True, False])
def test_a_judge_is_shown_with_how_far_it_agreed_with_the_experts(
    visit: Callable[..., AppTest],
    save: Callable[..., None],
    organization: object,
    name_models: Callable[..., None],
    trusted: bool,
) -> None:
    story = prompt_story.tell(organization.id, states=["evaluated"])
    save(Check("rubric"), agent=prompt_story.AGENT)
    name_models(task="small", judge="large")
    query = {"agent": prompt_story.AGENT, "evaluator": "1"}
    assert "No run has compared a judge" in shown(visit("prompts", **query))
    rho = {"value": 0.52, "low": 0.3, "high": 0.7, "n": 38}
    words = "It agrees with the experts." if trusted else "Do not trust it yet."
    compare_judge(story, {"rho": rho, "n": 40, "error_count": 0, "trusted": trusted, "words": words})
    app = visit("prompts", **query)
    assert "0.52 (95 % interval 0.30 to 0.70, n 38)" in shown(app)
    assert words.rstrip(".") in (shown(app) if trusted else warned(app))
    assert "trust" not in (warned(app) if trusted else shown(app).replace("Whether to trust", ""))


def test_a_model_that_would_judge_itself_is_warned_about(
    agent: str,
    save: Callable[..., None],
    opened: Callable[..., AppTest],
    name_models: Callable[..., None],
) -> None:
    save(Check("rubric"))
    assert "No model judges yet" in warned(opened())
    name_models(task="small")
    assert "Nobody judges their own answers: here small answers and judges" in warned(opened())
    name_models(judge="large")
    assert not warned(opened())


# ---------------------------------------------------------------- trying


def test_an_answer_is_scored_as_it_is_typed(
    agent: str, approve: Callable[..., None], save: Callable[..., None], opened: Callable[..., AppTest]
) -> None:
    approve()
    phrases = Check("contains", 3, {"phrases": ["tenth"]})
    save(phrases, Check("exact", 1), gate=Gate(forbidden=("(?i)sure",)))
    app = opened(view="Product manager")
    assert "This answer would score **100 %**" in shown(app)
    app = app.text_area[0].set_value("The tenth, sure.").run()
    assert "This answer would score **75 %**" in shown(app)
    assert "Holds what is forbidden: holds (?i)sure" in shown(app)
    app = app.text_area[0].set_value("").run()
    assert "This answer would score **0 %**" in shown(app)


def test_checks_that_ask_a_model_say_so(
    agent: str, approve: Callable[..., None], save: Callable[..., None], opened: Callable[..., AppTest]
) -> None:
    approve()
    save(Check("rubric", 3), Check("similarity"), Check("exact"))
    said = shown(opened())
    assert "By the checks that need no model, this answer would score **100 %**" in said
    assert "takes a model that judges; a run asks it" in said
    assert "takes a model that compares meanings; a run asks it" in said
    save(Check("rubric"))
    assert "would score" not in shown(opened())


def test_without_an_approved_example_there_is_nothing_to_try(
    agent: str, save: Callable[..., None], opened: Callable[..., AppTest]
) -> None:
    save(Check("exact"))
    app = opened()
    assert "As soon as an example of this agent is approved" in shown(app)
    assert not app.text_area


def test_a_schema_that_refers_to_nothing_is_told_and_not_a_traceback(
    agent: str, approve: Callable[..., None], save: Callable[..., None], opened: Callable[..., AppTest]
) -> None:
    approve(expected_output='{"total": 1}')
    save(Check("json", options={"schema": {"$ref": "#/nowhere"}}))
    assert "refers to itself without end, or to nothing" in shown(opened()).replace("\\", "")


# ---------------------------------------------------------------- changing


def test_a_first_version_is_made_from_nothing(
    agent: str,
    approve: Callable[..., None],
    opened: Callable[..., AppTest],
    saved: Callable[[], list[evaluators.Version]],
) -> None:
    approve()
    app = press(opened(), "Set it")
    assert app.query_params["evaluator"] == "change"
    assert "Add the first check" in shown(app)
    assert "has to be mended" in shown(press(app, "Save as version 1"))
    assert not saved()
    app = add(app, "contains")
    assert "This answer would score **100 %**" in shown(app)
    widget(app, "text_area", "Phrases, one per line").set_value("the ninth\n\nthe tenth ").run()
    assert "This answer would score **0 %**" in shown(app)
    app = widget(app, "radio", "How many of them").set_value("share").run()
    assert "This answer would score **50 %**" in shown(app)
    widget(app, "number_input", "How much it counts").set_value(2.0)
    widget(app, "number_input", "Is empty, or much longer than wanted").set_value(7.0)
    widget(app, "number_input", "Characters at most").set_value(300)
    widget(app, "text_area", "Forbidden patterns, one per line").set_value(r"(?i)\bsure\b")
    app = press(app.run(), "Save as version 1")
    assert app.title[0].value.startswith("How answers of")
    [version] = saved()
    check = {"phrases": ["the ninth", "the tenth"], "mode": "share"}
    assert version.evaluator.checks == (Check("contains", 2.0, check),)
    gate = version.evaluator.gate
    assert (gate.limits["length"], gate.limits["refusal"]) == (0.07, 0.02)
    assert (gate.longest, gate.forbidden) == (300, (r"(?i)\bsure\b",))
    assert version.created_by == "Local developer"


EVERYTHING = {
    "exact": {},
    "normalised": {},
    "contains": {"phrases": ["a", "b c"], "mode": "any"},
    "pattern": {"pattern": r"^\d+ %$"},
    "json": {
        "schema": {"type": "object", "required": ["ü"]},
        "fields": {"a.b": "number", "x: y": "exact"},
        "tolerance": 0.07,
    },
    "number": {
        "which": "first",
        "tolerance": 0.5,
        "relative_tolerance": 0.015,
        "unit": "kg",
        "notation": "comma",
    },
    "token_f1": {},
    "similarity": {"floor": 0.25},
    "rubric": {"criteria": ["It names the day.", "It is polite."]},
}


def test_every_option_of_every_kind_comes_out_of_the_form_as_it_went_in() -> None:
    assert set(EVERYTHING) == set(KINDS)
    for kind, given in EVERYTHING.items():
        options = Check(kind, 1.0, given).options
        assert set(options) == set(KINDS[kind].options), kind
        fields = {name: field_of(kind, name) for name in options}
        assert {name: field.read(field.write(options[name])) for name, field in fields.items()} == options


def test_ten_checks_are_edited_and_nothing_but_the_change_is_saved(
    agent: str,
    approve: Callable[..., None],
    save: Callable[..., None],
    opened: Callable[..., AppTest],
    saved: Callable[[], list[evaluators.Version]],
) -> None:
    approve()
    checks = [Check(kind, 1.5, given) for kind, given in EVERYTHING.items()]
    save(*checks, Check("exact", 4))
    app = opened("change")
    assert "Nothing is changed yet" in shown(app)
    assert f"These are {MOST_CHECKS} checks" in shown(app)
    assert "Add" not in labels(app)
    press(app, "Save as version 2")
    assert len(saved()) == 1
    assert shares(app)[-1] == "23 %"
    app = press(app, "Remove")
    assert labels(app).count("Remove") == len(shares(app)) == 9
    assert shares(app)[-1] == "25 %"
    app = press(app, "Save as version 2")
    assert saved()[0].evaluator.checks == (*checks[1:], Check("exact", 4))


@pytest.mark.parametrize(
    ("kind", "field", "label", "wrong", "words"),
    [
        ("pattern", "text_input", "Pattern", "(", "The pattern '(' cannot be used"),
        ("pattern", "text_input", "Pattern", "", "needs the option 'pattern'"),
        ("json", "text_area", "JSON schema", "{", "The schema is no JSON"),
        ("json", "text_area", "JSON schema", '{"type": 7}', "The JSON schema is not valid"),
        ("json", "text_area", "Fields that count, one per line", "total: roughly", "not 'roughly'"),
        ("rubric", "text_area", "Criteria, one per line", "x\n" * 9, "list of 1 to 8 texts"),
        ("exact", "number_input", "How much it counts", 0.0, "counts nothing is left out"),
    ],
)
def test_what_is_wrong_is_said_at_once_and_cannot_be_saved(
    agent: str,
    opened: Callable[..., AppTest],
    saved: Callable[[], list[evaluators.Version]],
    kind: str,
    field: str,
    label: str,
    wrong: Any,
    words: str,
) -> None:
    app = add(opened("change"), kind)
    app = widget(app, field, label).set_value(wrong).run()
    assert words in app.error[0].value.replace("\\", "")
    assert "has to be mended" in shown(press(app, "Save as version 1"))
    assert not saved()


def test_a_forbidden_pattern_that_is_none_is_said_too(agent: str, opened: Callable[..., AppTest]) -> None:
    app = add(opened("change"), "exact")
    app = widget(app, "text_area", "Forbidden patterns, one per line").set_value("fine\n[").run()
    assert "The pattern '[' cannot be used" in app.error[0].value.replace("\\", "")


def test_two_checks_that_ask_the_judge_are_refused(agent: str, opened: Callable[..., AppTest]) -> None:
    app = add(add(opened("change"), "rubric"), "rubric")
    assert "Only one check of an evaluator can ask the judge model" in app.error[0].value
    assert not press(app, "Remove").error


def test_a_draft_survives_a_look_elsewhere_and_not_a_cancel(
    agent: str, save: Callable[..., None], opened: Callable[..., AppTest]
) -> None:
    save(Check("exact"))
    app = add(opened("change"), "pattern")
    widget(app, "text_input", "Pattern").set_value("tenth").run()
    app = press(app, "← How it is scored now")
    assert KINDS["pattern"].words not in shown(app)
    app = press(app, "Go on changing it")
    assert widget(app, "text_input", "Pattern").value == "tenth"
    app = press(app, "Cancel")
    app = press(app, "Change it")
    assert labels(app).count("Remove") == 1


def test_who_saved_meanwhile_is_not_overlooked(
    agent: str, save: Callable[..., None], opened: Callable[..., AppTest]
) -> None:
    save(Check("exact"))
    app = opened("change")
    assert not warned(app)
    save(Check("token_f1"))
    assert "Version 2 was saved since you began" in warned(app.run())


def test_the_suggestion_for_a_dataset_can_be_taken(
    visit: Callable[..., AppTest],
    save: Callable[..., None],
    organization: object,
    saved: Callable[..., list[evaluators.Version]],
) -> None:
    prompt_story.tell(organization.id, states=["queued"])
    save(Check("token_f1"), Check("exact"), gate=Gate(longest=77), agent=prompt_story.AGENT)
    app = visit("prompts", agent=prompt_story.AGENT, evaluator="change")
    app = press(app, "Take the suggestion")
    app = press(app, "Save as version 2")
    newest = saved(prompt_story.AGENT)[0]
    assert [check.kind for check in newest.evaluator.checks] == ["normalised"]
    assert newest.evaluator.gate.longest == 77


def test_drafts_of_two_organizations_stay_apart(
    agent: str,
    visit: Callable[..., AppTest],
    save: Callable[..., None],
    other_organization: object,
    opened: Callable[..., AppTest],
) -> None:
    with db.organization_session(other_organization.id) as session:
        approved_example(session)
    frames.forget()
    app = add(opened("change"), "exact")
    assert "Remove" in labels(app)
    app.session_state["next_organization"] = other_organization.name
    app = app.run()
    assert app.selectbox(key="organization").value == other_organization.name
    assert app.title[0].value.startswith("Change how")
    assert "Remove" not in labels(app)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_words_stay_words(
    visit: Callable[..., AppTest], organization: object, approve: Callable[..., None], hostile: str
) -> None:
    name = hostile[:200].strip()
    approve(agent_id=name, input_text=hostile, expected_output=hostile)
    phrase = hostile[:900]
    with db.organization_session(organization.id) as session:
        mallory = Caller(organization.id, phrase[:200], Role.ENGINEER)
        checks = (Check("contains", 1, {"phrases": [phrase]}), Check("rubric", 1, {"criteria": [phrase]}))
        evaluators.save(session, mallory, name, Evaluator(checks))
    frames.forget()
    for view in ("1", "change"):
        app = visit("prompts", agent=name, evaluator=view)
        assert "would score" in shown(app)
        assert_inert(app)
    app = add(app, "pattern")
    app = widget(app, "text_input", "Pattern").set_value(f"{hostile[:400]}(").run()
    assert app.error
    assert_inert(app)
    assert not as_html(app).count("<script")
