"""An agent with two versions and a crowd of users, whose answers and reactions take the real write path."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from learning_core import db
from learning_core.access import Caller
from learning_core.experiments import allocations, designs, looks, queries, suggestion
from learning_core.experiments.analysis import Design, Look
from learning_core.experiments.assignment import Slots, slots
from learning_core.experiments.designs import New
from learning_core.experiments.queries import Found
from learning_core.feedback.collect import collect
from learning_core.feedback.executions import record
from learning_core.llm.templates import Prompt
from learning_core.prompts import versions
from learning_core.schema import AllocationStatus, Role
from tests import factories

AGENT = "tax-advisor"
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=13)
"""When experiments begin here: long enough ago for all that follows to lie in the past."""


def on(day: float) -> datetime:
    """Return a moment so many days after the start."""
    return START + timedelta(days=day)


def fix_salt(monkeypatch: pytest.MonkeyPatch, salt: str = "e0f1a2b3c4d5e6f7") -> None:
    """Let every allocation draw the same salt, so that the same users meet the same variants in every run."""
    monkeypatch.setattr(secrets, "token_hex", lambda _: salt)


@dataclass(frozen=True)
class Bench:
    """Where experiments are tried: an organisation with v1 of a prompt in production, v2 and v3 beside it."""

    organization_id: UUID
    caller: Caller
    versions: dict[str, UUID] = field(default_factory=dict)

    def session(self) -> Any:
        """Open a transaction."""
        return db.organization_session(self.organization_id)

    def design(self, *treatments: str, **wishes: Any) -> Design:
        """Suggest a design; thumbs decide unless told otherwise."""
        given = {"primary": "thumbs_up_share", "smallest_effect": 0.05} | wishes
        with self.session() as session:
            return suggestion.suggest(session, AGENT, treatments or ("v2",), START, **given)

    def create(self, *treatments: str, **wishes: Any) -> UUID:
        """Write a draft down."""
        new = New(agent=AGENT, name="Shorter", hypothesis="", design=self.design(*treatments, **wishes))
        with self.session() as session:
            return designs.create(session, self.caller, new)

    def start(self, *treatments: str, **wishes: Any) -> UUID:
        """Write a draft down and start it."""
        experiment_id = self.create(*treatments, **wishes)
        with self.session() as session:
            designs.start(session, self.caller, experiment_id, START)
        return experiment_id

    def look(self, experiment_id: UUID, day: float) -> Look:
        """Look at an experiment."""
        with self.session() as session:
            return looks.take(session, experiment_id, on(day))

    def find(self, experiment_id: UUID) -> Found:
        """Return an experiment as it stands."""
        with self.session() as session:
            return queries.find(session, experiment_id)


def settle(organization: Any) -> Bench:
    """Make the versions."""
    bench = Bench(organization.id, Caller(organization.id, "Edda", Role.ENGINEER))
    with bench.session() as session:
        for words in ("Answer.", "Answer briefly.", "Answer at length."):
            prompt = Prompt.from_text(words)
            version = versions.save(session, bench.caller, AGENT, prompt, reason="To compare.")
            bench.versions[version.key] = version.id
    return bench


@dataclass(frozen=True)
class Manner:
    """How users fare under each variant; without one of their own it is that of "control".

    Attributes:
        liked: Probability that an answer gets thumbs up; each user's own varies around it.
        failed: Probability that an answer ends in an error.
        reported: Share of the users whose answers reach us.
    """

    liked: Mapping[str, float] = field(default_factory=lambda: {"control": 0.6})
    failed: Mapping[str, float] = field(default_factory=lambda: {"control": 0.01})
    reported: Mapping[str, float] = field(default_factory=lambda: {"control": 1.0})


class Crowd:
    """Users who ask now and then, meet what the allocation says, and mostly say what they think."""

    def __init__(self, bench: Bench, size: int = 300, seed: int = 1, active: float = 0.45) -> None:
        self.bench, self.active, self.rng = bench, active, Random(seed)
        self.leaning = {f"user-{number}": self.rng.gauss(0, 0.1) for number in range(size)}

    def live(self, experiment_id: UUID, day: int, manner: Manner) -> None:
        """Let a day pass, from that many days after the start on."""
        with self.bench.session() as session:
            found = assigned(session, experiment_id)
            users = [user for user in self.leaning if self.rng.random() < self.active]
            answers = [self._answer(found, user, day, manner) for user in users]
            record(session, [answer for answer, _ in answers if answer])
            collect(session, [said for answer, said in answers if answer and said], "api")

    def _answer(
        self, found: tuple[UUID, Slots] | None, user: str, day: int, manner: Manner
    ) -> tuple[Any, Any]:
        rng = Random(f"{user} {day}")
        variant = found[1].assign(user) if found else None
        key = variant or "control"
        if Random(f"{user} reports").random() > manner.reported.get(key, manner.reported["control"]):
            return None, None
        failed = rng.random() < manner.failed.get(key, manner.failed["control"])
        at = on(day + rng.random() * 0.9)
        answer = factories.execution(
            execution_id=f"{user} {day}",
            user_id=user,
            prompt_version="v1" if key == "control" else "v2",
            error="Timed out." if failed else None,
            latency_ms=round(rng.uniform(500, 1_500)),
            created_at=at,
            assignment=f"{found[0].hex}.{variant}" if found and variant else None,
        )
        likes = rng.random() < manner.liked.get(key, manner.liked["control"]) + self.leaning[user]
        said = factories.feedback(
            id=f"{user} {day}",
            execution_id=f"{user} {day}",
            feedback_type="thumbs_up" if likes else "thumbs_down",
            created_at=at + timedelta(minutes=5),
        )
        return answer, said


def assigned(session: Session, experiment_id: UUID) -> tuple[UUID, Slots] | None:
    """Return who meets what under an experiment, None while and after nobody does."""
    found = allocations.of_experiment(session, experiment_id)
    if found is None or found.status is not AllocationStatus.OPEN:
        return None
    shares = [(variant.variant, variant.share) for variant in found.variants]
    return found.id, slots(
        found.agent_id, found.salt, (found.first_bucket, found.end_bucket), found.ramp, shares
    )
