"""Feedback from a file: what its rows mean. A row keeps its id, so importing again stores nothing twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.orm import Session

from learning_core import rowfiles
from learning_core.db import in_transaction
from learning_core.errors import InvalidInput
from learning_core.feedback.collect import collect
from learning_core.feedback.entries import (
    SCALES,
    ExecutionEntry,
    FeedbackEntry,
    describe_first_error,
)
from learning_core.feedback.executions import Status, record
from learning_core.rowfiles import Progress, Reject, Row

FEEDBACK_FIELDS = frozenset(FeedbackEntry.model_fields)
EXECUTION_FIELDS = frozenset(
    {
        "conversation_id",
        "input_text",
        "context",
        "output_text",
        "prompt_version",
        "latency_ms",
        "cost_usd",
        "error",
    }
)


def import_feedback(organization_id: UUID, path: Path) -> Iterator[Progress]:
    """Import a file and yield the progress after each batch; the last one is the result.

    Rows may carry `input_text`, `output_text` and the like: they report the execution too.

    Raises:
        InvalidInput: the file is not JSONL or CSV by its name, or cannot be read.
    """

    def store(batch: list[Row], progress: Progress) -> list[Reject]:
        return _store(organization_id, batch, progress)

    yield from rowfiles.import_rows(organization_id, path, "feedback", store)


def _store(organization_id: UUID, batch: list[Row], progress: Progress) -> list[Reject]:
    """Store one batch in one transaction and return its rejects."""
    rejects, taken = [], []
    for row in batch:
        try:
            taken.append((row, *_entries(row, progress)))
        except (InvalidInput, ValidationError) as error:
            reason = describe_first_error(error) if isinstance(error, ValidationError) else error.message
            rejects.append(rowfiles.reject(row, reason))

    def work(session: Session) -> list[Status]:
        executions = [execution for _, _, execution in taken if execution]
        if executions:
            record(session, executions)
        return [outcome.status for outcome in collect(session, [entry for _, entry, _ in taken], "import")]

    for (row, _, _), status in zip(taken, in_transaction(organization_id, work), strict=True):
        if status is Status.CONFLICT:
            reason = "id: belongs to another execution, or the execution to another agent"
            rejects.append(rowfiles.reject(row, reason))
    return rejects


def _entries(row: Row, progress: Progress) -> tuple[FeedbackEntry, ExecutionEntry | None]:
    given = rowfiles.given_fields(row)
    dimensions = {scale: given[scale] for scale in SCALES[1:] if scale in given}
    if dimensions:
        given["dimensions"] = dimensions | dict(given.get("dimensions") or {})
    given.setdefault("id", _id_of(row))
    _note_ignored(given, progress)
    entry = FeedbackEntry.model_validate({name: given[name] for name in FEEDBACK_FIELDS & given.keys()})
    told = {name: given[name] for name in EXECUTION_FIELDS & given.keys()}
    if not told:
        return entry, None
    shared = {"execution_id": entry.execution_id, "agent_id": entry.agent_id, "created_at": entry.created_at}
    return entry, ExecutionEntry.model_validate(shared | told)


def _id_of(row: Row) -> str:
    """Give a row without an id one that it has again when the file is imported again."""
    content = json.dumps([row.line, row.fields], sort_keys=True, default=str)
    return f"import-{hashlib.sha256(content.encode()).hexdigest()[:40]}"


def _note_ignored(given: dict[str, Any], progress: Progress) -> None:
    for name in given.keys() - FEEDBACK_FIELDS - EXECUTION_FIELDS - set(SCALES):
        if name not in progress.ignored_columns:
            progress.ignored_columns.append(str(name))
