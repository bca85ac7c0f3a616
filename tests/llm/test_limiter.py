from __future__ import annotations

import asyncio

from learning_core.llm.limiter import Limiter


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Line:
    """Calls that wait for their turns, and the order in which they got them."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self.admitted: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def queue(self, *names: str, again: bool = False) -> None:
        for name in names:
            self._tasks.append(asyncio.create_task(self._wait(name, again)))
        await settle()

    async def _wait(self, name: str, again: bool) -> None:
        await self.limiter.turn(name[0], again=again)
        self.admitted.append(name)

    async def finish(self, count: int) -> None:
        for _ in range(count):
            self.limiter.leave()
            await settle()


def test_no_more_are_sent_at_a_time_than_the_limit():
    async def story():
        line = Line(Limiter(2))
        await line.queue("a1", "a2", "a3")
        assert line.admitted == ["a1", "a2"]
        await line.finish(1)
        assert line.admitted == ["a1", "a2", "a3"]
        await line.finish(2)

    asyncio.run(story())


def test_runs_take_turns_and_a_runs_calls_keep_their_order():
    async def story():
        line = Line(Limiter(1))
        await line.queue("a1", "a2", "a3", "a4", "b1", "b2", "c1")
        await line.finish(7)
        assert line.admitted == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]

    asyncio.run(story())


def test_a_call_that_is_sent_again_goes_before_the_others_of_its_run():
    async def story():
        line = Line(Limiter(1))
        await line.queue("a1", "a2", "a3")
        await line.queue("a0", again=True)
        await line.finish(4)
        assert line.admitted == ["a1", "a0", "a2", "a3"]

    asyncio.run(story())


def test_a_waiting_call_that_is_given_up_takes_no_turn():
    async def story():
        line = Line(Limiter(1))
        await line.queue("a1", "a2", "a3")
        line._tasks[1].cancel()
        await settle()
        await line.finish(1)
        assert line.admitted == ["a1", "a3"]
        await line.finish(1)
        assert line.limiter.busy == 0

    asyncio.run(story())


def test_overload_halves_the_limit_once_a_window():
    clock = Clock()
    limiter = Limiter(16, 1.0, clock)
    limiter.note_overload(started_at=0.0)
    limiter.note_overload(started_at=0.0)
    assert limiter.limit == 8
    clock.now = 0.9
    limiter.note_overload(started_at=0.5)
    assert limiter.limit == 8
    clock.now = 1.0
    limiter.note_overload(started_at=0.5)
    assert limiter.limit == 4


def test_calls_sent_before_the_limit_was_halved_do_not_halve_it_again():
    clock = Clock()
    limiter = Limiter(16, 1.0, clock)
    clock.now = 5.0
    limiter.note_overload(started_at=4.0)
    clock.now = 9.0
    limiter.note_overload(started_at=4.5)
    assert limiter.limit == 8


def test_one_call_at_a_time_always_remains():
    clock = Clock()
    limiter = Limiter(4, 1.0, clock)
    for second in range(10):
        clock.now = float(second)
        limiter.note_overload(started_at=clock.now)
    assert limiter.limit == 1


def test_the_limit_grows_by_one_after_as_many_successes_up_to_the_most():
    limiter = Limiter(4, 1.0, Clock())
    limiter.note_overload(started_at=0.0)
    seen = []
    for _ in range(12):
        limiter.note_success()
        seen.append(limiter.limit)
    assert seen == [2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4]


def test_a_closed_endpoint_is_sent_nothing_until_it_opens():
    async def story():
        clock = Clock()
        line = Line(Limiter(4, 1.0, clock))
        line.limiter.note_overload(started_at=0.0, closed_for_s=30.0)
        await line.queue("a1")
        assert line.admitted == []
        clock.now = 30.0
        await line.queue("a2")
        assert sorted(line.admitted) == ["a1", "a2"]

    asyncio.run(story())


def test_a_closed_endpoint_opens_by_itself():
    async def story():
        limiter = Limiter(1)
        limiter.note_overload(started_at=0.0, closed_for_s=0.02)
        await asyncio.wait_for(limiter.turn("a"), timeout=30)

    asyncio.run(story())


def test_the_most_may_be_changed():
    limiter = Limiter(4)
    limiter.allow(8)
    assert limiter.limit == 8
    limiter.allow(2)
    assert limiter.limit == 2
