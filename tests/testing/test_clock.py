"""Virtual time."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import aiofiles
import anyio
import pytest

from sumeasync.testing import DeadlockError, VirtualLoop, run_virtual, virtual_elapsed

WEEK_SECONDS = 7 * 24 * 3600


async def test_sleeping_a_week_takes_no_real_time() -> None:
    """A sleep of seven days ends at once, seven days later."""
    began, start = time.perf_counter(), virtual_elapsed()
    await asyncio.sleep(WEEK_SECONDS)
    assert virtual_elapsed() - start == WEEK_SECONDS
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(("step", "total"), [(0.1, 1.0), (0.3, 3.0), (0.7, 7.0), (60.88, 608.8)])
def test_steps_add_up_exactly(step: float, total: float) -> None:
    """Ten sleeps of 0.1 s are one second, not 0.9999999999999999."""

    async def main() -> float:
        for _ in range(10):
            await asyncio.sleep(step)
        return virtual_elapsed()

    assert run_virtual(main) == total


def test_the_clock_does_not_start_at_zero() -> None:
    """A fresh loop's time is far from zero, so a time taken for a duration is found out."""
    loop = VirtualLoop()
    try:
        assert loop.time() == 1000.0
        assert loop.elapsed() == 0.0
    finally:
        loop.close()


async def test_time_stands_still_while_work_is_ready() -> None:
    """The clock moves only when nothing is ready to run."""
    asyncio.get_running_loop().call_later(1, lambda: None)
    start = anyio.current_time()
    for _ in range(100):
        await asyncio.sleep(0)
    assert anyio.current_time() == start


def test_a_task_group_ends_with_its_longest_sleep() -> None:
    """Sleeps in a task group overlap."""

    async def main() -> float:
        async with anyio.create_task_group() as group:
            for seconds in (5, 60, 12):
                group.start_soon(anyio.sleep, seconds)
        return virtual_elapsed()

    assert run_virtual(main) == 60


@pytest.mark.parametrize("seconds", [0.25, 5.1, 86_400.5])
async def test_fail_after_fires_at_the_exact_instant(seconds: float) -> None:
    """A deadline fires at its instant, neither earlier nor later."""
    start = virtual_elapsed()
    with pytest.raises(TimeoutError):
        with anyio.fail_after(seconds):
            await anyio.sleep_forever()
    assert virtual_elapsed() - start == seconds


async def test_a_deadline_between_two_nanoseconds_passes() -> None:
    """A deadline that the counter cannot show exactly fires within a nanosecond or two of it."""
    start = virtual_elapsed()
    with anyio.move_on_after(1 / 3):
        await anyio.sleep_forever()
    assert virtual_elapsed() - start == pytest.approx(1 / 3, abs=2e-9)


async def test_move_on_after_keeps_what_ends_in_time() -> None:
    """A scope is cancelled only when its work lasts longer than its time."""
    with anyio.move_on_after(10) as scope:
        await anyio.sleep(9.999)
    assert not scope.cancelled_caught


def test_a_deadlock_fails_at_once_and_names_the_task() -> None:
    """When nothing can ever happen the loop stops and says who waits, and where."""

    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.create_task(wait_for_ever(), name="stuck-one")

    with pytest.raises(DeadlockError, match=r"(?s)nothing can ever happen.*stuck-one: .*wait_for_ever.*Event\.wait"):
        run_virtual(main)


def test_a_timer_is_not_a_deadlock() -> None:
    """While a timer is set something can still happen: its callback may wake the waiter."""

    async def main() -> float:
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(3600, event.set)
        await event.wait()
        return virtual_elapsed()

    assert run_virtual(main) == 3600


async def test_executor_calls_run_inline_and_in_order() -> None:
    """Executor calls happen when they are asked for, in the loop's thread, and take no virtual time."""
    loop, calls, start = asyncio.get_running_loop(), [], virtual_elapsed()
    futures = [loop.run_in_executor(None, calls.append, n) for n in range(5)]
    assert calls == [0, 1, 2, 3, 4]
    await asyncio.gather(*futures)
    assert await asyncio.to_thread(threading.get_ident) == threading.get_ident()
    assert virtual_elapsed() == start


async def test_an_executor_result_comes_at_the_next_turn() -> None:
    """The result of an executor call is awaited, as with a thread, and others run meanwhile."""
    future = asyncio.get_running_loop().run_in_executor(None, lambda: 7)
    assert not future.done()
    assert await future == 7


async def test_an_executor_call_raises_where_it_is_awaited() -> None:
    """An exception in an executor call reaches whoever awaits it."""
    future = asyncio.get_running_loop().run_in_executor(None, int, "seven")
    with pytest.raises(ValueError, match="seven"):
        await future


async def test_a_cancelled_executor_call_is_left_alone() -> None:
    """Cancelling the future of an executor call is no error; the call has been made."""
    calls: list[int] = []
    future = asyncio.get_running_loop().run_in_executor(None, calls.append, 1)
    future.cancel()
    await asyncio.sleep(0)
    assert future.cancelled()
    assert calls == [1]


async def test_an_executor_call_sees_no_running_loop() -> None:
    """An executor call is as blind to the loop as one in a thread, and the loop is back afterwards."""
    loop = asyncio.get_running_loop()
    with pytest.raises(RuntimeError, match="no running event loop"):
        await loop.run_in_executor(None, asyncio.get_running_loop)
    assert asyncio.get_running_loop() is loop


async def test_aiofiles_work(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Files are written and read in virtual time."""
    path = tmp_path_factory.mktemp("files") / "note"
    async with aiofiles.open(path, "wb") as file:
        await file.write(b"whole")
    async with aiofiles.open(path, "rb") as file:
        assert await file.read() == b"whole"


async def test_callbacks_from_other_threads_are_seen() -> None:
    """What another thread has handed to the loop is run before the clock moves on."""
    loop, start = asyncio.get_running_loop(), anyio.current_time()
    event = asyncio.Event()
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(event.set,))
    thread.start()
    thread.join()
    await asyncio.wait_for(event.wait(), 60)
    assert anyio.current_time() == start


async def test_what_is_really_ready_comes_before_the_next_timer() -> None:
    """A descriptor that is ready is served before the clock moves on."""
    loop, start, event = asyncio.get_running_loop(), anyio.current_time(), asyncio.Event()
    left, right = socket.socketpair()
    with left, right:
        loop.add_reader(right, event.set)
        loop.call_soon(left.send, b"x")
        await asyncio.wait_for(event.wait(), 60)
        loop.remove_reader(right)
    assert anyio.current_time() == start


def test_elapsed_time_needs_a_virtual_loop() -> None:
    """Asking a real loop for virtual time is an error, not a wrong number."""

    async def main() -> float:
        return virtual_elapsed()

    with pytest.raises(RuntimeError, match="not a VirtualLoop"):
        asyncio.run(main())
