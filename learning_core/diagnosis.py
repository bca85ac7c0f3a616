"""Is this installation well: database, extensions, roles, policies, counts, disk, in plain words."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from learning_core import db, embedded
from learning_core.errors import LearningError
from learning_core.settings import settings

NEEDED_FREE_BYTES = 2 * 1024**3


class Finding(NamedTuple):
    """What one check found."""

    subject: str
    healthy: bool
    says: str


def examine() -> list[Finding]:
    """Run every check; one that cannot run counts as unhealthy and says why."""
    findings = []
    for subject, check in CHECKS.items():
        try:
            trouble = check()
        except (LearningError, SQLAlchemyError, OSError) as error:
            trouble = f"{error} ({error.__cause__})".splitlines()[0] if error.__cause__ else str(error)
        findings.append(Finding(subject, trouble is None, trouble or "fine"))
    return findings


def _database() -> str | None:
    with db.owner_session() as session:
        version = int(session.execute(text("SHOW server_version_num")).scalar_one())
    if version < 180_000:
        return f"PostgreSQL {version // 10_000} is too old; Afterglow needs 18. Point DATABASE_URL at one."
    return None


def _migrations() -> str | None:
    with db.owner_engine().connect() as connection:
        behind = not db.is_current(connection)
    return "The tables are not at the newest version; run `afterglow migrate`." if behind else None


def _extensions() -> str | None:
    with db.owner_session() as session:
        found = session.execute(text("SELECT true FROM pg_extension WHERE extname = 'vector'")).scalar()
    return None if found else "The extension vector is missing; install pgvector, then `afterglow migrate`."


def _role() -> str | None:
    with db.owner_session() as session:
        if not session.execute(text(KNOWN_ROLE), {"role": db.APPLICATION_ROLE}).scalar():
            return f"The role {db.APPLICATION_ROLE} does not exist yet; run `afterglow migrate`."
    with db.shared_session() as session:
        row = session.execute(
            text("""
                SELECT rolname, rolsuper OR rolbypassrls AS unbound,
                       EXISTS (SELECT FROM pg_tables WHERE tableowner = current_user) AS owns
                FROM pg_roles WHERE rolname = current_user
            """)
        ).one()
    if row.unbound or row.owns:
        return (
            f"The application connects as {row.rolname}, which row-level security does not bind;"
            " set DATABASE_APP_URL to the role afterglow_app."
        )
    return None


def _policies() -> str | None:
    with db.owner_session() as session:
        bare = session.execute(text(UNPROTECTED)).scalars().all()
    return f"Without forced row-level security: {', '.join(bare)}." if bare else None


KNOWN_ROLE = "SELECT true FROM pg_roles WHERE rolname = :role"

UNPROTECTED = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
  AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'organization_id')
  AND NOT (relrowsecurity AND relforcerowsecurity
           AND EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid))
"""


def _disk() -> str | None:
    if settings().database_url:
        return None
    free = shutil.disk_usage(embedded.data_folder()).free
    if free < NEEDED_FREE_BYTES:
        return f"Only {free / 1024**3:.1f} GB are free where the database lives; make room for at least 2."
    return None


CHECKS: dict[str, Callable[[], str | None]] = {
    "database": _database,
    "migrations": _migrations,
    "extensions": _extensions,
    "application role": _role,
    "row-level security": _policies,
    "disk": _disk,
}
