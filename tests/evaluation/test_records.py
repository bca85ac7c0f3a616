"""JSON answers are read strictly, held against schemas that cannot run away, and compared field by field."""

import doctest
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_core.errors import InvalidInput
from learning_core.evaluation import patterns, records
from learning_core.evaluation.patterns import occurs, require_pattern
from learning_core.evaluation.records import (
    NotJson,
    fields,
    follows,
    read,
    require_schema,
    share_of_fields,
)

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "text",
    ["", "yes", '{"a": 1', '{"a": 1, "a": 2}', "[NaN]", "[Infinity]", "[" * 5_000, "1" * 5_000, "{} {}"],
)
def test_what_is_no_plain_json_is_refused(text):
    with pytest.raises(NotJson):
        read(text)


def test_a_fence_around_json_is_taken_off():
    assert read('```json\n{"a": 1}\n```') == {"a": 1}


@given(DOCUMENTS)
def test_json_is_read_as_it_was_written(document):
    assert read(json.dumps(document)) == document


@given(DOCUMENTS)
def test_a_document_has_all_of_its_own_fields(document):
    assert share_of_fields(document, document, {}) == 1


def test_the_share_counts_the_expected_fields():
    wanted = {"name": "Ada", "amount": 10, "items": [{"id": 1}, {"id": 2}]}
    assert share_of_fields({"name": "ADA.", "amount": "10 EUR", "items": []}, wanted, {}) == 2 / 4
    assert share_of_fields({"name": "Bob", "amount": 10, "items": [{"id": 1}]}, wanted, {}) == 2 / 4
    assert share_of_fields("Ada", wanted, {}) == 0


def test_fields_can_be_chosen_and_each_has_its_own_kind():
    wanted = {"code": "A-1", "note": "fine", "amount": "1,000"}
    given_by_model = {"code": "a-1", "note": "other", "amount": "1000.5"}
    assert share_of_fields(given_by_model, wanted, {"code": "exact"}) == 0
    assert share_of_fields(given_by_model, wanted, {"code": "normalised"}) == 1
    assert share_of_fields(given_by_model, wanted, {"amount": "number"}) == 0
    assert share_of_fields(given_by_model, wanted, {"amount": "number"}, 0.001) == 1


def test_true_is_not_one_and_none_is_not_missing():
    assert share_of_fields({"a": 1}, {"a": True}, {}) == 0
    assert share_of_fields({}, {"a": None}, {}) == 0
    assert share_of_fields({"a": None}, {"a": None}, {}) == 1


def test_a_schema_is_followed_or_not():
    schema = {
        "type": "object",
        "properties": {"label": {"enum": ["a", "b"]}, "code": {"type": "string", "pattern": "^[A-Z]+$"}},
        "required": ["label"],
    }
    require_schema(schema, "schema")
    assert follows({"label": "a", "code": "AB"}, schema)
    assert not follows({"label": "c"}, schema)
    assert not follows({"label": "a", "code": "ab"}, schema)
    assert not follows([], schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"patternProperties": {"(a+)+$": {}}},
        {"properties": {"a": {"pattern": "(?=a)"}}},
    ],
)
def test_a_schema_that_is_wrong_or_reaches_out_is_refused(schema):
    with pytest.raises(InvalidInput):
        require_schema(schema, "schema")


@pytest.mark.parametrize("schema", [{"allOf": [{"$ref": "#"}]}, {"$ref": "#/$defs/missing"}])
def test_a_schema_that_leads_nowhere_says_so(schema):
    with pytest.raises(InvalidInput):
        follows({}, schema)


def test_no_schema_is_fetched(monkeypatch):
    fetched = []
    monkeypatch.setattr("urllib.request.urlopen", lambda url, *_: fetched.append(url))
    with pytest.raises(InvalidInput):
        follows({}, {"$ref": "http://127.0.0.1:1/schema"})
    assert fetched == []


def test_a_pattern_that_would_take_python_for_ever_answers_at_once():
    assert not occurs("(a+)+$", "a" * 20_000 + "!")
    assert not occurs("(a|a)*b", "a" * 20_000)


@pytest.mark.parametrize("pattern", ["", "(", "(?=a)b", r"(a)\1", "a" * 1_001, r"(\w{1000}){1000}"])
def test_a_pattern_that_cannot_be_used_is_refused(pattern):
    with pytest.raises(InvalidInput):
        require_pattern(pattern, "pattern")


def test_the_path_names_a_field():
    assert fields({"a": {"b": [1, 2]}, "c": []}) == {"a.b.0": 1, "a.b.1": 2, "c": []}


@pytest.mark.parametrize("module", [patterns, records])
def test_the_examples_in_the_docstrings_run(module):
    assert doctest.testmod(module).failed == 0
