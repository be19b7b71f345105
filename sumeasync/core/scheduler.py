"""Who goes next: the heap of times, the lanes of what is due, the places for open requests, and the budget.

A create whose answer is still open holds its type: until it is settled no other create of that type goes (unless more
are allowed at once). So when an answer is lost, the one new job of that type in the list can only be that create's.

Work that is due waits in its lane, the urgent steps first (results before polls), until the lane has a free place
and the budget a token. Jobs to be polled wait in the `Fleet`, which knows whose poll tells most; only those that are
believed to have ended do not. Creates wait while polls starve: a job more would only be noticed later.
Nothing here waits or runs; `take` answers now, and `wait` says when asking again may help.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Mapping

from sumeasync.core.budget.budget import Budget
from sumeasync.core.job import CREATE, LANES, POLL, SWEEP, Hint, Job, Step
from sumeasync.core.polling.fleet import Fleet
from sumeasync.core.queue import DelayQueue
from sumeasync.core.sweep.sweeps import Sweeps
from sumeasync.models import ASSET_INGEST, Lane

__all__ = ["Scheduler"]

RATION, LEAST_RATION, RATION_SECONDS = 10.0, 0.25, 1.0
"""Polls a job for which no day's allowance is too small, the least one it is taken for, and between two looks at it."""

LANE_STEPS: dict[Lane, tuple[Step, ...]] = {
    lane: tuple(step for step in Step if LANES[step] == lane) for lane in ("read", "create", "media")
}


class Scheduler:
    """Hands out jobs whose step may go.

    `places` bounds the steps under way by lane, and `free` is how many more may be; `creates_per_type` bounds the
    creates of one type without an answer.
    """

    def __init__(
        self,
        budget: Budget,
        fleet: Fleet,
        sweeps: Sweeps,
        places: Mapping[Lane, int],
        *,
        creates_per_type: int = 1,
    ) -> None:
        self.budget = budget
        self.fleet = fleet
        self.sweeps = sweeps
        self._timers: DelayQueue[Job] = DelayQueue()
        self._ready: tuple[deque[Job], ...] = tuple(deque() for _ in LANES)
        self._by_lane = {lane: tuple(self._ready[step] for step in steps) for lane, steps in LANE_STEPS.items()}
        self._reads = self._by_lane["read"]
        self.free = dict(places)
        self._closed: set[Lane] = set()
        self._blocked = dict.fromkeys(places, 0.0)  # no token before
        self._creates: dict[str, deque[Job]] = {}
        self._creates_per_type = creates_per_type
        self._holds: Counter[str] = Counter()
        self._token_due: float | None = None
        self._question_due: float | None = None

    def __repr__(self) -> str:
        return f"<Scheduler {len(self._timers) + len(self.fleet)} waiting, {self.ready} due>"

    def __len__(self) -> int:
        return len(self._timers) + len(self.fleet) + self.ready

    @property
    def ready(self) -> int:
        """How many steps beside polls are due and wait for a place or a token."""
        return sum(map(len, self._ready)) + sum(map(len, self._creates.values()))

    def push(self, job: Job, due: float) -> None:
        """Schedule the job's step at `due`, in seconds on the engine's clock."""
        if job.step is POLL:
            if not job.hint:
                self.fleet.push(job, due)
            else:
                self._ready[POLL].append(job)
        else:
            self._timers.push(job, due)

    def hasten(self, job: Job, hint: Hint) -> None:
        """Ask about a waiting job as soon as possible, because of a `hint` that it has ended."""
        if job.ticket and not job.faults:  # else it is being asked about already, or waits out a fault
            self.fleet.discard(job)
            job.hint = hint
            if hint is Hint.ENDED:  # often to hold a list to its word, and the job may end while it waits
                self._ready[POLL].appendleft(job)
            else:
                self._ready[POLL].append(job)

    def take(self, now: float) -> Job | None:
        """A job whose step may go now, with a place and a token taken for it; None when there is none."""
        while (job := self._timers.pop(now)) is not None:
            self._enqueue(job)
        self._token_due = self._question_due = None
        for lane in LANE_STEPS:
            if self.free[lane] <= 0 or lane in self._closed:
                continue
            if now < self._blocked[lane]:
                self._token_due = min(self._blocked[lane], self._token_due or math.inf)
                continue
            queue = self._first(lane) if lane != "read" or any(self._reads) else None
            question = self._question(now) if lane == "read" and not queue else None
            if not queue and question is None:
                continue
            if (delay := self.budget.reserve(lane, now)) > 0.0:
                self._blocked[lane] = now + delay
                self._token_due = min(now + delay, self._token_due or math.inf)
                continue
            self.free[lane] -= 1
            if question is None:
                return self._pop(queue)
            if question.step is SWEEP:
                return self.sweeps.take()
            self.fleet.take(question, now)
            if not question.faults and self.fleet.pacer.guess_done(question, now):  # a fault may be the result's alone
                question.hint = Hint.COMPLETED
            return question
        return None

    def release(self, lane: Lane) -> None:
        """A step of this lane ended: its place is free again, and its answer may have changed the budget."""
        self.free[lane] += 1
        self._blocked[lane] = 0.0

    def hold(self, type: str) -> None:
        """A create of this type has no answer yet."""
        self._holds[type] += 1

    def settle(self, type: str) -> None:
        """It is known what became of a create of this type, or given up to find out."""
        self._holds[type] -= 1

    def close(self, lane: Lane) -> None:
        """Let nothing more of this lane go; what waits in it stays."""
        self._closed.add(lane)

    def wait(self) -> float | None:
        """When `take`, which just answered None, may answer otherwise by itself; None: only a release or push helps."""
        times = (self._timers.next_due(), self._question_due, self._token_due)
        return min((time for time in times if time is not None), default=None)

    def remove(self, unwanted: Callable[[Job], bool]) -> list[Job]:
        """Take out every waiting job that is unwanted, due or not."""
        queues = (*self._ready, *self._creates.values())
        removed = [job for queue in queues for job in queue if unwanted(job)]
        for queue in queues:
            kept = [job for job in queue if not unwanted(job)]
            queue.clear()
            queue.extend(kept)
        for waiting in (self._timers, self.fleet):
            early = [job for job in waiting if unwanted(job)]
            for job in early:
                waiting.discard(job)
            removed += early
        return removed

    def _enqueue(self, job: Job) -> None:
        if job.step is CREATE:
            self._creates.setdefault(job.type, deque()).append(job)
        else:
            self._ready[job.step].append(job)

    def _question(self, now: float) -> Job | None:
        """The poll or the page of a list that tells most now; None when neither is worth a request."""
        poll, least = self.fleet.first(now), self._least_worth(now)
        if self.sweeps.is_due(now):
            price = least if poll is None else max(least, self.fleet.pacer.worth(poll, now))
            if (page := self.sweeps.first(now, price)) is not None:
                return page
        if poll is None:
            times = (self.fleet.next_due(), self.sweeps.next_due())
            self._question_due = min((time for time in times if time is not None), default=None)
        elif least > 1.0 and self.fleet.pacer.time_left(poll, now) > 0.0 and self.fleet.pacer.worth(poll, now) < least:
            self._question_due = now + RATION_SECONDS
            return None
        return poll

    def _least_worth(self, now: float) -> float:
        """What a question must be worth: 1, and more where a day's allowance has to last.

        One request a job is kept for its result. The rest is spread: with so many polls left for each job as `RATION`
        says it is asked as usual, with fewer after as many times longer gaps (worth grows with the square of time).
        Where not even the results can be paid, jobs are asked when they must be done by now.
        """
        left = self.budget.left("read", now)
        if left == math.inf:
            return 1.0
        jobs = max(1, len(self))
        return max(1.0, RATION / max(LEAST_RATION, left / jobs - 1.0)) ** 2

    def _pop(self, queue: deque[Job] | None) -> Job:
        assert queue  # noqa: S101 - the caller looked
        job = queue.popleft()
        if job.step is CREATE:
            self.hold(job.type)
            self._creates[job.type] = self._creates.pop(job.type)  # the other types first, next time
        return job

    def _first(self, lane: Lane) -> deque[Job] | None:
        if lane == "create":
            if self.fleet.starves:
                return None
            free = (queue for type, queue in self._creates.items() if queue and self._may_create(type))
            return next(free, None)
        for queue in self._by_lane[lane]:
            if queue and not (queue is self._ready[Step.PRESIGN] and self._has_uploads_ahead()):
                return queue
        return None

    def _has_uploads_ahead(self) -> bool:
        """An address to upload to is short-lived, and so is what was uploaded: no more than can go on at once."""
        queue = self._creates.get(ASSET_INGEST)
        return bool(self._ready[Step.UPLOAD]) or (queue is not None and len(queue) >= self._creates_per_type)

    def _may_create(self, type: str) -> bool:
        return self._holds[type] < self._creates_per_type
