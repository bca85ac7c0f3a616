"""Who plays in the demo story: the agents, their prompt versions, and the incident that hits one of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple


class Version(NamedTuple):
    """A prompt version and what its answers are like.

    Attributes:
        name: As executions report it.
        since: Day of the story (0-89) from which it serves.
        flawed: Share (0-1) of its answers with a flaw.
        wrong, unsourced, long_winded: Weights of the kinds of flaws: of content, no source, too many words.
        outdated: How much likelier an outdated content is than another flaw of content.
        prompt_tokens: Length of the prompt without the question.
        failing: Share (0-1) of executions that fail.
    """

    name: str
    since: int
    flawed: float
    wrong: float
    unsourced: float
    long_winded: float
    outdated: float
    prompt_tokens: int
    failing: float = 0.008


class Agent(NamedTuple):
    """One of the firm's agents.

    Attributes:
        agent_id: Its key.
        demand: Share (0-1) of the executions of the ninety days; 0 for agents that do not occur in them.
        versions: Its prompt versions, the oldest first.
        latency_ms: Median latency of an answer of 600 characters.
        reactions: Share (0-1) of executions without a flaw on which someone of average outspokenness reacts.
    """

    agent_id: str
    demand: float
    versions: tuple[Version, ...]
    latency_ms: float
    reactions: float


_TAX_ADVISOR = (
    Version("v1", 0, 0.30, wrong=0.62, unsourced=0.26, long_winded=0.12, outdated=5.0, prompt_tokens=900),
    Version("v2", 50, 0.12, wrong=0.70, unsourced=0.05, long_winded=0.25, outdated=0.4, prompt_tokens=1500),
)
_AUDIT_ASSISTANT = (
    Version("v1", 0, 0.27, wrong=0.40, unsourced=0.05, long_winded=0.55, outdated=1.5, prompt_tokens=1100),
    Version("v2", 34, 0.19, wrong=0.65, unsourced=0.10, long_winded=0.25, outdated=1.5, prompt_tokens=1000),
)
_BOOKKEEPING_HELPER = (
    Version("v1", 0, 0.15, wrong=0.75, unsourced=0.12, long_winded=0.13, outdated=1.0, prompt_tokens=700),
)

AGENTS = (
    Agent("tax-advisor", 0.42, _TAX_ADVISOR, latency_ms=2_600, reactions=0.265),
    Agent("audit-assistant", 0.23, _AUDIT_ASSISTANT, latency_ms=3_300, reactions=0.175),
    Agent("bookkeeping-helper", 0.35, _BOOKKEEPING_HELPER, latency_ms=1_400, reactions=0.21),
)

CLIENT_PORTAL = Agent(
    "client-portal",
    demand=0.0,
    versions=(
        Version(
            "v1",
            0,
            0.48,
            wrong=0.35,
            unsourced=0.0,
            long_winded=0.65,
            outdated=1.0,
            prompt_tokens=600,
            failing=0.003,
        ),
        Version(
            "v2",
            4,
            0.14,
            wrong=0.70,
            unsourced=0.0,
            long_winded=0.30,
            outdated=1.0,
            prompt_tokens=650,
            failing=0.003,
        ),
    ),
    latency_ms=1_900,
    reactions=0.70,
)
LETTER_WRITER = Agent(
    "letter-writer",
    demand=0.0,
    versions=(
        Version("v1", 0, 0.28, wrong=0.90, unsourced=0.0, long_winded=0.10, outdated=1.0, prompt_tokens=800),
        Version(
            "v2",
            5,
            0.20,
            wrong=0.60,
            unsourced=0.0,
            long_winded=0.40,
            outdated=1.0,
            prompt_tokens=2_400,
            failing=0.25,
        ),
        Version("v3", 20, 0.21, wrong=0.90, unsourced=0.0, long_winded=0.1, outdated=1.0, prompt_tokens=900),
    ),
    latency_ms=3_000,
    reactions=0.60,
)
"""Two more, on whose users something is tried out; the days of their versions count from their own start."""


class Incident(NamedTuple):
    """Days on which an agent does badly.

    Attributes:
        agent_id: Whom it hits.
        first, last: Its days.
        slowness: How many times slower the agent answers.
        failures: Share (0-1) of executions that fail.
        on_topic: Share (0-1) of questions that touch the VAT rates.
        wrong: Share (0-1) of the answers to these that use the wrong table.
    """

    agent_id: str
    first: date
    last: date
    slowness: float = 3.5
    failures: float = 0.12
    on_topic: float = 0.65
    wrong: float = 0.9


def find_incident(now: datetime) -> Incident:
    """Return the incident of the story told at `now`: Tuesday to Thursday, about three weeks before."""
    around = now.astimezone(UTC).date() - timedelta(days=21)
    tuesday = around + timedelta(days=1 - around.weekday())
    return Incident("bookkeeping-helper", tuesday, tuesday + timedelta(days=2))
