"""Routes of the first step: executions and feedback in, statistics and issues out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic_core import to_json
from sqlalchemy.orm import Session
from typing_extensions import TypedDict

from learning_core import access, throttle
from learning_core.access import Caller
from learning_core.api import callers, problems
from learning_core.api.callers import Reader, Reporter
from learning_core.db import in_transaction, organization_session, reading_session
from learning_core.errors import Conflict, NotFound
from learning_core.feedback import executions, metrics, queries
from learning_core.feedback.collect import collect, withdraw
from learning_core.feedback.entries import ExecutionEntry, FeedbackEntry, Key
from learning_core.feedback.executions import Outcome, Status
from learning_core.feedback.intake import intake
from learning_core.feedback.intervals import Estimate
from learning_core.feedback.queries import Window
from learning_core.settings import settings

router = APIRouter(prefix="/learning")

AgentKey = Annotated[Key, Path(description="The agent's own key.", examples=["tax-advisor"])]
Days = Annotated[
    int, Query(ge=1, le=3650, description="Length of the window that ends today, in days (UTC).")
]
REPORTING = problems.responses(401, 403, 409, 413, 422, 429, 503)
READING = problems.responses(401, 404, 422, 503)

# ---------------------------------------------------------------- in


class Accepted(TypedDict):
    """What became of one row."""

    id: str
    status: Status


class AcceptedBatch(TypedDict):
    """What became of each row of a batch, in order; all of it is stored."""

    stored: int
    results: list[Accepted]


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """Describe a route that reads its request itself, which takes half the time of declaring it."""
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "security": [{callers.bearer.scheme_name: []}],
    }


@router.post(
    "/feedback",
    status_code=201,
    response_model=Accepted,
    tags=["feedback"],
    responses={200: {"description": "Changed what was stored under this id", "model": Accepted}, **REPORTING},
    openapi_extra=_described({"$ref": "#/components/schemas/FeedbackEntry"}),
)
async def give_feedback(request: Request) -> Response:
    """Store one person's reaction to one execution, or change it: the same `id` is the same row.

    The execution may be reported later; an agent is known from its first mention on.
    """
    caller = await callers.identify(request.headers.get("authorization", ""))
    access.require(caller, "report")
    try:
        entry = FeedbackEntry.model_validate_json(await request.body())
    except ValidationError as error:
        return problems.invalid(problems.field_errors(error.errors()))
    outcome = await intake.submit(caller.organization_id, "api", caller.name, entry)
    return answer(outcome)


def answer(outcome: Outcome) -> Response:
    """Turn the outcome of one piece of feedback into the answer to its sender."""
    [row] = accepted([outcome])
    status = 200 if outcome.status is Status.UPDATED else 201
    return JSONResponse(row, status)


@router.post(
    "/feedback/batch",
    status_code=201,
    response_model=AcceptedBatch,
    tags=["feedback"],
    responses=REPORTING,
    openapi_extra=_described(
        {
            "type": "array",
            "items": {"$ref": "#/components/schemas/FeedbackEntry"},
            "minItems": 1,
            "maxItems": settings().batch_limit,
        }
    ),
)
async def give_feedback_in_batch(request: Request) -> Response:
    """Store many pieces of feedback in one transaction: all of them, or none and the reason for each row."""
    caller = await callers.identify(request.headers.get("authorization", ""))
    access.require(caller, "report")
    body = await request.body()
    return await to_thread.run_sync(_store_batch, caller, body, limiter=BATCHES_AT_ONCE)


BATCHES_AT_ONCE = CapacityLimiter(4)
"""More of them in one process would only wait for each other: at the interpreter and at the day's counts."""


def _store_batch(caller: Caller, body: bytes) -> Response:
    try:
        entries = BATCH.validate_json(body)
    except ValidationError as error:
        return problems.invalid(problems.field_errors(error.errors()))
    _charge(caller, len(entries))

    def store(session: Session) -> list[Accepted]:
        return accepted(collect(session, entries, "api"))

    results = in_transaction(caller.organization_id, store)
    batch = AcceptedBatch(stored=len(results), results=results)
    return Response(to_json(batch), 201, media_type="application/json")


BATCH = TypeAdapter(Annotated[list[FeedbackEntry], Field(min_length=1, max_length=settings().batch_limit)])


@router.post("/executions", status_code=201, tags=["executions"], responses=REPORTING)
def report_executions(
    entries: Annotated[
        list[ExecutionEntry],
        Field(min_length=1, max_length=settings().batch_limit),
        BeforeValidator(lambda body: [body] if isinstance(body, dict) else body),
    ],
    caller: Reporter,
) -> AcceptedBatch:
    """Report what an agent answered: a list or one execution; reporting again completes the same row."""
    _charge(caller, len(entries))

    def store(session: Session) -> list[Accepted]:
        return accepted(executions.record(session, entries))

    results = in_transaction(caller.organization_id, store)
    return AcceptedBatch(stored=len(results), results=results)


@router.delete(
    "/feedback/{feedback_id:path}",
    status_code=204,
    tags=["feedback"],
    responses=problems.responses(401, 403, 404, 422, 503),
)
def withdraw_feedback(feedback_id: Key, caller: Reporter) -> None:
    """Take feedback back: it counts nowhere any more. Sending it again brings it back."""
    with organization_session(caller.organization_id) as session:
        withdraw(session, feedback_id)
        access.audit(session, caller, "feedback.withdrawn", feedback_id)


def _charge(caller: Caller, rows: int) -> None:
    limit = throttle.per_key()
    throttle.spend(throttle.Charge(limit, (str(caller.organization_id), caller.name), rows))


def accepted(outcomes: Sequence[Outcome]) -> list[Accepted]:
    """Turn outcomes into an answer.

    Raises:
        Conflict: one contradicts what is stored; raised within the transaction, it undoes the others.
    """
    for index, outcome in enumerate(outcomes):
        if outcome.status is Status.CONFLICT:
            raise Conflict(
                f"{outcome.key!r} belongs to another execution, or its execution to another agent.",
                field=f"{index}.id" if len(outcomes) > 1 else "id",
            )
    return [{"id": outcome.key, "status": outcome.status} for outcome in outcomes]


# ---------------------------------------------------------------- out


class EstimateOut(BaseModel):
    """A figure with its 95 % interval and the number of observations it rests on."""

    value: float
    low: float
    high: float
    n: int


class StatsOut(BaseModel):
    """The metrics of an agent over a window of whole days (UTC); null where nothing was counted."""

    agent_id: str | None
    since: date
    until: date
    feedback_count: int
    execution_count: int
    feedback_rate: EstimateOut | None
    satisfaction: EstimateOut | None = Field(description="Mean rating, 1-5")
    thumbs_up_share: EstimateOut | None
    correction_rate: EstimateOut | None
    issue_rate: EstimateOut | None
    error_rate: EstimateOut | None
    latency_ms: float | None
    cost_usd: float | None


class IssueOut(BaseModel):
    """How often an issue category was named; share and change are of all feedback in the window."""

    category: str
    count: int
    share: EstimateOut
    change: EstimateOut | None


class IssuesOut(BaseModel):
    """The issue categories of an agent over a window of whole days (UTC), most frequent first."""

    agent_id: str
    since: date
    until: date
    issues: list[IssueOut]


class OverviewOut(BaseModel):
    """The metrics of the whole organisation and of each of its agents."""

    overall: StatsOut
    agents: list[StatsOut]


@router.get("/feedback/stats/{agent_id:path}", tags=["feedback"], responses=READING)
def feedback_stats(agent_id: AgentKey, caller: Reader, days: Days = 30) -> StatsOut:
    """Return how satisfied an agent's users are, each figure with n and interval."""
    window = Window.last(days, _today())
    with reading_session(caller.organization_id) as session:
        require_agent(session, agent_id)
        return _stats(agent_id, window, metrics.measure(session, agent_id, window))


@router.get("/feedback/issues/{agent_id:path}", tags=["feedback"], responses=READING)
def feedback_issues(agent_id: AgentKey, caller: Reader, days: Days = 30) -> IssuesOut:
    """Return what an agent's users complain about, with the change against the window before."""
    window = Window.last(days, _today())
    with reading_session(caller.organization_id) as session:
        require_agent(session, agent_id)
        found = metrics.issues(session, agent_id, window)
    issues = [
        IssueOut(
            category=issue.category,
            count=issue.count,
            share=EstimateOut(**issue.share._asdict()),
            change=_estimate(issue.change),
        )
        for issue in found
    ]
    return IssuesOut(agent_id=agent_id, since=window.since, until=window.until, issues=issues)


@router.get("/stats", tags=["feedback"], responses=problems.responses(401, 422, 503))
def stats(caller: Reader, days: Days = 30) -> OverviewOut:
    """Return the metrics of the organisation and of its hundred most talked-about agents."""
    window = Window.last(days, _today())
    with reading_session(caller.organization_id) as session:
        agents = list(queries.agents(session, window).agent[:100])
        return OverviewOut(
            overall=_stats(None, window, metrics.measure(session, None, window)),
            agents=[_stats(agent, window, metrics.measure(session, agent, window)) for agent in agents],
        )


def _stats(agent: str | None, window: Window, measured: metrics.Metrics) -> StatsOut:
    fields: dict[str, Any] = {
        name: _estimate(value) if name in metrics.ESTIMATES else value
        for name, value in measured._asdict().items()
    }
    return StatsOut(agent_id=agent, since=window.since, until=window.until, **fields)


def _estimate(estimate: Estimate | None) -> EstimateOut | None:
    return EstimateOut(**estimate._asdict()) if estimate else None


def require_agent(session: Session, agent: str) -> None:
    """Refuse an agent nobody has heard of.

    Raises:
        NotFound: there is no such agent.
    """
    if not queries.agent_exists(session, agent):
        raise NotFound(f"There is no agent {agent!r}; it appears with its first execution or feedback.")


def _today() -> date:
    return datetime.now(UTC).date()
