"""How records become lines of a journal, and how a damaged journal is told from one that was cut short.

    8 hex digits, a space, a JSON object, a line feed

The digits are the CRC-32 of the object's bytes, started from ``previous ^ seed``: `previous` is the checksum of the
line before (0 for the first record), `seed` that of the header line. So a line counts only in its own place of its
own journal: the header holds a random run id, and old blocks of another journal never verify.

A journal whose last lines are broken was cut short by a crash; nobody was told that they are durable. A broken line
with a valid one after it is damage, and nothing may be guessed. To find a valid line without knowing the state
before it, a later line is checked against the digits its own predecessor carries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal
from zlib import crc32

import msgspec

from sumeasync.core.records import Record
from sumeasync.errors import JournalError

__all__ = ["FORMAT_VERSION", "HEADER_BYTES", "LINE_LIMIT", "Encoder", "Header", "Scanner"]

FORMAT_VERSION = 1
LINE_LIMIT = 1 << 20
"""No line is longer, line feed included (bytes)."""

DIGITS = re.compile(rb"[0-9a-f]{8}")
CANDIDATE = re.compile(rb"[0-9a-f]{8} (?=\{)")


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: which format, and which journal. `run` is 16 hex digits."""

    format: Literal["sumeasync journal"] = "sumeasync journal"
    version: int = FORMAT_VERSION
    run: str


class Encoder:
    """Makes the lines of one journal, from its header on or from where a scan ended."""

    def __init__(self, seed: int = 0, previous: int = 0) -> None:
        self.seed = seed
        self.previous = previous
        self._json = msgspec.json.Encoder()

    def header(self, run: str) -> bytes:
        """The first line."""
        body = self._json.encode(Header(run=run))
        self.seed, self.previous = crc32(body), 0
        return b"%08x %b\n" % (self.seed, body)

    def line(self, record: Record) -> bytes:
        """The next line.

        Raises:
            JournalError: the record has no JSON form, or a line longer than `LINE_LIMIT`.
        """
        try:
            body = self._json.encode(record)
        except (msgspec.MsgspecError, TypeError, ValueError) as exc:
            raise JournalError(f"a record of {record.key!r} cannot be written: {type(exc).__name__}") from exc
        if len(body) + 10 > LINE_LIMIT:
            raise JournalError(f"a record of {record.key!r} is too long: {len(body)} bytes")
        self.previous = crc32(body, self.previous ^ self.seed)
        return b"%08x %b\n" % (self.previous, body)


HEADER_BYTES = len(Encoder().header("0" * 16))


class Scanner:
    """Reads a journal's bytes, in chunks of any size, as far as they are whole.

    `good_bytes` is the length of the valid prefix, `records` how many records it holds, `header` None until it was
    read. After the last chunk, `finish` judges the rest.
    """

    def __init__(self) -> None:
        self.header: Header | None = None
        self.seed = self.previous = 0
        self.records = 0
        self.good_bytes = 0
        self._rest = b""
        self._broken = False
        self._anchors: tuple[int, ...] = ()
        self._decode = msgspec.json.Decoder(Record).decode

    def feed(self, chunk: bytes) -> Iterator[Record]:
        """Yield the records that `chunk` completes; to be exhausted before the next call.

        Raises:
            JournalError: damage, a newer format, or a record this version does not know.
        """
        *lines, rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if self._broken:
                self._look_for_valid(line)
            elif self.header is None:
                self._read_header(line)
            elif (record := self._read(line)) is not None:
                yield record
        if len(rest) > LINE_LIMIT:
            self._break(rest)
            rest = rest[-LINE_LIMIT:]
        self._rest = rest

    def finish(self) -> None:
        """The file ends here: what is left over may still be damage that a crash cannot explain.

        Raises:
            JournalError: damage.
        """
        if self._broken:
            self._look_for_valid(self._rest)
        elif self._rest:
            self._break(self._rest)
        self._rest = b""

    def _read_header(self, line: bytes) -> None:
        body = line[9:]
        if line[:9] != b"%08x " % crc32(body):
            self._break(line)
            return
        try:
            self.header = msgspec.json.decode(body, type=Header)
        except msgspec.MsgspecError as exc:
            raise JournalError("this is no journal of sumeasync", record=0) from exc
        if self.header.version > FORMAT_VERSION:
            raise JournalError(
                f"the journal has format {self.header.version}; this version reads up to {FORMAT_VERSION}",
                record=0,
                hint="use the version of sumeasync that wrote it, or a later one",
            )
        self.seed = crc32(body)
        self.good_bytes = len(line) + 1

    def _read(self, line: bytes) -> Record | None:
        body = line[9:]
        checksum = crc32(body, self.previous ^ self.seed)
        if line[:9] != b"%08x " % checksum:
            self._break(line)
            return None
        try:
            record: Record = self._decode(body)
        except msgspec.MsgspecError as exc:
            raise JournalError(
                f"record {self.records + 1} of the journal is whole but of no known kind",
                record=self.records + 1,
                hint="use the version of sumeasync that wrote it, or a later one",
            ) from exc
        self.previous = checksum
        self.records += 1
        self.good_bytes += len(line) + 1
        return record

    def _break(self, line: bytes) -> None:
        """The first line that does not verify; a valid one may even hide within it, behind a lost line feed."""
        self._broken = True
        self._anchors = (self.previous,)
        self._look_for_valid(line, first=True)

    def _look_for_valid(self, line: bytes, *, first: bool = False) -> None:
        own = self._own_anchors(line)
        for match in CANDIDATE.finditer(line):
            anchors = self._anchors if match.start() == 0 else (*self._anchors, *own)
            if self._verifies(line[match.start() :], anchors) and not (first and match.start() == 0):
                raise damage(self.records + 1 if self.header else 0)
        self._anchors = (self.previous, *own)

    def _own_anchors(self, line: bytes) -> tuple[int, ...]:
        """What the line after this one may have been started from: these digits, or this body's true checksum."""
        true = crc32(line[9:], self.previous ^ self.seed)
        return (int(line[:8], 16), true) if DIGITS.fullmatch(line[:8]) else (true,)

    def _verifies(self, line: bytes, anchors: tuple[int, ...]) -> bool:
        digits, body = line[:8], line[9:]
        return any(digits == b"%08x" % crc32(body, anchor ^ self.seed) for anchor in anchors)


def damage(record: int) -> JournalError:
    """The error for a broken record with a valid one after it."""
    return JournalError(
        f"record {record} of the journal is damaged, and valid ones follow it",
        record=record,
        hint="it was changed after it was written: restore the file from a copy, or choose another --out",
    )
