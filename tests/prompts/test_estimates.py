from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from benchmarks import standin
from learning_core import background
from learning_core.background import Cap
from learning_core.errors import InvalidInput, NotEnoughData
from learning_core.llm import endpoints
from learning_core.prompts import estimates, orders, runs
from learning_core.prompts.orders import Order
from tests.fakes import ModelServer
from tests.prompts import routing
from tests.prompts.routing import AGENT


@pytest.fixture
def server():
    with ModelServer(lambda body: standin.answer(body["messages"])) as running:
        yield running


@pytest.fixture
def world(organization, server):
    return routing.settle(organization, server.base_url)


@pytest.fixture
def order(world):
    return Order(agent=AGENT, dataset_id=world.dataset_id, cap=Cap(calls=400))


@pytest.fixture
def estimate(transaction):
    def estimate(order):
        with transaction() as session:
            return estimates.estimate(order, orders.survey(session, order))

    return estimate


def test_an_estimate_stays_within_the_cap_and_keeps_the_check_apart(order, estimate):
    found = estimate(order)
    assert found.calls <= 400
    assert found.calls == found.search_calls + found.proposing + found.verification.calls
    assert found.plan.calls <= 400 - found.verification.calls - found.proposing


def test_what_a_run_takes_is_near_what_was_estimated(order, estimate, transaction, world, organization):
    expected = estimate(order)
    with transaction() as session:
        run_id = runs.start(session, world.caller, order)
    runs.optimize(organization_id=str(organization.id), run_id=str(run_id))
    with transaction() as session:
        spent = background.find(session, run_id).spent
    assert spent.calls == pytest.approx(expected.calls, rel=0.3)
    assert spent.tokens == pytest.approx(expected.tokens, rel=0.3)
    assert float(spent.usd) == pytest.approx(float(expected.usd), rel=0.3)


def test_money_alone_limits_the_search_too(order, estimate):
    rich, poor = (estimate(replace(order, cap=Cap(usd=Decimal(usd)))) for usd in ("0.20", "0.06"))
    assert poor.plan.calls < rich.plan.calls
    assert poor.usd <= Decimal("0.06")


def test_without_a_price_there_is_neither_an_estimate_in_money_nor_a_cap(order, estimate, transaction, world):
    with transaction() as session:
        (saved,) = endpoints.models(session)
        unknown = {"input_usd_per_million": None, "output_usd_per_million": None}
        fields = vars(saved.model) | unknown | {"base_url": "https://models.example.org/v1"}
        endpoints.save_model(session, world.caller, **fields)
    assert estimate(order).usd is None
    with pytest.raises(InvalidInput, match="prices"):
        estimate(replace(order, cap=Cap(usd=Decimal(5))))


def test_a_cap_below_the_check_alone_is_refused(order, estimate):
    with pytest.raises(NotEnoughData, match="checking the best candidate alone takes"):
        estimate(replace(order, cap=Cap(calls=50)))


def test_a_plan_and_what_is_kept_for_the_check_come_back_from_a_runs_row(order, estimate):
    found = estimate(order)
    assert estimates.read_plan(estimates.plan_told(found.plan)) == found.plan
    assert estimates.read_spend(found.told()["verification"]) == found.verification


def test_seconds_follow_the_pace_of_the_model(order, estimate, transaction, world, organization, server):
    before = estimate(order).seconds
    server.latency_s = 0.001
    with transaction() as session:
        run_id = runs.start(session, world.caller, order)
    runs.optimize(organization_id=str(organization.id), run_id=str(run_id))
    assert estimate(order).seconds < before
