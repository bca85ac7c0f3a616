"""What a release does next: wait, hold, go on, arrive or go back. Decides only; `rollout` does it.

Time alone moves nothing. A stage ends when it has lasted long enough and every bound is shown to hold;
missing data hold it, and say so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from pydantic import TypeAdapter

from learning_core.errors import InvalidInput
from learning_core.experiments.bounds import MINIMUM_RATERS
from learning_core.experiments.guardrails import Limits, Report, State
from learning_core.experiments.statistics.mismatch import WARNING

MOST_BESIDE_A_CONTROL = 0.5
"""Up to this share (0-1) of the users as many more can keep the version before, to compare with."""


class Stage(NamedTuple):
    """The share (0-1) of the users who get the new version, and for how long at least."""

    share: float
    hours: float


@dataclass(frozen=True)
class Policy:
    """How a release goes about it.

    Attributes:
        stages: The last one is all users, who are watched for so long.
        limits: Bounds that take it back.
        approval_above: A person approves before a larger share (0-1) than this.
        two_person: Whether that has to be somebody else than who started it.
    """

    stages: tuple[Stage, ...] = (Stage(0.05, 24), Stage(0.25, 48), Stage(1.0, 336))
    limits: Limits = field(default_factory=Limits)
    approval_above: float = 0.5
    two_person: bool = False

    def __post_init__(self) -> None:
        shares = [stage.share for stage in self.stages]
        if len(shares) < 2 or shares != sorted(set(shares)) or shares[0] <= 0 or shares[-1] != 1:
            raise InvalidInput("Stages rise from above 0 % to 100 %, in at least two steps.", field="stages")
        if shares[-2] > MOST_BESIDE_A_CONTROL:
            reason = "Before 100 %, a stage has at most half of the users: as many keep the version before."
            raise InvalidInput(reason, field="stages")
        if any(stage.hours <= 0 for stage in self.stages):
            raise InvalidInput("Every stage takes time.", field="stages")
        if not 0 <= self.approval_above <= 1:
            raise InvalidInput("A share lies between 0 % and 100 %.", field="approval_above")
        if not self.limits.guardrails:
            raise InvalidInput("A release without any bound would never know that it hurts.", field="limits")


POLICY: TypeAdapter[Policy] = TypeAdapter(Policy)
"""Reads and writes the JSON form of a policy."""


class Action(StrEnum):
    """What is to be done."""

    WAIT = "wait"
    HOLD = "hold"
    PROMOTE = "promote"
    COMPLETE = "complete"
    ROLL_BACK = "roll_back"
    GIVE_WAY = "give_way"


class Cause(StrEnum):
    """Why."""

    TIME = "time"
    PERSON = "person"
    APPROVAL = "approval"
    EVIDENCE = "evidence"
    MISMATCH = "mismatch"
    LABEL = "label"
    GUARDRAIL = "guardrail"
    SHOWN = "shown"
    OVER = "over"


class Decision(NamedTuple):
    """What is to be done, why, and the same in words."""

    action: Action
    cause: Cause
    reason: str


@dataclass(frozen=True)
class Standing:
    """A release as it stands.

    Attributes:
        policy: How it goes about it.
        status: waiting, rolling_out, watching, or one of those that are over.
        stage: Number of the stage, from 0.
        stage_since: When it began; None while waiting.
        is_approved: Whether a person has approved it.
        held_by: Who holds it; None where nobody does.
        hold_reason: Why.
        production: The version that somebody put into production by hand meanwhile; None where nobody did.
        mismatch_p: How likely users per variant are to lie so far off their shares, at any look (0-1).
        newcomers: How many users have come in this stage to the group that got fewer.
    """

    policy: Policy
    status: str
    stage: int
    stage_since: datetime | None
    is_approved: bool = False
    held_by: str | None = None
    hold_reason: str | None = None
    production: str | None = None
    mismatch_p: float = 1.0
    newcomers: int = 0

    @property
    def share(self) -> float:
        """The share (0-1) of the users who get the new version in this stage."""
        return self.policy.stages[self.stage].share

    @property
    def until(self) -> datetime | None:
        """The earliest end of this stage; None while waiting."""
        if self.stage_since is None:
            return None
        return self.stage_since + timedelta(hours=self.policy.stages[self.stage].hours)

    @property
    def needs_approval(self) -> bool:
        """Whether the next stage is one that a person has to approve."""
        is_last = self.stage + 1 >= len(self.policy.stages)
        return not is_last and self.policy.stages[self.stage + 1].share > self.policy.approval_above


def decide(standing: Standing, report: Report | None, now: datetime) -> Decision:
    """Decide what a release does next.

    Args:
        standing: The release.
        report: What its guardrails say; None where nobody has met it yet.
        now: The moment.
    """
    if standing.status == "waiting":
        return Decision(Action.WAIT, Cause.APPROVAL, standing.hold_reason or "It waits for approval.")
    if standing.status not in ("rolling_out", "watching"):
        return Decision(Action.WAIT, Cause.OVER, "It is over.")
    if report and report.breaches:
        return Decision(Action.ROLL_BACK, Cause.GUARDRAIL, " ".join(item.reason for item in report.breaches))
    if standing.production is not None:
        return _decide_moved(standing, standing.production)
    if standing.held_by is not None:
        return Decision(Action.HOLD, Cause.PERSON, f"{standing.held_by} holds it: {standing.hold_reason}")
    if standing.mismatch_p < WARNING:
        return Decision(Action.HOLD, Cause.MISMATCH, MISMATCHED)
    if standing.until is None or now < standing.until:
        return Decision(Action.WAIT, Cause.TIME, _until(standing, now))
    return _decide_watched(report) if standing.status == "watching" else _decide_next(standing, report)


MISMATCHED = (
    "The new version and the control do not get users as their shares say, so they cannot be compared:"
    " something assigns or reports them wrongly."
)


def _decide_moved(standing: Standing, production: str) -> Decision:
    if standing.status == "watching":
        reason = f"Somebody put {production} into production by hand, so that counts."
        return Decision(Action.GIVE_WAY, Cause.LABEL, reason)
    reason = (
        f"Somebody put {production} into production by hand meanwhile; roll this release back or cancel it."
    )
    return Decision(Action.HOLD, Cause.LABEL, reason)


def _decide_watched(report: Report | None) -> Decision:
    if report is None or all(item.state is State.NO_DATA for item in report.items):
        return Decision(Action.HOLD, Cause.EVIDENCE, "The time is over, but nothing was reported to watch.")
    return Decision(
        Action.COMPLETE, Cause.SHOWN, "It was watched for long enough, and nothing spoke against it."
    )


def _decide_next(standing: Standing, report: Report | None) -> Decision:
    share = percent(standing.policy.stages[standing.stage + 1].share)
    if report is None or report.open:
        return Decision(Action.HOLD, Cause.EVIDENCE, _missing(report))
    if standing.newcomers < MINIMUM_RATERS:
        return Decision(Action.HOLD, Cause.EVIDENCE, _silent(standing))
    if standing.needs_approval and not standing.is_approved:
        reason = f"Every bound is shown to hold; before {share} a person has to approve."
        return Decision(Action.HOLD, Cause.APPROVAL, reason)
    return Decision(Action.PROMOTE, Cause.SHOWN, f"Every bound is shown to hold; it goes on to {share}.")


def _missing(report: Report | None) -> str:
    if report is None:
        return "Nobody has met it yet, and silence shows nothing."
    return "Not shown yet to do no harm. " + " ".join(item.reason for item in report.open)


def _silent(standing: Standing) -> str:
    return (
        f"Only {standing.newcomers} people have come to one of the groups since it went to"
        f" {percent(standing.share)}; it takes {MINIMUM_RATERS}, or the stage would show nothing new."
    )


def percent(share: float) -> str:
    """Return a share as people read it.

    >>> percent(0.05), percent(0.125)
    ('5 %', '12.5 %')
    """
    return f"{100 * share:g} %"


def _until(standing: Standing, now: datetime) -> str:
    if standing.until is None:
        return "It has not begun."
    hours = (standing.until - now).total_seconds() / 3600
    whole = max(1, round(hours))
    left = f"{hours / 24:.0f} days" if hours >= 48 else f"{whole} hour{'s' if whole > 1 else ''}"
    what = "Watched" if standing.status == "watching" else f"At {percent(standing.share)}"
    return f"{what} for about {left} more at least."
