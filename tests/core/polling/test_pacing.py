"""When to ask again, as configured and as learned."""

from __future__ import annotations

import math
from random import Random

import msgspec
import pytest

from sumeasync.core.job import NEVER, Job, Step
from sumeasync.core.polling.durations import Durations
from sumeasync.core.polling.pacing import LEARNED_JOBS, Pacer
from sumeasync.core.polling.policy import Policy
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
    assert 20 <= pacer(learned=learned).first(job(age=0)) <= 26
    assert pacer(learned=learned).next(job(age=50)) == 6


def test_the_first_poll_is_not_too_early() -> None:
    """However much is learned, the first poll does not come before the configured delay."""
    assert POLICY.first_delay <= pacer(learned=200).first(job(age=0)) <= 2 * POLICY.cap


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
    assert pacer(learned=200).first(job(age=0), adopted=True) <= POLICY.interval


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


def at(now: float, one: Job, **spec: float) -> tuple[Job, float]:
    """The job with a spec of its own, and the time."""
    one.spec = msgspec.structs.replace(one.spec, **spec)
    return one, now


def test_worth_is_one_when_a_job_is_due() -> None:
    """One interval after a job was seen, asking about it is worth one request; learned or not, it grows from nought."""
    for made in (pacer(), pacer(learned=200)):
        one = job(age=70)
        gap = made.next(one)
        assert made.worth(one, 1000.0) == 0
        assert made.worth(one, 1000.0 + gap) == pytest.approx(1, rel=0.01)
        worths = [made.worth(one, 1000.0 + 5 * step) for step in range(100)]
        assert worths == sorted(worths)


def test_weight_multiplies_worth_and_shortens_gaps() -> None:
    """Of a spec of weight 4 a question is worth four times as much, and it is asked twice as often."""
    made, (heavy, now) = pacer(), at(1010.0, job(age=70), weight=4.0)
    assert made.worth(heavy, now) == pytest.approx(4 * made.worth(job(age=70), now))
    assert made.next(heavy) == 3


def test_wait_goes_by_what_was_seen() -> None:
    """A job seen meanwhile waits for the rest of its interval; a little early is not worth waiting for."""
    made, one = pacer(), job(age=70)
    assert [made.wait(one, 1000.0 + since) for since in (0.0, 4.0, 5.9995, 6.0, 60.0)] == [6, 2, 0, 0, 0]


def test_wait_ends_with_a_fault_or_before_any_sight() -> None:
    """After a fault, or before an adopted job was seen at all, nothing seen by the way makes it wait."""
    faulty, unseen = job(age=70), job(age=70)
    faulty.faults, unseen.seen = 1, NEVER
    assert (pacer().wait(faulty, 1001.0), pacer().wait(unseen, 1001.0)) == (0, 0)


def test_wait_ends_at_the_deadline() -> None:
    """No job waits beyond its deadline, whatever shows it active."""
    made = pacer()
    assert made.wait(*at(1001.0, job(age=70), deadline_seconds=74.0)) == 3
    assert made.wait(*at(1009.0, job(age=70), deadline_seconds=74.0)) == 0


@pytest.mark.parametrize(
    ("policy", "deadline", "running", "left"),
    [
        ({"deadline": None}, None, None, math.inf),
        ({"deadline": 100}, None, None, 90),
        ({"deadline": 100}, 50.0, None, 40),
        ({"deadline": None, "queue_timeout": 30}, None, None, 20),
        ({"deadline": None, "queue_timeout": 30}, None, 995.0, math.inf),
        ({"deadline": 100, "run_timeout": 30}, None, 995.0, 25),
        ({"deadline": 100, "run_timeout": 30}, None, None, 90),
    ],
)
def test_time_left(policy: dict[str, float], deadline: float | None, running: float | None, left: float) -> None:
    """The first of the deadlines that apply decides; the spec's own stands for the policy's."""
    made = Pacer({TYPE: msgspec.structs.replace(POLICY, **policy)}, Random(1))
    one = job(age=10)
    one.spec, one.running_since = msgspec.structs.replace(one.spec, deadline_seconds=deadline), running
    assert made.time_left(one, 1000.0) == left


def test_of_what_may_have_ended_before_worth_is_high() -> None:
    """An adopted job that was never seen is worth a request at once, and more with every second."""
    one = job(age=10)
    one.seen = one.asked = NEVER
    assert 1 <= pacer().worth(one, 990.0) < pacer().worth(one, 1000.0)


@pytest.mark.parametrize("late", ["fault", "deadline"])
def test_a_list_does_not_lower_the_worth_of_what_must_be_asked(late: str) -> None:
    """After a fault, or past the deadline, worth is counted from the job's last answer of its own."""
    one = job(age=70)
    one.asked = 940.0
    if late == "fault":
        one.faults = 1
    else:
        one.spec = msgspec.structs.replace(one.spec, deadline_seconds=60.0)
    assert pacer().worth(one, 1000.0) == pytest.approx(100)


@pytest.mark.parametrize(
    ("age", "since", "likely"), [(70, 1.0, False), (70, 35.0, True), (95, 1.0, False), (20, 7200.0, True)]
)
def test_likely_done(age: float, since: float, likely: bool) -> None:
    """A job is likely done once more than half of those still active when it was last seen have ended."""
    assert pacer(learned=200).likely_done(job(age=age), 1000.0 + since) is likely


def test_nothing_is_guessed_without_knowledge() -> None:
    """Without a model, or of a job of unknown age, nothing is taken for done; with its age known it may be."""
    adopted = job(age=0)
    adopted.seen = adopted.asked = NEVER
    assert not pacer().likely_done(job(age=70), 9000.0)
    assert not pacer(learned=200).likely_done(adopted, 9000.0)
    adopted.aged = 7200.0
    assert pacer(learned=200).likely_done(adopted, 1000.0)


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
        end, alive, age = 90.0 * ends.lognormvariate(0.0, 0.35), 0.0, made.first(job(age=0))
        while age < end:
            alive, age, polls = age, age + made.next(job(age=age)), polls + 1
        delay += age - end
        made.learn(Ended("k", "job_1", "completed", age, TYPE, None, 0.0, None, alive))
    return polls / 2000 + 1, delay / 2000


def test_sizes_are_learned_apart() -> None:
    """Jobs that are asked for more are paced by what jobs of their size took, others by their type."""
    durations = Durations({TYPE: 90.0})
    made = pacer(durations=durations)
    for number in range(200):
        long = number % 2
        end = 300.0 + number % 20 if long else 30.0
        times = (end, TYPE, None, 0.0, None, end - 1.0)
        made.learn(Ended("k", "job_1", "completed", *times, size="20" if long else "5"))
    gaps = {}
    for size in ("5", "20", "50"):
        one = job(age=20.0)
        one.size = size
        gaps[size] = made.next(one)
    assert gaps["20"] > gaps["50"]  # none of its kind ends so soon; of its type, half do
