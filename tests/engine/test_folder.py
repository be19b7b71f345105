"""``run.json`` and ``report.json`` are written whole or not at all."""

from __future__ import annotations

import errno
import json

import msgspec
import pytest

from sumeasync.core.history import History
from sumeasync.core.records import Created, Delivered, Ended, Intent, Record, Rejected, Unknown
from sumeasync.core.report import Report
from sumeasync.core.settings import Settings
from sumeasync.engine.folder import Folder
from sumeasync.errors import StorageError, UsageError
from sumeasync.io.origin import ApiKey
from sumeasync.models import Failure
from sumeasync.testing import MemoryDisk

KEY, OTHER = ApiKey("sume_live_1"), ApiKey("sume_live_2")
INTENT = Intent("k", "image_generation", "h", 1.0)
CREATED = Created("k", ("j1", "j2"), 2.0)


def folder_of(disk: MemoryDisk | None, host: str = "api.test", key: ApiKey = KEY) -> Folder:
    """The documents on a disk."""
    return Folder(disk, host, key)


async def refusal(folder: Folder, settings: Settings, *records: Record) -> UsageError | None:
    """Why a run is not gone on with whose journal holds these records; None when it is."""
    history = History()
    for record in records:
        history.apply(record)
    try:
        await folder.check(settings, history)
    except UsageError as error:
        return error
    return None


async def test_written_durably() -> None:
    """After writing, the document survives a power failure, and nothing stands beside it."""
    disk = MemoryDisk()
    await folder_of(disk).write_run(Settings(reads=5), "abc", 7.0)
    found = disk.crash()
    told = json.loads(found.content("run.json"))
    assert (told["manifest_sha256"], told["started_at"], told["settings"]["reads"]) == ("abc", 7.0, 5)
    assert found.paths() == ["run.json"]


@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename"])
async def test_old_one_stays(operation: str) -> None:
    """When the disk refuses, the earlier document stays; once it is mended, the next one takes its place."""
    disk = MemoryDisk()
    folder = folder_of(disk)
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
    await folder_of(None).write_report(Report(0, 1.0, requests={"poll": 1}))


async def test_a_run_without_work_leaves_the_last_report() -> None:
    """Running a finished batch again does not wipe out what the real run came to."""
    disk = MemoryDisk()
    folder = folder_of(disk)
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
    await folder_of(disk).write_run(Settings(), None, 7.0)
    settings = Settings(dialect=dialect)  # type: ignore[arg-type]  # one of the two
    assert (await refusal(folder_of(disk, host), settings) is not None) is refused


OPEN = {
    "no answer yet": [INTENT],
    "no answer": [INTENT, Unknown("k", 2.0, Failure("x"))],
    "runs": [INTENT, CREATED],
    "adopted": [msgspec.structs.replace(CREATED, adopted=True)],
    "one of two": [INTENT, CREATED, Delivered("k", 3.0, "completed", "j1")],
    "not fetched": [INTENT, CREATED, Ended("k", "j1", "completed", 3.0), Ended("k", "j2", "completed", 3.0)],
    "one of many": [Rejected("r", 1.0, Failure("x")), INTENT],
}


@pytest.mark.parametrize("records", OPEN.values(), ids=OPEN)
async def test_open_work_belongs_to_one_key(records: list[Record]) -> None:
    """Jobs under way, or that may be, are not asked about with another key; the error says what to do."""
    disk = MemoryDisk()
    await folder_of(disk).write_run(Settings(), None, 7.0)
    assert await refusal(folder_of(disk), Settings(), *records) is None
    error = await refusal(folder_of(disk, key=OTHER), Settings(), *records)
    assert error is not None
    assert "another API key (specs begun: 1)" in str(error)
    assert "--same-account" in error.hint


CLOSED = {
    "done": [INTENT, CREATED, Delivered("k", 3.0, "completed", "j1"), Delivered("k", 3.0, "failed", "j2")],
    "refused": [INTENT, Rejected("k", 2.0, Failure("x")), Delivered("k", 3.0, "rejected")],
    "not started": [INTENT, Rejected("k", 2.0, Failure("unauthorized", http_status=401))],
}


@pytest.mark.parametrize("records", CLOSED.values(), ids=CLOSED)
async def test_what_is_not_open_belongs_to_nobody(records: list[Record]) -> None:
    """Where nothing is at the server, another key may go on: it may be the right one at last."""
    disk = MemoryDisk()
    await folder_of(disk).write_run(Settings(), None, 7.0)
    assert await refusal(folder_of(disk, key=OTHER), Settings(), *records) is None


async def test_a_renewed_key_goes_on() -> None:
    """Told that the account is the same, a run goes on with the new key, which from then on is the directory's."""
    disk = MemoryDisk()
    await folder_of(disk).write_run(Settings(), None, 7.0)
    renewed = folder_of(disk, key=OTHER)
    assert await refusal(renewed, Settings(same_account=True), INTENT) is None
    await renewed.write_run(Settings(same_account=True), None, 8.25)
    assert await refusal(renewed, Settings(), INTENT) is None
    assert await refusal(folder_of(disk), Settings(), INTENT) is not None


async def test_an_old_directory_is_taken_as_it_is() -> None:
    """A directory whose run noted no fingerprint goes on, and has one from then on."""
    disk = MemoryDisk()
    disk.put("run.json", b'{"host": "api.test", "started_at": 7.0, "settings": {}}')
    assert await refusal(folder_of(disk), Settings(), INTENT) is None
    await folder_of(disk).write_run(Settings(), None, 8.0)
    assert await refusal(folder_of(disk, key=OTHER), Settings(), INTENT) is not None


async def test_two_runs_of_one_key_look_different() -> None:
    """The fingerprint is salted: directories do not tell who shares a key, and none holds it."""
    told = []
    for started_at in (7.0, 8.0):
        disk = MemoryDisk()
        await folder_of(disk).write_run(Settings(), None, started_at)
        assert KEY.reveal().encode() not in disk.content("run.json")
        told.append(json.loads(disk.content("run.json"))["key_fingerprint"])
    assert told[0] != told[1]


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b'{"settings": 5}'])
async def test_a_damaged_document_holds_nothing_up(text: bytes) -> None:
    """``run.json`` informs; when it cannot be read, nothing follows."""
    disk = MemoryDisk()
    disk.put("run.json", text)
    assert await refusal(folder_of(disk), Settings(), INTENT) is None
