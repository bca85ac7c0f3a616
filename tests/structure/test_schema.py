from __future__ import annotations

import os
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from learning_core import db
from learning_core.schema import Base
from tests.factories import populate

TABLES = [table.name for table in Base.metadata.sorted_tables if "organization_id" in table.columns]
OF_NO_ORGANIZATION = {"organizations", "rate_limits", "alembic_version"}


def rows(statement: str) -> list:
    with db.owner_session() as session:
        return session.execute(text(f"{OWNED} {statement}")).all()


OWNED = """
WITH owned AS (
    SELECT pg_class.oid, relname, relrowsecurity, relforcerowsecurity, attnum
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'organization_id'
    WHERE relkind IN ('r', 'p') AND relnamespace = CAST('public' AS regnamespace)
)
"""

pytestmark = pytest.mark.usefixtures("database")

# ---------------------------------------------------------------- migrations and metadata


def test_the_migrations_lead_to_the_tables_that_the_code_describes():
    def is_ours(name: str, kind: str, _: object) -> bool:
        return kind != "table" or not (name.startswith("procrastinate_") or name == "alembic_version")

    options = {"compare_type": True, "compare_server_default": True, "include_name": is_ours}
    with db.owner_engine().connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []


def test_every_table_belongs_to_organisations_or_is_known_to_belong_to_none():
    assert {row.relname for row in rows("SELECT relname FROM owned")} == set(TABLES)
    others = rows("""
        SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND oid NOT IN (SELECT oid FROM owned)
        AND relnamespace = CAST('public' AS regnamespace) AND relname NOT LIKE 'procrastinate%'
    """)
    assert {row.relname for row in others} == OF_NO_ORGANIZATION


# ---------------------------------------------------------------- row-level security and keys


def test_every_table_of_an_organisation_has_forced_row_level_security_and_a_policy():
    bare = rows("""
        SELECT relname FROM owned WHERE NOT (relrowsecurity AND relforcerowsecurity)
            OR NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = owned.oid)
    """)
    assert bare == []


def test_every_policy_binds_reading_and_writing_to_the_organisation_of_the_transaction():
    policies = rows("""
        SELECT relname, polcmd, polpermissive, pg_get_expr(polqual, polrelid) AS condition,
               pg_get_expr(polwithcheck, polrelid) AS separate_check
        FROM pg_policy JOIN owned ON owned.oid = polrelid
        WHERE polpermissive
    """)
    assert {policy.relname for policy in policies} == set(TABLES)
    for policy in policies:
        assert (policy.polcmd, policy.separate_check) == (b"*", None) or policy.polcmd == "*", policy.relname
        assert "organization_id = ( SELECT" in policy.condition, policy.relname
        assert "current_setting('app.organization_id'::text)" in policy.condition, policy.relname


def test_every_primary_key_and_unique_index_carries_the_organisation():
    unique = rows("""
        SELECT relname, CAST(indexrelid AS regclass) AS index, attnum = ANY (indkey) AS carries, indisprimary
        FROM pg_index JOIN owned ON owned.oid = indrelid WHERE indisunique
    """)
    assert [row.index for row in unique if not row.carries] == []
    assert {row.relname for row in unique if row.indisprimary} == set(TABLES)


def test_every_foreign_key_carries_the_organisation_on_both_sides():
    keys = rows("""
        SELECT conname, owned.relname, CAST(confrelid AS regclass) AS referred,
               confrelid = CAST('organizations' AS regclass) AND conkey = ARRAY[owned.attnum]
               OR array_position(conkey, owned.attnum) = array_position(confkey, target.attnum) AS carries
        FROM pg_constraint JOIN owned ON owned.oid = conrelid
        LEFT JOIN owned AS target ON target.oid = confrelid
        WHERE contype = 'f'
    """)
    assert [key.conname for key in keys if not key.carries] == []
    assert {key.relname for key in keys} == set(TABLES)


def test_no_table_of_an_organisation_has_a_trigger():
    assert (
        rows("SELECT tgname FROM pg_trigger JOIN owned ON owned.oid = tgrelid WHERE NOT tgisinternal") == []
    )


# ---------------------------------------------------------------- the application's role


def test_the_application_connects_as_a_role_that_nothing_exempts_from_the_policies():
    with db.shared_session() as session:
        role = session.execute(
            text("""
                SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
                       EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid) AS is_member
                FROM pg_roles WHERE rolname = session_user
            """)
        ).one()
    assert role == (db.APPLICATION_ROLE, False, False, False, False, False, False)


def test_the_application_owns_nothing():
    owned = (
        f"SELECT classid FROM pg_shdepend WHERE deptype = 'o' AND refobjid = '{db.APPLICATION_ROLE}'::regrole"
    )
    assert rows(owned) == []


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE agents DISABLE ROW LEVEL SECURITY",
        "DROP POLICY organization ON agents",
        "TRUNCATE agent_feedback",
        "CREATE TABLE mine (id int)",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "UPDATE audit_log SET actor = 'somebody else'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
    ],
)
def test_the_application_may_not(organization, transaction, statement):
    populate(organization)
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), transaction() as session:
        session.execute(text(statement))


# ---------------------------------------------------------------- a transaction without organisation


@pytest.mark.parametrize("table", TABLES)
def test_reading_without_an_organisation_fails_instead_of_finding_nothing(organization, table):
    populate(organization)
    with pytest.raises(DBAPIError, match=LOUDLY), db.shared_session() as session:
        session.execute(text(f"SELECT 1 FROM {table}"))


@pytest.mark.parametrize("table", TABLES)
def test_writing_without_an_organisation_fails(table):
    with pytest.raises(DBAPIError, match=LOUDLY), db.shared_session() as session:
        session.execute(text(f"INSERT INTO {table} DEFAULT VALUES"))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", ["SELECT 1 FROM {}", "INSERT INTO {} DEFAULT VALUES"])
def test_a_pooled_connection_forgets_the_organisation_of_its_last_transaction(organization, table, statement):
    populate(organization)
    with db.engine().connect() as connection:
        with connection.begin():
            db.enter(connection, organization.id)
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()
        with pytest.raises(DBAPIError, match=LOUDLY), connection.begin():
            connection.execute(text(statement.format(table)))


LOUDLY = r'unrecognized configuration parameter "app\.organization_id"|invalid input syntax for type uuid: ""'

# ---------------------------------------------------------------- the embedded server


def afterglow(home, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, "AFTERGLOW_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_several_processes_may_create_and_migrate_a_new_database_at_once(home):
    processes = [afterglow(home, "-m", "learning_core", "migrate") for _ in range(3)]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert said == ["The database is up to date.\n"] * 3

    doctor = afterglow(home, "-m", "learning_core", "doctor")
    said, _ = doctor.communicate(timeout=120)
    assert doctor.returncode == 0, said


def test_a_killed_embedded_server_comes_back_with_its_data(home):
    killed = afterglow(home, "-c", KILL_AND_LOOK)
    said, _ = killed.communicate(timeout=120)
    assert killed.returncode == 0, said
    assert said.split() == ["another", "process:", "Before"]


KILL_AND_LOOK = """
import os, signal, threading, time
from learning_core import access, db, embedded
from learning_core.errors import Unavailable

def look():
    with db.shared_session() as session:
        return [organization.name for organization in access.organizations(session)]

def pid():
    try:
        return (embedded.data_folder() / "postmaster.pid").read_text().split()[0]
    except FileNotFoundError:  # between one server and the next
        return None

db.migrate()
with db.shared_session() as session:
    access.create_organization(session, "Before")
stop = threading.Event()
watcher = threading.Thread(target=embedded.watch, args=(stop, 0.1), daemon=True)
watcher.start()
first = pid()
os.kill(int(first), signal.SIGKILL)
while pid() == first:
    time.sleep(0.05)
while True:
    try:
        print("another process:", *look())
        break
    except Unavailable:
        time.sleep(0.05)
stop.set()
watcher.join()
"""
