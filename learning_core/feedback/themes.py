"""Themes in free text: the phrases that mark complaints off from praise.

The phrases come from hostile text. They hold letters, digits and apostrophes only, never markup; what they
say is still a stranger's words.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import log, sqrt
from typing import NamedTuple

METHOD = (
    "A theme is a word or short phrase that stands in at least three complaints, and at least twice as often "
    "in complaints as in other comments, beyond chance (log-odds ratio, z of at least 1.96). Phrases from "
    "mostly the same complaints are shown once, under the longest of them."
)
METHOD_WITHOUT_PRAISE = (
    "There are too few other comments to compare complaints with, so these are simply the words and short "
    "phrases that most complaints share (at least three). Phrases from mostly the same complaints are shown "
    "once, under the longest of them."
)

Z_NEEDED = 1.96
TIMES_AS_OFTEN = 2.0
"""How much more frequent than in praise: among many comments, trifles are beyond chance too."""

COMPLAINTS_NEEDED = 3
PRAISE_NEEDED = 10
SAME_COMMENTS = 0.5
EXAMPLES = 3
PRIOR_COMMENTS = 50.0
"""Weight of the informative prior, in comments: what a phrase's frequency in all comments counts for."""

READ_CHARACTERS = 2_000
WORD_CHARACTERS = 40
TELLING_WORDS = 3
PHRASE_WORDS = 5

# Marks and joiners belong to words in many scripts, but Python's \w leaves them out.
_MARKS = (
    "\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u0900-\u0963\u0966-\u0dff\u0e00-\u0eff\u200c\u200d"
)
_WORD = rf"[^\W_](?:[^\W_]|[{_MARKS}])*"
_TOKEN = re.compile(rf"{_WORD}(?:'{_WORD})*|[^\w\s'\"]")
_SAME_APOSTROPHE = str.maketrans("\u2018\u2019\u02bc\uff07`", "'''''")

_STOP_WORDS = """
a about actually after again all also am an and any anything are as at back be because been before being
both but by came can come could did do does doing done down during each either else eur even ever
everything for from gbp get gets getting give given gives go goes going got had has have having he her
here hers him his how however i i'd i'll i'm i've if in into is it it's its itself just know let let's
like may me might mine more most much must my myself now of off often oh ok okay on once one only or other
our ours out over own perhaps please quite rather really said same say says see she should simply so some
something still such take than thank thanks that that's the their theirs them then there there's these
they they're this those though through thus to under until up upon us usd very was we we'd we'll we're
we've were what what's when where whether which while who whom whose why will with would yes yet you you'd
you'll you're you've your yours
"""

_OPENERS = """
can't cannot cant couldn't didn't didnt doesn't doesnt don't dont hadn't hasn't haven't isn't isnt neither
never no none nor not nothing shouldn't too wasn't wasnt weren't without won't wouldn't
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Neither open nor close a phrase."""

OPENERS = frozenset(_OPENERS.split())
"""Negations and "too": they open a phrase, and many a complaint, but say nothing alone."""


class Comment(NamedTuple):
    """What one person wrote about one answer.

    Attributes:
        text: The comment as written.
        is_complaint: Whether it came with thumbs down, two stars or fewer, a report or an issue category.
        id: Key of the feedback it belongs to.
    """

    text: str
    is_complaint: bool
    id: str


class Theme(NamedTuple):
    """A phrase that marks complaints.

    Attributes:
        phrase: Up to three telling words with the stop words between them, in lower case.
        complaint_count: Complaints that hold the phrase.
        complaint_share: The same as a share (0-1) of all complaints.
        praise_count: Other comments that hold it.
        z: How surely it marks complaints, in standard errors; None where there was no praise to compare with.
        comment_ids: Up to three complaints that hold it, in the order in which the comments were passed.
    """

    phrase: str
    complaint_count: int
    complaint_share: float
    praise_count: int
    z: float | None
    comment_ids: tuple[str, ...]


def find_themes(comments: Sequence[Comment], limit: int = 8) -> list[Theme]:
    """Return the phrases that mark complaints, the most frequent first.

    Only the first 2,000 characters of a comment are read, and a phrase counts once per comment. Where there
    are fewer than ten comments besides the complaints, frequency alone decides (see `describe_method`).
    """
    complaints, praise = _split(comments)
    phrases = [_phrases(comment.text) for comment in complaints]
    in_complaints, in_praise = _count(phrases), _count(_phrases(comment.text) for comment in praise)
    if len(praise) < PRAISE_NEEDED:
        marks: dict[str, float | None] = dict.fromkeys(_recurring(in_complaints))
    else:
        marks = dict(_marking(in_complaints, in_praise, len(complaints), len(praise)))
    holders = _holders(phrases, marks)
    return [
        Theme(
            phrase=phrase,
            complaint_count=in_complaints[phrase],
            complaint_share=in_complaints[phrase] / len(complaints),
            praise_count=in_praise[phrase],
            z=marks[phrase],
            comment_ids=tuple(complaints[number].id for number in holders[phrase][:EXAMPLES]),
        )
        for phrase in sorted(_merge(holders), key=lambda phrase: (-in_complaints[phrase], phrase))[:limit]
    ]


def describe_method(comments: Sequence[Comment]) -> str:
    """Return in a sentence or two how `find_themes` reads these comments."""
    _, praise = _split(comments)
    return METHOD_WITHOUT_PRAISE if len(praise) < PRAISE_NEEDED else METHOD


def _split(comments: Sequence[Comment]) -> tuple[list[Comment], list[Comment]]:
    return [c for c in comments if c.is_complaint], [c for c in comments if not c.is_complaint]


def _phrases(text: str) -> set[str]:
    """Runs of up to three telling words, stop words between them included: "not answer the question"."""
    found: set[str] = set()
    words: list[str] = []
    openings: list[int] = []
    for token in _tokens(text):
        if not token:
            words, openings = [], []
            continue
        words.append(token)
        if _closes(token):
            found.add(token)
            starts = (start for start in openings[1 - TELLING_WORDS :] if len(words) - start <= PHRASE_WORDS)
            found.update(" ".join(words[start:]) for start in starts)
        if _opens(token):
            openings.append(len(words) - 1)
    return found


def _tokens(text: str) -> list[str]:
    """Words in lower case, and an empty token wherever punctuation or a monstrous word breaks a phrase."""
    readable = unicodedata.normalize("NFKC", text[:READ_CHARACTERS]).translate(_SAME_APOSTROPHE).lower()
    tokens = _TOKEN.findall(readable)
    return [token if token[0].isalnum() and len(token) <= WORD_CHARACTERS else "" for token in tokens]


def _opens(token: str) -> bool:
    return token in OPENERS or _closes(token)


def _closes(token: str) -> bool:
    is_number_or_letter = token.isnumeric() or (len(token) == 1 and token.isascii())
    return not (is_number_or_letter or token in STOP_WORDS or token in OPENERS)


def _count(phrases: Iterable[set[str]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for of_one_comment in phrases:
        counts.update(of_one_comment)
    return counts


def _recurring(in_complaints: Mapping[str, int]) -> list[str]:
    return [phrase for phrase, count in in_complaints.items() if count >= COMPLAINTS_NEEDED]


def _marking(
    in_complaints: Mapping[str, int], in_praise: Mapping[str, int], complaints: int, praise: int
) -> dict[str, float]:
    scored = {
        phrase: _log_odds_z(in_complaints[phrase], complaints, in_praise[phrase], praise)
        for phrase in _recurring(in_complaints)
        if in_complaints[phrase] * praise >= TIMES_AS_OFTEN * in_praise[phrase] * complaints
    }
    return {phrase: z for phrase, z in scored.items() if z >= Z_NEEDED}


def _log_odds_z(complaint_count: int, complaints: int, praise_count: int, praise: int) -> float:
    """How surely a phrase marks complaints: the z-score of its weighted log-odds ratio.

    Monroe, Colaresi and Quinn (2008), "Fightin' words", Political Analysis 16, 372-403: the ratio of equation
    16, its variance of equation 20, their quotient of equation 22, with an informative prior (equation 23)
    from the share of all comments that hold the phrase. Comments are counted in place of words: each holds
    the phrase or does not, so the Dirichlet prior is a beta distribution.
    """
    prior = PRIOR_COMMENTS * (complaint_count + praise_count) / (complaints + praise)
    held, held_in_praise = complaint_count + prior, praise_count + prior
    ratio = log(held / (complaints + PRIOR_COMMENTS - held)) - log(
        held_in_praise / (praise + PRIOR_COMMENTS - held_in_praise)
    )
    return ratio / sqrt(1 / held + 1 / held_in_praise)


def _holders(phrases: Sequence[set[str]], marks: Mapping[str, float | None]) -> dict[str, list[int]]:
    holders: dict[str, list[int]] = defaultdict(list)
    for number, of_one_comment in enumerate(phrases):
        for phrase in of_one_comment & marks.keys():
            holders[phrase].append(number)
    return holders


def _merge(holders: Mapping[str, Sequence[int]]) -> list[str]:
    """One label for each group of phrases that stand in mostly the same complaints.

    A group gathers around its most frequent phrase; its label is the longest phrase that shares at least half
    of the comments with that one.
    """
    comments = {phrase: frozenset(numbers) for phrase, numbers in holders.items()}
    waiting = sorted(holders, key=lambda phrase: (-len(comments[phrase]), phrase))
    labels = []
    while waiting:
        group = [
            phrase for phrase in waiting if _overlap(comments[waiting[0]], comments[phrase]) >= SAME_COMMENTS
        ]
        label = max(group, key=lambda phrase: (phrase.count(" "), len(comments[phrase]), phrase))
        labels.append(label)
        waiting = [
            phrase
            for phrase in waiting
            if phrase not in group and _overlap(comments[label], comments[phrase]) < SAME_COMMENTS
        ]
    return labels


def _overlap(one: frozenset[int], other: frozenset[int]) -> float:
    """Jaccard's index: comments with both phrases as a share (0-1) of those with either."""
    both = len(one & other)
    return both / (len(one) + len(other) - both)
