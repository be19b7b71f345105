"""The journal: durable when it says so, whole after any crash, and never guessing."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumeasync.core.records import Created, Delivered, Ended, Intent, Record, Rejected, Saved
from sumeasync.errors import JournalError, StorageError
from sumeasync.io import repair
from sumeasync.io.framing import HEADER_BYTES, LINE_LIMIT, Encoder, Scanner
from sumeasync.io.journal import Journal, MemoryJournal
from sumeasync.io.local import LocalDisk
from sumeasync.io.replay import JOURNAL, replay
from sumeasync.models import Failure, Media
from sumeasync.testing.clock import run_virtual
from sumeasync.testing.disk import MemoryDisk
from sumeasync.testing.remains import PAGE_BYTES

LONG = "JOURNAL_LONG" in os.environ
"""Set to cut and flip a longer journal at every bit; minutes instead of a second."""

EXTRA = Created("extra", ("job_extra",), 9.0)


def some_records(count: int, name: str = "spec") -> list[Record]:
    """A plausible history of `count` records, a few of each kind."""
    made: list[Record] = []
    for number in range(count // 5 + 1):
        key, job = f"{name}-{number}", f"job_{name}{number:04d}"
        made.append(Intent(key, "video_generation", f"{number:08x}" * 8, 1.5 + number))
        made.append(Created(key, (job, f"{job}b"), 2.5) if number % 3 else Rejected(key, 2.5, Failure("é\n\u2028")))
        made.append(Ended(key, job, "completed", 3.5, polls=number, server_seconds=81.25))
        made.append(Saved(key, job, 4.5, (Media(f"media/{key}.mp4", number, "ab" * 32, "video/mp4"),)))
        made.append(Delivered(key, 5.5, "completed", job))
    return made[:count]


RECORDS = some_records(200 if LONG else 60)


def journal_bytes(records: list[Record], run: str = "0123456789abcdef", *, version: int = 2, commit: int = 1) -> bytes:
    """The journal that holds these records, so many written with one commit."""
    encoder = Encoder(version=version)
    data = encoder.header(run)
    for number, record in enumerate(records):
        if number % commit == 0:
            encoder.begin()
        data += encoder.line(record)
    return data


DATA = journal_bytes(RECORDS)
LINES = DATA.splitlines(keepends=True)


def scan(data: bytes, step: int = 1 << 20) -> tuple[list[Record], Scanner]:
    """Read a journal's bytes in chunks of `step`."""
    scanner, found = Scanner(), []
    for start in range(0, len(data), step):
        found += scanner.feed(data[start : start + step])
    scanner.finish()
    return found, scanner


def disk_with(data: bytes) -> MemoryDisk:
    """A disk whose journal holds these bytes."""
    disk = MemoryDisk()
    disk.put(JOURNAL, data)
    return disk


async def reopened(disk: MemoryDisk, *more: Record) -> list[Record]:
    """Open the journal, append `more`, close; return what it replayed."""
    seen: list[Record] = []
    journal = await Journal.open(disk, rng=random.Random(1), observe=seen.append)
    await journal.append(*more)
    await journal.aclose()
    return seen


def whole_lines(length: int) -> int:
    """How many records are whole in the first `length` bytes of `DATA`."""
    return max(0, DATA[:length].count(b"\n") - 1)


# What is written comes back.


async def test_what_was_appended_is_replayed() -> None:
    """All kinds of records come back equal, in order."""
    disk = MemoryDisk()
    assert await reopened(disk, *RECORDS) == []
    assert await reopened(disk) == RECORDS


async def test_a_journal_can_be_read_with_a_pager() -> None:
    """One line of text a record: eight hex digits, its commit, a JSON object; the header first."""
    disk = MemoryDisk()
    await reopened(disk, *RECORDS)
    header, *lines = disk.content(JOURNAL).decode().splitlines()
    assert header[8:].startswith(' {"format":"sumeasync journal","version":2,"run":"')
    assert len(header) + 1 == HEADER_BYTES
    assert all(re.match(r'[0-9a-f]{8} 0 \{"t":', line) for line in lines if '"t":' in line)
    assert sum('"t":' in line for line in lines) == len(RECORDS)


async def test_no_two_journals_are_alike() -> None:
    """Each new journal draws its own run id, also without a seed."""
    first, second = MemoryDisk(), MemoryDisk()
    for disk in (first, second):
        await (await Journal.open(disk)).aclose()
    assert first.content(JOURNAL) != second.content(JOURNAL)


async def test_the_history_is_folded_while_reading() -> None:
    """An opened journal knows what was done; reading it alone tells the same and touches nothing."""
    disk = disk_with(DATA + b"torn")
    read_only = await replay(disk)
    assert disk.content(JOURNAL) == DATA + b"torn"
    journal = await Journal.open(disk)
    assert journal.history.counts() == read_only.history.counts()
    assert journal.history.records == len(RECORDS)
    await journal.aclose()


async def test_an_absent_journal_reads_as_empty() -> None:
    """Asking after a run that never was is no error, and makes no file."""
    disk = MemoryDisk()
    found = await replay(disk)
    assert (found.header, found.size, len(found.history)) == (None, 0, 0)
    assert disk.paths() == []


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_chunks_of_any_size(step: int) -> None:
    """Where the chunks are cut does not matter."""
    assert scan(DATA, step)[0] == RECORDS


async def test_a_header_alone_is_an_empty_journal() -> None:
    """A run that recorded nothing resumes."""
    assert await reopened(disk_with(LINES[0]), EXTRA) == []


# Torn ends.


@pytest.mark.slow
def test_cut_at_every_byte() -> None:
    """Whatever byte a crash cut at: the longest valid prefix is recovered and the next append stands after it."""

    async def every_cut() -> None:
        for length in range(len(DATA)):
            disk = disk_with(DATA[:length])
            kept = RECORDS[: whole_lines(length)]
            assert await reopened(disk, EXTRA) == kept, length
            assert await reopened(disk) == [*kept, EXTRA], length

    run_virtual(every_cut)


TAILS = {
    "zeros": bytes(512),
    "ones": b"\xff" * 512,
    "random": random.Random(5).randbytes(700),
    "lines": b"\n\n\n",
    "an older, longer journal": journal_bytes(some_records(2 * len(RECORDS), "old"), "fedcba9876543210")[
        len(DATA) // 2 :
    ],
    "the same records, another run": journal_bytes(RECORDS, "fedcba9876543210")[HEADER_BYTES:],
    "half a line": LINES[5][:40],
    "a long line": b"x" * (2 * LINE_LIMIT + 5),
}


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
@pytest.mark.parametrize("length", [len(DATA), len(DATA) - 30])
async def test_a_bad_tail_is_cut_off_and_kept(tail: bytes, length: int) -> None:
    """Zeros, noise or old blocks after the last good record: cut off durably, a copy kept, appending goes on."""
    good = len(b"".join(LINES[: whole_lines(length) + 1]))
    disk = disk_with(DATA[:length] + tail)
    kept = RECORDS[: whole_lines(length)]
    assert await reopened(disk) == kept
    assert disk.crash().content(JOURNAL) == DATA[:good]
    assert disk.crash().content(f"{JOURNAL}.broken-1") == (DATA[:length] + tail)[good:]
    assert await reopened(disk, EXTRA) == kept
    assert await reopened(disk) == [*kept, EXTRA]


async def test_the_tail_of_an_older_journal_is_never_believed() -> None:
    """At every byte: what lay on the disk before, right up to whole lines, is torn and not taken for ours."""
    older = journal_bytes(some_records(60, "back"), "fedcba9876543210")
    for length in range(len(LINES[0]), len(DATA), 11):
        found, _ = scan(DATA[:length] + older[length:])
        assert found == RECORDS[: len(found)]
        assert len(found) <= whole_lines(length) + 1  # the line that was cut may have ended alike


async def test_each_broken_tail_is_kept() -> None:
    """A second crash does not overwrite the copy of the first; a half made copy is made again."""
    disk = disk_with(DATA + b"one")
    disk.put(f"{JOURNAL}.broken-1.part", b"half")
    await reopened(disk)
    file = await disk.append(JOURNAL)
    await file.commit(b"two")
    await reopened(disk)
    assert [disk.content(f"{JOURNAL}.broken-{number}") for number in (1, 2)] == [b"one", b"two"]
    assert disk.paths() == [JOURNAL, f"{JOURNAL}.broken-1", f"{JOURNAL}.broken-2"]


def test_noise_is_not_gathered() -> None:
    """A journal of noise without a line end is read in bounded memory."""
    scanner = Scanner()
    for _ in range(5):
        assert list(scanner.feed(b"x" * LINE_LIMIT)) == []
        assert len(scanner._rest) <= LINE_LIMIT


# A commit of which a power failure took a part.


async def unsynced_commit(before: int, count: int = 130) -> tuple[bytes, int, list[Record]]:
    """A journal in the middle of a commit: its bytes, how many of them are synced, all its records.

    `before` records were committed one by one, then `count` at once.
    """
    disk, records, caught = MemoryDisk(), some_records(before + count), []
    journal = await Journal.open(disk, rng=random.Random(3))
    for record in records[:before]:
        await journal.append(record)
    disk.on_operation = lambda operation, path: caught.append((disk.durable(JOURNAL), disk.content(JOURNAL)))
    await journal.append(*records[before:])
    await journal.aclose()
    durable, data = caught[1]  # after the write, before the sync
    return data, len(durable or b""), records


def without_pages(data: bytes, synced: int, kept: int, filling: bytes) -> bytes:
    """What is on the disk when of the pages not synced those whose bit is set in `kept` were written."""
    left = bytearray(data)
    for index, start in enumerate(range(synced - synced % PAGE_BYTES, len(data), PAGE_BYTES)):
        first, end = max(start, synced), min(start + PAGE_BYTES, len(data))
        if not kept >> index & 1:
            left[first:end] = filling[first:end]
    return bytes(left)


OLD = journal_bytes(some_records(400, "old"), "fedcba9876543210", commit=110)
FILLINGS = {"zeros": bytes(len(OLD)), "an older journal": OLD}


@pytest.mark.parametrize("filling", FILLINGS.values(), ids=FILLINGS)
@pytest.mark.parametrize("before", [0, 7, 23, 64])
async def test_any_pages_of_the_last_commit_may_be_lost(before: int, filling: bytes) -> None:
    """Whichever of its pages a power failure took, wherever the file ends: what was promised is there; it goes on."""
    data, synced, records = await unsynced_commit(before)
    pages = len(range(synced - synced % PAGE_BYTES, len(data), PAGE_BYTES))
    assert pages >= 5
    for kept in range(2**pages):
        end = len(data) if kept % 3 == 0 else synced + (kept * 977) % (len(data) - synced)
        disk = disk_with(without_pages(data, synced, kept, filling)[:end])
        found = await reopened(disk, EXTRA)
        assert found == records[: len(found)]
        assert len(found) >= before
        assert await reopened(disk) == [*found, EXTRA]


async def test_sectors_of_the_last_commit_may_be_lost() -> None:
    """Nor does it matter that the disk writes in smaller pieces, or how many are lost."""
    data, synced, records = await unsynced_commit(9)
    rng = random.Random(8)
    for _ in range(300):
        left = bytearray(data)
        for start in range(synced, len(data), 512):
            if rng.random() < rng.choice([0.1, 0.5]):
                left[start : start + 512] = bytes(len(left[start : start + 512]))
        found, _ = scan(bytes(left))
        assert found == records[: len(found)]
        assert len(found) >= 9


async def test_what_a_crash_took_is_cut_off_and_the_crash_after_that_too() -> None:
    """Commits of many pages, torn again and again: what was promised stays, and nothing is refused."""
    disk, rng, promised = MemoryDisk(), random.Random(9), list[Record]()
    for number in range(25):
        journal = await Journal.open(disk)
        kept = scan(disk.content(JOURNAL))[0]
        assert kept[: len(promised)] == promised
        await journal.append(*some_records(rng.randint(1, 60), f"a{number}"))
        promised = scan(disk.crash().content(JOURNAL))[0]
        crashed: list[MemoryDisk] = []
        disk.on_operation = lambda operation, path, disk=disk, crashed=crashed: (  # type: ignore[misc]
            crashed.append(disk.crash(rng, "subset")) if operation == "sync" else None
        )
        await journal.append(*some_records(rng.randint(1, 200), f"b{number}"))
        disk = crashed[0]


async def test_lines_tell_their_commit() -> None:
    """The number in a line is how many records there were when its commit began, after a restart too."""
    disk = MemoryDisk()
    for _ in range(2):
        journal = await Journal.open(disk)
        for count in (2, 1, 3):
            await journal.append(*RECORDS[:count])
        await journal.aclose()
    numbers = [int(line.split()[1]) for line in disk.content(JOURNAL).splitlines()[1:]]
    assert numbers == [0, 0, 2, 3, 3, 3, 6, 6, 8, 9, 9, 9]


# A journal of format 1.


async def test_an_old_journal_is_gone_on_with_as_it_is() -> None:
    """A journal of format 1 is read and appended to in its own format, which the version that wrote it reads too."""
    disk = disk_with(journal_bytes(RECORDS, version=1) + b"torn")
    assert await reopened(disk, EXTRA, *RECORDS[:2]) == RECORDS
    assert disk.content(JOURNAL) == journal_bytes([*RECORDS, EXTRA, *RECORDS[:2]], version=1)
    assert disk.content(JOURNAL).splitlines()[1][8:15] == b' {"t":"'


async def test_an_old_journal_becomes_a_new_one_when_it_is_compacted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compacting writes the present format, with the same meaning, and what is appended then tells its commit."""
    monkeypatch.setattr(repair, "WORTH_RECORDS", 20)
    disk = disk_with(journal_bytes(RECORDS + RECORDS[:2] * 200, version=1))
    before = [*(await replay(disk)).history.all()]
    await reopened(disk, EXTRA)
    await reopened(disk, *RECORDS[:2])
    found = await replay(disk)
    assert found.header is not None
    assert (found.header.version, found.good_bytes) == (2, found.size)
    assert [*found.history.all()][:-1] == before
    count = found.history.records
    numbers = [int(line.split()[1]) for line in disk.content(JOURNAL).splitlines()[1:]]
    assert numbers == [*range(count - 2), count - 2, count - 2]


async def test_a_crash_while_an_old_journal_is_compacted_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """At every point the whole old journal stands, or the whole new one."""
    monkeypatch.setattr(repair, "WORTH_RECORDS", 20)
    disk = disk_with(journal_bytes(RECORDS + RECORDS[:2] * 200, version=1))
    before = [*(await replay(disk)).history.all()]
    versions = set()
    for found in await crashes_while_opening(disk):
        told = await replay(found)
        assert [*told.history.all()] == before
        versions.add(told.header.version if told.header else None)
    assert versions == {1, 2}


@pytest.mark.parametrize("sector", range(HEADER_BYTES, len(DATA) - 1800, 512))
def test_a_hole_in_an_old_journal_is_refused(sector: int) -> None:
    """Its lines do not tell their commit: any hole with valid records after it is damage."""
    data = journal_bytes(RECORDS, version=1, commit=len(RECORDS))
    found = verdict(data[:sector] + bytes(512) + data[sector + 512 :])
    assert found == data[:sector].count(b"\n")


@pytest.mark.parametrize("version", [1, 2])
def test_lines_of_the_other_format_are_not_read(version: int) -> None:
    """What does not look as the header says does not count."""
    header = Encoder(version=version).header("0123456789abcdef")
    body, seed = LINES[1][LINES[1].index(b"{") : -1], int(header[:8], 16)
    own, other = (b" ", b" 0 ") if version == 1 else (b" 0 ", b" ")
    assert scan(header + with_checksum(body, seed, own))[0] == RECORDS[:1]
    assert scan(header + with_checksum(body, seed, other))[0] == []


# Damage.


@pytest.mark.parametrize("sector", range(HEADER_BYTES, len(DATA) - 1400, 512))
async def test_a_zeroed_sector_is_refused(sector: int) -> None:
    """A hole with valid records after it is damage: the first bad record is named, the file left alone."""
    data = DATA[:sector] + bytes(512) + DATA[sector + 512 :]
    disk = disk_with(data)
    with pytest.raises(JournalError, match="valid ones follow") as caught:
        await Journal.open(disk)
    assert caught.value.record == whole_lines(sector) + 1
    assert disk.crash().content(JOURNAL) == data
    assert disk.paths() == [JOURNAL]


def flipped(position: int, bit: int) -> bytes:
    """`DATA` with one bit the other way round."""
    return DATA[:position] + bytes([DATA[position] ^ 1 << bit]) + DATA[position + 1 :]


def verdict(data: bytes) -> list[Record] | int | None:
    """The records that are read, or the number of the record that is refused."""
    try:
        return scan(data)[0]
    except JournalError as error:
        return error.record


@pytest.mark.slow
def test_a_flipped_bit_is_never_believed() -> None:
    """Wherever a bit flips, that record is refused by its number; the very last one is torn."""
    chosen = random.Random(6)
    last = len(DATA) - len(LINES[-1])
    for position in range(HEADER_BYTES, len(DATA)):
        expected = whole_lines(position) + 1 if position < last else RECORDS[:-1]
        for bit in range(8) if LONG else [chosen.randrange(8)]:
            assert verdict(flipped(position, bit)) == expected


COMMIT = 9
LAST_COMMIT = 54
"""The record, counted from 0, with which the last commit of `GROUPED` began."""
GROUPED = journal_bytes(RECORDS[: LAST_COMMIT + 6], commit=COMMIT)


def test_a_flipped_bit_before_the_last_commit_is_refused() -> None:
    """What was durable when a later commit began is damage, whichever bit it is; in the last commit it may be torn."""
    lines = GROUPED.splitlines(keepends=True)
    for number in range(LAST_COMMIT - COMMIT, len(lines) - 1):
        start, length = len(b"".join(lines[: number + 1])), len(lines[number + 1])
        for position in [*range(start, start + 13), *range(start + 13, start + length, 1 if LONG else 5)]:
            for bit in range(8 if LONG or position < start + 13 else 1):
                data = GROUPED[:position] + bytes([GROUPED[position] ^ 1 << bit]) + GROUPED[position + 1 :]
                assert verdict(data) == (number + 1 if number < LAST_COMMIT else RECORDS[:number])


@pytest.mark.parametrize("lost", range(1, 5))
def test_a_hole_that_reaches_into_the_last_commit_is_refused(lost: int) -> None:
    """The end of the last commit but one lost with the beginning of the last: that was no crash, as two lines show."""
    lines = GROUPED.splitlines(keepends=True)
    start = len(b"".join(lines[: LAST_COMMIT + 1])) - 10
    end = len(b"".join(lines[: LAST_COMMIT + 1 + lost])) - 20
    assert verdict(GROUPED[:start] + bytes(end - start) + GROUPED[end:]) == LAST_COMMIT


@pytest.mark.parametrize("position", range(0, HEADER_BYTES, 3))
async def test_a_damaged_header_is_refused(position: int) -> None:
    """A journal that may have held records is never begun anew."""
    disk = disk_with(flipped(position, 0))
    with pytest.raises(JournalError) as caught:
        await Journal.open(disk)
    assert caught.value.record == 0
    assert disk.content(JOURNAL) == flipped(position, 0)


EDITS = {
    "removed": lambda lines: lines[:3] + lines[4:],
    "repeated": lambda lines: lines[:3] + lines[2:],
    "swapped": lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
    "inserted": lambda lines: [*lines[:3], b"note\n", *lines[3:]],
    "inserted before the last": lambda lines: [*lines[:-1], b"a\n", b"note\n", lines[-1]],
    "foreign": lambda lines: [*lines[:3], journal_bytes(RECORDS, "f" * 16).splitlines(keepends=True)[3], *lines[4:]],
    "joined": lambda lines: [*lines[:-2], lines[-2][:-1], b" ", lines[-1]],
    "byte order mark": lambda lines: [b"\xef\xbb\xbf", *lines],
    "CRLF": lambda lines: [line.replace(b"\n", b"\r\n") for line in lines],
    "no header": lambda lines: lines[1:],
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
async def test_an_edited_journal_is_refused(edit: Callable[[list[bytes]], list[bytes]]) -> None:
    """Lines removed, repeated, moved, added or converted: refused, and left as they are."""
    data = b"".join(edit(LINES))
    disk = disk_with(data)
    with pytest.raises(JournalError) as caught:
        await Journal.open(disk)
    assert caught.value.record is not None
    assert caught.value.hint
    assert disk.content(JOURNAL) == data


def with_checksum(body: bytes, start: int = 0, mark: bytes = b" ") -> bytes:
    """A line whose checksum is right."""
    return b"%08x%b%b\n" % (crc32(body, start), mark, body)


async def test_a_newer_format_is_refused_by_name() -> None:
    """A journal of a later version is not read half."""
    header = with_checksum(b'{"format":"sumeasync journal","version":3,"run":"0"}')
    with pytest.raises(JournalError, match="has format 3; this version reads up to 2"):
        await Journal.open(disk_with(header))


async def test_another_kind_of_file_is_refused() -> None:
    """A checksummed file of something else is no journal."""
    with pytest.raises(JournalError, match="no journal of sumeasync"):
        await Journal.open(disk_with(with_checksum(b'{"format":"other","version":1,"run":"0"}')))


async def test_a_whole_record_of_no_known_kind_is_refused() -> None:
    """A record that a later version added is not passed over."""
    header = Encoder().header("0")
    line = with_checksum(b'{"t":"later"}', int(header[:8], 16), b" 0 ")
    with pytest.raises(JournalError, match="record 1 of the journal is whole but of no known kind") as caught:
        await Journal.open(disk_with(header + line))
    assert caught.value.record == 1


# Appending.


async def test_appends_become_durable_in_order() -> None:
    """At every operation of the disk, what a power failure would leave is a prefix, with all that was promised."""
    disk, promised, rng = MemoryDisk(), [], random.Random(2)
    journal = await Journal.open(disk)

    def look(operation: str, path: str) -> None:
        found, _ = scan(disk.crash(rng).content(JOURNAL))
        assert found == RECORDS[: len(found)]
        assert len(found) >= len(promised)

    disk.on_operation = look
    for record in RECORDS:
        journal.append(record).add_done_callback(lambda done: promised.append(done.result()))
        if rng.random() < 0.5:
            await asyncio.sleep(0)
    await journal.aclose()
    assert len(promised) == len(RECORDS)


async def test_appends_of_one_turn_share_one_sync() -> None:
    """A hundred appends cost one commit, and those made meanwhile the next."""
    disk = MemoryDisk()
    journal = await Journal.open(disk)
    synced: list[str] = []
    disk.on_operation = lambda operation, path: synced.append(operation)
    first = [journal.append(record) for record in RECORDS[:30]]
    await asyncio.sleep(0)
    second = [journal.append(record) for record in RECORDS[30:]]
    await asyncio.gather(*first, *second)
    assert synced == ["write", "sync"] * 2
    await journal.aclose()


async def test_nothing_is_promised_before_the_sync() -> None:
    """While a commit is under way no future of it is resolved."""
    disk = MemoryDisk()
    journal = await Journal.open(disk)
    states: list[bool] = []
    disk.on_operation = lambda operation, path: states.append(done.done())
    done = journal.append(EXTRA)
    await done
    assert states == [False, False]
    await journal.aclose()


async def test_an_append_without_records_waits_for_the_others() -> None:
    """It is the way to say: all that was appended so far."""
    disk = MemoryDisk()
    journal = await Journal.open(disk)
    journal.append(EXTRA)
    await journal.append()
    assert scan(disk.crash().content(JOURNAL))[0] == [EXTRA]
    await journal.aclose()


async def test_a_cancelled_appender_harms_nobody() -> None:
    """Cancelled before or during the commit, its records are written and the others are told."""
    disk = MemoryDisk()
    journal = await Journal.open(disk)

    async def append(record: Record) -> None:
        await journal.append(record)

    tasks = [asyncio.ensure_future(append(record)) for record in RECORDS[:9]]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    tasks[4].cancel()
    await asyncio.wait(tasks)
    assert [task.cancelled() for task in tasks] == [number in (0, 4) for number in range(9)]
    assert scan(disk.crash().content(JOURNAL))[0] == RECORDS[:9]
    await journal.aclose()


async def test_a_cancelled_close_still_closes() -> None:
    """What was appended still becomes durable, and the journal takes nothing more."""
    disk = MemoryDisk()
    journal = await Journal.open(disk)
    journal.append(EXTRA)
    closing = asyncio.ensure_future(journal.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    assert closing.cancelled()
    assert scan(disk.crash().content(JOURNAL))[0] == [EXTRA]
    with pytest.raises(JournalError, match="closed"):
        journal.append(EXTRA)


@pytest.mark.parametrize("operation", ["write", "sync"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
async def test_the_first_failure_is_the_last(operation: str, code: int) -> None:
    """All who wait and all who come later get the error; nothing is tried again, nothing falsely promised."""
    disk = MemoryDisk()
    journal = await Journal.open(disk)
    disk.fail(operation, code)  # type: ignore[arg-type]  # the parameters are words of the type
    under_way = journal.append(RECORDS[0])
    await asyncio.sleep(0)
    gathered = journal.append(RECORDS[1])
    for waiting in (under_way, gathered):
        with pytest.raises(StorageError) as caught:
            await waiting
        assert caught.value.errno == code
    with pytest.raises(StorageError, match=errno.errorcode[code]):
        journal.append(RECORDS[2])
    with pytest.raises(StorageError, match=errno.errorcode[code]):
        await journal.aclose()
    assert scan(disk.crash().content(JOURNAL))[0] == []


async def test_a_failure_passes_over_who_was_cancelled() -> None:
    """A cancelled waiter does not keep the failure from the others."""
    disk = MemoryDisk()
    journal = await Journal.open(disk)
    disk.fail("sync", errno.EIO)
    waiting = [journal.append(record) for record in RECORDS[:3]]
    waiting[0].cancel()
    for other in waiting[1:]:
        with pytest.raises(StorageError, match="EIO"):
            await other
    with pytest.raises(StorageError):
        await journal.aclose()


async def test_a_failure_nobody_waited_for_is_told_at_the_end() -> None:
    """A journal whose last commit failed does not close in silence."""
    disk = MemoryDisk(capacity=HEADER_BYTES + 10)
    journal = await Journal.open(disk)
    journal.append(EXTRA)
    with pytest.raises(StorageError, match="ENOSPC"):
        await journal.aclose()
    await journal.aclose()
    disk.capacity = None
    assert await reopened(disk) == []


@pytest.mark.parametrize("record", [Created("k", ("\ud800",), 1.0), Created("k", ("x" * LINE_LIMIT,), 1.0)])
async def test_a_record_that_cannot_be_written_is_refused_alone(record: Record) -> None:
    """It is the caller's error: none of the call's records is written, and the journal goes on."""
    disk = MemoryDisk()
    journal = await Journal.open(disk)
    with pytest.raises(JournalError, match="record of 'k'"):
        journal.append(EXTRA, record)
    for _ in range(2):
        await journal.append(EXTRA)
    await journal.aclose()
    assert [line.split()[1] for line in disk.content(JOURNAL).splitlines()[1:]] == [b"0", b"1"]
    assert await reopened(disk) == [EXTRA, EXTRA]


async def test_a_closed_journal_takes_nothing() -> None:
    """Closing twice is harmless; appending afterwards is an error; its state can be seen."""
    journal = await Journal.open(MemoryDisk())
    assert repr(journal) == "<Journal open, 0 records waiting>"
    await journal.aclose()
    await journal.aclose()
    assert repr(journal) == "<Journal closed, 0 records waiting>"
    with pytest.raises(JournalError, match="closed"):
        journal.append(EXTRA)


# Crashes around opening.


async def test_what_a_killed_process_left_unsynced_is_made_durable() -> None:
    """A record that is replayed is believed, so it must not be lost to a power failure after that."""
    disk = disk_with(LINES[0])
    file = await disk.append(JOURNAL)
    await file.write(LINES[1])
    await Journal.open(disk)
    assert disk.crash().content(JOURNAL) == LINES[0] + LINES[1]


@pytest.mark.parametrize("operation", ["write", "sync", "sync folder", "rename", "truncate", "open"])
async def test_a_refused_mend_can_be_done_again(operation: str) -> None:
    """Whatever the disk refuses while a torn end is cut off: an error, and the next opening mends it."""
    disk = disk_with(DATA + b"torn")
    disk.fail(operation, errno.EIO)  # type: ignore[arg-type]  # the parameters are words of the type
    with pytest.raises(StorageError):
        await Journal.open(disk)
    assert await reopened(disk, EXTRA) == RECORDS
    assert await reopened(disk) == [*RECORDS, EXTRA]


async def test_a_journal_that_cannot_be_made_durable_is_not_believed() -> None:
    """When the sync on opening fails the journal does not open, and its file is closed."""
    disk = disk_with(DATA)
    disk.fail("sync", errno.EIO)
    seen: list[str] = []
    disk.on_operation = lambda operation, path: seen.append(operation)
    with pytest.raises(StorageError, match="EIO"):
        await Journal.open(disk)
    assert seen[-2:] == ["sync", "close"]


async def crashes_while_opening(disk: MemoryDisk) -> list[MemoryDisk]:
    """Open the journal; return the disks that a power failure before each of its operations would leave."""
    found: list[MemoryDisk] = []
    rng = random.Random(4)
    disk.on_operation = lambda operation, path: found.extend([disk.crash(), disk.crash(rng), disk.crash(rng)])
    await (await Journal.open(disk, rng=rng)).aclose()
    disk.on_operation = None
    return [*found, disk.crash()]


@pytest.mark.parametrize("data", [None, b"", LINES[0][:20], bytes(HEADER_BYTES)])
async def test_a_crash_at_creation_leaves_a_fresh_journal(data: bytes | None) -> None:
    """A journal without its header and without room for records is begun anew, at any point of that too."""
    disk = MemoryDisk() if data is None else disk_with(data)
    for found in await crashes_while_opening(disk):
        assert await reopened(found, EXTRA) == []
        assert await reopened(found) == [EXTRA]


async def test_a_crash_while_mending_loses_nothing() -> None:
    """A power failure at any point of cutting off a torn end leaves it to be mended again."""
    for found in await crashes_while_opening(disk_with(DATA + b"torn")):
        assert await reopened(found, EXTRA) == RECORDS
        assert await reopened(found) == [*RECORDS, EXTRA]


# Compaction.


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small journals be worth compacting."""
    monkeypatch.setattr(repair, "WORTH_RECORDS", 20)


REPEATED = [record for _ in range(30) for record in (RECORDS[0], RECORDS[1])]


@pytest.mark.usefixtures("small")
async def test_a_journal_of_void_records_is_compacted() -> None:
    """When most records were made void the journal shrinks to what still counts, and means the same."""
    disk = disk_with(journal_bytes(REPEATED))
    before = (await replay(disk)).history
    await reopened(disk, EXTRA)
    found = await replay(disk)
    assert found.history.records == 3
    assert found.history.spec("spec-0") == before.spec("spec-0")
    assert disk.paths() == [JOURNAL]


@pytest.mark.usefixtures("small")
async def test_a_journal_that_still_counts_is_left_alone() -> None:
    """No rewriting for little gain."""
    disk = disk_with(journal_bytes(REPEATED[:20]))
    await reopened(disk)
    assert disk.content(JOURNAL) == journal_bytes(REPEATED[:20])
    disk = disk_with(DATA)
    await reopened(disk)
    assert disk.content(JOURNAL) == DATA


@pytest.mark.usefixtures("small")
async def test_damage_in_a_compacted_journal_is_refused() -> None:
    """It was whole when it got its name, so a broken line in it was not left by a crash."""
    disk = disk_with(journal_bytes(REPEATED))
    await reopened(disk, EXTRA, EXTRA)
    header, *lines = disk.content(JOURNAL).splitlines(keepends=True)
    assert len(lines) == 4
    for number in range(2):
        lines[number] = lines[number].replace(b"spec-0", b"spec-9")
        assert verdict(b"".join([header, *lines])) == number + 1
        lines[number] = lines[number].replace(b"spec-9", b"spec-0")


@pytest.mark.usefixtures("small")
async def test_a_crash_while_compacting_loses_nothing() -> None:
    """At every point the old journal or the whole new one stands."""
    disk = disk_with(journal_bytes(REPEATED))
    expected = (await replay(disk)).history.spec("spec-0")
    for found in await crashes_while_opening(disk):
        await reopened(found, EXTRA)
        assert (await replay(found)).history.spec("spec-0") == expected
        assert f"{JOURNAL}.new" not in found.paths()


@pytest.mark.usefixtures("small")
async def test_a_large_snapshot_is_written_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compacting needs no memory of the journal's size."""
    monkeypatch.setattr(repair, "CHUNK_BYTES", 100)
    disk = disk_with(journal_bytes(REPEATED))
    written: list[str] = []
    disk.on_operation = lambda operation, path: written.append(operation) if path.endswith(".new") else None
    await reopened(disk)
    assert written.count("write") >= 2
    assert written.count("sync") == 1


# Anything at all.


@given(st.binary(max_size=300), st.integers(0, len(DATA)), st.integers(0, len(DATA)))
def test_any_damage_reads_as_a_prefix_or_is_refused(noise: bytes, start: int, stop: int) -> None:
    """Whatever stands in the file, no record is read that was not written in that place."""
    try:
        found, _ = scan(DATA[:start] + noise + DATA[stop:])
    except JournalError:
        return
    assert found == RECORDS[: len(found)]


# On a real disk, and without one.


async def test_on_a_real_disk(tmp_path: Path) -> None:
    """The same file serves a pager and the next run."""
    for expected in (0, 1):
        journal = await Journal.open(LocalDisk(tmp_path))
        assert journal.history.records == expected
        await asyncio.gather(journal.append(EXTRA))
        await journal.aclose()
    assert len((tmp_path / JOURNAL).read_bytes().splitlines()) == 3


async def test_the_journal_of_a_run_without_a_directory() -> None:
    """It resolves at once, remembers nothing, and closes like the other."""
    journal = MemoryJournal()
    assert journal.append(EXTRA).done()
    assert len(journal.history) == 0
    await journal.aclose()
    with pytest.raises(JournalError, match="closed"):
        journal.append(EXTRA)
