"""A minimal MP4: a few H.264 pictures of one macroblock each, sent as plain samples (I_PCM).

Layout after ISO/IEC 14496-12 (boxes) and 14496-15 (avcC); bit syntax after ITU-T H.264, 7.3.
"""

from __future__ import annotations

import struct

__all__ = ["PCM_BYTES", "encode_mp4"]

SIDE = 16  # one macroblock
PCM_BYTES = 384  # 16x16 luma and two 8x8 chroma planes
TIMESCALE = 10  # pictures a second


class Bits:
    """A bit string written from the left."""

    def __init__(self) -> None:
        self.text = ""

    def u(self, value: int, width: int) -> Bits:
        """Append `value` in `width` bits."""
        self.text += f"{value:0{width}b}"
        return self

    def ue(self, *values: int) -> Bits:
        """Append Exp-Golomb codes (9.1)."""
        for value in values:
            code = f"{value + 1:b}"
            self.text += "0" * (len(code) - 1) + code
        return self

    def pad(self) -> bytes:
        """Fill up with zeros to whole bytes."""
        self.text += "0" * (-len(self.text) % 8)
        return int(self.text, 2).to_bytes(len(self.text) // 8, "big")


def encode_mp4(pictures: list[bytes]) -> bytes:
    """Return a playable file of the given pictures, each of 384 samples from 1 to 255."""
    sequence, picture_set = _sequence_parameters(), _picture_parameters()
    units = [_idr(samples, number) for number, samples in enumerate(pictures)]
    samples = [struct.pack(">I", len(unit)) + unit for unit in units]
    head = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomavc1mp41")
    sizes = [len(sample) for sample in samples]
    draft = _movie(sequence, picture_set, sizes, offset=0)
    movie = _movie(sequence, picture_set, sizes, offset=len(head) + len(draft) + 8)
    return head + movie + _box(b"mdat", *samples)


def _sequence_parameters() -> bytes:
    bits = Bits().ue(0, 0, 2, 0).u(0, 1)  # id, frame_num bits - 4, order type 2, no reference frames, no gaps
    bits.ue(0, 0).u(0b1000, 4)  # 1x1 macroblocks; frames only, no 8x8 inference, no cropping, no VUI
    return b"\x67\x42\xc0\x0a" + bits.u(1, 1).pad()


def _picture_parameters() -> bytes:
    bits = Bits().ue(0, 0).u(0, 2).ue(0, 0, 0).u(0, 3)  # ids, CAVLC; one slice group, one reference; no weights
    return b"\x68" + bits.ue(0, 0, 0).u(0, 3).u(1, 1).pad()


def _idr(samples: bytes, number: int) -> bytes:
    if len(samples) != PCM_BYTES or 0 in samples:
        raise ValueError("a picture is 384 samples without zeros")  # zeros would need emulation prevention
    bits = Bits().ue(0, 7, 0).u(0, 4).ue(number % 2).u(0, 2).ue(0)  # neighbours differ in idr_pic_id
    return b"\x65" + bits.ue(25).pad() + samples + b"\x80"  # macroblock type 25 of an I slice is I_PCM


def _movie(sequence: bytes, picture_set: bytes, sizes: list[int], *, offset: int) -> bytes:
    count = len(sizes)
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    movie_header = struct.pack(">5IH10x", 0, 0, TIMESCALE, count, 0x10000, 0x100) + matrix + struct.pack(">24xI", 2)
    track_header = struct.pack(">3I4xI16x", 0, 0, 1, count) + matrix + struct.pack(">2I", SIDE << 16, SIDE << 16)
    media = _box(
        b"mdia",
        _full(b"mdhd", 0, struct.pack(">4IHH", 0, 0, TIMESCALE, count, 0x55C4, 0)),
        _full(b"hdlr", 0, struct.pack(">4x4s12x", b"vide"), b"\0"),
        _media_information(_sample_table(sequence, picture_set, sizes, offset)),
    )
    track = _box(b"trak", _full(b"tkhd", 7, track_header), media)
    return _box(b"moov", _full(b"mvhd", 0, movie_header), track)


def _media_information(sample_table: bytes) -> bytes:
    here = _full(b"url ", 1)  # flag 1: the samples are in this very file
    references = _full(b"dref", 0, struct.pack(">I", 1), here)
    return _box(b"minf", _full(b"vmhd", 1, bytes(8)), _box(b"dinf", references), sample_table)


def _sample_table(sequence: bytes, picture_set: bytes, sizes: list[int], offset: int) -> bytes:
    count = len(sizes)
    return _box(
        b"stbl",
        _full(b"stsd", 0, struct.pack(">I", 1), _sample_entry(sequence, picture_set)),
        _full(b"stts", 0, struct.pack(">3I", 1, count, 1)),
        _full(b"stsc", 0, struct.pack(">4I", 1, 1, count, 1)),
        _full(b"stsz", 0, struct.pack(f">2I{count}I", 0, count, *sizes)),
        _full(b"stco", 0, struct.pack(">2I", 1, offset)),
    )


def _sample_entry(sequence: bytes, picture_set: bytes) -> bytes:
    settings = b"\x01" + sequence[1:4] + b"\xff\xe1" + struct.pack(">H", len(sequence)) + sequence
    settings += b"\x01" + struct.pack(">H", len(picture_set)) + picture_set
    shape = struct.pack(">6xH16x2H2I4xH32x2H", 1, SIDE, SIDE, 72 << 16, 72 << 16, 1, 24, 0xFFFF)
    return _box(b"avc1", shape, _box(b"avcC", settings))


def _box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, name) + body


def _full(name: bytes, flags: int, *parts: bytes) -> bytes:
    return _box(name, struct.pack(">I", flags), *parts)
