"""Planted near-duplicates share a cluster, other questions do not, and nothing depends on chance."""

import doctest
import json
import os
import subprocess
import sys
from itertools import combinations, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning_core.review import likeness
from learning_core.review.likeness import clusters, fingerprint, nearest, normalise

CAR = (
    "We bought a company car for 45,000 euros in March and our managing director also uses it privately. "
    "How do we work out the benefit in kind for the payroll?"
)
FLAT = (
    "I sold my flat in Berlin eight years after buying it and lived in it myself. "
    "Do I have to pay tax on the gain?"
)
OFFICE = (
    "Our client runs a small bakery and wants to deduct the cost of a home office. "
    "Which records does the tax office expect for the last three years?"
)
LEASE = (
    "When is a lease classified as a finance lease under IFRS 16, and how does the lessee measure the "
    "right-of-use asset at commencement?"
)
BOOKS = "What is the VAT rate for books?"
LAPTOP = "How do I depreciate a laptop bought in December?"
INVOICES = "How long must a GmbH keep its invoices and delivery notes?"
QUESTIONS = [CAR, FLAT, OFFICE, LEASE, BOOKS, LAPTOP, INVOICES]

CHANGED = [
    (CAR, CAR.upper()),
    (CAR, CAR.replace("45,000", "52.300,50")),
    (BOOKS, "what is the VAT-rate: for books"),
    (INVOICES, "  How long must a G\u00admbH keep its\ninvoices and\u00a0(delivery) notes ?! "),
    (LEASE, LEASE.replace("16", "17")),
]
REPHRASED = [
    (CAR, CAR.replace("How do we work out the benefit in kind for the", "How is the benefit calculated for")),
    (
        CAR,
        CAR.replace("our managing director also uses it privately", "it is used privately by our director"),
    ),
    (FLAT, FLAT.replace("Do I have to pay tax on the gain", "Is the profit taxable")),
    (OFFICE, OFFICE.split(".")[0] + ". What documents must we keep for the tax office for the past 3 years?"),
    (LEASE, LEASE.replace("how does the lessee measure the", "at what amount is the")),
]
FRAMED = [
    (BOOKS, f"Hello, thank you for your help. {BOOKS}"),
    (LAPTOP, f"Good morning, I hope you are well. {LAPTOP}"),
    (INVOICES, f"Hi! I would be grateful for an answer. {INVOICES} Thanks a lot!"),
    (CAR, f"Dear Sir or Madam, please help me with this question about our payroll. {CAR}"),
]
DIFFERENT = [
    (BOOKS, "What is the VAT rate for hotels?"),
    ("How do I book a rent deposit?", "How do I book a customer deposit?"),
    ("What is the deadline for the annual VAT return?", "What is the deadline for the annual tax return?"),
    ("When does a small company have to be audited?", "When does a small company have to file accounts?"),
    ("Can I deduct a home office if I am employed?", "Can I deduct a language course if I am employed?"),
    ("Is rent taxed?", "Is rent exempt?"),
]


def _generated(rng, count):
    topics = ["rent", "travel costs", "a company car", "bad debts", "customer deposits", "gifts", "training"]
    openings = ["We are a small firm in Austria", "My client sells books online", "I am self-employed"]
    askings = ["how do we record", "may we deduct", "what does the tax office want to see for"]
    endings = ["in the annual accounts", "when it was paid in advance", "if there is no invoice", "this year"]
    return [
        f"{rng.choice(openings)} and {rng.choice(askings)} {rng.choice(topics)} and {rng.choice(topics)} "
        f"{rng.choice(endings)}?"
        for _ in range(count)
    ]


def _by_brute_force(texts):
    """All pairs, by sets of strings: an implementation that shares only the constants."""
    numbers = list(range(len(texts)))
    for one, other in combinations(range(len(texts)), 2):
        if _alike(normalise(texts[one]), normalise(texts[other])):
            numbers = [numbers[one] if number == numbers[other] else number for number in numbers]
    return _partition(texts, numbers)


def _alike(one, other):
    words = [len(one.split()), len(other.split())]
    if one == other or min(words) < 4:
        return one == other
    sets = [_shingles(one), _shingles(other)]
    shared, smaller, larger = len(sets[0] & sets[1]), *sorted(map(len, sets))
    needed = 0.85 - 0.35 * min(max(sum(words) / 2 - 8, 0), 16) / 16
    framed = min(words) >= 6 and larger <= 3 * smaller and shared >= 0.95 * smaller
    return framed or shared / len(sets[0] | sets[1]) >= needed


def _shingles(form):
    words, padded = form.split(), f" {form} "
    runs = {padded[start : start + 5] for start in range(len(padded) - 4)}
    return runs | {(word,) for word in words} | set(pairwise(words))


def _partition(texts, numbers):
    parts = {}
    for text, number in zip(texts, numbers, strict=True):
        parts.setdefault(number, set()).add(text)
    return {frozenset(part) for part in parts.values()}


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(likeness).failed == 0


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", ""),
        ("?! \u2026 \U0001f44d", ""),
        ("STRASSE, Stra\u00dfe", "strasse strasse"),
        ("\uff36\uff21\uff34 \u00bd", "vat 0"),
        ("1,250.50 or 1 250 or 1'250", "0 or 0 or 0"),
        ("2024-03-01 / 01.03.2024", "0"),
        ("\u0663\u0664 \u20ac in Q3, \u00a7 19a", "0 in q0 0a"),
        ("\u0926\u0930 \u0917\u0932\u0924 \u0939\u0948", "\u0926\u0930 \u0917\u0932\u0924 \u0939\u0948"),
        ("\u589e\u503c\u7a0e\u7387", "\u589e \u503c \u7a0e \u7387"),
        ("snake_case\u200b 1\u00ad2 e\u00ad\u0301", "snake case 0 \u00e9"),
    ],
)
def test_normalised_text_is_words_in_lower_case_with_numbers_as_0(text, form):
    assert normalise(text) == form


@pytest.mark.parametrize(("text", "changed"), CHANGED)
def test_case_punctuation_and_numbers_leave_the_fingerprint_as_it_is(text, changed):
    assert fingerprint(text) == fingerprint(changed)
    assert clusters([text, changed]) == [0, 0]


@pytest.mark.parametrize(("text", "other"), REPHRASED + DIFFERENT)
def test_other_words_change_the_fingerprint(text, other):
    assert fingerprint(text) != fingerprint(other)


@pytest.mark.parametrize(("text", "rephrased"), REPHRASED)
def test_a_rephrased_clause_leaves_the_cluster_as_it_is(text, rephrased):
    assert clusters([text, rephrased]) == [0, 0]


@pytest.mark.parametrize(("text", "framed"), FRAMED)
def test_a_polite_sentence_around_a_question_leaves_the_cluster_as_it_is(text, framed):
    assert clusters([framed, text]) == [0, 0]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_one_word_tells_short_questions_apart(one, other):
    assert clusters([one, other]) == [0, 1]


def test_one_word_in_a_long_question_does_not():
    assert clusters([OFFICE, OFFICE.replace("bakery", "brewery")]) == [0, 0]


def test_different_questions_are_each_alone():
    assert clusters(QUESTIONS) == list(range(len(QUESTIONS)))


def test_planted_near_duplicates_are_found_among_others():
    planted = [text for pair in CHANGED + REPHRASED + FRAMED for text in pair]
    others = [other for pair in DIFFERENT for other in pair if other != BOOKS]
    numbers = dict(zip(planted + others, clusters(planted + others), strict=True))
    assert all(numbers[one] == numbers[other] for one, other in CHANGED + REPHRASED + FRAMED)
    assert len(set(numbers.values())) == len(QUESTIONS) + len(others)


def test_texts_of_up_to_three_words_must_be_equal():
    assert clusters(["Is rent taxable", "is RENT taxable?", "Is rents taxable", "why", "Why?"]) == [
        0,
        0,
        1,
        2,
        2,
    ]


def test_empty_texts_are_each_alone():
    assert clusters(["", "What?", "", "!!!", "what", "\U0001f44d"]) == [0, 1, 2, 3, 1, 4]
    assert clusters([]) == []


def test_a_stricter_threshold_joins_less():
    assert clusters([LEASE, REPHRASED[-1][1]], threshold=0.8) == [0, 1]


def test_clusters_are_those_of_comparing_all_pairs():
    texts = list(dict.fromkeys(_generated(Random(5), 150)))
    assert 5 < len(_by_brute_force(texts)) < len(texts) - 5
    assert _partition(texts, clusters(texts)) == _by_brute_force(texts)


def test_a_crowd_of_texts_that_are_all_alike_is_one_cluster():
    rng = Random(2)
    letters = "abcdefghijklmnopqrstuvwxyz"
    texts = [
        f"{CAR} {''.join(rng.choices(letters, k=8))} {''.join(rng.choices(letters, k=8))}" for _ in range(900)
    ]
    assert set(clusters(texts)) == {0}


def test_many_copies_are_one_cluster():
    assert set(clusters([CAR, CAR.lower()] * 50_000)) == {0}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_clusters_do_not_depend_on_the_order_of_the_texts(seed, random):
    texts = list(dict.fromkeys(_generated(Random(seed), 30) + QUESTIONS))
    mixed = random.sample(texts, len(texts))
    assert _partition(texts, clusters(texts)) == _partition(mixed, clusters(mixed))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60) | st.sampled_from(QUESTIONS), max_size=12))
def test_numbers_are_given_in_order_of_first_appearance_whatever_the_texts(texts):
    numbers = clusters(texts)
    assert list(dict.fromkeys(numbers)) == list(range(len(set(numbers))))
    for (one, number), (other, other_number) in combinations(zip(texts, numbers, strict=True), 2):
        if normalise(one) == normalise(other) != "":
            assert number == other_number


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_normalised_text_is_single_spaced_and_has_no_digit_but_0(text):
    form = normalise(text)
    assert form == " ".join(form.split())
    assert {letter for letter in form if letter.isdecimal()} <= {"0"}


def test_clusters_are_the_same_in_another_process():
    texts = [*_generated(Random(3), 60), *QUESTIONS]
    script = (
        "import json, sys; from learning_core.review.likeness import clusters, fingerprint, nearest\n"
        "texts = json.load(sys.stdin)\n"
        "print(json.dumps([clusters(texts), [fingerprint(t) for t in texts], nearest(texts, texts[:9])]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(texts),
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    here = [clusters(texts), [fingerprint(text) for text in texts], nearest(texts, texts[:9])]
    assert json.loads(answer.stdout) == here


def test_nearest_is_1_for_known_wording_and_0_for_anything_unlike():
    known = [CAR, FLAT, BOOKS]
    assert nearest([CAR.upper(), "How is goodwill impaired?", "", BOOKS], known) == [1.0, 0.0, 0.0, 1.0]


def test_nearest_is_0_where_nothing_is_known():
    assert nearest([CAR, ""], []) == nearest([CAR, ""], ["", "?"]) == [0.0, 0.0]
    assert nearest([], [CAR]) == []


@pytest.mark.parametrize(("text", "other"), REPHRASED + FRAMED)
def test_nearest_is_close_to_jaccards_index(text, other):
    one, another = _shingles(normalise(text)), _shingles(normalise(other))
    exact = len(one & another) / len(one | another)
    assert nearest([other], [FLAT.replace("flat", "boat"), text, "rent"])[0] == pytest.approx(exact, abs=0.15)


def test_nearest_looks_at_every_block_of_known_texts(monkeypatch):
    monkeypatch.setattr(likeness, "KNOWN_AT_ONCE", 2)
    assert nearest(QUESTIONS, QUESTIONS) == [1.0] * len(QUESTIONS)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "wrong rate " * 20_000,
        "\ufdfa" * 20_000,
        "e" + "\u0301\u0323" * 10_000,
        "\ud800 lone surrogate of four words",
        "\x00\x1b[31m \u202e %s {} <b> one two three four",
        "1" * 20_000,
        "1," * 10_000,
    ],
)
def test_hostile_text_is_compared_without_harm(text):
    assert clusters([text, CAR, text]) == [0, 1, 0]
    assert len(normalise(text)) <= 2 * likeness.READ_CHARACTERS
    assert len(fingerprint(text)) == 32
    assert nearest([text], [text]) == [1.0]
