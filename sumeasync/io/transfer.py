"""What transfers to and from storage have in common: their limits, what they may use up, what an answer means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import aiohttp
import msgspec

from sumeasync.core.budget.retryafter import retry_after_seconds
from sumeasync.errors import (
    BadResponseError,
    LinkExpiredError,
    RateLimitError,
    RefusedError,
    ServerError,
    SumeError,
)

__all__ = ["Allowance", "Limits", "SpeedFloor", "status_error"]

EXPIRED = frozenset({400, 401, 403, 404, 410})
TRANSIENT = frozenset({408, 425, *range(500, 600)})


class Limits(msgspec.Struct, frozen=True):
    """What one transfer may take: bytes, seconds, bytes a second. `spare_bytes` are left free on the disk."""

    file_bytes: int = 4 * 1024**3
    spare_bytes: int = 256 * 1024**2
    connect_seconds: float = 30.0
    idle_seconds: float = 30.0
    slow_bytes_per_second: float = 1024.0
    slow_window_seconds: float = 30.0

    def timeout(self) -> aiohttp.ClientTimeout:
        """The HTTP library's part of these limits, not rounded up to whole seconds."""
        return aiohttp.ClientTimeout(
            total=None, sock_connect=self.connect_seconds, sock_read=self.idle_seconds, ceil_threshold=float("inf")
        )


class Allowance:
    """How much may be saved, shared by several files: one for a run and, below it, one for each job."""

    def __init__(self, max_bytes: int, max_files: int, parent: Allowance | None = None) -> None:
        self.max_bytes = max_bytes
        self.max_files = max_files
        self.parent = parent
        self.bytes = 0
        self.files = 0

    def add(self, size: int = 0, files: int = 0) -> None:
        """Count bytes and files, negative ones to give back; raises `RefusedError`, counting nothing, at a limit."""
        if size > 0 and self.bytes + size > self.max_bytes:
            raise RefusedError(f"more than the {self.max_bytes} bytes of media that are allowed")
        if files > 0 and self.files + files > self.max_files:
            raise RefusedError(f"more than the {self.max_files} media files that are allowed")
        if self.parent is not None:
            self.parent.add(size, files)
        self.bytes += size
        self.files += files

    @contextmanager
    def one_file(self) -> Iterator[Callable[[int], None]]:
        """Count one file and what its bytes are said to be (last word counts); unless it is saved, count neither."""
        size = 0

        def grow_to(new_size: int) -> None:
            nonlocal size
            self.add(new_size - size)
            size = new_size

        self.add(files=1)
        try:
            yield grow_to
        except BaseException:
            self.add(-size, -1)
            raise


class SpeedFloor:
    """Notices a transfer that trickles: less than the least speed over a whole window."""

    def __init__(self, limits: Limits, now: float, size: int) -> None:
        self.seconds = limits.slow_window_seconds
        self.least_bytes = limits.slow_bytes_per_second * self.seconds
        self.since, self.size = now, size

    def too_slow(self, now: float, size: int) -> bool:
        """Whether a window has ended by `now`, in which fewer bytes came than must; a new one then begins."""
        if now - self.since < self.seconds:
            return False
        slow = size - self.size < self.least_bytes * (now - self.since) / self.seconds
        self.since, self.size = now, size
        return slow


def status_error(status: int, headers: Mapping[str, str], host: str | None, wall_now: float) -> SumeError:
    """Return the error for an answer of storage that is not what was asked for; the body is not looked at."""
    message = f"{host} answered {status}"
    if status in EXPIRED:
        return LinkExpiredError(message)
    wait = retry_after_seconds(headers.get("Retry-After"), wall_now)
    if status == 429:
        return RateLimitError(message, status=status, retry_after_seconds=wait)
    if status in TRANSIENT:
        return ServerError(message, status=status, retry_after_seconds=wait)
    return BadResponseError(message, status=status)
