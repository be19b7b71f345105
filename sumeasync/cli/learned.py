"""What the output directory of an earlier run teaches a plan; read beside whoever may be writing it."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from contextlib import aclosing
from pathlib import Path

import msgspec

from sumeasync.core.history import History
from sumeasync.core.records import Ended, Record, Saved
from sumeasync.io.local import LocalDisk
from sumeasync.io.replay import JOURNAL, replay
from sumeasync.simulator.settings import Observed
from sumeasync.testing.disk import MemoryDisk

__all__ = ["LEAST_JOBS", "Learned", "MediaSeen", "learn", "read_learned"]

LEAST_JOBS = 8
"""Fewer jobs of a type are no base for its durations."""

NEWEST_JOBS = 1000
ENDED_BY_THEMSELVES = ("completed", "failed")


class MediaSeen(msgspec.Struct):
    """Jobs whose media were saved, and the bytes of them."""

    jobs: int = 0
    bytes: int = 0


class Learned(msgspec.Struct, frozen=True):
    """What a journal teaches: `durations` and `media` by type of job, and its bytes, for the engine to go on from."""

    journal: bytes = b""
    history: History = msgspec.field(default_factory=History)
    durations: dict[str, Observed] = {}
    media: dict[str, MediaSeen] = {}

    def disk(self) -> MemoryDisk | None:
        """A fresh copy of the directory as far as it matters; None when there is nothing to go on from."""
        if not self.journal:
            return None
        disk = MemoryDisk()
        disk.put(JOURNAL, self.journal)
        return disk


class _Lessons:
    def __init__(self) -> None:
        self.spans: defaultdict[str, deque[tuple[float, float]]] = defaultdict(lambda: deque(maxlen=NEWEST_JOBS))
        self.media: defaultdict[str, MediaSeen] = defaultdict(MediaSeen)
        self._types: dict[str, str] = {}

    def observe(self, record: Record) -> None:
        match record:
            case Ended(job_id=job_id, type=type) if type:
                self._types[job_id] = type
                if (span := span_of(record)) is not None:
                    self.spans[type].append(span)
            case Saved(job_id=job_id, files=files) if job_id in self._types:
                seen = self.media[self._types.pop(job_id)]
                seen.jobs += 1
                seen.bytes += sum(file.bytes for file in files)


def span_of(record: Ended) -> tuple[float, float] | None:
    """The ages in seconds between which a job ended; one and the same when the server told. None: not known."""
    if record.created_at is None or record.status not in ENDED_BY_THEMSELVES:
        return None
    high = record.at - record.created_at
    low = max(0.0, record.alive_at - record.created_at) if record.alive_at is not None else 0.0
    if not 0.0 <= low <= high:  # somebody set the clock
        return None
    exact = record.server_seconds
    return (low, high) if exact is None else (min(max(exact, low), high),) * 2


async def learn(journal: bytes) -> Learned:
    """What the bytes of a journal teach. Raises JournalError."""
    disk, lessons = MemoryDisk(), _Lessons()
    disk.put(JOURNAL, journal)
    found = await replay(disk, observe=lessons.observe)
    durations = {type: Observed(tuple(spans)) for type, spans in lessons.spans.items() if len(spans) >= LEAST_JOBS}
    return Learned(journal, found.history, durations, dict(lessons.media))


def read_learned(out: Path | None) -> Learned:
    """What the directory `out` teaches; nothing when it is absent, new or None. Raises JournalError, StorageError."""
    return Learned() if out is None else asyncio.run(_read(out))


async def _read(out: Path) -> Learned:
    disk = LocalDisk(out)
    if await disk.size(JOURNAL) is None:
        return Learned()
    async with aclosing(disk.read(JOURNAL)) as chunks:
        return await learn(b"".join([chunk async for chunk in chunks]))
