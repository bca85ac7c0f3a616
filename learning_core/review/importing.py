"""Examples and annotations from a file: what was collected and judged elsewhere.

A row keeps its id, so importing again stores nothing twice. Whoever imports vouches for what the rows say:
only administrators may.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NotRequired, TypeVar
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
    with_config,
)
from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.orm import Session
from typing_extensions import TypedDict

from learning_core import access, rowfiles
from learning_core.access import Caller
from learning_core.db import in_transaction
from learning_core.errors import InvalidInput
from learning_core.feedback.entries import Key, LongText, Moment, Stars, describe_first_error
from learning_core.feedback.executions import register_agents
from learning_core.review import queue
from learning_core.review.annotations import AnnotationEntry
from learning_core.review.settlement import settle
from learning_core.rowfiles import Progress, Reject, Row
from learning_core.schema import ExampleType, IssueCategory

Entry = TypeVar("Entry", bound=BaseModel)


@with_config(ConfigDict(extra="forbid"))
class Demonstrated(TypedDict):
    """How an expert did it, with nothing added or tidied: what was exported comes back as it was."""

    task: LongText
    actions: list[LongText]
    input_state: NotRequired[LongText | None]
    reasoning: NotRequired[LongText | None]


class ExampleEntry(BaseModel):
    """An example as a file holds it. One with a quality score was approved elsewhere."""

    model_config = ConfigDict(extra="ignore")

    id: Key
    agent_id: Key
    example_type: ExampleType | None = None
    input_text: LongText
    context: LongText | None = None
    original_output: LongText | None = Field(None, description="What the agent answered; option A.")
    alternative_output: LongText | None = Field(None, description="Option B of a preference.")
    expected_output: LongText | None = None
    rejected_output: LongText | None = Field(None, description="What was worse, in exported datasets.")
    demonstration: Demonstrated | None = None
    domain: Key | None = None
    source: Key = "import"
    conversation: Key | None = None
    user_id: Key | None = None
    author: Key | None = None
    issue_categories: list[IssueCategory] = Field(default_factory=list)
    rating: Stars | None = None
    quality_score: float | None = Field(None, ge=0, le=1)
    human_verified: bool = False
    created_at: Moment | None = None

    @model_validator(mode="after")
    def settle_what_follows(self) -> ExampleEntry:
        """Derive the type from what is there, and refuse an approval of nothing."""
        if self.example_type is None:
            self.example_type = self._type()
        if self.example_type is ExampleType.PREFERENCE and self.quality_score is None:
            self.original_output = self.original_output or ""  # an empty answer is an answer
            self.alternative_output = self.alternative_output or ""
        if self.quality_score is not None and not self.expected_output:
            raise ValueError("a quality_score needs an expected_output")
        if self.original_output is None and self.rejected_output is not None:
            self._place_rejected(self.rejected_output)
        return self

    def _type(self) -> ExampleType:
        if self.alternative_output is not None:
            return ExampleType.PREFERENCE
        if self.demonstration is not None:
            return ExampleType.DEMONSTRATION
        if not self.expected_output:
            return ExampleType.FAILURE
        given = self.original_output or self.rejected_output
        is_corrected = given is not None and given.strip() != self.expected_output.strip()
        return ExampleType.CORRECTION if is_corrected else ExampleType.POSITIVE

    def _place_rejected(self, rejected: str) -> None:
        if self.example_type is ExampleType.PREFERENCE:
            self.original_output, self.alternative_output = self.expected_output, rejected
        else:
            self.original_output = rejected


class ImportedAnnotation(AnnotationEntry):
    """A judgement as a file holds it: AnnotationEntry, who gave it, and on what."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    example_id: Key = Field(description="The example's id, or that of its feedback.")  # type: ignore[assignment]
    annotator_id: Key
    created_at: Moment | None = None

    @field_validator("preference", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value


def import_examples(caller: Caller, path: Path) -> Iterator[Progress]:
    """Import examples from a file and yield the progress after each batch.

    An example that is known by its id, and that nobody has judged, is replaced; others stay as they are.

    Raises:
        NotPermitted: the caller may not administer.
        InvalidInput: the file is not JSONL or CSV by its name, or cannot be read.
    """
    access.require(caller, "administer")

    def store(batch: list[Row], progress: Progress) -> list[Reject]:
        taken, rejects = _understood(batch, ExampleEntry, progress)

        def work(session: Session) -> None:
            register_agents(session, {entry.agent_id for _, entry in taken})
            entries = list({entry.id: entry for _, entry in taken}.values())
            session.execute(STORE_EXAMPLES, {"entries": to_json(entries).decode()})

        in_transaction(caller.organization_id, work)
        return rejects

    yield from rowfiles.import_rows(caller.organization_id, path, "examples", store)


def import_annotations(caller: Caller, path: Path) -> Iterator[Progress]:
    """Import judgements of examples that are known, and yield the progress after each batch.

    Several judgements of one example count as given independently of each other.

    Raises:
        NotPermitted: the caller may not administer.
        InvalidInput: the file is not JSONL or CSV by its name, or cannot be read.
    """
    access.require(caller, "administer")

    def store(batch: list[Row], progress: Progress) -> list[Reject]:
        taken, rejects = _understood(batch, ImportedAnnotation, progress)
        stored = in_transaction(caller.organization_id, lambda session: _judge(session, caller, taken))
        missing = [
            rowfiles.reject(row, reason) for (row, _), reason in zip(taken, stored, strict=True) if reason
        ]
        return rejects + missing

    yield from rowfiles.import_rows(caller.organization_id, path, "annotations", store)


def _understood(
    batch: list[Row], kind: type[Entry], progress: Progress
) -> tuple[list[tuple[Row, Entry]], list[Reject]]:
    taken, rejects = [], []
    for row in batch:
        try:
            given = rowfiles.given_fields(row)
            taken.append((row, kind.model_validate(given)))
        except ValidationError as error:
            rejects.append(rowfiles.reject(row, describe_first_error(error)))
        except InvalidInput as error:
            rejects.append(rowfiles.reject(row, error.message))
        else:
            ignored = given.keys() - kind.model_fields.keys() - set(progress.ignored_columns)
            progress.ignored_columns += sorted(map(str, ignored))
    return taken, rejects


def _judge(session: Session, caller: Caller, taken: list[tuple[Row, ImportedAnnotation]]) -> list[str | None]:
    """Store judgements; return for each why it was not taken, None if it was."""
    access.act_as(session, caller, "review")
    names = [entry.example_id for _, entry in taken]
    known = {row.name: row.id for row in session.execute(RESOLVE, {"names": names})}
    reasons: list[str | None] = []
    touched = set()
    for _, entry in taken:
        if example := known.get(entry.example_id):
            is_new = session.execute(STORE_ANNOTATION, _values(entry, example)).scalar()
            touched |= {example} if is_new and entry.decision else set()
            reasons.append(None)
        else:
            reasons.append(f"example_id: there is no example {entry.example_id!r}")
    for example in sorted(touched):
        queue.lock(session, example)
        session.execute(COUNT_AS_INDEPENDENT, {"example": example})
        settle(session, example)
    return reasons


def _values(entry: ImportedAnnotation, example: UUID) -> dict[str, Any]:
    values = entry.model_dump(exclude={"approved", "annotator_id"})
    content = json.dumps([str(example), entry.annotator_id, values], sort_keys=True, default=str)
    identity = UUID(bytes=hashlib.sha256(content.encode()).digest()[:16])
    return values | {"id": identity, "example_id": example, "annotator": entry.annotator_id}


STORE_EXAMPLES = text("""
INSERT INTO learning_examples AS known (
    agent_id, key, example_type, source, domain, conversation, user_id, author, issue_categories, rating,
    input_text, context, original_output, alternative_output, expected_output, demonstration, created_at,
    status, approved_output, quality_score, human_verified, settled_at, reviews_wanted
)
SELECT agents.id, entry.id, entry.example_type, entry.source, entry.domain, entry.conversation,
       entry.user_id, entry.author, entry.issue_categories, entry.rating, entry.input_text, entry.context,
       entry.original_output, entry.alternative_output, entry.expected_output,
       nullif(entry.demonstration, 'null'), coalesce(entry.created_at, now()),
       CASE WHEN quality_score IS NULL THEN 'pending' ELSE 'approved' END,
       CASE WHEN quality_score IS NOT NULL THEN expected_output END,
       quality_score, human_verified AND quality_score IS NOT NULL,
       CASE WHEN quality_score IS NOT NULL THEN now() END,
       CASE WHEN quality_score IS NULL THEN 1 ELSE 0 END
FROM jsonb_to_recordset(CAST(:entries AS jsonb)) AS entry (
    id text, agent_id text, example_type text, source text, domain text, conversation text, user_id text,
    author text, issue_categories text[], rating int2, input_text text, context text, original_output text,
    alternative_output text, expected_output text, demonstration jsonb, created_at timestamptz,
    quality_score float8, human_verified bool
)
JOIN agents ON agents.key = entry.agent_id
ORDER BY entry.id
ON CONFLICT (organization_id, key) DO UPDATE SET
    example_type = excluded.example_type, source = excluded.source, domain = excluded.domain,
    conversation = excluded.conversation, user_id = excluded.user_id, author = excluded.author,
    issue_categories = excluded.issue_categories, rating = excluded.rating, input_text = excluded.input_text,
    context = excluded.context, original_output = excluded.original_output,
    alternative_output = excluded.alternative_output, expected_output = excluded.expected_output,
    demonstration = excluded.demonstration, status = excluded.status,
    approved_output = excluded.approved_output, quality_score = excluded.quality_score,
    human_verified = excluded.human_verified, settled_at = excluded.settled_at,
    reviews_wanted = excluded.reviews_wanted, ranked_at = NULL
WHERE known.agent_id = excluded.agent_id AND known.reviews_done = 0 AND known.held = 0
""")

RESOLVE = text("""
SELECT wanted.name, coalesce(
    (SELECT id FROM learning_examples WHERE key = wanted.name),
    (SELECT example.id FROM agent_feedback AS feedback
     JOIN learning_examples AS example ON example.feedback_id = feedback.id
     WHERE feedback.key = wanted.name)
) AS id
FROM unnest(CAST(:names AS text[])) AS wanted (name)
""")

STORE_ANNOTATION = text("""
INSERT INTO expert_annotations (
    id, example_id, annotator, annotation_type, decision, preference, preference_strength, technical_accuracy,
    professional_quality, completeness, clarity, difficulty, issue_categories, corrected_output, notes,
    improvement_suggestions, source, duration_ms, created_at
)
VALUES (
    :id, :example_id, :annotator, :annotation_type, :decision, :preference, :preference_strength,
    :technical_accuracy, :professional_quality, :completeness, :clarity, :difficulty, :issue_categories,
    :corrected_output, nullif(:notes, ''), nullif(:improvement_suggestions, ''), 'import', :duration_ms,
    coalesce(:created_at, clock_timestamp())
)
ON CONFLICT DO NOTHING
RETURNING true
""")

COUNT_AS_INDEPENDENT = text("""
UPDATE learning_examples SET overlap = (
    SELECT CAST(greatest(1, least(count(*), 100)) AS int2) FROM expert_annotations
    WHERE example_id = :example AND decision IS NOT NULL AND undone_at IS NULL AND NOT on_gold
)
WHERE id = :example
""")
