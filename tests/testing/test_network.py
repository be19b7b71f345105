"""The network in memory."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from sumeasync.testing import MemoryNetwork, MemoryTransport, run_virtual, virtual_elapsed
from sumeasync.testing.transport import HIGH_WATER, SEGMENT

API = "http://api.test"
MIB = 1024 * 1024


def job_server() -> web.Application:
    """A server whose jobs are done 60 s after their creation."""
    due: dict[str, float] = {}

    async def create(request: web.Request) -> web.Response:
        due[request.match_info["id"]] = asyncio.get_running_loop().time() + 60
        return web.json_response({})

    async def status(request: web.Request) -> web.Response:
        return web.json_response({"done": asyncio.get_running_loop().time() >= due[request.match_info["id"]]})

    app = web.Application()
    app.add_routes([web.post("/jobs/{id}", create), web.get("/jobs/{id}", status)])
    return app


def one_route(reply: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.Application:
    """A server that answers everything with `reply`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", reply)
    return app


async def hello(request: web.Request) -> web.Response:
    """Answer with what the server believes of the request's address."""
    return web.Response(text=f"{request.scheme} {request.host} {request.remote}")


def poll_jobs(count: int, **options: object) -> tuple[float, list[tuple[float, int]], int]:
    """Run `count` jobs to their end, polling every 5 s: the virtual time, the trace of replies, the requests."""
    trace: list[tuple[float, int]] = []

    async def follow(session: aiohttp.ClientSession, number: int) -> None:
        async with session.post(f"{API}/jobs/{number}") as reply:
            await reply.read()
        done = False
        while not done:
            await asyncio.sleep(5)
            async with session.get(f"{API}/jobs/{number}") as reply:
                done = (await reply.json())["done"]
            trace.append((virtual_elapsed(), number))

    async def main() -> tuple[float, list[tuple[float, int]], int]:
        async with MemoryNetwork(**options) as network:
            await network.serve(API, job_server())
            async with aiohttp.ClientSession(connector=network.connector(limit=0)) as session:
                await asyncio.gather(*(follow(session, number) for number in range(count)))
            return virtual_elapsed(), trace, network.requests_received

    return run_virtual(main)


@pytest.fixture
async def network() -> AsyncIterator[MemoryNetwork]:
    """A network without latency."""
    async with MemoryNetwork() as network:
        yield network


@pytest.fixture
async def session(network: MemoryNetwork) -> AsyncIterator[aiohttp.ClientSession]:
    """A client on that network."""
    async with aiohttp.ClientSession(connector=network.connector()) as session:
        yield session


@pytest.mark.parametrize("count", [20, 200])
def test_virtual_time_does_not_depend_on_the_number_of_jobs(count: int) -> None:
    """20 jobs and 200 jobs polled every 5 s end at exactly the same instant, after as many polls each."""
    elapsed, trace, requests = poll_jobs(count)
    assert elapsed == 60.0
    assert len(trace) == 12 * count
    assert requests == 13 * count


def test_one_seed_gives_one_trace() -> None:
    """With latency, the same seed gives the same replies at the same instants again."""
    first = poll_jobs(10, seed=7, latency=(0.001, 0.2))
    assert first[0] > 60
    assert poll_jobs(10, seed=7, latency=(0.001, 0.2)) == first


def test_seeds_give_different_orders() -> None:
    """Ten seeds bring the replies in ten different orders."""
    orders = {tuple(number for _, number in poll_jobs(10, seed=seed, latency=(0.001, 0.2))[1]) for seed in range(10)}
    assert len(orders) == 10


def test_latency_is_paid_once_a_leg() -> None:
    """A request on a new connection takes three legs, one on a kept connection two."""

    async def main() -> list[float]:
        async with MemoryNetwork(latency=(0.5, 0.5)) as network:
            await network.serve(API, one_route(hello))
            async with aiohttp.ClientSession(connector=network.connector()) as session:
                instants = []
                for _ in range(2):
                    async with session.get(API) as reply:
                        await reply.read()
                    instants.append(virtual_elapsed())
                return instants

    assert run_virtual(main) == [1.5, 2.5]


@pytest.mark.parametrize(
    ("origin", "seen"),
    [
        ("http://api.test", "http api.test 127.0.0.1"),
        ("https://api.test", "https api.test 127.0.0.1"),
        ("http://api.test:8080", "http api.test:8080 127.0.0.1"),
    ],
)
async def test_a_server_sees_its_own_origin(
    network: MemoryNetwork, session: aiohttp.ClientSession, origin: str, seen: str
) -> None:
    """Scheme and host arrive as they would from outside."""
    await network.serve(origin, one_route(hello))
    async with session.get(f"{origin}/any") as reply:
        assert await reply.text() == seen


async def test_origins_are_told_apart(network: MemoryNetwork, session: aiohttp.ClientSession) -> None:
    """Each origin has its own application; scheme and port count."""
    origins = [API, "https://api.test", "http://api.test:81", "http://media.test"]
    for number, origin in enumerate(origins):
        await network.serve(origin, one_route(saying(str(number))))
    for number, origin in enumerate(origins):
        async with session.get(origin) as reply:
            assert await reply.text() == str(number)


def saying(text: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A reply that is always the same."""

    async def reply(request: web.Request) -> web.Response:
        return web.Response(text=text)

    return reply


async def test_an_origin_is_served_once(network: MemoryNetwork) -> None:
    """A second application at a served origin is refused."""
    await network.serve(API, one_route(hello))
    with pytest.raises(ValueError, match="already served"):
        await network.serve(f"{API}:80", one_route(hello))


async def test_an_unknown_origin_refuses(session: aiohttp.ClientSession) -> None:
    """Nobody listens at an unknown origin, and the client gets what a refused connection gives."""
    with pytest.raises(aiohttp.ClientConnectorError, match=r"nobody\.test:80") as caught:
        await session.get("http://nobody.test")
    assert isinstance(caught.value.os_error, ConnectionRefusedError)


async def test_a_stopped_server_refuses(network: MemoryNetwork, session: aiohttp.ClientSession) -> None:
    """After its server has stopped an origin refuses, until one is started again."""
    await network.serve(API, one_route(hello))
    async with session.get(API) as reply:
        await reply.read()
    await network.stop(API)
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get(API)
    await network.serve(API, one_route(hello))
    async with session.get(API) as reply:
        assert reply.status == 200


async def test_connections_are_kept_and_counted(network: MemoryNetwork, session: aiohttp.ClientSession) -> None:
    """Requests in a row share one connection."""
    await network.serve(API, one_route(hello))
    for _ in range(3):
        async with session.get(API) as reply:
            await reply.read()
    assert (network.connections_opened, network.requests_received) == (1, 3)


async def test_the_limit_of_connections_is_kept(network: MemoryNetwork) -> None:
    """A connector with a limit of two never opens a third connection."""

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(1)
        return web.Response()

    await network.serve(API, one_route(slow))
    start = virtual_elapsed()
    async with aiohttp.ClientSession(connector=network.connector(limit=2)) as session, asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(fetch(session, API))
    assert network.connections_opened == 2
    assert virtual_elapsed() - start == 3


async def fetch(session: aiohttp.ClientSession, url: str) -> bytes:
    """The body at `url`."""
    async with session.get(url) as reply:
        return await reply.read()


@pytest.mark.parametrize("chunk", [1000, 16 * 1024])
async def test_a_slow_reader_holds_the_writer(
    network: MemoryNetwork, session: aiohttp.ClientSession, chunk: int
) -> None:
    """A body of 1 MiB arrives whole; while nobody reads it, no more than the buffers is under way."""
    body, most, written = bytes(range(256)) * (MIB // 256), 0, 0

    async def stream(request: web.Request) -> web.StreamResponse:
        nonlocal most, written
        reply = web.StreamResponse()
        await reply.prepare(request)
        for start in range(0, MIB, chunk):
            await reply.write(body[start : start + chunk])
            most, written = max(most, request.transport.get_write_buffer_size()), start + chunk
        return reply

    await network.serve(API, one_route(stream))
    async with session.get(API, read_bufsize=SEGMENT) as reply:
        await asyncio.sleep(60)
        assert written <= 4 * SEGMENT + chunk  # the pipe, and twice the client's own buffer
        assert await reply.read() == body
    assert most <= HIGH_WATER + SEGMENT + chunk  # aiohttp asks whether it may go on once in 64 KiB


async def test_a_slow_server_holds_the_client(network: MemoryNetwork, session: aiohttp.ClientSession) -> None:
    """An upload of 1 MiB waits for a server that does not read yet, then arrives whole."""
    sent = 0

    async def upload() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(64):
            sent += 16 * 1024
            yield bytes(16 * 1024)

    async def receive(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        held = sent
        return web.json_response([held, len(await request.read())])

    app = web.Application(client_max_size=2 * MIB)
    app.router.add_put("/", receive)
    await network.serve(API, app)
    async with session.put(API, data=upload()) as reply:
        held, received = await reply.json()
    assert held <= 10 * SEGMENT  # the pipe, and twice the server's own buffer of 256 KiB
    assert received == MIB


async def test_the_end_comes_after_the_data() -> None:
    """With random delays a body that ends with the connection is always whole, and in order."""
    body = bytes(range(256)) * 64

    async def stream(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Connection": "close"})
        reply.force_close()
        await reply.prepare(request)
        for start in range(0, len(body), 1000):
            await reply.write(body[start : start + 1000])
        return reply

    for seed in range(10):
        async with MemoryNetwork(seed=seed, latency=(0.0, 0.5)) as network:
            await network.serve(API, one_route(stream))
            async with aiohttp.ClientSession(connector=network.connector(), version=aiohttp.HttpVersion10) as session:
                assert await fetch(session, API) == body


async def test_a_client_that_leaves_frees_the_server(network: MemoryNetwork, session: aiohttp.ClientSession) -> None:
    """When the client leaves amid a body, the server's next writes fail instead of waiting for ever."""
    ended: list[BaseException] = []

    async def endless(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(request)
        try:
            while True:
                await reply.write(bytes(SEGMENT))
        except ConnectionResetError as error:
            ended.append(error)
            raise

    await network.serve(API, one_route(endless))
    async with session.get(API) as reply:
        await reply.content.read(10)
    await asyncio.sleep(1)
    assert len(ended) == 1


async def test_idle_connections_can_be_dropped(network: MemoryNetwork, session: aiohttp.ClientSession) -> None:
    """A kept connection that the server drops is replaced by a new one."""
    await network.serve(API, one_route(hello))
    await fetch(session, API)
    network.drop_connections()
    await asyncio.sleep(0.1)
    await fetch(session, API)
    assert network.connections_opened == 2


async def test_requests_in_progress_end_with_the_network() -> None:
    """Stopping cancels requests still being answered, whether or not their client is still there."""
    ended: list[str] = []
    start = virtual_elapsed()

    async def never(request: web.Request) -> web.Response:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(request.path)
        return web.Response()

    async with MemoryNetwork() as network:
        await network.serve(API, one_route(never))
        async with aiohttp.ClientSession(connector=network.connector()) as session:
            with pytest.raises(TimeoutError):
                await session.get(f"{API}/left", timeout=aiohttp.ClientTimeout(total=1))
            waiting = asyncio.create_task(failure(session, f"{API}/stayed"))
            await asyncio.sleep(1)
            await network.stop(API)
            await waiting
    assert sorted(ended) == ["/left", "/stayed"]
    assert virtual_elapsed() - start < 10


@pytest.mark.parametrize(("reset", "error"), [(False, aiohttp.ServerDisconnectedError), (True, aiohttp.ClientOSError)])
async def test_waiting_requests_see_a_drop(
    network: MemoryNetwork, session: aiohttp.ClientSession, reset: bool, error: type[Exception]
) -> None:
    """A request without an answer yet fails at the instant its connection is cut."""

    async def never(request: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        return web.Response()

    await network.serve(API, one_route(never))
    asyncio.get_running_loop().call_later(5, lambda: network.drop_connections(reset=reset))
    start = virtual_elapsed()
    with pytest.raises(error):
        await session.post(API)
    assert virtual_elapsed() - start == 5


async def test_a_read_timeout_fires_at_its_instant(network: MemoryNetwork, session: aiohttp.ClientSession) -> None:
    """The client's timeouts run on the virtual clock."""

    async def stall(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(request)
        await asyncio.sleep(3600)
        return reply

    await network.serve(API, one_route(stall))
    start = virtual_elapsed()
    async with session.get(API, timeout=aiohttp.ClientTimeout(sock_read=30.5)) as reply:
        with pytest.raises(aiohttp.SocketTimeoutError):
            await reply.read()
    assert virtual_elapsed() - start == 30.5


def cut(transport: asyncio.BaseTransport, how: str) -> None:
    """Cut a connection from the server's side, on any kind of transport."""
    if how != "reset":
        getattr(transport, how)()
    elif isinstance(transport, MemoryTransport):
        transport.reset()
    else:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def cutting_server() -> web.Application:
    """A server that cuts its connections before the head (`/head`) or amid the body of an answer."""

    async def reply(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        if request.path == "/length":
            answer.content_length = 100
        if request.path != "/head":
            await answer.prepare(request)
            await answer.write(b"x" * 50)
        cut(request.transport, request.query["how"])
        return answer

    return one_route(reply)


async def failure(session: aiohttp.ClientSession, url: str) -> str:
    """What a request fails with: the exception as a client sees it."""
    with pytest.raises(aiohttp.ClientError) as caught:
        async with session.post(url, data=b"body") as reply:
            await reply.read()
    return repr(caught.value)


def cut_in_memory(path: str) -> str:
    """The failure over memory."""

    async def main() -> str:
        async with MemoryNetwork() as network:
            await network.serve(API, cutting_server())
            async with aiohttp.ClientSession(connector=network.connector()) as session:
                return await failure(session, API + path)

    return run_virtual(main)


def cut_over_tcp(path: str) -> str:
    """The failure over a real socket."""

    async def main() -> str:
        runner = web.AppRunner(cutting_server())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with aiohttp.ClientSession() as session:
                return await failure(session, f"http://127.0.0.1:{runner.addresses[0][1]}{path}")
        finally:
            await runner.cleanup()

    return asyncio.run(main())


@pytest.mark.parametrize("how", ["close", "abort", "reset"])
@pytest.mark.parametrize(
    ("place", "error"), [("/head", ("ServerDisconnectedError", "ClientOSError")), ("/length", ("ClientPayloadError",))]
)
def test_a_cut_looks_as_on_a_real_socket(place: str, error: tuple[str, ...], how: str) -> None:
    """Cut before or amid an answer, a client gets the very exception that TCP gives."""
    in_memory = cut_in_memory(f"{place}?how={how}")
    assert in_memory.startswith(error)
    assert in_memory == cut_over_tcp(f"{place}?how={how}")


def test_a_cut_chunked_body_is_a_payload_error() -> None:
    """A chunked body that lacks its end is an error, not a short success."""
    assert cut_in_memory("/chunked?how=abort").startswith("ClientPayloadError")
