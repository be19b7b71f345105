"""What is known of a job list, and which way of reading it is worth most: all, the active, or the finished ones.

Each way is measured by what its rounds took and told. The finished way is used only while it shows what the full
rounds between find ended (its *recall*): a list that does not put the latest end first hides them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from sumeasync.core.job import Job
from sumeasync.core.sweep.course import Mark
from sumeasync.core.sweep.rounds import PAGE, Round, Way

__all__ = ["Ways"]

GAIN = 0.3
"""How much one round moves what is known of its way."""

TRUSTED_RECALL, RECALL_JOBS, RECALL_FADE = 0.9, 10.0, 0.9
FULL_EVERY, PROBE_EVERY, OTHERS_EVERY, WHOLE_EVERY = 16, 16, 4, 16
COVERED = 0.9
DEAR_PAGES = 3
"""A full round of so many pages makes it worth finding out how the finished ones are ordered."""

MOST_WORDS = 32
COMPLETED, OTHER_ENDS = "completed", ("failed", "canceled", "expired")


class Measure(msgspec.Struct):
    """What is known of a way: pages for each page's worth of waiting jobs, and the share of the jobs told of."""

    pages: float = 1.0
    coverage: float = 1.0
    rounds: int = 0

    def note(self, pages: float, coverage: float) -> None:
        """Move towards what one more round took and told."""
        gain = GAIN if self.rounds else 1.0
        self.pages += gain * (pages - self.pages)
        self.coverage += gain * (coverage - self.coverage)
        self.rounds += 1


class Ways:
    """`words` are the server's spellings of states, None for one that is not known; `page` is how long pages are."""

    def __init__(self) -> None:
        self.words: dict[str, str | None] = {}
        self.page = PAGE
        self.rounds = 0
        self._measures: dict[Way, Measure] = {}
        self._hits = self._misses = 0.0
        self._marks: dict[Way, Mapping[str | None, Sequence[Mark]]] = {}
        self._jumps = self._partial = True
        self._lately: list[Job] = []  # what the last full round found ended: a finished one ought to show it too
        self.forget()

    def __repr__(self) -> str:
        return f"<Ways after {self.rounds} rounds>"

    def forget(self) -> None:
        """Begin anew: every way may be worth trying."""
        self._measures = {"all": Measure(), "active": Measure(), "finished": Measure()}

    def rule_out(self, way: Way) -> None:
        """The server refuses this way, or it tells next to nothing."""
        self._measures[way] = Measure(coverage=0.0, rounds=1)

    @property
    def hopeless(self) -> bool:
        """Whether no way is left that tells of all jobs."""
        return not (self._measures["all"].coverage or self._measures["active"].coverage)

    def spelled(self, word: str, status: str | None) -> None:
        """A server's word for a state, or for one that is not known (None), which is taken for an active one."""
        if len(self.words) < MOST_WORDS:
            self.words[word] = status

    def choose(self, waiting: int, *, stale: bool = False) -> Way:
        """The way to go for so many waiting jobs, of which a full round is due if what is known is `stale`."""
        full = self._full(waiting)
        if self._price(full, waiting) < DEAR_PAGES or not self._measures["finished"].coverage:
            return full
        if self.trusts_finished:
            return full if stale or self.rounds % FULL_EVERY == 0 else "finished"
        known = self._hits + self._misses >= RECALL_JOBS
        return "finished" if self._lately and (not known or self.rounds % PROBE_EVERY == 0) else full

    def price(self, way: Way, waiting: int) -> float:
        """Requests that a round this way may cost; a try of the finished ones counts as the full round it may save."""
        return self._price(way if self.trusts_finished else self._full(waiting), waiting)

    def walks(self, way: Way) -> list[str | None]:
        """The statuses to filter by, one walk each."""
        if way == "all":
            return [None]
        words = self.words.items()
        if way == "active":
            active = {word: status for word, status in words if status in ("queued", "running", None) and word}
            return sorted(active or ("queued", "running"), key=lambda word: active.get(word) != "queued")
        walks: list[str | None] = [next((word for word, status in words if status == COMPLETED), COMPLETED)]
        if self.rounds % OTHERS_EVERY == 0:
            other = OTHER_ENDS[self.rounds // OTHERS_EVERY % len(OTHER_ENDS)]
            walks.append(next((word for word, status in words if status == other), other))
        return walks

    @property
    def trusts_finished(self) -> bool:
        """Whether the finished ones show nearly all that has ended."""
        found = self._hits + self._misses
        return found >= RECALL_JOBS and self._hits >= TRUSTED_RECALL * found

    def began(self, way: Way) -> None:
        """A round begins."""
        if way != "finished":
            self._lately = []

    def found(self, way: Way, completed: Sequence[Job]) -> None:
        """A round's page raised these suspicions."""
        if way != "finished":
            self._lately += completed

    def ended(self, round: Round) -> None:
        """A round is over."""
        self.rounds += 1
        if round.longest:
            self.page = min(PAGE, round.longest)
        if round.way == "finished":
            self._measures["finished"].note(round.pages, 1.0)
            if shown := [job.id in round.found for job in self._lately if job.status == COMPLETED]:
                self._hits = self._hits * RECALL_FADE + sum(shown)
                self._misses = self._misses * RECALL_FADE + len(shown) - sum(shown)
            self._lately = []
        else:
            self._marks[round.way] = round.marks
            self._jumps = self._jumps and round.jumps
        if not round.filters:
            self.rule_out("active")
            self.rule_out("finished")

    def sought(self) -> frozenset[str]:
        """The jobs to look out for."""
        return frozenset(job.id or "" for job in self._lately)

    def marks(self, way: Way) -> Mapping[str | None, Sequence[Mark]]:
        """Where jobs stood the last time."""
        return self._marks.get(way, {})

    def may_skip(self) -> bool:
        """Whether pages may be left out of the next round: not of some, nor where it is not known what is on them."""
        return self._jumps and self._partial and self.rounds % WHOLE_EVERY != 0 and not self.trusts_finished

    def note(self, round: Round, told: int) -> None:
        """A full round told of so many jobs, or left them out."""
        pages = round.pages / math.ceil(round.waiting / self.page)
        self._measures[round.way].note(pages, min(1.0, told / round.waiting))
        self._partial = told >= COVERED * round.waiting

    def _price(self, way: Way, waiting: int) -> float:
        """Requests for a round, as many times more as it leaves jobs untold."""
        measure = self._measures[way]
        pages = measure.pages if way == "finished" else measure.pages * math.ceil(waiting / self.page)
        if not measure.rounds:
            pages += len(self.walks(way)) - 1
        return pages / max(measure.coverage, 1e-6)

    def _full(self, waiting: int) -> Way:
        return "all" if self._price("all", waiting) <= self._price("active", waiting) else "active"
