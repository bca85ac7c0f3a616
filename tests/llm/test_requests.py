from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest

from learning_core.llm.requests import Model, Request, as_messages, storable
from tests import fakes

MODEL = Model(
    "small",
    "local",
    "http://127.0.0.1:1/v1",
    "small",
    input_usd_per_million=Decimal("0.15"),
    output_usd_per_million=Decimal("0.60"),
)
REQUEST = Request("task", MODEL, (("system", "Answer."), ("user", "Wieviel? 😀")), max_tokens=10, seed=3)


def test_a_request_is_told_as_json_and_read_back():
    assert Request.read(json.loads(json.dumps(REQUEST.told()))) == REQUEST


def test_a_model_is_told_as_json_and_read_back():
    assert Model.read(json.loads(json.dumps(MODEL.told()))) == MODEL
    assert Model.read(replace(MODEL, input_usd_per_million=None).told()).input_usd_per_million is None


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (("user", "Other"),)},
        {"max_tokens": 11},
        {"temperature": 0.5},
        {"seed": 4},
        {"schema": {"type": "object"}},
        {"draw": 1},
        {"role": "embedding"},
        {"model": replace(MODEL, model="large")},
        {"model": replace(MODEL, base_url="http://127.0.0.1:2/v1")},
    ],
)
def test_the_hash_differs_with_all_that_the_answer_depends_on(change):
    assert replace(REQUEST, **change).content_hash() != REQUEST.content_hash()


@pytest.mark.parametrize(
    "change",
    [{"role": "judge"}, {"model": replace(MODEL, name="renamed", max_concurrency=1, key_name="k")}],
)
def test_the_hash_ignores_what_the_answer_does_not_depend_on(change):
    assert replace(REQUEST, **change).content_hash() == REQUEST.content_hash()


def test_a_runs_own_calls_have_hashes_of_their_own():
    one, other = uuid4(), uuid4()
    assert len({REQUEST.content_hash(scope) for scope in (None, one, other)}) == 3
    assert REQUEST.content_hash(one) == REQUEST.content_hash(one)


@pytest.mark.parametrize("said", ["", "a", "Wieviel? 😀" * 50, "x" * 5000])
def test_no_answer_takes_more_than_the_bound(said):
    request = replace(REQUEST, messages=(("user", said),))
    body = {"messages": [{"content": said}], "max_tokens": request.max_tokens}
    used = fakes._usage(body, fakes.Reply("y" * 10_000))
    assert used["total_tokens"] <= request.most_tokens
    price = MODEL.price(used["prompt_tokens"], used["completion_tokens"])
    assert price <= request.most_usd


def test_the_bound_leaves_room_for_a_system_message_that_the_models_template_adds():
    default = (
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>"
    )
    request = replace(REQUEST, messages=(("user", ""),))
    assert request.most_prompt_tokens >= len(default)


def test_the_bound_counts_the_schema():
    schema = {"type": "object", "properties": {"label": {"enum": ["a" * 500]}}}
    more = replace(REQUEST, schema=schema).most_tokens - REQUEST.most_tokens
    assert more == len(json.dumps(schema))


def test_an_embedding_has_no_completion():
    request = Request("embedding", MODEL, (("user", "text"),))
    assert request.most_tokens == request.most_prompt_tokens


def test_a_price_counts_both_kinds_of_tokens():
    assert MODEL.price(1_000_000, 500_000) == Decimal("0.45")
    assert replace(MODEL, input_usd_per_million=None).price(1_000_000, 500_000) == Decimal("0.30")


def test_what_cannot_be_stored_is_replaced():
    assert storable("a\x00b\ud800c") == "a�b�c"
    assert as_messages([{"role": "user", "content": "\ud800"}]) == (("user", "�"),)
