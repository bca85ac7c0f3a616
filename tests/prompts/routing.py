"""A small world to optimize in: an agent that routes messages, approved examples, a dataset, a model."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from benchmarks.standin import INTENTS, Task
from learning_core import db
from learning_core.access import Caller
from learning_core.datasets import versions as datasets
from learning_core.datasets.curation import Rules
from learning_core.llm import endpoints
from learning_core.llm.templates import Prompt
from learning_core.prompts import versions
from learning_core.schema import ModelRole, Role
from tests import factories

AGENT = "router"
SHARES = {"train_share": 0.3, "validation_share": 0.35, "test_share": 0.35}


class Routing(NamedTuple):
    """Who asks, and what there is to ask with."""

    caller: Caller
    dataset_id: UUID
    version_id: UUID
    model_id: UUID


def settle(organization: Any, base_url: str, task: Task = INTENTS, count: int = 120) -> Routing:
    """Put approved examples, a dataset, a prompt and a model into an organisation."""
    caller = Caller(organization.id, "erin", Role.ADMIN)
    questions = random.Random(1).sample(task.questions, count)
    with db.organization_session(organization.id) as session:
        for number, (question, label, _) in enumerate(questions):
            told = {"id": f"example {number}", "agent_id": AGENT, "input_text": question}
            factories.approved_example(session, **told, expected_output=label)
    with db.organization_session(organization.id) as session:
        dataset = datasets.freeze(session, caller, "routing", Rules(agents=(AGENT,), **SHARES))
        prompt = Prompt.from_text(task.seed_prompt)
        version = versions.save(session, caller, AGENT, prompt, reason="The first one.")
        prices = {"input_usd_per_million": Decimal("0.5"), "output_usd_per_million": Decimal("1.5")}
        model_id = endpoints.save_model(
            session,
            caller,
            name="stand-in",
            provider="local",
            base_url=base_url,
            model="stand-in",
            max_concurrency=16,
            **prices,
        )
        endpoints.assign(session, caller, ModelRole.TASK, model_id)
    return Routing(caller, dataset.id, version.id, model_id)
