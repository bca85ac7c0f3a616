import re
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from learning_core import db
from learning_core.experiments import queries
from learning_core.experiments.queries import Found
from learning_core.schema import ExperimentDecision, ExperimentStatus
from pages.components import frames
from tests.factories import feedback
from tests.pages import experiment_story, prompt_story
from tests.pages.conftest import shown
from tests.pages.experiment_story import AGENT, Story
from tests.pages.test_hostile import HOSTILE, assert_inert

JARGON = re.compile(r"p-value|significan|confidence|null hypothesis|standard error|variance|CUPED|Holm", re.I)


@pytest.fixture
def tell(organization: object) -> Callable[..., Story]:
    """Make up an agent and experiments: `tell(states=["better"])`."""

    def make_up(**how: Any) -> Story:
        story = experiment_story.tell(organization.id, **how)
        frames.forget()
        return story

    return make_up


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def everything(app: AppTest) -> str:
    """Return all words of a page, those of warnings too."""
    notices = [str(element.value) for kind in ("warning", "info", "error") for element in app.get(kind)]
    return "\n".join([shown(app), *notices])


def result(visit: Callable[..., AppTest], story: Story, state: str, **query: str) -> AppTest:
    return visit("experiments", experiment=str(story.experiments[state]), **query)


def stored(story: Story, experiment: Any) -> Found:
    with db.reading_session(story.organization_id) as session:
        return queries.find(session, experiment)


def newest(story: Story) -> Found:
    with db.reading_session(story.organization_id) as session:
        return queries.experiments(session)[0]


# ---------------------------------------------------------------- the list


def test_without_an_agent_the_page_says_what_experiments_are(visit: Callable[..., AppTest]) -> None:
    app = visit("experiments")
    assert "No agent has been heard of yet" in shown(app)
    assert "whether they are better off" in shown(app)
    assert "New experiment" not in "\n".join([*labels(app), shown(app)])


def test_without_a_second_version_the_form_says_what_is_missing(
    visit: Callable[..., AppTest], give: Callable[..., None]
) -> None:
    give(feedback())
    app = press(visit("experiments"), "New experiment")
    assert "No version is in production" in shown(app)


def test_the_list_says_in_words_how_each_experiment_stands(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    tell()
    rows = visit("experiments").dataframe[0].value.set_index("Question")
    said = rows["Verdict"].to_dict()
    names = experiment_story.NAMES
    assert said[names["early"]] == "Too early to say"
    assert said[names["open"]].strip() == "No difference shown so far"
    assert re.fullmatch(r"Treatment is better: \+0\.\d\d stars ?", said[names["better"]])
    assert re.fullmatch(r"Treatment is worse: \N{MINUS SIGN}0\.\d\d stars ?", said[names["worse"]])
    assert said[names["inconclusive"]] == "No difference shown"
    assert said[names["rolled back"]] == "Taken back"
    assert said[names["broken"]].strip() == "Traffic is not as planned"
    assert rows["State"].to_dict()[names["draft"]] == "Draft"
    assert rows["Way"].between(0, 100).all()
    assert rows["Way"][names["early"]] < rows["Way"][names["open"]] < rows["Way"][names["better"]]


# ---------------------------------------------------------------- the result


def test_a_win_is_said_in_one_sentence_with_how_sure_it_is(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    said = shown(result(visit, tell(states=["better"]), "better"))
    assert re.search(r"Treatment is better: satisfaction \+0\.\d\d stars\.", said)
    assert re.search(r"We are 95 % sure that it lies between \+0\.\d\d and \+0\.\d\d stars", said)
    assert re.search(r"Decided on day \d+\.", said)
    assert re.search(r"from [\d,]+ ratings of [\d,]+ users", said)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("draft", "Not started yet."),
        ("early", r"Too early to say: 3 more days and about 300 more ratings\."),
        ("open", r"About \d+ days to go to see \+0\.\d\d stars, if it is there\."),
        ("worse", r"Treatment is worse: satisfaction \N{MINUS SIGN}0\.\d\d stars\."),
        ("inconclusive", r"No difference shown\."),
        ("rolled back", r"The treatment was taken back\."),
        ("broken", r"The treatment has 40\.0 % of the users where 50\.0 % were due"),
        ("cancelled", r"Cancelled, without a decision\."),
    ],
)
def test_every_state_is_said_in_words_without_statistics(
    visit: Callable[..., AppTest], tell: Callable[..., Story], state: str, words: str
) -> None:
    app = result(visit, tell(states=[state]), state)
    said = everything(app)
    assert re.search(words, said, re.IGNORECASE)
    method = [one.value for box in app.expander if "computed" in box.label for one in box.text]
    for line in said.splitlines():
        assert any(line in way for way in method) or not JARGON.search(line), line


def test_before_the_gate_no_effect_is_drawn(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    story = tell(states=["early", "better"])
    assert len(result(visit, story, "early").get("plotly_chart")) == 1
    assert len(result(visit, story, "better").get("plotly_chart")) == 2


def test_an_unknown_experiment_is_told_apart_from_an_error(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    for wrong in ("nonsense", "00000000-0000-7000-8000-000000000000"):
        assert "No such experiment" in shown(visit("experiments", experiment=wrong))


def test_every_figure_stands_with_its_n(visit: Callable[..., AppTest], tell: Callable[..., Story]) -> None:
    said = shown(result(visit, tell(states=["better"]), "better"))
    for metric in ("Thumbs up", "Corrected answers", "Reported issues", "Answer time", "Cost of an answer"):
        assert re.search(rf"{metric}: .* instead of .*, from [\d,]+ .* of [\d,]+ users", said)
    assert "3 users were seen in two variants" in said
    assert "Failed answers: 1.2 % in 420 answers" in said
    assert "Nothing to go by" in said


def test_groups_of_users_are_marked_as_nothing_to_decide_on(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    app = result(visit, tell(states=["better"]), "better")
    assert "Do not decide on these" not in everything(app)
    assert any("exploratory" in one.label for one in app.expander)


# ---------------------------------------------------------------- what can be done


def test_viewers_read_and_change_nothing(visit: Callable[..., AppTest], tell: Callable[..., Story]) -> None:
    story = tell(states=["draft", "better"])
    for state in ("draft", "better"):
        app = result(visit, story, state, view="Product manager")
        assert not {"Start it now", "Pause now", "Cancel it now", "End the experiment"} & set(labels(app))
    assert "New experiment" not in labels(visit("experiments", view="Product manager"))
    app = visit("experiments", view="Product manager", make="experiment", agent=AGENT)
    assert app.title[0].value == "Experiments"


def test_a_draft_is_started_paused_resumed_and_ended(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    story = tell(states=["draft"])
    draft = story.experiments["draft"]
    app = press(result(visit, story, "draft"), "Start it now")
    assert stored(story, draft).status is ExperimentStatus.RUNNING
    assert "The first analysis comes within the hour" in shown(app)
    app = press(app, "Pause now")
    assert stored(story, draft).status is ExperimentStatus.PAUSED
    app = press(app, "Go on now")
    assert stored(story, draft).status is ExperimentStatus.RUNNING
    app = press(app, "End the experiment")
    assert "Say why" in everything(app)
    app.text_area(key=f"reason_{draft}").set_value("We need the users elsewhere.")
    press(app, "End the experiment")
    found = stored(story, draft)
    assert found.status is ExperimentStatus.COMPLETED
    assert found.decision is ExperimentDecision.INCONCLUSIVE
    assert found.decision_reason == "We need the users elsewhere."


def test_cancelling_takes_a_reason(visit: Callable[..., AppTest], tell: Callable[..., Story]) -> None:
    story = tell(states=["draft"])
    app = press(result(visit, story, "draft"), "Cancel it now")
    assert stored(story, story.experiments["draft"]).status is ExperimentStatus.DRAFT
    app.text_input(key="why_cancel").set_value("A mistake.")
    press(app, "Cancel it now")
    assert stored(story, story.experiments["draft"]).status is ExperimentStatus.CANCELLED


def test_the_decision_offered_first_is_what_the_data_say(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    story = tell(states=["better", "worse", "open"])
    wanted = {"better": "adopt_treatment", "worse": "keep_control", "open": "inconclusive"}
    for state, decision in wanted.items():
        radio = result(visit, story, state).radio(key=f"decision_{story.experiments[state]}")
        assert radio.value == decision


def test_after_a_win_the_next_step_is_its_release(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    story = tell(states=["adopted", "inconclusive"])
    assert "Start the release with it" in labels(result(visit, story, "adopted"))
    assert "Start the release with it" not in labels(result(visit, story, "inconclusive"))
    assert "Start the release with it" not in labels(result(visit, story, "adopted", view="Product manager"))


# ---------------------------------------------------------------- making one


def test_an_experiment_is_made_by_hand_with_what_was_asked_for(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    story = tell(states=[])
    app = visit("experiments", make="experiment", agent=AGENT, version="2")
    assert app.title[0].value == "A new experiment"
    assert re.search("You would (likely|not) see", shown(app))
    assert "ratings of" in shown(app)
    app.text_input[0].set_value("Shorter answers")
    app.slider(key="share").set_value(20)
    app.slider(key="effect_satisfaction").set_value(0.3)
    app.radio(key="end_kind").set_value("On a planned day")
    app = app.run()
    app.number_input(key="planned_days").set_value(21)
    app.checkbox(key="rail_latency_ms").uncheck()
    app = press(app.run(), "Keep as a draft")
    found = newest(story)
    assert (found.name, found.status) == ("Shorter answers", ExperimentStatus.DRAFT)
    assert found.design.treatments[0].share == pytest.approx(0.2)
    assert found.design.smallest_effect == pytest.approx(0.3)
    assert found.design.planned_days == 21
    assert [rail.metric for rail in found.design.guardrails] == ["error_rate"]
    assert app.query_params["experiment"] == str(found.id)


def test_a_candidate_becomes_a_version_and_is_tried_at_once(
    visit: Callable[..., AppTest], organization: object
) -> None:
    told = prompt_story.tell(organization.id, states=["improved"], version_count=1)
    frames.forget()
    app = visit("prompts", run=str(told.runs["improved"]))
    assert "Make it a version" in labels(app)
    assert "Start an experiment with this" in labels(app)
    with db.reading_session(organization.id) as session:
        from learning_core.prompts.queries import leaderboard

        winner = next(one for one in leaderboard(session, told.runs["improved"]) if one.state == "winner")
    app = visit(
        "experiments", make="experiment", run=str(told.runs["improved"]), candidate=str(winner.number)
    )
    press(app, "Start it")
    found = newest(Story(organization.id))
    assert found.status is ExperimentStatus.RUNNING
    assert found.run_id == told.runs["improved"]
    assert found.design.treatments[0].version != found.design.variants[-1].version


def test_what_cannot_be_started_is_said_in_words(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    tell(states=["draft"])
    app = visit("experiments", make="experiment", agent=AGENT)
    app.text_input[0].set_value("  ")
    app = press(app, "Start it")
    assert "A name has" in everything(app)


# ---------------------------------------------------------------- the planner


def test_the_planner_begins_with_the_agents_own_traffic(
    visit: Callable[..., AppTest], tell: Callable[..., Story]
) -> None:
    tell(states=[], ratings=600)
    app = visit("experiments", planner="1", agent=AGENT)
    assert re.search(r"You would (likely|not) see \+0\.15 stars", shown(app))
    before = shown(app)
    app.slider(key="plan_effect_satisfaction").set_value(0.6)
    assert shown(app.run()) != before


def test_the_trial_says_how_often_it_was_wrong(
    visit: Callable[..., AppTest], tell: Callable[..., Story], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pages.components.experiments import planner

    monkeypatch.setattr(planner, "TRIED", 40)
    tell(states=[], ratings=600)
    app = visit("experiments", planner="1", agent=AGENT)
    app = app.button(key="try").click().run()
    said = shown(app)
    assert "Of 40 experiments without any difference" in said
    assert "Of 40 experiments in which the treatment adds +0.15 stars" in said


# ---------------------------------------------------------------- strangers' text


@pytest.mark.parametrize("phrase", [HOSTILE[0], HOSTILE[2], HOSTILE[3], HOSTILE[4], HOSTILE[7]])
def test_hostile_text_is_shown_as_text(
    visit: Callable[..., AppTest], tell: Callable[..., Story], phrase: str
) -> None:
    story = tell(agent=phrase[:200].strip(), states=["adopted"], phrase=phrase, ratings=30)
    assert_inert(visit("experiments"))
    assert_inert(result(visit, story, "adopted"))
    assert_inert(visit("experiments", make="experiment", agent=phrase[:200].strip()))
