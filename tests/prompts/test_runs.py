from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import text

from benchmarks import standin
from learning_core import background
from learning_core.access import Caller
from learning_core.background import Cap
from learning_core.datasets import versions as datasets
from learning_core.datasets.curation import Rules
from learning_core.errors import Conflict, InvalidInput, NotEnoughData, NotFound, NotPermitted
from learning_core.feedback.collect import collect
from learning_core.feedback.executions import record
from learning_core.llm import endpoints
from learning_core.prompts import history, rules, runs
from learning_core.prompts.orders import Order
from learning_core.prompts.runs import Wish
from learning_core.schema import Role, RunStatus
from tests.factories import execution, feedback
from tests.fakes import ModelServer, Reply
from tests.prompts import routing
from tests.prompts.routing import AGENT

pytestmark = pytest.mark.xdist_group("model runs")


def answer(body):
    return standin.answer(body["messages"])


@pytest.fixture
def server():
    with ModelServer(answer) as running:
        yield running


@pytest.fixture
def world(organization, server):
    return routing.settle(organization, server.base_url)


@pytest.fixture
def start(transaction, world):
    def start(**more):
        order = {"agent": AGENT, "dataset_id": world.dataset_id, "cap": Cap(calls=400), "seed": 1} | more
        with transaction() as session:
            return runs.start(session, world.caller, Order(**order))

    return start


@pytest.fixture
def find(transaction):
    def find(run_id):
        with transaction() as session:
            return background.find(session, run_id)

    return find


@pytest.fixture
def carry_out(organization, find):
    """Do a run's job here and now, and return the run."""

    def carry_out(run_id):
        runs.optimize(organization_id=str(organization.id), run_id=str(run_id))
        return find(run_id)

    return carry_out


@pytest.fixture
def candidates(transaction):
    def candidates(run_id):
        with transaction() as session:
            rows = session.execute(
                text("SELECT * FROM candidates WHERE run_id = :run ORDER BY number"), {"run": run_id}
            )
            return rows.all()

    return candidates


# ---------------------------------------------------------------- a run that gains


def test_a_better_prompt_is_found_and_its_gain_measured_on_examples_that_the_search_never_saw(
    start, carry_out, candidates, transaction, server
):
    run = carry_out(start())
    assert (run.status, run.error) == (RunStatus.SUCCEEDED, None)
    verdict = run.result["verdict"]
    assert verdict["kind"] == "improved"
    assert 0 < verdict["low"] <= verdict["gain"] <= verdict["high"]
    assert verdict["n"] == run.settings["counts"]["test"] == run.result["winner_test"]["n"]
    states = {row.number: row.state for row in candidates(run.id)}
    assert states[0] == "baseline"
    assert states[run.result["winner"]] == "winner"
    assert "racing" not in states.values()
    assert server.delivered_twice == {}
    with transaction() as session:
        on_test = "SELECT DISTINCT number FROM scores JOIN candidates ON candidates.id = candidate_id"
        tested = set(session.execute(text(f"{on_test} WHERE split = 'test'")).scalars())
    assert tested == {0, run.result["winner"]}


def test_what_was_spent_is_what_the_server_delivered_and_within_the_cap(start, carry_out, server):
    run = carry_out(start(cap=Cap(calls=250)))
    assert run.spent.calls == server.answers <= 250
    assert run.spent.tokens > 0
    assert run.spent.usd > 0


def test_the_line_of_the_best_score_ends_at_the_winner(start, carry_out):
    run = carry_out(start())
    calls, _, _, best, mean, n = run.progress["points"][-1]
    assert (best, mean) == (run.result["winner"], run.result["selection"]["winner_mean"])
    assert n == run.result["selection"]["n"]
    assert calls <= run.spent.calls


def test_the_same_order_comes_to_the_same_result_without_a_call(start, carry_out, server):
    first = carry_out(start(strategies=NOTHING_DRAWN))
    answers = server.answers
    again = carry_out(start(strategies=NOTHING_DRAWN))
    assert server.answers == answers
    assert again.spent.calls == 0
    assert again.result["verdict"] == first.result["verdict"]
    assert again.result["test_uses"] == first.result["test_uses"] + 1


NOTHING_DRAWN = ("scaffolded", "few_shot", "combination")
"""Strategies that ask for likeliest answers only; what is drawn belongs to one run."""


def test_without_reuse_an_order_pays_anew(start, carry_out, server):
    first = carry_out(start())
    again = carry_out(start(reuse=False))
    assert again.spent.calls == first.spent.calls
    assert server.answers == 2 * first.spent.calls


def test_the_test_split_is_put_on_record_once_a_run(start, carry_out, transaction):
    run = carry_out(start())
    with transaction() as session:
        used = session.execute(text("SELECT split, purpose FROM dataset_uses")).all()
    assert used == [("test", f"optimization {run.id}")]


def test_the_winner_becomes_a_version_with_the_baseline_as_parent(start, carry_out, transaction, world):
    run = carry_out(start())
    with transaction() as session:
        version = runs.make_version(session, world.caller, run.id, run.result["winner"])
        same = runs.make_version(session, world.caller, run.id, run.result["winner"])
    assert (version.number, version.parent) == (2, "v1")
    assert same.id == version.id


def test_a_reason_too_long_for_a_version_is_cut(start, carry_out, transaction, world):
    run = carry_out(start())
    with transaction() as session:
        session.execute(text("UPDATE candidates SET reason = repeat('because ', 200) WHERE number > 0"))
        version = runs.make_version(session, world.caller, run.id, run.result["winner"])
    assert version.reason.startswith("because")
    assert len(version.reason) <= 500


def test_a_candidate_that_does_not_exist_becomes_no_version(start, transaction, world):
    run_id = start()
    with pytest.raises(NotFound, match="candidate 77"), transaction() as session:
        runs.make_version(session, world.caller, run_id, 77)


def test_rules_that_corrections_came_to_wait_for_a_person(start, carry_out, transaction, world, server):
    correct(transaction, 4)

    def say(body):
        asked = str(body["messages"])
        return "Name the day of the month first." if "one rule" in asked else answer(body)

    server.answer = say
    carry_out(start(strategies=("corrections",)))
    with transaction() as session:
        (rule,) = rules.of_agent(session, AGENT)
    assert (rule.statement, rule.status) == ("Name the day of the month first.", "proposed")


def correct(transaction, count):
    for number in range(count):
        asked = execution(
            execution_id=f"e{number}",
            agent_id=AGENT,
            input_text=f"When is tax {number} due?",
            output_text="Soon.",
        )
        given = feedback(
            execution_id=f"e{number}",
            agent_id=AGENT,
            feedback_type="correction",
            correction_text=f"On the {number + 10}th of the month.",
        )
        with transaction() as session:
            record(session, [asked])
            collect(session, [given], "api")


# ---------------------------------------------------------------- runs that gain nothing, or fail


def test_no_better_candidate_is_a_normal_result(organization, start, carry_out, server):
    server.answer = lambda body: "refund" if "Classify" in str(body["messages"]) else "no idea"
    run = carry_out(start())
    assert run.status == RunStatus.SUCCEEDED
    assert run.result["winner"] == 0
    assert "verdict" not in run.result


def test_a_model_that_answers_nothing_fails_the_run_with_the_reason(start, carry_out, server):
    server.answer = lambda body: Reply(status=400, error="the context is too long")
    run = carry_out(start())
    assert run.status == RunStatus.FAILED
    assert "context is too long" in run.error
    assert run.error in run.stop_reason


def test_a_budget_below_the_check_is_refused_before_anything_is_spent(start, server):
    with pytest.raises(NotEnoughData, match="budget"):
        start(cap=Cap(calls=40))
    assert server.answers == 0


def test_a_dataset_without_sealed_examples_can_prove_nothing_and_is_refused(start, transaction, world):
    with transaction() as session:
        rules = Rules(agents=(AGENT,), train_share=0.5, validation_share=0.5, test_share=0)
        unsealed = datasets.freeze(session, world.caller, "open", rules)
    with pytest.raises(NotEnoughData, match="no gain can be proven"):
        start(dataset_id=unsealed.id)


@pytest.mark.parametrize("wrong", [{"strategies": ("magic",)}, {"seed": -1}, {"cap": Cap(calls=0)}])
def test_an_order_that_makes_no_sense_is_refused(start, wrong):
    with pytest.raises(InvalidInput):
        start(**wrong)


def test_an_expert_cannot_start_an_optimization(transaction, world):
    expert = Caller(world.caller.organization_id, "ada", Role.EXPERT)
    with pytest.raises(NotPermitted), transaction() as session:
        runs.start(session, expert, Order(agent=AGENT, dataset_id=world.dataset_id))


def test_without_a_model_the_refusal_says_where_to_add_one(transaction, world, start):
    with transaction() as session:
        endpoints.retire_model(session, world.caller, world.model_id)
    with pytest.raises(NotEnoughData, match="Administration"):
        start()


# ---------------------------------------------------------------- cancel, pause, resume


@pytest.fixture
def during(carry_out, server):
    """Do a run, and do something else as soon as so many requests have come in."""

    def during(run_id, requests, deed):
        server.latency_s = 0.02
        done = {}
        thread = threading.Thread(target=lambda: done.update(run=carry_out(run_id)))
        thread.start()
        while len(server.log) < requests:
            time.sleep(0.005)
        deed()
        thread.join(60)
        return done["run"]

    return during


def test_a_cancelled_run_stops_and_says_who_cancelled_it(start, during, transaction, world, server):
    run_id = start()

    def cancel():
        with transaction() as session:
            background.cancel(session, world.caller, run_id)

    run = during(run_id, 30, cancel)
    assert (run.status, run.stop_reason) == (RunStatus.CANCELLED, "cancelled by erin")
    assert run.spent.calls == server.answers < 250


def test_a_paused_run_goes_on_and_comes_to_what_it_would_have_come_to(
    start, during, carry_out, transaction, world, server
):
    run_id = start(reuse=False)

    def pause():
        with transaction() as session:
            background.pause(session, world.caller, run_id)

    paused = during(run_id, 40, pause)
    assert paused.status == RunStatus.PAUSED
    with transaction() as session:
        runs.resume(session, world.caller, run_id)
    resumed = carry_out(run_id)
    whole = carry_out(start(reuse=False))
    for told in ("winner", "verdict", "selection", "search"):
        assert resumed.result[told] == whole.result[told]
    assert resumed.spent == whole.spent
    assert server.answers == resumed.spent.calls + whole.spent.calls


def test_a_run_that_is_over_is_not_done_again(start, carry_out, server):
    run = carry_out(start())
    answers = server.answers
    assert carry_out(run.id) == run
    assert server.answers == answers


# ---------------------------------------------------------------- asked for by names


def test_a_text_becomes_a_version_and_the_newest_dataset_is_taken(transaction, world, find):
    with transaction() as session:
        run_id = runs.start_by_name(session, world.caller, Wish(agent=AGENT, text="Sort the message."))
        again = runs.start_by_name(session, world.caller, Wish(agent=AGENT, text="Sort the message."))
    run = find(run_id)
    assert run.dataset_id == world.dataset_id
    assert run.prompt_version_id == find(again).prompt_version_id != world.version_id
    assert run.cap == Cap(calls=600)


def test_an_agent_without_a_dataset_is_told_to_freeze_one(transaction, world):
    with pytest.raises(NotEnoughData, match="Datasets"), transaction() as session:
        runs.start_by_name(session, world.caller, Wish(agent="newcomer", text="Be brief."))


# ---------------------------------------------------------------- daily and weekly


@pytest.fixture
def weekly(organization):
    return lambda: runs.propose(organization_id=str(organization.id))


def open_runs(transaction):
    with transaction() as session:
        return list(session.execute(text("SELECT status FROM training_runs ORDER BY id")).scalars())


def hear(transaction, count):
    with transaction() as session:
        collect(session, [feedback(agent_id=AGENT) for _ in range(count)], "api")


def test_the_weekly_look_proposes_a_run_where_it_is_wanted_and_enough_is_new(transaction, world, weekly):
    hear(transaction, runs.ENOUGH_NEW)
    weekly()
    assert open_runs(transaction) == []
    with transaction() as session:
        runs.enable_weekly(session, world.caller, AGENT, True)
    weekly()
    weekly()
    assert open_runs(transaction) == ["proposed"]


def test_too_little_new_feedback_is_worth_no_run(transaction, world, weekly):
    hear(transaction, runs.ENOUGH_NEW - 1)
    with transaction() as session:
        runs.enable_weekly(session, world.caller, AGENT, True)
    weekly()
    assert open_runs(transaction) == []


def test_a_proposed_run_does_nothing_until_a_person_lets_it(transaction, world, weekly, carry_out, server):
    hear(transaction, runs.ENOUGH_NEW)
    with transaction() as session:
        runs.enable_weekly(session, world.caller, AGENT, True)
    weekly()
    with transaction() as session:
        run_id = session.execute(text("SELECT id FROM training_runs")).scalar_one()
    assert carry_out(run_id).status == RunStatus.PROPOSED
    assert server.answers == 0
    with transaction() as session:
        runs.resume(session, world.caller, run_id)
    assert carry_out(run_id).status == RunStatus.SUCCEEDED
    with pytest.raises(Conflict), transaction() as session:
        runs.resume(session, world.caller, run_id)


def test_a_weekly_look_that_lacks_something_says_so_on_record(transaction, world, weekly):
    hear(transaction, runs.ENOUGH_NEW)
    with transaction() as session:
        runs.enable_weekly(session, world.caller, AGENT, True)
        endpoints.retire_model(session, world.caller, world.model_id)
    weekly()
    with transaction() as session:
        found = session.execute(
            text("SELECT details FROM audit_log WHERE action = 'optimization.not_proposed'")
        ).scalar_one()
    assert "model" in found["reason"]


def test_the_daily_look_keeps_what_it_finds(transaction, world, organization):
    hear(transaction, 5)
    runs.analyse(organization_id=str(organization.id))
    with transaction() as session:
        kept = session.execute(text("SELECT count(*) FROM prompt_analyses")).scalar_one()
        assert history.labelled(session, AGENT).key == "v1"
    assert kept == 1
