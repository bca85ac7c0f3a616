"""Files read back as their formats promise, to see that nothing was lost."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pyarrow.parquet

from learning_core.datasets.content import DatasetExample, parse
from learning_core.datasets.exports import Format

JSON_CELLS = ("demonstration", "issue_categories", "quality_score", "human_verified")
HAS_APOSTROPHE = re.compile(r"''*([=+\-@\t\r]|\Z)")


def read(data: bytes, format: Format) -> list[Any]:
    """Return whole examples, or for trainers what each row says: a list of role and content."""
    if format is Format.CSV:
        csv.field_size_limit(max(csv.field_size_limit(), len(data)))
        rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        return [parse({name: _value(name, cell) for name, cell in row.items() if cell}) for row in rows]
    if format is Format.PARQUET:
        return [_of_record(row) for row in pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()]
    rows = [json.loads(line) for line in data.splitlines()]
    return [parse(row) for row in rows] if format is Format.JSONL else [_said(row) for row in rows]


def _value(name: str, cell: str) -> Any:
    if name in JSON_CELLS:
        return json.loads(cell)
    return cell[1:] if HAS_APOSTROPHE.match(cell) else cell


def _of_record(row: dict[str, Any]) -> DatasetExample:
    return parse(row | {"demonstration": json.loads(row["demonstration"] or "null")})


def _said(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for messages in row.values() for message in messages]
