"""When to ask again, as configured and as learned."""

from __future__ import annotations

from random import Random

import pytest

from sumeasync.core.durations import Durations
from sumeasync.core.job import Job, Step
from sumeasync.core.pacing import LEARNED_JOBS, Pacer
from sumeasync.core.polling import Policy
from sumeasync.core.records import Ended
from sumeasync.models import Spec

TYPE = "video_generation"
POLICY = Policy(first_delay=20, interval=6, cap=30, jitter=0, growth=0)


def pacer(*, learned: int = 0, durations: Durations | None = None) -> Pacer:
    """A pacer that has seen `learned` jobs of 80 to 100 seconds."""
    made = Pacer({TYPE: POLICY}, Random(1), durations or Durations({TYPE: 90.0}))
    for number in range(learned):
        end = 80.0 + number % 20
        made.learn(Ended("k", "job_1", "completed", end, TYPE, None, 0.0, None, end - 1.0))
    return made


def job(*, age: float) -> Job:
    """A queued job of that age, just seen at the time 1000."""
    return Job(Spec("k", TYPE), Step.POLL, "job_1", born=1000.0 - age, seen=1000.0, asked=1000.0, type=TYPE, polls=1)


@pytest.mark.parametrize("learned", [0, LEARNED_JOBS - 1])
def test_follows_the_policy_at_first(learned: int) -> None:
    """Until a few jobs have ended, gaps are the configured ones."""
    assert 20 <= pacer(learned=learned).first(TYPE) <= 26
    assert pacer(learned=learned).next(job(age=50)) == 6


def test_the_first_poll_is_not_too_early() -> None:
    """However much is learned, the first poll does not come before the configured delay."""
    assert POLICY.first_delay <= pacer(learned=200).first(TYPE) <= 2 * POLICY.cap


def test_asks_most_when_most_end() -> None:
    """Gaps are short at the usual age, and longer before and long after."""
    learned = pacer(learned=200)
    before, usual, late = (learned.next(job(age=age)) for age in (40.0, 88.0, 900.0))
    assert usual < before
    assert usual < late


def test_gaps_keep_within_bounds() -> None:
    """No gap is shorter than a quarter of the interval or longer than twice the cap, at any age."""
    learned = pacer(learned=200)
    gaps = [learned.next(job(age=float(age))) for age in range(0, 90_000, 250)]
    assert min(gaps) >= POLICY.interval / 4
    assert max(gaps) <= 2 * POLICY.cap


def test_the_servers_floor_is_kept() -> None:
    """A floor named by the server is never undercut, however soon the job is expected to end."""
    assert pacer(learned=200).next(job(age=88), floor=10.0) == 10.0


def test_adopted_jobs_are_asked_about_at_once() -> None:
    """A job of unknown age may be done already: only its phase is random."""
    assert pacer(learned=200).first(TYPE, adopted=True) <= POLICY.interval


def test_learning_can_be_switched_off() -> None:
    """Without durations the policy is followed for ever."""
    made = Pacer({TYPE: POLICY}, Random(1))
    made.learn(Ended("k", "job_1", "completed", 90.0, TYPE, None, 0.0))
    assert made.next(job(age=88)) == 6


def test_a_model_that_fails_is_not_followed() -> None:
    """When jobs suddenly take much longer than predicted, the policy takes over again."""
    learned = pacer(learned=200)
    for _ in range(15):
        learned.learn(Ended("k", "job_1", "completed", 500.0, TYPE, None, 0.0, None, 300.0))
    assert learned.next(job(age=88)) == 6


def test_fewer_polls_and_less_delay() -> None:
    """On lognormal jobs (median 90 s, sigma 0.35) the learned schedule asks less often and notices sooner."""
    fixed, learned = (measured(Durations({TYPE: 90.0}) if learn else None) for learn in (False, True))
    assert learned[0] < fixed[0]
    assert learned[1] < fixed[1]
    assert learned[0] * learned[1] <= 0.8 * fixed[0] * fixed[1]


def measured(durations: Durations | None) -> tuple[float, float]:
    """Polls a job and mean delay of 2000 jobs, of which the first ones are learned from."""
    made, ends, polls, delay = Pacer({TYPE: POLICY}, Random(1), durations), Random(7), 0, 0.0
    for _ in range(2000):
        end, alive, age = 90.0 * ends.lognormvariate(0.0, 0.35), 0.0, made.first(TYPE)
        while age < end:
            alive, age, polls = age, age + made.next(job(age=age)), polls + 1
        delay += age - end
        made.learn(Ended("k", "job_1", "completed", age, TYPE, None, 0.0, None, alive))
    return polls / 2000 + 1, delay / 2000
