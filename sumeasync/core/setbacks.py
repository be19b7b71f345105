"""What follows when a step did not succeed: the row `any · Faulted` of the transition table (`core/lifecycle.py`)."""

from __future__ import annotations

import math
from random import Random

from sumeasync.core.endings import completed, ended_of, outcome_of, overdue, timed_out, unknown
from sumeasync.core.events import Faulted, Transition
from sumeasync.core.faults import Verdict, asked_seconds, failure, verdict
from sumeasync.core.job import Job, Product, Step
from sumeasync.core.keys import may_send_again
from sumeasync.core.polling.pacing import Pacer
from sumeasync.core.polling.policy import retry_delay
from sumeasync.core.reconcile import SETTLE_SECONDS, Search
from sumeasync.core.records import Rejected, Unknown
from sumeasync.errors import (
    AuthError,
    BadResponseError,
    DiskFullError,
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
from sumeasync.models import Failure

__all__ = ["Setbacks", "may_begin_again"]

NOT_FOUND_GRACE_SECONDS = 60.0
RESULT_TRIES = 12
LINK_REFRESHES = 3
MENDABLE = ("connect", "disk_full", "unauthorized", "insufficient_credits", "rate_limit_exceeded", "usage")


def may_begin_again(refusal: Failure) -> bool:
    """Whether a refused create is worth sending later: the cause lay here, in the key, the credits or the way there."""
    return refusal.code.lower() in MENDABLE or refusal.http_status in (401, 402, 403, 429)


class Setbacks:
    """Judges faults step by step; what it answers is a transition like any other."""

    def __init__(
        self, pacer: Pacer, rng: Random, *, save_attempts: int, idempotent: bool, cancels: bool = False
    ) -> None:
        self._pacer = pacer
        self._rng = rng
        self._save_attempts = save_attempts
        self._idempotent = idempotent
        self._cancels = cancels

    def after(self, job: Job, event: Faulted, now: float, wall: float) -> Transition:
        """What follows from a fault of the job's present step."""
        job.faults += 1
        if job.step is Step.POLL:
            return self._poll_fault(job, event.error, now, wall)
        if job.step is Step.RESULT:
            return self._result_fault(job, event.error, now, wall)
        if job.step is Step.SAVE:
            return self._save_fault(job, event, wall)
        if job.step is Step.RECONCILE:
            return self._reconcile_fault(job, event.error, now, wall)
        if job.step is Step.CANCEL:
            return timed_out(job, f"it could not be canceled: {failure(event.error).message}")
        return self._create_fault(job, event.error, now, wall)

    def _retry(self, job: Job, error: SumeError, within: float = math.inf) -> Transition:
        return Transition(delay=max(asked_seconds(error), min(retry_delay(job.faults, self._rng), within)))

    def _create_fault(self, job: Job, error: SumeError, now: float, wall: float) -> Transition:
        if isinstance(error, LinkExpiredError) and job.step is Step.UPLOAD:
            job.step = Step.PRESIGN
        late = self._pacer.time_left(job, now) <= 0
        match verdict(error, job.step):
            case Verdict.RETRY if not (late and job.doubtful):
                again = overdue(job, cancels=False) if late else self._retry(job, error)
                if job.step is Step.CREATE and not job.doubtful:
                    again.records = (Rejected(job.spec.key, wall, failure(error)),)
                return again
            case Verdict.AMBIGUOUS if self._idempotent and not late and may_send_again(job, wall):
                job.doubtful = True
                return self._retry(job, error)
            case Verdict.AMBIGUOUS | Verdict.RETRY:
                return self._lost(job, error, now, wall)
            case Verdict.REFUSED if job.doubtful:  # of this try, perhaps before its key was looked at
                return self._lost(job, error, now, wall)
            case Verdict.STOPPED if job.doubtful:
                return Transition(stop=error)
            case Verdict.STOPPED:  # nothing was started, and it may be once the cause is mended: no outcome yet
                return Transition((Rejected(job.spec.key, wall, failure(error)),), stop=error)
            case _:  # REFUSED
                problem = failure(error)
                refused = Rejected(job.spec.key, wall, problem)
                return Transition((refused,), outcome=outcome_of(job, "rejected", problem))

    def _lost(self, job: Job, error: SumeError, now: float, wall: float) -> Transition:
        """Nobody can know what became of the create: it is looked for, where sending it again cannot tell."""
        job.carry = Search(failure(error), wall)
        records = (Unknown(job.spec.key, wall, failure(error)),)
        if self._idempotent:
            return Transition(records, outcome=unknown(job).outcome)
        job.step, job.faults, job.born = Step.RECONCILE, 0, now
        return Transition(records, max(asked_seconds(error), SETTLE_SECONDS))

    def _reconcile_fault(self, job: Job, error: SumeError, now: float, wall: float) -> Transition:
        search: Search = job.carry
        waited = max(wall - search.lost_at, now - job.born)  # over all runs; whatever the wall clock does, it ends
        search.held = waited < SETTLE_SECONDS
        if isinstance(error, TransportError | RateLimitError | ServerError):  # that says nothing about the job
            if self._pacer.time_left(job, now) > 0:
                return self._retry(job, error)
            search.saw = search.saw or f"the job list could not be read ({failure(error).message})"
            return unknown(job)
        if search.walk is not None:  # the look was not finished
            search.walk, search.saw = None, f"the job list could not be read ({failure(error).message})"
        search.looks += 1
        late = self._pacer.time_left(job, now) <= 0 and not search.held
        if late or search.is_over(waited):
            return unknown(job)
        return Transition(delay=max(asked_seconds(error), search.delay(waited)))

    def _poll_fault(self, job: Job, error: SumeError, now: float, wall: float) -> Transition:
        fresh = job.spec.job_id is None and now - job.born < NOT_FOUND_GRACE_SECONDS
        if verdict(error, Step.POLL) is Verdict.REFUSED and not (isinstance(error, NotFoundError) and fresh):
            if _key_refused(job, error):
                return Transition(delay=retry_delay(job.faults, self._rng), stop=error)
            job.detected_at = wall
            record = self._pacer.learn(ended_of(job, "failed", now, wall, failure(error)))
            return Transition((record,), outcome=outcome_of(job, "failed", failure(error)))
        left = self._pacer.time_left(job, now)
        return overdue(job, cancels=self._cancels) if left <= 0 else self._retry(job, error, within=left)

    def _result_fault(self, job: Job, error: SumeError, now: float, wall: float) -> Transition:
        if _key_refused(job, error):
            return Transition(delay=retry_delay(job.faults, self._rng), stop=error)
        tries = RESULT_TRIES // 2 if isinstance(error, BadResponseError) else RESULT_TRIES
        late = self._pacer.time_left(job, now) <= 0
        if isinstance(error, RateLimitError):  # says nothing of the result: patience lasts as long as the deadline
            tries = 1 if late else job.faults + 1
        if not isinstance(error, RefusedError) and job.faults < tries:
            return self._retry(job, error)
        job.carry.error = _lasting(error)
        return completed(job, wall)

    def _save_fault(self, job: Job, event: Faulted, wall: float) -> Transition:
        product: Product = job.carry
        if len(event.files) > len(product.files):
            job.faults = 1  # it got on: patience begins anew
        product.files, error = event.files, event.error
        if isinstance(error, LinkExpiredError) and job.refreshes < LINK_REFRESHES:
            job.refreshes += 1
            job.step = Step.RESULT
            return Transition(delay=0.0 if job.refreshes == 1 else retry_delay(job.refreshes, self._rng))
        if isinstance(error, DiskFullError):  # what is created now could not be kept either
            product.error = failure(error)
            full = completed(job, wall)
            full.stop = error
            return full
        final = isinstance(error, LinkExpiredError | RefusedError | UsageError)
        if not final and job.faults < self._save_attempts:
            return self._retry(job, error)
        product.error = _lasting(error, "download_failed")
        return completed(job, wall)


def _lasting(error: SumeError, code: str = "") -> Failure:
    """What went wrong after completion: for good, or (`interrupted`) such that a later run may have more luck."""
    passing = isinstance(error, TransportError | ServerError | RateLimitError | NotReadyError)
    if passing and not isinstance(error, LinkExpiredError):
        return Failure("interrupted", str(error))
    return Failure(code, str(error)) if code else failure(error)


def _key_refused(job: Job, error: SumeError) -> bool:
    """Whether no job can be asked about with this key; an id the user gave may just be somebody else's."""
    return isinstance(error, AuthError) and (error.status == 401 or job.spec.job_id is None)
