"""What the firm tries out on the users of two more agents, what it ships and what it takes back.

In the client portal, a new version wins an experiment and is released: 5 %, 25 %, then all users, who are
watched still. The letter writer's new version failed too often and was taken back by its guardrail; the next
one is in an experiment that has only begun.

Each step goes the way it always goes, only at its time in the story: users ask, and the worker looks. That
takes seconds; a worker does it while people look around already.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.access import Caller
from learning_core.db import organization_session
from learning_core.demo import wordings
from learning_core.demo.audience import Audience, gather
from learning_core.demo.cast import CLIENT_PORTAL, LETTER_WRITER, Agent
from learning_core.experiments import designs, looks, suggestion
from learning_core.experiments.analysis import Direction, Look
from learning_core.experiments.designs import New
from learning_core.feedback.collect import collect
from learning_core.feedback.executions import record
from learning_core.jobs import queue
from learning_core.prompts.transfer import take_in
from learning_core.releases import measurement, rollout, routing
from learning_core.releases.rollout import Start
from learning_core.releases.stages import Action, Stage
from learning_core.schema import ExperimentDecision, Role

ENGINEER, LEAD = "Mara Lindt (simulated)", "Dario Weiss (simulated)"

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@queue.task(name="demo.release")
def release(organization_id: str, seed: str) -> None:
    """Let a demo organisation try out, ship and take back what it does; each agent in one transaction."""
    for plot in (tell_of_portal, tell_of_letters):
        with organization_session(UUID(organization_id)) as session:
            plot(session, UUID(organization_id), datetime.now(UTC), seed)


class Cast(NamedTuple):
    """An agent, how many use it, how often on an average day, and since how many days."""

    agent: Agent
    people: int
    per_day: int
    days: int


STAGES = (Stage(0.05, 24), Stage(0.25, 168), Stage(1.0, 336))
"""A week at 25 %, so that the two versions can be compared side by side once more."""

PORTAL = Cast(CLIENT_PORTAL, people=420, per_day=95, days=44)
LETTERS = Cast(LETTER_WRITER, people=160, per_day=45, days=26)


@dataclass
class Plot:
    """One agent's story on its way to the present.

    Attributes:
        session: The one transaction in which all of it happens.
        agent: Whose story it is.
        audience: Its users.
        engineer: Who tries out and ships,
        lead: and who decides.
        at: How far it is told.
        now: Its end.
        seed: What makes it this story and no other.
    """

    session: Session
    agent: Agent
    audience: Audience
    engineer: Caller
    lead: Caller
    at: datetime
    now: datetime
    seed: str

    def go_to(self, moment: datetime) -> bool:
        """Let users ask up to a moment, which is now at the latest; return whether it is before that."""
        self.at = min(moment, self.now)
        table = routing.routing_table(self.session, self.agent.agent_id)
        asked = self.audience.ask(table, self.at)
        while part := list(islice(asked, 1_000)):
            record(self.session, [execution for execution, _ in part])
            collect(self.session, [thumb for _, thumb in part if thumb], "demo")
        return self.at < self.now

    def deal(self) -> None:
        """Let the seed say who meets which variant, so that the story is always the same."""
        wish = {"agent": self.agent.agent_id, "seed": f"{self.seed} of {self.agent.agent_id}"}
        self.session.execute(DEAL, wish)


def begin(session: Session, organization_id: UUID, cast: Cast, now: datetime, seed: str) -> Plot | None:
    """Save an agent's prompts and gather its users; None where that was done before."""
    agent, start = cast.agent, morning(now, cast.days)
    if session.execute(KNOWN, {"agent": agent.agent_id}).scalar():
        return None
    engineer = Caller(organization_id, ENGINEER, Role.ENGINEER)
    take_in(session, engineer, agent.agent_id, wordings.entries(agent, start))
    session.execute(wordings.DATE_LABELS, {"agent": agent.agent_id})
    rng = Random(f"{seed} {agent.agent_id}")
    audience = gather(agent, cast.people, cast.per_day, start, now, rng)
    lead = Caller(organization_id, LEAD, Role.ADMIN)
    return Plot(session, agent, audience, engineer, lead, start, now, seed)


# ---------------------------------------------------------------- the client portal


def tell_of_portal(session: Session, organization_id: UUID, now: datetime, seed: str) -> None:
    """An experiment is won, and its version released to all users."""
    plot = begin(session, organization_id, PORTAL, now, seed)
    if plot is None:
        return
    plot.go_to(morning(now, 37))
    hypothesis = (
        "Clients vote answers down that are long, or where they have to search for the date. Answering first"
        " should bring at least five more thumbs up in a hundred."
    )
    experiment = compare(plot, "v2", "Answer first", hypothesis)
    look = watch(plot, experiment, days_after=4)
    if look is None or look.verdict is None or look.verdict.direction is not Direction.BETTER:
        return  # chance would have it so; the experiment goes on
    plot.go_to(plot.at + 5 * HOUR)
    reason = "Clearly better, nothing else got worse, and it costs less. We take it."
    designs.complete(session, plot.lead, experiment, ExperimentDecision.ADOPT_TREATMENT, reason, plot.at)
    plot.go_to(plot.at + 18 * HOUR)
    wish = Start(
        agent=plot.agent.agent_id,
        version="v2",
        reason="The experiment has shown it to be better.",
        experiment_id=experiment,
        policy=replace(rollout.usual_policy(session, plot.agent.agent_id, plot.at), stages=STAGES),
    )
    shipped = rollout.start(session, plot.engineer, wish, plot.at)
    plot.deal()
    rollout.approve(session, plot.lead, shipped, "As decided with the experiment.", plot.at + HOUR)
    reason = "The experiment speaks for it, and at 5 % there are too few to say more: let a quarter meet it."
    roll_out(plot, shipped, reason, patience=3 * DAY)
    measurement.measure(session, shipped, now)


# ---------------------------------------------------------------- the letter writer


def tell_of_letters(session: Session, organization_id: UUID, now: datetime, seed: str) -> None:
    """A release is taken back, and an experiment has begun."""
    plot = begin(session, organization_id, LETTERS, now, seed)
    if plot is None:
        return
    plot.go_to(morning(now, 19))
    wish = Start(
        agent=plot.agent.agent_id,
        version="v2",
        reason="Colleagues asked for drafts to choose from. Too small a change for an experiment.",
    )
    shipped = rollout.start(session, plot.engineer, wish, plot.at)
    plot.deal()
    reason = "Too few letters at 5 % to say anything: let a quarter meet it."
    roll_out(plot, shipped, reason, patience=DAY, until=morning(now, 8))
    measurement.measure(session, shipped, now)
    if not plot.go_to(morning(now, 4)):
        return
    hypothesis = "Letters without a reason or a deadline come back. Checking first should mend most of them."
    watch(plot, compare(plot, "v3", "Check before writing", hypothesis))


# ---------------------------------------------------------------- what both do


def morning(now: datetime, days_ago: int) -> datetime:
    """Return the beginning of a working day some days ago."""
    return (now - days_ago * DAY).replace(hour=8, minute=30, second=0, microsecond=0)


def compare(plot: Plot, version: str, name: str, hypothesis: str) -> UUID:
    """Start an experiment with a version and return its id."""
    design = suggestion.suggest(
        plot.session, plot.agent.agent_id, [version], plot.at, primary="thumbs_up_share"
    )
    new = New(agent=plot.agent.agent_id, name=name, hypothesis=hypothesis, design=design)
    experiment = designs.create(plot.session, plot.engineer, new)
    designs.start(plot.session, plot.engineer, experiment, plot.at)
    plot.session.execute(DATE_EXPERIMENT, {"id": experiment, "at": plot.at - 2 * HOUR})
    plot.deal()
    return experiment


def watch(plot: Plot, experiment: UUID, days_after: int = 0) -> Look | None:
    """Look at an experiment each day until some days after its verdict, or to the story's end; return the
    last look.
    """
    look = None
    while plot.go_to(plot.at + DAY):
        look = looks.take(plot.session, experiment, plot.at)
        if look.verdict is not None and plot.at >= look.verdict.at + days_after * DAY:
            break
    return look


def roll_out(
    plot: Plot, shipped: UUID, reason: str, patience: timedelta, until: datetime | None = None
) -> None:
    """Let a release check itself each morning and evening; where 5 % show nothing, somebody sends it on."""
    sent_on = plot.at + patience
    while plot.go_to(plot.at + 12 * HOUR) and (until is None or plot.at < until):
        decided = rollout.advance(plot.session, shipped, plot.at)
        if decided.action in (Action.ROLL_BACK, Action.COMPLETE):
            return
        if decided.action is Action.PROMOTE:
            plot.session.execute(DATE_LABEL, {"agent": plot.agent.agent_id, "at": plot.at})
        if decided.action is Action.HOLD and plot.at >= sent_on:
            rollout.promote(plot.session, plot.engineer, shipped, reason, plot.at)
            sent_on = plot.now


KNOWN = text("SELECT EXISTS (SELECT FROM agents WHERE key = :agent)")

DEAL = text("""
UPDATE allocations
SET salt = left(encode(sha256(convert_to(:seed || ' ' || kind, 'UTF8')), 'hex'), 16)
FROM agents WHERE agents.id = agent_id AND agents.key = :agent AND status = 'open'
""")

DATE_LABEL = text("""
UPDATE prompt_labels SET set_at = :at
FROM agents WHERE agents.id = agent_id AND agents.key = :agent AND label = 'production'
""")

DATE_EXPERIMENT = text("UPDATE learning_experiments SET created_at = :at WHERE id = :id")
