"""Texts are compared as a reader would, and shared words are counted as the paper says."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_core.evaluation import texts
from learning_core.evaluation.texts import holds, normalised, runs_of_words, token_f1, unfenced, words

# Worked out by hand: 2 * shared / (words of one + words of the other), without case, punctuation, articles.
HAND_TABLE = [
    ("the cat sat on the mat", "cat sat mat", 2 * 3 / (4 + 3)),
    ("Paris", "Paris, France", 2 * 1 / (1 + 2)),
    ("It is due on the tenth of May.", "the tenth of May", 2 * 3 / (7 + 3)),
    ("no no no", "no", 2 * 1 / (3 + 1)),
    ("no no no", "no no", 2 * 2 / (3 + 2)),
    ("three hundred", "400", 0.0),
    ("", "something", 0.0),
    ("something", "", 0.0),
    ("", "", 1.0),
    ("!!!", "!!!", 1.0),
    ("!!!", "???", 0.0),
    ("The", "the", 1.0),
    ("U.S.A.", "usa", 1.0),
    ("東京です", "東京", 2 * 2 / (4 + 2)),
]


@pytest.mark.parametrize(("output", "expected", "value"), HAND_TABLE)
def test_token_f1_is_what_a_hand_computes(output, expected, value):
    assert token_f1(output, expected) == pytest.approx(value)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("  Refund. ", "refund"),
        ('"Refund"', "refund"),
        ("**Refund**!", "refund"),
        ("`refund`", "refund"),
        ("```\nrefund\n```", "refund"),
        ("```json\nrefund\n```\n", "refund"),
        ("„Erstattung“", "erstattung"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("\ufb01le", "file"),
        ("two\n  words", "two words"),
        ("-5", "-5"),
        ("$5.", "$5"),
        (".5", ".5"),
        ("C++", "c++"),
        ("?", "?"),
        ("**", "**"),
        ("", ""),
    ],
)
def test_normalising_takes_off_what_a_reader_overlooks(written, plain):
    assert normalised(written) == plain


def test_a_fence_with_text_around_it_stays():
    assert unfenced("Here:\n```\nx\n```") == "Here:\n```\nx\n```"
    assert unfenced("```\na\n```\nand\n```\nb\n```") == "```\na\n```\nand\n```\nb\n```"


@pytest.mark.parametrize(
    ("text", "phrase", "found"),
    [
        ("It is not known", "not", True),
        ("It is nothing", "not", False),
        ("It is notable", "not", False),
        ("Pay by 10 May.", "by 10 may", True),
        ("Pay   by\n10 May.", "BY 10 MAY", True),
        ("Pay $5 now", "$5", True),
        ("Pay $50 now", "$5", False),
        ("東京都です", "東京", True),
        ("anything", "", False),
        ("", "", True),
    ],
)
def test_a_phrase_is_found_as_whole_words(text, phrase, found):
    assert holds(text, phrase) is found


def test_runs_of_words_are_all_of_them_in_order():
    assert runs_of_words("One, two three four.", 3) == ["one two three", "two three four"]
    assert runs_of_words("one two", 3) == []


@given(st.text(), st.text())
def test_token_f1_lies_between_0_and_1_and_does_not_care_which_is_which(one, other):
    assert 0 <= token_f1(one, other) <= 1
    assert token_f1(one, other) == token_f1(other, one)
    assert token_f1(one, one) == 1


@given(st.text(min_size=1))
def test_what_is_the_same_normalised_stays_so_within_quotes(text):
    if normalised(text):
        assert normalised(f'  "{text}"  ') == normalised(f'"{text}"')


@given(st.text())
def test_a_text_holds_its_own_words(text):
    for word in words(text)[:3]:
        assert holds(" ".join(words(text)), word)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(texts).failed == 0
