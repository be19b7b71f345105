"""One run at a time in an output directory."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sumeasync.errors import LockedError, StorageError
from sumeasync.io.lock import LOCK, RunLock

HOLD = """
import asyncio, sys
from sumeasync.io.lock import RunLock

async def main():
    await RunLock(sys.argv[1]).acquire()
    print("held", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


@pytest.fixture
def anyio_backend() -> str:
    """Real processes, so the real clock."""
    return "asyncio"


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock of `tmp_path` until it is killed."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


async def test_another_process_is_refused_and_the_holder_named(holder: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """The second run is refused at once, and told which process has the directory, where, and since when."""
    with pytest.raises(LockedError) as caught:
        await RunLock(tmp_path).acquire()
    expected = rf"in use by process {holder.pid} on {re.escape(socket.gethostname())} since \d{{4}}-\d\d-\d\d \d\d:"
    assert re.search(expected, str(caught.value))


async def test_a_killed_holder_leaves_no_lock(holder: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """After kill -9 the next run takes over without any help, and signs in its own name."""
    holder.kill()
    holder.wait()
    async with RunLock(tmp_path, wall_clock=lambda: 5.0):
        found = json.loads((tmp_path / LOCK).read_bytes())
    assert found == {"pid": os.getpid(), "host": socket.gethostname(), "since": 5.0}


async def test_a_second_engine_in_one_process_is_refused(tmp_path: Path) -> None:
    """The lock keeps out our own process too, until it is released."""
    async with RunLock(tmp_path / "out"):
        with pytest.raises(LockedError, match=f"process {os.getpid()} "):
            await RunLock(tmp_path / "out").acquire()
    async with RunLock(tmp_path / "out"):
        pass


async def test_release_is_harmless_without_a_lock(tmp_path: Path) -> None:
    """Releasing twice, or never having acquired, closes nothing that is not ours."""
    lock = RunLock(tmp_path)
    await lock.release()
    await lock.acquire()
    await lock.release()
    await lock.release()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff" * 5000, b'{"pid": "x"}'])
async def test_an_unreadable_holder_is_still_a_holder(tmp_path: Path, content: bytes) -> None:
    """A lock that is just being signed, or badly, is refused without a name."""
    async with RunLock(tmp_path):
        with open(tmp_path / LOCK, "wb") as file:  # noqa: ASYNC230  # a few bytes, in a test
            file.write(content)
        with pytest.raises(LockedError, match="in use by another run"):
            await RunLock(tmp_path).acquire()


async def test_a_read_only_disk_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the lock file cannot be written the error says so, and is no LockedError."""
    real = os.open

    def read_only(path: str, flags: int, *args: int, **kwargs: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, "injected")
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(StorageError, match=r"cannot lock the output directory: .*\(EROFS\)") as caught:
        await RunLock(tmp_path).acquire()
    assert caught.value.errno == errno.EROFS
    assert not isinstance(caught.value, LockedError)


async def test_the_lock_is_not_taken_through_a_link(tmp_path: Path) -> None:
    """A link planted under the lock's name is not followed."""
    os.symlink("elsewhere", tmp_path / LOCK)
    with pytest.raises(StorageError, match="ELOOP"):
        await RunLock(tmp_path).acquire()
    assert os.listdir(tmp_path) == [LOCK]


async def test_a_cancelled_taker_holds_nothing(tmp_path: Path) -> None:
    """A lock that arrives after its taker was cancelled is given back."""
    taking = asyncio.ensure_future(RunLock(tmp_path).acquire())
    await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait([taking])
    lock = RunLock(tmp_path)
    while True:
        try:
            await lock.acquire()
            break
        except LockedError:
            await asyncio.sleep(0)
    await lock.release()


async def test_a_cancelled_taker_that_is_refused_is_quiet(tmp_path: Path) -> None:
    """A refusal that arrives after its taker was cancelled is reported to nobody."""
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    async with RunLock(tmp_path):
        taking = asyncio.ensure_future(RunLock(tmp_path).acquire())
        await asyncio.sleep(0)
        taking.cancel()
        await asyncio.wait([taking])
        with pytest.raises(LockedError):
            await RunLock(tmp_path).acquire()
    assert taking.cancelled()
    assert reported == []


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("file", r"is a file \(EEXIST\)"),
        ("file/below", r"lies below a file \(ENOTDIR\)"),
        ("/proc/none", r"cannot be made, or holds no files \(ENOENT\)"),
    ],
)
async def test_a_place_for_no_directory_is_told_as_what_it_is(tmp_path: Path, place: str, words: str) -> None:
    """What stands in the way is named, and another directory is asked for."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=words) as caught:
        await RunLock(tmp_path / place).acquire()
    assert caught.value.hint == "choose another --out"
    assert caught.value.errno
