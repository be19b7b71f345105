"""From a link the server names to whole, verified bytes under a final name.

A file is streamed to ``<stem>.part`` in constant memory and hashed on the way. It gets its final name only when it is
whole: as long as was announced, or with the end its format prescribes, or at least with a clean end of the stream.
Nothing is tried twice here: a transient fault is raised, and the next call goes on with the ``.part``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import aiohttp
import anyio

from sumeasync.errors import BadResponseError, DiskFullError, RefusedError, StorageError, TransportError
from sumeasync.io.disk import NO_HANDLES, Disk
from sumeasync.io.guard import Guard, open_guarded, read_some
from sumeasync.io.partial import Partial, judge_range, range_total, strong_etag
from sumeasync.io.sniff import MARKUP, TEXTS, UNKNOWN, Kind, kind_named, promised_type
from sumeasync.io.transfer import Allowance, Limits, SpeedFloor, status_error
from sumeasync.models import Media

__all__ = ["Downloader"]

CHUNK_BYTES = 64 * 1024
PICTURES_AND_SOUND = ("image/", "video/", "audio/")

Verified = Literal["length", "trailer", "unverified"]


class Downloader:
    """Saves media.

    Args:
        session: from `guarded_session`, so without key, cookies and decompression.
        guard: checks every link and every redirect.
        disk: the output directory.
        limits: for each file; what files share is an `Allowance`.
        wall_clock: epoch seconds, to read a date in ``Retry-After``.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        guard: Guard,
        disk: Disk,
        limits: Limits,
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.session = session
        self.guard = guard
        self.disk = disk
        self.limits = limits
        self.wall_clock = wall_clock

    async def save(
        self,
        link: str,
        *,
        stem: str,
        allowance: Allowance,
        content_type: str | None = None,
        known: Media | None = None,
    ) -> Media:
        """Save what `link` leads to as `stem` and an extension; a second call after a fault goes on from there.

        Args:
            link: a URL, fresh if it is a signed one.
            stem: path in the output directory without extension, of this file alone; see `media_stem`.
            allowance: of the job.
            content_type: what the result says that it is.
            known: the file an earlier run saved; if it still has its size, nothing is fetched.

        Raises:
            LinkExpiredError: ask for a fresh link.
            TransportError, ServerError, RateLimitError: transient; so is having too many files open.
            BadResponseError: something else came than media.
            RefusedError: the link leads where it must not, or a limit was met.
            DiskFullError: the disk is full or nearly so; what had come is removed, to make room for what matters more.
            StorageError: the disk refused.
        """
        try:
            if known is not None and await self.disk.size(known.path) == known.bytes:
                return known
            return await self.bring(link, stem, allowance, content_type)
        except StorageError as error:
            if error.errno not in NO_HANDLES:
                raise
            raise TransportError("too many files are open", sent=False, hint=error.hint) from error

    async def bring(self, link: str, stem: str, allowance: Allowance, content_type: str | None) -> Media:
        """Fetch and name one file; arguments and errors are those of `save`."""
        with allowance.one_file() as grow_to:
            part = Partial(self.disk, stem)
            try:
                await part.load()
                verified, declared = await self.fetch(link, part, grow_to)
                kind = judge_kind(part.scan.kind(), link, content_type, declared)
                path = await part.finish(kind.extension)
            except (BadResponseError, RefusedError, DiskFullError):
                await part.discard()
                raise
            finally:
                with anyio.CancelScope(shield=True):
                    await part.close()
        return Media(path, part.size, part.digest.hexdigest(), kind.content_type, verified)

    async def fetch(self, link: str, part: Partial, grow_to: Callable[[int], None]) -> tuple[Verified, str | None]:
        """Bring `part` to its end; return what vouches for it and the type the server declared."""
        while True:
            headers = {"Accept-Encoding": "identity"}
            if part.mark is not None:
                headers |= {"Range": f"bytes={part.mark.bytes}-", "If-Range": part.mark.etag}
            async with open_guarded(
                self.session, self.guard, link, headers=headers, timeout=self.limits.timeout()
            ) as response:
                answer = self.judge(response, part)
                if answer == "again":  # at most once: then nothing is there to go on from
                    part.forget()
                    continue
                if answer == "complete":
                    grow_to(part.size)
                    return "length", None
                if answer == "replace":
                    part.forget()
                return await self.stream(response, part, grow_to), response.headers.get("Content-Type")

    def judge(
        self, response: aiohttp.ClientResponse, part: Partial
    ) -> Literal["replace", "append", "complete", "again"]:
        """Say what the answer means to `part`, by its status and headers; raise when it is of no use."""
        headers, status, host = response.headers, response.status, response.url.host
        if status in (200, 206) and headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise RefusedError(f"{host}: sent compressed, which was not asked for")
        if status == 200:
            return "replace"
        if part.mark is not None and status in (206, 416):
            return judge_range(status, headers, part.mark)
        raise status_error(status, headers, host, self.wall_clock())

    async def stream(self, response: aiohttp.ClientResponse, part: Partial, grow_to: Callable[[int], None]) -> Verified:
        """Append the body to `part` and return what vouches for the whole."""
        host = response.url.host
        total = announced_total(response)
        if total is not None:
            self.check_size(total, grow_to)
        await self.check_space(0 if total is None else total - part.size)
        await part.open(strong_etag(response.headers), total)
        floor = SpeedFloor(self.limits, anyio.current_time(), part.size)
        try:
            while chunk := await read_some(response, CHUNK_BYTES):
                if total is None:
                    self.check_size(part.size + len(chunk), grow_to)
                elif part.size + len(chunk) > total:
                    raise BadResponseError(f"{host}: more bytes came than were announced")
                if await part.write(chunk):
                    await self.check_space(0)
                if floor.too_slow(anyio.current_time(), part.size):
                    raise TransportError(f"{host}: too slow")
            return judge_end(part, total, host)
        except TransportError:
            await part.note()
            raise

    def check_size(self, size: int, grow_to: Callable[[int], None]) -> None:
        """Raise `RefusedError` when a file of `size` bytes is more than may be saved."""
        if size > self.limits.file_bytes:
            raise RefusedError(f"a media file of more than the {self.limits.file_bytes} bytes that are allowed")
        grow_to(size)

    async def check_space(self, needed: int) -> None:
        """Raise `DiskFullError` unless the disk holds `needed` bytes more and what is to stay free."""
        free, spare = await self.disk.free_bytes(), self.limits.spare_bytes
        if free - needed < spare:
            raise DiskFullError(f"no room for media: {free} bytes are free, {needed} are needed, {spare} stay free")


def announced_total(response: aiohttp.ClientResponse) -> int | None:
    """Return how long the whole file is said to be."""
    return range_total(response.headers) if response.status == 206 else response.content_length


def judge_end(part: Partial, total: int | None, host: str | None) -> Verified:
    """Say what vouches for bytes whose stream ended in good order; raise when they cannot be all."""
    if not part.size:
        raise BadResponseError(f"{host}: an empty file")
    if total is not None and part.size == total:
        return "length"
    whole = part.scan.whole() if total is None else False
    if whole is False:
        raise TransportError(f"{host}: the file ends early")
    return "trailer" if whole else "unverified"


def judge_kind(found: Kind, link: str, by_result: str | None, by_server: str | None) -> Kind:
    """Choose the kind of a file from its bytes or else from what was declared; raise when it is a page, not media."""
    types = [text.lower() for text in (by_result, by_server) if text]
    expected = (by_result or promised_type(link) or "").lower(), (by_server or "").lower()
    if found == MARKUP or (found in TEXTS and any(type.startswith(PICTURES_AND_SOUND) for type in expected)):
        raise BadResponseError("a page of text came in place of media")
    if found != UNKNOWN:
        return found
    return next((kind for kind in map(kind_named, types) if kind != UNKNOWN and kind not in TEXTS), UNKNOWN)
