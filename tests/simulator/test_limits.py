"""Rate limits of the simulated service."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sumeasync.simulator import Limits
from sumeasync.simulator.limits import RateLimits


def test_off_by_default() -> None:
    """Without limits everything passes and no header is sent."""
    verdict = RateLimits(Limits()).take("read", 0)
    assert (verdict.allowed, verdict.headers) == (True, {})


def test_headers_count_down() -> None:
    """The headers give limit, remaining and the seconds until the window resets, and their X- copies."""
    headers = RateLimits(Limits(reads_per_minute=3)).take("read", 10.5).headers
    expected = {"RateLimit-Limit": "3", "RateLimit-Remaining": "2", "RateLimit-Reset": "50"}
    assert headers == expected | {f"X-{name}": value for name, value in expected.items()}


def test_waiting_retry_after_is_enough() -> None:
    """A refused request may pass after Retry-After seconds."""
    limits = RateLimits(Limits(creates_per_minute=1))
    limits.take("create", 59.4)
    refused = limits.take("create", 59.5)
    assert (refused.allowed, refused.headers["Retry-After"]) == (False, "1")
    assert limits.take("create", 60.5).allowed


def test_day_outlasts_the_minute() -> None:
    """When the day is used up, Retry-After reaches to its end."""
    limits = RateLimits(Limits(reads_per_minute=5, reads_per_day=1))
    limits.take("read", 0)
    assert limits.take("read", 3600).headers["Retry-After"] == str(86_400 - 3600)


def test_buckets_are_apart() -> None:
    """Reads use nothing of the creates' windows."""
    limits = RateLimits(Limits(reads_per_minute=1, creates_per_minute=1))
    limits.take("read", 0)
    assert limits.take("create", 0).allowed


@given(st.lists(st.floats(0, 300), max_size=60), st.integers(1, 5))
def test_never_more_than_the_limit(times: list[float], limit: int) -> None:
    """No aligned minute lets more than the limit pass."""
    limits = RateLimits(Limits(reads_per_minute=limit))
    passed = [now for now in sorted(times) if limits.take("read", now).allowed]
    assert all(sum(now // 60 == minute for now in passed) <= limit for minute in range(6))
