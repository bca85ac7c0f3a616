"""How models refuse to answer, in seven languages."""

from __future__ import annotations

import re

BEGINNING = 300
"""Characters in which a refusal shows."""

PHRASES = (
    # English
    r"\bi(?:'m| am) (?:sorry|afraid)[^.]{0,40}\b(?:can't|cannot|can not|unable|won't|not able)\b",
    r"\bi(?:'m| am)? (?:can't|cannot|can not|won't|will not|unable to|not able to) "
    r"(?:help|assist|answer|give|provide|comply|do that|discuss|fulfil|share|offer|follow)",
    r"\bas an ai\b|\bi must decline\b|\bagainst my (?:guidelines|policy|policies)\b",
    # German
    r"\bkann (?:ich )?(?:ihnen |dir )?(?:leider )?(?:dabei |damit |hierbei |diese frage )?(?:leider )?"
    r"nicht (?:helfen|weiterhelfen|beantworten)",
    r"\btut mir leid,? (?:aber )?(?:ich kann|das kann ich|dabei kann ich)|\bals ki\b",
    # French
    r"\bje ne peux (?:malheureusement )?pas (?:vous aider|répondre|fournir|traiter)",
    r"\bdésolée?,? (?:mais )?je ne (?:peux|suis pas)",
    r"\ben tant qu(?:e |')(?:ia\b|intelligence art|modèle)",
    # Spanish
    r"\bno puedo (?:ayudar|responder|proporcionar|ofrecer)|\blo siento,? (?:pero )?no puedo",
    # Italian
    r"\bnon posso (?:aiutar|rispondere|fornire)|\bmi dispiace,? (?:ma )?non posso",
    r"\bcome (?:modello linguistico|ia\b)",
    # Dutch
    r"\bik kan (?:u |je )?(?:hier|daar)?(?:mee |bij )?(?:helaas )?niet (?:\w+ )?(?:helpen|beantwoorden)",
    r"\bspijt me,? (?:maar )?(?:ik kan|dat kan ik)",
    # Portuguese
    r"\bnão posso (?:ajudar|responder|fornecer)",
    r"\b(?:desculpe|lamento|sinto muito),? (?:mas )?não posso",
    r"\bcomo (?:um |uma )?(?:modelo de (?:lenguaje|linguagem)|ia\b)",
)
REFUSAL = re.compile("|".join(PHRASES))


def is_refusal(text: str) -> bool:
    """Return whether a text begins by refusing to answer.

    >>> is_refusal("I'm sorry, but I can't help with that."), is_refusal("Sorry for the delay: the 10th.")
    (True, False)
    """
    apostrophe = "\u2019"
    beginning = text[:BEGINNING].replace(apostrophe, "'").casefold()
    return REFUSAL.search(" ".join(beginning.split())) is not None
