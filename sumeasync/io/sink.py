"""``results.jsonl``: one line an outcome, each exactly once, in the order of completion.

A line counts when it ends in a newline. Half a line at the end is what a crash left: it is cut off on opening, and its
outcome, which no record calls delivered, is written again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from sumeasync.errors import StorageError
from sumeasync.io.disk import Disk, File
from sumeasync.models import JSON, Outcome, OutcomeStatus

__all__ = ["RESULTS", "Head", "Sink"]

RESULTS = "results.jsonl"
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


class Sink:
    """Open for appending. After a failed write it is dead: every later write raises StorageError."""

    def __init__(self, file: File) -> None:
        self._file = file

    @classmethod
    async def open(cls, disk: Disk, seen: Callable[[Head], object], path: str = RESULTS) -> Sink:
        """Open `path`, mend its end, tell `seen` of each line it holds, and make them durable.

        Raises StorageError when a line is not one of ours, or the disk refuses.
        """
        decoder = msgspec.json.Decoder(Head)
        rest, number, whole = b"", 0, 0
        if await disk.size(path) is not None:
            async for chunk in disk.read(path):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    number += 1
                    whole += len(line) + 1
                    try:
                        head = decoder.decode(line)
                    except (msgspec.DecodeError, UnicodeDecodeError):
                        text = f"{path} line {number} is not a result; mend or move the file, then run again"
                        raise StorageError(text) from None
                    seen(head)
            if rest:
                await disk.truncate(path, whole)
        file = await disk.append(path)
        try:
            await file.commit(b"")  # a killed process may have left lines that are only written: they are believed now
        except BaseException:
            await file.close()
            raise
        return cls(file)

    async def write(self, outcomes: Iterable[Outcome]) -> None:
        """Append a line each, durably, in one write. Raises StorageError."""
        await self._file.commit(b"".join(map(line, outcomes)))

    async def close(self) -> None:
        """Close the file."""
        await self._file.close()


def line(outcome: Outcome) -> bytes:
    """One outcome as one line of JSON, newline included, without any other character that ends a line."""
    fields: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(outcome, result=None))
    fields["result"] = outcome.result
    if outcome.server_type is None:
        del fields["server_type"]
    text = json.dumps(fields, ensure_ascii=False).translate(BREAKS)
    return text.encode(errors="replace") + b"\n"  # half of a surrogate pair is no text: it could not be read again
