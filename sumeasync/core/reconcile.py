"""Which listed job is the one whose create was never answered.

A job is a candidate when it is of the type, nobody claims it, the server created it while the create was open, and
the prompt it shows (if any) is the spec's. As many candidates as the spec makes jobs: they are its jobs. Anything
else, or a list without times: nobody knows.

The list is walked page by page (a *look*). A look ends where the list ends, or where a list that has shown the newest
first shows a job older than the create; it is given up after `MOST_PAGES`, or when the pages bring nothing new. What
the last look saw is kept in words, so that whoever has to decide about an unknown create knows what was looked at.

Lists may lag: a first look may show the job of another and not yet the spec's. So nothing is adopted before
`SETTLE_SECONDS` have passed, but a job that shows the very prompt. And looks are repeated, ever later, until
`PATIENCE_SECONDS` after the answer was lost, or until the list shows a job made later, and so all that was made before.
Both times are counted over runs: the journal knows when the answer was lost. Other creates of the type wait only for
the first `SETTLE_SECONDS` of this.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Container, Iterable
from typing import Literal

import msgspec

from sumeasync.models import Failure, JobView, Spec

__all__ = ["PATIENCE_SECONDS", "SETTLE_SECONDS", "Search", "Walk", "candidates", "expected_jobs", "window"]

SETTLE_SECONDS = 5.0
"""A create whose answer was lost has arrived after so long, or never will: the next of its type may go."""

PATIENCE_SECONDS = 40.0
"""A list that does not show a job after so long is taken never to."""

SLACK_SECONDS = 2.0
"""Servers cut times to whole seconds, and so does the `Date` header that the clocks are compared by."""

COMMON_PARTS = {"", "generation", "job"}
MOST_PAGES = 20
"""A look is given up after so many pages."""

IDLE_PAGES = 3
"""So many pages in a row without a new job: the list goes in circles. One is nothing; new jobs shift a growing list."""

ENDS = {
    "end": "the job list was read to its end",
    "older": "the job list was read back to before the create",
    "circle": "the job list repeats itself, so only its beginning could be read",
    "long": f"the first {MOST_PAGES} pages of the job list were read, and there are more",
}


def expected_jobs(spec: Spec) -> int:
    """How many jobs the create of `spec` makes: one, or one for each avatar of a Face Swap."""
    avatars = spec.input.get("avatar_ids")
    return max(1, len(avatars)) if spec.type == "face_swap" and isinstance(avatars, list) else 1


def window(
    at: float, others: Collection[float], create_seconds: float, *, parallel: bool
) -> tuple[float, float] | None:
    """When the job of a create sent at `at` was made, earliest and latest, by the clock of `at`; None: nobody can tell.

    `others` are the times of the other creates of the type without an answer. What was made before the next of them
    was sent is not that one's. What was made later may be an earlier one's if both were open together (`parallel`):
    until the earlier is found, nothing is known of the later. So of creates and jobs that alternate each gets its own.
    """
    early = create_seconds if parallel else 2 * SLACK_SECONDS
    if any(-2 * SLACK_SECONDS < at - other < early for other in others):
        return None
    later = (other - 2 * SLACK_SECONDS for other in others if other > at)
    return at, min((at + create_seconds, *later))


def candidates(
    jobs: Iterable[JobView],
    spec: Spec,
    claimed: Container[str],
    *,
    since: float,
    until: float,
    words: Container[str] = (),
    slack: float = SLACK_SECONDS,
) -> tuple[str, ...]:
    """The ids that can only be the spec's, oldest first; `since` and `until` are epoch seconds by the server.

    `slack` is how much earlier than `since` a job may seem to have been made.
    """
    found = {
        (job.created_at, job.id)
        for job in jobs
        if (job.type in (spec.type, "") or job.type in words)
        and job.id not in claimed
        and job.created_at is not None
        and earliest(since - slack, job.created_at) <= job.created_at <= until + SLACK_SECONDS
        and not contradicts(job.prompt, spec.input.get("prompt"))
    }
    return tuple(id for _, id in sorted(found))


def earliest(since: float, created_at: float) -> float:
    """The least time of creation that counts as `since`, for a server that writes times as it wrote this one."""
    return since if created_at % 1.0 else math.floor(since)


def fits(word: str, type: str, rivals: Iterable[str]) -> bool:
    """Whether an unknown `word` can only stand for `type`, and for none of the `rivals`: by a part they share."""
    parts = set(re.split("[^a-z]+", word.lower())) - COMMON_PARTS
    return not parts.isdisjoint(type.split("_")) and all(parts.isdisjoint(other.split("_")) for other in rivals)


def contradicts(shown: str, own: object) -> bool:
    """Whether the prompt that a list shows cannot be the spec's; it may show it shortened, or other blanks."""
    return isinstance(own, str) and not plain(own).startswith(plain(shown))


def plain(text: str) -> str:
    return " ".join(text.split()).rstrip(".\u2026 ").casefold()


class Walk(msgspec.Struct, eq=False):
    """One look under way. `since` is when the create was sent, by the server's clock; `skew` how far that is ahead.

    `type` is the word the list is filtered by, None without a filter. `jobs` are those shown so far, by id.
    """

    since: float
    skew: float = 0.0
    type: str | None = None
    cursor: str | None = None
    pages: int = 0
    idle: int = 0
    jobs: dict[str, JobView] = msgspec.field(default_factory=dict)
    cursors: set[str] = msgspec.field(default_factory=set)
    falling: bool = True
    newest: float | None = None
    oldest: float | None = None
    end: Literal["", "end", "older", "circle", "long"] = ""

    def read(self, jobs: Iterable[JobView], next_cursor: str | None) -> bool:
        """Take a page in; whether the look ends with it."""
        known, shown = len(self.jobs), list(jobs)
        for job in shown:
            self._follow(job.created_at)
            self.jobs.setdefault(job.id, job)
        self.pages += 1
        self.idle = self.idle + 1 if shown and len(self.jobs) == known else 0
        if next_cursor is None:
            self.end = "end"
        elif self._goes_back():
            self.end = "older"
        elif next_cursor in self.cursors or self.idle >= IDLE_PAGES:
            self.end = "circle"
        elif self.pages >= MOST_PAGES:
            self.end = "long"
        else:
            self.cursors.add(next_cursor)
            self.cursor = next_cursor
        return self.end != ""

    @property
    def complete(self) -> bool:
        """Whether a job that the server lists cannot have been missed: all was read, with times, under a known word."""
        timed = all(job.created_at is not None for job in self.jobs.values())
        filtered = self.type is None or any(job.type == self.type for job in self.jobs.values())
        return self.end in ("end", "older") and timed and filtered

    def shows(self, found: Collection[str], spec: Spec) -> bool:
        """Whether each of these shows the very prompt of the spec."""
        own, shown = spec.input.get("prompt"), [self.jobs[id].prompt for id in found]
        return isinstance(own, str) and all(text and plain(text) == plain(own) for text in shown)

    def is_past(self, at: float) -> bool:
        """Whether a job made after `at`, by our clock, was shown."""
        return self.newest is not None and self.newest + SLACK_SECONDS >= at + self.skew

    def _follow(self, at: float | None) -> None:
        self.falling = self.falling and at is not None and (self.oldest is None or at <= self.oldest)
        if at is not None:
            self.newest = at if self.newest is None else max(self.newest, at)
            self.oldest = at if self.oldest is None else min(self.oldest, at)

    def _goes_back(self) -> bool:
        """Only an order that was seen tells that what follows is older still: one time alone shows none."""
        if not self.falling or self.oldest is None or self.newest is None:
            return False
        return self.oldest < self.newest and self.oldest < self.since - SLACK_SECONDS


class Search(msgspec.Struct, eq=False):
    """What is known of a create that is looked for: why (`cause`), since when, and what the last look `saw`.

    `lost_at` is when it became known that no answer will come (epoch seconds), `held` whether other creates of the type
    wait for it. `sure` says that the last look was complete: once lists can be expected to show the job, no other is
    needed; `settled` that it showed what was made later, so they can.
    """

    cause: Failure | None = None
    lost_at: float = 0.0
    held: bool = True
    looks: int = 0
    walk: Walk | None = None
    sure: bool = False
    settled: bool = False
    saw: str = ""

    def is_over(self, waited: float) -> bool:
        """Whether another look is not worth it, `waited` seconds after the answer was lost."""
        if self.held:
            return False
        return self.settled or (waited >= PATIENCE_SECONDS and (self.sure or self.looks > 1))

    def delay(self, waited: float) -> float:
        """Seconds until the next look: half of the time that has passed, and no step beyond what is waited for."""
        end = SETTLE_SECONDS if self.held else PATIENCE_SECONDS
        return max(0.0, min(max(1.0, 0.5 * waited), end - waited))

    def conclude(self, walk: Walk, spec: Spec, claimed: Container[str], found: Collection[str] | None) -> str:
        """Say what a look that found the wrong number of candidates saw; `found` None: they cannot be told apart."""
        kin = [job for job in walk.jobs.values() if job.type in (spec.type, walk.type, "")]
        taken = sum(job.id in claimed for job in kin)
        untimed = sum(job.created_at is None for job in walk.jobs.values())
        parts = [f"{ENDS[walk.end]} ({len(walk.jobs)} jobs, {taken} of this type belong to other specs)"]
        if untimed:
            parts.append(f"{untimed} of the jobs have no time of creation")
        if found is None:
            parts.append("another create of this type was open at the same time, and nothing tells their jobs apart")
        else:
            wanted = expected_jobs(spec)
            parts.append(f"{len(found)} unclaimed jobs of this type were created at that time, and {wanted} wanted")
        if found:
            parts.append(f"it may be {', '.join(sorted(found)[:5])}")
        self.sure, self.walk, self.saw = walk.complete, None, "; ".join(parts)
        self.settled = self.sure and found is not None and walk.is_past(self.lost_at + SETTLE_SECONDS)
        return self.saw
