"""Whole files, or a reason and what is needed to go on."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from itertools import pairwise
from random import Random
from typing import Any

import anyio
import pytest
from aiohttp import web

from sumeasync.errors import (
    BadResponseError,
    DiskFullError,
    LinkExpiredError,
    RateLimitError,
    RefusedError,
    ServerError,
    StorageError,
    SumeError,
    TransportError,
)
from sumeasync.io import partial
from sumeasync.io.guard import Guard, guarded_session
from sumeasync.io.media import Downloader
from sumeasync.io.transfer import Allowance, Limits
from sumeasync.models import Media
from sumeasync.simulator.samples import sample
from sumeasync.testing import MemoryNetwork, virtual_elapsed
from sumeasync.testing.disk import MemoryDisk
from sumeasync.testing.memoryfile import Operation

LINK = "https://media.test/secret/a.png?sig=secret"
STEM = "media/hero/job_1"
PART, MARKS, FINAL = f"{STEM}.part", f"{STEM}.part.json", f"{STEM}.png"
PNG = sample("png", "job_1", size=3000).read()
SHA = hashlib.sha256(PNG).hexdigest()
TAG = {"ETag": '"v1"'}

Answer = Callable[[web.Request], Awaitable[None]]


def answer(body: bytes = b"", *, status: int = 200, length: int | None = None, pause: float = 0, **more: str) -> Answer:
    """Send `body` and close the connection; `length` is announced if it is not None, in pieces every `pause` s."""

    async def send(request: web.Request) -> None:
        assert request.transport is not None
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        if length is not None:
            headers["Content-Length"] = str(length)
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        request.transport.write("\r\n".join(lines).encode())
        for start in range(0, len(body), 1000):
            request.transport.write(body[start : start + 1000])
            await anyio.sleep(pause)
        request.transport.close()

    return send


def whole(body: bytes = PNG, **more: Any) -> Answer:
    """Send `body` with its length."""
    return answer(body, **{"length": len(body), **more})


def rest(start: int, total: int = len(PNG), **more: str) -> Answer:
    """Send the part of `PNG` from `start`, as a good server does."""
    headers = {"Content_Range": f"bytes {start}-{total - 1}/{total}", **TAG, **more}
    return answer(PNG[start:], status=206, length=len(PNG) - start, **headers)


class Rig:
    """A downloader, its disk, what its server will answer, and what that server was asked."""

    def __init__(self) -> None:
        self.disk = MemoryDisk()
        self.answers: list[Answer] = []
        self.asked: list[Mapping[str, str]] = []
        self.allowance = Allowance(1 << 30, 100)
        self.limits = Limits(spare_bytes=0)
        self.session: Any = None

    async def handle(self, request: web.Request) -> web.Response:
        """Give the next answer."""
        self.asked.append(request.headers)
        await self.answers.pop(0)(request)
        return web.Response()

    async def save(self, *answers: Answer, stem: str = STEM, **more: Any) -> Media:
        """Save one file, the server giving these answers and no others."""
        self.answers = list(answers)
        downloader = Downloader(self.session, Guard("https://api.test"), self.disk, self.limits, wall_clock=lambda: 0.0)
        media = await downloader.save(LINK, stem=stem, allowance=self.allowance, **more)
        assert not self.answers
        return media

    async def fails(self, error: type[SumeError], *answers: Answer, **more: Any) -> SumeError:
        """Save in vain; the link is not shown."""
        with pytest.raises(error) as caught:
            await self.save(*answers, **more)
        assert type(caught.value) is error
        assert "secret" not in f"{caught.value!r} {caught.value}"
        return caught.value

    async def interrupted(self, size: int) -> None:
        """Leave `size` bytes of `PNG` behind, under a strong entity tag."""
        # Bytes that come together with the end of a broken stream are lost to the HTTP library's reader, so: a pause.
        await self.fails(TransportError, answer(PNG[:size], length=len(PNG), pause=1, **TAG))


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A rig whose server listens in memory."""
    found = Rig()
    async with MemoryNetwork() as network:
        app = web.Application()
        app.router.add_get("/{path:.*}", found.handle)
        await network.serve("https://media.test", app)
        async with guarded_session(Guard("https://api.test"), connector=network.connector()) as found.session:
            yield found


async def test_whole_file(rig: Rig) -> None:
    """A file of its announced length gets its final name, and what is said of it is true of the bytes on disk."""
    media = await rig.save(whole())
    assert media == Media(FINAL, len(PNG), SHA, "image/png", "length")
    assert rig.disk.paths() == [FINAL]
    assert rig.disk.content(FINAL) == PNG


async def test_nothing_encoded_is_asked_for(rig: Rig) -> None:
    """The bytes are asked for as they are, and from the first on."""
    await rig.save(whole())
    assert rig.asked[0]["Accept-Encoding"] == "identity"
    assert "Range" not in rig.asked[0]


async def test_durable_before_named(rig: Rig) -> None:
    """The bytes are synced before the file gets its final name."""
    seen: list[tuple[str, str]] = []
    rig.disk.on_operation = lambda operation, path: seen.append((operation, path))
    await rig.save(whole())
    steps = [operation for operation, _ in seen if operation in ("sync", "rename")]
    assert steps == ["sync", "rename"]
    assert rig.disk.crash().content(FINAL) == PNG


async def test_large_file_in_constant_memory(rig: Rig) -> None:
    """No write hands over more than 320 KiB, however large the file."""
    sizes = [0]
    rig.disk.on_operation = lambda *_: sizes.append(len(rig.disk.content(PART)) if PART in rig.disk.paths() else 0)
    body = sample("png", "job_1", size=2_000_000).read()
    assert (await rig.save(whole(body))).bytes == len(body)
    steps = [after - before for before, after in pairwise(sizes)]
    assert max(steps) <= 320 * 1024
    assert len([step for step in steps if step > 0]) <= 9


# Going on.


async def test_cut_file_goes_on(rig: Rig) -> None:
    """A body that stops short is a transient fault; the next call asks for the rest of the same version only."""
    await rig.interrupted(1000)
    assert rig.disk.content(PART) == PNG[:1000]
    assert (await rig.save(rest(1000))).sha256 == SHA
    assert (rig.asked[1]["Range"], rig.asked[1]["If-Range"]) == ("bytes=1000-", '"v1"')
    assert rig.disk.paths() == [FINAL]


async def test_goes_on_twice(rig: Rig) -> None:
    """A file may be cut any number of times."""
    await rig.interrupted(1000)
    cut = answer(
        PNG[1000:2000], status=206, length=2000, pause=1, Content_Range=f"bytes 1000-{len(PNG) - 1}/{len(PNG)}", **TAG
    )
    await rig.fails(TransportError, cut)
    assert (await rig.save(rest(2000))).sha256 == SHA


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"v1"'}, {"ETag": "v1"}, {"ETag": '"' + "x" * 300 + '"'}])
async def test_starts_over_without_strong_tag(rig: Rig, headers: dict[str, str]) -> None:
    """Without a strong entity tag nothing proves that the rest belongs to what is there: the file starts over."""
    await rig.fails(TransportError, answer(PNG[:1000], length=len(PNG), **headers))
    assert (await rig.save(whole())).sha256 == SHA
    assert "Range" not in rig.asked[1]


async def test_new_version_starts_over(rig: Rig) -> None:
    """A 200 to a range request is the whole of another version: nothing is appended."""
    await rig.interrupted(1000)
    other = sample("png", "job_2", size=2000).read()
    assert (await rig.save(whole(other))).sha256 == hashlib.sha256(other).hexdigest()
    assert rig.disk.content(FINAL) == other


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {"Content_Range": f"bytes 999-{len(PNG) - 1}/{len(PNG)}"}),
        (206, {"Content_Range": f"bytes 1000-{len(PNG)}/{len(PNG) + 1}"}),
        (206, {"Content_Range": f"bytes 1000-{len(PNG) - 2}/{len(PNG)}"}),
        (206, {"Content_Range": f"bytes 1000-{len(PNG) - 1}/*"}),
        (206, {"Content_Range": f"bytes 1000-{len(PNG) - 1}/{len(PNG)}", "ETag": '"v2"'}),
        (206, {"Content_Range": f"bytes 1000-{len(PNG) - 1}/{len(PNG)}", "ETag": 'W/"v1"'}),
        (206, {"Content_Range": f"bytes 1000-{len(PNG) - 1}/{len(PNG)}", "ETag": ""}),
        (206, {"Content_Type": "multipart/byteranges; boundary=x"}),
        (416, {"Content_Range": f"bytes */{len(PNG)}"}),
        (416, {"Content_Range": "bytes */1000"}),
        (416, {}),
    ],
)
async def test_unfit_answer_starts_over(rig: Rig, status: int, headers: dict[str, str]) -> None:
    """An answer to a range request that does not fit in start, end, total or version is not used."""
    await rig.interrupted(1000)
    assert (await rig.save(answer(PNG[1000:], status=status, **{**TAG, **headers}), whole())).sha256 == SHA
    assert "Range" not in rig.asked[2]


async def test_complete_already(rig: Rig) -> None:
    """A 416 that proves version and length makes the bytes on disk the file, however they end."""
    odd = PNG[:-1]
    await rig.fails(TransportError, answer(odd, pause=1, **TAG))
    media = await rig.save(answer(status=416, length=0, Content_Range=f"bytes */{len(odd)}", **TAG))
    assert rig.allowance.bytes == len(odd)
    assert media == Media(FINAL, len(odd), hashlib.sha256(odd).hexdigest(), "image/png", "length")


@pytest.mark.parametrize("content", [b"X" * 1000, PNG[:999]])
async def test_damaged_part_starts_over(rig: Rig, content: bytes) -> None:
    """Bytes on disk that are not those that were received are not built upon."""
    await rig.interrupted(1000)
    rig.disk.put(PART, content)
    assert (await rig.save(whole())).sha256 == SHA


@pytest.mark.parametrize("marks", [b"", b"{", b"\xff\n", b'{"etag":"\\"v1\\"","total":null,"bytes":0,"sha256":""}\n'])
async def test_unreadable_marks_start_over(rig: Rig, marks: bytes) -> None:
    """When what stands beside the part cannot be read, the file starts over."""
    await rig.interrupted(1000)
    rig.disk.put(MARKS, marks)
    assert (await rig.save(whole())).sha256 == SHA
    assert "Range" not in rig.asked[1]


async def test_bytes_after_the_mark_are_cut(rig: Rig) -> None:
    """Bytes that were written and never marked are fetched again; a torn last mark falls back to the one before."""
    await rig.interrupted(1000)
    rig.disk.put(PART, rig.disk.content(PART) + b"later")
    rig.disk.put(MARKS, rig.disk.content(MARKS) + b'{"etag":"\\"v1')
    assert (await rig.save(rest(1000))).sha256 == SHA


async def test_cancelled_part_stays(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled in mid-stream, it closes its files and leaves what was marked; the next call goes on from there."""
    monkeypatch.setattr(partial, "MARK_BYTES", 1000)
    closed: list[str] = []
    rig.disk.on_operation = lambda operation, path: closed.append(path) if operation == "close" else None
    with anyio.move_on_after(15):
        await rig.save(whole(pause=10, **TAG))
    assert closed == [PART, MARKS]
    assert rig.disk.content(PART) == PNG[:2000]
    assert (await rig.save(rest(2000))).sha256 == SHA


@pytest.mark.parametrize("seed", range(20))
async def test_power_failure(rig: Rig, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a power failure leaves of a file under way, the next call ends with the right bytes."""
    monkeypatch.setattr(partial, "MARK_BYTES", 300)
    with anyio.move_on_after(5 + 10 * (seed % 3)):
        await rig.save(whole(pause=10, **TAG))
    rig.disk = rig.disk.crash(Random(seed))
    start = len(rig.disk.content(PART)) if PART in rig.disk.paths() else 0

    async def serve(request: web.Request) -> None:
        asked = request.headers.get("Range", "bytes=0-")
        first = int(asked[6:-1])
        assert first <= start
        await (rest(first) if first else whole(**TAG))(request)

    assert (await rig.save(serve)).sha256 == SHA


# When there is no length.


@pytest.mark.parametrize(
    ("body", "extension", "verified"),
    [(PNG, "png", "trailer"), (b"OggS" + b"x" * 99, "ogg", "unverified"), (b"\0" * 99, "bin", "unverified")],
)
async def test_no_length(rig: Rig, body: bytes, extension: str, verified: str) -> None:
    """Without a length, the format's own end vouches for a file, or the record says that nothing does."""
    media = await rig.save(answer(body))
    assert (media.path, media.verified) == (f"{STEM}.{extension}", verified)


async def test_no_length_and_cut(rig: Rig) -> None:
    """Without a length, a format that must end otherwise is a file cut short."""
    await rig.fails(TransportError, answer(PNG[:-1]))
    assert FINAL not in rig.disk.paths()


async def test_total_from_the_second_answer(rig: Rig) -> None:
    """A total that only the second answer names is the one that counts."""
    await rig.fails(TransportError, answer(PNG[:1000], pause=1, **TAG))
    assert (await rig.save(rest(1000))).verified == "length"


# What is not media.


async def test_more_than_announced(rig: Rig) -> None:
    """More bytes than were announced spoil the file: nothing of it is kept."""
    await rig.interrupted(1000)
    long = answer(PNG[1000:] + b"x", status=206, Content_Range=f"bytes 1000-{len(PNG) - 1}/{len(PNG)}", **TAG)
    await rig.fails(BadResponseError, long)
    assert rig.disk.paths() == []


@pytest.mark.parametrize(
    ("body", "declared", "header"),
    [
        (b"", None, "image/png"),
        (b"<html>sign in</html>", None, "text/html"),
        (b"<html>sign in</html>", "image/png", "image/png"),
        (b'<?xml version="1.0"?><Error/>', None, "application/xml"),
        (b'{"error": "x"}', "image/png", "application/json"),
        (b'{"error": "x"}', None, "Video/mp4"),
        (b'{"error": "x"}', None, "application/json"),  # the link ends in .png
        (b"not found", "audio/mpeg", "text/plain"),
    ],
)
async def test_error_page_is_no_media(rig: Rig, body: bytes, declared: str | None, header: str) -> None:
    """An empty body, a page, or text where picture or sound was declared is not saved."""
    await rig.fails(BadResponseError, whole(body, Content_Type=header), content_type=declared)
    assert rig.disk.paths() == []


@pytest.mark.parametrize(
    ("body", "declared", "header", "name"),
    [
        (b'{"a": 1}', "application/json", "application/json", "json"),
        (b"WEBVTT\n", "text/vtt", "binary/octet-stream", "vtt"),
        (b"\0data", "video/mp4", "image/png", "mp4"),
        (b"\0data", None, "audio/mpeg", "mp3"),
        (b"\0data", None, "text/html", "bin"),
        (b"\0data", "application/x-sh", "../../x", "bin"),
        (PNG, "video/mp4", "video/mp4", "png"),
    ],
)
async def test_extension(rig: Rig, body: bytes, declared: str | None, header: str, name: str) -> None:
    """The bytes choose the extension; where they say nothing, the result's word, then the server's, if it is ours."""
    media = await rig.save(whole(body, Content_Type=header), content_type=declared)
    assert media.path == f"{STEM}.{name}"


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, gzip", "x"])
async def test_encoded_body_is_refused(rig: Rig, encoding: str) -> None:
    """A compressed body is neither decompressed nor saved."""
    await rig.fails(RefusedError, whole(Content_Encoding=encoding))
    assert rig.disk.paths() == []


async def test_encoded_rest_is_refused(rig: Rig) -> None:
    """Nor is a compressed rest appended."""
    await rig.interrupted(1000)
    await rig.fails(RefusedError, rest(1000, Content_Encoding="gzip"))


@pytest.mark.parametrize(
    ("status", "error"),
    [(status, LinkExpiredError) for status in (400, 401, 403, 404, 410)]
    + [(status, ServerError) for status in (408, 425, 500, 503, 529)]
    + [(429, RateLimitError), (204, BadResponseError), (304, BadResponseError)]
    + [(416, BadResponseError), (418, BadResponseError)],
)
async def test_status(rig: Rig, status: int, error: type[SumeError]) -> None:
    """Each status has its error: a fresh link, another try, or neither."""
    assert f"answered {status}" in str(await rig.fails(error, answer(status=status, Content_Encoding="gzip")))


async def test_part_that_was_not_asked_for(rig: Rig) -> None:
    """A 206 to a request for the whole is of no use."""
    await rig.fails(BadResponseError, rest(1000))


async def test_expired_link_keeps_the_part(rig: Rig) -> None:
    """When the link expires in mid-file, a fresh one goes on with the same part."""
    await rig.interrupted(1000)
    await rig.fails(LinkExpiredError, answer(status=403))
    assert (await rig.save(rest(1000))).sha256 == SHA


async def test_retry_after(rig: Rig) -> None:
    """The server's wish to wait is handed on."""
    error = await rig.fails(ServerError, answer(status=503, Retry_After="7"))
    assert isinstance(error, ServerError)
    assert error.retry_after_seconds == 7


# Limits.


@pytest.mark.parametrize("length", [len(PNG), None])
async def test_file_limit(rig: Rig, length: int | None) -> None:
    """A file larger than allowed is refused, at once when it says so, or when it turns out to be."""
    rig.limits = Limits(spare_bytes=0, file_bytes=len(PNG) - 1)
    await rig.fails(RefusedError, answer(PNG, length=length))
    assert rig.disk.paths() == []


@pytest.mark.parametrize("length", [len(PNG), None])
async def test_shared_allowance(rig: Rig, length: int | None) -> None:
    """The bytes of a job's files count together; what was not saved does not count."""
    rig.allowance = Allowance(2 * len(PNG) - 1, 100)
    await rig.fails(TransportError, answer(PNG[:1000], length=len(PNG)))
    await rig.save(answer(PNG, length=length))
    await rig.fails(RefusedError, answer(PNG, length=length), stem="media/hero/job_1-2")
    assert rig.allowance.bytes == len(PNG)


async def test_file_count(rig: Rig) -> None:
    """A job has a limited number of files."""
    rig.allowance = Allowance(1 << 30, 1)
    await rig.save(whole())
    await rig.fails(RefusedError, stem="media/hero/job_1-2")


async def test_disk_nearly_full_before(rig: Rig) -> None:
    """A file that would not leave the spare room is not begun."""
    rig.disk = MemoryDisk(capacity=len(PNG) + 999)
    rig.limits = Limits(spare_bytes=1000)
    error = await rig.fails(DiskFullError, whole())
    assert str(len(PNG) + 999) in str(error)
    assert rig.disk.paths() == []


async def test_disk_nearly_full_meanwhile(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The room is looked at on the way too."""
    monkeypatch.setattr(partial, "MARK_BYTES", 1000)
    rig.disk = MemoryDisk(capacity=4000)
    rig.limits = Limits(spare_bytes=2500)
    await rig.fails(DiskFullError, answer(PNG, pause=1, **TAG))
    assert rig.disk.paths() == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
async def test_disk_full(rig: Rig, code: int) -> None:
    """On a disk that is full after all nothing is left in the way of what matters more."""
    rig.disk.fail("write", code, path=PART)
    assert (await rig.fails(DiskFullError, whole())).errno == code  # type: ignore[attr-defined]
    assert rig.disk.paths() == []


@pytest.mark.parametrize("operation", ["write", "sync", "close", "rename"])
async def test_failing_disk(rig: Rig, operation: Operation) -> None:
    """A disk that fails is no fault that passes, and no final name appears."""
    rig.disk.fail(operation, errno.EIO, path=PART)
    assert (await rig.fails(StorageError, whole())).errno == errno.EIO  # type: ignore[attr-defined]
    assert FINAL not in rig.disk.paths()


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize("operation", ["create", "rename"])
async def test_too_many_open_files(rig: Rig, operation: Operation, code: int) -> None:
    """Having too many files open is a fault that passes: the next try succeeds."""
    rig.disk.fail(operation, code, path=PART)
    await rig.fails(TransportError, whole())
    assert (await rig.save(whole())).path == FINAL


async def test_silent_server(rig: Rig) -> None:
    """A server that sends nothing for the idle time is a transient fault."""
    await rig.fails(TransportError, whole(pause=1000))
    assert 30 <= virtual_elapsed() <= 32


async def test_trickling_server(rig: Rig) -> None:
    """A server that keeps sending, but too little over the window, is a transient fault."""
    await rig.fails(TransportError, whole(b"OggS" + b"x" * 99_996, pause=5))
    assert 30 <= virtual_elapsed() <= 36


async def test_slow_enough_server(rig: Rig) -> None:
    """A server just fast enough is left alone for as long as it takes."""
    rig.limits = Limits(spare_bytes=0, slow_bytes_per_second=90)
    body = b"OggS" + b"x" * 99_996
    assert (await rig.save(whole(body, pause=10))).bytes == len(body)
    assert virtual_elapsed() >= 990


# What is there already.


async def test_known_file_is_not_fetched(rig: Rig) -> None:
    """A file that an earlier run saved and that still has its size is not asked for."""
    known = await rig.save(whole())
    assert await rig.save(known=known) == known


@pytest.mark.parametrize("content", [None, b"cut"])
async def test_lost_file_is_fetched_again(rig: Rig, content: bytes | None) -> None:
    """A known file that is gone, or has another size, is fetched."""
    if content is not None:
        rig.disk.put(FINAL, content)
    media = await rig.save(whole(), known=Media(FINAL, len(PNG), SHA, "image/png"))
    assert rig.disk.content(media.path) == PNG


async def test_strange_file_is_not_replaced(rig: Rig) -> None:
    """A file that stands under the final name and is not this one is left alone."""
    strange = b"x" * len(PNG)
    rig.disk.put(FINAL, strange)
    rig.disk.put(f"{STEM}~2.png", b"too")
    assert (await rig.save(whole())).path == f"{STEM}~3.png"
    assert rig.disk.content(FINAL) == strange


async def test_same_file_is_adopted(rig: Rig) -> None:
    """The very same bytes under the final name, left by a crash before the record, are taken for the file."""
    rig.disk.put(FINAL, PNG)
    assert (await rig.save(whole())).path == FINAL
    assert rig.disk.paths() == [FINAL]
