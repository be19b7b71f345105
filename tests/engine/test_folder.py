"""``run.json`` and ``report.json`` are written whole or not at all."""

from __future__ import annotations

import errno
import json

import pytest

from sumeasync.core.report import Report
from sumeasync.core.settings import Settings
from sumeasync.engine.folder import Folder
from sumeasync.errors import StorageError, UsageError
from sumeasync.testing import MemoryDisk


async def test_written_durably() -> None:
    """After writing, the document survives a power failure, and nothing stands beside it."""
    disk = MemoryDisk()
    await Folder(disk).write_run(Settings(reads=5), "abc", 7.0)
    found = disk.crash()
    told = json.loads(found.content("run.json"))
    assert (told["manifest_sha256"], told["started_at"], told["settings"]["reads"]) == ("abc", 7.0, 5)
    assert found.paths() == ["run.json"]


@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename"])
async def test_old_one_stays(operation: str) -> None:
    """When the disk refuses, the earlier document stays; once it is mended, the next one takes its place."""
    disk = MemoryDisk()
    folder = Folder(disk)
    await folder.write_report(Report(0, 1.0, requests={"poll": 1}))
    disk.fail(operation, errno.EIO)  # type: ignore[arg-type]  # one of the literals
    with pytest.raises(StorageError):
        await folder.write_report(Report(1, 2.0, requests={"poll": 2}))
    assert json.loads(disk.content("report.json"))["exit_code"] == 0
    disk.heal()
    await folder.write_report(Report(1, 2.0, requests={"poll": 2}))
    assert json.loads(disk.content("report.json"))["exit_code"] == 1


async def test_no_directory() -> None:
    """Without a directory nothing is written."""
    await Folder(None).write_report(Report(0, 1.0, requests={"poll": 1}))


async def test_a_run_without_work_leaves_the_last_report() -> None:
    """Running a finished batch again does not wipe out what the real run came to."""
    disk = MemoryDisk()
    folder = Folder(disk)
    await folder.write_report(Report(0, 1.0, requests={"poll": 1}))
    await folder.write_report(Report(0, 0.1, skipped=9))
    assert b'"poll"' in disk.content("report.json")


@pytest.mark.parametrize(
    ("host", "dialect", "refused"),
    [("api.test", "so", False), ("other.test", "so", True), ("api.test", "open", True)],
)
async def test_a_directory_belongs_to_one_api(host: str, dialect: str, refused: bool) -> None:
    """The ids of an earlier run mean nothing to another API, and are not asked for there."""
    disk = MemoryDisk()
    await Folder(disk, "api.test").write_run(Settings(), None, 7.0)
    caught = None
    try:
        await Folder(disk, host).check(Settings(dialect=dialect))  # type: ignore[arg-type]  # one of the two
    except UsageError as error:
        caught = error
    assert (caught is not None) is refused


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b'{"settings": 5}'])
async def test_a_damaged_document_holds_nothing_up(text: bytes) -> None:
    """``run.json`` informs; when it cannot be read, nothing follows."""
    disk = MemoryDisk()
    disk.put("run.json", text)
    await Folder(disk, "api.test").check(Settings())
