"""What is asked, answered and remarked in the demo story: topics with their flaws, and remarks.

The texts stand in ``topics/``, one file per agent. They hold names in braces, which `figures.draw` gives
values. Each flaw replaces one passage of a good answer, so correcting it restores just that passage.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from learning_core.feedback.entries import IssueCategory

_FOLDER = Path(__file__).with_name("topics")


class Flaw(NamedTuple):
    """One thing wrong with an answer.

    Attributes:
        category: The issue category a person would choose.
        right: The passage of the good answer.
        wrong: What stands in its place.
        comments: What people say about it.
        is_incident: Whether it comes from the wrong table of VAT rates, which was live for three days only.
    """

    category: IssueCategory
    right: str
    wrong: str
    comments: tuple[str, ...]
    is_incident: bool = False


class Topic(NamedTuple):
    """Something people ask about.

    Attributes:
        about: The topic as a noun phrase, for remarks.
        questions: Ways to ask.
        answer: The good answer, its source included.
        flaws: What can be wrong with the content of the answer.
        unsourced: The flaw of giving no source.
        long_winded: The flaw of saying it in too many words.
    """

    about: str
    questions: tuple[str, ...]
    answer: str
    flaws: tuple[Flaw, ...]
    unsourced: Flaw
    long_winded: Flaw

    def answered_with(self, flaw: Flaw | None) -> str:
        """Return the answer with this flaw in it."""
        return self.answer if flaw is None else self.answer.replace(flaw.right, flaw.wrong)


class Remarks(NamedTuple):
    """What people say about any answer, and what makes any answer worse.

    Attributes:
        openings: What may stand before a question.
        padding: Paragraphs that say nothing.
        errors: Why an execution failed.
        before: What may stand before a complaint.
        after: What may stand after a complaint.
        unsourced: Complaints about a missing source.
        long_winded: Complaints about length.
        failed: Complaints about a failed execution.
        praise: What people say about a good answer.
        lukewarm: What people say about an answer with three stars and no flaw.
    """

    openings: tuple[str, ...]
    padding: tuple[str, ...]
    errors: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    unsourced: tuple[str, ...]
    long_winded: tuple[str, ...]
    failed: tuple[str, ...]
    praise: tuple[str, ...]
    lukewarm: tuple[str, ...]


@cache
def remarks() -> Remarks:
    """Return the remarks that fit every topic."""
    texts = _read("remarks")
    return Remarks(**{name: tuple(texts[name]) for name in Remarks._fields})


@cache
def topics(agent_id: str) -> tuple[Topic, ...]:
    """Return what people ask this agent."""
    return tuple(_topic(entry) for entry in _read(agent_id)["topic"])


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def _topic(entry: dict[str, Any]) -> Topic:
    source = f"\n\nSource: {entry['source']}."
    filler = "".join(f"\n\n{paragraph}" for paragraph in remarks().padding) + source
    return Topic(
        about=entry["about"],
        questions=tuple(entry["questions"]),
        answer=entry["answer"] + source,
        flaws=tuple(_flaw(flaw) for flaw in entry["flaw"]),
        unsourced=Flaw(IssueCategory.INCOMPLETE, source, "", remarks().unsourced),
        long_winded=Flaw(IssueCategory.UNCLEAR, source, filler, remarks().long_winded),
    )


def _flaw(entry: dict[str, Any]) -> Flaw:
    return Flaw(
        category=IssueCategory(entry["category"]),
        right=entry["right"],
        wrong=entry["wrong"],
        comments=tuple(entry["comments"]),
        is_incident=entry.get("incident", False),
    )
