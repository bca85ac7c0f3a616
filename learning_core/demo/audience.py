"""Who uses the agents on whose users the firm tries things out: when they ask, and whether it helped them.

Which version answers whom is not decided here: it is asked of the routes, as an agent would.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from learning_core.demo.cast import Agent, Version
from learning_core.demo.reactions import Conversation, Person, choose
from learning_core.demo.story import HOURS, WEEKDAYS, Conditions, converse
from learning_core.demo.texts import remarks
from learning_core.feedback.entries import ExecutionEntry, FeedbackEntry, FeedbackType, IssueCategory
from learning_core.releases.routing import RoutingTable

PLEASED, FORGIVING = 0.92, 0.24
"""Share (0-1) of thumbs that are up after an answer without a flaw, and after any other."""

HARD_TO_PLEASE = 0.15
"""How much less often they are with people who write in fragments."""

NAMED, COMMENTED = 0.5, 0.3
"""Share (0-1) of thumbs down that name what is wrong, and that say it in words."""

STARRED = 0.08
"""Share (0-1) of thumbs that come with stars."""
STARS_UP, STARS_DOWN = {5: 0.55, 4: 0.45}, {3: 0.3, 2: 0.5, 1: 0.2}


@dataclass
class Audience:
    """The users of one agent and the moments at which somebody will ask.

    Attributes:
        agent: The agent.
        people: Its users.
        moments: When one of them asks, in order; those that have passed are gone.
        now: The end of the story; nothing is said after it.
        rng: All chance there is.
        asked: How often somebody has asked so far.
    """

    agent: Agent
    people: list[Person]
    moments: deque[datetime]
    now: datetime
    rng: Random
    asked: int = 0

    def ask(
        self, table: RoutingTable, until: datetime
    ) -> Iterator[tuple[ExecutionEntry, FeedbackEntry | None]]:
        """Yield what is asked from where it stopped up to a moment, each with what was said about it."""
        versions = {version.name: version for version in self.agent.versions}
        eagerness = [person.eagerness for person in self.people]
        while self.moments and self.moments[0] < until:
            person = self.rng.choices(self.people, eagerness)[0]
            route = table.route(person.user_id)
            yield self._answer(person, versions[route.version], route.assignment)

    def _answer(
        self, person: Person, version: Version, assignment: str | None
    ) -> tuple[ExecutionEntry, FeedbackEntry | None]:
        self.asked += 1
        key = f"demo-{self.agent.agent_id}-{self.asked:05}"
        conditions = Conditions(self.agent, version, None)
        conversation = converse(self.rng, conditions, person, key, self.moments.popleft())
        reported = conversation.execution.model_copy(update={"assignment": assignment})
        return reported, self._thumb(conversation)

    def _thumb(self, conversation: Conversation) -> FeedbackEntry | None:
        rng, person, flaw = self.rng, conversation.person, conversation.flaw
        said_at = conversation.asked_at + timedelta(seconds=min(10 + rng.lognormvariate(3.4, 1), 3600))
        if rng.random() > self.agent.reactions * person.outspokenness or said_at >= self.now:
            return None
        failed = conversation.execution.error is not None
        share = FORGIVING if flaw or failed else PLEASED
        is_up = rng.random() < share - HARD_TO_PLEASE * person.is_terse
        is_explained = not is_up and (flaw is not None or failed)
        category = flaw.category if flaw and not failed else IssueCategory.OTHER
        complaints = flaw.comments if flaw and not failed else remarks().failed
        issues = (category,) if is_explained and rng.random() < NAMED else ()
        words = _say(rng, conversation, complaints) if is_explained and rng.random() < COMMENTED else None
        stars = choose(rng, STARS_UP if is_up else STARS_DOWN) if rng.random() < STARRED else None
        return FeedbackEntry(
            id=f"{conversation.execution.execution_id}-thumb",
            execution_id=conversation.execution.execution_id,
            agent_id=self.agent.agent_id,
            user_id=person.user_id,
            feedback_type=FeedbackType.THUMBS_UP if is_up else FeedbackType.THUMBS_DOWN,
            rating=stars,
            issue_categories=issues,
            feedback_text=words,
            created_at=said_at,
        )


def gather(agent: Agent, people: int, per_day: int, begin: datetime, now: datetime, rng: Random) -> Audience:
    """Gather an agent's users, who ask so often on an average day, from `begin` to `now`."""
    users = [
        Person(
            user_id=f"demo-{agent.agent_id}-user-{number:03}",
            agent_id=agent.agent_id,
            eagerness=rng.uniform(0.3, 1.7),
            outspokenness=rng.choice((0.7, 0.9, 1.1, 1.3)),
            is_terse=rng.random() < 0.35,
        )
        for number in range(1, people + 1)
    ]
    return Audience(agent, users, deque(_moments(rng, per_day, begin, now)), now, rng)


def _moments(rng: Random, per_day: int, begin: datetime, now: datetime) -> list[datetime]:
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    days = [midnight + timedelta(days=number) for number in range((now - midnight).days + 1)]
    hours, shares, usual = list(HOURS), list(HOURS.values()), sum(WEEKDAYS) / len(WEEKDAYS)
    moments = [
        day + timedelta(hours=hour, seconds=rng.uniform(0, 3600))
        for day in days
        for hour in rng.choices(hours, shares, k=round(per_day * WEEKDAYS[day.weekday()] / usual))
    ]
    return sorted(moment for moment in moments if begin <= moment < now)


def _say(rng: Random, conversation: Conversation, complaints: tuple[str, ...]) -> str:
    of_users = [
        words for words in complaints if "{client}" not in words
    ]  # a client does not speak of clients
    words = rng.choice(of_users).format_map(conversation.figures)
    return words.lower().rstrip(".") if conversation.person.is_terse else words
