"""Watching and cutting the connections of a network in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from sumeasync.testing import MemoryNetwork
from sumeasync.testing.wire import Message, Observer, Stage, Wire

URL = "http://api.test/a/b?c=d"
BODY = b"x" * 1000


class Service:
    """Answers every request with `BODY`, and keeps what it got."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.network = MemoryNetwork(latency=(0.01, 0.01))
        self.wires: list[Wire] = []

    async def answer(self, request: web.Request) -> web.Response:
        """Take the body, give `BODY`."""
        self.bodies.append(await request.read())
        return web.Response(body=BODY)

    def observe(self, observer: Observer) -> None:
        """Watch every connection from now on."""
        self.network.on_connect = lambda end: self.wires.append(Wire(end, observer))

    async def post(self) -> bytes:
        """Post something; returns the body of the answer."""
        connector = self.network.connector()
        async with aiohttp.ClientSession(connector=connector) as session, session.post(URL, data=b"hello") as response:
            return await response.read()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service under way."""
    service = Service()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.answer)
    async with service.network as network:
        await network.serve("http://api.test", app)
        yield service


def test_message_in_pieces() -> None:
    """A message is whole when its announced length has come, whatever the pieces."""
    message = Message()
    for byte in b"HTTP/1.1 206 Partial\r\nContent-Length: 3\r\n\r\nab":
        message.feed(bytes([byte]))
    assert (message.status, message.body_seen, message.body_bytes, message.whole) == (206, 2, 3, False)
    message.feed(b"c")
    assert message.whole


async def test_every_stage_is_told(service: Service) -> None:
    """A request is told of when its head and its rest leave, when it is answered, and when the answer is here."""
    told: list[tuple[Stage, str]] = []
    service.observe(lambda stage, asked, _: told.append((stage, asked)))
    assert await service.post() == BODY
    assert [stage for stage, _ in dict.fromkeys(told)] == ["head", "sent", "answered", "received"]
    assert {asked for _, asked in told} == {"POST /a/b"}


@pytest.mark.parametrize(
    ("stage", "lose", "arrives"), [("head", False, 0), ("sent", True, 0), ("sent", False, 1), ("answered", False, 1)]
)
async def test_cut(service: Service, stage: Stage, lose: bool, arrives: int) -> None:
    """After a cut the client gets nothing, and the server what was under way, unless that is lost."""

    def observer(now: Stage, _: str, message: Message) -> int | None:
        if now != stage:
            return None
        asyncio.get_running_loop().call_soon(lambda: service.wires[0].cut(lose=lose))
        return message.head_bytes if stage == "head" else None

    service.observe(observer)
    with pytest.raises(aiohttp.ClientError):
        await service.post()
    await asyncio.sleep(1)
    assert service.bodies == [b"hello"] * arrives


async def test_answer_cut_short(service: Service) -> None:
    """Of an answer only the part that passes is handed over, and nothing after it."""
    service.observe(
        lambda stage, _, message: message.head_bytes + 10 if stage == "received" and message.body_seen else None
    )
    async with aiohttp.ClientSession(connector=service.network.connector()) as session:
        response = await session.post(URL, data=b"hello")
        assert await response.content.readexactly(10) == BODY[:10]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(response.content.readexactly(1), 60)
        response.close()


async def test_unplugged(service: Service) -> None:
    """An unplugged network refuses every connection."""
    service.network.unplugged = True
    with pytest.raises(aiohttp.ClientConnectorError):
        await service.post()
