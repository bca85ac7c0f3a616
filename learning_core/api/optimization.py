"""Routes of optimization: ask for a better prompt, and see how far it is."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from learning_core import background
from learning_core.api import problems
from learning_core.api.callers import Engineer, Reader
from learning_core.background import Cap, Run
from learning_core.db import organization_session, reading_session
from learning_core.evaluation import runs as evaluations
from learning_core.feedback.entries import Key
from learning_core.prompts import runs
from learning_core.prompts.racing import Mode
from learning_core.schema import RunKind, RunStatus

router = APIRouter(prefix="/learning", tags=["optimization"])

MOST_USD = Decimal(1_000_000)
Goal = Annotated[str, Field(max_length=1_000)]


class BudgetIn(BaseModel):
    """What may be spent at most; what is left out is not limited."""

    model_config = ConfigDict(extra="forbid")

    usd: Decimal | None = Field(None, gt=0, le=MOST_USD, description="US dollars")
    tokens: int | None = Field(None, gt=0, le=2**53)
    calls: int | None = Field(None, gt=0, le=10_000_000)


class OptimizationIn(BaseModel):
    """What is to be improved, and within what budget."""

    model_config = ConfigDict(extra="forbid")

    agent_id: Key
    current_prompt: str = Field(
        min_length=1, max_length=200_000, description="Becomes a version if it is new"
    )
    optimization_goals: list[Goal] | Goal = Field([], description="What should get better, in words")
    budget: BudgetIn = BudgetIn()
    dataset: str | None = Field(
        None, max_length=80, description="Without, the newest with the agent's examples"
    )
    dataset_version: int | None = Field(None, ge=1, le=2**31 - 1)
    strategies: list[str] = Field([], max_length=20, description="Without, all")
    mode: Mode = Mode.EXPLORATORY
    seed: int = Field(1, ge=0, lt=2**31)


class SpentOut(BaseModel):
    """What was spent so far."""

    usd: Decimal
    tokens: int
    calls: int


class RunOut(BaseModel):
    """A background run: where it stands, what it spent, what came of it."""

    run_id: UUID
    kind: RunKind
    agent_id: str
    status: RunStatus
    estimate: dict[str, Any] = Field(
        description="Calls, tokens, US dollars and seconds expected at the start"
    )
    progress: dict[str, Any]
    spent: SpentOut
    result: dict[str, Any] | None = Field(
        description="Winner, verdict and what they rest on, once there are any"
    )
    stop_reason: str | None
    error: str | None
    started_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@router.post("/optimize-prompt", status_code=202, responses=problems.responses(401, 403, 404, 409, 422, 503))
def optimize_prompt(wanted: OptimizationIn, caller: Engineer) -> RunOut:
    """Start an optimization in the background and return its run."""
    goals = wanted.optimization_goals
    wish = runs.Wish(
        agent=wanted.agent_id,
        text=wanted.current_prompt,
        goals=goals if isinstance(goals, str) else "\n".join(goals),
        dataset=wanted.dataset,
        dataset_version=wanted.dataset_version,
        strategies=tuple(wanted.strategies),
        cap=Cap(wanted.budget.usd, wanted.budget.tokens, wanted.budget.calls),
        mode=wanted.mode,
        seed=wanted.seed,
    )
    with organization_session(caller.organization_id) as session:
        return _shown(background.find(session, runs.start_by_name(session, caller, wish)))


@router.get("/runs/{run_id}", responses=problems.responses(401, 404, 422, 503))
def run(run_id: UUID, caller: Reader) -> RunOut:
    """Return where a run stands and what came of it."""
    with reading_session(caller.organization_id) as session:
        return _shown(background.find(session, run_id))


@router.post("/runs/{run_id}/cancel", responses=problems.responses(401, 403, 404, 409, 422, 503))
def cancel(run_id: UUID, caller: Engineer) -> RunOut:
    """Stop a run for good: at once where it waits, at its next step where it is under way."""
    with organization_session(caller.organization_id) as session:
        background.cancel(session, caller, run_id)
        return _shown(background.find(session, run_id))


@router.post("/runs/{run_id}/pause", responses=problems.responses(401, 403, 404, 409, 422, 503))
def pause(run_id: UUID, caller: Engineer) -> RunOut:
    """Ask a run to stop for now; what it paid for is kept."""
    with organization_session(caller.organization_id) as session:
        background.pause(session, caller, run_id)
        return _shown(background.find(session, run_id))


@router.post("/runs/{run_id}/resume", responses=problems.responses(401, 403, 404, 409, 422, 503))
def resume(run_id: UUID, caller: Engineer) -> RunOut:
    """Let a paused run go on where it was, or a proposed one begin."""
    with organization_session(caller.organization_id) as session:
        RESUME[background.find(session, run_id).kind](session, caller, run_id)
        return _shown(background.find(session, run_id))


RESUME = {RunKind.PROMPT_OPTIMIZATION: runs.resume, RunKind.EVALUATION: evaluations.resume}
"""Kind of a run -> what lets it go on."""


def _shown(found: Run) -> RunOut:
    fields = {name: getattr(found, name) for name in SHOWN}
    return RunOut(run_id=found.id, agent_id=found.agent, spent=SpentOut(**found.spent._asdict()), **fields)


SHOWN = RunOut.model_fields.keys() - {"run_id", "agent_id", "spent"}
