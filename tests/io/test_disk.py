"""One contract for the real directory and the one in memory; then what only a real directory can get wrong."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sumeasync.errors import DiskFullError, StorageError
from sumeasync.io.disk import CHUNK_BYTES, Disk, preflight, split_path, storage_error
from sumeasync.io.local import LocalDisk
from sumeasync.testing.disk import MemoryDisk


@pytest.fixture
def anyio_backend() -> str:
    """Real threads, so the real clock."""
    return "asyncio"


@pytest.fixture(params=["local", "memory"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    """Either disk, empty."""
    return LocalDisk(tmp_path / "out") if request.param == "local" else MemoryDisk()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The directory behind `local`."""
    return tmp_path / "out"


@pytest.fixture
def local(out: Path) -> LocalDisk:
    """A disk on a directory that does not exist yet."""
    return LocalDisk(out)


async def put(disk: Disk, path: str, data: bytes = b"data") -> None:
    """Create a file and make its data durable."""
    file = await disk.create(path)
    await file.commit(data)
    await file.close()


async def read(disk: Disk, path: str, offset: int = 0) -> bytes:
    """The whole rest of a file."""
    return b"".join([chunk async for chunk in disk.read(path, offset=offset)])


async def refused(disk_call: Callable[[], object]) -> StorageError:
    """The error that a call must raise."""
    with pytest.raises(StorageError) as caught:
        await disk_call()  # type: ignore[misc]  # every call given is a coroutine function
    return caught.value


async def test_writes_and_commits_append_in_order(disk: Disk) -> None:
    """What is written comes back, in order, from any offset."""
    file = await disk.create("a/b/c")
    await file.write(b"one ")
    await file.commit(b"two ")
    await file.write(b"three")
    await file.close()
    assert await read(disk, "a/b/c") == b"one two three"
    assert await read(disk, "a/b/c", 4) == b"two three"
    assert await disk.size("a/b/c") == 13


async def test_append_makes_a_file_or_goes_on_at_its_end(disk: Disk) -> None:
    """Appending never loses what stood there."""
    for data in (b"one", b"two"):
        file = await disk.append("log")
        await file.commit(data)
        await file.close()
    assert await read(disk, "log") == b"onetwo"


async def test_reads_in_bounded_chunks(disk: Disk) -> None:
    """No chunk is larger than a mebibyte."""
    await put(disk, "big", bytes(2 * CHUNK_BYTES + 1))
    assert [len(chunk) async for chunk in disk.read("big")] == [CHUNK_BYTES, CHUNK_BYTES, 1]


async def test_commits_need_not_be_awaited_one_by_one(disk: Disk) -> None:
    """A commit is under way from the call on; its future says when it is durable."""
    file = await disk.create("a")
    done = file.commit(b"one")
    await asyncio.wait([done])
    assert done.result() is None
    assert await read(disk, "a") == b"one"
    await file.close()


async def test_create_refuses_what_stands_there(disk: Disk) -> None:
    """A new file never replaces an old one, nor a folder."""
    await put(disk, "a/b", b"kept")
    assert (await refused(lambda: disk.create("a/b"))).errno == errno.EEXIST
    assert (await refused(lambda: disk.create("a"))).errno == errno.EEXIST
    assert await read(disk, "a/b") == b"kept"


async def test_a_file_is_no_folder(disk: Disk) -> None:
    """A path that leads through a file is refused."""
    await put(disk, "a")
    assert (await refused(lambda: disk.create("a/b"))).errno == errno.ENOTDIR
    assert (await refused(lambda: disk.names("a"))).errno == errno.ENOTDIR


async def test_a_folder_is_no_file(disk: Disk) -> None:
    """A folder is neither read, measured, cut, removed nor appended to."""
    await put(disk, "a/b")
    calls = (lambda: disk.append("a"), lambda: disk.size("a"), lambda: disk.truncate("a", 0), lambda: disk.remove("a"))
    for call in calls:
        await refused(call)
    await refused(lambda: read(disk, "a"))
    assert await read(disk, "a/b") == b"data"


async def test_rename_moves_within_a_folder(disk: Disk) -> None:
    """After a rename only the new name stands."""
    await put(disk, "a/x.part")
    await disk.rename("a/x.part", "a/x")
    assert await disk.names("a") == ["x"]
    assert await read(disk, "a/x") == b"data"


async def test_rename_refuses_to_replace_unless_told(disk: Disk) -> None:
    """Whole files are not lost to a rename by accident."""
    await put(disk, "new", b"new")
    await put(disk, "old", b"old")
    assert (await refused(lambda: disk.rename("new", "old"))).errno == errno.EEXIST
    assert await disk.names() == ["new", "old"]
    await disk.rename("new", "old", replace=True)
    assert await disk.names() == ["old"]
    assert await read(disk, "old") == b"new"


@pytest.mark.parametrize("replace", [False, True])
async def test_rename_refuses_a_folder_and_another_folder(disk: Disk, replace: bool) -> None:
    """A rename stays within its folder and never lands on a folder."""
    await put(disk, "a")
    await put(disk, "b/c")
    await refused(lambda: disk.rename("a", "b", replace=replace))
    await refused(lambda: disk.rename("a", "b/a", replace=replace))
    assert await disk.names() == ["a", "b"]


async def test_what_is_absent(disk: Disk) -> None:
    """Absence is an answer where one asks, and an error where one acts."""
    assert await disk.size("a/b") is None
    assert await disk.names("a") == []
    assert await disk.names() == []
    await disk.remove("a/b")
    assert (await refused(lambda: read(disk, "a"))).errno == errno.ENOENT
    assert (await refused(lambda: disk.truncate("a", 0))).errno == errno.ENOENT
    assert (await refused(lambda: disk.rename("a", "b"))).errno == errno.ENOENT


async def test_truncate_remove_and_names(disk: Disk) -> None:
    """A file can be cut and removed; a folder lists files and folders, sorted."""
    for path in ("b", "a", "c/d"):
        await put(disk, path)
    await disk.truncate("a", 2)
    assert await read(disk, "a") == b"da"
    await disk.remove("b")
    assert await disk.names() == ["a", "c"]


async def test_a_closed_file_is_dead(disk: Disk) -> None:
    """Closing twice is harmless; writing after it is an error, not a write to something else."""
    file = await disk.create("a")
    await file.close()
    await file.close()
    await refused(lambda: file.write(b"x"))
    with pytest.raises(StorageError):
        await file.commit(b"x")


async def test_room_is_a_number_of_bytes(disk: Disk) -> None:
    """The space left is known before anything is written."""
    assert await disk.free_bytes() > 0


async def test_preflight_leaves_nothing_behind(disk: Disk) -> None:
    """A disk in order passes, twice, even when a crash left a probe."""
    await put(disk, ".probe")
    await preflight(disk)
    await preflight(disk)
    assert await disk.names() == []


@pytest.mark.parametrize("path", ["", "/a", "a//b", "a/", "../a", "a/..", "./a", "a\0b", "a/./b"])
async def test_paths_cannot_leave_the_directory(disk: Disk, path: str) -> None:
    """Hostile paths are refused before the disk is asked."""
    with pytest.raises(StorageError, match="not a path inside"):
        split_path(path)
    for call in (disk.create, disk.append, disk.size, disk.remove):
        await refused(lambda call=call: call(path))  # type: ignore[misc]  # the default binds the loop variable
    assert await disk.names() == []


async def test_files_are_private(local: LocalDisk, out: Path) -> None:
    """Files are 0600 and folders 0700, the directory itself included."""
    await put(local, "a/b")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (out, out / "a", out / "a/b")]
    assert modes == [0o700, 0o700, 0o600]


async def test_reading_makes_no_directory(local: LocalDisk, out: Path) -> None:
    """Asking after a run that never was leaves no trace."""
    assert await local.size("a") is None
    assert await local.names() == []
    assert os.listdir(out.parent) == []


@pytest.mark.parametrize("target", ["inside", "../outside"])
async def test_links_lead_nowhere(local: LocalDisk, out: Path, target: str) -> None:
    """Neither a linked file nor a linked folder is followed, read or written, wherever it points."""
    await put(local, "inside/f", b"kept")
    (out.parent / "outside").mkdir()
    (out / "folder").symlink_to(target)
    (out / "file").symlink_to("inside/f")
    for call in (local.append, local.size, lambda path: local.truncate(path, 0), lambda path: read(local, path)):
        await refused(lambda call=call: call("file"))  # type: ignore[misc]  # the default binds the loop variable
    for call in (local.create, local.append, local.names):
        await refused(lambda call=call: call("folder/f" if call != local.names else "folder"))  # type: ignore[misc]
    assert await read(local, "inside/f") == b"kept"
    assert list((out.parent / "outside").iterdir()) == []


async def test_a_dangling_link_is_not_created_through(local: LocalDisk, out: Path) -> None:
    """A file is not made at the place a link points to, nor is the link renamed over unasked."""
    await put(local, "x.part")
    (out / "x").symlink_to("../planted")
    assert (await refused(lambda: local.create("x"))).errno == errno.EEXIST
    assert (await refused(lambda: local.append("x"))).errno == errno.ELOOP
    assert (await refused(lambda: local.rename("x.part", "x"))).errno == errno.EEXIST
    assert not (out.parent / "planted").exists()


async def test_a_pipe_does_not_hang(local: LocalDisk, out: Path) -> None:
    """A named pipe in place of a file is refused at once, for reading and for writing."""
    await put(local, "a")
    os.mkfifo(out / "pipe")
    await refused(lambda: local.append("pipe"))
    await refused(lambda: read(local, "pipe"))


async def test_the_directory_may_be_reached_by_a_link(tmp_path: Path) -> None:
    """The output directory itself is the user's choice, links and all."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    await put(LocalDisk(tmp_path / "link"), "a")
    assert (tmp_path / "real" / "a").read_bytes() == b"data"


async def test_an_error_names_operation_path_and_symbol(tmp_path: Path) -> None:
    """The message tells what failed on what, without the directory's own path; errno is kept."""
    (tmp_path / "out").write_bytes(b"")
    error = await refused(lambda: LocalDisk(tmp_path / "out").create("a/b"))
    assert str(error) == "cannot create a/b: File exists (EEXIST)"
    assert error.errno == errno.EEXIST
    assert isinstance(error, OSError)


@pytest.mark.parametrize(
    ("code", "kind", "advice"),
    [
        (errno.ENOSPC, DiskFullError, "free space"),
        (errno.EDQUOT, DiskFullError, "free space"),
        (errno.EMFILE, StorageError, "ulimit -n"),
        (errno.ENFILE, StorageError, "ulimit -n"),
        (errno.EACCES, StorageError, "permissions"),
        (errno.EROFS, StorageError, "permissions"),
        (errno.ENAMETOOLONG, StorageError, "another --out"),
        (errno.ENOENT, StorageError, "removed"),
        (errno.EIO, StorageError, "check the disk"),
        (errno.EFBIG, StorageError, "ulimit -f"),
        (errno.EXDEV, StorageError, "see to the output directory"),
    ],
)
def test_the_hint_fits_the_error(code: int, kind: type[StorageError], advice: str) -> None:
    """What to do next depends on what the system said."""
    error = storage_error("write", "a", code)
    assert type(error) is kind
    assert advice in error.hint
    assert error.hint.endswith("run the same command again")


async def test_a_short_write_goes_on(local: LocalDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that takes a few bytes at a time still gets all of them."""
    file = await local.create("a")
    write = file._raw.raw_write
    monkeypatch.setattr(file._raw, "raw_write", lambda data: write(data[:3]))
    await file.write(b"0123456789")
    await file.commit(b"abcdefgh")
    await file.close()
    assert await read(local, "a") == b"0123456789abcdefgh"


@pytest.mark.parametrize("answer", [0, None])
async def test_a_write_that_writes_nothing_fails(
    local: LocalDisk, monkeypatch: pytest.MonkeyPatch, answer: int | None
) -> None:
    """No progress is an error, not an endless loop."""
    file = await local.create("a")
    monkeypatch.setattr(file._raw, "raw_write", lambda data: answer)
    assert (await refused(lambda: file.write(b"x"))).errno == errno.EIO
    await file.close()


async def test_a_failed_sync_is_never_retried(local: LocalDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a sync failed the file is dead, although the system would now say yes."""
    file = await local.create("a")

    def failing(handle: int) -> None:
        raise OSError(errno.EIO, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing)
        with pytest.raises(StorageError, match=r"cannot sync a: .*\(EIO\)"):
            await file.commit(b"x")
    with pytest.raises(StorageError, match="in doubt"):
        await file.commit(b"")
    await refused(lambda: file.write(b"y"))
    await file.close()


async def test_a_full_device_says_so(out: Path, local: LocalDisk) -> None:
    """ENOSPC from the system arrives with its errno, and the file is dead."""
    file = await local.create("a")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, file._raw.fileno())
    os.close(full)
    assert (await refused(lambda: file.write(b"x"))).errno == errno.ENOSPC
    await refused(lambda: file.write(b"x"))
    await file.close()


async def test_rename_without_hard_links(local: LocalDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without links a rename still works, and still refuses to replace."""

    def unsupported(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", unsupported)
    for path in ("a", "b"):
        await put(local, path)
    assert (await refused(lambda: local.rename("a", "b"))).errno == errno.EEXIST
    await local.rename("a", "c")
    assert await local.names() == ["b", "c"]


async def test_names_become_durable(local: LocalDisk, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new folder, an appended file's name and a rename each sync the folder that holds the entry."""
    synced: list[str] = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda handle: (synced.append(os.readlink(f"/proc/self/fd/{handle}")), fsync(handle))
    )
    await put(local, "a/b/x")
    assert synced == [str(out), str(out / "a")]
    await local.rename("a/b/x", "a/b/y")
    await (await local.append("log")).close()
    assert synced[2:] == [str(out / "a/b"), str(out)]


def handles(path: Path) -> list[str]:
    """The open handles of this process at or below `path`."""
    found = []
    for handle in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{handle}"))
        except FileNotFoundError:  # it was the handle of the listing
            continue
    return [name for name in found if name.startswith(str(path))]


async def test_a_failed_folder_sync_closes_the_file(
    local: LocalDisk, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No handle is left open when the name of an appended file cannot be made durable."""
    await preflight(local)

    def failing(handle: int) -> None:
        raise OSError(errno.EIO, "injected")

    monkeypatch.setattr(os, "fsync", failing)
    await refused(lambda: local.append("log"))
    assert handles(out) == [str(out)]


async def test_a_cancelled_open_leaves_no_handle(local: LocalDisk, out: Path) -> None:
    """A file whose opener was cancelled meanwhile is closed as soon as it comes."""
    await preflight(local)
    opening = asyncio.ensure_future(local.create("a"))
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    while await local.size("a") is None or len(handles(out)) > 1:  # noqa: ASYNC110  # the thread that closes it has no event to wait for
        await asyncio.sleep(0)
    assert opening.cancelled()


async def test_a_cancelled_open_that_fails_is_quiet(local: LocalDisk) -> None:
    """An error that arrives after its caller was cancelled is nobody's, and reported to nobody."""
    await put(local, "a")
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    opening = asyncio.ensure_future(local.create("a"))
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    assert await local.size("a") == 4
    assert opening.cancelled()
    assert reported == []


async def test_a_forgotten_disk_gives_its_handle_back(tmp_path: Path) -> None:
    """The directory's handle is closed with the last reference."""
    disk = LocalDisk(tmp_path)
    await disk.free_bytes()
    assert handles(tmp_path) == [str(tmp_path)]
    assert str(tmp_path) in repr(disk)
    del disk
    gc.collect()  # a pending callback may still hold it
    assert handles(tmp_path) == []
