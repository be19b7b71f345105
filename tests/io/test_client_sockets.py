"""The client over real sockets on this machine: what a network in memory does not model."""

from __future__ import annotations

import asyncio
import socket
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sumeasync.errors import ConnectError
from sumeasync.io.client import Client
from sumeasync.models import Request

KEY = "sume_live_hunter2"
POLL = Request("GET", "/jobs/secretjob")


@pytest.fixture
def anyio_backend() -> str:
    """Real sockets need the real clock."""
    return "asyncio"


async def test_a_request_over_tcp() -> None:
    """The connector the client makes by itself reaches a server."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"path": request.path})

    app = web.Application()
    app.router.add_get("/v1/jobs/{id}", handler)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    async with server, Client(f"http://127.0.0.1:{server.port}/v1", KEY) as client:
        response = await client.send(POLL)
    assert response.body == {"path": "/v1/jobs/secretjob"}


async def refusal(base_url: str, **settings: Any) -> str:
    """The text of the `ConnectError` that a request meets."""
    async with Client(base_url, KEY, **settings) as client:
        with pytest.raises(ConnectError) as caught:
            await client.send(POLL)
    assert not caught.value.sent
    assert "secret" not in str(caught.value)
    return str(caught.value)


@asynccontextmanager
async def listening(answer: bytes, received: bytearray) -> AsyncIterator[int]:
    """A port that takes what comes and gives one answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.read(4096))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_nobody_listens() -> None:
    """Nothing was sent."""
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        assert await refusal(f"http://127.0.0.1:{taken.getsockname()[1]}") == "no connection to 127.0.0.1"


async def test_the_other_side_does_not_speak_tls() -> None:
    """A failed handshake sends nothing, the key least of all."""
    received = bytearray()
    async with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n", received) as port:
        assert await refusal(f"https://127.0.0.1:{port}") == "no secure connection to 127.0.0.1"
    assert received
    assert KEY.encode() not in received


async def test_a_proxy_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy gets its own password and never the key; its refusal sends nothing, and neither is shown."""
    received = bytearray()
    async with listening(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", received) as port:
        monkeypatch.setenv("https_proxy", f"http://user:hunter3@127.0.0.1:{port}")
        text = await refusal("https://api.test", trust_env=True)
    assert text == "no connection to api.test"
    assert received.startswith(b"CONNECT api.test:443 ")
    assert b"Proxy-Authorization: Basic " + b64encode(b"user:hunter3") in received
    assert KEY.encode() not in received


async def test_a_name_that_nobody_knows() -> None:
    """Named in the error, since it is what must be corrected."""

    class Nowhere(aiohttp.abc.AbstractResolver):
        async def resolve(self, *args: Any, **kwargs: Any) -> list[aiohttp.abc.ResolveResult]:
            raise OSError("unknown")

        async def close(self) -> None:
            """Nothing is open."""

    text = await refusal("https://api.test", connector_factory=lambda: aiohttp.TCPConnector(resolver=Nowhere()))
    assert text == "the name api.test cannot be resolved"
