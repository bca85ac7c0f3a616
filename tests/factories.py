"""Valid entries with a say in every field: the test names what matters to it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from learning_core.feedback.entries import ExecutionEntry, FeedbackEntry


def feedback(**overrides: Any) -> FeedbackEntry:
    """Thumbs up on an execution of its own by the agent "tax-advisor"."""
    given = {"execution_id": f"execution-{uuid4().hex[:12]}", "agent_id": "tax-advisor"}
    return FeedbackEntry.model_validate(given | {"feedback_type": "thumbs_up"} | overrides)


def execution(**overrides: Any) -> ExecutionEntry:
    """An answered question to the agent "tax-advisor"."""
    given = {
        "execution_id": f"execution-{uuid4().hex[:12]}",
        "agent_id": "tax-advisor",
        "input_text": "When is the VAT return due?",
        "output_text": "On the tenth of the following month.",
        "prompt_version": "v1",
        "latency_ms": 900.0,
        "cost_usd": "0.002",
    }
    return ExecutionEntry.model_validate(given | overrides)
