"""Valid entries with a say in every field: the test names what matters to it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from learning_core import access, db
from learning_core.access import Caller
from learning_core.feedback.collect import collect
from learning_core.feedback.entries import ExecutionEntry, FeedbackEntry
from learning_core.feedback.executions import record
from learning_core.schema import Organization, Role


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


def organization() -> Organization:
    """An organisation nobody else uses."""
    with db.shared_session() as session:
        return access.create_organization(session, f"Test {uuid4().hex[:12]}")


def key(organization: Organization, role: str) -> str:
    """An API key of an organisation."""
    admin = Caller(organization.id, "test", Role.ADMIN)
    with db.organization_session(organization.id) as session:
        return access.create_key(session, admin, f"{role} key", Role(role))


def populate(organization: Organization) -> Caller:
    """Put at least one row into each of an organisation's tables and return the admin who did it."""
    admin = Caller(organization.id, "admin", Role.ADMIN)
    with db.organization_session(organization.id) as session:
        access.save_member(session, admin, "ada@example.com", "Ada", Role.EXPERT)
        access.create_key(session, admin, "agent", Role.ENGINEER)
        access.signing_secret(session)
        record(session, [execution(execution_id="e1")])
        correction = feedback(
            id="f1", execution_id="e1", feedback_type="correction", rating=2, correction_text="On the 15th."
        )
        collect(session, [correction], "api")
    return admin
