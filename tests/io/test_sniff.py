"""What bytes are, and whether their end is there."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.io.sniff import MARKUP, TEXTS, UNKNOWN, Boxes, Scan, kind_named, promised_type, sniff
from sumeasync.simulator.samples import sample


def box(name: bytes, payload: bytes = b"") -> bytes:
    """An ISO media box."""
    return struct.pack(">I4s", 8 + len(payload), name) + payload


def scan(data: bytes, step: int = 1 << 20) -> Scan:
    """Scan `data`, given in pieces of `step` bytes."""
    found = Scan()
    for start in range(0, len(data), step):
        found.feed(data[start : start + step])
    return found


FTYP = box(b"ftyp", b"isom\0\0\2\0isom")
BIG_MDAT = struct.pack(">I4sQ", 1, b"mdat", 16 + 5) + b"12345"
MOVIE = FTYP + box(b"moov", b"x" * 9) + box(b"mdat", b"y" * 7)
RIFF_BODY = b"WEBPVP8 \2\0\0\0ab"
WEBP = b"RIFF" + struct.pack("<I", len(RIFF_BODY)) + RIFF_BODY
PNG = sample("png", "job_1").read()


@pytest.mark.parametrize(
    ("head", "content_type", "extension"),
    [
        (PNG, "image/png", "png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg", "jpg"),
        (b"GIF87a", "image/gif", "gif"),
        (b"GIF89a", "image/gif", "gif"),
        (WEBP, "image/webp", "webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav", "wav"),
        (b"RIFF\0\0\0\0ACON", "application/octet-stream", "bin"),
        (sample("mp4", "job_1").read(), "video/mp4", "mp4"),
        (box(b"ftyp", b"qt  \0\0\0\0"), "video/quicktime", "mov"),
        (box(b"wide") + box(b"mdat"), "video/quicktime", "mov"),
        (box(b"moov"), "video/quicktime", "mov"),
        (box(b"mdat"), "video/quicktime", "mov"),
        (box(b"ftyp", b"M4A \0\0\0\0"), "audio/mp4", "m4a"),
        (box(b"ftyp", b"M4B \0\0\0\0"), "audio/mp4", "m4a"),
        (box(b"ftyp", b"avif"), "image/avif", "avif"),
        (box(b"ftyp", b"avis"), "image/avif", "avif"),
        (box(b"ftyp", b"heic"), "image/heic", "heic"),
        (box(b"ftyp", b"heix"), "image/heic", "heic"),
        (box(b"ftyp", b"mif1"), "image/heic", "heic"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\1B\x82\x84webm", "video/webm", "webm"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\1B\x82\x88matroska", "video/x-matroska", "mkv"),
        (b"ID3\4", "audio/mpeg", "mp3"),
        (b"\xff\xfb\x90", "audio/mpeg", "mp3"),
        (b"\xff\xfa\x90", "audio/mpeg", "mp3"),
        (b"\xff\xf3\x90", "audio/mpeg", "mp3"),
        (b"\xff\xf2\x90", "audio/mpeg", "mp3"),
        (b"OggS\0", "audio/ogg", "ogg"),
        (b"fLaC\0", "audio/flac", "flac"),
        (b"%PDF-1.7", "application/pdf", "pdf"),
        (b"PK\3\4", "application/zip", "zip"),
        (b' \n{"a": 1}', "application/json", "json"),
        (b"\xef\xbb\xbf[1]", "application/json", "json"),
        (b"WEBVTT\n\n00:00", "text/vtt", "vtt"),
        ("naïve".encode(), "text/plain", "txt"),
        (b"x" * 511 + b"\xc3", "text/plain", "txt"),  # the first half of a letter
        (b"", "application/octet-stream", "bin"),
        (b"  \n", "application/octet-stream", "bin"),
        (b"\0\1\2", "application/octet-stream", "bin"),
        (b"abc\x01", "application/octet-stream", "bin"),
        (b"abc\xff\xfe", "application/octet-stream", "bin"),
    ],
)
def test_kind_by_first_bytes(head: bytes, content_type: str, extension: str) -> None:
    """The first bytes tell the content type, and with it the extension."""
    assert (sniff(head).content_type, sniff(head).extension) == (content_type, extension)


@pytest.mark.parametrize(
    "page",
    ["<!DOCTYPE html>", "<html lang=en>", "\n <HEAD>", "<body>", "<?xml version=1?>", "<Error>", "<!-- x", "<svg "],
)
def test_pages_are_known(page: str) -> None:
    """HTML, XML and the error documents of storage are markup, whatever stands before."""
    assert sniff(page.encode()) == MARKUP
    assert MARKUP in TEXTS


@pytest.mark.parametrize(
    ("declared", "extension"),
    [
        ("image/png", "png"),
        ("Video/MP4; codecs=avc1", "mp4"),
        ("audio/x-wav", "wav"),
        ("image/jpg", "jpg"),
        ("application/x-sh", "bin"),
        ("../../x", "bin"),
        (None, "bin"),
    ],
)
def test_declared_types(declared: str | None, extension: str) -> None:
    """A declared type gives an extension only if it is one of ours."""
    assert kind_named(declared).extension == extension


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (PNG, True),
        (PNG[:-1], False),
        (PNG[:-12], False),
        (b"\xff\xd8\xff\xe0abc\xff\xd9", True),
        (b"\xff\xd8\xff\xe0abc\xff\xd9 appended", None),
        (b"\xff\xd8\xff\xe0abc", False),
        (b"GIF89a...\0;", True),
        (b"GIF89a...\0", False),
        (WEBP, True),
        (WEBP[:-1], False),
        (WEBP + b"\0", True),
        (b"RIFF\0\0\0\0WAVEfmt ", None),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", None),
        (b"%PDF-1.7 ... %%EOF\n", True),
        (b"%PDF-1.7 ...", False),
        (b"PK\3\4...PK\5\6" + bytes(18), True),
        (b"PK\3\4...", False),
        (MOVIE, True),
        (FTYP + BIG_MDAT + box(b"moov"), True),
        (FTYP + BIG_MDAT, False),  # the index is missing
        (MOVIE[:-1], False),
        (MOVIE + b"\0\0\0", False),
        (FTYP + box(b"moov") + b"\0\0\0\0mdat...", None),  # the last box runs to the end of the file
        (FTYP + box(b"moov") + b"\0\0\0\3mdat...", None),
        (box(b"ftyp", b"avif") + box(b"meta") + box(b"mdat", b"x"), True),
        (box(b"ftyp", b"heic") + box(b"meta"), False),
        (b"OggS", None),
        (b"hello", None),
        (b"", None),
    ],
)
def test_end_of_format(data: bytes, whole: bool | None) -> None:
    """A format with an end of its own tells whether the file is whole; others say nothing."""
    assert scan(data).whole() is whole


def test_unknown_is_no_text() -> None:
    """What nothing recognizes is not taken for an error page."""
    assert UNKNOWN not in TEXTS


@given(st.sampled_from([PNG, MOVIE, WEBP, FTYP + BIG_MDAT + box(b"moov"), b"x" * 3000]), st.integers(1, 700))
def test_chunks_make_no_difference(data: bytes, step: int) -> None:
    """However the bytes are cut into chunks, the verdict, the count, the head and the tail are the same."""
    one, other = scan(data), scan(data, step)
    assert (one.whole(), one.size, one.head, one.tail) == (other.whole(), other.size, other.head, other.tail)
    assert other.tail == data[-1024:]


@given(st.binary(max_size=300), st.integers(1, 9))
def test_any_bytes_can_be_read(data: bytes, step: int) -> None:
    """No bytes make it fail, also not behind a valid box."""
    for prefix in (b"", FTYP, b"RIFF", b"\xff\xd8\xff"):
        assert scan(prefix + data, step).whole() in (True, False, None)


@given(st.integers(0, len(MOVIE) - 1))
def test_a_cut_movie_is_not_whole(length: int) -> None:
    """A movie cut anywhere is never taken for whole."""
    assert scan(MOVIE[:length]).whole() is not True


def test_boxes_remember_names() -> None:
    """The walk collects the top-level boxes' names."""
    walk = Boxes()
    walk.feed(MOVIE)
    assert walk.names == {b"ftyp", b"moov", b"mdat"}


@pytest.mark.parametrize(
    ("link", "promised"),
    [
        ("https://h.io/a.mp4?sig=x.png", "video/mp4"),
        ("https://h.io/a.JPEG#x", "image/jpeg"),
        ("https://h.io/a.png/b", None),
        ("https://h.io/a.json", None),
        ("https://h.io/a", None),
        ("", None),
    ],
)
def test_links_promise(link: str, promised: str | None) -> None:
    """The end of a link's path promises one of our media, or nothing."""
    assert promised_type(link) == promised
