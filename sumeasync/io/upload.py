"""A local file to the storage address that the server signed for it: a PUT of exactly what was asked for, once."""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import aiofiles
import aiofiles.os
import aiohttp
import anyio
from aiofiles.threadpool.binary import AsyncBufferedReader
from yarl import URL

from sumeasync.errors import RefusedError, SumeError, TransportError, UsageError
from sumeasync.io.disk import NO_HANDLES
from sumeasync.io.guard import REDIRECTS, Guard, transport_errors
from sumeasync.io.transfer import Limits, status_error

__all__ = ["upload"]

CHUNK_BYTES = 256 * 1024

NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")  # RFC 9110, 5.6.2
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,4096}")
# Credentials never go to storage, and the framing of the message is not the server's to choose.
REFUSED = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
REFUSED |= {"connection", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
# The HTTP library would add these by itself; a signature may cover what is there and what is not.
NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


async def upload(
    session: aiohttp.ClientSession,
    guard: Guard,
    path: str,
    upload_url: str,
    required_headers: Mapping[str, str],
    limits: Limits,
    *,
    wall_clock: Callable[[], float] = time.time,
) -> int:
    """PUT the file at `path` to `upload_url` and return how many bytes went.

    Args:
        session: from `guarded_session`, so without key, cookies and proxy.
        guard: checks the address; redirects are not followed.
        path: of a regular file, absolute or relative to the working directory.
        upload_url: where to, as the server signed it.
        required_headers: sent exactly, and nothing beside them but host and length.
        limits: no chunk may take longer than `idle_seconds` to go.
        wall_clock: epoch seconds, to read a date in ``Retry-After``.

    Raises:
        UsageError: the file is not there, is empty or not regular, or shrank on the way.
        RefusedError: the address or a header must not be used, or storage redirects.
        LinkExpiredError: ask for a fresh address.
        TransportError, ServerError, RateLimitError: transient; so is having too many files open.
    """
    url = guard.check_url(upload_url)
    with file_errors(path):
        size = regular_size(path, await aiofiles.os.stat(path))
        headers = checked_headers(required_headers, size)
        async with opened(path) as file:
            status, answer = await put(session, url, Body(file, path, size, limits), headers, limits)
    if status in REDIRECTS:
        raise RefusedError(f"{url.host}: storage redirects an upload")
    if not 200 <= status < 300:
        raise status_error(status, answer, url.host, wall_clock())
    return size


async def put(
    session: aiohttp.ClientSession, url: URL, body: Body, headers: Mapping[str, str], limits: Limits
) -> tuple[int, Mapping[str, str]]:
    """Send the request; return the answer's status and headers."""
    with body.scope:
        try:
            with transport_errors(url.host):
                response = await session.put(
                    url,
                    data=body.chunks(),
                    headers=headers,
                    skip_auto_headers=NOT_ADDED,
                    timeout=limits.timeout(),
                    allow_redirects=False,
                )
        except TransportError as exc:
            raise body.error or exc from None  # what failed may have been our own reading
        response.close()
        return response.status, response.headers
    raise TransportError(f"{url.host}: an upload stalled")


class Body:
    """The file as chunks; each one asked for puts off the end of `scope`, a write to a stalled peer never returns."""

    def __init__(self, file: AsyncBufferedReader, path: str, size: int, limits: Limits) -> None:
        self.file = file
        self.path = path
        self.size = size
        self.idle_seconds = limits.idle_seconds
        self.scope = anyio.CancelScope()
        self.error: SumeError | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield `size` bytes, or note the error and raise."""
        left = self.size
        while left:
            self.scope.deadline = anyio.current_time() + self.idle_seconds
            try:
                with file_errors(self.path):
                    chunk = await self.file.read(min(CHUNK_BYTES, left))
                    if not chunk:
                        raise UsageError(f"{os.path.basename(self.path)} became shorter while it was uploaded")
            except SumeError as exc:
                self.error = exc
                raise
            left -= len(chunk)
            yield chunk
        self.scope.deadline = anyio.current_time() + self.idle_seconds


@asynccontextmanager
async def opened(path: str) -> AsyncIterator[AsyncBufferedReader]:
    """The file, open for reading; a thread may open it just as the caller is cancelled, so neither is interrupted."""
    with anyio.CancelScope(shield=True):
        file = await aiofiles.open(path, "rb")
    try:
        yield file
    finally:
        with anyio.CancelScope(shield=True):
            await file.close()


def regular_size(path: str, found: os.stat_result) -> int:
    """Return the size of a file fit to be uploaded; a pipe or a device has no end to wait for."""
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        raise UsageError(f"{os.path.basename(path)} is empty or not a regular file")
    return found.st_size


def checked_headers(required: Mapping[str, str], size: int) -> dict[str, str]:
    """Return the headers to send, or raise `RefusedError` for what storage has no business to require."""
    headers = {"Content-Length": str(size)}
    for name, value in required.items():
        if not NAME.fullmatch(name) or not VALUE.fullmatch(value):
            raise RefusedError("a required upload header is malformed")
        if name.lower() in REFUSED or (name.lower() == "content-length" and value != str(size)):
            raise RefusedError(f"the upload header {name} is not sent to storage")
        if name.lower() != "content-length":
            headers[name] = value
    return headers


@contextmanager
def file_errors(path: str) -> Iterator[None]:
    """Say what is wrong with the user's file; its folder is not shown."""
    try:
        yield
    except SumeError:
        raise
    except (OSError, ValueError) as exc:  # a NUL in the path is a ValueError
        if getattr(exc, "errno", None) in NO_HANDLES:
            raise TransportError("too many files are open", sent=False, hint="allow more (ulimit -n)") from None
        symbol = errno.errorcode.get(getattr(exc, "errno", None) or 0, type(exc).__name__)
        raise UsageError(f"cannot read {os.path.basename(path)}: {symbol}") from None
