"""When to ask a job again: as its type's policy says, until its type's durations are learned; then where it tells most.

A fixed interval spends as many polls on the minutes in which no job ends as on the seconds in which most do. For a
given number of polls the least delay comes from asking whenever the expected undetected time A(a, b) reaches one fixed
amount (equal marginal worth; Keller 1974). That amount is what the configured interval would cost on a job of which
only the typical duration is known; so both polls and delay fall, the more the better the duration is known.

What is learned never leaves what is configured far behind: gaps stay between a quarter of `interval` and twice `cap`,
and a model is followed only once it has seen a few jobs and while its predictions come true.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from sumeasync.core.durations import RUN, Durations, Model
from sumeasync.core.job import Job
from sumeasync.core.polling import Policy, first_delay, next_delay, policy_for
from sumeasync.core.records import Ended

__all__ = ["LEARNED_JOBS", "Pacer"]

LEARNED_JOBS = 8
"""A model that has seen fewer jobs is not followed yet."""


class Pacer:
    """Holds the policies and the source of jitter; without `durations` nothing is learned."""

    def __init__(self, policies: Mapping[str, Policy], rng: Random, durations: Durations | None = None) -> None:
        self._policies = policies
        self._rng = rng
        self._durations = durations

    def policy(self, type: str) -> Policy:
        """The policy of a type."""
        return policy_for(self._policies, type)

    def first(self, type: str, *, adopted: bool = False) -> float:
        """Seconds from a job's creation (or adoption) to its first poll."""
        policy, model = self.policy(type), None if adopted else self._model(type, "")
        if model is None:
            return first_delay(policy, self._rng, adopted=adopted)
        return max(policy.first_delay, self._learned(policy, model, 0.0))

    def next(self, job: Job, now: float, wall: float, *, floor: float = 0.0) -> float:
        """Seconds to the next poll of a job just seen not ended; never below `floor`, which the server may name."""
        policy = self.policy(job.type)
        running = job.running_since is not None
        model = self._model(job.type, RUN if running else "")
        if model is None:
            return next_delay(policy, now - job.born, self._rng, floor=floor)
        since = job.started_at if running else job.created_at
        age = now - (job.running_since or job.born) if since is None else max(0.0, wall - since)
        return max(floor, self._learned(policy, model, age))

    def learn(self, record: Ended) -> None:
        """Learn from the end of a job."""
        if self._durations is not None and record.type:
            self._durations.fold(record)

    def _model(self, type: str, bucket: str) -> Model | None:
        if self._durations is None or not type:
            return None
        model = self._durations.model(type, bucket)
        return model if model.jobs >= LEARNED_JOBS and model.trusted else None

    def _learned(self, policy: Policy, model: Model, age: float) -> float:
        gap = model.gap(age, model.worth_of(policy.interval))
        held = min(max(gap, 0.25 * policy.interval), 2.0 * policy.cap)
        return held * (1.0 + policy.jitter * (2.0 * self._rng.random() - 1.0))
