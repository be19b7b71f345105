"""What pages of the job list are worth: as much as asking the jobs they tell of, for as much as they tell of each.

A page leaves open what came of a job since, where the list is late, and tells nothing of a job that it does not show,
or that is to be asked itself. All jobs are estimated by some of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set

from sumeasync.core.job import NEVER, Job
from sumeasync.core.polling.fleet import Fleet
from sumeasync.core.sweep.lag import Lag
from sumeasync.core.sweep.rounds import IsCold
from sumeasync.core.sweep.trust import Trust

__all__ = ["SAMPLE", "Worth"]

SAMPLE, FEW_JOBS = 32, 4
"""Jobs looked at to estimate what all of them are worth, and what a page is."""

LEAST_SECONDS, LEAST_INTERVALS = 1.0, 0.25
"""Between two rounds, however much they would tell: a second, or a quarter of the shortest interval."""

INTERVALS = 5.0
"""What a policy's cap counts as at least, where it says how often a job is asked itself."""

LEAST_SINCE_SECONDS = 1e-6


class Worth:
    """In units of a request well spent (see `Pacer.worth`).

    `told` are the jobs that the last full round told of, and `read_at` is when it began if it read all the list.
    `least_seconds` is to lie between two rounds; `cap_seconds` and `interval_seconds` are the smallest of the policies.
    """

    def __init__(self, fleet: Fleet, trust: Trust, lag: Lag) -> None:
        self.told: Set[str] = frozenset()
        self.read_at = NEVER
        self.least_seconds, self.cap_seconds, self.interval_seconds = LEAST_SECONDS, math.inf, math.inf
        self._fleet = fleet
        self._trust = trust
        self._lag = lag

    def __repr__(self) -> str:
        return f"<Worth of pages that told of {len(self.told)} jobs>"

    def survey(self, at: float) -> float:
        """What telling of all waiting jobs at that time is worth, by some of them; learns of their policies."""
        sample = self._fleet.sample(SAMPLE)
        policies = [self._fleet.pacer.policy(job.type) for job in sample]
        self.least_seconds = min([LEAST_SECONDS, *(LEAST_INTERVALS * policy.interval for policy in policies)])
        self.cap_seconds = min((policy.cap for policy in policies), default=math.inf)
        self.interval_seconds = min((policy.interval for policy in policies), default=math.inf)
        own = (max(policy.cap, INTERVALS * policy.interval) for policy in policies)
        self._trust.own_seconds = min(own, default=math.inf)
        askable = (job for job in sample if not job.faults)  # of one whose answers fail, a page settles nothing
        return sum(self.of(job, at) for job in askable) * len(self._fleet) / max(1, len(sample))

    def gauge(self, jobs: Mapping[str, Job], now: float, worth: float) -> IsCold:
        """Tells whether a page of these jobs is worth less than that, by a few of them."""

        def is_cold(ids: Sequence[str]) -> bool:
            some = [job for id in ids[:: max(1, len(ids) // FEW_JOBS)] if (job := jobs.get(id)) is not None]
            return sum(self.of(job, now) for job in some) * len(ids) < worth * max(1, len(some))

        return is_cold

    def of(self, job: Job, now: float) -> float:
        """What a page is worth for this job."""
        hidden = job.born < self.read_at and job.id not in self.told
        if hidden or now > self._trust.covered_until(job):  # it is to be asked itself
            return 0.0
        open = self._lag.open_seconds / max(now - job.seen, LEAST_SINCE_SECONDS)
        return self._fleet.pacer.worth(job, now) * max(0.0, 1.0 - open * open)
