"""Where transactions begin and commit, and for which organisation. Nowhere else.

The application connects as a role that owns nothing and cannot bypass row-level security. Each transaction
names its organisation by a transaction-local setting; one that does not fails at its first statement.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from learning_core import embedded
from learning_core.errors import NotPermitted, Unavailable
from learning_core.settings import settings

if TYPE_CHECKING:
    import pandas as pd

Result = TypeVar("Result")

APPLICATION_ROLE = "afterglow_app"
MIGRATION_LOCK = 4_227_301


@contextmanager
def organization_session(organization_id: UUID) -> Iterator[Session]:
    """Open one transaction for one organisation; commit at the end, roll back on an error.

    Raises:
        Unavailable: the database cannot be reached; nothing was stored.
    """
    with _session(engine()) as session:
        enter(session, organization_id)
        yield session


def in_transaction(organization_id: UUID, work: Callable[[Session], Result]) -> Result:
    """Run work in one transaction of an organisation, again from the start where it lost to another writer.

    Raises:
        Unavailable: the database cannot be reached; nothing was stored.
    """
    for retries_left in reversed(range(RETRIES)):
        try:
            with _session(writing_engine()) as session:
                enter(session, organization_id)
                return work(session)
        except DBAPIError as error:
            if not (retries_left and _lost_to_another_writer(error)):
                raise
    raise AssertionError("the last try returns or raises")


def _lost_to_another_writer(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) in ("40001", "40P01")


RETRIES = 4


class LoopDatabase:
    """The database for code on an event loop: the same synchronous work, without holding the loop up.

    Its connections belong to the loop they were opened on; on another loop it opens new ones.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine: AsyncEngine | None = None

    async def in_transaction(self, organization_id: UUID, work: Callable[[Session], Result]) -> Result:
        """Do what the function of that name does."""

        def enter_and_work(session: Session) -> Result:
            enter(session, organization_id)
            return work(session)

        for retries_left in reversed(range(RETRIES)):
            try:
                with _outages():
                    async with AsyncSession(self._pool()) as session, session.begin():
                        return await session.run_sync(enter_and_work)
            except DBAPIError as error:
                if not (retries_left and _lost_to_another_writer(error)):
                    raise
        raise AssertionError("the last try returns or raises")

    async def at_once(self, work: Callable[[Connection], Result]) -> Result:
        """Run work of no organisation on a connection where each statement is a transaction of its own."""
        with _outages():
            async with self._pool().connect() as connection:
                autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
                return await autocommit.run_sync(work)

    async def close(self) -> None:
        """Close the connections."""
        if self._engine:
            await self._engine.dispose(close=self._loop is asyncio.get_running_loop())
        self._engine = None

    def _pool(self) -> AsyncEngine:
        loop = asyncio.get_running_loop()
        if self._engine is None or self._loop is not loop:
            self._loop = loop
            self._engine = create_async_engine(
                application_url(), pool_size=2, max_overflow=0, connect_args=PLANNED_ONCE
            )
            _test_idle_connections(self._engine.sync_engine)
        return self._engine


@contextmanager
def reading_session(organization_id: UUID) -> Iterator[Session]:
    """Open one read-only transaction for one organisation, on the replica where there is one."""
    with _session(reading_engine()) as session:
        session.execute(text("SET TRANSACTION READ ONLY"))
        enter(session, organization_id)
        yield session


@contextmanager
def shared_session() -> Iterator[Session]:
    """Open one transaction of no organisation: it sees the list of organisations and no row of theirs."""
    with _session(engine()) as session:
        yield session


@contextmanager
def autocommit_connection() -> Iterator[Connection]:
    """Open a connection of no organisation on which each statement is a transaction of its own."""
    with _outages(), engine().connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def owner_session() -> Iterator[Session]:
    """Open one transaction as the owner, above all organisations; for migrations and maintenance only."""
    with _session(owner_engine()) as session:
        yield session


def enter(session: Session, organization_id: UUID) -> None:
    """Make an open transaction that organisation's, until it ends."""
    session.execute(text("SELECT set_config('app.organization_id', :id, true)"), {"id": str(organization_id)})


def frame(session: Session, statement: str, **parameters: Any) -> pd.DataFrame:
    """Run one literal SQL statement and return its rows as a frame.

    Columns have the dtype of their SQL type whatever rows come, also when none do.
    """
    import pandas as pd  # half a second that commands without a question need not pay

    result = session.execute(text(statement), parameters)
    columns = result.cursor.description  # type: ignore[attr-defined]  # a Core result has one
    kinds = {column.name: DTYPES.get(column.type_code, "object") for column in columns}
    found = pd.DataFrame.from_records(result.all(), columns=list(kinds))
    return found.astype(kinds)


DTYPES = {
    16: "bool",
    20: "int64",
    21: "Int16",
    25: "str",
    701: "float64",
    1184: "datetime64[us, UTC]",
}
"""PostgreSQL type -> dtype. Stars (int2) may be missing; counts (int8) may not."""


@contextmanager
def _session(bind: Engine) -> Iterator[Session]:
    with _outages(), Session(bind) as session, session.begin():
        yield session


@contextmanager
def _outages() -> Iterator[None]:
    """Name the errors that mean: the database cannot be reached."""
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated or _is_outage(error):
            raise Unavailable from error
        raise


def _is_outage(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return state is None or state.startswith(("08", "57P", "53"))


# ---------------------------------------------------------------- engines


@lru_cache(maxsize=1)
def engine() -> Engine:
    """Return the pool that connects as the application's role."""
    return _pool(application_url())


@lru_cache(maxsize=1)
def writing_engine() -> Engine:
    """Return the pool of the write path, as the application's role."""
    return _pool(application_url(), connect_args=PLANNED_ONCE)


PLANNED_ONCE = {
    "options": "-c plan_cache_mode=force_generic_plan"
    " -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
}
"""The write path looks everything up by key. Without this, plans made while a table was nearly empty read all
of it, and stay until it is analysed for the first time."""


@lru_cache(maxsize=1)
def reading_engine() -> Engine:
    """Return the pool that dashboards read from: the replica, or else the same database."""
    replica = settings().database_replica_url
    return _pool(_as_psycopg(replica)) if replica else engine()


@lru_cache(maxsize=1)
def owner_engine() -> Engine:
    """Return the pool that connects as the owner of the tables."""
    return create_engine(owner_url(), pool_size=1, max_overflow=2, pool_pre_ping=True)


def _pool(url: URL, **arguments: Any) -> Engine:
    pool = create_engine(url, pool_size=8, max_overflow=24, **arguments)
    _test_idle_connections(pool)
    return pool


def _test_idle_connections(pool: Engine) -> None:
    event.listen(pool, "checkin", _note_time)
    event.listen(pool, "checkout", _test_if_idle)


IDLE_S = 1.0
"""A connection idle for longer is tested before use; testing each would cost every statement a round trip."""


def _note_time(_: Any, record: Any) -> None:
    record.info["checked_in"] = time.monotonic()


def _test_if_idle(connection: Any, record: Any, _: Any) -> None:
    if time.monotonic() - record.info.get("checked_in", time.monotonic()) > IDLE_S:
        cursor = connection.cursor()
        try:
            cursor.execute("SELECT 1")
            connection.rollback()
        except psycopg.Error as error:
            raise DisconnectionError from error
        finally:
            cursor.close()


def owner_url() -> URL:
    """Return the address of the database as owner: the given one, or the embedded server's."""
    return _as_psycopg(settings().database_url or embedded.address(embedded.OWNER))


def application_url() -> URL:
    """Return the address of the database as the application's role.

    With a given database its password follows from the owner's, so that every process of a deployment
    knows it and none has to store it.
    """
    if given := settings().database_app_url:
        return _as_psycopg(given)
    if not settings().database_url:
        return make_url(embedded.address(APPLICATION_ROLE))
    return owner_url().set(username=APPLICATION_ROLE, password=application_password())


def application_password() -> str | None:
    """Return the application role's password, None where the owner has none either (trust, peer)."""
    owner = owner_url().password
    if owner is None:
        return None
    return hmac.new(str(owner).encode(), APPLICATION_ROLE.encode(), hashlib.sha256).hexdigest()


def _as_psycopg(url: str) -> URL:
    return make_url(url).set(drivername="postgresql+psycopg")


# ---------------------------------------------------------------- migrations


def migrate() -> None:
    """Bring the tables, the application's role and its rights to the newest version.

    Safe to run from several processes at once, and quick when there is nothing to do.

    Raises:
        Unavailable: the database cannot be reached.
        NotPermitted: the owner lacks a right; the message says what a superuser has to run.
    """
    with _outages():
        try:
            _migrate()
        except ProgrammingError as error:
            if getattr(error.orig, "sqlstate", None) != "42501":
                raise
            raise NotPermitted(
                f"The owner {owner_url().username!r} may not prepare the database ({error.orig})."
                " Let a superuser run in it: CREATE EXTENSION IF NOT EXISTS vector;"
                f" ALTER ROLE {owner_url().username} CREATEROLE;"
            ) from error


def _migrate() -> None:
    with owner_engine().connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
        connection.commit()
        try:
            if not is_current(connection):
                from alembic import command

                command.upgrade(alembic_config(connection), "head")
                connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": MIGRATION_LOCK})
            connection.commit()


def alembic_config(connection: Connection) -> Any:
    """Return Alembic's configuration, bound to an open connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


MIGRATIONS = Path(__file__).parent.parent / "migrations"


def is_current(connection: Connection) -> bool:
    """Return whether the tables are at the newest version; migrations are numbered in order."""
    if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar() is None:
        return False
    newest = max(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    return bool(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == newest)
