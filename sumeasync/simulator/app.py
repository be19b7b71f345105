"""The simulator behind aiohttp: API, media and storage in one application."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from sumeasync.simulator.calls import Call
from sumeasync.simulator.clocks import DateHeader, LoopClock
from sumeasync.simulator.service import Service
from sumeasync.simulator.transport import send
from sumeasync.simulator.world import World

__all__ = ["make_app", "serve"]

MAX_JSON_BYTES = 8 << 20
SHUTDOWN_SECONDS = 0.5


def make_app(
    world: World,
    *,
    api_prefix: str = "/api/v1",
    speed: float = 1.0,
    clock: Callable[[], float] | None = None,
    origin: str | None = None,
) -> web.Application:
    """Return an application that serves `world`; media are under ``/media``, uploads under ``/storage``.

    Args:
        api_prefix: stands before every API path.
        speed: seconds of the world in one second of the running loop.
        clock: the world's time in seconds; by default the loop's, going on where the world stands.
        origin: scheme and host of signed links; by default those of each request.
    """
    service = Service(world, api_prefix=api_prefix)
    dates = DateHeader(world.settings.epoch)
    tell = clock or LoopClock(world, speed)

    async def respond(request: web.Request) -> web.StreamResponse:
        call = await _read_call(request, origin)
        now = tell()
        job = _job_of(call.path)
        entered = job is not None and world.ledger.enter(job)
        try:
            exchange = service.answer(call, now)
            exchange.reply.headers.setdefault("Date", dates.at(world.now))
            return await send(request, exchange)
        finally:
            if job is not None and entered:
                world.ledger.leave(job)

    app = web.Application(client_max_size=MAX_JSON_BYTES)
    app.router.add_route("*", "/{path:.*}", respond)
    return app


@asynccontextmanager
async def serve(
    world: World, host: str = "127.0.0.1", port: int = 0, *, api_prefix: str = "/api/v1", speed: float = 1.0
) -> AsyncIterator[str]:
    """Serve `world` over TCP while the context is open; gives the base URL of the API. Raises `OSError`."""
    runner = web.AppRunner(
        make_app(world, api_prefix=api_prefix, speed=speed), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0][1]
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{bound}{api_prefix}"
    finally:
        await runner.cleanup()


async def _read_call(request: web.Request, origin: str | None) -> Call:
    call = Call(
        method=request.method,
        path=request.rel_url.raw_path,
        query=request.query,
        headers=request.headers,
        origin=origin or f"{request.scheme}://{request.host}",
    )
    if call.method == "PUT":
        call.size, call.sha256 = await _consume(request)
    elif request.can_read_body:
        call.body = await request.read()
    return call


async def _consume(request: web.Request) -> tuple[int, str]:
    """Read an upload away; its length and hash are all that is kept."""
    size, digest = 0, hashlib.sha256()
    async for chunk in request.content.iter_any():
        size += len(chunk)
        digest.update(chunk)
    return size, digest.hexdigest()


def _job_of(path: str) -> str | None:
    """Return the job id in an API path, still encoded."""
    _, found, rest = path.partition("/jobs/")
    return rest.partition("/")[0] if found else None
