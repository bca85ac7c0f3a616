"""Routes of experiments: what is compared on live traffic, what it says so far, and what was decided."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from learning_core.api import problems
from learning_core.api.callers import Experimenter, Reader
from learning_core.api.feedback import require_agent
from learning_core.db import organization_session, reading_session
from learning_core.experiments import designs, queries, suggestion
from learning_core.experiments.analysis import (
    Comparison,
    Direction,
    Guardrail,
    Look,
    Method,
    MismatchState,
    Role,
    State,
)
from learning_core.experiments.designs import LONGEST_HYPOTHESIS, LONGEST_NAME, LONGEST_REASON, New
from learning_core.experiments.guardrails import State as GuardrailState
from learning_core.experiments.metrics import METRICS
from learning_core.experiments.queries import Found
from learning_core.experiments.reports import telling
from learning_core.experiments.suggestion import MOST_TREATMENTS
from learning_core.feedback.entries import WITHOUT_NUL, Key
from learning_core.schema import ExperimentDecision, ExperimentStatus

router = APIRouter(prefix="/learning", tags=["experiments"])

READING = problems.responses(401, 404, 422, 503)
CHANGING = problems.responses(401, 403, 404, 409, 413, 422, 503)

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_REASON, pattern=WITHOUT_NUL),
]
MetricKey = Annotated[str, Field(max_length=40, description=f"One of {', '.join(METRICS)}.")]

# ---------------------------------------------------------------- in


class GuardrailEntry(BaseModel):
    """A bound on a metric that ends the experiment when a treatment is shown to break it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: MetricKey
    limit: Amount = Field(
        description="Greatest value allowed, or where relative, greatest harm as a share of the control."
    )
    relative: bool = True


class ExperimentEntry(BaseModel):
    """What is to be compared with the version in production. What is left out follows from the agent's last
    four weeks, or is usual.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    agent_id: Key | None = Field(default=None, description="Without it: the agent of the run.")
    treatments: Annotated[list[Key], Field(max_length=MOST_TREATMENTS)] = Field(
        default=[], description="Versions, each by key, number or label."
    )
    run_id: UUID | None = Field(default=None, description="Instead of treatments: an optimization,")
    candidate: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="and its candidate, which becomes a version."
    )
    name: Annotated[str, StringConstraints(max_length=LONGEST_NAME, pattern=WITHOUT_NUL)] | None = None
    hypothesis: Annotated[str, StringConstraints(max_length=LONGEST_HYPOTHESIS, pattern=WITHOUT_NUL)] = ""
    start: bool = Field(default=False, description="Let users meet it from now on.")
    shares: Annotated[list[Share], Field(max_length=MOST_TREATMENTS)] = Field(
        default=[], description="Of each treatment; the rest of the users meet the control."
    )
    primary_metric: MetricKey | None = Field(default=None, description="Decides alone.")
    secondary_metrics: Annotated[list[MetricKey], Field(max_length=len(METRICS))] | None = None
    guardrails: Annotated[list[GuardrailEntry], Field(max_length=len(METRICS))] | None = None
    smallest_effect: Amount | None = Field(
        default=None, description="The least difference worth knowing of, in the metric's unit."
    )
    planned_days: int | None = Field(
        default=None,
        ge=1,
        le=3_650,
        description="An end planned now makes a decision likelier; without, it is open.",
    )
    significance: Share | None = None
    minimum_hours: Amount | None = None
    minimum_samples: int | None = Field(default=None, ge=1, le=10**9)
    minimum_raters: int | None = Field(default=None, ge=1, le=10**9)
    weighted: bool | None = Field(default=None, description="Count users alike rather than reactions.")
    prior: bool | None = Field(default=None, description="Use what users had said before to see more.")
    traffic: Share | None = Field(default=None, description="Share (0-1) of the agent's users to take part.")
    ramp: Share | None = Field(default=None, description="Share (0-1) of these who meet a variant at first.")

    @model_validator(mode="after")
    def _says_what_is_tried(self) -> ExperimentEntry:
        if (self.run_id is None) != (self.candidate is None):
            raise ValueError("give run_id and candidate together")
        if self.run_id is None and (self.agent_id is None or self.name is None or not self.treatments):
            raise ValueError("give agent_id, name and treatments, or run_id and candidate")
        if self.run_id is not None and self.treatments:
            raise ValueError("give either treatments or a run's candidate")
        return self

    def wishes(self) -> dict[str, Any]:
        """Return the fields of the design that were given."""
        given = {name: getattr(self, name) for name in WISHES}
        given |= {"primary": self.primary_metric, "shares": self.shares or None}
        if self.secondary_metrics is not None:
            given["secondary"] = tuple(self.secondary_metrics)
        if self.guardrails is not None:
            given["guardrails"] = tuple(Guardrail(**each.model_dump()) for each in self.guardrails)
        if self.planned_days is not None:
            given["method"] = Method.PLANNED_END
        return {name: value for name, value in given.items() if value is not None}


WISHES = (
    "smallest_effect",
    "planned_days",
    "significance",
    "minimum_hours",
    "minimum_samples",
    "minimum_raters",
    "weighted",
    "prior",
    "traffic",
    "ramp",
)


class DecisionEntry(BaseModel):
    """What is done about an experiment, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decision: ExperimentDecision
    reason: Reason


class CancelEntry(BaseModel):
    """Why an experiment ends without a decision."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Reason


# ---------------------------------------------------------------- out


class VariantOut(BaseModel):
    """What some of the users meet."""

    variant: str
    version: str = Field(description="The prompt version's key")
    share: float


class VerdictOut(BaseModel):
    """What the data said first; it never changes."""

    direction: Direction
    variant: str
    metric: str
    at: datetime
    look: int
    difference: float | None
    low: float | None
    high: float | None


class ComparisonOut(BaseModel):
    """A treatment against the control in one metric. The interval holds at all looks at once."""

    variant: str
    metric: str
    role: Role
    state: State
    control: float | None
    treatment: float | None
    difference: float | None
    low: float | None
    high: float | None
    relative: float | None
    observations: float
    users: float


class GuardrailOut(BaseModel):
    """What may be said of a bound: ok means shown to hold, breach means shown to be broken."""

    variant: str
    metric: str
    state: GuardrailState
    value: float | None
    baseline: float | None
    limit: float | None
    reason: str


class LookOut(BaseModel):
    """One analysis at one moment."""

    number: int
    at: datetime
    hours: float = Field(description="Since the first user came")
    too_early: bool = Field(description="Hours, samples or users do not suffice yet")
    decided: bool
    comparisons: list[ComparisonOut]
    mismatch: MismatchState = Field(description="Whether users per variant follow the shares")
    users: dict[str, int] = Field(description="By variant")
    crossed: int = Field(description="Users seen in two variants, who are left out")
    days_left: float | None


class ExperimentOut(BaseModel):
    """An experiment: what it compares, where it stands, what it says."""

    experiment_id: UUID
    agent_id: str
    name: str
    hypothesis: str
    status: ExperimentStatus
    says: str = Field(description="What is known now, in a sentence")
    variants: list[VariantOut]
    primary_metric: str
    secondary_metrics: list[str]
    smallest_effect: float
    method: Method
    planned_days: int | None
    traffic: float
    ramp: float | None = Field(description="Share (0-1) of its users who meet a variant now")
    run_id: UUID | None
    created_by: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    verdict: VerdictOut | None
    decision: ExperimentDecision | None
    decision_by: str | None
    decision_reason: str | None
    look: LookOut | None = Field(description="The last one")
    guardrails: list[GuardrailOut] = Field(description="At the last look")


class ExperimentsOut(BaseModel):
    """Experiments: those under way first, then drafts, then the others; the newest first."""

    experiments: list[ExperimentOut]


class LooksOut(BaseModel):
    """The looks at an experiment, the first one first."""

    experiment_id: UUID
    looks: list[LookOut]


# ---------------------------------------------------------------- routes


@router.get("/experiments", responses=READING)
def experiments(
    caller: Reader,
    agent_id: Annotated[Key | None, Query(description="Without it, those of all agents.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> ExperimentsOut:
    """Return the experiments, each with its last look."""
    with reading_session(caller.organization_id) as session:
        if agent_id is not None:
            require_agent(session, agent_id)
        found = queries.experiments(session, agent_id, limit)
    return ExperimentsOut(experiments=[_shown(each) for each in found])


@router.post("/experiments", status_code=201, responses=CHANGING)
def create(entry: ExperimentEntry, caller: Experimenter) -> ExperimentOut:
    """Write an experiment down, and start it if asked to. Versions come by name, or from an optimization."""
    now = datetime.now(UTC)
    with organization_session(caller.organization_id) as session:
        if entry.run_id is not None and entry.candidate is not None:
            experiment_id = designs.create_from_run(
                session,
                caller,
                entry.run_id,
                entry.candidate,
                now,
                name=entry.name,
                hypothesis=entry.hypothesis or None,
                **entry.wishes(),
            )
        else:
            agent = str(entry.agent_id)
            design = suggestion.suggest(session, agent, entry.treatments, now, **entry.wishes())
            new = New(agent=agent, name=entry.name or "", hypothesis=entry.hypothesis, design=design)
            experiment_id = designs.create(session, caller, new)
        if entry.start:
            designs.start(session, caller, experiment_id, now)
        return _shown(queries.find(session, experiment_id))


@router.get("/experiments/{experiment_id}", responses=READING)
def experiment(experiment_id: UUID, caller: Reader) -> ExperimentOut:
    """Return where an experiment stands and what it says."""
    with reading_session(caller.organization_id) as session:
        return _shown(queries.find(session, experiment_id))


@router.get("/experiments/{experiment_id}/looks", responses=READING)
def looks(
    experiment_id: UUID,
    caller: Reader,
    most: Annotated[
        int, Query(ge=2, le=1_000, description="Of more, about so many that lie evenly spread.")
    ] = queries.MOST_LOOKS,
) -> LooksOut:
    """Return the looks at an experiment, with the first, the last and the one that decided among them."""
    with reading_session(caller.organization_id) as session:
        queries.find(session, experiment_id)
        found = queries.looks(session, experiment_id, most)
    return LooksOut(experiment_id=experiment_id, looks=[_look(each) for each in found])


@router.post("/experiments/{experiment_id}/start", responses=CHANGING)
def start(experiment_id: UUID, caller: Experimenter) -> ExperimentOut:
    """Let users meet the variants of a draft from now on."""
    with organization_session(caller.organization_id) as session:
        designs.start(session, caller, experiment_id, datetime.now(UTC))
        return _shown(queries.find(session, experiment_id))


@router.post("/experiments/{experiment_id}/pause", responses=CHANGING)
def pause(experiment_id: UUID, caller: Experimenter) -> ExperimentOut:
    """Give all users what is in production for the time being; places and counts stay."""
    with organization_session(caller.organization_id) as session:
        designs.pause(session, caller, experiment_id)
        return _shown(queries.find(session, experiment_id))


@router.post("/experiments/{experiment_id}/resume", responses=CHANGING)
def resume(experiment_id: UUID, caller: Experimenter) -> ExperimentOut:
    """Let users meet their variants again."""
    with organization_session(caller.organization_id) as session:
        designs.resume(session, caller, experiment_id)
        return _shown(queries.find(session, experiment_id))


@router.post("/experiments/{experiment_id}/complete", responses=CHANGING)
def complete(experiment_id: UUID, entry: DecisionEntry, caller: Experimenter) -> ExperimentOut:
    """End an experiment with what is to be done about it. To put a version into production is a release."""
    now = datetime.now(UTC)
    with organization_session(caller.organization_id) as session:
        designs.complete(session, caller, experiment_id, entry.decision, entry.reason, now)
        return _shown(queries.find(session, experiment_id))


@router.post("/experiments/{experiment_id}/cancel", responses=CHANGING)
def cancel(experiment_id: UUID, entry: CancelEntry, caller: Experimenter) -> ExperimentOut:
    """End an experiment, or drop a draft, without a decision."""
    with organization_session(caller.organization_id) as session:
        designs.cancel(session, caller, experiment_id, entry.reason, datetime.now(UTC))
        return _shown(queries.find(session, experiment_id))


# ---------------------------------------------------------------- shown


def _shown(found: Found) -> ExperimentOut:
    design = found.design
    return ExperimentOut(
        experiment_id=found.id,
        agent_id=found.agent,
        says=_says(found),
        variants=[
            VariantOut(variant=each.name, version=each.version, share=each.share) for each in design.variants
        ],
        primary_metric=design.primary,
        secondary_metrics=list(design.secondary),
        verdict=VerdictOut(**vars(found.verdict), look=found.verdict.number) if found.verdict else None,
        look=_look(found.look) if found.look else None,
        guardrails=_guardrails(found),
        **{name: getattr(design, name) for name in ("smallest_effect", "method", "planned_days", "traffic")},
        **{name: getattr(found, name) for name in PLAIN},
    )


PLAIN = (
    "name",
    "hypothesis",
    "status",
    "ramp",
    "run_id",
    "created_by",
    "created_at",
    "started_at",
    "ended_at",
    "decision",
    "decision_by",
    "decision_reason",
)


def _says(found: Found) -> str:
    if found.started_at is None:
        return "Not started."
    return telling.verdict(found.design, found.look).headline


def _guardrails(found: Found) -> list[GuardrailOut]:
    shown = ("state", "value", "baseline", "limit", "reason")
    return [
        GuardrailOut(variant=variant, metric=item.key, **{name: getattr(item, name) for name in shown})
        for variant, report in found.reports.items()
        for item in report.items
    ]


def _look(look: Look) -> LookOut:
    return LookOut(
        number=look.number,
        at=look.at,
        hours=look.hours,
        too_early=not look.gate.passed,
        decided=look.verdict is not None,
        comparisons=[_comparison(each) for each in look.comparisons],
        mismatch=look.mismatch.state,
        users=look.mismatch.counts,
        crossed=look.crossed,
        days_left=look.days_left,
    )


def _comparison(one: Comparison) -> ComparisonOut:
    plain = ("variant", "metric", "role", "state", "difference", "low", "high", "relative")
    return ComparisonOut(
        control=one.control.value,
        treatment=one.treatment.value,
        observations=one.control.n + one.treatment.n,
        users=one.control.users + one.treatment.users,
        **{name: getattr(one, name) for name in plain},
    )
