"""Faults on the wire, in virtual time over a network in memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from sumeasync.simulator import Duration, Rule, TypeSettings, World, WorldSettings, make_app
from sumeasync.simulator import faults as f
from sumeasync.testing import MemoryNetwork

SIM = "http://sim.test"
KEY = {"Authorization": "Bearer sume_live_x"}
LARGE = 3 << 20


@asynccontextmanager
async def talking_to(world: World) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the simulated service."""
    async with MemoryNetwork() as network:
        await network.serve(SIM, make_app(world))
        async with aiohttp.ClientSession(connector=network.connector(), headers=KEY) as session:
            yield session


async def me(session: aiohttp.ClientSession) -> bytes:
    """Ask one question and read the whole answer."""
    async with session.get(f"{SIM}/api/v1/me") as reply:
        return await reply.read()


def world_with(action: f.Action) -> World:
    """A world whose first answer is spoiled."""
    return World(rules=[Rule(do=action, nth=1)])


async def whole_answer() -> bytes:
    """The answer without any fault."""
    async with talking_to(World()) as session:
        return await me(session)


async def test_reset() -> None:
    """A reset gives no answer at all; later requests are served."""
    twice = Rule(do=f.Reset(), times=2)  # the client library tries an idempotent request once more by itself
    async with talking_to(World(rules=[twice])) as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await me(session)
        assert await me(session)


async def test_delay() -> None:
    """A delay is that long."""
    async with talking_to(world_with(f.Delay(7))) as session:
        before = asyncio.get_running_loop().time()
        await me(session)
        assert asyncio.get_running_loop().time() - before == pytest.approx(7)


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_truncation_that_shows(framing: str) -> None:
    """A body that ends before its announced length, or in mid chunks, is an error to the client."""
    async with talking_to(world_with(f.Truncate(0.5, framing))) as session:  # type: ignore[arg-type]  # from the table
        with pytest.raises(aiohttp.ClientPayloadError):
            await me(session)


async def test_truncation_that_does_not_show() -> None:
    """Without a length, half a body looks like a whole one."""
    whole = await whole_answer()
    async with talking_to(world_with(f.Truncate(0.5, "none"))) as session:
        assert await me(session) == whole[: len(whole) // 2]


async def test_stall() -> None:
    """A stalled body gives its part at once, and then nothing until it is cut."""
    async with talking_to(world_with(f.Stall(0.5, 100))) as session, session.get(f"{SIM}/api/v1/me") as reply:
        begun = asyncio.get_running_loop().time()
        assert await reply.content.readany()
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.read()
        assert asyncio.get_running_loop().time() - begun == pytest.approx(100)


async def test_stall_ends_with_the_client() -> None:
    """When the client leaves, the server stops waiting: a later request for the job is not beside another."""
    world = world_with(f.Stall(0.5, 10_000))
    url = f"{SIM}/api/v1/jobs/{world.create('video_generation', ('',), 0)[0].id}"
    async with talking_to(world) as session:
        async with session.get(url) as reply:
            reply.close()
        await asyncio.sleep(2)
        async with session.get(url) as reply:
            assert reply.status == 200
    assert world.ledger.overlaps == {}


async def test_huge() -> None:
    """A huge body has the size asked for."""
    async with talking_to(world_with(f.Huge(LARGE))) as session:
        assert len(await me(session)) == LARGE


async def test_large_media_is_streamed_whole(caplog: pytest.LogCaptureFixture) -> None:
    """Media beyond what fits one write arrive whole; a client that leaves in between does no harm."""
    caplog.set_level(logging.ERROR)
    kind = TypeSettings(Duration(1), media="mp4", media_bytes=LARGE)
    world = World(WorldSettings(types={"video_generation": kind}))
    job = world.create("video_generation", ("",), 0)[0]
    world.advance(job.ended_at)
    link = SIM + world.signer.sign(f"/media/{job.id}/output.mp4", 9999)
    expected = world.media(job)
    assert expected is not None
    async with talking_to(world) as session:
        async with session.get(link) as reply:
            assert reply.content_length == LARGE
            assert await reply.read() == expected.read()
        async with session.get(link) as reply:
            await reply.content.readany()
            reply.close()
        assert await me(session)
    assert caplog.records == []
