"""The rig that stops machines, and watches that nothing runs ahead of the disk."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from sumeasync.core.records import Record
from sumeasync.core.settings import Settings
from sumeasync.io.disk import File
from sumeasync.io.journal import Journal
from sumeasync.io.sink import Sink
from sumeasync.models import JSON, Outcome
from sumeasync.simulator import Duration, TypeSettings, WorldSettings
from sumeasync.testing import POINTS, Kill, KillRig

SPECS: list[JSON] = [{"key": "a", "type": "image_generation", "input": {"prompt": "p"}}]
WORLD = WorldSettings(types={"image_generation": TypeSettings(Duration(2), Duration(1), media="png")})
QUICK = Settings(poll={"image_generation": {"first_delay": 1, "interval": 1, "cap": 1}})


async def ahead_of_a_slow_disk() -> str:
    """What runs ahead of a disk that takes five seconds for a sync."""
    async with KillRig(WORLD) as rig:
        rig.disk.commit_seconds = lambda: 5.0
        await rig.run(SPECS, QUICK)
        await rig.check(SPECS)
        return "\n".join(rig.ahead)


async def test_nothing_runs_ahead() -> None:
    """The engine waits for a slow disk wherever something follows."""
    assert await ahead_of_a_slow_disk() == ""


async def test_a_hasty_journal_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that calls durable what is not lets creates and polls run ahead."""
    append = Journal.append

    def hasty(self: Journal, *records: Record) -> asyncio.Future[None]:
        durable = append(self, *records)
        if not records:
            return durable
        now: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        now.set_result(None)
        return now

    monkeypatch.setattr(Journal, "append", hasty)
    found = await ahead_of_a_slow_disk()
    assert "was sent before its intent was durable" in found
    assert "was asked about before its id was durable" in found


async def test_a_hasty_sink_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results that are not waited for are handed out too early."""

    async def hasty(self: Sink, outcomes: list[Outcome]) -> None:
        file: File = self._file
        file.commit(b"".join(b'{"key":"%b","job_id":"j","status":"failed"}\n' % one.key.encode() for one in outcomes))

    monkeypatch.setattr(Sink, "write", hasty)
    async with KillRig(WORLD) as rig:
        rig.disk.commit_seconds = lambda: 5.0
        await rig.run(SPECS, QUICK)
        assert rig.ahead == ["a was handed out before its line was durable"]


async def test_a_point_that_is_not_reached() -> None:
    """A run that ends before the point is a run like any other."""
    async with KillRig(WORLD) as rig:
        assert not await rig.run_until(Kill(POINTS["report"], 2, Random(1)), SPECS, QUICK)
        assert rig.report is not None
        await rig.check_repeat(SPECS, QUICK)


async def test_service_lives_on() -> None:
    """While the machine is off the job ends; the next run brings it home without another create."""
    async with KillRig(WORLD) as rig:
        assert await rig.run_until(Kill(POINTS["between-polls"], 1, Random(1)), SPECS, QUICK)
        await asyncio.sleep(10_000)
        (outcome,) = await rig.run(SPECS, QUICK)
        assert (outcome.status, rig.world.ledger.creates["/images/generations"]) == ("completed", 1)
