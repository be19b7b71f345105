"""The disk in memory: what a power failure leaves, what fails on demand, and where room ends."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Awaitable

import pytest

from sumeasync.errors import StorageError
from sumeasync.io.disk import Disk
from sumeasync.testing.disk import MemoryDisk

SEEDS = range(40)


async def file_with(disk: Disk, path: str, synced: bytes, unsynced: bytes = b"") -> None:
    """Append to a file: first what is committed, then what is not."""
    file = await disk.append(path)
    await file.commit(synced)
    await file.write(unsynced)
    await file.close()


async def error_of(call: Awaitable[object]) -> int | None:
    """The errno that a call must fail with."""
    with pytest.raises(StorageError) as caught:
        await call
    return caught.value.errno


async def test_a_crash_drops_what_was_not_synced() -> None:
    """Without a random source nothing un-synced survives, and the disk itself goes on."""
    disk = MemoryDisk()
    await file_with(disk, "a", b"kept", b" lost")
    assert disk.crash().content("a") == b"kept"
    assert disk.content("a") == b"kept lost"


async def test_a_crash_tears_what_was_not_synced() -> None:
    """With a random source every prefix of the un-synced bytes can be what is left, and nothing else."""
    disk = MemoryDisk()
    await file_with(disk, "a", b"kept", b"123")
    found = {disk.crash(random.Random(seed)).content("a") for seed in SEEDS}
    assert found == {b"kept", b"kept1", b"kept12", b"kept123"}


async def test_a_created_name_is_lost_until_its_folder_is_synced() -> None:
    """Synced data is of no use under a name that is not: a rename in the folder makes both durable."""
    disk = MemoryDisk()
    file = await disk.create("a/x.part")
    await file.commit(b"data")
    assert disk.crash().paths() == []
    await disk.rename("a/x.part", "a/x")
    assert disk.crash().paths() == ["a/x"]
    assert disk.crash().content("a/x") == b"data"


async def test_changes_of_names_survive_in_order() -> None:
    """A random prefix of the un-synced changes is found, never a later one without the earlier."""
    disk = MemoryDisk()
    for path in ("a/1", "b/2", "a/3"):
        await disk.create(path)
    found = {tuple(disk.crash(random.Random(seed)).paths()) for seed in SEEDS}
    assert found == {(), ("a/1",), ("a/1", "b/2"), ("a/1", "a/3", "b/2")}


async def test_a_folder_sync_reaches_no_other_folder() -> None:
    """A rename makes durable what was made in its own folder only."""
    disk = MemoryDisk()
    for path in ("a/1", "b/2", "a/3"):
        await disk.create(path)
    await disk.rename("a/1", "a/one")
    assert disk.crash().paths() == ["a/3", "a/one"]


async def test_a_removed_file_may_come_back() -> None:
    """Removing syncs nothing."""
    disk = MemoryDisk()
    await file_with(disk, "a", b"data")
    await disk.remove("a")
    assert disk.paths() == []
    assert disk.crash().content("a") == b"data"


async def test_a_cut_is_durable_at_once() -> None:
    """What was cut off does not return, and what stays is durable."""
    disk = MemoryDisk()
    await file_with(disk, "a", b"12", b"345")
    await disk.truncate("a", 4)
    assert disk.crash().content("a") == b"1234"


async def test_folders_and_what_was_found_are_durable() -> None:
    """A crashed disk is all durable: crashing again changes nothing."""
    disk = MemoryDisk(capacity=100)
    await file_with(disk, "a/b", b"data")
    await disk.create("c/d")
    again = disk.crash().crash()
    assert await again.names() == ["a", "c"]
    assert again.paths() == ["a/b"]
    assert await again.free_bytes() == 96


async def test_the_nth_operation_fails_once() -> None:
    """A failure comes at its turn, on its path, with its errno, and only then."""
    disk = MemoryDisk()
    disk.fail("create", errno.EMFILE, at=2, path="b")
    await disk.create("a")
    await disk.create("b")
    await disk.remove("b")
    assert await error_of(disk.create("b")) == errno.EMFILE
    await disk.create("b")


async def test_a_failure_for_ever_lasts_until_healed() -> None:
    """A full disk stays full until somebody makes room."""
    disk = MemoryDisk()
    disk.fail("create", errno.ENOSPC, at=2, forever=True)
    await disk.create("a")
    for _ in range(3):
        assert await error_of(disk.create("b")) == errno.ENOSPC
    disk.heal()
    await disk.create("b")


@pytest.mark.parametrize("operation", ["write", "sync"])
async def test_a_file_dies_of_its_first_failure(operation: str) -> None:
    """A failed write or sync leaves the file dead, and nothing is durable that was not."""
    disk = MemoryDisk()
    await file_with(disk, "a", b"kept")
    file = await disk.append("a")
    disk.fail(operation, errno.EIO)  # type: ignore[arg-type]  # the parameters are words of the type
    assert await error_of(file.commit(b"x")) == errno.EIO
    assert await error_of(file.commit(b"x")) is None
    await file.close()
    assert disk.crash().content("a") == b"kept"


async def test_a_full_disk_takes_what_fits() -> None:
    """The write that fills the disk is cut short, as a real one is; removing makes room."""
    disk = MemoryDisk(capacity=8)
    await file_with(disk, "a", b"12345")
    file = await disk.append("b")
    assert await error_of(file.write(b"67890")) == errno.ENOSPC
    assert disk.content("b") == b"678"
    assert await disk.free_bytes() == 0
    await disk.remove("a")
    assert await disk.free_bytes() == 5


async def test_the_hook_sees_every_operation_before_it_happens() -> None:
    """Each step of a commit is a point where a crash can be looked at."""
    disk = MemoryDisk()
    seen: list[tuple[str, str, bytes]] = []

    def look(operation: str, path: str) -> None:
        found = disk.crash(random.Random(3))
        seen.append((operation, path, found.content("a") if "a" in found.paths() else b"-"))

    disk.on_operation = look
    await file_with(disk, "a", b"x")
    names = [(operation, path) for operation, path, _ in seen]
    assert names == [("open", "a"), ("sync folder", ""), ("write", "a"), ("sync", "a"), ("write", "a"), ("close", "a")]
    assert seen[0][2] == b"-"
    assert seen[-1][2] == b"x"


async def test_a_raising_hook_kills_the_operation() -> None:
    """What the hook raises comes out of the call, a commit's future included, and nothing was written."""
    disk = MemoryDisk()
    file = await disk.append("a")

    def stop(operation: str, path: str) -> None:
        raise RuntimeError(operation)

    disk.on_operation = stop
    with pytest.raises(RuntimeError, match="write"):
        await file.commit(b"x")
    assert disk.content("a") == b""


async def test_a_cancelled_commit_takes_effect() -> None:
    """Whoever stops waiting does not stop the commit."""
    disk = MemoryDisk()
    file = await disk.append("a")
    done = file.commit(b"x")
    done.cancel()
    await asyncio.sleep(0)
    assert disk.crash().content("a") == b"x"


def test_files_can_be_put_and_looked_at() -> None:
    """A test lays out a disk, durable at once, and reads it without a loop."""
    disk = MemoryDisk()
    disk.put("a/b", b"data")
    assert disk.crash().content("a/b") == b"data"
    assert repr(disk) == "MemoryDisk(1 files, 4 bytes)"
    with pytest.raises(StorageError, match="ENOTDIR"):
        disk.put("a/b/c", b"")


async def test_the_write_hook_sees_what_is_appended() -> None:
    """A write is told of with its data before it takes effect."""
    disk = MemoryDisk()
    seen: list[tuple[str, bytes, bytes]] = []
    disk.on_write = lambda path, data: seen.append((path, data, disk.content(path)))
    await file_with(disk, "a", b"xy")
    assert seen[0] == ("a", b"xy", b"")


async def test_a_slow_commit() -> None:
    """A commit is written at once and durable later, one after the other."""
    disk, seconds = MemoryDisk(), iter([5.0, 1.0])
    disk.commit_seconds = lambda: next(seconds)
    file = await disk.append("a")
    first, second = file.commit(b"x"), file.commit(b"y")
    await asyncio.sleep(4.9)
    assert (disk.content("a"), disk.durable("a"), disk.unsynced("a")) == (b"xy", b"", b"xy")
    await first
    assert disk.durable("a") == b"x"
    await second
    assert disk.durable("a") == b"xy"


async def test_land() -> None:
    """A part of a write that was cut short stands there, and may be lost."""
    disk = MemoryDisk()
    await file_with(disk, "a", b"x")
    disk.land("a", b"y")
    assert disk.content("a").endswith(b"xy")
    assert disk.crash(random.Random(1), "everything").content("a").endswith(b"xy")
    assert disk.crash().content("a").endswith(b"x")


async def test_durable_is_about_the_name_too() -> None:
    """A file whose name may be lost is not durable, however well its data is synced."""
    disk = MemoryDisk()
    file = await disk.create("a")
    await file.commit(b"x")
    assert disk.durable("a") is None
    await disk.rename("a", "b")
    assert (disk.durable("a"), disk.durable("b")) == (None, b"x")
