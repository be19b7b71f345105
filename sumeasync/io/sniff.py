"""What bytes are, by their first ones, and whether the end that their format prescribes is there.

The extensions here are all that a saved file can have.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

import msgspec

__all__ = ["MARKUP", "TEXTS", "UNKNOWN", "Kind", "Scan", "kind_named", "promised_type", "sniff"]

HEAD_BYTES = 512
TAIL_BYTES = 1024


class Kind(msgspec.Struct, frozen=True):
    """A content type and the extension of its files, without the dot."""

    content_type: str
    extension: str


PNG = Kind("image/png", "png")
JPEG = Kind("image/jpeg", "jpg")
GIF = Kind("image/gif", "gif")
WEBP = Kind("image/webp", "webp")
AVIF = Kind("image/avif", "avif")
HEIC = Kind("image/heic", "heic")
MP4 = Kind("video/mp4", "mp4")
MOV = Kind("video/quicktime", "mov")
WEBM = Kind("video/webm", "webm")
MKV = Kind("video/x-matroska", "mkv")
M4A = Kind("audio/mp4", "m4a")
MP3 = Kind("audio/mpeg", "mp3")
WAV = Kind("audio/wav", "wav")
OGG = Kind("audio/ogg", "ogg")
FLAC = Kind("audio/flac", "flac")
PDF = Kind("application/pdf", "pdf")
ZIP = Kind("application/zip", "zip")
JSON = Kind("application/json", "json")
VTT = Kind("text/vtt", "vtt")
TEXT = Kind("text/plain", "txt")
MARKUP = Kind("text/html", "txt")
UNKNOWN = Kind("application/octet-stream", "bin")

TEXTS = frozenset({JSON, VTT, TEXT, MARKUP})
"""What an error page may be; `MARKUP` is never media."""

MAGIC = {
    b"\x89PNG\r\n\x1a\n": PNG,
    b"\xff\xd8\xff": JPEG,
    b"GIF87a": GIF,
    b"GIF89a": GIF,
    b"OggS": OGG,
    b"fLaC": FLAC,
    b"ID3": MP3,
    b"\xff\xfb": MP3,  # MPEG layer III frames, with and without a checksum
    b"\xff\xfa": MP3,
    b"\xff\xf3": MP3,
    b"\xff\xf2": MP3,
    b"%PDF-": PDF,
    b"PK\x03\x04": ZIP,
}
RIFF = {b"WEBP": WEBP, b"WAVE": WAV}
BRANDS = {
    b"avif": AVIF,
    b"avis": AVIF,
    b"heic": HEIC,
    b"heix": HEIC,
    b"mif1": HEIC,
    b"M4A ": M4A,
    b"M4B ": M4A,
    b"qt  ": MOV,
}
OLD_QUICKTIME = frozenset({b"moov", b"mdat", b"wide"})  # first boxes of files older than `ftyp`
MARKUP_START = re.compile(rb"<(?:!doctype|!--|\?xml|html|head|body|error|svg)", re.IGNORECASE)
NOT_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")

NAMED = {kind.content_type: kind for kind in (*MAGIC.values(), *RIFF.values(), *BRANDS.values())}
NAMED |= {kind.content_type: kind for kind in (MP4, WEBM, MKV, JSON, VTT, TEXT, MARKUP)}
NAMED |= {"image/jpg": JPEG, "audio/mp3": MP3, "audio/x-wav": WAV, "audio/wave": WAV, "audio/x-m4a": M4A}
EXTENSIONS = {kind.extension: kind for kind in NAMED.values() if kind not in TEXTS} | {"jpeg": JPEG}


def promised_type(link: str) -> str | None:
    """Return the content type that the end of a link's path promises, if it is one of our media."""
    name = link.partition("?")[0].partition("#")[0].rpartition("/")[2]
    kind = EXTENSIONS.get(name.rpartition(".")[2].lower())
    return kind.content_type if kind else None


def kind_named(content_type: str | None) -> Kind:
    """Return the kind of a declared content type, parameters ignored; `UNKNOWN` when it is none of ours."""
    return NAMED.get((content_type or "").partition(";")[0].strip().lower(), UNKNOWN)


def sniff(head: bytes) -> Kind:
    """Return the kind of a file that begins with `head` (512 bytes tell all); `UNKNOWN` when nothing is recognized."""
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return kind
    if head.startswith(b"RIFF"):
        return RIFF.get(head[8:12], UNKNOWN)
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12], MP4)
    if head[4:8] in OLD_QUICKTIME:
        return MOV
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return WEBM if b"webm" in head[:64] else MKV
    return sniff_text(head)


def sniff_text(head: bytes) -> Kind:
    """Return which text it is; `UNKNOWN` when it is none, or empty."""
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    try:
        codecs.utf_8_decode(text, "strict", False)  # the last character may be cut
    except UnicodeDecodeError:
        return UNKNOWN
    if not text or NOT_TEXT.search(text):
        return UNKNOWN
    if MARKUP_START.match(text):
        return MARKUP
    if text.startswith((b"{", b"[")):
        return JSON
    return VTT if text.startswith(b"WEBVTT") else TEXT


class Boxes:
    """Walks the top-level boxes of an ISO media file (ISO/IEC 14496-12, 4.2) as its bytes pass."""

    def __init__(self) -> None:
        self.header = b""
        self.skip = 0
        self.names = set[bytes]()
        self.readable = True

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        at = 0
        while at < len(data) and self.readable:
            step = min(self.skip, len(data) - at) or self.missing()
            piece = data[at : at + step]
            at += len(piece)
            if self.skip:
                self.skip -= step
                continue
            self.header += piece
            if not self.missing():
                self.enter()

    def missing(self) -> int:
        """How many bytes the header still wants: 8 in all, 16 when the size is a large one."""
        return (16 if self.header.startswith(b"\0\0\0\1") else 8) - len(self.header)

    def enter(self) -> None:
        """Take note of a box and of where the next one stands; a box that runs to the end of the file has no size."""
        start = 8 if len(self.header) == 16 else 0
        size = int.from_bytes(self.header[start : start + 8 if start else 4])
        self.readable = size >= len(self.header)
        self.names.add(self.header[4:8])
        self.skip, self.header = size - len(self.header), b""

    def whole(self, *needed: bytes) -> bool | None:
        """Whether the file ends where a box does and the `needed` boxes were there; None when sizes do not tell."""
        if not self.readable:
            return None
        return not self.skip and not self.header and self.names.issuperset(needed)


class Scan:
    """What is remembered of a file while its bytes pass: the first, the last, the count."""

    def __init__(self) -> None:
        self.size = 0
        self.head = b""
        self.tail = b""
        self.boxes = Boxes()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        self.size += len(data)
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]
        self.tail = (self.tail + data[-TAIL_BYTES:])[-TAIL_BYTES:]
        self.boxes.feed(data)

    def kind(self) -> Kind:
        """Return what the file is, by its first bytes."""
        return sniff(self.head)

    def whole(self) -> bool | None:
        """Whether the file has the end its format prescribes; None when the format does not tell."""
        check = ENDS.get(self.kind())
        return check(self) if check else None


def png_end(scan: Scan) -> bool:
    return scan.tail.endswith(b"\0\0\0\0IEND\xaeB`\x82")


def jpeg_end(scan: Scan) -> bool | None:
    if scan.tail.endswith(b"\xff\xd9"):
        return True
    return None if b"\xff\xd9" in scan.tail else False  # cameras and editors append data of their own


def gif_end(scan: Scan) -> bool:
    return scan.tail.endswith(b";")


def riff_end(scan: Scan) -> bool | None:
    size = int.from_bytes(scan.head[4:8], "little")
    if size in (0, 0xFFFF_FFFF):  # written by a program that could not seek back
        return None
    return scan.size >= 8 + size


def pdf_end(scan: Scan) -> bool:
    return b"%%EOF" in scan.tail


def zip_end(scan: Scan) -> bool:
    return b"PK\x05\x06" in scan.tail


def movie_end(scan: Scan) -> bool | None:
    return scan.boxes.whole(b"moov", b"mdat")


def picture_end(scan: Scan) -> bool | None:
    return scan.boxes.whole(b"meta", b"mdat")


ENDS: dict[Kind, Callable[[Scan], bool | None]] = {
    PNG: png_end,
    JPEG: jpeg_end,
    GIF: gif_end,
    WEBP: riff_end,
    WAV: riff_end,
    PDF: pdf_end,
    ZIP: zip_end,
    MP4: movie_end,
    MOV: movie_end,
    M4A: movie_end,
    AVIF: picture_end,
    HEIC: picture_end,
}
