"""The write-ahead journal: a record is durable before what it records has consequences.

`append` fixes the order at once and returns a future. The first append of a loop turn asks for a commit at the end
of that turn; while a commit is under way, later appends gather and go together in the next one: one thread hop and
one sync a batch. No task is involved, so that no cancelled caller can stop a commit or lose another's.

The first failure is the last: what had not been reported durable by then never will be, every waiting and every
later call raises the same error, and only reading the file again says what it holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random, SystemRandom

import anyio

from sumeasync.core.history import History
from sumeasync.core.records import Record
from sumeasync.errors import JournalError
from sumeasync.io.disk import Disk, File
from sumeasync.io.framing import Encoder
from sumeasync.io.repair import compact, cut_off, pays, start
from sumeasync.io.replay import JOURNAL, replay

__all__ = ["Journal", "MemoryJournal"]

Waiter = asyncio.Future[None]


class Journal:
    """An open journal. `history` is what it said when it was opened; appending does not change it."""

    def __init__(self, file: File, encoder: Encoder, history: History) -> None:
        self.history = history
        self._file = file
        self._encoder = encoder
        self._loop = asyncio.get_running_loop()
        self._lines: list[bytes] = []
        self._waiters: list[Waiter] = []
        self._committing = False
        self._failure: BaseException | None = None
        self._closed = False

    @classmethod
    async def open(
        cls,
        disk: Disk,
        path: str = JOURNAL,
        *,
        rng: Random | None = None,
        observe: Callable[[Record], object] | None = None,
    ) -> Journal:
        """Replay the journal `path`, mend a torn end, and make it ready for appending.

        `observe` sees each replayed record; `rng` draws the id of a new journal (the system's source by default).
        Only one process may do this at a time: hold the run lock.

        Raises:
            JournalError: it is damaged, or newer than this version; it was left as it is.
            StorageError: the disk refused.
        """
        rng = rng or SystemRandom()
        await disk.remove(f"{path}.new")
        found = await replay(disk, path, observe=observe)
        if found.header is None:
            encoder = await start(disk, path, found.size, rng)
        else:
            if found.good_bytes < found.size:
                await cut_off(disk, path, found.good_bytes)
            encoder = Encoder(found.seed, found.previous, found.history.records, version=found.header.version)
            if pays(found):
                encoder = await compact(disk, path, found.history, rng)
        file = await disk.append(path)
        # A killed process may have left lines unsynced: they are about to be believed, so they must be durable.
        try:
            await file.commit(b"")
        except BaseException:
            await file.close()
            raise
        return cls(file, encoder, found.history)

    def __repr__(self) -> str:
        state = "failed" if self._failure else "closed" if self._closed else "open"
        return f"<Journal {state}, {len(self._lines)} records waiting>"

    def append(self, *records: Record) -> asyncio.Future[None]:
        """Put `records` next in order; the future resolves once they, and all before them, are durable.

        It may be left alone or cancelled: the records are written all the same. Without records it only waits.

        Raises:
            JournalError: the journal is closed, or a record cannot be written (then none of them is).
            StorageError: an earlier write failed; the future raises it when this one does.
        """
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise JournalError("the journal is closed")
        self._lines += self._encode(records)
        waiter: Waiter = self._loop.create_future()
        self._waiters.append(waiter)
        if not self._committing:
            self._committing = True
            self._loop.call_soon(self._commit)
        return waiter

    async def aclose(self) -> None:
        """Wait until everything appended is durable, then close, even when cancelled. Harmless when already closed.

        Raises:
            StorageError: some of it is not durable.
        """
        if self._closed:
            return
        with anyio.CancelScope(shield=True):
            try:
                await self._last_flush()
            finally:
                self._closed = True
                await self._file.close()

    async def _last_flush(self) -> None:
        flushed = self.append()
        self._closed = True
        try:
            await asyncio.shield(flushed)
        except asyncio.CancelledError:
            await asyncio.wait([flushed])  # the file must not be closed under a commit
            raise

    def _encode(self, records: tuple[Record, ...]) -> list[bytes]:
        encoder = self._encoder
        before = encoder.previous, encoder.records
        try:
            return [encoder.line(record) for record in records]
        except JournalError:
            encoder.previous, encoder.records = before
            raise

    def _commit(self) -> None:
        lines, self._lines = self._lines, []
        waiters, self._waiters = self._waiters, []
        self._encoder.begin()  # what is appended from here on goes with the next commit
        commit = self._file.commit(b"".join(lines))
        commit.add_done_callback(lambda done: self._committed(waiters, done))

    def _committed(self, waiters: list[Waiter], done: asyncio.Future[None]) -> None:
        if (failure := done.exception()) is not None:
            self._fail(failure, waiters)
            return
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._committing = bool(self._waiters)
        if self._committing:
            self._commit()

    def _fail(self, failure: BaseException, waiters: list[Waiter]) -> None:
        self._failure = failure
        for waiter in waiters + self._waiters:
            if not waiter.done():
                waiter.set_exception(failure)
                waiter.exception()  # whoever does not wait for it is told by the next call
        self._lines, self._waiters = [], []


class MemoryJournal:
    """The journal of a run without an output directory: remembers nothing, and is never behind."""

    def __init__(self) -> None:
        self.history = History()
        self._closed = False

    def append(self, *records: Record) -> asyncio.Future[None]:
        """A future that is already resolved.

        Raises:
            JournalError: the journal is closed.
        """
        if self._closed:
            raise JournalError("the journal is closed")
        done: Waiter = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def aclose(self) -> None:
        """Close. Harmless when already closed."""
        self._closed = True
