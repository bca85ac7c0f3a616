"""The life of a run's row: created, begun, watched, paused, resumed, cancelled, finished.

What a run does stands in the `runs` module of its step. What it may spend stands in its row, and only
`llm.ledger` spends it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.errors import Conflict, InvalidInput, NotFound
from learning_core.schema import RunKind, RunStatus


class Cap(NamedTuple):
    """What a run may spend at most; None is no limit."""

    usd: Decimal | None = None
    tokens: int | None = None
    calls: int | None = None

    @property
    def is_open(self) -> bool:
        """Return whether nothing limits the run."""
        return self == (None, None, None)


UNCAPPED = Cap()


class Spent(NamedTuple):
    """What a run has spent: settled calls, and what calls on their way may still cost."""

    usd: Decimal
    tokens: int
    calls: int


class Run(NamedTuple):
    """A run as its row tells it; times are UTC, `agent` is the agent's key."""

    id: UUID
    kind: RunKind
    agent: str
    agent_id: UUID
    status: RunStatus
    wish: str | None
    settings: dict[str, Any]
    prompt_version_id: UUID | None
    dataset_id: UUID | None
    evaluator_id: UUID | None
    cap: Cap
    spent: Spent
    estimate: dict[str, Any]
    progress: dict[str, Any]
    result: dict[str, Any] | None
    stop_reason: str | None
    error: str | None
    started_by: str
    created_at: datetime
    started_at: datetime | None
    heartbeat_at: datetime | None
    finished_at: datetime | None


def create(
    session: Session,
    caller: Caller,
    kind: RunKind,
    agent: str,
    settings: dict[str, Any],
    *,
    prompt_version_id: UUID | None = None,
    dataset_id: UUID | None = None,
    evaluator_id: UUID | None = None,
    cap: Cap = UNCAPPED,
    estimate: dict[str, Any] | None = None,
    proposed: bool = False,
) -> UUID:
    """Put down a run that is to happen, or one that waits for a person, and return its id.

    Raises:
        NotPermitted: the caller's role may not optimize.
        InvalidInput: a cap is below zero.
        NotFound: there is no such agent.
    """
    access.require(caller, "optimize")
    _require_sane(cap)
    row = session.execute(
        CREATE,
        {
            "kind": kind,
            "agent": agent,
            "status": RunStatus.PROPOSED if proposed else RunStatus.QUEUED,
            "settings": to_json(settings).decode(),
            "prompt": prompt_version_id,
            "dataset": dataset_id,
            "evaluator": evaluator_id,
            **_caps(cap),
            "estimate": to_json(estimate or {}).decode(),
            "by": caller.name,
        },
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no agent {agent!r}.")
    done = "run.proposed" if proposed else "run.started"
    access.audit(session, caller, done, str(row.id), kind=kind, agent=agent)
    found: UUID = row.id
    return found


def find(session: Session, run_id: UUID) -> Run:
    """Return a run.

    Raises:
        NotFound: there is none of that id.
    """
    row = session.execute(FIND, {"run": run_id}).one_or_none()
    if row is None:
        raise NotFound("There is no such run.")
    return _run(row)


def begin(session: Session, run_id: UUID) -> Run | None:
    """Mark a queued run as running, or take up one that was cut off; None where there is nothing to do."""
    if session.execute(BEGIN, {"run": run_id}).one_or_none() is None:
        return None
    return find(session, run_id)


def report(session: Session, run_id: UUID, activity: str, **figures: Any) -> str | None:
    """Say what a run is doing and that it is alive; return what a person wishes: pause, cancel or None.

    Figures replace those of the same name and leave the others.
    """
    told = to_json({"activity": activity, **figures}).decode()
    wish: str | None = session.execute(REPORT, {"run": run_id, "told": told}).scalar_one()
    return wish


def wish_of(session: Session, run_id: UUID) -> str | None:
    """Return what a person wishes of a run under way, and note that it is alive."""
    wish: str | None = session.execute(REPORT, {"run": run_id, "told": "{}"}).scalar_one()
    return wish


def finish(
    session: Session,
    run_id: UUID,
    status: RunStatus,
    *,
    stop_reason: str,
    result: dict[str, Any] | None = None,
    error: str | None = None,
) -> None:
    """Say how a run ended, or that it is paused, and why."""
    session.execute(
        FINISH,
        {
            "run": run_id,
            "status": status,
            "reason": stop_reason,
            "result": to_json(result).decode() if result is not None else None,
            "error": error,
        },
    )


def pause(session: Session, caller: Caller, run_id: UUID) -> None:
    """Ask a run under way to stop for now; what it paid for is kept.

    Raises:
        Conflict: it is not under way.
    """
    _wish(session, caller, run_id, "pause", PAUSE)


def cancel(session: Session, caller: Caller, run_id: UUID) -> None:
    """Stop a run for good: at once where it waits, at its next step where it is under way.

    Raises:
        Conflict: it is over already.
    """
    _wish(session, caller, run_id, "cancel", CANCEL)


def queue_again(session: Session, caller: Caller, run_id: UUID) -> None:
    """Put a paused or proposed run into the queue; the step that owns it defers the job.

    Raises:
        Conflict: it is neither paused nor proposed.
    """
    _wish(session, caller, run_id, "resume", RESUME)


def raise_cap(session: Session, caller: Caller, run_id: UUID, cap: Cap) -> None:
    """Change what a run may spend before it goes on.

    Raises:
        Conflict: the run is over, or has spent more than that.
    """
    access.require(caller, "optimize")
    _require_sane(cap)
    if session.execute(RAISE_CAP, {"run": run_id, **_caps(cap)}).one_or_none() is None:
        raise Conflict("The run is over, or has spent more than that already.", field="cap")
    told = {name: None if amount is None else str(amount) for name, amount in _caps(cap).items()}
    access.audit(session, caller, "run.cap", str(run_id), **told)


def _wish(session: Session, caller: Caller, run_id: UUID, wish: str, statement: Any) -> None:
    access.require(caller, "optimize")
    done = session.execute(statement, {"run": run_id, "by": caller.name}).one_or_none()
    if done is None:
        status = find(session, run_id).status
        raise Conflict(f"A run that is {status} cannot be asked to {wish}.")
    access.audit(session, caller, f"run.{wish}", str(run_id))


def _require_sane(cap: Cap) -> None:
    for name, amount in cap._asdict().items():
        if amount is not None and amount < 0:
            raise InvalidInput("A run cannot spend less than nothing.", field=f"cap_{name}")


def _caps(cap: Cap) -> dict[str, Any]:
    return {f"cap_{name}": amount for name, amount in cap._asdict().items()}


def _run(row: Row[Any]) -> Run:
    told = dict(row._mapping)
    cap = Cap(*(told.pop(f"cap_{name}") for name in Cap._fields))
    spent = Spent(*(told.pop(f"spent_{name}") for name in Spent._fields))
    told["kind"], told["status"] = RunKind(told["kind"]), RunStatus(told["status"])
    return Run(cap=cap, spent=spent, **told)


CREATE = text("""
INSERT INTO training_runs (
    kind, agent_id, status, settings, prompt_version_id, dataset_id, evaluator_id, cap_usd, cap_tokens,
    cap_calls, estimate, started_by
)
SELECT :kind, agents.id, :status, CAST(:settings AS jsonb), CAST(:prompt AS uuid), CAST(:dataset AS uuid),
       CAST(:evaluator AS uuid), CAST(:cap_usd AS numeric), CAST(:cap_tokens AS bigint),
       CAST(:cap_calls AS int), CAST(:estimate AS jsonb), :by
FROM agents WHERE key = :agent
RETURNING id
""")

COLUMNS = """
    run.id, run.kind, agents.key AS agent, run.agent_id, run.status, run.wish, run.settings,
    run.prompt_version_id, run.dataset_id, run.evaluator_id, run.cap_usd, run.cap_tokens, run.cap_calls,
    run.spent_usd + run.reserved_usd AS spent_usd, run.spent_tokens + run.reserved_tokens AS spent_tokens,
    run.spent_calls + run.reserved_calls AS spent_calls, run.estimate, run.progress, run.result,
    run.stop_reason, run.error, run.started_by, run.created_at, run.started_at, run.heartbeat_at,
    run.finished_at
"""
"""What makes a `Run`, of training_runs AS run joined with agents."""

FIND = text(f"""
SELECT {COLUMNS}
FROM training_runs AS run JOIN agents ON agents.id = run.agent_id
WHERE run.id = :run
""")  # noqa: S608 - the columns are the constant above

BEGIN = text("""
UPDATE training_runs SET
    status = 'running', started_at = coalesce(started_at, now()), heartbeat_at = now(), stop_reason = NULL
WHERE id = :run AND status IN ('queued', 'running')
RETURNING id
""")

REPORT = text("""
UPDATE training_runs SET heartbeat_at = now(), progress = progress || CAST(:told AS jsonb)
WHERE id = :run RETURNING wish
""")

FINISH = text("""
UPDATE training_runs SET
    status = :status, wish = NULL, stop_reason = :reason, result = CAST(:result AS jsonb), error = :error,
    finished_at = CASE WHEN :status = 'paused' THEN NULL ELSE now() END
WHERE id = :run
""")

PAUSE = text("""
UPDATE training_runs SET
    wish = CASE WHEN status = 'running' THEN 'pause' END,
    status = CASE WHEN status = 'running' THEN status ELSE 'paused' END,
    stop_reason = 'paused by ' || :by
WHERE id = :run AND status IN ('queued', 'running')
RETURNING id
""")

CANCEL = text("""
UPDATE training_runs SET
    wish = CASE WHEN status = 'running' THEN 'cancel' END,
    status = CASE WHEN status = 'running' THEN status ELSE 'cancelled' END,
    finished_at = CASE WHEN status = 'running' THEN NULL ELSE now() END,
    stop_reason = 'cancelled by ' || :by
WHERE id = :run AND status IN ('proposed', 'queued', 'running', 'paused')
RETURNING id
""")

RESUME = text("""
UPDATE training_runs SET status = 'queued', wish = NULL, stop_reason = NULL
WHERE id = :run AND status IN ('paused', 'proposed') AND CAST(:by AS text) IS NOT NULL
RETURNING id
""")

RAISE_CAP = text("""
UPDATE training_runs SET
    cap_usd = CAST(:cap_usd AS numeric), cap_tokens = CAST(:cap_tokens AS bigint),
    cap_calls = CAST(:cap_calls AS int)
WHERE id = :run AND status NOT IN ('succeeded', 'failed', 'cancelled')
  AND coalesce(spent_usd + reserved_usd <= CAST(:cap_usd AS numeric), true)
  AND coalesce(spent_tokens + reserved_tokens <= CAST(:cap_tokens AS bigint), true)
  AND coalesce(spent_calls + reserved_calls <= CAST(:cap_calls AS int), true)
RETURNING id
""")
