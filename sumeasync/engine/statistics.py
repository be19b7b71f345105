"""What a run has done so far, counted as it happens; progress displays and reports read nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import msgspec

from sumeasync.core.budget.budget import LaneView
from sumeasync.core.events import Event, Faulted
from sumeasync.core.faults import failure
from sumeasync.core.job import LANES, NAMES, Job, Step
from sumeasync.core.report import Report, Tally, Unresolved
from sumeasync.core.sweep.trust import Trust
from sumeasync.errors import RateLimitError, SumeError
from sumeasync.models import Lane, Outcome, OutcomeStatus

__all__ = ["MOST_TYPES", "UNSTARTED", "Statistics", "TypeCount", "make_report"]


MOST_TYPES = 256


class TypeCount(msgspec.Struct):
    """Jobs of one type: waiting for their create, at the server, and ended well or badly."""

    queued: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0


class Statistics(msgspec.Struct):
    """Counters of one run. `requests` counts by step (``poll``, ``result``, ``create`` …) what was sent to anyone.

    `skipped` specs were finished by an earlier run, `not_started` were left alone after creates were stopped. `swept`
    counts what pages of the job list told of waiting jobs, `unanswered` creates that are looked for or given up.
    """

    specs: int = 0
    skipped: int = 0
    not_started: int = 0
    outcomes: int = 0
    faults: int = 0
    rate_limited: int = 0
    swept: int = 0
    unanswered: int = 0
    media_files: int = 0
    media_bytes: int = 0
    requests: Counter[str] = msgspec.field(default_factory=Counter)
    types: dict[str, TypeCount] = {}

    def of(self, type: str) -> TypeCount:
        """The counters of one type; adopted jobs count as ``adopted`` until the server names their type.

        A server may name ever new types: beyond `MOST_TYPES` they are counted together, as ``others``.
        """
        name = type or "adopted"
        if name not in self.types and len(self.types) >= MOST_TYPES:
            name = "others"
        return self.types.setdefault(name, TypeCount())

    def moved(self, job: Job, was: Step, type: str) -> None:
        """A job left the step `was`, when it counted as `type`."""
        self.unanswered += (job.step is Step.RECONCILE) - (was is Step.RECONCILE)
        before, after = self.of(type), self.of(job.type)
        if was in UNSTARTED and job.step in UNSTARTED:
            return
        if was in UNSTARTED:
            before.queued -= 1
            after.running += 1
        elif before is not after:
            before.running -= 1
            after.running += 1

    def told(self, event: Event) -> None:
        """A step came to this."""
        if isinstance(event, Faulted):
            self.faults += 1
            self.rate_limited += isinstance(event.error, RateLimitError)

    def ended(self, job: Job, outcome: Outcome) -> None:
        """A job has its outcome."""
        counts = self.of(job.type)
        self.outcomes += 1
        if job.step in UNSTARTED:
            counts.queued -= 1
        else:
            counts.running -= 1
        if outcome.ok:
            counts.done += 1
        else:
            counts.failed += 1
        self.media_files += len(outcome.files)
        self.media_bytes += sum(file.bytes for file in outcome.files)


UNSTARTED = frozenset({Step.PRESIGN, Step.UPLOAD, Step.CREATE, Step.RECONCILE})
"""The steps of a spec that has no job yet."""


def make_report(
    counts: Statistics,
    tally: Tally,
    *,
    seconds: float,
    earlier: Mapping[OutcomeStatus, int],
    earlier_ok: bool = True,
    in_flight: Sequence[tuple[str, str]],
    lanes: Mapping[Lane, LaneView],
    trust: Trust,
    unanswered: Collection[str] = (),
    waiting: int = 0,
    stopped: SumeError | None,
) -> Report:
    """Sum a run up; `in_flight` are the (key, job id) that still run at the server.

    `unanswered` are the keys whose create may have been paid, `waiting` counts the specs that were not begun.
    `earlier_ok` tells whether the outcomes that these specs had in earlier runs were all full successes.
    """
    jobs = sum(count for status, count in tally.statuses.items() if status != "rejected")
    requests = sum(counts.requests.values())
    told = {one.job_id for one in tally.unresolved}
    left = [Unresolved(key, "running", job_id) for key, job_id in in_flight if job_id not in told]
    left += [Unresolved(key, "unknown") for key in unanswered]
    not_started = counts.not_started + waiting
    return Report(
        exit_code=tally.exit_code(
            stopped, earlier_ok=earlier_ok, left=[one.status for one in left] + ["waiting"] * not_started
        ),
        seconds=round(seconds, 3),
        statuses={str(status): count for status, count in tally.statuses.items()},
        types={type: dict(statuses) for type, statuses in tally.types.items()},
        earlier={str(status): count for status, count in earlier.items()},
        found=tally.found,
        skipped=counts.skipped,
        not_started=not_started,
        requests=dict(counts.requests),
        requests_per_job=round(requests / jobs, 2) if jobs else None,
        rate_limited=counts.rate_limited,
        faults=counts.faults,
        media_files=counts.media_files,
        media_bytes=counts.media_bytes,
        detection=tally.detection(),
        budget=_shares(counts.requests, lanes, seconds),
        sweeps=_sweeps(counts, trust),
        unresolved=(*tally.unresolved, *left),
        stopped=failure(stopped) if stopped else None,
    )


def _shares(requests: Mapping[str, int], lanes: Mapping[Lane, LaneView], seconds: float) -> dict[str, float]:
    """How much of what each lane allows was used."""
    shares = {}
    for lane in ("read", "create"):
        rate = lanes[lane].rate_per_second
        if rate is not None and seconds > 0.0:
            used = sum(requests.get(NAMES[step], 0) for step in Step if LANES[step] == lane)
            shares[str(lane)] = round(used / max(1.0, rate * seconds), 3)
    return shares


def _sweeps(counts: Statistics, trust: Trust) -> dict[str, int]:
    pages = counts.requests.get(NAMES[Step.SWEEP], 0)
    told = {"told": counts.swept, "suspected": trust.claims, "right": trust.right}
    return {"pages": pages} | told if pages else {}
