"""One HTTP client for the API's origin: a `Request` value in, a `Response` value out, no retry in between.

The key travels in one header, to one origin. No foreign exception leaves this module, and no error text holds a
path, a query, a body or the key: the host and the kind of trouble must do.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import zlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from yarl import URL

from sumeasync.core.strictjson import JSONError, loads
from sumeasync.errors import BadResponseError, ConnectError, SumeError, TransportError, UsageError
from sumeasync.io.origin import ApiKey, check_base_url, environment_proxy
from sumeasync.io.timelimit import TimeLimit
from sumeasync.models import JSON, Request, Response

__all__ = ["Client", "Timeouts"]

KEEP_ALIVE_SECONDS = 15.0
"""Shorter than the idle time-outs of common servers, so that a create rarely meets a connection just closed."""

MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_CONNECTIONS = 100
DECODED = frozenset({"gzip", "x-gzip", "deflate"})
USER_AGENT = f"sumeasync/{version('sumeasync')}"
NO_LIMIT = nullcontext()
AUTO_DETECT = zlib.MAX_WBITS | 32  # zlib or gzip, by the header of the data


class Timeouts(msgspec.Struct, frozen=True):
    """How long each phase may take: to connect, without a byte coming, and all together.

    Reads are short and asked again: for them the connection and the whole are bounded. For a create each phase is,
    the look-up of the name included, because the phase it failed in tells whether it was sent.
    """

    connect_seconds: float = 10.0
    read_idle_seconds: float = 30.0
    total_seconds: float = 60.0

    def of_reads(self) -> aiohttp.ClientTimeout:
        """For what may be sent again; all together is bounded by `reads_seconds`."""
        return aiohttp.ClientTimeout(total=None, sock_connect=self.connect_seconds, ceil_threshold=math.inf)

    @property
    def reads_seconds(self) -> float:
        """How long a read may take all together."""
        return min(self.total_seconds, self.connect_seconds + self.read_idle_seconds)

    def of_creates(self) -> aiohttp.ClientTimeout:
        """For what must not."""
        return aiohttp.ClientTimeout(
            total=self.total_seconds,
            connect=self.connect_seconds,
            sock_read=self.read_idle_seconds,
            ceil_threshold=math.inf,  # never rounded up to a whole second
        )


class Client:
    """Sends requests to the API; an async context manager that owns one session.

    Args:
        base_url: Where the paths of requests begin; https, or http on this machine.
        api_key: The key, as text or already wrapped.
        connector_factory: Makes the connector when the session opens, in place of TCP.
        timeouts: How long each phase may take.
        max_body_bytes: The longest body read, before and after decompression.
        limit: Connections at once; at least the number of requests in flight, or they wait for one another.
        trust_env: Whether an ``HTTPS_PROXY`` of the environment is used.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | ApiKey,
        *,
        connector_factory: Callable[[], aiohttp.BaseConnector] | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
        max_body_bytes: int = MAX_BODY_BYTES,
        limit: int = MAX_CONNECTIONS,
        trust_env: bool = False,
    ) -> None:
        url = check_base_url(base_url)
        self.host = url.host or ""
        self._base, self._prefix = url.origin(), url.raw_path.rstrip("/")
        self._key = api_key if isinstance(api_key, ApiKey) else ApiKey(api_key)
        self._connector_factory = connector_factory or (lambda: tcp_connector(limit))
        self._timeouts = timeouts
        self._max_body_bytes = max_body_bytes
        self._proxy = environment_proxy(url) if trust_env else None
        self._session: aiohttp.ClientSession | None = None
        self._limit: TimeLimit

    def __repr__(self) -> str:
        return f"<Client {self.host} {'closed' if self._session is None else 'open'}>"

    async def __aenter__(self) -> Self:
        self._limit = TimeLimit(self._timeouts.reads_seconds)
        self._session = aiohttp.ClientSession(
            connector=self._connector_factory(),
            headers={
                "Authorization": f"Bearer {self._key.reveal()}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": USER_AGENT,
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # aiohttp bounds each piece of the output, not the whole
            trust_env=False,  # it would also take passwords from a .netrc
            proxy=self._proxy,
            timeout=self._timeouts.of_reads(),
        )
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            self._limit.close()

    async def send(self, request: Request) -> Response:
        """Send once; return the answer whatever its status.

        The body is decoded JSON, or None under an error status when it cannot be read: then the status alone tells.
        Of a header that came several times the values are joined by ``, `` in order.

        Raises `ConnectError` (nothing was sent), `TransportError` (it may have been), `BadResponseError` (an answer
        that is a redirect, no JSON or too long) and `UsageError` (a body that JSON cannot hold, a closed client).
        """
        if self._session is None:
            raise UsageError("the client is not open: use it in `async with`")
        url = self._base.with_path(self._prefix + request.path, encoded=True)
        if request.query:
            url = url.with_query(request.query)
        options: dict[str, Any] = {"headers": dict(request.headers)} if request.headers else {}
        if request.body is not None:
            options["data"] = encode(request.body)
            options["headers"] = {"Content-Type": "application/json", **dict(request.headers)}
        limit: AbstractContextManager[None] = self._limit
        if request.lane == "create":
            limit, options["timeout"] = NO_LIMIT, self._timeouts.of_creates()
        # On a kept connection found closed, aiohttp itself sends again, once, and only the methods in its
        # IDEMPOTENT_METHODS (client.py, `retry_persistent_connection` in `_request`; 3.14): a POST goes out once.
        try:
            with limit:
                answer = await self._session.request(request.method, url, allow_redirects=False, **options)
                try:
                    return Response(answer.status, await self._body(answer), plain_headers(answer.headers))
                finally:
                    if not answer.closed:  # read to its end, it is
                        answer.close()
        except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError) as error:
            raise translate(error, self.host) from None

    async def _body(self, answer: aiohttp.ClientResponse) -> JSON:
        if 300 <= answer.status < 400:
            raise BadResponseError(redirect_text(self.host, answer.headers), status=answer.status)
        content = answer.content
        try:
            # Mostly it has come with the head, and nothing is to be waited for.
            return self._decode(answer, content.read_nowait() if content.is_eof() else await self._read(answer))
        except (BadResponseError, aiohttp.ClientError, OSError):
            if answer.status < 400:
                raise
            return None

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        """The body, of which no more than the limit is held at any moment."""
        pieces, size = [], 0
        while not answer.content.at_eof():
            pieces.append(await answer.content.readany())
            size += len(pieces[-1])
            if size > self._max_body_bytes:
                break
        return b"".join(pieces)

    def _decode(self, answer: aiohttp.ClientResponse, data: bytes) -> JSON:
        if len(data) > self._max_body_bytes:
            raise self._bad(answer, f"of more than {self._max_body_bytes} bytes")
        if encoding := answer.headers.get("Content-Encoding", "").strip().lower():
            data = self._decompress(answer, encoding, data)
        try:
            return loads(data)
        except JSONError as error:
            raise self._bad(answer, f"of {len(data)} bytes ({kind_of(answer)}): {error}") from None

    def _decompress(self, answer: aiohttp.ClientResponse, encoding: str, data: bytes) -> bytes:
        """Undo one layer of compression (nobody asked for it, but some send it), up to the limit."""
        if encoding == "identity":
            return data
        if encoding not in DECODED:
            raise self._bad(answer, "compressed in a way that was not asked for")
        inflate = zlib.decompressobj(AUTO_DETECT)
        try:
            plain = inflate.decompress(data, self._max_body_bytes)
        except zlib.error:
            raise self._bad(answer, f"of {len(data)} bytes that do not decompress") from None
        if not inflate.eof or inflate.unused_data:
            raise self._bad(answer, f"that does not end, or grows beyond {self._max_body_bytes} bytes")
        return plain

    def _bad(self, answer: aiohttp.ClientResponse, what: str) -> BadResponseError:
        return BadResponseError(f"{self.host} answered {answer.status} with a body {what}", status=answer.status)


def tcp_connector(limit: int) -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(limit=limit, keepalive_timeout=KEEP_ALIVE_SECONDS, timeout_ceil_threshold=math.inf)


def encode(body: JSON) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError):
        # The foreign text may quote the input.
        raise UsageError("the input cannot be written as JSON") from None


def plain_headers(headers: Mapping[str, str]) -> dict[str, str]:
    plain = {name.lower(): value for name, value in headers.items()}
    if len(plain) == len(headers):
        return plain
    plain.clear()
    for spelling, value in headers.items():
        name = spelling.lower()
        plain[name] = f"{plain[name]}, {value}" if name in plain else value
    return plain


def kind_of(answer: aiohttp.ClientResponse) -> str:
    """The media type as named by the server, if it is one."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind if re.fullmatch(r"[a-z]{1,20}/[a-z0-9.+-]{1,60}", kind) else "no content type"


def redirect_text(host: str, headers: Mapping[str, str]) -> str:
    try:
        target = URL(headers.get("Location", "")).raw_host or host
    except ValueError:
        target = ""
    if not re.fullmatch(r"[\w.:-]{1,255}", target, re.ASCII):
        target = "an address that cannot be read"
    return f"{host} redirects to {target}, and redirects are not followed"


def translate(error: Exception, host: str) -> SumeError:
    """Turn what aiohttp raises into our errors. Its texts hold whole URLs, so nothing of them is kept or chained."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return ConnectError(f"no connection to {host} in time")
        case aiohttp.ClientConnectorDNSError():
            return ConnectError(f"the name {host} cannot be resolved")
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return ConnectError(f"no secure connection to {host}", hint="check the clock and the certificates")
        case aiohttp.ClientConnectorError() | aiohttp.ClientHttpProxyError() | aiohttp.InvalidURL():
            return ConnectError(f"no connection to {host}")
        case aiohttp.ClientPayloadError():
            return TransportError(f"the answer of {host} was cut short")
        case aiohttp.ClientResponseError():
            return BadResponseError(f"the answer of {host} is not HTTP")
        case TimeoutError():
            return TransportError(f"no answer of {host} in time")
    return TransportError(f"the connection to {host} broke")
