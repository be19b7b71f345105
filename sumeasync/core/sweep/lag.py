"""How late a job list is: what a page says is taken as of that long before it was asked for.

A list that shows a job it did not show before is late by less than the job's age now; if an earlier round that read all
of the list had missed the job, by more than its age then. And a list that shows a job as active which told its end
before the page was asked for is late by more than the time since. If that is long it is not late but wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from sumeasync.core.job import Job
from sumeasync.core.sweep.rounds import Round

__all__ = ["Lag"]

WRONG_SECONDS = 5.0
"""A list that shows a job as active so long after it told its end is not late with it, but wrong."""

FEW, FIRST_SECONDS = 2, 1.0
"""Less than so many jobs may be the list's mistake about just those: they make it no later than this."""

FORGIVEN = 0.6
"""What each audit that finds no error leaves of what errors told."""

MOST_ENDS = 256
"""As many of the latest ends are kept in mind."""


class Lag:
    """`seconds` is how late the list is taken to be; `wrong` counts jobs it showed that were long over."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.wrong = 0
        self._shown = self._erred = 0.0
        self._ends: dict[str, float] = {}  # when jobs told their end, by id
        self._echoes: set[str] = set()
        self._missed: set[str | None] = set()  # by the last whole round, which began then, and not shown since
        self._began = 0.0

    def __repr__(self) -> str:
        return f"<Lag of {self.seconds:.3g} s>"

    @property
    def open_seconds(self) -> float:
        """How long before a page was asked for its jobs count as seen.

        A job's end is noticed half a gap late by polls, and by a list as late as that is: where its polls come closer
        than twice that, they are not to wait for the list.
        """
        return 2.0 * self.seconds

    def shown(self, jobs: Sequence[Job], sent: float) -> None:
        """A page that was asked for when it was `sent` shows these jobs as active."""
        if self._missed:
            for job in jobs:
                if job.id in self._missed and self._began - job.born > self._shown:
                    self._shown = sent - job.born
            self._missed.difference_update([job.id for job in jobs])
        for job in jobs:
            if job.seen == job.born and sent - job.born < self._shown:
                self._shown = max(0.0, sent - job.born)
        self.seconds = max(self._shown, self._erred)

    def missed(self, round: Round, waiting: Iterable[Job]) -> None:
        """A round is over that left no page out; the list is late for those it missed, if it showed all it has.

        It did if it was read to its end, or puts the youngest first and lacks just those.
        """
        showed = round.told | round.busy
        if round.complete and len(showed) >= round.waiting:  # mostly
            self._missed, self._began = set(), round.began
            return
        told, untold = -math.inf, []
        for job in waiting:
            if job.id in showed:
                told = max(told, job.born)
            elif job.born < round.began:
                untold.append(job)
        new = [job for job in untold if job.born > told]
        if round.complete or (round.newest_first and told > -math.inf and len(new) == len(untold)):
            self._missed, self._began = {job.id for job in new}, round.began

    def ended(self, job_id: str, now: float) -> None:
        """A job told its end itself."""
        self._ends[job_id] = now
        if len(self._ends) > MOST_ENDS:
            del self._ends[next(iter(self._ends))]

    def echoed(self, ids: Iterable[str], sent: float) -> None:
        """A page that was asked for when it was `sent` shows these as active, be they over or anybody's."""
        for job_id in ids:
            since = sent - self._ends.get(job_id, sent)
            if since > WRONG_SECONDS:
                del self._ends[job_id]
                self.wrong += 1
            elif since > 0.0:
                self._echoes.add(job_id)
                known = since if len(self._echoes) >= FEW else min(since, FIRST_SECONDS)
                self._erred = max(self._erred, known)
        self.seconds = max(self._shown, self._erred)

    def forget(self) -> None:
        """How late it was says nothing any more; jobs shown wrongly stay counted."""
        self.seconds = self._shown = self._erred = 0.0
        self._echoes.clear()
        self._missed.clear()

    def forgive(self) -> None:
        """A job shown as active was asked, and is."""
        self._erred *= FORGIVEN
        self.seconds = max(self._shown, self._erred)
