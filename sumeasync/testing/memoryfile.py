"""One file of a disk in memory."""

from __future__ import annotations

import asyncio
import errno as errnos
from collections.abc import Callable
from typing import Literal

import msgspec

from sumeasync.errors import StorageError
from sumeasync.io.disk import storage_error

__all__ = ["MemoryFile", "Node", "Operation"]

Operation = Literal[
    "create", "open", "write", "sync", "close", "read", "look at", "rename", "truncate", "remove", "list", "sync folder"
]
"""What can be counted, failed and hooked, in the words of the error messages."""


class Node(msgspec.Struct):
    """A file's data; the first `synced` bytes are durable."""

    data: bytearray = msgspec.field(default_factory=bytearray)
    synced: int = 0


class MemoryFile:
    """A `File` in memory: `begin` may fail an operation, `room` says how many bytes still fit."""

    def __init__(self, begin: Callable[[Operation, str], None], room: Callable[[], int], path: str, node: Node) -> None:
        self._begin = begin
        self._room = room
        self._path = path
        self._node = node
        self._dead = ""

    async def write(self, data: bytes) -> None:
        """Append all of `data`, or raise `StorageError`."""
        await asyncio.sleep(0)
        self._write(data)

    def commit(self, data: bytes) -> asyncio.Future[None]:
        """Append all of `data` and make it durable, at the loop's next turn."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        loop.call_soon(self._commit, data, future)
        return future

    async def close(self) -> None:
        """Close; does not sync. Harmless when already closed."""
        if self._dead != "it is closed":
            self._dead = "it is closed"
            await asyncio.sleep(0)
            self._begin("close", self._path)

    def _commit(self, data: bytes, future: asyncio.Future[None]) -> None:
        try:
            self._write(data)
            self._enter("sync")
        except Exception as exc:  # whatever a hook raises belongs to the caller too
            error: Exception | None = exc
        else:
            error = None
            self._node.synced = len(self._node.data)
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(None)

    def _write(self, data: bytes) -> None:
        self._enter("write")
        room = self._room()
        self._node.data += data[:room]
        if len(data) > room:
            self._dead = "an earlier failure left it in doubt"
            raise storage_error("write", self._path, errnos.ENOSPC)

    def _enter(self, operation: Operation) -> None:
        if self._dead:
            raise StorageError(f"cannot {operation} {self._path}: {self._dead}")
        try:
            self._begin(operation, self._path)
        except BaseException:
            self._dead = "an earlier failure left it in doubt"
            raise
