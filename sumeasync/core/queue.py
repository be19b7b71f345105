"""What is due: a heap of (due, seq, item) with lazy deletion and a stable tie-break.

Entries that were rescheduled or discarded stay in the heap until they surface, or until they outnumber the live ones.
An item that was popped is in nobody's queue until it is pushed again, so nothing is ever handed out twice at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from random import Random
from typing import Generic, Protocol, TypeVar

__all__ = ["DelayQueue", "Queueable"]

PRUNE_ABOVE = 1024
"""Stale entries are worth a rebuild only beyond this many."""

TICKETS = count(1)
"""One sequence for every queue: what an item left behind in one must not look alive when it waits in another."""


class Queueable(Protocol):
    """Anything with a `ticket` that belongs to the queue: the seq of its live entry, or 0 when it has none."""

    ticket: int


Item = TypeVar("Item", bound=Queueable)


class DelayQueue(Generic[Item]):
    """Items by the time they are due, in seconds on the caller's clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Item]] = []
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def __iter__(self) -> Iterator[Item]:
        """Every item that waits, in no order."""
        return (item for _, seq, item in list(self._heap) if item.ticket == seq)

    def __repr__(self) -> str:
        return f"<DelayQueue {self._live} waiting, {len(self._heap) - self._live} stale>"

    def push(self, item: Item, due: float) -> None:
        """Schedule `item`, or reschedule it when it waits already."""
        if item.ticket == 0:
            self._live += 1
        item.ticket = next(TICKETS)
        heappush(self._heap, (due, item.ticket, item))
        if len(self._heap) - self._live > max(PRUNE_ABOVE, self._live):
            self._prune()

    def sample(self, rng: Random, count: int) -> list[Item]:
        """Up to `count` of the waiting items, by chance; the same one may come twice."""
        if not self._live:
            return []
        if len(self._heap) > 2 * self._live:
            self._prune()
        picked = (self._heap[int(rng.random() * len(self._heap))] for _ in range(count))
        return [item for _, seq, item in picked if item.ticket == seq]

    def discard(self, item: Item) -> None:
        """Forget `item` if it waits."""
        if item.ticket:
            item.ticket = 0
            self._live -= 1

    def pop(self, now: float) -> Item | None:
        """Take the item that has been due longest; None when nothing is due at `now`."""
        if self.first(now) is None:
            return None
        item = heappop(self._heap)[2]
        item.ticket = 0
        self._live -= 1
        return item

    def first(self, now: float) -> tuple[float, int, Item] | None:
        """When the item was due that has been due longest, its ticket, and itself; it stays. None: nothing is due."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            entry = heap[0]
            if entry[2].ticket == entry[1]:
                return entry
            heappop(heap)
        return None

    def next_due(self) -> float | None:
        """When the next item is due; None when nothing waits."""
        heap = self._heap
        while heap and heap[0][2].ticket != heap[0][1]:
            heappop(heap)
        return heap[0][0] if heap else None

    def _prune(self) -> None:
        self._heap = [entry for entry in self._heap if entry[2].ticket == entry[1]]
        heapify(self._heap)
