"""What the journal says already happened: a pure fold over its records, small enough for a million of them.

Which record means what, by the phase its spec is in. A record that is not listed for a phase says nothing new
and is passed over, so that replaying twice, or a record written twice, changes nothing.

| Record                   | In phase                     | Then                                                       |
|--------------------------|------------------------------|------------------------------------------------------------|
| `Intent`                 | none, any but created        | intended; a new attempt: the last refusal is forgotten     |
| `Created`                | any                          | created; its job ids join those already known              |
| `Rejected`               | none, intended, unknown      | rejected                                                   |
| `Unknown`                | none, intended               | unknown                                                    |
| `Ended`                  | any; none or other: created  | the job's end; the first one wins                          |
| `Saved`                  | any; none or other: created  | the job's files; the last one wins until it is delivered   |
| `Delivered` with job id  | any; none or other: created  | the job is done; the first one wins, its details go        |
| `Delivered` without      | rejected, unknown, none      | the spec is done                                           |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from sys import intern
from typing import Literal

import msgspec

from sumeasync.core.records import Created, Delivered, Ended, Intent, Record, Rejected, Saved, Unknown
from sumeasync.models import Failure, OutcomeStatus

__all__ = ["Counts", "History", "JobFacts", "Phase", "SpecFacts"]

Phase = Literal["intended", "created", "rejected", "unknown"]


class JobFacts(msgspec.Struct, gc=False):
    """What is known of one job. Read only; `ended` and `saved` go once it is delivered."""

    id: str
    ended: Ended | None = None
    saved: Saved | None = None
    delivered: OutcomeStatus | None = None


class SpecFacts(msgspec.Struct, gc=False):
    """What is known of one spec. Read only.

    `at` is when its create was last intended (with an idempotency key: first intended under it), or answered,
    `lost_at` when it became unknown: epoch seconds. `error` belongs to the phases rejected and unknown, `delivered`
    to a spec without jobs.
    """

    key: str
    phase: Phase
    at: float
    type: str = ""
    payload_hash: str = ""
    idempotency_key: str | None = None
    adopted: bool = False
    lost_at: float = 0.0
    error: Failure | None = None
    delivered: OutcomeStatus | None = None
    jobs: tuple[JobFacts, ...] = ()

    def job(self, job_id: str) -> JobFacts | None:
        """The job of this id, if it is one of this spec's."""
        for job in self.jobs:
            if job.id == job_id:
                return job
        return None

    @property
    def is_done(self) -> bool:
        """Whether every outcome this spec can have is delivered."""
        if self.jobs:
            return all(job.delivered is not None for job in self.jobs)
        return self.delivered is not None


class Counts(msgspec.Struct, frozen=True):
    """How far a run is: specs by phase, jobs by status (``running`` until they end), outcomes delivered."""

    specs: Mapping[str, int]
    jobs: Mapping[str, int]
    delivered: int


class History:
    """Feed it every record in order with `apply`; ask it what need not be done again."""

    def __init__(self) -> None:
        self._specs: dict[str, SpecFacts] = {}
        self.records = 0

    def __len__(self) -> int:
        return len(self._specs)

    def __repr__(self) -> str:
        return f"History({len(self._specs)} specs from {self.records} records)"

    def apply(self, record: Record) -> None:
        """Take one record in."""
        self.records += 1
        match record:
            case Intent():
                self._intent(record)
            case Created():
                self._created(record)
            case Rejected():
                self._refused(record, "rejected")
            case Unknown():
                self._refused(record, "unknown")
            case Ended():
                self._ended(record)
            case Saved():
                self._saved(record)
            case _:
                self._delivered(record)

    def spec(self, key: str) -> SpecFacts | None:
        """What is known of the spec `key`; None when the journal never heard of it."""
        return self._specs.get(key)

    def is_done(self, key: str) -> bool:
        """Whether every outcome of the spec `key` is delivered."""
        spec = self._specs.get(key)
        return spec is not None and spec.is_done

    def is_delivered(self, key: str, job_id: str | None) -> bool:
        """Whether the outcome of this job (None: of a spec that never became one) is delivered."""
        spec = self._specs.get(key)
        fact = spec.job(job_id) if spec is not None and job_id is not None else spec
        return fact is not None and fact.delivered is not None

    def delivered(self) -> Iterator[tuple[str, str | None]]:
        """Every outcome that is delivered, by key and job id."""
        for spec in self._specs.values():
            if spec.delivered is not None:
                yield spec.key, None
            yield from ((spec.key, job.id) for job in spec.jobs if job.delivered is not None)

    def all(self) -> Iterator[SpecFacts]:
        """Every spec, in the order they were first heard of."""
        return iter(self._specs.values())

    def unfinished(self) -> Iterator[SpecFacts]:
        """The specs that still owe an outcome, in the order they were first intended."""
        return (spec for spec in self._specs.values() if not spec.is_done)

    def begun(self) -> Iterator[SpecFacts]:
        """The unfinished specs of which something may be at the server: a create without an answer, jobs under way."""
        return (spec for spec in self.unfinished() if spec.phase != "rejected")

    def counts(self) -> Counts:
        """How far the run is; walks every spec."""
        specs: Counter[str] = Counter()
        jobs: Counter[str] = Counter()
        delivered = 0
        for spec in self._specs.values():
            specs[spec.phase] += 1
            delivered += spec.delivered is not None
            for job in spec.jobs:
                jobs[job.delivered or (job.ended.status if job.ended else "running")] += 1
                delivered += job.delivered is not None
        return Counts(dict(specs), dict(jobs), delivered)

    def snapshot_records(self) -> Iterator[Record]:
        """The shortest journal with the same meaning: fed to a new `History`, it answers every question alike."""
        for spec in self._specs.values():
            yield from spec_records(spec)

    def _intent(self, record: Intent) -> None:
        spec = self._at_least(record.key, "intended", record.at)
        if spec.phase == "created":
            return
        if record.idempotency_key is None or record.idempotency_key != spec.idempotency_key:
            spec.at = record.at  # a key grows no younger by being used again
        spec.phase = "intended"
        spec.type, spec.payload_hash = intern(record.type), record.payload_hash
        spec.idempotency_key = record.idempotency_key
        spec.error = spec.delivered = None
        spec.lost_at = 0.0

    def _created(self, record: Created) -> None:
        spec = self._at_least(record.key, "created", record.at)
        become_created(spec, record.at)
        spec.adopted = spec.adopted or record.adopted
        spec.type = intern(record.type) or spec.type
        spec.payload_hash = record.payload_hash or spec.payload_hash
        fresh = dict.fromkeys(job_id for job_id in record.job_ids if spec.job(job_id) is None)
        spec.jobs += tuple(map(JobFacts, fresh))

    def _refused(self, record: Rejected | Unknown, phase: Literal["rejected", "unknown"]) -> None:
        known = record.key in self._specs
        spec = self._at_least(record.key, phase, record.at)
        if not known or spec.phase == "intended" or (spec.phase, phase) == ("unknown", "rejected"):
            spec.phase, spec.error, spec.delivered = phase, record.error, None
            spec.lost_at = record.at if phase == "unknown" else 0.0

    def _ended(self, record: Ended) -> None:
        job = self._job(record.key, record.job_id, record.at)
        if job.ended is None and job.delivered is None:
            job.ended = record

    def _saved(self, record: Saved) -> None:
        job = self._job(record.key, record.job_id, record.at)
        if job.delivered is None:
            job.saved = record

    def _delivered(self, record: Delivered) -> None:
        if record.job_id is not None:
            job = self._job(record.key, record.job_id, record.at)
            job.delivered = job.delivered or record.status
            job.ended = job.saved = None
            return
        phase: Phase = "unknown" if record.status == "unknown" else "rejected"
        if record.key not in self._specs:
            self._at_least(record.key, phase, record.at).error = Failure(phase)
        spec = self._specs[record.key]
        if spec.phase in ("rejected", "unknown"):
            spec.delivered = spec.delivered or record.status

    def _at_least(self, key: str, phase: Phase, at: float) -> SpecFacts:
        spec = self._specs.get(key)
        if spec is None:
            spec = self._specs[key] = SpecFacts(key, phase, at)
        return spec

    def _job(self, key: str, job_id: str, at: float) -> JobFacts:
        """The job a record speaks of. That it speaks of one proves that the spec was created."""
        spec = self._at_least(key, "created", at)
        job = spec.job(job_id)
        if job is None:
            job = JobFacts(job_id)
            spec.jobs += (job,)
        if spec.phase != "created":
            become_created(spec, at)
        return job


def become_created(spec: SpecFacts, at: float) -> None:
    """Enter the phase created; what was known of a failed or open attempt no longer matters."""
    if spec.phase != "created":
        spec.phase, spec.at = "created", at
    spec.error = spec.delivered = spec.idempotency_key = None
    spec.lost_at = 0.0


def spec_records(spec: SpecFacts) -> Iterator[Record]:
    """The records that say what is known of one spec."""
    if spec.phase == "created":
        ids = tuple(job.id for job in spec.jobs)
        yield Created(spec.key, ids, spec.at, spec.type, spec.payload_hash, spec.adopted)
        for job in spec.jobs:
            yield from job_records(spec, job)
        return
    yield Intent(spec.key, spec.type, spec.payload_hash, spec.at, spec.idempotency_key)
    error = spec.error or Failure(spec.phase)
    if spec.phase == "rejected":
        yield Rejected(spec.key, spec.at, error)
    elif spec.phase == "unknown":
        yield Unknown(spec.key, spec.lost_at, error)
    if spec.delivered is not None:
        yield Delivered(spec.key, spec.at, spec.delivered)


def job_records(spec: SpecFacts, job: JobFacts) -> Iterator[Record]:
    """The records that say what is known of one job."""
    if job.ended is not None:
        yield job.ended
    if job.saved is not None:
        yield job.saved
    if job.delivered is not None:
        yield Delivered(spec.key, spec.at, job.delivered, job.id)
