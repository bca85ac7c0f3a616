"""Texts made comparable: normalised as a reader would, cut into words, searched for phrases."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

LONGEST = 20_000
"""Characters of a text that are looked at; what lies beyond cannot make an answer right."""

FENCES = ("```", "~~~")
WRAPPINGS = (
    ("**", "**"),
    ("__", "__"),
    ("*", "*"),
    ("_", "_"),
    ("`", "`"),
    ('"', '"'),
    ("'", "'"),
    ("“", "”"),
    ("„", "“"),
    ("‘", "’"),  # noqa: RUF001 - quotation marks
    ("«", "»"),
    ("»", "«"),
    ("「", "」"),
)
BEFORE = " ,;:!?…¿¡。！？、"  # noqa: RUF001 - punctuation of other scripts
AFTER = BEFORE + "."
ARTICLES = frozenset({"a", "an", "the"})
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana, Han."""
UNSPACED_CHARACTER = re.compile(f"[{UNSPACED}]")


def unfenced(text: str) -> str:
    """Return what a Markdown code fence around the whole text holds, or else the text."""
    bare = text.strip()
    for fence in FENCES:
        inner = bare[len(fence) : -len(fence)]
        if bare.startswith(fence) and bare.endswith(fence) and "\n" in inner and fence not in inner:
            return inner.partition("\n")[2].strip("\n")
    return text


def normalised(text: str) -> str:
    """Return a text without what a reader overlooks: case, spacing, quotes, emphasis, marks at the ends.

    Characters are composed as Unicode's NFKC does. A text of nothing else is kept: "?" stays "?".

    >>> normalised('**"Refund."**'), normalised("-5"), normalised("?")
    ('refund', '-5', '?')
    """
    folded = _folded(unfenced(text.strip()))
    bare = folded
    while (shorter := _unwrapped(bare)) != bare:
        bare = shorter
    return bare or folded


def words(text: str) -> list[str]:
    """Return the words of a text in lower case and without punctuation.

    Each character of a script without spaces is a word of its own.
    """
    kept = "".join(character for character in _folded(text) if _is_of_a_word(character))
    return UNSPACED_CHARACTER.sub(r" \g<0> ", kept).split()


def token_f1(output: str, expected: str) -> float:
    """Return the F1 (0-1) of the words that two texts share, counted with their repetitions.

    Rajpurkar et al. (2016), "SQuAD: 100,000+ questions for machine comprehension of text", Proceedings of
    EMNLP, 2383-2392, section 6.1: case, punctuation and articles do not count. Texts without words are alike
    where they are the same, normalised.

    >>> token_f1("On the tenth", "The tenth.")
    0.6666666666666666
    """
    given, wanted = (_without_articles(words(text)) for text in (output, expected))
    if not given or not wanted:
        return float(normalised(output) == normalised(expected))
    shared = sum((Counter(given) & Counter(wanted)).values())
    return 2 * shared / (len(given) + len(wanted))


def holds(text: str, phrase: str) -> bool:
    """Return whether a phrase stands in a text, normalised, and not as part of a longer word.

    >>> holds("It is not known.", "Not"), holds("It is nothing.", "not")
    (True, False)
    """
    wanted = normalised(phrase)
    if not wanted:
        return not normalised(text)
    before = rf"(?<![^\W_{UNSPACED}])" if _is_spaced(wanted[0]) else ""
    after = rf"(?![^\W_{UNSPACED}])" if _is_spaced(wanted[-1]) else ""
    return re.search(before + re.escape(wanted) + after, _folded(text)) is not None


def runs_of_words(text: str, length: int) -> list[str]:
    """Return every run of so many words in a row, in their order."""
    found = words(text)
    return [" ".join(found[start : start + length]) for start in range(len(found) - length + 1)]


def _folded(text: str) -> str:
    """Compose, fold case and spacing; folding can take characters apart, so compose twice."""
    folded = unicodedata.normalize("NFKC", text[:LONGEST]).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def _unwrapped(text: str) -> str:
    text = text.lstrip(BEFORE).rstrip(AFTER)
    for opening, closing in WRAPPINGS:
        if len(text) > len(opening + closing) and text.startswith(opening) and text.endswith(closing):
            return text[len(opening) : -len(closing)].strip()
    return text


def _without_articles(found: list[str]) -> list[str]:
    return [word for word in found if word not in ARTICLES] or found


def _is_of_a_word(character: str) -> bool:
    return character.isalnum() or character.isspace() or unicodedata.category(character)[0] == "M"


def _is_spaced(character: str) -> bool:
    return character.isalnum() and not UNSPACED_CHARACTER.match(character)
