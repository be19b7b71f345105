"""How the end of a job is written down: for the journal, and for whoever waits for it."""

from __future__ import annotations

from sumeasync.core.job import Job, Product
from sumeasync.core.records import Ended
from sumeasync.models import Failure, Outcome, OutcomeStatus, Timings

__all__ = ["ended_of", "outcome_of"]


def ended_of(job: Job, status: OutcomeStatus, wall: float, error: Failure | None = None) -> Ended:
    """The record of a terminal state noticed at `wall` (epoch seconds); `error` in place of the server's."""
    view = job.view
    seconds = view.completed_at - view.created_at if view and view.completed_at and view.created_at else None
    problem = error or (view.error if view else None)
    times = (job.created_at, job.started_at, job.alive_at, seconds)
    return Ended(job.spec.key, job.id or "", status, wall, job.type, problem, *times, job.polls)


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
    return Outcome(job.spec.key, job.id, own, status, other, product.result, product.files, error, timings, job.polls)
