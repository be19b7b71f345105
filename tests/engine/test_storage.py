"""What a run does when its disk refuses: it stops spending, loses nothing, and says so once."""

from __future__ import annotations

import asyncio
import errno

import msgspec
import pytest

from sumeasync.core.settings import Settings
from sumeasync.errors import DiskFullError, StorageError
from sumeasync.io.disk import storage_error
from sumeasync.io.replay import replay
from sumeasync.models import JSON
from sumeasync.simulator import Duration, TypeSettings, WorldSettings
from sumeasync.testing import Rig

VIDEO = TypeSettings(Duration(10, 0), media="mp4", media_bytes=100_000)
WORLD = WorldSettings(types={"video_generation": VIDEO, "image_generation": TypeSettings(Duration(30, 0), media="png")})
SPARE = 50_000
SMALL = Settings(spare_bytes=SPARE, create_rate="1/s", creates_per_type=8)


def videos(count: int) -> list[JSON]:
    """Specs for videos of 100 kB."""
    return [{"key": f"v{n}", "type": "video_generation", "input": {"prompt": f"p{n}"}} for n in range(count)]


def images(count: int) -> list[JSON]:
    """Specs for images."""
    return [{"key": f"i{n}", "type": "image_generation", "input": {"prompt": f"p{n}"}} for n in range(count)]


async def test_no_room_before_the_first_create() -> None:
    """When media would find no room nothing is paid, and nothing is lost: with room the same run finishes."""
    async with Rig(WORLD) as rig:
        rig.disk.capacity = SPARE
        assert await rig.run(videos(3), SMALL) == []
        assert isinstance(rig.error, DiskFullError)
        assert rig.report is not None
        assert (rig.report.exit_code, rig.report.not_started, rig.requests()) == (7, 3, 0)
        rig.disk.capacity = None
        await rig.run(videos(3), SMALL)
        await rig.check(videos(3))


async def test_no_room_is_needed_where_nothing_is_saved() -> None:
    """A run that saves no media needs none of the spare room."""
    async with Rig(WORLD) as rig:
        rig.disk.capacity = SPARE
        outcomes = await rig.run(videos(2), msgspec.structs.replace(SMALL, download=False))
        assert [outcome.ok for outcome in outcomes] == [True, True]


async def test_media_fill_the_disk() -> None:
    """A disk filled by media ends creates at once, not the jobs that run: what fits is saved, the rest is resumed."""
    async with Rig(WORLD, latency=(0.001, 0.05)) as rig:
        rig.disk.capacity = SPARE + 250_000
        specs = [*videos(40), *images(3)]
        outcomes = await rig.run(specs, SMALL)
        full = [one for one in outcomes if one.error is not None]
        assert {one.error and one.error.code for one in full} == {"disk_full"}
        assert not any(one.final for one in full)
        assert len(outcomes) == len(rig.world.ledger.charges) < 25
        assert any(one.ok for one in outcomes)
        assert not [path for path in rig.disk.paths() if ".part" in path]
        assert isinstance(rig.error, DiskFullError)
        await rig.check(specs)
        rig.disk.capacity = None
        await rig.run(specs, SMALL)
        assert len(rig.world.ledger.charges) == len(specs)
        await rig.check_repeat(specs, SMALL)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename", "sync folder"])
async def test_one_file_finds_no_room(operation: str, code: int) -> None:
    """Wherever saving meets a full disk (or quota) its file is left unfinished, and the rest of the jobs finish."""
    async with Rig(WORLD) as rig:

        def refuse(found: str, path: str) -> None:
            if found == operation and path.startswith("media/v0"):
                raise storage_error(operation, path, code)

        rig.disk.on_operation = refuse
        outcomes = {one.key: one for one in await rig.run(videos(3), Settings(creates_per_type=8))}
        assert {key: one.ok for key, one in outcomes.items()} == {"v0": False, "v1": True, "v2": True}
        assert not [path for path in rig.disk.paths() if path.endswith(".part")]
        await rig.check(videos(3))
        rig.disk.on_operation = None
        await rig.run(videos(3))
        await rig.check_repeat(videos(3))


@pytest.mark.parametrize("operation", ["create", "look at", "rename", "remove"])
async def test_too_many_open_files_pass(operation: str) -> None:
    """A download that finds no file handle free is tried again later, in the same run."""
    async with Rig(WORLD) as rig:
        tries = iter(range(3))

        def refuse(found: str, path: str) -> None:
            if found == operation and path.startswith("media/") and next(tries, None) is not None:
                raise storage_error(operation, path, errno.EMFILE)

        rig.disk.on_operation = refuse
        outcomes = await rig.run(videos(2))
        assert [one.ok for one in outcomes] == [True, True]
        assert next(tries, None) is None
        await rig.check_repeat(videos(2))


async def test_too_many_open_files_for_ever() -> None:
    """A download that never finds a handle free is left to the next run."""
    async with Rig(WORLD) as rig:

        def refuse(operation: str, path: str) -> None:
            if operation == "create" and path.startswith("media/"):
                raise storage_error(operation, path, errno.EMFILE)

        rig.disk.on_operation = refuse
        (outcome,) = await rig.run(videos(1))
        assert outcome.error is not None
        assert (outcome.status, outcome.error.code, outcome.final) == ("completed", "interrupted", False)


@pytest.mark.parametrize("path", ["journal.log", "results.jsonl"])
async def test_a_refusal_is_raised_once(path: str) -> None:
    """What iterating raised is not raised again when the engine is left."""
    async with Rig(WORLD) as rig:
        heard: list[StorageError] = []
        async with rig.engine() as engine:
            run = engine.run(images(2))
            rig.disk.fail("sync", errno.EIO, path=path)
            try:
                async for _ in run:
                    pass
            except StorageError as error:
                heard.append(error)
        assert [error.errno for error in heard] == [errno.EIO]


@pytest.mark.parametrize("path", ["journal.log", "results.jsonl"])
async def test_a_refusal_nobody_heard_of_is_raised_at_the_end(path: str) -> None:
    """A run that nobody reads to its end does not hide that the disk refused."""
    async with Rig(WORLD) as rig:

        async def leave_it() -> None:
            async with rig.engine() as engine:
                run = engine.run(images(2))
                rig.disk.fail("sync", errno.EIO, path=path)
                await run.wait_ended()

        with pytest.raises(StorageError, match="EIO"):
            await leave_it()


class OddityError(Exception):
    """Something no part of the engine reckons with."""


@pytest.mark.parametrize("read", [True, False])
async def test_the_unforeseen_ends_a_run_in_order(read: bool) -> None:
    """An unforeseen exception reaches the caller as itself, after creates under way brought their ids home."""
    async with Rig(WORLD, latency=(0.1, 0.4)) as rig:
        specs = [*images(1), *videos(40)]

        def stumble(operation: str, path: str) -> None:
            if path.startswith("media/i0") and operation == "create":
                raise OddityError

        rig.disk.on_operation = stumble

        async def run_it() -> None:
            async with rig.engine(Settings(creates_per_type=4, creates=4)) as engine:
                run = engine.run(specs)
                if read:
                    _ = [outcome async for outcome in run]
                await run.wait_ended()

        with pytest.raises(OddityError):
            await run_it()
        rig.disk.on_operation = None
        created = {job.id for facts in (await replay(rig.disk)).history.all() for job in facts.jobs}
        assert created == set(rig.world.ledger.charges)
        await rig.run(specs)
        assert len(rig.world.ledger.charges) == len(specs)
        await rig.check_repeat(specs)


APPENDED = [(way, path) for path in ("journal.log", "results.jsonl") for way in ("open", "write", "sync", "close")]
WRITTEN = [
    (way, path)
    for path in ("run.json.new", "report.json.new", "media/i0")
    for way in ("create", "write", "sync", "close", "rename")
]


@pytest.mark.parametrize(("operation", "path"), [*APPENDED, *WRITTEN, ("sync folder", "media/i0")])
async def test_a_failing_disk_ends_the_run(operation: str, path: str) -> None:
    """The first EIO on any file is the last word: no file is written after it in hope, and a resume finishes."""
    async with Rig(WORLD, latency=(0.01, 0.1)) as rig:
        specs, failed = [*images(2), *videos(2)], asyncio.Event()

        def fail(found: str, where: str) -> None:
            assert not (failed.is_set() and where.startswith(path) and found in ("write", "sync", "rename")), "in hope"
            if found == operation and where.startswith(path):
                failed.set()
                raise storage_error(operation, where, errno.EIO)

        rig.disk.on_operation = fail
        error = await heard(rig, specs)
        assert error is not None
        assert error.errno == errno.EIO
        rig.disk.on_operation = None
        rig.disk = rig.disk.crash()
        rig.report = None
        await rig.check(specs)
        await rig.run(specs)
        await rig.check_repeat(specs)


async def heard(rig: Rig, specs: list[JSON]) -> StorageError | None:
    """Run to the end, and return how the disk refused, however it was told."""
    try:
        await rig.run(specs)
    except StorageError as error:
        return error
    assert rig.error is None or isinstance(rig.error, StorageError)
    return rig.error
