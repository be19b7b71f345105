"""Which job to ask about next, when more are worth asking than there are requests: the one whose question tells most.

Every job waits under the time at which asking about it will be worth a request (`core/polling/pacing.py`); while
requests are plenty, that is when it is asked. When they are not, jobs are overdue, and what a question is worth grows
as long as it is not asked: the expected undetected time, by type. Of the overdue the one of the largest worth goes
(polling under a rate limit is an index policy; Whittle 1988), so the budget is spent where it tells most, and none
starves. The largest of some picked by chance is nearly the largest of all, and costs the same however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from sumeasync.core.job import Job
from sumeasync.core.polling.pacing import Pacer
from sumeasync.core.queue import DelayQueue

__all__ = ["Fleet"]

LATE_SECONDS = 0.5
"""Jobs overdue by less go in the order of their times."""

CHOICES = 16
STARVED = 400.0
"""The worth of a poll that comes some twenty times too late."""


class Fleet:
    """The jobs that wait to be polled."""

    def __init__(self, pacer: Pacer, rng: Random) -> None:
        self.pacer = pacer
        self._pressure = 1.0  # what the last poll was worth
        self._rng = rng
        self._early: DelayQueue[Job] = DelayQueue()
        self._late: list[Job] = []  # in no order; a job's ticket is then minus its place, counted from 1

    def __len__(self) -> int:
        return len(self._early) + len(self._late)

    def __iter__(self) -> Iterator[Job]:
        yield from self._early
        yield from list(self._late)

    def __repr__(self) -> str:
        return f"<Fleet of {len(self)}, {len(self._late)} of them late>"

    @property
    def starves(self) -> bool:
        """Whether polls come so late that a job more would only be noticed later."""
        return bool(self._late) and self._pressure >= STARVED

    def push(self, job: Job, due: float) -> None:
        """Have the job polled at `due`, in seconds on the engine's clock, or later when others are worth more."""
        if job.ticket < 0:
            self._leave_late(job)
        self._early.push(job, due)

    def discard(self, job: Job) -> None:
        """Forget a job."""
        if job.ticket < 0:
            self._leave_late(job)
        else:
            self._early.discard(job)

    def sample(self, count: int) -> list[Job]:
        """Up to `count` of the jobs, picked by chance."""
        late = round(count * len(self._late) / max(1, len(self)))
        return self._rng.choices(self._late, k=late) + self._early.sample(self._rng, count - late)

    def next_due(self) -> float | None:
        """When the first job that is not late is due; None when there is none."""
        return self._early.next_due()

    def first(self, now: float) -> Job | None:
        """The job to poll now, if a request is to be had; it goes on waiting until `take`."""
        while (entry := self._early.first(now)) is not None:
            due, _, job = entry
            if job.seen != job.asked and (wait := self.pacer.wait(job, now)) > 0.0:  # a list has shown it since
                self._early.push(job, now + wait)
            elif self._late or now - due >= LATE_SECONDS:
                self._early.discard(job)
                self._late.append(job)
                job.ticket = -len(self._late)
            else:
                return job
        return self._choose(now) if self._late else None

    def take(self, job: Job, now: float) -> None:
        """The job that `first` answered is polled now."""
        if job.ticket < 0:
            self._pressure = self.pacer.worth(job, now) / job.spec.weight
            self._leave_late(job)
        else:
            self._pressure = 1.0
            self._early.discard(job)

    def _choose(self, now: float) -> Job | None:
        while self._late:
            picked = self._rng.choices(self._late, k=CHOICES) if len(self._late) > CHOICES else self._late
            job = max(picked, key=lambda job: self.pacer.worth(job, now))
            if job.seen == job.asked or (wait := self.pacer.wait(job, now)) <= 0.0:
                return job
            self.push(job, now + wait)
        return None

    def _leave_late(self, job: Job) -> None:
        place, last = -job.ticket - 1, self._late.pop()
        if last is not job:
            self._late[place] = last
            last.ticket = job.ticket
        job.ticket = 0
