"""One batch under way: order, backpressure, stopping early, and what the caller does in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

from sumeasync.core.settings import Settings
from sumeasync.errors import AuthError, CreditsError, UsageError
from sumeasync.models import JSON
from sumeasync.simulator import Duration, TypeSettings, WorldSettings, load_rules
from sumeasync.testing import Rig

ELEVEN = TypeSettings(Duration(10, 0), queue=Duration(1, 0), credits=1, media="png")
TYPES = {"image_generation": ELEVEN, "video_generation": ELEVEN, "face_swap": ELEVEN}
WORLD = WorldSettings(types=TYPES)
BRISK = Settings(poll={"*": {}, "image_generation": {"first_delay": 1, "interval": 1, "cap": 1, "jitter": 0}})


def image(number: int, **fields: JSON) -> JSON:
    """A spec for one image."""
    return {"key": f"img-{number}", "type": "image_generation", "input": {"prompt": f"p{number}"}, **fields}


def images(count: int) -> list[JSON]:
    """Specs for as many images."""
    return [image(number) for number in range(count)]


def on(operation: str, *, act: bool = True, **rule: JSON) -> JSON:
    """A rule for one operation: `rule` holds its conditions and what it does."""
    return {"on": [operation], **rule}


async def test_completion_order() -> None:
    """Outcomes come in the order of completion, not of the manifest."""
    types = {"image_generation": ELEVEN, "video_generation": TypeSettings(Duration(60, 0), media="mp4")}
    async with Rig(WorldSettings(types=types)) as rig:
        outcomes = await rig.run([{"key": "v", "type": "video_generation", "input": {"prompt": "v"}}, image(0)])
        assert [outcome.key for outcome in outcomes] == ["img-0", "v"]


async def test_max_in_flight() -> None:
    """No more specs are under way than allowed."""
    async with Rig(WORLD) as rig:
        most = 0
        async with rig.engine(Settings(max_in_flight=3)) as engine:
            run = engine.run(images(9))
            async for _ in run:
                most = max(most, sum(count.running + count.queued for count in run.statistics.types.values()))
        await rig.check(images(9))
        running = [(job.created_at, job.ended_at) for job in rig.world.jobs]
        assert max(sum(a <= t < b for a, b in running) for t, _ in running) == 3
        assert most <= 3


@pytest.mark.parametrize("learn", [True, False])
async def test_a_days_allowance_lasts_for_the_batch(learn: bool) -> None:
    """Six reads a job are enough: polls get rarer before they are spent, and nothing waits for the next day."""
    videos: list[JSON] = [{"key": f"v{n}", "type": "video_generation", "input": {"prompt": f"{n}"}} for n in range(60)]
    async with Rig(WorldSettings(types={"video_generation": TypeSettings(Duration(90, 0.3), media=None)})) as rig:
        await rig.run(videos, Settings(read_day_rate="360/d", sweep=False, learn=learn))
        await rig.check(videos)
        assert rig.now() < 600


async def test_an_allowance_smaller_than_the_batch_is_used() -> None:
    """Where an hour's reads do not pay for all results, they go to results, and the next hour's do the rest."""
    videos: list[JSON] = [{"key": f"v{n}", "type": "video_generation", "input": {"prompt": f"{n}"}} for n in range(60)]
    async with Rig(WorldSettings(types={"video_generation": TypeSettings(Duration(90, 0.3), media=None)})) as rig:
        await rig.run(videos, Settings(read_day_rate="40/h", sweep=False))
        await rig.check(videos)
        assert rig.now() < 2 * 3600


async def test_endless_specs() -> None:
    """Specs may be an endless generator: only as many are taken from it as there is room for."""
    taken = 0

    def endless() -> Iterator[JSON]:
        nonlocal taken
        while True:
            taken += 1
            yield image(taken)

    async with Rig(WORLD) as rig:
        async with rig.engine(Settings(max_in_flight=5)) as engine:
            run = engine.run(endless())
            for _ in range(12):
                await anext(run)
        ended = 12 + 5  # those that were read, and those that ended together with the last of them
        assert taken <= ended + 5 + 1
        assert len(rig.world.jobs) <= ended + 5


async def test_unread_outcomes() -> None:
    """When nobody reads outcomes, the engine pauses; it goes on when somebody does, and loses none."""
    async with Rig(WORLD) as rig:
        async with rig.engine(Settings(max_in_flight=4, max_unread=2)) as engine:
            run = engine.run(images(20))
            await asyncio.sleep(3600)
            assert run.statistics.outcomes <= 2 + 4
            assert len({outcome.key async for outcome in run}) == 20
        await rig.check(images(20), charges=1)


async def test_unread_outcomes_use_no_time() -> None:
    """A paused engine waits; it does not turn over."""
    async with Rig(WORLD) as rig, rig.engine(Settings(max_unread=1)) as engine:
        run = engine.run(images(4))
        await asyncio.sleep(600)
        with anyio.fail_after(1):
            turns = 0
            while turns < 100:
                await asyncio.sleep(0)
                turns += 1
        async for _ in run:
            pass


async def test_reading_late_polls_soon() -> None:
    """After a pause the engine goes on at once."""
    async with Rig(WORLD) as rig, rig.engine(Settings(max_unread=1)) as engine:
        run = engine.run(images(2))
        await asyncio.sleep(600)
        before = rig.now()
        outcomes = [outcome async for outcome in run]
        assert len(outcomes) == 2
        assert rig.now() - before < 5


async def test_same_seed_same_trace() -> None:
    """The same seed gives the same requests at the same times, latency included."""
    traces = []
    for _ in range(2):
        async with Rig(WORLD, seed=5, latency=(0.001, 0.3)) as rig:
            outcomes = await rig.run(images(8))
            traces.append(([o.key for o in outcomes], [round(t, 6) for t in rig.world.ledger.times["read"]]))
    assert traces[0] == traces[1]


async def test_waiting_for_its_turn_is_not_lateness() -> None:
    """A spec that waited long for its create is given the same patience as any other when the create is refused."""
    refusal = {"kind": "status", "status": 429, "retry_after": "1"}
    rules = load_rules([on("create", from_seconds=100.0, times=1, do=refusal)])
    async with Rig(WORLD, rules=rules) as rig:
        specs = [image(number, deadline_seconds=60.0) for number in range(3)]
        outcomes = await rig.run(specs, Settings(create_rate="1/m"))
        assert [outcome.status for outcome in outcomes] == ["completed"] * 3
        assert rig.world.faults.fired == [1]


async def test_source_fails() -> None:
    """When the source of specs raises, what was taken is finished, and the error reaches the reader as it is."""

    def broken() -> Iterator[JSON]:
        yield from images(2)
        raise LookupError("no more")

    async with Rig(WORLD, latency=(0.5, 0.5)) as rig:
        with pytest.raises(LookupError, match="no more"):
            await rig.run(broken())
        await rig.check(images(2))
        await rig.check_repeat(images(2))


async def test_stop_does_not_wait_for_the_source() -> None:
    """A refused key ends the run although the source of specs would go on for ever without a word."""

    async def silent() -> AsyncIterator[JSON]:
        yield image(0)
        await asyncio.Event().wait()

    rules = load_rules([on("create", do={"kind": "status", "status": 401})])
    async with Rig(WORLD, rules=rules) as rig:
        with anyio.fail_after(600):
            assert await rig.run(silent()) == []
        assert isinstance(rig.error, AuthError)


async def test_slow_create_does_not_delay_polls() -> None:
    """While a create takes its time, the jobs created before it are polled when they are due."""
    rules = load_rules([on("create", nth=2, do={"kind": "delay", "seconds": 60})])
    async with Rig(WORLD, rules=rules) as rig:
        outcomes = await rig.run(images(2), BRISK)
        detection = min(rig.world.ledger.detections.values(), key=lambda one: one.ended_at)
        assert detection.detected_at < 13
        assert len(outcomes) == 2


async def test_busy_reads_do_not_delay_creates() -> None:
    """A create that waits until the one before it is found in the list goes then, however many polls are due."""
    slow = TypeSettings(Duration(300, 0), queue=Duration(0, 0))
    rules = load_rules([on("create", nth=1, do={"kind": "reset", "act": True})])
    poll: dict[str, float | None] = {"first_delay": 0, "interval": 0.1, "cap": 0.1}
    world = WorldSettings(types={"image_generation": slow, "video_generation": slow})
    async with Rig(world, rules=rules, latency=(0.1, 0.1)) as rig:
        busy: list[JSON] = [{"key": job.id, "job_id": job.id} for job in rig.world.preload(40, type="video_generation")]
        await rig.run([*images(2), *busy], Settings(reads=2, sweep=False, poll={"video_generation": poll}))
        assert max(rig.world.ledger.times["create"]) < 10


async def test_slow_download_does_not_delay_polls() -> None:
    """While a download takes its time, other jobs are polled when they are due."""
    rules = load_rules([on("download", nth=1, do={"kind": "delay", "seconds": 25})])
    settings = Settings(reads=1, transfers=1, creates_per_type=4, poll=BRISK.poll)
    async with Rig(WORLD, rules=rules) as rig:
        await rig.run(images(4), settings)
        late = [d.detected_at - d.ended_at for d in rig.world.ledger.detections.values()]
        assert max(late) < 4


async def test_no_two_requests_for_one_job() -> None:
    """A job that two specs name is not watched twice at once."""
    async with Rig(WORLD, latency=(0.1, 2.0)) as rig:
        (job,) = rig.world.preload(1, type="image_generation")
        specs: list[JSON] = [{"key": "a", "job_id": job.id}, {"key": "b", "job_id": job.id}]
        outcomes = await rig.run(specs, BRISK)
        assert sorted(outcome.status for outcome in outcomes) == ["completed", "rejected"]
        assert not rig.world.ledger.overlaps


async def test_failed_job_stops_nobody() -> None:
    """A job that fails, expires or is canceled is an outcome like any other; its siblings go on."""
    types = {
        "image_generation": TypeSettings(Duration(10, 0), failure_rate=0.4, expiry_rate=0.2, cancellation_rate=0.2)
    }
    async with Rig(WorldSettings(types=types), seed=2) as rig:
        outcomes = await rig.run(images(20))
        assert {outcome.status for outcome in outcomes} == {"completed", "failed", "expired", "canceled"}
        fates = {job.id: job.fate for job in rig.world.jobs}
        assert {outcome.job_id: outcome.status for outcome in outcomes} == fates
        await rig.check(images(20))
        await rig.check_repeat(images(20))


async def test_the_exit_code_is_of_the_specs_asked_for() -> None:
    """A failure of an earlier run counts whenever that spec is asked for, and not when it no longer is."""
    types = {"image_generation": TypeSettings(Duration(10, 0), failure_rate=0.5)}
    codes = []
    async with Rig(WorldSettings(types=types), seed=2) as rig:
        outcomes = await rig.run(images(6))
        good = {outcome.key for outcome in outcomes if outcome.ok}
        assert 0 < len(good) < 6
        for specs in images(6), [spec for spec in images(6) if spec["key"] in good], images(6), []:
            await rig.run(specs)
            assert rig.report is not None
            codes.append(rig.report.exit_code)
            assert sum(rig.report.earlier.values()) == 6
    assert codes == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("status", "error", "code"), [(401, AuthError, 4), (402, CreditsError, 5), (403, AuthError, 4)]
)
async def test_refused_key_or_credits(status: int, error: type[Exception], code: int) -> None:
    """When a create is refused for key or credits, no more are sent, what runs is finished, then the reader is told."""
    rules = load_rules([on("create", nth=3, do={"kind": "status", "status": status, "message": "scripted"})])
    async with Rig(WORLD, rules=rules, latency=(0.01, 0.1)) as rig:
        outcomes = await rig.run(images(8))
        assert [outcome.status for outcome in outcomes] == ["completed", "completed"]
        assert isinstance(rig.error, error)
        assert rig.report is not None
        assert (rig.report.exit_code, rig.report.not_started) == (code, 6)
        await rig.check(images(8))
        assert len(await rig.run(images(8))) == 6
        await rig.check(images(8))
        await rig.check_repeat(images(8))


async def test_credits_run_out() -> None:
    """Credits for three of five: three complete, CreditsError; after topping up the rest is charged once each."""
    async with Rig(WorldSettings(types=TYPES, credits=3)) as rig:
        assert len(await rig.run(images(5), Settings(creates_per_type=5))) == 3
        assert isinstance(rig.error, CreditsError)
        rig.world.credits.remaining += 10
        assert len(await rig.run(images(5))) == 2
        await rig.check(images(5))
        await rig.check_repeat(images(5))


async def test_key_refused_on_a_poll() -> None:
    """A key that is refused while jobs run ends the run with AuthError; with a good key the same jobs are finished."""
    rules = load_rules([on("poll", nth=4, do={"kind": "status", "status": 401})])
    async with Rig(WORLD, rules=rules) as rig:
        await rig.run(images(3))
        assert isinstance(rig.error, AuthError)
        assert rig.report is not None
        assert rig.report.exit_code == 4
        await rig.check(images(3))
        await rig.run(images(3))
        await rig.check(images(3))
        await rig.check_repeat(images(3))


async def test_drain() -> None:
    """Draining starts no create, keeps every id that is known, and lets creates under way bring theirs home."""
    async with Rig(WORLD, latency=(0.4, 0.4)) as rig:
        async with rig.engine(Settings(creates_per_type=2)) as engine:
            run = engine.run(images(9))
            await asyncio.sleep(2.0)
            run.drain()
            creates = rig.requests()
            left = [outcome async for outcome in run]
        rig.report = run.report()
        assert left == []
        assert rig.requests() - creates <= 2
        assert {job_id for _, job_id in run.in_flight} == {job.id for job in rig.world.jobs}
        await rig.check(images(9))
        assert len(await rig.run(images(9))) == 9
        await rig.check(images(9))


async def test_drain_is_accounted_for() -> None:
    """After a drain the report has every spec: what runs is unresolved, the rest not started; the exit code is 1."""
    async with Rig(WORLD, latency=(0.4, 0.4)) as rig:
        async with rig.engine() as engine:
            run = engine.run(images(9))
            await asyncio.sleep(2.0)
            run.drain()
            await run.wait_ended()
        report = run.report()
        assert len(report.unresolved) + report.not_started == 9
        assert report.exit_code == 1


async def test_drain_during_a_create() -> None:
    """A create that brings no id home within the grace time is reported as unknown, and looked for by the next run."""
    rules = load_rules([on("create", nth=2, do={"kind": "delay", "seconds": 100})])
    async with Rig(WORLD, rules=rules) as rig:
        async with rig.engine(Settings(grace=5, read_timeout=200, total_timeout=200)) as engine:
            run = engine.run(images(3))
            await asyncio.sleep(1.0)
            run.drain()
            await run.wait_ended()
            assert rig.now() <= 6.0
        rig.report = run.report()
        assert ("img-1", "unknown") in {(one.key, one.status) for one in rig.report.unresolved}
        await rig.check(images(3))
        assert len(await rig.run(images(3))) == 3
        await rig.check(images(3))


async def test_lost_answer_while_draining() -> None:
    """A create whose answer is lost while the run drains is reported as unknown."""
    rules = load_rules([on("create", nth=1, do={"kind": "reset", "act": True})])
    async with Rig(WORLD, rules=rules, latency=(0.5, 0.5)) as rig:
        async with rig.engine() as engine:
            run = engine.run(images(1))
            await asyncio.sleep(1.2)
            run.drain()
            await run.wait_ended()
        rig.report = run.report()
        assert [one.status for one in rig.report.unresolved] == ["unknown"]
        await rig.check(images(1))


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_leaving_early(after: int) -> None:
    """Leaving the engine after some outcomes keeps what is known; the next run finishes the rest, charged once."""
    async with Rig(WORLD, latency=(0.05, 0.3)) as rig:
        async with rig.engine() as engine:
            run = engine.run(images(6))
            for _ in range(after):
                await anext(run)
        rig.report = run.report()
        await rig.check(images(6))
        await rig.run(images(6))
        await rig.check(images(6))
        await rig.check_repeat(images(6))


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.35, 0.8, 3.0, 11.2, 13.0, 15.5])
async def test_cancelled_from_outside(seconds: float) -> None:
    """Cancelling the scope around the engine loses nothing that was paid, and leaves no task behind."""
    async with Rig(WORLD, seed=int(seconds * 10), latency=(0.05, 0.3)) as rig:
        with anyio.move_on_after(seconds) as scope:
            async with rig.engine() as engine:
                run = engine.run(images(6))
                async for _ in run:
                    pass
        assert scope.cancelled_caught
        rig.report = None
        await rig.check(images(6))
        await rig.run(images(6))
        await rig.check(images(6))
        await rig.check_repeat(images(6))


async def test_body_raises() -> None:
    """What the caller's body raises leaves the engine as it is, not wrapped in a group."""
    async with Rig(WORLD) as rig:

        async def leave_with(error: Exception) -> None:
            async with rig.engine() as engine:
                async for _ in engine.run(images(3)):
                    raise error

        with pytest.raises(ZeroDivisionError):
            await leave_with(ZeroDivisionError())
        await rig.run(images(3))
        await rig.check(images(3))


async def test_one_run_an_engine() -> None:
    """A second run of one engine is refused."""
    async with Rig(WORLD) as rig, rig.engine() as engine:
        engine.run([])
        with pytest.raises(UsageError, match="another engine"):
            engine.run([])
