from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from sqlalchemy import text

from learning_core.errors import ModelFailed
from learning_core.llm import asking, dispatch
from learning_core.llm.exchange import Exchange
from learning_core.llm.requests import Request
from tests.fakes import ModelServer, Reply
from tests.llm.conftest import questions

COURIER = "learning_core.llm.courier"


def wait_for(condition: Callable[[], object], within_s: float = 60.0) -> None:
    given_up_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < given_up_at, "it never came to that"
        time.sleep(0.01)


def couriers(of: psutil.Process) -> list[psutil.Process]:
    return [child for child in of.children() if COURIER in child.cmdline()]


@pytest.fixture
def ask(organization, courier, model_server):
    """Ask the test's model so many questions, for a run or for nobody."""

    def send(count: int, run=None, **model):
        return Exchange(organization.id, run).ask(questions(model_server.model(**model), count))

    return send


# ---------------------------------------------------------------- a worker that dies


@pytest.fixture
def worker(organization, courier, model_server):
    """Start a process that asks so many questions for a run, and return it once some are answered."""
    started = []

    def start(count: int, run) -> psutil.Process:
        arguments = [
            str(organization.id),
            str(run),
            model_server.base_url,
            model_server.models[0],
            str(count),
        ]
        process = subprocess.Popen([sys.executable, "-c", ASK, *arguments])
        started.append(process)
        wait_for(lambda: model_server.answers >= 8 or process.poll() is not None)
        assert process.poll() is None, "it was over before it could be killed"
        return psutil.Process(process.pid)

    yield start
    for process in started:
        process.kill()
        process.wait()


ASK = """
import sys
from uuid import UUID
from learning_core.llm.exchange import Exchange
from learning_core.llm.requests import Model, Request

organization, run, base_url, name, count = sys.argv[1:]
model = Model("fake", "fake", base_url, name)
asked = [
    Request("task", model, (("user", f"question {i}"),), max_tokens=20, temperature=0.5)
    for i in range(int(count))
]
Exchange(UUID(organization), UUID(run)).ask(asked)
"""


def test_a_killed_worker_loses_no_paid_answer(organization, worker, model_server, new_run, book, calls):
    model_server.latency_s = 0.3
    run = new_run(calls=40)
    process = worker(40, run)
    left_behind = couriers(process)
    os.kill(process.pid, signal.SIGKILL)

    asked = questions(model_server.model(), 40, temperature=0.5)
    answers = Exchange(organization.id, run).ask(asked)
    assert [answer.text for answer in answers] == [f"question {i}" for i in range(40)]
    assert model_server.delivered_twice == {}
    assert model_server.answers == 40
    assert {call.status for call in calls()} == {"answered"}
    assert (book(run).spent_calls, book(run).reserved_calls) == (40, 0)
    wait_for(lambda: not any(one.is_running() for one in left_behind))


def test_a_courier_without_worker_finishes_by_itself_and_leaves(worker, model_server, new_run, book, calls):
    model_server.latency_s = 0.3
    run = new_run()
    process = worker(40, run)
    left_behind = couriers(process)
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: not any(one.is_running() for one in left_behind))
    stored = calls()
    assert {call.status for call in stored} == {"answered"}
    assert len(stored) == model_server.answers == book(run).spent_calls < 40
    assert book(run).reserved_calls == 0


def test_calls_of_a_worker_and_courier_that_both_died_are_made_again(
    organization, worker, model_server, new_run, book, calls
):
    model_server.latency_s = 0.3
    run = new_run()
    process = worker(40, run)
    for one in couriers(process):
        one.kill()
    os.kill(process.pid, signal.SIGKILL)
    asked = questions(model_server.model(), 40, temperature=0.5)
    answers = Exchange(organization.id, run).ask(asked)
    assert [answer.text for answer in answers] == [f"question {i}" for i in range(40)]
    lost = [call for call in calls() if call.status == "lost"]
    assert 0 < len(lost) <= 16
    assert book(run).spent_calls == 40 + len(lost)
    assert book(run).reserved_calls == 0
    assert book(run).spent_tokens == 40 * 10 + sum(call.reserved_tokens for call in lost)


def test_a_worker_that_ends_takes_its_courier_along(organization, model_server, new_run):
    arguments = [str(organization.id), str(new_run()), model_server.base_url, "fake", "3"]
    told = subprocess.run(
        [sys.executable, "-c", ASK + TELL, *arguments], check=True, capture_output=True, text=True
    )
    assert not psutil.pid_exists(int(told.stdout))


TELL = """
import psutil
[courier] = psutil.Process().children()
print(courier.pid)
"""

# ---------------------------------------------------------------- a courier that dies


def kill_courier() -> None:
    for one in couriers(psutil.Process()):
        one.kill()


def test_a_courier_that_dies_is_replaced_in_the_middle_of_an_ask(ask, model_server, new_run, book, calls):
    model_server.latency_s = 0.1
    run = new_run()
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(ask, 40, run)
        wait_for(lambda: model_server.answers >= 8)
        kill_courier()
        assert [answer.text for answer in answers.result()] == [f"question {i}" for i in range(40)]
    lost = [call for call in calls() if call.status == "lost"]
    assert lost
    assert all("nobody knows" in call.error for call in lost)
    assert (book(run).spent_calls, book(run).reserved_calls) == (40 + len(lost), 0)


def test_an_ask_gives_up_when_couriers_die_again_and_again(ask, model_server, monkeypatch):
    monkeypatch.setattr(asking, "MOST_DEATHS", 0)
    model_server.latency_s = 1.0
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(ask, 3)
        wait_for(lambda: model_server.log)
        kill_courier()
        with pytest.raises(ModelFailed, match="died 1 times"):
            answers.result()


def test_a_courier_ignores_a_request_to_end_while_its_worker_lives(ask):
    ask(1)
    [one] = couriers(psutil.Process())
    one.terminate()
    ask(5)
    assert one.is_running()


def test_one_courier_serves_all_exchanges_of_a_process(ask):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, [3, 4, 5, 6]))
    assert len(couriers(psutil.Process())) == 1


def test_a_call_that_was_entered_but_never_sent_is_made_after_all(ask, transaction, calls):
    number = dispatch.line().number
    dispatch.line().wait_until_ready()
    ask(1)
    with transaction() as session:
        session.execute(text(UNSENT), {"courier": number})
    answers = ask(1)
    assert (answers[0].text, answers[0].reused) == ("question 0", False)
    assert sorted(call.status for call in calls()) == ["answered", "failed"]


UNSENT = """
UPDATE model_calls
SET status = 'reserved', answer = NULL, courier = :courier, created_at = now() - interval '1 minute'
"""

# ---------------------------------------------------------------- servers that fail


def test_calls_that_fail_now_and_then_are_sent_again_until_all_are_answered(
    organization, courier, model_server, new_run, book, calls
):
    model_server.errors = {429: 0.10, 500: 0.05}
    run = new_run(calls=150)
    exchange = Exchange(organization.id, run, attempts=15)
    answers = exchange.ask(questions(model_server.model(max_concurrency=16), 150))
    assert [answer.text for answer in answers] == [f"question {i}" for i in range(150)]
    assert model_server.statuses[429] > 0
    assert model_server.statuses[500] > 0
    assert model_server.delivered_twice == {}
    assert sum(call.attempts for call in calls()) == len(model_server.log) > 150
    assert book(run).spent_calls == 150


def test_a_call_is_given_up_after_so_many_attempts(new_courier, organization, model_server, calls):
    new_courier(AFTERGLOW_MODEL_ATTEMPTS=3)
    model_server.errors = {503: 1.0}
    answer = Exchange(organization.id).ask(questions(model_server.model(), 1))[0]
    assert answer.error == "The model's server answered 503: drawn"
    assert (len(model_server.log), calls()[0].attempts) == (3, 3)


def test_an_exchange_may_ask_for_fewer_attempts(organization, courier, model_server):
    model_server.errors = {500: 1.0}
    Exchange(organization.id, attempts=1).ask(questions(model_server.model(), 1))
    assert len(model_server.log) == 1


def test_a_refused_call_is_sent_once(ask, model_server):
    model_server.answer = lambda body: Reply(status=400, error="No such thing.")
    assert ask(1)[0].error == "The model's server answered 400: No such thing."
    assert len(model_server.log) == 1


def test_a_call_that_times_out_is_sent_twice(ask, model_server):
    model_server.latency_s = 1.5
    assert ask(1, timeout_s=1)[0].error == "The model did not answer within 1 s."
    assert len(model_server.log) == 2
    assert model_server.answers == 0


def test_a_server_that_is_not_there_is_named(organization, courier):
    with ModelServer() as gone:
        model = gone.model()
    answer = Exchange(organization.id, attempts=2).ask(questions(model, 1))[0]
    assert answer.error == f"{model.base_url} cannot be reached."


def test_a_server_that_bears_less_than_it_is_said_to_answers_everything(organization, courier, model_server):
    model_server.most, model_server.latency_s = 4, 0.02
    exchange = Exchange(organization.id, attempts=30)
    answers = exchange.ask(questions(model_server.model(max_concurrency=16), 60))
    assert not any(answer.error for answer in answers)
    assert model_server.statuses[429] > 0
    assert model_server.delivered_twice == {}


def test_a_server_that_asks_to_be_left_alone_is(organization, courier, model_server):
    arrivals = []

    def answer(body):
        arrivals.append(time.monotonic())
        if len(arrivals) == 1:
            return Reply(status=429, headers={"Retry-After": "0.5"})
        return "Yes."

    model_server.answer = answer
    assert Exchange(organization.id).ask(questions(model_server.model(), 1))[0].text == "Yes."
    assert arrivals[1] - arrivals[0] >= 0.5


def test_two_runs_share_a_server_fairly(organization, courier, model_server, new_run):
    model_server.latency_s = 0.02
    model = model_server.model(max_concurrency=4)

    def ask(run, name: str, count: int) -> None:
        asked = [Request("task", model, (("user", f"{name} {i}"),)) for i in range(count)]
        Exchange(organization.id, run).ask(asked)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, new_run(), "first", 200)
        wait_for(lambda: model_server.answers >= 20)
        second = pool.submit(ask, new_run(), "second", 30)
        first.result(), second.result()
    order = [body["messages"][0]["content"].split()[0] for body in model_server.log]
    begin, end = order.index("second"), len(order) - 1 - order[::-1].index("second")
    shared = order[begin : end + 1]
    assert 0.3 <= shared.count("second") / len(shared) <= 0.7
    assert order[-1] == "first"


# ---------------------------------------------------------------- servers with ways of their own


def refusing(part: str, words: str):
    return lambda body: Reply(status=400, error=words) if part in body else "Yes."


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        ("temperature", "'temperature' does not support 0.0 with this model."),
        ("response_format", "response_format is not supported"),
    ],
)
def test_what_a_server_does_not_take_is_left_out_from_then_on(
    organization, courier, model_server, calls, part, words
):
    model_server.answer = refusing(part, words)
    asked = questions(model_server.model(max_concurrency=1), 3, schema={"type": "object"})
    answers = Exchange(organization.id).ask(asked)
    assert [answer.text for answer in answers] == ["Yes."] * 3
    assert len(model_server.log) == 4
    assert calls()[0].answer["refused"] == [part]


def test_a_server_may_refuse_several_parts(ask, model_server):
    def answer(body):
        for part, instead in (("max_tokens", "max_completion_tokens"), ("temperature", "temperature")):
            if part in body:
                return Reply(status=400, error=f"Not {part}; see {instead}.")
        return "Yes."

    model_server.answer = answer
    assert ask(1)[0].text == "Yes."


def test_a_model_that_says_nothing_is_an_error_and_its_tokens_count(ask, model_server, calls):
    model_server.answer = lambda body: Reply(None)
    answer = ask(1)[0]
    assert (answer.text, answer.error) == ("", "The model answered nothing.")
    assert (answer.prompt_tokens, calls()[0].status) == (7, "failed")


def test_tokens_that_a_server_does_not_report_are_estimated(ask, model_server, calls):
    model_server.answer = lambda body: Reply("Yes, of course.", usage=None)
    answer = ask(1)[0]
    assert (answer.prompt_tokens, answer.completion_tokens) == (4, 5)
    assert calls()[0].answer["estimated"] is True


def test_a_page_instead_of_an_answer_is_an_error(ask, model_server):
    model_server.answer = lambda body: Reply(raw=b"<html>Welcome</html>")
    assert ask(1)[0].error == "The address does not answer like an OpenAI-compatible server."


def test_an_answer_that_no_database_could_hold_is_stored_all_the_same(ask, model_server, calls):
    model_server.answer = lambda body: "a\x00b\ud800c"
    assert ask(1)[0].text == "a�b�c"
    assert calls()[0].answer["text"] == "a�b�c"
