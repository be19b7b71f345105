"""The one wait: until a time, or until something happens, whichever is first."""

from __future__ import annotations

import asyncio
import math

__all__ = ["Alarm"]


class Alarm:
    """Wakes the one task that waits on it. A ring while nobody waits is remembered.

    Times that lie close together are waited for together: after a time came, it sleeps for at least `tick` seconds
    unless it is rung. What is due then goes out in one turn of the loop, which costs far less than a turn each.
    """

    def __init__(self, tick: float = 0.0) -> None:
        self._event = asyncio.Event()
        self._tick = tick
        self._earliest = -math.inf
        self._until = -math.inf  # nobody waits

    def ring(self) -> None:
        """Wake the waiting task, or the next one to wait."""
        self._until = -math.inf
        self._event.set()

    def ring_by(self, due: float) -> None:
        """Wake the task that waits for something later than `due`."""
        if max(due, self._earliest) < self._until:
            self.ring()

    async def wait(self, until: float | None = None) -> None:
        """Return when rung, or at `until` on the loop's clock."""
        if self._event.is_set():
            self._event.clear()
            return
        loop = asyncio.get_running_loop()
        self._until = math.inf if until is None else max(until, self._earliest)
        timer = None if until is None else loop.call_at(self._until, self._event.set)
        try:
            await self._event.wait()
        finally:
            if self._until > -math.inf:  # not rung
                self._earliest = loop.time() + self._tick
                self._until = -math.inf
            self._event.clear()
            if timer is not None:
                timer.cancel()
