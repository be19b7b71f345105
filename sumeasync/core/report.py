"""What a run came to: a fold over its outcomes, and the exit code that sums it up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import msgspec

from sumeasync.errors import AuthError, CreditsError, StorageError, SumeError
from sumeasync.models import Failure, Outcome, OutcomeStatus

__all__ = ["EXIT_CODES", "Report", "Tally", "Unresolved"]

EXIT_CODES = {
    "ok": 0,
    "some_failed": 1,
    "usage": 2,
    "deadline": 3,
    "auth": 4,
    "credits": 5,
    "unknown": 6,
    "storage": 7,
}


class Unresolved(msgspec.Struct, frozen=True, omit_defaults=True):
    """A spec or job that a later run goes on with, and why it is still open."""

    key: str
    status: str
    job_id: str | None = None
    error: Failure | None = None


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run, summed up; ``report.json``.

    `statuses` and `types` count the outcomes of this run, `earlier` those the directory already held; `found` counts
    jobs of this run whose create was never answered, and which were told from others in the job list. `detection`
    is the seconds from a job's end (by the server's word) to our knowing it: `median`, `p95`, and of how many jobs.
    `budget` is the share of the requests allowed in that time that was used, by lane, where a limit is known. `sweeps`
    counts the `pages` of the job list, the jobs they `told` of, and how many `suspected` to have ended had (`right`).
    """

    exit_code: int
    seconds: float
    statuses: Mapping[str, int] = {}
    types: Mapping[str, Mapping[str, int]] = {}
    earlier: Mapping[str, int] = {}
    found: int = 0
    skipped: int = 0
    not_started: int = 0
    requests: Mapping[str, int] = {}
    requests_per_job: float | None = None
    rate_limited: int = 0
    faults: int = 0
    media_files: int = 0
    media_bytes: int = 0
    detection: Mapping[str, float] = {}
    budget: Mapping[str, float] = {}
    sweeps: Mapping[str, int] = {}
    unresolved: tuple[Unresolved, ...] = ()
    stopped: Failure | None = None


class Tally:
    """Counts outcomes as they come; keeps of them only what a report needs."""

    def __init__(self) -> None:
        self.statuses: Counter[OutcomeStatus] = Counter()
        self.types: dict[str, Counter[str]] = {}
        self.unresolved: list[Unresolved] = []
        self.found = 0
        self._not_ok = 0
        self._delays: list[float] = []

    def add(self, outcome: Outcome) -> None:
        """Take one outcome in."""
        self.statuses[outcome.status] += 1
        self.types.setdefault(outcome.type or "adopted", Counter())[outcome.status] += 1
        self._not_ok += not outcome.ok
        self.found += outcome.found is True
        if not outcome.final:
            self.unresolved.append(Unresolved(outcome.key, outcome.status, outcome.job_id, outcome.error))
        times = outcome.timings
        if times.detected is not None and times.server_completed is not None:
            self._delays.append(max(0.0, times.detected - times.server_completed))

    def detection(self) -> dict[str, float]:
        """Median and 95th percentile of the detection delay in seconds, where the server told when jobs ended."""
        delays = sorted(self._delays)
        if not delays:
            return {}
        return {
            "jobs": len(delays),
            "median": round(delays[len(delays) // 2], 3),
            "p95": round(delays[len(delays) * 95 // 100], 3),
        }

    def exit_code(self, stopped: SumeError | None, *, earlier_ok: bool, left: Collection[str] = ()) -> int:
        """The gravest of what happened; nothing but full success, now and earlier, and nothing `left`, is 0.

        It speaks of the specs of this run: `earlier_ok` is about what became of them in earlier ones.
        `left` are the statuses of what a run that was stopped early has no outcome for.
        """
        for kind, name in ((StorageError, "storage"), (AuthError, "auth"), (CreditsError, "credits")):
            if isinstance(stopped, kind):
                return EXIT_CODES[name]
        if self.statuses["unknown"] or "unknown" in left:
            return EXIT_CODES["unknown"]
        if self.statuses["timed_out"]:
            return EXIT_CODES["deadline"]
        return EXIT_CODES["some_failed" if self._not_ok or stopped or left or not earlier_ok else "ok"]
