"""What people said about an agent's answers lately, and which of it is the most telling.

All of it is bounded: the newest twenty thousand pieces of feedback and examples are read, however many there
are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.feedback.queries import Window
from learning_core.prompts.evidence import words
from learning_core.prompts.sealing import READ_CHARACTERS, Subject
from learning_core.schema import FeedbackType

READ = 20_000
COMMENTS = 5_000
CORRECTIONS = 200
SAME_WORDS = 0.7
"""Comments that share so much (0-1) of their words, by Jaccard's index, say the same."""


class Remark(NamedTuple):
    """What one person wrote about one answer.

    Attributes:
        id: Of the row.
        key: Of the feedback, as its sender calls it.
        categories: What the person said was wrong.
        is_complaint: Whether it came with thumbs down, two stars or fewer, a report or an issue category.
    """

    id: UUID
    key: str
    text: str
    categories: tuple[str, ...]
    rating: int | None
    feedback_type: str
    is_complaint: bool
    created_at: datetime

    @property
    def severity(self) -> int:
        """Return how badly the person took it: 0 for praise, up to 5."""
        of_type = {FeedbackType.REPORT_ISSUE: 2, FeedbackType.THUMBS_DOWN: 1}.get(
            FeedbackType(self.feedback_type), 0
        )
        return of_type + max(0, 3 - (self.rating or 3)) + bool(self.categories)


class About(NamedTuple):
    """What a remark is about: an execution, by its key, and what was asked."""

    execution: str
    subject: Subject


class Correction(NamedTuple):
    """An answer and what it should have been; experts stand behind an approved one."""

    example_id: UUID
    subject: Subject
    question: str
    given: str
    corrected: str
    approved: bool
    created_at: datetime


def remarks(session: Session, agent: str, window: Window) -> list[Remark]:
    """Return the latest comments on an agent's answers, newest first."""
    limits = {"read": READ, "limit": COMMENTS, "characters": READ_CHARACTERS}
    rows = session.execute(REMARKS, {"agent": agent, **limits, **window._asdict()})
    return [Remark(*row)._replace(categories=tuple(row.categories)) for row in rows]


def about(session: Session, ids: Sequence[UUID]) -> dict[UUID, About]:
    """Return what remarks are about, by the id of the remark."""
    rows = session.execute(ABOUT, {"ids": list(ids), "characters": READ_CHARACTERS})
    return {
        row.id: About(row.execution, Subject(row.example, row.question, row.conversation)) for row in rows
    }


def corrections(session: Session, agent: str, window: Window) -> list[Correction]:
    """Return the latest corrections of an agent's answers: the approved ones first, then newest first."""
    limits = {"read": READ, "limit": CORRECTIONS, "characters": READ_CHARACTERS}
    rows = session.execute(CORRECTED, {"agent": agent, **limits, **window._asdict()})
    return [
        Correction(
            row.id,
            Subject(row.example, row.question, row.conversation),
            row.question,
            row.given,
            row.corrected,
            row.approved,
            row.created_at,
        )
        for row in rows
    ]


def most_telling(found: Iterable[Remark]) -> list[Remark]:
    """Return complaints, the most severe first, then the newest."""
    complaints = [remark for remark in found if remark.is_complaint]
    newest = sorted(complaints, key=lambda remark: remark.created_at, reverse=True)
    return sorted(newest, key=lambda remark: -remark.severity)


def distinct(found: Iterable[Remark]) -> list[Remark]:
    """Return remarks in their order, each of those that say the same once: the first."""
    kept: list[tuple[frozenset[str], Remark]] = []
    for remark in found:
        said = frozenset(words(remark.text))
        if said and not any(_is_same(said, before) for before, _ in kept):
            kept.append((said, remark))
    return [remark for _, remark in kept]


def _is_same(one: frozenset[str], other: frozenset[str]) -> bool:
    both = len(one & other)
    return both >= SAME_WORDS * (len(one) + len(other) - both)


REMARKS = text("""
WITH newest AS (
    SELECT id, key, feedback_text, issue_categories, rating, feedback_type, created_at
    FROM agent_feedback
    WHERE agent_id = (SELECT id FROM agents WHERE key = :agent)
      AND created_at >= CAST(:since AS date) AND created_at < CAST(:until AS date) + 1
      AND withdrawn_at IS NULL
    ORDER BY created_at DESC
    LIMIT :read
)
SELECT id, key, left(feedback_text, :characters) AS text, issue_categories AS categories, rating,
       feedback_type,
       feedback_type IN ('thumbs_down', 'report_issue') OR coalesce(rating, 5) <= 2
           OR issue_categories <> '{}' AS is_complaint,
       created_at
FROM newest
WHERE feedback_text <> ''
ORDER BY created_at DESC, key
LIMIT :limit
""")

ABOUT = text("""
SELECT feedback.id, executions.key AS execution, left(executions.input_text, :characters) AS question,
       executions.conversation, coalesce(example.key, CAST(example.id AS text)) AS example
FROM agent_feedback AS feedback
JOIN executions ON executions.id = feedback.execution_id
LEFT JOIN learning_examples AS example ON example.feedback_id = feedback.id
WHERE feedback.id = ANY (CAST(:ids AS uuid[]))
""")

CORRECTED = text("""
WITH newest AS (
    SELECT latest.*
    FROM (VALUES ('approved'), ('pending')) AS wanted (status)
    CROSS JOIN LATERAL (
        SELECT * FROM learning_examples AS example
        WHERE example.status = wanted.status
        ORDER BY id DESC
        LIMIT :read
    ) AS latest
)
SELECT id, coalesce(key, CAST(id AS text)) AS example, conversation,
       left(input_text, :characters) AS question, left(original_output, :characters) AS given,
       left(coalesce(approved_output, expected_output), :characters) AS corrected,
       status = 'approved' AS approved, created_at
FROM newest
WHERE agent_id = (SELECT id FROM agents WHERE key = :agent)
  AND created_at >= CAST(:since AS date) AND created_at < CAST(:until AS date) + 1
  AND example_type = 'correction' AND gold_decision IS NULL AND input_text <> ''
  AND coalesce(approved_output, expected_output) <> original_output
ORDER BY status, created_at DESC, id
LIMIT :limit
""")
