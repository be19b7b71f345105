"""Who goes next: the heap of times, the lanes of what is due, the places for open requests, and the budget.

Work that is due waits in its lane, the urgent steps first (results before polls), until the lane has a free place
and the budget a token. Nothing here waits or runs; `take` answers now, and `wait` says when asking again may help.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from sumeasync.core.budget import Budget
from sumeasync.core.job import LANES, Job, Step
from sumeasync.core.queue import DelayQueue
from sumeasync.models import Lane

__all__ = ["Scheduler"]

LANE_STEPS: dict[Lane, tuple[Step, ...]] = {
    lane: tuple(step for step in Step if LANES.get(step) == lane) for lane in ("read", "create", "media")
}


class Scheduler:
    """Hands out jobs whose step may go. `places` bounds the steps under way by lane."""

    def __init__(self, budget: Budget, places: Mapping[Lane, int]) -> None:
        self.budget = budget
        self._timers: DelayQueue[Job] = DelayQueue()
        self._ready: dict[Step, deque[Job]] = {step: deque() for step in LANES}
        self._free = dict(places)
        self._closed: set[Lane] = set()
        self._token_due: float | None = None

    def __repr__(self) -> str:
        return f"<Scheduler {len(self._timers)} waiting, {self.ready} due>"

    def __len__(self) -> int:
        return len(self._timers) + self.ready

    @property
    def ready(self) -> int:
        """How many jobs are due and wait for a place or a token."""
        return sum(map(len, self._ready.values()))

    def push(self, job: Job, due: float) -> None:
        """Schedule the job's step at `due`, in seconds on the engine's clock."""
        self._timers.push(job, due)

    def take(self, now: float) -> Job | None:
        """A job whose step may go now, with a place and a token taken for it; None when there is none."""
        while (job := self._timers.pop(now)) is not None:
            self._ready[job.step].append(job)
        self._token_due = None
        for lane, steps in LANE_STEPS.items():
            queue = self._first(steps)
            if not (queue and self._open(lane)):
                continue
            if (delay := self.budget.reserve(lane, now)) == 0.0:
                self._free[lane] -= 1
                return queue.popleft()
            self._token_due = min(now + delay, self._token_due or math.inf)
        return None

    def release(self, lane: Lane) -> None:
        """A step of this lane ended: its place is free again."""
        self._free[lane] += 1

    def close(self, lane: Lane) -> None:
        """Let nothing more of this lane go; what waits in it stays."""
        self._closed.add(lane)

    def wait(self) -> float | None:
        """When `take`, which just answered None, may answer otherwise by itself; None: only a release or push helps."""
        due = self._timers.next_due()
        times = [time for time in (due, self._token_due) if time is not None]
        return min(times, default=None)

    def drain(self) -> list[Job]:
        """Take out every job that waits, due or not."""
        jobs = [job for queue in self._ready.values() for job in queue]
        for queue in self._ready.values():
            queue.clear()
        while (job := self._timers.pop(float("inf"))) is not None:
            jobs.append(job)
        return jobs

    def _open(self, lane: Lane) -> bool:
        return self._free[lane] > 0 and lane not in self._closed

    def _first(self, steps: tuple[Step, ...]) -> deque[Job] | None:
        return next((self._ready[step] for step in steps if self._ready[step]), None)
