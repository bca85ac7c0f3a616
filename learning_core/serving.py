"""One command to a running product: database, migrations, demo, pages with API, and a worker."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import psutil
from sqlalchemy import text

from learning_core import db, embedded, perimeter
from learning_core.errors import Conflict, InvalidInput
from learning_core.settings import settings


def serve() -> None:
    """Start everything and block until stopped.

    Raises:
        InvalidInput: the address is open to others while sign-in is not configured, or the port is taken.
    """
    host, port = settings().host, settings().port
    require_loopback(host)
    require_free(host, port)
    gc.disable()  # imports make no garbage; the server collects once and goes on when all is there
    with ThreadPoolExecutor(1) as pool:  # the database starts while Python imports
        preparing = pool.submit(prepare_database)
        pages = importlib.import_module("app").app
        preparing.result()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the database is left in order
    with ExitStack() as running:
        running.enter_context(_kept_alive())
        if settings().worker:
            running.enter_context(_worker())
        threading.Thread(target=_announce, args=(host, port), name="announcement", daemon=True).start()
        pages.run(config={"server.address": host, "server.port": port})


def _announce(host: str, port: int) -> None:
    """Print the address once somebody answers there."""
    while True:
        try:
            socket.create_connection((host.strip("[]"), port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
            continue
        print(f"Afterglow is at http://{_shown(host)}:{port}", flush=True)
        print("Only this machine can reach it, because no sign-in is configured.", flush=True)
        return


def require_loopback(host: str) -> None:
    """Refuse to listen where others can reach us, as long as nobody needs to sign in.

    Raises:
        InvalidInput: the address is not this machine's alone.
    """
    if not perimeter.is_loopback(host):
        raise InvalidInput(
            f"HOST={host} would let others in, and no sign-in is configured."
            " Leave HOST at 127.0.0.1 and reach it through an SSH tunnel.",
            field="HOST",
        )


def require_free(host: str, port: int) -> None:
    """Refuse a port that is taken.

    Raises:
        InvalidInput: another program listens there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError as error:
            raise InvalidInput(
                f"Port {port} is taken by another program; try PORT={port + 1} make run.", field="PORT"
            ) from error


def prepare_database() -> None:
    """Start or find the database, migrate it, and give a new embedded one its demo."""
    db.migrate()
    if not settings().database_url and _is_new():
        from learning_core.demo.load import create_demo  # brings the story's texts

        print("Creating the demo organisation ...")
        try:
            create_demo()
        except Conflict:
            return  # another process starting at the same moment was faster


def _is_new() -> bool:
    with db.shared_session() as session:
        return not session.execute(text("SELECT EXISTS (SELECT FROM organizations)")).scalar()


@contextmanager
def _kept_alive() -> Iterator[None]:
    """Restart the embedded database should it die."""
    if settings().database_url:
        yield
        return
    stop = threading.Event()
    watcher = threading.Thread(target=embedded.watch, args=(stop,), name="database-watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


@contextmanager
def _worker() -> Iterator[None]:
    """Keep a worker running beside the server."""
    stop = threading.Event()
    keeper = threading.Thread(target=_keep_working, args=(stop,), name="worker-watch", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()


def _keep_working(stop: threading.Event) -> None:
    """Run a worker in a process of its own and after the server: jobs must not slow the pages.

    One that dies is started again: what it was doing goes on.
    """
    while not stop.is_set():
        process = subprocess.Popen([sys.executable, "-m", "learning_core", "worker"])
        if os.name == "posix":
            psutil.Process(process.pid).nice(10)
        while process.poll() is None and not stop.wait(RESTART_S):
            pass
        if process.poll() is None:
            _end(process)


RESTART_S = 1.0


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()  # it loses nothing: what it was doing is taken up at the next start
        process.wait()


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
