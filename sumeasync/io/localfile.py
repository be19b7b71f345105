"""One file on a real disk, and the few system calls that open one without following a link."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from aiofiles.threadpool.binary import AsyncFileIO

from sumeasync.errors import StorageError
from sumeasync.io.disk import mapped

__all__ = ["AppendFile", "LocalFile", "open_folder", "open_new", "open_regular", "rename_new", "require_regular"]

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # non-blocking so that a named pipe cannot hang the open
NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK})


class AppendFile(io.FileIO):
    """The blocking half of a file: whole writes, one call at a time, dead after the first failure.

    The lock keeps a close out of a write that a cancelled caller left running in its thread.
    """

    def __init__(self, handle: int, path: str) -> None:
        self._lock = threading.Lock()
        self._path = path
        self._dead = ""
        super().__init__(handle, "ab")

    def write(self, data: Any) -> int:
        """Append all of `data`; returns its length in bytes."""
        with self._turn("write"):
            return self._write_all(data)

    def commit(self, data: bytes) -> None:
        """Append `data`, then sync the file's data."""
        with self._turn("write"):
            self._write_all(data)
        with self._turn("sync"):
            os.fdatasync(self.fileno())

    def close(self) -> None:
        """Give the handle back; waits for a call that is under way."""
        with self._lock, mapped("close", self._path):
            self._dead = self._dead or "it is closed"
            super().close()

    def raw_write(self, data: memoryview) -> int | None:
        """One system call: it may write less than all, and returns how much."""
        return super().write(data)

    def _write_all(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            count = self.raw_write(view)
            if not count:
                raise OSError(errno.EIO, "nothing was written")
            view = view[count:]
        return len(data)

    @contextmanager
    def _turn(self, operation: str) -> Iterator[None]:
        with self._lock, mapped(operation, self._path):
            if self._dead:
                raise StorageError(f"cannot {operation} {self._path}: {self._dead}")
            try:
                yield
            except BaseException:
                self._dead = "an earlier failure left it in doubt"
                raise


class LocalFile:
    """A `File` on a real disk."""

    def __init__(self, raw: AppendFile) -> None:
        self._raw = raw
        self._loop = asyncio.get_running_loop()
        self._stream = AsyncFileIO(raw, self._loop, None)

    async def write(self, data: bytes) -> None:
        """Append all of `data`, or raise `StorageError`."""
        await self._stream.write(data)

    def commit(self, data: bytes) -> asyncio.Future[None]:
        """Append all of `data` and make it durable; the future is under way whether or not it is awaited."""
        return self._loop.run_in_executor(None, self._raw.commit, data)

    async def close(self) -> None:
        """Close; does not sync. Harmless when already closed."""
        await self._stream.close()


def open_folder(name: str, folder: int, *, make: bool) -> int:
    """A handle of the folder `name` within `folder`; `make` makes it (0700, durably) when absent."""
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=folder)
            os.fsync(folder)
    return os.open(name, FOLDER, dir_fd=folder)


def open_new(name: str, folder: int) -> int:
    """A handle for appending to a file (0600) that did not exist."""
    return os.open(name, FILE | os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)


def open_regular(name: str, flags: int, folder: int) -> int:
    """A handle of an existing ordinary file; anything else (link, folder, pipe, device) is refused."""
    handle = os.open(name, flags | FILE, dir_fd=folder)
    try:
        require_regular(os.fstat(handle))
    except OSError:
        os.close(handle)
        raise
    return handle


def require_regular(found: os.stat_result) -> None:
    """Raise `OSError` (EINVAL) unless this is an ordinary file."""
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not an ordinary file")


def rename_new(old: str, new: str, folder: int) -> None:
    """Rename without replacing: a hard link refuses atomically when `new` exists.

    Where the file system has no links, look first: the run lock keeps every other run out of the directory.
    """
    try:
        os.link(old, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as exc:
        if exc.errno not in NO_LINKS:
            raise
        require_absent(new, folder)
        os.rename(old, new, src_dir_fd=folder, dst_dir_fd=folder)
    else:
        os.unlink(old, dir_fd=folder)


def require_absent(name: str, folder: int) -> None:
    """Raise `OSError` (EEXIST) when anything stands under this name, be it a broken link."""
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=folder, follow_symlinks=False)
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
