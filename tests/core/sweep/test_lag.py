"""How late a list is found to be."""

from __future__ import annotations

from typing import cast

import pytest

from sumeasync.core.job import Job, Step
from sumeasync.core.sweep.lag import FIRST_SECONDS, LAST_SECONDS, Lag
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


def test_a_younger_job_shown_corrects_it() -> None:
    """A list that shows a new job is less late than that is old, whatever was thought."""
    lag = Lag()
    lag.audited(wrong=True)
    assert seen(lag, [job(0, 9.5)], 10.0) == 0.5
    assert seen(lag, [job(1, 10.2)], 10.0) == 0.0


def test_errors_double_it_and_are_forgiven() -> None:
    """Each job wrongly shown as active doubles it, up to a bound; each rightly shown makes it less."""
    lag, seconds = Lag(), []
    for _ in range(20):
        lag.audited(wrong=True)
        seconds.append(lag.seconds)
    assert (seconds[:2], seconds[-1]) == ([FIRST_SECONDS, 2 * FIRST_SECONDS], LAST_SECONDS)
    for _ in range(20):
        lag.audited(wrong=False)
    assert lag.seconds < 0.01
    assert repr(cast("Lag", lag)).startswith("<Lag of 0.00")


def test_errors_make_it_no_later_than_new_jobs_allow() -> None:
    """Two jobs that end just after a page was made do not outweigh a job that was shown when a moment old."""
    lag = Lag()
    seen(lag, [job(0, 10.0)], 10.2)
    for _ in range(3):
        lag.audited(wrong=True)
    assert lag.seconds == pytest.approx(0.2)


def test_a_list_that_gets_late_is_found_out_again() -> None:
    """What it once showed at once says nothing any more when it misses a job that is older."""
    lag, late = Lag(), job(1, 18.0)
    seen(lag, [job(0, 10.0)], 10.2)
    lag.missed(a_round(21.0, [late], []), [late])
    assert seen(lag, [late], 22.0) == 4.0
