"""Many write at once while the database is killed under them: what was acknowledged is there, once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx2

WRITERS, EACH = 40, 25
KILLED_AFTER = (100, 250, 400)
"""The database dies when so many requests have been acknowledged."""


def within(home, script: str) -> dict:
    """Run a script on the database in that folder and return the JSON it prints."""
    environment = {**os.environ, "AFTERGLOW_HOME": str(home)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


CREATE = """
import json
from learning_core import db
from tests import factories

db.migrate()
organization = factories.organization()
print(json.dumps({"organization": organization.id.hex, "key": factories.key(organization, "engineer")}))
"""

LOOK = """
import json
from uuid import UUID
from sqlalchemy import text
from learning_core import db
from learning_core.feedback import rollup

with db.organization_session(UUID("{organization}")) as session:
    print(json.dumps({{
        "keys": list(session.execute(text("SELECT key FROM agent_feedback")).scalars()),
        "wrong_counts": rollup.differences(session, rollup.FEEDBACK),
        "counted": int(session.execute(text("SELECT sum(feedback_count) FROM feedback_daily")).scalar()),
    }}))
"""


class Kills:
    """Kills the database each time enough requests have been acknowledged."""

    def __init__(self, home) -> None:
        self.pid_file = home / "postgres-18" / "postmaster.pid"
        self.acknowledged = 0
        self.killed: list[int] = []
        self._lock = threading.Lock()

    def count_one(self) -> None:
        with self._lock:
            self.acknowledged += 1
            if self.acknowledged in KILLED_AFTER:
                pid = int(self.pid_file.read_text().split()[0])
                os.kill(pid, signal.SIGKILL)
                self.killed.append(pid)


def test_what_was_acknowledged_survives_a_database_that_is_killed_again_and_again(home, own_origin):
    organization, key = within(home, CREATE).values()
    kills = Kills(home)
    answers: Counter[int] = Counter()
    limits = httpx2.Limits(max_connections=WRITERS, max_keepalive_connections=WRITERS)
    headers = {"Authorization": f"Bearer {key}"}
    agent = httpx2.Client(base_url=own_origin, headers=headers, timeout=60, limits=limits)

    def send(entry: dict) -> str | None:
        """Send an entry once and return its id if it was acknowledged."""
        answer = agent.post("/learning/feedback", json=entry)
        answers[answer.status_code] += 1
        if answer.status_code == 503:
            return None
        assert answer.status_code in (200, 201), answer.text
        kills.count_one()
        return answer.json()["id"]

    def write(writer: int) -> list[str]:
        """Half of the writers name their rows and insist; the others send each row once, without a name."""
        insists = writer % 2 == 0
        acknowledged = []
        for n in range(EACH):
            entry = {"execution_id": f"e{writer % 7}-{n}", "agent_id": "a", "feedback_type": "thumbs_up"}
            if insists:
                entry["id"] = f"w{writer}-{n}"
            while not (key := send(entry)) and insists:
                time.sleep(0.05)
            if key:
                acknowledged.append(key)
        return acknowledged

    with agent, ThreadPoolExecutor(WRITERS) as pool:
        acknowledged = [key for keys in pool.map(write, range(WRITERS)) for key in keys]

    assert len(set(kills.killed)) == len(KILLED_AFTER)
    assert answers[503]
    named = {f"w{writer}-{n}" for writer in range(0, WRITERS, 2) for n in range(EACH)}
    found = within(home, LOOK.format(organization=organization))
    assert named <= set(acknowledged)
    assert set(acknowledged) <= set(found["keys"])
    assert len(found["keys"]) == len(set(found["keys"])) == found["counted"]
    assert {key for key in found["keys"] if key.startswith("w")} == named
    assert found["wrong_counts"] == 0
