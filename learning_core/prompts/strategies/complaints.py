"""What complaints of each kind ask for, in words that need no model; and how evidence is told to one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from learning_core.prompts.evidence import Evidence, Quote, quoted

GUIDELINES = {
    "incorrect": "Check every fact, figure and date before you state it; say so where you are not sure.",
    "incomplete": "Answer every part of the question, with the conditions and exceptions that matter.",
    "unclear": "Use short sentences and plain words; explain a technical term where it first occurs.",
    "hallucination": "State only what the context or settled knowledge supports, or say you do not know.",
    "outdated": "Say for which date or version of the rules the answer holds.",
    "formatting": "Keep to the form that is asked for; add no headings, lists or symbols beyond it.",
    "tone": "Stay polite and factual; neither lecture nor apologise.",
}
"""Issue category -> what an answer has to be like."""

ANSWERS_ARE = {
    "hallucination": "made up",
    "formatting": "badly laid out",
    "tone": "wrong in tone",
    "other": "wrong in some other way",
}
"""What answers are called that an issue category stands for, where its own name does not do."""

MOST_QUOTES = 8
MOST_GUIDELINES = 5
QUOTE_CHARACTERS = 300


def guidelines(evidence: Evidence) -> list[str]:
    """Return what the issues ask for, the most frequent first."""
    found = (GUIDELINES.get(issue.category) for issue in evidence.issues)
    return [line for line in found if line][:MOST_GUIDELINES]


def answers_are(category: str) -> str:
    """Return what answers are that people complain about: "incomplete", "made up"."""
    return ANSWERS_ARE.get(category, category)


def told(evidence: Evidence) -> str:
    """Return issues, feedback and reviewers' guidelines as a block of data; nothing where there are none."""
    records = list(_records(evidence))
    return quoted(records) if records else ""


def of_quotes(quotes: Iterable[Quote]) -> list[dict[str, Any]]:
    """Return feedback as records of a block of data."""
    return [{"feedback": quote.text, "about": quote.category, "stars": quote.stars} for quote in quotes]


def _records(evidence: Evidence) -> Iterable[dict[str, Any]]:
    for issue in evidence.issues[:MOST_GUIDELINES]:
        yield {
            "users complain that answers are": answers_are(issue.category),
            "in": f"{issue.share:.0%} of feedback",
        }
    yield from of_quotes(evidence.quotes[:MOST_QUOTES])
    if evidence.guidelines:
        yield {"guidelines of the reviewers": evidence.guidelines}
