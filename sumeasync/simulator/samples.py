"""Small real media, a pure function of (job id, seed, size), padded to any size without holding it in memory."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

import msgspec

from sumeasync.simulator.mp4 import PCM_BYTES, encode_mp4

__all__ = ["PNG_SIDE", "Kind", "Sample", "sample"]

Kind = Literal["png", "mp4"]

CONTENT_TYPES: dict[str, str] = {"png": "image/png", "mp4": "video/mp4"}
CHUNK_BYTES = 256 * 1024
PICTURES = 3
PNG_PATCHES = 8
PNG_SIDE = 256
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Sample(msgspec.Struct, frozen=True):
    """A media file: `head`, then `padding` zero bytes, then `tail`. `etag` is strong and outlives any link."""

    kind: Kind
    head: bytes
    padding: int
    tail: bytes
    etag: str

    @property
    def content_type(self) -> str:
        """The media type."""
        return CONTENT_TYPES[self.kind]

    @property
    def size(self) -> int:
        """The length in bytes."""
        return len(self.head) + self.padding + len(self.tail)

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield bytes [start, stop) in chunks of at most 256 KiB."""
        stop = self.size if stop is None else stop
        zeros_end = len(self.head) + self.padding
        yield from _pieces(self.head, start, stop)
        low, high = max(start, len(self.head)), min(stop, zeros_end)
        while low < high:
            count = min(high - low, CHUNK_BYTES)
            yield bytes(count)
            low += count
        yield from _pieces(self.tail, start - zeros_end, stop - zeros_end)

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Return bytes [start, stop) at once."""
        return b"".join(self.chunks(start, stop))

    def sha256(self) -> str:
        """Return the hex SHA-256 of the whole file."""
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()


def sample(kind: Kind, job_id: str, *, seed: int = 0, size: int = 0) -> Sample:
    """Return the media of a job: its natural few hundred bytes, padded to at least `size`.

    The padding needs a frame of its own (8 or 12 bytes), so a size just above the natural one is exceeded.
    """
    digest = hashlib.sha256(f"{kind}:{job_id}:{seed}".encode()).digest()
    whole = _png(digest) if kind == "png" else _mp4(digest)
    etag = f'"{digest.hex()[:24]}-{size:x}"'
    if size <= len(whole):
        return Sample(kind, whole, 0, b"", etag)
    if kind == "png":
        padding = max(0, size - len(whole) - 12)
        end = len(whole) - 12  # the padding chunk goes before IEND
        head = whole[:end] + struct.pack(">I4s", padding, b"paDd")
        return Sample(kind, head, padding, struct.pack(">I", _zero_crc(padding)) + whole[end:], etag)
    padding = max(0, size - len(whole) - 8)
    return Sample(kind, whole + struct.pack(">I4s", padding + 8, b"free"), padding, b"", etag)


def _pieces(data: bytes, start: int, stop: int) -> Iterator[bytes]:
    piece = data[max(start, 0) : max(stop, 0)]
    if piece:
        yield piece


def _png(digest: bytes) -> bytes:
    """A quilt of 8 by 8 patches, its right half the mirror of its left, in four colours."""
    patches = [digest[at % 32] >> (2 * (at // 32)) & 3 for at in range(PNG_PATCHES * PNG_PATCHES // 2)]
    half = PNG_PATCHES // 2
    rows = [patches[at : at + half] for at in range(0, len(patches), half)]
    lines = [b"".join(bytes([colour]) * (PNG_SIDE // PNG_PATCHES) for colour in row + row[::-1]) for row in rows]
    pixels = b"".join((b"\0" + line) * (PNG_SIDE // PNG_PATCHES) for line in lines)  # filter 0 on each line
    header = struct.pack(">2I5B", PNG_SIDE, PNG_SIDE, 8, 3, 0, 0, 0)
    parts = (b"IHDR", header), (b"PLTE", digest[:12]), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")
    return PNG_SIGNATURE + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@lru_cache(maxsize=64)
def _zero_crc(count: int) -> int:
    crc = zlib.crc32(b"paDd")
    block = bytes(CHUNK_BYTES)
    for _ in range(count // CHUNK_BYTES):
        crc = zlib.crc32(block, crc)
    return zlib.crc32(bytes(count % CHUNK_BYTES), crc)


def _mp4(digest: bytes) -> bytes:
    stream = hashlib.shake_128(digest).digest(PICTURES * PCM_BYTES)
    stream = bytes(16 + value % 220 for value in stream)  # video range, and never zero
    return encode_mp4([stream[at : at + PCM_BYTES] for at in range(0, len(stream), PCM_BYTES)])
