"""Equal content has one canonical line and one hash; anything else is told apart or refused."""

import doctest
import hashlib
import json
from dataclasses import fields, replace
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning_core.datasets import content
from learning_core.datasets.content import NAMES, REQUIRED, DatasetExample, canonical, content_hash, parse
from learning_core.errors import InvalidInput

HOSTILE = [
    "", " ", "'", "''", "'=1+1", "''=1", "=1+1", "+1", "-1", "@a", "\t", "\r", "\n", "\r\n", "a\rb\nc\r\nd",
    '"', '""', 'a"b', ",", ";", "\\", "\\n", '\\"', "null", "NULL", "NaN", "NA", "true", "1", "1e5", "[]",
    "{}", "🍵", "👩\u200d👩\u200d👧", "العربية", "\u202e", "\u2028", "\x85", "\x1c", "\x1a", "\ufeff", "\x7f",
    "\x01", "Context:\n", "Context:\nContext:\n", "</s>", "<|im_end|>",
]  # fmt: skip
"""Texts that files, spreadsheets and careless readers stumble over."""

TEXTS = st.one_of(
    st.sampled_from(HOSTILE),
    st.lists(st.sampled_from(HOSTILE), max_size=4).map("".join),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
)
OPTIONAL = st.none() | TEXTS
DEMONSTRATIONS = st.fixed_dictionaries(
    {"task": TEXTS, "actions": st.lists(TEXTS, max_size=2)},
    optional={"input_state": OPTIONAL, "reasoning": OPTIONAL},
)
EXAMPLES = st.builds(
    DatasetExample,
    **dict.fromkeys(REQUIRED, TEXTS),
    **dict.fromkeys(["context", "rejected_output", "domain", "conversation", "user_id"], OPTIONAL),
    demonstration=st.none() | DEMONSTRATIONS,
    source=TEXTS,
    issue_categories=st.lists(TEXTS, max_size=2).map(tuple),
    quality_score=st.none() | st.floats(0, 1),
    human_verified=st.booleans(),
)

FULL = DatasetExample(
    id="e-1",
    agent_id="tax-advisor",
    example_type="correction",
    split="train",
    group="g-1",
    input_text="Is tea taxed?",
    expected_output="Yes, at 7 %.",
    context="Law of 2024",
    rejected_output="No.",
    demonstration={"task": "Find", "input_state": "Start", "actions": ["Open"], "reasoning": "Law"},
    domain="vat",
    source="widget",
    conversation="c-1",
    user_id="u-1",
    issue_categories=("incorrect",),
    quality_score=0.5,
    human_verified=True,
)
CHANGED = {
    field.name: f"{getattr(FULL, field.name)}!" for field in fields(DatasetExample) if "str" in field.type
} | {
    "demonstration": FULL.demonstration | {"actions": ["Open", "Read"]},
    "issue_categories": ("incorrect", "tone"),
    "quality_score": 0.5001,
    "human_verified": False,
}
MINIMAL = dict.fromkeys(REQUIRED, "x")


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(content).failed == 0


def test_the_canonical_line_is_sorted_compact_json_without_empty_fields():
    example = DatasetExample(**MINIMAL | {"input_text": 'naïve "tea" 🍵\n\u2028'}, quality_score=1)
    assert canonical(example).decode() == (
        '{"agent_id":"x","example_type":"x","expected_output":"x","group":"x","human_verified":false,"id":"x",'
        '"input_text":"naïve \\"tea\\" 🍵\\n\u2028","issue_categories":[],"quality_score":1.0,"source":"api",'
        '"split":"x"}'
    )


@settings(deadline=None)
@given(EXAMPLES)
def test_parse_undoes_canonical(example):
    line = canonical(example)
    assert parse(json.loads(line)) == example
    assert canonical(parse(json.loads(line))) == line
    assert b"\n" not in line


@settings(deadline=None)
@given(st.lists(EXAMPLES, max_size=3), st.randoms())
def test_the_hash_does_not_depend_on_the_order(examples, random):
    shuffled = random.sample(examples, len(examples))
    assert content_hash(examples) == content_hash(iter(shuffled))


@settings(deadline=None)
@given(st.lists(EXAMPLES, max_size=3))
def test_the_hash_is_that_of_the_sorted_lines(examples):
    lines = sorted(canonical(example) + b"\n" for example in examples)
    assert content_hash(examples) == f"sha256:{hashlib.sha256(b''.join(lines)).hexdigest()}"


@pytest.mark.parametrize("name", NAMES)
def test_the_hash_changes_with_every_field(name):
    assert content_hash([replace(FULL, **{name: CHANGED[name]})]) != content_hash([FULL])
    if name not in REQUIRED:
        empty = DatasetExample.__dataclass_fields__[name].default
        assert content_hash([replace(FULL, **{name: empty})]) != content_hash([FULL])


@pytest.mark.parametrize("name", ["context", "rejected_output", "domain", "conversation", "user_id"])
def test_no_text_and_empty_text_are_different_content(name):
    assert content_hash([replace(FULL, **{name: ""})]) != content_hash([replace(FULL, **{name: None})])


def test_the_hash_changes_with_repeated_and_missing_examples():
    hashes = {content_hash([FULL] * count) for count in range(4)}
    assert len(hashes) == 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"quality_score": 1}, {"quality_score": 1.0}),
        ({"quality_score": 0.12341}, {"quality_score": 0.12339}),
        ({"quality_score": -0.0}, {"quality_score": 0}),
        ({"issue_categories": ["tone"]}, {"issue_categories": ("tone",)}),
        (
            {"demonstration": {"task": "t", "actions": [], "reasoning": None}},
            {"demonstration": {"actions": [], "task": "t"}},
        ),
    ],
)
def test_what_means_the_same_is_the_same(one, other):
    one, other = DatasetExample(**MINIMAL, **one), DatasetExample(**MINIMAL, **other)
    assert one == other
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize("score", [nan, inf, -inf, -0.1, 1.1])
def test_a_quality_score_lies_between_0_and_1(score):
    with pytest.raises(ValueError, match="between 0 and 1"):
        replace(FULL, quality_score=score)
    with pytest.raises(InvalidInput, match="quality_score"):
        parse(MINIMAL | {"quality_score": score})


@pytest.mark.parametrize("name", REQUIRED)
def test_parse_names_the_missing_field(name):
    absent = {key: value for key, value in MINIMAL.items() if key != name}
    for told in (absent, MINIMAL | {name: None}):
        with pytest.raises(InvalidInput, match=f"{name}: is missing") as caught:
            parse(told)
        assert caught.value.field == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, 7) for name in NAMES if name != "quality_score"),
        *((name, ["x"]) for name in NAMES if name != "issue_categories"),
        ("input_text", "NUL \x00"),
        ("input_text", "half an emoji \ud83c"),
        ("issue_categories", "tone"),
        ("issue_categories", [None]),
        ("issue_categories", ["\x00"]),
        ("quality_score", True),
        ("quality_score", "0.5"),
        ("human_verified", "true"),
        ("demonstration", {}),
        ("demonstration", {"task": "t"}),
        ("demonstration", {"task": None, "actions": []}),
        ("demonstration", {"task": "t", "actions": "open"}),
        ("demonstration", {"task": "t", "actions": [1]}),
        ("demonstration", {"task": "t", "actions": [], "mood": "good"}),
        ("demonstration", {"task": "t", "actions": [], "reasoning": 5}),
        ("colour", "blue"),
    ],
)
def test_parse_names_the_field_of_the_wrong_kind(name, value):
    with pytest.raises(InvalidInput, match=name) as caught:
        parse(MINIMAL | {name: value})
    assert caught.value.field == name


def test_parse_takes_no_value_for_a_missing_field():
    assert parse(MINIMAL | dict.fromkeys(set(NAMES) - set(REQUIRED))) == DatasetExample(**MINIMAL)
