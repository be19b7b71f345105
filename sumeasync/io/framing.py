"""How records become lines of a journal, and how a damaged journal is told from one that was cut short.

    8 hex digits, a space, a number, a space, a JSON object, a line feed

The digits are the CRC-32 of the object's bytes, started from ``previous ^ seed ^ number``: `previous` is the checksum
of the line before (0 for the first record), `seed` that of the header line. So a line counts only in its own place of
its own journal: the header holds a random run id, and old blocks of another journal never verify. The number tells
with which commit the line was written: it is how many records the journal held when that commit began.

A crash may take any part of the last commit, its middle too, as pages reach a disk in any order; nobody was told that
it is durable. What came before had been synced when it began. So the journal was cut short when every valid line after
the broken one is of a commit that began before the broken one; a line of a later commit shows that something is
damaged which was durable, and nothing may be guessed. To find a valid line without knowing the state before it, a
later line is checked against the digits its own predecessor carries.

A journal of format 1 is read, and gone on with as it is: its lines have no number (0 in the checksum), and there every
valid line after a broken one is damage.
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

FORMAT_VERSION = 2
LINE_LIMIT = 1 << 20
"""No line is longer, line feed included (bytes)."""

DIGITS = re.compile(rb"[0-9a-f]{8}")
NUMBER = re.compile(rb" (0|[1-9][0-9]{0,9}) ")
CANDIDATE = re.compile(rb"([0-9a-f]{8})( (?:(?:0|[1-9][0-9]{0,9}) )?)(?=\{)")
UNNUMBERED = b" "
UNREAD = b"\n"


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: which format, and which journal. `run` is 16 hex digits."""

    format: Literal["sumeasync journal"] = "sumeasync journal"
    version: int = FORMAT_VERSION
    run: str


class Encoder:
    """Makes the lines of one journal, from its header on or from where a scan ended.

    `previous` and `records` are the state behind the last line; setting them back takes lines back.
    """

    def __init__(self, seed: int = 0, previous: int = 0, records: int = 0, *, version: int = FORMAT_VERSION) -> None:
        self.previous = previous
        self.records = records
        self._seed = seed
        self._mark = UNNUMBERED
        self._version = version
        self._json = msgspec.json.Encoder()
        self.begin()

    def header(self, run: str) -> bytes:
        """The first line."""
        body = self._json.encode(Header(version=self._version, run=run))
        self._seed, self.previous = crc32(body), 0
        self.begin()
        return b"%08x %b\n" % (self._seed, body)

    def begin(self) -> None:
        """Begin a commit: the lines from here on are written after those before have been made durable."""
        self._start = self._seed
        if self._version > 1:
            self._start ^= self.records
            self._mark = b" %d " % self.records

    def line(self, record: Record) -> bytes:
        """The next line.

        Raises:
            JournalError: the record has no JSON form, or a line longer than `LINE_LIMIT`.
        """
        try:
            body = self._json.encode(record)
        except (msgspec.MsgspecError, TypeError, ValueError) as exc:
            raise JournalError(f"a record of {record.key!r} cannot be written: {type(exc).__name__}") from exc
        checksum = crc32(body, self.previous ^ self._start)
        line = b"%08x%b%b\n" % (checksum, self._mark, body)
        if len(line) > LINE_LIMIT:
            raise JournalError(f"a record of {record.key!r} is too long: {len(body)} bytes")
        self.previous = checksum
        self.records += 1
        return line


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
        self._numbered = True
        self._mark, self._mark_end, self._start = UNREAD, 0, 0
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
        self.seed = self._start = crc32(body)
        self._numbered = self.header.version > 1
        self.good_bytes = len(line) + 1

    def _read(self, line: bytes) -> Record | None:
        if not line.startswith(self._mark, 8) and not self._read_mark(line):
            self._break(line)
            return None
        body = line[self._mark_end :]
        checksum = crc32(body, self.previous ^ self._start)
        if line[:8] != b"%08x" % checksum:
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

    def _read_mark(self, line: bytes) -> bool:
        """Whether a commit began with this line, which has another mark than the one before: else it is broken."""
        mark = line[8 : line.find(b"{")]
        if (number := self._number(mark)) is None:
            return False
        self._mark, self._mark_end, self._start = mark, 8 + len(mark), self.seed ^ number
        return True

    def _number(self, mark: bytes) -> int | None:
        """What stands between digits and object as a number; None when no line of this format has that there."""
        if not self._numbered:
            return 0 if mark == UNNUMBERED else None
        found = NUMBER.fullmatch(mark)
        return int(found[1]) if found else None

    def _break(self, line: bytes) -> None:
        """The first line that does not verify; a valid one may even hide within it, behind a lost line feed."""
        self._broken = True
        self._anchors = (self.previous,)
        self._look_for_valid(line, first=True)

    def _look_for_valid(self, line: bytes, *, first: bool = False) -> None:
        own = self._own_anchors(line)
        for match in CANDIDATE.finditer(line):
            number = self._number(match[2])
            if number is None or (first and match.start() == 0):  # the line itself, all but its line feed
                continue
            anchors = self._anchors if match.start() == 0 else (*self._anchors, *own)
            if self._numbered and number <= self.records:
                anchors = (self.previous,)  # nothing is lost before that line, something was put there
            if self._verifies(match[1], number, line[match.end() :], anchors):
                raise damage(self.records + 1 if self.header else 0)
        self._anchors = (self.previous, *own)

    def _own_anchors(self, line: bytes) -> tuple[int, ...]:
        """What the line after this one may have been started from: these digits, or this body's true checksum."""
        brace = line.find(b"{")
        number = self._number(line[8:brace])
        true = () if number is None else (crc32(line[brace:], self.previous ^ self.seed ^ number),)
        return (int(line[:8], 16), *true) if DIGITS.fullmatch(line[:8]) else true

    def _verifies(self, digits: bytes, number: int, body: bytes, anchors: tuple[int, ...]) -> bool:
        return any(digits == b"%08x" % crc32(body, anchor ^ self.seed ^ number) for anchor in anchors)


def damage(record: int) -> JournalError:
    """The error for a broken record before one that was written when it was durable."""
    return JournalError(
        f"record {record} of the journal is damaged, and valid ones follow it",
        record=record,
        hint="it was changed after it was written: restore the file from a copy, or choose another --out",
    )
