"""Whom to ask to hold a list to its word."""

from __future__ import annotations

from random import Random

from sumeasync.core.job import Job, Step
from sumeasync.core.polling.durations import Durations
from sumeasync.core.polling.pacing import Pacer
from sumeasync.core.polling.policy import Policy
from sumeasync.core.records import Ended
from sumeasync.core.sweep.audits import FIRST_ROUNDS, PAGES, Audits
from sumeasync.models import Spec


def audits(*, learned: bool = False) -> Audits:
    """Audits of jobs that take 20 seconds or so, if that is learned."""
    durations = Durations({"a": 20.0})
    for number in range(200 * learned):
        seconds = 20.0 * Random(number).lognormvariate(0.0, 0.3)
        durations.fold(Ended("k", "j", "completed", seconds, "a", created_at=0.0, alive_at=seconds - 0.1))
    return Audits(Pacer({"*": Policy(interval=3.0)}, Random(1), durations))


def job(born: float, asked: float | None = None) -> Job:
    """A job created then, and shown by lists since."""
    own = born if asked is None else asked
    return Job(Spec("k", "a"), Step.POLL, f"job_{born}", ticket=1, born=born, seen=99.0, asked=own, type="a")


def test_one_in_some_rounds() -> None:
    """Where nothing is learned, the one that answered itself longest ago, each so many pages."""
    one, jobs = audits(), [job(90.0), job(80.0, asked=98.0), job(85.0)]
    picked = [one.pick(jobs, 1, 100.0, 100.1) for _ in range(FIRST_ROUNDS)]
    assert picked == [[]] * (FIRST_ROUNDS - 1) + [[jobs[2]]]
    assert repr(one) == f"<Audits of {FIRST_ROUNDS} pages>"


def test_no_more_in_long_rounds() -> None:
    """Rounds of many pages have an audit each so many pages, not each so many rounds."""
    one = audits()
    assert sum(len(one.pick([job(90.0)], 40, 100.0, 100.1)) for _ in range(2 * PAGES)) == 2


def test_at_first_each_job_that_would_tell_much() -> None:
    """Jobs at the age at which they end are asked page by page, until a list a second late would have been found."""
    one = audits(learned=True)
    picked = [bool(one.pick([*[job(80.0)] * 24, job(99.0)], 1, 100.0, 100.05)) for _ in range(4 * PAGES)]
    assert picked[:3] == [True] * 3
    assert sum(picked[-PAGES:]) == 1


def test_not_of_those_about_to_end() -> None:
    """Where answers take long a job of that age proves nothing; one that is young does."""
    one, young = audits(learned=True), job(95.0)
    picked = [one.pick([job(80.0), young], 1, 98.0, 100.0) for _ in range(FIRST_ROUNDS)]
    assert picked[-1] == [young]
    assert picked[:-1] == [[]] * (FIRST_ROUNDS - 1)
