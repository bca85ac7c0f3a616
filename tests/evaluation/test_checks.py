"""An evaluator is read strictly, scores what its checks say, and suits what examples expect."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_core.errors import InvalidInput, ModelFailed, NotEnoughData
from learning_core.evaluation.checks import Check, Evaluator, score, suggest
from learning_core.evaluation.kinds import KINDS
from tests.evaluation.conftest import example

NEEDED = {"pattern": {"pattern": "."}}


def value_of(kind, output, expected, **options):
    return score(Evaluator((Check(kind, 1.0, options),)), output, example(expected)).value


@pytest.mark.parametrize(
    ("kind", "output", "expected", "options", "value"),
    [
        ("exact", " refund\n", "refund", {}, 1),
        ("exact", "Refund", "refund", {}, 0),
        ("normalised", '"Refund."', "refund", {}, 1),
        ("normalised", "The answer is refund", "refund", {}, 0),
        ("contains", "The answer is refund.", "refund", {}, 1),
        ("contains", "Refunds", "refund", {}, 0),
        ("contains", "a b", "", {"phrases": ["a", "b", "c"]}, 0),
        ("contains", "a b", "", {"phrases": ["a", "b", "c"], "mode": "any"}, 1),
        ("contains", "a b", "", {"phrases": ["a", "b", "c", "d"], "mode": "share"}, 0.5),
        ("pattern", "Case AB-12", "", {"pattern": r"\b[A-Z]{2}-\d+$"}, 1),
        ("pattern", "Case AB-12.", "", {"pattern": r"\b[A-Z]{2}-\d+$"}, 0),
        ("json", "no json", '{"a": 1}', {}, 0),
        ("json", '{"a": 1, "b": 3}', '{"a": 1, "b": 2}', {}, 0.5),
        ("json", '{"a": 1}', "anything", {}, 1),
        ("json", '{"a": 1}', '{"a": 1}', {"schema": {"required": ["b"]}}, 0),
        ("json", '{"a": 101}', '{"a": 100}', {"tolerance": 0.01}, 1),
        ("number", "5 of 10 make 50 %", "50", {}, 1),
        ("number", "50 % of 10", "50", {}, 0),
        ("number", "50 % of 10", "50", {"which": "first"}, 1),
        ("number", "about 51", "50", {"tolerance": 1}, 1),
        ("number", "52", "50", {"relative_tolerance": 0.04}, 1),
        ("number", "1.5 kg", "1500 g", {"unit": "g"}, 1),
        ("number", "1.5 kg", "1500", {"unit": "g"}, 1),
        ("number", "1500", "1500 g", {"unit": "g"}, 0),
        ("number", "1.500 EUR", "1500", {"notation": "comma"}, 1),
        ("number", "none", "None.", {}, 1),
        ("number", "none", "5", {}, 0),
        ("token_f1", "the tenth", "tenth of May", {}, 0.5),
    ],
)
def test_a_check_says_what_its_words_say(kind, output, expected, options, value):
    assert value_of(kind, output, expected, **options) == value


def test_an_evaluator_is_the_weighted_mean_of_its_checks():
    evaluator = Evaluator(
        (Check("exact", 3.0), Check("contains", 1.0), Check("contains", 2.0, {"phrases": ["z"]}))
    )
    scored = score(evaluator, "On the tenth, I think.", example("on the tenth"))
    assert scored.parts == {"exact": 0, "contains": 1, "contains 2": 0}
    assert scored.value == pytest.approx(1 / 6)


def test_what_a_model_said_comes_from_outside():
    evaluator = Evaluator((Check("rubric"), Check("similarity", 1.0, {"floor": 0.5})))
    assert evaluator.needs == {"judge", "embedding"}
    assert score(evaluator, "x", example(), judged=0.5, similarity=0.75).parts == {
        "rubric": 0.5,
        "similarity": 0.5,
    }
    assert score(evaluator, "x", example(), judged=0.0, similarity=0.2).value == 0


@pytest.mark.parametrize("kind", ["rubric", "similarity"])
def test_without_what_a_model_should_have_said_there_is_no_score(kind):
    with pytest.raises(ModelFailed):
        score(Evaluator((Check(kind),)), "x", example())


@pytest.mark.parametrize(
    ("told", "word"),
    [
        (None, "checks"),
        ({}, "checks"),
        ({"checks": []}, "1 to 10"),
        ({"checks": ["exact"]}, "kind"),
        ({"checks": [{"kind": "magic"}]}, "magic"),
        ({"checks": [{"kind": "exact", "weigth": 2}]}, "weigth"),
        ({"checks": [{"kind": "exact", "weight": 0}]}, "nothing"),
        ({"checks": [{"kind": "exact", "weight": float("nan")}]}, "weight"),
        ({"checks": [{"kind": "exact", "weight": True}]}, "weight"),
        ({"checks": [{"kind": "exact", "options": {"a": 1}}]}, "'a'"),
        ({"checks": [{"kind": "exact", "options": [1]}]}, "options"),
        ({"checks": [{"kind": "pattern"}]}, "pattern"),
        ({"checks": [{"kind": "pattern", "options": {"pattern": "("}}]}, "unclosed"),
        ({"checks": [{"kind": "contains", "options": {"phrases": []}}]}, "phrases"),
        ({"checks": [{"kind": "contains", "options": {"mode": "most"}}]}, "mode"),
        ({"checks": [{"kind": "number", "options": {"tolerance": -1}}]}, "tolerance"),
        ({"checks": [{"kind": "json", "options": {"schema": {"type": 3}}}]}, "schema"),
        ({"checks": [{"kind": "json", "options": {"fields": {"a": "near"}}}]}, "near"),
        ({"checks": [{"kind": "rubric", "options": {"criteria": ["x"] * 9}}]}, "criteria"),
        ({"checks": [{"kind": "rubric"}, {"kind": "rubric"}]}, "judge"),
        ({"checks": [{"kind": "exact"}], "gates": {}}, "gates"),
        ({"checks": [{"kind": "exact"}], "gate": {"limits": {"rudeness": 0}}}, "limits"),
        ({"checks": [{"kind": "exact"}], "gate": {"limits": {"leak": 2}}}, "limits"),
        ({"checks": [{"kind": "exact"}], "gate": {"forbidden": ["("]}}, "forbidden"),
        ({"checks": [{"kind": "exact"}], "gate": {"probes": 99}}, "probes"),
    ],
)
def test_what_cannot_be_is_refused_by_name(told, word):
    with pytest.raises(InvalidInput) as refusal:
        Evaluator.parse(told)
    assert word in f"{refusal.value.message} {refusal.value.field}"


@pytest.mark.parametrize("kind", KINDS)
def test_an_evaluator_is_read_back_as_it_was_told_with_every_default(kind):
    evaluator = Evaluator.parse({"checks": [{"kind": kind, "options": NEEDED.get(kind, {})}]})
    assert Evaluator.parse(evaluator.told()) == evaluator
    assert evaluator.told()["gate"]["limits"]["leak"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_says_in_one_sentence_when_an_answer_is_right(kind):
    words = KINDS[kind].words
    assert words.endswith(".")
    assert ". " not in words


@pytest.mark.parametrize(
    ("expected", "available", "kinds"),
    [
        (["refund", "shipping", "Refund.", "shipping"], (), ["normalised"]),
        (["1", "2", "1", "2", "2"], (), ["normalised"]),
        (['{"a": 1}', '{"a": 2}'], (), ["json"]),
        (['{"a": 1}'] * 4, (), ["json"]),
        (["12.5 %", "1,200 EUR", "7"], (), ["number"]),
        (["Because it is due.", "On the tenth of May."], (), ["token_f1"]),
        (["Because it is due."], ("judge", "embedding"), ["rubric", "token_f1"]),
        (["Because it is due."], ("embedding",), ["similarity", "token_f1"]),
        (["refund", "shipping", "lost parcel"], (), ["token_f1"]),
    ],
)
def test_the_suggestion_follows_the_shape_of_what_is_expected(expected, available, kinds):
    suggested = suggest([example(text) for text in expected], available)
    assert [check.kind for check in suggested.checks] == kinds


def test_without_examples_nothing_is_suggested():
    with pytest.raises(NotEnoughData):
        suggest([])


@given(st.text(), st.text())
def test_every_check_gives_a_value_from_0_to_1(output, expected):
    checks = tuple(
        Check(kind, 1.0, NEEDED.get(kind, {})) for kind, details in KINDS.items() if not details.needs
    )
    scored = score(Evaluator(checks), output, example(expected))
    assert all(0 <= value <= 1 for value in scored.parts.values())
    assert 0 <= scored.value <= 1


@given(st.text(), st.text())
def test_what_is_exactly_the_same_is_the_same_to_a_reader_and_shares_all_words(output, expected):
    if value_of("exact", output, expected):
        assert value_of("normalised", output, expected) == 1
        assert value_of("token_f1", output, expected) == 1


@given(st.text())
def test_the_expected_text_itself_is_always_right(text):
    for kind in ("exact", "normalised", "contains", "token_f1", "number"):
        assert value_of(kind, text, text) == 1, kind
