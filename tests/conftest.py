"""One embedded PostgreSQL for the whole run, and a fresh organisation for every test.

Row-level security is what keeps tests apart. They connect as the application's role, never as owner.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
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
    from tests import factories

    return factories.organization()


@pytest.fixture
def other_organization(database: None) -> object:
    from tests import factories

    return factories.organization()


@pytest.fixture
def transaction(organization: object) -> Callable[[], AbstractContextManager[Session]]:
    """Open a transaction of the test's organisation: `with transaction() as session: ...`."""
    from learning_core import db

    return partial(db.organization_session, organization.id)


@pytest.fixture
def new_key(organization: object) -> Callable[[str], str]:
    """Make an API key of the test's organisation: `new_key("engineer")`."""
    from tests import factories

    return partial(factories.key, organization)


@pytest.fixture(scope="session")
def courier(database: None) -> Iterator[None]:
    """Whatever process calls models for the tests is quick to try again, and leaves before their database."""
    from learning_core.llm import dispatch

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AFTERGLOW_MODEL_BACKOFF_S", "0.005")
        yield
        dispatch.close()


@pytest.fixture
def model_server(courier: None) -> Iterator[object]:
    """A served model; set its `answer`, `latency_s`, `errors` and `most` as the test needs them."""
    from tests.fakes import ModelServer

    with ModelServer() as server:
        yield server


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Set environment variables and read the settings anew: `configure(AFTERGLOW_BATCH_LIMIT=5)`."""
    from learning_core.settings import settings

    def change(**variables: object) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        settings.cache_clear()

    yield change
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty folder for an Afterglow of its own; what still runs on it afterwards is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="afterglow-home-"))
    folder.chmod(0o755)
    yield folder
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((folder / "postgres-18" / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def origin(database: None) -> Iterator[str]:
    """The address of an API in a process of its own, on the tests' database."""
    with serving(Path(os.environ[HOME])) as address:
        yield address


@pytest.fixture
def own_origin(home: Path) -> Iterator[str]:
    """The address of an API in a process of its own, which keeps a database of its own alive."""
    with serving(home) as address:
        yield address


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / f"api-{port}.log"
    with log.open("wb") as sink:
        command, environment = [sys.executable, "-c", SERVE, str(port)], {**os.environ, HOME: str(folder)}
        process = subprocess.Popen(command, env=environment, stdout=sink, stderr=sink)
    try:
        while not _answers(port):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        process.send_signal(signal.SIGINT)  # after SIGTERM uvicorn would not let go of the database
        process.wait(timeout=30)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


SERVE = """
import sys, threading, uvicorn
from learning_core import db, embedded

db.migrate()
threading.Thread(target=embedded.watch, args=(threading.Event(), 0.1), daemon=True).start()
uvicorn.run("learning_core.api:api", port=int(sys.argv[1]), log_level="warning")
"""

# ---------------------------------------------------------------- the API


@dataclass(frozen=True)
class Sender:
    """Someone who talks to the API with a key or a token of their own."""

    client: TestClient
    secret: str

    def request(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.secret}"} | more.pop("headers", {})
        return self.client.request(method, f"/api/learning/{path}", headers=headers, **more)

    get = partialmethod(request, "GET")
    post = partialmethod(request, "POST")
    delete = partialmethod(request, "DELETE")


@pytest.fixture(scope="session")
def client(database: None) -> Iterator[TestClient]:
    """The API in this process, asked by nobody in particular from this machine."""
    from learning_core.api import api

    origin, address = "http://localhost", ("127.0.0.1", 50_000)
    with TestClient(api, base_url=origin, client=address, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def as_role(client: TestClient, new_key: Callable[[str], str]) -> Callable[[str], Sender]:
    """Someone with a key of the test's organisation: `as_role("viewer").get("stats")`."""
    return lambda role: Sender(client, new_key(role))


@pytest.fixture
def sender(as_role: Callable[[str], Sender]) -> Sender:
    """An agent of the test's organisation."""
    return as_role("engineer")


@pytest.fixture
def other_sender(client: TestClient, other_organization: object) -> Sender:
    """An agent of another organisation."""
    from tests import factories

    return Sender(client, factories.key(other_organization, "engineer"))


@pytest.fixture
def with_token(client: TestClient, sender: Sender) -> Callable[..., Sender]:
    """A browser with a widget token: `with_token(execution_id="e1", agent_id="a")`."""

    def ask(**wishes: object) -> Sender:
        answer = sender.post("widget/tokens", json=wishes)
        assert answer.status_code == 201, answer.text
        return Sender(client, answer.json()["token"])

    return ask
