"""One batch under way: takes specs in, keeps every job moving, hands outcomes out. One clock, one heap, one wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Self

import anyio

from sumeasync.core.events import Seen, Transition
from sumeasync.core.job import CREATE, LANES, POLL, SWEEP, Hint, Job, Step
from sumeasync.core.report import Report, Tally
from sumeasync.engine.admission import Admission
from sumeasync.engine.alarm import Alarm
from sumeasync.engine.crew import Crew
from sumeasync.engine.intake import Entry, Intake, Specs
from sumeasync.engine.outbox import Outbox
from sumeasync.engine.roster import Roster
from sumeasync.engine.statistics import UNSTARTED, make_report
from sumeasync.engine.sweeping import Sweeping
from sumeasync.engine.telling import log, tell_outcome, tell_step
from sumeasync.errors import AuthError, StorageError, SumeError
from sumeasync.models import Outcome

if TYPE_CHECKING:
    from sumeasync.engine.kit import Kit

__all__ = ["Run"]

TICK_SECONDS = 0.01
"""Steps due within so short a time go out together."""


class Run:
    """An async iterator of outcomes in completion order; made by `Engine.run`.

    Iterating raises what ended the run early, once all outcomes are read: `AuthError` or `CreditsError` (no more
    creates were possible; what ran was finished), `StorageError` (the disk refused; nothing more was created;
    after a `DiskFullError` what ran was finished as far as there was room).
    """

    def __init__(self, kit: Kit, specs: Specs, *, total: int | None = None, manifest_sha256: str | None = None) -> None:
        self.statistics = kit.statistics
        self.total = total
        self._manifest_sha256 = manifest_sha256
        self.stopped: SumeError | None = None
        self.draining = False
        self._told = False
        self._mistake: Exception | None = None  # an error that is none of ours
        self.tally = Tally()
        self._kit = kit
        self._now, self._wall = kit.clock, kit.wall_clock
        self._scheduler, self._lifecycle, self._steps = kit.scheduler, kit.lifecycle, kit.steps
        self._began = self._now()
        self._admission = Admission(kit.journal.history, kit.lifecycle, kit.settings, kit.delivery.failed)
        self._roster = Roster(kit.statistics, kit.claimed)
        self._work_done = False
        self._intake = Intake(specs, self._admit, has_room=self._has_room, is_closed=self._is_closed)
        self._outbox = Outbox(kit.delivery, self._delivered, kit.settings.max_unread)
        self._alarm = Alarm(TICK_SECONDS)
        self._sweeping = Sweeping(kit, self._roster.jobs, self._alarm.ring)
        self._crew = Crew(self._perform, self._take, self._ring_in_time)
        self._ended = asyncio.Event()

    def __repr__(self) -> str:
        state = "ended" if self._ended.is_set() else "draining" if self.draining else "under way"
        return f"<Run {state}, {self._roster.active} in flight, {self.statistics.outcomes} outcomes>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        outcome = await self._outbox.next()
        if outcome is None:
            self._told = True
            raise self._mistake or self._intake.error or self.stopped or StopAsyncIteration
        self._intake.room.ring()
        self._alarm.ring()
        return outcome

    def report(self) -> Report:
        """What the run has come to so far."""
        return make_report(
            self.statistics,
            self.tally,
            seconds=self._now() - self._began,
            earlier=self._kit.delivery.earlier,
            earlier_ok=self._admission.earlier_ok,
            in_flight=self.in_flight,
            lanes=self._scheduler.budget.snapshot(self._now()),
            trust=self._kit.sweeps.trust,
            unanswered=self._roster.unanswered() if self._work_done else (),
            waiting=self._roster.waiting() if self._work_done else 0,
            stopped=self.stopped,
        )

    @property
    def in_flight(self) -> list[tuple[str, str]]:
        """The (key, job id) of every job that runs at the server and has no outcome yet."""
        return self._roster.in_flight

    def drain(self) -> None:
        """Stop early and lose nothing: no new creates, creates under way bring their ids home, the rest is left."""
        if not self.draining and not self._ended.is_set():
            log.info("run.draining", in_flight=len(self._roster.jobs))
            self.draining = True
            self._scheduler.close("create")
            self._alarm.ring()
            self._intake.room.ring()

    async def wait_ended(self) -> None:
        """Return once nothing of this run goes on."""
        await self._ended.wait()

    def untold(self) -> Exception | None:
        """What went wrong here, the disk's refusal or worse, unless iterating raised it already."""
        stopped = self.stopped if isinstance(self.stopped, StorageError) else None
        return None if self._told else self._mistake or stopped

    async def main(self) -> None:
        """Run to the end; the engine starts this as a task. It ends by itself or by `drain`, never by cancellation."""
        try:
            with anyio.CancelScope(shield=True):
                await self._kit.folder.write_run(self._kit.settings, self._manifest_sha256, self._wall())
                async with anyio.create_task_group() as delivering:
                    delivering.start_soon(self._guarded, self._outbox.main)
                    await self._work()
                    self._work_done = True
                    self._outbox.close()
                await self._kit.journal.append()
                await self._kit.folder.write_report(self.report())
        except Exception as error:
            self._fail(error)
        finally:
            self._ended.set()
            self._outbox.end()

    async def _guarded(self, part: Callable[[], Awaitable[None]]) -> None:
        try:
            await part()
        except Exception as error:
            self._fail(error)
        self._alarm.ring()

    async def _work(self) -> None:
        async with anyio.create_task_group() as creates:
            async with anyio.create_task_group() as others:
                self._crew.enter(creates, others)
                others.start_soon(self._guarded, self._intake.main)
                await self._guarded(self._dispatch)
                others.cancel_scope.cancel()
            creates.cancel_scope.deadline = anyio.current_time() + self._kit.settings.grace

    def _is_closed(self) -> bool:
        return self.draining or self.stopped is not None

    def _has_room(self) -> bool:
        return self._roster.active < self._kit.settings.max_in_flight and not self._outbox.crowded

    def _admit(self, entry: Entry) -> None:
        self.statistics.specs += 1
        admitted = self._admission.admit(entry, self._now(), self._wall())
        self._kit.journal.append(*admitted.records)
        if admitted.skipped:
            self.statistics.skipped += 1
        for job, delay in admitted.jobs:
            self._roster.enter(job)
            if job.step is Step.RECONCILE and _holds_type(job):
                self._scheduler.hold(job.type)
            if job.step is Step.RECONCILE or job.doubtful:
                self._roster.creating.add(job.spec.key)
            self._push(job, self._now() + delay)
        for job, outcome in admitted.outcomes:
            self._roster.enter(job)
            self._outbox.put(job, outcome)
        self._alarm.ring()

    async def _dispatch(self) -> None:
        while not self._is_over():
            while (job := self._take()) is not None:
                self._crew.start(job)
            if not self._is_over():
                paused = self.draining or self._outbox.crowded
                await self._alarm.wait(None if paused else self._scheduler.wait())

    def _is_over(self) -> bool:
        done = self._intake.done or self.stopped is not None  # a source may say nothing for ever
        return self.draining or (done and self._roster.active == 0)

    def _take(self) -> Job | None:
        return None if self.draining or self._outbox.crowded else self._scheduler.take(self._now())

    def _push(self, job: Job, due: float) -> None:
        self._scheduler.push(job, due)
        if job.step is not POLL or self._scheduler.free["read"] > 0:  # else who ends a read takes the next
            self._alarm.ring_by(due)

    def _ring_in_time(self) -> None:
        if (due := self._scheduler.wait()) is not None:
            self._alarm.ring_by(due)

    async def _perform(self, job: Job) -> None:
        was, type, held = job.step, job.type, False
        if was in UNSTARTED:
            held = self._begin(job)
        try:
            if was is SWEEP:
                await self._sweeping.perform(job)
                return
            event = await self._steps.perform(job)
            now = self._now()
            transition = self._lifecycle.advance(job, event, now, self._wall())
            if was is POLL:
                self._sweeping.learn(job, event)
                plain = isinstance(event, Seen) or job.hint is Hint.ENDED  # not yet, or asked for too early
                if plain and job.step is was and job.type == type and transition.outcome is None:
                    self._push(job, now + transition.delay)  # most answers, kept cheap
                    return
            if transition.records:
                self._roster.track(job, *(sibling for sibling, _ in transition.siblings))  # told even if the disk fails
                durable = self._kit.journal.append(*transition.records)
                if was in (CREATE, Step.RECONCILE):
                    await durable
            self.statistics.told(event)
            tell_step(job, was, event, transition)
            self._settle(job, held, transition)
            self._apply(job, was, type, transition, now)
        except Exception as error:
            self._fail(error)
        finally:
            self._scheduler.release(LANES[was])
            if held:  # another create of its type may go now, and who ends a read may just take the next
                self._alarm.ring()

    def _begin(self, job: Job) -> bool:
        """A step before the job exists; whether other creates of its type wait for it."""
        if job.step is CREATE:
            self._roster.creating.add(job.spec.key)
        if job.step in (CREATE, Step.PRESIGN) and not job.faults and job.intended_at is None:
            job.born = self._now()  # its deadline does not run while it only waits for its turn
        return _holds_type(job)

    def _settle(self, job: Job, held: bool, transition: Transition) -> None:
        searched = transition.outcome is None and job.step is Step.RECONCILE
        if held and not (searched and _holds_type(job)):
            self._scheduler.settle(job.spec.type)

    def _apply(self, job: Job, was: Step, type: str, transition: Transition, now: float) -> None:
        self.statistics.moved(job, was, type)
        searched = job.step is Step.RECONCILE or job.doubtful
        if was in (CREATE, Step.RECONCILE) and (transition.outcome or not searched):
            self._roster.creating.discard(job.spec.key)
        if transition.stop is not None:
            self._stop(transition.stop, was)
        for sibling, delay in transition.siblings:
            self._roster.enter(sibling)
            self._push(sibling, now + delay)
        if transition.outcome is not None:
            self._outbox.put(job, transition.outcome)
        elif self.stopped and job.step in UNSTARTED and job.step is not Step.RECONCILE:
            self._roster.leave(job)
            self._alarm.ring()
        else:
            self._push(job, now + transition.delay)

    def _stop(self, error: SumeError, was: Step) -> None:
        if self.stopped is None:
            log.error("run.stopped", error=error)
            self.stopped = error
            for job in self._scheduler.remove(lambda job: job.step in UNSTARTED and job.step is not Step.RECONCILE):
                self._roster.leave(job)
            self._alarm.ring()
        self._scheduler.close("create")
        self._intake.room.ring()
        if isinstance(error, AuthError) and was not in UNSTARTED:
            self.drain()

    def _fail(self, error: Exception) -> None:
        """The disk refused, or something unforeseen happened: end in order, then tell the reader."""
        if not isinstance(error, StorageError):
            self._mistake = self._mistake or error
        elif not isinstance(self.stopped, StorageError):
            log.error("storage.failed", error=error, in_flight=len(self._roster.jobs))
            self.stopped = error
        self.drain()

    def _delivered(self, job: Job, outcome: Outcome) -> None:
        self._roster.end(job, outcome)
        self.tally.add(outcome)
        tell_outcome(outcome)
        self._alarm.ring()
        self._intake.room.ring()


def _holds_type(job: Job) -> bool:
    """Whether other creates of the type wait until it is known what became of this one."""
    return job.step is CREATE or (job.step is Step.RECONCILE and job.carry.held)
