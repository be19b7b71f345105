"""Credits of the workspace: reserved at acceptance, captured on success, given back on anything else."""

from __future__ import annotations

import heapq

import msgspec

from sumeasync.errors import CreditsError
from sumeasync.simulator.jobs import Job

__all__ = ["Balance", "Credits"]


class Balance(msgspec.Struct, frozen=True):
    """Where the credits are; the three add up to the total the world began with."""

    remaining: int
    reserved: int
    captured: int


class Credits:
    """The balance, settled lazily: jobs that ended are accounted for when somebody looks."""

    def __init__(self, total: int) -> None:
        self.remaining = total
        self.reserved = 0
        self.captured = 0
        self.pending: list[tuple[float, int, Job]] = []  # (ends at, tie-break, job)

    def settle(self, now: float) -> Balance:
        """Account for every job that ended by `now`."""
        while self.pending and self.pending[0][0] <= now:
            job = heapq.heappop(self.pending)[2]
            self.reserved -= job.credits
            if job.fate == "completed":
                self.captured += job.credits
            else:
                self.remaining += job.credits
        return Balance(self.remaining, self.reserved, self.captured)

    def require(self, amount: int, now: float) -> None:
        """Raise `CreditsError` (402) unless `amount` can be reserved at `now`."""
        if self.settle(now).remaining < amount:
            raise CreditsError("the balance does not suffice", status=402, code="insufficient_credits")

    def reserve(self, job: Job) -> None:
        """Set the job's credits aside until it ends."""
        self.remaining -= job.credits
        self.reserved += job.credits
        heapq.heappush(self.pending, (job.ended_at, job.seq, job))
