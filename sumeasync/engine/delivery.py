"""The last mile of an outcome: localized, sanitized, on disk once, remembered as delivered; then handed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from sumeasync.core import redact
from sumeasync.core.job import Job, Product
from sumeasync.core.payload import localize
from sumeasync.core.records import Delivered, Record
from sumeasync.engine.telling import log
from sumeasync.io.disk import Disk
from sumeasync.io.journal import Journal, MemoryJournal
from sumeasync.io.names import file_of, media_stem
from sumeasync.io.sink import Head, Sink
from sumeasync.models import Outcome, OutcomeStatus

__all__ = ["Delivery"]


class Delivery:
    """Writes outcomes.

    `earlier` counts what the directory held when it was opened, `failed` are the keys of what was no full success
    there, and `words` is what the server called a type.
    """

    def __init__(
        self, journal: Journal | MemoryJournal, wall_clock: Callable[[], float], sink: Sink | None, *, keep_links: bool
    ) -> None:
        self.earlier: Counter[OutcomeStatus] = Counter()
        self.failed: set[str] = set()
        self.words: dict[str, str] = {}
        self._journal = journal
        self._wall_clock = wall_clock
        self._sink = sink
        self._keep_links = keep_links or sink is None
        self._begun = False

    @classmethod
    async def open(
        cls,
        disk: Disk | None,
        journal: Journal | MemoryJournal,
        wall_clock: Callable[[], float],
        *,
        keep_links: bool,
    ) -> Delivery:
        """Open the results and make up for records that a crash took: a line on disk is delivered.

        Raises StorageError when they are damaged, or the disk refuses.
        """
        delivery = cls(journal, wall_clock, None, keep_links=keep_links)
        lost: list[Record] = []

        def seen(head: Head) -> None:
            if head.server_type and head.type:
                delivery.words[head.type] = head.server_type
            delivery.earlier[head.status] += 1
            if not head.ok:
                delivery.failed.add(head.key)
            if not journal.history.is_delivered(head.key, head.job_id):
                lost.append(Delivered(head.key, wall_clock(), head.status, head.job_id))

        if disk is not None:
            delivered = journal.history.delivered if len(journal.history) else None
            delivery._sink = sink = await Sink.open(disk, seen, delivered)
            delivery._keep_links = keep_links
            if sink.broken is not None:
                log.warning("results.cut", file=sink.broken, reason="a crash had cut the last write of results short")
        for record in lost:
            journal.history.apply(record)
        journal.append(*lost)
        return delivery

    async def close(self) -> None:
        """Close the results."""
        if self._sink is not None:
            await self._sink.close()

    async def deliver(self, finished: Sequence[tuple[Job, Outcome]]) -> list[Outcome]:
        """Write those that are final, durably and in order, and return all as they are shown. Raises StorageError."""
        outcomes = [self._presentable(job, outcome) for job, outcome in finished]
        final = [outcome for outcome in outcomes if outcome.final]
        if final and self._sink is not None:
            if not self._begun:  # what a crash leaves of the first line is mended only where the journal tells of a run
                await self._journal.append()
                self._begun = True
            await self._sink.write(final)
            now = self._wall_clock()
            self._journal.append(*(Delivered(one.key, now, one.status, one.job_id) for one in final))
        return outcomes

    def _presentable(self, job: Job, outcome: Outcome) -> Outcome:
        changes: dict[str, object] = {}
        if not self._keep_links and isinstance(job.carry, Product):
            changes["result"] = localize(outcome.result, _saved(job, job.carry))
        if outcome.error is not None:
            changes["error"] = redact.failure(outcome.error)
        return msgspec.structs.replace(outcome, **changes) if changes else outcome


def _saved(job: Job, product: Product) -> dict[str, str]:
    """The path of each link's file."""
    stems = (media_stem(job.spec.key, job.id or "", index) for index in range(len(product.links)))
    files = (file_of(stem, product.files) for stem in stems)
    return {link.url: file.path for link, file in zip(product.links, files, strict=True) if file is not None}
