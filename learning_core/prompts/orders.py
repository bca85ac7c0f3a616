"""What a person asks of an optimization: checked, completed and estimated before anything is spent."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.background import UNCAPPED, Cap
from learning_core.datasets.content import DatasetExample
from learning_core.datasets.splits import Split
from learning_core.errors import InvalidInput, NotEnoughData, NotFound
from learning_core.evaluation import evaluators, scores
from learning_core.evaluation.checks import Evaluator
from learning_core.evaluation.scoring import answer_tokens
from learning_core.llm import endpoints
from learning_core.llm.requests import Model
from learning_core.prompts import analysis, history, portions, verdict
from learning_core.prompts.evidence import Evidence
from learning_core.prompts.history import Version
from learning_core.prompts.portions import Portions
from learning_core.prompts.racing import Mode
from learning_core.prompts.strategies import STRATEGIES
from learning_core.schema import ModelRole
from learning_core.settings import settings

LONGEST_GOALS = 4_000
EVIDENCE = TypeAdapter(Evidence)


@dataclass(frozen=True, kw_only=True)
class Order:
    """An optimization as a person asks for it.

    Attributes:
        agent: The agent's key.
        dataset_id: The version whose examples teach, select and, sealed, say what was gained.
        version_id: The prompt to be improved; without, the one labelled production.
        goals: What should get better, in the person's words.
        strategies: Names of those that may propose; empty means all.
        cap: What may be spent; without any, the default number of calls.
        mode: How candidates may be dropped.
        seed: Repeats a run, or gives another one.
        reuse: Whether answers that were paid for by other runs are taken from the store.
    """

    agent: str
    dataset_id: UUID
    version_id: UUID | None = None
    goals: str = ""
    strategies: tuple[str, ...] = ()
    cap: Cap = UNCAPPED
    mode: Mode = Mode.EXPLORATORY
    seed: int = 1
    reuse: bool = True


class Material(NamedTuple):
    """An agent's examples in a dataset version, as one run uses them."""

    portions: Portions
    sealed: tuple[DatasetExample, ...]
    """The test split; only the verdict looks at it."""
    ids: dict[str, UUID]
    """Own key of an example -> its row."""


class Ground(NamedTuple):
    """What a run would work with, read from the database before it starts."""

    baseline: Version
    portions: Portions
    sealed: tuple[DatasetExample, ...]
    evaluator: Evaluator
    """The agent's newest, or what suits the examples."""
    models: dict[ModelRole, Model]
    evidence: Evidence
    dataset: dict[str, Any]
    call_s: float | None
    """Seconds that a call of the task model took lately, on the median; None where there was none."""


def survey(session: Session, order: Order) -> Ground:
    """Read what an optimization would work with.

    Raises:
        InvalidInput: a strategy is unknown, the goals are too long, or a number makes no sense.
        NotFound: the agent has no prompt, or there is no such dataset version.
        NotEnoughData: no model is assigned, or the dataset has too few examples of the agent.
    """
    _require_sane(order)
    models = endpoints.assigned(session)
    if ModelRole.TASK not in models:
        raise NotEnoughData("No model is configured yet. An administrator adds one under Administration.")
    baseline = (
        history.by_id(session, order.version_id)
        if order.version_id
        else history.labelled(session, order.agent)
    )
    if baseline.agent != order.agent:
        raise NotFound(f"The agent {order.agent!r} has no such prompt version.")
    dataset = _dataset(session, order.dataset_id)
    divided, sealed, _ = read_material(session, order.dataset_id, order.agent, order.seed)
    if verdict.provable(len(sealed)) is None:
        raise NotEnoughData(f"{verdict.promise(len(sealed))} Freeze a dataset with more test examples.")
    found = evaluators.newest(session, order.agent)
    return Ground(
        baseline=baseline,
        portions=divided,
        sealed=sealed,
        evaluator=found.evaluator if found else evaluators.suggested(divided.selection, models),
        models=models,
        evidence=analysis.evidence(session, order.agent, sealed=(*sealed, *divided.selection)),
        dataset=dataset,
        call_s=_call_s(session, models[ModelRole.TASK]),
    )


def read_material(session: Session, dataset_id: UUID, agent: str, seed: int) -> Material:
    """Return an agent's examples in a dataset version: equal seed, equal portions.

    Raises:
        NotEnoughData: fewer than ten examples would select.
    """
    items = {split: scores.items(session, dataset_id, split, agent) for split in Split}
    examples = {split: [item.example for item in of_split] for split, of_split in items.items()}
    return Material(
        portions.divide(examples[Split.TRAIN], examples[Split.VALIDATION], seed),
        tuple(examples[Split.TEST]),
        {item.example.id: item.example_id for of_split in items.values() for item in of_split},
    )


def told(order: Order, ground: Ground) -> dict[str, Any]:
    """Return the settings that a run's row keeps: all that is needed to repeat it."""
    return {
        "goals": order.goals,
        "strategies": list(order.strategies or STRATEGIES),
        "mode": order.mode,
        "seed": order.seed,
        "reuse": order.reuse,
        "models": {role: model.told() for role, model in ground.models.items()},
        "max_tokens": answer_tokens((*ground.portions.teaching, *ground.portions.selection, *ground.sealed)),
        "temperature": 0.0,
        "dataset": ground.dataset,
        "counts": {
            "train": len(ground.portions.teaching),
            "validation": len(ground.portions.selection),
            "test": len(ground.sealed),
        },
        "evidence": EVIDENCE.dump_python(ground.evidence, mode="json"),
    }


def cap_of(order: Order) -> Cap:
    """Return what an order may spend: what it says, or the default number of calls."""
    return order.cap if not order.cap.is_open else Cap(calls=settings().optimization_calls)


def _require_sane(order: Order) -> None:
    if unknown := [name for name in order.strategies if name not in STRATEGIES]:
        known = ", ".join(STRATEGIES)
        raise InvalidInput(f"There is no strategy {unknown[0]!r}; there are {known}.", field="strategies")
    if len(order.goals) > LONGEST_GOALS:
        raise InvalidInput(f"Goals have at most {LONGEST_GOALS:,} characters.", field="optimization_goals")
    if not 0 <= order.seed < 2**31:
        raise InvalidInput("A seed is a whole number from 0 to 2,147,483,647.", field="seed")
    if (order.cap.usd or Decimal(1)) <= 0 or order.cap.calls == 0 or order.cap.tokens == 0:
        raise InvalidInput("A budget of nothing buys nothing.", field="budget")


def _dataset(session: Session, dataset_id: UUID) -> dict[str, Any]:
    row = session.execute(DATASET, {"dataset": dataset_id}).one_or_none()
    if row is None:
        raise NotFound("There is no such dataset version.")
    return dict(row._mapping)


def _call_s(session: Session, model: Model) -> float | None:
    named = {"base_url": model.base_url, "model": model.model}
    found: float | None = session.execute(PACE, named).scalar_one()
    return found


DATASET = text("SELECT name, version, content_hash FROM training_datasets WHERE id = :dataset")

PACE = text("""
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms) / 1000
FROM (SELECT * FROM model_calls ORDER BY organization_id DESC, id DESC LIMIT 1000) AS lately
WHERE status = 'answered' AND base_url = :base_url AND model = :model
""")
