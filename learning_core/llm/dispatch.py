"""The worker's end of its courier: start it, hand it calls, pass on what became of them.

A process has one courier, for all its exchanges; the first to need it starts it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Sequence
from queue import SimpleQueue
from typing import IO, Any, cast
from uuid import UUID

from learning_core.errors import Unavailable
from learning_core.llm.ledger import Outcome

Inbox = SimpleQueue[Outcome | None]
"""Where somebody waits for what becomes of calls; None: their courier has died."""
READY_WITHIN_S = 90.0
LEAVES_WITHIN_S = 10.0


class Line:
    """The line to one courier.

    Attributes:
        number: What the courier holds a lock on for as long as it lives.
        is_dead: Whether it has died, as far as we know.
    """

    def __init__(self) -> None:
        self.number = secrets.randbits(62)
        self.is_dead = False
        self._process = subprocess.Popen(  # noqa: S603 - our own module, and a number
            [sys.executable, "-m", "learning_core.llm.courier", str(self.number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._calls = cast(IO[bytes], self._process.stdin)
        self._ready = threading.Event()
        self._writing = threading.Lock()
        self._inboxes: dict[UUID, Inbox] = {}
        threading.Thread(target=self._listen, name="courier", daemon=True).start()

    def wait_until_ready(self) -> None:
        """Wait until calls may be entered in the courier's name.

        Raises:
            Unavailable: it did not start; most likely it cannot reach the database.
        """
        if not self._ready.wait(READY_WITHIN_S) or self.is_dead:
            raise Unavailable("The process that calls models did not start; its log says why.")

    def send(self, calls: Sequence[dict[str, Any]], inbox: Inbox) -> None:
        """Hand over calls; what becomes of each comes into the inbox, or None if the courier dies."""
        lines = b"".join(json.dumps(call).encode() + b"\n" for call in calls)
        with self._writing:
            self._inboxes |= {UUID(call["id"]): inbox for call in calls}
            if self.is_dead:
                inbox.put(None)
            with contextlib.suppress(OSError, ValueError):  # where it died, `_listen` says so
                self._calls.write(lines)
                self._calls.flush()

    def carries(self, call_id: UUID) -> bool:
        """Return whether the courier has this call and we have not heard what became of it."""
        return call_id in self._inboxes

    def close(self) -> None:
        """Let the courier leave once it has stored everything, and see it off if that is soon."""
        with self._writing, contextlib.suppress(OSError):
            self._calls.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVES_WITHIN_S)

    def _listen(self) -> None:
        with cast(IO[bytes], self._process.stdout) as results:
            for line in results:
                if self._ready.is_set() and line.endswith(b"\n"):  # not where it was killed in the middle
                    outcome = Outcome.read(json.loads(line))
                    self._inboxes.pop(outcome.id).put(outcome)
                self._ready.set()
        self._process.wait()
        with self._writing:
            self.is_dead = True
            with contextlib.suppress(OSError):
                self._calls.close()
            for inbox in {id(inbox): inbox for inbox in self._inboxes.values()}.values():
                inbox.put(None)
        self._ready.set()


_line: tuple[int, Line] | None = None
_starting = threading.Lock()


def line() -> Line:
    """Return the line to this process's courier; start one where there is none or it has died."""
    global _line
    with _starting:
        if _line is None or _line[0] != os.getpid() or _line[1].is_dead:
            _line = os.getpid(), Line()
        return _line[1]


def close() -> None:
    """Let this process's courier leave; the next exchange starts another."""
    global _line
    with _starting:
        if _line and _line[0] == os.getpid():
            _line[1].close()
        _line = None


atexit.register(close)
