"""When to ask a job again: as its type's policy says, until its type's durations are learned; then where it tells most.

A fixed interval spends as many polls on the minutes in which no job ends as on the seconds in which most do. For a
given number of polls the least delay comes from asking whenever the expected undetected time A(a, b) reaches one fixed
amount (equal marginal worth; Keller 1974). That amount is what the configured interval would cost on a job of which
only the typical duration is known; so both polls and delay fall, the more the better the duration is known.

The `worth` of asking a job now is its A in units of that amount, times the spec's weight: a job is due once its worth
is 1, and `core/polling/fleet.py` goes by it when more jobs are due than can be asked. A job of which nothing is learned
counts as memoryless, A = h·d²/2: its worth is the square of (time since it was seen / its interval).

What is learned never leaves what is configured far behind. A gap stays between a quarter of `interval` and three times
the configured one (and twice `cap`); a job older than half of its like is asked about no less often than configured:
of the late ones little is known, and they are few. The first poll comes no earlier than configured, and at most three
intervals later. A model is followed only once it has seen a few jobs and while its predictions come true.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random

from sumeasync.core.job import NEVER, Job
from sumeasync.core.polling.durations import RUN, Durations, Model
from sumeasync.core.polling.policy import OTHER, Policy, first_delay, gap_at, policy_for
from sumeasync.core.records import Ended

__all__ = ["LEARNED_JOBS", "Pacer"]

LEARNED_JOBS = 8
"""A model that has seen fewer jobs is not followed yet."""

GRAIN_SECONDS = 1e-3
"""Less is not worth waiting for."""

LEAST_INTERVALS, MOST_GAPS, MOST_CAPS = 0.25, 3.0, 2.0
"""Bounds of a learned gap, in intervals, configured gaps and caps."""

LEAST_SURE, MOST_SURE = 0.5, 0.95
WRONG_GUESS, RIGHT_GUESS = 0.03, 0.05
"""The share of jobs that must have ended for one to be likely done goes up with each wrong guess, down with each right
one: jobs that began together are learned from in the order of their ends, which makes them all look overdue."""


class Pacer:
    """Holds the policies and the source of jitter; without `durations` nothing is learned."""

    def __init__(self, policies: Mapping[str, Policy], rng: Random, durations: Durations | None = None) -> None:
        self._policies = policies
        self._other = policy_for(policies, OTHER)
        self._rng = rng
        self._durations = durations
        self._followed: dict[tuple[str, str, str], Model | None] = {}  # until something is learned
        self._sure = LEAST_SURE
        self._guessed: set[str | None] = set()  # the jobs taken for done of which no answer is known yet

    def policy(self, type: str) -> Policy:
        """The policy of a type."""
        return self._policies.get(type) or self._other

    def first(self, job: Job, *, adopted: bool = False) -> float:
        """Seconds from a job's creation (or adoption) to its first poll."""
        policy, model = self.policy(job.type), None if adopted else self._model(job, "")
        if model is None:
            return first_delay(policy, self._rng, adopted=adopted)
        gap = model.gap(0.0, model.worth_of(policy.interval))
        gap = min(gap, policy.first_delay + MOST_GAPS * policy.interval)
        return max(policy.first_delay, self._jittered(policy, gap))

    def next(self, job: Job, *, floor: float = 0.0) -> float:
        """Seconds to the next poll of a job just seen active; never below `floor`, which the server may name."""
        if job.id in self._guessed:
            self._guessed.discard(job.id)
            self._sure = min(MOST_SURE, self._sure + WRONG_GUESS)
        policy = self._policies.get(job.type) or self._other
        return max(floor, self._jittered(policy, self._gap(job, policy)))

    def wait(self, job: Job, now: float) -> float:
        """Seconds until a job is worth a request, 0.0 when it is; a fault is asked again whatever it may tell."""
        left = self.time_left(job, now)
        if job.faults or job.seen == NEVER or left <= 0.0:
            return 0.0
        policy, since = self.policy(job.type), now - job.seen
        gap = self._gap(job, policy)
        return 0.0 if since >= (1.0 - policy.jitter) * gap - GRAIN_SECONDS else min(left, gap - since)

    def worth(self, job: Job, now: float) -> float:
        """What asking about `job` now is worth; 1 is a request well spent where there is no shortage of them."""
        policy = self.policy(job.type)
        settled = not job.faults and self.time_left(job, now) > 0.0  # else no list can make up for an answer
        seen = job.seen if settled else job.asked
        if seen == NEVER:  # it may have ended before it was adopted
            return job.spec.weight * (1.0 + (now - job.born) / policy.interval) ** 2
        since = now - seen
        model, age = self._of(job, seen)
        if model is None:
            return job.spec.weight * (since / _usual_gap(job, policy, age)) ** 2
        weight = job.spec.weight
        worth = weight * model.undetected(age, age + since) / model.worth_of(policy.interval)
        if worth < 1.0 and age > model.usual:  # it is due as configured, but not before those that tell more
            worth = max(worth, min(1.0, weight * (since / gap_at(policy, age)) ** 2))
        return worth

    def guess_done(self, job: Job, now: float) -> bool:
        """Guess whether the job has ended, likelier than not, and keep in mind to learn from how right that was."""
        model, age = self._of(job, now)
        if model is None or (job.seen == NEVER and job.aged == 0.0):  # of a job adopted by its id the age is not known
            return False
        if 1.0 - model.survival(age) / model.survival(max(0.0, age - (now - job.seen))) <= self._sure:
            return False
        self._guessed.add(job.id)
        return True

    def share_ending(self, job: Job, now: float, seconds: float) -> float:
        """The share of jobs like this one that end within some seconds, if active now; 0 where nothing is learned."""
        model, age = self._of(job, now)
        return 0.0 if model is None else 1.0 - model.survival(age + seconds) / model.survival(age)

    def time_left(self, job: Job, now: float) -> float:
        """Seconds until the first of the job's deadlines; infinite without one."""
        policy = self._policies.get(job.type) or self._other
        deadline = job.spec.deadline_seconds or policy.deadline
        left = math.inf if deadline is None else job.born + deadline - now
        if job.running_since is None:
            return left if policy.queue_timeout is None else min(left, job.born + policy.queue_timeout - now)
        return left if policy.run_timeout is None else min(left, job.running_since + policy.run_timeout - now)

    def learn(self, record: Ended) -> Ended:
        """Learn from the end of a job; returns the record."""
        if record.job_id in self._guessed:
            self._guessed.discard(record.job_id)
            self._sure = max(LEAST_SURE, self._sure - RIGHT_GUESS)
        if self._durations is not None and record.type:
            self._durations.fold(record)
            self._followed.clear()
        return record

    def _of(self, job: Job, at: float) -> tuple[Model | None, float]:
        """The model to follow, if any, and the job's age then as it counts: since its start, if seen, or creation."""
        if job.running_since is None or job.started_at is None:
            phase, age = "", at - job.born + job.aged
        else:
            phase, age = RUN, at - job.running_since
        try:
            return self._followed[job.type, job.size, phase], age
        except KeyError:
            return self._model(job, phase), age

    def _model(self, job: Job, phase: str) -> Model | None:
        """The model of the job's size once it has learned enough, else of its type; None when neither has."""
        key = job.type, job.size, phase
        if key not in self._followed:
            self._followed[key] = self._choose(*key)
        return self._followed[key]

    def _choose(self, type: str, size: str, phase: str) -> Model | None:
        if self._durations is None or not type:
            return None
        for bucket in (phase + size, phase) if size else (phase,):
            model = self._durations.model(type, bucket)
            if model.jobs >= LEARNED_JOBS and model.trusted:
                return model
        return None

    def _gap(self, job: Job, policy: Policy) -> float:
        """Seconds after the job was seen until its worth reaches 1, within bounds."""
        model, age = self._of(job, job.seen)
        weight = job.spec.weight
        if model is None:
            gap = _usual_gap(job, policy, age) / math.sqrt(weight)
        else:
            most = (1.0 if age > model.usual else MOST_GAPS) * gap_at(policy, age) / math.sqrt(weight)
            gap = min(most, model.gap(age, model.worth_of(policy.interval) / weight))
        return min(max(gap, LEAST_INTERVALS * policy.interval), MOST_CAPS * policy.cap)

    def _jittered(self, policy: Policy, gap: float) -> float:
        return gap * (1.0 + policy.jitter * (2.0 * self._rng.random() - 1.0))


def _usual_gap(job: Job, policy: Policy, age: float) -> float:
    """The configured gap after the age at which the job was last seen."""
    if job.polls == 0 and job.aged == 0.0 and age <= 0.0:
        return policy.first_delay + 0.5 * policy.interval
    return gap_at(policy, age)
