"""The world's time, as told by the running loop and as told to a client."""

from __future__ import annotations

import asyncio
from email.utils import formatdate

from sumeasync.simulator.world import World

__all__ = ["DateHeader", "LoopClock"]


class LoopClock:
    """The running loop's time, from its first use on, at some speed, starting at the world's time."""

    def __init__(self, world: World, speed: float = 1.0) -> None:
        self.world = world
        self.speed = speed
        self.offset: float | None = None

    def __call__(self) -> float:
        """Return the world's time in seconds."""
        now = asyncio.get_running_loop().time() * self.speed
        if self.offset is None:
            self.offset = self.world.now - now
        return now + self.offset


class DateHeader:
    """The world's time as a Date header, formatted once a second."""

    def __init__(self, epoch: float) -> None:
        self.epoch = epoch
        self.second = -1
        self.text = ""

    def at(self, now: float) -> str:
        """Return the header's value."""
        second = int(self.epoch + now)
        if second != self.second:
            self.second, self.text = second, formatdate(second, usegmt=True)
        return self.text
