"""Routes of the datasets step: which versions there are for an agent, and what they are worth."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from learning_core.api import problems
from learning_core.api.callers import Reader
from learning_core.api.feedback import AgentKey, require_agent
from learning_core.datasets import queries
from learning_core.db import reading_session

router = APIRouter(prefix="/learning", tags=["datasets"])


class GateOut(BaseModel):
    """One requirement of training: passed, failed, or not enough data."""

    name: str
    required: float
    found: float | None
    outcome: str
    n: int


class VersionOut(BaseModel):
    """One frozen version of a dataset."""

    dataset_id: UUID
    name: str
    version: int
    content_hash: str = Field(description="Equal hashes, equal content")
    example_count: int
    statistics: dict[str, Any]
    gates: list[GateOut]
    test_uses: int = Field(description="How often somebody looked at the test split")
    created_by: str
    created_at: datetime


class DatasetsOut(BaseModel):
    """The versions that hold examples of an agent, newest first."""

    agent_id: str
    versions: list[VersionOut]


@router.get("/datasets/{agent_id:path}", responses=problems.responses(401, 404, 422, 503))
def datasets(agent_id: AgentKey, caller: Reader) -> DatasetsOut:
    """Return the frozen versions that hold examples of an agent."""
    with reading_session(caller.organization_id) as session:
        require_agent(session, agent_id)
        found = queries.versions(session, agent_id)
    return DatasetsOut(
        agent_id=agent_id,
        versions=[
            VersionOut(dataset_id=row.id, **{name: getattr(row, name) for name in SHOWN}) for row in found
        ],
    )


SHOWN = VersionOut.model_fields.keys() - {"dataset_id"}
