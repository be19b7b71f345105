"""Looks for creates without an answer, a page of the job list a step; `core/reconcile.py` judges what is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

from sumeasync.core.events import Accepted, Event, Faulted, Turned
from sumeasync.core.faults import Verdict, verdict
from sumeasync.core.job import Job, Step
from sumeasync.core.reconcile import SETTLE_SECONDS, Search, Walk, candidates, expected_jobs, fits, window
from sumeasync.dialects.base import Page
from sumeasync.errors import SumeError
from sumeasync.models import KINDS, Response, Spec

__all__ = ["RECONCILE_PAGE", "Reconciling"]

RECONCILE_PAGE = 100


class Reconciling:
    """Knows which creates are open and what the server calls each type.

    `claimed` are the job ids that belong to some spec. `opened` are, by key, type and time (epoch seconds) of the
    creates without an answer, at first those of earlier runs. `create_seconds` is the longest a create may take,
    `parallel` says that several of one type may be open at once, `words` are the server's own for some types.
    """

    def __init__(
        self,
        claimed: set[str],
        opened: MutableMapping[str, tuple[str, float]],
        *,
        create_seconds: float,
        parallel: bool,
        wall_clock: Callable[[], float],
        words: Mapping[str, str] = {},
    ) -> None:
        self._claimed = claimed
        self._opened = opened
        self._create_seconds = create_seconds
        self._parallel = parallel
        self._wall = wall_clock
        self._words = dict(words)

    def learn(self, type: str, word: str) -> None:
        """The server's own `word` for a type, for the day an answer is lost."""
        self._words[type] = word

    @contextmanager
    def open(self, spec: Spec, at: float) -> Iterator[None]:
        """While the create of `spec` is under way; it stays open unless it was refused for certain, or is `closed`.

        One that is under way counts as open for those that are looked for: what it may have made is not theirs.
        """
        self._opened[spec.key] = (spec.type, at)
        try:
            yield
        except SumeError as error:
            if verdict(error, Step.CREATE) is not Verdict.AMBIGUOUS:
                self.closed(spec.key)
            raise

    def closed(self, key: str) -> None:
        """It is known what became of the create."""
        self._opened.pop(key, None)

    def walk(self, job: Job) -> Walk:
        """The look to go on with: the one under way, or a new one.

        A filter by a word that is not the server's may show nothing: every other look does without.
        """
        search: Search = job.carry
        if search.walk is None:
            type = job.spec.type
            word = None if search.looks % 2 else self._words.get(type, type)
            search.walk = Walk(job.intended_at or 0.0, type=word)
        return search.walk

    def judge(self, job: Job, response: Response, page: Page) -> Event:
        """What a page of the look tells."""
        spec, search, at = job.spec, job.carry, job.intended_at or 0.0
        walk: Walk = search.walk
        if walk.pages == 0:
            walk.skew = _date(response) - self._wall() if "date" in response.headers else 0.0
            walk.since = at + walk.skew
        if not walk.read(page.jobs, page.next_cursor):
            return Turned()
        found = self._found(spec, walk, at, search.lost_at)
        if found is not None and len(found) == expected_jobs(spec):
            settled = self._wall() - search.lost_at >= SETTLE_SECONDS
            if walk.shows(found, spec) or (settled and walk.complete):
                self.closed(spec.key)
                return Accepted(found, adopted=True)
        return Faulted(SumeError(search.conclude(walk, spec, self._claimed, found)))

    def _found(self, spec: Spec, walk: Walk, at: float, lost_at: float) -> tuple[str, ...] | None:
        """The candidates; those that seem to be made too early, by what clocks may err, only if there are no others."""
        others = [time for key, (type, time) in self._opened.items() if type == spec.type and key != spec.key]
        span = window(at, others, self._create_seconds, parallel=self._parallel)
        if span is None:
            return None
        since, until = span[0] + walk.skew, min(span[1], max(at, lost_at) + SETTLE_SECONDS) + walk.skew
        words, jobs = self._fitting(spec.type, walk), walk.jobs.values()
        found = candidates(jobs, spec, self._claimed, since=since, until=until, words=words, slack=0.0)
        return found or candidates(jobs, spec, self._claimed, since=since, until=until, words=words)

    def _fitting(self, type: str, walk: Walk) -> set[str]:
        """The words in the list that may stand for the type: the one that was learned, or else what can only be its."""
        if type in self._words:
            return {self._words[type]}
        taken = {*KINDS, *self._words.values()}
        rivals = {kind for kind in KINDS if kind != type and kind not in self._words}
        return {view.type for view in walk.jobs.values() if view.type not in taken and fits(view.type, type, rivals)}


def _date(response: Response) -> float:
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp()
    except (ValueError, TypeError):
        return 0.0
