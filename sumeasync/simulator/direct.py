"""The simulator without HTTP: takes the place of the engine's client and asks the service itself.

```python
async def main() -> None:
    world = World(WorldSettings(limits=Limits(reads_per_minute=120)), seed=7)
    carrier = DirectClient(world, latency_seconds=0.15)
    options = {"carrier": carrier, "wall_clock": carrier.wall_clock, "settings": Settings(download=False)}
    async with Engine(api_key=KEY, base_url=BASE_URL, **options) as engine:
        async for outcome in engine.run(specs):
            ...

run_virtual(main)  # from sumeasync.testing: hours of jobs in seconds, and the same again for the same seed
```

Give the engine the world's `wall_clock` as well: it learns durations from the times that it notes.

What the engine sees is what it would see over HTTP: statuses, documents, rate-limit headers, dates, and the errors of
`Client` for what goes wrong on the wire. Half of `latency_seconds` passes before the service sees a request, half
before the answer is there. Scripted faults do what they do over HTTP, seen from the client's end:

* `Delay` takes its time; `Stall`, and whatever takes longer than `timeout_seconds`, is given up after that.
* `Reset` and `Truncate` raise `TransportError`; without a length only the JSON tells that something is missing.
* `Redirect`, `Huge`, `GzipBomb` and bodies that are no JSON raise `BadResponseError`, or leave an error status bare.

Not modelled: connections (nothing is ever refused for want of one, and no request is repeated on a stale one), the
bytes of uploads (a file's size is looked at, its content is not), and media: run with ``download=False``, or give the
engine a connector to an app that serves them at `origin`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlsplit

from sumeasync.core.strictjson import JSONError, loads
from sumeasync.errors import BadResponseError, LinkExpiredError, ServerError, TransportError, UsageError
from sumeasync.models import JSON, Request, Response
from sumeasync.simulator import faults
from sumeasync.simulator.calls import Call
from sumeasync.simulator.clocks import DateHeader, LoopClock
from sumeasync.simulator.service import Exchange, Service
from sumeasync.simulator.world import World

__all__ = ["DirectClient"]

HEADERS = {"Authorization": "Bearer sume_simulated"}
"""The service accepts any key of the right form; the engine's own stays with the engine."""

LOST = (faults.Reset, faults.Stall)


class DirectClient:
    """A `sumeasync.io.carrier.Carrier` that ends in a `World`; needs a running loop only to wait.

    Args:
        world: what answers; its ledger counts as over HTTP.
        prefix: the surface spoken: ``/api/v1`` for the dialect ``so``, ``/v1`` for ``open``.
        origin: where signed links point to.
        latency_seconds: there and back.
        timeout_seconds: how long an answer is waited for.
        clock: the world's time in seconds; by default the loop's, going on where the world stands.
    """

    def __init__(
        self,
        world: World,
        *,
        prefix: str = "/api/v1",
        origin: str = "https://simulator.invalid",
        latency_seconds: float = 0.0,
        timeout_seconds: float = 40.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.world = world
        self._service = Service(world)
        self._prefix = prefix
        self._origin = origin
        self._way_seconds = 0.5 * latency_seconds
        self._timeout_seconds = timeout_seconds
        self._now = clock or LoopClock(world)
        self._dates = DateHeader(world.settings.epoch)

    def __repr__(self) -> str:
        return f"<DirectClient to {self.world!r}>"

    def wall_clock(self) -> float:
        """The world's time in epoch seconds, for the engine."""
        return self.world.settings.epoch + self._now()

    async def send(self, request: Request) -> Response:
        """Ask the service; return its answer whatever its status.

        Raises `TransportError` and `BadResponseError` for scripted faults, `UsageError` for a body that JSON cannot
        hold.
        """
        call = Call(
            method=request.method,
            path=self._prefix + request.path,
            query=dict(request.query),
            headers={**HEADERS, **dict(request.headers)} if request.headers else HEADERS,
            body=b"" if request.body is None else encode(request.body),
            origin=self._origin,
        )
        exchange = await self._exchange(call)
        reply = exchange.reply
        headers = {name.lower(): value for name, value in reply.headers.items()}
        headers.setdefault("date", self._dates.at(self.world.now))
        return Response(reply.status, read_body(exchange, headers.get("content-encoding")), headers)

    async def upload(self, path: str, upload_url: str, required_headers: Mapping[str, str]) -> None:
        """Announce the file at `path` to storage as arrived; only its size is looked at.

        Raises UsageError when there is no such file, LinkExpiredError, TransportError or ServerError.
        """
        try:
            size = await asyncio.get_running_loop().run_in_executor(None, os.path.getsize, path)
        except OSError as problem:
            raise UsageError(f"the file cannot be read: {problem.strerror}") from None
        url = urlsplit(upload_url)
        headers = {**required_headers, "Content-Length": str(size)}
        query = dict(parse_qsl(url.query))
        exchange = await self._exchange(
            Call(method="PUT", path=url.path, query=query, headers=headers, size=size, origin=self._origin)
        )
        status = exchange.reply.status
        if status in (403, 410):
            raise LinkExpiredError("the upload's address is no longer good")
        if not 200 <= status < 300:
            raise ServerError("storage did not take the upload", status=status)

    async def _exchange(self, call: Call) -> Exchange:
        """Travel there, be answered, travel back. Raises TransportError when that fails or takes too long."""
        await asyncio.sleep(self._way_seconds)
        job = job_of(call.path)
        entered = job is not None and self.world.ledger.enter(job)
        try:
            exchange = self._service.answer(call, self._now())
            wait = exchange.delay_seconds
            if isinstance(exchange.fault, faults.Stall):
                wait = exchange.fault.seconds
            if wait:
                await asyncio.sleep(min(wait, self._timeout_seconds))
        finally:
            if job is not None and entered:
                self.world.ledger.leave(job)
        if wait >= self._timeout_seconds:
            raise TransportError("no answer of the simulator in time")
        if isinstance(exchange.fault, LOST):
            raise TransportError("the connection to the simulator broke")
        await asyncio.sleep(self._way_seconds)
        return exchange


def read_body(exchange: Exchange, encoding: str | None) -> JSON:
    """The document of an answer, as `Client` would read it: None when it cannot be read and the status is an error."""
    reply = exchange.reply
    if 300 <= reply.status < 400:
        raise BadResponseError("the simulator redirects, and redirects are not followed", status=reply.status)
    data = reply.body
    if isinstance(exchange.fault, faults.Truncate):
        if exchange.fault.framing != "none":
            raise TransportError("the answer of the simulator was cut short")
        data = reply.read(int(reply.size * exchange.fault.fraction))
    try:
        if encoding is not None or isinstance(exchange.fault, faults.Huge):
            raise JSONError("compressed, or too long")
        return loads(data)
    except JSONError as error:
        if reply.status >= 400:
            return None
        raise BadResponseError(f"the simulator answered with a body that is {error}", status=reply.status) from None


def encode(body: JSON) -> bytes:
    """The body of a request. Raises UsageError, as `Client` does."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError):
        raise UsageError("the input cannot be written as JSON") from None


def job_of(path: str) -> str | None:
    """The job id in an API path, still encoded."""
    _, found, rest = path.partition("/jobs/")
    return rest.partition("/")[0] if found else None
