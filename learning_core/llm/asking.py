"""One ask on its way: what is stored, what may be sent now, what has come back, what others have sent."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from queue import Empty
from typing import Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from learning_core import db
from learning_core.errors import BudgetSpent, Interrupted, LearningError, ModelFailed
from learning_core.llm import dispatch, ledger
from learning_core.llm.ledger import DoesNotFit, Outcome, Spend, as_answer
from learning_core.llm.requests import Answer, Model, Request
from learning_core.schema import CallStatus

Result = TypeVar("Result")

LOOK_S = 0.1
"""How often an ask looks after calls that somebody else has on their way."""
WISH_S = 0.5
"""How often it looks whether somebody wishes it to stop."""
AHEAD = 2
"""Calls on their way, as a multiple of those that a model takes at a time: the next are there at once."""
MOST_AT_ONCE = 128
"""Calls entered by one statement; where the budget gets tight, fewer."""
MOST_DEATHS = 3


class Asker(Protocol):
    """On whose behalf models are asked."""

    organization_id: UUID
    run_id: UUID | None
    interrupted: Callable[[], bool]
    attempts: int | None


class Asking:
    """Requests by hash, on their way to becoming answers."""

    def __init__(self, asker: Asker, turn: str, wanted: Mapping[str, Request], leaving: Spend) -> None:
        self._asker = asker
        self._turn = turn
        self._wanted = wanted
        self._leaving = leaving
        self._waiting: dict[Model, deque[str]] = defaultdict(deque)
        self._sent: dict[UUID, str] = {}
        self._sent_to: Counter[Model] = Counter()
        self._elsewhere: set[str] = set(wanted)
        self._inbox: dispatch.Inbox = dispatch.Inbox()
        self._looked_at, self._wished_at = -LOOK_S, -WISH_S
        self._deaths = 0
        self._step = MOST_AT_ONCE
        self._end: LearningError | None = None

    def answers(self) -> Iterator[tuple[str, Answer]]:
        """Yield hash and answer of each request, as they come.

        Raises:
            BudgetSpent, Interrupted: once what was sent has come back.
            ModelFailed: couriers died again and again.
        """
        while self._elsewhere or self._sent or any(self._waiting.values()):
            yield from self._look_elsewhere()
            self._look_for_wish()
            self._send()
            yield from self._receive()
        if self._end:
            raise self._end

    # ------------------------------------------------------------ stored, or on somebody's way

    def _look_elsewhere(self) -> Iterator[tuple[str, Answer]]:
        """Yield what has been answered; what nobody has on its way any more waits to be sent."""
        if not self._elsewhere or time.monotonic() < self._looked_at + LOOK_S:
            return
        with self._session() as session:
            found = ledger.look_up(session, sorted(self._elsewhere))
        self._give_up([row for row in found.values() if row.status == CallStatus.RESERVED])
        self._looked_at = time.monotonic()
        for content_hash, request in self._wanted.items():
            if content_hash in self._elsewhere and content_hash not in found:
                self._elsewhere.remove(content_hash)
                self._waiting[request.model].append(content_hash)
        for content_hash, row in found.items():
            if row.status == CallStatus.ANSWERED:
                self._elsewhere.remove(content_hash)
                yield content_hash, as_answer(row, reused=True)

    def _give_up(self, calls: Sequence[Row[Any]]) -> None:
        """Settle those calls that nobody is making: their courier has died, or was never told of them."""
        line = dispatch.line()
        by_run = defaultdict(list)
        for call in calls:
            if call.courier != line.number:
                by_run[call.run_id].append(call.id)
            elif call.is_old and not line.carries(call.id):
                untold = Outcome(call.id, CallStatus.FAILED, error="It was never sent.")
                self._write(partial(ledger.settle, run_id=call.run_id, outcomes=[untold]))
        for run_id, ids in by_run.items():
            self._write(partial(ledger.lose, run_id=run_id, calls=ids))

    # ------------------------------------------------------------ out

    def _send(self) -> None:
        for model, waiting in self._waiting.items():
            room = AHEAD * model.max_concurrency - self._sent_to[model]
            if waiting and room >= min(len(waiting), model.max_concurrency // 2 or 1):
                self._send_some(model, [waiting[i] for i in range(min(room, len(waiting)))])
            if self._end:
                return

    def _send_some(self, model: Model, hashes: list[str]) -> None:
        line = dispatch.line()
        line.wait_until_ready()
        entered, ids = self._reserve(line.number, hashes)
        if not entered:
            self._wait_for_room(self._wanted[hashes[0]])
        for content_hash in entered:
            self._waiting[model].popleft()
            if content_hash not in ids:
                self._elsewhere.add(content_hash)
        self._sent |= {call_id: content_hash for content_hash, call_id in ids.items()}
        self._sent_to[model] += len(ids)
        calls = [self._told(call_id, self._wanted[content_hash]) for content_hash, call_id in ids.items()]
        line.send(calls, self._inbox)

    def _reserve(self, courier: int, hashes: list[str]) -> tuple[list[str], dict[str, UUID]]:
        """Enter as many of the calls as fit, from the first on; return them, and the ids of the new ones."""
        while hashes := hashes[: self._step]:
            wanted = {content_hash: self._wanted[content_hash] for content_hash in hashes}
            reserve = partial(
                ledger.reserve,
                run_id=self._asker.run_id,
                courier=courier,
                wanted=wanted,
                leaving=self._leaving,
            )
            try:
                entered = self._write(reserve)
            except DoesNotFit:
                if len(hashes) == 1:
                    break
                self._step = len(hashes) // 2
            else:
                self._step = max(self._step, 2 * len(hashes))
                return hashes, entered
        return [], {}

    def _wait_for_room(self, request: Request) -> None:
        """End the ask where nothing is on its way any more that could make room for a request."""
        if self._sent or self._asker.run_id is None:
            return
        with self._session() as session:
            found = ledger.room(session, self._asker.run_id)
            on_their_way = ledger.on_their_way(session, self._asker.run_id) if found.reserved_calls else []
        self._give_up(on_their_way)
        words = ledger.shortage(found, ledger.most([request]), self._leaving)
        if words and not found.reserved_calls:
            self._stop(BudgetSpent(words))

    def _told(self, call_id: UUID, request: Request) -> dict[str, Any]:
        return {
            "id": str(call_id),
            "organization": str(self._asker.organization_id),
            "run": str(self._asker.run_id) if self._asker.run_id else None,
            "turn": self._turn,
            "attempts": self._asker.attempts,
            "request": request.told(),
        }

    # ------------------------------------------------------------ back

    def _receive(self) -> Iterator[tuple[str, Answer]]:
        """Wait for what comes back, a moment at most."""
        if not (self._sent or self._elsewhere or any(self._waiting.values())):
            return
        with suppress(Empty):
            came = self._inbox.get(timeout=LOOK_S)
            while True:
                yield from self._take(came)
                came = self._inbox.get_nowait()

    def _take(self, came: Outcome | None) -> Iterator[tuple[str, Answer]]:
        if came is None:
            self._bury_courier()
        elif content_hash := self._sent.pop(came.id, None):
            self._sent_to[self._wanted[content_hash].model] -= 1
            yield content_hash, as_answer(came, reused=False)

    def _bury_courier(self) -> None:
        """Treat what a dead courier had on its way like everything of which nobody knows who makes it."""
        self._deaths += 1
        if self._deaths > MOST_DEATHS:
            raise ModelFailed(f"The process that calls models died {self._deaths} times.")
        if not self._end:
            self._elsewhere |= set(self._sent.values())
            self._looked_at = -LOOK_S
        self._sent.clear()
        self._sent_to.clear()

    # ------------------------------------------------------------ the end

    def _look_for_wish(self) -> None:
        if not self._end and time.monotonic() >= self._wished_at + WISH_S:
            self._wished_at = time.monotonic()
            if self._asker.interrupted():
                self._stop(Interrupted())

    def _stop(self, reason: LearningError) -> None:
        """Send nothing more, and wait for nobody else."""
        self._end = reason
        self._waiting.clear()
        self._elsewhere.clear()

    # ------------------------------------------------------------ the book

    def _session(self) -> AbstractContextManager[Session]:
        return db.organization_session(self._asker.organization_id)

    def _write(self, work: Callable[[Session], Result]) -> Result:
        return db.in_transaction(self._asker.organization_id, work)
