"""How many calls one endpoint is sent at a time, and whose turn it is.

The limit follows what the endpoint bears: additive increase, multiplicative decrease (Chiu & Jain 1989), as
in TCP. Knows nothing of what is sent.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable


class Limiter:
    """Turns at one endpoint: runs take turns with each other, the calls of a run keep their order.

    Attributes:
        most: How many calls may be on their way at best.
        limit: How many may be on their way now.
    """

    def __init__(self, most: int, window_s: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.limit = most
        self.busy = 0
        self._window_s = window_s
        self._clock = clock
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()
        self._successes = 0
        self._cut_at = -window_s
        self._closed_until = 0.0

    def allow(self, most: int) -> None:
        """Set how many calls may be on their way at best."""
        if self.limit == self.most or self.limit > most:
            self.limit = most
        self.most = most

    async def turn(self, run: Hashable, *, again: bool = False) -> None:
        """Wait until a call of this run may be sent; one that is sent again goes before the run's others."""
        place = asyncio.get_running_loop().create_future()
        line = self._waiting.setdefault(run, deque())
        (line.appendleft if again else line.append)(place)
        self._admit()
        await place

    def leave(self) -> None:
        """Free the place of a call that is over, however it went."""
        self.busy -= 1
        self._admit()

    def note_success(self) -> None:
        """Count a call that went well; after as many as the limit there is room for one more."""
        self._successes += 1
        if self._successes >= self.limit and self.limit < self.most:
            self.limit += 1
            self._successes = 0

    def note_overload(self, started_at: float, closed_for_s: float = 0.0) -> None:
        """Halve the limit for a call that the endpoint could not bear, and close it for as long as it asks.

        Calls that were sent before the limit was last halved, or within a window of that, count as one.
        """
        now = self._clock()
        self._closed_until = max(self._closed_until, now + closed_for_s)
        if started_at >= self._cut_at and now >= self._cut_at + self._window_s:
            self.limit = max(1, self.limit // 2)
            self._cut_at = now
            self._successes = 0

    def _admit(self) -> None:
        if (left_s := self._closed_until - self._clock()) > 0:
            asyncio.get_running_loop().call_later(left_s, self._admit)
            return
        while self.busy < self.limit and self._waiting:
            run, line = self._waiting.popitem(last=False)
            place = line.popleft()
            if line:
                self._waiting[run] = line
            if not place.done():
                self.busy += 1
                place.set_result(None)
