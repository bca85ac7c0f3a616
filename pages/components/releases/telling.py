"""Releases in words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from learning_core.releases.queries import Found
from learning_core.releases.stages import Cause, Stage
from learning_core.schema import ReleaseStatus
from pages.components.charts import shorten
from pages.components.releases.course import Stop

STATUS = {
    ReleaseStatus.WAITING: ("Waits for approval", "orange"),
    ReleaseStatus.ROLLING_OUT: ("Rolling out", "blue"),
    ReleaseStatus.WATCHING: ("Being watched", "blue"),
    ReleaseStatus.COMPLETED: ("Completed", "green"),
    ReleaseStatus.ROLLED_BACK: ("Rolled back", "red"),
    ReleaseStatus.CANCELLED: ("Cancelled", "gray"),
    ReleaseStatus.SUPERSEDED: ("Replaced", "gray"),
}
"""Status -> its name and the colour of its badge."""

NUMBERS = {1: "a", 2: "two", 3: "three", 4: "four"}


def duration(time: timedelta) -> str:
    """Return a length of time as people say it.

    >>> duration(timedelta(hours=24)), duration(timedelta(hours=48)), duration(timedelta(days=14))
    ('a day', 'two days', 'two weeks')
    >>> duration(timedelta(hours=30)), duration(timedelta(minutes=5))
    ('30 hours', '5 minutes')
    """
    minutes = round(time.total_seconds() / 60)
    for unit, size in (("week", 7 * 24 * 60), ("day", 24 * 60), ("hour", 60)):
        number, left = divmod(minutes, size)
        if number and not left:
            return _counted(number, unit)
    if minutes < 120:
        return _counted(max(minutes, 1), "minute")
    return _counted(round(minutes / 60), "hour")


def _counted(number: int, unit: str) -> str:
    article = "an" if unit == "hour" else NUMBERS[1]
    said = article if number == 1 else NUMBERS.get(number, str(number))
    return f"{said} {unit}{'s' if number > 1 else ''}"


def share(value: float) -> str:
    """Return a share of users."""
    return "everybody" if value >= 1 else f"{100 * value:g} % of users"


def at(moment: datetime) -> str:
    """Return a moment."""
    return f"{moment:%d %b %Y, %H:%M} UTC"


def status(one: Found) -> tuple[str, str]:
    """Return what the state of a release is called, and its colour."""
    if one.status is ReleaseStatus.ROLLING_OUT and one.held_by:
        return "Held", "orange"
    return STATUS[one.status]


def takes_over(one: Found) -> str:
    """Say what takes the place of what."""
    version, before = shorten(one.version, 40), one.previous_version
    return f"{version} takes over from {shorten(before, 40)}." if before else f"{version} was there first."


class Words(NamedTuple):
    """What there is to say of a release: one sentence to read first, and what stands behind it."""

    headline: str
    details: tuple[str, ...] = ()


def standing(one: Found) -> Words:
    """Say where a release is and what it waits for."""
    match one.status:
        case ReleaseStatus.WAITING:
            return Words("Nobody meets it yet: somebody has to approve it first.", _some(one.hold_reason))
        case ReleaseStatus.ROLLING_OUT:
            return _rolling_out(one)
        case ReleaseStatus.WATCHING:
            until = one.full_at + timedelta(hours=one.policy.stages[-1].hours)
            return Words(f"Everybody gets it; it is watched until {at(until)}.", _some(one.hold_reason))
        case ReleaseStatus.COMPLETED:
            return Words(f"Everybody has got it since {at(one.full_at)}; its watch is over.")
        case ReleaseStatus.ROLLED_BACK:
            return Words(f"Taken back on {at(one.finished_at)}.", _some(one.end_reason))
        case ReleaseStatus.SUPERSEDED:
            return Words(f"Something newer took its place on {at(one.finished_at)}.")
        case _:
            return Words("Cancelled before anybody met it.", _some(one.end_reason))


def _rolling_out(one: Found) -> Words:
    here = share(_stage(one).share)
    if one.held_by:
        return Words(f"Held at {here} by {shorten(one.held_by, 40)}.", _some(one.hold_reason))
    decision, report = (one.check.decision, one.check.report) if one.check else (None, None)
    if decision is None or report is None:
        return Words(f"{here.capitalize()} get it; nothing has been looked at yet.")
    match decision.cause:
        case Cause.EVIDENCE:
            return Words(
                f"Holds at {here} until its bounds are shown to hold.",
                tuple(item.reason for item in report.open),
            )
        case Cause.APPROVAL:
            return Words(f"Ready to go on from {here}: somebody has to approve it.", _some(decision.reason))
        case Cause.TIME:
            until = one.stage_since + timedelta(hours=_stage(one).hours)
            return Words(f"{here.capitalize()} get it, until {at(until)} at least.")
        case _:
            return Words(f"Holds at {here}.", _some(decision.reason))


def _some(reason: str | None) -> tuple[str, ...]:
    return (reason,) if reason else ()


def against(one: Found) -> str:
    """Say what the bounds are compared with."""
    if one.status is ReleaseStatus.ROLLING_OUT:
        return "as many users who stayed with the version before, at the same time"
    return "the users who stayed with the version before while few had the new one"


def stops(one: Found, now: datetime) -> list[Stop]:
    """Return the stages of a release as stops on a line."""
    return [_stop(one, place, stage, now) for place, stage in enumerate(one.policy.stages)]


def _stop(one: Found, place: int, stage: Stage, now: datetime) -> Stop:
    title, time = share(stage.share).capitalize(), timedelta(hours=stage.hours)
    planned = f"watched for {duration(time)}" if stage.share >= 1 else f"at least {duration(time)}"
    is_here = place == one.stage and one.stage_since is not None
    if one.status in (ReleaseStatus.ROLLED_BACK, ReleaseStatus.CANCELLED):
        if is_here:
            return Stop(title, [f"Ended here on {one.finished_at:%d %b, %H:%M} UTC"], 1.0, broken=True)
        return Stop(title, [planned if place > one.stage else "done"], float(place < one.stage))
    if place < one.stage or one.status in (ReleaseStatus.COMPLETED, ReleaseStatus.SUPERSEDED):
        return Stop(title, ["done"], 1.0)
    if not is_here:
        return Stop(title, [planned], 0.0)
    spent = min(max((now - one.stage_since) / time, 0.0), 1.0)
    return Stop(title, [planned, f"since {one.stage_since:%d %b, %H:%M} UTC"], spent, is_now=True)


def _stage(one: Found) -> Stage:
    stage: Stage = one.policy.stages[one.stage]
    return stage
