from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sumeasync.errors import BadResponseError, ConnectError, SumeError, TransportError, UsageError
from sumeasync.io.client import MAX_CONNECTIONS, Client, Timeouts
from sumeasync.models import Request, Response
from sumeasync.testing import MemoryNetwork, virtual_elapsed

KEY = "sume_live_hunter2"
ORIGIN = "http://api.localhost"
POLL = Request("GET", "/jobs/secretjob", query=(("q", "secretquery"),))
CREATE = Request("POST", "/videos", "create", body={"prompt": "é"})

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Serve, **settings: Any) -> AsyncIterator[Client]:
    """A client whose every request is answered by `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with MemoryNetwork() as network:
        await network.serve(ORIGIN, app)
        async with Client(f"{ORIGIN}/v1", KEY, connector_factory=network.connector, **settings) as client:
            yield client


async def answered(body: bytes, status: int = 200, request: Request = POLL, **headers: str) -> Response:
    """What the client makes of one answer; underscores in header names stand for dashes."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()})

    async with serving(handler, max_body_bytes=100_000) as client:
        return await client.send(request)


async def raw(data: bytes, request: Request = POLL, *, reset: bool = False, seen: list[str] | None = None) -> Response:
    """What the client makes of `data` on the wire and the end of the connection."""

    async def handler(incoming: web.Request) -> web.Response:
        if seen is not None:
            seen.append(incoming.method)
        assert incoming.transport is not None
        incoming.transport.write(data)
        (incoming.transport.abort if reset else incoming.transport.close)()
        await asyncio.sleep(0)
        return web.Response()

    async with serving(handler) as client:
        return await client.send(request)


# What goes out


async def test_a_request_is_sent_as_spelled() -> None:
    """Path and query arrive byte for byte, the body as UTF-8 JSON."""
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        seen.extend([request.method, request.raw_path, await request.read(), request.content_type])
        return web.json_response({})

    async with serving(handler) as client:
        await client.send(
            Request("POST", "/jobs/a%2F..%2Fb%3F%27", query=(("c", "a&b=ü"), ("d", "1")), body={"p": "é"})
        )
    assert seen == ["POST", "/v1/jobs/a%2F..%2Fb%3F%27?c=a%26b%3D%C3%BC&d=1", '{"p":"é"}'.encode(), "application/json"]


async def test_the_key_travels_in_one_header_only() -> None:
    """Authorization holds the key; no other header, nor the address, does."""
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        return web.json_response({})

    async with serving(handler) as client:
        await client.send(POLL)
    headers = dict(seen[0].headers)
    assert headers.pop("Authorization") == f"Bearer {KEY}"
    assert KEY not in str(headers) + seen[0].raw_path
    assert headers["User-Agent"].startswith("sumeasync/")
    assert (headers["Accept"], headers["Accept-Encoding"]) == ("application/json", "identity")


async def test_cookies_are_not_kept() -> None:
    """What the server sets is not sent back."""
    seen: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Cookie"))
        return web.json_response({}, headers={"Set-Cookie": "a=b"})

    async with serving(handler) as client:
        await client.send(POLL)
        await client.send(POLL)
    assert seen == [None, None]


async def test_connections_are_reused() -> None:
    """Requests one after another share a connection."""
    peers: set[int] = set()

    async def handler(request: web.Request) -> web.Response:
        peers.add(id(request.transport))
        return web.json_response({"long": "x" * 10_000})

    async with serving(handler) as client:
        for _ in range(5):
            await client.send(POLL)
    assert len(peers) == 1


@pytest.mark.parametrize("body", [{"a": float("nan")}, {"a": object()}, {"a": "\ud83d"}, {1j: 2}])
async def test_a_body_that_json_cannot_hold_is_not_sent(body: Any) -> None:
    """The caller's mistake, found before anything is sent."""
    with pytest.raises(UsageError, match="JSON"):
        await answered(b"{}", request=Request("POST", "/a", body=body))


async def test_a_closed_client_sends_nothing() -> None:
    """Before and after `async with`; closing once more does nothing."""
    client = Client(ORIGIN, KEY)
    with pytest.raises(UsageError, match="not open"):
        await client.send(POLL)
    async with client:
        assert repr(client) == "<Client api.localhost open>"
    await client.__aexit__(None, None, None)
    with pytest.raises(UsageError, match="not open"):
        await client.send(POLL)


# What comes in


@pytest.mark.parametrize("status", [200, 201, 202, 400, 404, 429, 500, 503])
async def test_any_status_is_an_answer(status: int) -> None:
    """The client judges no status; names of headers come in lower case, repeated ones joined in order."""
    response = await answered(b'{"a": 1}', status, Retry_After="7", retry_after="9")
    assert (response.status, response.body, response.headers["retry-after"]) == (status, {"a": 1}, "7, 9")


@pytest.mark.parametrize("body", [b"", b"<html>secret</html>", b'{"a": 1', b'{"a": NaN}', b'{"a": 1, "a": 2}'])
async def test_an_answer_that_is_no_json_makes_no_sense(body: bytes) -> None:
    """A captive portal's page is named by size and type, never quoted."""
    with pytest.raises(BadResponseError, match=rf"answered 200 .* {len(body)} bytes \(text/html\)") as caught:
        await answered(body, Content_Type="text/html; charset=utf-8")
    assert "secret" not in str(caught.value)
    assert caught.value.status == 200


@pytest.mark.parametrize("body", [b"", b"<html>", b"x" * 200_000])
async def test_an_error_answer_needs_no_readable_body(body: bytes) -> None:
    """The status tells enough: a gateway's page is an answer without a body."""
    assert (await answered(body, 502)).body is None


async def test_an_error_answer_that_is_cut_still_tells_its_status() -> None:
    """A refusal stays one, although its explanation was lost."""
    response = await raw(b"HTTP/1.1 402 Payment Required\r\nContent-Length: 100\r\n\r\n{", CREATE)
    assert (response.status, response.body) == (402, None)


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://evil.test/steal?k=v", "evil.test"),
        ("/elsewhere?k=v", "api.localhost"),
        ("http://user:pw@evil.test:8/", "evil.test"),
        ("http://[", "an address that cannot be read"),
        ("", "api.localhost"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int, location: str, named: str) -> None:
    """A redirect makes no sense here; only the host of its target is named."""
    with pytest.raises(BadResponseError) as caught:
        await answered(b"", status, Location=location)
    assert str(caught.value) == f"api.localhost redirects to {named}, and redirects are not followed"


async def test_a_body_beyond_the_limit_is_not_read() -> None:
    """Reading stops at the limit, however long the server would go on."""
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b" " * 10_000)
            sent += 10_000
        return response

    async with serving(handler, max_body_bytes=100_000) as client:
        with pytest.raises(BadResponseError, match="more than 100000 bytes"):
            await client.send(POLL)
    assert sent < 1_000_000


@pytest.mark.parametrize("status", [200, 307, 503])
async def test_an_answer_left_unread_gives_its_place_back(status: int) -> None:
    """However many answers are not read to their end, the next request finds a connection."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        await response.write(b" " * 200)
        await asyncio.sleep(3600)
        return response

    async with serving(handler, max_body_bytes=100) as client:
        for _ in range(MAX_CONNECTIONS + 1):
            with suppress(BadResponseError):
                await client.send(POLL)
    assert virtual_elapsed() < 10  # seconds; waiting for a place would take more


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "GZIP", "x-gzip", "identity"])
async def test_compression_nobody_asked_for_is_undone(encoding: str) -> None:
    """Some servers compress whatever is asked."""
    data = b'{"a": 1}'
    squeeze = {"deflate": zlib.compress, "identity": bytes}.get(encoding, gzip.compress)
    assert (await answered(squeeze(data), Content_Encoding=encoding)).body == {"a": 1}


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(b"{}" + b" " * 100_000_000), "gzip"),
        (gzip.compress(b"{}" + b" " * 99_999), "gzip"),
        (gzip.compress(b"{}")[:-4], "gzip"),
        (gzip.compress(b"{}") * 2, "gzip"),
        (b"{}", "gzip"),
        (gzip.compress(gzip.compress(b"{}")), "gzip, gzip"),
        (b"{}", "br"),
        (b"{}", "zstd"),
        (b"{}", "\u00e9"),
    ],
    ids=lambda value: value if isinstance(value, str) else len(value),
)
async def test_a_compressed_body_is_bounded(body: bytes, encoding: str) -> None:
    """A bomb, a broken stream, a stack of encodings and an unknown one are refused."""
    with pytest.raises(BadResponseError):
        await answered(body, Content_Encoding=encoding)


# What goes wrong


@pytest.mark.parametrize("request_", [POLL, CREATE])
@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
@pytest.mark.parametrize("reset", [False, True])
async def test_a_connection_that_ends_before_the_answer(request_: Request, data: bytes, reset: bool) -> None:
    """The server may have acted."""
    with pytest.raises(TransportError) as caught:
        await raw(data, request_, reset=reset)
    assert caught.value.sent


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ],
)
async def test_an_answer_that_is_cut_short(data: bytes) -> None:
    """Half an answer is none, and the server may have acted."""
    with pytest.raises(TransportError) as caught:
        await raw(data, CREATE)
    assert caught.value.sent


async def test_an_answer_that_is_not_http() -> None:
    """Something else listens there."""
    with pytest.raises(BadResponseError, match="not HTTP"):
        await raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")


async def test_a_create_goes_out_once() -> None:
    """On a connection that the server closes a read may be repeated, a create never."""
    seen: list[str] = []
    for request in (CREATE, POLL):
        with pytest.raises(TransportError):
            await raw(b"", request, seen=seen)
    assert seen.count("POST") == 1
    assert seen.count("GET") <= 2


async def test_a_create_on_a_stale_connection_goes_out_once() -> None:
    """The same on a connection that was used before and kept."""
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.method)
        if request.method == "POST":
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({})

    async with serving(handler) as client:
        await client.send(POLL)
        with pytest.raises(TransportError):
            await client.send(CREATE)
    assert seen == ["GET", "POST"]


async def stall(request: web.Request) -> web.Response:
    """Never answer."""
    await asyncio.sleep(3600)
    return web.Response()


async def trickle(request: web.Request) -> web.StreamResponse:
    """One byte every ten seconds."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(10)


@pytest.mark.parametrize(
    ("handler", "request_", "seconds"),
    [(stall, CREATE, 30.0), (trickle, CREATE, 60.0), (stall, POLL, 40.0), (trickle, POLL, 40.0)],
)
async def test_waiting_ends_exactly_on_time(handler: Serve, request_: Request, seconds: float) -> None:
    """Of a create silence and a trickle have their limits; a read has one limit for both."""
    async with serving(handler) as client:
        await asyncio.sleep(0.3)
        start = asyncio.get_running_loop().time()
        with pytest.raises(TransportError, match="in time") as caught:
            await client.send(request_)
        assert asyncio.get_running_loop().time() - start == pytest.approx(seconds, abs=1e-6)
    assert caught.value.sent


async def test_a_connection_that_is_not_made_in_time() -> None:
    """A create that found no connection in time was certainly not sent."""

    class Mute(aiohttp.BaseConnector):
        async def connect(self, *args: Any, **kwargs: Any) -> Any:
            async with asyncio.timeout(kwargs["timeout"].connect):
                await asyncio.Event().wait()

    timeouts = Timeouts(connect_seconds=2.5)
    async with Client(ORIGIN, KEY, connector_factory=Mute, timeouts=timeouts) as client:
        with pytest.raises(ConnectError, match="in time"):
            await client.send(CREATE)


async def test_a_refused_connection() -> None:
    """Nothing was sent."""
    async with MemoryNetwork() as network, Client(ORIGIN, KEY, connector_factory=network.connector) as client:
        with pytest.raises(ConnectError) as caught:
            await client.send(CREATE)
    assert not caught.value.sent


async def test_cancelling_passes_through() -> None:
    """A cancelled request is no error of the transport."""
    async with serving(stall) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.send(POLL), 1.0)


@pytest.mark.parametrize(
    "case",
    [
        lambda: answered(b"<html>", Content_Type="text/html"),
        lambda: answered(b"", 302, Location="https://x.test/secretpath"),
        lambda: answered(b"{}", Content_Encoding="secretquery"),
        lambda: raw(b""),
        lambda: raw(b"", reset=True),
        lambda: raw(b"nonsense secretjob\r\n\r\n"),
        lambda: raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"),
    ],
)
async def test_errors_name_the_host_and_nothing_private(case: Callable[[], Awaitable[Response]]) -> None:
    """No path, query or key in the text, and no foreign error that would be shown with it."""
    with pytest.raises(SumeError, match=r"api\.localhost") as caught:
        await case()
    text = f"{caught.value!r} {caught.value} {caught.value.hint}"
    assert not any(word in text for word in ("secret", "hunter2", "/v1", "?"))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
