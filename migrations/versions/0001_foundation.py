"""Foundation: organisations and access, agents, executions, feedback, roll-ups, examples, jobs."""

from alembic import op
from procrastinate.schema import SchemaManager

from migrations.policies import APPEND_ONLY, READ_WRITE, create_application_role, grant, protect

revision = "0001"
down_revision = None

TABLES = """
    CREATE TABLE organizations (
        id UUID DEFAULT uuidv7() NOT NULL,
        slug TEXT NOT NULL,
        name TEXT NOT NULL,
        simulated BOOLEAN DEFAULT false NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        removed_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT organizations_pkey PRIMARY KEY (id)
    );

    CREATE UNIQUE INDEX organizations_slug_key ON organizations (slug) WHERE removed_at IS NULL;

    CREATE TABLE members (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        email TEXT NOT NULL,
        name TEXT NOT NULL,
        role TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT members_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT members_organizations_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id),
        CONSTRAINT members_role_check CHECK (role = ANY (ARRAY['viewer'::text, 'expert'::text, 'engineer'::text, 'admin'::text])),
        CONSTRAINT members_organization_id_email_key UNIQUE (organization_id, email)
    );

    CREATE TABLE api_keys (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        name TEXT NOT NULL,
        prefix TEXT NOT NULL,
        secret_hash BYTEA NOT NULL,
        role TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        created_by TEXT NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE,
        revoked_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT api_keys_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT api_keys_organizations_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id),
        CONSTRAINT api_keys_role_check CHECK (role = ANY (ARRAY['viewer'::text, 'expert'::text, 'engineer'::text, 'admin'::text])),
        CONSTRAINT api_keys_organization_id_secret_hash_key UNIQUE (organization_id, secret_hash)
    );

    CREATE TABLE signing_keys (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        secret BYTEA NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT signing_keys_pkey PRIMARY KEY (organization_id),
        CONSTRAINT signing_keys_organizations_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id)
    );

    CREATE TABLE audit_log (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        details JSONB DEFAULT '{}'::jsonb NOT NULL,
        CONSTRAINT audit_log_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT audit_log_organizations_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id)
    );

    CREATE INDEX audit_log_organization_id_index ON audit_log (organization_id, at DESC);

    CREATE TABLE agents (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        key TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT agents_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT agents_organizations_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id),
        CONSTRAINT agents_organization_id_key_key UNIQUE (organization_id, key)
    );

    CREATE TABLE executions (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        key TEXT NOT NULL,
        agent_id UUID NOT NULL,
        prompt_version TEXT,
        user_id TEXT,
        input_text TEXT,
        output_text TEXT,
        error TEXT,
        latency_ms DOUBLE PRECISION,
        cost_usd NUMERIC(14, 8),
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        reported_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT executions_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT executions_organization_id_key_key UNIQUE (organization_id, key),
        CONSTRAINT executions_agents_fkey FOREIGN KEY(organization_id, agent_id) REFERENCES agents (organization_id, id)
    );

    CREATE TABLE agent_feedback (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        key TEXT NOT NULL,
        agent_id UUID NOT NULL,
        execution_id UUID NOT NULL,
        prompt_version TEXT DEFAULT ''::text NOT NULL,
        user_id TEXT,
        feedback_type TEXT NOT NULL,
        rating SMALLINT,
        accuracy SMALLINT,
        helpfulness SMALLINT,
        clarity SMALLINT,
        completeness SMALLINT,
        issue_categories TEXT[] DEFAULT '{}'::text[] NOT NULL,
        feedback_text TEXT,
        correction_text TEXT,
        source TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE,
        withdrawn_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT agent_feedback_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT agent_feedback_organization_id_key_key UNIQUE (organization_id, key),
        CONSTRAINT agent_feedback_agents_fkey FOREIGN KEY(organization_id, agent_id) REFERENCES agents (organization_id, id),
        CONSTRAINT agent_feedback_executions_fkey FOREIGN KEY(organization_id, execution_id) REFERENCES executions (organization_id, id),
        CONSTRAINT agent_feedback_stars_check CHECK (rating BETWEEN 1 AND 5 AND accuracy BETWEEN 1 AND 5 AND helpfulness BETWEEN 1 AND 5 AND clarity BETWEEN 1 AND 5 AND completeness BETWEEN 1 AND 5),
        CONSTRAINT agent_feedback_feedback_type_check CHECK (feedback_type = ANY (ARRAY['thumbs_up'::text, 'thumbs_down'::text, 'star_rating'::text, 'detailed_feedback'::text, 'correction'::text, 'report_issue'::text]))
    );

    CREATE INDEX agent_feedback_organization_id_agent_id_index ON agent_feedback (organization_id, agent_id, created_at DESC);

    CREATE INDEX agent_feedback_organization_id_execution_id_index ON agent_feedback (organization_id, execution_id);

    CREATE TABLE feedback_daily (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        agent_id UUID NOT NULL,
        day DATE NOT NULL,
        prompt_version TEXT NOT NULL,
        feedback_count BIGINT DEFAULT 0 NOT NULL,
        type_thumbs_up BIGINT DEFAULT 0 NOT NULL,
        type_thumbs_down BIGINT DEFAULT 0 NOT NULL,
        type_star_rating BIGINT DEFAULT 0 NOT NULL,
        type_detailed_feedback BIGINT DEFAULT 0 NOT NULL,
        type_correction BIGINT DEFAULT 0 NOT NULL,
        type_report_issue BIGINT DEFAULT 0 NOT NULL,
        rating_1 BIGINT DEFAULT 0 NOT NULL,
        rating_2 BIGINT DEFAULT 0 NOT NULL,
        rating_3 BIGINT DEFAULT 0 NOT NULL,
        rating_4 BIGINT DEFAULT 0 NOT NULL,
        rating_5 BIGINT DEFAULT 0 NOT NULL,
        accuracy_1 BIGINT DEFAULT 0 NOT NULL,
        accuracy_2 BIGINT DEFAULT 0 NOT NULL,
        accuracy_3 BIGINT DEFAULT 0 NOT NULL,
        accuracy_4 BIGINT DEFAULT 0 NOT NULL,
        accuracy_5 BIGINT DEFAULT 0 NOT NULL,
        helpfulness_1 BIGINT DEFAULT 0 NOT NULL,
        helpfulness_2 BIGINT DEFAULT 0 NOT NULL,
        helpfulness_3 BIGINT DEFAULT 0 NOT NULL,
        helpfulness_4 BIGINT DEFAULT 0 NOT NULL,
        helpfulness_5 BIGINT DEFAULT 0 NOT NULL,
        clarity_1 BIGINT DEFAULT 0 NOT NULL,
        clarity_2 BIGINT DEFAULT 0 NOT NULL,
        clarity_3 BIGINT DEFAULT 0 NOT NULL,
        clarity_4 BIGINT DEFAULT 0 NOT NULL,
        clarity_5 BIGINT DEFAULT 0 NOT NULL,
        completeness_1 BIGINT DEFAULT 0 NOT NULL,
        completeness_2 BIGINT DEFAULT 0 NOT NULL,
        completeness_3 BIGINT DEFAULT 0 NOT NULL,
        completeness_4 BIGINT DEFAULT 0 NOT NULL,
        completeness_5 BIGINT DEFAULT 0 NOT NULL,
        issue_incorrect BIGINT DEFAULT 0 NOT NULL,
        issue_incomplete BIGINT DEFAULT 0 NOT NULL,
        issue_unclear BIGINT DEFAULT 0 NOT NULL,
        issue_hallucination BIGINT DEFAULT 0 NOT NULL,
        issue_outdated BIGINT DEFAULT 0 NOT NULL,
        issue_formatting BIGINT DEFAULT 0 NOT NULL,
        issue_tone BIGINT DEFAULT 0 NOT NULL,
        issue_other BIGINT DEFAULT 0 NOT NULL,
        any_issue_count BIGINT DEFAULT 0 NOT NULL,
        comment_count BIGINT DEFAULT 0 NOT NULL,
        correction_count BIGINT DEFAULT 0 NOT NULL,
        rating_count BIGINT GENERATED ALWAYS AS (rating_1 + rating_2 + rating_3 + rating_4 + rating_5),
        rating_sum BIGINT GENERATED ALWAYS AS (rating_1 + 2 * rating_2 + 3 * rating_3 + 4 * rating_4 + 5 * rating_5),
        CONSTRAINT feedback_daily_pkey PRIMARY KEY (organization_id, agent_id, day, prompt_version),
        CONSTRAINT feedback_daily_agents_fkey FOREIGN KEY(organization_id, agent_id) REFERENCES agents (organization_id, id)
    )
     WITH (fillfactor = 40);

    CREATE TABLE executions_daily (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        agent_id UUID NOT NULL,
        day DATE NOT NULL,
        prompt_version TEXT NOT NULL,
        execution_count BIGINT DEFAULT 0 NOT NULL,
        error_count BIGINT DEFAULT 0 NOT NULL,
        latency_count BIGINT DEFAULT 0 NOT NULL,
        latency_ms_sum NUMERIC DEFAULT 0 NOT NULL,
        cost_count BIGINT DEFAULT 0 NOT NULL,
        cost_usd_sum NUMERIC DEFAULT 0 NOT NULL,
        CONSTRAINT executions_daily_pkey PRIMARY KEY (organization_id, agent_id, day, prompt_version),
        CONSTRAINT executions_daily_agents_fkey FOREIGN KEY(organization_id, agent_id) REFERENCES agents (organization_id, id)
    )
     WITH (fillfactor = 40);

    CREATE TABLE learning_examples (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        agent_id UUID NOT NULL,
        feedback_id UUID,
        example_type TEXT NOT NULL,
        status TEXT DEFAULT 'pending'::text NOT NULL,
        source TEXT NOT NULL,
        input_text TEXT,
        original_output TEXT,
        expected_output TEXT,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT learning_examples_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT learning_examples_organization_id_feedback_id_key UNIQUE (organization_id, feedback_id),
        CONSTRAINT learning_examples_agents_fkey FOREIGN KEY(organization_id, agent_id) REFERENCES agents (organization_id, id),
        CONSTRAINT learning_examples_agent_feedback_fkey FOREIGN KEY(organization_id, feedback_id) REFERENCES agent_feedback (organization_id, id),
        CONSTRAINT learning_examples_example_type_check CHECK (example_type = ANY (ARRAY['positive'::text, 'negative'::text, 'correction'::text, 'demonstration'::text, 'edge_case'::text, 'failure'::text, 'preference'::text])),
        CONSTRAINT learning_examples_status_check CHECK (status = ANY (ARRAY['pending'::text, 'withdrawn'::text]))
    );

    CREATE UNLOGGED TABLE rate_limits (
        key TEXT NOT NULL,
        hits BIGINT NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT rate_limits_pkey PRIMARY KEY (key)
    );
"""


def upgrade() -> None:
    create_application_role()
    op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    op.get_bind().exec_driver_sql(TABLES)
    grant("organizations", READ_WRITE)
    grant("rate_limits", READ_WRITE)
    for table in (
        "members",
        "api_keys",
        "signing_keys",
        "agents",
        "executions",
        "agent_feedback",
        "feedback_daily",
        "executions_daily",
        "learning_examples",
    ):
        protect(table)
    protect("audit_log", APPEND_ONLY)
    _create_job_queue()


def _create_job_queue() -> None:
    """Create procrastinate's tables; they hold ids of work to do and belong to no organisation."""
    op.get_bind().exec_driver_sql(SchemaManager.get_schema().replace("%", "%%"))
    for table in ("jobs", "events", "periodic_defers", "workers"):
        grant(f"procrastinate_{table}", READ_WRITE)
    grant("ALL SEQUENCES IN SCHEMA public", "USAGE")
