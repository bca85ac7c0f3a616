"""Review and datasets: what experts judge, and what is frozen from it."""

from alembic import op

from migrations.policies import APPEND_ONLY, grant, protect, restrict

revision = "0002"
down_revision = "0001"

EXAMPLES = """
    ALTER TABLE agents ADD COLUMN guidelines TEXT;

    ALTER TABLE executions ADD COLUMN conversation TEXT, ADD COLUMN context TEXT;

    ALTER TABLE learning_examples
        ADD COLUMN key TEXT,
        ADD COLUMN domain TEXT,
        ADD COLUMN conversation TEXT,
        ADD COLUMN user_id TEXT,
        ADD COLUMN author TEXT,
        ADD COLUMN issue_categories TEXT[] DEFAULT '{}'::text[] NOT NULL,
        ADD COLUMN rating SMALLINT,
        ADD COLUMN context TEXT,
        ADD COLUMN alternative_output TEXT,
        ADD COLUMN demonstration JSONB,
        ADD COLUMN priority REAL DEFAULT 0.5 NOT NULL,
        ADD COLUMN evidence JSONB DEFAULT '{}'::jsonb NOT NULL,
        ADD COLUMN nearness REAL,
        ADD COLUMN ranked_at TIMESTAMP WITH TIME ZONE,
        ADD COLUMN overlap SMALLINT DEFAULT 1 NOT NULL,
        ADD COLUMN reviews_wanted SMALLINT DEFAULT 1 NOT NULL,
        ADD COLUMN reviews_done SMALLINT DEFAULT 0 NOT NULL,
        ADD COLUMN held SMALLINT DEFAULT 0 NOT NULL,
        ADD COLUMN flag_reason TEXT,
        ADD COLUMN flagged_by TEXT,
        ADD COLUMN gold_decision TEXT,
        ADD COLUMN approved_output TEXT,
        ADD COLUMN quality_score DOUBLE PRECISION,
        ADD COLUMN human_verified BOOLEAN DEFAULT false NOT NULL,
        ADD COLUMN settled_at TIMESTAMP WITH TIME ZONE,
        ADD CONSTRAINT learning_examples_organization_id_key_key UNIQUE (organization_id, key),
        ADD CONSTRAINT learning_examples_gold_decision_check CHECK (gold_decision = ANY (ARRAY['approve'::text, 'needs_revision'::text, 'reject'::text])),
        ADD CONSTRAINT learning_examples_quality_score_check CHECK (quality_score BETWEEN 0 AND 1),
        ADD CONSTRAINT learning_examples_reviewers_check CHECK (held >= 0 AND reviews_done >= 0),
        DROP CONSTRAINT learning_examples_status_check,
        ADD CONSTRAINT learning_examples_status_check CHECK (status = ANY (ARRAY['pending'::text, 'needs_revision'::text, 'disputed'::text, 'flagged'::text, 'approved'::text, 'rejected'::text, 'withdrawn'::text]));

    ALTER TABLE learning_examples NO FORCE ROW LEVEL SECURITY;

    UPDATE learning_examples AS example SET
        issue_categories = feedback.issue_categories,
        rating = feedback.rating,
        user_id = coalesce(feedback.user_id, executions.user_id)
    FROM agent_feedback AS feedback
    JOIN executions ON (executions.organization_id, executions.id) = (feedback.organization_id, feedback.execution_id)
    WHERE (feedback.organization_id, feedback.id) = (example.organization_id, example.feedback_id);

    ALTER TABLE learning_examples FORCE ROW LEVEL SECURITY;

    CREATE INDEX learning_examples_open_index ON learning_examples (organization_id, priority DESC, id)
        WHERE status = ANY (ARRAY['pending'::text, 'needs_revision'::text, 'approved'::text]) AND reviews_done + held < reviews_wanted;

    CREATE INDEX learning_examples_open_of_agent_index ON learning_examples (agent_id, priority DESC, id)
        WHERE status = ANY (ARRAY['pending'::text, 'needs_revision'::text, 'approved'::text]) AND reviews_done + held < reviews_wanted;

    CREATE INDEX learning_examples_status_index ON learning_examples (organization_id, status, id);

    CREATE INDEX learning_examples_unranked_index ON learning_examples (organization_id, id)
        WHERE ranked_at IS NULL AND status = 'pending'::text;

    CREATE INDEX learning_examples_gold_index ON learning_examples (organization_id, id) WHERE gold_decision IS NOT NULL;
"""

TABLES = """
    CREATE TABLE expert_annotations (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        example_id UUID NOT NULL,
        annotator TEXT NOT NULL,
        annotation_type TEXT NOT NULL,
        decision TEXT,
        preference TEXT,
        preference_strength SMALLINT,
        technical_accuracy DOUBLE PRECISION,
        professional_quality DOUBLE PRECISION,
        completeness DOUBLE PRECISION,
        clarity DOUBLE PRECISION,
        difficulty DOUBLE PRECISION,
        issue_categories TEXT[],
        corrected_output TEXT,
        notes TEXT,
        improvement_suggestions TEXT,
        on_gold BOOLEAN DEFAULT false NOT NULL,
        source TEXT NOT NULL,
        duration_ms DOUBLE PRECISION,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        verified_by TEXT,
        verified_at TIMESTAMP WITH TIME ZONE,
        undone_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT expert_annotations_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT expert_annotations_learning_examples_fkey FOREIGN KEY(organization_id, example_id) REFERENCES learning_examples (organization_id, id),
        CONSTRAINT expert_annotations_annotation_type_check CHECK (annotation_type = ANY (ARRAY['quality_assessment'::text, 'correction'::text, 'explanation'::text, 'categorization'::text, 'difficulty_rating'::text])),
        CONSTRAINT expert_annotations_decision_check CHECK (decision = ANY (ARRAY['approve'::text, 'needs_revision'::text, 'reject'::text])),
        CONSTRAINT expert_annotations_preference_check CHECK (preference = ANY (ARRAY['a'::text, 'b'::text, 'tie'::text])),
        CONSTRAINT expert_annotations_preference_strength_check CHECK (preference_strength BETWEEN 1 AND 5),
        CONSTRAINT expert_annotations_scores_check CHECK (technical_accuracy BETWEEN 0 AND 1 AND professional_quality BETWEEN 0 AND 1 AND completeness BETWEEN 0 AND 1 AND clarity BETWEEN 0 AND 1 AND difficulty BETWEEN 0 AND 1),
        CONSTRAINT expert_annotations_verified_by_check CHECK (verified_by <> annotator)
    );

    CREATE INDEX expert_annotations_annotator_index ON expert_annotations (organization_id, annotator, created_at DESC);

    CREATE INDEX expert_annotations_example_index ON expert_annotations (organization_id, example_id);

    CREATE UNIQUE INDEX expert_annotations_judgement_key ON expert_annotations (organization_id, example_id, annotator) WHERE decision IS NOT NULL AND undone_at IS NULL;

    CREATE TABLE review_leases (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        example_id UUID NOT NULL,
        reviewer TEXT NOT NULL,
        leased_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        leased_until TIMESTAMP WITH TIME ZONE,
        CONSTRAINT review_leases_pkey PRIMARY KEY (organization_id, example_id, reviewer),
        CONSTRAINT review_leases_learning_examples_fkey FOREIGN KEY(organization_id, example_id) REFERENCES learning_examples (organization_id, id)
    );

    CREATE INDEX review_leases_reviewer_index ON review_leases (organization_id, reviewer);

    CREATE INDEX review_leases_until_index ON review_leases (organization_id, leased_until);

    CREATE TABLE training_datasets (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        rules JSONB NOT NULL,
        seed TEXT NOT NULL,
        content_hash TEXT NOT NULL,
        example_count INTEGER NOT NULL,
        statistics JSONB NOT NULL,
        gates JSONB NOT NULL,
        created_by TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT training_datasets_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT training_datasets_organizations_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id),
        CONSTRAINT training_datasets_organization_id_name_version_key UNIQUE (organization_id, name, version)
    );

    CREATE TABLE dataset_examples (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        dataset_id UUID NOT NULL,
        example_id UUID NOT NULL,
        split TEXT NOT NULL,
        group_name TEXT NOT NULL,
        content JSONB NOT NULL,
        feedback_id UUID,
        annotation_ids UUID[] DEFAULT '{}'::uuid[] NOT NULL,
        CONSTRAINT dataset_examples_pkey PRIMARY KEY (organization_id, dataset_id, example_id),
        CONSTRAINT dataset_examples_training_datasets_fkey FOREIGN KEY(organization_id, dataset_id) REFERENCES training_datasets (organization_id, id),
        CONSTRAINT dataset_examples_learning_examples_fkey FOREIGN KEY(organization_id, example_id) REFERENCES learning_examples (organization_id, id),
        CONSTRAINT dataset_examples_split_check CHECK (split = ANY (ARRAY['train'::text, 'validation'::text, 'test'::text]))
    );

    CREATE INDEX dataset_examples_example_index ON dataset_examples (organization_id, example_id);

    CREATE TABLE dataset_uses (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        dataset_id UUID NOT NULL,
        split TEXT NOT NULL,
        purpose TEXT NOT NULL,
        used_by TEXT NOT NULL,
        used_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT dataset_uses_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT dataset_uses_training_datasets_fkey FOREIGN KEY(organization_id, dataset_id) REFERENCES training_datasets (organization_id, id),
        CONSTRAINT dataset_uses_split_check CHECK (split = ANY (ARRAY['train'::text, 'validation'::text, 'test'::text]))
    );

    CREATE INDEX dataset_uses_dataset_index ON dataset_uses (organization_id, dataset_id, split);

    CREATE TABLE dataset_proposals (
        organization_id UUID DEFAULT CAST(current_setting('app.organization_id') AS uuid) NOT NULL,
        id UUID DEFAULT uuidv7() NOT NULL,
        name TEXT NOT NULL,
        rules JSONB NOT NULL,
        summary JSONB NOT NULL,
        proposed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        decided_at TIMESTAMP WITH TIME ZONE,
        decided_by TEXT,
        CONSTRAINT dataset_proposals_pkey PRIMARY KEY (organization_id, id),
        CONSTRAINT dataset_proposals_organizations_fkey FOREIGN KEY(organization_id) REFERENCES organizations (id)
    );

    CREATE UNIQUE INDEX dataset_proposals_name_key ON dataset_proposals (organization_id, name) WHERE decided_at IS NULL;
"""

ACTING_EXPERT = "(SELECT current_setting('app.role', true)) IN ('expert', 'admin')"

ORGANIZATION_REMOVED = """
    EXISTS (SELECT FROM organizations WHERE id = organization_id AND removed_at IS NOT NULL)
"""

VERSION_OF_THIS_TRANSACTION = """
    EXISTS (
        SELECT FROM training_datasets AS version
        WHERE version.organization_id = dataset_examples.organization_id
          AND version.id = dataset_id AND version.created_at = now()
    )
"""


def upgrade() -> None:
    execute = op.get_bind().exec_driver_sql
    execute(EXAMPLES)
    execute(TABLES)
    protect("expert_annotations")
    restrict("expert_annotations", "INSERT", ACTING_EXPERT)
    restrict("expert_annotations", "UPDATE", ACTING_EXPERT)
    restrict("expert_annotations", "DELETE", ORGANIZATION_REMOVED)
    protect("review_leases")
    protect("dataset_proposals")
    _freeze_from_birth()


def _freeze_from_birth() -> None:
    """Let a version be inserted whole and never changed; only removing an organisation removes it."""
    for table in ("training_datasets", "dataset_examples", "dataset_uses"):
        protect(table, APPEND_ONLY)
        grant(table, "DELETE")
        restrict(table, "DELETE", ORGANIZATION_REMOVED)
    restrict("dataset_examples", "INSERT", VERSION_OF_THIS_TRANSACTION)
