"""The lights go out at every operation of the disk, and answers of creates are lost: what is paid is never paid twice.

A failing test names its seed and operation: run it alone with ``pytest tests/engine/test_crash.py -k <its id>``.
``SUMEASYNC_SEEDS`` says how many seeds are played (one by default); every operation is a crash of its own.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from random import Random

import msgspec
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from sumeasync.core.settings import Settings
from sumeasync.errors import StorageError
from sumeasync.io.replay import replay
from sumeasync.models import JSON
from sumeasync.simulator import Duration, TypeSettings, WorldSettings, load_rules
from sumeasync.testing import MemoryDisk, Rig, remains
from sumeasync.testing.remains import Keep

SEEDS = int(os.environ.get("SUMEASYNC_SEEDS", "1"))
LATENCY = (0.001, 0.2)
SHORT = TypeSettings(Duration(4, 0.3), queue=Duration(1, 0.3), media="png")
TYPES = dict.fromkeys(("image_generation", "video_generation", "face_swap", "ads_video", "reference_analysis"), SHORT)
WORLD = WorldSettings(types=TYPES)
QUICK = Settings(
    poll={"*": {"first_delay": 1, "interval": 1, "cap": 1}}
    | {kind: {"first_delay": 1, "interval": 1, "cap": 1} for kind in (*TYPES, "asset_ingest")}
)
RECREATE = msgspec.structs.replace(QUICK, recreate_unknown=True)
MOST_OPERATIONS = 400
STRIDE = 8


def image(number: int) -> JSON:
    """A spec for one image."""
    return {"key": f"img-{number}", "type": "image_generation", "input": {"prompt": f"p{number}"}}


def batch(folder: Path) -> list[JSON]:
    """Six specs: seven jobs of four types, one of them with an upload."""
    clip = folder / "clip.mp4"
    clip.write_bytes(b"a clip" * 100)
    return [
        image(0),
        {
            "key": "swap",
            "type": "face_swap",
            "input": {"avatar_ids": ["a", "b"], "source_video_url": "https://x.test/v"},
        },
        {"key": "clip", "type": "asset_ingest", "file": str(clip), "input": {"title": "a clip"}},
        image(1),
        {"key": "video", "type": "video_generation", "input": {"prompt": "v"}},
        image(2),
    ]


class Crash:
    """Lets the lights go out before the `nth` operation of a disk: it dies, and the service hears nothing any more.

    What was under way to the service then may still arrive for `late` seconds.
    """

    def __init__(self, rig: Rig, disk: MemoryDisk, nth: int, rng: Random, late: float, keep: Keep = "prefix") -> None:
        self.rig = rig
        self.keep: Keep = keep
        self.disk = disk
        self.left = nth
        self.rng = rng
        self.late = late
        self.found: MemoryDisk | None = None
        self.silent_from = float("inf")
        disk.on_operation = self.operation

    def operation(self, operation: str, path: str) -> None:
        """Count down, then fail for ever."""
        self.left -= 1
        if self.found is None and self.left == 0:
            self.found = self.disk.crash(self.rng, self.keep)
            self.silent_from = self.rig.now() + self.late
        if self.found is not None:
            raise StorageError("the lights are out")


class CrashRig(Rig):
    """A rig whose network can fall silent with its disk."""

    crash: Crash | None = None

    async def crash_at(self, specs: list[JSON], nth: int, rng: Random, keep: Keep = "prefix") -> bool:
        """Run until the `nth` operation of the disk and go on with what is found; False when there is none."""
        self.crash = Crash(self, self.disk, nth, rng, rng.choice([0.0, 0.5]), keep)
        with suppress(StorageError):
            await self.run(specs, QUICK)
        if self.crash.found is None:
            self.disk.on_operation = None
            return False
        self.disk, self.crash, self.report = self.crash.found, None, None
        return True

    def app(self) -> web.Application:
        """The service, which hears nothing once the lights are out."""

        @web.middleware
        async def silence(request: web.Request, handler: web.Handler) -> web.StreamResponse:
            if self.crash and self.now() > self.crash.silent_from:
                return web.Response(status=503)
            return await handler(request)

        app = super().app()
        app.middlewares.append(silence)
        return app


async def finish(rig: Rig, specs: list[JSON]) -> None:
    """Run again: what was charged is found; what never reached the service is unknown, until it is sent again."""
    await rig.check(specs)
    await rig.run(specs, QUICK)
    await rig.check(specs)
    assert rig.report is not None
    assert {one.status for one in rig.report.unresolved} <= {"unknown"}
    history = (await replay(rig.disk)).history
    assert {job.id for facts in history.all() for job in facts.jobs} == set(rig.world.ledger.charges)
    if rig.report.unresolved:
        assert rig.report.exit_code == 6
        await rig.run(specs, RECREATE)
    assert len(rig.world.ledger.charges) == 7
    await rig.check_repeat(specs, QUICK)
    assert rig.report.earlier == {"completed": 7} or rig.report.unresolved


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a crash takes be so small that there are holes within a line, and between lines."""
    monkeypatch.setattr(remains, "PAGE_BYTES", 128)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("keep", ["prefix", "subset"])
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("first", range(1, STRIDE + 1))
async def test_crash_at_every_operation(first: int, seed: int, keep: Keep, tmp_path: Path) -> None:
    """After a crash at any operation of the disk, with holes or without, the next run ends the batch, all paid once."""
    specs = batch(tmp_path)
    for nth in range(first, MOST_OPERATIONS, STRIDE):
        async with CrashRig(WORLD, seed=seed, latency=LATENCY) as rig:
            try:
                if not await rig.crash_at(specs, nth, Random(f"{seed}/{nth}"), keep):
                    return
                await finish(rig, specs)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, crash before operation {nth}: {error}") from error
    pytest.fail("the batch needs more operations than are tried")


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("seed", range(4 * SEEDS))
async def test_crash_after_crash(seed: int, tmp_path: Path) -> None:
    """Runs that crash one after the other still end with each spec charged once."""
    specs, rng = batch(tmp_path), Random(seed)
    async with CrashRig(WORLD, seed=seed, latency=LATENCY) as rig:
        for _ in range(6):
            await rig.crash_at(specs, rng.randint(1, 90), rng, rng.choice(["prefix", "subset"]))
            await rig.check(specs)
        await finish(rig, specs)


LOST = [
    {"kind": "reset", "act": True},
    {"kind": "status", "status": 500, "act": True},
    {"kind": "status", "status": 504, "act": True, "envelope": False},
    {"kind": "body", "text": "<html>", "content_type": "text/html", "act": True},
    {"kind": "body", "text": "{}", "act": True},
    {"kind": "truncate", "fraction": 0.5},
    {"kind": "delay", "seconds": 60},
]
"""Ways to lose the answer of a create that the service acted on."""


def lost_create(action: JSON, **conditions: JSON) -> JSON:
    """A rule that spoils the answer of a create."""
    return {"on": ["create"], "do": action, **conditions}


@pytest.mark.parametrize(
    "action", LOST, ids=[f"{one['kind']}-{one.get('status', one.get('text', ''))}" for one in LOST]
)
async def test_lost_answer_is_found(action: JSON) -> None:
    """A create whose answer is lost is found in the job list, and neither sent again nor reported unknown."""
    specs = [image(number) for number in range(3)]
    async with Rig(WORLD, rules=load_rules([lost_create(action, nth=2)])) as rig:
        outcomes = await rig.run(specs, QUICK)
        assert [outcome.status for outcome in outcomes] == ["completed"] * 3
        assert len(rig.world.jobs) == 3
        await rig.check(specs)
        await rig.check_repeat(specs, QUICK)


async def test_lost_answer_of_several_jobs() -> None:
    """A Face Swap whose answer is lost is found with all its jobs."""
    swap = {
        "key": "s",
        "type": "face_swap",
        "input": {"avatar_ids": ["a", "b", "c"], "source_video_url": "https://x.test"},
    }
    rules = load_rules([lost_create({"kind": "reset", "act": True}, nth=1)])
    async with Rig(WORLD, rules=rules) as rig:
        outcomes = await rig.run([swap], QUICK)
        assert {outcome.job_id for outcome in outcomes} == {job.id for job in rig.world.jobs}
        await rig.check([swap])


@pytest.mark.parametrize(
    "world",
    [
        msgspec.structs.replace(WORLD, foreign_every_seconds=1.0),
        msgspec.structs.replace(WORLD, timestamps="none"),
        msgspec.structs.replace(WORLD, list_lag_seconds=1e6),
    ],
    ids=["others-create-too", "no-times", "list-lags"],
)
async def test_unsettled_answer_is_unknown(world: WorldSettings) -> None:
    """When the list does not show exactly one candidate, the create is unknown, exit code 6, and never sent again."""
    specs = [image(0)]
    async with Rig(world, rules=load_rules([lost_create({"kind": "reset", "act": True}, nth=1)])) as rig:
        for _ in range(2):
            (outcome,) = await rig.run(specs, QUICK)
            assert outcome.status == "unknown"
            assert rig.report is not None
            assert rig.report.exit_code == 6
            await rig.check(specs)
        assert rig.world.ledger.creates["/images/generations"] == 1


async def test_recreate_unknown() -> None:
    """Only when told to, an unknown create is sent again; the item is then delivered once."""
    specs = [image(0)]
    rules = load_rules([lost_create({"kind": "reset", "act": True}, nth=1)])
    async with Rig(msgspec.structs.replace(WORLD, timestamps="none"), rules=rules) as rig:
        await rig.run(specs, QUICK)
        (outcome,) = await rig.run(specs, RECREATE)
        assert outcome.status == "completed"
        assert rig.world.ledger.creates["/images/generations"] == 2
        await rig.check(specs, charges=2)


async def test_later_create_is_not_taken_for_a_lost_one() -> None:
    """A job that another spec is creating right now is not mistaken for the one whose answer was lost."""
    crashed, others = image(1000), [image(number) for number in range(80)]
    rules = load_rules([lost_create({"kind": "delay", "seconds": 3}, from_seconds=1)])
    async with CrashRig(WORLD, rules=rules) as rig:
        rig.crash = Crash(rig, rig.disk, 10**9, Random(0), 0.0)
        rig.disk.on_operation = None
        async with rig.engine(QUICK) as engine:
            rig.crash.silent_from = -1.0  # the create never arrives
            engine.run([crashed])
            await asyncio.sleep(0.01)
            rig.disk = rig.disk.crash()
        rig.crash, rig.report = None, None
        await asyncio.sleep(max(0.0, 1 - rig.now()))
        outcomes = await rig.run([*others, crashed], QUICK)
        assert {outcome.key for outcome in outcomes if outcome.status == "unknown"} == {"img-1000"}
        assert len({outcome.job_id for outcome in outcomes}) == 81


async def test_two_open_creates_of_one_type() -> None:
    """Of two creates without an answer, the one that never arrived does not take the other's job."""
    rules = load_rules([lost_create({"kind": "reset"}, nth=1), lost_create({"kind": "delay", "seconds": 90}, nth=2)])
    settings = msgspec.structs.replace(QUICK, read_timeout=100.0)
    async with Rig(WORLD, rules=rules) as rig:
        async with rig.engine(settings) as engine:
            engine.run([image(0), image(1)])
            await asyncio.sleep(40)
            assert len(rig.world.jobs) == 1
            rig.disk = rig.disk.crash()
        outcomes = {outcome.key: outcome for outcome in await rig.run([image(0), image(1)], QUICK)}
        assert (outcomes["img-0"].status, outcomes["img-1"].job_id) == ("unknown", rig.world.jobs[0].id)


class OtherWords(Rig):
    """A service that calls an image a picture, also where the list is filtered."""

    def app(self) -> web.Application:
        """The simulator's, with other words."""
        app = super().app()

        @web.middleware
        async def reworded(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.query.get("type") == "image_generation":
                return web.json_response({"object": "list", "data": [], "has_more": False, "next_cursor": None})
            answer = await handler(request)
            if isinstance(answer, web.Response) and isinstance(answer.body, bytes):
                answer.body = answer.body.replace(b'"type":"image_generation"', b'"type":"picture"')
            return answer

        app.middlewares.append(reworded)
        return app


async def test_lost_answer_is_found_under_the_servers_own_word() -> None:
    """A create whose answer is lost is found even when the server has another word for its type."""
    specs: list[JSON] = [{"key": str(n), "type": "image_generation", "input": {"prompt": str(n)}} for n in range(3)]
    async with OtherWords(WORLD, rules=load_rules([lost_create({"kind": "reset", "act": True}, nth=2)])) as rig:
        outcomes = await rig.run(specs)
        assert [outcome.status for outcome in outcomes] == ["completed"] * 3
        assert {outcome.server_type for outcome in outcomes} == {"picture"}
