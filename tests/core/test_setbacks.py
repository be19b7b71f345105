"""What follows a fault, where the rows of `test_lifecycle.py` leave off: swept jobs, and what ends patience."""

from __future__ import annotations

from random import Random

import pytest

from sumeasync.core.events import Faulted
from sumeasync.core.job import Job, Product, Step
from sumeasync.core.polling.pacing import Pacer
from sumeasync.core.polling.policy import Policy
from sumeasync.core.setbacks import RESULT_TRIES, Setbacks
from sumeasync.errors import (
    AuthError,
    BadResponseError,
    DiskFullError,
    NotFoundError,
    RateLimitError,
    RefusedError,
    ServerError,
    SumeError,
    TransportError,
)
from sumeasync.models import Spec

SPEC = Spec("k", "image_generation")
POLICY = Policy(first_delay=10, interval=5, cap=30, jitter=0, deadline=600)


def setbacks(save_attempts: int = 3) -> Setbacks:
    """What judges faults."""
    return Setbacks(Pacer({"*": POLICY}, Random(7)), Random(7), save_attempts=save_attempts, idempotent=False)


def job(step: Step, *, seen: float = 0.0) -> Job:
    """A job born at 0 that stands before `step`."""
    return Job(SPEC, step, "job_1", seen=seen, asked=0.0, type=SPEC.type, carry=Product())


@pytest.mark.parametrize("step", [Step.POLL, Step.RESULT, Step.SAVE])
def test_the_same_step_comes_back(step: Step) -> None:
    """A passing fault counts, and leads to the same step, later."""
    one = job(step)
    then = setbacks().after(one, Faulted(TransportError()), 50.0, 0.0)
    assert (one.step, one.faults, then.outcome, then.stop, then.records) == (step, 1, None, None, ())
    assert then.delay > 0


@pytest.mark.parametrize("error", [ServerError(status=503, retry_after_seconds=40.0), RateLimitError(status=429)])
def test_waits_grow_and_hints_are_kept(error: SumeError) -> None:
    """Fault after fault the wait may grow, and is never shorter than the server asks for."""
    one, judge = job(Step.POLL), setbacks()
    waits = [judge.after(one, Faulted(error), 50.0, 0.0).delay for _ in range(12)]
    hinted = getattr(error, "retry_after_seconds", None) or 0.0
    assert min(waits) >= hinted
    assert max(waits[6:]) > max(waits[:2]) or hinted


def test_a_deadline_is_met_by_a_swept_job_that_faults() -> None:
    """However lately a list showed it active, a job whose polls fail is given up at its deadline."""
    one = job(Step.POLL, seen=599.0)
    assert setbacks().after(one, Faulted(TransportError()), 599.5, 0.0).delay <= 0.5
    then = setbacks().after(one, Faulted(TransportError()), 600.0, 0.0)
    assert then.outcome is not None
    assert then.outcome.status == "timed_out"


def test_a_swept_job_that_is_not_found() -> None:
    """Not found within a minute of its creation, a job is asked for again, whatever showed it; later it has failed."""
    one = job(Step.POLL, seen=50.0)
    assert setbacks().after(one, Faulted(NotFoundError(status=404)), 55.0, 0.0).outcome is None
    then = setbacks().after(one, Faulted(NotFoundError(status=404)), 61.0, 0.0)
    assert then.outcome is not None
    assert then.outcome.status == "failed"


@pytest.mark.parametrize("step", [Step.POLL, Step.RESULT])
def test_a_key_refused_stops_the_run_and_keeps_the_job(step: Step) -> None:
    """Without a key nothing more can be asked: no outcome, the job is left as it is."""
    error = AuthError(status=401)
    then = setbacks().after(job(step), Faulted(error), 50.0, 0.0)
    assert (then.stop, then.outcome) == (error, None)


@pytest.mark.parametrize(
    ("error", "tries"), [(TransportError(), RESULT_TRIES), (BadResponseError(), RESULT_TRIES // 2), (RefusedError(), 1)]
)
def test_patience_with_a_result_ends(error: SumeError, tries: int) -> None:
    """A result that does not come leaves the job completed, with an error beside it."""
    one, judge = job(Step.RESULT), setbacks()
    outcomes = [judge.after(one, Faulted(error), 50.0, 0.0).outcome for _ in range(tries)]
    assert outcomes[:-1] == [None] * (tries - 1)
    assert outcomes[-1] is not None
    assert (outcomes[-1].status, outcomes[-1].ok) == ("completed", False)


def test_a_full_disk_stops_and_tells() -> None:
    """What could not be kept is told of the job, and no more is created."""
    error = DiskFullError("full")
    then = setbacks().after(job(Step.SAVE), Faulted(error), 50.0, 0.0)
    assert then.stop is error
    assert then.outcome is not None
    assert not then.outcome.final
