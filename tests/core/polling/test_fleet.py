"""Which job is asked about next: in the order of their times, and by worth once requests are short."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from sumeasync.core.job import Job, Step
from sumeasync.core.polling.durations import Durations
from sumeasync.core.polling.fleet import CHOICES, LATE_SECONDS, Fleet
from sumeasync.core.polling.pacing import Pacer
from sumeasync.core.polling.policy import Policy
from sumeasync.models import Spec

SLOW, QUICK = Policy(first_delay=10, interval=10, cap=10, jitter=0), Policy(first_delay=1, interval=1, cap=1, jitter=0)


def fleet(durations: Durations | None = None) -> Fleet:
    """An empty fleet of two types, one asked about every ten seconds, the other every second."""
    return Fleet(Pacer({"slow": SLOW, "quick": QUICK}, Random(1), durations), Random(1))


def job(key: object = "k", type: str = "slow", *, at: float = 0.0, **spec: float) -> Job:
    """A job that answered at `at` that it was active."""
    return Job(Spec(str(key), type, **spec), Step.POLL, f"job_{key}", born=at, seen=at, asked=at, type=type)  # type: ignore[arg-type]  # one field of the right type


def polled(one: Fleet, now: float) -> Job | None:
    """The job that is polled at `now`."""
    if (found := one.first(now)) is not None:
        one.take(found, now)
    return found


def test_in_time_jobs_go_in_the_order_of_their_times() -> None:
    """While requests are plenty each job goes when it is due, and not before."""
    one = fleet()
    late, early = job("late"), job("early")
    one.push(late, 10.2)
    one.push(early, 10.0)
    assert one.first(9.9) is None
    assert [polled(one, 10.2), polled(one, 10.2), polled(one, 10.2)] == [early, late, None]
    assert (len(one), one.starves) == (0, False)


def test_first_takes_nothing() -> None:
    """A job that was only looked at goes on waiting."""
    one = fleet()
    one.push(job(), 1.0)
    assert one.first(1.0) is one.first(1.0)
    assert (len(one), one.next_due()) == (1, 1.0)


def test_the_most_worth_goes_first_when_late() -> None:
    """When jobs are overdue, the type whose question tells more per second goes before one due longer."""
    one = fleet()
    slow, quick = job("slow"), job("quick", "quick", at=5.0)
    one.push(slow, 10.0)
    one.push(quick, 10.1)
    assert polled(one, 11.5) is quick
    assert polled(one, 11.5) is slow


def test_weight_counts() -> None:
    """Of two jobs alike the weightier goes first."""
    one = fleet()
    light, heavy = job("light"), job("heavy", weight=5.0)
    one.push(light, 10.0)
    one.push(heavy, 10.0)
    assert polled(one, 12.0) is heavy


def test_what_was_seen_meanwhile_waits_on() -> None:
    """A job that a list has shown active is asked about one interval after that, late or not."""
    one = fleet()
    for due, now in ((10.0, 10.0), (10.0, 10.0 + 2 * LATE_SECONDS)):
        seen = job()
        one.push(seen, due)
        seen.seen = 9.0
        assert one.first(now) is None
        assert one.next_due() == 19.0
        one.discard(seen)


def test_a_late_job_seen_meanwhile_leaves_the_late_ones() -> None:
    """Jobs that were late and are shown active then are late no more."""
    one = fleet()
    jobs = [job(number) for number in range(3)]
    for each in jobs:
        one.push(each, 10.0)
    assert one.first(12.0) is not None
    for each in jobs:
        each.seen = 12.0
    assert one.first(12.0) is None
    assert repr(one) == "<Fleet of 3, 0 of them late>"


@pytest.mark.parametrize("faulty", [False, True])
def test_a_list_does_not_keep_a_deadline_or_a_retry_waiting(faulty: bool) -> None:
    """Past its deadline, or after a fault, a job is asked about first, whatever the list says."""
    one = fleet()
    due = job("due") if faulty else job("due", deadline_seconds=20.0)
    due.faults = int(faulty)
    others = [job(number, at=19.0) for number in range(4)]
    for each in (due, *others):
        one.push(each, 20.0)
    due.seen = 20.5
    assert polled(one, 21.0) is due


@pytest.mark.parametrize("learn", [False, True])
def test_nothing_starves(learn: bool) -> None:
    """However short requests are, every job is asked again and again, none much more seldom than its like."""
    one = fleet(Durations() if learn else None)
    for number in range(50):
        one.push(job(number, "quick" if number % 2 else "slow"), 1.0)
    asked: Counter[str] = Counter()
    for turn in range(2000):
        now = 2.0 + 0.25 * turn
        found = polled(one, now)
        assert found is not None
        asked[found.spec.key] += 1
        found.seen = found.asked = now
        one.push(found, now + one.pacer.next(found))
    for parity in (0, 1):
        counts = [asked[str(number)] for number in range(50) if number % 2 == parity]
        assert min(counts) >= 0.4 * sum(counts) / len(counts)


def test_starves_says_when_polls_are_much_too_late() -> None:
    """A poll some twenty times too late holds creates back until polls are in time again; weight does not."""
    one = fleet()
    for number in range(4):
        one.push(job(number, "quick", weight=100.0), 1.0)
    polled(one, 3.0)
    assert not one.starves
    polled(one, 30.0)
    assert one.starves
    polled(one, 30.0)
    polled(one, 30.0)
    assert (len(one), one.starves) == (0, False)


def test_discard_keeps_the_others() -> None:
    """Forgetting a job, late or early, loses no other, whatever the place it had."""
    one = fleet()
    jobs = [job(number) for number in range(2 * CHOICES)]
    for number, each in enumerate(jobs):
        one.push(each, 10.0 if number % 2 else 99.0)
    one.first(20.0)
    for each in jobs[3::5]:
        one.discard(each)
        one.discard(each)
    left = [each for each in jobs if each not in jobs[3::5]]
    assert sorted(each.spec.key for each in one) == sorted(each.spec.key for each in left)
    assert len(one) == len(left)
    assert {each.ticket for each in jobs[3::5]} == {0}


def test_sample_shows_all_kinds() -> None:
    """A sample is of early and late ones in proportion, and of an empty fleet it is empty."""
    one = fleet()
    assert one.sample(10) == []
    for number in range(40):
        one.push(job(number), 10.0 if number < 20 else 99.0)
    one.first(20.0)
    picked = one.sample(20)
    assert sum(each.ticket < 0 for each in picked) == 10
    assert len(picked) == 20
