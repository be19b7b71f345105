"""When to ask again, as configured and as learned."""

from __future__ import annotations

import math
from collections.abc import Callable
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
    """However much is learned, the first poll comes no earlier than configured, and at most three intervals later."""
    assert POLICY.first_delay <= pacer(learned=200).first(job(age=0)) <= POLICY.first_delay + 3 * POLICY.interval


def test_asks_most_when_most_end() -> None:
    """Gaps are short at the usual age, three times what is configured before, and as configured long after."""
    learned = pacer(learned=200)
    before, usual, late = (learned.next(job(age=age)) for age in (40.0, 88.0, 900.0))
    assert (before, late) == (18, 6)
    assert usual < 5


@pytest.mark.parametrize("weight", [0.001, 1.0, 400.0])
def test_gaps_keep_within_bounds(weight: float) -> None:
    """No gap is shorter than a quarter of the interval or longer than twice the cap, at any age and weight."""
    learned = pacer(learned=200)
    gaps = [learned.next(at(0.0, job(age=float(age)), weight=weight)[0]) for age in range(0, 90_000, 250)]
    assert min(gaps) >= POLICY.interval / 4
    assert max(gaps) <= 2 * POLICY.cap


def few_long(rng: Random) -> float:
    """Nine jobs in ten end in about 15 seconds, one takes 60 to 110."""
    return 15.0 * rng.lognormvariate(0.0, 0.1) if rng.random() < 0.9 else rng.uniform(60.0, 110.0)


def few_long_learned() -> Pacer:
    """A pacer that has seen 300 such jobs."""
    made, ends = pacer(), Random(3)
    for _ in range(300):
        end = few_long(ends)
        made.learn(Ended("k", "job_1", "completed", end, TYPE, None, 0.0, None, end - 1.0))
    return made


def test_late_jobs_do_not_go_before_those_that_tell_more() -> None:
    """When polls are short, a late job of which none is expected to end for a while is worth no more than one due."""
    assert few_long_learned().worth(job(age=25.0), 1012.0) == 1.0


@pytest.mark.parametrize("age", [16.0, 25.0, 40.0, 60.0, 300.0])
def test_late_jobs_are_not_left_alone(age: float) -> None:
    """A job older than half of its like is due no later than configured, and worth a request by then."""
    made, one = few_long_learned(), job(age=age)
    assert made.next(one) <= POLICY.interval
    for since in (1.0, 3.0, 6.0, 12.0):
        assert made.worth(one, 1000.0 + since) >= min(1.0, (since / POLICY.interval) ** 2)


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


@pytest.mark.parametrize("weight", [0.5, 1.0, 2.0])
def test_a_weighted_job_is_due_once_its_worth_is_one(weight: float) -> None:
    """At the usual age, and late: the gap is that after which the question, by its weight, is worth a request."""
    made = pacer(learned=200)
    for age in (86.0, 300.0):
        one, _ = at(0.0, job(age=age), weight=weight)
        assert made.worth(one, 1000.0 + made.next(one)) == pytest.approx(1)


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
def test_guess_done(age: float, since: float, likely: bool) -> None:
    """A job is likely done once more than half of those still active when it was last seen have ended."""
    assert pacer(learned=200).guess_done(job(age=age), 1000.0 + since) is likely


def test_nothing_is_guessed_without_knowledge() -> None:
    """Without a model, or of a job of unknown age, nothing is taken for done; with its age known it may be."""
    adopted = job(age=0)
    adopted.seen = adopted.asked = NEVER
    assert not pacer().guess_done(job(age=70), 9000.0)
    assert not pacer(learned=200).guess_done(adopted, 9000.0)
    adopted.aged = 7200.0
    assert pacer(learned=200).guess_done(adopted, 1000.0)


def test_fewer_polls_and_less_delay() -> None:
    """On lognormal jobs (median 90 s, sigma 0.35) the learned schedule asks less often and notices sooner."""
    fixed, learned = (measured(lambda rng: 90.0 * rng.lognormvariate(0.0, 0.35), learn) for learn in (False, True))
    assert learned[0] <= 0.95 * fixed[0]
    assert learned[1] <= 0.8 * fixed[1]


@pytest.mark.parametrize(
    ("draw", "product", "delay"),
    [
        (few_long, 0.7, 0.7),
        (lambda rng: 90.0, 0.4, 0.8),
        (lambda rng: rng.uniform(30.0, 150.0), 0.85, 0.9),
        (lambda rng: rng.gauss(40.0, 3.0) if rng.random() < 0.5 else rng.gauss(160.0, 12.0), 0.6, 0.7),
        (lambda rng: rng.expovariate(1 / 90.0), 0.95, 0.9),
        (lambda rng: 60.0 * rng.lognormvariate(0.0, 1.2), 0.95, 0.9),
        (lambda rng: min(3000.0, 30.0 * rng.paretovariate(1.5)), 0.85, 0.9),
    ],
    ids=["few long", "fixed", "uniform", "bimodal", "exponential", "wide", "heavy tail"],
)
def test_learning_pays_whatever_the_durations(draw: Callable[[Random], float], product: float, delay: float) -> None:
    """Delay, and polls times delay, are less than what the configured interval leaves, whatever is to be learned."""
    fixed, learned = (measured(draw, learn) for learn in (False, True))
    assert learned[0] * learned[1] <= product * fixed[0] * fixed[1]
    assert learned[1] <= delay * fixed[1]


@pytest.mark.parametrize("factor", [0.67, 1.5, 4.0])
def test_what_was_learned_wrongly_leaves_no_job_alone(factor: float) -> None:
    """After jobs that took another time, the next hundred are noticed about as soon as at the configured interval."""
    fixed, learned = (
        measured(lambda rng: 90.0 * rng.lognormvariate(0.0, 0.35), learn, then=(100, factor)) for learn in (False, True)
    )
    assert learned[1] <= 1.1 * fixed[1]
    assert learned[2] <= 1.3 * fixed[2]


def measured(
    draw: Callable[[Random], float], learn: bool, then: tuple[int, float] | None = None
) -> tuple[float, float, float]:
    """Polls a job, mean delay and its 95th percentile of 2000 jobs, the first ones learned from; or of some more, whose
    durations are changed by a factor.
    """
    made, ends = Pacer({TYPE: POLICY}, Random(1), Durations({TYPE: 90.0}) if learn else None), Random(7)
    runs = [watched(made, draw(ends)) for _ in range(2000)]
    if then is not None:
        runs = [watched(made, then[1] * draw(ends)) for _ in range(then[0])]
    delays = sorted(delay for _, delay in runs)
    return sum(polls for polls, _ in runs) / len(runs), sum(delays) / len(runs), delays[len(runs) * 95 // 100]


def watched(made: Pacer, end: float) -> tuple[int, float]:
    """The polls and the delay of a job that ends at that age."""
    polls, alive, age = 1, 0.0, made.first(job(age=0))
    while age < end:
        polls, alive, age = polls + 1, age, age + made.next(job(age=age))
    made.learn(Ended("k", "job_1", "completed", age, TYPE, None, 0.0, None, alive))
    return polls, age - end


def guess(made: Pacer, now: float, *, right: bool) -> None:
    """Take a job of 70 s, seen last at 1000, for done at `now`, and hear that it is, or is not."""
    assert made.guess_done(job(age=70), now)
    if right:
        made.learn(Ended("k", "job_1", "completed", 90.0, "", None, 0.0))
    else:
        made.next(job(age=70))


def test_guesses_follow_what_came_of_them() -> None:
    """Wrong guesses make the next one less bold, right ones make up for them, and neither leads too far."""
    made = pacer(learned=200)
    guess(made, 1025.0, right=True)  # some 70 % have ended
    for _ in range(30):
        guess(made, 1200.0, right=False)
    assert not made.guess_done(job(age=70), 1025.0)
    for _ in range(30):
        guess(made, 1200.0, right=True)
    assert made.guess_done(job(age=70), 1025.0)
    assert not made.guess_done(job(age=70), 1018.0)  # some 40 %


def test_what_was_no_guess_changes_none() -> None:
    """Answers of jobs that were not taken for done, or were already counted, say nothing of the guesses."""
    made = pacer(learned=200)
    guess(made, 1025.0, right=False)
    for _ in range(30):
        made.next(job(age=70))
    guess(made, 1025.0, right=False)
    for _ in range(6):
        guess(made, 1200.0, right=False)
    guess(made, 1200.0, right=True)
    for _ in range(30):
        made.learn(Ended("k", "job_1", "completed", 90.0, "", None, 0.0))
    assert not made.guess_done(job(age=70), 1023.0)


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
