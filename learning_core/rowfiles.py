"""Rows of a JSONL or CSV file, imported in batches that each commit on their own.

An import can be stopped at any moment and started again: it goes on after the last batch that was stored.
Rows that cannot be taken go to a reject file beside it. What a row means is for each step to say.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from learning_core.errors import InvalidInput
from learning_core.settings import settings

BATCH = 1_000
LONGEST_LINE = 4 * 1024 * 1024


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


Reject = dict[str, Any]
"""Why a row was not taken: line, reason, row."""


def import_rows(
    organization_id: UUID,
    path: Path,
    kind: str,
    store: Callable[[list[Row], Progress], list[Reject]],
) -> Iterator[Progress]:
    """Store a file batch by batch and yield the progress after each; the last one is the result.

    Args:
        organization_id: Whom the rows belong to.
        path: The file.
        kind: What its rows are; the same file may be imported as several kinds.
        store: Stores a batch in one transaction and returns the rows it did not take.

    Raises:
        InvalidInput: the file is not JSONL or CSV by its name, or cannot be read.
    """
    note = _note(organization_id, path, kind)
    progress = Progress(**json.loads(note.read_text())) if note.exists() else Progress()
    rejects = rejects_of(path)
    if not progress.rows_read:
        rejects.unlink(missing_ok=True)
    with _open(path) as file:
        rows = islice(_rows(path, file), progress.rows_read, None)
        while batch := list(islice(rows, BATCH)):
            refused = store(batch, progress)
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


def reject(row: Row, reason: str) -> Reject:
    """Say why a row was not taken."""
    return {"line": row.line, "reason": reason, "row": row.fields}


def given_fields(row: Row) -> dict[str, Any]:
    """Return the fields of a row that hold something; lists may be written as text parted by |.

    Raises:
        InvalidInput: the row could not be read.
    """
    if row.reason:
        raise InvalidInput(row.reason)
    given = {name: value for name, value in row.fields.items() if value is not None and value != ""}
    if isinstance(given.get("issue_categories"), str):
        given["issue_categories"] = [part.strip() for part in given["issue_categories"].split("|")]
    return given


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


def _note(organization_id: UUID, path: Path, kind: str) -> Path:
    """Return where the progress of an unfinished import is kept; another file of that name starts anew."""
    state = path.stat() if path.exists() else None
    identity = (
        f"{organization_id} {kind} {path.resolve()} {state and state.st_size} {state and state.st_mtime_ns}"
    )
    folder = settings().home / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.json"
