"""One timer for many: every block is bounded all the same."""

from __future__ import annotations

import asyncio

import pytest

from sumeasync.io.timelimit import TimeLimit
from sumeasync.testing import virtual_elapsed


async def held(limit: TimeLimit, seconds: float, *, after: float = 0.0) -> float:
    """Stay inside for `seconds`; return how long the block was let live."""
    await asyncio.sleep(after)
    began = virtual_elapsed()
    try:
        with limit:
            await asyncio.sleep(seconds)
    except TimeoutError:
        return began - virtual_elapsed()  # negative: it ran out
    return virtual_elapsed() - began


async def test_a_block_that_takes_too_long_runs_out_at_the_limit() -> None:
    """Neither earlier nor later than the limit."""
    assert await held(TimeLimit(2.5), 60.0) == -2.5


async def test_a_block_in_time_is_let_be() -> None:
    """What ends before the limit ends as it would without."""
    limit = TimeLimit(2.5)
    assert [await held(limit, 2.0) for _ in range(3)] == [2.0, 2.0, 2.0]


async def test_every_block_has_the_whole_limit() -> None:
    """Blocks that began at different times run out at different times, and quick ones between them change nothing."""
    limit = TimeLimit(5.0)
    lives = await asyncio.gather(*(held(limit, seconds, after=i * 0.7) for i, seconds in enumerate([60, 1, 60, 2, 60])))
    assert lives == pytest.approx([-5.0, 1.0, -5.0, 2.0, -5.0])


async def test_one_timer_serves_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand quick blocks cost no timers of their own."""
    loop, set_timers = asyncio.get_running_loop(), []
    call_at = loop.call_at
    monkeypatch.setattr(loop, "call_at", lambda *args, **named: set_timers.append(args) or call_at(*args, **named))
    limit = TimeLimit(5.0)
    for _ in range(1000):
        with limit:
            await asyncio.sleep(0)
    limit.close()
    assert len(set_timers) == 1


async def test_a_cancellation_from_outside_stays_one() -> None:
    """Whoever cancels the task finds it cancelled, not timed out."""
    task = asyncio.create_task(held(TimeLimit(5.0), 60.0))
    await asyncio.sleep(1.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_at_the_same_moment_wins() -> None:
    """When the limit runs out and somebody cancels, the task is cancelled."""
    task = asyncio.create_task(held(TimeLimit(5.0), 60.0))
    await asyncio.sleep(0.0)
    asyncio.get_running_loop().call_at(asyncio.get_running_loop().time() + 5.0, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_holds_in_a_task_that_is_being_cancelled() -> None:
    """What a task still does after it was cancelled is bounded too."""

    async def stubborn(limit: TimeLimit) -> float:
        try:
            await asyncio.sleep(60.0)
        except asyncio.CancelledError:
            return await held(limit, 60.0)
        return 0.0

    task = asyncio.create_task(stubborn(TimeLimit(5.0)))
    await asyncio.sleep(1.0)
    task.cancel()
    assert await task == -5.0


async def test_a_task_that_ran_out_may_go_on() -> None:
    """After the limit ran out, the task is not left cancelled."""
    limit = TimeLimit(1.0)
    assert [await held(limit, 60.0), await held(limit, 0.5)] == [-1.0, 0.5]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
