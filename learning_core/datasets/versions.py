"""Frozen versions: made once from rules, never changed; whoever reads the test split is put on record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.datasets.content import DatasetExample, canonical, content_hash, parse
from learning_core.datasets.curation import Rules
from learning_core.datasets.selection import Member, select
from learning_core.datasets.splits import Split
from learning_core.errors import Conflict, InvalidInput, NotFound


class Version(NamedTuple):
    """A version as it was frozen."""

    id: UUID
    name: str
    version: int
    content_hash: str
    example_count: int


class Change(NamedTuple):
    """An example in which two versions differ; before and after are None where a version has none."""

    example_id: UUID
    before: DatasetExample | None
    after: DatasetExample | None

    @property
    def is_sealed(self) -> bool:
        """Return whether it would show something of a test split."""
        return any(content and content.split == Split.TEST for content in (self.before, self.after))


class Difference(NamedTuple):
    """How many examples two versions have in common, and how many set them apart.

    Attributes:
        added, removed: Examples that only the later, or only the earlier version holds.
        changed: Examples that both hold, with another content.
        moved: Examples that both hold, in another split.
        unsealed: Those of them that went from training to test: what was learned is no test.
        same: Examples that both hold, with the same content in the same split.
    """

    added: int
    removed: int
    changed: int
    moved: int
    unsealed: int
    same: int


def freeze(session: Session, caller: Caller, name: str, rules: Rules) -> Version:
    """Freeze what the rules come to now as the next version of a dataset.

    Raises:
        NotPermitted: the caller's role may not curate.
        InvalidInput: the name is empty.
        NotEnoughData: no approved example fits the rules.
        Conflict: nothing has changed since the last version.
    """
    access.require(caller, "curate")
    if not (name := _tidy(name)):
        raise InvalidInput("A dataset needs a name.", field="name")
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"dataset {name}"}
    )
    selection = select(session, rules)
    digest = content_hash(member.content for member in selection.members)
    last = session.execute(LAST, {"name": name}).one_or_none()
    if last and last.content_hash == digest:
        raise Conflict(f"Nothing has changed since version {last.version}.")
    version = session.execute(
        FREEZE,
        {
            "name": name,
            "version": last.version + 1 if last else 1,
            "rules": rules.model_dump_json(),
            "seed": rules.seed,
            "hash": digest,
            "count": len(selection.members),
            "statistics": _as_json(selection.statistics.told()),
            "gates": _as_json([gate._asdict() for gate in selection.statistics.gates()]),
            "by": caller.name,
        },
    ).one()
    _store(session, version.id, selection.members)
    session.execute(DECIDE, {"name": name, "by": caller.name})
    access.audit(
        session,
        caller,
        "dataset.frozen",
        f"{name} v{version.version}",
        hash=digest,
        examples=version.example_count,
    )
    return Version(*version)


def next_number(session: Session, name: str) -> int:
    """Return which version of a dataset freezing would make."""
    last = session.execute(LAST, {"name": _tidy(name)}).one_or_none()
    return last.version + 1 if last else 1


def load(session: Session, dataset_id: UUID, split: Split | None = None) -> Iterator[DatasetExample]:
    """Yield the examples of a version, or of one split of it, by their id.

    Whoever reads the test split records the use first (`record_use`).
    """
    rows = session.execute(
        CONTENT.execution_options(yield_per=1_000), {"dataset": dataset_id, "split": split}
    )
    for row in rows:
        yield parse(row.content)


def find(session: Session, name: str, version: int | None = None) -> Version:
    """Return a version of a dataset by number, or its newest.

    Raises:
        NotFound: there is none.
    """
    row = session.execute(FIND, {"name": name, "version": version}).one_or_none()
    if row is None:
        wanted = f"version {version} of dataset" if version else "dataset"
        raise NotFound(f"There is no {wanted} {name!r}.")
    return Version(*row)


def record_use(session: Session, caller: Caller, dataset_id: UUID, split: Split, purpose: str) -> None:
    """Put on record that somebody looked at a split; what is looked at often is no longer unseen."""
    session.execute(USE, {"dataset": dataset_id, "split": split, "purpose": purpose[:200], "by": caller.name})


def compare(session: Session, before: UUID, after: UUID, limit: int = 1_000) -> list[Change]:
    """Return the examples in which two versions differ, splits included and groups aside, up to a limit."""
    rows = session.execute(COMPARE, {"before": before, "after": after, "limit": limit})
    return [
        Change(
            row.example_id, parse(row.before) if row.before else None, parse(row.after) if row.after else None
        )
        for row in rows
    ]


def difference(session: Session, before: UUID, after: UUID) -> Difference:
    """Return in how many examples two versions differ."""
    return Difference(*session.execute(DIFFERENCE, {"before": before, "after": after}).one())


def _tidy(name: str) -> str:
    return " ".join(name.split())[:80].rstrip()


def _store(session: Session, dataset_id: UUID, members: list[Member]) -> None:
    for start in range(0, len(members), 1_000):
        part = members[start : start + 1_000]
        session.execute(
            STORE,
            [
                {
                    "dataset": dataset_id,
                    "example": member.example_id,
                    "split": member.content.split,
                    "group": member.content.group,
                    "content": canonical(member.content).decode(),
                    "feedback": member.feedback_id,
                    "annotations": list(member.annotation_ids),
                }
                for member in part
            ],
        )


def _as_json(value: Any) -> str:
    return to_json(value).decode()


LAST = text("""
SELECT version, content_hash FROM training_datasets WHERE name = :name ORDER BY version DESC LIMIT 1
""")

FREEZE = text("""
INSERT INTO training_datasets (
    name, version, rules, seed, content_hash, example_count, statistics, gates, created_by
)
VALUES (
    :name, :version, CAST(:rules AS jsonb), :seed, :hash, :count, CAST(:statistics AS jsonb),
    CAST(:gates AS jsonb), :by
)
RETURNING id, name, version, content_hash, example_count
""")

STORE = text("""
INSERT INTO dataset_examples (
    dataset_id, example_id, split, group_name, content, feedback_id, annotation_ids
)
VALUES (:dataset, :example, :split, :group, CAST(:content AS jsonb), :feedback, CAST(:annotations AS uuid[]))
""")

FIND = text("""
SELECT id, name, version, content_hash, example_count FROM training_datasets
WHERE name = :name AND (CAST(:version AS int) IS NULL OR version = :version)
ORDER BY version DESC LIMIT 1
""")

CONTENT = text("""
SELECT content FROM dataset_examples
WHERE dataset_id = :dataset AND (CAST(:split AS text) IS NULL OR split = :split)
ORDER BY content ->> 'id', example_id
""")

USE = text("""
INSERT INTO dataset_uses (dataset_id, split, purpose, used_by) VALUES (:dataset, :split, :purpose, :by)
""")

DIFFERENCE = text("""
SELECT count(*) FILTER (WHERE one.example_id IS NULL) AS added,
       count(*) FILTER (WHERE other.example_id IS NULL) AS removed,
       count(*) FILTER (
           WHERE one.content - 'split' - 'group' <> other.content - 'split' - 'group'
       ) AS changed,
       count(*) FILTER (WHERE one.split <> other.split) AS moved,
       count(*) FILTER (WHERE one.split = 'train' AND other.split = 'test') AS unsealed,
       count(*) FILTER (
           WHERE one.split = other.split AND one.content - 'group' = other.content - 'group'
       ) AS same
FROM (SELECT * FROM dataset_examples WHERE dataset_id = :before) AS one
FULL JOIN (SELECT * FROM dataset_examples WHERE dataset_id = :after) AS other USING (example_id)
""")

COMPARE = text("""
SELECT coalesce(one.example_id, other.example_id) AS example_id, one.content AS before, other.content AS after
FROM (SELECT * FROM dataset_examples WHERE dataset_id = :before) AS one
FULL JOIN (SELECT * FROM dataset_examples WHERE dataset_id = :after) AS other USING (example_id)
WHERE one.content - 'group' IS DISTINCT FROM other.content - 'group'
ORDER BY coalesce(one.content, other.content) ->> 'id'
LIMIT :limit
""")

DECIDE = text("""
UPDATE dataset_proposals SET decided_at = now(), decided_by = :by WHERE name = :name AND decided_at IS NULL
""")
