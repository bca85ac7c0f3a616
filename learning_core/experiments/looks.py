"""Looks at running experiments: what is known now is put on record, and what hurts users is taken back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import TypeAdapter
from pydantic_core import to_json
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core.access import Caller
from learning_core.errors import Conflict
from learning_core.experiments import allocations, analysis, designs, guardrails, prior
from learning_core.experiments.analysis import DESIGN, LOOK, Design, Look, Observation
from learning_core.experiments.guardrails import Report
from learning_core.experiments.observation import observe
from learning_core.schema import ExperimentDecision, ExperimentStatus, Role

REPORTS: TypeAdapter[dict[str, Report]] = TypeAdapter(dict[str, Report])
"""Reads and writes what the guardrails said of each treatment."""


class Taken(NamedTuple):
    """A look as it is stored: what the data say, and what the guardrails say of each treatment."""

    look: Look
    reports: dict[str, Report]


def take(session: Session, experiment_id: UUID, at: datetime) -> Look:
    """Look at a running experiment and put on record what is known.

    The first verdict is settled with it and never changes. A treatment that is shown to break a guardrail
    ends the experiment: from the next assignment on all users get what is in production. Nobody else looks
    meanwhile, and looking again at the same moment gives the same look.

    Raises:
        NotFound: there is no such experiment.
        Conflict: it is not running.
    """
    held = designs.hold(session, experiment_id)
    allocated = allocations.of_experiment(session, experiment_id)
    if held.status != ExperimentStatus.RUNNING or allocated is None:
        raise Conflict("Only a running experiment is looked at.")
    previous = _last(session, experiment_id)
    if previous is not None and previous.look.at >= at:
        return previous.look
    design = DESIGN.validate_python(held.design)
    if design.prior:
        prior.fill(session, allocated.id, at)
    observations, traffic = observe(
        session, allocated.id, icc=design.icc, weighted=design.weighted, prior=design.prior
    )
    look = analysis.look(design, observations, traffic, previous.look if previous else None, at)
    answered = observations
    if design.weighted:  # a bound on answers counts answers
        answered, _ = observe(session, allocated.id)
    reports = _judge(design, answered, previous, at)
    _store(session, held, Taken(look, reports))
    _take_back(session, held, reports, at)
    return look


def read(result: dict[str, Any]) -> Taken:
    """Return a look from its stored form."""
    return Taken(LOOK.validate_python(result["look"]), REPORTS.validate_python(result["guardrails"]))


def _last(session: Session, experiment_id: UUID) -> Taken | None:
    result = session.execute(LAST, {"experiment": experiment_id}).scalar_one_or_none()
    return read(result) if result is not None else None


def _judge(
    design: Design, observations: list[Observation], previous: Taken | None, at: datetime
) -> dict[str, Report]:
    before: Mapping[str, Report] = previous.reports if previous else {}
    return {
        treatment.name: guardrails.judge(
            design.guardrails, observations, treatment.name, at=at, previous=before.get(treatment.name)
        )
        for treatment in design.treatments
    }


def _store(session: Session, held: Row[Any], taken: Taken) -> None:
    look = taken.look
    told = {
        "look": LOOK.dump_python(look, mode="json"),
        "guardrails": REPORTS.dump_python(taken.reports, mode="json"),
    }
    session.execute(
        STORE,
        {"experiment": held.id, "number": look.number, "at": look.at, "result": to_json(told).decode()},
    )
    if look.verdict is not None:
        session.execute(
            SETTLE,
            {
                "experiment": held.id,
                "verdict": to_json(told["look"]["verdict"]).decode(),
                "at": look.verdict.at,
            },
        )


def _take_back(session: Session, held: Row[Any], reports: dict[str, Report], at: datetime) -> None:
    for report in reports.values():
        for broken in report.breaches:
            guard = Caller(held.organization_id, f"guardrail {broken.key}", Role.ENGINEER)
            designs.settle(session, guard, held, ExperimentDecision.ROLLBACK, broken.reason, at)
            return


LAST = text("""
SELECT result FROM experiment_looks WHERE experiment_id = :experiment ORDER BY number DESC LIMIT 1
""")

STORE = text("""
INSERT INTO experiment_looks (experiment_id, number, at, result)
VALUES (:experiment, :number, :at, CAST(:result AS jsonb))
""")

SETTLE = text("""
UPDATE learning_experiments SET verdict = CAST(:verdict AS jsonb), decided_at = :at
WHERE id = :experiment AND verdict IS NULL
""")
