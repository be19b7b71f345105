"""A local file to signed storage."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import aiofiles
import anyio
import pytest
from aiohttp import web

from sumeasync.errors import (
    BadResponseError,
    ConnectError,
    LinkExpiredError,
    RateLimitError,
    RefusedError,
    ServerError,
    SumeError,
    TransportError,
    UsageError,
)
from sumeasync.io.guard import Guard, guarded_session
from sumeasync.io.transfer import Limits
from sumeasync.io.upload import Body, file_errors, opened, upload
from sumeasync.testing import MemoryNetwork, virtual_elapsed

LINK = "https://storage.test/secret/object?sig=secret"
HEADERS = {"Content-Type": "video/mp4", "x-amz-meta-a": "b c"}
CONTENT = Random(1).randbytes(700_001)
GUARD = Guard("https://api.test")


class Storage:
    """Storage that takes what it is sent, and answers as told."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.read = True
        self.got: list[tuple[list[tuple[str, str]], bytes]] = []
        self.session: Any = None

    async def handle(self, request: web.Request) -> web.Response:
        """Take one request."""
        if not self.read:
            await anyio.sleep(1000)
        self.got.append((sorted(request.headers.items()), await request.read()))
        return web.Response(status=self.status, headers=self.headers)

    async def put(self, path: Path | str, headers: dict[str, str] = HEADERS, link: str = LINK) -> int:
        """Upload one file."""
        return await upload(self.session, GUARD, str(path), link, headers, Limits(), wall_clock=lambda: 0.0)

    async def fails(self, error: type[SumeError], *args: Any, **more: Any) -> str:
        """Upload in vain; neither link nor folder are shown."""
        with pytest.raises(error) as caught:
            await self.put(*args, **more)
        assert type(caught.value) is error
        assert "secret" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
async def storage() -> AsyncIterator[Storage]:
    """Storage that listens in memory."""
    found = Storage()
    async with MemoryNetwork() as network:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_put("/{path:.*}", found.handle)
        await network.serve("https://storage.test", app)
        async with guarded_session(GUARD, connector=network.connector()) as found.session:
            yield found


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A file of several chunks in a folder not to be shown."""
    path = tmp_path / "secret" / "clip.mp4"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


async def test_whole_file_arrives(storage: Storage, clip: Path) -> None:
    """Every byte arrives, with the length announced and not in pieces of unknown number."""
    assert await storage.put(clip) == 700_001
    headers, body = storage.got[0]
    assert body == CONTENT
    assert ("Content-Length", "700001") in headers


async def test_exactly_the_required_headers(storage: Storage, clip: Path) -> None:
    """The required headers are sent, and nothing else but host and length: no key, no type of our own."""
    await storage.put(clip, {"X-Only": "1", "content-length": "700001"})
    assert storage.got[0][0] == [("Content-Length", "700001"), ("Host", "storage.test"), ("X-Only", "1")]


async def test_relative_path(storage: Storage, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is relative to the working directory, and may lead through a link."""
    (clip.parent / "link").symlink_to(clip)
    monkeypatch.chdir(clip.parent)
    assert await storage.put("link") == 700_001


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "x"},
        {"x-api-key": "x"},
        {"Cookie": "x"},
        {"Proxy-Authorization": "x"},
        {"Host": "evil.example"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "x"},
        {"Expect": "100-continue"},
        {"TE": "x"},
        {"Trailer": "x"},
        {"Upgrade": "x"},
        {"Content-Length": "1"},
        {"X-A": "b\r\nX-C: d"},
        {"X-A": "b\0"},
        {"X-A": "b" * 5000},
        {"X-A\r\nX-B": "c"},
        {"X A": "b"},
        {"": "b"},
    ],
)
async def test_bad_headers(storage: Storage, clip: Path, headers: dict[str, str]) -> None:
    """Credentials, framing and malformed headers are not sent, whoever requires them."""
    await storage.fails(RefusedError, clip, headers)
    assert not storage.got


@pytest.mark.parametrize("link", ["http://storage.test/secret", "https://u:p@storage.test/secret", "file:///secret"])
async def test_bad_address(storage: Storage, clip: Path, link: str) -> None:
    """The address is checked as any other link."""
    await storage.fails(RefusedError, clip, link=link)


@pytest.mark.parametrize(
    ("status", "error"),
    [(status, LinkExpiredError) for status in (400, 401, 403, 404, 410)]
    + [(500, ServerError), (503, ServerError), (408, ServerError), (429, RateLimitError)]
    + [(411, BadResponseError), (413, BadResponseError), (302, RefusedError), (307, RefusedError)],
)
async def test_status(storage: Storage, clip: Path, status: int, error: type[SumeError]) -> None:
    """Each answer has its error, and a redirect is not followed."""
    storage.status, storage.headers = status, {"Location": "https://storage.test/other"}
    await storage.fails(error, clip)
    assert len(storage.got) == 1


async def test_nobody_listens(storage: Storage, clip: Path) -> None:
    """When no connection can be made, nothing was sent."""
    await storage.fails(ConnectError, clip, link="https://other.test/secret")


async def test_no_such_file(storage: Storage, clip: Path) -> None:
    """A file that is not there is the caller's mistake, told by its name without folder."""
    assert await storage.fails(UsageError, clip.parent / "none.mp4") == "cannot read none.mp4: ENOENT"
    assert await storage.fails(UsageError, "nul\0") == "cannot read nul\0: ValueError"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: Path(path).touch()])
async def test_not_a_file(storage: Storage, tmp_path: Path, make: Any) -> None:
    """A directory, a pipe or an empty file is not uploaded, and no pipe is waited for."""
    make(tmp_path / "odd")
    assert await storage.fails(UsageError, tmp_path / "odd") == "odd is empty or not a regular file"


async def test_file_shrinks(storage: Storage, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that becomes shorter on the way is the caller's mistake, not the network's."""
    monkeypatch.setattr("sumeasync.io.upload.regular_size", lambda path, found: found.st_size + 1)
    assert "became shorter" in await storage.fails(UsageError, clip)


async def test_file_grows(storage: Storage, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file that grows on the way, the announced bytes are sent."""
    monkeypatch.setattr("sumeasync.io.upload.regular_size", lambda path, found: found.st_size - 1)
    assert await storage.put(clip) == 700_000
    assert storage.got[0][1] == CONTENT[:-1]


async def test_no_byte_more(clip: Path) -> None:
    """The chunks end where the announced length does."""
    async with aiofiles.open(clip, "rb") as file:
        chunks = [chunk async for chunk in Body(file, str(clip), 300_000, Limits()).chunks()]
    assert b"".join(chunks) == CONTENT[:300_000]


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files(code: int) -> None:
    """Having too many files open is a fault that passes, not a file that cannot be read."""
    with pytest.raises(TransportError) as caught, file_errors("clip.mp4"):
        raise OSError(code, "injected")
    assert not caught.value.sent


async def test_stalled_storage(storage: Storage, clip: Path) -> None:
    """Storage that stops taking bytes is a transient fault after the idle time."""
    storage.read = False
    await storage.fails(TransportError, clip)
    assert 30 <= virtual_elapsed() <= 32


async def test_cancelled_while_opening(clip: Path) -> None:
    """A file that a thread opens just as the upload is cancelled is closed again."""
    files: list[Any] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with opened(os.fspath(clip)) as file:
            files.append(file)
            await anyio.sleep(1)
    assert files[0].closed
