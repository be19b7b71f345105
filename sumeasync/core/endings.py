"""How the end of a job is written down: for the journal, and for whoever waits for it."""

from __future__ import annotations

from typing import Literal

import msgspec

from sumeasync.core.events import Transition
from sumeasync.core.job import NEVER, Job, Product, Step
from sumeasync.core.reconcile import Search
from sumeasync.core.records import Ended, Saved
from sumeasync.models import Failure, Outcome, OutcomeStatus, Timings

__all__ = ["completed", "ended_of", "outcome_of", "overdue", "timed_out", "unknown"]


def ended_of(job: Job, status: OutcomeStatus, now: float, wall: float, error: Failure | None = None) -> Ended:
    """The record of a terminal state noticed at `now`, which is `wall` in epoch seconds; `error` for the server's."""
    view = job.view
    seconds = view.completed_at - view.created_at if view and view.completed_at and view.created_at else None
    problem = error or (view.error if view else None)
    alive_at = wall - (now - job.seen) if job.seen != NEVER else None
    times = (job.created_at, job.started_at, alive_at, seconds)
    return Ended(job.spec.key, job.id or "", status, wall, job.type, problem, *times, job.polls, job.size)


def outcome_of(job: Job, status: OutcomeStatus, error: Failure | None, saved: float | None = None) -> Outcome:
    """The outcome of a job, with what it brought home; `saved` is when its files were whole (epoch seconds)."""
    product = job.carry if isinstance(job.carry, Product) else Product()
    view, own = job.view, job.spec.type or job.type
    timings = Timings(
        created=job.created_at,
        started=job.started_at,
        detected=job.detected_at,
        saved=saved if product.files else None,
        server_created=view.created_at if view else None,
        server_completed=view.completed_at if view else None,
    )
    other = job.type if job.type and job.type != own else None
    found: Literal[True] | msgspec.UnsetType = True if job.found else msgspec.UNSET
    home = (product.result, product.files, error)
    return Outcome(job.spec.key, job.id, own, status, other, *home, timings, job.polls, found)


def completed(job: Job, wall: float) -> Transition:
    """The job is done, and what it brought home with it (its `Product` is carried)."""
    product: Product = job.carry
    records = (Saved(job.spec.key, job.id or "", wall, product.files),) if product.files else ()
    return Transition(records, outcome=outcome_of(job, "completed", product.error, wall))


def overdue(job: Job, *, cancels: bool) -> Transition:
    """The deadline passed: the job is left alone, or (`cancels`) canceled first."""
    if cancels and job.id is not None:
        job.step, job.faults = Step.CANCEL, 0
        return Transition()
    return timed_out(job, "the job still runs at the server" if job.id else "the create could not be sent")


def timed_out(job: Job, what: str) -> Transition:
    """The deadline passed; `what` says how things stand."""
    return Transition(outcome=outcome_of(job, "timed_out", Failure("deadline", f"the deadline passed; {what}")))


def unknown(job: Job) -> Transition:
    """Nothing tells whether a job was created for the spec: what `carry` holds was the last that was heard."""
    search = job.carry if isinstance(job.carry, Search) else Search(job.carry)
    cause = search.cause if isinstance(search.cause, Failure) else Failure("no_answer", "the answer was lost")
    text = f"the create may have been paid ({cause.message or cause.code}), and the job list does not settle it"
    text = f"{text}: {search.saw}" if search.saw else text
    return Transition(outcome=outcome_of(job, "unknown", Failure("unknown_create", text, cause.request_id)))
