"""What the log says of a run: one event for each thing that happened, named by it."""

from __future__ import annotations

from sumeasync.core.events import Accepted, Event, Faulted, Transition
from sumeasync.core.job import NAMES, Job, Step
from sumeasync.logs import get_logger
from sumeasync.models import Outcome

__all__ = ["log", "tell_outcome", "tell_step"]

log = get_logger()

PATIENCE = 5
"""Faults in a row of one step that are nothing to worry about."""


def tell_step(job: Job, was: Step, event: Event, transition: Transition) -> None:
    """Log what a step came to."""
    key, name = job.spec.key, NAMES[was]
    if isinstance(event, Faulted):
        last = transition.outcome is not None or transition.stop is not None
        if was is Step.CREATE and job.step is Step.RECONCILE:
            log.warning("create.unanswered", key=key, type=job.spec.type, error=event.error)
            return
        say = log.warning if job.faults >= PATIENCE else log.info
        say(
            f"{name}.failed" if last else f"{name}.retry",
            key=key,
            job_id=job.id,
            attempt=job.faults,
            retry_seconds=None if last else round(transition.delay, 3),
            error=event.error,
        )
    elif isinstance(event, Accepted):
        for job_id in event.job_ids:
            if event.adopted:  # a match, not an answer: worth a look if others use the same key
                log.warning("job.adopted", key=key, job_id=job_id, type=job.spec.type)
            else:
                log.info("job.created", key=key, job_id=job_id, type=job.spec.type)
    else:
        log.debug(f"{name}.done", key=key, job_id=job.id, type=job.type, polls=job.polls)


def tell_outcome(outcome: Outcome) -> None:
    """Log how a job ended."""
    error = outcome.error
    log.info(
        f"job.{outcome.status}",
        key=outcome.key,
        job_id=outcome.job_id,
        type=outcome.type,
        polls=outcome.polls,
        files=len(outcome.files),
        **({"code": error.code, "error": error.message, "request_id": error.request_id} if error else {}),
    )
