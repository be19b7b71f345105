"""``results.jsonl``: one line an outcome, each exactly once, in the order of completion.

A crash may take any part of the last write, its middle too, as pages reach a disk in any order. What it left is cut off
on opening, from the first line that is broken, and kept beside the file; the outcomes it held are written again. That
is right as long as nothing stands there that was durable. The journal knows: a `Delivered` record is written after its
line is durable. So when the lines before the break hold every outcome that is recorded as delivered, the rest was cut
short; when one is missing, something is damaged that was durable, and the file is left as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import Any, Literal, TypeVar

import msgspec

from sumeasync.errors import StorageError
from sumeasync.io.disk import Disk, File
from sumeasync.io.repair import cut_off
from sumeasync.models import JSON, Outcome, OutcomeStatus

__all__ = ["RESULTS", "Extent", "Head", "Sink", "check_cut", "read_lines"]

RESULTS = "results.jsonl"
T = TypeVar("T")
BREAKS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class Head(msgspec.Struct, frozen=True):
    """What must be known of a line already written."""

    key: str
    status: OutcomeStatus
    job_id: str | None = None
    error: JSON = None
    type: str = ""
    server_type: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the line tells of full success."""
        return self.status == "completed" and self.error is None


class Extent(msgspec.Struct, frozen=True):
    """How far a file of results is whole: so many `lines`, of `size` bytes together, and what ends them.

    That is the end of the file, ``half`` a line at its end, or a ``broken`` line, whatever follows it.
    """

    lines: int
    size: int
    end: Literal["whole", "half", "broken"]


class Sink:
    """Open for appending. After a failed write it is dead: every later write raises StorageError.

    `broken` is the file that keeps what was cut off on opening, None when nothing was.
    """

    def __init__(self, file: File, broken: str | None) -> None:
        self.broken = broken
        self._file = file

    @classmethod
    async def open(
        cls,
        disk: Disk,
        seen: Callable[[Head], object],
        delivered: Callable[[], Iterable[tuple[str, str | None]]] | None,
        path: str = RESULTS,
    ) -> Sink:
        """Open `path`, mend its end, tell `seen` of each line it holds, and make them durable.

        `delivered` lists what is recorded as delivered, by key and job id. It is None where the journal knows of
        nothing: then nothing is mended, for the file is somebody else's.

        Raises StorageError when lines are damaged that were durable, or the disk refuses.
        """
        extent, broken = await read_lines(disk, path, Head, seen), None
        if extent.end != "whole":
            await check_cut(disk, path, extent, delivered)
            broken = await cut_off(disk, path, extent.size)
        file = await disk.append(path)
        try:
            await file.commit(b"")  # a killed process may have left lines that are only written: they are believed now
        except BaseException:
            await file.close()
            raise
        return cls(file, broken)

    async def write(self, outcomes: Iterable[Outcome]) -> None:
        """Append a line each, durably, in one write. Raises StorageError."""
        await self._file.commit(b"".join(map(line, outcomes)))

    async def close(self) -> None:
        """Close the file."""
        await self._file.close()


async def read_lines(disk: Disk, path: str, kind: type[T], seen: Callable[[T], object]) -> Extent:
    """Tell `seen` of each line as a `kind`, as far as they are whole. Raises StorageError when the disk refuses."""
    decoder = msgspec.json.Decoder(kind)
    rest, lines, size = b"", 0, 0
    if await disk.size(path) is None:
        return Extent(0, 0, "whole")
    async with aclosing(disk.read(path)) as chunks:
        async for chunk in chunks:
            *ended, rest = (rest + chunk).split(b"\n")
            for line in ended:
                try:
                    found = decoder.decode(line.decode())  # a text that is skipped is not checked otherwise
                except (msgspec.DecodeError, UnicodeDecodeError):
                    return Extent(lines, size, "broken")
                seen(found)
                lines += 1
                size += len(line) + 1
    return Extent(lines, size, "half" if rest else "whole")


async def check_cut(
    disk: Disk, path: str, extent: Extent, delivered: Callable[[], Iterable[tuple[str, str | None]]] | None
) -> None:
    """Raise StorageError unless what follows the whole lines was never durable; see `Sink.open`."""
    where = f"line {extent.lines + 1} of {path}"
    if delivered is None:
        hint = "move the file away, or choose another --out"
        raise StorageError(f"{where} is not a result, and the journal knows of none", hint=hint)
    told: set[tuple[str, str | None]] = set()
    await read_lines(disk, path, Head, lambda head: told.add((head.key, head.job_id)))
    if missing := sum(name not in told for name in delivered()):
        raise StorageError(
            f"{where} is damaged, and results are missing that were written before: {missing}",
            hint="restore the file from a copy, or move it away (what it held is not written again);"
            " then run the same command again",
        )


def line(outcome: Outcome) -> bytes:
    """One outcome as one line of JSON, newline included, without any other character that ends a line."""
    fields: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(outcome, result=None))
    fields["result"] = outcome.result
    if outcome.server_type is None:
        del fields["server_type"]
    text = json.dumps(fields, ensure_ascii=False).translate(BREAKS)
    return text.encode(errors="replace") + b"\n"  # half of a surrogate pair is no text: it could not be read again
