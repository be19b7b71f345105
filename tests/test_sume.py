"""Single calls: every endpoint once, handles that wait, and errors that say what became of the money."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

import sumeasync
from sumeasync.dialects.base import Presigned
from sumeasync.errors import (
    AuthError,
    BadRequestError,
    BadResponseError,
    ConnectError,
    CreditsError,
    DeadlineError,
    JobError,
    MissingKeyError,
    NotFoundError,
    NotReadyError,
    RateLimitError,
    ServerError,
    SumeError,
    TransportError,
    UsageError,
)
from sumeasync.models import JSON
from sumeasync.simulator import World, WorldSettings, body_hash, load_rules, make_app, serve
from sumeasync.simulator.settings import Duration, TypeSettings
from sumeasync.sume import Sume
from sumeasync.testing import MemoryNetwork, virtual_elapsed

KEY = "sume_live_0123456789abcdef0123456789abcdef"
ORIGIN = "https://api.test"
TEN_SECONDS = TypeSettings(Duration(10, 0), queue=Duration(1, 0), media="png")
TYPES = {"image_generation": TEN_SECONDS}


@asynccontextmanager
async def rig(*rules: JSON, **settings: Any) -> AsyncIterator[tuple[Sume, World]]:
    """A client and the world it talks to; an image takes eleven seconds."""
    world = World(WorldSettings(**{"types": TYPES, **settings}), rules=load_rules(list(rules)))
    async with MemoryNetwork() as network:
        await network.serve(ORIGIN, make_app(world, origin=ORIGIN))
        async with Sume(
            api_key=KEY, base_url=f"{ORIGIN}/api/v1", connector_factory=network.connector, rng=Random(1)
        ) as sume:
            yield sume, world


def on(operation: str, **action: JSON) -> JSON:
    """A rule: every request of that operation meets this action."""
    return {"on": [operation], "do": action}


def names(directory: Path) -> set[str]:
    """What stands in a directory."""
    return {path.name for path in directory.iterdir()}


CREATES: list[tuple[Callable[[Sume], Awaitable[Any]], str, JSON]] = [
    (
        lambda sume: sume.images.generate(prompt="a", aspect_ratio="1:1"),
        "/images/generations",
        {"prompt": "a", "aspect_ratio": "1:1"},
    ),
    (
        lambda sume: sume.videos.generate("a", duration=4, generate_audio=False, seed=7),
        "/videos/generations",
        {"prompt": "a", "duration": 4, "generate_audio": False, "seed": 7},
    ),
    (lambda sume: sume.ads.generate(type="ugc", script=None), "/ads/videos", {"type": "ugc", "script": None}),
    (lambda sume: sume.face_swap.create(avatar_ids=["a", "b"]), "/face-swap", {"avatar_ids": ["a", "b"]}),
    (
        lambda sume: sume.reference_analysis.create(url="https://www.tiktok.com/@a/video/1"),
        "/reference-analysis",
        {"url": "https://www.tiktok.com/@a/video/1"},
    ),
]


@pytest.mark.parametrize(("create", "path", "body"), CREATES, ids=[path for _, path, _ in CREATES])
async def test_creates(create: Callable[[Sume], Awaitable[Any]], path: str, body: JSON) -> None:
    """A create sends what it was given, once, to its endpoint; an option left out is not sent."""
    async with rig() as (sume, world):
        await create(sume)
        assert world.ledger.received == {body_hash(path, body): 1}


async def test_several_jobs() -> None:
    """A create that starts several jobs gives a handle for each, and the primary knows the others."""
    async with rig() as (sume, world):
        first, second = await sume.face_swap.create(avatar_ids=["a", "b"])
        assert [first.id, second.id] == list(world.ledger.charges)
        assert first.siblings == (second,)


async def test_wait_and_download(tmp_path: Path) -> None:
    """A job is created, waited for and saved under its id, whole."""
    async with rig() as (sume, _):
        job = await sume.images.generate("a kite")
        outcome = await job.wait(timeout_seconds=60)
        (media,) = await job.download(tmp_path)
        data = (tmp_path / media.path).read_bytes()
        assert (outcome.status, outcome.job_id, outcome.type) == ("completed", job.id, "image_generation")
        assert outcome.result["images"][0]["url"].startswith(ORIGIN)
        assert (media.path, media.sha256) == (f"{job.id}.png", hashlib.sha256(data).hexdigest())
        assert data.startswith(b"\x89PNG")


async def test_download_again(tmp_path: Path) -> None:
    """A second download leaves one file."""
    async with rig() as (sume, _):
        job = await sume.images.generate("a kite")
        await job.wait()
        assert await job.download(tmp_path) == await job.download(tmp_path)
        assert names(tmp_path) == {f"{job.id}.png"}


async def test_downloads_side_by_side(tmp_path: Path) -> None:
    """Several jobs are saved into one directory at once."""
    async with rig() as (sume, _):
        jobs = [await sume.images.generate(f"kite {number}") for number in range(3)]
        await asyncio.gather(*(job.wait() for job in jobs))
        await asyncio.gather(*(job.download(tmp_path) for job in jobs))
        assert names(tmp_path) == {f"{job.id}.png" for job in jobs}


async def test_timeout() -> None:
    """A wait ends at its deadline with a TimeoutError; the job goes on, and can be waited for again."""
    async with rig() as (sume, world):
        job = await sume.images.generate("a kite")
        with pytest.raises(TimeoutError) as caught:
            await job.wait(timeout_seconds=0.1)
        assert isinstance(caught.value, DeadlineError)
        assert (caught.value.outcome.status, job.id in caught.value.hint) == ("timed_out", True)
        assert virtual_elapsed() == pytest.approx(0.1, abs=0.001)
        assert (await job.wait()).ok
        assert len(world.ledger.charges) == 1


async def test_handle_by_id() -> None:
    """A job known by its id alone is waited for like any other, under the type it is said to have."""
    async with rig() as (sume, _):
        job = await sume.images.generate("a kite")
        assert (await sume.handle(job.id).wait()).type == "image_generation"
        outcome = await sume.handle(job.id, "kite").wait()
        assert (outcome.type, outcome.server_type) == ("kite", "image_generation")


async def test_job_fails() -> None:
    """A job that failed raises with its id, the server's code and the whole outcome."""
    types = {"image_generation": TypeSettings(Duration(10, 0), failure_rate=1.0)}
    async with rig(types=types) as (sume, _):
        job = await sume.images.generate("a kite")
        with pytest.raises(JobError, match=f"{job.id} failed: generation_failed: ") as caught:
            await job.wait()
        assert caught.value.outcome.status == "failed"


async def test_result_cannot_be_had() -> None:
    """A job that completed without a readable result raises, and says that it completed."""
    async with rig(on("result", kind="body", text="<html>")) as (sume, _):
        job = await sume.images.generate("a kite")
        with pytest.raises(JobError, match="completed, and its result cannot be had"):
            await job.wait()


async def test_appears_late() -> None:
    """A job just created is waited for although the server does not know it yet."""
    async with rig(visible_after_seconds=20) as (sume, _):
        job = await sume.images.generate("a kite")
        assert (await job.wait()).ok


async def test_appears_too_late() -> None:
    """A new job that does not appear until the deadline has not failed: it may still run."""
    async with rig(visible_after_seconds=50) as (sume, _):
        job = await sume.images.generate("a kite")
        with pytest.raises(DeadlineError):
            await job.wait(timeout_seconds=10)


async def test_unknown_id() -> None:
    """Waiting for an id that the server does not know ends at once."""
    async with rig() as (sume, world):
        with pytest.raises(JobError, match="not_found"):
            await sume.handle("job_nobody_knows").wait()
        assert world.ledger.requests == {"GET /jobs/{id}": 1}


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
async def test_timeout_must_be_positive(seconds: float) -> None:
    """A time-out that cannot be met is a usage error, and nothing is sent."""
    async with rig() as (sume, world):
        with pytest.raises(UsageError, match="positive"):
            await sume.handle("job_1").wait(seconds)
        assert not world.ledger.requests


AMBIGUOUS: list[tuple[type[SumeError], JSON]] = [
    (TransportError, on("create", kind="reset", act=True)),
    (ServerError, on("create", kind="status", status=503, act=True)),
    (BadResponseError, on("create", kind="body", text="{}", act=True)),
    (BadResponseError, on("create", kind="body", text="<html>", act=True)),
]


@pytest.mark.parametrize(("error", "rule"), AMBIGUOUS)
async def test_ambiguous_create(error: type[SumeError], rule: JSON) -> None:
    """A create whose answer is lost is sent once, and its error says that the job may exist."""
    async with rig(rule) as (sume, world):
        with pytest.raises(error, match="the job may have been created") as caught:
            await sume.images.generate("a kite")
        assert "sumeasync jobs list" in caught.value.hint
        assert list(world.ledger.received.values()) == [1]


@pytest.mark.parametrize(("error", "status"), [(BadRequestError, 400), (AuthError, 403), (CreditsError, 402)])
async def test_refused_create(error: type[SumeError], status: int) -> None:
    """A create that was refused does not claim that a job may exist."""
    async with rig(on("create", kind="status", status=status)) as (sume, _):
        with pytest.raises(error) as caught:
            await sume.images.generate("a kite")
        assert "may have been created" not in f"{caught.value} {caught.value.hint}"


@asynccontextmanager
async def open_rig(*rules: JSON) -> AsyncIterator[tuple[Sume, World]]:
    """A client that speaks the dialect `open`, and the world it talks to."""
    world = World(WorldSettings(types=TYPES), rules=load_rules(list(rules)))
    async with MemoryNetwork() as network:
        await network.serve(ORIGIN, make_app(world, origin=ORIGIN))
        settings = sumeasync.Settings(dialect="open")
        async with Sume(
            api_key=KEY,
            base_url=f"{ORIGIN}/v1",
            settings=settings,
            connector_factory=network.connector,
            rng=Random(1),
            wall_clock=lambda: 1e9,
        ) as sume:
            yield sume, world


LOST = {"kind": "reset", "act": True}


@pytest.mark.parametrize(
    "then", [None, {"kind": "status", "status": 500}, {"kind": "status", "status": 429, "retry_after": "30"}]
)
async def test_a_lost_answer_is_asked_for_again_under_its_key(then: JSON) -> None:
    """Where there are idempotency keys, a create whose answer is lost is sent again: the same job, charged once."""
    rules = [{"on": ["create"], "nth": 1, "do": LOST}] + ([{"on": ["create"], "nth": 2, "do": then}] if then else [])
    async with open_rig(*rules) as (sume, world):
        job = await sume.images.generate("a kite", model="gpt-image-2")
        assert list(world.ledger.charges) == [job.id]
        assert sum(world.ledger.received.values()) == (3 if then else 2)
        assert len(world.keys) == 1
        assert virtual_elapsed() >= (30 if then and "retry_after" in then else 0.25)


async def test_each_create_has_a_key_of_its_own() -> None:
    """The same call twice is two jobs, and another input has another key even with the same seed and clock."""
    keys = set[str]()
    for prompts in (("a", "a"), ("b",)):
        async with open_rig() as (sume, world):
            jobs = [await sume.images.generate(prompt, model="gpt-image-2") for prompt in prompts]
            assert len({job.id for job in jobs}) == len(prompts)
            keys |= world.keys.keys()
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("then", "error", "sent"),
    [
        (LOST, TransportError, 4),
        ({"kind": "status", "status": 422}, BadRequestError, 2),
        ({"kind": "status", "status": 402}, CreditsError, 2),
        ({"kind": "status", "status": 429, "retry_after": "90"}, RateLimitError, 2),
    ],
)
async def test_tries_under_a_key_end(then: JSON, error: type[SumeError], sent: int) -> None:
    """After some tries, or a refusal, the error says that the job of the first one may exist."""
    async with open_rig({"on": ["create"], "nth": 1, "do": LOST}, on("create", **then)) as (sume, world):
        with pytest.raises(error, match="the job may have been created") as caught:
            await sume.images.generate("a kite", model="gpt-image-2")
        assert "jobs list" in caught.value.hint
        assert sum(world.ledger.requests.values()) == sent


@pytest.mark.parametrize("status", [429, 402, 422])
async def test_a_refusal_is_not_sent_again(status: int) -> None:
    """Without a lost answer there is no second try, key or no key."""
    async with open_rig(on("create", kind="status", status=status)) as (sume, world):
        with pytest.raises(SumeError) as caught:
            await sume.images.generate("a kite", model="gpt-image-2")
        assert "may have been created" not in f"{caught.value} {caught.value.hint}"
        assert sum(world.ledger.requests.values()) == 1


async def test_what_json_cannot_hold_gets_no_key() -> None:
    """An input that cannot be sent is the caller's error here as well."""
    async with open_rig() as (sume, world):
        with pytest.raises(UsageError, match="JSON"):
            await sume.images.generate("a kite", model="gpt-image-2", seed=object())
        assert not world.ledger.requests


async def test_no_connection() -> None:
    """A create that never left says that nothing was sent, and what to do."""
    async with (
        MemoryNetwork() as network,
        Sume(api_key=KEY, base_url=ORIGIN, connector_factory=network.connector) as sume,
    ):
        with pytest.raises(ConnectError) as caught:
            await sume.images.generate("a kite")
        assert (caught.value.sent, caught.value.hint) == (False, "check the network, then call again")


async def test_typed_errors() -> None:
    """An error answer is raised after one request, with status, code, request id and a hint."""
    async with rig(on("poll", kind="status", status=429, code="rate_limit_exceeded")) as (sume, world):
        with pytest.raises(RateLimitError) as caught:
            await sume.job("job_1")
        error = caught.value
        assert (error.status, error.code) == (429, "rate_limit_exceeded")
        assert error.request_id
        assert error.hint
        assert world.ledger.requests == {"GET /jobs/{id}": 1}


async def test_error_text_is_sanitized() -> None:
    """A server that repeats the key does not get it into an error's text."""
    async with rig(on("read", kind="status", status=400, message=f"bad key {KEY}")) as (sume, _):
        with pytest.raises(BadRequestError, match="bad key") as caught:
            await sume.me()
        assert KEY not in str(caught.value)


async def test_job_and_status() -> None:
    """A job is looked at by its id or through its handle."""
    async with rig() as (sume, _):
        job = await sume.images.generate("a kite")
        await asyncio.sleep(5)
        assert (await sume.job(job.id)).status == (await job.status()).status == "running"


@pytest.mark.parametrize("unready", ["conflict", "job"])
async def test_result(unready: str) -> None:
    """A result is there once the job completed; until then asking for it is an error, however the server says so."""
    async with rig(unready_result=unready) as (sume, _):
        job = await sume.images.generate("a kite")
        with pytest.raises(NotReadyError):
            await sume.result(job.id)
        await asyncio.sleep(20)
        assert (await sume.result(job.id)).keys() == {"images"}


async def test_page() -> None:
    """One page of jobs, as asked for."""
    async with rig() as (sume, world):
        world.preload(5)
        await sume.images.generate("a kite")
        page = await sume.jobs(2, type="video_generation")
        rest = await sume.jobs(10, page.next_cursor, "video_generation")
        assert (len(page.jobs), len(rest.jobs), rest.next_cursor) == (2, 3, None)
        assert (await sume.jobs(status="completed")).jobs == ()


async def test_iter_jobs() -> None:
    """Every job of the list comes once, and a page is asked for once."""
    async with rig() as (sume, world):
        made = world.preload(250)
        found = [job.id async for job in sume.iter_jobs()]
        assert sorted(found) == sorted(job.id for job in made)
        assert world.ledger.requests == {"GET /jobs": 3}


PAGE = '{"data": [{"id": "job_%d", "status": "queued"}], "has_more": true, "next_cursor": "%s"}'


@pytest.mark.parametrize("second", [PAGE % (1, "other"), PAGE % (2, "again"), PAGE.replace('"job_%d"', "null") % "new"])
async def test_iter_jobs_in_circles(second: str) -> None:
    """A list that brings nothing new, or a cursor twice, ends in an error after what it did bring."""
    first = on("list", kind="body", text=PAGE % (1, "again")) | {"nth": 1}
    async with rig(first, on("list", kind="body", text=second)) as (sume, world):
        found: list[str] = []

        async def walk() -> None:
            async for job in sume.iter_jobs():
                found.append(job.id)

        with pytest.raises(BadResponseError, match="circles"):
            await walk()
        assert found[0] == "job_1"
        assert len(found) == len(set(found))
        assert world.ledger.requests == {"GET /jobs": 2}


async def test_ingest(tmp_path: Path) -> None:
    """A file is uploaded byte for byte without the key, ingested once, and found in the library."""
    (tmp_path / "clip.mp4").write_bytes(b"moving pictures")
    async with rig() as (sume, world):
        job = await sume.assets.ingest(tmp_path / "clip.mp4", title="Spring")
        assert (await job.wait()).ok
        (found,) = (await sume.assets.search(q="spring"))["data"]
        assert (await sume.assets.get(found["id"]))["content_type"] == "video/mp4"
        assert list(world.ledger.uploads.values()) == [hashlib.sha256(b"moving pictures").hexdigest()]
        assert world.ledger.creates == {"/assets": 1}
        assert world.ledger.key_sightings == []


async def test_upload_alone(tmp_path: Path) -> None:
    """A source video is presigned with its purpose and uploaded, and nothing is charged."""
    (tmp_path / "face.mp4").write_bytes(b"a face")
    async with rig() as (sume, world):
        place = await sume.presign(tmp_path / "face.mp4", purpose="face_swap_source_video")
        assert await sume.upload(tmp_path / "face.mp4", place) == 6
        assert world.uploads.objects[place.object_key].purpose == "face_swap_source_video"
        assert not world.ledger.charges
        assert (await sume.finalize(place.object_key, title="Face")).id in world.ledger.charges


async def test_no_such_file(tmp_path: Path) -> None:
    """A file that is not there is found out before anything is sent, and its folder is not told."""
    async with rig() as (sume, world):
        with pytest.raises(UsageError, match=r"clip\.mp4") as caught:
            await sume.assets.ingest(tmp_path / "clip.mp4")
        assert str(tmp_path) not in str(caught.value)
        assert not world.ledger.requests


READS: list[tuple[Callable[[Sume], Awaitable[JSON]], str, str]] = [
    (lambda sume: sume.me(), "GET /me", "me"),
    (lambda sume: sume.credits(), "GET /credits", "credits"),
    (lambda sume: sume.brand(), "GET /brand/current", "brand"),
    (lambda sume: sume.brand("all"), "GET /brand", "list"),
    (lambda sume: sume.avatars(), "GET /avatars", "list"),
    (lambda sume: sume.avatar("avatar_1"), "GET /avatars/{id}", "avatar"),
    (lambda sume: sume.assets.search(limit=5), "GET /assets", "list"),
]


@pytest.mark.parametrize(("read", "route", "kind"), READS, ids=[route for _, route, _ in READS])
async def test_reads(read: Callable[[Sume], Awaitable[JSON]], route: str, kind: str) -> None:
    """A look around is one request to its endpoint and gives the document as it is."""
    async with rig() as (sume, world):
        assert (await read(sume))["object"] == kind
        assert world.ledger.requests == {route: 1}


async def test_not_found() -> None:
    """An id that does not exist is told from every other error."""
    async with rig() as (sume, _):
        with pytest.raises(NotFoundError):
            await sume.avatar("avatar_none")


@pytest.mark.parametrize("call", [lambda sume: sume.me(), lambda sume: sume.upload("x", Presigned("", {}, ""))])
async def test_not_open(call: Callable[[Sume], Awaitable[Any]]) -> None:
    """A client that is not open says how to open it."""
    with pytest.raises(UsageError, match="async with"):
        await call(Sume(api_key=KEY))


def test_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key the constructor says where to put one."""
    monkeypatch.delenv("SUME_API_KEY", raising=False)
    with pytest.raises(MissingKeyError, match="SUME_API_KEY"):
        Sume()


async def test_repr() -> None:
    """What the objects show of themselves holds no key."""
    async with rig() as (sume, _):
        job = await sume.images.generate("a kite")
        shown = f"{sume!r} {job!r}"
        assert "api.test open" in shown
        assert job.id in shown
        assert KEY not in shown


@contextmanager
def served(*rules: JSON) -> Iterator[str]:
    """The base URL of a simulator in a thread of its own, fifty times as fast as life."""
    loop, ready, done = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    base: list[str] = []

    async def main() -> None:
        async with serve(World(rules=load_rules(list(rules))), speed=50) as url:
            base.append(url)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    ready.wait(5)
    try:
        yield base[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(5)
        loop.close()


FAST = sumeasync.Settings(poll={"image_generation": {"first_delay": 0.1, "interval": 0.1, "cap": 0.1}})
SPEC = {"key": "one", "type": "image_generation", "input": {"prompt": "a kite"}}


def test_run(tmp_path: Path) -> None:
    """A script without a loop gets the outcomes of its batch, and the media on disk."""
    with served() as base:
        (outcome,) = sumeasync.run([SPEC], tmp_path, api_key=KEY, base_url=base, settings=FAST)
        assert (outcome.key, outcome.status) == ("one", "completed")
        assert (tmp_path / outcome.files[0].path).stat().st_size == outcome.files[0].bytes
        assert sumeasync.run([SPEC], tmp_path, api_key=KEY, base_url=base) == []


def test_run_stopped() -> None:
    """What ended a batch early is raised as itself, with a note on what came before."""
    with served(on("create", kind="status", status=402)) as base, pytest.raises(CreditsError) as caught:
        sumeasync.run([{"key": "bad", "type": "none"}, SPEC], api_key=KEY, base_url=base)
    assert caught.value.__notes__ == ["1 outcomes came before it; they are not kept, as no output directory was given"]


async def test_run_in_a_loop() -> None:
    """Where a loop is running, the batch for scripts refuses and names the other way."""
    with pytest.raises(UsageError, match="Engine"):
        sumeasync.run([], api_key=KEY)


async def test_the_other_surface() -> None:
    """With the dialect `open` a single job is created, awaited and fetched there, and what it lacks is said."""
    async with MemoryNetwork() as network:
        await network.serve(ORIGIN, make_app(World(WorldSettings(types=TYPES)), origin=ORIGIN))
        settings = sumeasync.Settings(dialect="open")
        base, factory = f"{ORIGIN}/v1", network.connector
        async with Sume(api_key=KEY, base_url=base, settings=settings, connector_factory=factory) as sume:
            job = await sume.images.generate(prompt="a", model="gpt-image-2")
            outcome = await job.wait()
            assert (outcome.status, list(outcome.result)) == ("completed", ["artifacts"])
            assert [listed.id for listed in (await sume.jobs()).jobs] == [job.id]
            with pytest.raises(UsageError, match="dialect so"):
                await sume.credits()
