"""Sweeps: one request for a page of the job list in place of a question for every job.

A page tells of a job that it is active (its next poll can wait), or raises the suspicion that it has ended: it is
shown as ended, or is no longer among the active ones. It stays a suspicion until the job itself was asked.

A round (`core/sweep/rounds.py`) reads what it takes to hear of every waiting job, in one of three ways:

* ``all``: the newest jobs whatever their state, until all are shown. One page, mostly, for up to a page of jobs.
* ``active``: every job in an active state, one walk a state. Its length follows what runs, not what ever ran.
* ``finished``: the completed ones until a page brings nothing new; now and then the failed, canceled, expired. Short
  where the list puts the latest end first, and it misses jobs where it does not; so it is used only while it shows
  next to all of what full rounds just before it found ended.

A round goes when the worth of telling of all waiting jobs (`core/sweep/worth.py`) reaches the price of its pages, each
worth as much as the best poll that could go in its place, and 1 at least. Where reading the whole list takes long,
pages whose jobs are not worth that much are left out, until they are (`core/sweep/course.py`). Nothing is taken for
granted: length of pages, coverage and cost of each way are measured; a filter without effect, a cursor that comes back,
jobs of others only make it dearer. Lateness (`core/sweep/lag.py`) and trust (`core/sweep/trust.py`) are measured too; a
list too late or of too little use is left alone for a while, one that lies or is refused for good: then every job is
asked about by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from sumeasync.core.events import Listed
from sumeasync.core.job import NEVER, Job, Step
from sumeasync.core.polling.fleet import Fleet
from sumeasync.core.sweep.audits import Audits
from sumeasync.core.sweep.lag import Lag
from sumeasync.core.sweep.rounds import Findings, Round, Way
from sumeasync.core.sweep.trust import PROVEN, Claim, Trust
from sumeasync.core.sweep.ways import Ways
from sumeasync.core.sweep.worth import SAMPLE, Worth
from sumeasync.models import Spec

__all__ = ["Sweeps"]

LEAST_JOBS = 4  # fewer waiting jobs are not worth a list
LATER_SECONDS = 5.0  # until it is looked again whether a page is worth it, at most
EARLY_SECONDS = 1e-6  # less than this too early is rounding

PROBES = 8  # missing jobs asked about before it is known what it means to be missing
FEW_TOLD = 0.2
"""A full round was not worth its pages that told of no more jobs than pages, or of a smaller part and less than two."""

FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 60.0, 960.0


class Sweeps:
    """Decides when and what to list, and reads what comes back. Pure: `now` is the engine's clock in seconds.

    `job` stands for the next page among the steps to perform and carries its `Look`; `worth` is what a page of the
    present round is worth. `paused` says why the list was last left alone for a while, if it was.
    """

    def __init__(self, fleet: Fleet, *, enabled: bool = True) -> None:
        self.lag, self.ways = Lag(), Ways()
        self.trust = Trust(self.lag)
        self._audits = Audits(fleet.pacer)
        self.job = Job(Spec("sweep"), Step.SWEEP)
        self.worth = 0.0
        self._fleet = fleet
        self._enabled = enabled
        self._asking = False
        self._due, self._last = 0.0 if enabled else math.inf, 0.0
        self._value = Worth(fleet, self.trust, self.lag)
        self._full = NEVER  # when the last full round began
        self._slow = False  # whether a whole round takes longer than the next is to wait for
        self._took: dict[Way, float] = {}  # seconds that the last round of this way took
        self._round: Round | None = None
        self._jobs: Mapping[str, Job] = {}
        self._pages = 0
        self._length = 1  # pages of the last round
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
        if not self.is_due(now) or (self._round is None and not self._begin(now, price)):
            return None
        return self.job  # what was begun goes on: the jobs it has yet to tell of are worth more than when it began

    def take(self) -> Job:
        """The page that `first` answered is asked for now."""
        self._asking = True
        self.job.carry = self._present().look()
        return self.job

    def read(self, page: Listed, sent: float, now: float, jobs: Mapping[str, Job]) -> Findings:
        """Take in the page that was asked for when it was `sent`.

        What it finds `completed` or `ended` is to be asked about at once; `active` was so `lag` before.
        """
        self._asking, self._pages = False, self._pages + 1
        round = self._present()
        self._jobs = jobs
        found = round.read(page.jobs, page.next_cursor, jobs)
        if not self.ways.words.keys() >= {view.word for view in page.jobs}:
            for view in page.jobs:
                self.ways.spelled(view.word, view.status)
        active = [job for job, _ in found.active]
        self.trust.shown_active(active)
        self.lag.shown(active, sent)
        self.lag.echoed(found.others, sent)
        self.trust.weigh()
        completed, ended = self._credible(found.completed), self._credible(found.ended)
        self._claim("shown", (*completed, *ended))
        audited = self._audits.pick(active, self._length, sent, now)
        self._claim("active", audited)
        ended, completed = ended + audited, completed + self._miss(found.missing)
        if round.over:
            completed += self._end(round, now)
        self.ways.found(round.way, completed)
        return Findings(found.active, completed, ended)

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
        self._due = max(self._due, now + max(seconds, self._value.least_seconds))

    @property
    def _margin(self) -> float:
        return self.trust.margin_seconds + self.lag.seconds

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
            self._due = now + self._value.least_seconds
            return False
        self.trust.samples = waiting >= SAMPLE and self.trust.right < PROVEN
        way = self.ways.choose(waiting, stale=now - self._full >= self._value.cap_seconds)
        if not self._is_worth_it(way, waiting, now, price):
            if self.lag.open_seconds >= self._value.interval_seconds:
                self._pause_for(now, "it is so late that the jobs tell of their ends before it does")
                self.lag.forget()
            return False
        before = self.ways.marks(way)
        is_cold = self._value.gauge(self._jobs, now, price) if self._slow and self.ways.may_skip() else None
        if is_cold is not None and before and all(is_cold(mark.ids) for marks in before.values() for mark in marks):
            self._due = now + max(0.25 * self._value.least_seconds, 0.1)
            return False
        self.ways.began(way)
        walks, sought = self.ways.walks(way), self.ways.sought()
        self._round = Round(way, now, waiting, walks, self.ways.page, before=before, is_cold=is_cold, sought=sought)
        return True

    def _miss(self, missing: Iterable[Job]) -> list[Job]:
        """Those of the missing jobs that are to be asked about."""
        if not self.trust.believes("missing"):
            return []
        credible = self._credible(missing)
        if not self.trust.tested("missing"):  # a state whose word is not known yet would hide all jobs in it
            del credible[PROBES:]
        self._claim("missing", credible)
        return credible

    def _is_worth_it(self, way: Way, waiting: int, now: float, price: float) -> bool:
        halfway = now + 0.5 * self._took.get(way, 0.0) if self._slow else now
        self.worth = self._value.survey(halfway) / self.ways.price(way, waiting)
        if self.worth >= price:
            return True
        # Worth grows as the square of time, at first: by then it may be enough.
        factor = min(2.0, math.sqrt(price / self.worth)) if self.worth > 0.0 else 2.0
        self._due = now + max(0.1, factor - 1.0) * min(max(now - self._last, self._value.least_seconds), LATER_SECONDS)
        return False

    def _end(self, round: Round, now: float) -> list[Job]:
        """Draw the conclusions of a round; the jobs that are missing from it are suspected to have completed."""
        self.ways.ended(round)
        least = self._value.least_seconds * (1.0 - round.skipped / round.waiting)
        self._length, self._took[round.way] = round.pages, now - round.began
        if round.whole and round.way != "finished":
            self._slow = now - round.began > self._value.least_seconds
        self._round, self._last, self._due = None, round.began, max(now, round.began + least)
        if round.way == "finished":
            self._end_finished(round)
            return []
        missing: list[Job] = []
        self._full, shown = round.began, round.told | round.busy
        self._value.told = shown if round.whole else self._value.told | shown
        if round.whole:
            self._value.read_at = round.began if round.complete and shown else NEVER
            self.lag.missed(round, self._fleet)
        told, before = len(shown), round.began - self._margin
        if told == 0 and not any(job.born < before for job in self._fleet):
            return []  # all too young to be listed: nothing follows from it
        if round.way == "active" and round.complete:
            missing = self._miss(round.missing(self._fleet, self._margin))
            told += len(missing) * self.trust.tested("missing")  # of a job refuted before, nothing was told
        told += round.skipped
        self.ways.note(round, told)
        if told <= round.pages or told < min(2 * round.pages, FEW_TOLD * round.waiting):
            self.ways.rule_out(round.way)
        if self.ways.hopeless:
            self._pause_for(now, "its pages tell of too few of the jobs")
        return missing

    def _pause_for(self, now: float, reason: str) -> None:
        """Leave the list alone for a while, then find out anew what it is good for."""
        self.paused = reason
        self._due, self._pause = now + self._pause, min(2.0 * self._pause, LAST_PAUSE_SECONDS)
        self.ways.forget()

    def _end_finished(self, round: Round) -> None:
        """The jobs that it did not show count as seen, if the last full round showed them, and not long ago.

        So a job whose end the list hides is asked about by itself soon after that.
        """
        if not self.ways.trusts_finished or round.began - self._full > self._value.cap_seconds:
            return
        before, seen = round.began - self._margin, round.began - self.lag.open_seconds
        for job in self._fleet:
            if job.born < before and (job.born > self._full or job.id in self._value.told):
                job.seen = max(job.seen, seen)
