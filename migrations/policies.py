"""Row-level security and rights, as functions a migration calls for each table it creates."""

from alembic import op

from learning_core.db import APPLICATION_ROLE, application_password

READ_WRITE = "SELECT, INSERT, UPDATE, DELETE"
APPEND_ONLY = "SELECT, INSERT"


def create_application_role() -> None:
    """Create the role the application connects as: it owns nothing and bypasses nothing."""
    op.execute(f"""
        DO $$ BEGIN
            CREATE ROLE {APPLICATION_ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
        EXCEPTION WHEN duplicate_object THEN NULL;
        END $$
    """)
    if password := application_password():
        op.execute(f"ALTER ROLE {APPLICATION_ROLE} PASSWORD '{password}'")
    op.execute(f"GRANT USAGE ON SCHEMA public TO {APPLICATION_ROLE}")


def protect(table: str, rights: str = READ_WRITE) -> None:
    """Let the application see and write only the rows of the transaction's organisation.

    The setting stands in a sub-select so that it is read once per statement. It is not softened: without
    an organisation the cast of an empty setting fails, and with it the statement.
    """
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"""
        CREATE POLICY organization ON {table}
        USING (organization_id = (SELECT CAST(current_setting('app.organization_id') AS uuid)))
    """)
    grant(table, rights)
    _tell_the_planner(table)


def restrict(table: str, command: str, condition: str) -> None:
    """Allow a command only where a condition holds, on top of belonging to the organisation."""
    clause = "WITH CHECK" if command == "INSERT" else "USING"
    op.execute(f"""
        CREATE POLICY {command.lower()}_restricted ON {table} AS RESTRICTIVE FOR {command}
        {clause} ({condition})
    """)


def _tell_the_planner(table: str) -> None:
    """Say that an organisation has many rows, until the table is analysed for the first time.

    A planner that knows nothing takes every index that begins with the organisation for equally good, and
    may read all of an organisation's rows to find one.
    """
    op.execute(f"""
        SELECT pg_restore_attribute_stats(
            'schemaname', CAST(current_schema() AS text), 'relname', '{table}', 'attname', 'organization_id',
            'inherited', false, 'null_frac', CAST(0 AS real), 'avg_width', 16, 'n_distinct', CAST(3 AS real)
        )
    """)


def grant(table: str, rights: str) -> None:
    """Grant the application rights on a table."""
    op.execute(f"GRANT {rights} ON {table} TO {APPLICATION_ROLE}")
