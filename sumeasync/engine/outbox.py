"""The way out: outcomes are delivered to disk in the order of completion, then wait to be read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sumeasync.core.job import Job
from sumeasync.engine.alarm import Alarm
from sumeasync.engine.delivery import Delivery
from sumeasync.models import Outcome

__all__ = ["Outbox"]


class Outbox:
    """Takes outcomes in with `put`, out with `next`; `delivered` is called for each once it is on disk.

    It is `crowded` while `max_unread` outcomes or more have not been read yet.
    """

    def __init__(self, delivery: Delivery, delivered: Callable[[Job, Outcome], None], max_unread: int) -> None:
        self.crowded = False
        self._max_unread = max_unread
        self._delivery = delivery
        self._delivered = delivered
        self._finished: deque[tuple[Job, Outcome]] = deque()
        self._unread: deque[Outcome] = deque()
        self._arrival, self._reader = Alarm(), Alarm()
        self._closing = False
        self._ended = False

    def put(self, job: Job, outcome: Outcome) -> None:
        """Hand over the outcome of a job."""
        self._finished.append((job, outcome))
        self._arrival.ring()

    def close(self) -> None:
        """Nothing more will be put: `main` ends once all is delivered."""
        self._closing = True
        self._arrival.ring()

    def end(self) -> None:
        """Nothing more will be delivered: readers get what is there, and then None."""
        self._ended = True
        self._reader.ring()

    async def next(self) -> Outcome | None:
        """The next outcome in completion order; None when there will be none."""
        while not self._unread:
            if self._ended:
                return None
            await self._reader.wait()
        outcome = self._unread.popleft()
        self.crowded = len(self._unread) >= self._max_unread
        return outcome

    async def main(self) -> None:
        """Deliver until closed, all that has come meanwhile in one write. Raises StorageError."""
        while self._finished or not self._closing:
            batch = list(self._finished)
            self._finished.clear()
            if not batch:
                await self._arrival.wait()
                continue
            outcomes = await self._delivery.deliver(batch)
            for (job, _), outcome in zip(batch, outcomes, strict=True):
                self._unread.append(outcome)
                self.crowded = len(self._unread) >= self._max_unread
                self._delivered(job, outcome)
            self._reader.ring()
