"""Themes are found where they were planted, and hostile text changes nothing."""

import math
from itertools import combinations
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_core.feedback import themes
from learning_core.feedback.themes import METHOD, METHOD_WITHOUT_PRAISE, Comment, describe_method, find_themes

FILLER = ["deadline", "invoice", "payroll", "audit", "balance", "ledger", "asset", "bank", "wage", "client"]
PLANTED = ("cites last year's threshold", "no source", "far too long")


def _filler(rng, words=6):
    return " ".join(rng.choices(FILLER, k=words))


def _planted(seed=1, complaints=120, praise=180):
    rng = Random(seed)
    texts = [
        (f"{_filler(rng, 3)}. {PLANTED[n % 3]}, {_filler(rng, 3)}", True) for n in range(complaints // 2)
    ]
    texts += [(_filler(rng), True) for _ in range(complaints // 2)]
    texts += [(f"{_filler(rng)} thank you", False) for _ in range(praise)]
    rng.shuffle(texts)
    return [Comment(text, is_complaint, f"f{number}") for number, (text, is_complaint) in enumerate(texts)]


def _comments(*texts, is_complaint):
    return [Comment(text, is_complaint, f"{is_complaint}-{number}") for number, text in enumerate(texts)]


def test_planted_themes_are_found_once_each_and_nothing_else():
    found = {theme.phrase for theme in find_themes(_planted())}
    assert found == {"last year's threshold", "no source", "far too long"}


def test_a_theme_counts_the_comments_that_hold_its_phrase():
    comments = _planted()
    (theme,) = (theme for theme in find_themes(comments) if theme.phrase == "no source")
    holders = [comment.id for comment in comments if "no source" in comment.text]
    assert theme.complaint_count == len(holders) == 20
    assert theme.complaint_share == 20 / 120
    assert theme.praise_count == 0
    assert theme.comment_ids == tuple(holders[:3])


def test_themes_come_with_the_most_frequent_first_and_no_more_than_asked_for():
    found = find_themes(_planted(), limit=2)
    assert len(found) == 2
    assert found[0].complaint_count >= found[1].complaint_count


def test_what_praise_says_too_is_no_theme():
    complaints = _comments(*["the answer is wrong"] * 20, is_complaint=True)
    praise = _comments(*["the answer is right"] * 20, is_complaint=False)
    assert [theme.phrase for theme in find_themes(complaints + praise)] == ["answer is wrong"]


def test_the_score_is_that_of_monroe_colaresi_and_quinn():
    complaints, praise, alpha = 40, 60, themes.PRIOR_COMMENTS
    held = np.array([18, 5])
    prior = alpha * held.sum() / (complaints + praise)
    odds = (held + prior) / (np.array([complaints, praise]) + alpha - held - prior)
    expected = np.log(odds[0] / odds[1]) / np.sqrt(np.sum(1 / (held + prior)))
    texts = _comments(*["slow"] * 18, *["fine"] * 22, is_complaint=True)
    texts += _comments(*["slow"] * 5, *["fine"] * 55, is_complaint=False)
    (theme,) = find_themes(texts)
    assert (theme.phrase, theme.complaint_count, theme.praise_count) == ("slow", 18, 5)
    assert math.isclose(theme.z, expected)


def test_chance_alone_makes_few_themes():
    rng = Random(4)
    found = [
        len(find_themes([Comment(_filler(rng), rng.random() < 0.4, str(n)) for n in range(300)]))
        for _ in range(10)
    ]
    assert sum(found) <= 20


def test_two_comments_are_no_theme():
    comments = _comments("wrong rate", "wrong rate", is_complaint=True) + _planted(complaints=0)
    assert find_themes(comments) == []


def test_without_praise_the_most_frequent_phrases_are_the_themes():
    comments = _comments(*["wrong rate"] * 5, *["too long"] * 4, "nice", is_complaint=True)
    assert [(theme.phrase, theme.complaint_count, theme.z) for theme in find_themes(comments)] == [
        ("wrong rate", 5, None),
        ("too long", 4, None),
    ]


def test_the_page_is_told_which_method_was_used():
    assert describe_method(_planted()) == METHOD
    assert describe_method(_comments("wrong", is_complaint=True)) == METHOD_WITHOUT_PRAISE


@pytest.mark.parametrize("comments", [[], _comments("good", is_complaint=False), _planted(complaints=0)])
def test_without_complaints_there_are_no_themes(comments):
    assert find_themes(comments) == []


def test_negations_are_kept():
    complaints = _comments(*["It does not answer the question"] * 6, is_complaint=True)
    praise = _comments(*["It does answer the question"] * 20, is_complaint=False)
    assert [theme.phrase for theme in find_themes(complaints + praise)] == ["not answer the question"]


def test_case_and_kind_of_apostrophe_do_not_matter():
    complaints = _comments(
        "Last year\u2019s RATE", "last year's rate", "LAST YEAR'S rate!", is_complaint=True
    )
    assert [theme.phrase for theme in find_themes(complaints)] == ["last year's rate"]


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Die Übersicht fehlt", "die übersicht fehlt"),
        ("التاريخ خطأ", "التاريخ خطأ"),
        ("כתובת שגויה", "כתובת שגויה"),
        ("दर गलत", "दर गलत"),
        ("税率错误", "税率错误"),
        ("неверная ставка", "неверная ставка"),
    ],
)
def test_words_of_every_script_are_words(text, phrase):
    assert [theme.phrase for theme in find_themes(_comments(*[text] * 3, is_complaint=True))] == [phrase]


def test_phrases_do_not_reach_across_sentences():
    found = find_themes(_comments(*["Wrong. Rate!"] * 3, is_complaint=True))
    assert {theme.phrase for theme in found} <= {"wrong", "rate"}


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f44e\U0001f44e\U0001f3fd\u200d\u2764\ufe0f",
        "<script>alert('x')</script><b onclick=\"y\">wrong</b>",
        "\u202ewrong\u202c \u2066rate\u2069",
        "a" * 20_000,
        "wrong " * 4_000,
        "' '' \" -- ; DROP TABLE x; {}%s \\ \x7f \x1b[31m",
        "\ufdfa" * 20_000,
        "e" + "\u0301" * 19_999,
        "\ud800 lone surrogate",
        "",
    ],
)
def test_hostile_text_is_read_without_harm(text):
    for theme in find_themes(_comments(*[text] * 4, is_complaint=True)):
        assert not set(theme.phrase) & set('<>&"{}%\\;\u202e\u2066\u200b\x1b')
        assert len(theme.phrase.split()) <= themes.PHRASE_WORDS
        assert len(theme.phrase) <= themes.PHRASE_WORDS * (themes.WORD_CHARACTERS + 1)


@given(
    st.lists(
        st.builds(
            Comment,
            st.text(max_size=80)
            | st.lists(st.sampled_from([*FILLER, "not", "the"]), max_size=8).map(" ".join),
            st.booleans(),
            st.uuids().map(str),
        ),
        max_size=60,
    ),
    st.integers(0, 10),
)
def test_themes_keep_their_promises_for_any_comments(comments, limit):
    found = find_themes(comments, limit)
    complaints = {comment.id for comment in comments if comment.is_complaint}
    assert len(found) <= limit
    assert found == sorted(found, key=lambda theme: (-theme.complaint_count, theme.phrase))
    for theme in found:
        assert 3 <= theme.complaint_count <= len(complaints)
        assert theme.complaint_share == theme.complaint_count / len(complaints)
        assert theme.z is None or theme.z >= themes.Z_NEEDED
        assert 1 <= len(theme.comment_ids) <= 3
        assert set(theme.comment_ids) <= complaints


@given(st.integers(0, 10_000))
def test_no_two_themes_stand_in_mostly_the_same_comments(seed):
    rng = Random(seed)
    words = ["wrong", "rate", "table", "old"]
    comments = _comments(
        *[" ".join(rng.sample(words, rng.randint(1, 4))) for _ in range(30)], is_complaint=True
    )
    holders = [
        {comment.id for comment in comments if theme.phrase in comment.text}
        for theme in find_themes(comments, limit=50)
    ]
    assert all(len(one & other) < 0.5 * len(one | other) for one, other in combinations(holders, 2))
