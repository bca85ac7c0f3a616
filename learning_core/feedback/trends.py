"""How metrics move: from period to period, between prompt versions, and on days that stand out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from math import nan
from typing import Any, Literal, NamedTuple

import pandas as pd
from sqlalchemy.orm import Session

from learning_core.feedback import intervals, metrics, queries
from learning_core.feedback.intervals import Estimate
from learning_core.feedback.queries import Window

DAYS_SHOWN_SINGLY = 45
DAYS_OF_A_WEEK = 7
AGENTS_SHOWN_SINGLY = 8
SPARKLINE_POINTS = 12

STANDOUT_CONFIDENCE = 0.999
"""With 30 days and a handful of agents on a page, one day in twenty would stand out by chance at 95 %."""

STANDOUT_NEEDED = 5
OBSERVATIONS_COMPARED = 10


def days_per_period(window: Window) -> int:
    """Return how many days a point of a chart over the window sums up: one, or a week in long windows."""
    return 1 if window.days <= DAYS_SHOWN_SINGLY else DAYS_OF_A_WEEK


def by_period(session: Session, agent: str | None, window: Window) -> pd.DataFrame:
    """Return one row per agent and period with feedback: the most talked about agent first, oldest first.

    Columns: agent (key; missing for all beyond the first eight together), first_day, last_day (date, UTC),
    feedback_count, thumbs_up, thumbs_down, rating_count, correction_count, any_issue_count (int),
    satisfaction (1-5, missing where nothing was rated), satisfaction_low, satisfaction_high (95 % interval);
    and the same over the week that ends on last_day: week_satisfaction, week_low, week_high, week_count.
    """
    return _by_period(session, agent, window, AGENTS_SHOWN_SINGLY)


def all_agents_by_period(session: Session, window: Window) -> pd.DataFrame:
    """Return what `by_period` does for all agents taken together: one row per period, agent missing."""
    return _by_period(session, None, window, agents=0)


def _by_period(session: Session, agent: str | None, window: Window, agents: int) -> pd.DataFrame:
    days = days_per_period(window)
    lead = timedelta(days=DAYS_OF_A_WEEK - days)
    counts = queries.by_period(session, agent, Window(window.since - lead, window.until), days, agents)
    week_ends = counts.groupby("agent", dropna=False, sort=False)[[*metrics.STARS, "last_day"]]
    weeks = [_weeks(rows) if days == 1 else rows for _, rows in week_ends]
    found = _with_estimates(counts)
    week = _estimated(pd.concat(weeks) if weeks else counts)
    found[["week_satisfaction", "week_low", "week_high", "week_count"]] = week
    return found[found["last_day"] >= window.since].reset_index(drop=True)


def _weeks(days: pd.DataFrame) -> pd.DataFrame:
    """Sum each day up with the six before it, whether or not they have rows."""
    every_day = pd.date_range(days["last_day"].min(), days["last_day"].max())
    dated = days.set_index(pd.to_datetime(days["last_day"]))[list(metrics.STARS)]
    summed = dated.reindex(every_day, fill_value=0).rolling(DAYS_OF_A_WEEK, min_periods=1).sum()
    return summed.loc[dated.index].set_index(days.index)


def by_agent(session: Session, window: Window) -> pd.DataFrame:
    """Return one row per agent with feedback, the most talked about first.

    Columns: agent (key), rank (int, from 1), feedback_count, rating_count (int), satisfaction (1-5),
    satisfaction_low, satisfaction_high (95 % interval), trend (list of satisfaction per period, oldest
    first), top_issue (category or missing).
    """
    found = _with_estimates(queries.by_period(session, None, window, window.days, agents=None))
    periods = _with_estimates(
        queries.by_period(session, None, window, days_per_point(window), agents=None)
    ).dropna(subset="satisfaction")
    trends = {agent: rows.tolist() for agent, rows in periods.groupby("agent")["satisfaction"]}
    found.insert(1, "rank", range(1, len(found) + 1))
    found["trend"] = [trends.get(agent, []) for agent in found["agent"]]
    top = queries.top_issues(session, window).set_index("agent")["category"]
    found["top_issue"] = [top.get(agent) for agent in found["agent"]]
    return found


def days_per_point(window: Window) -> int:
    """Return how many days a point of a sparkline sums up: about a dozen points in any window."""
    return max(1, window.days // SPARKLINE_POINTS)


class Improvement(NamedTuple):
    """What the newest prompt version of an agent changed."""

    agent: str
    version: str
    version_before: str
    change: Estimate
    """Change of satisfaction relative to the version before: 0.1 is 10 % more."""


def prompt_improvements(session: Session, window: Window) -> list[Improvement]:
    """Return what the newest prompt version changed, for each agent with two rated ones in the window.

    The most rated come first.
    """
    found = []
    for agent, versions in queries.newest_versions(session, window).groupby("agent"):
        estimates = [_mean_stars(row) for row in versions.to_dict("records")]
        match list(zip(versions["prompt_version"], estimates, strict=True)):
            case [(before, Estimate() as old), (newest, Estimate() as new)]:
                found.append(Improvement(str(agent), newest, before, _relative(new, old)))
    return sorted(found, key=lambda improvement: -improvement.change.n)


class Standout(NamedTuple):
    """A day on which something about an agent was worse than usual, beyond chance."""

    day: date
    agent: str
    measure: Literal["satisfaction", "error_rate", "issue_rate"]
    value: Estimate
    usual: float
    """The same figure over the whole window."""


def standouts(session: Session, agent: str | None, window: Window, limit: int = 6) -> list[Standout]:
    """Return the days on which an agent was worse than over the whole window, beyond chance; newest first.

    Beyond chance means that the day counts at least five observations and its 99.9 % interval leaves out the
    figure of the window: for satisfaction below it, for the shares of errors and of issues above it.
    """
    served = queries.executions_by_day(session, agent, window)
    said = queries.by_period(session, agent, window, days=1, agents=None)
    found = [
        *_standing_out(said, "last_day", "satisfaction", _mean_stars),
        *_standing_out(said, "last_day", "issue_rate", _issue_rate),
        *_standing_out(served, "day", "error_rate", _error_rate),
    ]
    return sorted(found, key=lambda standout: (standout.day, standout.agent), reverse=True)[:limit]


def _standing_out(
    counts: pd.DataFrame,
    day: str,
    measure: Literal["satisfaction", "error_rate", "issue_rate"],
    estimate: Callable[..., Estimate | None],
) -> Iterator[Standout]:
    higher_is_worse = measure != "satisfaction"
    for name, days in counts.groupby("agent"):
        usual = estimate(days.sum(numeric_only=True))
        for row in days.to_dict("records"):
            value = estimate(row, STANDOUT_CONFIDENCE)
            if not usual or not value or value.n < STANDOUT_NEEDED:
                continue
            if value.low > usual.value if higher_is_worse else value.high < usual.value:
                yield Standout(row[day], str(name), measure, value, usual.value)


def _mean_stars(counts: Any, confidence: float = 0.95) -> Estimate | None:
    return intervals.mean_of_levels([int(counts[level]) for level in metrics.STARS], confidence)


def _issue_rate(counts: Any, confidence: float = 0.95) -> Estimate | None:
    return intervals.share(int(counts["any_issue_count"]), int(counts["feedback_count"]), confidence)


def _error_rate(counts: Any, confidence: float = 0.95) -> Estimate | None:
    return intervals.share(int(counts["error_count"]), int(counts["execution_count"]), confidence)


Standing = Literal["met", "missed", "open"]


def standing(estimate: Estimate, target: float) -> Standing:
    """Return whether a target is met, missed, or inside the interval and thus still open."""
    if estimate.low > target:
        return "met"
    return "missed" if estimate.high < target else "open"


def is_comparable(change: Estimate, now: Estimate) -> bool:
    """Return whether the window before held enough observations for a change to mean something."""
    return change.n - now.n >= OBSERVATIONS_COMPARED


def is_beyond_chance(change: Estimate) -> bool:
    """Return whether the interval of a change leaves zero out."""
    return not change.low <= 0 <= change.high


def _with_estimates(counts: pd.DataFrame) -> pd.DataFrame:
    counts[["satisfaction", "satisfaction_low", "satisfaction_high", "rating_count"]] = _estimated(counts)
    counts["correction_rate"] = counts["correction_count"] / counts["feedback_count"]
    return counts


def _estimated(counts: pd.DataFrame) -> pd.DataFrame:
    """Return mean, both ends of its interval, and n (0 where the others are missing), row by row."""
    estimates = [_mean_stars(row) or Estimate(nan, nan, nan, 0) for row in counts.to_dict("records")]
    found = pd.DataFrame(estimates, index=counts.index, columns=list(Estimate._fields))
    return found.astype({"value": "float64", "low": "float64", "high": "float64", "n": "int64"})


def _relative(after: Estimate, before: Estimate) -> Estimate:
    """Relate a change to the figure before, which is taken as known."""
    change = intervals.difference(after, before)
    return Estimate(
        change.value / before.value, change.low / before.value, change.high / before.value, change.n
    )
