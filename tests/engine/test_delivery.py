"""Trouble with the disk: nothing new is paid for once it fails, and after mending everything is finished, once."""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Iterator
from itertools import pairwise, product
from random import Random

import pytest

from sumeasync.core.job import Job, Step
from sumeasync.core.records import Created
from sumeasync.core.settings import Settings
from sumeasync.core.specs import make_spec
from sumeasync.engine.delivery import Delivery
from sumeasync.errors import StorageError
from sumeasync.io.journal import Journal, MemoryJournal
from sumeasync.io.replay import replay
from sumeasync.models import JSON, Outcome
from sumeasync.simulator import Duration, TypeSettings, WorldSettings
from sumeasync.testing import POINTS, Kill, KillRig, MemoryDisk, Rig

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


PAGE_BYTES = 2048  # smaller than any, so that there are more


def torn(data: bytes, synced: int) -> Iterator[bytes]:
    """Every way in which pages of a file's un-synced part may have reached the disk, and its length as well."""
    cuts = [synced, *range(synced - synced % PAGE_BYTES + PAGE_BYTES, len(data), PAGE_BYTES), len(data)]
    pages = [data[start:end] for start, end in pairwise(cuts)]
    for length in range(len(pages) + 1):
        for kept in product([True, False], repeat=length):
            lot = zip(pages[:length], kept, strict=True)
            yield data[:synced] + b"".join(page if there else bytes(len(page)) for page, there in lot)


async def stopped(rig: KillRig) -> tuple[list[JSON], Kill]:
    """Stop a run when its second write of results, several pages long, is about to become durable."""
    specs: list[JSON] = [{"key": job.id, "job_id": job.id} for job in rig.world.preload(20, type="image_generation")]
    rig.disk.commit_seconds = lambda: 2.0
    kill = Kill(POINTS["result-written"], 2, Random(1))
    assert await rig.run_until(kill, specs)
    return specs, kill


async def test_any_pages_of_the_last_write_may_be_lost(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a power failure leaves of the last write of results, the next run ends with each outcome there once.

    What it cuts off for that is told once, and kept.
    """
    async with KillRig() as rig:
        specs, kill = await stopped(rig)
        data = kill.disk.content("results.jsonl")
        ways = [*torn(data, len(data) - len(kill.disk.unsynced("results.jsonl")))]
        assert len(ways) >= 31
        for number, way in enumerate(ways):
            rig.disk = kill.disk.crash(Random(0), "everything" if number % 2 else "nothing")
            rig.disk.put("results.jsonl", way)
            caplog.clear()
            await rig.run(specs)
            assert len(rig.disk.content("results.jsonl").splitlines()) == len(specs)
            await rig.check(specs)
            await rig.check_repeat(specs)
            assert cuts_told(caplog) == ("results.jsonl.broken-1" in rig.disk.paths())


def cuts_told(caplog: pytest.LogCaptureFixture) -> int:
    """How often it was told that results were cut off."""
    told = [one for one in caplog.records if one.levelno == logging.WARNING and "results.cut" in one.getMessage()]
    assert all("results.jsonl.broken-1" in one.getMessage() for one in told)
    return len(told)


async def test_damage_of_durable_results_is_refused() -> None:
    """A line lost that is recorded as delivered is not guessed at, whatever follows: nothing is sent or changed."""
    async with KillRig() as rig:
        specs, kill = await stopped(rig)
        whole = kill.disk.crash()
        recorded = len([*(await replay(whole)).history.delivered()])
        assert recorded
        lines = kill.disk.content("results.jsonl").splitlines(keepends=True)
        for nth, rest in product(range(recorded), ([], lines[:recorded], lines[recorded:])):
            damaged = b"".join([*lines[:nth], bytes(len(lines[nth])), *lines[nth + 1 : recorded], *rest])
            rig.disk, before = kill.disk.crash(), rig.requests()
            rig.disk.put("results.jsonl", damaged)
            with pytest.raises(StorageError, match=f"line {nth + 1} of results.jsonl is damaged"):
                await rig.run(specs)
            assert (rig.requests(), rig.disk.content("results.jsonl")) == (before, damaged)


async def test_a_line_is_durable_before_its_lost_record_is() -> None:
    """What a killed process wrote and never synced is not called delivered before no power failure can take it."""
    disk = MemoryDisk()
    line = {"key": "k", "job_id": "job_1", "type": "video_generation", "status": "failed"}
    await (await disk.append("results.jsonl")).close()
    disk.land("results.jsonl", json.dumps(line).encode() + b"\n")
    journal = await Journal.open(disk)
    await (await Delivery.open(disk, journal, lambda: 0.0, keep_links=False)).close()
    await journal.aclose()
    found = disk.crash()
    assert [*(await replay(found)).history.delivered()] == [("k", "job_1")]
    assert found.content("results.jsonl") == disk.content("results.jsonl")


async def test_the_first_line_comes_after_its_record() -> None:
    """No result stands beside a journal that may still lose everything: it could not be told from a stranger's.

    Later lines wait for nothing.
    """
    disk, seen = MemoryDisk(), list[tuple[str, str]]()
    journal = await Journal.open(disk)
    delivery = await Delivery.open(disk, journal, lambda: 0.0, keep_links=False)
    journal.append(Created("k", ("job_1",), 0.0, adopted=True))
    disk.on_operation = lambda operation, path: seen.append((operation, path))
    job = Job(make_spec({"key": "k", "job_id": "job_1"}), Step.POLL)
    for before in (True, False):
        await delivery.deliver([(job, Outcome("k", "job_1", "video_generation", "failed"))])
        assert (("sync", "journal.log") in seen[: seen.index(("write", "results.jsonl"))]) is before
        await journal.append()
        seen.clear()


async def test_a_strangers_file_is_left_alone() -> None:
    """A directory where another program keeps a results.jsonl is refused before anything is sent, again and again."""
    async with Rig(WORLD) as rig:
        rig.disk.put("results.jsonl", b"metric,value\n")
        for _ in range(2):
            with pytest.raises(StorageError, match="the journal knows of none"):
                await rig.run(images(1))
        assert (rig.requests(), rig.disk.content("results.jsonl")) == (0, b"metric,value\n")
