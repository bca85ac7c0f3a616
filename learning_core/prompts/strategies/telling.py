"""Words that tell groups of texts apart: what the questions of one label say and those of others do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import log, sqrt

from learning_core.feedback.themes import STOP_WORDS
from learning_core.prompts.evidence import words

PRIOR_TEXTS = 10.0
"""Weight of the informative prior, in texts, at most: what a word's frequency in all groups counts for."""

Z_NEEDED = 1.28
FEWEST_TEXTS = 2
"""A word of one text alone may be anything, even planted."""

WORD_CHARACTERS = 20
ASKING = frozenset(["how", "many", "much", "what", "when", "where", "which", "who", "whom", "whose", "why"])
"""Stop words elsewhere, but what a question is about."""


def telling_words(groups: Mapping[str, Sequence[str]], most: int = 5) -> dict[str, tuple[str, ...]]:
    """Return the words that mark each group of texts, the surest first; a word counts once per text.

    They are ranked by the z-score of their weighted log-odds ratio: Monroe, Colaresi and Quinn (2008),
    "Fightin' words", Political Analysis 16, 372-403, equations 16, 20 and 22 with the informative prior of
    equation 23.

    >>> telling_words({"a": ["my card is lost", "a lost card"] * 3, "b": ["my balance", "balance low"] * 3})
    {'a': ('card', 'lost'), 'b': ('balance', 'low')}
    """
    counts = {name: _count(texts) for name, texts in groups.items()}
    total = sum(counts.values(), Counter[str]())
    texts_in_all = sum(map(len, groups.values()))
    return {name: _surest(counts[name], len(groups[name]), total, texts_in_all, most) for name in groups}


def _count(texts: Sequence[str]) -> Counter[str]:
    return Counter(word for text in texts for word in {*words(text)} if _is_telling(word))


def _is_telling(word: str) -> bool:
    is_word = word.replace("'", "").isalpha() and 2 < len(word) <= WORD_CHARACTERS
    return is_word and (word not in STOP_WORDS or word in ASKING)


def _surest(
    count: Counter[str], texts: int, total: Counter[str], all_texts: int, most: int
) -> tuple[str, ...]:
    scores = {
        word: _log_odds_z(held, texts, total[word] - held, all_texts - texts)
        for word, held in count.items()
        if held >= FEWEST_TEXTS
    }
    sure = [word for word, z in scores.items() if z >= Z_NEEDED]
    return tuple(sorted(sure, key=lambda word: (-scores[word], word))[:most])


def _log_odds_z(held: int, texts: int, held_elsewhere: int, texts_elsewhere: int) -> float:
    share = (held + held_elsewhere) / (texts + texts_elsewhere)
    if share == 1:
        return 0.0
    weight = min(PRIOR_TEXTS, (texts + texts_elsewhere) / 4)
    here, there = held + weight * share, held_elsewhere + weight * share
    ratio = log(here / (texts + weight - here)) - log(there / (texts_elsewhere + weight - there))
    return ratio / sqrt(1 / here + 1 / there)
