from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_core.llm import wire
from learning_core.llm.requests import Model, Request

MODEL = Model("m", "p", "http://127.0.0.1:1/v1", "small")
REQUEST = Request("task", MODEL, (("user", "Why?"),), max_tokens=9, seed=3, schema={"type": "object"})
EMBEDDING = Request("embedding", MODEL, (("user", "text"),))
USAGE = {"prompt_tokens": 7, "completion_tokens": 2}


def completion(content, finish_reason="stop", **more):
    message = {"role": "assistant", "content": content} | more
    return {"choices": [{"message": message, "finish_reason": finish_reason}], "usage": USAGE}


def test_a_request_is_written_as_a_chat():
    assert wire.path(REQUEST) == "/chat/completions"
    assert wire.body(REQUEST) == {
        "model": "small",
        "messages": [{"role": "user", "content": "Why?"}],
        "max_tokens": 9,
        "temperature": 0.0,
        "seed": 3,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object"}},
        },
    }


def test_an_embedding_is_written_as_one():
    assert wire.path(EMBEDDING) == "/embeddings"
    assert wire.body(EMBEDDING) == {"model": "small", "input": "text"}


def test_a_model_that_cannot_be_held_to_a_schema_is_not_sent_one():
    free = replace(REQUEST, model=replace(MODEL, structured_output=False))
    assert "response_format" not in wire.body(free)


@pytest.mark.parametrize(
    ("refusal", "part"),
    [
        ("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "max_tokens"),
        ("'temperature' does not support 0 with this model.", "temperature"),
        ("response_format json_schema is not supported", "response_format"),
        ("Invalid grammar", "response_format"),
        ("Unrecognized argument: seed", "seed"),
    ],
)
def test_a_part_that_a_server_objects_to_is_left_out(refusal, part):
    sent = wire.body(REQUEST)
    assert wire.objection(refusal, sent) == part
    bent = wire.body(REQUEST, frozenset({part}))
    assert part not in bent
    assert wire.objection(refusal, bent) is None


def test_the_limit_of_a_reasoning_model_has_another_name():
    assert wire.body(REQUEST, frozenset({"max_tokens"}))["max_completion_tokens"] == 9


def test_another_refusal_names_no_part():
    assert wire.objection("The context is too long.", wire.body(REQUEST)) is None


def test_an_answer_is_read_with_its_tokens():
    assert wire.read(REQUEST, completion("Because.")) == wire.Reading("Because.", None, "stop", 7, 2)


def test_an_answer_in_parts_is_put_together():
    parts = [{"type": "text", "text": "Be"}, {"type": "text", "text": "cause."}]
    assert wire.read(REQUEST, completion(parts)).text == "Because."


def test_an_empty_answer_is_an_answer():
    assert wire.read(REQUEST, completion("")).error is None


def test_no_answer_is_an_error_whose_tokens_count():
    found = wire.read(REQUEST, completion(None))
    assert found.error == "The model answered nothing."
    assert (found.text, found.prompt_tokens, found.completion_tokens) == ("", 7, 2)


def test_a_refusal_is_told():
    assert wire.read(REQUEST, completion(None, refusal="I may not.")).error == "The model refused: I may not."


def test_a_model_that_thought_until_the_end_says_so():
    assert "used up its 9 tokens" in wire.read(REQUEST, completion("", "length")).error


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": -1, "completion_tokens": 2}, {"prompt_tokens": 2**40}]
)
def test_tokens_that_are_not_reported_are_estimated(usage):
    found = wire.read(REQUEST, completion("Because.") | {"usage": usage})
    assert (found.prompt_tokens, found.completion_tokens, found.estimated) == (2, 3, True)


def test_what_the_database_cannot_hold_is_replaced():
    assert wire.read(REQUEST, completion("a\x00\ud800b")).text == "a��b"


def test_an_embedding_is_read():
    answer = {"data": [{"embedding": [1, 0.5]}], "usage": {"prompt_tokens": 3}}
    assert wire.read(EMBEDDING, answer) == wire.Reading(embedding=[1.0, 0.5], prompt_tokens=3)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "usage", "data", "embedding", "prompt_tokens"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from([REQUEST, EMBEDDING]))
def test_whatever_a_server_says_is_read(answer, request_):
    found = wire.read(request_, answer)
    assert found.error is not None or found.text is not None
    assert 0 <= found.prompt_tokens <= wire.LARGEST_COUNT


def test_a_page_is_no_answer():
    assert wire.read(REQUEST, "<html>") == wire.STRANGE


@pytest.mark.parametrize(
    ("status", "again", "overload"),
    [
        (400, False, False),
        (401, False, False),
        (404, False, False),
        (307, False, False),
        (408, True, False),
        (409, True, False),
        (429, True, True),
        (500, True, True),
        (501, False, False),
        (503, True, True),
    ],
)
def test_what_may_pass_is_sent_again(status, again, overload):
    failure = wire.refusal(status, f"Error code: {status} - No.", {})
    assert str(failure) == f"The model's server answered {status}: No."
    assert ((failure.again > 1), failure.overload) == (again, overload)


def test_a_spent_quota_does_not_pass():
    assert wire.refusal(429, "Error code: 429 - insufficient_quota", {}).again == 1


def test_silence_is_tried_once_more():
    assert wire.too_slow(60).again == 2


@pytest.mark.parametrize(
    ("value", "closed_for_s"), [("7", 7), ("0.5", 0.5), ("-3", 0), ("9999", 60), ("soon", 0)]
)
def test_an_endpoint_says_how_long_to_leave_it_alone(value, closed_for_s):
    assert wire.refusal(429, "", {"retry-after": value}).closed_for_s == closed_for_s


def test_an_endpoint_may_say_until_when():
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 20 < wire.refusal(429, "", {"retry-after": until}).closed_for_s <= 30
