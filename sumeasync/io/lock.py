"""One run at a time in an output directory: a kernel lock on ``.lock`` that dies with its holder.

The file holds who took the lock, for the one who is refused; it is never removed, so that no two runs can hold
locks on two files of that name.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable
from types import TracebackType

import msgspec

from sumeasync.errors import LockedError, StorageError
from sumeasync.io.disk import mapped

__all__ = ["LOCK", "Holder", "RunLock"]

LOCK = ".lock"
HOLDER_LIMIT = 4096
UNFIT = {
    errno.EEXIST: "is a file",
    errno.ENOTDIR: "lies below a file",
    errno.ENOENT: "cannot be made, or holds no files",
}
"""What a directory is that cannot be one for the output, by the system's error number."""


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock. `since` is wall-clock epoch seconds, informative only."""

    pid: int
    host: str
    since: float


class RunLock:
    """Holds the directory `root` (made when absent) between `acquire` and `release`, or as an async context manager.

    A second holder is refused at once, be it another process or another engine in this one.
    """

    def __init__(self, root: str | os.PathLike[str], *, wall_clock: Callable[[], float] = time.time) -> None:
        self._root = os.fspath(root)
        self._wall_clock = wall_clock
        self._handle: int | None = None

    async def acquire(self) -> None:
        """Take the lock.

        Raises:
            LockedError: it is held; the message names the holder.
            StorageError: the directory or the lock file cannot be written.
        """
        taking = asyncio.get_running_loop().run_in_executor(None, take, self._root, self._wall_clock())
        try:
            self._handle = await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(give_back)  # the thread may still take it
            raise

    async def release(self) -> None:
        """Give the lock back. Harmless when it is not held."""
        handle, self._handle = self._handle, None
        if handle is not None:
            await asyncio.get_running_loop().run_in_executor(None, os.close, handle)

    async def __aenter__(self) -> RunLock:
        await self.acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.release()


def take(root: str, now: float) -> int:
    """Take the lock of a directory, blocking on nothing but the disk; returns the handle that holds it."""
    with mapped("lock", ""):
        try:
            handle = open_lock(root)
        except OSError as exc:
            raise unfit(exc) from exc
        try:
            lock_and_sign(handle, now)
        except BaseException:
            os.close(handle)
            raise
        return handle


def open_lock(root: str) -> int:
    """Open the lock file of a directory, making both where they are absent. Raises OSError."""
    os.makedirs(root, mode=0o700, exist_ok=True)
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    finally:
        os.close(folder)


def unfit(problem: OSError) -> OSError:
    """What is wrong with a directory that cannot be one for the output; other problems as they are."""
    code = problem.errno or 0
    if code not in UNFIT:
        return problem
    error = StorageError(f"the output directory {UNFIT[code]} ({errno.errorcode[code]})", hint="choose another --out")
    error.errno = code
    return error


def lock_and_sign(handle: int, now: float) -> None:
    """Lock an open file, or say who has; then write down who holds it now."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise LockedError(f"the output directory is in use by {described(handle)}") from exc
    os.ftruncate(handle, 0)
    os.pwrite(handle, msgspec.json.encode(Holder(os.getpid(), socket.gethostname(), now)) + b"\n", 0)


def described(handle: int) -> str:
    """Who holds the lock, as far as the file says: it may just be being written."""
    try:
        holder = msgspec.json.decode(os.pread(handle, HOLDER_LIMIT, 0), type=Holder)
    except msgspec.MsgspecError:
        return "another run"
    since = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(holder.since))
    return f"process {holder.pid} on {holder.host} since {since}"


def give_back(taking: asyncio.Future[int]) -> None:
    """Release a lock whose taker was cancelled before it came."""
    if not taking.cancelled() and taking.exception() is None:
        os.close(taking.result())
