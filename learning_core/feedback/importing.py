"""Feedback from a file: JSONL or CSV, streamed in batches that each commit on their own.

An import can be stopped at any moment and started again: it goes on after the last batch that was stored,
and a row keeps its id, so nothing is stored twice. Rows that cannot be taken go to a reject file.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.orm import Session

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
from learning_core.settings import settings

BATCH = 1_000
LONGEST_LINE = 4 * 1024 * 1024
FEEDBACK_FIELDS = frozenset(FeedbackEntry.model_fields)
EXECUTION_FIELDS = frozenset(
    {"input_text", "output_text", "prompt_version", "latency_ms", "cost_usd", "error"}
)


@dataclass
class Progress:
    """How far an import has come."""

    rows_read: int = 0
    stored: int = 0
    rejected: int = 0
    bytes_read: int = 0
    ignored_columns: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """One row of a file: its line number (from 1), its bytes so far, and its fields or why there are none."""

    line: int
    end: int
    fields: dict[str, Any]
    reason: str | None = None


def import_feedback(organization_id: UUID, path: Path) -> Iterator[Progress]:
    """Import a file and yield the progress after each batch; the last one is the result.

    Rows may carry `input_text`, `output_text` and the like: they report the execution too.

    Raises:
        InvalidInput: the file is not JSONL or CSV by its name, or cannot be read.
    """
    note = _note(organization_id, path)
    progress = Progress(**json.loads(note.read_text())) if note.exists() else Progress()
    rejects = rejects_of(path)
    if not progress.rows_read:
        rejects.unlink(missing_ok=True)
    with _open(path) as file:
        rows = islice(_rows(path, file), progress.rows_read, None)
        while batch := list(islice(rows, BATCH)):
            refused = _store(organization_id, batch, progress)
            if refused:
                with rejects.open("a", encoding="utf-8", errors="backslashreplace") as sink:
                    sink.writelines(json.dumps(reject, ensure_ascii=False) + "\n" for reject in refused)
            progress.rows_read += len(batch)
            progress.rejected += len(refused)
            progress.stored += len(batch) - len(refused)
            progress.bytes_read = batch[-1].end
            note.write_text(json.dumps(asdict(progress)))
            yield progress
    note.unlink(missing_ok=True)
    yield progress


def rejects_of(path: Path) -> Path:
    """Return where the rejected rows of a file go: beside it, with line, reason and row."""
    return path.with_name(f"{path.name}.rejects.jsonl")


def _store(organization_id: UUID, batch: list[Row], progress: Progress) -> list[dict[str, Any]]:
    """Store one batch in one transaction and return its rejects."""
    rejects, taken = [], []
    for row in batch:
        try:
            taken.append((row, *_entries(row, progress)))
        except (InvalidInput, ValidationError) as error:
            reason = describe_first_error(error) if isinstance(error, ValidationError) else error.message
            rejects.append({"line": row.line, "reason": reason, "row": row.fields})

    def work(session: Session) -> list[Status]:
        executions = [execution for _, _, execution in taken if execution]
        if executions:
            record(session, executions)
        return [outcome.status for outcome in collect(session, [entry for _, entry, _ in taken], "import")]

    for (row, _, _), status in zip(taken, in_transaction(organization_id, work), strict=True):
        if status is Status.CONFLICT:
            reason = "id: belongs to another execution, or the execution to another agent"
            rejects.append({"line": row.line, "reason": reason, "row": row.fields})
    return rejects


def _entries(row: Row, progress: Progress) -> tuple[FeedbackEntry, ExecutionEntry | None]:
    if row.reason:
        raise InvalidInput(row.reason)
    given = {name: value for name, value in row.fields.items() if value is not None and value != ""}
    dimensions = {scale: given[scale] for scale in SCALES[1:] if scale in given}
    if dimensions:
        given["dimensions"] = dimensions | dict(given.get("dimensions") or {})
    if isinstance(given.get("issue_categories"), str):
        given["issue_categories"] = [part.strip() for part in given["issue_categories"].split("|")]
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


# ---------------------------------------------------------------- reading


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error


def _rows(path: Path, file: BinaryIO) -> Iterator[Row]:
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return _jsonl_rows(file)
    if path.suffix.lower() == ".csv":
        return _csv_rows(file)
    raise InvalidInput(f"{path.name}: expected a name that ends in .jsonl or .csv.")


def _jsonl_rows(file: BinaryIO) -> Iterator[Row]:
    line_number = end = 0
    while line := file.readline(LONGEST_LINE):
        line_number += 1
        end += len(line)
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = file.readline(LONGEST_LINE)
                end += len(line)
            yield Row(line_number, end, {}, "the line is longer than 4 MB")
        elif line.strip():
            yield _jsonl_row(line_number, end, line)


def _jsonl_row(line_number: int, end: int, line: bytes) -> Row:
    try:
        fields = json.loads(line.decode("utf-8-sig"))
    except ValueError as error:
        return Row(line_number, end, {"text": line[:2000].decode(errors="replace")}, f"not JSON: {error}")
    if not isinstance(fields, dict):
        return Row(line_number, end, {"text": str(fields)[:2000]}, "not a JSON object")
    return Row(line_number, end, fields)


def _csv_rows(file: BinaryIO) -> Iterator[Row]:
    end = 0

    def lines() -> Iterator[str]:
        nonlocal end
        for line in file:
            end += len(line)
            yield line.decode("utf-8-sig" if end == len(line) else "utf-8", errors="replace")

    csv.field_size_limit(LONGEST_LINE)
    reader = csv.DictReader(lines(), restkey="(further columns)")
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(reader.line_num, end, {}, f"not CSV: {error}")
            continue
        yield Row(reader.line_num, end, {name or "": value for name, value in fields.items()})


def _note(organization_id: UUID, path: Path) -> Path:
    """Return where the progress of an unfinished import is kept; another file of that name starts anew."""
    state = path.stat() if path.exists() else None
    identity = f"{organization_id} {path.resolve()} {state and state.st_size} {state and state.st_mtime_ns}"
    folder = settings().home / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.json"
