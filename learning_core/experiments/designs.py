"""The life of an experiment: designed, started, paused, resumed, decided or cancelled.

A design never changes after the start; what it says of the data stands in its looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core import access, background
from learning_core.access import Caller
from learning_core.errors import Conflict, InvalidInput, NotFound
from learning_core.experiments import allocations, suggestion
from learning_core.experiments.allocations import Variant
from learning_core.experiments.soundness import MOST_DAYS as MOST_DAYS
from learning_core.experiments.soundness import require_production_as_control, require_sound, require_words
from learning_core.experiments.terms import CONTROL, DESIGN, Design
from learning_core.prompts import history, runs
from learning_core.schema import AllocationKind, ExperimentDecision, ExperimentStatus, RunKind

LONGEST_NAME = 120
LONGEST_HYPOTHESIS = 2_000
LONGEST_REASON = 500

UNDER_WAY = (ExperimentStatus.RUNNING, ExperimentStatus.PAUSED)


@dataclass(frozen=True, kw_only=True)
class New:
    """An experiment to be: whose, called what, expected to show what, by which design.

    Attributes:
        agent: The agent's key.
        name: For people.
        hypothesis: What is expected, and why.
        design: What is compared, and by which rules.
        run_id: The optimization that the treatment came from.
    """

    agent: str
    name: str
    hypothesis: str
    design: Design
    run_id: UUID | None = None


def create(session: Session, caller: Caller, new: New) -> UUID:
    """Write an experiment down as a draft and return its id.

    Raises:
        NotPermitted: the caller's role may not experiment.
        InvalidInput: the design cannot answer anything; it says why.
        NotFound: there is no such agent, version or run, or nothing in production to compare with.
    """
    access.require(caller, "experiment")
    require_sound(session, new.agent, new.design)
    _require_told(session, new)
    experiment: UUID = session.execute(CREATE, _row(new) | {"by": caller.name}).scalar_one()
    access.audit(session, caller, "experiment.created", str(experiment), agent=new.agent, name=new.name)
    return experiment


def create_from_run(
    session: Session,
    caller: Caller,
    run_id: UUID,
    number: int,
    at: datetime,
    *,
    name: str | None = None,
    hypothesis: str | None = None,
    started: bool = False,
    **wishes: Any,
) -> UUID:
    """Compare a candidate of an optimization, made a version, with what is in production; return the id.

    Name, hypothesis and design follow from the run and the agent's last weeks where none are given.

    Args:
        session: Of the run's organisation.
        caller: Who asks.
        run_id: The optimization.
        number: Of the candidate.
        at: Now.
        name: For people.
        hypothesis: What is expected, and why.
        started: Whether users meet it from now on; else it is a draft.
        **wishes: Fields of the design that are to be as given.

    Raises:
        NotPermitted: the caller's role may not experiment.
        NotFound: there is no such optimization or candidate.
        InvalidInput: the candidate is what is in production.
        Conflict: it cannot be started now.
    """
    access.require(caller, "experiment")
    run = background.find(session, run_id)
    if run.kind is not RunKind.PROMPT_OPTIMIZATION:
        raise NotFound("There is no such optimization.")
    version = runs.make_version(session, caller, run_id, number)
    control = history.labelled(session, run.agent)
    if version.id == control.id:
        raise InvalidInput(f"{control.key} is what users meet already.", field="number")
    new = New(
        agent=run.agent,
        name=name or f"{version.key} against {control.key}",
        hypothesis=hypothesis or _expected(run.result, number, version.reason),
        design=suggestion.suggest(session, run.agent, [version.key], at, **wishes),
        run_id=run_id,
    )
    experiment = create(session, caller, new)
    if started:
        start(session, caller, experiment, at)
    return experiment


def revise(session: Session, caller: Caller, experiment_id: UUID, new: New) -> None:
    """Change a draft; its agent stays the same.

    Raises:
        NotPermitted: the caller's role may not experiment.
        InvalidInput, NotFound: as `create` says.
        Conflict: it has started.
    """
    access.require(caller, "experiment")
    held = _hold(session, experiment_id, "revised", ExperimentStatus.DRAFT)
    if held.agent != new.agent:
        raise InvalidInput(f"This experiment is one of {held.agent!r}.", field="agent")
    require_sound(session, new.agent, new.design)
    _require_told(session, new)
    session.execute(REVISE, _row(new) | {"id": experiment_id})
    access.audit(session, caller, "experiment.revised", str(experiment_id), name=new.name)


def start(session: Session, caller: Caller, experiment_id: UUID, at: datetime) -> None:
    """Let users meet the variants of a draft from now on.

    Raises:
        NotPermitted: the caller's role may not experiment.
        NotFound: there is no such experiment.
        InvalidInput: what is in production has changed since it was designed.
        Conflict: it is no draft, a release is on its way, or too few users are free.
    """
    access.require(caller, "experiment")
    held = _hold(session, experiment_id, "started", ExperimentStatus.DRAFT)
    design = DESIGN.validate_python(held.design)
    require_production_as_control(session, held.agent, design)
    _refuse_during_release(session, held.agent_id)
    control = next(each for each in design.variants if each.name == CONTROL)
    allocations.open_allocation(
        session,
        agent_id=held.agent_id,
        kind=AllocationKind.COMPARISON,
        variants=[
            Variant(each.name, UUID(each.version_id), each.share) for each in (*design.treatments, control)
        ],
        traffic=design.traffic,
        ramp=design.ramp,
        at=at,
        experiment_id=experiment_id,
    )
    _move(session, experiment_id, ExperimentStatus.RUNNING, started_at=at)
    access.audit(session, caller, "experiment.started", str(experiment_id), agent=held.agent, name=held.name)


def ramp_up(session: Session, caller: Caller, experiment_id: UUID, ramp: float, at: datetime) -> None:
    """Let more of the experiment's users meet a variant; those who do already stay with theirs.

    Raises:
        NotPermitted: the caller's role may not experiment.
        InvalidInput: the part is not above 0 and at most 1.
        Conflict: it is not running, or as much is open already.
    """
    access.require(caller, "experiment")
    _hold(session, experiment_id, "ramped up", ExperimentStatus.RUNNING)
    allocations.ramp_up(session, _allocation(session, experiment_id), ramp, at)
    access.audit(session, caller, "experiment.ramped_up", str(experiment_id), ramp=ramp)


def pause(session: Session, caller: Caller, experiment_id: UUID) -> None:
    """Give all users what is in production for the time being; places and counts stay.

    Raises:
        NotPermitted: the caller's role may not experiment.
        Conflict: it is not running.
    """
    access.require(caller, "experiment")
    _hold(session, experiment_id, "paused", ExperimentStatus.RUNNING)
    allocations.pause(session, _allocation(session, experiment_id))
    _move(session, experiment_id, ExperimentStatus.PAUSED)
    access.audit(session, caller, "experiment.paused", str(experiment_id))


def resume(session: Session, caller: Caller, experiment_id: UUID) -> None:
    """Let users meet their variants again.

    Raises:
        NotPermitted: the caller's role may not experiment.
        InvalidInput: what is in production has changed meanwhile.
        Conflict: it is not paused, or a release is on its way.
    """
    access.require(caller, "experiment")
    held = _hold(session, experiment_id, "resumed", ExperimentStatus.PAUSED)
    require_production_as_control(session, held.agent, DESIGN.validate_python(held.design))
    _refuse_during_release(session, held.agent_id)
    allocations.resume(session, _allocation(session, experiment_id))
    _move(session, experiment_id, ExperimentStatus.RUNNING)
    access.audit(session, caller, "experiment.resumed", str(experiment_id))


def complete(
    session: Session,
    caller: Caller,
    experiment_id: UUID,
    decision: ExperimentDecision,
    reason: str,
    at: datetime,
) -> None:
    """End an experiment with what is to be done about it; all users get what is in production.

    Adopting the treatment puts nothing into production: that is what a release does.

    Raises:
        NotPermitted: the caller's role may not experiment.
        InvalidInput: there is no reason, or a very long one.
        Conflict: it is not under way.
    """
    access.require(caller, "experiment")
    require_words("reason", reason, LONGEST_REASON)
    held = _hold(session, experiment_id, "decided", *UNDER_WAY)
    settle(session, caller, held, decision, reason, at)


def settle(
    session: Session,
    caller: Caller,
    held: Row[Any],
    decision: ExperimentDecision,
    reason: str,
    at: datetime,
) -> None:
    """Do what `complete` does for a held experiment, on behalf of a person or of a guardrail."""
    allocations.end(session, _allocation(session, held.id), at)
    reason = reason.strip()
    told = {"decision": decision, "decision_by": caller.name, "decision_reason": reason}
    _move(session, held.id, ExperimentStatus.COMPLETED, ended_at=at, **told)
    access.audit(session, caller, "experiment.decided", str(held.id), decision=decision, reason=reason)


def cancel(session: Session, caller: Caller, experiment_id: UUID, reason: str, at: datetime) -> None:
    """End an experiment, or drop a draft, without a decision; all users get what is in production.

    Raises:
        NotPermitted: the caller's role may not experiment.
        InvalidInput: there is no reason, or a very long one.
        Conflict: it is over already.
    """
    access.require(caller, "experiment")
    require_words("reason", reason, LONGEST_REASON)
    held = _hold(session, experiment_id, "cancelled", ExperimentStatus.DRAFT, *UNDER_WAY)
    if held.status != ExperimentStatus.DRAFT:
        allocations.end(session, _allocation(session, experiment_id), at)
    told = {"decision_by": caller.name, "decision_reason": reason.strip()}
    _move(session, experiment_id, ExperimentStatus.CANCELLED, ended_at=at, **told)
    access.audit(session, caller, "experiment.cancelled", str(experiment_id), reason=reason.strip())


def hold(session: Session, experiment_id: UUID) -> Row[Any]:
    """Return an experiment's row with its agent's key as `agent`, and keep it from others till the end.

    Raises:
        NotFound: there is none of that id.
    """
    row = session.execute(HOLD, {"id": experiment_id}).one_or_none()
    if row is None:
        raise NotFound("There is no such experiment.")
    return row


def _hold(session: Session, experiment_id: UUID, wish: str, *allowed: ExperimentStatus) -> Row[Any]:
    held = hold(session, experiment_id)
    if held.status not in allowed:
        raise Conflict(f"An experiment that is {STANDING[ExperimentStatus(held.status)]} cannot be {wish}.")
    return held


STANDING = {
    ExperimentStatus.DRAFT: "a draft",
    ExperimentStatus.RUNNING: "running",
    ExperimentStatus.PAUSED: "paused",
    ExperimentStatus.COMPLETED: "completed",
    ExperimentStatus.CANCELLED: "cancelled",
}


def _allocation(session: Session, experiment_id: UUID) -> UUID:
    found = allocations.of_experiment(session, experiment_id)
    if found is None:
        raise Conflict("This experiment has no users yet.")
    return found.id


def _move(session: Session, experiment_id: UUID, status: ExperimentStatus, **told: Any) -> None:
    session.execute(MOVE, NOTHING_TOLD | told | {"id": experiment_id, "status": status})


NOTHING_TOLD = dict.fromkeys(("started_at", "ended_at", "decision", "decision_by", "decision_reason"))


def _require_told(session: Session, new: New) -> None:
    require_words("name", new.name, LONGEST_NAME)
    require_words("hypothesis", new.hypothesis or "none", LONGEST_HYPOTHESIS)
    if new.run_id is not None and background.find(session, new.run_id).agent != new.agent:
        raise InvalidInput("That optimization is of another agent.", field="run_id")


def _row(new: New) -> dict[str, Any]:
    return {
        "agent": new.agent,
        "name": new.name.strip(),
        "hypothesis": new.hypothesis.strip(),
        "design": DESIGN.dump_json(new.design).decode(),
        "run": new.run_id,
    }


def _expected(result: dict[str, Any] | None, number: int, reason: str) -> str:
    """Say what an optimization lets one expect of a candidate."""
    verdict = (result or {}).get("verdict")
    if not verdict or (result or {}).get("winner") != number:
        return reason
    return f"{reason}\nOffline: {verdict['words']}"[:LONGEST_HYPOTHESIS]


def _refuse_during_release(session: Session, agent_id: UUID) -> None:
    release = session.execute(ON_THE_WAY, {"agent": agent_id}).one_or_none()
    if release is not None:
        raise Conflict(
            f"Release {release.number} of this agent is on its way to all users; an experiment can start when"
            " it has arrived or is taken back."
        )


CREATE = text("""
INSERT INTO learning_experiments (agent_id, name, hypothesis, design, run_id, created_by)
SELECT id, :name, :hypothesis, CAST(:design AS jsonb), CAST(:run AS uuid), :by
FROM agents WHERE key = :agent
RETURNING id
""")

REVISE = text("""
UPDATE learning_experiments
SET name = :name, hypothesis = :hypothesis, design = CAST(:design AS jsonb), run_id = CAST(:run AS uuid)
WHERE id = :id
""")

HOLD = text("""
SELECT experiment.*, agents.key AS agent
FROM learning_experiments AS experiment JOIN agents ON agents.id = experiment.agent_id
WHERE experiment.id = :id
FOR UPDATE OF experiment
""")

MOVE = text("""
UPDATE learning_experiments
SET status = :status,
    started_at = coalesce(CAST(:started_at AS timestamptz), started_at),
    ended_at = coalesce(CAST(:ended_at AS timestamptz), ended_at),
    decision = CAST(:decision AS text), decision_by = CAST(:decision_by AS text),
    decision_reason = CAST(:decision_reason AS text)
WHERE id = :id
""")

ON_THE_WAY = text("""
SELECT number FROM releases WHERE agent_id = :agent AND status IN ('waiting', 'rolling_out')
""")
