"""How late a job list is: what a page says is taken as of that long before it was asked for.

A list that shows a job it did not show before is late by less than the job's age now; if an earlier round that read all
of the list had missed the job, by more than its age then. Where no jobs are created there is only the error to learn
from: a job shown as active that answers itself that it has ended.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from sumeasync.core.job import Job
from sumeasync.core.sweep.rounds import Round

__all__ = ["Lag"]

FIRST_SECONDS, LAST_SECONDS = 1.0, 60.0
"""What the first error makes it; each one more doubles that, up to the last."""

FORGIVEN = 0.6
"""What each audit that finds no error leaves of it."""


class Lag:
    """`seconds` is how late the list is taken to be."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._shown = self._erred = 0.0
        self._most = math.inf  # the least age at which a new job was shown
        self._missed: frozenset[str | None] = frozenset()  # by the last whole round, which began then:
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
                    self._shown, self._most = sent - job.born, math.inf
        for job in jobs:
            if job.seen == job.born and sent - job.born < self._most:
                self._most = max(0.0, sent - job.born)
        self._shown, self._erred = min(self._shown, self._most), min(self._erred, self._most)
        self.seconds = max(self._shown, self._erred)

    def missed(self, round: Round, waiting: Iterable[Job]) -> None:
        """A round is over that left no page out; the list is late for those it missed, if it showed all it has.

        It did if it was read to its end, or puts the youngest first and lacks just those.
        """
        told, untold, showed = -math.inf, [], round.told | round.busy
        for job in waiting:
            if job.id in showed:
                told = max(told, job.born)
            elif job.born < round.began:
                untold.append(job)
        new = [job for job in untold if job.born > told]
        if round.complete or (round.newest_first and told > -math.inf and len(new) == len(untold)):
            self._missed, self._began = frozenset(job.id for job in new), round.began

    def audited(self, *, wrong: bool) -> None:
        """A job shown as active was asked: it had ended already (`wrong`), or had not."""
        most = min(LAST_SECONDS, self._most)
        self._erred = min(max(2.0 * self.seconds, FIRST_SECONDS), most) if wrong else FORGIVEN * self._erred
        self.seconds = max(self._shown, self._erred)
