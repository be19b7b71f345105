"""A server that means harm: whatever it answers, wherever, the engine ends with typed outcomes and keeps its place."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from sumeasync.core.settings import Settings
from sumeasync.models import JSON, Outcome
from sumeasync.simulator import Duration, TypeSettings, WorldSettings
from sumeasync.testing import Rig

Trick = Callable[[web.Request], Awaitable[web.StreamResponse]]

PLACES = ("create", "poll", "result", "download")
ENDS = {
    "create": {"unknown", "rejected", "completed", "timed_out"},
    "poll": {"timed_out", "failed", "completed"},
    "result": {"completed"},
    "download": {"completed"},
}
QUICK = TypeSettings(Duration(3, 0), queue=Duration(1, 0), media="png", media_bytes=500)
WORLD = WorldSettings(types={"image_generation": QUICK}, timestamps="all")
LEAN = Settings(save_attempts=2, max_file_bytes=1 << 20, read_timeout=5.0, connect_timeout=2.0, total_timeout=20.0)
SPEC: JSON = {"key": "k", "type": "image_generation", "input": {"prompt": "p"}, "deadline_seconds": 900}
OURS = re.compile(
    r"(?:journal\.log|run\.json|report\.json|results\.jsonl)|media/k/[-0-9A-Za-z_é.]+(?:~[0-9a-f]{16})?(?:~[0-9]+)?\.[a-z0-9]+"
)


class Trap(Rig):
    """A rig whose service plays a trick at one place, every time."""

    def __init__(self, place: str, trick: Trick) -> None:
        super().__init__(WORLD)
        self.place, self.trick = place, trick
        self.received: list[tuple[str, str, dict[str, str]]] = []

    def app(self) -> web.Application:
        """The service behind the trick."""
        app = super().app()
        app.middlewares.append(self.spring)
        return app

    @web.middleware
    async def spring(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Note what was asked; play the trick where it belongs."""
        self.received.append((request.method, request.raw_path, dict(request.headers)))
        return await (self.trick if self.place == place_of(request) else handler)(request)

    async def fall(self, settings: Settings = LEAN) -> Outcome:
        """Run one spec; check the outcome and what is on the disk."""
        [outcome] = await self.run([SPEC], settings)
        assert self.error is None
        assert outcome.status in ENDS[self.place]
        assert not [path for path in self.disk.paths() if not OURS.fullmatch(path)]
        assert not [headers for *_, headers in self.received if "Cookie" in headers]
        assert not [path for _, path, headers in self.received if "/media/" in path and "Authorization" in headers]
        return outcome


def place_of(request: web.Request) -> str:
    """Which of the places a request belongs to."""
    path = request.path
    if path.startswith("/media/"):
        return "download"
    if request.method == "POST":
        return "create"
    return "list" if path.endswith("/jobs") else "result" if path.endswith("/result") else "poll"


def body(data: bytes | str, status: int = 200, **headers: str) -> Trick:
    """Answer with these bytes."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}

    async def trick(request: web.Request) -> web.StreamResponse:
        raw = data.encode() if isinstance(data, str) else data
        return web.Response(status=status, body=raw, headers={"Content-Type": "application/json"} | named)

    return trick


def raw(data: bytes) -> Trick:
    """Write these bytes past the framework and hang up."""

    async def trick(request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.write(data)
            request.transport.close()
        return web.Response()

    return trick


def stream(piece: bytes, pause: float) -> Trick:
    """Send a piece again and again, for ever."""

    async def trick(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(piece)
            await asyncio.sleep(pause)
        return response

    return trick


BOMB = gzip.compress(b" " * (16 << 20))
REDIRECTS = (
    "http://127.0.0.1/", "https://127.0.0.1/x", "http://169.254.169.254/latest/meta-data/", "https://[::1]/",
    "https://[::ffff:10.0.0.1]/", "https://0x7f000001/", "https://2130706433/", "file:///etc/passwd",
    "data:image/png;base64,iVBOR", "gopher://x/", "https://a:b@media.test/", "//", "", "https://api.test/media/x/y",
    "https:\\\\evil.test\\", "javascript:alert(1)", "ht\x01tp://x/", "https://" + "a" * 20_000,
)  # fmt: skip
NAMES = ('attachment; filename="../../../etc/cron.d/x"', "inline; filename*=UTF-8''%2e%2e%2f%00.sh", "x" * 4000)
TRICKS: dict[str, Trick] = {
    **{f"redirect {n}": body(b"", 302, Location=where) for n, where in enumerate(REDIRECTS) if "\x01" not in where},
    "gzip bomb": body(BOMB, Content_Encoding="gzip"),
    "deflate lie": body(BOMB, Content_Encoding="deflate"),
    "brotli": body(b"\x8b\x7f\x80" * 1000, Content_Encoding="br"),
    "zstd": body(b"\x28\xb5\x2f\xfd" * 1000, Content_Encoding="zstd"),
    "twenty encodings": body(BOMB, Content_Encoding=", ".join(["gzip"] * 20)),
    "huge integer": body('{"id": ' + "9" * 5000 + "}"),
    "NaN": body('{"status": NaN, "job_id": "job_1"}'),
    "Infinity": body('{"progress": -Infinity, "job_id": "job_1"}'),
    "double keys": body('{"status": "completed", "status": "failed"}'),
    "deep list": body("[" * 100_000 + "]" * 100_000),
    "deep object": body('{"a":' * 100_000 + "1" + "}" * 100_000),
    "page": body("<!doctype html><title>Sign in</title>", Content_Type="text/html"),
    "page as media": body("<html><script>", Content_Type="image/png"),
    "UTF-16": body('{"status": "completed"}'.encode("utf-16")),
    "half a pair": body('{"status": "\\ud800", "error": "\\udfff"}'),
    "nothing": body(b""),
    "null": body("null"),
    "number": body("1"),
    "wrong types": body('{"status": {"a": 1}, "type": [], "error": [[]], "result": 1, "job": [], "data": 3, "id": {}}'),
    "many members": body(json.dumps({f"k{n}": n for n in range(100_000)})),
    "gibibyte announced": raw(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 1073741824\r\n\r\nxx"),
    "negative length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"),
    "two lengths": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}"),
    "length and chunks": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{}"),
    "split answer": raw(b"HTTP/1.1 200 OK\r\nX: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "folded header": raw(b"HTTP/1.1 200 OK\r\nContent-Type: a\r\n /../../b\r\nContent-Length: 2\r\n\r\n{}"),
    "NUL in a header": raw(b"HTTP/1.1 200 OK\r\nContent-Type: a\0b\r\nContent-Length: 2\r\n\r\n{}"),
    "a thousand headers": raw(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000 + b"\r\n{}"),
    "endless header": raw(b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 1_000_000 + b"\r\n\r\n{}"),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "hint for ever": raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "switching protocols": raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    "status 999": raw(b"HTTP/1.1 999 \x1b[2J\r\nContent-Length: 2\r\n\r\n{}"),
    "endless": stream(b" " * 65536, 0.001),
    "trickle": stream(b" ", 1.0),
    "cookies": body(b"{}", Set_Cookie="a=b; Path=/; Domain=test", Clear_Site_Data="*"),
    **{f"file name {n}": body(b"\0data", Content_Disposition=name) for n, name in enumerate(NAMES)},
    "type with a path": body(b"\0data", Content_Type="image/../../../x; charset=../y"),
    "partial, unasked": body(b"\0data", 206, Content_Range="bytes 5-9/1000000000000"),
    "nothing more": body(b"", 416, Content_Range="bytes */0"),
    "wait for ever": body(b"{}", 429, Retry_After="99999999999999999999"),
    "no content": body(b"", 204),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", TRICKS)
async def test_trick(name: str, place: str) -> None:
    """Played for ever at one place, no trick brings more than one typed outcome, or a file outside of its folder."""
    async with Trap(place, TRICKS[name]) as trap:
        outcome = await trap.fall()
        assert trap.now() < 7200
        if outcome.error is not None:
            assert re.fullmatch(r"[a-z_0-9]{1,64}", outcome.error.code)
            assert outcome.error.message.isprintable()


async def test_slow_media_end() -> None:
    """A download that trickles is given up; the job is completed, with an error beside it."""
    async with Trap("download", stream(b"x", 4.0)) as trap:
        outcome = await trap.fall()
        assert (outcome.status, outcome.error and outcome.error.code) == ("completed", "interrupted")
        assert trap.now() < 300


IDS = (
    "job_1\r\nX-Evil: 1", "../../../me", "..", "%2e%2e", "job_\0x", "x" * 300, "x" * 600, "\u202ejob_1", "job 1", "a/b",
    "job_1?x=1#y", "job_1%0d%0aX: 1", "C:\\x", "~root", "$(id)", "job_é", "con", "-rf", ".", "\ud83d\ude00" * 60,
)  # fmt: skip


@pytest.mark.parametrize("job_id", IDS)
async def test_strange_job_ids(job_id: str) -> None:
    """Whatever the id: one segment in the path, no header of its own, one folder and one name on the disk."""
    png = QUICK.media and b"\x89PNG\r\n\x1a\n" + b"\0" * 8

    async def serve(request: web.Request) -> web.StreamResponse:
        place = place_of(request)
        if place == "download":
            return web.Response(body=png, content_type="image/png")
        link = "https://api.test/media/x.png"
        return web.json_response({"job_id": job_id, "status": "completed", "result": {"url": link}})

    class Odd(Trap):
        @web.middleware
        async def spring(self, request: web.Request, handler: Any) -> web.StreamResponse:
            self.received.append((request.method, request.raw_path, dict(request.headers)))
            return await (handler if place_of(request) == "list" else serve)(request)

    async with Odd("create", serve) as trap:
        await trap.fall()
        for method, path, headers in trap.received:
            assert re.fullmatch(
                r"/api/v1/(?:images/generations|jobs\?[^/]*|jobs/[^/?#]+(?:/result)?)|/media/x\.png", path
            )
            assert not {"X-Evil", "X"} & headers.keys()
            assert method in ("GET", "POST")


@pytest.mark.parametrize(
    "answer",
    [
        {"job_ids": [f"job_{n}" for n in range(100_000)]},
        {"jobs": [{"id": f"job_{n}"} for n in range(100_000)]},
        {"data": [{"id": f"job_{n}"} for n in range(100_000)]},
    ],
    ids=["job_ids", "jobs", "data"],
)
async def test_create_names_too_many_jobs(answer: JSON) -> None:
    """An answer that names a hundred thousand jobs is not believed: the create is unknown."""
    async with Trap("create", body(json.dumps(answer))) as trap:
        assert (await trap.fall()).status == "unknown"


async def test_result_names_too_many_links() -> None:
    """Of a hundred thousand links as many files are saved as are allowed; the rest is an error beside them."""
    links = [f"https://api.test/media/x?n={n}" for n in range(100_000)]

    async def serve(request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "completed", "result": {"image_urls": links}})

    class Wide(Trap):
        @web.middleware
        async def spring(self, request: web.Request, handler: Any) -> web.StreamResponse:
            place = place_of(request)
            if place == "download":
                return web.Response(body=b"\x89PNG\r\n\x1a\n" + b"\0" * 8, content_type="image/png")
            return await (serve if place == "result" else handler)(request)

    async with Wide("result", serve) as trap:
        outcome = await trap.fall(Settings(max_job_files=7))
        assert len(outcome.files) == 7
        assert (outcome.error and outcome.error.code) == "download_failed"


async def test_run_limits() -> None:
    """What all jobs of a run may save together is bounded in files and in bytes."""
    for settings in (Settings(max_run_files=2), Settings(max_run_bytes=1200)):
        async with Rig(WORLD) as rig:
            outcomes = await rig.run([{**SPEC, "key": f"k{n}"} for n in range(5)], settings)
            assert sum(len(outcome.files) for outcome in outcomes) == 2
            assert sum(outcome.ok for outcome in outcomes) == 2
