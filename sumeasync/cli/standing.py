"""What an output directory says of its run, read beside whoever may be writing it."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sumeasync.core.history import History, SpecFacts
from sumeasync.core.report import Unresolved
from sumeasync.errors import UsageError
from sumeasync.io.local import LocalDisk
from sumeasync.io.lock import LOCK, Holder
from sumeasync.io.replay import JOURNAL, replay
from sumeasync.io.sink import RESULTS, check_cut, read_lines

__all__ = ["Standing", "read_standing"]


class Standing(msgspec.Struct, frozen=True):
    """Where a run stands. `holder` is set while the process that holds the directory seems to be alive.

    `specs` counts specs by phase, `outcomes` the lines of the results by status. `unfinished` are jobs that still owe
    an outcome, `unknown` creates without an answer, `refused` creates that certainly were not paid and are sent again.
    """

    specs: Mapping[str, int]
    outcomes: Mapping[str, int]
    media_files: int
    media_bytes: int
    unfinished: tuple[Unresolved, ...] = ()
    unknown: tuple[Unresolved, ...] = ()
    refused: tuple[Unresolved, ...] = ()
    holder: Holder | None = None


class _File(msgspec.Struct):
    bytes: int = 0


class _Result(msgspec.Struct):
    status: str
    files: tuple[_File, ...] = ()


async def read_standing(out: Path) -> Standing:
    """Read journal and results.

    Raises UsageError when there is no run, JournalError, or StorageError when the directory cannot be read.
    """
    disk = LocalDisk(out)
    if await disk.size(JOURNAL) is None:
        raise UsageError(f"there is no run in {str(out)!r}: name the directory that was its --out")
    found = await replay(disk)
    unfinished: list[Unresolved] = []
    unknown: list[Unresolved] = []
    refused: list[Unresolved] = []
    places = {"created": unfinished, "rejected": refused}
    for spec in found.history.unfinished():
        places.get(spec.phase, unknown).extend(_open(spec))
    outcomes, files, size = await _read_results(disk, found.history)
    return Standing(
        specs=found.history.counts().specs,
        outcomes=outcomes,
        media_files=files,
        media_bytes=size,
        unfinished=tuple(unfinished),
        unknown=tuple(unknown),
        refused=tuple(refused),
        holder=_holder(out / LOCK),
    )


def _open(spec: SpecFacts) -> list[Unresolved]:
    jobs = [
        Unresolved(spec.key, job.ended.status if job.ended else "running", job.id)
        for job in spec.jobs
        if job.delivered is None
    ]
    return jobs or [Unresolved(spec.key, spec.phase, error=spec.error)]


async def _read_results(disk: LocalDisk, history: History) -> tuple[dict[str, int], int, int]:
    """Outcomes by status, files and bytes. What is still being written, or was cut short by a crash, does not count."""
    outcomes: Counter[str] = Counter()
    files = size = 0

    def seen(result: _Result) -> None:
        nonlocal files, size
        outcomes[result.status] += 1
        files += len(result.files)
        size += sum(file.bytes for file in result.files)

    extent = await read_lines(disk, RESULTS, _Result, seen)
    if extent.end == "broken":
        await check_cut(disk, RESULTS, extent, history.delivered)
    return dict(outcomes), files, size


def _holder(path: Path) -> Holder | None:
    """Who holds the lock, if that process is on this machine and alive; trying the lock itself might refuse a run."""
    try:
        holder = msgspec.json.decode(path.read_bytes(), type=Holder)
        if holder.host != socket.gethostname():
            return None
        os.kill(holder.pid, 0)
    except PermissionError:
        return holder
    except (OSError, ValueError, msgspec.DecodeError):
        return None
    return holder
