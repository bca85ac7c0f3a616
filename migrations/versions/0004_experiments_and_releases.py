"""Experiments and releases: who meets which prompt, what followed for each user, and what was decided."""

from alembic import op

from migrations.policies import APPEND_ONLY, grant, protect, restrict

revision = "0004"
down_revision = "0003"

TABLES = """
    CREATE TABLE learning_experiments (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        agent_id UUID NOT NULL,
        name TEXT NOT NULL,
        hypothesis TEXT DEFAULT ''::text NOT NULL,
        status TEXT DEFAULT 'draft'::text NOT NULL,
        design JSONB NOT NULL,
        run_id UUID,
        created_by TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE,
        ended_at TIMESTAMP WITH TIME ZONE,
        verdict JSONB,
        decided_at TIMESTAMP WITH TIME ZONE,
        decision TEXT,
        decision_by TEXT,
        decision_reason TEXT,
        CONSTRAINT learning_experiments_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT learning_experiments_agents_fkey FOREIGN KEY(organization_id, agent_id) REFERENCES agents (organization_id, id),
        CONSTRAINT learning_experiments_training_runs_fkey FOREIGN KEY(organization_id, run_id) REFERENCES training_runs (organization_id, id),
        CONSTRAINT learning_experiments_status_check CHECK (status = ANY (ARRAY['draft'::text, 'running'::text, 'paused'::text, 'completed'::text, 'cancelled'::text])),
        CONSTRAINT learning_experiments_decision_check CHECK (decision = ANY (ARRAY['adopt_treatment'::text, 'keep_control'::text, 'inconclusive'::text, 'rollback'::text])),
        CONSTRAINT learning_experiments_completed_check CHECK ((status = 'completed') = (decision IS NOT NULL))
    );

    CREATE INDEX learning_experiments_agent_index ON learning_experiments (organization_id, agent_id, created_at DESC);

    CREATE TABLE experiment_looks (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        experiment_id UUID NOT NULL,
        number INTEGER NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        result JSONB NOT NULL,
        CONSTRAINT experiment_looks_pkey PRIMARY KEY (organization_id, experiment_id, number),
        CONSTRAINT experiment_looks_learning_experiments_fkey FOREIGN KEY(organization_id, experiment_id) REFERENCES learning_experiments (organization_id, id)
    );

    CREATE TABLE releases (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        agent_id UUID NOT NULL,
        number INTEGER NOT NULL,
        version_id UUID NOT NULL,
        previous_id UUID,
        experiment_id UUID,
        run_id UUID,
        status TEXT NOT NULL,
        stage SMALLINT DEFAULT 0 NOT NULL,
        stage_since TIMESTAMP WITH TIME ZONE,
        policy JSONB NOT NULL,
        reason TEXT NOT NULL,
        held_by TEXT,
        hold_reason TEXT,
        approved_by TEXT,
        approved_at TIMESTAMP WITH TIME ZONE,
        approval_reason TEXT,
        report JSONB,
        checked_at TIMESTAMP WITH TIME ZONE,
        created_by TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        full_at TIMESTAMP WITH TIME ZONE,
        finished_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT releases_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT releases_agents_fkey FOREIGN KEY(organization_id, agent_id) REFERENCES agents (organization_id, id),
        CONSTRAINT releases_prompt_versions_fkey FOREIGN KEY(organization_id, version_id) REFERENCES prompt_versions (organization_id, id),
        CONSTRAINT releases_releases_fkey FOREIGN KEY(organization_id, previous_id) REFERENCES releases (organization_id, id),
        CONSTRAINT releases_learning_experiments_fkey FOREIGN KEY(organization_id, experiment_id) REFERENCES learning_experiments (organization_id, id),
        CONSTRAINT releases_training_runs_fkey FOREIGN KEY(organization_id, run_id) REFERENCES training_runs (organization_id, id),
        CONSTRAINT releases_status_check CHECK (status = ANY (ARRAY['waiting'::text, 'rolling_out'::text, 'watching'::text, 'completed'::text, 'rolled_back'::text, 'cancelled'::text, 'superseded'::text])),
        CONSTRAINT releases_organization_id_agent_id_number_key UNIQUE (organization_id, agent_id, number)
    );

    CREATE UNIQUE INDEX releases_on_the_way_key ON releases (organization_id, agent_id) WHERE status = ANY (ARRAY['waiting'::text, 'rolling_out'::text]);

    CREATE TABLE release_events (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        release_id UUID NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        kind TEXT NOT NULL,
        actor TEXT NOT NULL,
        details JSONB NOT NULL,
        CONSTRAINT release_events_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT release_events_releases_fkey FOREIGN KEY(organization_id, release_id) REFERENCES releases (organization_id, id)
    );

    CREATE INDEX release_events_release_index ON release_events (organization_id, release_id, at);

    CREATE TABLE release_impacts (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        release_id UUID NOT NULL,
        measured_at TIMESTAMP WITH TIME ZONE NOT NULL,
        figures JSONB NOT NULL,
        CONSTRAINT release_impacts_pkey PRIMARY KEY (organization_id, release_id),
        CONSTRAINT release_impacts_releases_fkey FOREIGN KEY(organization_id, release_id) REFERENCES releases (organization_id, id)
    );

    CREATE TABLE allocations (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        agent_id UUID NOT NULL,
        kind TEXT NOT NULL,
        experiment_id UUID,
        release_id UUID,
        salt TEXT NOT NULL,
        first_bucket INTEGER NOT NULL,
        end_bucket INTEGER NOT NULL,
        ramp DOUBLE PRECISION NOT NULL,
        phase SMALLINT DEFAULT 1 NOT NULL,
        slow_ms DOUBLE PRECISION,
        status TEXT DEFAULT 'open'::text NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE NOT NULL,
        ended_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT allocations_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT allocations_agents_fkey FOREIGN KEY(organization_id, agent_id) REFERENCES agents (organization_id, id),
        CONSTRAINT allocations_learning_experiments_fkey FOREIGN KEY(organization_id, experiment_id) REFERENCES learning_experiments (organization_id, id),
        CONSTRAINT allocations_releases_fkey FOREIGN KEY(organization_id, release_id) REFERENCES releases (organization_id, id),
        CONSTRAINT allocations_kind_check CHECK (kind = ANY (ARRAY['comparison'::text, 'canary'::text, 'watch'::text])),
        CONSTRAINT allocations_status_check CHECK (status = ANY (ARRAY['open'::text, 'paused'::text, 'ended'::text])),
        CONSTRAINT allocations_buckets_check CHECK (0 <= first_bucket AND first_bucket < end_bucket AND end_bucket <= 10000),
        CONSTRAINT allocations_ramp_check CHECK (ramp > 0 AND ramp <= 1),
        CONSTRAINT allocations_owner_check CHECK (num_nonnulls(experiment_id, release_id) = 1),
        CONSTRAINT allocations_organization_id_experiment_id_key UNIQUE (organization_id, experiment_id),
        CONSTRAINT allocations_organization_id_release_id_kind_key UNIQUE (organization_id, release_id, kind)
    );

    CREATE INDEX allocations_in_force_index ON allocations (organization_id, agent_id) WHERE status <> 'ended'::text;

    CREATE TABLE allocation_variants (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        allocation_id UUID NOT NULL,
        variant TEXT NOT NULL,
        position SMALLINT NOT NULL,
        version_id UUID NOT NULL,
        share DOUBLE PRECISION NOT NULL,
        CONSTRAINT allocation_variants_pkey PRIMARY KEY (organization_id, allocation_id, variant),
        CONSTRAINT allocation_variants_allocations_fkey FOREIGN KEY(organization_id, allocation_id) REFERENCES allocations (organization_id, id),
        CONSTRAINT allocation_variants_prompt_versions_fkey FOREIGN KEY(organization_id, version_id) REFERENCES prompt_versions (organization_id, id),
        CONSTRAINT allocation_variants_share_check CHECK (share > 0 AND share <= 1)
    );

    CREATE TABLE allocation_phases (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        allocation_id UUID NOT NULL,
        number SMALLINT NOT NULL,
        ramp DOUBLE PRECISION NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT allocation_phases_pkey PRIMARY KEY (organization_id, allocation_id, number),
        CONSTRAINT allocation_phases_allocations_fkey FOREIGN KEY(organization_id, allocation_id) REFERENCES allocations (organization_id, id)
    );

    CREATE TABLE exposures (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        allocation_id UUID NOT NULL,
        user_id TEXT NOT NULL,
        variant TEXT NOT NULL,
        phase SMALLINT NOT NULL,
        crossed BOOLEAN DEFAULT false NOT NULL,
        first_at TIMESTAMP WITH TIME ZONE NOT NULL,
        history_at TIMESTAMP WITH TIME ZONE,
        execution_count BIGINT DEFAULT 0 NOT NULL,
        error_count BIGINT DEFAULT 0 NOT NULL,
        latency_count BIGINT DEFAULT 0 NOT NULL,
        latency_ms_sum NUMERIC DEFAULT 0 NOT NULL,
        slow_count BIGINT DEFAULT 0 NOT NULL,
        cost_count BIGINT DEFAULT 0 NOT NULL,
        cost_usd_sum NUMERIC DEFAULT 0 NOT NULL,
        score_count BIGINT DEFAULT 0 NOT NULL,
        score_sum NUMERIC DEFAULT 0 NOT NULL,
        feedback_count BIGINT DEFAULT 0 NOT NULL,
        rating_count BIGINT DEFAULT 0 NOT NULL,
        rating_sum BIGINT DEFAULT 0 NOT NULL,
        thumbs_count BIGINT DEFAULT 0 NOT NULL,
        thumbs_up_count BIGINT DEFAULT 0 NOT NULL,
        correction_count BIGINT DEFAULT 0 NOT NULL,
        any_issue_count BIGINT DEFAULT 0 NOT NULL,
        issue_incorrect BIGINT DEFAULT 0 NOT NULL,
        issue_incomplete BIGINT DEFAULT 0 NOT NULL,
        issue_unclear BIGINT DEFAULT 0 NOT NULL,
        issue_hallucination BIGINT DEFAULT 0 NOT NULL,
        issue_outdated BIGINT DEFAULT 0 NOT NULL,
        issue_formatting BIGINT DEFAULT 0 NOT NULL,
        issue_tone BIGINT DEFAULT 0 NOT NULL,
        issue_other BIGINT DEFAULT 0 NOT NULL,
        prior_feedback_count BIGINT DEFAULT 0 NOT NULL,
        prior_rating_count BIGINT DEFAULT 0 NOT NULL,
        prior_rating_sum BIGINT DEFAULT 0 NOT NULL,
        prior_thumbs_count BIGINT DEFAULT 0 NOT NULL,
        prior_thumbs_up_count BIGINT DEFAULT 0 NOT NULL,
        prior_correction_count BIGINT DEFAULT 0 NOT NULL,
        prior_any_issue_count BIGINT DEFAULT 0 NOT NULL,
        CONSTRAINT exposures_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT exposures_allocations_fkey FOREIGN KEY(organization_id, allocation_id) REFERENCES allocations (organization_id, id),
        CONSTRAINT exposures_organization_id_allocation_id_user_id_key UNIQUE (organization_id, allocation_id, user_id)
    )
     WITH (fillfactor = 70);
"""

EXECUTIONS = """
    ALTER TABLE executions
        ADD COLUMN exposure_id UUID,
        ADD COLUMN score DOUBLE PRECISION,
        ADD CONSTRAINT executions_score_check CHECK (score BETWEEN 0 AND 1),
        ADD CONSTRAINT executions_exposures_fkey FOREIGN KEY(organization_id, exposure_id) REFERENCES exposures (organization_id, id);

    CREATE INDEX executions_exposure_index ON executions (organization_id, exposure_id) WHERE exposure_id IS NOT NULL;

    ALTER TABLE agent_feedback ADD COLUMN exposure_id UUID;
"""

CHANGING = (
    "learning_experiments",
    "releases",
    "release_impacts",
    "allocations",
    "allocation_variants",
    "allocation_phases",
    "exposures",
)

IMMUTABLE = ("experiment_looks", "release_events")

ORGANIZATION_REMOVED = """
    EXISTS (SELECT FROM organizations WHERE id = organization_id AND removed_at IS NOT NULL)
"""


def upgrade() -> None:
    execute = op.get_bind().exec_driver_sql
    execute(TABLES)
    execute(EXECUTIONS)
    for table in CHANGING:
        protect(table)
    for table in IMMUTABLE:
        protect(table, APPEND_ONLY)
        grant(table, "DELETE")
        restrict(table, "DELETE", ORGANIZATION_REMOVED)
