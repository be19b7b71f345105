"""Trouble with the disk: nothing new is paid for once it fails, and after mending everything is finished, once."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator

import pytest

from sumeasync.core.settings import Settings
from sumeasync.engine.delivery import Delivery
from sumeasync.errors import StorageError
from sumeasync.io.journal import MemoryJournal
from sumeasync.models import JSON
from sumeasync.simulator import Duration, TypeSettings, WorldSettings
from sumeasync.testing import MemoryDisk, Rig

ELEVEN = TypeSettings(Duration(10, 0), queue=Duration(1, 0), media="png")
WORLD = WorldSettings(types={"image_generation": ELEVEN})
PLACES = {"journal": "journal.log", "results": "results.jsonl", "media": "media/img-0/"}


def images(count: int) -> list[JSON]:
    """Specs for as many images."""
    return [
        {"key": f"img-{number}", "type": "image_generation", "input": {"prompt": f"p{number}"}}
        for number in range(count)
    ]


class Watch:
    """Lets every operation under a path fail from the `nth` on, and notes how many creates had come by then."""

    def __init__(self, rig: Rig, operation: str, path: str, code: int, nth: int) -> None:
        self.rig, self.operation, self.path, self.code, self.left = rig, operation, path, code, nth
        self.creates: int | None = None
        rig.disk.on_operation = self

    def __call__(self, operation: str, path: str) -> None:
        """See one operation."""
        if operation == self.operation and path.startswith(self.path):
            self.left -= 1
            if self.left <= 0:
                if self.creates is None:
                    self.creates = self.rig.world.ledger.creates["/images/generations"]
                problem = StorageError("failed on purpose")
                problem.errno = self.code
                raise problem


def failures() -> Iterator[tuple[str, str, int]]:
    """Every place, with the operations that may fail there, at an early and a late time."""
    for place in PLACES:
        operations = ("write", "sync", "create", "rename") if place == "media" else ("write", "sync")
        for operation in operations:
            for nth in (1,) if place == "media" else (1, 2, 5):
                yield place, operation, nth


@pytest.mark.parametrize(("place", "operation", "nth"), [*failures()])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
async def test_disk_fails(place: str, operation: str, nth: int, code: int) -> None:
    """A failing disk ends the run with StorageError and no new create; once mended, all is finished, charged once."""
    specs = images(12)
    async with Rig(WORLD, latency=(0.01, 0.5)) as rig:
        await opened(rig)
        watch = Watch(rig, operation, PLACES[place], code, nth)
        with pytest.raises(StorageError):
            await run_all(rig, specs)
        assert watch.creates is not None
        assert rig.world.ledger.creates["/images/generations"] <= watch.creates + 1  # the one under way
        rig.disk.on_operation = None
        await settled(rig, specs)


async def opened(rig: Rig) -> None:
    """Let journal and results exist, so that what fails later fails in the run."""
    await rig.run([])


async def run_all(rig: Rig, specs: list[JSON]) -> None:
    """Run, and raise what the run ended with."""
    await rig.run(specs)
    if rig.error is not None:
        raise rig.error


async def settled(rig: Rig, specs: list[JSON]) -> None:
    """Finish on the mended disk, and check."""
    rig.report = None
    await rig.check(specs)
    await rig.run(specs, Settings(recreate_unknown=False))
    await rig.check(specs)
    assert rig.report is not None
    if rig.report.unresolved:  # a create that was intended and never sent
        await rig.run(specs, Settings(recreate_unknown=True))
        await rig.check(specs)
    assert len(rig.world.jobs) == len(specs)
    await rig.check_repeat(specs)


@pytest.mark.parametrize("nth", [5])  # syncs of opening, mending, taking in and the intent come before
async def test_answer_that_cannot_be_kept(nth: int) -> None:
    """The id of a job whose create is answered when the journal is broken is in the report all the same."""
    async with Rig(WORLD, latency=(0.5, 0.5)) as rig:
        await opened(rig)
        rig.disk.on_operation = Watch(rig, "sync", "journal.log", errno.EIO, nth)
        await rig.run(images(1))
        assert isinstance(rig.error, StorageError)
        assert rig.report is not None
        assert [one.job_id for one in rig.report.unresolved] == [job.id for job in rig.world.jobs] != []
        assert rig.report.exit_code == 7


async def test_full_disk() -> None:
    """A disk without room for media ends the run before the first byte of them; what is paid is saved later."""
    async with Rig(WORLD) as rig:
        rig.disk = MemoryDisk(capacity=1 << 20)
        await rig.run(images(3))
        assert isinstance(rig.error, StorageError)
        rig.disk.capacity = None
        assert len(await rig.run(images(3))) == 3
        await rig.check(images(3))
        await rig.check_repeat(images(3))


async def test_no_room_at_all() -> None:
    """A directory that cannot be written is found out before anything is sent."""
    async with Rig(WORLD) as rig:
        rig.disk = MemoryDisk(capacity=3)
        with pytest.raises(StorageError):
            await rig.run(images(1))
        assert rig.requests() == 0


async def test_line_of_a_lost_record_counts() -> None:
    """A result line whose record was lost in a crash is delivered: the spec is not run again."""
    async with Rig(WORLD) as rig:
        await rig.run(images(1))
        journal = rig.disk.content("journal.log").splitlines(keepends=True)
        assert b'"delivered"' in journal[-1]
        rig.disk.put("journal.log", b"".join(journal[:-1]))
        await rig.check_repeat(images(1))


async def test_the_servers_words_are_remembered() -> None:
    """What the server called a type in an earlier run is known when the directory is opened again."""
    disk = MemoryDisk()
    line = {"key": "k", "job_id": "job_1", "type": "video_generation", "status": "failed", "server_type": "video"}
    disk.put("results.jsonl", json.dumps(line).encode() + b"\n")
    delivery = await Delivery.open(disk, MemoryJournal(), lambda: 0.0, keep_links=False)
    await delivery.close()
    assert delivery.words == {"video_generation": "video"}
