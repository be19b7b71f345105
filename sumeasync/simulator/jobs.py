"""One simulated job. All its times are fixed at creation, so its state is a pure function of the time."""

from __future__ import annotations

import heapq
from random import Random
from typing import Literal

from sumeasync.simulator.settings import TypeSettings

__all__ = ["ACTIVE", "Fate", "Job", "Origin", "Slots", "State", "draw_fate", "job_id"]

Fate = Literal["completed", "failed", "canceled", "expired"]
State = Literal["queued", "running", "completed", "failed", "canceled", "expired"]
Origin = Literal["api", "foreign", "preload"]
ACTIVE = ("queued", "running")

_ODD = 0x9E3779B97F4A7C15  # an odd factor permutes the 64-bit numbers: ids are unique and look random
_MASK = (1 << 64) - 1


class Job:
    """A job: queued until `started_at`, running until `ended_at`, then `fate` for ever.

    `detail` is what the job was about (an avatar id, an object key); `shown` tells that an answer showed it ended.
    """

    __slots__ = (
        "created_at",
        "credits",
        "detail",
        "ended_at",
        "fate",
        "id",
        "origin",
        "seq",
        "shown",
        "started_at",
        "type",
    )

    def __init__(self, seq: int, id: str, type: str, times: tuple[float, float, float], fate: Fate) -> None:
        self.seq = seq
        self.id = id
        self.type = type
        self.created_at, self.started_at, self.ended_at = times
        self.fate: Fate = fate
        self.credits = 0
        self.origin: Origin = "api"
        self.detail = ""
        self.shown = False

    def __repr__(self) -> str:
        times = f"{self.created_at:.3f} {self.started_at:.3f} {self.ended_at:.3f}"
        return f"<Job {self.id} {self.type} {times} {self.fate}>"

    def state(self, now: float) -> State:
        """Return the state at `now`."""
        if now >= self.ended_at:
            return self.fate
        return "running" if now >= self.started_at else "queued"


class Slots:
    """Places to run in, given first in first out. The order of starts is the order of `place` calls."""

    def __init__(self, count: int | None) -> None:
        self.count = count
        self.free_at: list[float] = [] if count is None else [0.0] * count

    def place(self, ready_at: float, run_seconds: float) -> tuple[float, float]:
        """Return when a job that could start at `ready_at` does start, and when it ends."""
        if self.count is None:
            return ready_at, ready_at + run_seconds
        started_at = max(ready_at, self.free_at[0])
        heapq.heapreplace(self.free_at, started_at + run_seconds)
        return started_at, started_at + run_seconds


def draw_fate(kind: TypeSettings, rng: Random) -> tuple[Fate, float]:
    """Draw how a job ends, and the part of its run it gets through before that."""
    luck = rng.random()
    if luck < kind.failure_rate:
        return "failed", rng.random()
    luck -= kind.failure_rate
    if luck < kind.expiry_rate:
        return "expired", 1.0
    if luck - kind.expiry_rate < kind.cancellation_rate:
        return "canceled", rng.random()
    return "completed", 1.0


def job_id(seq: int, salt: int) -> str:
    """Return the id of the `seq`-th job of a world."""
    return f"job_{(seq * _ODD + salt) & _MASK:016x}"
