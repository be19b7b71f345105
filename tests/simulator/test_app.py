"""The simulator as an application, over loopback TCP and in memory."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import aiohttp
import pytest

from sumeasync.simulator import Rule, World, WorldSettings, make_app, serve
from sumeasync.simulator.faults import Delay, Reset
from sumeasync.testing import MemoryNetwork, run_virtual

KEY = {"Authorization": "Bearer sume_live_canary"}


@pytest.fixture
def anyio_backend() -> str:
    """Real sockets need the real clock."""
    return "asyncio"


async def json_of(request: Any) -> Any:
    """Await a request and decode its answer."""
    async with request as reply:
        assert reply.status == 200
        return await reply.json()


async def test_whole_life_over_tcp() -> None:
    """A job can be created, awaited, and its media downloaded from the same server without the key."""
    world = World(seed=3)
    async with serve(world) as base, aiohttp.ClientSession() as plain, aiohttp.ClientSession(headers=KEY) as api:
        id = (await json_of(api.post(f"{base}/images/generations", json={"prompt": "a"})))["job"]["id"]
        world.advance(world.find(id).ended_at)
        assert (await json_of(api.get(f"{base}/jobs/{id}")))["status"] in ("queued", "running", "completed")
        job, media = world.find(id), world.media(world.find(id))
        link = base.removesuffix("/api/v1") + world.signer.sign(f"/media/{id}/output.png", job.ended_at + 900)
        async with plain.get(link) as reply:
            assert media is not None
            assert hashlib.sha256(await reply.read()).hexdigest() == media.sha256()
            assert reply.headers["ETag"] == media.etag


async def test_speed() -> None:
    """At a high speed a job is over at once, and its result links to the address the client used."""
    async with serve(World(), speed=1e6) as base, aiohttp.ClientSession(headers=KEY) as api:
        id = (await json_of(api.post(f"{base}/images/generations", json={"prompt": "a"})))["job"]["id"]
        await asyncio.sleep(0.01)
        shown = await json_of(api.get(f"{base}/jobs/{id}/result"))
        assert shown["result"]["images"][0]["url"].startswith(base.removesuffix("/api/v1") + "/media/")


async def test_upload_over_tcp() -> None:
    """An upload with exactly the required headers is stored by size and hash."""
    world, content = World(), b"x" * 100_000
    body = {"file_name": "a.mp4", "content_type": "video/mp4", "size_bytes": len(content)}
    async with serve(world) as base, aiohttp.ClientSession() as session:
        ticket = await json_of(session.post(f"{base}/uploads/presign", json=body, headers=KEY))
        async with session.put(ticket["upload_url"], data=content, headers=ticket["required_headers"]) as reply:
            assert reply.status == 200
    assert world.ledger.uploads == {ticket["object_key"]: hashlib.sha256(content).hexdigest()}


async def test_reset_over_tcp() -> None:
    """Over TCP a reset is a connection reset."""
    async with serve(World(rules=[Rule(do=Reset())])) as base, aiohttp.ClientSession(headers=KEY) as api:
        with pytest.raises(aiohttp.ClientOSError):
            await api.get(f"{base}/me")


async def test_overlapping_requests_are_noted() -> None:
    """Two polls of one job at the same time show in the ledger, one after the other do not."""
    world = World(rules=[Rule(do=Delay(0.05))])
    job = world.create("image_generation", ("",), 0)[0]
    async with serve(world) as base, aiohttp.ClientSession(headers=KEY) as api:
        url = f"{base}/jobs/{job.id}"
        await asyncio.gather(json_of(api.get(url)), json_of(api.get(url)))
        assert world.ledger.overlaps == {job.id: 1}
        await json_of(api.get(url))
        assert world.ledger.overlaps == {job.id: 1}


async def test_ledger_over_tcp() -> None:
    """The ledger can be read by anybody."""
    async with serve(World()) as base, aiohttp.ClientSession() as plain:
        ledger = await json_of(plain.get(base.removesuffix("/api/v1") + "/_sim/ledger"))
        assert ledger["unauthorized"] == 0


def test_follows_a_virtual_clock() -> None:
    """In a virtual loop the world's time is the loop's, goes on in the next loop, and dates the answers."""
    world = World(WorldSettings(timestamps="all"))

    async def main() -> str:
        async with MemoryNetwork() as network:
            await network.serve("https://sim.test", make_app(world, origin="https://media.test"))
            async with aiohttp.ClientSession(connector=network.connector(), headers=KEY) as api:
                await json_of(api.get("https://sim.test/api/v1/me"))
                await asyncio.sleep(3600)
                async with api.get("https://sim.test/api/v1/me") as reply:
                    return reply.headers["Date"]

    assert run_virtual(main) == "Thu, 01 Jan 2026 01:00:00 GMT"
    assert run_virtual(main) == "Thu, 01 Jan 2026 02:00:00 GMT"


def test_clock_can_be_given() -> None:
    """A clock of one's own decides the time; links point to the origin given."""
    world = World()
    job = world.create("image_generation", ("",), 0)[0]

    async def main() -> Any:
        async with MemoryNetwork() as network:
            app = make_app(world, api_prefix="/v9", clock=lambda: job.ended_at, origin="https://media.test")
            await network.serve("https://sim.test", app)
            async with aiohttp.ClientSession(connector=network.connector(), headers=KEY) as api:
                return await json_of(api.get(f"https://sim.test/v9/jobs/{job.id}/result"))

    assert run_virtual(main)["result"]["images"][0]["url"].startswith("https://media.test/media/")
