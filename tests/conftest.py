"""One embedded PostgreSQL for the whole run, and a fresh organisation for every test.

Row-level security is what keeps tests apart. They connect as the application's role, never as owner.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy.orm import Session

HOME = "AFTERGLOW_HOME"


def pytest_configure(config: pytest.Config) -> None:
    if not os.environ.get("PYTEST_XDIST_WORKER"):
        os.environ[HOME] = tempfile.mkdtemp(prefix="afterglow-tests-")
        Path(os.environ[HOME]).chmod(0o755)
        for name in ("DATABASE_URL", "DATABASE_APP_URL", "DATABASE_REPLICA_URL", "HOST", "PORT"):
            os.environ.pop(name, None)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not os.environ.get("PYTEST_XDIST_WORKER"):
        from learning_core import db, embedded

        for engine in (db.engine, db.owner_engine):
            if engine.cache_info().currsize:
                engine().dispose()
        if embedded._server.cache_info().currsize:
            embedded._server().stop()
        shutil.rmtree(os.environ[HOME], ignore_errors=True)


@pytest.fixture(scope="session")
def database() -> Iterator[None]:
    from learning_core import db

    db.migrate()
    yield
    db.engine().dispose()
    db.owner_engine().dispose()


@pytest.fixture
def organization(database: None) -> object:
    """An organisation nobody else uses."""
    return new_organization()


@pytest.fixture
def other_organization(database: None) -> object:
    return new_organization()


def new_organization() -> object:
    from learning_core import access, db

    with db.shared_session() as session:
        return access.create_organization(session, f"Test {uuid4().hex[:12]}")


@pytest.fixture
def transaction(organization: object) -> Callable[[], AbstractContextManager[Session]]:
    """Open a transaction of the test's organisation: `with transaction() as session: ...`."""
    from learning_core import db

    return partial(db.organization_session, organization.id)


@pytest.fixture
def new_key(organization: object) -> Callable[[str], str]:
    """Make an API key of the test's organisation: `new_key("engineer")`."""
    from learning_core import access, db
    from learning_core.schema import Role

    def make(role: str) -> str:
        operator = access.Caller(organization.id, "test", Role.ADMIN)
        with db.organization_session(organization.id) as session:
            return access.create_key(session, operator, f"{role} key", Role(role))

    return make


