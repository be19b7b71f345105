"""One time limit for all that goes on at once, with one timer between them."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TypeAlias

__all__ = ["TimeLimit"]

Task: TypeAlias = asyncio.Task[object]


class TimeLimit:
    """A context manager, entered by many tasks at once: a block that takes longer than `seconds` is cancelled.

    As `asyncio.timeout`, it raises `TimeoutError` then, and lets a cancellation from outside through. But because
    the limit is the same for all, blocks run out in the order they were entered: one timer, set for the oldest, does
    for all of them, where a timer set and taken back for each costs as much as writing the request. A task is in one
    block at a time.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._inside: dict[Task, tuple[float, int]] = {}  # the deadline, cancellations before
        self._late: set[Task] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        task: Task = asyncio.current_task(self._loop)  # type: ignore[assignment]  # used in coroutines only
        deadline = self._loop.time() + self._seconds
        self._inside[task] = deadline, task.cancelling()
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._ring)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task: Task = asyncio.current_task(self._loop)  # type: ignore[assignment]  # as it entered
        _, before = self._inside.pop(task)
        if task in self._late:
            self._late.discard(task)
            if task.uncancel() <= before and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def close(self) -> None:
        """Take the timer back; nobody may be inside."""
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        now, self._timer = self._loop.time(), None
        for task, (deadline, _) in self._inside.items():
            if deadline > now:
                self._timer = self._loop.call_at(deadline, self._ring)
                break
            if task not in self._late:
                self._late.add(task)
                task.cancel()
