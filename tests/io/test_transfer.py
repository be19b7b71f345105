"""Limits of transfers, and what storage's answers mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.errors import BadResponseError, LinkExpiredError, RateLimitError, RefusedError, ServerError, SumeError
from sumeasync.io.transfer import Allowance, Limits, SpeedFloor, status_error


@pytest.mark.parametrize(("size", "files"), [(11, 0), (0, 4)])
def test_an_allowance_ends(size: int, files: int) -> None:
    """More bytes or files than allowed are refused, and then none of them count."""
    run = Allowance(10, 3)
    with pytest.raises(RefusedError, match="more than the"):
        run.add(size, files)
    assert (run.bytes, run.files) == (0, 0)


def test_the_parent_counts_too() -> None:
    """What the run has no room for, a job does not count either."""
    run = Allowance(10, 100)
    one, other = Allowance(100, 1, run), Allowance(100, 1, run)
    one.add(6, 1)
    with pytest.raises(RefusedError, match="10 bytes"):
        other.add(6, 1)
    assert (run.bytes, run.files, other.bytes, other.files) == (6, 1, 0, 0)


@given(sizes=st.lists(st.integers(0, 12), max_size=5), fails=st.booleans())
def test_one_file(sizes: list[int], fails: bool) -> None:
    """The last word on a file's size counts if it is saved, and nothing of it counts otherwise."""
    run = Allowance(10, 1)
    job = Allowance(10, 1, run)
    try:
        with job.one_file() as grow_to:
            for size in sizes:
                grow_to(size)
            if fails:
                raise RefusedError
        expected = (sizes[-1] if sizes else 0, 1)
    except RefusedError:
        expected = (0, 0)
    assert (job.bytes, job.files) == (run.bytes, run.files) == expected


@pytest.mark.parametrize(
    ("now", "size", "slow"),
    [(109.9, 0, False), (110, 999, True), (110, 1000, False), (120, 1999, True), (120, 2000, False)],
)
def test_least_speed(now: float, size: int, slow: bool) -> None:
    """At a window's end its bytes are held against the least speed over the time it really took."""
    floor = SpeedFloor(Limits(slow_bytes_per_second=100, slow_window_seconds=10), 100.0, 0)
    assert floor.too_slow(now, size) is slow


def test_each_window_counts_for_itself() -> None:
    """Fast bytes in one window do not excuse the next."""
    floor = SpeedFloor(Limits(slow_bytes_per_second=100, slow_window_seconds=10), 100.0, 0)
    assert not floor.too_slow(110, 1_000_000)
    assert floor.too_slow(120, 1_000_500)


def test_date_in_retry_after() -> None:
    """A date in Retry-After is measured from the wall clock's now."""
    error = status_error(429, {"Retry-After": "Thu, 01 Jan 1970 00:01:40 GMT"}, "h", 40.0)
    assert isinstance(error, RateLimitError)
    assert error.retry_after_seconds == 60


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, LinkExpiredError),
        (410, LinkExpiredError),
        (408, ServerError),
        (500, ServerError),
        (599, ServerError),
        (429, RateLimitError),
        (204, BadResponseError),
        (405, BadResponseError),
        (600, BadResponseError),
    ],
)
def test_status(status: int, error: type[SumeError]) -> None:
    """Each status has one meaning, told with the host alone."""
    found = status_error(status, {}, "h", 0.0)
    assert type(found) is error
    assert str(found) == f"h answered {status}"


def test_timeouts_are_exact() -> None:
    """The HTTP library gets the limits as they are, with no total."""
    timeout = Limits(connect_seconds=7, idle_seconds=8.5).timeout()
    assert (timeout.total, timeout.sock_connect, timeout.sock_read) == (None, 7, 8.5)
    assert timeout.ceil_threshold > 1e9
