"""Sweeps under way: asks for a page of the job list and hands what it tells to the jobs it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sumeasync.core.events import Event, Faulted, Listed, Seen
from sumeasync.core.faults import Verdict, asked_seconds, verdict
from sumeasync.core.job import Hint, Job, Step
from sumeasync.core.polling.policy import retry_delay
from sumeasync.engine.telling import log
from sumeasync.errors import AuthError, RateLimitError, SumeError

if TYPE_CHECKING:
    from sumeasync.engine.kit import Kit

__all__ = ["Sweeping"]


PATIENCE = 5
"""Faults in a row after which another way is tried."""


class Sweeping:
    """Performs pages; `jobs` are the run's by id. `ring` is called when there are jobs to ask about at once."""

    def __init__(self, kit: Kit, jobs: Mapping[str, Job], ring: Callable[[], None]) -> None:
        self._kit = kit
        self._jobs = jobs
        self._ring = ring
        self._told: set[str] = set()

    async def perform(self, page: Job) -> None:
        """Ask for the next page and act on it."""
        kit, sent, wall = self._kit, self._kit.clock(), self._kit.wall_clock()
        event = await kit.steps.sweep(page.carry)
        now = kit.clock()
        if isinstance(event, Listed):
            page.faults = 0
            found = kit.sweeps.read(event, sent, now, self._jobs)
            lag, glimpse, trust = kit.sweeps.lag.open_seconds, kit.lifecycle.glimpse, kit.sweeps.trust
            seen, seen_at = sent - lag, wall - lag
            sure = seen - trust.sure_seconds
            for job, view in found.active:
                if job.asked >= sure or (until := trust.covered_until(job)) >= seen:
                    glimpse(job, view, seen, seen_at)
                else:
                    glimpse(job, view, until, seen_at - (seen - until))
                if not job.type:
                    self._name(job, view.type)
            for job in found.completed:
                kit.scheduler.hasten(job, Hint.COMPLETED)
            for job in found.ended:
                kit.scheduler.hasten(job, Hint.ENDED)
            kit.statistics.swept += len(found.active) + len(found.completed) + len(found.ended)
            if found.completed or found.ended:
                self._ring()
        else:
            self._fault(page, event.error, now)
        self._tell()

    def learn(self, job: Job, event: Event) -> None:
        """Hold the answer of a job against what the list told of it; learn the server's words."""
        sweeps = self._kit.sweeps
        if isinstance(event, Seen) and event.view.word not in sweeps.ways.words:
            sweeps.ways.spelled(event.view.word, event.view.status)
        ended = job.status is not None
        if job.id is not None and job.id in sweeps.trust.open and not isinstance(event, Faulted):
            if job.hint is Hint.ENDED:  # its result was asked for, and its status comes next
                return
            sweeps.trust.settle(job.id, ended=ended)
        if ended and job.id is not None:
            sweeps.lag.ended(job.id, self._kit.clock())
            self._tell()

    def _tell(self) -> None:
        """Say once why the list is asked no more, and once why it is left alone for a while."""
        sweeps = self._kit.sweeps
        reason, event, span = sweeps.trust.reason, "sweep.off", "any more"
        if reason is None:
            reason, event, span = sweeps.paused, "sweep.paused", "for a while"
        if reason is not None and event not in self._told:
            self._told.add(event)
            log.warning(event, reason=f"the job list is not used {span}: {reason}; every job is asked about by itself")

    def _name(self, job: Job, type: str) -> None:
        if type:
            job.type = type
            self._kit.statistics.moved(job, Step.POLL, "")

    def _fault(self, page: Job, error: SumeError, now: float) -> None:
        page.faults += 1
        asked = asked_seconds(error)
        if isinstance(error, RateLimitError) and page.faults == 1:  # if it goes on, it is about the list alone
            self._kit.scheduler.budget.pause("read", asked, now)
        refused = verdict(error, Step.SWEEP) is Verdict.REFUSED and not isinstance(error, AuthError)
        delay = max(asked, retry_delay(page.faults, self._kit.rng))
        self._kit.sweeps.failed(now, refused=refused or page.faults >= PATIENCE, seconds=delay)
        log.info("sweep.retry", attempt=page.faults, retry_seconds=round(delay, 3), error=error)
