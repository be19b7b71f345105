"""The contenders of `overhead.py` that ask a server: the raw protocol, the bare aiohttp loop, and the engine."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator

from _alone import Figures, peak_mib

__all__ = ["bare", "engine", "memory", "raw", "serve", "swept"]

BODY = b'{"object":"job","id":"%s","type":"video_generation","status":"running","created_at":"2026-01-01T00:00:00Z"}'
WORKERS = 32
LISTED = 10_000
POLICY: dict[str, float | None] = {"interval": 0.05, "cap": 0.05, "first_delay": 0.0, "deadline": 1e6}
ASK = b"GET /jobs/job_%d HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer sume_live_x\r\n\r\n"
LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n")


async def serve(*, sleeps: bool) -> Figures:
    """Answer every GET with a running job, or a page of them, as cheaply as aiohttp can."""
    from aiohttp import web

    loop = asyncio.get_running_loop()

    def spin() -> None:
        loop.call_soon(spin)

    pages = [page(first, LISTED) for first in range(0, LISTED, 100)]

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        job = request.path.rpartition("/")[2].encode()
        body = pages[int(request.query.get("cursor", "0"))] if job == b"jobs" else BODY % job
        return web.Response(body=body, content_type="application/json")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    if not sleeps:
        spin()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()
    return {}


def page(first: int, count: int) -> bytes:
    """One page of 100 running jobs of a list of `count`."""
    jobs = b",".join(BODY % (b"job_%d" % number) for number in range(first, first + 100))
    more = b"true" if first + 100 < count else b"false"
    return b'{"object":"list","data":[%s],"has_more":%s,"next_cursor":"%d"}' % (jobs, more, first // 100 + 1)


class Raw(asyncio.Protocol):
    """GETs on one connection, one after the other: the least that Python can do, and trusting to a fault."""

    def __init__(self, numbers: Iterator[int]) -> None:
        self.numbers = numbers
        self.data = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP has no other
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        """Send the next request, or close after the last."""
        number = next(self.numbers, None)
        if number is None:
            self.transport.close()
        else:
            self.transport.write(ASK % number)

    def data_received(self, data: bytes) -> None:
        """Read the answer once it is whole."""
        self.data += data
        head, _, body = self.data.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if length and len(body) == int(length[1]):
            self.data = b""
            json.loads(body)
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.done.set_result(None)


async def raw(base: str, polls: int) -> Figures:
    """A hand-written client on `asyncio.Protocol`."""
    numbers, loop, port = iter(range(polls)), asyncio.get_running_loop(), int(base.rpartition(":")[2])
    began = time.process_time()
    opened = [await loop.create_connection(lambda: Raw(numbers), "127.0.0.1", port) for _ in range(WORKERS)]
    await asyncio.gather(*(protocol.done for _, protocol in opened))
    return {"polls": polls, "cpu": time.process_time() - began}


async def bare(base: str, polls: int) -> Figures:
    """The least that asks for a job and reads the answer with aiohttp."""
    import aiohttp

    numbers = iter(range(polls))

    async def worker(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            async with session.get(f"{base}/jobs/job_{number}") as response:
                await response.json()

    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sume_live_x"}) as session:
        began = time.process_time()
        await asyncio.gather(*(worker(session) for _ in range(WORKERS)))
        return {"polls": polls, "cpu": time.process_time() - began}


async def engine(base: str, polls: int, jobs: int) -> Figures:
    """The engine, on adopted jobs that never end, until it has polled as often."""
    from sumeasync.core.settings import Settings
    from sumeasync.engine import Engine

    settings = Settings(reads=WORKERS, poll={"*": POLICY, "video_generation": POLICY}, sweep=False)
    async with Engine(base_url=base, api_key="sume_live_x", settings=settings) as opened:
        run = opened.run({"job_id": f"job_{number}"} for number in range(jobs))
        while run.statistics.specs < jobs:  # noqa: ASYNC110 - a counter has no event
            await asyncio.sleep(0.02)
        before, began = run.statistics.requests["poll"], time.process_time()
        while (done := run.statistics.requests["poll"] - before) < polls:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return {"polls": done, "cpu": time.process_time() - began}


async def swept(base: str, statuses: int) -> Figures:
    """The engine, on as many adopted jobs as the list has, until its pages have told so many statuses of them."""
    from sumeasync.core.settings import Settings
    from sumeasync.engine import Engine

    calm = POLICY | {"interval": 1.0, "cap": 1.0}
    settings = Settings(poll={"*": calm, "video_generation": calm}, max_in_flight=LISTED + 1)
    async with Engine(base_url=base, api_key="sume_live_x", settings=settings) as opened:
        run = opened.run({"job_id": f"job_{number}"} for number in range(LISTED))
        while run.statistics.swept < LISTED:  # noqa: ASYNC110 - a counter has no event
            await asyncio.sleep(0.02)
        before, polled, began = run.statistics.swept, run.statistics.requests["poll"], time.process_time()
        while (told := run.statistics.swept - before) < statuses:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        polls = run.statistics.requests["poll"] - polled
        return {"told": told, "polls": polls, "cpu": time.process_time() - began}


async def memory(base: str, jobs: int) -> Figures:
    """Peak memory with so many adopted jobs in flight, a few thousand of them polled."""
    from sumeasync.core.settings import Settings
    from sumeasync.engine import Engine

    every = max(0.5, jobs / 2000)  # seconds: some two thousand polls each second, whatever the number of jobs
    policy: dict[str, float | None] = {"interval": every, "cap": every}
    settings = Settings(reads=WORKERS, poll={"*": policy}, sweep=False, max_in_flight=jobs + 1)
    async with Engine(base_url=base, api_key="sume_live_x", settings=settings) as opened:
        run = opened.run({"job_id": f"job_{number}"} for number in range(jobs))
        while run.statistics.specs < jobs or run.statistics.requests["poll"] < min(jobs, 2000):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return {"jobs": jobs, "peak_mib": peak_mib()}
