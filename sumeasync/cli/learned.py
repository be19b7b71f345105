"""What the output directory of an earlier run teaches a plan; read beside whoever may be writing it."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path

import msgspec

from sumeasync.core.history import History
from sumeasync.core.records import Ended, Record, Saved
from sumeasync.errors import UsageError
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
    """What a journal teaches: durations and `media` by type of job, and its bytes, for the engine to go on from.

    `durations` are counted from the creation of a job; `runs` from its start if it was seen to wait and then to start,
    and `starts` counts the jobs of which that is so.
    """

    journal: bytes = b""
    history: History = msgspec.field(default_factory=History)
    durations: dict[str, Observed] = {}
    runs: dict[str, Observed] = {}
    starts: dict[str, int] = {}
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
        self.ends: defaultdict[str, deque[Ended]] = defaultdict(lambda: deque(maxlen=NEWEST_JOBS))
        self.media: defaultdict[str, MediaSeen] = defaultdict(MediaSeen)
        self._types: dict[str, str] = {}

    def observe(self, record: Record) -> None:
        match record:
            case Ended(job_id=job_id, type=type) if type:
                self._types[job_id] = type
                if span_of(record) is not None:
                    self.ends[type].append(record)
            case Saved(job_id=job_id, files=files) if job_id in self._types:
                seen = self.media[self._types.pop(job_id)]
                seen.jobs += 1
                seen.bytes += sum(file.bytes for file in files)

    def known(self) -> dict[str, deque[Ended]]:
        """The ends of the types of which enough are known."""
        return {type: ends for type, ends in self.ends.items() if len(ends) >= LEAST_JOBS}


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


def run_of(record: Ended) -> tuple[float, float] | None:
    """As `span_of`, from the start of a job if it was seen to start."""
    span = span_of(record)
    if span is None or record.started_at is None or record.created_at is None:
        return span
    waited = max(0.0, record.started_at - record.created_at)
    return max(0.0, span[0] - waited), max(0.0, span[1] - waited)


async def learn(journal: bytes) -> Learned:
    """What the bytes of a journal teach. Raises JournalError."""
    disk, lessons = MemoryDisk(), _Lessons()
    disk.put(JOURNAL, journal)
    found = await replay(disk, observe=lessons.observe)
    known = lessons.known()
    return Learned(
        journal,
        found.history,
        durations=observed(known, span_of),
        runs=observed(known, run_of),
        starts={type: sum(end.started_at is not None for end in ends) for type, ends in known.items()},
        media=dict(lessons.media),
    )


def observed(
    known: Mapping[str, Iterable[Ended]], span: Callable[[Ended], tuple[float, float] | None]
) -> dict[str, Observed]:
    """The spans of all ends, by type."""
    return {type: Observed(tuple(one for end in ends if (one := span(end)))) for type, ends in known.items()}


def read_learned(out: Path | None, learn_from: str | None = None) -> Learned:
    """What the directory `out` teaches; nothing when it is absent, new or None.

    Of types that it does not know the durations of, they are those of the run in `learn_from`. Raises JournalError,
    StorageError, or UsageError when there is no run to learn from, or a file is named.
    """
    for named in (out, learn_from):
        if named is not None and Path(named).is_file():
            raise UsageError(f"{str(named)!r} is a file, not the directory of a run")
    learned = Learned() if out is None else asyncio.run(_read(out))
    if learn_from is None:
        return learned
    other = asyncio.run(_read(Path(learn_from)))
    if not other.journal:
        raise UsageError(f"there is no run to learn from in {learn_from!r}")
    return msgspec.structs.replace(
        learned,
        durations=other.durations | learned.durations,
        runs=other.runs | learned.runs,
        starts=other.starts | learned.starts,
        media=other.media | learned.media,
    )


async def _read(out: Path) -> Learned:
    disk = LocalDisk(out)
    if await disk.size(JOURNAL) is None:
        return Learned()
    async with aclosing(disk.read(JOURNAL)) as chunks:
        return await learn(b"".join([chunk async for chunk in chunks]))
