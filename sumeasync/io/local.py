"""A directory on a real disk: never through a link, never half a write, never a second sync after a failed one.

Every path is walked component by component from one handle of the directory, each opened with ``O_NOFOLLOW``, so
a link planted inside the output directory leads nowhere. Blocking calls run on the loop's executor.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import aiofiles

from sumeasync.errors import StorageError
from sumeasync.io.disk import CHUNK_BYTES, mapped, split_path
from sumeasync.io.localfile import (
    AppendFile,
    LocalFile,
    open_folder,
    open_new,
    open_regular,
    rename_new,
    require_regular,
)

__all__ = ["LocalDisk"]

T = TypeVar("T")


class LocalDisk:
    """A `Disk` on the directory `root`, which the first call that writes makes (mode 0700) when it is absent.

    `root` itself may be reached through links: it is the user's choice. Nothing below it may.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = os.fspath(root)
        self._handle: int | None = None
        self._opening = threading.Lock()

    def __repr__(self) -> str:
        return f"LocalDisk({self._root!r})"

    async def create(self, path: str) -> LocalFile:
        """Make a new file; see `Disk.create`."""
        return await self._open("create", path, self._create)

    async def append(self, path: str) -> LocalFile:
        """Open a file for appending; see `Disk.append`."""
        return await self._open("open", path, self._append)

    async def read(self, path: str, *, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """Yield the file's bytes from `offset`; see `Disk.read`."""
        folders, name = split_path(path)

        def opener(_path: str, _flags: int) -> int:
            with self._folder(folders) as folder:
                handle = open_regular(name, os.O_RDONLY, folder)
            os.lseek(handle, offset, os.SEEK_SET)
            return handle

        with mapped("read", path):
            async with aiofiles.open(path, "rb", buffering=0, opener=opener) as file:
                while chunk := await file.read(CHUNK_BYTES):
                    yield chunk

    async def size(self, path: str) -> int | None:
        """The file's size in bytes; None when it is absent."""
        return await self._run("look at", path, self._size, *split_path(path))

    async def rename(self, old: str, new: str, *, replace: bool = False) -> None:
        """Rename within one folder and sync it; see `Disk.rename`."""
        folders, name = split_path(old)
        target_folders, target = split_path(new)
        if target_folders != folders:
            raise StorageError(f"cannot rename {old} to {new}: not the same folder")
        await self._run("rename", old, self._rename, folders, name, target, replace)

    async def truncate(self, path: str, size: int) -> None:
        """Cut the file to `size` bytes, durably."""
        await self._run("truncate", path, self._truncate, *split_path(path), size)

    async def remove(self, path: str) -> None:
        """Remove a file; nothing happens when it is absent."""
        await self._run("remove", path, self._remove, *split_path(path))

    async def names(self, path: str = "") -> list[str]:
        """The names in a folder, sorted; empty when the folder is absent."""
        folders, name = split_path(path) if path else ((), "")
        return await self._run("list", path, self._names, (*folders, name) if name else ())

    async def free_bytes(self) -> int:
        """Space left for an ordinary user on the file system that holds the directory."""
        return await self._run("look at", "", self._free_bytes)

    async def _run(self, operation: str, path: str, call: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(None, run_mapped, operation, path, call, *args)

    async def _open(self, operation: str, path: str, call: Callable[[tuple[str, ...], str], int]) -> LocalFile:
        where = split_path(path)
        opening = asyncio.get_running_loop().run_in_executor(
            None, run_mapped, operation, path, lambda: AppendFile(call(*where), path)
        )
        try:
            return LocalFile(await asyncio.shield(opening))
        except asyncio.CancelledError:
            opening.add_done_callback(close_unwanted)  # the thread may still open it
            raise

    # What follows blocks, and runs on the executor.

    def _base(self, *, make: bool) -> int:
        with self._opening:
            if self._handle is None:
                if make:
                    os.makedirs(self._root, mode=0o700, exist_ok=True)
                self._handle = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                weakref.finalize(self, os.close, self._handle)
            return self._handle

    @contextmanager
    def _folder(self, folders: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
        handle = os.dup(self._base(make=make))
        try:
            for name in folders:
                inner = open_folder(name, handle, make=make)
                os.close(handle)
                handle = inner
            yield handle
        finally:
            os.close(handle)

    def _create(self, folders: tuple[str, ...], name: str) -> int:
        with self._folder(folders, make=True) as folder:
            return open_new(name, folder)

    def _append(self, folders: tuple[str, ...], name: str) -> int:
        with self._folder(folders, make=True) as folder:
            try:
                handle = open_new(name, folder)
            except FileExistsError:
                handle = open_regular(name, os.O_WRONLY | os.O_APPEND, folder)
            try:
                os.fsync(folder)  # also for a file found: whoever made it may have been killed before this
            except OSError:
                os.close(handle)
                raise
            return handle

    def _size(self, folders: tuple[str, ...], name: str) -> int | None:
        try:
            with self._folder(folders) as folder:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        require_regular(found)
        return found.st_size

    def _rename(self, folders: tuple[str, ...], name: str, target: str, replace: bool) -> None:
        with self._folder(folders) as folder:
            if replace:
                os.rename(name, target, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                rename_new(name, target, folder)
            os.fsync(folder)

    def _truncate(self, folders: tuple[str, ...], name: str, size: int) -> None:
        with self._folder(folders) as folder:
            handle = open_regular(name, os.O_WRONLY, folder)
        try:
            os.ftruncate(handle, size)
            os.fsync(handle)
        finally:
            os.close(handle)

    def _remove(self, folders: tuple[str, ...], name: str) -> None:
        with suppress(FileNotFoundError), self._folder(folders) as folder:
            os.unlink(name, dir_fd=folder)

    def _names(self, folders: tuple[str, ...]) -> list[str]:
        try:
            with self._folder(folders) as folder:
                return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []

    def _free_bytes(self) -> int:
        found = os.fstatvfs(self._base(make=True))
        return found.f_bavail * found.f_frsize


def run_mapped(operation: str, path: str, call: Callable[..., T], *args: object) -> T:
    """Call, with system errors turned into `StorageError` where they arise."""
    with mapped(operation, path):
        return call(*args)


def close_unwanted(opening: asyncio.Future[AppendFile]) -> None:
    """Close a file whose opener was cancelled before it came."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
