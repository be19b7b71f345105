"""A network in memory: aiohttp clients joined to aiohttp servers without sockets.

Seeded latency on every connection reorders replies in every way a real network may, and the same seed gives the same
order again.

What is not modelled: TLS (an https origin is served in the clear, and the server is told otherwise), name
resolution, and sending a file straight from the disk (``web.FileResponse``).
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from aiohttp import BaseConnector, ClientConnectorError, ClientRequest, web
from yarl import URL

from sumeasync.testing.transport import MemoryTransport, connect

if TYPE_CHECKING:
    from aiohttp import ClientTimeout
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.tracing import Trace

__all__ = ["MemoryConnector", "MemoryNetwork"]

Origin: TypeAlias = tuple[str, str | None, int | None]

SHUTDOWN_SECONDS = 1.0
"""How long a stopping server waits for requests in progress before it cancels them."""


class MemoryConnector(BaseConnector):
    """An aiohttp connector that dials the servers of a `MemoryNetwork`, and nothing else."""

    def __init__(self, network: MemoryNetwork, *, limit: int = 100) -> None:
        super().__init__(limit=limit)
        self.network = network

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> ResponseHandler:
        latency = self.network.latency_of_next_connection()
        await asyncio.sleep(latency())
        server = self.network.server_at(req.url)
        if server is None:
            refused = ConnectionRefusedError(
                errno.ECONNREFUSED, f"Connect call failed ('{req.url.host}', {req.url.port})"
            )
            raise ClientConnectorError(req.connection_key, refused) from refused
        protocol = self._factory()
        end = connect(self._loop, protocol, server(), latency, req.url)
        self.network.connections_opened += 1
        if self.network.on_connect is not None:
            self.network.on_connect(end)
        return protocol


class MemoryServer:
    """One application being served."""

    def __init__(self, app: web.Application) -> None:
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        self.tasks: dict[asyncio.Task[None] | None, None] = {}
        self.server: web.Server

    async def start(self) -> None:
        """Run the application's start-up and accept connections."""
        await self.runner.setup()
        assert self.runner.server is not None  # noqa: S101  # set by setup()
        self.server = self.runner.server
        answer = self.server.request_handler

        async def tracked(request: web.BaseRequest) -> web.StreamResponse:
            task = asyncio.current_task()
            self.tasks[task] = None
            try:
                return await answer(request)
            finally:
                del self.tasks[task]

        self.server.request_handler = tracked

    async def stop(self) -> None:
        """Close every connection and run the application's clean-up."""
        await self.runner.cleanup()
        # The server forgets a request whose connection is lost; its task may still run.
        left = [task for task in self.tasks if task is not None]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


class MemoryNetwork:
    """Servers in memory, by origin, and connectors to them; an async context manager that stops every server.

    Args:
        seed: chooses the latencies; each connection draws from a generator of its own.
        latency: bounds, in seconds, of the uniform delay of each connect and each write.

    `on_connect` is given the client's end of each new connection; while `unplugged`, every connection is refused.
    """

    def __init__(self, *, seed: int = 0, latency: tuple[float, float] = (0.0, 0.0)) -> None:
        self.seed = seed
        self.latency = latency
        self.connections_opened = 0
        self.on_connect: Callable[[MemoryTransport], None] | None = None
        self.unplugged = False
        self.servers: dict[Origin, MemoryServer] = {}
        self.dialled = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self.servers:
            await self.servers.popitem()[1].stop()

    @property
    def requests_received(self) -> int:
        """Requests that reached the servers now running."""
        return sum(server.server.requests_count for server in self.servers.values())

    def connector(self, *, limit: int = 100) -> MemoryConnector:
        """A connector for one ``ClientSession``; `limit` is its number of connections at a time, 0 for no limit."""
        return MemoryConnector(self, limit=limit)

    async def serve(self, origin: str | URL, app: web.Application) -> None:
        """Start serving `app` at `origin` (``scheme://host[:port]``); raises ValueError when that is taken."""
        key = origin_of(URL(origin))
        if key in self.servers:
            raise ValueError(f"{origin} is already served")
        server = MemoryServer(app)
        await server.start()
        self.servers[key] = server

    async def stop(self, origin: str | URL) -> None:
        """Stop the server at `origin`; further connections to it are refused. Raises KeyError when there is none."""
        await self.servers.pop(origin_of(URL(origin))).stop()

    def drop_connections(self, *, reset: bool = False) -> None:
        """Cut every open connection at its server's end: in good order, or (`reset`) with an error."""
        for server in self.servers.values():
            for protocol in server.server.connections:
                transport = protocol.transport
                if isinstance(transport, MemoryTransport):
                    (transport.reset if reset else transport.abort)()

    def server_at(self, url: URL) -> web.Server | None:
        """What answers at the origin of `url`, if anything."""
        server = None if self.unplugged else self.servers.get(origin_of(url))
        return server.server if server else None

    def latency_of_next_connection(self) -> Callable[[], float]:
        """A source of delays in seconds for one more connection."""
        self.dialled += 1
        random = Random(f"{self.seed}/{self.dialled}")  # a connection more must not change the delays of the others
        return lambda: random.uniform(*self.latency)


def origin_of(url: URL) -> Origin:
    """Scheme, host and port of `url`; a default port is the same written or not."""
    return url.scheme, url.host, url.port
