"""How late a list is found to be."""

from __future__ import annotations

from typing import cast

import pytest

from sumeasync.core.job import Job, Step
from sumeasync.core.sweep.lag import FIRST_SECONDS, MOST_ENDS, Lag
from sumeasync.core.sweep.rounds import Round
from sumeasync.models import JobView, Spec


def job(number: int, born: float) -> Job:
    """A waiting job that nothing has shown yet."""
    return Job(Spec(str(number)), Step.POLL, f"job_{number}", ticket=1, born=born, seen=born, asked=born)


def a_round(began: float, jobs: list[Job], shown: list[int], cursor: str | None = None) -> Round:
    """A round that shows these of the jobs, in this order."""
    one = Round("all", began, len(jobs), [None], 100)
    one.read([JobView(f"job_{n}", "running", "running") for n in shown], cursor, {job.id or "": job for job in jobs})
    if not one.over:
        one.cut()
    return one


def seen(lag: Lag, jobs: list[Job], sent: float) -> float:
    """A page shows these jobs; how late the list is then."""
    lag.shown(jobs, sent)
    return lag.seconds


def test_an_honest_list_is_not_late() -> None:
    """Jobs that are shown as soon as they are there say so, however old they were before anyone asked."""
    lag, jobs = Lag(), [job(0, 1.0), job(1, 2.0)]
    assert seen(lag, jobs, 30.0) == 0.0
    lag.missed(a_round(30.0, jobs, [1, 0]), jobs)
    assert seen(lag, [job(2, 30.5)], 31.0) == 0.0


def test_a_job_that_was_missed_tells_the_lag() -> None:
    """A whole round missed it when it was a while old: the list is as late as it is old when shown, at most."""
    lag, jobs = Lag(), [job(0, 1.0), job(1, 8.0)]
    lag.missed(a_round(10.0, jobs, [0]), jobs)
    assert seen(lag, [jobs[1]], 11.5) == 3.5
    assert lag.open_seconds == 7.0


@pytest.mark.parametrize(("shown", "seconds"), [([1, 0], 3.5), ([0, 1], 0.0)])
def test_a_list_read_in_part(shown: list[int], seconds: float) -> None:
    """If the youngest stand first, the youngest that lack are missed; where they stand last, they were not reached."""
    lag, jobs = Lag(), [job(0, 1.0), job(1, 4.0), job(2, 8.0)]
    lag.missed(a_round(10.0, jobs, shown, "more"), jobs)
    assert seen(lag, [jobs[2]], 11.5) == seconds


def test_a_job_being_asked_about_is_not_missed() -> None:
    """Whoever is on a page was shown, even if the page is not heard about that job."""
    lag, jobs = Lag(), [job(0, 1.0), job(1, 8.0)]
    jobs[1].ticket = 0
    one = a_round(10.0, jobs, [1, 0])
    jobs[1].ticket = 5
    lag.missed(one, jobs)
    assert seen(lag, [jobs[1]], 300.0) == 0.0


def test_a_job_that_was_missed_tells_it_once() -> None:
    """What its age is when it is shown again says nothing, however much less late the list was meanwhile."""
    lag, jobs = Lag(), [job(0, 1.0), job(1, 5.0)]
    lag.missed(a_round(10.0, jobs, [0]), jobs)
    assert seen(lag, [jobs[1]], 13.0) == 8.0
    assert seen(lag, [job(2, 20.0)], 22.0) == 2.0
    assert seen(lag, [jobs[1]], 40.0) == 2.0


def test_a_younger_job_shown_corrects_it() -> None:
    """A list that shows a new job is less late than that is old, whatever was thought."""
    lag, late = Lag(), job(1, 1.0)
    lag.missed(a_round(5.0, [late], []), [late])
    assert seen(lag, [late], 6.0) == 5.0
    assert seen(lag, [job(2, 9.5)], 10.0) == 0.5
    assert seen(lag, [job(3, 10.2)], 10.0) == 0.0


def test_what_told_its_end_and_is_shown_as_active_tells_the_lag() -> None:
    """The list is late by more than the time from a job's own answer to the page that shows it; audits forgive that."""
    lag = Lag()
    lag.ended("job_1", 10.0)
    lag.ended("job_2", 10.0)
    lag.echoed(["job_1", "job_2", "job_3"], 10.0)
    assert lag.seconds == 0.0
    for sent in (11.0, 13.0, 12.0):
        lag.echoed(["job_1", "job_2"], sent)
    assert lag.seconds == 3.0
    for _ in range(20):
        lag.forgive()
    assert lag.seconds < 0.01
    assert repr(cast("Lag", lag)).startswith("<Lag of 0.00")


def test_one_job_shown_wrongly_makes_a_list_hardly_late() -> None:
    """The mistake may be about just that job."""
    lag = Lag()
    lag.ended("job_1", 10.0)
    lag.echoed(["job_1"], 14.0)
    assert lag.seconds == FIRST_SECONDS


def test_what_is_shown_as_active_long_after_is_wrong() -> None:
    """A job shown so long after it told its end is counted, once, and makes the list no later."""
    lag = Lag()
    lag.ended("job_1", 10.0)
    for sent in (16.0, 17.0):
        lag.echoed(["job_1"], sent)
    assert (lag.wrong, lag.seconds) == (1, 0.0)


def test_the_latest_ends_are_kept_in_mind() -> None:
    """What ended long ago is forgotten, so that memory stays bounded."""
    lag = Lag()
    for number in range(MOST_ENDS + 1):
        lag.ended(f"job_{number}", 10.0)
    lag.echoed(["job_0"], 15.0)
    assert lag.seconds == 0.0
    lag.echoed(["job_1", "job_2"], 15.0)
    assert lag.seconds == 5.0


def test_a_list_that_gets_late_is_found_out_again() -> None:
    """What it once showed at once says nothing any more when it misses a job that is older."""
    lag, late = Lag(), job(1, 18.0)
    seen(lag, [job(0, 10.0)], 10.2)
    lag.missed(a_round(21.0, [late], []), [late])
    assert seen(lag, [late], 22.0) == 4.0
