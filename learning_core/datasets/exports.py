"""A version of a dataset as a file for a trainer, an analyst or a spreadsheet.

Every format lists examples by id, after the few in which each field first has a value: loaders that guess
columns look at the beginning only. The same examples so give the same file. The formats for trainers hold
one exchange per row and nothing that tells where it came from.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from functools import partial
from itertools import islice
from tempfile import TemporaryFile
from typing import Any

from learning_core.datasets.content import NAMES, DatasetExample, canonical


class Format(StrEnum):
    """How a file holds examples.

    In the three formats for trainers the user says the input and the assistant the expected output; of a
    demonstration, too, they hold these two alone. A context comes first, as the system's message: a line
    "Context:", then the context as it is.
    """

    JSONL = "jsonl"
    """All fields; one canonical line per example."""

    OPENAI_CHAT = "openai_chat"
    """OpenAI's supervised fine-tuning of chat models: {"messages": [...]} per line.

    It refuses messages without content: examples with an empty input or expected output are left out.
    """

    TRL_SFT = "trl_sft"
    """TRL's conversational prompt-completion type: {"prompt": [...], "completion": [...]} per line."""

    TRL_DPO = "trl_dpo"
    """TRL's conversational preference type with explicit prompt: {"prompt", "chosen", "rejected"} per line.

    Examples without a rejected output that differs from the expected one are left out.
    """

    CSV = "csv"
    """All fields; RFC 4180 in UTF-8, with the byte order mark that Excel needs.

    An empty cell is a missing value; lists and demonstrations are JSON. An apostrophe precedes text that
    would start a formula in a spreadsheet, text that is empty, and text that looks like either of them
    with its apostrophe: readers take one away again. Those that guess types want to be told that all is
    text, or take Parquet: pandas reads the text "NA" as a missing value.
    """

    PARQUET = "parquet"
    """All fields, typed; demonstrations are JSON text."""


COMPLETE = (Format.JSONL, Format.CSV, Format.PARQUET)
"""The formats that hold every field of every example."""

CONTEXT_HEADING = "Context:\n"

BATCH = 1000
"""Examples turned into bytes at a time."""

ROW_GROUP = 10_000
"""Examples in one row group of a Parquet file."""

CHUNK = 1 << 20
"""Bytes of a Parquet file handed on at a time."""

NEEDS_APOSTROPHE = re.compile(r"'*([=+\-@\t\r]|\Z)")

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def write(examples: Iterable[DatasetExample], format: Format) -> Iterator[bytes]:
    """Yield the file piece by piece; examples that the format cannot express are left out."""
    expressed = (example for example in examples if _expresses(format, example))
    taken = _telling_first(sorted(expressed, key=lambda example: example.id))
    if format is Format.PARQUET:
        return _write_parquet(taken)
    if format is Format.CSV:
        return _write_csv(taken)
    return _write_lines(taken, canonical if format is Format.JSONL else partial(_line, format))


def left_out(examples: Iterable[DatasetExample], format: Format) -> int:
    """Return how many of the examples the format cannot express."""
    return sum(not _expresses(format, example) for example in examples)


def media_type(format: Format) -> str:
    """Return the media type of a file of that format."""
    if format is Format.CSV:
        return "text/csv; charset=utf-8"
    return "application/vnd.apache.parquet" if format is Format.PARQUET else "application/x-ndjson"


def file_name(name: str, version: int, split: str | None, format: Format) -> str:
    """Return a name in ASCII, safe in paths and headers; without a split the file holds all of them.

    >>> file_name("Tax advice (EU)", 3, "train", Format.TRL_DPO)
    'tax-advice-eu-v3-train-trl-dpo.jsonl'
    >>> file_name("納税", 1, None, Format.PARQUET)
    'dataset-v1.parquet'
    """
    latin = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", latin).strip("-")[:80] or "dataset"
    told = [f"{stem}-v{version}", *([split] if split else [])]
    if format in COMPLETE:
        return f"{'-'.join(told)}.{format}"
    return f"{'-'.join(told)}-{format.replace('_', '-')}.jsonl"


def _expresses(format: Format, example: DatasetExample) -> bool:
    if format is Format.OPENAI_CHAT:
        return bool(example.input_text and example.expected_output)
    if format is Format.TRL_DPO:
        return example.rejected_output not in (None, example.expected_output)
    return True


def _telling_first(examples: list[DatasetExample]) -> list[DatasetExample]:
    first: dict[str, int] = {}
    for position, example in enumerate(examples):
        for name in _told_fields(example):
            first.setdefault(name, position)
    telling = sorted(set(first.values()))
    others = set(range(len(examples))).difference(telling)
    return [examples[position] for position in (*telling, *sorted(others))]


def _told_fields(example: DatasetExample) -> Iterator[str]:
    yield from (name for name, value in vars(example).items() if value not in (None, ()))
    yield from (
        f"demonstration.{name}" for name, value in (example.demonstration or {}).items() if value != []
    )


def _batches(examples: Sequence[DatasetExample], size: int) -> Iterator[list[DatasetExample]]:
    remaining = iter(examples)
    while batch := list(islice(remaining, size)):
        yield batch


# ---------------------------------------------------------------- lines of JSON


def _write_lines(
    examples: Sequence[DatasetExample], line: Callable[[DatasetExample], bytes]
) -> Iterator[bytes]:
    for batch in _batches(examples, BATCH):
        yield b"".join(line(example) + b"\n" for example in batch)


def _line(format: Format, example: DatasetExample) -> bytes:
    return _to_json(_row(format, example)).encode()


def _row(format: Format, example: DatasetExample) -> dict[str, Any]:
    context = [] if example.context is None else [_message("system", CONTEXT_HEADING + example.context)]
    prompt = [*context, _message("user", example.input_text)]
    expected = [_message("assistant", example.expected_output)]
    if format is Format.OPENAI_CHAT:
        return {"messages": prompt + expected}
    if format is Format.TRL_SFT:
        return {"prompt": prompt, "completion": expected}
    return {
        "prompt": prompt,
        "chosen": expected,
        "rejected": [_message("assistant", example.rejected_output)],
    }


def _message(role: str, content: str | None) -> dict[str, str | None]:
    return {"role": role, "content": content}


# ---------------------------------------------------------------- CSV


def _write_csv(examples: Sequence[DatasetExample]) -> Iterator[bytes]:
    yield b"\xef\xbb\xbf" + _csv_rows([NAMES])
    for batch in _batches(examples, BATCH):
        yield _csv_rows([_cell(getattr(example, name)) for name in NAMES] for example in batch)


def _csv_rows(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if NEEDS_APOSTROPHE.match(value) else value
    return _to_json(value)


# ---------------------------------------------------------------- Parquet


def _write_parquet(examples: Sequence[DatasetExample]) -> Iterator[bytes]:
    # Imported here because the other formats, and all who only choose one, need none of it.
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    kinds = {
        "issue_categories": pa.list_(pa.string()),
        "quality_score": pa.float64(),
        "human_verified": pa.bool_(),
    }
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in NAMES])
    with TemporaryFile() as file:
        with pq.ParquetWriter(file, schema, compression="zstd") as sink:
            for batch in _batches(examples, ROW_GROUP):
                sink.write_batch(pa.RecordBatch.from_pylist([_record(example) for example in batch], schema))
        file.seek(0)
        yield from iter(partial(file.read, CHUNK), b"")


def _record(example: DatasetExample) -> dict[str, Any]:
    demonstration = None if example.demonstration is None else _to_json(example.demonstration)
    return vars(example) | {"demonstration": demonstration}
