"""The contenders of `peers.py`: the simulator they ask, this engine, the vendor's client, and a plain loop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterable

from _alone import Figures, peak_mib

__all__ = ["engine", "loop", "sdk", "serve"]

KEY = "sume_live_simulated"
KIND, MODEL = "video_generation", "video-1"
POLL_SECONDS = 2.0
"""What the vendor's client waits between polls, and what people write."""


async def serve(speed: float, reads_per_minute: int | None) -> Figures:
    """The simulator on a port it prints; under ``/figures`` what it saw, what it cost, and when its time began."""
    from aiohttp import web
    from aiohttp.typedefs import Handler

    from sumeasync.simulator import Limits, World, WorldSettings, make_app

    began, origin = time.time(), time.monotonic()
    world = World(WorldSettings(limits=Limits(reads_per_minute=reads_per_minute), credits=1 << 40), seed=7)

    @web.middleware
    async def figures(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path != "/figures":
            return await handler(request)
        return web.json_response({"cpu": time.process_time(), "began": began, "ledger": world.ledger.snapshot()})

    app = make_app(world, clock=lambda: (time.monotonic() - origin) * speed)
    app.middlewares.append(figures)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()
    return {}


async def engine(base: str, jobs: int, speed: float, patience: float, dialect: str) -> Figures:
    """This engine as it comes, with a directory for its journal; only its waiting times follow the speed."""
    import msgspec

    from sumeasync.core.polling.policy import DEFAULT_POLICIES
    from sumeasync.core.settings import Settings
    from sumeasync.engine import Engine

    usual = DEFAULT_POLICIES[KIND]
    poll = {name: getattr(usual, name) / speed for name in ("first_delay", "interval", "cap")}
    settings = msgspec.convert({"dialect": dialect, "download": False, "poll": {KIND: poll}}, Settings)
    prefix, model = ("/api/v1", {}) if dialect == "so" else ("/v1", {"model": MODEL})
    specs = ({"key": f"k{n}", "type": KIND, "input": model | {"prompt": f"p{n}"}} for n in range(jobs))
    clock = Clock()
    with tempfile.TemporaryDirectory() as out:
        async with Engine(out=out, api_key=KEY, base_url=base + prefix, settings=settings) as opened:
            clock.start(jobs, patience)
            async for outcome in opened.run(specs):
                if outcome.ok:
                    clock.got(outcome.job_id or "")
            return clock.figures()


async def sdk(base: str, jobs: int, speed: float, patience: float, at_once: int | None = None) -> Figures:
    """The vendor's client, a coroutine a job, as its page shows; its two constants of time follow the speed.

    `at_once` is how many jobs are begun before one has ended; None: all.
    """
    import sume_client
    from sume_client.http import client as module
    from sume_client.http import retry

    module.DEFAULT_POLLING_DELAY = POLL_SECONDS / speed
    usual = retry.create_default_retry_strategy()
    quick = retry.ExponentialBackoffRetry(max_retries=usual.max_retries, initial_delay=usual.initial_delay / speed)
    module.create_default_retry_strategy = lambda: quick
    client, clock = sume_client.AsyncClient(base_url=base, api_key=KEY), Clock()
    places = asyncio.Semaphore(at_once or jobs)

    async def one(number: int) -> None:
        async with places:
            result = await client.subscribe(MODEL, {"prompt": f"p{number}"})
            clock.got(result["request_id"])

    clock.start(jobs, patience)
    ends = await asyncio.gather(*(one(number) for number in range(jobs)), return_exceptions=True)
    return clock.figures(ends)


async def loop(base: str, jobs: int, speed: float, patience: float) -> Figures:
    """What people write: a coroutine a job with one aiohttp session; a poll that fails is simply asked again."""
    import aiohttp

    clock, base = Clock(), f"{base}/api/v1"

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        async with session.post(f"{base}/videos/generations", json={"prompt": f"p{number}"}) as response:
            response.raise_for_status()
            job_id = (await response.json())["job_id"]
        while True:
            await asyncio.sleep(POLL_SECONDS / speed)
            async with session.get(f"{base}/jobs/{job_id}") as response:
                if response.ok and (await response.json())["status"] == "completed":
                    break
        async with session.get(f"{base}/jobs/{job_id}/result") as response:
            response.raise_for_status()
            await response.json()
        clock.got(job_id)

    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        clock.start(jobs, patience)
        ends = await asyncio.gather(*(one(session, number) for number in range(jobs)), return_exceptions=True)
        return clock.figures(ends)


class Clock:
    """When a contender began, when it had each result (epoch seconds), and what it cost."""

    def start(self, jobs: int, patience: float) -> None:
        """The batch begins: what was imported and opened before does not count. In so many seconds it is stopped."""
        self.got_at: dict[str, float] = {}
        self.began, self.cpu = time.time(), time.process_time()

        def stop(*_: object) -> None:
            """Nothing else could: an event loop may be too busy for its own timers, and slow to cancel."""
            print(json.dumps(self.figures([TimeoutError()] * (jobs - len(self.got_at)))), flush=True)
            os._exit(0)

        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, patience)

    def got(self, job_id: str) -> None:
        """The result of a job is in hand."""
        self.got_at[job_id] = time.time()

    def figures(self, ends: Iterable[BaseException | None] = ()) -> Figures:
        """All of it up to now, and the errors that jobs were lost to, by their names."""
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        lost = [type(end).__name__ for end in ends if end is not None]
        return {
            "seconds": time.time() - self.began,
            "cpu": time.process_time() - self.cpu,
            "peak_mib": peak_mib(),
            "got_at": self.got_at,
            "errors": {name: lost.count(name) for name in sorted(set(lost))},
        }
