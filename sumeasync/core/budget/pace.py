"""Limiters of a known limit: each says when the next request may go, and none of them waits.

All share one shape: `next_at` (monotonic seconds; a request may go once `now` has reached it) and `take(now)`, which
pays for one request and moves `next_at`. Several limits at once are simply the latest `next_at`.
"""

from __future__ import annotations

import math
from collections import deque

__all__ = ["LATE_SECONDS", "Pace", "Quota", "Tally"]

LATE_SECONDS = 0.02
"""So late a request may go and the next keep its time: at hundreds a second nobody wakes up for each."""


class Pace:
    """An even pace below a known limit, for windows short enough that waiting out a spent one would hurt.

    GCRA as virtual scheduling (ITU-T I.371): 98 % of the limit, and a burst of 1 % of it beyond the first request.
    Together they keep every window, sliding or fixed, within `limit`, and the rest is room for uneven latency: a
    sent pair may arrive closer together by 2 % of the window.
    """

    __slots__ = ("_interval", "_theoretical_at", "_tolerance", "next_at", "rate")

    def __init__(self, limit: float, seconds: float) -> None:
        self.rate = 0.98 * limit / seconds
        self._interval = 1.0 / self.rate
        self._tolerance = int(0.01 * limit) * self._interval
        self._theoretical_at = self.next_at = -math.inf

    def take(self, now: float) -> None:
        """Pay for one request."""
        self._theoretical_at = max(self._theoretical_at, now) + self._interval
        self.next_at = self._theoretical_at - self._tolerance


class Tally:
    """How many events the last `seconds` saw, never too few: counted in slots, and a slot leaves as a whole."""

    __slots__ = ("_count", "_ends_at", "_open", "_seconds", "_slot", "_slots")

    def __init__(self, seconds: float, slots: int) -> None:
        self._seconds = seconds
        self._slot = seconds / slots
        self._slots: deque[tuple[float, int]] = deque()  # (end of the slot, events in it)
        self._count = self._open = 0  # in the slots that ended, and in the present one
        self._ends_at = -math.inf

    def add(self, now: float) -> None:
        """Count one event."""
        if now >= self._ends_at:
            self._turn(now)
        self._open += 1

    def count(self, now: float) -> int:
        """How many events there were."""
        if now >= self._ends_at:
            self._turn(now)
        return self._count + self._open

    def since(self, start: float) -> int:
        """How many there were after `start`, which is no longer ago than is remembered; takes a walk back to it."""
        count = self._open if self._ends_at > start else 0
        for ends_at, events in reversed(self._slots):
            if ends_at <= start:
                break
            count += events
        return count

    @property
    def oldest_leaves_at(self) -> float:
        """When the oldest events will be forgotten."""
        return (self._slots[0][0] if self._slots else self._ends_at) + self._seconds

    def _turn(self, now: float) -> None:
        if self._open:
            self._slots.append((self._ends_at, self._open))
            self._count += self._open
        self._open, self._ends_at = 0, (now // self._slot + 1) * self._slot
        while self._slots and self._slots[0][0] + self._seconds <= now:
            self._count -= self._slots.popleft()[1]


class Quota:
    """At most `limit` requests in any `seconds`, as fast as wanted until it is spent: for a day's allowance."""

    __slots__ = ("_limit", "_tally", "next_at")

    def __init__(self, limit: float, seconds: float) -> None:
        self._limit = limit
        self._tally = Tally(seconds, slots=100)
        self.next_at = -math.inf

    def take(self, now: float) -> None:
        """Pay for one request."""
        self._tally.add(now)
        if self._tally.count(now) + 1 > self._limit:
            self.next_at = self._tally.oldest_leaves_at

    def left(self, now: float) -> int:
        """How many requests may go before the quota is spent."""
        return max(0, int(self._limit - self._tally.count(now)))
