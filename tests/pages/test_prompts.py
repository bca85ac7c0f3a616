import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from learning_core import access, background, db
from learning_core.access import Caller
from learning_core.background import Cap
from learning_core.datasets import queries as dataset_queries
from learning_core.feedback.intervals import Estimate
from learning_core.llm import endpoints
from learning_core.prompts import history, queries, rules
from learning_core.schema import ModelRole, Role, RunStatus
from pages.components import charts, frames
from pages.components.prompts import telling
from tests.factories import execution, feedback
from tests.pages import prompt_story
from tests.pages.conftest import as_html, shown
from tests.pages.prompt_story import AGENT, STATES, Story
from tests.pages.test_hostile import HOSTILE, assert_inert


@pytest.fixture
def tell(organization: object) -> Callable[..., Story]:
    """Make up prompts and runs: `tell(states=["improved"])`."""

    def make_up(**how: Any) -> Story:
        story = prompt_story.tell(organization.id, **how)
        frames.forget()
        return story

    return make_up


@pytest.fixture
def ada(organization: object) -> Caller:
    return Caller(organization.id, "Ada", Role.ADMIN)


@pytest.fixture
def with_model(organization: object, ada: Caller) -> None:
    with db.organization_session(organization.id) as session:
        model = {"name": "small", "provider": "Ollama", "base_url": "http://127.0.0.1:1/v1", "model": "tiny"}
        saved = endpoints.save_model(session, ada, **model)
        endpoints.assign(session, ada, ModelRole.TASK, saved)
    frames.forget()


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def everything(app: AppTest) -> str:
    """Return all words of a page, those of warnings and badges too."""
    notices = [str(element.value) for kind in ("warning", "info") for element in app.get(kind)]
    return "\n".join([shown(app), *notices])


def status_of(story: Story, state: str) -> background.Run:
    with db.reading_session(story.organization_id) as session:
        return background.find(session, story.runs[state])


# ---------------------------------------------------------------- an agent's prompts


def test_without_an_agent_the_page_says_where_they_come_from(visit: Callable[..., AppTest]) -> None:
    app = visit("prompts")
    assert "No agent has been heard of yet" in shown(app)
    assert "Improve this prompt" not in labels(app)


def test_the_only_agent_is_shown_at_once_and_of_several_one_is_chosen(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    tell(states=["queued"])
    assert "In production: version 3" in shown(visit("prompts"))
    tell(states=["improved"], agent="letter-writer", version_count=1)
    app = visit("prompts")
    table = app.dataframe[0].value
    assert table["Agent"].tolist() == ["letter-writer", AGENT]
    assert table["In production"].tolist() == ["version 1", "version 3"]
    assert table["Last run"].tolist() == ["Better", "Waits for its turn"]
    assert "In production: version 3" in shown(visit("prompts", agent=AGENT))


def test_with_several_agents_every_view_leads_back_to_the_one_in_question(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    tell(states=["queued"])
    tell(states=["improved"], agent="letter-writer", version_count=1)
    app = visit("prompts")
    app = app.selectbox(key="prompts_of").select("letter-writer").run()
    assert app.query_params["agent"] == "letter-writer"
    app = app.button(key="open_current").click().run()
    assert app.title[0].value == "Version 1 of letter\\-writer"
    app = press(press(app, "← Prompts"), "Improve this prompt")
    assert app.title[0].value == "Improve the prompt of letter\\-writer"
    app = press(app, "← Prompts")
    app = app.selectbox(key="prompts_of").set_value(None).run()
    assert len(app.dataframe[0].value) == 2


def test_an_agent_without_a_prompt_gets_its_first_version_by_a_form(
    visit: Callable[..., AppTest], give: Callable[..., None], organization: object
) -> None:
    given = [execution(execution_id="e1", prompt_version="2026-01")]
    give(feedback(execution_id="e1"), given=tuple(given))
    app = visit("prompts", view="Product manager")
    assert "No prompt yet" in shown(app)
    assert not app.text_area
    app = visit("prompts")
    assert "Which prompt does the agent use now?" in shown(app)
    app.text_area[0].set_value("Answer questions about taxes.")
    app = press(app, "Save as version 1")
    assert app.title[0].value == "Version 1 of tax\\-advisor"
    with db.reading_session(organization.id) as session:
        saved = history.find(session, "tax-advisor", "production")
    assert (saved.key, saved.prompt.text) == ("2026-01", "Answer questions about taxes.")


def test_a_prompt_that_cannot_be_filled_in_is_refused_in_words(
    visit: Callable[..., AppTest], give: Callable[..., None]
) -> None:
    give(feedback())
    app = visit("prompts")
    app.text_area[0].set_value("Answer {{question}} and {{input}}.")
    app = press(app, "Save as version 1")
    assert "The agent has no input" in app.error[0].value


def test_the_overview_says_how_the_current_prompt_does(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    tell(states=["improved", "evaluated"])
    app = visit("prompts", agent=AGENT)
    said = shown(app)
    assert prompt_story.BASELINE in said
    figures = {metric.label for metric in app.metric}
    assert {"Satisfaction", "Thumbs up", "Correction rate", "Error rate"} <= figures
    assert {"Time to answer", "Cost of an answer"} <= figures
    assert "95 % interval" in said
    assert "under version v3" in said
    assert "Wrong desk: this was about a refund" in as_html(app)
    versions, runs = (table.value for table in app.dataframe)
    assert versions["Version"].tolist() == [3, 2, 1]
    assert [list(labels) for labels in versions["Labels"]] == [["production"], [], []]
    assert versions["Interval"].iloc[-1] == "not rated"
    assert runs["What"].tolist() == ["Evaluation", "Improvement"]
    assert runs["Outcome"].tolist() == ["Scored", "Better"]
    assert "n 16" in runs["Figure"].iloc[0]
    assert runs["Figure"].iloc[1].startswith("+")


def test_what_waits_or_runs_is_announced_and_a_proposal_decided(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    story = tell(states=["proposed", "running", "paused"])
    app = visit("prompts", agent=AGENT)
    for words in ("It waits for a decision", "is under way", "is paused"):
        assert words in shown(app)
    press(app, "Dismiss")
    assert status_of(story, "proposed").status == RunStatus.CANCELLED


def test_a_proposal_that_is_started_waits_for_its_turn(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    story = tell(states=["proposed"])
    app = visit("prompts", run=str(story.runs["proposed"]))
    assert "A proposal: it begins when somebody says so." in as_html(app)
    assert "520 calls, about $0.91, about 6 min" in shown(app)
    app = press(app, "Start it")
    assert "Waiting for a worker" in shown(app)
    assert status_of(story, "proposed").status == RunStatus.QUEUED


# ---------------------------------------------------------------- versions


def test_a_version_is_shown_with_its_change_and_put_into_production(
    visit: Callable[..., AppTest], tell: Callable[..., Story], organization: object
) -> None:
    tell(states=["queued"])
    app = visit("prompts", agent=AGENT, version="2")
    assert app.title[0].value == "Version 2 of ticket\\-router"
    assert "<ins" in as_html(app)
    app = press(app, "Do it now")
    with db.reading_session(organization.id) as session:
        assert history.labelled(session, AGENT).number == 2
    app.text_input(key="new_label").set_value("staging")
    app = press(app, "Add")
    assert "Remove staging" in labels(app)
    app = press(app, "Remove staging")
    with db.reading_session(organization.id) as session:
        assert [label.name for label in history.labels(session, AGENT)] == ["production"]


def test_a_new_version_begins_with_the_text_in_production(
    visit: Callable[..., AppTest], tell: Callable[..., Story], organization: object
) -> None:
    tell(states=["queued"])
    app = visit("prompts", agent=AGENT, make="version")
    assert app.text_area[0].value.endswith("(Version 3.)")
    app.text_area[0].set_value("Sort the message. Answer with the topic.")
    app.text_input[0].set_value("Shorter.")
    app = press(app, "Save")
    assert app.title[0].value == "Version 4 of ticket\\-router"
    with db.reading_session(organization.id) as session:
        saved = history.find(session, AGENT, 4)
    assert (saved.reason, saved.parent, saved.labels) == ("Shorter.", "v3", ())


def test_any_two_versions_are_compared(visit: Callable[..., AppTest], tell: Callable[..., Story]) -> None:
    tell(states=["queued"])
    app = visit("prompts", agent=AGENT, before="1", after="3")
    assert [app.selectbox(key=f"choose_{name}").value for name in ("before", "after")] == ["1", "3"]
    assert "<ins" in as_html(app)
    assert "<del" in as_html(app)
    app = app.selectbox(key="choose_before").select("3").run()
    assert "Both say the same" in shown(app)
    assert app.query_params["before"] == "3"


# ---------------------------------------------------------------- runs

HEADLINES = {
    "proposed": "A proposal",
    "queued": "",
    "running": "",
    "paused": "The run is paused.",
    "improved": "Better: ",
    "no evidence": "No candidate is better beyond chance. Keep the current prompt.",
    "failed": "The run failed.",
    "cancelled": "The run was cancelled.",
    "evaluated": "Version 3 gets a score of ",
    "evaluated again": "Version 3 gets a score of ",
}


@pytest.fixture(scope="module")
def told(database: None) -> Story:
    """A story with a run in every state, to read."""
    from tests import factories

    return prompt_story.tell(factories.organization().id)


def test_every_state_has_a_page_that_begins_with_a_sentence(
    request_headers: dict[str, str], told: Story, visit_story: Callable[..., AppTest]
) -> None:
    assert set(HEADLINES) == set(STATES)
    for state, words in HEADLINES.items():
        app = visit_story(told, run=str(told.runs[state]))
        assert words in as_html(app), state
        assert not app.error, state


@pytest.fixture
def visit_story(visit: Callable[..., AppTest]) -> Callable[..., AppTest]:
    """Open the page of prompts in a story's own organisation."""

    def open_page(story: Story, **query: str) -> AppTest:
        with db.shared_session() as session:
            known = {one.id: one.name for one in access.organizations(session)}
        return visit("prompts", organization=known[story.organization_id], **query)

    return open_page


def test_a_gain_is_told_with_its_proof_its_price_and_its_losses(
    told: Story, visit_story: Callable[..., AppTest]
) -> None:
    app = visit_story(told, run=str(told.runs["improved"]))
    said = everything(app)
    result = status_of(told, "improved").result
    n = result["verdict"]["n"]
    assert f"We are 95 % sure that it lies between +{round(result['verdict']['low'] * 100)} and" in said
    assert f"on {n} examples that the run never saw. It cost $" in said
    assert f"It fails on {result['regressions']} unseen example" in said
    assert "had been used 1 time before this run" in said
    table = app.dataframe[0].value
    assert table["State"].iloc[0] == "Chosen"
    assert "To be beaten" in table["State"].tolist()
    assert table["Score"].between(0, 100).all()


def test_no_gain_is_a_result_with_a_next_step(told: Story, visit_story: Callable[..., AppTest]) -> None:
    app = visit_story(told, run=str(told.runs["no evidence"]))
    assert "That is a result too" in shown(app)
    assert "Make it a version" not in labels(app)


def test_what_is_held_back_says_why(
    tell: Callable[..., Story], visit: Callable[..., AppTest], organization: object
) -> None:
    story = tell(states=["improved"])
    gate = {"passed": False, "words": "Not let through: 3 of 40 repeat a passage of the prompt."}
    with db.organization_session(organization.id) as session:
        statement = "UPDATE training_runs SET result = result || CAST(:gate AS jsonb) WHERE id = :id"
        gated = {"gate": json.dumps({"gate": gate}), "id": story.runs["improved"]}
        session.execute(text(statement), gated)
    app = visit("prompts", run=str(story.runs["improved"]))
    assert "Better, but held back" in as_html(app)
    assert "3 of 40 repeat a passage" in app.error[0].value
    table = visit("prompts", agent=AGENT).dataframe[-1].value
    assert table["Outcome"].tolist() == ["Better, held back"]


def test_the_winner_becomes_a_version_once(
    tell: Callable[..., Story], visit: Callable[..., AppTest], organization: object
) -> None:
    story = tell(states=["improved"])
    app = press(visit("prompts", run=str(story.runs["improved"])), "Make it a version")
    assert app.title[0].value == "Version 4 of ticket\\-router"
    assert app.query_params["agent"] == AGENT
    assert "run" not in app.query_params
    app = visit("prompts", run=str(story.runs["improved"]))
    assert "It is version 4" in labels(app)
    with db.reading_session(organization.id) as session:
        winner = queries.leaderboard(session, story.runs["improved"])[0]
    assert winner.version == 4


def test_any_candidate_can_be_looked_at_and_made_a_version(
    tell: Callable[..., Story], visit: Callable[..., AppTest]
) -> None:
    story = tell(states=["improved"])
    app = visit("prompts", run=str(story.runs["improved"]), candidate="2", about_run="Prompt")
    assert "Candidate 2" in shown(app)
    assert "<ins" in as_html(app)
    app = press(app, "Make candidate 2 a version")
    assert app.title[0].value == "Version 4 of ticket\\-router"


def test_answers_are_shown_side_by_side_losses_first(
    told: Story, visit_story: Callable[..., AppTest]
) -> None:
    app = visit_story(told, run=str(told.runs["improved"]), candidate="1")
    with db.reading_session(told.organization_id) as session:
        board = {one.number: one for one in queries.leaderboard(session, told.runs["improved"])}
        known = queries.outcomes(session, board[0].id, board[1].id, sealed=False)
    choice = app.button_group(key="answers_1_0_Examples of the search_outcome")
    assert choice.value == f"Worse ({known.lost})"
    assert f"does better on {known.won}, worse on {known.lost} and the same on {known.tied}" in shown(app)
    assert shown(app).count("The current prompt · scored 100 %") == min(known.lost, 10)
    app = choice.set_value(f"Better ({known.won})").run()
    assert shown(app).count("The current prompt · scored 0 %") == min(known.won, 10)


def test_unseen_examples_stay_unseen_until_a_look_is_counted(
    tell: Callable[..., Story], visit: Callable[..., AppTest], organization: object
) -> None:
    story = tell(states=["improved"])
    app = visit("prompts", run=str(story.runs["improved"]))
    [key] = [toggle.key for toggle in app.button_group if str(toggle.key).endswith("_part")]
    app = app.button_group(key=key).set_value("Unseen examples").run()
    assert "scored" not in shown(app)
    app = app.toggle[0].set_value(True).run()
    assert "scored" in shown(app)
    with db.reading_session(organization.id) as session:
        assert dataset_queries.version(session, story.dataset.id).test_uses == 1


def test_what_a_candidate_learnt_from_is_linked(told: Story, visit_story: Callable[..., AppTest]) -> None:
    app = visit_story(told, run=str(told.runs["improved"]), candidate="6", about_run="Learnt from")
    said = shown(app)
    assert "Made from: 1 · Clarified instruction, 2 · Examples shown." in said
    assert "Issues that users named: Incorrect, Formatting." in said
    assert "A wish for money back is a refund" in as_html(app)
    assert "3 pieces of feedback" in said
    assert "3 approved examples" in said
    assert labels(app).count("Open") == 6


def test_settings_say_all_that_repeats_a_run(told: Story, visit_story: Callable[..., AppTest]) -> None:
    app = visit_story(told, run=str(told.runs["improved"]), about_run="Settings")
    said = shown(app)
    for words in (
        "small (small-1 at https://models.example/v1)",
        "8 to learn from, 16 for the search, 16 kept back for the proof",
        "600 calls or $2.00",
        "drops candidates that fall behind",
        "The leading candidate is ahead of all others",
        told.dataset.content_hash,
        str(told.runs["improved"]),
    ):
        assert words in said


def test_a_run_under_way_shows_where_it_is_and_can_be_paused(
    tell: Callable[..., Story], visit: Callable[..., AppTest]
) -> None:
    story = tell(states=["running"])
    app = visit("prompts", run=str(story.runs["running"]))
    assert "Scoring candidate 6 on 10 more examples" in shown(app)
    bar = app.get("progress")[0]
    assert "of at most 600 calls or \\$2.00; about 2 min left" in bar.proto.text
    assert 0 < bar.proto.value < 50
    app = press(app, "Pause")
    assert status_of(story, "running").wish == "pause"
    assert "It pauses as soon as the calls on their way are answered" in shown(app)
    assert all(button.disabled for button in app.button if button.label in ("Pause", "Cancel"))


def test_a_run_without_a_sign_of_life_says_so(
    tell: Callable[..., Story], visit: Callable[..., AppTest], organization: object
) -> None:
    story = tell(states=["running"])
    with db.organization_session(organization.id) as session:
        statement = "UPDATE training_runs SET heartbeat_at = now() - interval '10 minutes' WHERE id = :id"
        session.execute(text(statement), {"id": story.runs["running"]})
    app = visit("prompts", run=str(story.runs["running"]))
    assert "No sign of life for 10 min" in app.warning[0].value


def test_a_waiting_run_is_cancelled_at_once(
    tell: Callable[..., Story], visit: Callable[..., AppTest]
) -> None:
    story = tell(states=["queued"])
    app = press(visit("prompts", run=str(story.runs["queued"])), "Cancel")
    assert status_of(story, "queued").status == RunStatus.CANCELLED
    assert "The run was cancelled." in as_html(app)


@pytest.mark.parametrize("state", ["paused", "evaluated"])
def test_a_paused_run_goes_on_with_what_it_may_spend_by_then(
    tell: Callable[..., Story], visit: Callable[..., AppTest], organization: object, state: str
) -> None:
    story = tell(states=[state])
    with db.organization_session(organization.id) as session:
        paused = {"id": story.runs[state]}
        session.execute(text("UPDATE training_runs SET status = 'paused' WHERE id = :id"), paused)
    app = visit("prompts", run=str(story.runs[state]))
    app.number_input[0].set_value(900)
    app = press(app, "Save")
    assert status_of(story, state).cap == Cap(Decimal(2), None, 900)
    app = press(app, "Go on")
    assert status_of(story, state).status == RunStatus.QUEUED
    assert "Waiting for a worker" in shown(app)


def test_a_cap_below_what_was_spent_is_refused(
    tell: Callable[..., Story], visit: Callable[..., AppTest]
) -> None:
    story = tell(states=["paused"])
    app = visit("prompts", run=str(story.runs["paused"]))
    app.number_input[0].set_value(1)
    app = press(app, "Save")
    assert "has spent more than that" in app.error[0].value


# ---------------------------------------------------------------- evaluations


def test_an_evaluation_is_read_alone_and_beside_another(
    told: Story, visit_story: Callable[..., AppTest]
) -> None:
    app = visit_story(told, run=str(told.runs["evaluated again"]))
    assert {"Score", "Time to answer", "Cost of 1,000 answers"} <= {metric.label for metric in app.metric}
    assert "Version 3 · scored 0 %" in shown(app)
    box = app.selectbox(key="other")
    assert len(box.options) == 1
    app = box.select(box.options[0]).run()
    assert "compared with version 3" in shown(app)
    assert any(label.startswith("Worse (") for label in app.button_group[0].options)


def test_a_version_is_scored_on_a_split(
    tell: Callable[..., Story], visit: Callable[..., AppTest], with_model: None, organization: object
) -> None:
    story = tell(states=["improved"])
    app = press(visit("prompts", agent=AGENT, version="2"), "Score it on a dataset")
    assert app.title[0].value == "Score version 2 of ticket\\-router"
    assert "One call for each of 16 examples" in shown(app)
    app = app.button_group(key="evaluated_split").set_value("test").run()
    assert "counts as a look" in app.warning[0].value
    app = press(app.button_group(key="evaluated_split").set_value("validation").run(), "Score it")
    assert app.title[0].value == "Evaluation of ticket\\-router"
    with db.reading_session(organization.id) as session:
        newest = queries.runs(session, AGENT)[0]
    assert app.query_params["run"] == str(newest.id)
    assert (newest.version, newest.dataset_id, newest.status) == (2, story.dataset.id, "queued")


# ---------------------------------------------------------------- launching


def test_without_a_model_two_lines_say_what_to_do(
    tell: Callable[..., Story], visit: Callable[..., AppTest]
) -> None:
    tell(states=["queued"])
    app = press(visit("prompts", agent=AGENT), "Improve this prompt")
    assert "No model is configured yet" in shown(app)
    assert "Add a model" in labels(app)
    app = visit("prompts", agent=AGENT, make="run", view="ML engineer")
    assert "Add a model" not in labels(app)


def test_without_a_dataset_the_way_leads_to_datasets(
    visit: Callable[..., AppTest], give: Callable[..., None], with_model: None
) -> None:
    give(feedback())
    app = visit("prompts")
    app.text_area[0].set_value("Answer questions about taxes.")
    app = press(press(app, "Save as version 1"), "Improve it")
    assert "No dataset with this agent's examples yet" in shown(app)
    assert "Go to Datasets" in labels(app)


def test_a_run_is_launched_with_its_estimate_in_sight(
    tell: Callable[..., Story], visit: Callable[..., AppTest], with_model: None, organization: object
) -> None:
    story = tell(states=["improved"])
    app = visit("prompts", agent=AGENT, make="run")
    assert "With 16 unseen examples, a gain of" in shown(app)
    assert "free of charge" in shown(app) or "$0" in shown(app)
    app.text_area(key="run_goals").set_value("Fewer wrong desks.")
    app.multiselect(key="run_strategies").set_value(["few_shot", "restructured"])
    app = app.number_input(key="run_calls").set_value(250).run()
    app = press(app, "Start the run")
    assert app.title[0].value == "Improvement of ticket\\-router"
    with db.reading_session(organization.id) as session:
        newest = queries.runs(session, AGENT)[0]
        run = background.find(session, newest.id)
    assert app.query_params["run"] == str(run.id)
    assert (run.status, run.cap, run.dataset_id) == (RunStatus.QUEUED, Cap(None, None, 250), story.dataset.id)
    assert run.settings["goals"] == "Fewer wrong desks."
    assert run.settings["strategies"] == ["few_shot", "restructured"]


def test_a_budget_that_buys_nothing_is_said_before_the_start(
    tell: Callable[..., Story], visit: Callable[..., AppTest], with_model: None
) -> None:
    tell(states=["improved"])
    app = visit("prompts", agent=AGENT, make="run")
    app = app.number_input(key="run_calls").set_value(10).run()
    assert "The budget does not suffice" in shown(app)
    assert "Start the run" not in labels(app)


# ---------------------------------------------------------------- rules and the weekly look


def test_rules_from_corrections_are_accepted_or_dismissed(
    tell: Callable[..., Story], visit: Callable[..., AppTest], organization: object
) -> None:
    tell(states=["queued"])
    with db.organization_session(organization.id) as session:
        said = [rules.Statement("A wish for money back is a refund."), rules.Statement("Answer in one word.")]
        rules.propose(session, AGENT, said, by="corrections")
    app = press(visit("prompts", agent=AGENT), "Accept")
    app = next(button for button in app.button if button.label == "Dismiss").click().run()
    with db.reading_session(organization.id) as session:
        statuses = sorted(rule.status for rule in rules.of_agent(session, AGENT))
    assert statuses in (["accepted", "dismissed"], ["dismissed", "proposed"])


def test_the_weekly_look_is_switched_per_agent(
    tell: Callable[..., Story], visit: Callable[..., AppTest], organization: object
) -> None:
    tell(states=["queued"])
    visit("prompts", agent=AGENT).toggle(key=f"weekly_{AGENT}").set_value(True).run()
    with db.reading_session(organization.id) as session:
        assert queries.weekly(session, AGENT)
    app = visit("prompts", agent=AGENT, view="Product manager")
    assert not app.toggle
    assert "A weekly run is proposed" in shown(app)


# ---------------------------------------------------------------- who may, and who may not

ACTS = {
    "Improve this prompt",
    "Write a new one",
    "Start it",
    "Dismiss",
    "Pause",
    "Cancel",
    "Go on",
    "Make it a version",
    "Score it on a dataset",
    "Improve it",
    "Do it now",
    "Add",
}


@pytest.mark.parametrize("view", ["Product manager", "Expert"])
def test_who_only_reads_is_offered_nothing_else(
    told: Story, visit_story: Callable[..., AppTest], view: str
) -> None:
    for query in ({"agent": AGENT}, {"agent": AGENT, "version": "2"}, {"agent": AGENT, "make": "run"}):
        assert not ACTS & set(labels(visit_story(told, view=view, **query)))
    for state in told.runs:
        offered = labels(visit_story(told, view=view, run=str(told.runs[state])))
        assert not ACTS & set(offered), state


@pytest.mark.parametrize("address", ["not an id", "01a204b8-29d8-7769-8c30-7439d4e1dca7"])
def test_an_address_that_leads_nowhere_is_said_to(visit: Callable[..., AppTest], address: str) -> None:
    assert "No such run" in shown(visit("prompts", run=address))


@pytest.mark.parametrize("number", ["99", "x", "-1"])
def test_a_version_that_is_none_is_said_to_be(
    visit: Callable[..., AppTest], tell: Callable[..., Story], number: str
) -> None:
    tell(states=["queued"])
    assert "No such version" in shown(visit("prompts", agent=AGENT, version=number))


def test_another_organisations_run_is_not_shown(
    visit: Callable[..., AppTest], tell: Callable[..., Story], other_organization: object
) -> None:
    story = tell(states=["improved"])
    other = other_organization.name
    assert "No such run" in shown(visit("prompts", organization=other, run=str(story.runs["improved"])))
    assert "No agent has been heard of yet" in shown(visit("prompts", organization=other, agent=AGENT))


# ---------------------------------------------------------------- strangers' words


@pytest.mark.parametrize("phrase", HOSTILE)
def test_hostile_text_is_shown_as_text(
    visit: Callable[..., AppTest], tell: Callable[..., Story], phrase: str
) -> None:
    agent = phrase[:200].strip()
    states = ["improved", "running", "failed", "evaluated"]
    story = tell(agent=agent, phrase=phrase, states=states, example_count=30, version_count=2)
    assert_inert(visit("prompts", agent=agent))
    for query in ({"version": "2"}, {"before": "1", "after": "2"}, {"make": "version"}, {"make": "run"}):
        assert_inert(visit("prompts", agent=agent, **query))
    for state in states:
        assert_inert(visit("prompts", run=str(story.runs[state])))
    for about in ("Prompt", "Learnt from", "Settings"):
        assert_inert(visit("prompts", run=str(story.runs["improved"]), about_run=about))


# ---------------------------------------------------------------- charts and words


def test_the_chart_of_scores_keeps_its_form_while_its_figures_change() -> None:
    columns = ["calls", "usd", "tokens", "number", "mean", "n"]
    points = pd.DataFrame([[15, 0.1, 900, 0, 0.5, 15], [40, 0.3, 2400, 3, 0.7, 15]], columns=columns)
    baseline = Estimate(0.5, 0.3, 0.7, 15)
    figures, form = charts.score_over_spend(points, baseline, "usd")
    fewer, same = charts.score_over_spend(points.head(1), Estimate(0.4, 0.3, 0.5, 15), "usd")
    assert form == same
    assert figures["baseline"].tolist() == [0.5, 0.5]
    assert fewer["baseline"].tolist() == [0.4]
    assert form["layer"][-1]["encoding"]["x"]["title"] == "US dollars spent"
    without, plain_form = charts.score_over_spend(points, None, "calls")
    assert "baseline" not in without
    assert len(plain_form["layer"]) == 1
    assert plain_form["layer"][0]["encoding"]["x"]["title"] == "Calls made"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (59.4, "59 s"), (60, "1 min"), (3599, "60 min"), (5400, "1 h 30 min")],
)
def test_times_are_told_in_the_unit_that_suits_them(seconds: float, words: str) -> None:
    assert telling.duration(seconds) == words


@pytest.mark.parametrize(
    ("amount", "words"),
    [(0, "$0"), (0.0004, "$0.0004"), (0.036, "$0.036"), (0.84, "$0.84"), (1234.5, "$1,234.50")],
)
def test_money_keeps_the_digits_that_matter(amount: float, words: str) -> None:
    assert telling.usd(amount) == words


@pytest.mark.parametrize(("change", "words"), [(0.224, "+22"), (-0.05, "\N{MINUS SIGN}5"), (0.001, "0")])
def test_changes_are_points_of_a_hundred(change: float, words: str) -> None:
    assert telling.points(change) == words
