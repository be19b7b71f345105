"""The life of a job: which event leads to which next step, record and outcome. THE transition table.

    step        event        next step
    ----        -----        ---------
    PRESIGN     Placed       UPLOAD
    UPLOAD      Uploaded     CREATE
    CREATE      Accepted     POLL, once for every id in the answer
    RECONCILE   Accepted     POLL (found in the job list)  ·  no ids: outcome unknown
    POLL        Seen         POLL while not terminal  ·  RESULT when completed  ·  outcome failed, canceled, expired
    RESULT      Fetched      SAVE when there is something to save  ·  outcome completed
    SAVE        Stored       outcome completed
    any         Faulted      see below

Rule 1: a fault is not an end. A fault brings the same step back, later; what the server asked for is obeyed.
Rule 2: a create is sent twice only when it is certain that the first try started nothing (`Verdict.RETRY`). A refusal
        is final (`REFUSED`); when nobody can know, the spec is looked for (`AMBIGUOUS`), never sent again.
Rule 3: a terminal state is recorded once; the first one wins. What goes wrong later (no result, no media) is an error
        beside `completed`, never another status; one that may pass is not final, so the next run tries again.
Rule 4: a deadline ends the waiting, not the job: the outcome `timed_out` is not final.

Everything here is synchronous and does no I/O: `now` (engine clock) and `wall` (epoch) arrive as arguments, and what
must be done is returned for the caller to do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random

from sumeasync.core.durations import Durations
from sumeasync.core.endings import ended_of, outcome_of
from sumeasync.core.events import Accepted, Event, Faulted, Fetched, Placed, Seen, Stored, Transition
from sumeasync.core.faults import Verdict, failure, verdict
from sumeasync.core.job import Job, Product, Step
from sumeasync.core.pacing import Pacer
from sumeasync.core.polling import Policy, retry_delay
from sumeasync.core.records import Created, Ended, Rejected, Saved, Unknown
from sumeasync.errors import (
    ApiError,
    AuthError,
    BadResponseError,
    LinkExpiredError,
    NotFoundError,
    NotReadyError,
    RateLimitError,
    RefusedError,
    ServerError,
    SumeError,
    TransportError,
    UsageError,
)
from sumeasync.models import ASSET_INGEST, Failure, JobView, OutcomeStatus, Spec

__all__ = ["Lifecycle", "may_begin_again"]

NOT_FOUND_GRACE_SECONDS = 60.0
RECONCILE_AFTER_SECONDS = 5.0
RECONCILE_TRIES = 3
SETTLED_SECONDS = 60.0
RESULT_TRIES = 12
LINK_REFRESHES = 3
MENDABLE = ("connect", "unauthorized", "insufficient_credits", "rate_limit_exceeded", "usage")


def may_begin_again(refusal: Failure) -> bool:
    """Whether a refused create is worth sending later: the cause lay here, in the key, the credits or the way there."""
    return refusal.code.lower() in MENDABLE or refusal.http_status in (401, 402, 403, 429)


class Lifecycle:
    """Applies the table to jobs; holds the policies, what is learned and the source of jitter, and no job."""

    def __init__(
        self,
        policies: Mapping[str, Policy],
        rng: Random,
        *,
        save_attempts: int,
        idempotent: bool,
        durations: Durations | None = None,
    ) -> None:
        self._pacer = Pacer(policies, rng, durations)
        self._rng = rng
        self._save_attempts = save_attempts
        self._idempotent = idempotent

    def begin(self, spec: Spec, now: float) -> tuple[Job, float]:
        """A new job for `spec` and the seconds until its first step."""
        if spec.job_id is not None:
            return self._watch(spec, spec.job_id, now, None, adopted=True)
        step = Step.PRESIGN if spec.type == ASSET_INGEST else Step.CREATE
        return Job(spec, step, born=now, type=spec.type), 0.0

    def advance(self, job: Job, event: Event, now: float, wall: float) -> Transition:
        """Apply one event to `job` and say what follows. Changes nothing but `job` and what is learned."""
        if isinstance(event, Fetched) and event.view.status not in ("completed", None) and not event.links:
            event = Faulted(NotReadyError("the result is not there yet", status=409, code="job_not_completed"))
        if isinstance(event, Faulted):
            return self._faulted(job, event, now, wall)
        job.faults = 0
        match event:
            case Seen(view):
                return self._seen(job, view, now, wall)
            case Accepted(job_ids, adopted):
                return self._accepted(job, job_ids, now, wall, adopted)
            case Fetched():
                return self._fetched(job, event, wall)
            case Stored(files):
                job.carry.files = files
                return self._complete(job, wall)
            case Placed(presigned):
                job.step, job.carry = Step.UPLOAD, presigned
            case _:  # Uploaded
                job.step, job.carry = Step.CREATE, event.object_key
        return Transition()

    def resume(self, spec: Spec, job_id: str, now: float, created_at: float | None) -> tuple[Job, float]:
        """A job that an earlier run created, and the seconds until it is asked about."""
        return self._watch(spec, job_id, now, created_at, adopted=True)

    def _watch(
        self, spec: Spec, job_id: str, now: float, created_at: float | None, *, adopted: bool
    ) -> tuple[Job, float]:
        job = Job(spec, Step.POLL, job_id, born=now, type=spec.type, created_at=created_at)
        left = self._time_left(job, self._pacer.policy(spec.type), now)
        return job, min(self._pacer.first(spec.type, adopted=adopted), left)

    def _accepted(self, job: Job, ids: tuple[str, ...], now: float, wall: float, adopted: bool) -> Transition:
        if not ids:
            return self._unknown(job)
        spec, job.carry = job.spec, None
        jobs = [self._watch(spec, job_id, now, wall, adopted=adopted) for job_id in ids]
        first, delay = jobs[0]
        job.step, job.id, job.born, job.created_at = Step.POLL, first.id, now, wall
        record = Created(spec.key, ids, wall, spec.type, spec.payload_hash, adopted)
        return Transition((record,), delay, siblings=tuple(jobs[1:]))

    def _seen(self, job: Job, view: JobView, now: float, wall: float) -> Transition:
        job.polls += 1
        job.type = view.type or job.type
        if view.status is None or view.status == "queued" or view.status == "running":
            if view.status == "running" and job.running_since is None:
                job.running_since, job.started_at = now, wall
            job.alive_at = wall
            return self._wait(job, now, wall, view.floor_seconds or 0.0)
        job.view, job.detected_at, job.status = view, wall, view.status
        record = self._learn(job, view.status, wall)
        if view.status == "completed":
            job.step, job.carry = Step.RESULT, Product()
            return Transition((record,))
        error = view.error or Failure(view.status, "the server gave no reason")
        return Transition((record,), outcome=outcome_of(job, view.status, error))

    def _wait(self, job: Job, now: float, wall: float, floor: float) -> Transition:
        policy = self._pacer.policy(job.type)
        left = self._time_left(job, policy, now)
        if left <= 0:
            return self._timed_out(job)
        return Transition(delay=min(left, self._pacer.next(job, now, wall, floor=floor)))

    def _time_left(self, job: Job, policy: Policy, now: float) -> float:
        deadline = job.spec.deadline_seconds or policy.deadline
        ends = [] if deadline is None else [job.born + deadline]
        if job.running_since is None and policy.queue_timeout is not None:
            ends.append(job.born + policy.queue_timeout)
        if job.running_since is not None and policy.run_timeout is not None:
            ends.append(job.running_since + policy.run_timeout)
        return min(ends, default=math.inf) - now

    def _timed_out(self, job: Job) -> Transition:
        what = "the job still runs at the server" if job.id else "the create could not be sent"
        return Transition(outcome=outcome_of(job, "timed_out", Failure("deadline", f"the deadline passed; {what}")))

    def _fetched(self, job: Job, event: Fetched, wall: float) -> Transition:
        product: Product = job.carry
        product.result, product.links = event.result, event.links
        job.type = event.view.type or job.type
        if job.view is None or event.view.completed_at is not None:
            job.view = event.view
        if job.spec.download and event.links:
            job.step = Step.SAVE
            return Transition()
        return self._complete(job, wall)

    def _complete(self, job: Job, wall: float) -> Transition:
        product: Product = job.carry
        records = (Saved(job.spec.key, job.id or "", wall, product.files),) if product.files else ()
        return Transition(records, outcome=outcome_of(job, "completed", product.error, wall))

    def _learn(self, job: Job, status: OutcomeStatus, wall: float, error: Failure | None = None) -> Ended:
        ended = ended_of(job, status, wall, error)
        self._pacer.learn(ended)
        return ended

    def _faulted(self, job: Job, event: Faulted, now: float, wall: float) -> Transition:
        job.faults += 1
        if job.step is Step.POLL:
            return self._poll_fault(job, event.error, now, wall)
        if job.step is Step.RESULT:
            return self._result_fault(job, event.error, now, wall)
        if job.step is Step.SAVE:
            return self._save_fault(job, event, wall)
        if job.step is Step.RECONCILE:
            return self._reconcile_fault(job, event.error, now, wall)
        return self._create_fault(job, event.error, now, wall)

    def _retry(self, job: Job, error: SumeError, within: float = math.inf) -> Transition:
        return Transition(delay=max(_asked(error), min(retry_delay(job.faults, self._rng), within)))

    def _create_fault(self, job: Job, error: SumeError, now: float, wall: float) -> Transition:
        if isinstance(error, LinkExpiredError) and job.step is Step.UPLOAD:
            job.step = Step.PRESIGN
        late = self._time_left(job, self._pacer.policy(job.type), now) <= 0
        match verdict(error, job.step):
            case Verdict.RETRY:
                again = self._timed_out(job) if late else self._retry(job, error)
                if job.step is Step.CREATE:
                    again.records = (Rejected(job.spec.key, wall, failure(error)),)
                return again
            case Verdict.AMBIGUOUS if self._idempotent and not late:
                return self._retry(job, error)
            case Verdict.AMBIGUOUS:
                job.step, job.faults, job.carry = Step.RECONCILE, 0, failure(error)
                return Transition(
                    (Unknown(job.spec.key, wall, job.carry),), max(_asked(error), RECONCILE_AFTER_SECONDS)
                )
            case Verdict.STOPPED:  # nothing was started, and it may be once the cause is mended: no outcome yet
                return Transition((Rejected(job.spec.key, wall, failure(error)),), stop=error)
            case _:  # REFUSED
                problem = failure(error)
                refused = Rejected(job.spec.key, wall, problem)
                return Transition((refused,), outcome=outcome_of(job, "rejected", problem))

    def _reconcile_fault(self, job: Job, error: SumeError, now: float, wall: float) -> Transition:
        unread = isinstance(error, TransportError | RateLimitError | ServerError)  # that says nothing about the job
        patient = unread and self._time_left(job, self._pacer.policy(job.type), now) > 0
        settled = job.intended_at is not None and wall - job.intended_at > SETTLED_SECONDS
        tries = 2 if settled else RECONCILE_TRIES  # with the type as a filter, and without
        return self._retry(job, error) if patient or job.faults < tries else self._unknown(job)

    def _unknown(self, job: Job) -> Transition:
        cause = job.carry if isinstance(job.carry, Failure) else Failure("no_answer", "the answer was lost")
        text = f"the create may have been paid ({cause.message or cause.code}), and the job list does not settle it"
        return Transition(outcome=outcome_of(job, "unknown", Failure("unknown_create", text, cause.request_id)))

    def _poll_fault(self, job: Job, error: SumeError, now: float, wall: float) -> Transition:
        fresh = job.spec.job_id is None and now - job.born < NOT_FOUND_GRACE_SECONDS
        if verdict(error, Step.POLL) is Verdict.REFUSED and not (isinstance(error, NotFoundError) and fresh):
            if _key_refused(job, error):
                return Transition(delay=retry_delay(job.faults, self._rng), stop=error)
            job.detected_at = wall
            record = self._learn(job, "failed", wall, failure(error))
            return Transition((record,), outcome=outcome_of(job, "failed", failure(error)))
        left = self._time_left(job, self._pacer.policy(job.type), now)
        return self._timed_out(job) if left <= 0 else self._retry(job, error, within=left)

    def _result_fault(self, job: Job, error: SumeError, now: float, wall: float) -> Transition:
        if _key_refused(job, error):
            return Transition(delay=retry_delay(job.faults, self._rng), stop=error)
        tries = RESULT_TRIES // 2 if isinstance(error, BadResponseError) else RESULT_TRIES
        late = self._time_left(job, self._pacer.policy(job.type), now) <= 0
        if isinstance(error, RateLimitError):  # says nothing of the result: patience lasts as long as the deadline
            tries = 1 if late else job.faults + 1
        if not isinstance(error, RefusedError) and job.faults < tries:
            return self._retry(job, error)
        job.carry.error = _lasting(error)
        return self._complete(job, wall)

    def _save_fault(self, job: Job, event: Faulted, wall: float) -> Transition:
        product: Product = job.carry
        if len(event.files) > len(product.files):
            job.faults = 1  # it got on: patience begins anew
        product.files, error = event.files, event.error
        if isinstance(error, LinkExpiredError) and job.refreshes < LINK_REFRESHES:
            job.refreshes += 1
            job.step = Step.RESULT
            return Transition(delay=0.0 if job.refreshes == 1 else retry_delay(job.refreshes, self._rng))
        final = isinstance(error, LinkExpiredError | RefusedError | UsageError)
        if not final and job.faults < self._save_attempts:
            return self._retry(job, error)
        product.error = _lasting(error, "download_failed")
        return self._complete(job, wall)


def _lasting(error: SumeError, code: str = "") -> Failure:
    """What went wrong after completion: for good, or (`interrupted`) such that a later run may have more luck."""
    passing = isinstance(error, TransportError | ServerError | RateLimitError | NotReadyError)
    if passing and not isinstance(error, LinkExpiredError):
        return Failure("interrupted", str(error))
    return Failure(code, str(error)) if code else failure(error)


def _asked(error: SumeError) -> float:
    return error.retry_after_seconds or 0.0 if isinstance(error, ApiError) else 0.0


def _key_refused(job: Job, error: SumeError) -> bool:
    """Whether no job can be asked about with this key; an id the user gave may just be somebody else's."""
    return isinstance(error, AuthError) and (error.status == 401 or job.spec.job_id is None)
