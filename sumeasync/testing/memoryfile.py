"""One file of a disk in memory."""

from __future__ import annotations

import asyncio
import errno as errnos
from typing import Literal, Protocol

import msgspec

from sumeasync.errors import StorageError
from sumeasync.io.disk import storage_error

__all__ = ["Beneath", "MemoryFile", "Node", "Operation"]

Operation = Literal[
    "create", "open", "write", "sync", "close", "read", "look at", "rename", "truncate", "remove", "list", "sync folder"
]
"""What can be counted, failed and hooked, in the words of the error messages."""


class Node(msgspec.Struct):
    """A file's data; the first `synced` bytes are durable."""

    data: bytearray = msgspec.field(default_factory=bytearray)
    synced: int = 0


class Beneath(Protocol):
    """What a file needs of its disk."""

    def begin(self, operation: Operation, path: str, data: bytes = b"") -> None:
        """Tell the hooks, then fail if that was asked for; `data` is what a write is about to append."""

    def room(self) -> int:
        """Bytes that still fit."""
        ...

    def sync_seconds(self) -> float:
        """How long the next sync of a commit takes."""
        ...


class MemoryFile:
    """A `File` in memory, on a disk that is told of every operation and may refuse it."""

    def __init__(self, disk: Beneath, path: str, node: Node) -> None:
        self._disk = disk
        self._path = path
        self._node = node
        self._dead = ""
        self._free_at = 0.0

    async def write(self, data: bytes) -> None:
        """Append all of `data`, or raise `StorageError`."""
        await asyncio.sleep(0)
        self._write(data)

    def commit(self, data: bytes) -> asyncio.Future[None]:
        """Append all of `data` at the loop's next turn and make it durable, at once or as late as the disk says."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        loop.call_soon(self._commit, data, future)
        return future

    async def close(self) -> None:
        """Close; does not sync. Harmless when already closed."""
        if self._dead != "it is closed":
            self._dead = "it is closed"
            await asyncio.sleep(0)
            self._disk.begin("close", self._path)

    def _commit(self, data: bytes, future: asyncio.Future[None]) -> None:
        try:
            self._write(data)
        except Exception as error:  # whatever a hook raises belongs to the caller too
            settle(future, error)
            return
        loop, size = asyncio.get_running_loop(), len(self._node.data)
        self._free_at = max(self._free_at, loop.time()) + self._disk.sync_seconds()  # one sync after the other
        if self._free_at <= loop.time():
            self._sync(size, future)
        else:
            loop.call_at(self._free_at, self._sync, size, future)

    def _sync(self, size: int, future: asyncio.Future[None]) -> None:
        try:
            self._enter("sync")
        except Exception as error:
            settle(future, error)
            return
        self._node.synced = max(self._node.synced, size)
        settle(future, None)

    def _write(self, data: bytes) -> None:
        self._enter("write", data)
        room = self._disk.room()
        self._node.data += data[:room]
        if len(data) > room:
            self._dead = "an earlier failure left it in doubt"
            raise storage_error("write", self._path, errnos.ENOSPC)

    def _enter(self, operation: Operation, data: bytes = b"") -> None:
        if self._dead:
            raise StorageError(f"cannot {operation} {self._path}: {self._dead}")
        try:
            self._disk.begin(operation, self._path, data)
        except BaseException:
            self._dead = "an earlier failure left it in doubt"
            raise


def settle(future: asyncio.Future[None], error: Exception | None) -> None:
    """Resolve a commit, unless its waiter was cancelled meanwhile."""
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(None)
