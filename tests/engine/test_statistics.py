"""Counters of a run, and the report they make."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sumeasync.core.budget.budget import Budget, Rate
from sumeasync.core.events import Faulted
from sumeasync.core.job import Job, Step
from sumeasync.core.report import Report, Tally
from sumeasync.core.sweep.lag import Lag
from sumeasync.core.sweep.trust import Trust
from sumeasync.engine.statistics import MOST_TYPES, Statistics, make_report
from sumeasync.errors import RateLimitError, TransportError
from sumeasync.models import Media, Outcome, Spec

SPEC = Spec("k", "image_generation")
DONE = Outcome("k", "job_1", "image_generation", "completed", files=(Media("a.png", 7, "00", "image/png"),))


def test_one_job_from_queue_to_end() -> None:
    """A job is queued until its create is answered, runs until its outcome, and then is done."""
    counts, job = Statistics(), Job(SPEC, Step.CREATE, type=SPEC.type)
    counts.of(job.type).queued += 1
    job.step = Step.POLL
    counts.moved(job, Step.CREATE, job.type)
    assert (counts.of(job.type).queued, counts.of(job.type).running) == (0, 1)
    counts.ended(job, DONE)
    assert (counts.of(job.type).running, counts.of(job.type).done, counts.media_bytes) == (0, 1, 7)


def test_adopted_job_gets_its_type() -> None:
    """A job counts as adopted until the server names its type."""
    counts, job = Statistics(), Job(Spec("k", job_id="job_1"), Step.POLL, "job_1")
    counts.of("").running += 1
    job.type = "face_swap"
    counts.moved(job, Step.POLL, "")
    assert (counts.types["adopted"].running, counts.types["face_swap"].running) == (0, 1)


def test_creates_without_an_answer() -> None:
    """A create whose answer was lost counts until its job is found."""
    counts, job = Statistics(), Job(Spec("k", "face_swap"), Step.RECONCILE, type="face_swap")
    was = Step.CREATE
    for step, count in ((Step.RECONCILE, 1), (Step.RECONCILE, 1), (Step.POLL, 0)):
        job.step = step
        counts.moved(job, was, job.type)
        assert counts.unanswered == count
        was = step


def test_found_jobs_are_counted() -> None:
    """Outcomes of jobs that were found in the job list are counted in the report."""
    found = msgspec.structs.replace(DONE, found=True)
    assert report_of(DONE, found).found == 1


def test_faults() -> None:
    """Faults are counted, refusals for the rate among them."""
    counts = Statistics()
    counts.told(Faulted(TransportError()))
    counts.told(Faulted(RateLimitError("slow", status=429)))
    assert (counts.faults, counts.rate_limited) == (2, 1)


def report_of(*outcomes: Outcome, **options: Any) -> Report:
    """A report of these outcomes."""
    tally = Tally()
    for outcome in outcomes:
        tally.add(outcome)
    given = {"seconds": 60.0, "earlier": {}, "in_flight": (), "stopped": None} | options
    usual = {"counts": Statistics(), "lanes": Budget().snapshot(0.0), "trust": Trust(Lag())}
    return make_report(tally=tally, **usual | given)


def test_report_names_what_is_open() -> None:
    """What runs at the server and what may have been paid is named once, and the exit code says so."""
    late = Outcome("b", "job_2", "image_generation", "timed_out")
    report = report_of(DONE, late, in_flight=[("b", "job_2"), ("c", "job_3")], unanswered=["d"])
    assert [(one.key, one.status) for one in report.unresolved] == [
        ("b", "timed_out"),
        ("c", "running"),
        ("d", "unknown"),
    ]
    assert report.exit_code == 6


def test_waiting_specs_are_not_success() -> None:
    """A run that left specs alone does not say that everything completed."""
    assert report_of(DONE).exit_code == 0
    report = report_of(DONE, waiting=3)
    assert (report.not_started, report.exit_code) == (3, 1)


def test_report_tells_what_the_budget_was_worth() -> None:
    """The share of the allowed requests that was used is told for each lane whose limit is known."""
    counts = Statistics()
    counts.requests.update({"poll": 20, "sweep": 20, "result": 18, "create": 5, "download": 100})
    report = report_of(DONE, counts=counts, lanes=Budget(read=Rate(120, 60)).snapshot(0.0))
    assert report.budget == {"read": pytest.approx(58 / (0.98 * 120), abs=0.001)}


def test_report_tells_what_the_job_list_was_worth() -> None:
    """Pages asked for, jobs they told of, and how many of those suspected to have ended had."""
    counts, trust = Statistics(swept=90), Trust(Lag())
    counts.requests["sweep"] = 2
    for job_id, ended in (("a", True), ("b", True), ("c", False)):
        trust.claim(job_id, "shown")
        trust.settle(job_id, ended=ended)
    report = report_of(DONE, counts=counts, trust=trust)
    assert report.sweeps == {"pages": 2, "told": 90, "suspected": 3, "right": 2}
    assert report_of(DONE).sweeps == {}


def test_types_without_end_are_counted_together() -> None:
    """A server that names a new type at every poll fills no memory, and no job is lost from the counts."""
    counts, job = Statistics(), Job(Spec("k"), Step.POLL)
    counts.of("").running += 1
    for number in range(1000):
        was, job.type = job.type, f"type-{number}"
        counts.moved(job, Step.POLL, was)
    assert len(counts.types) <= MOST_TYPES + 1
    assert sum(count.running for count in counts.types.values()) == counts.types["others"].running == 1
