"""Audits: a job that the list shows as active is asked itself, to find out whether it is shown as it is.

One in a number of pages is due for it. Until the list has stood enough tests, so is any page with a job on it of which
an answer would tell much: of a kind that a list one second late would often show wrongly.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

import msgspec

from sumeasync.core.job import Job
from sumeasync.core.polling.pacing import Pacer

__all__ = ["FIRST_ROUNDS", "Audits"]

PAGES, FIRST_ROUNDS = 16, 6
"""An audit is due each so many pages; at first, each so many rounds if those are fewer pages."""

LATE_SECONDS, ENOUGH = 1.0, 1.0
"""Once a list this late would have been found out so many times, it is no more likely to be."""

MANY = 25
"""Beside what a page of so many jobs tells, a request more is little."""

SOON_SECONDS = 0.1
MOST_SINCE = 0.05
"""Where more jobs than this end between a page and an audit, an end would tell nothing of the list."""

CHOICES = 10


class Audits:
    """Picks whom to ask."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._pages = 0
        self._tried = 0.0  # how often that list would have been found out

    def __repr__(self) -> str:
        return f"<Audits of {self._pages} pages>"

    def pick(self, active: Sequence[Job], length: int, sent: float, now: float) -> list[Job]:
        """The job to ask, or none, of those on a page asked for when it was `sent`; rounds have `length` pages.

        It is the one (of some, if none is due) of which its own answers leave most open, and not about to end: an end
        after the page was made would prove nothing.
        """
        self._pages += 1
        pacer, certain = self._pacer, self._tried >= ENOUGH
        due = self._pages % (PAGES if certain else min(PAGES, FIRST_ROUNDS * length)) == 0
        if not due and (certain or len(active) < MANY):
            return []
        soon, some = max(2.0 * (now - sent), SOON_SECONDS), active if due else active[:: 1 + len(active) // CHOICES]
        steady = [job for job in some if pacer.share_ending(job, now, soon) <= MOST_SINCE]
        if not due:
            steady = [job for job in steady if pacer.share_ending(job, now, LATE_SECONDS) > MOST_SINCE]
        if not steady:
            return []
        open = [(pacer.worth(msgspec.structs.replace(job, seen=job.asked), now), job) for job in steady]
        job = max(open, key=itemgetter(0))[1]
        self._tried += pacer.share_ending(job, now, LATE_SECONDS)
        return [job]
