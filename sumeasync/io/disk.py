"""The output directory behind a narrow seam, so that tests can lose what was not synced and fill the disk.

Every path is relative to the directory, uses forward slashes, and is never followed through a symbolic link.
Every method raises `StorageError` (or a subclass) and nothing else; its message names the operation, the path and
the error's symbol, and its `errno` is the system's. `LocalDisk` keeps this promise on a real directory,
`sumeasync.testing.MemoryDisk` in memory; one contract test runs against both.

What is durable when: `commit` makes a file's data durable; `append` (when it makes the file) and `rename` make its
name durable; `truncate` is durable at once; `create` and `remove` leave that to a later `rename` in the folder.
"""

from __future__ import annotations

import asyncio
import errno as errnos
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Protocol

from sumeasync.errors import DiskFullError, StorageError

__all__ = ["CHUNK_BYTES", "NO_HANDLES", "Disk", "File", "mapped", "preflight", "split_path", "storage_error"]

CHUNK_BYTES = 1 << 20
"""No read yields more than this at once."""

PROBE = ".probe"

FULL = frozenset({errnos.ENOSPC, errnos.EDQUOT})
NO_HANDLES = frozenset({errnos.EMFILE, errnos.ENFILE})
"""Errors of a process, or a system, that has as many files open as it may have."""

HINTS = {
    "allow more open files (ulimit -n)": NO_HANDLES,
    "fix the permissions, or choose another --out": {errnos.EACCES, errnos.EPERM, errnos.EROFS},
    "choose another --out": {errnos.ENOTDIR, errnos.ENAMETOOLONG, errnos.ELOOP, errnos.EISDIR},
    "the directory, or something in it, was removed; put it back": {errnos.ENOENT, errnos.ESTALE},
    "check the disk: it may be failing": {errnos.EIO, errnos.ENXIO, errnos.ENODEV},
    "allow larger files (ulimit -f)": {errnos.EFBIG},
}


class File(Protocol):
    """A file open for appending. After any error it is dead: every further call but `close` raises `StorageError`.

    A call whose caller is cancelled still takes effect, whole, or not at all.
    """

    async def write(self, data: bytes) -> None:
        """Append all of `data`, or raise."""

    def commit(self, data: bytes) -> asyncio.Future[None]:
        """Append all of `data` and make the file's data durable, in one thread hop. A failed sync is never retried.

        The future is under way whether or not it is awaited.
        """
        ...

    async def close(self) -> None:
        """Close; does not sync. Harmless when already closed."""


class Disk(Protocol):
    """What the engine needs of a directory."""

    async def create(self, path: str) -> File:
        """Make a new file (mode 0600) and missing parent folders (0700); refuse if anything stands there."""
        ...

    async def append(self, path: str) -> File:
        """Open a file for appending, making it (durably) and its parent folders when absent."""
        ...

    def read(self, path: str, *, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """Yield the file's bytes from `offset` in chunks of at most 1 MiB."""
        ...

    async def size(self, path: str) -> int | None:
        """The file's size in bytes; None when it is absent."""
        ...

    async def rename(self, old: str, new: str, *, replace: bool = False) -> None:
        """Rename within one folder and sync that folder; refuse to replace unless told."""

    async def truncate(self, path: str, size: int) -> None:
        """Cut the file to `size` bytes and make that durable."""

    async def remove(self, path: str) -> None:
        """Remove a file; nothing happens when it is absent."""

    async def names(self, path: str = "") -> list[str]:
        """The names in a folder, sorted; empty when the folder is absent."""
        ...

    async def free_bytes(self) -> int:
        """Space left for an ordinary user on the file system that holds the directory."""
        ...


async def preflight(disk: Disk) -> None:
    """Write, sync, rename and remove a probe file, so that a disk that refuses is found before money is spent.

    Raises:
        StorageError: what the disk refused.
    """
    done = f"{PROBE}-done"
    await disk.remove(PROBE)  # a crash may have left it
    probe = await disk.create(PROBE)
    try:
        await probe.commit(b"probe\n")
    finally:
        await probe.close()
    await disk.rename(PROBE, done, replace=True)
    await disk.remove(done)


def split_path(path: str) -> tuple[tuple[str, ...], str]:
    """The folders of a relative path, and its last name.

    Raises:
        StorageError: the path is absolute, empty, climbs with ``..``, or has an empty component or a NUL.
    """
    *folders, name = parts = path.split("/")
    if "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise StorageError(f"not a path inside the output directory: {path!r}")
    return tuple(folders), name


def storage_error(operation: str, path: str, code: int) -> StorageError:
    """The error for a system error number, e.g. ``cannot write a.part: No space left on device (ENOSPC)``.

    Its hint says what to do about this very number.
    """
    name = errnos.errorcode.get(code, str(code))
    hint = next((f"{text}, then run the same command again" for text, codes in HINTS.items() if code in codes), "")
    kind = DiskFullError if code in FULL else StorageError
    error = kind(f"cannot {operation} {path or 'the output directory'}: {os.strerror(code)} ({name})", hint=hint)
    error.errno = code
    return error


@contextmanager
def mapped(operation: str, path: str) -> Iterator[None]:
    """Turn every `OSError` of the block into a `StorageError` that says what was tried, on what."""
    try:
        yield
    except StorageError:
        raise
    except OSError as exc:
        raise storage_error(operation, path, exc.errno or errnos.EIO) from exc
