"""The life of a job: which event leads to which next step, record and outcome. THE transition table.

    step        event        next step
    ----        -----        ---------
    PRESIGN     Placed       UPLOAD
    UPLOAD      Uploaded     CREATE
    CREATE      Accepted     POLL, once for every id in the answer
    RECONCILE   Turned       RECONCILE, the next page of the job list, at once
    RECONCILE   Accepted     POLL (found in the job list)  ·  no ids: outcome unknown
    POLL        Seen         POLL while not terminal  ·  RESULT when completed  ·  outcome failed, canceled, expired
    POLL        Fetched      as Seen completed and then Fetched: the result was asked for first
    RESULT      Fetched      SAVE when there is something to save  ·  outcome completed
    SAVE        Stored       outcome completed
    CANCEL      Canceled     outcome timed_out: how it ended is read by the next run
    any         Faulted      see below, and `core/setbacks.py`

Rule 1: a fault is not an end. A fault brings the same step back, later; what the server asked for is obeyed.
Rule 2: a create is sent twice only when it is certain that the first try started nothing (`Verdict.RETRY`). A refusal
        is final (`REFUSED`); when nobody can know (`AMBIGUOUS`), the spec is looked for, and never sent again but
        under the idempotency key it was sent with. Then no refusal says that nothing was started: it may be the
        request that was refused, before the server looked at its key.
Rule 3: a terminal state is recorded once; the first one wins. What goes wrong later (no result, no media) is an error
        beside `completed`, never another status; one that may pass is not final, so the next run tries again.
Rule 4: a deadline ends the waiting, not the job: the outcome `timed_out` is not final.

Everything here is synchronous and does no I/O: `now` (engine clock) and `wall` (epoch) arrive as arguments, and what
must be done is returned for the caller to do.
"""

from __future__ import annotations

from random import Random

import msgspec

from sumeasync.core.endings import completed, ended_of, outcome_of, overdue, timed_out, unknown
from sumeasync.core.events import (
    Accepted,
    Canceled,
    Event,
    Faulted,
    Fetched,
    Placed,
    Seen,
    Stored,
    Transition,
    Uploaded,
)
from sumeasync.core.job import CREATE, NEVER, POLL, Hint, Job, Product, Step
from sumeasync.core.polling.durations import size_of
from sumeasync.core.polling.pacing import Pacer
from sumeasync.core.records import Created
from sumeasync.core.setbacks import Setbacks
from sumeasync.errors import (
    ApiError,
    AuthError,
    NotReadyError,
    RateLimitError,
    ServerError,
    SumeError,
)
from sumeasync.models import ASSET_INGEST, Failure, JobView, Spec

__all__ = ["Lifecycle"]


class Lifecycle:
    """Applies the table to jobs; holds the pacer and the source of jitter, and no job."""

    def __init__(
        self,
        pacer: Pacer,
        rng: Random,
        *,
        save_attempts: int,
        idempotent: bool,
        cancels: bool = False,
    ) -> None:
        self._pacer = pacer
        self._setbacks = Setbacks(pacer, rng, save_attempts=save_attempts, idempotent=idempotent, cancels=cancels)
        self._cancels = cancels
        self.idempotent = idempotent

    def begin(self, spec: Spec, now: float) -> tuple[Job, float]:
        """A new job for `spec` and the seconds until its first step."""
        if spec.job_id is not None:
            return self._watch(spec, spec.job_id, now, None, adopted=True)
        step = Step.PRESIGN if spec.type == ASSET_INGEST else CREATE
        return Job(spec, step, born=now, type=spec.type), 0.0

    def advance(self, job: Job, event: Event, now: float, wall: float) -> Transition:
        """Apply one event to `job` and say what follows. Changes nothing but `job` and what is learned."""
        hint, job.hint = job.hint, Hint.NONE
        if isinstance(event, Seen):  # most events are
            job.faults = 0
            return self._seen(job, event.view, now, wall)
        if isinstance(event, Fetched) and not _is_result(job, event):
            event = Faulted(NotReadyError("the result is not there yet", status=409, code="job_not_completed"))
        if isinstance(event, Faulted):
            if hint is Hint.COMPLETED and _says_little(event.error):
                job.hint = Hint.ENDED
                return Transition()
            return self._setbacks.after(job, event, now, wall)
        job.faults = 0
        match event:
            case Fetched(view) if job.step is POLL:
                ended = self._seen(job, msgspec.structs.replace(view, status="completed"), now, wall)
                then = self._fetched(job, event, wall)
                then.records = (*ended.records, *then.records)
                return then
            case Accepted(job_ids, adopted):
                return self._accepted(job, job_ids, now, wall, adopted)
            case Fetched():
                return self._fetched(job, event, wall)
            case Stored(files):
                job.carry.files = files
                return completed(job, wall)
            case Canceled():
                return timed_out(job, "it was canceled at the server")
            case _:
                _go_on(job, event)
                return Transition()

    def resume(self, spec: Spec, job_id: str, now: float, wall: float, created_at: float | None) -> tuple[Job, float]:
        """A job that an earlier run created, and the seconds until it is asked about."""
        job, delay = self._watch(spec, job_id, now, created_at, adopted=True)
        if created_at is not None:
            job.aged = max(0.0, wall - created_at)
        return job, delay

    def _watch(
        self, spec: Spec, job_id: str, now: float, created_at: float | None, *, adopted: bool
    ) -> tuple[Job, float]:
        known = NEVER if adopted else now
        job = Job(spec, POLL, job_id, born=now, seen=known, asked=known, type=spec.type, created_at=created_at)
        job.size = size_of(spec.input)
        return job, min(self._pacer.first(job, adopted=adopted), self._pacer.time_left(job, now))

    def glimpse(self, job: Job, view: JobView, now: float, wall: float) -> None:
        """Something showed the job active at `now`, be it only a list.

        It was seen to start if it was last seen waiting, and that rather now than at its creation. Otherwise its age
        tells more of when it will end than the time since it was found running: that would be late by any amount.
        """
        if view.status == "running" and job.running_since is None:
            job.running_since = now
            job.started_at = wall if now - job.seen <= job.seen - job.born else None
        if now > job.seen:
            job.seen = now

    def _accepted(self, job: Job, ids: tuple[str, ...], now: float, wall: float, adopted: bool) -> Transition:
        if not ids:
            return unknown(job)
        spec, job.carry, job.doubtful = job.spec, None, False
        jobs = [self._watch(spec, job_id, now, wall, adopted=adopted) for job_id in ids]
        first, delay = jobs[0]
        for one in (job, *(sibling for sibling, _ in jobs)):
            one.found = adopted
        job.step, job.id, job.born, job.created_at = POLL, first.id, now, wall
        job.seen, job.asked, job.size = first.seen, first.asked, first.size
        record = Created(spec.key, ids, wall, spec.type, spec.payload_hash, adopted)
        return Transition((record,), delay, siblings=tuple(jobs[1:]))

    def _seen(self, job: Job, view: JobView, now: float, wall: float) -> Transition:
        job.polls += 1
        job.type = view.type or job.type
        if view.status is None or view.status == "queued" or view.status == "running":
            self.glimpse(job, view, now, wall)
            job.asked = now
            if (left := self._pacer.time_left(job, now)) <= 0:
                return overdue(job, cancels=self._cancels)
            return Transition(delay=min(left, self._pacer.next(job, floor=view.floor_seconds or 0.0)))
        job.view, job.detected_at, job.status = view, wall, view.status
        record = self._pacer.learn(ended_of(job, view.status, now, wall))
        if view.status == "completed":
            job.step, job.carry = Step.RESULT, Product()
            return Transition((record,))
        error = view.error or Failure(view.status, "the server gave no reason")
        return Transition((record,), outcome=outcome_of(job, view.status, error))

    def _fetched(self, job: Job, event: Fetched, wall: float) -> Transition:
        product: Product = job.carry
        product.result, product.links = event.result, event.links
        job.type = event.view.type or job.type
        if job.view is None or event.view.completed_at is not None:
            job.view = event.view
        if job.spec.download and event.links:
            job.step = Step.SAVE
            return Transition()
        return completed(job, wall)


def _go_on(job: Job, event: Event) -> None:
    """The file of an ingest is a step further; after a page of a search (`Turned`) the same step reads the next."""
    if isinstance(event, Placed):
        job.step, job.carry = Step.UPLOAD, event.presigned
    elif isinstance(event, Uploaded):
        job.step, job.carry = CREATE, event.object_key


def _is_result(job: Job, fetched: Fetched) -> bool:
    """Whether this is more than the job as it stands; where it was not known to be done, its word alone counts."""
    status = fetched.view.status
    if job.step is POLL:
        return status == "completed" and fetched.view.word != ""
    return status in ("completed", None) or bool(fetched.links)


def _says_little(error: SumeError) -> bool:
    """Whether a refusal of the result of a job not known to be done leaves open what it is doing."""
    if isinstance(error, AuthError):
        return error.status != 401  # forbidden may be how this server says "not yet"
    return isinstance(error, ApiError) and not isinstance(error, RateLimitError | ServerError)
