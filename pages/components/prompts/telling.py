"""What a run has to say, in sentences that a product manager can read aloud; as text, not as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from learning_core.background import Run
from learning_core.feedback.intervals import Estimate
from learning_core.schema import CandidateState, RunKind, RunStatus
from pages.components.charts import percent, shorten
from pages.components.texts import count

STATUS_NAMES = {
    RunStatus.PROPOSED: "Proposal",
    RunStatus.QUEUED: "Waits for its turn",
    RunStatus.RUNNING: "Running",
    RunStatus.PAUSED: "Paused",
    RunStatus.SUCCEEDED: "Done",
    RunStatus.FAILED: "Failed",
    RunStatus.CANCELLED: "Cancelled",
}
STATUS_COLORS = {
    RunStatus.PROPOSED: "orange",
    RunStatus.RUNNING: "blue",
    RunStatus.PAUSED: "orange",
    RunStatus.SUCCEEDED: "green",
    RunStatus.FAILED: "red",
}
STATE_NAMES = {
    CandidateState.BASELINE: "To be beaten",
    CandidateState.RACING: "In the running",
    CandidateState.DROPPED: "Dropped",
    CandidateState.FINALIST: "Finalist",
    CandidateState.WINNER: "Chosen",
}
KIND_NAMES = {RunKind.PROMPT_OPTIMIZATION: "Improvement", RunKind.EVALUATION: "Evaluation"}
LIVE = (RunStatus.QUEUED, RunStatus.RUNNING)
MINUTE_S, HOUR_S = 60, 3600
MINUS = "\N{MINUS SIGN}"


class Words(NamedTuple):
    """What there is to say: one sentence to read first, the figures behind it, and what to do about it."""

    headline: str
    figures: str
    advice: str = ""


# ---------------------------------------------------------------- figures


def score(value: float) -> str:
    """Return a score (0-1) as people say it."""
    return percent(value, 0)


def share(value: float, right: str) -> str:
    """Return a score with what it is a share of: of right answers, where an answer is right or wrong."""
    return f"{score(value)}{right}" if right else f"a score of {score(value)}"


def points(change: float) -> str:
    """Return a change of a score in points of a hundred, with its sign; what rounds to nothing has none."""
    rounded = round(change * 100)
    return f"{rounded:+d}".replace("-", MINUS) if rounded else "0"


def measured(estimate: Estimate | None) -> str:
    """Return a score with its interval and its n for a cell of a table."""
    if estimate is None:
        return "—"
    return f"{score(estimate.value)} ({between(estimate)}, n {estimate.n:,})"


def between(estimate: Estimate) -> str:
    """Return the interval of a score."""
    return f"{score(estimate.low).removesuffix(' %')} to {score(estimate.high)}"


def usd(amount: float) -> str:
    """Return an amount of money; a small one keeps its first digits."""
    if amount == 0:
        return "$0"
    return f"${amount:,.2f}" if amount >= 0.1 else f"${amount:.2g}"


def milliseconds(amount: float) -> str:
    """Return a time to answer as people say it."""
    return f"{amount:,.0f} ms" if amount < 1_000 else f"{amount / 1_000:,.1f} s"


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < MINUTE_S:
        return f"{max(1, round(seconds))} s"
    if seconds < HOUR_S:
        return f"{round(seconds / MINUTE_S)} min"
    hours, rest = divmod(round(seconds / MINUTE_S), 60)
    return f"{hours:,} h {rest} min"


def spent(run: Run) -> str:
    """Return what a run cost so far."""
    if not run.spent.calls:
        return "nothing"
    calls = count(run.spent.calls, "call", "calls")
    if run.spent.usd:
        return f"{usd(float(run.spent.usd))} and {calls}"
    return f"{calls}, {price(run.settings)}"


def price(settings: Mapping[str, Any]) -> str:
    """Say what it means that a run has cost no money."""
    models = [model for model in (settings.get("models") or {}).values() if model]
    unknown = any(model.get("input_usd_per_million") is None for model in models)
    return "at a price that is not known" if unknown else "free of charge"


def expected(estimate: Mapping[str, Any]) -> str:
    """Return what a run is expected to take."""
    amount = estimate.get("usd")
    calls = count(int(estimate.get("calls") or 0), "call", "calls")
    money = "no price known" if amount is None else f"about {usd(float(amount))}"
    money = "free of charge" if amount == 0 else money
    took = f", about {duration(float(estimate['seconds']))}" if estimate.get("seconds") else ""
    return f"{calls}, {money}{took}"


def cap(run: Run) -> str:
    """Return what a run may spend at most."""
    limits = [count(run.cap.calls, "call", "calls")] if run.cap.calls is not None else []
    limits += [usd(float(run.cap.usd))] if run.cap.usd is not None else []
    limits += [count(run.cap.tokens, "token", "tokens")] if run.cap.tokens is not None else []
    return " or ".join(limits) or "no limit"


def share_spent(run: Run) -> float:
    """Return how much of what it may spend a run has spent, 0-1: of whatever is nearest to its end."""
    pairs = zip(run.spent, run.cap, strict=True)
    shares = [float(amount) / float(limit) for amount, limit in pairs if limit]
    planned = run.progress.get("planned_calls") or run.estimate.get("calls")
    if not shares and planned:
        shares = [run.spent.calls / float(planned)]
    return min(max(shares, default=0.0), 1.0)


def standing(run: Run) -> str:
    """Return what a run under way has spent of what it may, and how long it will take."""
    left = run.progress.get("seconds_left")
    rest = f"; about {duration(float(left))} left" if left else ""
    return f"Spent {spent(run)}, of at most {cap(run)}{rest}"


# ---------------------------------------------------------------- sentences


def run(told: Run, right: str = "", subject: str = "It") -> Words:
    """Return what to say about a run as it stands.

    Args:
        told: The run.
        right: What a score is a share of, where it is one: " right".
        subject: What an evaluation scored.
    """
    match told.status:
        case RunStatus.SUCCEEDED if told.kind == RunKind.EVALUATION:
            return _scored(told, told.result or {}, right, subject)
        case RunStatus.SUCCEEDED:
            return _outcome(told, told.result or {}, right)
        case RunStatus.FAILED:
            why = shorten(told.error or told.stop_reason or "Nobody knows why.", 400)
            return Words("The run failed.", f"{why} {_took(told)}", KEPT)
        case RunStatus.CANCELLED:
            return Words("The run was cancelled.", f"{_reason(told)} {_took(told)}", KEPT)
        case RunStatus.PAUSED:
            return Words("The run is paused.", f"{_reason(told)} {_took(told)}", GOES_ON)
        case RunStatus.PROPOSED:
            return Words(
                "A proposal: it begins when somebody says so.", f"It would take {expected(told.estimate)}."
            )
        case RunStatus.QUEUED:
            return Words("The run waits for its turn.", "It begins as soon as a worker is free.")
        case _:
            return Words("The run is under way.", "")


KEPT = "Whatever it paid for is kept: a new run with the same settings asks no model the same thing twice."
GOES_ON = "Nothing is lost. It goes on where it stopped, and pays for nothing twice."
NEXT = (
    "That is a result too: the current prompt is hard to beat with what the run had to learn from. More "
    "approved examples, accepted rules or a goal in your own words give the next run more to go by."
)


def verdict(result: Mapping[str, Any] | None) -> str:
    """Return the outcome of an optimization in two or three words."""
    if not result:
        return ""
    if found := result.get("verdict"):
        held_back = not (result.get("gate") or {"passed": True})["passed"]
        return {"improved": "Better, held back" if held_back else "Better", "worse": "Worse"}.get(
            found["kind"], "No better"
        )
    return "Not proven" if result.get("winner") else "No better"


def gain(result: Mapping[str, Any] | None) -> str:
    """Return the gain on unseen examples with its interval and its n, for a cell of a table."""
    found = (result or {}).get("verdict")
    if not found:
        return ""
    return f"{points(found['gain'])} ({points(found['low'])} to {points(found['high'])}, n {found['n']:,})"


def _scored(told: Run, result: Mapping[str, Any], right: str, subject: str) -> Words:
    if not result.get("n"):
        return Words("Nothing was scored.", _took(told))
    estimate = Estimate(result["mean"], result["low"], result["high"], result["n"])
    sure = f"We are 95 % sure that it lies between {score(estimate.low)} and {score(estimate.high)}: "
    n = f"{count(estimate.n, 'example', 'examples')} of the {told.settings.get('split')} split were scored."
    missing = int(result.get("total") or estimate.n) - estimate.n
    short = f"{_reason(told)} " if missing > 0 else ""
    return Words(f"{subject} gets {share(estimate.value, right)}.", f"{sure}{n} {short}{_took(told)}")


def _outcome(told: Run, result: Mapping[str, Any], right: str) -> Words:
    found = result.get("verdict")
    if found is None:
        return _without_proof(told, result)
    before, after = result["baseline_test"]["mean"], result["winner_test"]["mean"]
    instead = f"{share(after, right)} instead of {score(before)}"
    unseen = f"on {count(int(found['n']), 'example', 'examples')} that the run never saw"
    if found["kind"] == "improved":
        sure = (
            f"That is a gain of {points(found['gain'])} points. We are 95 % sure that it lies between "
            f"{points(found['low'])} and {points(found['high'])}, {unseen}. {_took(told)}"
        )
        held_back = not (result.get("gate") or {"passed": True})["passed"]
        return Words(f"Better, but held back: {instead}." if held_back else f"Better: {instead}.", sure)
    change = (
        f"The best candidate came to {instead}, {points(found['gain'])} points "
        f"(95 % interval {points(found['low'])} to {points(found['high'])}), {unseen}. {_took(told)}"
    )
    if found["kind"] == "worse":
        return Words("Worse. Keep the current prompt.", change, NEXT)
    return Words("No candidate is better beyond chance. Keep the current prompt.", change, NEXT)


def _without_proof(told: Run, result: Mapping[str, Any]) -> Words:
    winner, chosen = result.get("winner"), result.get("selection")
    if not winner:
        said = "No candidate did better in the search than the current prompt, so none was put to the test."
        return Words("No better. Keep the current prompt.", f"{said} {_took(told)}", NEXT)
    said = f"Candidate {winner} did best in the search."
    if chosen:
        said = (
            f"Candidate {winner} came to {score(chosen['winner_mean'])} instead of "
            f"{score(chosen['baseline_mean'])} on the {count(int(chosen['n']), 'example', 'examples')} that "
            "it was chosen by, which flatters it."
        )
    if why := result.get("unverified"):
        return Words("Promising, and not proven.", f"{said} {why} {_took(told)}")
    advice = "A dataset with a test split keeps examples back for the proof."
    return Words("Promising, and not proven.", f"{said} {_took(told)}", advice)


def _reason(told: Run) -> str:
    reason = shorten(told.stop_reason or "", 300)
    return f"{reason[:1].upper()}{reason[1:].rstrip('.')}." if reason else ""


def _took(told: Run) -> str:
    cost = f"It cost {spent(told)}"
    if told.started_at and told.finished_at:
        cost += f", and took {duration((told.finished_at - told.started_at).total_seconds())}"
    return f"{cost}."
