"""When to ask again, by the type of the job: the policy as written, without anything learned.

A job's first poll comes after `first_delay` plus a random phase of one interval, so that jobs created together are not
asked about together. Afterwards the gap is `interval`, and grows with the job's age (`growth` x age) up to `cap`: the
uncertainty about a late job is proportional to how late it is. Each gap is jittered by at most ±25 %, which costs
2 % of delay (mean delay = d/2 · (1 + CV²)); full jitter is kept for errors, where it spreads a herd.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random

import msgspec

from sumeasync.errors import SettingsError

__all__ = ["DEFAULT_POLICIES", "OTHER", "Policy", "first_delay", "gap_at", "policy_for", "retry_delay"]

OTHER = "*"
"""The policy of every type that has none of its own."""

MAX_JITTER = 0.25
RETRY_BASE_SECONDS = 1.0
RETRY_CAP_SECONDS = 60.0
RETRY_FLOOR_SECONDS = 0.25


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one type of job is polled; all times in seconds.

    `queue_timeout` and `run_timeout` bound the two phases of a job, `deadline` its whole life since its creation
    was answered (or since it was adopted). None means no bound. Raises SettingsError for values that cannot work.
    """

    first_delay: float = 10.0
    interval: float = 5.0
    cap: float = 30.0
    jitter: float = 0.1
    growth: float = 0.05
    deadline: float | None = 3600.0
    queue_timeout: float | None = None
    run_timeout: float | None = None

    def __post_init__(self) -> None:
        if not 0.05 <= self.interval <= self.cap:
            raise SettingsError(f"interval {self.interval:g} must lie between 0.05 and cap {self.cap:g} seconds")
        if not 0 <= self.jitter <= MAX_JITTER:
            raise SettingsError(
                f"jitter {self.jitter:g} must lie between 0 and {MAX_JITTER:g} (a share of the interval)"
            )
        if not (0 <= self.first_delay < math.inf and 0 <= self.growth < math.inf and self.cap < math.inf):
            raise SettingsError("first_delay, growth and cap must be finite and not negative")
        for name in ("deadline", "queue_timeout", "run_timeout"):
            bound = getattr(self, name)
            if bound is not None and not bound > 0:
                raise SettingsError(f"{name} must be positive; leave it out for none")


DEFAULT_POLICIES = {
    "image_generation": Policy(first_delay=4, interval=3, cap=15, deadline=1800),
    "asset_ingest": Policy(first_delay=5, interval=5, cap=30, deadline=3600),
    "face_swap": Policy(first_delay=15, interval=6, cap=30, deadline=3600),
    "video_generation": Policy(first_delay=20, interval=6, cap=30, deadline=3600),
    "ads_video": Policy(first_delay=30, interval=8, cap=40, deadline=5400),
    "reference_analysis": Policy(first_delay=45, interval=15, cap=60, deadline=7200),
    OTHER: Policy(),
}
"""From the vendor's advice: longer for video than for image, longest for Reference Analysis; jobs run 80-250 s."""


def policy_for(policies: Mapping[str, Policy], type: str) -> Policy:
    """The policy of `type`, or of every other type."""
    return policies.get(type) or policies.get(OTHER) or DEFAULT_POLICIES[OTHER]


def first_delay(policy: Policy, rng: Random, *, adopted: bool = False) -> float:
    """Seconds from creation to the first poll; an adopted job may be done already, so only its phase is random."""
    phase = rng.random() * policy.interval
    return phase if adopted else policy.first_delay + phase


def gap_at(policy: Policy, age: float) -> float:
    """Seconds to the next poll of a job that is `age` seconds old, without jitter."""
    return min(policy.cap, max(policy.interval, age * policy.growth))


def retry_delay(faults: int, rng: Random) -> float:
    """Seconds to wait after the `faults`-th fault in a row: full jitter under a doubling cap."""
    ceiling = min(RETRY_CAP_SECONDS, RETRY_BASE_SECONDS * 2.0 ** min(faults, 10))
    return RETRY_FLOOR_SECONDS + rng.random() * ceiling
