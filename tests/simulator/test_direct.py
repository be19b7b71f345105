"""The simulator without HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sumeasync.core.settings import Settings
from sumeasync.errors import LinkExpiredError, ServerError, SumeError, TransportError, UsageError
from sumeasync.io.client import Client, Timeouts
from sumeasync.models import Request, Response
from sumeasync.simulator import DirectClient, Limits, World, WorldSettings, load_rules, make_app
from sumeasync.simulator.profiles import ODD_BODIES, ODD_FIELDS, ODD_HEADERS
from sumeasync.testing import MemoryNetwork, Rig, run_virtual, virtual_elapsed

ORIGIN = "https://api.test"
POLL = Request("GET", "/jobs/JOB")
CREATE = Request("POST", "/images/generations", "create", body={"prompt": "ä red kite"})
PRESIGN = Request("POST", "/uploads/presign", body={"file_name": "a.mp4", "content_type": "video/mp4", "size_bytes": 3})
PATIENCE = Timeouts(read_idle_seconds=30.0, connect_seconds=10.0, total_seconds=40.0)

TROUBLES: list[dict[str, Any]] = [
    {"kind": "delay", "seconds": 3},
    {"kind": "delay", "seconds": 100},
    {"kind": "stall", "seconds": 5},
    {"kind": "stall"},
    {"kind": "status", "status": 429, "retry_after": "7"},
    {"kind": "status", "status": 503, "envelope": False},
    {"kind": "truncate"},
    {"kind": "truncate", "framing": "chunked"},
    {"kind": "truncate", "framing": "none"},
    {"kind": "redirect", "location": "https://elsewhere.test/"},
    {"kind": "gzip_bomb", "size": 1 << 20},
    {"kind": "huge", "size": 9 << 20},
    {"kind": "body", "text": "<title>Sign in</title>", "content_type": "text/html"},
    {"kind": "body", "text": "oops", "status": 500},
    {"kind": "body", "text": "{}", "headers": {"Content-Encoding": "br"}},
    {"kind": "headers", "headers": ODD_HEADERS},
    *({"kind": "patch", "set": fields} for fields in ODD_FIELDS),
    *({"kind": "body", "text": text} for text in ODD_BODIES),
]


def world_with(*rules: dict[str, Any], **settings: Any) -> World:
    """A world with one running job, and trouble."""
    world = World(WorldSettings(**settings), seed=3, rules=load_rules([{"do": rule} for rule in rules]))
    world.preload(1)
    return world


def ask(world: World, request: Request) -> Request:
    """The request, about the world's first job."""
    return Request(request.method, request.path.replace("JOB", world.jobs[0].id), request.lane, body=request.body)


async def answered(sender: Any, request: Request) -> object:
    """What comes of a request: the answer, or the kind of error."""
    try:
        return await sender.send(request)
    except SumeError as error:
        return type(error)


async def over_http(world: World, request: Request) -> object:
    """What comes of a request over HTTP, in memory."""
    async with MemoryNetwork() as network:
        await network.serve(ORIGIN, make_app(world, origin=ORIGIN))
        async with Client(
            f"{ORIGIN}/api/v1", "sume_x", connector_factory=network.connector, timeouts=PATIENCE
        ) as client:
            return await answered(client, request)


@pytest.mark.parametrize("request_", [POLL, CREATE, PRESIGN], ids=lambda request: request.path)
@pytest.mark.parametrize("trouble", [None, *TROUBLES], ids=lambda rule: str(rule)[:60])
async def test_every_answer_is_that_of_http(trouble: dict[str, Any] | None, request_: Request) -> None:
    """Status, document, the headers that matter and the kind of error are those of a client over HTTP."""
    rules = [trouble] if trouble else []
    world, other = (world_with(*rules, limits=Limits(reads_per_minute=9, creates_per_minute=2)) for _ in range(2))
    direct = await answered(DirectClient(world, origin=ORIGIN), ask(world, request_))
    http = await over_http(other, ask(other, request_))
    if isinstance(direct, Response) and isinstance(http, Response):
        transport = {"content-length", "content-type", "server", "date", "connection"}
        kept = {name: value for name, value in http.headers.items() if name not in transport}
        http = Response(http.status, http.body, kept)
        direct = Response(direct.status, direct.body, {name: direct.headers[name] for name in kept})
    assert direct == http
    assert world.ledger.snapshot() == other.ledger.snapshot()


@pytest.mark.parametrize("request_", [POLL, CREATE], ids=lambda request: request.path)
async def test_a_cut_connection_is_that_of_http(request_: Request) -> None:
    """When the connection is cut, the error is the same (though HTTP may ask for a job a second time first)."""
    world, other = (world_with({"kind": "reset", "act": True}) for _ in range(2))
    direct = await answered(DirectClient(world), ask(world, request_))
    assert direct == await over_http(other, ask(other, request_)) == TransportError
    assert len(world.jobs) == len(other.jobs)


async def test_half_of_the_latency_passes_on_the_way_there() -> None:
    """The service sees a request after half the latency; the answer is there after all of it."""
    world = world_with()
    await DirectClient(world, latency_seconds=0.5).send(CREATE)
    assert (world.jobs[-1].created_at, virtual_elapsed()) == (0.0, 0.5)
    await DirectClient(world, latency_seconds=0.5, clock=virtual_elapsed).send(CREATE)
    assert (world.jobs[-1].created_at, virtual_elapsed()) == (0.75, 1.0)


async def test_an_answer_that_takes_too_long_is_given_up() -> None:
    """After the time limit the wait is over, and the service did act."""
    world = world_with({"kind": "delay", "seconds": 100})
    with pytest.raises(SumeError, match="in time"):
        await DirectClient(world, timeout_seconds=40).send(CREATE)
    assert (virtual_elapsed(), len(world.jobs)) == (40.0, 2)


async def test_limits_are_announced_and_enforced() -> None:
    """Beyond the limit comes a 429 that says when to come back, with the world's date."""
    client = DirectClient(world_with(limits=Limits(creates_per_minute=1)))
    assert (await client.send(CREATE)).headers["ratelimit-remaining"] == "0"
    refused = await client.send(CREATE)
    assert (refused.status, refused.headers["retry-after"]) == (429, "60")
    assert refused.headers["date"] == "Thu, 01 Jan 2026 00:00:00 GMT"


async def test_two_requests_for_one_job_are_noticed() -> None:
    """The ledger counts requests for the same job that overlap, and no others."""
    world = world_with({"kind": "delay", "seconds": 1})
    client = DirectClient(world)
    await asyncio.gather(*(client.send(ask(world, POLL)) for _ in range(2)))
    await client.send(ask(world, POLL))
    assert dict(world.ledger.overlaps) == {world.jobs[0].id: 1}


async def test_the_surface_open_can_be_asked() -> None:
    """With the other prefix the other surface answers, idempotency keys included."""
    world = world_with()
    client = DirectClient(world, prefix="/v1")
    request = Request(
        "POST",
        "/image-router/generate",
        "create",
        body={"model": "image-kite", "prompt": "x"},
        headers=(("Idempotency-Key", "k"),),
    )
    first, second = [(await client.send(request)).body for _ in range(2)]
    assert first["data"]["request_id"] == second["data"]["request_id"] == world.jobs[-1].id


async def test_an_input_that_json_cannot_hold_is_refused() -> None:
    """What cannot be encoded is a usage error and reaches nobody."""
    world = world_with()
    with pytest.raises(UsageError, match="JSON"):
        await DirectClient(world).send(Request("POST", "/ads/videos", "create", body={"a": float("nan")}))
    assert not world.ledger.statuses


async def presigned(client: DirectClient) -> dict[str, Any]:
    """A place for three bytes."""
    body: dict[str, Any] = (await client.send(PRESIGN)).body
    return body


async def test_a_file_is_announced_without_being_read(tmp_path: Path) -> None:
    """An upload counts as arrived by its size alone, and can be finalized."""
    (tmp_path / "a.mp4").write_bytes(b"abc")
    world = world_with()
    client = DirectClient(world)
    place = await presigned(client)
    await client.upload(str(tmp_path / "a.mp4"), place["upload_url"], place["required_headers"])
    finalize = Request("POST", "/assets", "create", body={"object_key": place["object_key"]})
    assert (await client.send(finalize)).status == 200
    assert world.ledger.requests["PUT /storage"] == 1


@pytest.mark.parametrize(("status", "error"), [(403, LinkExpiredError), (410, LinkExpiredError), (503, ServerError)])
async def test_storage_may_refuse(tmp_path: Path, status: int, error: type[SumeError]) -> None:
    """An address that is no longer good and a storage in trouble are told apart."""
    (tmp_path / "a.mp4").write_bytes(b"abc")
    rules = load_rules([{"on": ["upload"], "do": {"kind": "status", "status": status}}])
    client = DirectClient(World(rules=rules))
    place = await presigned(client)
    with pytest.raises(error):
        await client.upload(str(tmp_path / "a.mp4"), place["upload_url"], place["required_headers"])


async def test_a_file_that_is_gone_is_a_usage_error() -> None:
    """Without the file nothing is sent to storage."""
    world = world_with()
    with pytest.raises(UsageError, match="cannot be read"):
        await DirectClient(world).upload("gone.mp4", "https://simulator.invalid/storage/x", {})
    assert not world.ledger.statuses


def test_a_whole_run_is_that_over_http() -> None:
    """The engine on a direct client finishes when it does over HTTP, with the same requests, within 3 %."""
    specs = [{"key": f"k{n}", "type": "video_generation", "input": {"prompt": str(n)}} for n in range(40)]
    settings = Settings(download=False)
    limits = WorldSettings(limits=Limits(reads_per_minute=120, creates_per_minute=10))

    async def run(direct: bool) -> tuple[float, int]:
        async with Rig(limits, seed=5, latency=(0.075, 0.075)) as rig:
            carrier = DirectClient(rig.world, latency_seconds=0.15, clock=rig.now)
            options = {"carrier": carrier} if direct else {}
            async with rig.engine(settings, disk=None, rng=Random(5), **options) as engine:
                assert [outcome.ok async for outcome in engine.run(specs)] == [True] * 40
            return rig.now(), rig.requests()

    direct, http = (run_virtual(lambda direct=direct: run(direct)) for direct in (True, False))
    assert direct == pytest.approx(http, rel=0.03)
