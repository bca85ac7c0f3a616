"""Valid entries with a say in every field: the test names what matters to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import access, db
from learning_core.access import Caller
from learning_core.experiments import allocations
from learning_core.experiments.allocations import Allocated, Variant
from learning_core.feedback.collect import collect
from learning_core.feedback.entries import ExecutionEntry, FeedbackEntry
from learning_core.feedback.executions import record, register_agents
from learning_core.llm.templates import Prompt
from learning_core.prompts import versions
from learning_core.review.importing import STORE_EXAMPLES, ExampleEntry
from learning_core.schema import AllocationKind, Organization, Role


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
        access.act_as(session, admin, "review")
        for name in ("judged", "held"):
            session.execute(text(EXAMPLE), {"name": name})
        session.execute(text(REVIEWED))
        session.execute(text(DATASET))
        session.execute(text(MEMBER))
        for statement in (PROMPT, RUN, CANDIDATE, MODEL, EXPERIMENT, RELEASE, EXPOSURE):
            session.execute(text(statement))
    return admin


def approved_example(session: Session, **overrides: Any) -> UUID:
    """An approved, verified example of "tax-advisor" as an import stores it, with a question of its own."""
    words = " ".join(uuid4().hex[:8] for _ in range(12))
    given = {"id": f"example-{uuid4().hex[:12]}", "agent_id": "tax-advisor", "input_text": f"Why {words}?"}
    given |= {"expected_output": "Because it is due.", "quality_score": 0.9, "human_verified": True}
    entry = ExampleEntry.model_validate(given | overrides)
    register_agents(session, {entry.agent_id})
    session.execute(STORE_EXAMPLES, {"entries": to_json([entry]).decode()})
    statement = text("SELECT id FROM learning_examples WHERE key = :key")
    stored: UUID = session.execute(statement, {"key": entry.id}).scalar_one()
    return stored


def allocation(session: Session, caller: Caller, agent: str = "tax-advisor", **overrides: Any) -> Allocated:
    """An experiment's allocation of all of an agent's users: half meet a treatment, half the first version.

    `shares` are those of the variants, the control last; versions "v1" (the control), "v2" and on say
    `more` when wished.
    """
    given = {"shares": (0.5, 0.5), "traffic": 1.0, "ramp": 1.0, "at": datetime.now(UTC)} | overrides
    shares, more = given.pop("shares"), given.pop("more", "")
    treatments = ["treatment", *(f"treatment_{number}" for number in range(2, len(shares)))]
    names = [*treatments[: len(shares) - 1], "control"]
    texts = {name: Prompt.from_text(f"Answer as {name}.{more}") for name in ["control", *names[:-1]]}
    made = {
        name: versions.save_or_find(session, caller, agent, prompt, reason="to compare")[0].id
        for name, prompt in texts.items()
    }
    wish = {"agent": agent, "name": f"Experiment {uuid4().hex[:6]}"}
    experiment = session.execute(text(AN_EXPERIMENT), wish).one()
    opened = allocations.open_allocation(
        session,
        agent_id=experiment.agent_id,
        kind=AllocationKind.COMPARISON,
        variants=[Variant(name, made[name], share) for name, share in zip(names, shares, strict=True)],
        experiment_id=experiment.id,
        **given,
    )
    return allocations.by_id(session, opened)


AN_EXPERIMENT = """
INSERT INTO learning_experiments (agent_id, name, design, created_by)
SELECT id, :name, '{}', 'ada' FROM agents WHERE key = :agent
RETURNING id, agent_id
"""

EXAMPLE = """
INSERT INTO learning_examples (agent_id, key, example_type, source, input_text, expected_output)
SELECT id, :name, 'positive', 'api', 'When is it due?', 'On the tenth.' FROM agents
"""

REVIEWED = """
WITH held AS (
    INSERT INTO review_leases (example_id, reviewer, leased_until)
    SELECT id, 'ada', now() + interval '1 hour' FROM learning_examples WHERE key = 'held'
)
INSERT INTO expert_annotations (example_id, annotator, annotation_type, decision, source)
SELECT id, 'ada', 'quality_assessment', 'approve', 'api' FROM learning_examples WHERE key = 'judged'
"""

DATASET = """
WITH version AS (
    INSERT INTO training_datasets
        (name, version, rules, seed, content_hash, example_count, statistics, gates, created_by)
    VALUES ('first', 1, '{}', '', '', 1, '{}', '{}', 'ada')
    RETURNING id
),
used AS (
    INSERT INTO dataset_uses (dataset_id, split, purpose, used_by)
    SELECT id, 'test', 'a look', 'ada' FROM version
)
INSERT INTO dataset_proposals (name, rules, summary) VALUES ('first', '{}', '{}')
"""

MEMBER = """
INSERT INTO dataset_examples (dataset_id, example_id, split, group_name, content)
SELECT version.id, example.id, 'test', 'judged', '{}'
FROM training_datasets AS version CROSS JOIN learning_examples AS example WHERE example.key = 'judged'
"""

PROMPT = """
WITH version AS (
    INSERT INTO prompt_versions (agent_id, number, key, messages, content_hash, author, reason)
    SELECT id, 1, 'v1', '[]', 'hash', 'ada', 'the first' FROM agents
    RETURNING agent_id, id
),
labelled AS (
    INSERT INTO prompt_labels (agent_id, label, version_id, set_by)
    SELECT agent_id, 'production', id, 'ada' FROM version
),
ruled AS (
    INSERT INTO correction_rules (agent_id, statement, proposed_by)
    SELECT agent_id, 'Say when.', 'ada' FROM version
),
analysed AS (
    INSERT INTO prompt_analyses (agent_id, day, findings) SELECT agent_id, '2026-01-01', '{}' FROM version
)
INSERT INTO evaluators (agent_id, number, checks, gate, created_by)
SELECT agent_id, 1, '[]', '{}', 'ada' FROM version
"""

RUN = """
INSERT INTO training_runs (kind, agent_id, settings, prompt_version_id, dataset_id, evaluator_id, started_by)
SELECT 'evaluation', version.agent_id, '{}', version.id, training_datasets.id, evaluators.id, 'ada'
FROM prompt_versions AS version CROSS JOIN training_datasets CROSS JOIN evaluators
"""

CANDIDATE = """
WITH candidate AS (
    INSERT INTO candidates (run_id, number, strategy, messages, content_hash, reason, prompt_version_id)
    SELECT id, 0, 'baseline', '[]', 'hash', 'as it is', prompt_version_id FROM training_runs
    RETURNING id
)
INSERT INTO scores (candidate_id, example_id, split, value)
SELECT candidate.id, example.id, 'test', 1
FROM candidate CROSS JOIN learning_examples AS example WHERE example.key = 'judged'
"""

MODEL = """
WITH model AS (
    INSERT INTO language_models (name, provider, base_url, model, created_by)
    VALUES ('small', 'local', 'http://127.0.0.1:1/v1', 'small', 'ada')
    RETURNING id
),
called AS (
    INSERT INTO model_calls (
        content_hash, run_id, role, base_url, model, request, courier, reserved_tokens, reserved_usd
    )
    SELECT 'hash', id, 'task', 'http://127.0.0.1:1/v1', 'small', '{}', 1, 10, 0 FROM training_runs
)
INSERT INTO model_assignments (role, model_id) SELECT 'task', id FROM model
"""

EXPERIMENT = """
WITH experiment AS (
    INSERT INTO learning_experiments (agent_id, name, design, run_id, created_by)
    SELECT agent_id, 'Shorter answers', '{}', id, 'ada' FROM training_runs LIMIT 1
    RETURNING id
)
INSERT INTO experiment_looks (experiment_id, number, at, result) SELECT id, 1, now(), '{}' FROM experiment
"""

RELEASE = """
WITH release AS (
    INSERT INTO releases
        (agent_id, number, version_id, experiment_id, run_id, status, policy, reason, created_by)
    SELECT experiment.agent_id, 1, version.id, experiment.id, run_id, 'rolling_out', '{}', 'Better', 'ada'
    FROM learning_experiments AS experiment, prompt_versions AS version LIMIT 1
    RETURNING id
),
event AS (
    INSERT INTO release_events (release_id, at, kind, actor, details)
    SELECT id, now(), 'started', 'ada', '{}' FROM release
)
INSERT INTO release_impacts (release_id, measured_at, figures) SELECT id, now(), '{}' FROM release
"""

EXPOSURE = """
WITH allocation AS (
    INSERT INTO allocations (agent_id, kind, experiment_id, salt, first_bucket, end_bucket, ramp, started_at)
    SELECT agent_id, 'comparison', id, 'salt', 0, 10000, 1, now() FROM learning_experiments LIMIT 1
    RETURNING id
),
variant AS (
    INSERT INTO allocation_variants (allocation_id, variant, position, version_id, share)
    SELECT allocation.id, 'control', 1, version.id, 1 FROM allocation, prompt_versions AS version LIMIT 1
),
phase AS (
    INSERT INTO allocation_phases (allocation_id, number, ramp, started_at)
    SELECT id, 1, 1, now() FROM allocation
)
INSERT INTO exposures (allocation_id, user_id, variant, phase, first_at)
SELECT id, 'user', 'control', 1, now() FROM allocation
"""
