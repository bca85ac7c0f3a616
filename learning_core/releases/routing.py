"""Which prompt version a user gets: that of their variant while an experiment or a release assigns them one,
else what is in production.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core.experiments.assignment import Slots, slots
from learning_core.prompts import history
from learning_core.prompts.history import PRODUCTION


class Target(NamedTuple):
    """A prompt version by the id of its row, and its key."""

    version_id: UUID
    version: str


class Route(NamedTuple):
    """What a user gets.

    Attributes:
        version_id: Of the prompt version.
        version: Its key.
        variant: What the user meets, None where they are in no experiment and no release.
        assignment: What the agent reports with the execution, for it to count.
        experiment_id: The experiment that assigned it,
        release_id: or the release.
    """

    version_id: UUID
    version: str
    variant: str | None = None
    assignment: str | None = None
    experiment_id: UUID | None = None
    release_id: UUID | None = None


@dataclass(frozen=True)
class Branch:
    """An allocation in force: how it assigns users, and the version behind each of its variants."""

    allocation_id: UUID
    experiment_id: UUID | None
    release_id: UUID | None
    slots: Slots
    versions: dict[str, Target]

    def route(self, user_id: str) -> Route | None:
        """Return what a user gets here, None for users outside."""
        variant = self.slots.assign(user_id)
        if variant is None:
            return None
        assignment = f"{self.allocation_id.hex}.{variant}"
        return Route(*self.versions[variant], variant, assignment, self.experiment_id, self.release_id)


@dataclass(frozen=True)
class RoutingTable:
    """All that decides which version a user of an agent gets, as of one moment."""

    production: Target
    branches: tuple[Branch, ...]

    def route(self, user_id: str | None) -> Route:
        """Return what a user gets, or somebody of whom nothing is known."""
        if user_id is not None:
            for branch in self.branches:
                if found := branch.route(user_id):
                    return found
        return Route(*self.production)


def route(session: Session, agent: str, user_id: str | None) -> Route:
    """Return which version a user of an agent gets now; without a user, the one in production.

    Raises:
        NotFound: the agent has no version in production.
    """
    return routing_table(session, agent).route(user_id)


def routing_table(session: Session, agent: str) -> RoutingTable:
    """Return what is in production and which allocations are open, in one statement.

    Raises:
        NotFound: the agent has no version in production.
    """
    rows = session.execute(ROUTES, {"agent": agent, "label": PRODUCTION}).all()
    if not rows:
        version = history.labelled(session, agent)  # says what is missing
        return RoutingTable(Target(version.id, version.key), ())
    production = Target(rows[0].production_id, rows[0].production)
    assigned = [row for row in rows if row.allocation_id]
    branches = [_branch(list(of_one)) for _, of_one in groupby(assigned, key=lambda row: row.allocation_id)]
    return RoutingTable(production, tuple(branches))


def _branch(rows: Sequence[Row[Any]]) -> Branch:
    first = rows[0]
    return Branch(
        first.allocation_id,
        first.experiment_id,
        first.release_id,
        slots(
            first.agent_id,
            first.salt,
            (first.first_bucket, first.end_bucket),
            first.ramp,
            [(row.variant, row.share) for row in rows],
        ),
        {row.variant: Target(row.version_id, row.version) for row in rows},
    )


ROUTES = text("""
SELECT agents.id AS agent_id, production.id AS production_id, production.key AS production,
       allocation.id AS allocation_id, allocation.experiment_id, allocation.release_id, allocation.salt,
       allocation.first_bucket, allocation.end_bucket, allocation.ramp,
       met.variant, met.share, version.id AS version_id, version.key AS version
FROM agents
JOIN prompt_labels ON prompt_labels.agent_id = agents.id AND prompt_labels.label = :label
JOIN prompt_versions AS production ON production.id = prompt_labels.version_id
LEFT JOIN (
    allocations AS allocation
    JOIN allocation_variants AS met ON met.allocation_id = allocation.id
    JOIN prompt_versions AS version ON version.id = met.version_id
) ON allocation.agent_id = agents.id AND allocation.status = 'open'
    AND (allocation.kind <> 'watch' OR met.version_id = production.id)  -- a watch moves nobody
WHERE agents.key = :agent
ORDER BY allocation.kind = 'watch', allocation.first_bucket, allocation.id, met.position
""")
