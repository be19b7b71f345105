"""A file under way: ``<stem>.part``, and beside it ``<stem>.part.json`` with what is needed to go on later.

The second file gets a line now and then: the entity tag, the total when known, how many bytes stand in the first and
their SHA-256. Nothing is synced before the end: after a crash the bytes are read again, and unless they give the hash
of the last line that can be read, the file starts over.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from sumeasync.errors import StorageError
from sumeasync.io.disk import Disk, File
from sumeasync.io.sniff import Scan

__all__ = ["Mark", "Partial", "judge_range", "range_total", "strong_etag"]

BUFFER_BYTES = 256 * 1024
MARK_BYTES = 8 * 1024 * 1024
MAX_MARKS_BYTES = 1024 * 1024
MAX_SUFFIX = 1000

# RFC 9110, 8.8.3; only a strong tag says that two bodies are equal byte for byte.
STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]{0,200}"')
CONTENT_RANGE = re.compile(r"bytes (?:([0-9]{1,18})-([0-9]{1,18})|\*)/([0-9]{1,18})", re.IGNORECASE)


class Mark(msgspec.Struct, frozen=True):
    """What stands in a ``.part``: its first `bytes`, of `total` (None when unknown), of the version named `etag`."""

    etag: str
    total: int | None
    bytes: int
    sha256: str


def strong_etag(headers: Mapping[str, str]) -> str | None:
    """Return the entity tag when it is a strong one."""
    match = STRONG_ETAG.fullmatch(headers.get("ETag", ""))
    return match[0] if match else None


def range_total(headers: Mapping[str, str]) -> int | None:
    """Return the length of the whole that `Content-Range` names."""
    match = CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    return int(match[3]) if match else None


def judge_range(status: int, headers: Mapping[str, str], mark: Mark) -> Literal["append", "complete", "again"]:
    """Say what a 206 or 416 means to a file that stands at `mark`.

    Only an answer of the same version, of the same total, and exactly of the rest is of use.
    """
    match = CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if match is None or strong_etag(headers) != mark.etag:
        return "again"
    total = int(match[3])
    if mark.total not in (None, total):
        return "again"
    if status == 416:
        return "complete" if total == mark.bytes else "again"
    return "append" if (match[1], match[2]) == (str(mark.bytes), str(total - 1)) else "again"


class Partial:
    """One file under way on `disk`. `load` first; then `open`, `write`…, and `finish` or `close`."""

    def __init__(self, disk: Disk, stem: str) -> None:
        self.disk = disk
        self.stem = stem
        self.path = f"{stem}.part"
        self.marks_path = f"{stem}.part.json"
        self.mark: Mark | None = None
        self.file: File | None = None
        self.marks: File | None = None
        self.forget()

    def forget(self) -> None:
        """Count from nothing again; what is on disk is removed when the file is opened."""
        self.scan = Scan()
        self.digest = hashlib.sha256()
        self.buffer = bytearray()
        self.mark = None

    @property
    def size(self) -> int:
        """Bytes so far, those not yet written included."""
        return self.scan.size

    async def load(self) -> None:
        """Find out how much an earlier try left that can be trusted."""
        mark = await self.last_mark()
        if mark is None or not 0 < mark.bytes <= (await self.disk.size(self.path) or 0):
            return
        await self.disk.truncate(self.path, mark.bytes)
        async for chunk in self.disk.read(self.path):
            self.take(chunk)
        if self.digest.hexdigest() == mark.sha256:
            self.mark = mark
        else:
            self.forget()

    async def last_mark(self) -> Mark | None:
        """Read the last whole line beside the file."""
        if not 0 < (await self.disk.size(self.marks_path) or 0) <= MAX_MARKS_BYTES:
            return None
        lines = b"".join([chunk async for chunk in self.disk.read(self.marks_path)]).splitlines()
        for line in reversed(lines):
            try:
                return msgspec.json.decode(line, type=Mark)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
        return None

    async def open(self, etag: str | None, total: int | None) -> None:
        """Open for writing after the bytes that count, which are none unless `load` found some."""
        await self.disk.remove(self.marks_path)
        if self.size:
            self.file = await self.disk.append(self.path)
        else:
            await self.disk.remove(self.path)
            self.file = await self.disk.create(self.path)
        if etag is not None:
            self.marks = await self.disk.create(self.marks_path)
            self.mark = Mark(etag, total, 0, "")
            if self.size:
                await self.note()

    def take(self, data: bytes) -> None:
        """Let bytes pass through the hash and the scan."""
        self.digest.update(data)
        self.scan.feed(data)

    async def write(self, data: bytes) -> bool:
        """Append; return whether a good deal was written since this last was so."""
        before = self.size
        self.take(data)
        self.buffer += data
        if len(self.buffer) >= BUFFER_BYTES:
            await self.flush()
        if self.size // MARK_BYTES == before // MARK_BYTES:
            return False
        await self.note()
        return True

    async def flush(self) -> None:
        """Hand over what is held back."""
        if self.file is not None and self.buffer:
            await self.file.write(bytes(self.buffer))
            self.buffer.clear()

    async def note(self) -> None:
        """Write down what stands in the file, so that another try can go on from here."""
        await self.flush()
        if self.marks is not None and self.mark is not None:
            self.mark = msgspec.structs.replace(self.mark, bytes=self.size, sha256=self.digest.hexdigest())
            await self.marks.write(msgspec.json.encode(self.mark) + b"\n")

    async def finish(self, extension: str) -> str:
        """Make the bytes durable, give the file a final name that is free, and return that name."""
        if self.file is None:
            self.file = await self.disk.append(self.path)
        await self.file.commit(bytes(self.buffer))
        self.buffer.clear()
        await self.close()
        path = await self.free_name(extension)
        if await self.disk.size(path) is None:
            await self.disk.rename(self.path, path)
        else:
            await self.disk.remove(self.path)
        await self.disk.remove(self.marks_path)
        return path

    async def free_name(self, extension: str) -> str:
        """Return a name where nothing stands, or where the very same bytes do; what is not ours is never replaced."""
        path = f"{self.stem}.{extension}"
        for number in range(2, MAX_SUFFIX):
            size = await self.disk.size(path)
            if size is None or (size == self.size and await self.holds(path)):
                return path
            path = f"{self.stem}~{number}.{extension}"
        raise StorageError(f"no free name for {self.stem}.{extension}")

    async def holds(self, path: str) -> bool:
        """Whether the file at `path` has the bytes of this one."""
        digest = hashlib.sha256()
        async for chunk in self.disk.read(path):
            digest.update(chunk)
        return digest.digest() == self.digest.digest()

    async def discard(self) -> None:
        """Remove what is on disk: its bytes are worth nothing."""
        await self.close()
        await self.disk.remove(self.marks_path)
        await self.disk.remove(self.path)
        self.forget()

    async def close(self) -> None:
        """Close both files, whatever is held back being lost; harmless when closed."""
        file, marks = self.file, self.marks
        self.file = self.marks = None
        try:
            if file is not None:
                await file.close()
        finally:
            if marks is not None:
                await marks.close()
