from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest

from learning_core.errors import BudgetSpent, Interrupted
from learning_core.llm import ledger
from learning_core.llm.exchange import Exchange
from learning_core.llm.ledger import Spend
from learning_core.llm.requests import Request
from tests.fakes import Reply, embedding
from tests.llm.conftest import questions

PRICES = {"input_usd_per_million": Decimal(100), "output_usd_per_million": Decimal(300)}


def texts(answers) -> list[str]:
    return [answer.text for answer in answers]


@pytest.fixture
def exchange(organization, courier):
    return Exchange(organization.id)


# ---------------------------------------------------------------- answers


def test_answers_come_in_the_order_of_the_requests(exchange, model_server):
    answers = exchange.ask(questions(model_server.model(), 40))
    assert texts(answers) == [f"question {i}" for i in range(40)]
    assert not any(answer.reused or answer.error for answer in answers)
    assert model_server.most_at_once <= 8


def test_nothing_is_asked_for_nothing(exchange):
    assert exchange.ask([]) == []


def test_an_answer_says_what_it_took(exchange, model_server, calls):
    model_server.latency_s = 0.01
    answer = exchange.ask(questions(model_server.model(**PRICES), 1))[0]
    assert (answer.prompt_tokens, answer.completion_tokens) == (7, 3)
    assert answer.cost_usd == Decimal("0.0016")
    assert answer.latency_ms >= 10
    stored = calls()[0]
    assert (stored.id, stored.status, stored.attempts) == (answer.call_id, "answered", 1)
    assert (stored.prompt_tokens, stored.completion_tokens, stored.cost_usd) == (7, 3, answer.cost_usd)
    assert stored.answer == {"text": "question 0", "finish_reason": "stop"}


def test_an_answer_is_stored_before_it_is_noticed(exchange, model_server, calls):
    threads, statuses = set(), []

    def notice(answer):
        threads.add(threading.current_thread())
        statuses.append(next(call.status for call in calls() if call.id == answer.call_id))

    exchange.ask(questions(model_server.model(), 10), noticed=notice)
    assert statuses == ["answered"] * 10
    assert threads == {threading.current_thread()}


def test_identical_requests_are_asked_once(exchange, model_server):
    answers = exchange.ask(questions(model_server.model(), 2) * 3)
    assert texts(answers) == ["question 0", "question 1"] * 3
    assert [answer.reused for answer in answers] == [False, False, True, True, True, True]
    assert model_server.answers == 2


def test_several_models_are_asked_in_one_go(exchange, model_server):
    one, other = model_server.model(), model_server.model(model="other")
    assert texts(exchange.ask([*questions(one, 2), *questions(other, 2)])) == ["question 0", "question 1"] * 2
    assert {body["model"] for body in model_server.log} == {one.model, "other"}


def test_embeddings_are_vectors(exchange, model_server):
    answers = exchange.embed(["a red fox", "the red fox", "tax"], model_server.model())
    assert [answer.embedding for answer in answers] == [
        tuple(embedding(text)) for text in ("a red fox", "the red fox", "tax")
    ]
    again = exchange.embed(["tax"], model_server.model())
    assert again[0] == replace(answers[2], reused=True, cost_usd=again[0].cost_usd)


def test_a_schema_is_sent_along(exchange, model_server):
    schema = {"type": "object", "properties": {"label": {"enum": ["refund", "billing"]}}}
    assert exchange.ask(questions(model_server.model(), 1, schema=schema))[0].text == '{"label": "refund"}'


# ---------------------------------------------------------------- what is reused


def test_what_is_stored_is_not_asked_again(exchange, model_server, organization):
    asked = questions(model_server.model(), 5)
    first = exchange.ask(asked)
    again = Exchange(organization.id).ask(asked)
    assert all(answer.reused for answer in again)
    assert [(a.call_id, a.text) for a in again] == [(a.call_id, a.text) for a in first]
    assert model_server.answers == 5


def test_another_organisation_asks_for_itself(exchange, other_organization, model_server):
    asked = questions(model_server.model(), 1)
    exchange.ask(asked)
    assert not Exchange(other_organization.id).ask(asked)[0].reused


@pytest.mark.parametrize(("temperature", "reuse"), [(0.7, True), (0.0, False)])
def test_a_run_gets_its_own_answers_again_and_no_other_run_does(
    organization, model_server, new_run, temperature, reuse
):
    asked = questions(model_server.model(), 3, temperature=temperature)
    one, other = new_run(), new_run()
    Exchange(organization.id, one, reuse=reuse).ask(asked)
    assert all(answer.reused for answer in Exchange(organization.id, one, reuse=reuse).ask(asked))
    assert not any(answer.reused for answer in Exchange(organization.id, other, reuse=reuse).ask(asked))
    assert model_server.answers == 6


def test_an_exchange_of_nobody_draws_anew(organization, model_server):
    asked = questions(model_server.model(), 1, temperature=1.0)
    for _ in range(2):
        Exchange(organization.id).ask(asked)
    assert model_server.answers == 2


def test_a_reused_answer_costs_a_run_nothing(exchange, organization, model_server, new_run, book):
    asked = questions(model_server.model(), 3)
    exchange.ask(asked)
    run = new_run(calls=0)
    assert len(Exchange(organization.id, run).ask(asked)) == 3
    assert book(run).spent_calls == 0


def test_threads_that_ask_the_same_at_once_pay_once(organization, courier, model_server, new_run):
    model_server.latency_s = 0.02
    asked = questions(model_server.model(), 30)
    exchanges = [Exchange(organization.id, new_run()) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        every = list(pool.map(lambda i: exchanges[i % 4].ask(asked), range(8)))
    assert all(texts(answers) == [f"question {i}" for i in range(30)] for answers in every)
    assert model_server.delivered_twice == {}
    assert model_server.answers == 30


# ---------------------------------------------------------------- what may be spent


def test_a_run_pays_for_its_calls(organization, model_server, new_run, book):
    run = new_run()
    answers = Exchange(organization.id, run).ask(questions(model_server.model(**PRICES), 20))
    row = book(run)
    assert row.spent_calls == 20
    assert row.spent_usd == sum(answer.cost_usd for answer in answers)
    assert row.spent_tokens == sum(answer.prompt_tokens + answer.completion_tokens for answer in answers)
    assert (row.reserved_calls, row.reserved_tokens, row.reserved_usd) == (0, 0, 0)


def test_a_spent_budget_ends_an_ask_after_all_that_fits(organization, model_server, new_run, book):
    run = new_run(calls=13)
    noticed = []
    with pytest.raises(BudgetSpent, match="Of 13 calls that this run may spend, 13 are spent"):
        Exchange(organization.id, run).ask(questions(model_server.model(), 40), noticed=noticed.append)
    assert (len(noticed), model_server.answers) == (13, 13)
    assert (book(run).spent_calls, book(run).reserved_calls) == (13, 0)


def test_what_was_answered_before_the_budget_was_spent_costs_nothing_later(
    organization, model_server, new_run
):
    run = new_run(calls=13)
    asked = questions(model_server.model(), 40)
    with pytest.raises(BudgetSpent):
        Exchange(organization.id, run).ask(asked)
    assert len(Exchange(organization.id, run).ask(asked[:13])) == 13
    assert model_server.answers == 13


def test_what_is_to_be_left_is_left(organization, model_server, new_run, book):
    run = new_run(calls=10)
    exchange = Exchange(organization.id, run)
    with pytest.raises(BudgetSpent, match="4 kept for later"):
        exchange.ask(questions(model_server.model(), 10), leaving=Spend(Decimal(0), 0, 4))
    assert book(run).spent_calls == 6
    assert len(exchange.ask(questions(model_server.model(), 10))) == 10


def test_bounds_of_calls_on_their_way_do_not_end_an_ask(organization, model_server, new_run, book):
    asked = questions(model_server.model(), 30)
    most = ledger.most(asked[:1])
    run = new_run(tokens=most.tokens + 30 * 10)
    answers = Exchange(organization.id, run).ask(asked)
    assert len(answers) == 30
    assert book(run).spent_tokens == 30 * 10


@pytest.mark.parametrize("cap", ["calls", "tokens", "usd"])
def test_threads_of_a_run_never_pass_its_caps(organization, courier, model_server, new_run, book, cap):
    model_server.answer = lambda body: "x" * 4 * body["max_tokens"]
    model_server.latency_s = 0.005
    model = model_server.model(**PRICES, max_concurrency=16)
    amount = {"calls": 25, "tokens": 2_000, "usd": Decimal("0.5")}[cap]
    run = new_run(**{cap: amount})
    most_seen = []

    def ask(thread: int) -> None:
        asked = [Request("task", model, (("user", f"{thread}-{i}"),), max_tokens=40) for i in range(60)]
        with pytest.raises(BudgetSpent):
            Exchange(organization.id, run).ask(asked, noticed=look)

    def look(_: object) -> None:
        row = book(run)
        most_seen.append(getattr(row, f"spent_{cap}") + getattr(row, f"reserved_{cap}"))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(16)))
    assert max(most_seen) <= amount
    row = book(run)
    assert 0.6 * float(amount) <= getattr(row, f"spent_{cap}") <= amount
    assert row.spent_calls == model_server.answers
    assert row.reserved_calls == 0


def test_it_can_be_seen_beforehand_what_fits(organization, courier, model_server, new_run):
    run = new_run(calls=10)
    exchange = Exchange(organization.id, run)
    asked = questions(model_server.model(), 12)
    assert exchange.fits(asked[:10])
    assert not exchange.fits(asked[:11])
    assert not exchange.fits(asked[:10], leaving=Spend(Decimal(0), 0, 1))
    exchange.ask(asked[:4])
    assert exchange.fits(asked[:10])
    assert not exchange.fits(asked)
    assert Exchange(organization.id).fits(asked)


# ---------------------------------------------------------------- stopping


def test_an_interrupted_ask_stores_what_was_on_its_way(organization, model_server, new_run, book, calls):
    model_server.latency_s = 0.02
    run = new_run()
    asked = questions(model_server.model(max_concurrency=4), 300)
    stopped = Exchange(organization.id, run, interrupted=lambda: model_server.answers >= 10)
    with pytest.raises(Interrupted):
        stopped.ask(asked)
    made = model_server.answers
    assert made < 300
    assert [call.status for call in calls()] == ["answered"] * made
    assert (book(run).spent_calls, book(run).reserved_calls) == (made, 0)
    model_server.latency_s = 0
    assert len(Exchange(organization.id, run).ask(asked)) == 300
    assert model_server.delivered_twice == {}


def test_an_ask_that_is_not_wished_for_sends_nothing(organization, courier, model_server):
    with pytest.raises(Interrupted):
        Exchange(organization.id, interrupted=lambda: True).ask(questions(model_server.model(), 3))
    assert model_server.log == []


def test_a_call_that_fails_is_an_answer_with_an_error(organization, model_server, new_run, book):
    model_server.answer = lambda body: Reply(status=404, error="no such model")
    run = new_run()
    answers = Exchange(organization.id, run).ask(questions(model_server.model(), 2))
    assert [answer.error for answer in answers] == ["The model's server answered 404: no such model"] * 2
    assert texts(answers) == ["", ""]
    assert (book(run).spent_calls, book(run).spent_tokens) == (2, 0)


def test_a_call_that_failed_is_made_again_when_asked_again(exchange, model_server):
    model_server.answer = lambda body: Reply(status=404)
    asked = questions(model_server.model(), 1)
    assert exchange.ask(asked)[0].error
    model_server.answer = lambda body: "Now."
    assert texts(exchange.ask(asked)) == ["Now."]
