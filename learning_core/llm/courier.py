"""The process that carries calls to models and stores what they answer.

It belongs to one worker, which writes calls to its standard input and reads what became of them from its
standard output, one JSON object a line. When the worker dies, it finishes what is on its way, stores that,
and leaves. For as long as it lives it holds an advisory lock on its number.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import IO, Any, NamedTuple
from uuid import UUID

import httpx2
import openai
import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from learning_core import db
from learning_core.errors import LearningError, Unavailable
from learning_core.llm import keys, ledger, wire
from learning_core.llm.ledger import Outcome
from learning_core.llm.limiter import Limiter
from learning_core.llm.requests import Model, Request
from learning_core.schema import CallStatus
from learning_core.settings import settings

if sys.platform == "win32":
    from asyncio import run
else:
    from uvloop import run

log = logging.getLogger("afterglow.courier")

CONNECT_S = 10.0
LONGEST_ERROR = 400
LONGEST_PAUSE_S = 60.0
READY_WITHIN_S = 60.0
LOOK_AFTER_LOCK_S = 30.0
LOCK_AGAIN_S = 0.1
STORE_AGAIN_S = 1.0
STORE_FOR_S = 600.0
"""How long answers wait for a database that is gone once the worker is gone too."""


class Call(NamedTuple):
    """One call as the worker hands it over; `turn` is whose turn it takes: the run's, mostly."""

    id: UUID
    organization_id: UUID
    run_id: UUID | None
    turn: str
    attempts: int
    request: Request

    @classmethod
    def read(cls, line: bytes) -> Call:
        told = json.loads(line)
        run_id = UUID(told["run"]) if told["run"] else None
        request, attempts = Request.read(told["request"]), told["attempts"] or settings().model_attempts
        return cls(UUID(told["id"]), UUID(told["organization"]), run_id, told["turn"], attempts, request)


# ---------------------------------------------------------------- one call


class Endpoint:
    """A model at its address: the connections, whose turn it is, and what it is known to refuse."""

    def __init__(self, model: Model, environment: Mapping[str, str]) -> None:
        keys.require_address(model.base_url)
        self._secret = keys.secret(model.key_name, model.base_url, environment) if model.key_name else ""
        self.limiter = Limiter(model.max_concurrency)
        self._refused: frozenset[str] = frozenset()
        self._headers = {"Authorization": f"Bearer {self._secret}" if self._secret else openai.Omit()}
        self._client = openai.AsyncOpenAI(
            base_url=model.base_url,
            api_key=self._secret or "none",
            max_retries=0,
            http_client=httpx2.AsyncClient(
                follow_redirects=False,
                trust_env=not keys.is_local(model.base_url),
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=512),
            ),
        )

    async def answer(self, call: Call) -> Outcome:
        """Send a call, again where that may help, and return what became of it."""
        model, sent = call.request.model, 0
        self.limiter.allow(model.max_concurrency)
        while True:
            sent += 1
            await self.limiter.turn(call.turn, again=sent > 1)
            started = time.monotonic()
            try:
                found = await self._send(call.request)
            except wire.Failure as failure:
                if failure.overload:
                    self.limiter.note_overload(started, failure.closed_for_s)
                if sent >= min(failure.again, call.attempts):
                    return _failed(call, self._masked(str(failure)), sent)
            else:
                self.limiter.note_success()
                latency_ms = (time.monotonic() - started) * 1000
                return _outcome(call, found, sent, latency_ms, self._refused)
            finally:
                self.limiter.leave()
            await asyncio.sleep(_pause_s(sent))

    async def _send(self, request: Request) -> wire.Reading:
        """Send a request once, and again for each part of it that the endpoint objects to.

        Raises:
            wire.Failure: there is no answer.
        """
        body = wire.body(request, self._refused)
        limits = httpx2.Timeout(request.model.timeout_s, connect=min(CONNECT_S, request.model.timeout_s))
        options: Any = {"timeout": limits, "headers": self._headers}
        try:
            async with asyncio.timeout(request.model.timeout_s):
                response = await self._client.post(
                    wire.path(request), cast_to=httpx2.Response, body=body, options=options
                )
            return wire.read(request, response.json())
        except openai.APIStatusError as error:
            if error.status_code == 400 and (part := wire.objection(error.message, body)):
                self._refused |= {part}
                return await self._send(request)
            raise wire.refusal(error.status_code, error.message, error.response.headers) from error
        except (TimeoutError, openai.APITimeoutError) as error:
            if isinstance(error.__cause__, httpx2.ConnectTimeout):
                raise wire.unreachable(request.model.base_url) from error
            raise wire.too_slow(request.model.timeout_s) from error
        except openai.APIConnectionError as error:
            raise wire.unreachable(request.model.base_url) from error
        except ValueError as error:
            raise wire.Failure(str(wire.STRANGE.error)) from error

    def _masked(self, words: str) -> str:
        return words.replace(self._secret, "…") if self._secret else words


def _pause_s(sent: int) -> float:
    doubled: float = settings().model_backoff_s * 2 ** (sent - 1)
    return min(doubled, LONGEST_PAUSE_S) * random.uniform(0.5, 1.5)


def _outcome(
    call: Call, found: wire.Reading, sent: int, latency_ms: float, refused: frozenset[str]
) -> Outcome:
    answer: dict[str, Any] = {"text": found.text, "finish_reason": found.finish_reason}
    if found.embedding is not None:
        answer = {"embedding": found.embedding}
    if refused:
        answer["refused"] = sorted(refused)
    return Outcome(
        id=call.id,
        status=CallStatus.FAILED if found.error else CallStatus.ANSWERED,
        answer=answer | ({"estimated": True} if found.estimated else {}),
        error=found.error,
        prompt_tokens=found.prompt_tokens,
        completion_tokens=found.completion_tokens,
        cost_usd=call.request.model.price(found.prompt_tokens, found.completion_tokens),
        latency_ms=latency_ms,
        attempts=sent,
    )


def _failed(call: Call, words: str, sent: int) -> Outcome:
    return Outcome(call.id, CallStatus.FAILED, error=words[:LONGEST_ERROR], attempts=sent)


# ---------------------------------------------------------------- the courier


class Courier:
    """Takes calls, has them answered, stores what became of them and tells the worker, in this order."""

    def __init__(self, number: int, results: IO[bytes], environment: Mapping[str, str]) -> None:
        self._number = number
        self._served: set[UUID] = set()
        self._results = results
        self._environment = environment
        self._endpoints: dict[tuple[str, str, str | None], Endpoint] = {}
        self._done: asyncio.Queue[tuple[Call, Outcome]] = asyncio.Queue()
        self._deliveries: set[asyncio.Task[None]] = set()
        self._left = asyncio.Event()

    async def work(self, calls: IO[bytes]) -> None:
        """Carry calls until their source ends and the last of them is stored."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._listen, args=(calls, loop), name="calls", daemon=True).start()
        books = asyncio.create_task(self._keep_books())
        await self._left.wait()
        while self._deliveries:
            await asyncio.wait(self._deliveries)
        await self._done.join()
        await asyncio.to_thread(self._release_unsent)
        books.cancel()

    def _release_unsent(self) -> None:
        """Give back what was entered in our name and never handed over: the worker died in between."""
        for organization_id in self._served:
            with contextlib.suppress(Unavailable):
                db.in_transaction(organization_id, partial(ledger.release, courier=self._number))

    def _listen(self, calls: IO[bytes], loop: asyncio.AbstractEventLoop) -> None:
        for line in calls:
            loop.call_soon_threadsafe(self._accept, line)
        loop.call_soon_threadsafe(self._left.set)

    def _accept(self, line: bytes) -> None:
        try:
            call = Call.read(line)
        except ValueError:
            return  # the worker was killed in the middle of a line
        self._served.add(call.organization_id)
        task = asyncio.create_task(self._deliver(call))
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    async def _deliver(self, call: Call) -> None:
        try:
            outcome = await self._endpoint(call.request.model).answer(call)
        except LearningError as error:
            outcome = _failed(call, error.message, 0)
        except Exception as error:  # a bug must not leave the worker waiting
            log.error("%s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
            outcome = _failed(call, f"The call failed in Afterglow itself ({type(error).__name__}).", 0)
        self._done.put_nowait((call, outcome))

    def _endpoint(self, model: Model) -> Endpoint:
        key = (model.base_url, model.model, model.key_name)
        if key not in self._endpoints:
            self._endpoints[key] = Endpoint(model, self._environment)
        return self._endpoints[key]

    async def _keep_books(self) -> None:
        while True:
            batch = [await self._done.get()]
            while not self._done.empty():
                batch.append(self._done.get_nowait())
            await asyncio.to_thread(self._store_and_tell, batch)
            for _ in batch:
                self._done.task_done()

    def _store_and_tell(self, batch: list[tuple[Call, Outcome]]) -> None:
        by_run = defaultdict(list)
        for call, outcome in batch:
            by_run[call.organization_id, call.run_id].append(outcome)
        for (organization_id, run_id), outcomes in by_run.items():
            self._tell(self._store(organization_id, run_id, outcomes))

    def _store(self, organization_id: UUID, run_id: UUID | None, outcomes: list[Outcome]) -> list[Outcome]:
        """Store outcomes, however long that takes, and return them as they were stored."""
        given_up_at = time.monotonic() + STORE_FOR_S
        while True:
            try:
                db.in_transaction(organization_id, partial(ledger.settle, run_id=run_id, outcomes=outcomes))
                return outcomes
            except Unavailable:
                if self._left.is_set() and time.monotonic() > given_up_at:
                    log.error("gave up storing %d answers: no database and no worker", len(outcomes))
                    return outcomes
                time.sleep(STORE_AGAIN_S)
            except SQLAlchemyError as error:
                log.error("%d answers could not be stored: %s", len(outcomes), type(error).__name__)
                if len(outcomes) == 1:
                    outcomes = [_unstorable(outcomes[0])]
                else:
                    alone = (self._store(organization_id, run_id, [outcome]) for outcome in outcomes)
                    return [stored for one in alone for stored in one]

    def _tell(self, outcomes: list[Outcome]) -> None:
        lines = b"".join(json.dumps(outcome.told()).encode() + b"\n" for outcome in outcomes)
        with contextlib.suppress(OSError):  # the worker is gone; its successor finds them in the database
            self._results.write(lines)
            self._results.flush()


def _unstorable(outcome: Outcome) -> Outcome:
    return replace(outcome, status=CallStatus.FAILED, answer=None, error="The answer could not be stored.")


# ---------------------------------------------------------------- the process


def main() -> None:
    """Be the courier of that number until the worker is gone and everything is stored."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="courier: %(message)s")
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.SIG_IGN)  # it leaves when its worker does, and loses nothing
    environment = _environment()
    results = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no result
    _hold(int(sys.argv[1]))
    results.write(b"{}\n")
    results.flush()
    run(Courier(int(sys.argv[1]), results, environment).work(sys.stdin.buffer))


def _environment() -> dict[str, str]:
    """Return the environment and take from it what the client would send to any address by itself."""
    environment = dict(os.environ)
    for name in environment:
        if name.startswith("OPENAI_"):
            del os.environ[name]
    return environment


def _hold(number: int) -> None:
    """Hold the lock on a number from now on, on a connection of its own.

    Raises:
        Unavailable: the database could not be reached for too long.
    """
    held = threading.Event()
    threading.Thread(target=_keep_lock, args=(number, held), name="lock", daemon=True).start()
    if not held.wait(READY_WITHIN_S):
        raise Unavailable


def _keep_lock(number: int, held: threading.Event) -> None:
    while True:
        try:
            with db.autocommit_connection() as connection:
                connection.execute(LOCK, {"number": number})
                held.set()
                while True:
                    _wait_on(connection)
                    connection.execute(STILL_THERE)
        except (Unavailable, psycopg.OperationalError):
            time.sleep(LOCK_AGAIN_S)


def _wait_on(connection: Connection) -> None:
    """Wait a while, or until the connection breaks: then the lock is gone and must be taken again at once."""
    driver: Any = connection.connection.driver_connection
    for _ in driver.notifies(timeout=LOOK_AFTER_LOCK_S):
        pass


LOCK = text("SELECT pg_advisory_lock(:number)")
STILL_THERE = text("SELECT 1")

if __name__ == "__main__":
    main()
