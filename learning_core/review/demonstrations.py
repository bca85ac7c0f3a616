"""Work shown from beginning to end by an expert, for an agent to learn from."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.feedback.entries import WITHOUT_NUL, Key, LongText, Text
from learning_core.feedback.executions import register_agents

Step = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000, pattern=WITHOUT_NUL),
]
Required = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100_000, pattern=WITHOUT_NUL),
]


class DemonstrationEntry(BaseModel):
    """How an expert does a task: what was given, what they did step by step, and what came out."""

    model_config = ConfigDict(extra="forbid")

    agent_id: Key
    task: Required = Field(description="What is to be done.")
    input_state: LongText = Field("", description="What is given: figures, documents, the situation.")
    actions: list[Step] = Field(default_factory=list, max_length=100, description="The steps, in order.")
    final_output: Required = Field(description="What comes out.")
    reasoning: Text = Field("", description="Why it is done this way.")
    domain: Key | None = None


def add_demonstration(
    session: Session, caller: Caller, entry: DemonstrationEntry, source: str = "page"
) -> UUID:
    """Store a demonstration as an example that waits for somebody else's review; return its id.

    Raises:
        NotPermitted: the caller's role may not review.
    """
    access.require(caller, "review")
    register_agents(session, {entry.agent_id})
    example: UUID = session.execute(
        ADD,
        {
            "agent": entry.agent_id,
            "source": source,
            "domain": entry.domain,
            "author": caller.name,
            "input": question(entry.task, entry.input_state),
            "output": entry.final_output,
            "demonstration": entry.model_dump_json(include=SHOWN),
        },
    ).scalar_one()
    access.audit(session, caller, "demonstration.added", str(example), agent=entry.agent_id)
    return example


def question(task: str, input_state: str) -> str:
    """Put task and state together to what the agent would have been asked."""
    return f"{task}\n\n{input_state}" if input_state.strip() else task


SHOWN = {"task", "input_state", "actions", "reasoning"}

ADD = text("""
INSERT INTO learning_examples (
    agent_id, example_type, source, domain, author, input_text, expected_output, demonstration
)
SELECT id, 'demonstration', :source, :domain, :author, :input, :output, CAST(:demonstration AS jsonb)
FROM agents WHERE key = :agent
RETURNING id
""")
