"""Evaluations as background runs: one prompt version, one split of one dataset version, one evaluator.

A run that was cut off goes on from what is stored: scores are not made twice, and no call is paid twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import access, background
from learning_core.access import Caller
from learning_core.background import UNCAPPED, Cap, Carried, Ending, Run
from learning_core.datasets import versions
from learning_core.datasets.splits import Split
from learning_core.db import organization_session
from learning_core.errors import NotEnoughData, NotFound
from learning_core.evaluation import course, evaluators, scores
from learning_core.evaluation.course import Work
from learning_core.evaluation.questions import Questions
from learning_core.evaluation.scores import Item
from learning_core.evaluation.scoring import answer_tokens
from learning_core.jobs import LONG, defer, queue
from learning_core.llm import endpoints, ledger
from learning_core.llm.exchange import Exchange
from learning_core.llm.requests import Model
from learning_core.llm.templates import Prompt
from learning_core.schema import CandidateState, ModelRole, Role, RunKind


def start(
    session: Session,
    caller: Caller,
    agent: str,
    prompt_version_id: UUID,
    dataset_id: UUID,
    split: Split,
    *,
    evaluator_id: UUID | None = None,
    cap: Cap = UNCAPPED,
) -> UUID:
    """Queue the evaluation of a prompt version on a split and return the run's id.

    Without an evaluator it uses the agent's newest one, or saves what suits the dataset.

    Raises:
        NotPermitted: the caller's role may not optimize.
        NotFound: the agent has no such prompt version, or no such evaluator.
        NotEnoughData: the split has no example of the agent, or a model is missing that it takes.
    """
    access.require(caller, "optimize")
    prompt = _prompt(session, agent, prompt_version_id)
    everything = scores.items(session, dataset_id, None, agent)
    wanted = [item for item in everything if item.example.split == split]
    if not wanted:
        raise NotEnoughData(f"The {split} split of this dataset has no example of {agent!r}.")
    models = endpoints.assigned(session)
    evaluator = _evaluator(session, caller, agent, evaluator_id, everything, models)
    room = answer_tokens([item.example for item in everything])
    questions = Questions(models, evaluator.evaluator, room)
    asked = [make(prompt, [item.example for item in wanted]) for make in (questions.all, questions.probes)]
    run_id = background.create(
        session,
        caller,
        RunKind.EVALUATION,
        agent,
        {
            "split": split,
            "models": {role: model.told() for role, model in models.items()},
            "max_tokens": questions.max_tokens,
            "temperature": questions.temperature,
        },
        prompt_version_id=prompt_version_id,
        dataset_id=dataset_id,
        evaluator_id=evaluator.id,
        cap=cap,
        estimate=ledger.most(chain.from_iterable(asked))._asdict(),
    )
    _defer(session, caller.organization_id, run_id)
    return run_id


def resume(session: Session, caller: Caller, run_id: UUID) -> None:
    """Let a paused evaluation go on from where it was.

    Raises:
        NotPermitted: the caller's role may not optimize.
        NotFound: there is no such evaluation.
        Conflict: it is not paused.
    """
    if background.find(session, run_id).kind is not RunKind.EVALUATION:
        raise NotFound("There is no such evaluation.")
    background.queue_again(session, caller, run_id)
    _defer(session, caller.organization_id, run_id)


@queue.task(name="evaluation.evaluate", queue=LONG, retry=background.AGAIN)
def evaluate(organization_id: str, run_id: str) -> None:
    """Do, or go on with, an evaluation."""
    background.carry_out(UUID(organization_id), UUID(run_id), _evaluate, _defer)


def _evaluate(carried: Carried) -> Ending:
    with organization_session(carried.organization_id) as session:
        work = _prepare(session, carried.organization_id, carried.run)
    carried.so_far, carried.how_far = partial(course.result, work), partial(course.how_far, work)
    with Exchange(carried.organization_id, carried.run.id, interrupted=carried.watch) as exchange:
        return course.follow(work, exchange)


def _prepare(session: Session, organization_id: UUID, run: Run) -> Work:
    """Read what an evaluation works with; at the first time, put its look at a test split on record."""
    if run.prompt_version_id is None or run.dataset_id is None or run.evaluator_id is None:
        raise NotFound("The run does not say what it evaluates.")
    split, caller = Split(run.settings["split"]), Caller(organization_id, run.started_by, Role.ENGINEER)
    prompt = _prompt(session, run.agent, run.prompt_version_id)
    if split is Split.TEST and not _has_candidate(session, run.id):
        versions.record_use(session, caller, run.dataset_id, split, f"evaluation {run.id}")
    candidate_id = scores.store_candidate(
        session,
        run.id,
        0,
        prompt,
        strategy="baseline",
        reason="The prompt version as it is.",
        state=CandidateState.BASELINE,
        prompt_version_id=run.prompt_version_id,
    )
    evaluator = evaluators.find(session, run.evaluator_id).evaluator
    items = scores.items(session, run.dataset_id, split, run.agent)
    return Work(organization_id, run, candidate_id, prompt, evaluator, items)


def _defer(session: Session, organization_id: UUID, run_id: UUID) -> None:
    defer(session, evaluate, lock=f"run {run_id}", organization_id=str(organization_id), run_id=str(run_id))


def _evaluator(
    session: Session,
    caller: Caller,
    agent: str,
    evaluator_id: UUID | None,
    everything: Sequence[Item],
    models: dict[ModelRole, Model],
) -> evaluators.Version:
    if evaluator_id is None:
        seen = [item.example for item in everything if item.example.split != Split.TEST]
        examples = seen or [item.example for item in everything]
        return evaluators.newest_or_suggested(session, caller, agent, examples, models)
    found = evaluators.find(session, evaluator_id)
    if found.agent != agent:
        raise NotFound(f"The agent {agent!r} has no such evaluator.")
    return found


def _prompt(session: Session, agent: str, prompt_version_id: UUID) -> Prompt:
    row = session.execute(PROMPT, {"id": prompt_version_id, "agent": agent}).one_or_none()
    if row is None:
        raise NotFound(f"The agent {agent!r} has no such prompt version.")
    return Prompt.parse(row.messages)


def _has_candidate(session: Session, run_id: UUID) -> bool:
    return bool(session.execute(HAS_CANDIDATE, {"run": run_id}).scalar_one())


PROMPT = text("""
SELECT messages FROM prompt_versions JOIN agents ON agents.id = prompt_versions.agent_id
WHERE prompt_versions.id = :id AND agents.key = :agent
""")

HAS_CANDIDATE = text("SELECT EXISTS (SELECT FROM candidates WHERE run_id = :run)")
