"""Ninety days of an accounting firm with three agents, as executions and feedback in time order.

The tax advisor gets better with its second prompt version, the audit assistant learns to be brief, and for
three days about three weeks ago the bookkeeping helper is slow, fails often and uses a wrong table of VAT
rates. Firm, people, clients and law are invented.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import NamedTuple

from learning_core.demo.cast import AGENTS, Agent, Incident, Version, find_incident
from learning_core.demo.figures import Figures
from learning_core.demo.reactions import Conversation, Person, choose, react
from learning_core.demo.texts import Flaw, Topic, remarks, topics
from learning_core.feedback.entries import ExecutionEntry, FeedbackEntry, IssueCategory

DAYS = 90
EXECUTIONS = 6_000
"""How many the story has, give or take a few per cent."""

PEOPLE = 150

WEEKDAYS = (1.0, 1.08, 1.05, 1.0, 0.82, 0.09, 0.05)
"""Executions on Monday to Sunday, compared with a Monday."""

HOURS = {7: 3, 8: 9, 9: 13, 10: 13, 11: 11, 12: 5, 13: 8, 14: 12, 15: 11, 16: 8, 17: 4, 18: 2, 20: 1, 21: 1}
"""Executions in each hour (UTC), in per cent of the day's."""

GROWTH = 0.45
"""How much busier the last day is than the first, as a share of the first."""

REACTIONS_TO_FLAWS = 2.0
"""How much likelier people react to a flawed or failed answer than to a good one."""

USD_PER_TOKEN_READ, USD_PER_TOKEN_WRITTEN = Decimal("0.0000025"), Decimal("0.00001")
CHARACTERS_PER_TOKEN = 4


class Conditions(NamedTuple):
    """What serves an answer: an agent's prompt version and, on some days, an incident."""

    agent: Agent
    version: Version
    incident: Incident | None


def tell(now: datetime, seed: int = 7) -> Iterator[tuple[ExecutionEntry, tuple[FeedbackEntry, ...]]]:
    """Tell the ninety days up to `now`: each execution with the feedback it received, in time order.

    The same seed and `now` always tell the same story, ids included.
    """
    rng, now = Random(seed), now.astimezone(UTC)
    start, incident = now - timedelta(days=DAYS), find_incident(now)
    people = _people(rng)
    askers = {agent.agent_id: _wishes(people, agent) for agent in AGENTS}
    for number, moment in enumerate(_moments(rng, start, now), start=1):
        agent = rng.choices(AGENTS, [agent.demand for agent in AGENTS])[0]
        person = rng.choices(people, askers[agent.agent_id])[0]
        conditions = _conditions(agent, moment, (moment - start).days, incident)
        conversation = converse(rng, conditions, person, f"demo-{number:05}", moment)
        yield conversation.execution, _reactions(rng, agent, conversation, now)


def _people(rng: Random) -> list[Person]:
    desks = rng.choices([agent.agent_id for agent in AGENTS], [agent.demand for agent in AGENTS], k=PEOPLE)
    return [
        Person(
            user_id=f"demo-user-{number:03}",
            agent_id=desk,
            eagerness=rng.paretovariate(1.4),
            outspokenness=rng.choice((0.2, 0.6, 0.9, 1.1, 1.4, 1.8)),
            is_terse=rng.random() < 0.35,
        )
        for number, desk in enumerate(desks, start=1)
    ]


def _wishes(people: list[Person], agent: Agent) -> list[float]:
    return [person.eagerness * (1.0 if person.agent_id == agent.agent_id else 0.05) for person in people]


def _moments(rng: Random, start: datetime, now: datetime) -> list[datetime]:
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    days = [midnight + timedelta(days=number) for number in range(DAYS + 1)]
    weights = [
        WEEKDAYS[day.weekday()] * (1 + GROWTH * number / DAYS) * rng.uniform(0.9, 1.1)
        for number, day in enumerate(days)
    ]
    hours, shares = list(HOURS), list(HOURS.values())
    moments = [
        day + timedelta(hours=hour, seconds=rng.uniform(0, 3600))
        for day, weight in zip(days, weights, strict=True)
        for hour in rng.choices(hours, shares, k=round(EXECUTIONS * weight / sum(weights)))
    ]
    return sorted(moment for moment in moments if start < moment < now)


def _conditions(agent: Agent, moment: datetime, day: int, incident: Incident) -> Conditions:
    version = next(version for version in reversed(agent.versions) if version.since <= day)
    is_hit = agent.agent_id == incident.agent_id and incident.first <= moment.date() <= incident.last
    return Conditions(agent, version, incident if is_hit else None)


def converse(
    rng: Random, conditions: Conditions, person: Person, execution_id: str, moment: datetime
) -> Conversation:
    """Let a person ask an agent something, and the agent answer as its version does."""
    topic = _topic(rng, conditions)
    flaw = _flaw(rng, conditions, topic)
    figures = Figures(rng, moment, topic.about)
    question = _question(rng, person, topic, figures)
    error = _error(rng, conditions)
    answer = topic.answered_with(flaw).format_map(figures) if error is None else None
    execution = ExecutionEntry(
        execution_id=execution_id,
        agent_id=conditions.agent.agent_id,
        input_text=question,
        output_text=answer,
        prompt_version=conditions.version.name,
        user_id=person.user_id,
        latency_ms=_latency_ms(rng, conditions, answer or ""),
        cost_usd=_cost_usd(conditions.version.prompt_tokens, question, answer or ""),
        error=error,
        created_at=moment,
    )
    return Conversation(moment, person, topic, flaw, figures, execution)


def _topic(rng: Random, conditions: Conditions) -> Topic:
    candidates = topics(conditions.agent.agent_id)
    if conditions.incident and rng.random() < conditions.incident.on_topic:
        candidates = tuple(topic for topic in candidates if any(flaw.is_incident for flaw in topic.flaws))
    # The files begin with what is asked most.
    return rng.choices(candidates, [1 / (rank + 8) for rank in range(len(candidates))])[0]


def _flaw(rng: Random, conditions: Conditions, topic: Topic) -> Flaw | None:
    version, incident = conditions.version, conditions.incident
    wrong_table = [flaw for flaw in topic.flaws if flaw.is_incident]
    if incident and wrong_table and rng.random() < incident.wrong:
        return wrong_table[0]
    if rng.random() > version.flawed:
        return None
    kind = choose(
        rng, {"wrong": version.wrong, "unsourced": version.unsourced, "long-winded": version.long_winded}
    )
    if kind == "wrong":
        return _wrong(rng, version, topic)
    return topic.unsourced if kind == "unsourced" else topic.long_winded


def _wrong(rng: Random, version: Version, topic: Topic) -> Flaw:
    usual = [flaw for flaw in topic.flaws if not flaw.is_incident]
    weights = [version.outdated if flaw.category is IssueCategory.OUTDATED else 1.0 for flaw in usual]
    return rng.choices(usual, weights)[0]


def _question(rng: Random, person: Person, topic: Topic, figures: Figures) -> str:
    opening = "" if person.is_terse or rng.random() > 0.2 else rng.choice(remarks().openings)
    return opening + rng.choice(topic.questions).format_map(figures)


def _error(rng: Random, conditions: Conditions) -> str | None:
    failures = conditions.incident.failures if conditions.incident else conditions.version.failing
    return rng.choice(remarks().errors) if rng.random() < failures else None


def _latency_ms(rng: Random, conditions: Conditions, answer: str) -> float:
    slowness = conditions.incident.slowness if conditions.incident else 1.0
    length = 0.5 + 0.5 * len(answer) / 600
    return round(conditions.agent.latency_ms * slowness * length * rng.lognormvariate(0, 0.4), 1)


def _cost_usd(prompt_tokens: int, question: str, answer: str) -> Decimal:
    read = prompt_tokens + len(question) // CHARACTERS_PER_TOKEN
    return read * USD_PER_TOKEN_READ + len(answer) // CHARACTERS_PER_TOKEN * USD_PER_TOKEN_WRITTEN


def _reactions(
    rng: Random, agent: Agent, conversation: Conversation, now: datetime
) -> tuple[FeedbackEntry, ...]:
    is_disappointing = conversation.flaw is not None or conversation.execution.error is not None
    chance = agent.reactions * conversation.person.outspokenness
    if is_disappointing:
        chance *= REACTIONS_TO_FLAWS
    return react(rng, conversation, now) if rng.random() < chance else ()
