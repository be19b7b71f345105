"""Rate limits of one key: fixed windows of a minute and of a day for each bucket."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from sumeasync.simulator.settings import Limits

__all__ = ["Bucket", "RateLimits", "Verdict"]

Bucket = Literal["read", "create"]
MINUTE = 60.0
DAY = 86_400.0


class Verdict(msgspec.Struct, frozen=True):
    """Whether a request may pass, and the headers that say so."""

    allowed: bool
    headers: dict[str, str]


class Window:
    """At most `limit` requests in each aligned window of `seconds`."""

    __slots__ = ("index", "limit", "seconds", "used")

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self.index = -1
        self.used = 0

    def roll(self, now: float) -> None:
        """Start afresh when `now` lies in another window."""
        index = int(now // self.seconds)
        if index != self.index:
            self.index, self.used = index, 0

    @property
    def remaining(self) -> int:
        return self.limit - self.used

    def reset_seconds(self, now: float) -> int:
        """Whole seconds until the next window, rounded up so that waiting them out is enough."""
        return max(1, math.ceil((self.index + 1) * self.seconds - now))


class RateLimits:
    """The windows of both buckets. A refused request uses nothing up."""

    def __init__(self, limits: Limits) -> None:
        self.windows: dict[Bucket, list[Window]] = {
            "read": _windows(limits.reads_per_minute, limits.reads_per_day),
            "create": _windows(limits.creates_per_minute, limits.creates_per_day),
        }

    def take(self, bucket: Bucket, now: float) -> Verdict:
        """Count one request of `bucket`, or refuse it. No headers when the bucket is not limited."""
        windows = self.windows[bucket]
        if not windows:
            return Verdict(True, {})
        for window in windows:
            window.roll(now)
        tightest = min(windows, key=lambda window: (window.remaining, -window.seconds))
        allowed = tightest.remaining > 0
        if allowed:
            for window in windows:
                window.used += 1
        reset = tightest.reset_seconds(now)
        headers = _headers(tightest.limit, tightest.remaining, reset)
        if not allowed:
            headers["Retry-After"] = str(reset)
        return Verdict(allowed, headers)


def _windows(per_minute: int | None, per_day: int | None) -> list[Window]:
    pairs = ((per_minute, MINUTE), (per_day, DAY))
    return [Window(limit, seconds) for limit, seconds in pairs if limit is not None]


def _headers(limit: int, remaining: int, reset: int) -> dict[str, str]:
    values = {"RateLimit-Limit": str(limit), "RateLimit-Remaining": str(remaining), "RateLimit-Reset": str(reset)}
    return values | {f"X-{name}": value for name, value in values.items()}
