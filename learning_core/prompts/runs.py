"""Background runs of the prompts step: optimizations, the daily look at each prompt, the weekly proposal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import access, background
from learning_core.access import Caller
from learning_core.background import UNCAPPED, Cap, Carried, Ending
from learning_core.datasets import versions as datasets
from learning_core.db import organization_session, shared_session
from learning_core.errors import Conflict, LearningError, NotEnoughData, NotFound
from learning_core.evaluation import evaluators
from learning_core.jobs import LONG, defer, queue
from learning_core.llm.exchange import Exchange
from learning_core.llm.requests import Model
from learning_core.llm.templates import Prompt
from learning_core.prompts import analysis, estimates, history, optimization, orders, versions
from learning_core.prompts.evidence import shorten
from learning_core.prompts.history import Version
from learning_core.prompts.optimization import Work
from learning_core.prompts.orders import EVIDENCE, Order
from learning_core.prompts.racing import Mode
from learning_core.schema import ModelRole, Role, RunKind, RunStatus

ENOUGH_NEW = 20
"""So many new pieces of feedback or approved examples since the last optimization are worth another."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """An optimization as the API and the command line ask for it: by texts and names instead of ids."""

    agent: str
    text: str | None = None
    goals: str = ""
    dataset: str | None = None
    dataset_version: int | None = None
    strategies: tuple[str, ...] = ()
    cap: Cap = UNCAPPED
    mode: Mode = Mode.EXPLORATORY
    seed: int = 1


def start(session: Session, caller: Caller, order: Order) -> UUID:
    """Queue an optimization and return the run's id.

    Raises:
        NotPermitted: the caller's role may not optimize.
        InvalidInput, NotFound, NotEnoughData: as `orders.survey` says, or the budget is too small.
    """
    run_id = _create(session, caller, order)
    _defer(session, caller.organization_id, run_id)
    return run_id


def start_by_name(session: Session, caller: Caller, wish: Wish) -> UUID:
    """Queue an optimization asked for by texts and names; a new text becomes a version of its own.

    Raises:
        NotPermitted, InvalidInput, NotFound, NotEnoughData: as `start` does.
    """
    access.require(caller, "optimize")
    return start(session, caller, _order(session, caller, wish))


def resume(session: Session, caller: Caller, run_id: UUID) -> None:
    """Let a paused optimization go on, or a proposed one begin.

    Raises:
        NotPermitted: the caller's role may not optimize.
        NotFound: there is no such optimization.
        Conflict: it is neither paused nor proposed.
    """
    if background.find(session, run_id).kind is not RunKind.PROMPT_OPTIMIZATION:
        raise NotFound("There is no such optimization.")
    background.queue_again(session, caller, run_id)
    _defer(session, caller.organization_id, run_id)


def make_version(session: Session, caller: Caller, run_id: UUID, number: int) -> Version:
    """Make a candidate a version of the agent's prompt, or find the version that has its content.

    Raises:
        NotPermitted: the caller's role may not optimize.
        NotFound: the run has no such candidate.
    """
    run = background.find(session, run_id)
    row = session.execute(CANDIDATE, {"run": run_id, "number": number}).one_or_none()
    if row is None:
        raise NotFound(f"The run has no candidate {number}.")
    version, _ = versions.save_or_find(
        session,
        caller,
        run.agent,
        Prompt.parse(row.messages),
        reason=shorten(row.reason, versions.LONGEST_REASON),
        parent=run.prompt_version_id,
    )
    session.execute(MADE, {"candidate": row.id, "version": version.id})
    return version


def enable_weekly(session: Session, caller: Caller, agent: str, enabled: bool) -> None:
    """Let the weekly look propose optimizations of an agent, or no longer.

    Raises:
        NotPermitted: the caller's role may not optimize.
        NotFound: there is no such agent.
    """
    access.require(caller, "optimize")
    if session.execute(WEEKLY, {"agent": agent, "enabled": enabled}).one_or_none() is None:
        raise NotFound(f"There is no agent {agent!r}.")
    access.audit(session, caller, "optimization.weekly", agent, enabled=enabled)


# ---------------------------------------------------------------- the run


@queue.task(name="prompts.optimize", queue=LONG, retry=background.AGAIN)
def optimize(organization_id: str, run_id: str) -> None:
    """Do, or go on with, an optimization."""
    background.carry_out(UUID(organization_id), UUID(run_id), _optimize, _defer)


def _optimize(carried: Carried) -> Ending:
    with organization_session(carried.organization_id) as session:
        work = _prepare(session, carried)
    with Exchange(
        carried.organization_id,
        carried.run.id,
        reuse=carried.run.settings["reuse"],
        interrupted=carried.watch,
    ) as exchange:
        result = optimization.carry_out(work, exchange)
    return Ending(RunStatus.SUCCEEDED, str(result.get("unverified") or result["search"]["stop"]), result)


def _prepare(session: Session, carried: Carried) -> Work:
    """Read from the database what a run's row names; everything else stands in the row."""
    run = carried.run
    if run.prompt_version_id is None or run.dataset_id is None or run.evaluator_id is None:
        raise NotFound("The run names no prompt, no dataset or no evaluator.")
    material = orders.read_material(session, run.dataset_id, run.agent, run.settings["seed"])
    evaluator = evaluators.find(session, run.evaluator_id).evaluator
    models = {ModelRole(role): Model.read(told) for role, told in run.settings["models"].items()}
    return Work(
        organization_id=carried.organization_id,
        run=run,
        baseline=history.by_id(session, run.prompt_version_id).prompt,
        portions=material.portions,
        sealed=material.sealed,
        example_ids=material.ids,
        evaluator=evaluator,
        models=models,
        evidence=EVIDENCE.validate_python(run.settings["evidence"]),
        plan=estimates.read_plan(run.settings["plan"]),
        verification=estimates.read_spend(run.estimate["verification"]),
    )


# ---------------------------------------------------------------- orders


def _create(session: Session, caller: Caller, order: Order, *, proposed: bool = False) -> UUID:
    access.require(caller, "optimize")
    ground = orders.survey(session, order)
    evaluator = evaluators.save(session, caller, order.agent, ground.evaluator)
    planned = estimates.estimate(order, ground)
    return background.create(
        session,
        caller,
        RunKind.PROMPT_OPTIMIZATION,
        order.agent,
        {**orders.told(order, ground), "plan": estimates.plan_told(planned.plan)},
        prompt_version_id=ground.baseline.id,
        dataset_id=order.dataset_id,
        evaluator_id=evaluator.id,
        cap=orders.cap_of(order),
        estimate=planned.told(),
        proposed=proposed,
    )


def _order(session: Session, caller: Caller, wish: Wish) -> Order:
    version_id = None
    if wish.text is not None:
        reason = "Given to be improved."
        version_id = versions.save_or_find(
            session, caller, wish.agent, Prompt.from_text(wish.text), reason=reason
        )[0].id
    return Order(
        agent=wish.agent,
        dataset_id=_dataset(session, wish),
        version_id=version_id,
        goals=wish.goals,
        strategies=wish.strategies,
        cap=wish.cap,
        mode=wish.mode,
        seed=wish.seed,
    )


def _dataset(session: Session, wish: Wish) -> UUID:
    if wish.dataset is not None:
        return datasets.find(session, wish.dataset, wish.dataset_version).id
    found = newest_dataset(session, wish.agent)
    if found is None:
        raise NotEnoughData(
            f"No dataset holds approved examples of {wish.agent!r}; freeze one under Datasets first."
        )
    return found


def newest_dataset(session: Session, agent: str) -> UUID | None:
    """Return the dataset version frozen last that holds examples of an agent."""
    found: UUID | None = session.execute(NEWEST_DATASET, {"agent": agent}).scalar()
    return found


def _defer(session: Session, organization_id: UUID, run_id: UUID) -> None:
    lock = f"run {run_id}"
    defer(session, optimize, lock=lock, organization_id=str(organization_id), run_id=str(run_id))


# ---------------------------------------------------------------- daily and weekly


@queue.periodic(cron="20 3 * * *")
@queue.task(name="prompts.analyse_all", queueing_lock="prompts.analyse_all", pass_context=False)
def analyse_all(timestamp: int) -> None:
    """Queue the daily look at the prompts of every organisation."""
    with shared_session() as session:
        for organization in access.organizations(session):
            defer(session, analyse, organization_id=str(organization.id))


@queue.task(name="prompts.analyse")
def analyse(organization_id: str) -> None:
    """Look at each agent's prompt and keep what was found."""
    today = datetime.now(UTC).date()
    with organization_session(UUID(organization_id)) as session:
        agents = list(session.execute(AGENTS).scalars())
    for agent in agents:
        with organization_session(UUID(organization_id)) as session:
            analysis.keep(session, agent, today)


@queue.periodic(cron="10 5 * * 1")
@queue.task(name="prompts.propose_all", queueing_lock="prompts.propose_all", pass_context=False)
def propose_all(timestamp: int) -> None:
    """Queue the weekly look for optimizations worth starting, of every organisation."""
    with shared_session() as session:
        for organization in access.organizations(session):
            defer(session, propose, organization_id=str(organization.id))


@queue.task(name="prompts.propose")
def propose(organization_id: str) -> None:
    """Propose an optimization of each agent that wants it and has enough new evidence; a person decides."""
    watchman = Caller(UUID(organization_id), "weekly look", Role.ENGINEER)
    with organization_session(watchman.organization_id) as session:
        waiting = list(session.execute(WORTH_IT, {"enough": ENOUGH_NEW}).scalars())
    for agent in waiting:
        try:
            with organization_session(watchman.organization_id) as session:
                order = _order(session, watchman, Wish(agent=agent))
                _create(session, watchman, order, proposed=True)
        except (NotEnoughData, NotFound, Conflict) as lacking:
            _say_why_not(watchman, agent, lacking)


def _say_why_not(watchman: Caller, agent: str, lacking: LearningError) -> None:
    with organization_session(watchman.organization_id) as session:
        access.audit(session, watchman, "optimization.not_proposed", agent, reason=lacking.message)


CANDIDATE = text("SELECT id, messages, reason FROM candidates WHERE run_id = :run AND number = :number")

MADE = text("UPDATE candidates SET prompt_version_id = :version WHERE id = :candidate")

WEEKLY = text("UPDATE agents SET weekly_optimization = :enabled WHERE key = :agent RETURNING id")

AGENTS = text("SELECT key FROM agents ORDER BY key")

NEWEST_DATASET = text("""
SELECT version.id FROM training_datasets AS version
WHERE EXISTS (
    SELECT FROM dataset_examples WHERE dataset_id = version.id AND content ->> 'agent_id' = :agent
)
ORDER BY version.created_at DESC, version.id DESC LIMIT 1
""")

WORTH_IT = text("""
SELECT agents.key
FROM agents
LEFT JOIN LATERAL (
    SELECT max(created_at) AS at, bool_or(status IN ('proposed', 'queued', 'running', 'paused')) AS is_open
    FROM training_runs WHERE agent_id = agents.id AND kind = 'prompt_optimization'
) AS last ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM (
        SELECT FROM agent_feedback
        WHERE agent_id = agents.id AND withdrawn_at IS NULL
          AND created_at > greatest(last.at, now() - interval '30 days')
        LIMIT :enough
    ) AS heard
) AS new
WHERE weekly_optimization AND NOT coalesce(last.is_open, false) AND new.n >= :enough
ORDER BY agents.key
""")
