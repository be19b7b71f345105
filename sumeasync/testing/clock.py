"""Virtual time: an event loop whose clock jumps to the next timer instead of waiting for it.

Whole integer nanoseconds, so that ten steps of 0.1 s are exactly one second. The clock moves only when nothing is
ready; when nothing is ready and no timer is set, nothing can ever happen, and `DeadlockError` says which tasks wait
and where.

Use it only without real I/O: the loop cannot know of bytes inside the kernel, nor of threads it did not start
(``anyio.to_thread``, ``anyio.open_file``). ``run_in_executor``, and with it ``asyncio.to_thread`` and aiofiles, is
safe: the call is made at once, in the loop's own thread, so that completions come in one order only.
"""

from __future__ import annotations

import asyncio
import selectors
from asyncio import events
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

__all__ = ["DeadlockError", "VirtualLoop", "run_virtual", "virtual_elapsed"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

NANOSECONDS = 1_000_000_000
EPOCH = 1_000 * NANOSECONDS
"""Where the counter starts; not zero, so that code which takes the loop's time for a duration is found out."""


class DeadlockError(BaseException):
    """Nothing can ever happen: no callback is ready and no timer is set.

    It stops the loop from outside every task, as a KeyboardInterrupt does, hence the base class.
    """


class VirtualSelector(selectors.DefaultSelector):
    """Reports what is really ready, and answers a wish to wait by moving the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.nanoseconds = EPOCH

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Poll without waiting; when nothing is ready, let `timeout` seconds pass on the virtual clock."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            raise DeadlockError(describe_deadlock())
        # At least one step: a timer nearer than half a nanosecond must not be asked for for ever.
        self.nanoseconds += max(1, round(timeout * NANOSECONDS))
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop in virtual time; give the class itself as a ``loop_factory``."""

    def __init__(self) -> None:
        self.clock = VirtualSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        """The virtual clock in seconds, starting at 1000."""
        return self.clock.nanoseconds / NANOSECONDS

    def elapsed(self) -> float:
        """Virtual seconds since the loop was made, exact to the nanosecond."""
        return (self.clock.nanoseconds - EPOCH) / NANOSECONDS

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Call `func` now, whatever `executor` is; the result is there at the loop's next turn, as from a thread."""
        future: asyncio.Future[T] = self.create_future()
        running = events._get_running_loop()
        events._set_running_loop(None)  # like a worker thread, `func` sees no loop around it
        try:
            self.call_soon(settle, future, future.set_result, func(*args))
        except BaseException as error:
            self.call_soon(settle, future, future.set_exception, error)
        finally:
            events._set_running_loop(running)
        return future


def settle(future: asyncio.Future[T], setter: Callable[[Any], None], value: object) -> None:
    """Hand over the end of an executor call, unless its waiter was cancelled meanwhile."""
    if not future.done():
        setter(value)


def run_virtual(main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` to its end in virtual time, in a loop of its own; raises `DeadlockError` when it can never end."""

    async def call() -> T:
        return await main()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(call())


def virtual_elapsed() -> float:
    """Virtual seconds since the running `VirtualLoop` was made; equal steps give equal numbers."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise RuntimeError("the running event loop is not a VirtualLoop")
    return loop.elapsed()


def describe_deadlock() -> str:
    """Say which tasks of the running loop wait, and where each of them stands."""
    waiting = sorted(f"  {task.get_name()}: {where(task.get_coro())}" for task in asyncio.all_tasks())
    hint = "a thread that the loop did not start is invisible to it and looks the same"
    return "\n".join(["nothing can ever happen: no callback is ready, no timer is set", *waiting, f"({hint})"])


def where(awaited: Any) -> str:
    """Follow a coroutine through what it awaits: ``outer (file:line) > inner (file:line)``."""
    steps: list[str] = []
    while frame := getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None):
        steps.append(f"{awaited.__qualname__} ({frame.f_code.co_filename}:{frame.f_lineno})")
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return " > ".join(steps)
