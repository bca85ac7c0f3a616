"""Evaluations run against a served model: they end truthfully, and go on where they were cut off."""

import json
from uuid import uuid4

import pytest
from sqlalchemy import text

from learning_core import background, jobs
from learning_core.access import Caller
from learning_core.background import Cap
from learning_core.datasets.splits import Split
from learning_core.errors import Conflict, NotEnoughData, NotFound, NotPermitted, Unavailable
from learning_core.evaluation import course, evaluators, runs, scores
from learning_core.evaluation.checks import Check, Evaluator
from learning_core.evaluation.safety import Gate
from learning_core.llm import endpoints
from learning_core.schema import ModelRole, Role, RunKind, RunStatus
from tests.fakes import Reply

LETTERS = "abcdefghij"
PAIRS = [(f"Which letter is {letter}?", letter) for letter in LETTERS]
UNPROBED = Evaluator((Check("exact"),), Gate(probes=0))


def asked(body):
    return body["messages"][-1]["content"]


def knows(*letters):
    """A model that answers rightly about these letters, and x about the others."""
    return lambda body: next((letter for letter in letters if f"is {letter}?" in asked(body)), "x")


@pytest.fixture
def use_model(transaction, organization, model_server):
    """Configure the served model for roles: `use_model("task", "judge")`."""
    admin = Caller(organization.id, "admin", Role.ADMIN)

    def configure(*roles, **more):
        with transaction() as session:
            for role in roles:
                told = vars(model_server.model(**{"name": f"fake {role}", "max_concurrency": 4} | more))
                endpoints.assign(
                    session, admin, ModelRole(role), endpoints.save_model(session, admin, **told)
                )

    return configure


@pytest.fixture
def start(transaction, engineer, freeze, new_prompt, use_model):
    """Start an evaluation of ten letters: `start(cap=Cap(calls=4))`."""
    use_model("task")
    dataset, prompt = freeze(PAIRS), new_prompt("Answer with the letter.")

    def do(evaluator=UNPROBED, **more):
        with transaction() as session:
            saved = evaluators.save(session, engineer, "tax-advisor", evaluator) if evaluator else None
            given = {"split": Split.VALIDATION, "evaluator_id": saved.id if saved else None}
            given |= {"prompt_version_id": prompt, "dataset_id": dataset.id} | more
            return runs.start(session, engineer, "tax-advisor", **given)

    return do


@pytest.fixture
def work(organization, transaction):
    """Do the job of a run and return the run."""

    def do(run_id):
        runs.evaluate(str(organization.id), str(run_id))
        with transaction() as session:
            return background.find(session, run_id)

    return do


def test_every_example_is_scored_and_the_run_says_so(start, work, model_server, transaction):
    model_server.answer = knows(*"abcdefg")
    run = work(start(Evaluator((Check("exact"),))))
    assert (run.status, run.stop_reason) == (RunStatus.SUCCEEDED, "all 10 examples were scored")
    assert (run.result["mean"], run.result["n"], run.result["total"]) == (0.7, 10, 10)
    assert 0 < run.result["low"] < 0.7 < run.result["high"] < 1
    assert run.result["gate"]["passed"]
    assert run.result["gate"]["probe_count"] == 6
    assert run.progress["done"] == 10
    assert model_server.answers == 16
    with transaction() as session:
        assert sum(row.value for row in scores_of(session, run)) == 7


def test_a_run_keeps_all_that_it_takes_to_repeat_it(start, transaction, model_server):
    run_id = start()
    with transaction() as session:
        run = background.find(session, run_id)
        evaluator = evaluators.newest(session, "tax-advisor")
    assert run.kind is RunKind.EVALUATION
    assert run.settings["split"] == "validation"
    assert run.settings["models"]["task"]["base_url"] == model_server.base_url
    assert (run.settings["max_tokens"], run.settings["temperature"]) == (32, 0)
    assert run.evaluator_id == evaluator.id
    assert run.estimate["calls"] == 10


def test_the_job_commits_with_the_run(start, transaction):
    run_id = start()
    with transaction() as session:
        found = session.execute(JOBS, {"run": str(run_id)}).all()
    assert [(job.queue_name, job.lock) for job in found] == [("runs", f"run {run_id}")]


JOBS = text("SELECT queue_name, lock FROM procrastinate_jobs WHERE args ->> 'run_id' = :run ORDER BY id")


def test_the_budget_ends_a_run_and_what_it_bought_counts(start, work, model_server):
    model_server.answer = knows(*LETTERS)
    run = work(start(cap=Cap(calls=4)))
    assert run.status is RunStatus.SUCCEEDED
    assert run.stop_reason == "the budget of 4 calls was spent after 4 of 10 examples"
    assert (run.result["mean"], run.result["n"]) == (1, 4)
    assert run.spent.calls == model_server.answers == 4


def test_a_budget_for_nothing_is_a_failure(start, work, model_server):
    run = work(start(cap=Cap(tokens=10)))
    assert run.status is RunStatus.FAILED
    assert run.stop_reason == "the budget of 10 tokens was spent before the first example was scored"
    assert model_server.answers == 0


def test_a_budget_without_room_for_planted_instructions_says_so(start, work):
    run = work(start(Evaluator((Check("exact"),)), cap=Cap(calls=12)))
    assert run.status is RunStatus.SUCCEEDED
    assert run.stop_reason == (
        "all 10 examples were scored; the budget of 12 calls left no room for planted instructions"
    )
    assert run.result["gate"]["probe_count"] == 0


def test_a_model_that_never_answers_fails_the_run_in_its_own_words(start, work, model_server, configure):
    configure(AFTERGLOW_MODEL_ATTEMPTS=1)
    model_server.answer = lambda body: Reply(status=400, error="no such model")
    run = work(start())
    assert run.status is RunStatus.FAILED
    assert "none of the first 10 examples could be scored" in run.error
    assert "no such model" in run.error


def test_one_failed_call_counts_as_wrong(start, work, model_server, transaction):
    known = knows(*LETTERS)
    model_server.answer = lambda body: (
        Reply(status=400, error="no") if "is c?" in asked(body) else known(body)
    )
    run = work(start())
    assert (run.status, run.result["mean"], run.result["error_count"]) == (RunStatus.SUCCEEDED, 0.9, 1)
    with transaction() as session:
        (failed,) = [row for row in scores_of(session, run) if row.error]
        items = scores.items(session, run.dataset_id, None, run.agent)
    examples = {item.example_id: item.example for item in items}
    assert (examples[failed.example_id].input_text, failed.value) == ("Which letter is c?", 0)


def scores_of(session, run):
    candidate = session.execute(text("SELECT id FROM candidates WHERE run_id = :run"), {"run": run.id})
    return scores.scores_of(session, candidate.scalar_one())


def test_a_judge_is_asked_about_each_answer(start, work, model_server, use_model):
    use_model("judge", model="judge")
    told = {"reason": "so", "criterion_1": 3}
    model_server.answer = lambda body: json.dumps(told) if body["model"] == "judge" else "x"
    run = work(start(Evaluator((Check("rubric", 1.0, {"criteria": ["It is right."]}),), Gate(probes=0))))
    assert (run.result["mean"], run.spent.calls) == (0.75, 20)
    assert not run.result["judge"]["trusted"]


def test_without_an_evaluator_the_suggestion_is_saved_and_used(start, work, transaction):
    run = work(start(None))
    with transaction() as session:
        assert evaluators.newest(session, "tax-advisor").id == run.evaluator_id
    assert run.status is RunStatus.SUCCEEDED


def test_a_run_cut_off_goes_on_and_pays_nothing_twice(start, work, model_server, monkeypatch, transaction):
    monkeypatch.setattr(course, "BLOCK", 4)
    model_server.answer = knows(*LETTERS)
    run_id, stored = start(), scores.store_scores
    blocks = []

    def die_in_the_second_block(*arguments):
        blocks.append(1)
        if len(blocks) == 2:
            raise Unavailable
        stored(*arguments)

    monkeypatch.setattr(scores, "store_scores", die_in_the_second_block)
    with pytest.raises(Unavailable):
        work(run_id)
    with transaction() as session:
        assert background.find(session, run_id).status is RunStatus.RUNNING
    monkeypatch.setattr(scores, "store_scores", stored)
    run = work(run_id)
    assert (run.stop_reason, run.result["n"]) == ("all 10 examples were scored", 10)
    assert model_server.answers == 10
    assert model_server.delivered_twice == {}


def test_a_paused_run_keeps_what_it_has_and_goes_on(
    start, work, model_server, monkeypatch, transaction, engineer
):
    monkeypatch.setattr(course, "BLOCK", 4)
    model_server.answer, run_id = knows(*LETTERS), start()
    wish_in_block(monkeypatch, 1, lambda: do(transaction, background.pause, engineer, run_id))
    paused = work(run_id)
    assert (paused.status, paused.stop_reason) == (RunStatus.PAUSED, "paused by erin after 4 of 10 examples")
    assert work(run_id).status is RunStatus.PAUSED  # a job that comes too early does nothing
    do(transaction, runs.resume, engineer, run_id)
    run = work(run_id)
    assert (run.status, run.result["n"], model_server.answers) == (RunStatus.SUCCEEDED, 10, 10)


def test_a_cancelled_run_tells_who_and_how_far(start, work, model_server, monkeypatch, transaction, engineer):
    monkeypatch.setattr(course, "BLOCK", 4)
    model_server.answer, run_id = knows(*"ab"), start()
    wish_in_block(monkeypatch, 2, lambda: do(transaction, background.cancel, engineer, run_id))
    run = work(run_id)
    assert (run.status, run.stop_reason) == (RunStatus.CANCELLED, "cancelled by erin after 8 of 10 examples")
    assert run.result["n"] == 8
    with pytest.raises(Conflict):
        do(transaction, runs.resume, engineer, run_id)


def test_a_process_that_leaves_hands_the_run_on(start, work, monkeypatch, transaction):
    run_id = start()
    monkeypatch.setattr(course, "BLOCK", 4)
    jobs.stopping.set()
    try:
        assert work(run_id).status is RunStatus.RUNNING
    finally:
        jobs.stopping.clear()
    with transaction() as session:
        assert len(session.execute(JOBS, {"run": str(run_id)}).all()) == 2
    assert work(run_id).status is RunStatus.SUCCEEDED


def test_a_look_at_the_test_split_is_put_on_record_once(
    start, work, freeze, transaction, engineer, model_server
):
    sealed = freeze([("Which letter is z?", "z")], split="test", name="sealed")
    run = work(start(dataset_id=sealed.id, split=Split.TEST))
    assert run.result["n"] == 11  # the agent's approved examples of before are in it too
    with transaction() as session:
        session.execute(text("UPDATE training_runs SET status = 'running' WHERE id = :id"), {"id": run.id})
    work(run.id)
    with transaction() as session:
        uses = session.execute(USES, {"dataset": sealed.id}).all()
    assert [(use.split, use.purpose, use.used_by) for use in uses] == [
        ("test", f"evaluation {run.id}", "erin")
    ]


USES = text("SELECT split, purpose, used_by FROM dataset_uses WHERE dataset_id = :dataset")


@pytest.mark.parametrize("name", ["prompt_version_id", "evaluator_id"])
def test_what_is_not_the_agents_is_not_found(start, name):
    with pytest.raises(NotFound):
        start(**{name: uuid4()})


def test_a_split_without_examples_of_the_agent_is_refused(start):
    with pytest.raises(NotEnoughData, match="test split"):
        start(split=Split.TEST)


def test_a_judge_that_nobody_configured_is_asked_for(start):
    with pytest.raises(NotEnoughData, match="embedding"):
        start(Evaluator((Check("similarity"),)))


def test_an_expert_may_not_spend(transaction, organization):
    expert = Caller(organization.id, "ada", Role.EXPERT)
    with pytest.raises(NotPermitted), transaction() as session:
        runs.start(session, expert, "tax-advisor", uuid4(), uuid4(), Split.TEST)


def test_only_evaluations_are_resumed_here(transaction, engineer, start):
    start()
    with transaction() as session:
        other = background.create(session, engineer, RunKind.PROMPT_OPTIMIZATION, "tax-advisor", {})
    with pytest.raises(NotFound):
        do(transaction, runs.resume, engineer, other)


def wish_in_block(monkeypatch, number, wish):
    """Let a person wish something while the scores of a block are being stored."""
    stored, blocks = scores.store_scores, []

    def store(*arguments):
        blocks.append(1)
        if len(blocks) == number:
            wish()
        stored(*arguments)

    monkeypatch.setattr(scores, "store_scores", store)


def do(transaction, verb, *arguments):
    with transaction() as session:
        verb(session, *arguments)
