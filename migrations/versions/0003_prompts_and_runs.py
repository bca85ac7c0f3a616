"""Prompts, models, evaluators and background runs: what is tried, what it costs, and what it scores."""

from alembic import op

from migrations.policies import APPEND_ONLY, grant, protect, restrict

revision = "0003"
down_revision = "0002"

AGENTS = """
    ALTER TABLE agents
        ADD COLUMN inputs TEXT[] DEFAULT '{input,context}'::text[] NOT NULL,
        ADD COLUMN weekly_optimization BOOLEAN DEFAULT false NOT NULL;
"""

TABLES = """
    CREATE TABLE language_models (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        name TEXT NOT NULL,
        provider TEXT NOT NULL,
        base_url TEXT NOT NULL,
        model TEXT NOT NULL,
        key_name TEXT,
        input_usd_per_million NUMERIC(12, 6),
        output_usd_per_million NUMERIC(12, 6),
        max_concurrency SMALLINT DEFAULT 8 NOT NULL,
        timeout_s SMALLINT DEFAULT 60 NOT NULL,
        structured_output BOOLEAN DEFAULT true NOT NULL,
        created_by TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        retired_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT language_models_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT language_models_organizations_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id),
        CONSTRAINT language_models_max_concurrency_check CHECK (max_concurrency BETWEEN 1 AND 512),
        CONSTRAINT language_models_timeout_s_check CHECK (timeout_s BETWEEN 1 AND 3600)
    );

    CREATE UNIQUE INDEX language_models_name_key ON language_models (organization_id, name) WHERE retired_at IS NULL;

    CREATE TABLE correction_rules (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        agent_id UUID NOT NULL,
        statement TEXT NOT NULL,
        status TEXT DEFAULT 'proposed'::text NOT NULL,
        example_ids UUID[] DEFAULT '{}'::uuid[] NOT NULL,
        proposed_by TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        decided_by TEXT,
        decided_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT correction_rules_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT correction_rules_agents_fkey FOREIGN KEY(organization_id, agent_id) REFERENCES agents (organization_id, id),
        CONSTRAINT correction_rules_status_check CHECK (status = ANY (ARRAY['proposed'::text, 'accepted'::text, 'dismissed'::text])),
        CONSTRAINT correction_rules_organization_id_agent_id_statement_key UNIQUE (organization_id, agent_id, statement)
    );

    CREATE TABLE evaluators (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        agent_id UUID NOT NULL,
        number INTEGER NOT NULL,
        checks JSONB NOT NULL,
        gate JSONB NOT NULL,
        created_by TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT evaluators_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT evaluators_agents_fkey FOREIGN KEY(organization_id, agent_id) REFERENCES agents (organization_id, id),
        CONSTRAINT evaluators_organization_id_agent_id_number_key UNIQUE (organization_id, agent_id, number)
    );

    CREATE TABLE model_assignments (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        role TEXT NOT NULL,
        model_id UUID NOT NULL,
        CONSTRAINT model_assignments_pkey PRIMARY KEY (organization_id, role),
        CONSTRAINT model_assignments_language_models_fkey FOREIGN KEY(organization_id, model_id) REFERENCES language_models (organization_id, id),
        CONSTRAINT model_assignments_role_check CHECK (role = ANY (ARRAY['task'::text, 'proposer'::text, 'judge'::text, 'embedding'::text]))
    );

    CREATE TABLE prompt_analyses (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        agent_id UUID NOT NULL,
        day DATE NOT NULL,
        findings JSONB NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT prompt_analyses_pkey PRIMARY KEY (organization_id, agent_id, day),
        CONSTRAINT prompt_analyses_agents_fkey FOREIGN KEY(organization_id, agent_id) REFERENCES agents (organization_id, id)
    );

    CREATE TABLE prompt_versions (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        agent_id UUID NOT NULL,
        number INTEGER NOT NULL,
        key TEXT NOT NULL,
        messages JSONB NOT NULL,
        content_hash TEXT NOT NULL,
        author TEXT NOT NULL,
        parent_id UUID,
        reason TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT prompt_versions_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT prompt_versions_agents_fkey FOREIGN KEY(organization_id, agent_id) REFERENCES agents (organization_id, id),
        CONSTRAINT prompt_versions_prompt_versions_fkey FOREIGN KEY(organization_id, parent_id) REFERENCES prompt_versions (organization_id, id),
        CONSTRAINT prompt_versions_organization_id_agent_id_number_key UNIQUE (organization_id, agent_id, number),
        CONSTRAINT prompt_versions_organization_id_agent_id_key_key UNIQUE (organization_id, agent_id, key),
        CONSTRAINT prompt_versions_organization_id_agent_id_content_hash_key UNIQUE (organization_id, agent_id, content_hash)
    );

    CREATE TABLE prompt_labels (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        agent_id UUID NOT NULL,
        label TEXT NOT NULL,
        version_id UUID NOT NULL,
        set_by TEXT NOT NULL,
        set_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT prompt_labels_pkey PRIMARY KEY (organization_id, agent_id, label),
        CONSTRAINT prompt_labels_agents_fkey FOREIGN KEY(organization_id, agent_id) REFERENCES agents (organization_id, id),
        CONSTRAINT prompt_labels_prompt_versions_fkey FOREIGN KEY(organization_id, version_id) REFERENCES prompt_versions (organization_id, id)
    );

    CREATE TABLE training_runs (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        kind TEXT NOT NULL,
        agent_id UUID NOT NULL,
        status TEXT DEFAULT 'queued'::text NOT NULL,
        wish TEXT,
        settings JSONB NOT NULL,
        prompt_version_id UUID,
        dataset_id UUID,
        evaluator_id UUID,
        cap_usd NUMERIC(16, 8),
        cap_tokens BIGINT,
        cap_calls INTEGER,
        spent_usd NUMERIC(16, 8) DEFAULT 0 NOT NULL,
        spent_tokens BIGINT DEFAULT 0 NOT NULL,
        spent_calls INTEGER DEFAULT 0 NOT NULL,
        reserved_usd NUMERIC(16, 8) DEFAULT 0 NOT NULL,
        reserved_tokens BIGINT DEFAULT 0 NOT NULL,
        reserved_calls INTEGER DEFAULT 0 NOT NULL,
        estimate JSONB DEFAULT '{}'::jsonb NOT NULL,
        progress JSONB DEFAULT '{}'::jsonb NOT NULL,
        result JSONB,
        stop_reason TEXT,
        error TEXT,
        started_by TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE,
        heartbeat_at TIMESTAMP WITH TIME ZONE,
        finished_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT training_runs_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT training_runs_agents_fkey FOREIGN KEY(organization_id, agent_id) REFERENCES agents (organization_id, id),
        CONSTRAINT training_runs_prompt_versions_fkey FOREIGN KEY(organization_id, prompt_version_id) REFERENCES prompt_versions (organization_id, id),
        CONSTRAINT training_runs_training_datasets_fkey FOREIGN KEY(organization_id, dataset_id) REFERENCES training_datasets (organization_id, id),
        CONSTRAINT training_runs_evaluators_fkey FOREIGN KEY(organization_id, evaluator_id) REFERENCES evaluators (organization_id, id),
        CONSTRAINT training_runs_kind_check CHECK (kind = ANY (ARRAY['prompt_optimization'::text, 'evaluation'::text, 'rag_tuning'::text, 'fine_tuning'::text, 'rlhf'::text, 'dpo'::text])),
        CONSTRAINT training_runs_status_check CHECK (status = ANY (ARRAY['proposed'::text, 'queued'::text, 'running'::text, 'paused'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text])),
        CONSTRAINT training_runs_wish_check CHECK (wish = ANY (ARRAY['pause'::text, 'cancel'::text])),
        CONSTRAINT training_runs_cap_check CHECK (spent_calls + reserved_calls <= cap_calls)
    );

    CREATE INDEX training_runs_agent_index ON training_runs (organization_id, agent_id, created_at DESC);

    CREATE TABLE candidates (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        run_id UUID NOT NULL,
        number SMALLINT NOT NULL,
        strategy TEXT NOT NULL,
        messages JSONB NOT NULL,
        content_hash TEXT NOT NULL,
        parents SMALLINT[] DEFAULT '{}'::smallint[] NOT NULL,
        reason TEXT NOT NULL,
        learnt_from JSONB DEFAULT '{}'::jsonb NOT NULL,
        state TEXT DEFAULT 'racing'::text NOT NULL,
        prompt_version_id UUID,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT candidates_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT candidates_training_runs_fkey FOREIGN KEY(organization_id, run_id) REFERENCES training_runs (organization_id, id),
        CONSTRAINT candidates_prompt_versions_fkey FOREIGN KEY(organization_id, prompt_version_id) REFERENCES prompt_versions (organization_id, id),
        CONSTRAINT candidates_state_check CHECK (state = ANY (ARRAY['baseline'::text, 'racing'::text, 'dropped'::text, 'finalist'::text, 'winner'::text])),
        CONSTRAINT candidates_organization_id_run_id_number_key UNIQUE (organization_id, run_id, number)
    );

    CREATE TABLE model_calls (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        content_hash TEXT NOT NULL,
        run_id UUID,
        role TEXT NOT NULL,
        base_url TEXT NOT NULL,
        model TEXT NOT NULL,
        request JSONB NOT NULL,
        status TEXT DEFAULT 'reserved'::text NOT NULL,
        courier BIGINT NOT NULL,
        answer JSONB,
        error TEXT,
        prompt_tokens INTEGER,
        completion_tokens INTEGER,
        cost_usd NUMERIC(16, 8),
        latency_ms DOUBLE PRECISION,
        attempts SMALLINT DEFAULT 0 NOT NULL,
        reserved_tokens INTEGER NOT NULL,
        reserved_usd NUMERIC(16, 8) NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        finished_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT model_calls_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT model_calls_organizations_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id),
        CONSTRAINT model_calls_training_runs_fkey FOREIGN KEY(organization_id, run_id) REFERENCES training_runs (organization_id, id),
        CONSTRAINT model_calls_role_check CHECK (role = ANY (ARRAY['task'::text, 'proposer'::text, 'judge'::text, 'embedding'::text])),
        CONSTRAINT model_calls_status_check CHECK (status = ANY (ARRAY['reserved'::text, 'answered'::text, 'failed'::text, 'lost'::text]))
    );

    CREATE UNIQUE INDEX model_calls_content_hash_key ON model_calls (organization_id, content_hash) WHERE status = ANY (ARRAY['reserved'::text, 'answered'::text]);

    CREATE INDEX model_calls_run_index ON model_calls (organization_id, run_id);

    CREATE TABLE scores (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        candidate_id UUID NOT NULL,
        example_id UUID NOT NULL,
        split TEXT NOT NULL,
        value DOUBLE PRECISION NOT NULL,
        parts JSONB DEFAULT '{}'::jsonb NOT NULL,
        output TEXT,
        error TEXT,
        latency_ms DOUBLE PRECISION,
        cost_usd NUMERIC(16, 8),
        prompt_tokens INTEGER,
        completion_tokens INTEGER,
        call_ids UUID[] DEFAULT '{}'::uuid[] NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT scores_pkey PRIMARY KEY (organization_id, candidate_id, example_id),
        CONSTRAINT scores_candidates_fkey FOREIGN KEY(organization_id, candidate_id) REFERENCES candidates (organization_id, id),
        CONSTRAINT scores_learning_examples_fkey FOREIGN KEY(organization_id, example_id) REFERENCES learning_examples (organization_id, id),
        CONSTRAINT scores_split_check CHECK (split = ANY (ARRAY['train'::text, 'validation'::text, 'test'::text])),
        CONSTRAINT scores_value_check CHECK (value BETWEEN 0 AND 1)
    );

    CREATE INDEX scores_example_index ON scores (organization_id, example_id);
"""

CHANGING = (
    "language_models",
    "model_assignments",
    "prompt_labels",
    "correction_rules",
    "prompt_analyses",
    "training_runs",
    "candidates",
    "scores",
    "model_calls",
)

IMMUTABLE = ("prompt_versions", "evaluators")

ORGANIZATION_REMOVED = """
    EXISTS (SELECT FROM organizations WHERE id = organization_id AND removed_at IS NOT NULL)
"""


def upgrade() -> None:
    execute = op.get_bind().exec_driver_sql
    execute(AGENTS)
    execute(TABLES)
    for table in CHANGING:
        protect(table)
    for table in IMMUTABLE:
        protect(table, APPEND_ONLY)
        grant(table, "DELETE")
        restrict(table, "DELETE", ORGANIZATION_REMOVED)
