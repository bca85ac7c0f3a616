"""Questions about datasets: one function, one question, one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core.datasets.curation import Rules
from learning_core.datasets.selection import FITS, parameters
from learning_core.db import frame

if TYPE_CHECKING:
    import pandas as pd


def preview(session: Session, rules: Rules) -> pd.DataFrame:
    """Return what rules would select, one row per example type: example_type (str), example_count,
    verified_count (int), quality (mean, 0-1, float), agent_count (int); the commonest first.
    """
    return frame(
        session,
        f"""
        SELECT example_type, count(*) AS example_count,
               count(*) FILTER (WHERE human_verified) AS verified_count,
               avg(quality_score) AS quality, count(DISTINCT agent_id) AS agent_count
        FROM learning_examples AS example JOIN agents ON agents.id = agent_id
        WHERE {FITS}
        GROUP BY example_type
        ORDER BY example_count DESC, example_type
        """,  # noqa: S608 - made of constants
        **parameters(rules),
    )


def sample(session: Session, rules: Rules, limit: int = 20) -> pd.DataFrame:
    """Return the newest examples that rules would select: id, agent, example_type, input_text,
    expected_output (str), quality (0-1), human_verified (bool), created_at (UTC).
    """
    return frame(
        session,
        f"""
        SELECT CAST(example.id AS text) AS id, agents.key AS agent, example_type,
               left(input_text, 400) AS input_text, left(approved_output, 400) AS expected_output,
               quality_score AS quality, human_verified, example.created_at
        FROM learning_examples AS example JOIN agents ON agents.id = agent_id
        WHERE {FITS}
        ORDER BY example.created_at DESC, example.id DESC
        LIMIT :limit
        """,  # noqa: S608 - made of constants
        **parameters(rules),
        limit=limit,
    )


def approved_count(session: Session) -> int:
    """Return how many examples are approved."""
    return int(
        session.execute(text("SELECT count(*) FROM learning_examples WHERE status = 'approved'")).scalar_one()
    )


def agents(session: Session) -> list[str]:
    """Return the agents that have approved examples, by name."""
    found = session.execute(
        text("""
            SELECT key FROM agents
            WHERE EXISTS (SELECT FROM learning_examples WHERE agent_id = agents.id AND status = 'approved')
            ORDER BY key LIMIT 500
        """)
    )
    return list(found.scalars())


def domains(session: Session) -> list[str]:
    """Return the domains of approved examples, by name."""
    found = session.execute(
        text("""
            SELECT DISTINCT domain FROM learning_examples
            WHERE status = 'approved' AND domain IS NOT NULL ORDER BY domain LIMIT 200
        """)
    )
    return list(found.scalars())


def versions(session: Session, agent: str | None = None) -> list[Row[Any]]:
    """Return the versions, newest first, or those that hold examples of one agent: id, name, version, rules,
    content_hash, example_count, statistics, gates, created_by, created_at, test_uses (int).
    """
    return list(session.execute(VERSIONS, {"agent": agent}))


def version(session: Session, dataset_id: UUID) -> Row[Any] | None:
    """Return one version with the columns of `versions`, None where there is none."""
    return session.execute(VERSION, {"id": dataset_id}).one_or_none()


def members(session: Session, dataset_id: UUID, split: str | None, limit: int = 200) -> pd.DataFrame:
    """Return the first examples of a version by id: id (of the example), name, split, group, agent,
    example_type, input_text, expected_output, rejected_output (str), quality (0-1), human_verified (bool).
    """
    return frame(
        session,
        """
        SELECT CAST(example_id AS text) AS id, content ->> 'id' AS name, split, group_name AS group,
               content ->> 'agent_id' AS agent, content ->> 'example_type' AS example_type,
               content ->> 'input_text' AS input_text, content ->> 'expected_output' AS expected_output,
               content ->> 'rejected_output' AS rejected_output,
               CAST(content ->> 'quality_score' AS float8) AS quality,
               CAST(content ->> 'human_verified' AS bool) AS human_verified
        FROM dataset_examples
        WHERE dataset_id = :dataset AND (CAST(:split AS text) IS NULL OR split = :split)
        ORDER BY name, example_id
        LIMIT :limit
        """,
        dataset=dataset_id,
        split=split,
        limit=limit,
    )


def composition(session: Session, dataset_id: UUID) -> pd.DataFrame:
    """Return what a version consists of, one row per example type and split: example_type, split (str),
    example_count, pair_count (int, those that also hold a worse output); the commonest type first.
    """
    return frame(
        session,
        """
        SELECT content ->> 'example_type' AS example_type, split, count(*) AS example_count,
               count(*) FILTER (
                   WHERE content ->> 'rejected_output' <> content ->> 'expected_output'
               ) AS pair_count
        FROM dataset_examples
        WHERE dataset_id = :dataset
        GROUP BY example_type, split
        ORDER BY sum(count(*)) OVER (PARTITION BY content ->> 'example_type') DESC, example_type, split
        """,
        dataset=dataset_id,
    )


def uses(session: Session, dataset_id: UUID) -> pd.DataFrame:
    """Return each use of a version's splits: used_at (UTC), split, purpose, used_by (str); newest first."""
    return frame(
        session,
        """
        SELECT used_at, split, purpose, used_by FROM dataset_uses
        WHERE dataset_id = :dataset ORDER BY used_at DESC, id DESC LIMIT 500
        """,
        dataset=dataset_id,
    )


def proposals(session: Session) -> list[Row[Any]]:
    """Return the proposals that wait for a person: id, name, rules, summary, proposed_at; by name."""
    return list(
        session.execute(
            text("""
                SELECT id, name, rules, summary, proposed_at FROM dataset_proposals
                WHERE decided_at IS NULL ORDER BY name
            """)
        )
    )


def versions_of_example(session: Session, example_id: UUID) -> list[Row[Any]]:
    """Return the versions that hold an example: dataset_id, name, version, split, created_at; by time."""
    return list(
        session.execute(
            text("""
                SELECT dataset_id, name, version, split, created_at
                FROM dataset_examples JOIN training_datasets AS dataset ON dataset.id = dataset_id
                WHERE example_id = :example ORDER BY created_at, name
            """),
            {"example": example_id},
        )
    )


VERSION_COLUMNS = """
SELECT dataset.id, name, version, rules, content_hash, example_count, statistics, gates, created_by,
       created_at,
       (SELECT count(*) FROM dataset_uses WHERE dataset_id = dataset.id AND split = 'test') AS test_uses
FROM training_datasets AS dataset
"""

VERSIONS = text(f"""{VERSION_COLUMNS}
WHERE CAST(:agent AS text) IS NULL OR statistics -> 'by_agent' ? :agent
ORDER BY created_at DESC, name, version DESC
LIMIT 500
""")

VERSION = text(f"{VERSION_COLUMNS} WHERE dataset.id = :id")
