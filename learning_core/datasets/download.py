"""A version, or one split of it, as a file; whoever takes the test split along is put on record."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, TypeVar

from learning_core.access import Caller, require
from learning_core.datasets import exports
from learning_core.datasets.content import DatasetExample
from learning_core.datasets.exports import Format
from learning_core.datasets.splits import Split
from learning_core.datasets.versions import find, load, record_use
from learning_core.db import organization_session
from learning_core.errors import InvalidInput

Kind = TypeVar("Kind", Split, Format)


class Download(NamedTuple):
    """A file for a trainer: its name, what it holds, and how many examples its format cannot express."""

    file_name: str
    examples: list[DatasetExample]
    format: Format
    left_out: int

    def content(self) -> bytes:
        """Return the file's bytes."""
        return b"".join(exports.write(self.examples, self.format))


def prepare(caller: Caller, name: str, version: int | None, split: str | None, format: str) -> Download:
    """Read what a file of a version is made of, and put it on record if the test split is in it.

    Raises:
        NotFound: there is no such version.
        InvalidInput: there is no such split or format.
    """
    require(caller, "read")
    wanted = _one_of(Split, split, "split") if split else None
    shape = _one_of(Format, format, "format")
    with organization_session(caller.organization_id) as session:
        found = find(session, name, version)
        examples = list(load(session, found.id, wanted))
        if wanted in (None, Split.TEST):
            record_use(session, caller, found.id, Split.TEST, f"downloaded as {shape}")
    file_name = exports.file_name(found.name, found.version, split, shape)
    return Download(file_name, examples, shape, exports.left_out(examples, shape))


def save(
    caller: Caller, name: str, version: int | None, split: str | None, format: str, out: Path | None
) -> tuple[Path, int]:
    """Write a file and return where it is, and how many examples its format cannot express."""
    download = prepare(caller, name, version, split, format)
    path = out or Path(download.file_name)
    with path.open("wb") as sink:
        sink.writelines(exports.write(download.examples, download.format))
    return path, download.left_out


def _one_of(kind: type[Kind], value: str, field: str) -> Kind:
    try:
        return kind(value)
    except ValueError as error:
        raise InvalidInput(f"{field}: there are {', '.join(kind)}.", field=field) from error
