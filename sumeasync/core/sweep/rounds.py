"""One round of list requests: which page to ask for next, and what a page tells of the jobs that wait."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Literal

import msgspec

from sumeasync.core.job import Job, Step
from sumeasync.core.sweep.course import Course, Mark
from sumeasync.models import JobView

__all__ = ["PAGE", "Findings", "IsCold", "Look", "Round", "Way"]

Way = Literal["all", "active", "finished"]
IsCold = Callable[[Sequence[str]], bool]
NOWHERE: Mapping[str | None, Sequence[Mark]] = MappingProxyType({})
POLL = Step.POLL

PAGE = 100
"""Entries asked for a page; lists may be shorter."""

IDLE_PAGES = 2
"""So many pages in a row that tell of no waiting job, or as many as these fill: the rest is of others, or long over."""


class Look(msgspec.Struct, frozen=True):
    """One page to ask for: jobs of one status, or of any."""

    status: str | None
    cursor: str | None
    limit: int = PAGE


class Findings(msgspec.Struct):
    """What a page told of waiting jobs: seen active, shown as completed, shown as ended otherwise, left the list.

    `others` are the ids of all that it shows as active beside them.
    """

    active: list[tuple[Job, JobView]] = []
    completed: list[Job] = []
    ended: list[Job] = []
    missing: list[Job] = []
    others: list[str] = []


class Round:
    """Walks through the pages of one list or of several, one after the other. `walks` are the statuses to filter by.

    `waiting` is how many jobs there are to be told of, `page` how many entries a page is expected to hold. `before`
    says where jobs stood in each walk the last time; pages that `is_cold` says are not worth a request are left out.
    `sought` are ids to look out for, `found` those of them that any page showed.
    """

    def __init__(
        self,
        way: Way,
        began: float,
        waiting: int,
        walks: Sequence[str | None],
        page: int,
        *,
        before: Mapping[str | None, Sequence[Mark]] = NOWHERE,
        is_cold: IsCold | None = None,
        sought: Set[str] = frozenset(),
    ) -> None:
        self.way = way
        self.began = began
        self.waiting = waiting
        self.told: set[str] = set()
        self.busy: set[str] = set()
        self.found: set[str] = set()
        self.pages = self.longest = self.skipped = 0
        self.complete = self.filters = self.whole = True
        self.marks: dict[str | None, Sequence[Mark]] = {}
        self.jumps = True  # as far as is known, old cursors are good
        self._borns: tuple[float, float] | None = None  # of the first job shown and the last
        self._before = before
        self._is_cold = is_cold
        self._sought = sought
        self._walks = list(walks)
        self._follows = way == "active" and len(walks) <= 2  # else a job may have gone back to a walk before
        pages = math.ceil(waiting / page)
        self._most, self._patience = len(self._walks) + 2 * pages + 2, max(IDLE_PAGES, pages)
        self._cursors: set[str] = set()
        self._ids: list[str] = []
        self._begin_walk()

    def __repr__(self) -> str:
        return f"<Round of {self.way}: {len(self.told)} of {self.waiting} told of in {self.pages} pages>"

    @property
    def over(self) -> bool:
        """Whether nothing more is to be asked."""
        return not self._walks

    def look(self) -> Look:
        """The next page."""
        return Look(self._walks[0], self._cursor)

    def read(self, views: Sequence[JobView], next_cursor: str | None, jobs: Mapping[str, Job]) -> Findings:
        """Take a page in; `jobs` are all known ones by id."""
        word, told = self._walks[0], len(self.told)
        found, entries = self._sort(views, jobs)
        self.pages += 1
        self.found |= entries & self._sought
        if next_cursor is not None:
            self.longest = max(self.longest, len(entries))
        if word is not None and any(view.word != word for view in views):  # no filter: other walks would show the same
            self.complete = self.filters = False
            del self._walks[1:]
        missing = self._follow(entries, next_cursor, jobs)
        self._go_on(next_cursor, len(self.told) - told)
        found.missing = missing
        return found

    def _sort(self, views: Sequence[JobView], jobs: Mapping[str, Job]) -> tuple[Findings, set[str]]:
        """What the entries tell, and their ids; `_ids` become those of jobs shown as active."""
        found, entries, ids = Findings(), {view.id for view in views}, []
        repeats = set[str]() if len(entries) < len(views) else None
        active, told = found.active, self.told
        for view in views:
            id, status = view.id, view.status
            job = jobs.get(id)
            is_active = status is None or status == "queued" or status == "running"
            if job is None or job.step is not POLL or (repeats is not None and id in repeats):
                if is_active:
                    found.others.append(id)
                continue  # not ours, past its end, or told twice
            if repeats is not None:
                repeats.add(id)
            if is_active:
                ids.append(id)
            if not job.ticket:  # it is being asked about already
                self.busy.add(id)
                continue
            told.add(id)
            if is_active:
                active.append((job, view))
            elif status == "completed":
                found.completed.append(job)
            else:
                found.ended.append(job)
        self._ids = ids
        if active:
            self._borns = (self._borns or (active[0][0].born, 0.0))[0], active[-1][0].born
        return found, entries

    @property
    def newest_first(self) -> bool:
        """Whether the jobs shown stood in this order, as far as can be seen."""
        return self._borns is not None and self._borns[0] > self._borns[1]

    def showed(self, job: Job) -> bool:
        """Whether a page has shown this job, even if it was being asked about just then."""
        return job.id in self.told or job.id in self.busy

    def missing(self, waiting: Iterable[Job], margin: float) -> list[Job]:
        """The jobs that no walk of this complete round has shown, of those known `margin` seconds before it began."""
        before = self.began - margin
        unknown = (job for job in waiting if not self.showed(job) and job.asked < self.began)
        return [job for job in unknown if job.born < before]

    def cut(self) -> None:
        """The next page cannot be had: what it would have told stays untold."""
        self.pages += 1
        self.complete = False
        self.jumps = not self._course.jumped
        self._go_on(None, 0)

    def _begin_walk(self) -> None:
        word = self._walks[0]
        self._course = Course(self._before.get(word, ()))
        self._idle = 0
        self._cursors.clear()
        self._cursor = None if self._is_cold is None else self._course.onward(None, self._is_cold)

    def _follow(self, entries: Set[str], cursor: str | None, jobs: Mapping[str, Job]) -> list[Job]:
        """Those that stood among the jobs on this page and do not any more."""
        jumped = self._course.jumped
        left = self._course.read(Mark(self._cursor, self._ids), entries, last=cursor is None)
        self.jumps = self.jumps and (self._course.ordered or not jumped)
        if not left or not self._follows or not self.filters or len(self._walks) > 1:
            return []
        gone = (jobs.get(id) for id in left - self.told - self.busy)
        return [job for job in gone if job is not None and job.ticket and job.step is POLL and job.asked < self.began]

    def _go_on(self, cursor: str | None, news: int) -> None:
        self._idle = 0 if news else self._idle + 1
        lost = cursor in self._cursors or self.pages >= self._most
        enough = {
            "all": len(self.told) >= self.waiting or self._idle >= self._patience,
            "active": False,
            "finished": not news,
        }[self.way]
        if cursor is not None and not lost and not enough:
            self._cursors.add(cursor)
            self._cursor = cursor if self._is_cold is None else self._course.onward(cursor, self._is_cold)
            if self._cursor is not None:
                return
        self.whole = self.whole and self._course.whole
        self.complete = self.complete and self.whole and cursor is None
        self.marks[self._walks.pop(0)] = self._course.marks
        self.skipped += self._course.skipped
        if self.pages >= self._most:
            self._walks.clear()
        if self._walks:
            self._begin_walk()
