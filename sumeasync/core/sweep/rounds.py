"""One round of list requests: which page to ask for next, and what a page tells of the jobs that wait."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from sumeasync.core.job import Job, Step
from sumeasync.models import JobView

__all__ = ["PAGE", "Findings", "Look", "Round", "Way"]

Way = Literal["all", "active", "finished"]

PAGE = 100
"""Entries asked for a page; lists may be shorter."""

ENDED = ("completed", "failed", "canceled", "expired")
IDLE_PAGES = 2
"""So many pages in a row that tell of no waiting job: the rest is of others, or long over."""


class Look(msgspec.Struct, frozen=True):
    """One page to ask for: jobs of one status, or of any."""

    status: str | None
    cursor: str | None
    limit: int = PAGE


class Findings(msgspec.Struct, frozen=True):
    """What a page told of waiting jobs: seen active, shown as completed, shown as ended otherwise."""

    active: Sequence[tuple[Job, JobView]] = ()
    completed: Sequence[Job] = ()
    ended: Sequence[Job] = ()


class Round:
    """Walks through the pages of one list or of several, one after the other. `walks` are the statuses to filter by.

    `waiting` is how many jobs there are to be told of, `page` how many entries a page is expected to hold.
    """

    def __init__(self, way: Way, began: float, waiting: int, walks: Sequence[str | None], page: int) -> None:
        self.way = way
        self.began = began
        self.waiting = waiting
        self.told: set[str] = set()
        self.shown: set[str] = set()  # whosever they are
        self.pages = self.longest = 0
        self.complete = True
        self._walks = list(walks)
        self._most = len(self._walks) + 2 * math.ceil(waiting / page) + 2
        self._cursor: str | None = None
        self._cursors: set[str] = set()
        self._idle = 0

    def __repr__(self) -> str:
        return f"<Round of {self.way}: {len(self.told)} of {self.waiting} told of in {self.pages} pages>"

    @property
    def over(self) -> bool:
        """Whether nothing more is to be asked."""
        return not self._walks

    def look(self) -> Look:
        """The next page."""
        return Look(self._walks[0], self._cursor)

    def read(self, views: Iterable[JobView], next_cursor: str | None, jobs: Mapping[str, Job]) -> Findings:
        """Take a page in; `jobs` are all known ones by id."""
        active: list[tuple[Job, JobView]] = []
        completed: list[Job] = []
        ended: list[Job] = []
        told, word, filtered = len(self.told), self._walks[0], True
        entries: set[str] = set()
        for view in views:
            filtered = filtered and view.word == word
            job = None if view.id in entries else jobs.get(view.id)
            entries.add(view.id)
            if job is None or not job.ticket or job.step is not Step.POLL:
                continue  # not ours, told twice, or being asked about already
            self.told.add(view.id)
            if view.status is None or view.status == "queued" or view.status == "running":
                active.append((job, view))
            elif view.status == "completed":
                completed.append(job)
            elif view.status in ENDED:
                ended.append(job)
        self.pages += 1
        self.shown |= entries
        if next_cursor is not None:
            self.longest = max(self.longest, len(entries))
        if word is not None and not filtered:  # the filter has no effect: another walk would show the same
            self.complete = False
            del self._walks[1:]
        self._go_on(next_cursor, len(self.told) - told)
        return Findings(active, completed, ended)

    def missing(self, waiting: Iterable[Job], margin: float) -> list[Job]:
        """The jobs that no walk of this complete round has shown, of those known `margin` seconds before it began."""
        before = self.began - margin
        unknown = (job for job in waiting if job.id not in self.told and job.asked < self.began)
        return [job for job in unknown if job.born < before]

    def cut(self) -> None:
        """The next page cannot be had: what it would have told stays untold."""
        self.pages += 1
        self.complete = False
        self._go_on(None, 0)

    def _go_on(self, cursor: str | None, news: int) -> None:
        self._idle = 0 if news else self._idle + 1
        lost = cursor in self._cursors or self.pages >= self._most
        enough = {
            "all": len(self.told) >= self.waiting or self._idle >= IDLE_PAGES,
            "active": False,
            "finished": not news,
        }[self.way]
        if cursor is not None and not lost and not enough:
            self._cursor = cursor
            self._cursors.add(cursor)
            return
        self.complete = self.complete and cursor is None
        self._cursor, self._idle = None, 0
        self._cursors.clear()
        self._walks.pop(0)
        if self.pages >= self._most:
            self._walks.clear()
