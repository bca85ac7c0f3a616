"""An agent whose users meet what releases give them, answer by answer along the real write path."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest

from learning_core import db
from learning_core.access import Caller
from learning_core.feedback.collect import collect
from learning_core.feedback.executions import record
from learning_core.llm.templates import Prompt
from learning_core.prompts import versions
from learning_core.releases import queries, rollout, routing
from learning_core.releases.queries import Found
from learning_core.releases.rollout import Start
from learning_core.releases.stages import Decision
from learning_core.schema import Role
from tests import factories

AGENT = "tax-advisor"
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=25)
"""When releases start here: long enough ago for all that follows to lie in the past."""


def after(hours: float) -> datetime:
    """Return a moment so many hours after the start."""
    return START + timedelta(hours=hours)


def fix_salt(monkeypatch: pytest.MonkeyPatch, salt: str = "e0f1a2b3c4d5e6f7") -> None:
    """Let every allocation draw the same salt, so that the same users meet the same variants in every run."""
    monkeypatch.setattr(secrets, "token_hex", lambda _: salt)


@dataclass(frozen=True)
class Manner:
    """How users fare with a version.

    Attributes:
        stars: What they give, on average.
        failed: Probability that an answer ends in an error.
        slower: By what its time is multiplied.
    """

    stars: float = 4.0
    failed: float = 0.0
    slower: float = 1.0


@dataclass(frozen=True)
class Rollouts:
    """An organisation with v1 of a prompt in production, and v2 and v3 to be released."""

    organization_id: UUID
    engineer: Caller
    colleague: Caller
    versions: dict[str, UUID] = field(default_factory=dict)

    def session(self) -> Any:
        """Open a transaction."""
        return db.organization_session(self.organization_id)

    def start(self, version: str = "v2", at: datetime = START, **wishes: Any) -> UUID:
        """Start a release."""
        with self.session() as session:
            return rollout.start(session, self.engineer, Start(AGENT, version, "Better.", **wishes), at)

    def advance(self, release_id: UUID, hours: float) -> Decision:
        """Let a release check itself so many hours after the start."""
        with self.session() as session:
            return rollout.advance(session, release_id, after(hours))

    def find(self, release_id: UUID) -> Found:
        """Return a release as it stands."""
        with self.session() as session:
            return queries.find(session, release_id)

    def kinds(self, release_id: UUID) -> list[str]:
        """Return what happened to a release."""
        with self.session() as session:
            return [event.kind for event in queries.history(session, release_id)]

    def gets(self, user: str = "somebody") -> str:
        """Return the key of the version that a user gets."""
        with self.session() as session:
            return routing.route(session, AGENT, user).version

    def live(
        self,
        hours: float,
        manners: Mapping[str, Manner],
        *,
        users: int = 1500,
        answers: int = 3,
        name: str = "user",
    ) -> dict[str, int]:
        """Let users ask, so many times each, and rate; return how many answers each version gave.

        Those who are in no release are skipped: what they do counts nowhere here.
        """
        with self.session() as session:
            table = routing.routing_table(session, AGENT)
            told, said, given = [], [], {}
            for number in range(users):
                route = table.route(f"{name}-{number}")
                if route.assignment is None:
                    continue
                rng = Random(f"{name} {number} {hours}")
                manner, temper = manners[route.version], Random(f"{name} {number}").gauss(0, 0.5)
                for turn in range(answers):
                    key = f"{name} {number} {hours} {turn}"
                    at = after(hours) + timedelta(minutes=rng.random() * 50)
                    failed = rng.random() < manner.failed
                    told.append(
                        factories.execution(
                            execution_id=key,
                            agent_id=AGENT,
                            user_id=f"{name}-{number}",
                            prompt_version=route.version,
                            assignment=route.assignment,
                            error="Timed out." if failed else None,
                            latency_ms=round(rng.lognormvariate(6.5, 0.4) * manner.slower),
                            created_at=at,
                        )
                    )
                    stars = round(min(5, max(1, rng.gauss(manner.stars + temper, 0.7))))
                    said.append(
                        factories.feedback(
                            id=key,
                            execution_id=key,
                            agent_id=AGENT,
                            user_id=f"{name}-{number}",
                            feedback_type="star_rating",
                            rating=stars,
                            created_at=at,
                        )
                    )
                    given[route.version] = given.get(route.version, 0) + 1
            record(session, told)
            collect(session, said, "api")
        return given


def settle(organization: Any) -> Rollouts:
    """Make the versions."""
    people = (Caller(organization.id, name, Role.ENGINEER) for name in ("Edda", "Olaf"))
    rollouts = Rollouts(organization.id, *people)
    with rollouts.session() as session:
        for words in ("Answer.", "Answer briefly.", "Answer at length."):
            prompt = Prompt.from_text(words)
            version = versions.save(session, rollouts.engineer, AGENT, prompt, reason="To release.")
            rollouts.versions[version.key] = version.id
    return rollouts
