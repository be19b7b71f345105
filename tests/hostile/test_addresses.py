"""Addresses are checked where they are dialled, each time: a name that changes its mind gains nothing."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from sumeasync.errors import RefusedError, SumeError
from sumeasync.io import guard as guards
from sumeasync.io.guard import Guard, guarded_session, open_guarded, read_some

SECONDS = aiohttp.ClientTimeout(total=5)


@pytest.fixture
def anyio_backend() -> str:
    """Real sockets, so a real clock."""
    return "asyncio"


class Fickle(AbstractResolver):
    """Answers the n-th question with the n-th address, then with the last for ever."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """One address."""
        address = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""


class Watched(Guard):
    """A guard that notes which addresses got a socket."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.dialled: list[str] = []

    def socket_factory(self, address_info: aiohttp.AddrInfoType) -> socket.socket:
        """Note what passed."""
        made = super().socket_factory(address_info)
        self.dialled.append(str(address_info[4][0]))
        return made


async def fetch(guard: Guard, link: str, *answers: str) -> bytes:
    """Fetch a link while its name resolves to one address after the other."""
    connector = aiohttp.TCPConnector(
        socket_factory=guard.socket_factory, resolver=Fickle(*answers), use_dns_cache=False, force_close=True
    )
    async with (
        guarded_session(guard, connector=connector) as session,
        open_guarded(session, guard, link, headers={}, timeout=SECONDS) as response,
    ):
        return await read_some(response, 1000)


@asynccontextmanager
async def serving(answer: Callable[[web.Request], web.StreamResponse]) -> AsyncIterator[int]:
    """Serve on a loopback port."""

    async def call(request: web.BaseRequest) -> web.StreamResponse:
        return answer(request)  # type: ignore[arg-type]

    runner = web.ServerRunner(web.Server(call))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "second", ["10.0.0.1", "169.254.169.254", "fe80::1", "192.168.1.1", "::ffff:10.0.0.1", "0.0.0.0"]
)
async def test_rebinding_between_hops(second: str) -> None:
    """A name that is allowed at the first hop and leads inside at the second is refused before it is dialled."""
    guard = Watched("http://127.0.0.1/api")

    def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "/again"})

    async with serving(answer) as port:
        with pytest.raises(RefusedError, match="address is refused"):
            await fetch(guard, f"http://rebound.test:{port}/", "127.0.0.1", second)
    assert guard.dialled == ["127.0.0.1"]


async def test_rebinding_between_requests() -> None:
    """Each request has its address checked anew; there is no earlier look-up to be betrayed by."""
    guard = Watched("http://localhost/api")
    async with serving(lambda _: web.Response(text="ok")) as port:
        assert await fetch(guard, f"http://rebound.test:{port}/", "127.0.0.1") == b"ok"
        with pytest.raises(RefusedError):
            await fetch(guard, f"http://rebound.test:{port}/", "10.0.0.1", "127.0.0.1")
    assert guard.dialled == ["127.0.0.1"]


@pytest.mark.parametrize("reason_free", sorted({*guards.IPV4_REFUSED, *guards.IPV6_REFUSED}, key=str), ids=str)
async def test_every_special_range_at_a_public_api(reason_free: object) -> None:
    """With a public API no address of a special range gets a socket, whatever name leads to it."""
    guard = Watched("https://www.sume.so/api/v1")
    with pytest.raises(SumeError):
        await fetch(
            guard, "https://inside.test/", str(reason_free[1] if reason_free.num_addresses > 1 else reason_free[0])
        )  # type: ignore[attr-defined,index]
    assert guard.dialled == []


async def test_no_loopback_through_a_public_api() -> None:
    """A loopback service is out of reach when the API is a public one, by name, by number and by redirect."""
    hits: list[str] = []

    def answer(request: web.Request) -> web.StreamResponse:
        hits.append(request.path)
        return web.Response(text="secret")

    guard = Guard("https://www.sume.so/api/v1")
    async with serving(answer) as port:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f000001", "internal.test"):
            with pytest.raises(SumeError):
                await fetch(guard, f"https://{host}:{port}/", "127.0.0.1")
            with pytest.raises(RefusedError, match="only https"):
                await fetch(guard, f"http://{host}:{port}/", "127.0.0.1")
    assert hits == []
