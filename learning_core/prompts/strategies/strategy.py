"""One way of making proposals, as a person chooses it; whatever the guard refuses is dropped and told."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from learning_core.prompts.strategies.briefs import Ask, Brief, Proposal, Refused
from learning_core.prompts.strategies.guard import refusal

Drafts: TypeAlias = Callable[[Brief, Ask, random.Random], Iterable[Proposal | Refused]]


class Drafted(NamedTuple):
    """What a strategy came up with."""

    proposals: list[Proposal]
    refused: list[Refused]


@dataclass(frozen=True)
class Strategy:
    """One way of making proposals.

    Attributes:
        name: Its key.
        title: What people call it.
        description: What it does, in one sentence.
        needs: "proposer" where nothing comes of it without a model that writes.
        drafts: Yields proposals, the best first, and what came to nothing; it may yield more than wanted.
    """

    name: str
    title: str
    description: str
    needs: Literal["proposer"] | None
    drafts: Drafts

    @property
    def needs_proposer(self) -> bool:
        """Tell whether nothing comes of it without a model that writes."""
        return self.needs == "proposer"

    def propose(self, brief: Brief, ask: Ask, rng: random.Random) -> list[Proposal]:
        """Return proposals fit to be tried, at most as many as there is room for."""
        return self.draft(brief, ask, rng).proposals

    def draft(self, brief: Brief, ask: Ask, rng: random.Random) -> Drafted:
        """Return proposals fit to be tried, and those that are not, with the reason."""
        drafted = Drafted([], [])
        if brief.room < 1:
            return drafted
        seen: set[str] = set()
        for draft in self.drafts(brief, ask, rng):
            if isinstance(draft, Refused):
                drafted.refused.append(draft)
                continue
            own = draft.prompt.content_hash
            reason = "It is proposed twice." if own in seen else refusal(draft, brief)
            seen.add(own)
            if reason:
                drafted.refused.append(Refused(self.name, reason, draft.prompt))
            else:
                drafted.proposals.append(draft)
            if len(drafted.proposals) >= brief.room:
                break
        return drafted
