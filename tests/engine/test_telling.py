"""What the log says of a run."""

from __future__ import annotations

import logging

import pytest

from sumeasync.core.events import Accepted, Faulted, Transition
from sumeasync.core.job import Job, Step
from sumeasync.engine.telling import tell_outcome, tell_step
from sumeasync.errors import ServerError
from sumeasync.models import Failure, Outcome, Spec

SPEC = Spec("k", "image_generation")
DOWN = ServerError("down", status=503, code="internal_error", request_id="req_1")


def said(caplog: pytest.LogCaptureFixture) -> str:
    """Everything that was logged."""
    return "\n".join(record.getMessage() for record in caplog.records)


def test_retry(caplog: pytest.LogCaptureFixture) -> None:
    """A fault that comes back is told with the time until then; the last one as a failure."""
    caplog.set_level(logging.INFO)
    tell_step(Job(SPEC, Step.POLL, "job_1"), Step.POLL, Faulted(DOWN), Transition(delay=1.5))
    assert "poll.retry" in said(caplog)
    assert "1.5" in said(caplog)
    tell_step(Job(SPEC, Step.CREATE), Step.CREATE, Faulted(DOWN), Transition(stop=DOWN))
    assert "create.failed" in said(caplog)


def test_created(caplog: pytest.LogCaptureFixture) -> None:
    """Every job of a create is told by its id."""
    caplog.set_level(logging.INFO)
    tell_step(Job(SPEC, Step.POLL, "job_1"), Step.CREATE, Accepted(("job_1", "job_2")), Transition())
    assert said(caplog).count("job.created") == 2
    assert "job_2" in said(caplog)


def test_outcome(caplog: pytest.LogCaptureFixture) -> None:
    """An outcome is told by its status, with the reason where there is one."""
    caplog.set_level(logging.INFO)
    tell_outcome(Outcome("k", "job_1", "image_generation", "failed", error=Failure("nsfw", "no", "req_1")))
    for word in ("job.failed", "job_1", "nsfw", "req_1"):
        assert word in said(caplog)


def test_a_lost_answer_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A create that may have been paid is told once, with its reason; what looks for it is told as usual."""
    caplog.set_level(logging.WARNING)
    tell_step(Job(SPEC, Step.RECONCILE), Step.CREATE, Faulted(DOWN), Transition(delay=5))
    tell_step(Job(SPEC, Step.RECONCILE), Step.RECONCILE, Faulted(DOWN), Transition(delay=5))
    assert said(caplog).count("create.unanswered") == 1
    assert "ServerError: down" in said(caplog)
