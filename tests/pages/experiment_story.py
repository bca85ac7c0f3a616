"""Experiments of one agent in every state they can be in, with looks made up by rule; nothing is analysed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import sqrt
from random import Random
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import text

from learning_core import db
from learning_core.access import Caller
from learning_core.experiments import designs, suggestion
from learning_core.experiments.analysis import (
    LOOK,
    ArmFigures,
    Comparison,
    Design,
    Direction,
    Gate,
    Look,
    Mismatch,
    MismatchState,
    Requirement,
    Role,
    State,
    Verdict,
)
from learning_core.experiments.guardrails import GuardrailResult, Report
from learning_core.experiments.guardrails import State as Rail
from learning_core.experiments.looks import REPORTS
from learning_core.experiments.metrics import METRICS
from learning_core.feedback import executions
from learning_core.feedback.collect import collect
from learning_core.llm.templates import Prompt
from learning_core.prompts import versions
from learning_core.schema import ExperimentDecision
from learning_core.schema import Role as MemberRole
from tests.factories import execution, feedback

AGENT = "ticket-router"
NAMES = {
    "draft": "Say which desk is meant",
    "early": "Answer with the topic alone",
    "open": "Show six examples",
    "better": "Define every topic",
    "adopted": "Refunds first",
    "worse": "Put the topics last",
    "inconclusive": "The same again, to be safe",
    "rolled back": "Shorter answers",
    "broken": "A friendlier tone",
    "cancelled": "Ask back when in doubt",
}
RATERS_PER_DAY, RATINGS_EACH = 110, 1.6


@dataclass
class Story:
    """What was made: ids by state."""

    organization_id: UUID
    experiments: dict[str, UUID] = field(default_factory=dict)


@dataclass(frozen=True)
class Course:
    """What is to be seen of an experiment: for how many days, with which effect on satisfaction."""

    days: int
    effect: float
    decided: Direction | None = None
    decision: ExperimentDecision | None = None
    mismatch: MismatchState = MismatchState.OK


COURSES = {
    "early": Course(4, 0.10),
    "open": Course(11, 0.06),
    "better": Course(14, 0.24, Direction.BETTER),
    "adopted": Course(12, 0.30, Direction.BETTER, ExperimentDecision.ADOPT_TREATMENT),
    "worse": Course(10, -0.35, Direction.WORSE),
    "inconclusive": Course(28, 0.01, None, ExperimentDecision.INCONCLUSIVE),
    "rolled back": Course(3, -0.4, None, ExperimentDecision.ROLLBACK),
    "broken": Course(9, 0.2, None, None, MismatchState.ALARM),
    "cancelled": Course(2, 0.0),
}


def tell(
    organization_id: UUID,
    *,
    agent: str = AGENT,
    states: Sequence[str] = tuple(NAMES),
    phrase: str | None = None,
    ratings: int = 240,
) -> Story:
    """Make up an agent with two prompt versions, and one experiment per state; a phrase stands in for all
    texts that strangers write.
    """
    story = Story(organization_id)
    caller = Caller(organization_id, phrase[:40] if phrase else "Cora", MemberRole.ENGINEER)
    with db.organization_session(organization_id) as session:
        _react(session, agent, ratings, phrase)
        for number in (1, 2):
            prompt = Prompt.from_text(f"{phrase or 'Sort the message into one topic.'} (Version {number}.)")
            versions.save(
                session, caller, agent, prompt, reason=(phrase or f"Rule {number} was missing.")[:500]
            )
        for state in states:
            story.experiments[state] = _experiment(session, caller, agent, state, phrase)
    return story


def _react(session: Any, agent: str, ratings: int, phrase: str | None) -> None:
    rng, now = Random(3), datetime.now(UTC)
    served, said = [], []
    for number in range(ratings):
        name, when = f"{agent[:60]}-{number}", now - timedelta(minutes=1 + rng.randrange(27 * 24 * 60))
        who = f"user-{rng.randrange(max(2, ratings // 3))}"
        given: dict[str, Any] = {"execution_id": name, "agent_id": agent, "user_id": who, "created_at": when}
        served.append(execution(**given, prompt_version="before", latency_ms=rng.uniform(300, 1500)))
        rating = rng.choice((2, 3, 4, 4, 5))
        said.append(feedback(**given, feedback_type="star_rating", rating=rating, feedback_text=phrase))
    executions.record(session, served)
    collect(session, said, "import")


def _experiment(session: Any, caller: Caller, agent: str, state: str, phrase: str | None) -> UUID:
    course = COURSES.get(state)
    at = datetime.now(UTC) - timedelta(days=course.days if course else 0, minutes=30)
    secondary = ("thumbs_up_share", "correction_rate", "issue_rate", "latency_ms", "cost_usd")
    design = suggestion.suggest(session, agent, [2], at, primary="satisfaction", secondary=secondary)
    new = designs.New(
        agent=agent,
        name=phrase[:120] if phrase else NAMES[state],
        hypothesis=phrase[:2000]
        if phrase
        else "Fewer messages at the wrong desk, because the prompt is clear.",
        design=design,
    )
    experiment = designs.create(session, caller, new)
    if course is None:
        return experiment
    designs.start(session, caller, experiment, at)
    looks = _looks(design, course, at)
    _store(session, experiment, looks)
    reason = phrase[:500] if phrase else "The figures say so."
    ended = at + timedelta(days=course.days)
    if state == "cancelled":
        designs.cancel(session, caller, experiment, reason, ended)
    elif course.decision:
        designs.complete(session, caller, experiment, course.decision, reason, ended)
    else:
        session.execute(
            text("UPDATE allocations SET status = 'ended' WHERE experiment_id = :id"), {"id": experiment}
        )
    return experiment


def _looks(design: Design, course: Course, start: datetime) -> list[Look]:
    """Return one look a day; the estimate settles as the ratings add up."""
    rng = Random(course.days)
    looks: list[Look] = []
    total = weight = 0.0
    verdict = None
    for day in range(1, course.days + 1):
        noise = rng.gauss(0, 0.2)
        total, weight = total + (course.effect + noise), weight + 1
        look = make_look(design, day, start, total / weight, course.mismatch)
        primary = look.primary[0]
        if (
            verdict is None
            and course.decided
            and primary.low is not None
            and primary.state is not State.NO_EVIDENCE
        ):
            verdict = Verdict(
                course.decided, "treatment", design.primary, look.at, day, look.hours,
                primary.difference, primary.low, primary.high,
            )  # fmt: skip
        looks.append(Look(**{**vars(look), "verdict": verdict}))
    return looks


def make_look(
    design: Design,
    day: int,
    start: datetime,
    effect: float,
    mismatch: MismatchState = MismatchState.OK,
    *,
    relative: dict[str, float] | None = None,
) -> Look:
    """Return a look at the end of a day with an effect on the primary metric and others to go with it."""
    raters = RATERS_PER_DAY * day
    samples = round(raters * RATINGS_EACH)
    gate = Gate(Requirement(day * 24.0, 168.0), Requirement(samples, 1000), Requirement(raters / 2, 30))
    changes = {"thumbs_up_share": effect / 5, "correction_rate": -effect / 4, "issue_rate": -effect / 5}
    changes |= {"latency_ms": 0.04, "cost_usd": 0.11} | (relative or {})
    comparisons = [
        _compare(design.primary, Role.PRIMARY, effect / BASE[design.primary], samples, raters, gate.passed)
    ]
    comparisons += [
        _compare(key, Role.SECONDARY, changes[key], samples, raters, gate.passed) for key in design.secondary
    ]
    met = round(raters * 2.2)
    treated = round(met * (0.5 if mismatch is MismatchState.OK else 0.4))
    return Look(
        number=day,
        at=start + timedelta(days=day),
        hours=day * 24.0,
        gate=gate,
        comparisons=tuple(comparisons),
        mismatch=Mismatch(
            0.4, 0.3, 0.5, {"treatment": treated, "control": met - treated},
            {"treatment": met / 2, "control": met / 2}, mismatch,
        ),
        crossed=day // 4,
        verdict=None,
        days_left=max(0.0, 19.5 - day),
    )  # fmt: skip


BASE = {
    "satisfaction": 3.6, "thumbs_up_share": 0.7, "correction_rate": 0.2, "issue_rate": 0.15,
    "error_rate": 0.02, "latency_ms": 900.0, "cost_usd": 0.0021,
}  # fmt: skip
SPREAD = {"satisfaction": 0.28, "thumbs_up_share": 0.5, "correction_rate": 1.6, "issue_rate": 1.8}


def _compare(key: str, role: Role, relative: float, n: int, users: int, passed: bool) -> Comparison:
    base = BASE[key]
    difference = base * relative
    se = base * SPREAD.get(key, 0.6) * 2 / sqrt(n)
    radius = 2.9 * se
    low, high = (difference - radius, difference + radius) if passed else (None, None)
    state = State.TOO_EARLY
    if low is not None and high is not None:
        state = State.NO_EVIDENCE if low <= 0 <= high else _side(key, difference)
    information = 1 / se**2
    return Comparison(
        variant="treatment", metric=key, role=role,
        control=ArmFigures(base, n / 2, users / 2), treatment=ArmFigures(base + difference, n / 2, users / 2),
        difference=difference, se=se, low=low, high=high, running_low=low, running_high=high,
        relative=relative, relative_low=None if low is None else low / base,
        relative_high=None if high is None else high / base,
        information=information, first_information=information, most_information=information,
        p=0.03, running_p=0.02, holm_p=0.04, chance=0.9, eligible=passed, leaning=None, state=state,
    )  # fmt: skip


def _side(key: str, difference: float) -> State:
    return State.BETTER if (difference > 0) == METRICS[key].higher_is_better else State.WORSE


def _result(look: Look) -> str:
    """Return a look as it is stored, with a guardrail that is kept and one that nothing is known of."""
    told = (
        "Failed answers: 1.2 % in 420 answers. Allowed is at most 5.0 %; surely within that (3.1 % at worst)."
    )
    kept = GuardrailResult(
        "error_rate", "Failed answers", Rail.OK, 0.012, None, 0.05, 0.031, 420.0, 210.0, told
    )  # fmt: skip
    none = GuardrailResult(
        "latency_ms", "Answer time", Rail.NO_DATA, None, None, None, None, 0.0, 0.0,
        "Answer time: no timed answers to go by yet.",
    )  # fmt: skip
    reports = REPORTS.dump_python({"treatment": Report(look.at, (kept, none))}, mode="json")
    return to_json({"look": LOOK.dump_python(look, mode="json"), "guardrails": reports}).decode()


def _store(session: Any, experiment: UUID, looks: Sequence[Look]) -> None:
    for look in looks:
        session.execute(
            STORE,
            {"id": experiment, "number": look.number, "at": look.at, "result": _result(look)},
        )


STORE = text(
    "INSERT INTO experiment_looks (experiment_id, number, at, result)"
    " VALUES (:id, :number, :at, CAST(:result AS jsonb))"
)
