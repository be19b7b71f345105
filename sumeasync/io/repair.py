"""Bringing a file into the state in which it can be appended to; a crash at any point leaves it to be done again."""

from __future__ import annotations

from contextlib import aclosing
from random import Random

from sumeasync.core.history import History
from sumeasync.errors import JournalError
from sumeasync.io.disk import CHUNK_BYTES, Disk, File
from sumeasync.io.framing import HEADER_BYTES, Encoder
from sumeasync.io.replay import Replay

__all__ = ["compact", "cut_off", "pays", "start"]

WORTH_RECORDS = 10_000
WORTH_RATIO = 4


async def start(disk: Disk, path: str, size: int, rng: Random) -> Encoder:
    """Begin a journal where none is, or where one lost its header before anything was recorded.

    Raises:
        JournalError: what stands there is longer than a header, so that it may have held records.
    """
    if size > HEADER_BYTES:
        raise JournalError(
            "the first line of the journal is damaged",
            record=0,
            hint="it was changed by something else, an editor say: restore it from a copy, or choose another --out",
        )
    if size:
        await cut_off(disk, path, 0)
    encoder = Encoder()
    file = await disk.append(path)
    try:
        await file.commit(encoder.header(run_id(rng)))
    finally:
        await file.close()
    return encoder


async def cut_off(disk: Disk, path: str, good_bytes: int) -> str:
    """Cut what follows the valid prefix, after keeping a copy of it as ``<path>.broken-<n>``; returns that name."""
    names = set(await disk.names())
    number = next(n for n in range(1, len(names) + 2) if f"{path}.broken-{n}" not in names)
    copy = f"{path}.broken-{number}"
    await disk.remove(f"{copy}.part")
    file = await disk.create(f"{copy}.part")
    try:
        async with aclosing(disk.read(path, offset=good_bytes)) as chunks:
            async for chunk in chunks:
                await file.write(chunk)
        await file.commit(b"")
    finally:
        await file.close()
    await disk.rename(f"{copy}.part", copy)
    await disk.truncate(path, good_bytes)
    return copy


def pays(found: Replay) -> bool:
    """Whether most of the journal says what later records made void."""
    records = found.history.records
    return records > WORTH_RECORDS and records > WORTH_RATIO * sum(1 for _ in found.history.snapshot_records())


async def compact(disk: Disk, path: str, history: History, rng: Random) -> Encoder:
    """Replace the journal by the shortest one with the same meaning: written beside it, synced, renamed over it."""
    encoder = Encoder()
    file = await disk.create(f"{path}.new")
    try:
        await write_snapshot(file, encoder, history, run_id(rng))
    finally:
        await file.close()
    await disk.rename(f"{path}.new", path, replace=True)
    return encoder


async def write_snapshot(file: File, encoder: Encoder, history: History, run: str) -> None:
    """Write a whole journal, durably, a chunk at a time.

    It gets its name once it is whole, so no crash cuts it short: each line counts as a commit of its own.
    """
    lines = bytearray(encoder.header(run))
    for record in history.snapshot_records():
        lines += encoder.line(record)
        encoder.begin()
        if len(lines) >= CHUNK_BYTES:
            await file.write(bytes(lines))
            lines.clear()
    await file.commit(bytes(lines))


def run_id(rng: Random) -> str:
    """What makes a journal unlike any other: 16 hex digits."""
    return f"{rng.getrandbits(64):016x}"
