"""What a run has open: jobs at the server, creates without an answer, specs not begun yet."""

from __future__ import annotations

from sumeasync.core.job import Job, Step
from sumeasync.engine.statistics import UNSTARTED, Statistics
from sumeasync.models import Outcome

__all__ = ["Roster"]


class Roster:
    """Keeps `jobs` by id, `creating` (the keys of creates that were sent, without an answer so far) and the counts.

    `active` is how many specs and jobs have no outcome yet; `claimed` collects the ids that belong to some spec.
    """

    def __init__(self, statistics: Statistics, claimed: set[str]) -> None:
        self.jobs: dict[str, Job] = {}
        self.creating: set[str] = set()
        self.active = 0
        self._statistics = statistics
        self._claimed = claimed

    def __repr__(self) -> str:
        return f"<Roster of {len(self.jobs)} jobs, {self.active} active>"

    def enter(self, job: Job) -> None:
        """A job, or a spec that is to become one, is under way."""
        self.active += 1
        counts = self._statistics.of(job.type)
        if job.step in UNSTARTED:
            counts.queued += 1
        else:
            counts.running += 1
        self._statistics.unanswered += job.step is Step.RECONCILE
        self.track(job)

    def track(self, *jobs: Job) -> None:
        """These have an id now."""
        for job in jobs:
            if job.id is not None:
                self.jobs[job.id] = job
                self._claimed.add(job.id)

    def leave(self, job: Job) -> None:
        """The spec is not started in this run; a later one begins it anew, or asks again whether it was."""
        self.active -= 1
        if not job.doubtful:
            self._statistics.not_started += 1
            self._statistics.of(job.type).queued -= 1

    def end(self, job: Job, outcome: Outcome) -> None:
        """The outcome is delivered; a job whose end is not known stays listed."""
        self.active -= 1
        if outcome.final:
            self.jobs.pop(outcome.job_id or "", None)
        self._statistics.ended(job, outcome)

    @property
    def in_flight(self) -> list[tuple[str, str]]:
        """The (key, job id) of every job that runs at the server and has no outcome yet."""
        return [(job.spec.key, job_id) for job_id, job in self.jobs.items()]

    def unanswered(self) -> list[str]:
        """The keys of the creates that may have been paid, and of which no job is known."""
        return sorted(self.creating - {job.spec.key for job in self.jobs.values()})

    def waiting(self) -> int:
        """The specs taken in that were not begun."""
        return sum(count.queued for count in self._statistics.types.values()) - len(self.creating)
