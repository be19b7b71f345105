"""Reading a journal back, without touching it: `sumeasync status` may do so beside a run that is writing it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

import msgspec

from sumeasync.core.history import History
from sumeasync.core.records import Record
from sumeasync.io.disk import Disk
from sumeasync.io.framing import Header, Scanner

__all__ = ["JOURNAL", "Replay", "replay"]

JOURNAL = "journal.log"


class Replay(msgspec.Struct, frozen=True):
    """What a journal says. `header` is None when no valid one stands at its head.

    Of its `size` bytes the first `good_bytes` are whole; what follows was cut short by a crash, or is being written.
    `seed` and `previous` are the state from which the next line's checksum goes on.
    """

    history: History
    header: Header | None
    size: int
    good_bytes: int
    seed: int
    previous: int


async def replay(disk: Disk, path: str = JOURNAL, *, observe: Callable[[Record], object] | None = None) -> Replay:
    """Fold a journal, absent or not, in one pass; `observe` sees each record too.

    Raises:
        JournalError: it is damaged, or newer than this version; `.record` says where (0 is the header).
        StorageError: it cannot be read.
    """
    history, scanner, size = History(), Scanner(), 0
    if await disk.size(path) is not None:
        async with aclosing(disk.read(path)) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                for record in scanner.feed(chunk):
                    history.apply(record)
                    if observe is not None:
                        observe(record)
        scanner.finish()
    return Replay(history, scanner.header, size, scanner.good_bytes, scanner.seed, scanner.previous)
