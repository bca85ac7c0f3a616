"""What the rules of a dataset come to now: the approved examples that fit, each in its split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.datasets import splits
from learning_core.datasets.content import DatasetExample
from learning_core.datasets.curation import Rules, Statistics
from learning_core.datasets.splits import Split
from learning_core.errors import NotEnoughData
from learning_core.feedback.intervals import Estimate, share
from learning_core.review import agreement, likeness
from learning_core.review.bootstrap import TooLittle
from learning_core.review.tallies import Opinion

SEED = 0
"""Seed of the bootstrap behind the agreement's interval: the same version tells the same figures."""


class Member(NamedTuple):
    """An example as a version would hold it, and what it rests on."""

    example_id: UUID
    content: DatasetExample
    feedback_id: UUID | None
    annotation_ids: tuple[UUID, ...]


@dataclass(frozen=True)
class Selection:
    """What rules come to: the members with their splits, and their statistics."""

    members: list[Member]
    statistics: Statistics


def select(session: Session, rules: Rules) -> Selection:
    """Return what the rules come to now, split by groups.

    Examples of one conversation, of one user, or with nearly the same input are one group. The work grows
    with the number of distinct inputs: some 20,000 of them take about half a minute.

    Raises:
        NotEnoughData: no approved example fits the rules.
    """
    rows = session.execute(CANDIDATES, parameters(rules)).all()
    if not rows:
        raise NotEnoughData("No approved example fits these rules.")
    alike = likeness.clusters([row.input_text for row in rows])
    groups = splits.groups([(row.conversation, row.user_id) for row in rows], alike)
    names = [row.name for row in rows]
    assigned = splits.assign(names, groups, rules.shares, rules.seed)
    group_names = _group_names(names, groups)
    members = [
        _member(row, split, group_names[group])
        for row, split, group in zip(rows, assigned, groups, strict=True)
    ]
    return Selection(members, _statistics(session, rules, members, alike))


def parameters(rules: Rules) -> dict[str, Any]:
    """Return the rules as parameters of a statement that uses `FITS`."""
    return {
        "agents": list(rules.agents),
        "domains": list(rules.domains),
        "example_types": list(rules.example_types),
        "issues": list(rules.issues),
        "minimum_quality": rules.minimum_quality,
        "verified_only": rules.verified_only,
        "since": rules.since,
        "until": rules.until,
    }


def _group_names(names: Sequence[str], groups: Sequence[int]) -> dict[int, str]:
    """Name each group after its first member by name."""
    named: dict[int, str] = {}
    for name, group in zip(names, groups, strict=True):
        named[group] = min(named.get(group, name), name)
    return named


def _member(row: Any, split: Split, group: str) -> Member:
    content = DatasetExample(
        id=row.name,
        agent_id=row.agent,
        example_type=row.example_type,
        split=split,
        group=group,
        input_text=row.input_text,
        expected_output=row.approved_output,
        context=row.context or None,
        rejected_output=_rejected(row),
        demonstration=row.demonstration,
        domain=row.domain,
        source=row.source,
        conversation=row.conversation,
        user_id=row.user_id,
        issue_categories=tuple(row.issue_categories),
        quality_score=row.quality_score,
        human_verified=row.human_verified,
    )
    return Member(row.id, content, row.feedback_id, tuple(row.annotation_ids))


def _rejected(row: Any) -> str | None:
    """Return the output that lost: the other option of a preference, or the answer that was corrected."""
    candidates = (row.original_output, row.alternative_output)
    return next((output for output in candidates if output and output != row.approved_output), None)


def _statistics(
    session: Session, rules: Rules, members: Sequence[Member], alike: Sequence[int]
) -> Statistics:
    contents = [member.content for member in members]
    scores = [content.quality_score for content in contents if content.quality_score is not None]
    sizes = Counter(alike)
    return Statistics(
        example_count=len(contents),
        group_count=len({content.group for content in contents}),
        alike_count=sum(sizes[cluster] > 1 for cluster in alike),
        by_type=dict(Counter(content.example_type for content in contents).most_common()),
        by_split={split: sum(content.split == split for content in contents) for split in Split},
        by_agent=dict(Counter(content.agent_id for content in contents).most_common()),
        quality=round(sum(scores) / len(scores), 4) if scores else None,
        verified=share(sum(content.human_verified for content in contents), len(contents)),
        agreement=_agreement(session, rules),
    )


def _agreement(session: Session, rules: Rules) -> Estimate | TooLittle:
    rows = session.execute(INDEPENDENT, parameters(rules))
    opinions = [Opinion(row.annotator, str(row.example_id), row.verdict) for row in rows]
    return agreement.percent_agreement(opinions).estimate(np.random.default_rng(SEED))


WITHIN = """
    gold_decision IS NULL
    AND (:agents = CAST('{}' AS text[]) OR agents.key = ANY (:agents))
    AND (:domains = CAST('{}' AS text[]) OR domain = ANY (:domains))
    AND (:example_types = CAST('{}' AS text[]) OR example_type = ANY (:example_types))
    AND (:issues = CAST('{}' AS text[]) OR example.issue_categories && :issues)
    AND (CAST(:since AS date) IS NULL
         OR example.created_at >= CAST(:since AS timestamp) AT TIME ZONE 'UTC')
    AND (CAST(:until AS date) IS NULL
         OR example.created_at < CAST(CAST(:until AS date) + 1 AS timestamp) AT TIME ZONE 'UTC')
"""
"""Which examples the rules are about (days in UTC). What reviewers are measured by, nobody learns from."""

FITS = f"""
    {WITHIN}
    AND status = 'approved' AND quality_score >= :minimum_quality
    AND coalesce(input_text, '') <> '' AND coalesce(approved_output, '') <> ''
    AND (human_verified OR NOT :verified_only)
"""
"""Which examples fit the rules."""

CANDIDATES = text(f"""
SELECT example.id, coalesce(example.key, CAST(example.id AS text)) AS name, agents.key AS agent,
       example_type, input_text, context, original_output, alternative_output, approved_output,
       demonstration, domain, source, conversation, user_id, issue_categories, quality_score,
       human_verified, feedback_id,
       ARRAY(
           SELECT annotation.id FROM expert_annotations AS annotation
           WHERE annotation.example_id = example.id AND undone_at IS NULL AND NOT on_gold
           ORDER BY annotation.created_at, annotation.id
       ) AS annotation_ids
FROM learning_examples AS example
JOIN agents ON agents.id = example.agent_id
WHERE {FITS}
ORDER BY name
""")  # noqa: S608 - made of constants

INDEPENDENT = text(f"""
SELECT example_id, annotator, verdict
FROM (
    SELECT annotation.example_id, annotator, coalesce(preference, decision) AS verdict, overlap,
           row_number() OVER (PARTITION BY annotation.example_id
                              ORDER BY annotation.created_at, annotation.id) AS place
    FROM expert_annotations AS annotation
    JOIN learning_examples AS example ON example.id = annotation.example_id
    JOIN agents ON agents.id = example.agent_id
    WHERE overlap > 1 AND decision IS NOT NULL AND undone_at IS NULL AND NOT on_gold AND {WITHIN}
) AS placed
WHERE place <= overlap
ORDER BY example_id, annotator
""")  # noqa: S608 - made of constants
"""The judgements that were given blind to each other; a third opinion was asked for because two differed."""
