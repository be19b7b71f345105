"""The media the simulator serves."""

from __future__ import annotations

import hashlib
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.simulator import sample
from sumeasync.simulator.samples import Kind

KINDS = st.sampled_from(["png", "mp4"])


def png_chunks(data: bytes) -> dict[bytes, bytes]:
    """Split a PNG, checking every checksum."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(body)
        chunks[body[:4]] = body[4:]
        at += 12 + length
    return chunks


def boxes(data: bytes) -> dict[bytes, tuple[int, bytes]]:
    """Split a level of MP4 boxes: name to (offset of the content, content)."""
    found, at = {}, 0
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        found[name] = (at + 8, data[at + 8 : at + length])
        at += length
    assert at == len(data)
    return found


@pytest.mark.parametrize("size", [0, 500, 300_000])
def test_png_is_whole(size: int) -> None:
    """A PNG has right checksums, its pixels, and ends with IEND, padded or not."""
    chunks = png_chunks(sample("png", "job_1", size=size).read())
    assert list(chunks)[-1] == b"IEND"
    width, height = struct.unpack(">2I", chunks[b"IHDR"][:8])
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + width)


@pytest.mark.parametrize("size", [0, 300_000])
def test_mp4_samples_are_where_the_table_says(size: int) -> None:
    """The chunk offset of an MP4 points at the first length-prefixed picture of mdat, an IDR slice."""
    data = sample("mp4", "job_1", size=size).read()
    top = boxes(data)
    assert list(top)[:3] == [b"ftyp", b"moov", b"mdat"]
    (offset,) = struct.unpack_from(">I", data, data.index(b"stco") + 12)
    assert offset == top[b"mdat"][0]
    count, *sizes = struct.unpack_from(">4I", data, data.index(b"stsz") + 12)
    assert (count, sum(sizes)) == (3, len(top[b"mdat"][1]))
    length, unit = struct.unpack_from(">IB", data, offset)
    assert (length, unit) == (sizes[0] - 4, 0x65)


@given(KINDS, st.integers(0, 9000))
def test_size_is_reached(kind: Kind, size: int) -> None:
    """A sample has at least the size asked for, and exactly that when the padding fits."""
    natural = sample(kind, "job_1").size
    got = sample(kind, "job_1", size=size).size
    assert got == size if size >= natural + 12 else natural <= got <= natural + 12


@given(KINDS, st.integers(0, 4000), st.integers(0, 5000), st.integers(0, 5000))
def test_any_part_can_be_read(kind: Kind, size: int, start: int, length: int) -> None:
    """A part is the same bytes as that part of the whole."""
    whole = sample(kind, "job_1", size=size)
    assert whole.read(start, min(start + length, whole.size)) == whole.read()[start : start + length]


def test_deterministic_and_distinct() -> None:
    """The same job gives the same bytes; another job, seed or kind gives others."""
    variants = [("png", "job_1", 0), ("png", "job_2", 0), ("png", "job_1", 1), ("mp4", "job_1", 0)]
    digests = [sample(kind, id, seed=seed).sha256() for kind, id, seed in variants]  # type: ignore[arg-type]
    assert len(set(digests)) == 4
    assert digests[0] == hashlib.sha256(sample("png", "job_1").read()).hexdigest()


def test_etags_are_strong_and_tell_sizes_apart() -> None:
    """The entity tag is strong, and two lengths never share one."""
    one, two = (sample("png", "job_1", size=size).etag for size in (1000, 2000))
    assert one != two
    assert one.startswith('"')
