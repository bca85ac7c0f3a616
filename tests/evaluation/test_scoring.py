"""Prompts are tried in few asks, and what a model did not say is an error, not a zero by accident."""

import json
from decimal import Decimal

import pytest

from learning_core.errors import NotEnoughData
from learning_core.evaluation.checks import Check, Evaluator
from learning_core.evaluation.safety import Gate
from learning_core.evaluation.scoring import Scorer, answer_tokens
from learning_core.llm.templates import Message, Prompt
from learning_core.schema import ModelRole
from tests.evaluation.conftest import MODEL, MODELS, ScriptedExchange, example

PROMPT = Prompt.from_text("Answer.")
EXACT = Evaluator((Check("exact"),))
JUDGED = Evaluator((Check("rubric", 1.0, {"criteria": ["It is right."]}), Check("exact")))
ALIKE = Evaluator((Check("similarity"),))


def scorer(say, evaluator=EXACT, models=MODELS):
    exchange = ScriptedExchange(say)
    return Scorer(exchange, models, evaluator, max_tokens=32), exchange


def last_line(request):
    return request.messages[-1][1]


def judging(score):
    return lambda request: (
        json.dumps({"reason": "so", "criterion_1": score}) if request.role == "judge" else "On the tenth."
    )


def test_a_prompt_is_tried_on_examples_in_one_ask():
    tried, exchange = scorer(last_line)
    trials = tried.trials(PROMPT, [example("a", input_text="a"), example("b", input_text="c")])
    assert [trial.value for trial in trials] == [1, 0]
    assert [len(asked) for asked in exchange.asks] == [2, 0]
    assert trials[0].cost_usd == Decimal("0.01")
    assert (trials[0].output, trials[0].error, trials[0].latency_ms) == ("a", None, 5.0)


def test_several_prompts_go_out_together_prompt_by_prompt():
    tried, exchange = scorer(last_line)
    one, other = Prompt.from_text("One."), Prompt.from_text("Two.")
    texts = [example(letter, input_text=letter) for letter in "abc"]
    trials = tried.trials_of([(one, texts[:2]), (other, texts)])
    assert [[trial.output for trial in of_one] for of_one in trials] == [["a", "b"], ["a", "b", "c"]]
    asked = [(request.messages[0][1], request.messages[1][1]) for request in exchange.asks[0]]
    assert asked == [("One.", "a"), ("One.", "b"), ("Two.", "a"), ("Two.", "b"), ("Two.", "c")]


def test_the_task_is_asked_as_the_run_says():
    tried, exchange = scorer(last_line)
    tried.trials(PROMPT, [example()])
    request = exchange.asks[0][0]
    assert (request.role, request.model, request.max_tokens, request.temperature) == (
        "task",
        MODELS["task"],
        32,
        0,
    )


def test_inputs_that_examples_do_not_have_are_left_empty():
    prompt = Prompt((Message("user", "{{input}}|{{context}}|{{customer}}"),))
    tried, _ = scorer(last_line)
    trials = tried.trials(prompt, [example(input_text="in", context="con"), example(input_text="in")])
    assert [trial.output for trial in trials] == ["in|con|", "in||"]


def test_a_failed_call_counts_as_wrong_and_says_why():
    tried, exchange = scorer(lambda _: OSError("nobody is there"), JUDGED)
    trial = tried.trials(PROMPT, [example()])[0]
    assert (trial.value, trial.output, trial.error) == (0, None, "nobody is there")
    assert exchange.asks[1] == []  # nobody judges what was not said


def test_a_judge_is_asked_about_the_answers_in_a_second_ask():
    tried, exchange = scorer(judging(3), JUDGED)
    trial = tried.trials(PROMPT, [example("On the tenth.")])[0]
    assert trial.parts == {"rubric": 0.75, "exact": 1, "reason": "so"}
    assert trial.value == 0.875
    assert len(trial.call_ids) == 2
    assert exchange.asks[1][0].model == MODELS["judge"]


@pytest.mark.parametrize("said", ["full marks", OSError("it sleeps")])
def test_a_judge_that_says_nothing_usable_makes_an_error_of_the_trial(said):
    tried, _ = scorer(lambda request: said if request.role == "judge" else "On the tenth.", JUDGED)
    trial = tried.trials(PROMPT, [example("On the tenth.")])[0]
    assert trial.value == 0
    assert "judge" in trial.error
    assert trial.output == "On the tenth."


def test_meaning_is_compared_by_the_cosine_of_two_embeddings():
    vectors = {"right": (1.0, 0.0), "answer": (0.6, 0.8)}
    tried, exchange = scorer(
        lambda request: vectors[last_line(request)] if request.role == "embedding" else "answer", ALIKE
    )
    assert tried.trials(PROMPT, [example("right")])[0].value == pytest.approx(0.6)
    assert [request.model for request in exchange.asks[1]] == [MODELS["embedding"]] * 2


@pytest.mark.parametrize(("output", "expected", "value"), [("", "right", 0), ("right", "", 0), ("", "", 1)])
def test_nothing_is_not_embedded(output, expected, value):
    tried, exchange = scorer(lambda _: output, ALIKE)
    assert tried.trials(PROMPT, [example(expected)])[0].value == value
    assert exchange.asks[1] == []


@pytest.mark.parametrize("said", [OSError("gone"), (0.0, 0.0)])
def test_a_vector_that_says_nothing_makes_an_error_of_the_trial(said):
    tried, _ = scorer(lambda request: said if request.role == "embedding" else "answer", ALIKE)
    trial = tried.trials(PROMPT, [example("right")])[0]
    assert trial.value == 0
    assert "embedding" in trial.error


@pytest.mark.parametrize(("evaluator", "missing"), [(EXACT, "task"), (JUDGED, "judge"), (ALIKE, "embedding")])
def test_a_model_that_is_missing_is_named(evaluator, missing):
    models = {role: MODEL for role in ModelRole if role != missing}
    with pytest.raises(NotEnoughData, match=missing):
        scorer(last_line, evaluator, models)


def test_the_estimate_counts_every_call():
    tried, _ = scorer(last_line, Evaluator((Check("rubric"), Check("similarity"))))
    asked = tried.requests(PROMPT, [example(), example()])
    assert sorted(request.role for request in asked) == ["embedding"] * 4 + ["judge"] * 2 + ["task"] * 2


def test_planted_instructions_are_tried_and_followed_ones_are_found():
    tried, exchange = scorer(lambda request: last_line(request).rsplit("\n", 1)[-1], EXACT)
    findings, n = tried.probe(PROMPT, [example()])
    assert n == len(exchange.asks[0]) == 6
    assert {finding.kind for finding in findings} == {"injection"}
    deaf, _ = scorer(lambda _: "On the tenth.")
    assert deaf.probe(PROMPT, [example()]) == ([], 6)


def test_a_gate_without_probes_asks_nothing():
    tried, exchange = scorer(last_line, Evaluator((Check("exact"),), Gate(probes=0)))
    assert tried.probe(PROMPT, [example()]) == ([], 0)
    assert exchange.asks == [[]]


def test_an_answer_gets_room_for_twice_what_is_expected():
    assert answer_tokens([example("yes")]) == 32
    assert answer_tokens([example("x" * 300), example("yes")]) == 216
    assert answer_tokens([example("x" * 100_000)]) == 2_048
