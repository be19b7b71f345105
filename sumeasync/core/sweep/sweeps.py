"""Sweeps: one request for a page of the job list in place of a question for every job.

A page tells of a job that it is active (its next poll can wait), or raises the suspicion that it has ended: it is
shown as ended, or is no longer among the active ones. It stays a suspicion until the job itself was asked.

A round (`core/sweep/rounds.py`) reads what it takes to hear of every waiting job, in one of three ways:

* ``all``: the newest jobs whatever their state, until all are shown. One page, mostly, for up to a page of jobs.
* ``active``: every job in an active state, one walk a state. Its length follows what runs, not what ever ran.
* ``finished``: the completed ones until a page brings nothing new; now and then the failed, canceled, expired. Short
  where the list puts the latest end first, and it misses jobs where it does not; so it is used only while it shows
  next to all of what full rounds just before it found ended.

A round goes when the summed worth of the jobs it would tell of reaches the price of its pages, each worth as much as
the best poll that could go in its place, and 1 at least. Nothing is taken for granted: length of pages, coverage and
cost of each way are measured; a filter without effect, a cursor that comes back, jobs of others only make it dearer.
Trust is measured too (`core/sweep/trust.py`), and when it is gone, or the list is refused, sweeps end and every job is
asked about by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from sumeasync.core.job import Job, Step
from sumeasync.core.polling.fleet import Fleet
from sumeasync.core.sweep.rounds import Findings, Round, Way
from sumeasync.core.sweep.trust import MOST_SINCE, Claim, Trust
from sumeasync.core.sweep.ways import Ways
from sumeasync.models import JobView, Spec

__all__ = ["Sweeps"]

LEAST_JOBS = 4
"""Fewer waiting jobs are not worth a list."""

LEAST_SECONDS, LEAST_INTERVALS, LATER_SECONDS = 1.0, 0.25, 5.0
"""Between two rounds, however much they would tell: a second, or a quarter of the shortest interval."""

EARLY_SECONDS = 1e-6
"""Less than this too early is rounding."""

SAMPLE = 32
"""Jobs looked at to estimate what all of them are worth."""

PROBES = 8
"""Missing jobs asked about before it is known what it means to be missing."""

AUDIT_PAGES = 8
POOR_ROUNDS = 2
"""So many full rounds in a row that told of less than two jobs a page: the list is not about ours, for now."""

FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 60.0, 960.0


class Sweeps:
    """Decides when and what to list, and reads what comes back. Pure: `now` is the engine's clock in seconds.

    `job` stands for the next page among the steps to perform and carries its `Look`; `worth` is what a page of the
    present round is worth. `paused` says why the list was left alone for a while, once it was.
    """

    def __init__(self, fleet: Fleet, *, enabled: bool = True) -> None:
        self.trust, self.ways = Trust(), Ways()
        self.job = Job(Spec("sweep"), Step.SWEEP)
        self.worth = 0.0
        self._fleet = fleet
        self._enabled = enabled
        self._asking = False
        self._due = self._last = 0.0
        self._least = LEAST_SECONDS
        self._round: Round | None = None
        self._pages = self._poor = 0
        self.paused: str | None = None
        self._pause = FIRST_PAUSE_SECONDS

    def __repr__(self) -> str:
        return f"<Sweeps {'on' if self.enabled else 'off'}, {self.ways.rounds} rounds, {self._pages} pages>"

    @property
    def enabled(self) -> bool:
        """Whether the list is asked at all."""
        return self._enabled and self.trust.reason is None

    def next_due(self) -> float | None:
        """When `first` may answer otherwise by itself; None: not at all."""
        return None if self._asking or not self.enabled else self._due

    def is_due(self, now: float) -> bool:
        """Whether it is time to find out if a page is worth a request."""
        return not self._asking and now >= self._due - EARLY_SECONDS and self.enabled

    def first(self, now: float, price: float) -> Job | None:
        """The next page, if it is worth `price` (see `Pacer.worth`) now; asked for once `take` is called."""
        if not self.is_due(now):
            return None
        if self._round is None:
            return self.job if self._begin(now, price) else None
        return self.job  # what was begun goes on: the jobs it has yet to tell of are worth more than when it began

    def take(self) -> Job:
        """The page that `first` answered is asked for now."""
        self._asking = True
        self.job.carry = self._present().look()
        return self.job

    def read(self, views: Sequence[JobView], next_cursor: str | None, now: float, jobs: Mapping[str, Job]) -> Findings:
        """Take in the page that was asked for; what it finds `completed` or `ended` is to be asked about at once."""
        self._asking = False
        self._pages += 1
        round = self._present()
        found = round.read(views, next_cursor, jobs)
        for view in views:
            if view.word not in self.ways.words:
                self.ways.spelled(view.word, view.status)
        for job, _ in found.active:
            self.trust.shown_active(job.id)
        completed, ended = self._credible(found.completed), self._credible(found.ended)
        self._claim("shown", (*completed, *ended))
        if found.active and (self.trust.wary or self._pages % AUDIT_PAGES == 0):
            audited = self._to_audit([job for job, _ in found.active], now)
            self._claim("active", audited)
            ended += audited
        if round.over:
            completed += self._end(round, now)
        self.ways.found(round.way, completed)
        return Findings(found.active, completed, ended)

    def _to_audit(self, active: Sequence[Job], now: float) -> list[Job]:
        """The one not asked about for longest, of those that are not about to end: an end would prove nothing."""
        pacer = self._fleet.pacer
        steady = [job for job in active if pacer.share_ending(job, now, LEAST_SECONDS) <= MOST_SINCE]
        return [min(steady, key=lambda job: job.asked)] if steady else []

    def failed(self, now: float, *, refused: bool, seconds: float) -> None:
        """The page could not be had: again in some `seconds`, or, where the request was `refused`, in another way."""
        self._asking = False
        round = self._present()
        if refused and self.job.carry.cursor is not None:  # that there is a first page is worth something
            round.cut()
            if round.over:
                self._end(round, now)
        elif refused:
            way, self._round = round.way, None
            self.ways.rule_out(way)
            if way == "all":
                self.trust.distrust("the server refuses it")
        self._due = now + max(seconds, self._least)

    def _present(self) -> Round:
        assert self._round is not None  # noqa: S101 - `first` began one
        return self._round

    def _credible(self, jobs: Iterable[Job]) -> list[Job]:
        return [job for job in jobs if not self.trust.refuted(job.id)]

    def _claim(self, claim: Claim, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self.trust.claim(job.id or "", claim)

    def _begin(self, now: float, price: float) -> bool:
        waiting = len(self._fleet)
        if waiting < LEAST_JOBS:
            self._due = now + self._least
            return False
        way = self.ways.choose(waiting)
        if not self._is_worth_it(way, waiting, now, price):
            return False
        self.ways.began(way)
        self._round = Round(way, now, waiting, self.ways.walks(way), self.ways.page)
        return True

    def _is_worth_it(self, way: Way, waiting: int, now: float, price: float) -> bool:
        sample = self._fleet.sample(SAMPLE)
        intervals = [LEAST_INTERVALS * self._fleet.pacer.policy(job.type).interval for job in sample]
        self._least = min([LEAST_SECONDS, *intervals])
        askable = (job for job in sample if not job.faults)  # of one whose answers fail, a page settles nothing
        total = sum(self._fleet.pacer.worth(job, now) for job in askable) * waiting / max(1, len(sample))
        self.worth = total / self.ways.price(way, waiting)
        if self.worth >= price:
            return True
        # Worth grows as the square of time, at first: by then it may be enough.
        factor = min(2.0, math.sqrt(price / self.worth)) if self.worth > 0.0 else 2.0
        self._due = now + max(0.1, factor - 1.0) * min(max(now - self._last, self._least), LATER_SECONDS)
        return False

    def _end(self, round: Round, now: float) -> list[Job]:
        """Draw the conclusions of a round; the jobs that are missing from it are suspected to have completed."""
        self.ways.ended(round)
        self._round, self._last, self._due = None, round.began, max(now, round.began + self._least)
        if round.way == "finished":
            self._end_finished(round)
            return []
        missing: list[Job] = []
        told, before = len(round.told), round.began - self.trust.margin_seconds
        if told == 0 and not any(job.born < before for job in self._fleet):
            return []  # all too young to be listed: nothing follows from it
        if round.way == "active" and round.complete and self.trust.believes("missing"):
            missing = self._credible(round.missing(self._fleet, self.trust.margin_seconds))
            if not self.trust.tested("missing"):  # a state whose word is not known yet would hide all jobs in it
                del missing[PROBES:]
            self._claim("missing", missing)
            told += len(missing)  # of a job refuted before, nothing was told
        self.ways.note(round, told)
        self._poor = self._poor + 1 if told < 2 * round.pages else 0
        if self._poor >= POOR_ROUNDS:
            self._pause_for(now, "its pages tell of too few of the jobs")
        return missing

    def _pause_for(self, now: float, reason: str) -> None:
        """Leave the list alone for a while, then find out anew what it is good for."""
        self.paused = self.paused or reason
        self._due, self._pause = now + self._pause, min(2.0 * self._pause, LAST_PAUSE_SECONDS)
        self.ways.forget()
        self._poor = 0

    def _end_finished(self, round: Round) -> None:
        if not self.ways.trusts_finished:
            return
        before = round.began - self.trust.margin_seconds
        for job in self._fleet:
            if job.born < before:
                job.seen = max(job.seen, round.began)
