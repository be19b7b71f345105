"""A disk in memory that knows what a power failure would leave, fails on demand, and fills up.

```python
disk = MemoryDisk(capacity=1 << 20)
disk.fail("sync", errno.EIO, at=3)             # the third sync from now
disk.on_operation = lambda operation, path: …  # called before each takes effect
disk.on_write = lambda path, data: …           # likewise, with what a write is about to append
disk.commit_seconds = lambda: 0.02             # how long each sync of a commit takes
found = disk.crash(random.Random(7))           # another disk: what is found after the lights went out
```

Data is durable up to the last sync of its file, names up to the last sync of their folder; folders at once. What of
the rest survives is a `Keep`: by default a random prefix of the data, and of the changes of names in their order.
"""

from __future__ import annotations

import asyncio
import errno as errnos
from collections.abc import AsyncGenerator, Callable
from random import Random

import msgspec

from sumeasync.errors import StorageError
from sumeasync.io.disk import CHUNK_BYTES, split_path, storage_error
from sumeasync.testing.memoryfile import MemoryFile, Node, Operation
from sumeasync.testing.remains import Keep, apply, remains, survivors

__all__ = ["MemoryDisk"]

ROOMY = 1 << 40


class Fault(msgspec.Struct):
    """An operation that will fail: the `left`-th from now, once or from then on."""

    operation: Operation
    code: int
    left: int
    forever: bool
    path: str | None


class MemoryDisk:
    """A `Disk` in memory. `capacity` bounds the bytes of all files together; `on_operation` sees each operation."""

    def __init__(self, *, capacity: int | None = None) -> None:
        self.capacity = capacity
        self.on_operation: Callable[[Operation, str], None] | None = None
        self.on_write: Callable[[str, bytes], None] | None = None
        self.commit_seconds: Callable[[], float] | None = None
        self._files: dict[str, Node] = {}
        self._durable: dict[str, Node] = {}
        self._unsynced: list[dict[str, Node | None]] = []
        self._folders: set[tuple[str, ...]] = {()}
        self._faults: list[Fault] = []

    def __repr__(self) -> str:
        return f"MemoryDisk({len(self._files)} files, {self._used()} bytes)"

    # For the tests that own the disk.

    def fail(
        self, operation: Operation, code: int, *, at: int = 1, forever: bool = False, path: str | None = None
    ) -> None:
        """Let the `at`-th such operation from now (on `path`, when given) fail with errno `code`, or all from it on."""
        self._faults.append(Fault(operation, code, at, forever, path))

    def heal(self) -> None:
        """Forget every failure that was asked for."""
        self._faults.clear()

    def crash(self, rng: Random | None = None, keep: Keep = "prefix") -> MemoryDisk:
        """The disk as found after a power failure now; this one is left as it is.

        Without `rng` everything un-synced is lost; with it, it says what of it survives in the manner of `keep`.
        """
        found = MemoryDisk(capacity=self.capacity)
        found._folders = set(self._folders)
        found.commit_seconds = self.commit_seconds
        files = dict(self._durable)
        for change in survivors(self._unsynced, rng, keep):
            apply(change, files)
        for path, node in files.items():
            found.put(path, remains(node, rng, keep))
        return found

    def land(self, path: str, data: bytes) -> None:
        """Let `data` stand at the file's end, un-synced: what a write had done when it was cut short."""
        self._files[path].data += data

    def durable(self, path: str) -> bytes | None:
        """What of a file no crash can take; None when that may be all of it."""
        node = self._durable.get(path)
        return None if node is None else bytes(node.data[: node.synced])

    def unsynced(self, path: str) -> bytes:
        """What of a file is not durable yet; raises KeyError when it is absent."""
        node = self._files[path]
        return bytes(node.data[node.synced :])

    def put(self, path: str, data: bytes) -> None:
        """Let a file with this content stand there, durably."""
        folders, _ = split_path(path)
        self._make_folders(folders)
        self._files[path] = self._durable[path] = Node(bytearray(data), len(data))

    def content(self, path: str) -> bytes:
        """A file's whole content, synced or not; raises KeyError when it is absent."""
        return bytes(self._files[path].data)

    def paths(self) -> list[str]:
        """Every file's path, sorted."""
        return sorted(self._files)

    # For the file and the methods below.

    def begin(self, operation: Operation, path: str, data: bytes = b"") -> None:
        """Tell the hooks, then fail if that was asked for."""
        if self.on_operation is not None:
            self.on_operation(operation, path)
        if self.on_write is not None and operation == "write":
            self.on_write(path, data)
        for fault in self._faults:
            if fault.operation == operation and fault.path in (None, path):
                fault.left -= 1
                if fault.left == 0 or (fault.forever and fault.left < 0):
                    raise storage_error(operation, path, fault.code)

    def room(self) -> int:
        """Bytes that still fit."""
        return ROOMY if self.capacity is None else max(0, self.capacity - self._used())

    def sync_seconds(self) -> float:
        """How long the next sync of a commit takes."""
        return self.commit_seconds() if self.commit_seconds else 0.0

    # The `Disk` protocol.

    async def create(self, path: str) -> MemoryFile:
        """Make a new file; see `Disk.create`."""
        await asyncio.sleep(0)
        self.begin("create", path)
        self._make_folders(split_path(path)[0])
        if path in self._files or self._is_folder(path):
            raise storage_error("create", path, errnos.EEXIST)
        return MemoryFile(self, path, self._enter_node(path))

    async def append(self, path: str) -> MemoryFile:
        """Open a file for appending; see `Disk.append`."""
        await asyncio.sleep(0)
        self.begin("open", path)
        folders, _ = split_path(path)
        self._make_folders(folders)
        if self._is_folder(path):
            raise storage_error("open", path, errnos.EISDIR)
        node = self._files.get(path) or self._enter_node(path)
        self._sync_folder(folders)
        return MemoryFile(self, path, node)

    async def read(self, path: str, *, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """Yield the file's bytes from `offset`; see `Disk.read`."""
        await asyncio.sleep(0)
        self.begin("read", path)
        node = self._existing("read", path)
        while chunk := bytes(node.data[offset : offset + CHUNK_BYTES]):
            yield chunk
            offset += len(chunk)

    async def size(self, path: str) -> int | None:
        """The file's size in bytes; None when it is absent."""
        await asyncio.sleep(0)
        self.begin("look at", path)
        split_path(path)
        if self._is_folder(path):
            raise storage_error("look at", path, errnos.EINVAL)
        node = self._files.get(path)
        return None if node is None else len(node.data)

    async def rename(self, old: str, new: str, *, replace: bool = False) -> None:
        """Rename within one folder and sync it; see `Disk.rename`."""
        await asyncio.sleep(0)
        folders, _ = split_path(old)
        if split_path(new)[0] != folders:
            raise StorageError(f"cannot rename {old} to {new}: not the same folder")
        self.begin("rename", old)
        node = self._existing("rename", old)
        if self._is_folder(new):
            raise storage_error("rename", old, errnos.EISDIR if replace else errnos.EEXIST)
        if new in self._files and not replace:
            raise storage_error("rename", old, errnos.EEXIST)
        self._change({new: node, old: None})
        self._sync_folder(folders)

    async def truncate(self, path: str, size: int) -> None:
        """Cut the file to `size` bytes, durably."""
        await asyncio.sleep(0)
        self.begin("truncate", path)
        node = self._existing("truncate", path)
        del node.data[size:]
        node.synced = len(node.data)

    async def remove(self, path: str) -> None:
        """Remove a file; nothing happens when it is absent."""
        await asyncio.sleep(0)
        self.begin("remove", path)
        split_path(path)
        if self._is_folder(path):
            raise storage_error("remove", path, errnos.EISDIR)
        if path in self._files:
            self._change({path: None})

    async def names(self, path: str = "") -> list[str]:
        """The names in a folder, sorted; empty when the folder is absent."""
        await asyncio.sleep(0)
        self.begin("list", path)
        folders = folder_of(path)
        if path in self._files:
            raise storage_error("list", path, errnos.ENOTDIR)
        inner = {folder[-1] for folder in self._folders if folder and folder[:-1] == folders}
        return sorted(inner | {split_path(file)[1] for file in self._files if split_path(file)[0] == folders})

    async def free_bytes(self) -> int:
        """Bytes that still fit."""
        await asyncio.sleep(0)
        return self.room()

    def _used(self) -> int:
        return sum(len(node.data) for node in self._files.values())

    def _is_folder(self, path: str) -> bool:
        return folder_of(path) in self._folders

    def _existing(self, operation: Operation, path: str) -> Node:
        split_path(path)
        if path not in self._files:
            raise storage_error(operation, path, errnos.EISDIR if self._is_folder(path) else errnos.ENOENT)
        return self._files[path]

    def _enter_node(self, path: str) -> Node:
        node = Node()
        self._change({path: node})
        return node

    def _make_folders(self, folders: tuple[str, ...]) -> None:
        for depth in range(1, len(folders) + 1):
            if "/".join(folders[:depth]) in self._files:
                raise storage_error("create", "/".join(folders[:depth]), errnos.ENOTDIR)
            self._folders.add(folders[:depth])

    def _change(self, change: dict[str, Node | None]) -> None:
        apply(change, self._files)
        self._unsynced.append(change)

    def _sync_folder(self, folders: tuple[str, ...]) -> None:
        self.begin("sync folder", "/".join(folders))
        waiting = self._unsynced
        self._unsynced = []
        for change in waiting:
            if all(split_path(path)[0] == folders for path in change):
                apply(change, self._durable)
            else:
                self._unsynced.append(change)


def folder_of(path: str) -> tuple[str, ...]:
    """The components of a folder's path; none for the directory itself."""
    if not path:
        return ()
    folders, name = split_path(path)
    return (*folders, name)
