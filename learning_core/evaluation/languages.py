"""Which language a text is in, told by its script and its commonest words; silent where that is not clear."""

from __future__ import annotations

import re
from collections import Counter

from learning_core.evaluation.texts import LONGEST, words

SCRIPTS = {
    "Japanese": re.compile("[\u3040-\u30ff]"),
    "Chinese": re.compile("[\u3400-\u4dbf\u4e00-\u9fff]"),
    "Korean": re.compile("[\uac00-\ud7af\u1100-\u11ff]"),
    "Cyrillic": re.compile("[\u0400-\u052f]"),
    "Greek": re.compile("[\u0370-\u03ff]"),
    "Arabic": re.compile("[\u0600-\u06ff\u0750-\u077f]"),
    "Hebrew": re.compile("[\u0590-\u05ff]"),
    "Devanagari": re.compile("[\u0900-\u097f]"),
    "Thai": re.compile("[\u0e00-\u0e7f]"),
    "Latin": re.compile("[A-Za-z\u00c0-\u024f]"),
}
COMMON = {
    "English": "the of and is are was were with that this for not you your have from which be will must by as"
    " it to in or an when can",
    "German": "der die das und ist nicht ein eine mit für von den dem zu auf sie wird werden sich auch bei"
    " oder wenn im es ich kann sind muss",
    "French": "le la les des est une dans pour que qui pas sur avec vous par sont au aux cette être ou et du"
    " il en un nous doit",
    "Spanish": "el los las es una para que con por del se no su como más está son y lo la en un de debe",
    "Italian": "il lo gli che di è una per non con del della sono nel anche più si le come questo la e un"
    " deve i da",
    "Dutch": "de het een van en is dat niet voor met op zijn aan ook wordt door bij je worden dit te in als"
    " moet u",
    "Portuguese": "o os as um uma para que não com do da dos das em por se é mais você ao na no e de deve",
}
COMMON_WORDS = {language: frozenset(listed.split()) for language, listed in COMMON.items()}
FEWEST_LETTERS = 4
FEWEST_HITS = 3
MARGIN = 1.3
"""How many times more common words the likeliest language must show than the next."""
CLEAR_SHARE = 0.6
"""Share (0-1) of a text's letters that must be of one script."""


def language_of(text: str) -> str | None:
    """Return the language of a text, or its script where that is all that is told apart; None where unclear.

    >>> language_of("Die Frist endet mit dem zehnten Tag, und das ist nicht der letzte.")
    'German'
    >>> language_of("refund") is None
    True
    """
    script = _script_of(text[:LONGEST])
    if script != "Latin":
        return script
    found = words(text)
    hits = Counter({name: sum(word in common for word in found) for name, common in COMMON_WORDS.items()})
    (likeliest, most), (_, next_most) = hits.most_common(2)
    is_clear = most >= FEWEST_HITS and most >= MARGIN * next_most
    return likeliest if is_clear else None


def _script_of(text: str) -> str | None:
    counts = Counter({name: len(letters.findall(text)) for name, letters in SCRIPTS.items()})
    if counts["Japanese"]:  # its texts mix kana with the characters of Chinese
        counts["Japanese"] += counts.pop("Chinese")
    (script, most), total = counts.most_common(1)[0], counts.total()
    return script if most >= FEWEST_LETTERS and most >= CLEAR_SHARE * total else None
