"""The one wait: until a time, or until something happens, whichever is first."""

from __future__ import annotations

import asyncio
import math

__all__ = ["Alarm"]


class Alarm:
    """Wakes the one task that waits on it. A ring while nobody waits is remembered."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._until = -math.inf  # nobody waits

    def ring(self) -> None:
        """Wake the waiting task, or the next one to wait."""
        self._event.set()

    def ring_by(self, due: float) -> None:
        """Wake the task that waits for something later than `due`."""
        if due < self._until:
            self.ring()

    async def wait(self, until: float | None = None) -> None:
        """Return when rung, or at `until` on the loop's clock."""
        self._until = math.inf if until is None else until
        timer = None if until is None else asyncio.get_running_loop().call_at(until, self._event.set)
        try:
            await self._event.wait()
        finally:
            self._until = -math.inf
            self._event.clear()
            if timer is not None:
                timer.cancel()
