"""An organisation with all that an optimization needs: examples, a frozen dataset, a prompt, models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from pydantic_core import to_json

from benchmarks import ground
from benchmarks.samples import AGENT
from learning_core import background
from learning_core.access import Caller
from learning_core.background import Run
from learning_core.datasets import versions as datasets
from learning_core.datasets.content import DatasetExample
from learning_core.datasets.curation import Rules
from learning_core.db import organization_session
from learning_core.feedback.executions import register_agents
from learning_core.llm import endpoints
from learning_core.llm.requests import Model
from learning_core.llm.templates import Prompt
from learning_core.prompts import runs, versions
from learning_core.prompts.orders import Order
from learning_core.review.importing import STORE_EXAMPLES, ExampleEntry
from learning_core.schema import ModelRole, Role

SHARES = {"train_share": 0.3, "validation_share": 0.3, "test_share": 0.4}
PRICE = {"input_usd_per_million": Decimal("0.5"), "output_usd_per_million": Decimal("1.5")}


class Furnished(NamedTuple):
    """An organisation that can order optimizations."""

    caller: Caller
    dataset_id: UUID
    version_id: UUID

    @property
    def organization_id(self) -> UUID:
        """Return whose everything is."""
        return self.caller.organization_id

    def start(self, **order: Any) -> UUID:
        """Queue an optimization and return the run's id."""
        wanted = Order(agent=AGENT, dataset_id=self.dataset_id, **order)
        with organization_session(self.organization_id) as session:
            return runs.start(session, self.caller, wanted)

    def optimize(self, run_id: UUID) -> Run:
        """Carry a run out here and now, and return its row."""
        runs.optimize(organization_id=str(self.organization_id), run_id=str(run_id))
        return self.find(run_id)

    def find(self, run_id: UUID) -> Run:
        """Return a run's row."""
        with organization_session(self.organization_id) as session:
            return background.find(session, run_id)


def furnish(
    name: str, prompt: str, examples: Iterable[DatasetExample], models: Mapping[ModelRole, Model]
) -> Furnished:
    """Create an organisation with these examples frozen, this prompt and these models."""
    caller = Caller(ground.new_organization(f"{name} {uuid4().hex[:12]}"), "benchmark", Role.ADMIN)
    entries = [
        ExampleEntry(
            id=example.id,
            agent_id=AGENT,
            input_text=example.input_text,
            expected_output=example.expected_output,
            quality_score=0.9,
            human_verified=True,
        )
        for example in examples
    ]
    with organization_session(caller.organization_id) as session:
        register_agents(session, {AGENT})
        session.execute(STORE_EXAMPLES, {"entries": to_json(entries).decode()})
        frozen = datasets.freeze(session, caller, "routing", Rules(agents=(AGENT,), **SHARES))
        version = versions.save(session, caller, AGENT, Prompt.from_text(prompt), reason="as it was")
        for role, model in models.items():
            endpoints.assign(session, caller, role, endpoints.save_model(session, caller, **asdict(model)))
    return Furnished(caller, frozen.id, version.id)
